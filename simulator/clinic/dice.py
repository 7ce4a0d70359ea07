"""The dice of patients and of simulated trials: a value belongs to a name, so that a new name moves no
other value, and nothing depends on the arm, the design or the order of asking."""

from collections.abc import Callable
from functools import cache
from statistics import NormalDist

import numpy as np

from ..config.population import site

# A uniform number in (0, 1) for a name and a count (an attempt, a cycle, a visit).
Uniform = Callable[[str, int], float]

_STANDARD = NormalDist()
_site = cache(site)


def patient_dice(seed: int, patient: int) -> Uniform:
    """The dice of a patient: keyed by (seed, patient), counted by a hash of the name, and the count."""
    from ..base import rng

    dice, stream = rng.make_dice(seed, patient, 0), rng.STREAM["population"]

    def uniform(name: str, count: int = 0) -> float:
        return float(rng.uniform(dice, stream, count, 0, _site(f"clinic.{name}")))

    return uniform


def trial_dice(seed: int, trial: int, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Two uniform numbers for each patient of a simulated trial, in the order they are treated.

    Two designs or scenarios share them, so that they are compared on the same patients.
    """
    from ..base import rng

    first, second = np.empty(patients), np.empty(patients)
    dice = rng.make_dice(seed, trial, 0)
    rng.uniforms_from(dice, rng.STREAM["population"], 0, 1, 0, first, second)
    return first, second


def normal(uniform: float) -> float:
    """The standard normal quantile of a uniform number."""
    return _STANDARD.inv_cdf(uniform)
