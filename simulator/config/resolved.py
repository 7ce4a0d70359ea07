"""A configuration as text again: nothing left to look up or to draw."""

from io import StringIO
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


def to_yaml(plain: Any) -> str:
    """Plain data as YAML text that `tree.read_text` reads back to the same."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 110
    yaml.sort_base_mapping_type_on_output = False
    stream = StringIO()
    yaml.dump(plain, stream)
    return stream.getvalue()
