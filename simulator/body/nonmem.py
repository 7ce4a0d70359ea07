"""Dosing events from a CSV with NONMEM names; TIME, II and TINF in days, RATE per day.

| column | holds |
|---|---|
| TIME | days from day 0 |
| AMT, AMTU | amount and its unit: cells or cells/kg, mg or mg/kg (without AMTU: cells, mg) |
| CMT | the drug |
| EVID | 1 a dose; 0 and 2 are skipped; without the column every row is a dose |
| ADDL, II | how many *additional* doses, and the interval between them |
| RATE or TINF | the infusion's rate or length; 0 a bolus, empty the drug's own infusion time |
| ID, ARM | may stand there, with one value throughout: a file doses one arm |
"""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..base.errors import InputError, Location, Problem, did_you_mean
from ..config.host_schema import CellProduct
from .course import Course, Drugs, collecting, measure, resolve

_NEEDED = ("TIME", "AMT", "CMT")
_COLUMNS = (*_NEEDED, "AMTU", "EVID", "II", "ADDL", "RATE", "TINF", "ID", "ARM")
_LARGEST = 1_000_000  # bytes
_LABELS = ("ID", "ARM")


class _Row:
    """One line of the file: cells by column, and their places."""

    def __init__(self, file: str, line: int, text: str, cells: Mapping[str, str]):
        self.file, self.line, self.text, self.cells = file, line, text, cells

    def where(self, column: str = "") -> Location:
        position = 1
        if column and '"' not in self.text:
            before = list(self.cells).index(column)
            position += sum(len(cell) + 1 for cell in self.text.split(",")[:before])
        return Location(self.file, self.line, position, self.text)

    def error(self, column: str, what: str, help: str = "") -> InputError:
        return InputError(Problem(what, help, self.where(column)))

    def label(self, column: str) -> str:
        """The text of a cell; '' where it is missing ('.' in NONMEM)."""
        text = self.cells.get(column, "").strip()
        return "" if text == "." else text

    def number(self, column: str) -> float | None:
        """The number in a cell, None where it is missing."""
        text = self.label(column)
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            raise self.error(column, f"{column} '{text}' is not a number.") from None
        if not math.isfinite(number):
            raise self.error(column, f"{column} {text} is not finite.")
        return number

    def whole(self, column: str) -> int | None:
        """The whole number in a cell, None where it is missing."""
        number = self.number(column)
        if number is not None and not number.is_integer():
            raise self.error(column, f"{column} {number:g} is not a whole number.")
        return None if number is None else int(number)


def read(path: Path, drugs: Drugs) -> list[Course]:
    """The doses that a CSV file orders; raises InputError with every problem, each at file:line."""
    rows = _rows(path)
    courses: list[Course] = []
    problems: list[Problem] = []
    for row in rows:
        with collecting(problems, row.where()):
            if _is_dose(row):
                courses.append(_course(row, drugs))
    for column in _LABELS:
        odd = [row for row in rows if row.label(column) != rows[0].label(column)]
        if odd:
            what = f"{column} changes from '{rows[0].label(column)}' to '{odd[0].label(column)}'."
            problems.append(
                Problem(what, "A file doses one arm: write a file for each.", odd[0].where(column))
            )
    if not courses and not problems:
        problems.append(Problem(f"{path} orders no dose.", "A dose is a row with EVID 1."))
    if problems:
        raise InputError(problems)
    return courses


def _rows(path: Path) -> list[_Row]:
    lines = _text(path).splitlines()
    parsed = [(number, text) for number, text in enumerate(lines, start=1) if text.strip()]
    if not parsed:
        raise InputError(f"{path} is empty.", f"Begin with a line of columns: {', '.join(_NEEDED)} …")
    (line, header), body = parsed[0], parsed[1:]
    names = [name.strip().upper() for name in _cells(header)]
    problems = list(_header_problems(names, Location(str(path), line, 1, header)))
    rows = []
    for number, text in body:
        cells = _cells(text)
        if len(cells) != len(names):
            what = f"{len(cells)} cells under {len(names)} columns."
            problems.append(Problem(what, where=Location(str(path), number, 1, text)))
        rows.append(_Row(str(path), number, text, dict(zip(names, cells, strict=False))))
    if problems:
        raise InputError(problems)
    return rows


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} is larger than a dosing file can be (1 MB).")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}.", "Give the path of a CSV file."
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text.", "Save it as CSV in UTF-8.") from None


def _cells(line: str) -> list[str]:
    return next(csv.reader([line]))


def _header_problems(names: list[str], where: Location) -> Iterator[Problem]:
    for name in names:
        if name == "SS":
            yield Problem(
                "SS (steady state) is not possible here.", "Write the doses that lead to it.", where
            )
        elif name not in _COLUMNS:
            hint = did_you_mean(name, _COLUMNS)
            yield Problem(f"'{name}' is no column of a dosing file.", hint, where)
        elif names.count(name) > 1:
            yield Problem(f"The column {name} stands there {names.count(name)} times.", where=where)
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        yield Problem(f"The column {missing[0]} is missing.", f"Needed: {', '.join(_NEEDED)}.", where)
    if "RATE" in names and "TINF" in names:
        yield Problem("RATE and TINF both give the length of an infusion.", "Keep one of them.", where)


def _is_dose(row: _Row) -> bool:
    if "EVID" not in row.cells:
        return True
    kind = row.whole("EVID")
    if kind not in (0, 1, 2):
        given = "is empty" if kind is None else f"{kind} is not possible here"
        raise row.error("EVID", f"EVID {given}.", "Give 1 for a dose; 0 and 2 are skipped.")
    return kind == 1


def _course(row: _Row, drugs: Drugs) -> Course:
    time, amount = row.number("TIME"), row.number("AMT")
    if time is None or amount is None:
        column = "TIME" if time is None else "AMT"
        raise row.error(column, f"{column} is empty.", "A dose needs TIME, AMT and CMT.")
    problems: list[Problem] = []
    with collecting(problems, row.where("CMT")):
        drug = resolve(row.label("CMT"), drugs)
    if problems:
        raise InputError(problems)
    unit = row.label("AMTU") or ("cells" if isinstance(drugs[drug], CellProduct) else "mg")
    with collecting(problems, row.where("AMTU" if row.label("AMTU") else "AMT")):
        amount, unit = measure(f"{row.label('AMT')} {unit}", drug, drugs)
    with collecting(problems, row.where()):
        additional, interval = _repeats(row)
    with collecting(problems, row.where()):
        duration = _duration(row)
    if problems:
        raise InputError(problems)
    return Course(drug, amount, unit, 24.0 * time, 24.0 * interval, 1 + additional, duration, row.where())


def _repeats(row: _Row) -> tuple[int, float]:
    """Additional doses and the days between them."""
    additional, interval = row.whole("ADDL") or 0, row.number("II") or 0.0
    if additional < 0:
        raise row.error("ADDL", f"ADDL {additional} is negative.", "It counts the doses after the first.")
    if interval < 0:
        raise row.error("II", f"II {interval:g} is negative.", "It is the interval between doses, in days.")
    if additional and not interval:
        raise row.error("ADDL", "ADDL without II: the interval is missing.", "Give II in days.")
    return additional, interval


def _duration(row: _Row) -> float | None:
    """Hours of infusion; None where the file leaves it to the drug."""
    rate, length = row.number("RATE"), row.number("TINF")
    if rate is not None and rate < 0:
        raise row.error(
            "RATE", f"RATE {rate:g} is not possible here.", "Give an amount per day, or use TINF."
        )
    if length is not None and length < 0:
        raise row.error("TINF", f"TINF {length:g} is negative.", "Give the length of the infusion in days.")
    if rate is None:
        return None if length is None else 24.0 * length
    duration = 24.0 * (row.number("AMT") or 0.0) / rate if rate else 0.0
    if not math.isfinite(duration):
        raise row.error("RATE", f"RATE {rate:g} makes an infusion without end.", "Give an amount per day.")
    return duration
