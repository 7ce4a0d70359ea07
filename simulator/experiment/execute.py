"""Run an experiment: what is finished is kept, what is missing is done, here or on many workers."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base import interrupt
from ..base.errors import InputError, Problem, SimulatorError
from ..base.log import get_logger, to_file
from ..base.threads import available_cpus
from . import burn_ins
from .collect import Results, collect
from .estimate import Estimate, estimate, work_hours
from .order import Failed, Order, drive
from .plan import Run, plan
from .pools import Cluster, Engine, InProcess, Pool, local_cluster, remote_cluster
from .progress import Progress
from .study import Study, writing
from .words import count, duration

if TYPE_CHECKING:
    from ..config.load import Experiment
    from ..config.people import People

log = get_logger("experiment")


class Means(NamedTuple):
    """With what a study is run."""

    workers: int
    threads: int | None
    scheduler: str | None
    engine: Engine


def execute(
    experiment: "Experiment",
    out: str | Path,
    workers: int | None = None,
    threads: int | None = None,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: bool = True,
    engine: Engine | None = None,
) -> Results | None:
    """Run an experiment into the study folder `out`, or go on with it; returns its results.

    workers : processes on this machine, by default as many as CPUs, memory and runs allow; 1 runs
    in this process.  threads : of each run, by default the CPUs that the workers leave, on a cluster
    those of its worker.  scheduler : address of a `distributed` cluster whose workers see the same
    folder.  shard : (I, N), only the I-th of N parts, from 1.  force : take over a folder that holds
    another study.  dry_run : log what would be done and return None.  progress : show it.  engine :
    another simulation, for tests.

    Raises InputError where the input cannot be run, or the folder is in use or holds another study;
    SimulatorError naming the runs that failed, after all others are done; KeyboardInterrupt on
    Ctrl-C and SIGTERM.  Whatever is finished is kept, and the same call goes on from there.
    """
    for name, given in (("workers", workers), ("threads", threads)):
        if given is not None and given < 1:
            raise InputError(f"{given} {name} can do nothing.", f"Give --{name} 1 or more, or leave it out.")
    planned = plan(experiment)
    size, study = estimate(experiment, planned), Study(out)
    runs = planned.shard(*shard) if shard else planned.runs
    files = len({run.digest for run in runs})
    if dry_run:
        missing = unfinished(study, runs)
        log.info("%s", _cost(size))
        log.info("To do in %s: %d of %s.", study.path, len(missing), count(files, "run"))
        return None
    with interruptible(), study.lock(shard), ExitStack() as stack:
        said = study.prepare(planned, force)
        with writing(study.log):
            stack.enter_context(to_file(study.log, logging.DEBUG))
        for sentence in (*said, _cost(size)):
            log.info("%s", sentence)
        log.debug("%s", size)
        todo = unfinished(study, runs)
        log.info("To do: %d of %s.", len(todo), count(files, "run"))
        if taken := burn_ins.adopt(study, {run.burn_in for run in todo}):
            log.info("Took %s from studies beside this one.", count(taken, "burn-in"))
        failed: list[Failed] = []
        if todo:
            means = choose_means(todo, size, workers, threads, scheduler, engine or simulation_engine())
            failed = carry_out(experiment, study, todo, files, means, progress)
        results = collect(study.path)
        if failed:
            raise failure_of(failed, files, study)
        log.debug("%s", results)
        return results


def unfinished(study: Study, runs: tuple[Run, ...]) -> list[Run]:
    """Runs without a finished file; of arms that are the same to the digit, the first."""
    firsts: dict[str, Run] = {}
    for run in runs:
        firsts.setdefault(run.digest, run)
    return [run for run in firsts.values() if not study.is_finished(run.digest)]


def _cost(size: Estimate) -> str:
    """The size of a study in a line; `simulator explain` says more."""
    return f"{size.work}, about {duration(size.seconds)} of work for one thread."


def simulation_engine() -> Engine:
    """The simulation itself, where no other engine is given."""
    from ..run import warm  # brings numba: only where something is to be run

    return Engine(_grow, _treat, warm.warm)


def _grow(experiment: "Experiment", arm: str, patient: int, replicate: int, out: Path, **how: Any) -> None:
    """`run.simulation.grow`, what it says going to the study's log."""
    from ..run import simulation

    with _aside(out):
        simulation.grow(experiment, arm, patient, replicate, out, **how)


def _treat(
    experiment: "Experiment", arm: str, patient: int, replicate: int, start: Path, out: Path, **how: Any
) -> None:
    """`run.simulation.treat`, what it says going to the study's log."""
    from ..run import simulation

    with _aside(out):
        simulation.treat(experiment, arm, patient, replicate, start, out, **how)


@contextmanager
def _aside(out: Path) -> Iterator[None]:
    """Inside the `with`, what a run says goes to the log of its study alone, from any process.

    out : the file of the run, in a folder of the study.  Every run may say the same, which would
    flood the console; the report says it once.
    """
    handler = logging.FileHandler(Study(out.parent.parent).log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    voices = [get_logger(name) for name in ("body", "run")]
    before = [(voice.propagate, voice.level) for voice in voices]
    for voice in voices:
        voice.propagate = False
        voice.setLevel(logging.INFO)
        voice.addHandler(handler)
    try:
        yield
    finally:
        for voice, (propagate, level) in zip(voices, before, strict=True):
            voice.propagate = propagate
            voice.setLevel(level)
            voice.removeHandler(handler)
        handler.close()


def choose_means(
    todo: list[Run],
    size: Estimate,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    engine: Engine,
) -> Means:
    """Choose workers and threads where the user did not, and say why."""
    if scheduler is not None:
        log.info("On the workers of %s, one run each.", scheduler)
        return Means(0, threads, scheduler, engine)
    cpus, limit = available_cpus()
    room = int(0.9 * size.memory_available // size.memory)
    if workers is None:
        workers = max(1, min(cpus // (threads or 1), room))
    workers = min(workers, len(todo))
    threads = threads or max(1, cpus // workers)
    log.info(
        "%s with %s each: there are %s (%s), memory for %s (%s), and %s to do.",
        count(workers, "worker"),
        count(threads, "thread"),
        count(cpus, "CPU"),
        limit,
        count(room, "run"),
        size.memory_limit,
        count(len(todo), "run"),
    )
    return Means(workers, threads, None, engine)


def carry_out(
    experiment: "Experiment | People",
    study: Study,
    todo: list[Run],
    runs: int,
    means: Means,
    progress: bool,
) -> list[Failed]:
    """Do the missing runs and their burn-ins; returns what failed."""
    if means.scheduler is None:
        means.engine.warm(log.info)  # here, once: workers then find the kernels on the disk
    order = Order(todo, study, means.threads)
    burn_in, run = work_hours(experiment)
    weights = {task.digest: run if task.start else burn_in for task in order.tasks()}
    bar = Progress(weights, runs, kept=runs - len(todo))
    with ExitStack() as stack:
        stack.enter_context(bar.shown(quiet=not progress))
        pool: Pool
        if means.scheduler is not None:
            pool = Cluster(stack.enter_context(remote_cluster(means.scheduler)), means.engine, experiment)
        elif means.workers > 1:
            pool = Cluster(stack.enter_context(local_cluster(means.workers)), means.engine, experiment)
        else:
            pool = InProcess(means.engine, experiment, bar.reach)
        return drive(pool, order, bar, study.is_made)


def failure_of(failed: list[Failed], runs: int, study: Study) -> SimulatorError:
    """One error for all that failed; bad input where nothing else is to blame."""
    problems = []
    for task, _, failure in failed:
        problems += [
            Problem(f"{task}: {problem.what}", problem.help, problem.where) for problem in failure.problems
        ]
    if all(failure.is_input for _, _, failure in failed):
        return InputError(problems)
    lost = sum(count for _, count, _ in failed)
    lines = [f"{lost} of {count(runs, 'run')} failed; finished runs are kept, details stand in {study.log}."]
    return SimulatorError("\n".join([*lines, *map(str, problems), "The same command tries them again."]))


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside the `with`, Ctrl-C and SIGTERM end the study, and its log says so."""
    try:
        with interrupt.heeded():
            yield
    except KeyboardInterrupt:
        log.info("Interrupted: what is finished is kept, and the same command goes on from there.")
        raise
