"""The catalogue that ships, and what `use:` makes of it: one tree out of many files."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..base.errors import InputError, Location, did_you_mean
from .merge import key_rules, merge, put
from .tree import Node, Problems, describe, read_file

# Folders whose files hold entries by name, and the section they belong to; the others hold partial trees.
SECTIONS = {"cells": "cells", "fields": "fields", "drugs": "drugs", "regimens": "regimens"}
FOLDERS = (*SECTIONS, "patients", "switches", "validation", "protocols", "experiments", "replications")


def shipped() -> Path:
    """The folder of the catalogue: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def _shown(path: Path) -> Path:
    """A path as messages show it: from the working directory where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


class Catalogue:
    """The entries under a catalogue folder; files are read when first asked for."""

    def __init__(self, folder: Path | None = None):
        self.folder = _shown(shipped() if folder is None else Path(folder))
        if folder is not None and not self.folder.is_dir():
            raise InputError(
                f"There is no catalogue folder {self.folder}.", "Give the folder that holds cells/, drugs/ …"
            )
        self._trees: dict[Path, Node | None] = {}
        self._sections: dict[str, dict[str, Node]] = {}

    @cached_property
    def entries(self) -> dict[str, list[Path]]:
        """Files by entry name, and by folder/name."""
        found: dict[str, list[Path]] = {}
        for folder in FOLDERS:
            for path in sorted((self.folder / folder).glob("*.yaml")):
                found.setdefault(path.stem, []).append(path)
                found[f"{folder}/{path.stem}"] = [path]
        return found

    def tree(self, path: Path, problems: Problems, named_at: Location | None = None) -> Node | None:
        """A file's tree, wrapped in the section its folder stands for."""
        real = path.resolve()
        if self._trees.get(real) is None:
            node = read_file(path, problems, named_at)
            if (
                node is not None
                and real.parent.parent == self.folder.resolve()
                and real.parent.name in SECTIONS
            ):
                node = node.under(SECTIONS[real.parent.name])
            self._trees[real] = None if node is None else key_rules(node, problems)
        return self._trees[real]

    def section(self, name: str) -> dict[str, Node]:
        """Every entry of the files in the folder of a section; unreadable files are passed over."""
        if name not in self._sections:
            found: dict[str, Node] = {}
            for path in sorted((self.folder / name).glob("*.yaml")):
                tree = self.tree(path, Problems())
                found |= dict((tree.get(name) or tree).items()) if tree is not None else {}
            self._sections[name] = found
        return self._sections[name]

    @cached_property
    def traits(self) -> set[str]:
        """Every trait that any cell file or patient file of the catalogue gives to a kind."""
        kinds = [cell for _, cell in self.section("cells").items()]
        for path in sorted((self.folder / "patients").glob("*.yaml")):
            tree = self.tree(path, Problems())
            kinds += [cell for _, cell in (tree.get("cells") or tree).items()] if tree is not None else []
        return {
            trait
            for cell in kinds
            if (traits := cell.get("traits")) is not None
            for trait, _ in traits.items()
        }

    def names(self, section: str) -> set[str]:
        """Names of all kinds, fields, drugs or regimens of the catalogue."""
        return set(self.section(section))


class Composed(NamedTuple):
    """A tree with all it uses; `used` are the files in it, `complete` says that none is missing."""

    tree: Node | None
    complete: bool
    used: frozenset[Path]


def compose(path: Path, catalogue: Catalogue, problems: Problems) -> Composed:
    """The tree of a file with all it uses.

    Depth-first, later over earlier, the file itself last; an entry that is used twice is merged once,
    where it comes first.
    """
    composition = _Composition(catalogue, problems)
    tree = composition.tree(path, (), None)
    return Composed(tree, composition.complete, frozenset(composition.seen))


def compose_parts(
    tree: Node, path: Path, catalogue: Catalogue, used: frozenset[Path], problems: Problems
) -> Node:
    """The tree of the experiment at `path` with its arms and its sweep's levels laid over what they use.

    used : files that are in the tree already, which a part does not merge again.
    """
    nothing = Node({}, tree.where, tree.key)
    places: list[tuple[str, ...]] = [("arms", name) for name, _ in (tree.get("arms") or nothing).items()]
    for name, factor in (tree.get("sweep", "factors") or nothing).items():
        levels = (factor.get("levels") or nothing).items()
        places += [("sweep", "factors", name, "levels", level) for level, _ in levels]
    for place in places:
        node = tree.get(*place)
        if node is not None and node.get("use") is not None:
            composition = _Composition(catalogue, problems)
            composition.seen |= used
            tree = put(tree, place, composition.over(node, path, ()))
    return tree


class _Composition:
    """One walk along `use:`."""

    def __init__(self, catalogue: Catalogue, problems: Problems):
        self.catalogue, self.problems = catalogue, problems
        self.seen: set[Path] = set()
        self.complete = True

    def tree(self, path: Path, inside: tuple[Path, ...], named_at: Location | None) -> Node | None:
        """A file's tree over those it uses; `inside` are the files that led here."""
        own = self.catalogue.tree(path, self.problems, named_at)
        if own is None:
            self.complete = False
            return None
        self.seen.add(path.resolve())
        return self.over(own, path, (*inside, path.resolve()))

    def over(self, own: Node, path: Path, inside: tuple[Path, ...]) -> Node:
        """A tree written in the file at `path` over those it uses."""
        tree: Node | None = None
        for item in _used(own.get("use"), self.problems):
            part = self._part(item, path, inside)
            if part is not None:
                tree = merge(tree, part)
        rest = Node({key: node for key, node in own.items() if key != "use"}, own.where, own.key)
        return merge(tree, rest)

    def _part(self, item: Node, path: Path, inside: tuple[Path, ...]) -> Node | None:
        """What one name under `use:` adds."""
        target = _find(item, path, self.catalogue, self.problems)
        if target is None:
            self.complete = False
        elif target.resolve() in inside:
            chain = " → ".join(file.stem for file in (*inside, target))
            self.problems.add(f"`use` goes in a circle: {chain}.", "Remove one of the links.", item.where)
        elif target.resolve() not in self.seen:
            return self.tree(target, inside, item.where)
        return None


def _used(use: Node | None, problems: Problems) -> list[Node]:
    """The names under `use:`."""
    if use is None or use.value is None:
        return []
    items = use.value if isinstance(use.value, list) else [use]
    for item in items:
        if not isinstance(item.value, str):
            problems.add(
                f"`use` names {describe(item)}.",
                "List names of catalogue entries: use: [human_mss].",
                item.where,
            )
    return [item for item in items if isinstance(item.value, str)]


def _find(item: Node, user: Path, catalogue: Catalogue, problems: Problems) -> Path | None:
    """The file that a name under `use:` stands for."""
    name = str(item.value)
    if name.endswith((".yaml", ".yml")):
        return user.parent / name
    found = catalogue.entries.get(name, [])
    if len(found) == 1:
        return found[0]
    if found:
        options = ", ".join(f"{p.parent.name}/{p.stem}" for p in found)
        problems.add(
            f"'{name}' names {len(found)} catalogue entries.", f"Write one of {options}.", item.where
        )
    else:
        plain = [entry for entry in catalogue.entries if "/" not in entry]
        problems.add(f"The catalogue has no entry '{name}'.", did_you_mean(name, plain), item.where)
    return None


def extend_drugs(tree: Node, catalogue: Catalogue, problems: Problems) -> Node:
    """The tree with every drug that says `extends: OTHER` laid over that drug."""
    drugs = tree.get("drugs")
    if drugs is None or not any(node.get("extends") is not None for _, node in drugs.items()):
        return tree
    known = {**catalogue.section("drugs"), **dict(drugs.items())}
    children = {name: _extended(name, node, known, (), problems) for name, node in drugs.items()}
    return put(tree, ("drugs",), Node(children, drugs.where, drugs.key))


def _extended(
    name: str, node: Node, known: dict[str, Node], inside: tuple[str, ...], problems: Problems
) -> Node:
    """A drug over the drug that it extends, which may extend another."""
    link = node.get("extends")
    if link is None:
        return node
    own = Node({key: child for key, child in node.items() if key != "extends"}, node.where, node.key)
    other = str(link.value)
    if other in known and other not in (*inside, name):
        return merge(_extended(other, known[other], known, (*inside, name), problems), own)
    if other in known:
        problems.add(f"`extends` goes in a circle at '{name}'.", "Remove one of the links.", link.where)
    else:
        help = did_you_mean(other, known.keys() - {name})
        problems.add(f"There is no drug '{other}' to extend.", help, link.where)
    problems.silence(own.key)  # it lacks what the other would have given
    return own
