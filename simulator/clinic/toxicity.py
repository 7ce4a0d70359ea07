"""Adverse events from exposure: what the product causes, what would have come anyway, and who is blamed.

Each event is drawn from the patient's own dice, by cause and cycle: arms and designs share them, and at
equal dice a higher exposure never gives a lower grade.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, NamedTuple

from pydantic import Field as Key

from ..base import units
from ..base.errors import InputError, did_you_mean
from ..config.schema import Name, Share, quantity
from . import crs
from .dice import Dice, normal
from .settings import Fault, Section

Days = Annotated[float, quantity("d", above=0)]

DOSE = "dose"  # the curve that is the dose itself, cells per kg
_GRADES = crs.GRADES
CTCAE, ASTCT = "CTCAE 5.0", "ASTCT 2019"


class Timing(Section):
    """A log-normal time from the infusion, or a log-normal length."""

    median: Days
    log_sd: Annotated[float, Key(ge=0)]

    def at(self, uniform: float) -> float:
        """The time at a quantile, d."""
        return self.median * math.exp(self.log_sd * normal(uniform))

    def within(self, days: float) -> float:
        """The share of times that are at most `days`."""
        if days <= 0.0:
            return 0.0
        if not self.log_sd:
            return float(days >= self.median)
        return 0.5 * math.erfc(-math.log(days / self.median) / (self.log_sd * math.sqrt(2.0)))


class Cause(Section):
    """What an infusion can do: the hazard rises in proportion to the peak of a curve.

    driver : the curve, 'dose' the cells per kg; risk : events of grade 3 or more an infusion at a peak of
    `per`; grades : events of grades 1 to 5 for one of grade 3 or more.
    """

    term: str
    driver: Name
    unit: str
    risk: Annotated[float, quantity("1", at_least=0)]
    per: Any
    grades: tuple[float, ...]
    onset: Timing
    lasts: Timing
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Five grades; one event of grade 3 or more among them."""
        if len(self.grades) != len(_GRADES) or min(self.grades, default=-1.0) < 0.0:
            yield Fault(
                ("grades",), f"{len(self.grades)} numbers for grades 1 to 5.", "Give five, none negative."
            )
        elif abs(sum(self.grades[2:]) - 1.0) > 1e-9:
            yield Fault(
                ("grades",),
                f"Grades 3, 4 and 5 add up to {sum(self.grades[2:]):g}.",
                "Make it 1: the grades are events for one of grade 3 or more.",
            )
        try:
            if units.value(self.per, self.unit) <= 0.0:
                yield Fault(("per",), f"per is {self.per}.", "Give the positive peak that `risk` is for.")
        except InputError as error:
            yield Fault(("per",), f"per: {error.problems[0].what}", error.problems[0].help)

    @cached_property
    def hazards(self) -> tuple[float, ...]:
        """Hazard of grades 1 or more, 2 or more, … of an infusion, for a peak of one `unit`."""
        each = self.risk / units.value(self.per, self.unit)
        return tuple(each * sum(self.grades[grade - 1 :]) for grade in _GRADES)

    def chance(self, peak: float, grade: int) -> float:
        """Probability of an event of this grade or a higher one after an infusion."""
        return -math.expm1(-self.hazards[grade - 1] * peak)


class Fever(Section):
    """Fever: `chance` a cycle without the product, times `relative_risk` after an infusion."""

    chance: Share
    relative_risk: Annotated[float, Key(ge=1)]
    second_grade: Share  # of fevers that are of grade 2
    onset: Timing
    lasts: Timing
    source: str | None = None


class Background(Section):
    """Adverse events of the disease and its care: `chance` of one of grade 3 or more within `over`.

    misattributed : probability that a patient's are put down to the product; drawn once a patient, since
    it is a matter of the case and its investigator (assumed).
    """

    term: str
    chance: Annotated[float, Key(ge=0, lt=1)]
    over: Days
    misattributed: Share
    grades: tuple[float, ...]  # shares of grades 3, 4 and 5
    lasts: Timing
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Three shares."""
        if len(self.grades) != 3 or min(self.grades) < 0.0 or abs(sum(self.grades) - 1.0) > 1e-9:
            yield Fault(("grades",), "Grades need the shares of grades 3, 4 and 5.", "Make them add up to 1.")

    @property
    def hazard(self) -> float:
        """Events a day."""
        return -math.log1p(-self.chance) / self.over

    def within(self, days: float) -> float:
        """Probability of an event within so many days."""
        return -math.expm1(-self.hazard * max(days, 0.0))


class Toxicity(Section):
    """Everything that can happen to a patient's health in the trial."""

    causes: dict[Name, Cause]
    crs: crs.Crs
    crs_onset: Timing
    crs_lasts: Timing
    fever: Fever
    background: Background
    source: str | None = None

    @cached_property
    def curves(self) -> frozenset[str]:
        """The curves that a cycle must give, beside the dose."""
        drivers = {cause.driver for cause in self.causes.values()}
        return frozenset(drivers - {DOSE} | set(self.crs.links))


class Cycle(NamedTuple):
    """One cycle: number from 1, first and last day, dose (cells/kg; 0: none) and peaks of curves."""

    number: int
    start: float
    end: float
    dose: float
    peaks: Mapping[str, float] = {}


class AdverseEvent(NamedTuple):
    """One adverse event.

    grade by `scale`; onset, end : days; caused : by the product; related : to the product, in the eyes of
    the investigator; curve, value, unit : the curve that drove it and its peak ('' where none did).
    """

    term: str
    cause: str
    scale: str
    grade: int
    onset: float
    end: float
    cycle: int
    caused: bool
    related: bool
    curve: str = ""
    value: float = math.nan
    unit: str = ""


def adverse_events(settings: Toxicity, cycles: Sequence[Cycle], dice: Dice) -> tuple[AdverseEvent, ...]:
    """Every adverse event of a patient, by onset.

    dice : the patient's.  Raises InputError where a cycle lacks a curve that drives an event.
    """
    blamed = dice("attribution", 0) < settings.background.misattributed
    effect = normal(dice("crs effect", 0))
    found: list[AdverseEvent] = []
    for cycle in cycles:
        missing = settings.curves - set(cycle.peaks)
        if cycle.dose > 0.0 and missing:
            name = sorted(missing)[0]
            raise InputError(
                f"Cycle {cycle.number} has no peak of '{name}', which drives adverse events.",
                did_you_mean(name, cycle.peaks) or "Give its peak in the cycle, 0 where there is none.",
            )
        found += _fever(settings.fever, cycle, dice, blamed)
        found += _background(settings.background, cycle, dice, blamed)
        if cycle.dose > 0.0:
            for name, cause in settings.causes.items():
                found += _caused(name, cause, cycle, dice)
            found += _crs(settings, cycle, dice, effect)
    return tuple(sorted(found, key=lambda event: (event.onset, event.cause)))


def _caused(name: str, cause: Cause, cycle: Cycle, dice: Dice) -> list[AdverseEvent]:
    """What one cause does in one cycle: the most severe grade that the dice allow."""
    peak = cycle.dose if cause.driver == DOSE else cycle.peaks[cause.driver]
    uniform = dice(name, cycle.number)
    grades = [grade for grade in _GRADES if uniform < cause.chance(peak, grade)]
    if not grades:
        return []
    onset, end = _span(name, cycle, dice, cause.onset, cause.lasts)
    event = AdverseEvent(cause.term, name, CTCAE, grades[-1], onset, end, cycle.number, True, True)
    return [event._replace(curve=cause.driver, value=peak, unit=cause.unit)]


def _crs(settings: Toxicity, cycle: Cycle, dice: Dice, effect: float) -> list[AdverseEvent]:
    found = crs.grade(settings.crs.calibrated, cycle.peaks, effect, dice("crs", cycle.number))
    if not found.grade:
        return []
    onset, end = _span("crs", cycle, dice, settings.crs_onset, settings.crs_lasts)
    term, unit = "Cytokine release syndrome", settings.crs.links[found.curve].unit
    event = AdverseEvent(term, "crs", ASTCT, found.grade, onset, end, cycle.number, True, True)
    return [event._replace(curve=found.curve, value=found.peak, unit=unit)]


def _fever(fever: Fever, cycle: Cycle, dice: Dice, blamed: bool) -> list[AdverseEvent]:
    uniform = dice("fever", cycle.number)
    chance = min(1.0, fever.chance * (fever.relative_risk if cycle.dose > 0.0 else 1.0))
    if uniform >= chance:
        return []
    caused = uniform >= fever.chance
    grade = 2 if dice("fever grade", cycle.number) < fever.second_grade else 1
    onset, end = _span("fever", cycle, dice, fever.onset, fever.lasts)
    event = AdverseEvent("Fever", "fever", CTCAE, grade, onset, end, cycle.number, caused, caused or blamed)
    return [event._replace(curve=DOSE, value=cycle.dose, unit="cells/kg") if caused else event]


def _background(background: Background, cycle: Cycle, dice: Dice, blamed: bool) -> list[AdverseEvent]:
    """The first background event of a cycle: its waiting time is exponential."""
    uniform, length = dice("background", cycle.number), cycle.end - cycle.start
    if uniform >= background.within(length):
        return []
    onset = cycle.start - math.log1p(-uniform) / background.hazard
    rank, grade = dice("background grade", cycle.number), 3
    for share in background.grades[:2]:
        rank -= share
        grade += rank >= 0.0
    end = onset + background.lasts.at(dice("background lasts", cycle.number))
    return [
        AdverseEvent(background.term, "background", CTCAE, grade, onset, end, cycle.number, False, blamed)
    ]


def _span(name: str, cycle: Cycle, dice: Dice, onset: Timing, lasts: Timing) -> tuple[float, float]:
    """First and last day of an event."""
    first = cycle.start + onset.at(dice(f"{name} onset", cycle.number))
    return first, first + lasts.at(dice(f"{name} lasts", cycle.number))


def until(events: Sequence[AdverseEvent], day: float) -> tuple[AdverseEvent, ...]:
    """The events that begin by a day; those that still go on then end there."""
    return tuple(event._replace(end=min(event.end, day)) for event in events if event.onset <= day)
