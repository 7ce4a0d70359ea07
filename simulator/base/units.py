"""Numbers with units as text: a small closed table, exact factors, strict dimensions.

Cells, body weight and "times a base value" are dimensions of their own, so that
mg/kg can never pass as a fraction, nor a dose per kilogram as a dose.  Factors
are exact fractions and a conversion rounds once: '0.1 mm' is 100 um, to the bit.
"""

import math
import re
from fractions import Fraction
from functools import lru_cache
from numbers import Real
from typing import NamedTuple

from .errors import InputError, did_you_mean


class Dimension(NamedTuple):
    """Exponents over the base dimensions; all zero is a plain number.

    Base units: um, h, g, molecule, cell, mmHg, kg of body weight, times.
    """

    length: int = 0
    time: int = 0
    mass: int = 0
    amount: int = 0
    cells: int = 0
    pressure: int = 0
    body: int = 0
    times: int = 0


class Quantity(NamedTuple):
    """A number as written, the dimension of its unit, and the unit's factor to base units."""

    number: Fraction
    dimension: Dimension
    factor: Fraction


NUMBER = Dimension()
_LENGTH, _TIME, _MASS = Dimension(length=1), Dimension(time=1), Dimension(mass=1)
_VOLUME, _AMOUNT, _CELLS = Dimension(length=3), Dimension(amount=1), Dimension(cells=1)
_MOLAR, _MOLAR_MASS = Dimension(amount=1, length=-3), Dimension(mass=1, amount=-1)
_BODY = Dimension(body=1)

_AVOGADRO = Fraction(602214076 * 10**15)  # exact since the SI of 2019
_LITER = Fraction(10**15)  # um3
_DAY = Fraction(24)


def _ten(power: int) -> Fraction:
    return Fraction(10) ** power


UNITS: dict[str, tuple[Dimension, Fraction]] = {
    "nm": (_LENGTH, _ten(-3)),
    "um": (_LENGTH, _ten(0)),
    "mm": (_LENGTH, _ten(3)),
    "cm": (_LENGTH, _ten(4)),
    "m": (_LENGTH, _ten(6)),
    "s": (_TIME, Fraction(1, 3600)),
    "min": (_TIME, Fraction(1, 60)),
    "h": (_TIME, Fraction(1)),
    "d": (_TIME, _DAY),
    "wk": (_TIME, 7 * _DAY),
    "mo": (_TIME, _DAY * Fraction(36525, 1200)),
    "y": (_TIME, _DAY * Fraction(36525, 100)),
    "pg": (_MASS, _ten(-12)),
    "ng": (_MASS, _ten(-9)),
    "ug": (_MASS, _ten(-6)),
    "mg": (_MASS, _ten(-3)),
    "g": (_MASS, _ten(0)),
    "kg": (_MASS, _ten(3)),
    "uL": (_VOLUME, _LITER * _ten(-6)),
    "mL": (_VOLUME, _LITER * _ten(-3)),
    "dL": (_VOLUME, _LITER * _ten(-1)),
    "L": (_VOLUME, _LITER),
    "molecule": (_AMOUNT, _ten(0)),
    "molecules": (_AMOUNT, _ten(0)),
    "fmol": (_AMOUNT, _AVOGADRO * _ten(-15)),
    "pmol": (_AMOUNT, _AVOGADRO * _ten(-12)),
    "nmol": (_AMOUNT, _AVOGADRO * _ten(-9)),
    "umol": (_AMOUNT, _AVOGADRO * _ten(-6)),
    "mmol": (_AMOUNT, _AVOGADRO * _ten(-3)),
    "mol": (_AMOUNT, _AVOGADRO),
    "pM": (_MOLAR, _AVOGADRO * _ten(-12) / _LITER),
    "nM": (_MOLAR, _AVOGADRO * _ten(-9) / _LITER),
    "uM": (_MOLAR, _AVOGADRO * _ten(-6) / _LITER),
    "mM": (_MOLAR, _AVOGADRO * _ten(-3) / _LITER),
    "M": (_MOLAR, _AVOGADRO / _LITER),
    "Da": (_MOLAR_MASS, 1 / _AVOGADRO),
    "kDa": (_MOLAR_MASS, 1000 / _AVOGADRO),
    "cell": (_CELLS, _ten(0)),
    "cells": (_CELLS, _ten(0)),
    "Mcell": (_CELLS, _ten(6)),
    "Mcells": (_CELLS, _ten(6)),
    "mmHg": (Dimension(pressure=1), _ten(0)),
    "x": (Dimension(times=1), _ten(0)),
    "%": (NUMBER, _ten(-2)),
}

_KNOWN = (
    "Units: nm um mm cm m; s min h d wk mo y; pg ng ug mg g kg; uL mL dL L; molecules fmol pmol "
    "nmol umol mmol mol; pM nM uM mM M; Da kDa; cells Mcell; mmHg; x (times the base); %. "
    "A kg below a slash is body weight."
)

# What the dimension is called in a message, and what a user may write for it.
_PLAIN = {
    NUMBER: ("a plain number", ("0.5", "50 %")),
    _LENGTH: ("a length", ("15 um", "0.2 mm")),
    Dimension(length=2): ("an area", ("200 um2", "1 mm2")),
    _VOLUME: ("a volume", ("80 mL", "2 mm3")),
    _TIME: ("a time", ("21 d", "1 h")),
    Dimension(time=-1): ("a rate (1/time)", ("6 /d", "0.25 /h")),
    _MASS: ("a mass", ("70 kg", "200 mg")),
    _CELLS: ("a number of cells", ("2e6 cells", "140 Mcell")),
    Dimension(cells=1, time=-1): ("cells per time", ("5e8 cells/h",)),
    Dimension(cells=1, body=-1): ("cells per kg of body weight", ("2e6 cells/kg",)),
    Dimension(mass=1, body=-1): ("a mass per kg of body weight", ("2 mg/kg",)),
    Dimension(length=2, time=-1): ("a diffusion coefficient", ("50 um2/s", "3000 um2/min")),
    Dimension(length=1, time=-1): ("a speed", ("4 um/min",)),
    Dimension(length=3, time=-1): ("a volume per time", ("0.2 L/d",)),
    Dimension(mass=1, length=-3): ("a mass concentration", ("0.11 ng/mL", "30 ug/mL")),
    _MOLAR: ("a molar concentration", ("5 nM", "20 pM")),
    _MOLAR_MASS: ("a molar mass", ("11.7 kDa",)),
    _AMOUNT: ("an amount of molecules", ("1e4 molecules", "3 fmol")),
    Dimension(amount=1, time=-1): ("molecules per time", ("5 molecules/s",)),
    Dimension(amount=1, cells=-1, time=-1): ("molecules per cell and time", ("5 molecules/cell/s",)),
    Dimension(mass=1, cells=-1, time=-1): ("a mass per cell and time", ("100 ng/Mcell/d",)),
    Dimension(cells=1, length=-3): ("cells per volume", ("505 cells/uL", "1e9 cells/mL")),
    Dimension(cells=1, length=-2): ("cells per area", ("25 cells/mm2",)),
    Dimension(length=-3): ("a number per volume", ("560 /mm3",)),
    Dimension(length=-2): ("a number per area", ("100 /mm2",)),
    Dimension(length=-3, time=-1): ("a number per volume and time", ("560 /mm3/d",)),
    Dimension(cells=-1, time=-1): ("a rate per cell", ("1e-12 /(cells min)",)),
    Dimension(pressure=1): ("a pressure", ("38 mmHg",)),
    Dimension(pressure=1, time=-1): ("a pressure per time", ("10 mmHg/min",)),
    Dimension(times=1): ("a multiple of the base", ("3 x",)),
}

# How people write what the table calls otherwise; only for the hint in an error.
_SPOKEN = {
    "s": "sec second seconds",
    "min": "minute minutes mins",
    "h": "hour hours hr hrs",
    "d": "day days",
    "wk": "w week weeks",
    "mo": "month months",
    "y": "yr yrs year years",
    "um": "micron microns micrometer",
    "ug": "mcg",
    "mL": "cc",
    "mmHg": "torr Torr",
    "x": "fold times",
    "%": "percent",
}
_MEANT = {word: unit for unit, words in _SPOKEN.items() for word in words.split()}

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]+)?")
_TOKEN = re.compile(r"\s*(?:(?P<atom>[^\W\d_]+|%)(?P<power>\d*)|(?P<sign>[/()])|(?P<other>\S))")


def value(given: str | float, unit: str) -> float:
    """Convert a number written with its unit ('6 /d') to `unit` ('1/h'); rounds once.

    given : text, or a bare number where `unit` is a plain number ('1' or '%').
    Raises InputError where the text cannot be read or has another dimension.
    """
    wanted, factor = _unit(unit)
    quantity = _read(given, unit)
    if quantity.dimension != wanted:
        raise _mismatch(given, quantity, unit)
    try:
        return float(quantity.number * quantity.factor / factor)
    except OverflowError:
        raise InputError(f"{_quoted(given)} is too large.", "Give a number below 1e300.") from None


def parse(text: str) -> Quantity:
    """Read a number and its unit, whatever the dimension; raises InputError."""
    return _read(text, None)


def dimension(unit: str) -> Dimension:
    """The dimension of a unit such as '1/h', 'cells/kg' or '1' (a plain number)."""
    return _unit(unit)[0]


def convert(number: float, source: str, target: str) -> float:
    """`number` of unit `source` in unit `target`; raises InputError where dimensions differ."""
    (given, one), (wanted, other) = _unit(source), _unit(target)
    if given != wanted:
        raise InputError(f"{source} is {_name(source)}, {target} is {_name(target)}.")
    return float(Fraction(number) * one / other) if math.isfinite(number) else number


def format(number: float, unit: str) -> str:
    """Short text of a number in `unit`, to four significant digits: '0.25 /h', '2e6 cells/kg'."""
    rounded = float(f"{number:.4g}")
    if rounded == 0 or 1e-3 <= abs(rounded) < 1e5:
        digits = f"{rounded:g}"
    else:
        mantissa, _, power = f"{rounded:.3e}".partition("e")
        digits = f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}" if power else mantissa
    return f"{digits} {unit.removeprefix('1')}".rstrip()


def _read(given: str | float, unit: str | None) -> Quantity:
    """The quantity that `given` says; `unit` (what is expected, if known) serves the messages."""
    if isinstance(given, Real) and not isinstance(given, bool):
        if not math.isfinite(given):
            raise InputError(f"{given} is not a finite number.", _write(unit))
        return Quantity(Fraction(given), NUMBER, Fraction(1))
    if not isinstance(given, str):
        raise InputError(f"{_quoted(given)} is not a number with a unit.", _write(unit))
    text = given.strip()
    found = _NUMBER.match(text)
    if found is None:
        raise InputError(f"{_quoted(given)} does not begin with a number.", _write(unit))
    rough = float(found.group())
    if math.isinf(rough):
        raise InputError(f"{_quoted(given)} is too large.", "Give a number below 1e300.")
    number = Fraction(found.group()) if rough else Fraction(0)
    try:
        return Quantity(number, *_unit(text[found.end() :].strip() or "1"))
    except InputError as error:
        problem = error.problems[0]
        raise InputError(
            f"{_quoted(given)}: {problem.what}", f"{problem.help} {_write(unit)}".strip()
        ) from None


@lru_cache(maxsize=1024)
def _unit(text: str) -> tuple[Dimension, Fraction]:
    """Dimension and factor of a unit: names, each with a power, then '/name' or '/(names)' parts."""
    total, factor = list(NUMBER), Fraction(1)
    for name, power, below in _atoms(text):
        if name not in UNITS:
            raise InputError(f"'{name}' is no unit.", _nearest(name))
        part, scale = UNITS[name]
        if name == "kg" and below:
            part, scale = _BODY, Fraction(1)
        exponent = -power if below else power
        total = [a + exponent * b for a, b in zip(total, part, strict=True)]
        factor *= scale**exponent
    return Dimension(*total), factor


def _atoms(text: str) -> list[tuple[str, int, bool]]:
    """The (name, power, below a slash) parts of a unit's text."""
    body = text.strip()
    if body.startswith("1") and not body[1:2].isalnum():
        body = body[1:]
    atoms: list[tuple[str, int, bool]] = []
    below = inside = False
    room = True  # a name may come: always above, once after a slash
    for token in _TOKEN.finditer(body):
        sign = token["sign"]
        if token["atom"] and room and token["power"] in ("", *"123456789"):
            atoms.append((token["atom"], int(token["power"] or 1), below))
            room = inside or not below
        elif sign == "/" and not inside and not (below and room):
            below = room = True
        elif sign == "(" and below and room and not inside:
            inside = True
        elif sign == ")" and inside and atoms:
            inside = room = False
        else:
            raise _malformed(text)
    if inside or (below and room):
        raise _malformed(text)
    return atoms


def _malformed(text: str) -> InputError:
    return InputError(
        f"'{text}' cannot be read as a unit.",
        "Powers are digits (um2), every slash divides by one unit (ng/Mcell/d) "
        "or by a bracket (1/(cells min)).",
    )


def _nearest(name: str) -> str:
    """A hint for a unit nobody knows: the table's spelling of what was meant, or the table."""
    plain = name.translate(str.maketrans("µμ", "uu"))
    folded = [unit for unit in UNITS if unit.lower() == plain.lower()]
    meant = _MEANT.get(plain.lower()) or (plain if plain in UNITS else folded[0] if folded else None)
    if meant is not None:
        return f"Did you mean '{meant}'?"
    near = did_you_mean(plain, UNITS) if len(plain) > 3 else ""
    return f"{near if near.startswith('Did') else ''} {_KNOWN}".strip()


def _mismatch(given: str | float, quantity: Quantity, unit: str) -> InputError:
    wanted = _unit(unit)[0]
    if quantity.dimension == NUMBER:
        what = f"{_quoted(given)} has no unit; {_name(unit)} is expected."
    else:
        what = f"{_quoted(given)} is {_called(quantity.dimension)}; {_name(unit)} is expected."
    if wanted == quantity.dimension._replace(body=0) or wanted == quantity.dimension._replace(mass=0, body=0):
        return InputError(what, f"An amount per kg is per body weight, another quantity. {_write(unit)}")
    return InputError(what, _write(unit))


def _called(dimension: Dimension) -> str:
    if dimension in _PLAIN:
        return _PLAIN[dimension][0]
    parts = [
        name if power == 1 else f"{name}^{power}"
        for name, power in zip(dimension._fields, dimension, strict=True)
        if power
    ]
    return "of dimension " + " ".join(parts)


def _name(unit: str) -> str:
    """What `unit` measures, in words: 'a rate (1/time)'; an unnamed dimension by the unit itself."""
    wanted = _unit(unit)[0]
    return _PLAIN[wanted][0] if wanted in _PLAIN else f"something in {unit.strip()}"


def _write(unit: str | None) -> str:
    """How to write what is expected."""
    if unit is None:
        return "Write a number and its unit, e.g. '6 /d'."
    wanted = _unit(unit)[0]
    examples = _PLAIN[wanted][1] if wanted in _PLAIN else (f"1 {unit.strip().removeprefix('1')}",)
    return "Write e.g. " + " or ".join(f"'{example}'" for example in examples) + "."


def _quoted(given: object) -> str:
    return f"'{given}'" if isinstance(given, str) else str(given)
