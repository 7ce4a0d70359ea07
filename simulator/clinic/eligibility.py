"""Who may enter the trial: named criteria, each a row of data judged by one of four kinds of test.

Bounds are inclusive.  A value that is not known fails its criterion with a reason of its own, and every
criterion that fails is kept, not only the first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..base import units
from ..base.errors import InputError, did_you_mean
from ..config.schema import Name
from ..config.tree import Node, Problems
from .settings import Fault, Section, read

Value = float | bool | str | None

# Every kind of test: (value, bound) → passed.
TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": lambda value, bound: value >= bound,
    "at_most": lambda value, bound: value <= bound,
    "equals": lambda value, bound: value == bound,
    "one_of": lambda value, bound: value in bound,
}


class Criterion(Section):
    """One criterion: the value of the patient it is about, and its bounds.

    `at_least` and `at_most` are numbers in any unit of the value's dimension and may stand together;
    `equals` is true or false; `one_of` lists the texts that pass.
    """

    value: Name
    at_least: Any = None
    at_most: Any = None
    equals: bool | None = None
    one_of: tuple[str, ...] = ()
    words: str = ""  # as the protocol says it
    source: str | None = None

    def tests(self) -> list[str]:
        """The kinds of test that this criterion makes."""
        return [kind for kind in TESTS if getattr(self, kind) not in (None, ())]

    def faults(self) -> Iterator[Fault]:
        """One test, or a lower and an upper bound."""
        tests = self.tests()
        if not tests:
            yield Fault(("value",), "The criterion tests nothing.", f"Give one of {', '.join(TESTS)}.")
        elif len(tests) > 1 and tests != ["at_least", "at_most"]:
            yield Fault(
                (tests[1],), f"The criterion mixes {' and '.join(tests)}.", "Write two criteria instead."
            )


class Failure(NamedTuple):
    """A criterion that a candidate fails, the value (None: not known) and why, in words."""

    criterion: str
    value: Value
    reason: str


class Rule(NamedTuple):
    """A criterion with its bounds in the unit of the value; `unit` is None where the value is no number."""

    name: str
    value: str
    unit: str | None
    bounds: tuple[tuple[str, Any], ...]


def rules(criteria: Mapping[str, Criterion], values: Mapping[str, str | None]) -> tuple[Rule, ...]:
    """Criteria ready to judge by.

    values : the unit of every value that a candidate has, None for true/false and texts.
    Raises InputError where a criterion is about a value nobody has, or a bound has the wrong unit.
    """
    problems = Problems()
    found = [_rule(name, criterion, values, None, problems) for name, criterion in criteria.items()]
    problems.done()
    return tuple(rule for rule in found if rule is not None)


def read_rules(
    node: Node, values: Mapping[str, str | None], problems: Problems
) -> tuple[dict[str, Criterion], tuple[Rule, ...]]:
    """The criteria under `eligibility:`, each problem at its place."""
    criteria: dict[str, Criterion] = {}
    found = []
    for name, child in node.items():
        if name == "source":
            continue
        criterion = read(Criterion, child, f"criterion '{name}'", problems)
        if criterion is not None:
            criteria[name] = criterion
            found.append(_rule(name, criterion, values, child, problems))
    return criteria, tuple(rule for rule in found if rule is not None)


def _rule(
    name: str,
    criterion: Criterion,
    values: Mapping[str, str | None],
    node: Node | None,
    problems: Problems,
) -> Rule | None:
    def where(key: str):
        at = node.get(key) if node is not None else None
        return at.where if at is not None else None

    if criterion.value not in values:
        what = f"Criterion '{name}' is about '{criterion.value}', which no patient has."
        problems.add(what, did_you_mean(criterion.value, values), where("value"))
        return None
    unit = values[criterion.value]
    bounds = []
    for kind in criterion.tests():
        bound = getattr(criterion, kind)
        if kind in ("at_least", "at_most"):
            if unit is None:
                problems.add(
                    f"Criterion '{name}': '{criterion.value}' is no number.",
                    "Use equals or one_of.",
                    where(kind),
                )
                return None
            try:
                bound = units.value(bound, unit)
            except InputError as error:
                problems.take(error, where(kind), f"Criterion '{name}'")
                return None
        bounds.append((kind, bound))
    if len(bounds) == 2 and bounds[0][1] > bounds[1][1]:
        problems.add(f"Criterion '{name}' can never be met.", "Exchange the bounds.", where("at_least"))
    return Rule(name, criterion.value, unit, tuple(bounds))


def screen(values: Mapping[str, Value], rules: Sequence[Rule]) -> tuple[Failure, ...]:
    """Every criterion that a candidate fails; none where the candidate is eligible."""
    failures = []
    for rule in rules:
        value = values.get(rule.value)
        if value is None:
            failures.append(Failure(rule.name, None, f"{_plain(rule.value)}: not known"))
            continue
        for kind, bound in rule.bounds:
            if not TESTS[kind](value, bound):
                failures.append(Failure(rule.name, value, _reason(rule, kind, value, bound)))
    return tuple(failures)


def _reason(rule: Rule, kind: str, value: Value, bound: Any) -> str:
    what = _plain(rule.value)
    if kind == "equals":
        return f"{what}: {'yes' if value else 'no'}"
    if kind == "one_of":
        return f"{what}: {_plain(str(value))}, not {' or '.join(map(_plain, bound))}"
    assert rule.unit is not None and not isinstance(value, str | None)
    side = "below" if kind == "at_least" else "above"
    return f"{what} {_shown(value, rule.unit)}, {side} {_shown(bound, rule.unit)}"


def _shown(value: float, unit: str) -> str:
    """A number with its unit; to more digits than `units.format` gives only where they matter."""
    return units.format(value, "" if unit == "1" else unit)


def _plain(name: str) -> str:
    return name.replace("_", " ")
