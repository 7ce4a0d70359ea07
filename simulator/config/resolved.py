"""A configuration as text again: nothing left to look up or to draw."""

import pickle
from functools import lru_cache
from io import StringIO
from textwrap import indent
from typing import Any

from .merge import merge, put, split_path
from .population import Deviates, Population
from .tree import Node, Problems


def person(tree: Node, population: Population, deviates: Deviates) -> Node:
    """The tree with a patient's values, also where a phenotype has its own."""
    problems = Problems()
    result = population.applied(tree, deviates, problems)
    for name, phenotype in (tree.get("phenotypes") or Node({}, tree.where, tree.key)).items():
        drawn = population.applied(merge(tree, phenotype), deviates, problems)
        for path in population.rows:
            keys = split_path(path)
            value = drawn.get(*keys)
            if phenotype.get(*keys) is not None and value is not None:
                result = put(result, ("phenotypes", name, *keys), value)
    problems.done()
    return result


def to_yaml(plain: dict[str, Any]) -> str:
    """Plain data as YAML text that `tree.read_text` reads back to the same.

    Patients differ in a few entries of a section: the others are written once for all runs of a process.
    """
    text = []
    for key, section in plain.items():
        if isinstance(section, dict) and section:
            entries = (_text(pickle.dumps({name: entry})) for name, entry in section.items())
            head = _text(pickle.dumps({key: None})).removesuffix(" null\n")
            text += [f"{head}\n", *(indent(entry, "  ") for entry in entries)]
        else:
            text.append(_text(pickle.dumps({key: section})))
    return "".join(text)


@lru_cache(maxsize=1024)
def _text(pickled: bytes) -> str:
    """One entry as YAML."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 110
    yaml.sort_base_mapping_type_on_output = False
    stream = StringIO()
    yaml.dump(pickle.loads(pickled), stream)
    return stream.getvalue()
