"""A sweep: factors whose levels span a space of experiments, and the points of that space which are run.

Every point is the experiment with the levels of its factors written over it; point 0 is the file itself.
"""

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field as Key

from . import sampling
from .factors import Factor, FactorSection, Setting, read_factors
from .quantities import Name, Strict, quantity
from .reader import Reader
from .tree import Node, Problems

Design = Literal["grid", "one_at_a_time", "latin_hypercube", "sobol", "morris"]
SAMPLED = ("latin_hypercube", "sobol", "morris")
MOST_POINTS = 100_000


class SweepSection(Strict):
    """Factors whose levels are combined (grid), tried one at a time, or sampled."""

    design: Design = "grid"
    points: Annotated[int, Key(ge=1, le=MOST_POINTS)] | None = None  # of a sampled design, beside the file's
    factors: dict[Name, FactorSection]
    # a change that matters: a share of a log outcome (0.1: a tenth smaller), else a difference
    smallest_effect: Annotated[float, quantity("1", above=0)] | None = None


class Point(NamedTuple):
    """One point: its number, and where each factor stands."""

    number: int
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Sweep:
    """A design, its factors and its points.  smallest_effect : the change that matters, if declared."""

    design: str
    factors: tuple[Factor, ...]
    points: tuple[Point, ...]
    smallest_effect: float | None

    def applied(self, tree: Node, settings: Sequence[Setting]) -> Node:
        """The tree of one point, without a sweep."""
        tree = Node({key: node for key, node in tree.items() if key != "sweep"}, tree.where, tree.key)
        for factor, setting in zip(self.factors, settings, strict=True):
            tree = factor.applied(tree, setting)
        return tree

    def touches(self, sections: Collection[str]) -> bool:
        """Whether some factor moves a value of one of these sections."""
        named = {key for factor in self.factors for level in factor.levels for key, _ in level.node.items()}
        return bool(
            named.union(path.partition(".")[0] for factor in self.factors for path in factor.paths)
            & set(sections)
        )

    def alone(self) -> list[tuple[Factor, list[tuple[Setting, ...]]]]:
        """For each factor the settings in which it alone moves, through all that must be possible."""
        nowhere: list[Setting] = [None] * len(self.factors)
        return [
            (factor, [(*nowhere[:i], setting, *nowhere[i + 1 :]) for setting in factor.tried()])
            for i, factor in enumerate(self.factors)
        ]

    def plain(self) -> dict[str, Any]:
        """The design and its factors as plain data, for plans."""
        factors = [
            {
                "name": factor.name,
                "unit": factor.unit,
                "scale": "log" if factor.log else "linear",
                "numeric": factor.numeric,
                "paths": list(factor.paths),
                "levels": [level.label for level in factor.levels],
                "range": None if factor.range is None else [factor.range.low, factor.range.high],
                "base": factor.base,
            }
            for factor in self.factors
        ]
        return {"design": self.design, "smallest_effect": self.smallest_effect, "factors": factors}

    def labels(self, point: Point) -> list[float | str | None]:
        """What tables call the settings of a point."""
        return [factor.label(setting) for factor, setting in zip(self.factors, point.settings, strict=True)]


def read_sweep(tree: Node, seed: int, problems: Problems) -> Sweep | None:
    """The sweep of an experiment's tree; None without one, or where something is wrong with it.

    The levels' own `use:` must be resolved already.
    """
    node = tree.get("sweep")
    if node is None or node.value is None:
        return None
    before, reader = len(problems), Reader(problems)
    if not reader.mapping(node, "'sweep'"):
        return None
    section = reader.section(SweepSection, node, "'sweep'", ignore=("factors",))
    factors = read_factors(node.get("factors") or Node(None, node.where, node.key), tree, problems)
    if section is None or len(problems) > before:
        return None
    points = _Layout(section, factors, node, problems).points(seed)
    if len(problems) > before:
        return None
    return Sweep(section.design, tuple(factors), tuple(points), section.smallest_effect)


class _Layout:
    """Lays out the points of a design."""

    def __init__(self, section: SweepSection, factors: list[Factor], node: Node, problems: Problems):
        self.section, self.factors, self.node, self.problems = section, factors, node, problems

    def points(self, seed: int) -> list[Point]:
        """The points, numbered; none where the design cannot be made of these factors."""
        design = self.section.design
        if design in SAMPLED:
            return self._sampled(seed)
        if self.section.points is not None:
            at = self.node.get("points") or self.node
            what = f"A {design} design has as many points as its levels make."
            self.problems.add(what, f"Remove `points`; it goes with {', '.join(SAMPLED)}.", at.key)
        return self._grid() if design == "grid" else self._one_at_a_time()

    def _grid(self) -> list[Point]:
        """Every combination of levels, the last factor fastest; the file itself is none of them."""
        for factor in self.factors:
            if factor.range is not None:
                help = f"Write values: [{factor.range.low:g}, …], or take a sampled design: {_named()}."
                what = f"A grid needs the values of factor {factor.name}, not its ends."
                self.problems.add(what, help, factor.range.low_node.key)
                return []
        count = math.prod(len(factor.levels) for factor in self.factors)
        if count > MOST_POINTS:
            what = f"This grid has {count:,} points, at most {MOST_POINTS:,} can be run."
            self.problems.add(what, f"Take fewer levels, or sample: design: {_named()}.", self.node.key)
            return []
        places = itertools.product(*(range(len(factor.levels)) for factor in self.factors))
        return [Point(number, place) for number, place in enumerate(places, start=1)]

    def _one_at_a_time(self) -> list[Point]:
        """The file itself, then every level of every factor alone that is not the file's own."""
        nowhere: list[Setting] = [None] * len(self.factors)
        found = [Point(0, tuple(nowhere))]
        for i, factor in enumerate(self.factors):
            settings = factor.tried()
            if factor.range is not None:
                settings = [factor.range.value(0.0), factor.range.value(1.0)]
            for setting in settings:
                if factor.base is None or factor.label(setting) != factor.base:
                    found.append(Point(len(found), (*nowhere[:i], setting, *nowhere[i + 1 :])))
        return found

    def _sampled(self, seed: int) -> list[Point]:
        """The file itself, then the sample."""
        design, count = self.section.design, self.section.points
        if count is None:
            self.problems.add(f"A {design} design needs `points`.", "Add e.g. points: 64.", self.node.key)
            return []
        if wrong := sampling.allowed(design, len(self.factors), count):
            at = self.node.get("points") or self.node
            self.problems.add(wrong, "", at.where)
            return []
        found = [Point(0, (None,) * len(self.factors))]
        for number, row in enumerate(sampling.sample(design, len(self.factors), count, seed), start=1):
            settings = (factor.setting(u) for factor, u in zip(self.factors, row, strict=True))
            found.append(Point(number, tuple(settings)))
        return found


def _named() -> str:
    return " | ".join(SAMPLED)
