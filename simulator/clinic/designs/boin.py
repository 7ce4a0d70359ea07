"""The Bayesian optimal interval design (Liu & Yuan 2015, JRSS C 64:507, doi:10.1111/rssc.12089)."""

import math
from collections.abc import Iterator
from functools import cache

from ..settings import Fault
from . import isotonic
from .history import (
    DEESCALATE,
    ESCALATE,
    NO_DOSE,
    STAY,
    STOP,
    Choice,
    Confidence,
    Decision,
    Evidence,
    Sequential,
    Standing,
    Target,
)

MOST_RATIO = 1.4  # φ₂/φ of the design


@cache
def boundaries(target: float) -> tuple[float, float]:
    """λₑ and λ_d, the observed DLT rates up to which to escalate and from which to de-escalate.

    φ₁ = 0.6 φ and φ₂ = 1.4 φ are the rates that are too low and too high; equal prior weights.
    """
    phi, low, high = target, 0.6 * target, MOST_RATIO * target
    escalate = math.log((1 - low) / (1 - phi)) / math.log(phi * (1 - low) / (low * (1 - phi)))
    deescalate = math.log((1 - phi) / (1 - high)) / math.log(high * (1 - phi) / (phi * (1 - high)))
    return escalate, deescalate


def room_above(target: float, key: str) -> Iterator[Fault]:
    """A fault where φ₂ is no probability."""
    if MOST_RATIO * target >= 1.0:
        what = f"{key} {target:g} is too high: BOIN compares it with {MOST_RATIO:g} times itself."
        yield Fault((key,), what, f"Give less than {1 / MOST_RATIO:.2f}.")


class Boin(Sequential):
    """Compares the DLT rate at the current level with two boundaries that are fixed in advance.

    A level and all above it are eliminated when, from a uniform prior, the risk exceeds the target
    with probability above `eliminate`, after three patients or more.
    """

    target: Target
    eliminate: Confidence = 0.95

    def faults(self) -> Iterator[Fault]:
        """A target that leaves room for a rate that is too high."""
        yield from super().faults()
        yield from room_above(self.target, "target")

    def eliminated(self, dlts: int, patients: float) -> bool:
        """Whether the counts of a level eliminate it."""
        return patients >= 3 and isotonic.exceeds(dlts, patients, self.target) > self.eliminate

    def next(self, standing: Standing) -> Decision:
        """Compare the observed rate at the current level with λₑ and λ_d."""
        level = standing.at
        n, y = standing.seen(level)
        seen, rate = standing.words(level), y / n
        low, high = boundaries(self.target)
        toxic = self.eliminated(y, n)
        if toxic and level == 1:
            return Decision(STOP, NO_DOSE, f"{seen}: the lowest level is too toxic.")
        if (end := self.end(standing)) is not None:
            return end
        if toxic:
            return Decision(DEESCALATE, level - 1, f"{seen}: levels {level} and above are eliminated.")
        if rate <= low:
            return self._up(standing, f"{seen}, {rate:.3f} ≤ {low:.3f}")
        if rate < high:
            return Decision(STAY, level, f"{seen}, {rate:.3f} between {low:.3f} and {high:.3f}.")
        if level == 1:
            return Decision(STAY, level, f"{seen}, {rate:.3f} ≥ {high:.3f}, but there is no lower level.")
        return Decision(DEESCALATE, level - 1, f"{seen}, {rate:.3f} ≥ {high:.3f}.")

    def _up(self, standing: Standing, why: str) -> Decision:
        level = standing.at
        if level == self.levels:
            return Decision(STAY, level, f"{why}, but there is no higher level.")
        n, y = standing.seen(level + 1)
        if self.eliminated(y, n):
            return Decision(STAY, level, f"{why}, but level {level + 1} is eliminated.")
        return Decision(ESCALATE, level + 1, f"{why}.")

    def select(self, evidence: Evidence) -> Choice:
        """The level whose isotonic estimate is nearest to the target, of those tried and not eliminated."""
        return nearest_choice(self, evidence)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """For every number of patients at a level: escalate up to, de-escalate from, eliminate from."""
        low, high = boundaries(self.target)
        rows = []
        for n in range(self.cohort, self.patients + 1, self.cohort):
            out = [y for y in range(n + 1) if self.eliminated(y, n)]
            rows.append(
                [
                    str(n),
                    str(max(y for y in range(n + 1) if y / n <= low)),
                    str(min(y for y in range(n + 1) if y / n >= high)),
                    str(min(out)) if out else "–",
                ]
            )
        head = ["patients at the level", "escalate if DLTs ≤", "de-escalate if DLTs ≥", "eliminate if DLTs ≥"]
        return head, rows


def nearest_choice(design: Boin, evidence: Evidence) -> Choice:
    """The MTD of Liu & Yuan 2015: isotonic estimates of the levels tried and not eliminated."""
    worth = [evidence.effective(level) for level in range(1, design.levels + 1)]
    out = [
        level
        for level, (y, n) in enumerate(zip(evidence.dlts, worth, strict=True), start=1)
        if evidence.treated[level - 1] and design.eliminated(y, n)
    ]
    top = min(out, default=design.levels + 1)
    tried = [level for level in range(1, top) if evidence.treated[level - 1]]
    if not tried:
        return Choice(NO_DOSE, "Every level tried is too toxic.", (None,) * design.levels)
    found = isotonic.risks([evidence.dlts[i - 1] for i in tried], [worth[i - 1] for i in tried])
    level = tried[isotonic.nearest(found, design.target)]
    risk = dict(zip(tried, found, strict=True))
    reason = (
        f"Level {level}: estimated DLT risk {risk[level]:.3f}, nearest to {design.target:g} "
        f"of the levels {', '.join(map(str, tried))}."
    )
    return Choice(level, reason, tuple(risk.get(i) for i in range(1, design.levels + 1)))
