"""Names for what was computed: hashes of everything that decides a result, and of nothing else."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel

_SILENT = {"source", "title", "description", "color"}  # what a reader sees and no result depends on


def canonical(value: Any) -> Any:
    """A value as plain JSON data, without texts that decide nothing."""
    if isinstance(value, BaseModel):
        return {
            name: canonical(getattr(value, name)) for name in type(value).model_fields if name not in _SILENT
        }
    if isinstance(value, dict):
        return {str(key): canonical(child) for key, child in value.items() if key not in _SILENT}
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    return value


def digest(value: Any) -> str:
    """Hash of a value (32 hex digits): equal for equal content, whatever the order of keys."""
    text = json.dumps(canonical(value), sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
