"""Doses, and courses of equal doses: checked against the drugs at hand and the length of the run."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from ..base import units
from ..base.errors import InputError, Location, Problem, did_you_mean
from ..config.host_schema import Antibody, CellProduct

Drugs = Mapping[str, Antibody | CellProduct]

_MOST = 10_000  # doses of a regimen; more is a slip of the pen that would fill the memory


class Dose(NamedTuple):
    """One dose.  `number` counts from 1 in order of time; `time` and `duration` are hours from day 0.

    unit : "cells", "cells/kg", "mg" or "mg/kg".
    """

    number: int
    drug: str
    time: float
    amount: float
    unit: str
    duration: float


class Course(NamedTuple):
    """Equal doses of one drug, `every` h from `start` h on; `duration` (h) None is the drug's own."""

    drug: str
    amount: float
    unit: str
    start: float
    every: float
    doses: int
    duration: float | None
    where: Location | None


@contextmanager
def collecting(problems: list[Problem], where: Location | None) -> Iterator[None]:
    """Keep the problems of an InputError raised inside, placed at `where` unless they have a place."""
    try:
        yield
    except InputError as error:
        problems += [replace(problem, where=problem.where or where) for problem in error.problems]


def resolve(name: Any, drugs: Drugs) -> str:
    """The drug that `name` means; 'msc' is the one cell product, where there is exactly one.

    Raises InputError naming the nearest drug.
    """
    if isinstance(name, str) and name in drugs:
        return str(name)
    products = sorted(drug for drug in drugs if isinstance(drugs[drug], CellProduct))
    if name == "msc":
        if len(products) == 1:
            return products[0]
        found = f"it has {', '.join(products)}." if products else "it has none."
        raise InputError(
            f"'msc' stands for the one cell product of an experiment; {found}",
            "Name the product." if products else "Add a cell product to `use:`.",
        )
    hint = did_you_mean(str(name), [*drugs, "msc"] if len(products) == 1 else drugs)
    raise InputError(f"'{name}' is no drug of this experiment.", hint or "Add a drug to `use:`.")


def measure(text: Any, drug: str, drugs: Drugs) -> tuple[float, str]:
    """An amount such as '2e6 cells/kg' as (number, unit), in one of the two units the drug is given in.

    Raises InputError where the unit does not suit the drug or the amount is negative.
    """
    cells = isinstance(drugs[drug], CellProduct)
    allowed = ("cells", "cells/kg") if cells else ("mg", "mg/kg")
    dimension = units.parse(text).dimension
    for unit in allowed:
        if dimension == units.dimension(unit):
            amount = units.value(text, unit)
            if amount < 0:
                raise InputError(f"'{text}' is a negative amount.", "Give 0 or more.")
            return amount, unit
    example = "2e6" if cells else "2"
    raise InputError(
        f"'{text}' is no amount of '{drug}', which is given in {allowed[0]} or {allowed[1]}.",
        f"Write e.g. '{example} {allowed[1]}'.",
    )


def expand(courses: Sequence[Course], drugs: Drugs, duration_h: float) -> tuple[Dose, ...]:
    """Every dose, in order of time, drug and writing, numbered from 1.

    Raises InputError with each course that leaves the time from day 0 to `duration_h`.
    """
    problems = [problem for course in courses if (problem := _problem(course, duration_h))]
    number = sum(course.doses for course in courses)
    if number > _MOST and not problems:
        problems.append(Problem(f"The regimen has {number} doses; at most {_MOST} are possible."))
    if problems:
        raise InputError(problems)
    rows = [
        (course.start + k * course.every, course.drug, order, course)
        for order, course in enumerate(courses)
        for k in range(course.doses)
    ]
    rows.sort(key=lambda row: row[:3])
    return tuple(
        Dose(number, drug, time, course.amount, course.unit, _duration(course, drugs))
        for number, (time, drug, _, course) in enumerate(rows, start=1)
    )


def _duration(course: Course, drugs: Drugs) -> float:
    return drugs[course.drug].infusion if course.duration is None else course.duration


def _problem(course: Course, duration_h: float) -> Problem | None:
    """What is wrong with the times of a course, if anything."""
    if course.doses < 1:
        return Problem("A course of no doses.", "Give x1 or more, or leave the course out.", course.where)
    if course.start < 0:
        return Problem(
            f"A dose of '{course.drug}' on day {day(course.start)} comes before day 0.",
            "Doses count from day 0, the end of the burn-in.",
            course.where,
        )
    if course.start >= duration_h:
        return Problem(
            f"A dose of '{course.drug}' on day {day(course.start)} comes at or after the end of the run "
            f"(day {day(duration_h)}).",
            "Give it earlier, or lengthen `duration`.",
            course.where,
        )
    if course.start + (course.doses - 1) * course.every >= duration_h:
        fitting = max(1, math.ceil((duration_h - course.start) / course.every))
        return Problem(
            f"Dose {fitting + 1} of {course.doses} of '{course.drug}', on day "
            f"{day(course.start + fitting * course.every)}, comes at or after the end of the run "
            f"(day {day(duration_h)}).",
            f"At most x{fitting} fits: give fewer, or lengthen `duration`.",
            course.where,
        )
    return None


def day(hours: float) -> str:
    """A time in days, as short as it can be written to six digits."""
    return f"{hours / 24.0:.6g}"
