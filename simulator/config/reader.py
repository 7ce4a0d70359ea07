"""Sections of a tree read into the models of the schema, with every problem at its place."""

import re
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from ..base.errors import InputError, did_you_mean
from .quantities import Level, Name, Strict
from .tree import Node, Problems, describe

Section = TypeVar("Section", bound=BaseModel)
Convert = Mapping[str, Callable[[Any], float]]
_FAILED = object()


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@cache
def _adapter(annotation: Any) -> TypeAdapter:
    return TypeAdapter(annotation)


class Reader:
    """Reads nodes as sections of the schema; what is wrong goes to `problems`."""

    def __init__(self, problems: Problems):
        self.problems = problems

    def section(
        self,
        cls: type[Section],
        node: Node,
        name: str,
        convert: Convert | None = None,
        ignore: tuple[str, ...] = (),
    ) -> Section | None:
        """A section of class `cls`, or None where it cannot be made.

        name : what messages call it; convert : keys whose unit follows from the context, with the
        function that reads them; ignore : keys that the caller reads.
        """
        if not self.mapping(node, name):
            return None
        hints, values, before = _hints(cls), {}, len(self.problems)
        for key, child in node.items():
            if key in ignore:
                continue
            if key not in cls.model_fields:
                self.unknown_key(key, child, name, list(cls.model_fields))
            elif child.value is not None:
                read = self.value(hints[key], child, key, convert or {})
                if read is not _FAILED:
                    values[key] = read
        self._missing(cls, node, name, ignore)
        return cls.model_construct(**values) if len(self.problems) == before else None

    def mapping(self, node: Node, name: str) -> bool:
        """Whether the node is a mapping of keys; a problem if not."""
        if not node.is_map:
            self.problems.add(
                f"{name} is {describe(node)}; it must be a mapping of keys.",
                "Write its keys below it, indented.",
                node.where,
            )
        return node.is_map

    def unknown_key(self, key: str, node: Node, name: str, options: list[str]) -> None:
        """Note a key that nobody reads."""
        self.problems.add(f"{name} has no key '{key}'.", did_you_mean(key, options), node.key)

    def amount(self, node: Node, name: str, convert: Callable[[Any], float]) -> float | None:
        """A number that is not negative, in the unit that `convert` makes of it; None where it is wrong."""
        read = self._leaf(Level, node, name, convert)
        return None if read is _FAILED else read

    def _missing(self, cls: type[BaseModel], node: Node, name: str, ignore: tuple[str, ...]) -> None:
        required = [k for k, f in cls.model_fields.items() if f.is_required() and k not in ignore]
        missing = [k for k in required if (child := node.get(k)) is None or child.value is None]
        if missing:
            lacks = "' and '".join(missing) if len(missing) < 3 else "', '".join(missing)
            self.problems.add(
                f"{name} lacks '{lacks}'.", f"Add {', '.join(f'`{k}:`' for k in missing)}.", node.key
            )

    def value(self, annotation: Any, node: Node, name: str, convert: Convert) -> Any:
        """A value of the annotated type, or a mark of failure."""
        inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
        if get_origin(inner) in (Union, types.UnionType):
            return self._one_of(annotation, get_args(inner), node, name, convert)
        if isinstance(inner, type) and issubclass(inner, Strict):
            read = self.section(inner, node, f"'{name}'", convert)
            return _FAILED if read is None else read
        if get_origin(inner) is dict:
            return self._dict(get_args(inner), node, name, convert)
        if get_origin(inner) is tuple:
            return self._tuple(get_args(inner), node, name, convert)
        return self._leaf(annotation, node, name, convert.get(name))

    def _one_of(self, annotation: Any, options: tuple, node: Node, name: str, convert: Convert) -> Any:
        sections = [o for o in options if isinstance(o, type) and issubclass(o, Strict)]
        if node.is_map and sections:
            return self.value(sections[0], node, name, convert)
        rest = [o for o in options if o is not type(None) and o not in sections]
        if len(rest) == 1:
            return self.value(rest[0], node, name, convert)
        return self._leaf(annotation, node, name, convert.get(name))

    def _dict(self, types_: tuple, node: Node, name: str, convert: Convert) -> Any:
        if not self.mapping(node, f"'{name}'"):
            return _FAILED
        read = {}
        for key, child in node.items():
            if child.value is None:
                self.problems.add(f"There is no '{key}' in '{name}' to remove.", "", child.key)
            elif self.is_name(key, child, types_[0]):
                function = convert.get(name)
                read[key] = self.value(types_[1], child, key, {key: function} if function else convert)
        return _FAILED if _FAILED in read.values() or len(read) < len(node.items()) else read

    def is_name(self, key: str, node: Node, annotation: Any = Name) -> bool:
        """Whether a key is a name of the annotated form; a problem if not."""
        try:
            _adapter(annotation).validate_python(key)
            return True
        except ValidationError as error:
            if error.errors()[0]["type"] == "literal_error":
                what, help = f"'{key}' is not known here.", did_you_mean(key, get_args(annotation))
            else:
                what = f"'{key}' is not a name."
                help = f"Names are lower-case letters, digits and _, and begin with a letter{_as_name(key)}."
            self.problems.add(what, help, node.key)
            return False

    def _tuple(self, types_: tuple, node: Node, name: str, convert: Convert) -> Any:
        if not isinstance(node.value, list):
            self.problems.add(
                f"'{name}' is {describe(node)}; it must be a list.", "Write e.g. [a, b].", node.where
            )
            return _FAILED
        if types_[-1] is not Ellipsis and len(types_) != len(node.value):
            self.problems.add(
                f"'{name}' holds {len(node.value)} items; it must hold {len(types_)}.", "", node.where
            )
            return _FAILED
        read = [self.value(types_[0], child, name, convert) for child in node.value]
        return _FAILED if _FAILED in read else tuple(read)

    def _leaf(self, annotation: Any, node: Node, name: str, convert: Callable[[Any], float] | None) -> Any:
        given = node.plain()
        try:
            if convert is not None:
                if isinstance(given, dict | list | bool):
                    raise InputError(
                        f"{describe(node)} is not a number.".capitalize(), "Write a number with its unit."
                    )
                given = convert(given)
            elif isinstance(given, bool) and _literals(annotation):
                given = describe(node)  # or true would pass as 1
            elif isinstance(given, float) and given.is_integer() and _is_whole(annotation):
                given = int(given)  # 1e4 is a count to whoever writes it
            return _adapter(annotation).validate_python(given, strict=True)
        except InputError as error:
            self.problems.take(error, node.where, name)
        except ValidationError as error:
            what, help = _explain(error.errors()[0], annotation)
            self.problems.add(f"{name}: {describe(node)} {what}.", help, node.where)
        return _FAILED


def _as_name(key: str) -> str:
    name = re.sub(r"[^a-z0-9_]+", "_", key.lower()).strip("_")
    return f": write '{name}'" if re.match(r"[a-z]", name) else ""


_BOUNDS = {
    "greater_than": ("must be above {gt:g}", ""),
    "greater_than_equal": ("must be at least {ge:g}", ""),
    "less_than": ("must be below {lt:g}", ""),
    "less_than_equal": ("must be at most {le:g}", ""),
}
_TYPES = {
    "float_type": ("is not a number", "Write a plain number, as 0.5."),
    "int_type": ("is not a whole number", "Write a whole number, as 3."),
    "int_from_float": ("is not a whole number", "Write a whole number, as 3."),
    "string_type": ("is not text", "Write text; put it in quotes if it looks like a number."),
    "bool_type": ("is neither true nor false", "Write true or false."),
    "finite_number": ("is not a finite number", "Give a finite number."),
}


def _explain(error: Any, annotation: Any) -> tuple[str, str]:
    """What a refused value must be instead: (predicate, what to do)."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUNDS:
        return _BOUNDS[kind][0].format(**context), ""
    if kind == "literal_error":
        return "is not allowed", did_you_mean(str(error["input"]), [str(o) for o in _literals(annotation)])
    if kind == "string_pattern_mismatch":
        return "is not a name", "Names are lower-case letters, digits and _, and begin with a letter."
    return _TYPES.get(kind, ("does not fit", error["msg"] + "."))


def _is_whole(annotation: Any) -> bool:
    return annotation is int or get_origin(annotation) is Annotated and get_args(annotation)[0] is int


def _literals(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [option for part in get_args(annotation) for option in _literals(part)]
