"""What the cells of a lesion may name, and what becomes of a name that is absent.

A name that this experiment lacks but its base tree or the catalogue knows makes
its clause idle; a name nobody knows is an error.
"""

from typing import NamedTuple

from ..base.errors import did_you_mean
from .catalogue import Catalogue
from .schema import Antibody, Cell, CellProduct, FieldModel
from .tree import Node, Problems

_WORDS = {"kinds": "kind", "fields": "field", "drugs": "drug", "traits": "trait"}


def names_in(tree: Node) -> dict[str, set[str]]:
    """Names of the kinds, fields, drugs and traits that a tree holds."""
    found = {
        sort: {name for name, _ in _items(tree.get(key))}
        for sort, key in (("kinds", "cells"), ("fields", "fields"), ("drugs", "drugs"))
    }
    cells = [cell for _, cell in _items(tree.get("cells"))]
    found["traits"] = {trait for cell in cells for trait, _ in _items(cell.get("traits"))}
    return found


def _items(node: Node | None) -> list[tuple[str, Node]]:
    return [] if node is None else [(key, child) for key, child in node.items() if child.value is not None]


class Known(NamedTuple):
    """Names known beyond the tree at hand: those of the experiment's base tree, then the catalogue's."""

    base: dict[str, set[str]]
    catalogue: Catalogue

    def elsewhere(self, sort: str, name: str) -> bool:
        """Whether a kind, field, drug or trait of that name exists outside the tree."""
        return name in self.base[sort] or name in self.shipped(sort)

    def shipped(self, sort: str) -> set[str]:
        """The catalogue's names of a sort."""
        if sort == "traits":
            return self.catalogue.traits
        return self.catalogue.names("cells" if sort == "kinds" else sort)


class Scope(NamedTuple):
    """What one lesion holds by name, and where problems and idle clauses are noted.

    here : names in the tree, also of what could not be read; cells, fields, drugs : what could;
    plasma : fields with a plasma level.
    """

    here: dict[str, set[str]]
    cells: dict[str, Cell]
    fields: dict[str, FieldModel]
    drugs: dict[str, Antibody | CellProduct]
    plasma: set[str]
    known: Known
    problems: Problems
    idle: dict[str, None]

    def holds(self, sort: str, name: str, node: Node, clause: str, verdict: str = "is idle") -> bool:
        """Whether this experiment holds the name; if not, the clause is noted as idle, or in error."""
        if name in self.here[sort]:
            return True
        if self.known.elsewhere(sort, name):
            self.idle[f"{clause} {verdict}: this experiment has no {_WORDS[sort]} '{name}'."] = None
        else:
            options = self.here[sort] | self.known.base[sort] | self.known.shipped(sort)
            self.problems.add(
                f"There is no {_WORDS[sort]} '{name}'.", did_you_mean(name, options), node.where
            )
        return False
