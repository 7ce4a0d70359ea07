"""What one patient's file says of single doses: a CSV with NONMEM names.

| column | holds |
|---|---|
| ID | the patient, as numbered in the trial |
| DOSE | the number of the planned dose, from 1 |
| TIME | the whole day on which it is given instead; empty: as planned |
| AMT | cells/kg that are given instead, 0 to leave it out; empty: as planned |
| REASON | why |
"""

import csv
import math
from pathlib import Path

from ..base.errors import InputError, Location, Problem, did_you_mean
from .dosing import Override

COLUMNS = ("ID", "DOSE", "TIME", "AMT", "REASON")
_NEEDED = ("ID", "DOSE", "REASON")
_LARGEST = 1_000_000  # bytes


def read(path: Path, patients: int, doses: int) -> dict[int, dict[int, Override]]:
    """Overrides by patient and number of the dose; raises InputError with every problem, each at its line."""
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} holds more than 1 MB.", "Give a table of overrides.")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {path}: {error}", "Give a CSV file.") from error
    rows = csv.reader(lines)
    head = [name.strip() for name in next(rows, [])]
    top = Location(str(path), 1, 1)
    problems = [
        Problem(f"There is no column '{name}' in overrides.", did_you_mean(name, COLUMNS), top)
        for name in head
        if name not in COLUMNS
    ]
    problems += [
        Problem(f"The column {name} is missing.", f"Columns: {', '.join(COLUMNS)}.", top)
        for name in _NEEDED
        if name not in head
    ]
    if problems:
        raise InputError(problems)
    found: dict[int, dict[int, Override]] = {}
    for line, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        where = Location(str(path), line, 1, lines[line - 1])
        row = dict(zip(head, (cell.strip() for cell in cells), strict=False))
        try:
            patient, number = _whole(row, "ID", patients), _whole(row, "DOSE", doses)
            if number in found.get(patient, {}):
                raise InputError(f"Dose {number} of patient {patient} is overridden twice.")
            found.setdefault(patient, {})[number] = Override(
                row.get("REASON") or "override", _day(row), _number(row, "AMT")
            )
        except InputError as error:
            problems += [Problem(each.what, each.help, where) for each in error.problems]
    if problems:
        raise InputError(problems)
    return found


def _day(row: dict[str, str]) -> float | None:
    day = _number(row, "TIME")
    if day is not None and not day.is_integer():
        raise InputError(f"TIME is {row['TIME']}.", "Give a whole day.")
    return day


def _number(row: dict[str, str], name: str) -> float | None:
    text = row.get(name, "")
    if text in ("", "."):
        return None
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{name} '{text}' is not a number.") from None
    if not (math.isfinite(value) and value >= 0.0):
        raise InputError(f"{name} is {text}.", "Give 0 or more.")
    return value


def _whole(row: dict[str, str], name: str, most: int) -> int:
    value = _number(row, name)
    if value is None or not value.is_integer() or not 1 <= value <= most:
        raise InputError(f"{name} is '{row.get(name, '')}'.", f"Give a whole number from 1 to {most}.")
    return int(value)
