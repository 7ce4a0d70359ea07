"""The dice of patients and of simulated trials: a value belongs to a name, so that a new name moves no
other value, and nothing depends on the arm, the design or the order of asking."""

from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np

from ..config.population import site

_STANDARD = NormalDist()
_site = cache(site)


class Dice:
    """The dice of a patient: keyed by (seed, patient), counted by a hash of the name, and a count (an
    attempt, a cycle, a visit)."""

    def __init__(self, seed: int, patient: int):
        from ..base import rng

        self._rng, self._stream = rng, rng.STREAM["population"]
        self._key = rng.make_dice(seed, patient, 0)

    def __call__(self, name: str, count: int = 0) -> float:
        """A uniform number in (0, 1)."""
        return float(self._rng.uniform(self._key, self._stream, count, 0, _named(name)))

    def several(self, names: Sequence[str], count: int = 0) -> np.ndarray:
        """The uniform numbers of several names, at once: (names,)."""
        sites = np.array([_named(name) for name in names])
        first, second = np.empty(len(sites)), np.empty(len(sites))
        self._rng.uniforms_at(self._key, self._stream, count, 0, sites, first, second)
        return first


def _named(name: str) -> int:
    return _site(f"clinic.{name}")


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
