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


class Kind(NamedTuple):
    """What a value is: a number in a unit, one of some texts, or (neither) true or false."""

    unit: str | None = None
    options: tuple[str, ...] = ()

    @property
    def tests(self) -> tuple[str, ...]:
        """The kinds of test that suit such a value."""
        return ("at_least", "at_most") if self.unit else ("one_of",) if self.options else ("equals",)


class Rule(NamedTuple):
    """A criterion with its bounds in the unit of the value; `unit` is None where the value is no number."""

    name: str
    value: str
    unit: str | None
    bounds: tuple[tuple[str, Any], ...]


def rules(criteria: Mapping[str, Criterion], kinds: Mapping[str, Kind]) -> tuple[Rule, ...]:
    """Criteria ready to judge by.

    kinds : what every value of a candidate is.  Raises InputError where a criterion is about a value that
    nobody has, or tests it for what it cannot be.
    """
    problems = Problems()
    found = [_rule(name, criterion, kinds, None, problems) for name, criterion in criteria.items()]
    problems.done()
    return tuple(rule for rule in found if rule is not None)


def read_rules(
    node: Node, kinds: Mapping[str, Kind], problems: Problems
) -> tuple[dict[str, Criterion], tuple[Rule, ...]]:
    """The criteria under `eligibility:`, each problem at its place."""
    read_ = {
        name: read(Criterion, child, f"criterion '{name}'", problems)
        for name, child in node.items()
        if name != "source"
    }
    criteria = {name: criterion for name, criterion in read_.items() if criterion is not None}
    found = [_rule(name, one, kinds, node.get(name), problems) for name, one in criteria.items()]
    return criteria, tuple(rule for rule in found if rule is not None)


def _rule(
    name: str, criterion: Criterion, kinds: Mapping[str, Kind], node: Node | None, problems: Problems
) -> Rule | None:
    """A criterion ready to judge by, or None with what is wrong among the problems."""
    mistakes = list(_mistakes(criterion, kinds))
    for mistake in mistakes:
        at = node.get(*mistake.path) if node is not None else None
        problems.add(f"Criterion '{name}' {mistake.what}", mistake.help, at.where if at is not None else None)
    if mistakes:
        return None
    unit = kinds[criterion.value].unit
    bounds = [(test, getattr(criterion, test)) for test in criterion.tests()]
    if unit is not None:
        bounds = [(test, units.value(bound, unit)) for test, bound in bounds]
    return Rule(name, criterion.value, unit, tuple(bounds))


def _mistakes(criterion: Criterion, kinds: Mapping[str, Kind]) -> Iterator[Fault]:
    """What does not suit the value that a criterion is about."""
    if criterion.value not in kinds:
        what = f"is about '{criterion.value}', which no patient has."
        yield Fault(("value",), what, did_you_mean(criterion.value, kinds))
        return
    kind, read_ = kinds[criterion.value], []
    for test in criterion.tests():
        if test not in kind.tests:
            yield Fault((test,), f"tests '{criterion.value}' by {test}.", f"Use {' or '.join(kind.tests)}.")
        elif kind.unit is not None:
            try:
                read_.append(units.value(getattr(criterion, test), kind.unit))
            except InputError as error:
                yield Fault((test,), f"has a wrong bound: {error.problems[0].what}", error.problems[0].help)
    for option in criterion.one_of if kind.options else ():
        if option not in kind.options:
            what = f"allows '{option}', which '{criterion.value}' never is."
            yield Fault(("one_of",), what, did_you_mean(option, kind.options))
    if len(read_) == 2 and read_[0] > read_[1]:
        yield Fault(("at_least",), "can never be met.", "Exchange the bounds.")


def screen(values: Mapping[str, Value], rules: Sequence[Rule]) -> tuple[Failure, ...]:
    """Every criterion that a candidate fails; none where the candidate is eligible."""
    failures = []
    for rule in rules:
        value = values.get(rule.value)
        if value is None or value != value:  # not a number is not known either
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
    return units.format(value, "" if unit == "1" else unit)


def _plain(name: str) -> str:
    return name.replace("_", " ")
