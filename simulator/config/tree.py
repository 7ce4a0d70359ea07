"""A YAML file as a tree that knows where every key and value stands.

The text is read event by event, so a duplicate key, an alias or a wild nesting
is one more problem with a position, and the rest of the file is still read.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import InputError, Location, Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 50

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML counts as the end of a line
_INTEGER = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

Value = dict[str, "Node"] | list["Node"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the tree: where it stands, and where the key (or list item) that holds it stands."""

    value: Value
    where: Location
    key: Location

    @property
    def is_map(self) -> bool:
        """Whether this is a mapping of keys to nodes."""
        return isinstance(self.value, dict)

    def items(self) -> list[tuple[str, "Node"]]:
        """Keys and nodes of a mapping; nothing for anything else."""
        return list(self.value.items()) if isinstance(self.value, dict) else []

    def get(self, *path: str | int) -> "Node | None":
        """The node under a path of keys and list positions, or None."""
        node: Node | None = self
        for part in path:
            if node is None:
                return None
            if isinstance(node.value, dict):
                node = node.value.get(str(part))
            elif isinstance(node.value, list) and isinstance(part, int) and 0 <= part < len(node.value):
                node = node.value[part]
            else:
                return None
        return node

    def plain(self) -> Any:
        """The same as ordinary dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def under(self, *keys: str) -> "Node":
        """This node wrapped in mappings: `node.under("cells")` is the tree `cells: node`."""
        node = self
        for key in reversed(keys):
            node = Node({key: node}, self.where, self.key)
        return node


def as_node(plain: Any, where: Location) -> Node:
    """Plain data as a tree whose every node stands at `where`."""
    if isinstance(plain, Mapping):
        return Node({str(key): as_node(child, where) for key, child in plain.items()}, where, where)
    if isinstance(plain, list | tuple):
        return Node([as_node(child, where) for child in plain], where, where)
    return Node(plain, where, where)


class Problems:
    """Everything wrong so far, each thing once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Location | None], Problem] = {}
        self._unreadable: set[Location] = set()
        self._noted = 0

    def add(self, what: str, help: str = "", where: Location | None = None) -> None:
        """Note one thing wrong; a place that could not be read has no further problems."""
        self._noted += 1
        if where not in self._unreadable:
            self._found.setdefault((what, where), Problem(what, help, where))

    def add_unreadable(self, what: str, help: str, where: Location) -> None:
        """Note a value that cannot be read, so that a stand-in follows."""
        self.add(what, help, where)
        self.silence(where)

    def silence(self, where: Location) -> None:
        """Note nothing more about a place: what is wrong with it has been said."""
        self._unreadable.add(where)

    def take(self, error: InputError, where: Location | None, subject: str = "") -> None:
        """Note what a lower floor refused, at a place in the file."""
        for problem in error.problems:
            self.add(f"{subject}: {problem.what}" if subject else problem.what, problem.help, where)

    def __len__(self) -> int:
        """How often something was noted, repetitions included: it grows whenever a reading fails."""
        return self._noted

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found.values())

    def done(self) -> None:
        """Raise InputError with all of them, file by file in the order of lines, if there are any."""
        if not self._found:
            return
        files = {p.where.file: i for i, p in reversed(list(enumerate(self._found.values()))) if p.where}

        def order(problem: Problem) -> tuple[int, int, int]:
            place = problem.where
            return (files[place.file], place.line, place.column) if place else (-1, 0, 0)

        raise InputError(sorted(self._found.values(), key=order))


def read_file(path: Path, problems: Problems, named_at: Location | None = None) -> Node | None:
    """The tree of a YAML file; None where there is none, with the reason among the problems."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            what = f"{path} holds {size / 1e6:.1f} MB; a configuration holds at most 1 MB."
            problems.add(what, "Give the YAML file of an experiment.", named_at)
            return None
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        help = "Give the path of an experiment file; `simulator init DIR` writes one to start from."
        problems.add(f"Cannot read {path}: {(error.strerror or str(error)).lower()}.", help, named_at)
        return None
    except UnicodeDecodeError as error:
        problems.add(
            f"{path} is not UTF-8 text (byte {error.start + 1}).",
            "Save it as UTF-8.",
            named_at,
        )
        return None
    return read_text(text, str(path), problems)


def read_text(text: str, file: str, problems: Problems) -> Node | None:
    """The tree of YAML text, which must be one mapping; `file` names it in messages."""
    before = len(problems)
    node = _Composer(text, file, problems).document()
    if node is None or node.value is None:
        if len(problems) == before:
            problems.add(
                "The file is empty.", "An experiment needs at least block and duration.", Location(file, 1, 1)
            )
        return None
    if not node.is_map:
        problems.add(
            f"The file holds {describe(node)}, not a mapping of keys.",
            "Write 'key: value' lines.",
            node.where,
        )
        return None
    return node


def read_value(text: str, file: str, problems: Problems) -> Node | None:
    """The tree of a YAML value of any shape, as `--set` takes it."""
    nowhere = Location(file, 0, 0)
    return _Argument(text, file, problems).document() or Node(None, nowhere, nowhere)


def first_line(where: Location) -> str:
    """The end of a sentence about a repetition: where the first stands, if that has lines."""
    return f"; the first is in line {where.line}" if where.line else ""


def describe(node: Node) -> str:
    """What a node is, in words for a message."""
    value = node.value
    if isinstance(value, dict):
        return "a mapping of keys"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    shown = text if len(text) <= 60 else text[:57] + "..."
    return f"'{shown}'" if isinstance(value, str) else shown


class _Stop(Exception):
    """The rest of the text cannot be read."""


class _Composer:
    """Builds the tree from ruamel's events; the only place that knows ruamel."""

    def __init__(self, text: str, file: str, problems: Problems):
        self.file, self.problems, self.text = file, problems, text
        self.lines = _BREAK.split(text)

    def location(self, line: int, column: int) -> Location:
        text = self.lines[line] if line < len(self.lines) else ""
        return Location(self.file, line + 1, column + 1, text.replace("\t", " ").rstrip())

    def document(self) -> Node | None:
        """The only document of the text, or None; what is wrong is among the problems."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            events = iter(YAML(typ="safe", pure=True).parse(self.text))
            return self._document(events)
        except _Stop:
            return None
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = self.location(mark.line, mark.column) if mark else Location(self.file, 1, 1)
            self.problems.add(
                f"This is not YAML: {error.problem or error.context}.", _yaml_help(error, where), where
            )
        except YAMLError as error:
            position = getattr(error, "position", 0)
            line = len(_BREAK.findall(self.text[:position])) if isinstance(position, int) else 0
            self.problems.add(
                f"This is not YAML: {error.args[0] if error.args else 'unreadable text'}.".replace("..", "."),
                "A control character stands in the file.",
                self.location(line, 0),
            )
        return None

    def _document(self, events: Iterator[Any]) -> Node | None:
        root = None
        for event in events:
            name = type(event).__name__
            if name == "DocumentStartEvent" and root is not None:
                self._refuse(
                    event, "A second document starts here.", "Remove the line '---'; one file is one tree."
                )
                raise _Stop
            if name in ("ScalarEvent", "MappingStartEvent", "SequenceStartEvent", "AliasEvent"):
                root = self._node(event, events, 0, self._at(event))
        return root

    def _at(self, event: Any) -> Location:
        return self.location(event.start_mark.line, event.start_mark.column)

    def _refuse(self, event: Any, what: str, help: str) -> None:
        self.problems.add_unreadable(what, help, self._at(event))

    def _node(self, event: Any, events: Iterator[Any], depth: int, key: Location) -> Node:
        name, where = type(event).__name__, self._at(event)
        if depth > MAX_DEPTH:
            self._refuse(event, f"Nested more than {MAX_DEPTH} levels deep.", "No configuration needs that.")
            raise _Stop
        if name == "AliasEvent":
            self._refuse(
                event,
                f"'*{event.anchor}' repeats another value.",
                "Write the value out; aliases are refused.",
            )
            return Node(None, where, key)
        if event.anchor:
            self._refuse(
                event, f"'&{event.anchor}' names a value.", "Remove it; anchors and aliases are refused."
            )
        if event.tag and str(event.tag) != "!":
            self._refuse(
                event, "A YAML tag ('!…') stands here.", "Remove it: a configuration holds plain values only."
            )
        if name == "ScalarEvent":
            return Node(self._scalar(event), where, key)
        if name == "SequenceStartEvent":
            return Node(self._sequence(events, depth), where, key)
        return Node(self._mapping(events, depth), where, key)

    def _sequence(self, events: Iterator[Any], depth: int) -> list[Node]:
        items = []
        for event in events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            items.append(self._node(event, events, depth + 1, self._at(event)))
        return items

    def _mapping(self, events: Iterator[Any], depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for event in events:
            if type(event).__name__ == "MappingEndEvent":
                break
            where = self._at(event)
            if type(event).__name__ != "ScalarEvent":
                self._refuse(event, "A key must be a word.", "Write 'key: value'.")
                raise _Stop
            key = event.value
            node = self._node(next(events), events, depth + 1, where)
            if key == "<<" and event.implicit[0]:
                self._refuse(event, "Merge keys ('<<') are refused.", "Use `use:` to build on another file.")
            elif key in found:
                what = f"'{key}' stands here a second time{first_line(found[key].key)}."
                self._refuse(event, what, "Keep one of them.")
            else:
                found[key] = node
        return found

    def _scalar(self, event: Any) -> Value:
        """YAML 1.2 core scalars; a number that is not finite is a problem."""
        text = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _NOT_FINITE.fullmatch(text):
            self._refuse(event, f"{text} is not a finite number.", "Give a finite number.")
            return 0.0
        if _INTEGER.fullmatch(text) and len(text) < 40:
            return int(text)
        if _DECIMAL.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                self._refuse(event, f"{text[:40]} is too large.", "Give a number below 1e300.")
                return 0.0
            return number
        return text


class _Argument(_Composer):
    """A value of the command line: no lines to name, but places that differ, since problems go by place."""

    def location(self, line: int, column: int) -> Location:
        return Location(self.file, 0, sum(len(before) + 1 for before in self.lines[:line]) + column + 1)


def _yaml_help(error: Any, where: Location) -> str:
    text = f"{error.problem} {error.context}"
    if "\\t" in text or "'\t'" in text:
        return "Indent with spaces, not with tabs."
    if "mapping values are not allowed" in text:
        return "A colon follows a value: indent the next keys, or put the text in quotes."
    if (
        "expected <block end>" in text
        or "did not find expected" in text
        or "could not find expected ':'" in text
    ):
        return "Check the indentation and the brackets of this line and the one before."
    return "Check brackets, quotes and indentation."
