"""The work of other programs, each as an experiment of its own: what they take is published or was measured.

Not their models: as many cells of as many kinds, moves, fields and steps on a lattice of their size.
"""

import time
from pathlib import Path

from human import living
from rows import row

import simulator
from simulator.base import threads
from simulator.run.simulation import Simulation

_PEERS = Path(__file__).resolve().parent / "peers"


def kather(days: float | None = None) -> list[dict]:
    """immunoABM3D took 56 s on the two-core machine, one thread."""
    seconds, note = _run("kather", days, 1)
    return [
        row("kather", seconds, "s", 10.0, peer="immunoABM3D 56 s (measured)", ratio=56.0 / seconds, note=note)
    ]


def luque(days: float | None = None) -> list[dict]:
    """CARTopiaX: 271 to 517 min are published; the shorter counts."""
    seconds, note = _run("luque", days, 1)
    return [row("luque", seconds, "s", 20.0, peer="CARTopiaX 16,300 s (published)", ratio=16300.0 / seconds,
                note=note)]  # fmt: skip


def spqsp(days: float | None = None) -> list[dict]:
    """spQSP-HCC: 17 s are published, on an A100."""
    seconds, note = _run("spqsp", days, 2)
    return [row("spqsp", seconds, "s", 60.0, peer="spQSP-HCC 17 s on an A100 (published)",
                ratio=17.0 / seconds, note=note)]  # fmt: skip


def _run(name: str, days: float | None, count: int) -> tuple[float, str]:
    """(seconds of the whole run with so many threads, what was run).

    One thread is timed by its CPU time, two by the clock.
    """
    experiment = simulator.load(_PEERS / f"{name}.yaml")
    clock = time.thread_time if count == 1 else time.perf_counter
    (arm,) = experiment.arms
    hours = experiment.burn_in.time_h + (experiment.duration if days is None else 24.0 * days)
    Simulation(experiment.model(arm, 1, "treatment"), (1, 1, 1)).advance()  # loads what is compiled
    threads.set_threads(count)
    try:
        start = clock()
        simulation = Simulation(experiment.model(arm, 1, "treatment"), (1, 1, 1))
        seconds = clock() - start
        block = simulation.lesions[0].block
        cell_hours, first = 0.0, living(block)
        for _ in range(round(hours / simulation.dt)):
            start = clock()
            simulation.advance()
            seconds += clock() - start
            cell_hours += simulation.dt * living(block)
    finally:
        threads.set_threads(1)
    shape = "×".join(map(str, experiment.model(arm, 1, "treatment").lesions[0].block.shape))
    note = (
        f"{shape} sites, {hours / 24:g} d in steps of {simulation.dt:g} h, {len(block.names.fields)} fields, "
        f"{first} to {living(block)} living cells; {cell_hours / seconds / 1e6:.3g} M cell-hours/s with "
        f"{count} thread{'s' * (count > 1)}"
    )
    return seconds, note
