"""Cells: a motile sub-step, a tumor pass, whole steps of a block, and what more cells and threads do to them.

What one thread can do is taken by its CPU time, so that other programs on the machine slow it little; what
two threads do together is taken by the clock.
"""

import hashlib
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import human
import numpy as np
from rows import row

import simulator
from simulator.base import threads as thread_pool
from simulator.run.doses import doses_of
from simulator.run.records import RunRecorder
from simulator.run.simulation import Simulation
from simulator.tissue.fields import as_grid
from simulator.tissue.inputs import Inputs
from simulator.tissue.motility import claim_goals, commit_hops, dispute_goals, propose_hops, resolve_hops

# immunoABM3D on the two-core machine, per second: immune sub-moves, tumor cell-steps, cell-hours.
_LESION = Path(simulator.__file__).resolve().parent.parent / "configs" / "experiments" / "lesion_10mm.yaml"
_KATHER_MOVES, _KATHER_PASS, _KATHER_HOURS = 2.6e6, 4.8e6, 1.5e6


def walk(size: int = 128) -> list[dict]:
    """A motile sub-step: lymphocytes on one site in twenty-one follow CXCL9 among tumor, stroma and vessels.

    A move is one cell that may hop in one sub-step; at the catalogue's 0.25 /min and 4 min every cell may.
    """
    block = human.simulation(human.experiment(size, lymphocytes=1e5 / 128**3 / 0.7)).lesions[0].block
    _wave(block, "cxcl9")
    block.read(Inputs())
    block.respond(1)
    cells, dice = human.agents(block), block.dice
    start = block.state.agents.site[:cells].copy()
    part = iter(range(1000))

    def sub_step() -> None:
        now = next(part)
        propose_hops(block.state, block.tables, block.lattice, block.fields, dice, 1, now, 0, cells)
        claim_goals(block.state, 0, cells)
        dispute_goals(block.state, 0, cells)
        resolve_hops(block.state, block.lattice, dice, 1, now, 0, cells)
        commit_hops(block.state, 0, cells)

    sub_step()
    hopped = np.count_nonzero(block.state.agents.site[:cells] != start) / cells
    seconds = _median(sub_step, 30)
    rate = cells / seconds
    note = f"{cells} cells in site order, {hopped:.0%} hop; {1e9 / rate:.0f} ns a move"
    return [row("walk", rate / 1e6, "M moves/s a thread", 15.0, True, _peer(_KATHER_MOVES, "sub-moves/s"),
                rate / _KATHER_MOVES, note)]  # fmt: skip


def _peer(rate: float, unit: str) -> str:
    return f"immunoABM3D {rate / 1e6:g} M {unit}"


def _wave(block, name: str) -> None:
    """Give a field hills and valleys around 1, some ten sites from top to bottom."""
    c = as_grid(block.fields, block.fields.c, block.names.fields.index(name))
    z, y, x = np.ogrid[: c.shape[0], : c.shape[1], : c.shape[2]]
    c[:] = 1.0 + 0.3 * (np.sin(0.6 * z) + np.sin(0.6 * y) + np.sin(0.6 * x))


def tumor_pass(size: int = 128) -> list[dict]:
    """Division, death and traits of an hour, tumor cells on half of the sites and nothing else."""
    of = human.experiment(size, tumor=0.5, stroma=0.0, vessel=0.0, lymphocytes=0.0)
    block = human.simulation(of).lesions[0].block
    block.state.bulk[block.state.bulk == block.kind("debris")] = 0
    tumor = block.kind("tumor")
    cells, hour = [], iter(range(1, 1000))

    def pass_over() -> None:
        step = next(hour)
        cells.append(int(np.count_nonzero(block.state.bulk == tumor)))
        block.respond(step)
        block.act(step, Inputs())

    block.read(Inputs())
    seconds = _median(pass_over)
    rate = statistics.median(cells) / seconds
    note = f"{cells[0]} cells, {1e9 / rate:.0f} ns a cell, all rules of the catalogue's tumor"
    return [row("tumor_pass", rate / 1e6, "M cell-steps/s a thread", 20.0, True,
                _peer(_KATHER_PASS, "cell-steps/s"), rate / _KATHER_PASS, note)]  # fmt: skip


def block(size: int = 96) -> list[dict]:
    """Whole steps of a human block: 70 % tumor, lymphocytes 5 % of that, MSCs, anti-PD-1, four fields."""
    simulation = human.simulation(human.experiment(size))
    seconds, cells = cost(simulation, warm_up=3, steps=9)
    tissue = simulation.lesions[0].block
    rate = 1.0 / seconds
    note = (f"{size}³, {cells} living cells with stroma and vessels, {human.agents(tissue)} of them listed; "
            f"{seconds * 1e9:.0f} ns a cell-hour")  # fmt: skip
    return [row("block", rate / 1e6, "M cell-hours/s a thread", 5.0, True,
                _peer(_KATHER_HOURS, "cell-hours/s"), rate / _KATHER_HOURS, note)]  # fmt: skip


def threads(size: int = 256) -> list[dict]:
    """The same steps of a human block with two threads and with one, and whether the bits are the same."""
    of = human.experiment(size)
    seconds, digests = {}, {}
    for count in (1, 2):
        thread_pool.set_threads(count)
        try:
            simulation = human.simulation(of)
            steps = [_timed(simulation.advance, time.perf_counter) for _ in range(4)]
        finally:
            thread_pool.set_threads(1)
        seconds[count] = statistics.median(steps[1:])
        digests[count] = _digest(simulation)
    same = digests[1] == digests[2]
    bits = "same" if same else "OTHER"
    note = f"{size}³; {bits} bits; {seconds[1]:.2f} and {seconds[2]:.2f} s a step"
    measured = row("threads", seconds[1] / seconds[2], "times faster with two", 1.7, True, note=note)
    return [measured | {"met": measured["met"] and same}]


def lesion(size: int = 538) -> list[dict]:
    """A lesion of 10 mm with a dose of MSCs through 21 days, two threads: reckoned from its first steps.

    In a process of its own, so that its memory is nobody else's.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        sites, cells, seeding, step, steps, peak = alone.submit(_lesion, size).result()
    note = (
        f"{sites} sites, {cells} tumor cells; {seeding:.0f} s to seed, then {steps} steps of {step:.2f} s "
        "(median of four; more in README.md)"
    )
    return [
        row("lesion", (seeding + step * steps) / 3600, "h", 2.0, note=note),
        row("lesion memory", peak, "GB", 12.0, note="the most in its first steps; more in README.md"),
    ]


def _lesion(size: int) -> tuple[str, int, float, float, int, float]:
    """(sites, tumor cells, s to seed, s a step, steps of 21 days, GB at most) of the whole lesion."""
    of = simulator.load(_LESION, overrides=[f"block.shape=[{size}, {size}, {size}]"])
    doses = doses_of(of, "msc").absolute(of.model("msc", 1, "treatment").body.weight)
    thread_pool.set_threads(2)
    start = time.perf_counter()
    simulation = Simulation(of.model("msc", 1, "treatment"), (1, 1, 1), doses)
    seeding = time.perf_counter() - start
    with TemporaryDirectory() as folder:
        recorder = RunRecorder(simulation, of, "msc", 1, 1, Path(folder) / "lesion.h5")
        recorder.record(simulation)
        steps = [_timed(simulation.advance, time.perf_counter) for _ in range(6)]
        recorder.writer.close(complete=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return (
        f"{size}³",
        simulation.tumor_cells,
        seeding,
        statistics.median(steps[2:]),
        round(of.duration / simulation.dt),
        peak,
    )


def cost(
    simulation: Simulation, warm_up: int, steps: int, clock: Callable[[], float] = time.thread_time
) -> tuple[float, int]:
    """(median seconds per cell-hour, living cells at the end) of a simulation's next steps."""
    block = simulation.lesions[0].block
    for _ in range(warm_up):
        simulation.advance()
    costs = []
    for _ in range(steps):
        seconds = _timed(simulation.advance, clock)
        costs.append(seconds / human.living(block) / simulation.dt)
    return statistics.median(costs), human.living(block)


def _median(work: Callable[[], object], repeats: int = 9) -> float:
    """Median CPU seconds of `work`, after one call to compile and warm up."""
    work()
    return statistics.median(_timed(work) for _ in range(repeats))


def _timed(work: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> float:
    start = clock()
    work()
    return clock() - start


def _digest(simulation: Simulation) -> str:
    """Of everything that continues a simulation's block."""
    arrays = simulation.lesions[0].to_arrays()
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
