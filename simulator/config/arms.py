"""Arms: what each is given, and the trees its models are built from.

A lesion's tree is  base ← phenotype ← the patient's values ← the arm's `tissue:` ← the rest of the arm,
the last only from day 0.
"""

import re
from typing import Any, Literal, NamedTuple

from ..base.errors import Location, did_you_mean
from .catalogue import Catalogue
from .file import ArmSection, Phenotype
from .merge import merge, put
from .model import Parts
from .population import Deviates, Population
from .reader import Reader
from .schema import Tissue
from .tree import Node, Problems, describe

Phase = Literal["burn_in", "treatment"]
DEFAULT_ARM = "control"

_BEFORE_DAY_0 = ("block", "phenotype")
_SHARED = (
    "step",
    "duration",
    "burn_in",
    "seed",
    "patients",
    "replicates",
    "record",
    "compare",
    "population",
    "phenotypes",
    "arms",
    "regimens",
    "sweep",
)
_NESTED = ("cells", "fields", "body")  # sections that may stand under an arm's `tissue:`
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Arm(NamedTuple):
    """One arm: its doses as written, what it overrides, and whether that begins before day 0."""

    name: str
    doses: Any
    overrides: dict[str, Any]
    own_burn_in: bool


def read_arms(tree: Node, catalogue: Catalogue, problems: Problems) -> tuple[Node, dict[str, Arm]]:
    """The tree with regimens in place of their names, and its arms; one without doses if none is written."""
    node = tree.get("arms")
    if node is None or node.value is None or (node.is_map and not node.items()):
        tree = put(tree, ("arms", DEFAULT_ARM), Node({}, tree.where, tree.key))
        return tree, {DEFAULT_ARM: Arm(DEFAULT_ARM, None, {}, False)}
    reader, found = Reader(problems), {}
    if not reader.mapping(node, "'arms'"):
        return tree, {}
    for name, arm in node.items():
        if arm.value is None:
            arm = Node({}, arm.where, arm.key)
            tree = put(tree, ("arms", name), arm)
        if not reader.is_name(name, arm) or not reader.mapping(arm, f"arm {name}"):
            continue
        _check_keys(name, arm, reader)
        doses = arm.get("doses")
        if doses is not None:
            doses = _with_regimens(doses, tree, catalogue, problems)
            tree = put(tree, ("arms", name, "doses"), doses)
        tissue = arm.get("tissue")
        overrides = {key: child.plain() for key, child in arm.items() if key != "doses"}
        found[name] = Arm(
            name,
            None if doses is None else doses.plain(),
            overrides,
            tissue is not None and bool(tissue.items()),
        )
    return tree, found


def _check_keys(name: str, arm: Node, reader: Reader) -> None:
    """Every key of an arm may differ by arm; what may only do so before day 0 stands under `tissue:`."""
    allowed = list(ArmSection.model_fields)
    for key, child in arm.items():
        if key in _BEFORE_DAY_0:
            what = f"An arm cannot change its {key} at day 0."
            reader.problems.add(
                what, f"Put `{key}:` under the arm's `tissue:`: it acts before day 0.", child.key
            )
        elif key in _SHARED:
            what = f"'{key}' cannot differ between arms."
            reader.problems.add(
                what, f"Write it at the top of the file. Allowed in an arm: {', '.join(allowed)}.", child.key
            )
        elif key not in allowed:
            reader.unknown_key(key, child, f"arm {name}", allowed)
    tissue = arm.get("tissue")
    if tissue is None or tissue.value is None or not reader.mapping(tissue, "'tissue'"):
        return
    inside = [*Tissue.model_fields, *_NESTED, *_BEFORE_DAY_0]
    for key, child in tissue.items():
        if key not in inside:
            reader.unknown_key(key, child, "an arm's 'tissue'", inside)


def _with_regimens(doses: Node, tree: Node, catalogue: Catalogue, problems: Problems) -> Node:
    """The doses with every name of a regimen replaced by what it stands for."""
    if doses.value is not None and not isinstance(doses.value, str | list | dict):
        help = "Write e.g. 'doses: 2e6 cells/kg msc q21d x6', a list of such, or the name of a regimen."
        problems.add(f"doses: {describe(doses)} is no regimen.", help, doses.where)
        return doses
    if isinstance(doses.value, list):
        items: list[Node] = []
        for item in doses.value:
            read = _with_regimens(item, tree, catalogue, problems)
            items += read.value if isinstance(read.value, list) else [read]
        return Node(items, doses.where, doses.key)
    if not isinstance(doses.value, str) or not _WORD.fullmatch(doses.value.strip()):
        return doses
    name = doses.value.strip()
    known = {
        **catalogue.section("regimens"),
        **dict(regimens.items() if (regimens := tree.get("regimens")) else []),
    }
    if name not in known:
        help = did_you_mean(name, known) or "Write e.g. '2e6 cells/kg msc q21d x6'."
        problems.add(f"There is no regimen '{name}'.", help, doses.where)
        return doses
    return known[name]


def check_phenotypes(tree: Node, problems: Problems) -> list[str]:
    """Names of the phenotypes of the tree; keys that a phenotype cannot hold are problems."""
    node, reader = tree.get("phenotypes"), Reader(problems)
    if node is None or node.value is None or not reader.mapping(node, "'phenotypes'"):
        return []
    for name, child in node.items():
        if child.value is not None and reader.mapping(child, f"phenotype {name}"):
            for key, section in child.items():
                if key not in Phenotype.model_fields:
                    reader.unknown_key(key, section, f"phenotype {name}", list(Phenotype.model_fields))
    return [name for name, child in node.items() if child.is_map]


def assemble(
    tree: Node,
    arm: str | None,
    phase: Phase,
    population: Population,
    deviates: Deviates | None,
    problems: Problems,
) -> Parts:
    """The trees of one phase of one arm for one patient (nobody's in particular without deviates)."""
    own = tree.get("arms", arm) if arm is not None else None
    before, after = _overlays(own) if own is not None else ({}, {})
    blocks = _blocks(tree, before, problems)
    lesions = [_lesion(tree, block, before, after, phase, population, deviates, problems) for block in blocks]
    common = tree if deviates is None else population.applied(tree, deviates, problems)
    return Parts(blocks, lesions, _overlaid(common, before, after, phase))


def _overlays(arm: Node) -> tuple[dict[str, Node], dict[str, Node]]:
    """The sections an arm overrides: those before day 0, and those from day 0."""
    after = {key: child for key, child in arm.items() if key in ("cells", "fields", "drugs", "body")}
    tissue = arm.get("tissue")
    if tissue is None or not tissue.is_map:
        return {}, after
    before = {key: child for key, child in tissue.items() if key in (*_NESTED, *_BEFORE_DAY_0)}
    seeds = {key: child for key, child in tissue.items() if key in Tissue.model_fields}
    if seeds:
        before["tissue"] = Node(seeds, tissue.where, tissue.key)
    return before, after


def _blocks(tree: Node, before: dict[str, Node], problems: Problems) -> list[Node]:
    """The blocks with what the arm's `tissue:` says of them."""
    node, change = tree.get("block"), before.get("block")
    if node is None or node.value is None:
        where: Location = tree.key
        help = "Add e.g. block: {shape: [96, 96, 96], site: 15 um}."
        problems.add("The experiment lacks 'block'.", help, where)
        return []
    if change is not None and isinstance(change.value, list):
        node, change = change, None
    blocks = list(node.value) if isinstance(node.value, list) else [node]
    if not blocks:
        problems.add("The list of blocks is empty.", "Give at least one block.", node.where)
    if change is not None:
        blocks = [merge(block, change) for block in blocks]
    if "phenotype" in before:
        blocks = [merge(block, before["phenotype"].under("phenotype")) for block in blocks]
    return blocks


def _lesion(
    tree: Node,
    block: Node,
    before: dict[str, Node],
    after: dict[str, Node],
    phase: Phase,
    population: Population,
    deviates: Deviates | None,
    problems: Problems,
) -> Node:
    """The tree of one lesion."""
    named = block.get("phenotype")
    if named is not None and named.value is not None:
        phenotype = tree.get("phenotypes", str(named.value))
        if phenotype is None:
            options = (
                [name for name, _ in phenotypes.items()] if (phenotypes := tree.get("phenotypes")) else []
            )
            help = (
                did_you_mean(str(named.value), options)
                or "Use a patient of the catalogue that defines phenotypes."
            )
            problems.add(f"There is no phenotype '{named.value}'.", help, named.where)
        elif phenotype.is_map:
            tree = merge(tree, phenotype)
    if deviates is not None:
        tree = population.applied(tree, deviates, problems)
    return _overlaid(tree, before, after, phase)


def _overlaid(tree: Node, before: dict[str, Node], after: dict[str, Node], phase: Phase) -> Node:
    for overlay in (before, after) if phase == "treatment" else (before,):
        for key, child in overlay.items():
            if key not in _BEFORE_DAY_0:
                old = tree.get(key)
                tree = put(tree, (key,), merge(old, child))
    return tree
