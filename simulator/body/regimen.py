"""What is given when: shorthands, events and CSV files, expanded into doses.

A regimen is data.  It explains itself as a calendar before anything runs.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..base import units
from ..base.errors import InputError, Location, Problem, did_you_mean
from . import nonmem
from .course import Course, Dose, Drugs, collecting, day, expand, measure, resolve

__all__ = ["Dose", "Regimen", "parse"]

Keys = tuple[str | int, ...]
Locate = Callable[[Keys], Location | None]

_EXAMPLE = "Write e.g. {drug: msc, time: 4 d, amount: 2e8 cells, duration: 1 h}."
_HELP = (
    "Write AMOUNT DRUG [q<N>d x<N>] [from <N> d], as in '2e6 cells/kg msc q21d x6'; a list of these and of "
    "events {drug: msc, time: 4 d, amount: 2e8 cells}; or the name of a .csv file."
)
_SHORTHAND = re.compile(
    r"(?P<number>[+-]?[\d.]++(?:[eE][+-]?\d++)?+)\s*+(?P<unit>\S+)\s+(?P<total>total\s+)?(?P<drug>\S+)(?P<rest>.*)"
)
_REST = re.compile(
    r"(?:\s+q(?P<every>\d+\.?\d*)(?P<unit>[a-z]+))?(?:\s+x(?P<count>\d{1,9}))?(?:\s+from\s+(?P<start>\S.*))?\s*"
)
_EVENT = ("drug", "time", "amount", "duration")


@dataclass(frozen=True)
class Regimen:
    """The doses of one arm, in order of time."""

    doses: tuple[Dose, ...] = ()

    def absolute(self, weight_kg: float) -> tuple[Dose, ...]:
        """The doses in cells or mg, for a body of `weight_kg`."""
        return tuple(
            dose._replace(amount=dose.amount * weight_kg, unit=dose.unit.removesuffix("/kg"))
            if dose.unit.endswith("/kg")
            else dose
            for dose in self.doses
        )

    def times(self) -> tuple[float, ...]:
        """When doses start, hours from day 0, ascending, each time once."""
        return tuple(sorted({dose.time for dose in self.doses}))

    def total(self, drug: str) -> dict[str, float]:
        """What is given of `drug` in all, by unit."""
        totals: dict[str, float] = {}
        for dose in self.doses:
            if dose.drug == drug:
                totals[dose.unit] = totals.get(dose.unit, 0.0) + dose.amount
        return totals

    def canonical(self) -> list[list[str | float]]:
        """The doses as plain lists (drug, time, amount, unit, duration): equal for equal regimens."""
        return [[dose.drug, dose.time, dose.amount, dose.unit, dose.duration] for dose in self.doses]

    def calendar(self, duration_h: float) -> str:
        """The doses in words, a line for each run of equal doses, then the time left after the last."""
        if not self.doses:
            return "No doses."
        groups: dict[tuple[str, float, str, float], list[Dose]] = {}
        for dose in self.doses:
            groups.setdefault((dose.drug, dose.amount, dose.unit, dose.duration), []).append(dose)
        lines = [_line(group) for group in groups.values()]
        last = self.doses[-1].time
        lines.append(
            f"The last dose is on day {day(last)}, {day(duration_h - last)} d before the end "
            f"on day {day(duration_h)}."
        )
        return "\n".join(lines)


def _line(doses: Sequence[Dose]) -> str:
    """Equal doses in words: how many, of what, when, how much in all."""
    first, number = doses[0], len(doses)
    gaps = {round(b.time - a.time, 6) for a, b in zip(doses, doses[1:], strict=False)}
    days = [day(dose.time) for dose in doses]
    if number > 12:
        days = [*days[:3], "…", days[-1]]
    when = f"day{'s' if number > 1 else ''} {', '.join(days)}"
    if number > 2 and len(gaps) == 1 and 0.0 not in gaps:
        when = f"every {day(gaps.pop())} d: {when}"
    speed = f"over {units.format(first.duration, 'h')}" if first.duration else "as a bolus"
    text = f"{first.drug}: {number} × {units.format(first.amount, first.unit)} {speed}, {when}"
    return f"{text}; {units.format(number * first.amount, first.unit)} in all." if number > 1 else f"{text}."


def parse(
    raw: Any,
    drugs: Drugs,
    duration_h: float,
    locate: Locate | None = None,
    folder: str | Path | None = None,
) -> Regimen:
    """Read what a user wrote under `doses:`.

    raw : None, a shorthand, the name of a CSV file (read from `folder`), an event, or a list of these.
    duration_h : length of the run; doses lie in [0, duration_h).
    locate : where a path inside `raw` stands, e.g. () or (2, "time"); for messages.
    Raises InputError with every problem found.
    """
    if raw is None or (isinstance(raw, Mapping | list | tuple) and not raw):
        return Regimen()
    items: list[tuple[Keys, Any]] = [((), raw)]
    if isinstance(raw, list | tuple):
        items = [((i,), item) for i, item in enumerate(raw)]
    problems: list[Problem] = []
    courses: list[Course] = []
    for path, item in items:
        place = partial(_place, locate, path)
        with collecting(problems, place(())):
            courses += _courses(item, drugs, place, Path(folder or "."))
    doses: tuple[Dose, ...] = ()
    with collecting(problems, None):
        doses = expand(courses, drugs, duration_h)
    if problems:
        raise InputError(problems)
    return Regimen(doses)


def _place(locate: Locate | None, path: Keys, key: Keys) -> Location | None:
    return locate((*path, *key)) if locate is not None else None


def _courses(item: Any, drugs: Drugs, locate: Locate, folder: Path) -> list[Course]:
    """What one item of the list orders."""
    if isinstance(item, Mapping):
        if "csv" not in item:
            return [_event(item, drugs, locate)]
        if len(item) > 1:
            raise InputError("A CSV file of doses takes no other keys.", "Write {csv: FILE}.")
        item = item["csv"]
        if isinstance(item, str):
            return nonmem.read(folder / item, drugs)
    elif isinstance(item, str):
        if item.strip().lower().endswith(".csv"):
            return nonmem.read(folder / item.strip(), drugs)
        return [_shorthand(item, drugs, locate(()))]
    raise InputError(f"'{item}' is no dose.", _HELP)


def _shorthand(text: str, drugs: Drugs, where: Location | None) -> Course:
    found = _SHORTHAND.fullmatch(text.strip())
    if found is None:
        raise InputError(f"'{text}' is no dose.", _HELP)
    if found["unit"] in (*drugs, "msc"):
        raise InputError(f"The amount {found['number']} in '{text}' has no unit.", _HELP)
    drug = resolve(found["drug"], drugs)
    amount, unit = measure(f"{found['number']} {found['unit']}", drug, drugs)
    rest = _REST.fullmatch(found["rest"])
    if rest is None:
        raise InputError(f"'{found['rest'].strip()}' is not understood in '{text}'.", _HELP)
    count = int(rest["count"] or 1)
    if count < 1:
        raise InputError(f"x0 in '{text}' gives no dose.", "Give x1 or more, or leave the dose out.")
    every = 0.0
    if rest["every"]:
        spoken = "wk" if rest["unit"] == "w" else rest["unit"]  # q3w, as protocols write it
        every = units.value(f"{rest['every']} {spoken}", "h")
        if rest["count"] is None or every <= 0.0:
            problem = "does not say how many doses." if every else "has an interval of zero."
            raise InputError(f"'{text}' {problem}", "Write e.g. 'q21d x6'.")
    elif count > 1:
        raise InputError(f"'{text}' does not say how long between doses.", f"Write e.g. 'q21d x{count}'.")
    start = units.value(rest["start"], "h") if rest["start"] else 0.0
    return Course(drug, amount / count if found["total"] else amount, unit, start, every, count, None, where)


def _event(item: Mapping, drugs: Drugs, locate: Locate) -> Course:
    problems = [
        Problem(f"'{key}' is no key of a dosing event.", did_you_mean(str(key), _EVENT), locate((key,)))
        for key in item
        if key not in _EVENT
    ]
    problems += [
        Problem(f"A dosing event needs '{key}'.", _EXAMPLE, locate(()))
        for key in _EVENT[:3]
        if key not in item
    ]
    if problems:
        raise InputError(problems)
    drug, amount, unit, start, duration = "", 0.0, "", 0.0, None
    with collecting(problems, locate(("drug",))):
        drug = resolve(item["drug"], drugs)
    if drug:
        with collecting(problems, locate(("amount",))):
            amount, unit = measure(item["amount"], drug, drugs)
    with collecting(problems, locate(("time",))):
        start = units.value(item["time"], "h")
    if "duration" in item:
        with collecting(problems, locate(("duration",))):
            duration = units.value(item["duration"], "h")
            if duration < 0:
                raise InputError(f"'{item['duration']}' is a negative duration.", "Give 0 h or more.")
    if problems:
        raise InputError(problems)
    return Course(drug, amount, unit, start, 0.0, 1, duration, locate(("time",)))
