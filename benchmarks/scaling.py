"""What a cell-hour of the human block costs from 10⁴ to 10⁷ cells, with one thread and with two."""

import math
import time
from pathlib import Path

import blocks
import human
import matplotlib
from rows import row

from simulator.base import threads as thread_pool

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FIGURE = Path(__file__).resolve().parent / "scaling.png"
_SHARES = ((0.01, 25), (0.1, 9), (1.0, 5), (10.0, 3))  # of the middle size's cells; steps that count


def scaling(size: int = 100, figure: Path | None = None) -> list[dict]:
    """One row of the spread, one of the gain of a second thread at the largest size.

    size : edge of the third block of four, each of ten times the cells; figure : where to draw them.
    One thread is timed by its CPU time, two by the clock.
    """
    points = {count: [_point(size, share, steps, count) for share, steps in _SHARES] for count in (1, 2)}
    if figure is not None:
        draw(points, figure)
    alone = [ns for _, ns in points[1]]
    note = "; ".join(
        f"{cells:,} cells: {ns:.0f} ns a cell-hour with one thread, {points[2][i][1]:.0f} with two"
        for i, (cells, ns) in enumerate(points[1])
    )
    return [row("scaling", max(alone) / min(alone), "dearest / cheapest cell-hour", 1.25, note=note)]


def _point(size: int, share: float, steps: int, count: int) -> tuple[int, float]:
    """(living cells, ns a cell-hour) of a block with a share of the middle size's cells."""
    clock = time.thread_time if count == 1 else time.perf_counter
    thread_pool.set_threads(count)
    try:
        simulation = human.simulation(human.experiment(round(size * math.cbrt(share))))
        seconds, cells = blocks.cost(simulation, 2, steps, clock)
    finally:
        thread_pool.set_threads(1)
    return cells, seconds * 1e9


def draw(points: dict[int, list[tuple[int, float]]], path: Path) -> None:
    """Cost against size on logarithmic axes, a line for each number of threads."""
    figure, axes = plt.subplots(figsize=(5.0, 3.2), layout="constrained")
    for (count, line), color in zip(points.items(), ("#1f5f8b", "#c4622d"), strict=True):
        cells, ns = zip(*line, strict=True)
        label = f"{count} thread{'s' * (count > 1)} ({'CPU time' if count == 1 else 'clock'})"
        axes.loglog(cells, ns, "o-", color=color, label=label)
    axes.set(xlabel="living cells", ylabel="ns a cell-hour")
    axes.set_yticks([50, 100, 200, 400, 800], ["50", "100", "200", "400", "800"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
