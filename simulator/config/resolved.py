"""A configuration as text again: nothing left to look up or to draw."""

from io import StringIO
from textwrap import indent
from typing import Any

from .merge import merge, put, split_path
from .population import Deviates, Population
from .tree import Node, Problems

_MOST = 1024  # entries kept as text
_written: dict[str, str] = {}


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
            head = _text({key: None}).removesuffix(" null\n")
            text += [f"{head}\n", *(indent(_text({name: entry}), "  ") for name, entry in section.items())]
        else:
            text.append(_text({key: section}))
    return "".join(text)


def _text(entry: dict[str, Any]) -> str:
    """One entry as YAML, from memory if it was written before."""
    said = repr(entry)
    if said not in _written:
        if len(_written) >= _MOST:
            _written.clear()
        _written[said] = _dumped(entry)
    return _written[said]


def _dumped(entry: dict[str, Any]) -> str:
    """One entry as YAML; the writer is pure Python, and takes a second for a whole configuration."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 110
    yaml.sort_base_mapping_type_on_output = False
    stream = StringIO()
    yaml.dump(entry, stream)
    return stream.getvalue()
