"""Two questions about two arms, kept apart.

*Counterfactual*: what would the second schedule have done to the same virtual patients?  Paired, so that
patient differences cancel; the correlation reached says how much.
*A trial*: what would a real parallel trial of so many patients an arm show?  No pairing, patients drawn
anew; the answer is a power.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..base.errors import InputError
from . import proportions
from .survival import kaplan_meier, log_rank


@dataclass(frozen=True)
class PairedRates:
    """A yes-or-no outcome of the same patients in two arms; difference is first minus second.

    correlation : of the pairs, NaN where an arm does not vary; 1 − correlation is the share of runs that
    pairing needs for the same precision.
    """

    both: int
    first_only: int
    second_only: int
    neither: int
    difference: float
    low: float
    high: float
    p_value: float
    correlation: float


def paired_rates(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> PairedRates:
    """Compare bool[n] outcomes, a patient a place in both: Newcombe's interval, exact McNemar test."""
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    _same_patients(len(a), len(b))
    both, first_only, second_only, neither = (int(k.sum()) for k in (a & b, a & ~b, ~a & b, ~a & ~b))
    low, high = proportions.paired_difference(both, first_only, second_only, neither, level)
    return PairedRates(
        both=both,
        first_only=first_only,
        second_only=second_only,
        neither=neither,
        difference=(first_only - second_only) / len(a),
        low=low,
        high=high,
        p_value=proportions.mcnemar(first_only, second_only),
        correlation=_correlation(a.astype(float), b.astype(float)),
    )


@dataclass(frozen=True)
class PairedTimes:
    """A time to an event of the same patients in two arms, as mean time lived up to a horizon [d].

    longer, shorter, equal, unknown : patients for whom the first arm is so; unknown where censoring hides it.
    """

    horizon: float
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    correlation: float
    longer: int
    shorter: int
    equal: int
    unknown: int


class PairedMeans(NamedTuple):
    """A quantity of the same patients in two arms; difference of the means, first minus second."""

    difference: float
    low: float
    high: float
    p_value: float
    correlation: float


def paired_means(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> PairedMeans:
    """Compare float[n], a patient a place in both, by Student's t."""
    from scipy import special

    _same_patients(len(first), len(second))
    differences = first - second
    n, mean, sd = len(first), float(differences.mean()), float(differences.std(ddof=1))
    error = sd / math.sqrt(n)
    half = float(special.stdtrit(n - 1, 0.5 + 0.5 * level)) * error
    if error > 0.0:
        p_value = 2.0 * float(special.stdtr(n - 1, -abs(mean) / error))
    else:
        p_value = 1.0 if mean == 0.0 else 0.0
    return PairedMeans(mean, mean - half, mean + half, p_value, _correlation(first, second))


def paired_times(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    horizon: float,
    level: float = 0.95,
) -> PairedTimes:
    """Compare (time, event) of two arms, a patient a place in both.

    Each patient's part of the restricted mean is a pseudo-observation (Andersen, Hansen & Klein 2004,
    doi:10.1007/s10985-004-4771-0), which without censoring is the time lived up to the horizon; their
    differences are compared by Student's t.
    """
    _same_patients(len(first[0]), len(second[0]))
    a, b = (pseudo_means(*arm, horizon) for arm in (first, second))
    found = paired_means(a, b, level)
    return PairedTimes(
        horizon, float(a.mean()), float(b.mean()), *found, *_fates(first, second, horizon)
    )  # fmt: skip


def pseudo_means(time: np.ndarray, event: np.ndarray, horizon: float) -> np.ndarray:
    """Jackknife pseudo-observations of the restricted mean, float[n]."""
    time, event = np.asarray(time, float), np.asarray(event, bool)
    if (event | (time >= horizon)).all():
        return np.minimum(time, horizon)
    n, whole = len(time), kaplan_meier(time, event).restricted_mean(horizon)[0]
    keep = ~np.eye(n, dtype=bool)
    rest = [kaplan_meier(time[own], event[own]).restricted_mean(horizon)[0] for own in keep]
    return n * whole - (n - 1) * np.array(rest)


def _fates(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], horizon: float
) -> tuple[int, int, int, int]:
    """How many live longer, shorter or equally long up to the horizon in the first arm, or unknown."""
    (a, a_ended), (b, b_ended) = (
        (np.minimum(time, horizon), np.asarray(event, bool) | (np.asarray(time) >= horizon))
        for time, event in (first, second)
    )
    longer, shorter = (a > b) & b_ended, (a < b) & a_ended
    equal = (a == b) & a_ended & b_ended
    known = longer | shorter | equal
    return int(longer.sum()), int(shorter.sum()), int(equal.sum()), int((~known).sum())


def _same_patients(first: int, second: int) -> None:
    if first != second or first < 2:
        raise InputError(
            f"{first} patients of one arm do not pair with {second} of the other.",
            "Pair at least two patients, each in both arms.",
        )


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


@dataclass(frozen=True)
class Power:
    """Chance that a trial of `patients` an arm tells the arms apart; `error` is its Monte Carlo error."""

    patients: int
    power: float
    error: float


def power_of_rates(first: np.ndarray, second: np.ndarray, patients: int, level: float = 0.95) -> Power:
    """Power of Fisher's exact test where patients are drawn from those simulated (exact: no error)."""
    p, q = (float(np.mean(np.asarray(arm, bool))) for arm in (first, second))
    return Power(patients, proportions.fisher_power(p, q, patients, level), 0.0)


def power_of_times(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    patients: int,
    seed: int,
    level: float = 0.95,
    trials: int = 1000,
) -> Power:
    """Power of the log-rank test: `trials` trials, `patients` an arm drawn anew from those simulated."""
    dice = np.random.Generator(np.random.Philox(seed))
    group = np.repeat([0, 1], patients)
    seen = 0
    for _ in range(trials):
        drawn = [dice.integers(len(arm[0]), size=patients) for arm in (first, second)]
        time, event = (
            np.concatenate(
                [np.asarray(arm[part])[who] for arm, who in zip((first, second), drawn, strict=True)]
            )
            for part in (0, 1)
        )
        seen += log_rank(time, event, group).p_value <= 1.0 - level
    share = seen / trials
    return Power(patients, share, math.sqrt(share * (1.0 - share) / trials))
