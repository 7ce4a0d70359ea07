"""How patients differ: values of the tree drawn once for each patient, whatever the arm.

A value belongs to its path: the dice are keyed by (seed, patient) and counted
by a hash of the path, so that adding a path moves no other path's draw.
"""

import hashlib
import math
import re
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

from ..base import units
from ..base.errors import InputError, did_you_mean
from .merge import put, split_path
from .names import Idle, Known
from .reader import Reader
from .schema import Distribution
from .tree import Node, Problems, describe

ROOTS = ("cells", "fields", "drugs", "body", "tissue")
_NUMBER = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SORTS = {"cells": "kinds", "fields": "fields", "drugs": "drugs"}
_STANDARD = NormalDist()
# What goes with each form of a distribution, that around which it lies first.
_KEYS = {"log_sd": ("median", "origin", "low", "high"), "sd": ("mean", "low", "high"), "share": ()}

# A standard normal deviate for a path: that of a patient, or a bound that every patient keeps to.
Deviates = Callable[[str], float]


def site(path: str) -> int:
    """The dice counter of a path: a stable 32-bit hash of its text."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=4).digest(), "little")


def deviates_of(seed: int, patient: int) -> Deviates:
    """The standard normal deviates of a patient; imports the dice only when one is asked for."""

    def deviate(path: str) -> float:
        from ..base import rng

        dice = rng.make_dice(seed, patient, 0)
        return _STANDARD.inv_cdf(float(rng.uniform(dice, rng.STREAM["population"], 0, 0, site(path))))

    return deviate


class Population:
    """The distributions under `population:`, by the path of the value that they move."""

    def __init__(self, node: Node | None, problems: Problems):
        self.rows: dict[str, tuple[Distribution, Node]] = {}
        reader = Reader(problems)
        if node is None or node.value is None or not reader.mapping(node, "'population'"):
            return
        for name, child in node.items():
            path = ".".join(str(part) for part in split_path(name))
            if child.value is None:
                problems.add(f"There is no '{name}' in population to remove.", "", child.key)
            elif split_path(name)[0] not in ROOTS:
                help = f"A path begins with {', '.join(ROOTS)}: cells.tumor.traits.mhc1.median."
                problems.add(f"'{name}' is not a value that differs between patients.", help, child.key)
            else:
                row = reader.section(Distribution, child, f"population {name}")
                if row is not None and _sound(row, child, problems):
                    self.rows[path] = row, child

    def __bool__(self) -> bool:
        return bool(self.rows)

    def applied(self, tree: Node, deviates: Deviates, problems: Problems) -> Node:
        """The tree with every value drawn that stands in it; absent ones are for `check` to judge."""
        for path, (row, node) in self.rows.items():
            keys = split_path(path)
            old = tree.get(*keys)
            given = row.median if row.sd is None else row.mean
            if old is None and (given is None or tree.get(*keys[:2]) is None):
                continue
            try:
                value = drawn(row, old.plain() if old is not None else given, deviates(row.same_as or path))
            except InputError as error:
                problems.take(error, node.key, path)
                continue
            tree = put(tree, keys, Node(value, node.key, node.key))
        return tree

    def check(self, tree: Node, known: Known, idle: Idle, problems: Problems) -> None:
        """Every path names a value of the tree, or a kind, field or drug that is idle here."""
        for path, (row, node) in self.rows.items():
            keys, here = split_path(path), tree
            for depth, part in enumerate(keys):
                child = here.get(part)
                if child is not None and child.value is not None:
                    here = child
                    continue
                sort = _SORTS.get(str(keys[0])) if depth <= 1 < len(keys) else None
                if sort and known.elsewhere(sort, str(keys[1])):  # also where there is no such section at all
                    idle.lacks(sort, str(keys[1]), f"population `{path}`")
                elif depth < len(keys) - 1 or (row.median is None and row.mean is None):
                    shown = ".".join(str(k) for k in keys[: depth + 1])
                    help = did_you_mean(str(part), [key for key, _ in here.items()])
                    problems.add(f"The experiment has no '{shown}'.", help, node.key)
                break
            else:
                if isinstance(here.value, dict | list):
                    problems.add(f"'{path}' is {describe(here)}, not a number.", "Name a number.", node.key)


def _sound(row: Distribution, node: Node, problems: Problems) -> bool:
    """Log-normal with `log_sd` and perhaps `median`, normal with `sd` and perhaps `mean`, or a `share`."""
    forms = [name for name in _KEYS if getattr(row, name) is not None]
    if len(forms) != 1:
        what = "A distribution needs one of log_sd (log-normal), sd (normal) and share (of patients with 1)."
        problems.add(what, "Give one of them.", node.key)
        return False
    fits = _KEYS[forms[0]]
    for key in ("median", "mean", "origin", "low", "high"):
        if key not in fits and getattr(row, key) is not None:
            help = f"Write {fits[0]}." if fits and key in ("median", "mean") else "Remove it."
            problems.add(f"'{key}' does not go with this distribution.", help, (node.get(key) or node).key)
            return False
    return True


def drawn(row: Distribution, current: Any, deviate: float) -> str | int | float:
    """A patient's value, in the unit of the center; exactly the center at a deviate of 0 within bounds."""
    if row.share is not None:
        return 1.0 if _STANDARD.cdf(deviate) < row.share else 0.0
    center = row.median if row.sd is None else row.mean
    number, unit = number_and_unit(current if center is None else center)
    if row.log_sd is not None:
        value = _log_normal(row, number, unit, deviate)
    else:
        value = number + units.value(row.sd, unit or "1") * deviate
    low = -math.inf if row.low is None else units.value(row.low, unit or "1")
    high = math.inf if row.high is None else units.value(row.high, unit or "1")
    if low > high:
        raise InputError(f"low ({row.low}) is above high ({row.high}).", "Exchange them.")
    value = min(max(value, low), high)
    return f"{value!r} {unit}" if unit else value


def _log_normal(row: Distribution, median: float, unit: str, deviate: float) -> float:
    """origin + (median − origin) e^(log_sd · deviate): with an origin above the median, larger is lower."""
    origin = 0.0 if row.origin is None else units.value(row.origin, unit or "1")
    if row.origin is None and median <= 0:
        raise InputError(
            f"the median of a log-normal is {median:g}.", "Give a positive median, or sd instead."
        )
    if median == origin:
        raise InputError(f"the median is the origin, {row.origin}.", "Give an origin below or above it.")
    return origin + (median - origin) * math.exp((row.log_sd or 0.0) * deviate)


def number_and_unit(given: Any) -> tuple[float, str]:
    """Number and unit of a value as written."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given), ""
    if not isinstance(given, str):
        raise InputError(f"{given} is not a number.", "A distribution moves a number.")
    units.parse(given)
    end = _NUMBER.match(given)
    assert end is not None, "units.parse accepts only text that begins with a number"
    return float(end.group()), given[end.end() :].strip()
