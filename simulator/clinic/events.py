"""What befalls a patient between scans: new lesions, clinical progression, death.

Each is a hazard that follows the tumor's course.  One uniform a patient and cause is inverted through the
cumulative hazard, H(T) = −ln u, so that a patient who fares better in one arm than in another does so
because of the tumor and never by chance.
"""

import math
from typing import NamedTuple

import numpy as np

from .course import Course
from .dice import Dice
from .policy import Hazards

MOST_NEW = 10  # lesions that a patient can gain: more change no response


class Events(NamedTuple):
    """Days of what befell a patient; None or empty where it did not before the course's end."""

    death: float | None
    clinical_progression: float | None
    new_lesions: tuple[float, ...]


def draw(course: Course, sld_mm: np.ndarray, ecog: int, hazards: Hazards, dice: Dice) -> Events:
    """Events from day 0 to the course's end.

    sld_mm : float[T], the true sum of diameters of the target lesions on the course's days.
    """
    days, sld, growing = _from_day_zero(course, sld_mm)
    frailty = math.exp(hazards.per_ecog * (ecog - hazards.ecog))
    dying = hazards.death * (sld / hazards.sld) ** hazards.sld_power * frailty
    death = _invert(days, _cumulative(days, 0.5 * (dying[1:] + dying[:-1])), dice("death"))
    worse = _cumulative(days, hazards.clinical_progression * growing)
    return Events(
        death,
        _invert(days, worse, dice("clinical progression")),
        _new_lesions(days, _cumulative(days, hazards.new_lesion * growing), dice),
    )


def _from_day_zero(course: Course, sld_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days ≥ 0, the sum on these days, and whether the tumor grows from each to the next (as 0 or 1)."""
    days = np.unique(np.r_[max(0.0, course.days[0]), course.days[course.days >= 0.0]])
    interval = np.searchsorted(course.days, days[:-1], side="right") - 1
    return days, np.interp(days, course.days, sld_mm), course.growing[interval].astype(float)


def _cumulative(days: np.ndarray, hazard: np.ndarray) -> np.ndarray:
    """The cumulative hazard on each day, from its mean in each interval."""
    return np.r_[0.0, np.cumsum(hazard * np.diff(days))]


def _invert(days: np.ndarray, cumulative: np.ndarray, uniform: float, already: float = 0.0) -> float | None:
    """The day on which a cumulative hazard reaches `already` − ln(uniform); None where it never does."""
    level = already - math.log(uniform)
    after = int(np.searchsorted(cumulative, level))
    if after == len(cumulative):
        return None
    low, high = cumulative[after - 1], cumulative[after]
    return float(days[after - 1] + (level - low) / (high - low) * (days[after] - days[after - 1]))


def _new_lesions(days: np.ndarray, cumulative: np.ndarray, dice: Dice) -> tuple[float, ...]:
    """Days on which lesions come: a Poisson process, one uniform a lesion."""
    found: list[float] = []
    level = 0.0
    for number in range(MOST_NEW):
        uniform = dice("new lesion", number)
        day = _invert(days, cumulative, uniform, level)
        if day is None:
            break
        found.append(day)
        level -= math.log(uniform)
    return tuple(found)
