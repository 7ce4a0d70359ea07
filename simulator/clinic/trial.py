"""The trial: cohorts by an escalation design, a choice, and the rest at the dose that was chosen.

It knows no simulation: `treat` turns who is given what into what became of them, all of a call at once.
Trial days count from the first dose of the first patient; a patient's own days from his or her first visit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..base.errors import InputError
from .designs.history import COMPLETE, NO_DOSE, STOP, Choice, Cohort, Followed
from .endpoints import OBJECTIVE
from .population import Enrollment, Patient
from .protocol import Protocol
from .treated import Treated

EXPANSION = 0  # the number of the cohort of those who are treated at the chosen dose


class Slot(NamedTuple):
    """One patient on the trial: the cohort (0: expansion), the level, the trial day of the first visit."""

    treated: Treated
    cohort: int
    start: float


@dataclass
class Trial:
    """A trial as it went.

    slots : in the order they were treated; history : what the escalation was decided by; decisions : a row
    a decision; choice : after the escalation; final : at the end of all follow-up; stopped : why the
    expansion ended early, '' where it did not.
    """

    protocol: Protocol
    seed: int
    enrollment: Enrollment
    slots: list[Slot] = field(default_factory=list)
    history: list[Cohort] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    choice: Choice = Choice(NO_DOSE, "", ())
    final: Choice = Choice(NO_DOSE, "", ())
    stopped: str = ""

    @property
    def treated(self) -> list[Treated]:
        """Everybody treated."""
        return [slot.treated for slot in self.slots]

    def at(self, level: int) -> list[Slot]:
        """Everybody treated at a level."""
        return [slot for slot in self.slots if slot.treated.level == level]


Treat = Callable[[Sequence[tuple[Patient, int]]], Sequence[Treated]]


def run(protocol: Protocol, seed: int, treat: Treat) -> Trial:
    """Screen, escalate, choose, expand.

    treat : (patient, level) of those who are treated together to what became of each, in that order.
    Raises InputError where nobody is eligible.
    """
    enrollment = protocol.population.enroll(protocol.rules, protocol.treatment.patients, seed)
    trial = Trial(protocol, seed, enrollment)
    day = _escalate(trial, treat)
    trial.choice = protocol.design.choose(trial.history, _followed(trial, day))
    if trial.choice.level != NO_DOSE:
        _expand(trial, treat, day)
    trial.final = protocol.design.choose(trial.history, _followed(trial, None))
    used = len(trial.slots)
    trial.enrollment = Enrollment(
        enrollment.patients[:used], tuple(one for one in enrollment.log if one.slot <= used)
    )
    return trial


def _escalate(trial: Trial, treat: Treat) -> float:
    """Cohort after cohort until the design ends; returns the trial day of the last decision."""
    protocol, day = trial.protocol, 0.0
    while True:
        decision = protocol.design.decide(trial.history)
        left = protocol.treatment.patients - len(trial.slots)
        trial.decisions.append(
            {"day": day, "action": decision.action, "level": decision.level, "reason": decision.reason}
        )
        if decision.action in (COMPLETE, STOP) or not left:
            return day
        size = min(protocol.design.cohort_size, left)
        number = len(trial.history) + 1
        day, members = _cohort(trial, treat, decision.level, number, size, day)
        counted = [slot for slot in members if _evaluable(slot, protocol, day)]
        if not counted:
            raise InputError(
                f"Nobody of cohort {number} could be evaluated, and nobody is left to replace them.",
                "Give the trial more patients, or a shorter `decide_after`.",
            )
        trial.history.append(
            Cohort(
                decision.level,
                len(counted),
                sum(_has_dlt(slot, protocol, day) for slot in counted),
                sum(_responds(slot, day) for slot in counted),
            )
        )


def _cohort(
    trial: Trial, treat: Treat, level: int, number: int, size: int, day: float
) -> tuple[float, list[Slot]]:
    """Treat a cohort from a trial day on, and replace those who cannot be evaluated; the day to decide."""
    protocol = trial.protocol
    members: list[Slot] = []
    wanted = size
    while wanted > 0:  # someone who was put off may count by the time the replacement does
        people = trial.enrollment.patients[len(trial.slots) : len(trial.slots) + wanted]
        starts = protocol.conduct.starts(day, len(people))
        treated = treat([(patient, level) for patient in people])
        slots = [Slot(one, number, start) for one, start in zip(treated, starts, strict=True)]
        members += slots
        trial.slots += slots
        day = max((slot.start for slot in slots), default=day) + protocol.dlt.decide_after
        if protocol.dlt.decide_after < protocol.conduct.accrual:
            day += protocol.conduct.accrual - protocol.dlt.decide_after
        missing = size - sum(_evaluable(slot, protocol, day) for slot in members)
        wanted = min(missing, protocol.treatment.patients - len(trial.slots))
    return day, members


def _expand(trial: Trial, treat: Treat, day: float) -> None:
    """Treat the rest at the chosen level, one after another, until all are treated or it is too toxic.

    The risk is looked at before each patient, by what is known by then.  All are simulated at once: what
    one is given never depends on the others.
    """
    protocol, level = trial.protocol, trial.choice.level
    people = trial.enrollment.patients[len(trial.slots) :]
    treated = treat([(patient, level) for patient in people]) if people else []
    for number, one in enumerate(treated):
        start = day + number * protocol.conduct.accrual
        known = [slot for slot in trial.at(level) if _evaluable(slot, protocol, start)]
        dlts = sum(_has_dlt(slot, protocol, start) for slot in known)
        if protocol.expansion.stops(dlts, len(known)):
            risk = protocol.expansion.exceeds(dlts, len(known))
            trial.stopped = (
                f"{dlts} of {len(known)} patients had a DLT at level {level}: the risk exceeds "
                f"{100 * protocol.expansion.limit:g} % with probability {risk:.2f}."
            )
            break
        trial.slots.append(Slot(one, EXPANSION, start))
    last = max((slot.start for slot in trial.slots), default=day)
    action = STOP if trial.stopped else COMPLETE
    reason = trial.stopped or f"All {len(trial.slots)} patients of the trial are treated."
    trial.decisions.append({"day": last, "action": action, "level": level, "reason": reason})


def _followed(trial: Trial, day: float | None) -> list[Followed]:
    """Every dosed patient as the final choice sees them on a trial day (None: after all follow-up)."""
    found = []
    for slot in trial.slots:
        seen = slot.treated.dlt(trial.protocol, *(() if day is None else (day - slot.start,)))
        if slot.treated.first_dose is not None:
            response = _responds(slot, day)
            found.append(Followed(slot.treated.level, seen.dlt is not None, seen.weight, response))
    return found


def _evaluable(slot: Slot, protocol: Protocol, day: float) -> bool:
    return slot.treated.dlt(protocol, day - slot.start).evaluable


def _has_dlt(slot: Slot, protocol: Protocol, day: float) -> bool:
    return slot.treated.dlt(protocol, day - slot.start).dlt is not None


def _responds(slot: Slot, day: float | None) -> bool:
    """Whether a scan by a trial day (None: any) showed a response."""
    return any(
        visit.overall in OBJECTIVE and (day is None or visit.day <= day - slot.start)
        for visit in slot.treated.outcome.responses
    )
