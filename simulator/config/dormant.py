"""What cannot act: the parts of a model that change no bit of a result, whatever their numbers.

A product that is not given acts on nobody, and a kind of cell that nothing seeds, admits or makes, and no
given product brings, is not there.  Leaving both out of digests lets a study grow a burn-in once for all
doses and products, and run once what differs in nothing else.
"""

from collections.abc import Collection
from typing import Any

from .digests import canonical
from .host_schema import CellProduct
from .schema import Behavior, Cell, Lesion, Model

_SEEDED = ("tumor", "stroma", "vessel", "debris")  # bulk kinds that a block is seeded with
_EXCHANGES = ("secrete", "take_up", "exchange")  # a field is solved where any kind, present or not, does so
_OF_PRODUCTS = ("homing", "sensitized")  # of a body: how it takes cells that are infused


def acting(model: Model, given: Collection[str]) -> dict[str, Any]:
    """The model as plain data, for a digest, without what cannot act while only the drugs `given` are given.

    Names stay, since arrays are laid out by them.
    """
    plain = canonical(model)
    for name, drug in model.drugs.items():
        if name not in given:
            plain["drugs"][name] = {"type": drug.type}
    arriving = {
        drug.cell for name, drug in model.drugs.items() if name in given and isinstance(drug, CellProduct)
    }
    for name in () if arriving else _OF_PRODUCTS:
        plain["body"].pop(name, None)
    for lesion, found in zip(model.lesions, plain["lesions"], strict=True):
        for kind in absent_kinds(lesion, arriving):
            found["cells"][kind] = _outline(lesion.cells[kind])
    return plain


def absent_kinds(lesion: Lesion, arriving: Collection[str]) -> list[str]:
    """Kinds of which a lesion never holds a cell while only the kinds `arriving` are infused."""
    made = set(_SEEDED) | set(lesion.tissue.infiltrate) | set(arriving)
    for kind, cell in lesion.cells.items():
        made |= {name for behavior in cell.behaviors.values() for name in _named(behavior) if name != kind}
    return [
        kind
        for kind, cell in lesion.cells.items()
        if kind not in made and cell.layer == "bulk" and "admit" not in cell.behaviors
    ]


def _named(behavior: Behavior) -> set[str]:
    """Every text of a behavior that may name a kind it makes: all but its target."""
    texts = (getattr(behavior, name) for name in type(behavior).model_fields if name != "targets")
    return {text for text in texts if isinstance(text, str)}


def _outline(cell: Cell) -> dict[str, Any]:
    """What an absent kind still decides: columns of arrays, and which fields are solved."""
    return {
        "layer": cell.layer,
        "tracked": cell.tracked,
        "compartment": cell.compartment,
        "traits": sorted(cell.traits),
        "fields": sorted(name for name in cell.behaviors if name.partition(" ")[0] in _EXCHANGES),
    }


def drugs_given(doses: list[list[str | float]]) -> frozenset[str]:
    """Names of the drugs in doses as `Regimen.canonical()` lists them, those of no amount left out."""
    return frozenset(str(drug) for drug, _, amount, *_ in doses if float(amount) > 0.0)
