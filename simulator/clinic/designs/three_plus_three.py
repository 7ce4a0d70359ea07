"""The 3+3 design in its three usual forms (Storer 1989; Lin & Shih 2001,
doi:10.1093/biostatistics/2.2.203): cohorts of three, at most six patients a level."""

from typing import Literal

from ...base.errors import InputError
from .history import (
    COMPLETE,
    DEESCALATE,
    ESCALATE,
    NO_DOSE,
    STAY,
    STOP,
    Choice,
    Decision,
    Design,
    Evidence,
    Standing,
)

_SIZE = 3


class ThreePlusThree(Design):
    """The MTD is the highest level with at most one DLT.

    variant : "no_deescalation" stops at the first level with two DLTs and takes the one below;
    "deescalation" fills the one below to six patients first, and goes down while it has two DLTs;
    "deescalation_top" also fills the top level to six before it is taken.
    """

    variant: Literal["no_deescalation", "deescalation", "deescalation_top"] = "deescalation"

    @property
    def cohort_size(self) -> int:
        """Patients of a cohort."""
        return _SIZE

    @property
    def most_patients(self) -> int:
        """Patients of the longest possible trial."""
        return 2 * _SIZE * self.levels

    def next(self, standing: Standing) -> Decision:
        """What follows on three or six patients at a level."""
        level = standing.at
        n, y = standing.seen(level)
        seen = standing.words(level)
        if n not in (_SIZE, 2 * _SIZE):
            raise InputError(f"{seen.capitalize()}: 3+3 decides after 3 and after 6.", "Complete the cohort.")
        if y > 1:
            return self._down(standing, seen)
        if n == _SIZE and y == 1:
            return Decision(STAY, level, f"{seen}: three more are treated there.")
        if standing.treated[level:] and standing.treated[level]:  # the level above has failed
            return Decision(COMPLETE, NO_DOSE, f"{seen}, and level {level + 1} had too many.")
        if level < self.levels:
            return Decision(ESCALATE, level + 1, f"{seen}.")
        if n == _SIZE and self.variant == "deescalation_top":
            return Decision(STAY, level, f"{seen}: the top level is filled to six.")
        return Decision(COMPLETE, NO_DOSE, f"{seen}, the top level.")

    def _down(self, standing: Standing, seen: str) -> Decision:
        """Two DLTs or more at a level: it is too toxic."""
        below = standing.at - 1
        if below == NO_DOSE:
            return Decision(STOP, NO_DOSE, f"{seen}, and there is no lower level.")
        if self.variant != "no_deescalation" and standing.treated[below - 1] == _SIZE:
            return Decision(DEESCALATE, below, f"{seen}: level {below} is filled to six.")
        return Decision(COMPLETE, NO_DOSE, f"{seen}: too toxic.")

    def select(self, evidence: Evidence) -> Choice:
        """The highest level tried with at most one DLT."""
        if any(weight < 1.0 for pairs in evidence.spared for weight, _ in pairs):
            raise InputError(
                "3+3 cannot weigh patients by how long they were followed.",
                "Choose with boin or crm, or leave the late data out.",
            )
        counts = list(zip(evidence.treated, evidence.dlts, strict=True))
        passed = [level for level, (n, y) in enumerate(counts, start=1) if n and y <= 1]
        risks = tuple(y / n if n else None for n, y in counts)
        if not passed:
            return Choice(NO_DOSE, "Every level tried had two DLTs or more.", risks)
        level = passed[-1]
        return Choice(level, f"Level {level} is the highest with at most one DLT.", risks)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """What follows on each count at a level."""
        fill = {"no_deescalation": "stop: the level below is the MTD"}.get(
            self.variant, "fill the level below to 6, or stop there if it has 6"
        )
        top = "fill it to 6" if self.variant == "deescalation_top" else "it is the MTD"
        head = ["patients at the level", "DLTs", "decision", "at the top level"]
        return head, [
            ["3", "0", "escalate", top],
            ["3", "1", "3 more at this level", "3 more at this level"],
            ["3", "2 or 3", fill, fill],
            ["6", "0 or 1", "escalate; after a level above failed: this is the MTD", "it is the MTD"],
            ["6", "2 or more", fill, fill],
        ]
