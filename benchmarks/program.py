"""The program around the cells: how long it takes to start, to compile, and to write what happened."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import human
from rows import row
from triad import median_seconds

from simulator.run.records import RunRecorder, SiteArrays, agent_table
from simulator.run.resume import SHARE, SHORTEST_S

_HERE = Path(__file__).resolve().parent
_STEP = "import human; human.simulation(human.experiment({size})).advance()"
_INSTALL = "from simulator.run.warm import warm; print(warm()); " + _STEP


def startup(size: int = 16) -> list[dict]:
    """From the command to its help, and from the command to the end of a small block's first step."""
    helped = median_seconds(lambda: _python("-m", "simulator", "--help"), 5)
    warm = median_seconds(lambda: _python("-c", _STEP.format(size=size)), 3)
    new, _ = _new_installation(size)
    return [
        row("startup help", helped, "s", 0.5, note="`simulator --help`"),
        row("startup warm", warm, "s", 4.0, note="a new process to the end of its first step"),
        row("startup new", new, "s", 60.0, note="the same where nothing is compiled yet"),
    ]


def compile(size: int = 16) -> list[dict]:
    """Every kernel into an empty cache."""
    _, seconds = _new_installation(size)
    return [row("compile", seconds, "s", 60.0, note="every kernel, by two processes as a first run does")]


@cache
def _new_installation(size: int) -> tuple[float, float]:
    """(seconds to the end of the first step, seconds of them spent compiling) with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        said = _python("-c", _INSTALL.format(size=size), SIMULATOR_CACHE=folder)
        return time.perf_counter() - start, float(said)


def _python(*arguments: str, **environment: str) -> str:
    """What a new Python process says, started where it finds these benchmarks."""
    done = subprocess.run([sys.executable, *arguments], cwd=_HERE, env=os.environ | environment,
                          capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout


def output(size: int = 48, days: float = 21.0) -> list[dict]:
    """Share of a run spent writing a daily series and weekly snapshots."""
    of = human.experiment(size, days=days)
    simulation = human.simulation(of)
    simulation.advance()  # what is compiled or loaded only once is no part of a long run
    with tempfile.TemporaryDirectory() as folder:
        RunRecorder(simulation, of, "treated", 1, 1, Path(folder) / "run.h5").writer.close(complete=False)
    simulation = human.simulation(of)
    writing, start = 0.0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        recorder = RunRecorder(simulation, of, "treated", 1, 1, path)
        writing += time.perf_counter() - start
        with recorder:
            for _ in range(round(of.duration / simulation.dt)):
                writing += _seconds(lambda: recorder.record(simulation))
                simulation.advance()
            writing += _seconds(lambda: recorder.record(simulation))
            end = time.perf_counter()
        writing += time.perf_counter() - end
        whole, size_mb = time.perf_counter() - start, path.stat().st_size / 1e6
    snapshots = round(days / 7) + 1
    note = f"{size}³, {days:g} d, {snapshots} snapshots: {writing:.2f} of {whole:.1f} s, {size_mb:.1f} MB"
    return [row("output", 100.0 * writing / whole, "% of run time", 5.0, note=note)]


def study(size: int = 48) -> list[dict]:
    """Four arms of eight patients for 126 d after 10 d of burn-in, on two cores: reckoned from some steps."""
    simulation = human.simulation(human.experiment(size))
    for _ in range(3):
        simulation.advance()
    step = statistics.median(_seconds(simulation.advance, time.thread_time) for _ in range(15))
    steps = (4 * 8 * 126 + 8 * 10) * 24 / simulation.dt
    note = f"{size}³; {steps:.0f} steps of {step * 1e3:.1f} ms, reckoned for two processes that share nothing"
    return [row("study", steps * step / 2 / 60, "min", 15.0, note=note)]


def file_size(size: int = 96, days: float = 126.0, hours: int = 12) -> list[dict]:
    """A run file of `days` with weekly snapshots, reckoned from one of a block some hours old."""
    of = human.experiment(size, days=days)
    simulation = human.simulation(of)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        recorder = RunRecorder(simulation, of, "treated", 1, 1, path)
        try:
            laid_out = _flushed(recorder, path)
            recorder.record(simulation)
            first = _flushed(recorder, path)
            for _ in range(hours):
                simulation.advance()
            recorder.writer.write_snapshot(
                [SiteArrays(lesion) for lesion in simulation.lesions],
                [agent_table(lesion) for lesion in simulation.lesions],
            )
            second = _flushed(recorder, path)
        finally:
            recorder.writer.close(complete=False)
    snapshots = len(recorder.snapshots)
    whole = laid_out + (first - laid_out) + (snapshots - 1) * (second - first)
    note = (f"{size}³, {days:g} d, {snapshots} snapshots, {of.record.bits} bits of mantissa, reckoned from "
            f"one after {hours} h: {(second - first) / 1e6:.2f} MB, day 0 {(first - laid_out) / 1e6:.2f} MB"
            )  # fmt: skip
    return [row("file_size", whole / 1e6, "MB a run", 60.0, note=note)]


def _flushed(recorder: RunRecorder, path: Path) -> int:
    recorder.writer.sync()
    return path.with_name(path.name + ".part").stat().st_size


def checkpoint(size: int = 96) -> list[dict]:
    """What saving the state costs of a run's time, as often as it is saved by default."""
    simulation = human.simulation(human.experiment(size))
    simulation.advance()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.ckpt"
        cost = median_seconds(lambda: simulation.save(path), 3)
        megabytes = path.stat().st_size / 1e6
    every = max(SHORTEST_S, cost / SHARE)
    note = f"{size}³: {cost:.2f} s for {megabytes:.1f} MB, every {every:.0f} s"
    return [row("checkpoint", 100.0 * cost / (every + cost), "% of run time", 100.0 * SHARE, note=note)]


def _seconds(work, clock=time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start
