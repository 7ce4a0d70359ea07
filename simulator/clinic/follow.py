"""From the course of a patient's tumor to what a trial sees of it: scans, events, end of follow-up."""

from typing import NamedTuple

import numpy as np

from . import events, scans
from .course import Course
from .dice import Dice
from .lesions import MM, LesionTable, choose_targets
from .policy import Evaluation


class Followed(NamedTuple):
    """What was seen of a patient: the readings, what befell, and the last day of follow-up."""

    table: LesionTable
    events: events.Events
    end: float


def follow(course: Course, ecog: int, rules: Evaluation, dice: Dice, fatal: float | None = None) -> Followed:
    """Follow a patient until death or the course's end; scans stop at clinical progression.

    course : known from the baseline scan on.  ecog : 0–4, at baseline.  fatal : the day of a fatal adverse
    event, if there was one.
    """
    baseline = np.rint(course.at(-rules.scans.baseline) * MM)
    targets = list(choose_targets(course.lesions, baseline, rules.response))
    sld = course.mm[:, targets].sum(axis=1)
    befell = events.draw(course, sld, ecog, rules.hazards, dice)
    if fatal is not None and fatal < (course.end if befell.death is None else befell.death):
        befell = befell._replace(death=fatal)
    end = min(day for day in (befell.death, course.end) if day is not None)
    last = end if befell.clinical_progression is None else min(end, befell.clinical_progression)
    seen = scans.with_new_lesions(course, befell.new_lesions, rules.hazards)
    table = scans.scan(seen, rules.scans, last, dice, rules.reading_error)
    return Followed(table, befell, end)
