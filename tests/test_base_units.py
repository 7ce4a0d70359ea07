"""Units against pint as oracle, and what must never pass."""

import math
from fractions import Fraction

import pint
import pytest
from hypothesis import assume, given, strategies as st

from simulator.base import units
from simulator.base.errors import InputError

# pint knows neither cells nor body weight, and multiplies without knowing what a base is.
PINT = pint.UnitRegistry()
PINT.define("cell = [cell]")
PINT.define("body_kg = [body]")
PINT.define("fold = [fold]")
NAMES = {
    "wk": "week",
    "mo": "month",
    "y": "year",
    "d": "day",
    "molecule": "particle",
    "molecules": "particle",
    "cells": "cell",
    "Mcell": "1e6 cell",
    "Mcells": "1e6 cell",
    "M": "molar",
    "mM": "millimolar",
    "uM": "micromolar",
    "nM": "nanomolar",
    "pM": "picomolar",
    "Da": "g/mol",
    "kDa": "kg/mol",
    "x": "fold",
    "%": "percent",
}

names = st.sampled_from(sorted(units.UNITS))
atoms = st.tuples(names, st.integers(1, 3))
numbers = st.floats(1e-9, 1e9, allow_subnormal=False)


def spell(atom):
    name, power = atom
    return name if power == 1 else f"{name}{power}"


def oracle(above, below):
    """The pint unit of a product over slashes; kg below a slash is body weight."""
    total = PINT.Quantity(1.0, "")
    for name, power in above:
        total = total * PINT.Quantity(NAMES.get(name, name)) ** power
    for name, power in below:
        total = total / PINT.Quantity("body_kg" if name == "kg" else NAMES.get(name, name)) ** power
    return total


@given(numbers, st.lists(atoms, max_size=2), st.lists(atoms, max_size=2), st.booleans())
def test_agrees_with_pint_on_dimension_and_factor(number, above, below, bracket):
    text = " ".join(map(spell, above))
    if bracket and below:
        text += "/(" + " ".join(map(spell, below)) + ")"
    else:
        text += "".join(f"/{spell(atom)}" for atom in below)
    ours = units.parse(f"{number!r} {text}")
    theirs = (number * oracle(above, below)).to_base_units()
    powers = ours.dimension
    expected = (
        PINT.Quantity(1.0, "um") ** powers.length
        * PINT.Quantity(1.0, "h") ** powers.time
        * PINT.Quantity(1.0, "g") ** powers.mass
        * PINT.Quantity(1.0, "particle") ** powers.amount
        * PINT.Quantity(1.0, "cell") ** powers.cells
        * PINT.Quantity(1.0, "mmHg") ** powers.pressure
        * PINT.Quantity(1.0, "body_kg") ** powers.body
        * PINT.Quantity(1.0, "fold") ** powers.times
    ).to_base_units()
    assert theirs.dimensionality == expected.dimensionality
    assert float(ours.number * ours.factor) * expected.magnitude == pytest.approx(theirs.magnitude, rel=1e-12)


@given(numbers, names, names)
def test_value_converts_as_pint_does_or_refuses_where_pint_refuses(number, source, target):
    given_text = f"{number!r} {source}"
    try:
        theirs = (number * oracle([(source, 1)], [])).to(NAMES.get(target, target).removeprefix("1e6 "))
    except pint.DimensionalityError:
        with pytest.raises(InputError):
            units.value(given_text, target)
        return
    scale = 1e6 if target in ("Mcell", "Mcells") else 1.0
    assert units.value(given_text, target) == pytest.approx(theirs.magnitude / scale, rel=1e-12)


@given(numbers, names, names)
def test_there_and_back_is_the_same_number(number, one, other):
    assume(units.dimension(one) == units.dimension(other))
    there = units.convert(number, one, other)
    assert math.isclose(units.convert(there, other, one), number, rel_tol=4e-16)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6))
def test_a_conversion_rounds_once(number):
    assert units.value(f"{number} mm", "um") == float(Fraction(number) * 1000)


@given(numbers, st.sampled_from(["um", "1/h", "cells/kg", "ng/mL", "1", "mmHg", "x", "molecules/cell/s"]))
def test_short_text_is_read_back_to_four_digits(number, unit):
    text = units.format(number, unit)
    assert units.value(text, unit) == pytest.approx(number, rel=5.1e-4)
    assert len(text) <= len(unit) + 11


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("6 /d", "1/h", 0.25),
        ("6/d", "1/h", 0.25),
        ("6 1/d", "/d", 6.0),
        ("1e-12 /(cells min)", "1/cells/h", 6e-11),
        ("560 /mm3/d", "1/(mm3 d)", 560.0),
        ("15 um", "um", 15.0),
        ("15um", "mm", 0.015),
        ("50 um2/s", "um2/h", 180000.0),
        ("100 ng/Mcell/d", "ng/cell/d", 1e-4),
        ("5 molecules/cell/s", "molecules/cell/h", 18000.0),
        ("2e6 cells/kg", "cells/kg", 2e6),
        ("3 mg/kg", "ug/kg", 3000.0),
        ("0.11 ng/mL", "pg/mL", 110.0),
        ("9.5e8 cells", "Mcell", 950.0),
        ("70 kg", "g", 70000.0),
        ("50 %", "1", 0.5),
        ("0.5", "1", 0.5),
        (0.5, "%", 50.0),
        (3, "1", 3.0),
        ("3 x", "x", 3.0),
        ("-2 mm", "um", -2000.0),
        ("1 y", "mo", 12.0),
    ],
)
def test_forms(text, unit, expected):
    assert units.value(text, unit) == expected


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("2 mg/kg", "1"),  # a fraction to pint
        ("2 mg/kg", "mg"),
        ("2 kg/kg", "1"),
        ("2e6 cells", "cells/kg"),
        ("2e6 cells/kg", "cells"),
        ("2e6", "cells"),
        (2e6, "cells"),
        (0, "1/h"),
        ("3 x", "1"),
        ("3", "x"),
        ("5 nM", "ng/mL"),
        ("5 molecules/s", "molecules/cell/s"),
        ("6 h", "1/h"),
        (True, "1"),
        (None, "1"),
        ([6], "h"),
        (math.nan, "1"),
        (math.inf, "1"),
        ("inf h", "h"),
        ("nan", "1"),
        ("1e999 h", "h"),
        ("1e308 m", "nm"),
        ("", "h"),
        ("h", "h"),
        ("6 //d", "1/h"),
        ("6 d/", "d"),
        ("6 /(d", "1/h"),
        ("6 /d)", "1/h"),
        ("6 ()", "1"),
        ("6 ng/mL h", "ng h/mL"),  # below or above?
        ("6 um0", "1"),
        ("6 um99", "um"),
        ("6 um-1", "1/um"),
        ("6 6 h", "h"),
        ("6,5 h", "h"),
        ("9" * 5000 + " h", "h"),
    ],
)
def test_refused(text, unit):
    with pytest.raises(InputError) as error:
        units.value(text, unit)
    assert error.value.problems[0].help


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        assert math.isfinite(units.value(text, "h"))
    except InputError:
        pass


@pytest.mark.parametrize(
    ("text", "unit", "words"),
    [
        ("6", "1/h", ["'6'", "no unit", "1/time", "'6 /d'"]),
        ("6 d", "1/h", ["a time", "rate", "'6 /d'"]),
        ("2 mg/kg", "1", ["body weight", "plain number"]),
        ("6 days", "h", ["'days'", "Did you mean 'd'?"]),
        ("6 µm", "um", ["Did you mean 'um'?"]),
        ("6 ml", "mL", ["Did you mean 'mL'?"]),
        ("6 molecues", "molecules", ["Did you mean 'molecules'?"]),
        ("6 kPa", "mmHg", ["Units:", "mmHg"]),
        ("5 g", "um5/h", ["'1 um5/h'"]),
    ],
)
def test_a_message_says_what_was_given_what_is_expected_and_what_to_write(text, unit, words):
    with pytest.raises(InputError) as error:
        units.value(text, unit)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("dimension", units._PLAIN, ids=lambda dimension: units._PLAIN[dimension][0])
def test_every_example_in_a_message_is_right(dimension):
    for example in units._PLAIN[dimension][1]:
        assert units.parse(example).dimension == dimension


def test_every_hint_names_a_unit_and_every_unit_stands_in_the_list():
    assert set(units._MEANT.values()) <= set(units.UNITS)
    assert not set(units._MEANT) & set(units.UNITS)
    listed = set(units._KNOWN.replace(";", " ").replace(".", " ").split())
    assert set(units.UNITS) - {"molecule", "cell", "Mcells"} <= listed


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (0.25, "1/h", "0.25 /h"),
        (2e6, "cells/kg", "2e6 cells/kg"),
        (126, "d", "126 d"),
        (0, "um", "0 um"),
        (1e-12, "1/(cells min)", "1e-12 /(cells min)"),
        (12345.678, "1", "12350"),
        (99999.9, "um", "1e5 um"),
        (-6.67e5, "cells/kg", "-6.67e5 cells/kg"),
    ],
)
def test_format(number, unit, text):
    assert units.format(number, unit) == text
