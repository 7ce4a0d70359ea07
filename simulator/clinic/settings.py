"""Sections of a protocol: ranges of single values, and what must hold between them, checked alike
whether they come from a file or from Python."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from ..base.errors import InputError, Location, Problem
from ..config.reader import Reader
from ..config.schema import Strict
from ..config.tree import Node, Problems, as_node


class Fault(NamedTuple):
    """What does not go together in a section: the keys that lead to it, the sentence, what to do."""

    path: tuple[str | int, ...]
    what: str
    help: str = ""


class Section(Strict):
    """A section whose values must also suit each other; raises InputError where they do not."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError([_refused(type(self).__name__, one) for one in error.errors()]) from None
        faults = [Problem(fault.what, fault.help) for fault in self.faults()]
        if faults:
            raise InputError(faults)

    def faults(self) -> Iterator[Fault]:
        """What does not go together among the values of this section."""
        yield from ()


S = TypeVar("S", bound=Section)


def read(cls: type[S], node: Node, name: str, problems: Problems) -> S | None:
    """A section from the tree of a file; what is wrong goes to `problems`, each thing at its place."""
    section = Reader(problems).section(cls, node, name)
    if section is not None:
        before = len(problems)
        check(section, node, problems)
        section = section if len(problems) == before else None
    return section


def parse(cls: type[S], plain: Mapping[str, Any], name: str) -> S:
    """A section from plain mappings, lists and scalars; raises InputError with every problem."""
    problems = Problems()
    section = read(cls, as_node(plain, Location(name, 0, 0)), f"'{name}'", problems)
    problems.done()
    assert section is not None, "a section that cannot be read has a problem"
    return section


def check(value: Any, node: Node, problems: Problems) -> None:
    """Note what does not go together in a section or in any below it."""
    if isinstance(value, Section):
        for fault in value.faults():
            at = node.get(*fault.path) or node
            problems.add(fault.what, fault.help, at.key)
        children: list[tuple[str | int, Any]] = [
            (key, getattr(value, key)) for key in type(value).model_fields
        ]
    elif isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, tuple):
        children = list(enumerate(value))
    else:
        return
    for key, child in children:
        below = node.get(key)
        if below is not None:
            check(child, below, problems)


def _refused(section: str, error: Any) -> Problem:
    """A value that pydantic refused, as a problem."""
    path = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Input ").removesuffix(".")
    given = "" if error["type"] == "missing" else f", not {error['input']!r}"
    return Problem(f"{section}: {path} {message[:1].lower()}{message[1:]}{given}.")
