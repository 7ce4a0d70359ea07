"""Trees over trees: what a later writer says replaces, adds to or removes what an earlier one said.

Mappings merge key by key; scalars and lists replace; `null` removes.  Rows of
`rules` are kept as a mapping behavior → "direction signal" → row, so a row has
an address and a later row of the same address merges into the earlier.
"""

from collections.abc import Sequence
from typing import Any

from ..base.errors import Location, did_you_mean
from .tree import Node, Problems, describe, first_line, read_value

DIRECTIONS = ("raised_by", "lowered_by")


def merge(under: Node | None, over: Node) -> Node:
    """`over` laid over `under`; a removal of something absent stays as it is, to be judged later."""
    if under is None or not (under.is_map and over.is_map):
        return over
    merged = dict(under.items())
    for key, node in over.items():
        if key not in merged:
            merged[key] = node
        elif node.value is None or _is_off(key, node):
            del merged[key]
        else:
            merged[key] = merge(merged[key], node)
    return Node(merged, over.where, over.key)


def _is_off(key: str, node: Node) -> bool:
    """A row of rules that says `off: true`."""
    off = node.get("off") if key.startswith(DIRECTIONS) else None
    return off is not None and off.value is True


def put(root: Node, path: Sequence[str | int], node: Node) -> Node:
    """A copy of `root` with `node` at `path`; mappings on the way are made where absent."""
    if not path:
        return node
    head, rest = path[0], path[1:]
    if isinstance(root.value, list) and isinstance(head, int):
        items = list(root.value)
        items[head] = put(items[head], rest, node)
        return Node(items, root.where, root.key)
    children = dict(root.value) if isinstance(root.value, dict) else {}
    child = children.get(str(head), Node({}, node.where, node.key))
    children[str(head)] = put(child, rest, node)
    return Node(children, root.where, root.key)


def key_rules(node: Node, problems: Problems) -> Node:
    """The tree with every `cells: KIND: rules:` list turned into a mapping by row."""
    if isinstance(node.value, list):
        return Node([key_rules(item, problems) for item in node.value], node.where, node.key)
    if not node.is_map:
        return node
    children = {}
    for key, child in node.items():
        if key == "cells" and child.is_map:
            kinds = {kind: _with_keyed_rules(cell, problems) for kind, cell in child.items()}
            children[key] = Node(kinds, child.where, child.key)
        else:
            children[key] = key_rules(child, problems)
    return Node(children, node.where, node.key)


def _with_keyed_rules(cell: Node, problems: Problems) -> Node:
    rules = cell.get("rules")
    if rules is None or rules.value is None:
        return cell
    children = dict(cell.items())
    children["rules"] = Node(_rows(rules, problems), rules.where, rules.key)
    return Node(children, cell.where, cell.key)


def _rows(rules: Node, problems: Problems) -> dict[str, Node]:
    help = "Write '- divide: {raised_by: engaged, to: 1 /d}': one behavior a row."
    if not isinstance(rules.value, list):
        problems.add(f"'rules' is {describe(rules)}; it must be a list of rows.", help, rules.where)
        return {}
    found: dict[str, dict[str, Node]] = {}
    for item in rules.value:
        if not item.is_map or len(item.items()) != 1:
            problems.add("A row of rules is not one behavior with its signal.", help, item.where)
            continue
        behavior, row = item.items()[0]
        behavior = " ".join(behavior.split())
        given = [d for d in DIRECTIONS if row.get(d) is not None]
        signal = row.get(given[0]) if len(given) == 1 else None
        if signal is None or not isinstance(signal.value, str):
            problems.add(
                f"The row about '{behavior}' needs one of raised_by and lowered_by, a signal.", help, row.key
            )
            continue
        name = f"{given[0]} {' '.join(signal.value.split())}"
        rows = found.setdefault(behavior, {})
        if name in rows:
            what = f"The row '{behavior}: {name}' stands here again{first_line(rows[name].key)}."
            problems.add(what, "Make one row of them.", row.key)
            continue
        rows[name] = row
    return {
        behavior: Node(rows, next(iter(rows.values())).where, next(iter(rows.values())).key)
        for behavior, rows in found.items()
    }


def list_rules(plain: Any) -> Any:
    """The inverse of `key_rules` on ordinary dicts and lists: rows as a list again."""
    if isinstance(plain, list):
        return [list_rules(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    result = {key: list_rules(child) for key, child in plain.items()}
    cells = result.get("cells")
    for cell in cells.values() if isinstance(cells, dict) else ():
        if isinstance(cell, dict) and isinstance(cell.get("rules"), dict):
            rows = cell["rules"]
            cell["rules"] = [_row(b, a, row) for b, group in rows.items() for a, row in group.items()]
    return result


def _row(behavior: str, address: str, row: dict | None) -> dict[str, dict]:
    """A row as a file holds it; `null` under its address switches it off."""
    direction, _, signal = address.partition(" ")
    return {behavior: {direction: signal, **({"off": True} if row is None else row)}}


# --- overrides from the command line -------------------------------------------------------

# Sections whose next key is a name: an override may change what stands there, not invent one.
_NAMED = ("cells", "fields", "drugs", "arms", "phenotypes")


def override(root: Node, text: str, problems: Problems) -> Node:
    """`root` with 'a.b.c=value' applied; the value is YAML, null removes."""
    file = f"--set {text}"
    name, equals, value = text.partition("=")
    path = split_path(name)
    where = Location(file, 0, 0)
    if not equals or "" in path:
        problems.add("An override must read path=value.", "Write e.g. --set duration='42 d'.", where)
        return root
    node = read_value(value, file, problems)
    if node is None or not path_known(root, path, where, problems):
        return root
    if "rules" not in path[:-1]:
        keys = [str(part) for part in path]
        node = key_rules(node.under(*keys), problems).get(*keys) or node
    old = root.get(*path)
    if node.value is None and old is None:
        parent = root.get(*path[:-1])
        near = did_you_mean(str(path[-1]), [key for key, _ in parent.items()]) if parent is not None else ""
        problems.add(f"There is no '{name}' to remove.", near, where)
    if node.value is None:
        return _remove(root, path)
    return put(root, path, merge(old, node))


def split_path(text: str) -> list[str | int]:
    """The keys and list positions of a dotted path; a population's own dotted keys stay whole."""
    parts = [" ".join(part.split()) for part in text.split(".")]
    if parts[0] == "population" and len(parts) > 3:
        parts = [parts[0], ".".join(parts[1:-1]), parts[-1]]
    return [int(part) if part.isascii() and part.isdigit() else part for part in parts]


def path_known(root: Node, path: list[str | int], where: Location, problems: Problems) -> bool:
    """Whether the names and list positions on the way exist; says what is wrong otherwise."""
    node: Node | None = root
    for depth, part in enumerate(path[:-1]):
        child = node.get(part) if node is not None else None
        shown = ".".join(str(p) for p in path[: depth + 1])
        if child is not None and not isinstance(child.value, dict | list | None):
            problems.add(f"'{shown}' is {describe(child)}, which holds no keys.", "Shorten the path.", where)
            return False
        if child is None and node is not None:
            parent = path[depth - 1] if depth else ""
            known = [key for key, _ in node.items()]
            if parent in (*_NAMED, "rules") or isinstance(part, int):
                problems.add(f"There is no '{shown}'.", did_you_mean(str(part), known), where)
                return False
        node = child
    return _last_known(node, path, where, problems)


def _last_known(node: Node | None, path: list[str | int], where: Location, problems: Problems) -> bool:
    if node is not None and isinstance(node.value, list) and node.get(path[-1]) is None:
        what = f"The list '{'.'.join(str(p) for p in path[:-1])}' has no item {path[-1]}."
        problems.add(what, f"Its items are 0 to {len(node.value) - 1}.", where)
        return False
    return True


def _remove(root: Node, path: list[str | int]) -> Node:
    parent = root.get(*path[:-1]) if len(path) > 1 else root
    if parent is None or not parent.is_map:
        return root
    left = {key: node for key, node in parent.items() if key != str(path[-1])}
    return put(root, path[:-1], Node(left, parent.where, parent.key))
