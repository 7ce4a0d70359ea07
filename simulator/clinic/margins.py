"""How a value differs between patients: distributions as data, tied together by a Gaussian copula."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from statistics import NormalDist
from typing import Annotated, Any

import numpy as np
from pydantic import Field as Key

from ..base import units
from ..base.errors import InputError, did_you_mean
from ..config.schema import Name, Share
from .dice import Dice, normal
from .eligibility import Kind, Value
from .settings import Fault, Section

_STANDARD = NormalDist()
_TINY = 2.0**-53  # no quantile beyond: it would be infinite


class Center(Section):
    """What a variable has different in patients for whom another is true."""

    median: Any = None
    mean: Any = None
    share: Share | None = None


class Variable(Section):
    """The distribution of one value over patients, in one of four forms.

    log-normal: `median`, `log_sd`; normal: `mean`, `sd`; true or false: `share` of true; categories:
    `shares` of each, numbers where all their names are.  The distribution of a number is truncated to
    [low, high].  `where` gives other centers where a share is true of the patient; `sets` names the value
    of an experiment that this one becomes, with {product} for the product given.
    """

    unit: str = "1"
    median: Any = None
    log_sd: Annotated[float, Key(ge=0)] | None = None
    mean: Any = None
    sd: Any = None
    share: Share | None = None
    shares: dict[str, Share] = {}
    low: Any = None
    high: Any = None
    where: dict[Name, Center] = {}
    sets: str | None = None
    source: str | None = None

    @cached_property
    def form(self) -> str:
        """Which of the four forms."""
        forms = {
            "log-normal": self.log_sd is not None,
            "normal": self.sd is not None,
            "share": self.share is not None,
            "shares": bool(self.shares),
        }
        given = [form for form, has in forms.items() if has]
        return given[0] if len(given) == 1 else ""

    @cached_property
    def kind(self) -> Kind:
        """A number in `unit`, one of the texts of `shares`, or true or false."""
        if self.form == "share":
            return Kind()
        if self.form == "shares" and not all(map(_is_number, self.shares)):
            return Kind(options=tuple(self.shares))
        return Kind(self.unit)

    def faults(self) -> Iterator[Fault]:
        """One form, complete, in one unit."""
        form = self.form
        center = {"log-normal": "median", "normal": "mean"}.get(form)
        if not form:
            yield Fault(
                (), "A variable needs one of log_sd, sd, share and shares.", "Give exactly one of them."
            )
        elif center and getattr(self, center) is None:
            yield Fault((), f"The {form} variable has no {center}.", f"Give {center}.")
        elif form == "shares" and abs(sum(self.shares.values()) - 1.0) > 1e-9:
            yield Fault(("shares",), f"The shares add up to {sum(self.shares.values()):.6g}.", "Make it 1.")
        else:
            yield from self._numbers()

    def _numbers(self) -> Iterator[Fault]:
        keys = ("median", "mean", "sd", "low", "high")
        read: dict[str, float] = {}
        for key in keys:
            if getattr(self, key) is not None:
                try:
                    read[key] = units.value(getattr(self, key), self.unit)
                except InputError as error:
                    yield Fault((key,), f"{key}: {error.problems[0].what}", error.problems[0].help)
        if self.form == "log-normal" and read.get("median", 1.0) <= 0.0:
            yield Fault(("median",), f"The median of a log-normal is {read['median']:g}.", "Give it above 0.")
        if read.get("sd", 0.0) < 0.0:
            yield Fault(("sd",), "sd is negative.", "Give 0 or more.")
        if read.get("low", -math.inf) >= read.get("high", math.inf):
            yield Fault(("low",), "low is not below high.", "Exchange them.")

    @cached_property
    def numbers(self) -> dict[str, float]:
        """The numbers of the distribution in `unit`."""
        keys = ("median", "mean", "sd", "low", "high")
        return {key: units.value(v, self.unit) for key in keys if (v := getattr(self, key)) is not None}

    @cached_property
    def centers(self) -> dict[str, float]:
        """The other centers, in `unit`, by the variable that is true."""
        key = "median" if self.form == "log-normal" else "mean"
        given = {name: getattr(center, key) for name, center in self.where.items()}
        return {name: units.value(v, self.unit) for name, v in given.items() if v is not None}

    def value(self, uniform: float, given: Mapping[str, Value]) -> Value:
        """The value at a quantile in (0, 1), for a patient with the `given` values of shares."""
        if self.form == "share":
            shares = [c.share for name, c in self.where.items() if given[name] and c.share is not None]
            return uniform < (shares[0] if shares else self.share or 0.0)
        if self.form == "shares":
            name = category(self.shares, uniform)
            return float(name) if self.kind.unit else name
        other = [center for name, center in self.centers.items() if given[name]]
        key = "median" if self.form == "log-normal" else "mean"
        return self._number(uniform, other[0] if other else self.numbers[key])

    def _number(self, uniform: float, center: float) -> float:
        """The quantile of the truncated distribution around a center."""
        log = self.log_sd is not None
        scale = self.log_sd if log else self.numbers["sd"]
        if not scale:
            return center
        scores = NormalDist(math.log(center) if log else center, scale)
        ends = [self.numbers.get("low"), self.numbers.get("high")]
        if log:
            ends = [None if end is None else math.log(end) if end > 0.0 else -math.inf for end in ends]
        low = 0.0 if ends[0] is None else scores.cdf(ends[0])
        high = 1.0 if ends[1] is None else scores.cdf(ends[1])
        inside = low + uniform * (high - low)
        score = scores.inv_cdf(min(max(inside, _TINY), 1.0 - _TINY))
        return math.exp(score) if log else score


class Correlations(Section):
    """Correlations of normal scores: `pairs` of two variables, as 'alt ast: 0.75'; all others are 0."""

    pairs: dict[str, Annotated[float, Key(gt=-1, lt=1)]] = {}
    source: str | None = None

    def factor(self, names: Sequence[str]) -> np.ndarray:
        """The Cholesky factor of the correlation matrix of variables, (n, n).

        Raises InputError where a pair names no two variables, or no variables can be so correlated.
        """
        matrix = np.eye(len(names))
        at = {name: i for i, name in enumerate(names)}
        for pair, rho in self.pairs.items():
            two = pair.split()
            if len(two) != 2 or two[0] == two[1]:
                raise InputError(f"'{pair}' is no pair of variables.", "Write e.g. 'alt ast: 0.75'.")
            for name in two:
                if name not in at:
                    raise InputError(
                        f"The correlation '{pair}' names '{name}', which is no variable.",
                        did_you_mean(name, names),
                    )
            matrix[at[two[0]], at[two[1]]] = matrix[at[two[1]], at[two[0]]] = rho
        try:
            return np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            raise InputError(
                "The correlations contradict each other: no variables can have all of them.",
                "Make some of them smaller.",
            ) from None


def category(shares: Mapping[str, float], uniform: float) -> str:
    """The category at a quantile in (0, 1), each in proportion to its share."""
    ends = list(accumulate(shares.values()))
    return list(shares)[min(bisect_right(ends, uniform * ends[-1]), len(ends) - 1)]


def draw(variables: Mapping[str, Variable], factor: np.ndarray, dice: Dice, attempt: int) -> dict[str, Value]:
    """The values of one candidate: correlated normal scores, each turned into its own distribution."""
    independent = np.array([normal(uniform) for uniform in dice.several(list(variables), attempt)])
    scores = dict(zip(variables, factor @ independent, strict=True))
    first = [name for name, variable in variables.items() if variable.form == "share" and not variable.where]
    given: dict[str, Value] = {}
    for name in (*first, *(name for name in variables if name not in first)):
        given[name] = variables[name].value(_STANDARD.cdf(float(scores[name])), given)
    return {name: given[name] for name in variables}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
