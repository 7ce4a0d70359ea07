"""In which order tasks are done: a run waits for its burn-in, and what is ready goes first."""

from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ..base import interrupt
from ..base.errors import Problem
from ..base.log import get_logger
from .plan import Run
from .pools import Failure, Pool, Task
from .progress import Progress
from .study import Study

log = get_logger("experiment")


class Failed(NamedTuple):
    """A task that failed, the runs lost with it, and why."""

    task: Task
    runs: int
    failure: Failure


class Order:
    """The tasks of missing runs, ready or waiting for a burn-in.

    Runs go before further burn-ins: the arms of a patient finish together, so an interrupted study
    holds whole pairs.
    """

    def __init__(self, runs: Iterable[Run], study: Study, threads: int | None):
        self._ready: deque[Task] = deque()
        self._waiting: dict[str, list[Task]] = {}
        for run in runs:
            who = (run.arm, run.patient, run.replicate)
            start = study.burn_in_file(run.burn_in)
            task = Task(run.digest, *who, study.run_file(run.digest), start, threads, run.point)
            if start.is_file():
                self._ready.append(task)
            elif run.burn_in in self._waiting:
                self._waiting[run.burn_in].append(task)
            else:
                self._waiting[run.burn_in] = [task]
                self._ready.append(Task(run.burn_in, *who, start, None, threads, run.point))
        self._ready = deque(sorted(self._ready, key=lambda task: task.start is None))

    def tasks(self) -> list[Task]:
        """Every task that is not yet taken."""
        return [*self._ready, *(task for waiting in self._waiting.values() for task in waiting)]

    def take(self) -> Task | None:
        """The next task to do; None where none is ready."""
        return self._ready.popleft() if self._ready else None

    def succeeded(self, task: Task) -> None:
        """The task is done: what waited for it goes to the front."""
        self._ready.extendleft(reversed(self._waiting.pop(task.digest, [])))

    def failed(self, task: Task) -> list[Task]:
        """The task failed; returns the tasks given up with it."""
        return self._waiting.pop(task.digest, [])


def drive(pool: Pool, order: Order, progress: Progress, check: Callable[[Path, str], bool]) -> list[Failed]:
    """Have a pool do all tasks; returns those that failed.

    check : tells whether a finished run's file is the run of that digest.
    """
    running: dict[str, Task] = {}
    failed: list[Failed] = []
    while True:
        interrupt.check()
        while len(running) < pool.slots() and (task := order.take()):
            running[task.digest] = task
            pool.submit(task)
        if not running and not order.tasks():
            return failed
        for outcome in pool.news():
            if not outcome.done:
                progress.reach(outcome.digest, outcome.fraction)
                continue
            task = running.pop(outcome.digest)
            failure = outcome.failure
            if failure is None and not check(task.out, task.digest):
                failure = Failure(
                    (Problem(f"{task.out} was not written as planned.", _OTHER_VERSION),), False
                )
            lost = []
            if failure is None:
                order.succeeded(task)
            else:
                lost = order.failed(task)
                failed.append(Failed(task, len(lost) or 1, failure))
                log.error("Failed: %s: %s", task, failure.problems[0].what)
                log.debug("%s", failure.trace)
            for ended in (task, *lost):
                progress.finish(ended.digest, is_run=ended.start is not None and failure is None)
        progress.tick()


_OTHER_VERSION = "Workers must run the same simulator version and see the same folder."
