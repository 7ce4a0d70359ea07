"""Scans: when a patient is scanned, and what the reader writes into the lesion table."""

from collections.abc import Sequence

import numpy as np

from .course import ABSENT_MM, Course
from .dice import Dice, normal
from .lesions import (
    ABSENT,
    MEASURED,
    MM,
    NOT_EVALUATED,
    TOO_SMALL,
    TOO_SMALL_SIZE,
    Lesion,
    LesionTable,
)
from .policy import Hazards, ReadingError, ScanCalendar


def scan_days(calendar: ScanCalendar, end: float, dice: Dice) -> list[tuple[float, bool]]:
    """Day of every scan up to `end`, the baseline first, and whether it was done.

    A scan falls evenly within its window, by dice of the patient and the number of the scan.
    """
    days = [(-calendar.baseline, True)]
    number = 1
    while number * calendar.every - calendar.window <= end:
        shift = (2.0 * dice("scan window", number) - 1.0) * calendar.window
        day = number * calendar.every + shift
        if day <= end:
            days.append((day, dice("missed scan", number) >= calendar.missed))
        number += 1
    return days


def with_new_lesions(course: Course, days: Sequence[float], hazards: Hazards) -> Course:
    """The course with lesions that come on given days.

    Each comes in the organ of the largest lesion at the size at which it can be seen, and grows or
    shrinks from there as all lesions of baseline together do (source: assumed).
    """
    if not days:
        return course
    organ = course.lesions[int(course.mm[0].argmax())].organ
    grid = np.unique(np.r_[course.days, days, np.nextafter(days, -np.inf)])  # absent up to their day
    old = np.column_stack([np.interp(grid, course.days, column) for column in course.mm.T])
    whole = np.cbrt((old * old * old).sum(axis=1))
    columns, lesions = [old], list(course.lesions)
    for number, day in enumerate(days, 1):
        then = whole[np.searchsorted(grid, day)]
        size = hazards.new_lesion_size * whole / then if then > 0.0 else np.zeros(len(grid))
        columns.append(np.where(grid >= day, size, 0.0)[:, None])
        lesions.append(Lesion(f"new {number}", organ))
    return Course(tuple(lesions), grid, np.hstack(columns))


def scan(
    course: Course,
    calendar: ScanCalendar,
    end: float,
    dice: Dice,
    error: ReadingError | None = None,
) -> LesionTable:
    """Read the lesions at every scan up to `end` (death, or the day a patient leaves the study).

    A lesion under 2 mm, or without a tumor cell, is absent; one under 5 mm too small to measure.
    Reading errors are by dice of the patient, the scan and the lesion, so equal in every arm.
    """
    visits = scan_days(calendar, min(end, course.end), dice)
    state = np.full((len(visits), len(course.lesions)), NOT_EVALUATED, np.uint8)
    um = np.zeros(state.shape, np.int64)
    for v, (day, done) in enumerate(visits):
        if not done:
            continue
        for k, true in enumerate(course.at(day)):
            size = round(_read(float(true), v, k, dice, error) * MM)
            if true < ABSENT_MM:
                state[v, k] = ABSENT
            elif size < TOO_SMALL_SIZE:
                state[v, k], um[v, k] = TOO_SMALL, TOO_SMALL_SIZE
            else:
                state[v, k], um[v, k] = MEASURED, size
    return LesionTable(course.lesions, [day for day, _ in visits], state, um)


def _read(mm: float, scan: int, lesion: int, dice: Dice, error: ReadingError | None) -> float:
    """What a reader makes of a lesion of `mm`."""
    if error is None:
        return mm
    spread = float(np.hypot(error.sd, error.relative * mm))
    bias = error.reader * normal(dice("reader"))
    return mm * (1.0 + bias) + spread * normal(dice(f"reading of lesion {lesion}", scan))
