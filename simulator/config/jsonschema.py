"""The JSON Schema of experiment files, for editors: `python -m simulator.config.jsonschema` writes it."""

import json
from pathlib import Path
from typing import Any

from .catalogue import shipped
from .file import File
from .merge import DIRECTIONS

_REMOVABLE = ("behaviors", "traits", "infiltrate", "founders")  # mappings whose entries `null` removes


def json_schema() -> dict[str, Any]:
    """The schema of an experiment file or a partial tree: nothing is required, since `use` may give it."""
    schema = File.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        section.pop("required", None)
        for name in _REMOVABLE:
            if name in section.get("properties", {}):
                _make_removable(section["properties"][name])
    _rows_of_rules(schema["$defs"])
    for drug in ("Antibody", "CellProduct"):
        schema["$defs"][drug]["properties"]["extends"] = {
            "type": "string",
            "description": "a drug to build on",
        }
    _shapes(schema["$defs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Experiment"}


def _make_removable(mapping: dict[str, Any]) -> None:
    """Entries of a mapping may be null."""
    if "patternProperties" in mapping:
        mapping["patternProperties"] = {
            pattern: {"anyOf": [entry, {"type": "null"}]}
            for pattern, entry in mapping["patternProperties"].items()
        }
    else:
        mapping["additionalProperties"] = {"anyOf": [mapping["additionalProperties"], {"type": "null"}]}


def _rows_of_rules(definitions: dict[str, Any]) -> None:
    """A row as written: one behavior, its signal, and perhaps `off`."""
    row = definitions["Rule"]["properties"]
    row.pop("behavior")
    row["off"] = {"type": "boolean", "description": "true removes the row"}
    for direction in DIRECTIONS:
        row[direction] = {
            "type": "string",
            "description": "a signal: a field, a trait, contact NAME, target TRAIT, engaged",
        }
    one = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {"$ref": "#/$defs/Rule"},
    }
    definitions["Cell"]["properties"]["rules"] = {"type": "array", "items": one}


def _shapes(definitions: dict[str, Any]) -> None:
    """A block's shape is [z, y, x], or [y, x] for one layer of sites."""
    shape = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 3}
    definitions["Block"]["properties"]["shape"] = shape


def shipped_path() -> Path:
    """Where the schema lies beside the catalogue."""
    return shipped() / "experiment.schema.json"


def main() -> None:
    """Write the schema beside the catalogue."""
    shipped_path().write_text(json.dumps(json_schema(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
