"""A patient's dice: the same roll in every arm, whatever else is rolled or left out."""

from statistics import NormalDist

import numpy as np

from ..base import rng
from ..config.population import site

_STANDARD = NormalDist()


class PatientDice:
    """The dice of a virtual patient, keyed by (seed, patient, replicate) and counted by what they are for.

    The arm is not in the key, so two arms that reach the same scan or hazard roll the same numbers.
    """

    def __init__(self, seed: int, patient: int, replicate: int = 0):
        self._dice = rng.make_dice(seed, patient, replicate)

    def uniform(self, what: str, number: int = 0, lesion: int = 0) -> float:
        """A uniform in (0, 1) for a purpose, the number of a scan or an event, and a lesion."""
        dice = self._dice._replace(lesion=np.uint64(lesion))
        return float(rng.uniform(dice, rng.STREAM["population"], number, 0, site(f"clinic.{what}")))

    def normal(self, what: str, number: int = 0, lesion: int = 0) -> float:
        """A standard normal deviate for the same."""
        return _STANDARD.inv_cdf(self.uniform(what, number, lesion))
