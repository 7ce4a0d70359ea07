"""The behaviors of a kind of cell, read from a tree and checked against the vocabulary."""

from collections.abc import Callable
from typing import Any

from ..base.errors import did_you_mean
from . import amounts
from .names import Scope
from .reader import Reader
from .schema import Action, Behavior, FieldModel, Spread, Vocabulary
from .tree import Node

COMMON_KEYS = ("base", "when", "source")
NEEDED_KEYS = {
    "kill": ("targets",),
    "switch": ("set",),
    "exchange": ("level",),
    "express": ("rise", "fall"),
    "scar": ("leaves",),
}
MOST_RECOGNIZED = 4  # target traits whose product is the chance of recognition


class BehaviorReader:
    """Reads the behaviors of one kind."""

    def __init__(self, kind: str, node: Node, scope: Scope, vocabulary: Vocabulary):
        self.kind, self.node, self.scope, self.vocabulary = kind, node, scope, vocabulary
        self.header = scope.cells[kind]
        self.problems, self.reader = scope.problems, Reader(scope.problems)

    def children(self, key: str) -> list[tuple[str, Node]]:
        """Names and nodes under a key of the kind, blanks in names made single."""
        child = self.node.get(key)
        if child is None or child.value is None or not self.reader.mapping(child, f"'{key}'"):
            return []
        return [(" ".join(name.split()), node) for name, node in child.items()]

    def action(self, name: str, node: Node) -> tuple[Action, str] | None:
        """The action that a behavior names and its argument; None where it is idle or wrong."""
        word, _, argument = name.partition(" ")
        action = self.vocabulary.actions.get(word)
        at_key = Node(argument, node.key, node.key)
        if action is None:
            self.problems.add(
                f"There is no behavior '{word}'.", did_you_mean(word, self.vocabulary.actions), node.key
            )
            return None
        if bool(argument) != bool(action.argument):
            what = f"needs the name of a {action.argument}" if action.argument else "takes no name after it"
            self.problems.add(
                f"'{name}': {word} {what}.", f"Write '{word}{' NAME' if action.argument else ''}'.", node.key
            )
            return None
        layer = self.header.layer
        if layer not in action.layers:
            allowed = ", ".join(a.name for a in self.vocabulary.actions.values() if layer in a.layers)
            what = f"{self.kind} lives in the {layer} layer and cannot {word}."
            self.problems.add(what, f"Allowed there: {allowed}.", node.key)
            return None
        if action.argument == "field" and not self.scope.holds(
            "fields", argument, at_key, f"{self.kind}: `{name}`"
        ):
            return None
        if action.argument == "trait" and not self.own_trait(argument, at_key):
            return None
        return action, argument

    def own_trait(self, trait: str, node: Node) -> bool:
        """Whether the kind has the trait; a problem if not."""
        own = self.header.traits
        if trait not in own:
            near = did_you_mean(trait, own) if own else "It has none."
            self.problems.add(
                f"{self.kind} has no trait '{trait}'.",
                f"{near} Or add it: traits: {{{trait}: 0}}.",
                node.where,
            )
        return trait in own

    def behavior(self, name: str, node: Node) -> Behavior | None:
        """A behavior in internal units; None where it is idle or wrong."""
        if node.value is None:
            self.problems.add(f"{self.kind} has no behavior '{name}' to remove.", "", node.key)
            return None
        found = self.action(name, node)
        if found is None or not self.reader.mapping(node, f"'{name}'"):
            return None
        action, argument = found
        field = self.scope.fields.get(argument)
        if action.argument == "field" and field is None:
            return None
        allowed = (*COMMON_KEYS, *action.keys)
        wrong = [child for key, child in node.items() if key in Behavior.model_fields and key not in allowed]
        for child in wrong:
            self.problems.add(
                f"{action.name} does not take this key.", f"It takes: {', '.join(allowed)}.", child.key
            )
        toward = self._toward(name, node)
        convert: dict[str, Callable[[Any], float]] = {
            "base": lambda given: amounts.level(given, action, field)
        }
        if field is not None:
            convert["level"] = lambda given: amounts.concentration(given, field)
        if toward is not None:
            convert["half_max"] = lambda given: amounts.concentration(given, toward)
        idle = ("toward", "half_max") if toward is None else ()
        half_max = node.get("half_max")
        if half_max is not None and node.get("toward") is None and "half_max" in action.keys:
            self.problems.add("half_max names no field to follow.", "Add `toward: FIELD`.", half_max.key)
        read = self.reader.section(Behavior, node, f"{self.kind}: {name}", convert, ignore=idle)
        return None if read is None or wrong else self._checked(name, action, read, node)

    def _toward(self, name: str, node: Node) -> FieldModel | None:
        """The field that `toward` names, if this experiment holds it."""
        toward = node.get("toward")
        if toward is None or not isinstance(toward.value, str):
            return None
        held = self.scope.holds(
            "fields", toward.value, toward, f"{self.kind}: `{name} toward {toward.value}`"
        )
        return self.scope.fields.get(toward.value) if held else None

    def _checked(self, name: str, action: Action, behavior: Behavior, node: Node) -> Behavior | None:
        """The behavior with idle clauses removed, or None where it is idle or wrong as a whole."""
        before = len(self.problems)
        self._check_needs(name, action, behavior, node)
        self.check_when(behavior.when, node)
        for key in ("uses", "spared_by", "scaled_by"):
            if getattr(behavior, key) is not None:
                self.own_trait(getattr(behavior, key), node.get(key) or node)
        if behavior.leaves is not None:
            at = node.get("leaves") or node
            if self.scope.holds(
                "kinds", behavior.leaves, at, f"{self.kind}: `{name} leaves {behavior.leaves}`"
            ):
                self._must_be_bulk(behavior.leaves, at)
            else:
                behavior = behavior.model_copy(update={"leaves": None})
        self._check_renewed(behavior, node)
        self._check_lost(behavior, node)
        passes = self._held_kinds("passes", behavior.passes, node, f"{name} passes")
        behavior = behavior.model_copy(update={"passes": passes})
        if action.name == "scar" and behavior.leaves is None:
            return None
        if action.name == "wander" and self.header.tracked:
            self.problems.add(f"{self.kind} has an identity and cannot wander.", "Remove it.", node.key)
        if behavior.targets is not None and not self._target_held(name, behavior.targets, node):
            return None
        return behavior if len(self.problems) == before else None

    def _check_renewed(self, behavior: Behavior, node: Node) -> None:
        """A daughter starts anew with own traits whose start is a number; only listed cells can."""
        at = node.get("renews") or node
        if behavior.renews and self.header.layer == "bulk" and not self.header.tracked:
            self.problems.add(
                f"{self.kind} cells have no identity, and a daughter is a copy.",
                "Remove `renews`, or make the kind `tracked: true`.",
                at.key,
            )
        for trait in behavior.renews:
            if self.own_trait(trait, at) and isinstance(self.header.traits[trait], Spread):
                self.problems.add(
                    f"'{trait}' of {self.kind} has no one start value to renew.",
                    f"Give it a number: traits: {{{trait}: 5}}.",
                    at.key,
                )

    def _check_lost(self, behavior: Behavior, node: Node) -> None:
        """One own trait may be lost in a division."""
        at = node.get("loses") or node
        if len(behavior.loses) > 1:
            self.problems.add("`loses` names several traits.", "Name one.", at.key)
        for trait in behavior.loses:
            self.own_trait(trait, at)

    def _held_kinds(self, key: str, given: dict[str, float], node: Node, clause: str) -> dict[str, float]:
        """Chances by bulk kind, of the kinds that this experiment holds."""
        found = {}
        for kind, chance in given.items():
            child = node.get(key, kind)
            at = node if child is None else Node(kind, child.key, child.key)
            if self.scope.holds("kinds", kind, at, f"{self.kind}: `{clause} {kind}`"):
                self._must_be_bulk(kind, at)
                found[kind] = chance
        return found

    def invaded(self) -> dict[str, float]:
        """Kinds whose sites the kind invades; none of them may have an identity, or let blood in."""
        at = self.node.get("invades") or self.node
        if self.header.invades and (self.header.layer == "lymphoid" or self.header.tracked):
            what = f"'invades' is for bulk kinds without an identity; {self.kind} is none."
            self.problems.add(what, "Remove it.", at.key)
        found = self._held_kinds("invades", self.header.invades, self.node, "invades")
        for kind in found:
            if self.scope.cells[kind].tracked or kind == "vessel":
                self.problems.add(f"{self.kind} cannot invade {kind}.", "Remove it.", at.key)
        return found

    def _check_needs(self, name: str, action: Action, behavior: Behavior, node: Node) -> None:
        """Keys without which the behavior means nothing."""
        missing = [key for key in NEEDED_KEYS.get(action.name, ()) if getattr(behavior, key) is None]
        if behavior.toward is not None and behavior.half_max is None:
            missing.append("half_max")
        if missing:
            add = ", ".join(f"`{key}:`" for key in missing)
            self.problems.add(f"{self.kind}: {name} lacks '{missing[0]}'.", f"Add {add}.", node.key)

    def _target_held(self, name: str, target: str, node: Node) -> bool:
        """Whether this experiment holds the target kind; checks what it must have."""
        at = node.get("targets") or node
        if not self.scope.holds("kinds", target, at, f"{self.kind}: `{name} targets {target}`"):
            return False
        self._must_be_bulk(target, at)
        cell, on = self.scope.cells.get(target), node.get("on")
        items = on.value if on is not None and isinstance(on.value, list) else []
        for item in items:
            if cell is not None and item.value not in cell.traits:
                help = did_you_mean(str(item.value), cell.traits)
                self.problems.add(f"{target} has no trait '{item.value}'.", help, item.where)
        if on is not None and len(items) > MOST_RECOGNIZED:
            self.problems.add(
                f"`on` names {len(items)} traits.", f"Name at most {MOST_RECOGNIZED}.", on.where
            )
        return True

    def _must_be_bulk(self, kind: str, node: Node) -> None:
        cell = self.scope.cells.get(kind)
        if cell is not None and cell.layer != "bulk":
            bulk = ", ".join(name for name, other in self.scope.cells.items() if other.layer == "bulk")
            self.problems.add(
                f"'{kind}' does not live in the bulk layer.", f"Kinds that do: {bulk}.", node.where
            )

    def check_when(self, when: str | None, node: Node) -> None:
        """A `when` names an own trait or 'engaged', perhaps after 'not '."""
        if when is None:
            return
        at = node.get("when") or node
        name = when.removeprefix("not ")
        if name == "engaged":
            self.must_kill("engaged", at)
        elif name not in self.header.traits:
            help = did_you_mean(name, [*self.header.traits, "engaged"])
            self.problems.add(f"`when` names '{name}', which is no trait of {self.kind}.", help, at.where)

    def target(self) -> str | None:
        """The kind that the kind's `kill` targets, as written; None where it has no `kill`."""
        node = self.node.get("behaviors", "kill", "targets")
        return None if node is None else str(node.value)

    def must_kill(self, signal: str, node: Node) -> bool:
        """Only a kind that kills has a target and is ever engaged; a problem if it does not."""
        if self.target() is None:
            help = "Remove it, or give the kind a `kill`."
            self.problems.add(
                f"{self.kind} has no behavior `kill`: '{signal}' means nothing to it.", help, node.where
            )
        return self.target() is not None
