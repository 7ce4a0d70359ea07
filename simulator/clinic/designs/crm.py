"""The continual reassessment method (O'Quigley, Pepe & Fisher 1990, doi:10.2307/2531628; Cheung 2011).

Power model: the DLT risk of level j is p_j = s_j^exp(a), with the skeleton s as the guess before any
data and a ~ N(0, 1.34); a level's estimate is its risk at the posterior mean of a.
"""

import math
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field as Key

from ..settings import Fault
from .history import (
    DEESCALATE,
    ESCALATE,
    NO_DOSE,
    STAY,
    STOP,
    Choice,
    Cohort,
    Confidence,
    Decision,
    Evidence,
    Sequential,
    Standing,
    Target,
    plain_evidence,
)

VARIANCE = 1.34  # of the prior of a

# The trapezoidal rule converges faster than any power of the step for a smooth function that vanishes
# at both ends: with these nodes the posterior mean is right to 1e-10 for a hundred patients.
_NODES = np.linspace(-9.0, 9.0, 721)

Risk = Annotated[float, Key(gt=0, lt=1)]


class Crm(Sequential):
    """Treats the next cohort at the level whose estimated risk is nearest to the target.

    Never more than one level up, nor up right after a cohort whose DLT rate reached the target; stops
    when the risk of the lowest level exceeds the target with probability above `stop`.
    """

    target: Target
    skeleton: tuple[Risk, ...] = ()  # empty: as `indifferent` gives it around the middle level
    stop: Confidence = 0.95

    @property
    def guess(self) -> tuple[float, ...]:
        """The DLT risk of each level before any data."""
        middle = (self.levels + 1) // 2
        return self.skeleton or indifferent(self.target, self.levels, middle, self.target / 7)

    def faults(self) -> Iterator[Fault]:
        """One rising guess a level."""
        yield from super().faults()
        if self.skeleton and len(self.skeleton) != self.levels:
            yield Fault(
                ("skeleton",),
                f"The skeleton has {len(self.skeleton)} risks for {self.levels} dose levels.",
                "Give one guess of the DLT risk a level.",
            )
        elif any(b <= a for a, b in zip(self.skeleton, self.skeleton[1:], strict=False)):
            yield Fault(("skeleton",), "The skeleton does not rise.", "Give risks in ascending order.")

    def alarms(self, cohort: Cohort) -> bool:
        """Whether the DLT rate of a cohort reached the target."""
        return cohort.dlts >= self.target * cohort.patients

    def next(self, standing: Standing) -> Decision:
        """The level nearest to the target, within what is safe."""
        level, evidence = standing.at, plain_evidence(standing)
        over = self.exceeds(evidence)
        if over > self.stop:
            why = f"The risk of the lowest level exceeds {self.target:g} with probability {over:.3f}."
            return Decision(STOP, NO_DOSE, why)
        if (end := self.end(standing)) is not None:
            return end
        risks = self.risks(evidence)
        best = self._nearest(risks)
        why = f"Level {best} has the estimated DLT risk nearest to {self.target:g}: {risks[best - 1]:.3f}"
        if best > level and standing.alarm:
            return Decision(STAY, level, f"{why}, but the last cohort reached the target.")
        if best > level + 1:
            return Decision(ESCALATE, level + 1, f"{why}; no level is skipped.")
        action = ESCALATE if best > level else DEESCALATE if best < level else STAY
        return Decision(action, best, f"{why}.")

    def select(self, evidence: Evidence) -> Choice:
        """The level tried whose estimated risk is nearest to the target."""
        risks = self.risks(evidence)
        over = self.exceeds(evidence)
        if over > self.stop:
            why = f"The risk of the lowest level exceeds {self.target:g} with probability {over:.3f}."
            return Choice(NO_DOSE, why, risks)
        tried = [i for i, n in enumerate(evidence.treated) if n]
        level = 1 + min(tried, key=lambda i: (abs(risks[i] - self.target), i))
        why = f"Level {level}: estimated DLT risk {risks[level - 1]:.3f}, nearest to {self.target:g}."
        return Choice(level, why, risks)

    def risks(self, evidence: Evidence) -> tuple[float, ...]:
        """The estimated DLT risk of every level."""
        power = math.exp(posterior_mean(self.guess, evidence.dlts, evidence.spared))
        return tuple(s**power for s in self.guess)

    def exceeds(self, evidence: Evidence) -> float:
        """Posterior probability that the risk of the lowest level exceeds the target."""
        limit = math.log(math.log(self.target) / math.log(self.guess[0]))
        return posterior_below(self.guess, evidence.dlts, evidence.spared, limit)

    def _nearest(self, risks: tuple[float, ...]) -> int:
        return 1 + min(range(self.levels), key=lambda i: (abs(risks[i] - self.target), i))

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Where the first two cohorts lead (dose transition pathways, Yap et al. 2017)."""
        rows = []
        for first in range(self.cohort + 1):
            one = (Cohort(1, self.cohort, first),)
            second = self.decide(one)
            if second.level == NO_DOSE:
                rows.append([str(first), second.action, "–", "–"])
                continue
            for dlts in range(self.cohort + 1):
                third = self.decide((*one, Cohort(second.level, self.cohort, dlts)))
                where = f"level {third.level}" if third.level else third.action
                rows.append([str(first), f"level {second.level}", str(dlts), where])
        head = [
            f"DLTs of {self.cohort} at level 1",
            "second cohort",
            f"DLTs of {self.cohort}",
            "third cohort",
        ]
        return head, rows


Spared = tuple[tuple[tuple[float, int], ...], ...]


@lru_cache(maxsize=65536)
def posterior_mean(skeleton: tuple[float, ...], dlts: tuple[int, ...], spared: Spared) -> float:
    """E[a | data], by quadrature; a patient without a DLT weighs as in Cheung & Chappell 2000.

    dlts : patients with a DLT at each level; spared : (weight, patients) pairs of those without.
    """
    log = _log_posterior(skeleton, dlts, spared, _NODES)
    weights = np.exp(log - log.max())
    return float(weights @ _NODES / weights.sum())


@lru_cache(maxsize=65536)
def posterior_below(
    skeleton: tuple[float, ...], dlts: tuple[int, ...], spared: Spared, limit: float
) -> float:
    """Pr(a < limit | data), by quadrature on either side of the limit."""
    points, weights = _gauss()
    halves = 0.5 * (limit - _NODES[0]), 0.5 * (_NODES[-1] - limit)
    nodes = np.concatenate([limit + halves[0] * (points - 1.0), limit + halves[1] * (points + 1.0)])
    log = _log_posterior(skeleton, dlts, spared, nodes)
    density = np.exp(log - log.max())
    below = halves[0] * float(weights @ density[: len(points)])
    above = halves[1] * float(weights @ density[len(points) :])
    return below / (below + above)


@cache
def _gauss() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(160)


def _log_posterior(
    skeleton: tuple[float, ...], dlts: tuple[int, ...], spared: Spared, a: np.ndarray
) -> np.ndarray:
    """The log of the posterior density of a at the nodes, up to a constant."""
    log = -0.5 * a * a / VARIANCE
    power = np.exp(a)
    for s, y, pairs in zip(skeleton, dlts, spared, strict=True):
        log_p = power * math.log(s)  # log of the risk of this level
        if y:
            log = log + y * log_p
        for weight, n in pairs:
            if n and weight == 1.0:
                log = log + n * np.log(-np.expm1(log_p))
            elif n:
                log = log + n * np.log1p(-weight * np.exp(log_p))
    return log


@cache
def indifferent(target: float, levels: int, mtd: int, halfwidth: float) -> tuple[float, ...]:
    """A skeleton whose indifference intervals around the target have one half width (Lee & Cheung 2009).

    mtd : the level believed to be at the target before any data; halfwidth < target.
    doi:10.1177/1740774509105076.
    """
    ratio = math.log(target + halfwidth) / math.log(target - halfwidth)
    return tuple(math.exp(math.log(target) * ratio ** (level - mtd)) for level in range(1, levels + 1))
