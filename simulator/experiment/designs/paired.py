"""Statistics of paired samples: interval, detectable effect, correlation, variance split, adjustment.

Written with the distribution functions of scipy.special: importing scipy.stats costs a second.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POWER = 0.8  # with which a detectable effect would have been seen


@dataclass(frozen=True)
class Paired:
    """What paired values say about the mean of first minus second; NaN where they say nothing."""

    units: int  # independent differences: patients, or the replicates of the only patient
    averaged: bool  # replicates were averaged within patients
    finite: bool
    difference: float
    low: float
    high: float
    p_value: float
    sd: float  # of the independent differences
    correlation: float
    detectable: float
    sd_patients: float
    sd_replicates: float


def paired(first: np.ndarray, second: np.ndarray, patient: np.ndarray, level: float) -> Paired:
    """Compare paired values, replicates averaged within patients where there are several of both.

    first, second, patient : 1-D arrays of one length ≥ 1, a pair each; level : of the interval.
    A value that is not finite leaves every statistic NaN.
    """
    patients = len(np.unique(patient))
    averaged = 1 < patients < len(patient)
    finite = bool(np.isfinite(first).all() and np.isfinite(second).all())
    if not finite:
        first, second = np.full_like(first, math.nan), np.full_like(second, math.nan)
    sd_patients, sd_replicates = spread(first - second, patient) if averaged else (math.nan, math.nan)
    if averaged:
        first, second = _by_patient(first, patient), _by_patient(second, patient)
    differences = first - second
    units = len(differences)
    mean = float(np.mean(differences))
    sd = float(np.std(differences, ddof=1)) if units > 1 else math.nan
    half, p_value = student(mean, sd, units, level)
    return Paired(
        units=units,
        averaged=averaged,
        finite=finite,
        difference=mean,
        low=mean - half,
        high=mean + half,
        p_value=p_value,
        sd=sd,
        correlation=correlation(first, second),
        detectable=detectable(sd, units, level),
        sd_patients=sd_patients,
        sd_replicates=sd_replicates,
    )


def student(mean: float, sd: float, units: int, level: float) -> tuple[float, float]:
    """Half width of the t interval of a mean of `units` differences, and its two-sided p-value."""
    from scipy import special

    if units < 2 or math.isnan(sd):
        return math.nan, math.nan
    error = sd / math.sqrt(units)
    if error == 0.0:
        return 0.0, 1.0 if mean == 0.0 else 0.0
    half = float(special.stdtrit(units - 1, 0.5 + level / 2.0)) * error
    return half, 2.0 * float(special.stdtr(units - 1, -abs(mean) / error))


def detectable(sd: float, units: int, level: float, power: float = POWER) -> float:
    """The smallest true mean difference that a two-sided t test of `units` pairs sees with `power`.

    From the noncentral t distribution at the observed sd of the differences; NaN where there are
    fewer than two or all are equal.
    """
    from scipy import optimize, special

    if units < 2 or not sd > 0.0:
        return math.nan
    freedom = units - 1
    critical = float(special.stdtrit(freedom, 0.5 + level / 2.0))

    def excess(shift: float) -> float:
        wrong_side = float(special.nctdtr(freedom, shift, -critical))  # NaN where it is below 1e-14
        unseen = float(special.nctdtr(freedom, shift, critical)) - (wrong_side if wrong_side > 0.0 else 0.0)
        return 1.0 - unseen - power

    top = critical + 2.0
    while excess(top) < 0.0:
        top *= 2.0
    return float(optimize.brentq(excess, 0.0, top, xtol=1e-10)) * sd / math.sqrt(units)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of two 1-D arrays; NaN for fewer than three values or a constant array."""
    if len(first) < 3 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return math.nan
    a, b = ((x - x.mean()) / np.ptp(x) for x in (first, second))  # of size one: no product underflows
    rho = float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
    return min(1.0, max(-1.0, rho))


def spread(differences: np.ndarray, patient: np.ndarray) -> tuple[float, float]:
    """Standard deviations between patients and between replicates of one (one-way random effects).

    Moment estimates for groups of unequal size (Searle, Casella & McCulloch 1992, ch. 3); a negative
    variance between patients is reported as 0.  Needs several patients, one of them replicated.
    """
    _, whose, sizes = np.unique(patient, return_inverse=True, return_counts=True)
    total, groups = len(differences), len(sizes)
    means = np.bincount(whose, weights=differences) / sizes
    within = float(((differences - means[whose]) ** 2).sum()) / (total - groups)
    between = float((sizes * (means - differences.mean()) ** 2).sum()) / (groups - 1)
    typical = (total - float((sizes * sizes).sum()) / total) / (groups - 1)
    variance = (between - within) / typical
    return math.sqrt(variance) if not variance <= 0.0 else 0.0, math.sqrt(within)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979, Scand. J. Stat. 6:65); NaNs stay NaN and do not count."""
    known = sorted((p, k) for k, p in enumerate(p_values) if not math.isnan(p))
    adjusted, worst = [math.nan] * len(p_values), 0.0
    for rank, (p, k) in enumerate(known):
        worst = max(worst, min(1.0, p * (len(known) - rank)))
        adjusted[k] = worst
    return adjusted


def _by_patient(values: np.ndarray, patient: np.ndarray) -> np.ndarray:
    return np.array([values[patient == one].mean() for one in np.unique(patient)])
