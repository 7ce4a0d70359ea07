"""Where tasks are done: in this process, in local worker processes, or on a cluster.

A pool takes a task whenever it has room and hands back what finished.  Tasks write whole files or
nothing, so one that a killed worker leaves behind is simply done again, by `distributed`.
"""

import logging
import math
import os
import queue
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..base import interrupt
from ..base.errors import InputError, Problem, SimulatorError
from ..base.log import get_logger

if TYPE_CHECKING:
    import distributed

_TICK_S = 0.5  # how long a pool waits before it lets the caller look at the clock
_TELL_S = 1.0  # a worker tells its progress at most this often
_ONE_AT_A_TIME = threading.Lock()  # in a worker of several threads: they serve one run
_CONNECT_S = 10.0  # how long a scheduler may take to answer

log = get_logger("experiment")


class Engine(NamedTuple):
    """The simulation as this floor sees it: `simulator.run.simulation` and `simulator.run.warm`."""

    grow: Callable[..., None]
    treat: Callable[..., None]
    warm: Callable[[Callable[[str], None]], Any]


class Task(NamedTuple):
    """One file to make: a run where `start` names the burn-in it branches from, else a burn-in."""

    digest: str
    arm: str
    patient: int
    replicate: int
    out: Path
    start: Path | None
    threads: int | None  # None: as many as the worker that does it has
    point: int = 0  # of a sweep

    def __str__(self) -> str:
        where = f", point {self.point}" if self.point else ""
        who = f"patient {self.patient}, replicate {self.replicate}{where}"
        return f"burn-in of {who}" if self.start is None else f"{self.arm}, {who}"


class Failure(NamedTuple):
    """Why a task failed: what to tell the user, whether the input is to blame, where it happened."""

    problems: tuple[Problem, ...]
    is_input: bool
    trace: str = ""


class Outcome(NamedTuple):
    """News of a task: its end (`failure` None where it went well), or how far it is."""

    digest: str
    done: bool
    failure: Failure | None = None
    fraction: float = 0.0


class Pool(Protocol):
    """What `execute` asks of a place where tasks are done."""

    def slots(self) -> int: ...

    def submit(self, task: Task) -> None: ...

    def news(self) -> list[Outcome]:
        """What happened since the last call; waits at most half a second for it."""
        ...


def perform(engine: Engine, experiment: Any, task: Task, report: Callable[[float], None]) -> Failure | None:
    """Do one task here; what goes wrong comes back as a value, so that the other tasks go on."""
    try:
        task.out.parent.mkdir(parents=True, exist_ok=True)
        who = (experiment.at(task.point), task.arm, task.patient, task.replicate)
        if task.start is None:
            engine.grow(*who, task.out, threads=task.threads, report=report)
        else:
            engine.treat(*who, task.start, task.out, threads=task.threads, report=report)
    except InputError as error:
        return Failure(tuple(error.problems), True)
    except SimulatorError as error:
        return Failure((Problem(str(error)),), False)
    except MemoryError:
        return Failure((Problem("Memory ran out.", "Use fewer workers or a smaller block."),), False)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return Failure((Problem(what),), False, traceback.format_exc())
    return None


class InProcess:
    """One task at a time, in this process; for debugging, small studies and `--workers 1`."""

    def __init__(self, engine: Engine, experiment: Any, tell: Callable[[str, float], None]):
        self._engine, self._experiment, self._tell = engine, experiment, tell
        self._news: list[Outcome] = []

    def slots(self) -> int:
        return 1

    def submit(self, task: Task) -> None:
        def report(fraction: float) -> None:
            interrupt.check()
            self._tell(task.digest, fraction)

        self._news.append(Outcome(task.digest, True, perform(self._engine, self._experiment, task, report)))

    def news(self) -> list[Outcome]:
        news, self._news = self._news, []
        return news


class Cluster:
    """Workers of a `distributed` cluster, one task a worker process at a time."""

    def __init__(self, client: "distributed.Client", engine: Engine, experiment: Any):
        self._client, self._engine, self._experiment = client, engine, experiment
        self._topic = f"simulator-{uuid.uuid4().hex}"
        self._queue: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._futures: dict[str, distributed.Future] = {}
        self._counted, self._slots = -math.inf, -1
        client.subscribe_topic(self._topic, self._heard)

    def slots(self) -> int:
        """Workers now; they may join and leave."""
        if time.monotonic() - self._counted > 2.0:
            self._counted, before = time.monotonic(), self._slots
            self._slots = len(self._client.nthreads())
            if self._slots == 0 and before != 0:
                log.info("Waiting for a worker to join the cluster.")
        return self._slots

    def submit(self, task: Task) -> None:
        future = self._client.submit(
            _perform_on_worker,
            self._engine,
            self._experiment,
            task,
            self._topic,
            pure=False,
            key=self._key(task),
        )
        self._futures[task.digest] = future
        future.add_done_callback(lambda done: self._queue.put(self._ended(task.digest, done)))

    def news(self) -> list[Outcome]:
        news = []
        with suppress(queue.Empty):
            news.append(self._queue.get(timeout=_TICK_S))
            while True:
                news.append(self._queue.get_nowait())
        for outcome in news:
            if outcome.done:
                self._futures.pop(outcome.digest, None)
        if self._futures and self._client.status not in ("running", "connecting"):
            raise SimulatorError("The connection to the cluster's scheduler is lost; finished runs are kept.")
        return news

    def _key(self, task: Task) -> str:
        return f"{'grow' if task.start is None else 'treat'}-{task.digest[:12]}-{uuid.uuid4().hex[:8]}"

    def _heard(self, event: tuple[float, Any]) -> None:
        digest, fraction = event[1]
        self._queue.put(Outcome(digest, False, None, fraction))

    @staticmethod
    def _ended(digest: str, future: "distributed.Future") -> Outcome:
        if future.status == "finished":
            return Outcome(digest, True, future.result())
        if future.status == "error":
            error = future.exception()
            what = f"{type(error).__name__}: {error}"
            if type(error).__name__ == "KilledWorker":
                what = "Every worker that tried it was killed (out of memory, perhaps)."
            return Outcome(digest, True, Failure((Problem(what),), False))
        return Outcome(digest, True, Failure((Problem("The cluster dropped it."),), False))


def _perform_on_worker(engine: Engine, experiment: Any, task: Task, topic: str) -> Failure | None:
    import distributed

    worker, told = distributed.get_worker(), time.monotonic()
    task = task._replace(threads=task.threads or worker.state.nthreads)

    def report(fraction: float) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_S:
            told = time.monotonic()
            worker.log_event(topic, (task.digest, fraction))

    with _ONE_AT_A_TIME:
        return perform(engine, experiment, task, report)


@contextmanager
def local_cluster(workers: int) -> "Iterator[distributed.Client]":
    """A client of `workers` processes on this machine, one thread each, reachable from it alone.

    A worker that is killed is replaced.  Ends within seconds, tasks or not.
    """
    import dask
    import distributed

    quiet = {
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.limit": "1h",  # a kernel may hold a worker's event loop for long
        "distributed.scheduler.worker-ttl": None,
        "distributed.logging.distributed": "critical",
        "distributed.worker.daemon": True,
    }
    # `silence_logs` ends with the cluster, and a connection cut at the end complains after that.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(quiet))
        stack.enter_context(_main_not_imported())
        with interrupt.shielded():  # the parent alone shall act on Ctrl-C
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                memory_limit=0,
                silence_logs="CRITICAL",
                env={"NUMBA_NUM_THREADS": "1"},
            )
            stack.enter_context(cluster)
        client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        try:
            yield client
        except BaseException:
            _kill(cluster)
            raise


@contextmanager
def remote_cluster(address: str) -> "Iterator[distributed.Client]":
    """A client of the scheduler at `address`; raises InputError where none answers."""
    import distributed

    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"No scheduler answers at {address}: {error}",
            "Start one with `dask scheduler`, workers with `dask worker`; give tcp://HOST:8786.",
        ) from error
    with client:
        yield client


def _kill(cluster: "distributed.LocalCluster") -> None:
    """End the workers at once, in the middle of their tasks: they write whole files or nothing."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _main_not_imported() -> Iterator[None]:
    """Inside the `with`, new processes do not import the script that the user runs.

    multiprocessing imports it for functions defined there; workers need none, and a script that
    calls `run` without an `if __name__ == "__main__"` would start itself again in each of them.
    """
    main = sys.modules["__main__"]
    held = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    for name in held:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in held.items():
            setattr(main, name, value)
