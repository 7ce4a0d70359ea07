"""The yardstick: a = b + q·c on 4 × 10⁷ doubles, one thread, as fast as memory allows."""

import statistics
import time
from collections.abc import Callable

import numpy as np

from simulator.base.kernel import kernel

ELEMENTS = 40_000_000


@kernel
def _triad(a, b, c, q):
    for i in range(len(a)):
        a[i] = b[i] + q * c[i]


def median_seconds(work: Callable[[], object], repeats: int = 9) -> float:
    """Median wall time of `work` over `repeats` calls, after one to compile and warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def triad_seconds() -> float:
    """Seconds per element of the triad on this machine, now."""
    a, b, c = (np.ones(ELEMENTS) for _ in range(3))
    return median_seconds(lambda: _triad(a, b, c, 0.5)) / ELEMENTS


if __name__ == "__main__":
    print(f"triad: {triad_seconds() * 1e9:.2f} ns an element")
