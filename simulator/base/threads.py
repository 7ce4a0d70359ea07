"""Threads within a run: one serial kernel on many slabs of the lattice at once.

A slab owns what it writes, slabs have a fixed size, and whatever is summed is
summed slab by slab in order: the thread count cannot reach a result.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

_pool: ThreadPoolExecutor | None = None
_threads = 1
_of_thread = threading.local()  # `busy` in a thread that works on an item of its own


def set_threads(count: int) -> None:
    """Use `count` threads (≥ 1) for every later `over_slabs` of this process."""
    global _pool, _threads
    if count < 1:
        raise ValueError(f"threads must be at least 1, not {count}")
    if _pool is not None:
        _pool.shutdown()
    _threads = count
    _pool = ThreadPoolExecutor(count, thread_name_prefix="slab") if count > 1 else None


def get_threads() -> int:
    """How many threads `over_slabs` uses now."""
    return _threads


def over_slabs(function: Callable, length: int, *args, slab: int = 0) -> list:
    """Call `function(*args, start, stop)` over [0, length) cut into slabs, in parallel.

    Returns what the calls returned, in slab order.  `slab` fixes the slab size
    where the cut reaches a result (partial sums); 0 leaves it free: one slab a
    thread, for kernels whose writes do not depend on the cut.
    """
    if slab == 0:
        slab = max(1, -(-length // _threads))
    cuts = [(start, min(start + slab, length)) for start in range(0, length, slab)]
    if _pool is None or len(cuts) == 1 or _is_busy():
        return [function(*args, start, stop) for start, stop in cuts]
    futures = [_pool.submit(function, *args, start, stop) for start, stop in cuts]
    return [future.result() for future in futures]


def over_workers(function: Callable[[int], object], workers: int) -> None:
    """Call `function(worker)` for every worker from 0 on, at once; what they share they must guard."""
    if _pool is None or workers == 1 or _is_busy():
        for worker in range(workers):
            function(worker)
        return
    for future in [_pool.submit(function, worker) for worker in range(workers)]:
        future.result()


def over_items(function: Callable[[Any], object], items: Sequence) -> None:
    """Call `function(item)` for every item, several at once where there are as many items as threads.

    What is called must not share what it writes; within it, `over_slabs` and `over_workers` are serial.
    """
    if _pool is None or len(items) < _threads:
        for item in items:
            function(item)
        return

    def alone(item: Any) -> None:
        _of_thread.busy = True
        try:
            function(item)
        finally:
            _of_thread.busy = False

    futures = [_pool.submit(alone, item) for item in items]
    wait(futures)
    for future in futures:
        future.result()


def _is_busy() -> bool:
    return getattr(_of_thread, "busy", False)


def available_cpus() -> tuple[int, str]:
    """CPUs this process may use, and which limit says so (affinity, cgroup, SLURM)."""
    limits = [(len(os.sched_getaffinity(0)), "CPU affinity")] if hasattr(os, "sched_getaffinity") else []
    limits.append((os.cpu_count() or 1, "CPU count"))
    quota = _cgroup_cpus()
    if quota is not None:
        limits.append((quota, "cgroup quota"))
    if os.environ.get("SLURM_CPUS_PER_TASK", "").isdigit():
        limits.append((int(os.environ["SLURM_CPUS_PER_TASK"]), "SLURM_CPUS_PER_TASK"))
    return min(limits, key=lambda limit: limit[0])


def _cgroup_cpus() -> int | None:
    """CPUs the cgroup (v2, else v1) grants, rounded down, at least 1; None without a quota."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            granted, period = file.read().split()
        return None if granted == "max" else max(1, int(granted) // int(period))
    except (OSError, ValueError):
        pass
    try:
        with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as file:
            quota = int(file.read())
        with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as file:
            return None if quota < 0 else max(1, quota // int(file.read()))
    except (OSError, ValueError):
        return None
