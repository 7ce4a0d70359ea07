"""The kinds of values an experiment file may hold (quantities with units, shares, names), and its sections.

Every quantity is stored as a float in the unit its field names; a user writes it with any unit of the same
dimension.  Times are hours, lengths micrometers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from annotated_types import GroupedMetadata
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field as Key, WithJsonSchema

from ..base import units


@dataclass(frozen=True)
class quantity(GroupedMetadata):
    """Marks a float that is written as a number with a unit and stored in `unit` ("1": a plain number)."""

    unit: str
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    def __iter__(self) -> Iterator[object]:
        yield BeforeValidator(lambda given: units.value(given, self.unit))
        yield Key(gt=self.above, ge=self.at_least, le=self.at_most)
        plain = {"type": ["number", "string"], "description": "a plain number"}
        example = f"a number with a unit, as in '{units.format(1.0, self.unit)}'"
        yield WithJsonSchema(plain if self.unit == "1" else {"type": "string", "description": example})


IN_CONTEXT = WithJsonSchema(
    {"type": ["number", "string"], "description": "a number, with its unit if it has one"}
)


Time = Annotated[float, quantity("h", at_least=0)]
Positive = Annotated[float, quantity("1", above=0)]
Share = Annotated[float, quantity("1", at_least=0, at_most=1)]
# Numbers whose unit follows from the action or the field they stand under; `load` converts them.
Level = Annotated[float, Key(ge=0), IN_CONTEXT]
HalfMax = Annotated[float, Key(gt=0), IN_CONTEXT]
Sites = Annotated[int, Key(ge=1)]
Name = Annotated[str, Key(pattern=r"^[a-z][a-z0-9_]*$")]
# One name, or a list of them.
Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Strict(BaseModel):
    """A section: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
