"""How a trial is conducted: who comes when, and what can befall visits beside toxicity and the tumor."""

import math
from typing import Annotated

from pydantic import Field as Key

from ..config.schema import quantity
from .dice import Dice, normal
from .settings import Section

Days = Annotated[float, quantity("d", at_least=0)]


class Conduct(Section):
    """Accrual and labs.

    accrual : between two patients who are ready; sentinel : the first patient of a cohort is watched for so
    long before the next is treated; neutrophils_log_sd : of one person between visits; withdrawal : hazard
    of withdrawing from treatment.
    """

    accrual: Days
    sentinel: Days
    neutrophils_log_sd: Annotated[float, Key(ge=0)]
    withdrawal: Annotated[float, quantity("1/d", at_least=0)]
    source: str | None = None

    def withdraws(self, dice: Dice) -> float:
        """The day from the first dose on which a patient withdraws; inf where never."""
        return -math.log(dice("withdrawal")) / self.withdrawal if self.withdrawal else math.inf

    def neutrophils(self, usual: float, day: float, dice: Dice) -> float:
        """Neutrophils on a day (cells/uL); `usual` is this person's median."""
        return usual * math.exp(self.neutrophils_log_sd * normal(dice("neutrophils", int(day))))

    def starts(self, first: float, patients: int) -> list[float]:
        """Days of the first doses of a cohort whose first patient is treated on day `first`."""
        return [first + (max(self.sentinel, self.accrual) + (k - 1) * self.accrual if k else 0.0)
                for k in range(patients)]  # fmt: skip
