"""Cytokine release syndrome: the grade (ASTCT, Lee et al. 2019, doi:10.1016/j.bbmt.2018.12.758) that
follows from the peaks of cytokines in plasma.

The consensus grades by fever, hypotension and hypoxia, which no model of cells holds; so each cytokine
has an ordinal link, logit Pr(grade ≥ g) = slope · log10 c − θ_g + b, with a patient's own b ~ N(0, sd²),
fixed over arms and cycles.  Slope and θ follow from a few points of the average over patients.
"""

import math
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field as Key

from ..base import units
from ..base.errors import InputError
from ..config.schema import Name
from .settings import Fault, Section

GRADES = (1, 2, 3, 4, 5)


class Point(Section):
    """Over patients, `chance` of this grade or a higher one at a peak of `at`."""

    grade: Annotated[int, Key(ge=1, le=5)]
    at: Any
    chance: Annotated[float, Key(gt=0, lt=1)]


class Link(Section):
    """How one cytokine's peak decides: one point for each grade that can occur, two for one of them."""

    unit: str
    points: tuple[Point, ...]
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Points that fix one slope and a rising threshold for each grade."""
        peaks = []
        for i, point in enumerate(self.points):
            try:
                peaks.append(units.value(point.at, self.unit))
            except InputError as error:
                yield Fault(("points", i, "at"), error.problems[0].what, error.problems[0].help)
                return
            if peaks[-1] <= 0.0:
                yield Fault(("points", i, "at"), "A peak of 0 fixes nothing.", "Give it above 0.")
                return
        grades = sorted(point.grade for point in self.points)
        if len(grades) != len(set(grades)) + 1 or sorted(set(grades)) != list(range(1, max(grades) + 1)):
            yield Fault(
                ("points",),
                f"The points are of grades {', '.join(map(str, grades))}.",
                "Give one a grade from 1 on, and a second at another peak for one of them.",
            )
            return
        (first, second) = self._twice()
        rises = (first.chance - second.chance) * (self._peak(first) - self._peak(second))
        if rises <= 0.0:
            yield Fault(("points",), "The chance of CRS falls as the peak rises.", "Exchange the chances.")

    def _twice(self) -> tuple[Point, Point]:
        """The two points of the grade that has two."""
        grades = [point.grade for point in self.points]
        pair = [point for point in self.points if grades.count(point.grade) == 2]
        return pair[0], pair[1]

    def _peak(self, point: Point) -> float:
        return units.value(point.at, self.unit)

    def calibrated(self, sd: float) -> "Calibrated":
        """The link whose average over patients passes through the points.

        Raises InputError where a higher grade would be more likely than a lower one.
        """
        first, second = self._twice()
        scores = {point: _inverse_average(point.chance, sd) for point in self.points}
        slope = (scores[first] - scores[second]) / math.log10(self._peak(first) / self._peak(second))
        thresholds = {p.grade: slope * math.log10(self._peak(p)) - scores[p] for p in self.points}
        rising = [thresholds[grade] for grade in sorted(thresholds)]
        if any(b <= a for a, b in zip(rising, rising[1:], strict=False)):
            raise InputError(
                "The points make a higher grade of CRS as likely as a lower one.",
                "Lower the chances of the higher grades.",
            )
        return Calibrated(slope, tuple(rising), sd)


class Calibrated(NamedTuple):
    """An ordinal link: slope per decade, a threshold a grade from 1 on, sd of the patients' effects."""

    slope: float
    thresholds: tuple[float, ...]
    sd: float

    def chances(self, peak: float, effect: float) -> tuple[float, ...]:
        """Pr(grade ≥ 1), Pr(grade ≥ 2), … of a patient whose standard normal effect is given."""
        if peak <= 0.0:
            return (0.0,) * len(self.thresholds)
        score = self.slope * math.log10(peak) + self.sd * effect
        return tuple(_logistic(score - threshold) for threshold in self.thresholds)


class Grade(NamedTuple):
    """The grade of one cycle (0: no CRS), and the curve that gave it."""

    grade: int
    curve: str
    peak: float


def grade(
    links: Mapping[Name, Calibrated], peaks: Mapping[str, float], effect: float, uniform: float
) -> Grade:
    """The highest grade that any cytokine gives: the higher a peak, the higher the grade at equal dice."""
    found = []
    for curve, link in links.items():
        chances = link.chances(peaks[curve], effect)
        number = sum(uniform < chance for chance in chances)
        found.append((number, chances[0], Grade(number, curve, peaks[curve])))
    return max(found, key=lambda one: one[:2])[2]


def average(score: float, sd: float) -> float:
    """The mean over patients of logistic(score + sd · b), b standard normal."""
    nodes, weights = normal_quadrature()
    return float(weights @ (1.0 / (1.0 + np.exp(-(score + sd * nodes)))))


@cache
def normal_quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the mean over a standard normal variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return nodes, weights / weights.sum()


def _inverse_average(chance: float, sd: float) -> float:
    """The score whose average is `chance`; bisected, since root finders of scipy cost a second to load."""
    low, high = -80.0, 80.0
    while high - low > 1e-12:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if average(middle, sd) < chance else (low, middle)
    return 0.5 * (low + high)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


class Crs(Section):
    """Cytokines that can cause CRS, and how differently patients react to the same peaks."""

    links: dict[Name, Link]
    effect_sd: Annotated[float, Key(ge=0)]  # of patients, on the logit scale
    source: str | None = None

    @cached_property
    def calibrated(self) -> dict[str, Calibrated]:
        """Every link, calibrated."""
        return {curve: link.calibrated(self.effect_sd) for curve, link in self.links.items()}

    def faults(self) -> Iterator[Fault]:
        """Links that can be calibrated; there must be one."""
        if not self.links:
            yield Fault(("links",), "CRS has no cytokine.", "Give the link of at least one.")
        for curve, link in self.links.items():
            if not list(link.faults()):
                try:
                    link.calibrated(self.effect_sd)
                except InputError as error:
                    yield Fault(("links", curve), error.problems[0].what, error.problems[0].help)
