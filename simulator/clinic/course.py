"""The true size of every lesion over time: what scans read and hazards act on."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..base.errors import InputError
from .lesions import Lesion

ABSENT_MM = 2.0  # what is smaller cannot be seen


class Course(NamedTuple):
    """Diameters of a patient's lesions [mm], linear between the days given.

    days : float[T], ascending, from the baseline scan or before.  mm : float[T, L], 0 where a lesion holds
    no tumor cell.
    """

    lesions: tuple[Lesion, ...]
    days: np.ndarray
    mm: np.ndarray

    @property
    def end(self) -> float:
        """The last day that is known."""
        return float(self.days[-1])

    def at(self, day: float) -> np.ndarray:
        """Diameters on a day, float[L]; those of the first or last day outside."""
        return np.array([np.interp(day, self.days, column) for column in self.mm.T])

    @property
    def volume(self) -> np.ndarray:
        """Volume of all lesions together [mm³], float[T]."""
        return math.pi / 6.0 * (self.mm * self.mm * self.mm).sum(axis=1)

    @property
    def growing(self) -> np.ndarray:
        """Whether all lesions together grow from each day to the next, bool[T − 1]."""
        return np.diff(self.volume) > 0.0


def from_volumes(
    lesions: Sequence[Lesion],
    baseline_mm: Sequence[float],
    days: Sequence[float],
    volume: np.ndarray,
    baseline_day: float,
    doubling_days: Sequence[float],
    tumor_cells: np.ndarray | None = None,
) -> Course:
    """The course of lesions whose relative volumes a simulation knows from day 0 on.

    baseline_mm : diameters at the baseline scan.  days, volume : float[T] and float[T, L] in any unit, of
    the simulated blocks.  Between baseline and the first of `days` a lesion grows untreated, with its
    doubling time.  tumor_cells : int[T, L]; a lesion without any is gone, whatever debris it holds.
    Raises InputError where shapes or values cannot be.
    """
    times, volumes = np.asarray(days, float), np.asarray(volume, float)
    sizes, doubling = np.asarray(baseline_mm, float), np.asarray(doubling_days, float)
    _check(times, volumes, sizes, doubling, len(lesions), baseline_day)
    before = times[0] - baseline_day
    start = volumes[0] * np.exp2(-before / doubling)
    diameter = sizes * np.cbrt(volumes / start)
    if tumor_cells is not None:
        diameter = np.where(np.asarray(tumor_cells) > 0, diameter, 0.0)
    if before > 0.0:
        times, diameter = np.r_[baseline_day, times], np.vstack([sizes, diameter])
    return Course(tuple(lesions), times, diameter)


def _check(
    days: np.ndarray,
    volume: np.ndarray,
    sizes: np.ndarray,
    doubling: np.ndarray,
    lesions: int,
    baseline_day: float,
) -> None:
    """Refuse what is no course."""
    if volume.shape != (len(days), lesions) or sizes.shape != (lesions,) or doubling.shape != (lesions,):
        raise InputError(
            f"Volumes of shape {volume.shape} do not fit {len(days)} days and {lesions} lesions.",
            "Give a row a day and a column, a baseline diameter and a doubling time a lesion.",
        )
    if not (np.isfinite(volume).all() and (volume >= 0.0).all() and (volume[0] > 0.0).all()):
        raise InputError("A volume is negative, unknown, or zero at the start.", "Give volumes above 0.")
    if not ((sizes > 0.0).all() and (doubling > 0.0).all()):
        raise InputError("A baseline diameter or doubling time is not above 0.", "Give mm and days above 0.")
    if not (np.diff(days) > 0.0).all() or days[0] < baseline_day:
        raise InputError(
            f"The days of a course must ascend from the baseline scan (day {baseline_day:g}) on.",
            "Leave out earlier days.",
        )
