"""Time-to-event statistics: Kaplan–Meier, log-rank, Cox, restricted mean.

Own, since all of it is short where the data are right-censored only, and the library of choice (lifelines)
takes more than two seconds to import; the tests hold it against published numbers.  scipy.special serves
for distributions: importing scipy.stats costs a second.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..base.errors import InputError

NEWTON_STEPS = 30
DIVERGED = 15.0  # a log hazard ratio beyond this has no finite maximum


@dataclass(frozen=True)
class KaplanMeier:
    """A product-limit estimate (Kaplan & Meier 1958, doi:10.1080/01621459.1958.10501452).

    time : distinct event and censoring times, ascending.  at_risk, events, censored : at each.
    survival : just after each.  low, high : pointwise interval on the log(−log) scale with Greenwood's
    variance (Kalbfleisch & Prentice 2002, §1.4.1), NaN where survival is 1 or 0.
    """

    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    censored: np.ndarray
    survival: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float

    def at(self, days: float | np.ndarray) -> np.ndarray:
        """Survival at times; NaN beyond the last time unless it has reached 0."""
        return self._step(self.survival, days, 1.0)

    def interval_at(self, days: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The interval at times; NaN before the first event."""
        return self._step(self.low, days, math.nan), self._step(self.high, days, math.nan)

    def _step(self, values: np.ndarray, days: float | np.ndarray, before: float) -> np.ndarray:
        asked = np.asarray(days, float)
        found = np.r_[before, values][np.searchsorted(self.time, asked, side="right")]
        unknown = (asked > self.time[-1]) & (self.survival[-1] > 0.0)
        return np.where(unknown, math.nan, found)

    def number_at_risk(self, days: float | np.ndarray) -> np.ndarray:
        """How many are under observation just before times."""
        return np.r_[self.at_risk, 0][np.searchsorted(self.time, np.asarray(days, float), side="left")]

    def quantile(self, share: float = 0.5) -> tuple[float, float, float]:
        """Time by which `share` have had the event, with its interval; inf where it is not reached.

        The first time at which survival is at most 1 − share, or the middle of the step where it equals
        that; the interval from that of survival (Brookmeyer & Crowley 1982, doi:10.2307/2530286).
        """
        # The best bound where the variance is unknown: 1 before the first event, 0 once none is left.
        low, high = (np.where(np.isnan(bound), self.survival, bound) for bound in (self.low, self.high))
        return self._crossing(self.survival, share), self._crossing(low, share), self._crossing(high, share)

    def _crossing(self, curve: np.ndarray, share: float) -> float:
        excess = curve - (1.0 - share)
        under = np.flatnonzero(excess <= 1e-12)
        if not under.size:
            return math.inf
        below = np.flatnonzero(excess < -1e-12)
        first = float(self.time[under[0]])
        if abs(excess[under[0]]) > 1e-12 or not below.size:
            return first
        return 0.5 * (first + float(self.time[below[0]]))

    def restricted_mean(self, horizon: float) -> tuple[float, float]:
        """Mean time lived up to `horizon` and its standard error (Karrison 1987, doi:10.2307/2336479).

        Raises InputError where the curve ends before the horizon without reaching 0.
        """
        if horizon > self.time[-1] and self.survival[-1] > 0.0:
            raise InputError(
                f"The curve ends on day {self.time[-1]:g}, before the horizon of {horizon:g} d.",
                f"Take a horizon of at most {self.time[-1]:g} d.",
            )
        ends = np.minimum(np.r_[self.time, np.inf], horizon)
        steps = np.diff(np.r_[0.0, ends])
        areas = np.r_[1.0, self.survival] * steps
        beyond = areas.sum() - np.cumsum(areas)[:-1]  # what is lived from each time on
        left = self.at_risk - self.events
        terms = np.divide(
            beyond * beyond * self.events, self.at_risk * left, out=np.zeros(len(left)), where=left > 0
        )
        return float(areas.sum()), math.sqrt(float(terms[self.time <= horizon].sum()))


def kaplan_meier(time: np.ndarray, event: np.ndarray, level: float = 0.95) -> KaplanMeier:
    """Estimate survival from times (float[n]) and whether each ended with the event (bool[n])."""
    from scipy import special

    time, event = _checked(time, event)
    distinct, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, weights=event).astype(int)
    leaving = np.bincount(place)
    at_risk = len(time) - np.r_[0, np.cumsum(leaving)[:-1]]
    survival = np.cumprod(1.0 - events / at_risk)
    left = at_risk - events
    terms = np.divide(events, at_risk * left, out=np.zeros(len(left)), where=left > 0)
    inner = (survival > 0.0) & (survival < 1.0)
    log_survival = np.log(survival, out=np.full(len(survival), math.nan), where=inner)
    z = float(special.ndtri(0.5 + 0.5 * level))
    spread = np.exp(z * np.sqrt(np.cumsum(terms)) / -log_survival)
    low, high = np.exp(log_survival * spread), np.exp(log_survival / spread)
    return KaplanMeier(distinct, at_risk, events, leaving - events, survival, low, high, level)


def _checked(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and events as arrays; raises InputError where they cannot be."""
    times, events = np.asarray(time, float), np.asarray(event, bool)
    if times.ndim != 1 or times.shape != events.shape or not len(times):
        raise InputError(
            f"{times.size} times do not go with {events.size} events.", "Give a time and an event a patient."
        )
    if not (np.isfinite(times).all() and (times >= 0.0).all()):
        raise InputError("A time is negative or unknown.", "Give days from day 0 on.")
    return times, events


@dataclass(frozen=True)
class LogRank:
    """A log-rank test: statistic, degrees of freedom, p-value, events seen and expected by group."""

    statistic: float
    freedom: int
    p_value: float
    observed: np.ndarray
    expected: np.ndarray


def log_rank(time: np.ndarray, event: np.ndarray, group: np.ndarray) -> LogRank:
    """Test that groups (of any labels) share one hazard (Mantel 1966; Peto & Peto 1972).

    NaN statistic and p-value where there is no second group with somebody at risk at an event.
    """
    from scipy import special

    time, event = _checked(time, event)
    labels, member = np.unique(group, return_inverse=True)
    times = np.unique(time[event])
    # at_risk[i, g], events[i, g] at the i-th event time
    ordered = [np.sort(time[member == g]) for g in range(len(labels))]
    at_risk = np.column_stack([len(own) - np.searchsorted(own, times, side="left") for own in ordered])
    dying = [np.sort(time[event & (member == g)]) for g in range(len(labels))]
    events = np.column_stack(
        [np.searchsorted(d, times, side="right") - np.searchsorted(d, times, side="left") for d in dying]
    )
    n, d = at_risk.sum(axis=1), events.sum(axis=1)
    share = at_risk / np.maximum(n, 1)[:, None]
    observed, expected = events.sum(axis=0).astype(float), (share * d[:, None]).sum(axis=0)
    weight = np.divide(d * (n - d), n - 1, out=np.zeros(len(n)), where=n > 1)
    variance = np.diag((weight[:, None] * share).sum(axis=0)) - (weight[:, None] * share).T @ share
    freedom = len(labels) - 1
    excess, part = (observed - expected)[:-1], variance[:-1, :-1]
    if freedom < 1 or np.linalg.matrix_rank(part) < freedom:
        return LogRank(math.nan, freedom, math.nan, observed, expected)
    statistic = float(excess @ np.linalg.solve(part, excess))
    return LogRank(statistic, freedom, float(special.chdtrc(freedom, statistic)), observed, expected)


@dataclass(frozen=True)
class Cox:
    """A proportional-hazards fit: an entry a covariate.

    Where the likelihood has no finite maximum (one group without an event) the ratio is 0 or inf and its
    interval and p-value are NaN.
    """

    coefficient: np.ndarray
    error: np.ndarray
    ratio: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    log_likelihood: float


def cox(
    time: np.ndarray, event: np.ndarray, covariates: np.ndarray, level: float = 0.95, ties: str = "efron"
) -> Cox:
    """Hazard ratios by partial likelihood (Cox 1972), with Wald intervals and tests.

    covariates : float[n] or float[n, k], a few.  ties : 'efron' (1977) or 'breslow' (1974).
    Raises InputError where covariates do not vary, or together, among those at risk when events come.
    """
    from scipy import special

    time, event = _checked(time, event)
    x = np.asarray(covariates, float).reshape(len(time), -1)
    x = x - x.mean(axis=0)  # the likelihood does not change, the exponentials stay small
    beta = np.zeros(x.shape[1])
    value, score, information = _partial_likelihood(time, event, x, beta, ties)
    if np.linalg.matrix_rank(information) < len(beta):
        raise InputError(
            "A hazard ratio needs events, and covariates that vary among those at risk when they come.",
            "Compare arms that overlap in time.",
        )
    for _ in range(NEWTON_STEPS):
        step = np.linalg.solve(information, score)
        tried = _partial_likelihood(time, event, x, beta + step, ties)
        while tried[0] < value - 1e-12 * abs(value):
            step = 0.5 * step
            tried = _partial_likelihood(time, event, x, beta + step, ties)
        beta, (value, score, information) = beta + step, tried
        if np.abs(step).max() < 1e-10 or np.abs(beta).max() > DIVERGED:
            break
    endless = np.abs(beta) > DIVERGED
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    error[endless] = math.nan
    z = float(special.ndtri(0.5 + 0.5 * level))
    return Cox(
        coefficient=beta,
        error=error,
        ratio=np.where(endless, np.where(beta > 0, math.inf, 0.0), np.exp(beta)),
        low=np.exp(beta - z * error),
        high=np.exp(beta + z * error),
        p_value=2.0 * special.ndtr(-np.abs(beta / error)),
        log_likelihood=value,
    )


def _partial_likelihood(
    time: np.ndarray, event: np.ndarray, x: np.ndarray, beta: np.ndarray, ties: str
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log partial likelihood, its gradient and its negative Hessian."""
    weight = np.exp(x @ beta)
    value, score, information = 0.0, np.zeros_like(beta), np.zeros((len(beta), len(beta)))
    for t in np.unique(time[event]):
        risk, dying = time >= t, event & (time == t)
        deaths = int(dying.sum())
        whole, lost = _moments(weight[risk], x[risk]), _moments(weight[dying], x[dying])
        value += float((x[dying] @ beta).sum())
        score += x[dying].sum(axis=0)
        for k in range(deaths):
            part = k / deaths if ties == "efron" else 0.0
            total = whole[0] - part * lost[0]
            mean = (whole[1] - part * lost[1]) / total
            value -= math.log(total)
            score -= mean
            information += (whole[2] - part * lost[2]) / total - np.outer(mean, mean)
    return value, score, information


def _moments(weight: np.ndarray, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    return float(weight.sum()), weight @ x, (x * weight[:, None]).T @ x
