"""From the course of a patient's tumor to what a trial sees of it: scans, events, end of follow-up."""

from typing import NamedTuple

import numpy as np

from . import events, scans
from .course import Course
from .dice import PatientDice
from .lesions import MM, LesionTable, choose_targets
from .policy import Hazards, Policy, ReadingError, ScanCalendar


class Followed(NamedTuple):
    """What was seen of a patient: the readings, what befell, and the last day of follow-up."""

    table: LesionTable
    events: events.Events
    end: float


class Protocol(NamedTuple):
    """The rules of a trial about scans, responses and what befalls its patients."""

    policy: Policy = Policy()
    calendar: ScanCalendar = ScanCalendar()
    hazards: Hazards = Hazards()
    error: ReadingError | None = None


def notes(protocol: Protocol) -> list[str]:
    """What in these rules will surprise a reader of the results, in sentences for the synopsis."""
    calendar, latest = protocol.calendar, protocol.policy.irecist_window_days[1]
    apart = calendar.every_days + 2.0 * calendar.window_days
    if apart <= latest:
        return []
    return [
        f"Scans come up to {apart:g} d apart, but iRECIST confirms only up to {latest:g} d after an "
        "unconfirmed progression: what the next scan shows later stays unconfirmed. A window of "
        f"[{protocol.policy.irecist_window_days[0]:g}, {apart:g}] would reach it."
    ]


def follow(course: Course, ecog: int, protocol: Protocol, dice: PatientDice) -> Followed:
    """Follow a patient until death or the course's end; scans stop at clinical progression.

    course : known from the baseline scan on.  ecog : 0–4, at baseline.
    """
    baseline = np.rint(course.at(protocol.calendar.baseline_day) * MM)
    targets = list(choose_targets(course.lesions, baseline, protocol.policy))
    sld = course.mm[:, targets].sum(axis=1)
    befell = events.draw(course, sld, ecog, protocol.hazards, dice)
    end = min(day for day in (befell.death, course.end) if day is not None)
    last = end if befell.clinical_progression is None else min(end, befell.clinical_progression)
    seen = scans.with_new_lesions(course, befell.new_lesions, protocol.hazards)
    table = scans.scan(seen, protocol.calendar, last, dice, protocol.error)
    return Followed(table, befell, end)
