"""Numbers whose unit follows from what they stand under: an action, a field, a base value.

Inside, a concentration is in the unit of its field, and a secretion in
[field unit]·µm³/h per cell, so that dividing by a voxel's volume gives the
source term.  1 nM·µm³ = 1e-24 mol = 0.602 molecules; 1 ng/mL·µm³ = 1e-21 g.
Mass and molecules are exchanged by the field's `molar_mass`.
"""

from fractions import Fraction
from typing import Any

from ..base import units
from ..base.errors import InputError
from ..base.units import Dimension
from .schema import Action, FieldModel

_TIMES = Dimension(times=1)
_NUMBER_FLUX = Dimension(length=-3, time=-1)
_DALTON = units.UNITS["Da"][1]  # grams of one molecule


def level(given: Any, action: Action, field: FieldModel | None, base: float | None = None) -> float:
    """A behavior's `base` or `to` in the unit of its action; 'N x' is N times `base`.

    Raises InputError where the unit does not fit or a multiple has no base.
    """
    if isinstance(given, str) and _dimension(given) == _TIMES:
        if base is None:
            raise InputError(f"'{given}' is a multiple of the base.", "A base is a value of its own.")
        return units.value(given, "x") * base
    if action.unit == "":
        return units.value(given, "1")
    if action.unit == "secretion":
        if field is None:
            raise InputError(f"'{given}' needs a field to be released into.")
        return secretion(given, field)
    if action.unit == "cells/mm3/h" and isinstance(given, str) and _dimension(given) == _NUMBER_FLUX:
        return units.value(given, "1/mm3/h")
    return units.value(given, action.unit)


def concentration(given: Any, field: FieldModel) -> float:
    """A concentration in the unit of its field; raises InputError where it cannot be one."""
    wanted = units.dimension(field.unit)
    try:
        quantity = units.parse(given)
    except InputError:
        return units.value(given, field.unit)
    convertible = Dimension(amount=1, length=-3), Dimension(mass=1, length=-3)
    if quantity.dimension == wanted or {quantity.dimension, wanted} != set(convertible):
        return units.value(given, field.unit)
    return _in_field_units(quantity, quantity.dimension.mass == 1, field)


def secretion(given: Any, field: FieldModel) -> float:
    """What one cell releases, in [field unit]·µm³/h; raises InputError where the unit does not fit."""
    help = "Write e.g. '100 ng/Mcell/d' or '5 molecules/cell/s'."
    if field.unit == "mmHg":
        raise InputError("A field in mmHg cannot be secreted.", "Use `exchange` with a level, or `take_up`.")
    quantity = units.parse(given)
    dimension = quantity.dimension
    of_one_cell = dimension._replace(cells=0)
    if dimension.cells not in (0, -1) or of_one_cell not in (
        Dimension(mass=1, time=-1),
        Dimension(amount=1, time=-1),
    ):
        raise InputError(f"'{given}' is no amount or mass per cell and time.", help)
    return _in_field_units(quantity, dimension.mass == 1, field)


def _in_field_units(quantity: units.Quantity, is_mass: bool, field: FieldModel) -> float:
    """Mass or molecules of `quantity` over those of the field's unit, rounded once."""
    wanted, factor = units.dimension(field.unit), units.parse(f"1 {field.unit}").factor
    number = quantity.number * quantity.factor / factor
    if is_mass != (wanted.mass == 1):
        if field.molar_mass is None:
            kinds = ("a mass", "molecules") if is_mass else ("molecules", "a mass")
            raise InputError(
                f"This is {kinds[0]}, the field counts {kinds[1]} ({field.unit}).",
                "Give the field a molar_mass, or write the value in the field's unit.",
            )
        grams = Fraction(field.molar_mass) * _DALTON
        number = number / grams if is_mass else number * grams
    return float(number)


def _dimension(given: str) -> Dimension | None:
    try:
        return units.parse(given).dimension
    except InputError:
        return None
