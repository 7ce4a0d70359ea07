"""What becomes of a dosing plan in practice: visits with windows, and the rules that hold, delay, reduce
or stop doses.  Pure rules: equal plans, findings and dice give equal doses.

Times are days from the first planned dose of the trial; planned doses come from a regimen, in hours.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field as Key

from ..base.errors import InputError
from ..body.course import Dose
from ..config.schema import Share, quantity
from .dice import Dice
from .settings import Fault, Section
from .toxicity import Days

# What becomes of a dose: the first three are given.
GIVEN, DELAYED, REDUCED = "given", "delayed", "reduced"
MISSED, HELD, STOPPED = "missed", "held", "stopped"

# Reasons to stop treatment, in the order that names the reason where several fall on one day.
STOPS = ("death", "dlt", "progression", "withdrawal")

Count = Annotated[float, quantity("cells/uL", above=0)]


class Hold(Section):
    """A visit is put off while neutrophils are below `anc_below`: looked at again every `recheck`, for at
    most `at_most`, after which the dose is left out."""

    anc_below: Count
    recheck: Days
    at_most: Days


class Rules(Section):
    """The rules of dosing.

    window : a visit may be this much early or late; missed : probability that a visit does not take place;
    reduce_to : share of the dose that is given after a hold of
    more than `reduce_after`; weight_cap : a heavier patient is dosed as one of this weight.
    """

    window: Annotated[float, quantity("d", at_least=0)]
    missed: Share
    hold: Hold
    reduce_after: Days
    reduce_to: Annotated[float, Key(gt=0, le=1)]
    stops: tuple[str, ...] = STOPS
    weight_cap: Annotated[float, quantity("kg", above=0)] | None = None
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Known reasons to stop."""
        for i, stop in enumerate(self.stops):
            if stop not in STOPS:
                yield Fault(("stops", i), f"'{stop}' stops no treatment.", f"Allowed: {', '.join(STOPS)}.")
        if "death" not in self.stops:
            yield Fault(("stops",), "Death does not stop treatment here.", "Add 'death'.")


class Override(NamedTuple):
    """What one patient's file says of one dose: another day, another amount (0: leave it out), and why."""

    reason: str
    day: float | None = None
    amount: float | None = None


class Given(NamedTuple):
    """One planned dose and what became of it.

    number : of the plan, from 1; planned_day, day : days (day NaN: not given); planned, given : in `unit`;
    status : given, delayed, reduced, missed, held or stopped; reason : in words, '' where all went to plan.
    """

    number: int
    drug: str
    planned_day: float
    day: float
    planned: float
    given: float
    unit: str
    status: str
    reason: str
    duration: float  # h


class Findings(NamedTuple):
    """What is known of a patient as the trial goes on.

    anc : neutrophils (cells/uL) on a day, None where nobody measured; stops : first day of each reason to
    stop that occurs; weight : kg on a day.
    """

    anc: Callable[[float], float | None]
    stops: Mapping[str, float]
    weight: Callable[[float], float]


def realize(
    plan: Sequence[Dose],
    rules: Rules,
    findings: Findings,
    dice: Dice,
    overrides: Mapping[int, Override] | None = None,
) -> tuple[Given, ...]:
    """What becomes of every planned dose, in the order of the plan.

    plan : as a regimen gives it; dice : the patient's, by the day of a visit, so that visits are missed and
    shifted alike in every arm; overrides : by number of the dose.  A dose moved or put off moves the next
    of its drug only where the time between them would fall short of the plan by more than the window.
    Raises InputError where an override names no dose or what no dose can be, or visits could change places.
    """
    _check(plan, rules, overrides or {})
    done: list[Given] = []
    planned: dict[str, float] = {}  # day of the last planned dose of each drug, and of the last given
    last: dict[str, float] = {}
    for dose in plan:
        day = dose.time / 24.0
        gap = day - planned.get(dose.drug, day)
        earliest = last.get(dose.drug, -math.inf) + gap - rules.window
        one = _one(dose, rules, findings, dice, (overrides or {}).get(dose.number), earliest)
        planned[dose.drug] = day
        if one.given > 0.0:
            last[dose.drug] = one.day
        done.append(one)
    return tuple(done)


def _one(
    dose: Dose, rules: Rules, findings: Findings, dice: Dice, override: Override | None, earliest: float
) -> Given:
    planned_day = dose.time / 24.0
    visit = int(planned_day)
    start = Given(
        dose.number, dose.drug, planned_day, math.nan, dose.amount, 0.0, dose.unit, MISSED, "", dose.duration
    )
    reasons = []
    if override is not None:
        reasons.append(override.reason)
        day = planned_day if override.day is None else override.day
    else:
        if dice("visit missed", visit) < rules.missed:
            return _stopped(start, rules, findings, planned_day) or start._replace(reason="visit missed")
        day = planned_day + _shift(rules.window, dice("visit day", visit))
        if day < earliest:
            day = earliest
            reasons.append("moved on by the dose before")
    day = max(day, 0.0)
    if (end := _stopped(start, rules, findings, day)) is not None:
        return end
    share, status = 1.0, GIVEN
    if override is None:
        held = _hold(rules.hold, findings, day)
        if held is None:
            why = f"neutrophils below {rules.hold.anc_below:g} /uL for {rules.hold.at_most:g} d"
            return start._replace(status=HELD, reason=why)
        if held:
            reasons.append(f"held {held:g} d: neutrophils below {rules.hold.anc_below:g} /uL")
            day, status = day + held, DELAYED
            if (end := _stopped(start, rules, findings, day)) is not None:
                return end
            if held > rules.reduce_after:
                share, status = rules.reduce_to, REDUCED
                reasons.append(f"reduced to {100 * share:g} %")
    elif override.amount is not None:
        if override.amount == 0.0:
            return start._replace(status=HELD, reason=override.reason)
        share = override.amount / dose.amount if dose.amount else 1.0
        status = REDUCED if share < 1.0 else GIVEN
    capped = _capped(dose, rules, findings.weight(day))
    if capped < 1.0:
        reasons.append(f"dosed as {rules.weight_cap:g} kg")
    given = dose.amount * share * capped
    return start._replace(day=day, given=given, status=status, reason="; ".join(reasons))


def _shift(window: float, uniform: float) -> float:
    """Whole days by which a visit is early or late: uniform over the window."""
    most = math.floor(window)
    return float(math.floor(uniform * (2 * most + 1)) - most)


def _hold(hold: Hold, findings: Findings, day: float) -> float | None:
    """Days until neutrophils allow a dose; None where they do not within the time allowed.

    Neutrophils that nobody measured hold no dose.
    """
    waited = 0.0
    while waited <= hold.at_most:
        anc = findings.anc(day + waited)
        if anc is None or anc >= hold.anc_below:
            return waited
        waited += hold.recheck
    return None


def _stopped(start: Given, rules: Rules, findings: Findings, day: float) -> Given | None:
    """The dose that is not given because treatment stopped by then."""
    for reason in STOPS:
        if reason in rules.stops and findings.stops.get(reason, math.inf) <= day:
            when = f"day {findings.stops[reason]:.0f}"
            return start._replace(status=STOPPED, reason=f"{_WORDS[reason]} on {when}")
    return None


_WORDS = {"death": "death", "dlt": "DLT", "progression": "progression", "withdrawal": "withdrawal"}


def _capped(dose: Dose, rules: Rules, weight: float) -> float:
    """Share of a dose per kg that the weight cap leaves."""
    if rules.weight_cap is None or not dose.unit.endswith("/kg"):
        return 1.0
    return min(1.0, rules.weight_cap / weight)


def _check(plan: Sequence[Dose], rules: Rules, overrides: Mapping[int, Override]) -> None:
    for drug in {dose.drug for dose in plan}:
        times = [dose.time / 24.0 for dose in plan if dose.drug == drug]
        for gap in (b - a for a, b in zip(times, times[1:], strict=False)):
            if 0.0 < gap <= 2.0 * rules.window:
                raise InputError(
                    f"A window of ±{rules.window:g} d lets visits {gap:g} d apart change places.",
                    "Give less than half of the time between doses.",
                )
    numbers = {dose.number for dose in plan}
    for number, override in overrides.items():
        if number not in numbers:
            raise InputError(
                f"An override is for dose {number}; the plan has {len(numbers)} doses.",
                "Give the number of a planned dose, counted from 1.",
            )
        if override.amount is not None and override.amount < 0.0:
            raise InputError(f"Dose {number} is overridden by {override.amount:g}.", "Give 0 or more.")
        if override.day is not None and override.day < 0.0:
            raise InputError(f"Dose {number} is moved to day {override.day:g}.", "Give day 0 or later.")


def doses(given: Sequence[Given]) -> tuple[Dose, ...]:
    """The doses that were given, as a regimen holds them: numbered in order of time, hours."""
    some = sorted((one for one in given if one.given > 0.0), key=lambda one: (one.day, one.number))
    return tuple(
        Dose(number, one.drug, 24.0 * one.day, one.given, one.unit, one.duration)
        for number, one in enumerate(some, start=1)
    )


def relative_dose_intensity(given: Sequence[Given], interval: float) -> float:
    """Dose per time that was given over that planned (Hryniuk & Bush 1984, PMID 6382556).

    The planned time runs one interval (d) beyond the last planned dose; the real one from the first dose
    to the same point, or one interval beyond the last dose where that is later.  NaN without a plan.
    """
    planned = sum(one.planned for one in given)
    if not planned:
        return math.nan
    days = [one.day for one in given if one.given > 0.0]
    if not days:
        return 0.0
    first, last = min(one.planned_day for one in given), max(one.planned_day for one in given)
    time = max(max(days) - min(days), last - first) + interval
    return sum(one.given for one in given) / time / (planned / (last - first + interval))


def table(patient: int, given: Sequence[Given]) -> list[dict[str, object]]:
    """The exposure listing of one patient: a row a planned dose."""
    return [{"patient": patient, **one._asdict()} for one in given]
