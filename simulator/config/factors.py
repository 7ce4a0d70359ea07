"""Factors of a sweep: what a user may write of one, and what each of its settings makes of an experiment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..base import units
from ..base.errors import InputError
from .merge import merge, path_known, put, split_path
from .population import number_and_unit
from .quantities import Name, Strict
from .reader import Reader
from .tree import Node, Problems, describe

# Sections that may differ between points; all else (arms' names, patients, duration, …) they share.
ROOTS = ("arms", "block", "body", "cells", "drugs", "fields", "phenotypes", "population", "step", "tissue")
_RESERVED = ("point", "first", "second", "arm", "patient", "replicate")  # columns beside the factors

# Where a factor stands: the place of a level, a value of a range, or None: as the file says.
Setting = int | float | None


class FactorSection(Strict):
    """One factor: the values of one path, or of several that move together; or named partial trees."""

    path: str | None = None
    paths: list[str] = []
    values: list[Any] = []
    low: Any = None
    high: Any = None
    scale: Literal["linear", "log"] = "linear"
    levels: dict[Name, Any] = {}


class Level(NamedTuple):
    """One level of a factor: what tables call it, and the value or the partial tree that it writes."""

    label: float | str
    node: Node


class Range(NamedTuple):
    """The values of a sampled factor, in `unit`; the nodes say where its ends were written."""

    low: float
    high: float
    unit: str
    log: bool
    low_node: Node
    high_node: Node

    def value(self, u: float) -> float:
        """The value at a share `u` of the range, to six digits, as it is written into the experiment."""
        if self.log:
            return float(f"{self.low * math.pow(self.high / self.low, u):.6g}")
        return float(f"{self.low + u * (self.high - self.low):.6g}")


@dataclass(frozen=True)
class Factor:
    """One factor.  paths : of its values, none for named levels; base : its value in the file, if known;
    node : where it was written."""

    name: str
    paths: tuple[str, ...]
    levels: tuple[Level, ...]
    range: Range | None
    unit: str
    log: bool
    base: float | str | None
    node: Node = field(repr=False)

    @property
    def numeric(self) -> bool:
        """Whether every value is a number, in `unit`."""
        return self.range is not None or all(isinstance(level.label, float) for level in self.levels)

    def tried(self) -> list[Setting]:
        """Settings that must be possible: all levels, or both ends of the range and its middle."""
        if self.range is None:
            return list(range(len(self.levels)))
        return [self.range.value(u) for u in (0.0, 0.5, 1.0)]

    def setting(self, u: float) -> Setting:
        """Where the factor stands at a share `u` of its range, or of its levels."""
        if self.range is not None:
            return self.range.value(u)
        return min(int(u * len(self.levels)), len(self.levels) - 1)

    def label(self, setting: Setting) -> float | str | None:
        """What tables call a setting: a number in `unit`, the name of a level, or None if unknown."""
        if setting is None:
            return self.base
        return setting if isinstance(setting, float) else self.levels[setting].label

    def words(self, setting: Setting) -> str:
        """A setting for people: 'homing 0.001', 'licensing off'."""
        label = self.label(setting)
        said = units.format(label, self.unit or "1") if isinstance(label, float) else str(label)
        return f"{self.name} {said}"

    def applied(self, tree: Node, setting: Setting) -> Node:
        """The tree with this factor at a setting."""
        if setting is None:
            return tree
        if not self.paths:
            return merge(tree, self.levels[int(setting)].node)
        node = self._written(setting)
        for path in self.paths:
            tree = put(tree, split_path(path), node)
        return tree

    def place(self, setting: Setting) -> Node:
        """Where a setting was written."""
        return self.node if setting is None else self._written(setting)

    def _written(self, setting: int | float) -> Node:
        """The value of a setting, as if written where it comes from."""
        if self.range is None:
            return self.levels[int(setting)].node
        source = self.range.high_node if setting == self.range.value(1.0) else self.range.low_node
        text = f"{setting!r} {self.unit}" if self.unit else setting
        return Node(text, source.where, source.key)


def read_factors(node: Node | None, tree: Node, problems: Problems) -> list[Factor]:
    """The factors under a sweep; what is wrong with them goes to `problems`."""
    reader, found = Reader(problems), []
    if node is None or node.value is None or (node.is_map and not node.items()):
        problems.add("The sweep has no factors.", _HELP, tree.key if node is None else node.key)
        return []
    if not reader.mapping(node, "'factors'"):
        return []
    for name, child in node.items():
        if not reader.is_name(name, child) or not reader.mapping(child, f"factor {name}"):
            continue
        if name in _RESERVED:
            problems.add(f"'{name}' is a column of the tables already.", "Choose another name.", child.key)
        factor = _FactorReader(name, child, tree, problems).factor()
        if factor is not None:
            found.append(factor)
    return found


_HELP = (
    "Write e.g. homing: {path: drugs.msc.tumor_fraction, values: [1e-4, 1e-3]}, with low and high "
    "in place of values for a sampled design, or levels: {name: {part of an experiment}, …}."
)


class _FactorReader:
    """Reads one factor."""

    def __init__(self, name: str, node: Node, tree: Node, problems: Problems):
        self.name, self.node, self.tree, self.problems = name, node, tree, problems

    def factor(self) -> Factor | None:
        """The factor, or None where it is wrong."""
        before = len(self.problems)
        reader = Reader(self.problems)
        ignore = ("values", "low", "high", "levels", "paths")
        section = reader.section(FactorSection, self.node, f"factor {self.name}", ignore=ignore)
        if section is not None:
            self._check_form()
        if section is None or len(self.problems) > before:
            return None
        levels_node, values_node = self.node.get("levels"), self.node.get("values")
        paths = self._paths()
        levels: list[Level] = []
        between: Range | None = None
        if levels_node is not None:
            levels = self._named(levels_node)
        elif values_node is not None:
            levels = self._values(values_node)
        else:
            between = self._range(section.scale == "log")
        if len(self.problems) > before:
            return None
        unit = between.unit if between is not None else _common_unit(levels)
        if levels_node is None and between is None:
            levels = _numbered(levels, unit)
        base = self._base(paths, unit, levels)
        log = section.scale == "log"
        return Factor(self.name, paths, tuple(levels), between, unit or "", log, base, self.node)

    def _check_form(self) -> None:
        """Either levels, or a path or paths with values or with low and high."""
        given = {key for key, child in self.node.items() if child.value is not None}
        if "levels" in given:
            wrong, good = given - {"levels"}, True
        else:
            wrong = set()
            ends = {"low", "high"} <= given
            good = len(given & {"path", "paths"}) == 1 and ("values" in given) != ends
            good = good and not ("values" in given and given & {"low", "high"})
        if wrong & set(FactorSection.model_fields):
            what = f"Factor {self.name} has levels, which go with no other key."
            self.problems.add(what, "Remove the others, or the levels.", self.node.key)
        elif not good:
            what = f"Factor {self.name} is neither levels, nor a path with values or with low and high."
            self.problems.add(what, _HELP, self.node.key)

    def _paths(self) -> tuple[str, ...]:
        """The paths of the factor, each leading to a place of the tree."""
        several, one = self.node.get("paths"), self.node.get("path")
        nodes = [one] if one is not None else []
        if several is not None:
            nodes = several.value if isinstance(several.value, list) else [several]
        found = []
        for node in nodes:
            if not isinstance(node.value, str):
                what = f"{describe(node)} is no path."
                self.problems.add(what, "Write e.g. drugs.msc_cxcl9.tumor_fraction.", node.where)
                continue
            keys = split_path(node.value)
            if keys[0] not in ROOTS:
                what = f"'{node.value}' is nothing that points of a sweep can differ in."
                self.problems.add(what, f"A path begins with {', '.join(ROOTS)}.", node.where)
            elif path_known(self.tree, keys, node.where, self.problems):
                found.append(node.value)
        return tuple(found)

    def _named(self, node: Node) -> list[Level]:
        """Named partial trees."""
        reader, found = Reader(self.problems), []
        if not reader.mapping(node, "'levels'"):
            return []
        for name, child in node.items():
            if child.value is None:
                child = Node({}, child.where, child.key)
            if not reader.is_name(name, child) or not reader.mapping(child, f"level {name}"):
                continue
            for key, part in child.items():
                if key not in ROOTS:
                    reader.unknown_key(key, part, f"level {name}", ["use", *ROOTS])
            found.append(Level(name, child))
        self._check_count(len(found), node)
        return found

    def _values(self, node: Node) -> list[Level]:
        """Values of the paths, labeled as written until their unit is known."""
        if not isinstance(node.value, list):
            what = f"'values' is {describe(node)}; it must be a list."
            self.problems.add(what, "Write e.g. values: [1e-4, 3e-4, 1e-3].", node.where)
            return []
        self._check_count(len(node.value), node)
        for item in node.value:
            if isinstance(item.value, dict | list) or item.value is None:
                what = f"{describe(item)} is no value of a factor."
                help = "Write numbers with their units or texts; for anything larger, `levels:`."
                self.problems.add(what.capitalize(), help, item.where)
        return [Level(str(item.value), item) for item in node.value]

    def _check_count(self, count: int, node: Node) -> None:
        if count < 2:
            what = f"Factor {self.name} has {count} level{'s' if count != 1 else ''}; it needs at least two."
            self.problems.add(what, "Add levels, or write the value into the experiment.", node.where)

    def _range(self, log: bool) -> Range | None:
        """The ends of a sampled factor, in the unit of the lower."""
        low, high = self.node.get("low"), self.node.get("high")
        assert low is not None and high is not None, "checked by _check_form"
        try:
            first, unit = number_and_unit(low.plain())
        except InputError as error:
            self.problems.take(error, low.where, "low")
            return None
        try:
            last = units.value(high.plain(), unit or "1")
        except InputError as error:
            self.problems.take(error, high.where, "high")
            return None
        if not first < last:
            self.problems.add(f"low ({low.plain()}) is not below high ({high.plain()}).", "", high.where)
        elif log and first <= 0.0:
            what = "A logarithmic scale begins above zero."
            self.problems.add(what, "Raise low, or write scale: linear.", low.where)
        return Range(first, last, unit, log, low, high)

    def _base(self, paths: tuple[str, ...], unit: str | None, levels: Sequence[Level]) -> float | str | None:
        """What the file itself says: the value at the first path, or the level that changes nothing."""
        if not paths:
            return next((level.label for level in levels if not level.node.items()), None)
        node = self.tree.get(*split_path(paths[0]))
        if node is None or isinstance(node.value, dict | list | None):
            return None
        if unit is None:
            return str(node.value)
        try:
            return units.value(node.plain(), unit or "1")
        except InputError:  # a multiple of something, say: known to the model alone
            return None


def _common_unit(levels: Sequence[Level]) -> str | None:
    """The unit of the first level if all are numbers of it; None where they are not."""
    try:
        _, unit = number_and_unit(levels[0].node.plain())
        for level in levels:
            units.value(level.node.plain(), unit or "1")
    except InputError:
        return None
    return unit


def _numbered(levels: Sequence[Level], unit: str | None) -> list[Level]:
    """The levels labeled with their numbers in a unit; as they are without one."""
    if unit is None:
        return list(levels)
    return [Level(float(units.value(level.node.plain(), unit or "1")), level.node) for level in levels]
