"""How a dose-finding design behaves: exactly, over every path a trial can take, or by simulation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..base.errors import InputError
from .designs.history import COMPLETE, NO_DOSE, Cohort, Design, Standing, plain_evidence
from .dice import trial_dice

MOST_STATES = 100_000  # of a trial at one time; a state takes about a kilobyte


@dataclass(frozen=True)
class Characteristics:
    """Operating characteristics under true DLT (and response) rates, one value a dose level.

    selected : probability that the level is chosen; none : that no dose is; stopped : that the trial
    stops early for that; patients, dlts : expected numbers; errors : Monte Carlo standard errors of
    `selected`, zeros where the values are exact; trials : simulated trials, 0 where exact.
    """

    rates: tuple[float, ...]
    selected: tuple[float, ...]
    none: float
    stopped: float
    patients: tuple[float, ...]
    dlts: tuple[float, ...]
    errors: tuple[float, ...]
    trials: int = 0

    def rows(self) -> list[dict[str, float | str]]:
        """A row a level, and one for no dose, for a table."""
        rows: list[dict[str, float | str]] = [
            {
                "level": level,
                "dlt_rate": self.rates[level - 1],
                "selected": self.selected[level - 1],
                "error": self.errors[level - 1],
                "patients": self.patients[level - 1],
                "dlts": self.dlts[level - 1],
            }
            for level in range(1, len(self.rates) + 1)
        ]
        error = math.sqrt(self.none * (1.0 - self.none) / self.trials) if self.trials else 0.0
        empty = dict.fromkeys(("dlt_rate", "patients", "dlts"), math.nan)
        return [*rows, {"level": "none", "selected": self.none, "error": error, **empty}]


@dataclass(frozen=True)
class Paths:
    """Every way in which a trial of a design can end, and in how many ways it comes there.

    treated, dlts, responses : (ends, levels); ways : (ends,); chosen : (ends,) level, 0 none;
    stopped : (ends,).  The tree does not depend on the true rates, so that any number of scenarios
    costs one enumeration.
    """

    design: Design
    treated: np.ndarray
    dlts: np.ndarray
    responses: np.ndarray
    ways: np.ndarray
    chosen: np.ndarray
    stopped: np.ndarray

    def characteristics(
        self, rates: Sequence[float], responses: Sequence[float] | None = None
    ) -> Characteristics:
        """Exact operating characteristics under true rates of DLT, and of response where the design
        looks at responses, which are then independent of DLTs within a patient."""
        p = _rates(rates, self.design, "DLT")
        chance = self.ways * _likelihood(p, self.dlts, self.treated)
        if self.design.uses_responses:
            r = _rates(responses, self.design, "response")
            chance = chance * _likelihood(r, self.responses, self.treated)
        levels = range(1, self.design.levels + 1)
        return Characteristics(
            tuple(map(float, p)),
            tuple(float(chance[self.chosen == level].sum()) for level in levels),
            float(chance[self.chosen == NO_DOSE].sum()),
            float(chance[self.stopped].sum()),
            tuple(map(float, chance @ self.treated)),
            tuple(map(float, chance @ self.dlts)),
            (0.0,) * self.design.levels,
        )


def enumerate_paths(design: Design) -> Paths:
    """Follow a design through every outcome of every cohort; equal totals are followed once.

    Raises InputError where there are too many states to hold: then simulate.
    """
    frontier: dict[Standing, float] = {design.before(): 1.0}
    ends: list[tuple[Standing, float, bool]] = []
    while frontier:
        following: dict[Standing, float] = {}
        for standing, ways in frontier.items():
            decision = design.rule(standing)
            if decision.level == NO_DOSE:
                ends.append((standing, ways, decision.action != COMPLETE))
                continue
            for dlts, responses, more in _outcomes(design.cohort_size, design.uses_responses):
                after = design.after(standing, Cohort(decision.level, design.cohort_size, dlts, responses))
                following[after] = following.get(after, 0.0) + ways * more
        if len(following) > MOST_STATES:
            raise InputError(
                f"This design has more than {MOST_STATES:,} states at one time.",
                "Ask for simulated operating characteristics, or for fewer levels or patients.",
            )
        frontier = following
    chosen = [NO_DOSE if stop else design.select(plain_evidence(end)).level for end, _, stop in ends]
    return Paths(
        design,
        np.array([end.treated for end, _, _ in ends]),
        np.array([end.dlts for end, _, _ in ends]),
        np.array([end.responses for end, _, _ in ends]),
        np.array([ways for _, ways, _ in ends]),
        np.array(chosen),
        np.array([stop for _, _, stop in ends]),
    )


def simulate(
    design: Design,
    rates: Sequence[float],
    responses: Sequence[float] | None = None,
    trials: int = 2000,
    seed: int = 0,
) -> Characteristics:
    """Operating characteristics over simulated trials, with their Monte Carlo errors.

    Trial k meets the same patients under every design and scenario.
    """
    if trials < 1:
        raise InputError(f"{trials} trials cannot be simulated.", "Give 1 or more.")
    p = _rates(rates, design, "DLT")
    r = _rates(responses, design, "response") if design.uses_responses else np.zeros(design.levels)
    chosen, stopped = np.zeros(trials, int), np.zeros(trials, bool)
    treated, dlts = np.zeros(design.levels), np.zeros(design.levels)
    for trial in range(trials):
        end, stopped[trial] = _one_trial(design, p, r, seed, trial)
        chosen[trial] = NO_DOSE if stopped[trial] else design.select(plain_evidence(end)).level
        treated += end.treated
        dlts += end.dlts
    selected = [float(np.mean(chosen == level)) for level in range(1, design.levels + 1)]
    return Characteristics(
        tuple(map(float, p)),
        tuple(selected),
        float(np.mean(chosen == NO_DOSE)),
        float(np.mean(stopped)),
        tuple(map(float, treated / trials)),
        tuple(map(float, dlts / trials)),
        tuple(math.sqrt(share * (1.0 - share) / trials) for share in selected),
        trials,
    )


def _one_trial(design: Design, p: np.ndarray, r: np.ndarray, seed: int, trial: int) -> tuple[Standing, bool]:
    """How one trial ends, and whether it stops for want of an acceptable dose."""
    size = design.cohort_size
    tolerance, activity = trial_dice(seed, trial, design.most_patients)
    standing = design.before()
    first = 0
    while (decision := design.rule(standing)).level != NO_DOSE:
        who, i = slice(first, first + size), decision.level - 1
        dlts, active = int(np.sum(tolerance[who] < p[i])), int(np.sum(activity[who] < r[i]))
        standing = design.after(standing, Cohort(decision.level, size, dlts, active))
        first += size
    return standing, decision.action != COMPLETE


@cache
def _outcomes(size: int, responses: bool) -> tuple[tuple[int, int, int], ...]:
    """(DLTs, responses, number of ways) of a cohort."""
    ways = [math.comb(size, k) for k in range(size + 1)]
    if not responses:
        return tuple((y, 0, ways[y]) for y in range(size + 1))
    return tuple((y, r, ways[y] * ways[r]) for y in range(size + 1) for r in range(size + 1))


def _likelihood(rates: np.ndarray, events: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Probability of one order of events at every level, (ends,)."""
    return np.prod(rates**events * (1.0 - rates) ** (patients - events), axis=1)


def _rates(given: Sequence[float] | None, design: Design, what: str) -> np.ndarray:
    if given is None:
        raise InputError(f"{type(design).__name__} needs true {what} rates.", "Give one a dose level.")
    if len(given) != design.levels:
        raise InputError(
            f"There are {len(given)} {what} rates for {design.levels} dose levels.", "Give one a level."
        )
    for rate in given:
        if not 0.0 <= rate <= 1.0:
            raise InputError(f"A {what} rate is {rate:g}.", "Rates lie between 0 and 1.")
    return np.asarray(given, float)
