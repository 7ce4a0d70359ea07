"""What the cells of a lesion may name, and what becomes of a name that is absent.

A name that this experiment lacks but its base tree or the catalogue knows makes
its clause idle; a name nobody knows is an error.
"""

from typing import NamedTuple

from ..base.errors import did_you_mean
from .catalogue import Catalogue
from .host_schema import Antibody, CellProduct
from .schema import Cell, FieldModel
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


class Idle:
    """What has no effect in an experiment, gathered by the name that is absent."""

    def __init__(self) -> None:
        self._lacking: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
        self._other: dict[str, None] = {}

    def lacks(self, sort: str, name: str, clause: str, verdict: str = "idle") -> None:
        """A clause means nothing, or is never blocked, since a kind, field, drug or trait is not here."""
        self._lacking.setdefault((sort, name), {}).setdefault(verdict, {})[clause] = None

    def note(self, sentence: str) -> None:
        """Anything else that has no effect."""
        self._other[sentence] = None

    def sentences(self) -> list[str]:
        """One for each absent name: 'No drug anti_pd1 here. Idle: …; never blocked: …'."""
        told = []
        for (sort, name), verdicts in self._lacking.items():
            parts = [f"{verdict}: {', '.join(clauses)}" for verdict, clauses in verdicts.items()]
            told.append(f"no {_WORDS[sort]} '{name}' here; {'; '.join(parts)}.")
        return [*told, *self._other]


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
    idle: Idle

    def holds(self, sort: str, name: str, node: Node, clause: str, verdict: str = "idle") -> bool:
        """Whether this experiment holds the name; if not, the clause is noted as idle, or in error."""
        if name in self.here[sort]:
            return True
        if self.known.elsewhere(sort, name):
            self.idle.lacks(sort, name, clause, verdict)
        else:
            options = self.here[sort] | self.known.base[sort] | self.known.shipped(sort)
            self.problems.add(
                f"There is no {_WORDS[sort]} '{name}'.", did_you_mean(name, options), node.where
            )
        return False
