"""How far a study is and when it will be done: a bar on a terminal, plain lines elsewhere."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..base.log import console, get_logger
from .words import count, duration

_LINE_S = 15.0  # between two plain lines

log = get_logger("experiment.progress")


class Progress:
    """Work done, weighed by simulated hours; tells nobody until `shown`.

    weights : hours of each task, by digest; runs : how many of the tasks are runs, kept : how many
    runs were there before.
    """

    def __init__(self, weights: dict[str, float], runs: int, kept: int = 0):
        self._weights, self._runs, self._finished = weights, runs, kept
        self._total = sum(weights.values())
        self._fractions: dict[str, float] = {}
        self._told = time.monotonic()
        self._first: tuple[float, float] | None = None  # when the first work was done, and its share
        self._draw: Callable[[], None] | None = None
        self._line_s = math.inf

    @contextmanager
    def shown(self, quiet: bool = False) -> Iterator[None]:
        """Inside the `with`, progress is visible: as a bar on a terminal, else as log lines."""
        self._told = time.monotonic()
        if quiet or not console().is_terminal:
            self._line_s = math.inf if quiet else _LINE_S
            yield
            return
        from rich import progress as rich

        columns = (
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.TaskProgressColumn(),
            rich.TimeElapsedColumn(),
            rich.TextColumn("{task.fields[left]}"),
        )
        with rich.Progress(*columns, console=console()) as bar:
            task = bar.add_task(self._count(), total=1.0, left="")
            self._draw = lambda: bar.update(
                task, completed=self.share, description=self._count(), left=self._left()
            )
            yield
        self._draw = None

    def reach(self, digest: str, fraction: float) -> None:
        """A task is done to `fraction` of itself; it never falls."""
        self._fractions[digest] = max(self._fractions.get(digest, 0.0), min(1.0, fraction))
        if self._first is None and self.share > 0.0:
            self._first = time.monotonic(), self.share
        self.tick()

    def finish(self, digest: str, is_run: bool) -> None:
        """A task has ended, well or not."""
        self._finished += is_run
        self.reach(digest, 1.0)

    def tick(self) -> None:
        """Tell how things stand, if it is time to."""
        now = time.monotonic()
        if self._draw is not None:
            self._draw()
        elif now - self._told > self._line_s:
            self._told = now
            parts = (self._count(), f"{100.0 * self.share:.0f} %", self._left())
            log.info("%s", ", ".join(part for part in parts if part))

    @property
    def share(self) -> float:
        """Share of all work that is done."""
        done = sum(self._weights[digest] * part for digest, part in self._fractions.items())
        return done / self._total if self._total else 1.0

    def _count(self) -> str:
        return f"{self._finished} of {count(self._runs, 'run')}"

    def _left(self) -> str:
        """The time left at the pace since the first work was done: workers start slowly."""
        if self._first is None:
            return ""
        start, first = self._first
        elapsed, done = time.monotonic() - start, self.share - first
        if elapsed < 2.0 or done <= 0.0:
            return ""
        return f"about {duration(elapsed * (1.0 - self.share) / done)} left"
