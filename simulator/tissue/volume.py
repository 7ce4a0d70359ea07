"""From a block of constant size to a lesion that grows and shrinks.

Live volume L' = (births − deaths)/N · L, exported daughters among the births; debris
D' = deaths/N · L − D/τ, with one τ for apoptotic and one for necrotic debris.  Stroma and vessels follow
the tumor.  The relative volume is (L + D) / (L₀ + D₀).
"""

import math

import numpy as np

from ..config.schema import Cell
from .state import BORN, DIED, KILLED, LYSED, NECROSED

_FEW = 200  # live cells under which one step's births and deaths are mostly noise …
_WINDOW = 168.0  # … and the rate is averaged over 7 days [h]
_KINDS = ("debris", "necrosis")


class RelativeVolume:
    """Live and debris volume of one lesion, relative to day 0; advanced from a block's ledger."""

    def __init__(self, cells: dict[str, Cell], live: int, debris: int, dt: float):
        self.live = 1.0
        self.debris = np.array([debris / max(1, live), 0.0])  # apoptotic, necrotic
        self.start = 1.0 + float(self.debris.sum())
        self.dt = dt
        self.recent = np.zeros((max(1, round(_WINDOW / dt)), 3))  # births, deaths, cells of the last steps
        self.steps = 0
        self.begun = False  # day 0 is past
        self.set_cells(cells)

    def set_cells(self, cells: dict[str, Cell]) -> None:
        """Take the clearance of debris from the kinds of a model."""
        rates = [
            cells[k].behaviors["clear"].base if k in cells and "clear" in cells[k].behaviors else math.inf
            for k in _KINDS
        ]
        self.kept = np.array([math.exp(-rate * self.dt) for rate in rates])

    def advance(self, before: np.ndarray, after: np.ndarray, cells: int) -> None:
        """One step: the tumor's ledger before and after it, and the live cells before it."""
        change = after - before
        apoptotic = float(change[DIED] + change[LYSED] + change[KILLED])
        necrotic = float(change[NECROSED])
        self.recent[self.steps % len(self.recent)] = float(change[BORN]), apoptotic + necrotic, cells
        self.steps += 1
        if cells == 0:
            self.live = 0.0
            self.debris *= self.kept
            return
        births, deaths, living = float(change[BORN]), apoptotic + necrotic, float(cells)
        if cells < _FEW:
            births, deaths, living = (float(column.sum()) for column in self.recent.T)
        dead = np.array([apoptotic, necrotic]) / cells * self.live
        self.debris = self.debris * self.kept + dead
        self.live *= max(0.0, 1.0 + (births - deaths) / living)

    def set_day_zero(self) -> None:
        """Measure everything from now on against the volume now."""
        total = self.live + float(self.debris.sum())
        if total > 0.0:
            self.live /= total
            self.debris = self.debris / total
        self.start = 1.0
        self.begun = True

    @property
    def relative(self) -> float:
        """Volume now / volume on day 0."""
        return (self.live + float(self.debris.sum())) / self.start

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything that continues to the same bits."""
        return {
            "volume": np.array([self.live, *self.debris, self.start, float(self.steps), float(self.begun)]),
            "recent": self.recent,
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continue from what `to_arrays` kept."""
        live, apoptotic, necrotic, start, steps, begun = (float(v) for v in arrays["volume"])
        self.live, self.debris, self.start = live, np.array([apoptotic, necrotic]), start
        self.steps, self.begun = int(steps), bool(begun)
        self.recent = arrays["recent"].copy()
