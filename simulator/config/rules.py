"""The rules of a kind of cell: rows that raise or lower its behaviors."""

from collections.abc import Callable
from typing import Any, Literal

from ..base.errors import InputError, did_you_mean
from . import amounts
from .behaviors import BehaviorReader
from .host_schema import Antibody, CellProduct
from .schema import Action, Behavior, Cell, FieldModel, Rule
from .tree import Node

# What drives a row: a field, a plain number, or nothing (the row is idle or in error).
Sensed = FieldModel | Literal["number"] | None


class CellReader(BehaviorReader):
    """Reads the behaviors and the rules of one kind."""

    def cell(self, drawn: bool = False) -> Cell:
        """The kind's cell with its behaviors and rules; its header was read before.

        drawn : values are a patient's, whose draw may leave a row without effect.
        """
        read = {name: self.behavior(name, node) for name, node in self.children("behaviors")}
        behaviors = {name: behavior for name, behavior in read.items() if behavior is not None}
        rows = [
            row
            for name, group in self.children("rules")
            if name not in read or read[name] is not None
            for row in self._group(name, group, behaviors)
        ]
        rows.sort(key=lambda pair: (pair[0].behavior, pair[0].raised_by is None, pair[0].signal))
        rules = tuple(rule for rule, _ in rows)
        for rule, node in rows if not drawn else ():
            self._check_direction(rule, node, behaviors[rule.behavior], rules)
        given = {"behaviors": behaviors, "rules": rules, "invades": self.invaded()}
        return self.header.model_copy(update=given)

    def _group(self, name: str, group: Node, behaviors: dict[str, Behavior]) -> list[tuple[Rule, Node]]:
        """The rows about one behavior."""
        if name not in behaviors:
            found = self.action(name, group)
            if found is not None:
                near = did_you_mean(name, behaviors)
                hint = f"{near} " if near.startswith("Did") else ""
                what = f"{self.kind} has rules about '{name}', but no such behavior."
                help = f"{hint}Add behaviors: {{{name}: {{base: {_zero(found[0])}}}}}."
                self.problems.add(what, help, group.key)
            return []
        rows = [(self.rule(name, address, row, behaviors[name]), row) for address, row in group.items()]
        return [(rule, row) for rule, row in rows if rule is not None]

    def rule(self, name: str, address: str, row: Node, behavior: Behavior) -> Rule | None:
        """One row in internal units; None where it is idle or wrong."""
        direction, _, signal = address.partition(" ")
        if row.value is None or ((off := row.get("off")) is not None and off.value is True):
            self.problems.add(f"There is no row '{name}: {address}' to switch off.", "", row.key)
            return None
        clause = f"{self.kind}: `{name} {address}`"
        sensed = self.signal(signal, row.get(direction) or Node(signal, row.key, row.key), clause)
        word, _, argument = name.partition(" ")
        action, field = self.vocabulary.actions[word], self.scope.fields.get(argument)
        convert: dict[str, Callable[[Any], float]] = {
            "to": lambda given: amounts.level(given, action, field, behavior.base),
            "half_max": lambda given: (
                amounts.concentration(given, sensed) if isinstance(sensed, FieldModel) else _plain(given)
            ),
        }
        ignored = ("behavior", "off") if sensed else ("behavior", "off", "half_max")
        row = _with_list(row, "blocked_by")
        if (extra := row.get("behavior")) is not None:
            self.reader.unknown_key("behavior", extra, clause, list(Rule.model_fields))
        read = self.reader.section(Rule, row, f"{self.kind}: {name} {address}", convert, ignore=ignored)
        if read is None or sensed is None:
            return None
        read = read.model_copy(
            update={"behavior": name, "raised_by": None, "lowered_by": None, direction: signal}
        )
        return self._checked_rule(clause, read, row, isinstance(sensed, FieldModel))

    def signal(self, signal: str, node: Node, clause: str) -> Sensed:
        """What drives a row."""
        word, _, argument = signal.partition(" ")
        known = self.vocabulary.signals.get(word)
        if known is not None and not known.argument and not argument:
            return "number" if word != "engaged" or self.must_kill(signal, node) else None
        if known is not None and argument and word == "target":
            return self._target(argument, node, clause)
        if known is not None and argument and word == "drug":
            return "number" if self._antibody_held(argument, node, clause) else None
        if known is not None and argument and known.argument in ("trait", "trait or kind"):
            return self._contact(argument, node, clause)
        return self._bare(signal, node, clause)

    def _bare(self, signal: str, node: Node, clause: str) -> Sensed:
        """A signal of one word: a field or an own trait."""
        scope, own = self.scope, self.header.traits
        if signal in scope.here["fields"] and signal in own:
            help = "Rename the trait: a rule could mean either."
            self.problems.add(f"'{signal}' is a field and also a trait of {self.kind}.", help, node.where)
            return None
        if signal in own:
            return "number"
        if signal in scope.here["fields"] or scope.known.elsewhere("fields", signal):
            return scope.fields.get(signal) if scope.holds("fields", signal, node, clause) else None
        options = [*scope.here["fields"], *own]
        options += [name for name, other in self.vocabulary.signals.items() if not other.argument]
        options += [f"{word} {trait}" for word in ("contact", "target") for trait in scope.here["traits"]]
        options += [f"contact {kind}" for kind in scope.here["kinds"]]
        options += [f"drug {name}" for name in scope.here["drugs"]]
        near = did_you_mean(signal, options)
        fields = ", ".join(sorted(scope.here["fields"])) or "none here"
        listed = (
            f"A signal is a field ({fields}), an own trait ({', '.join(own) or 'none'}), 'contact NAME', "
        )
        help = near if near.startswith("Did") else f"{listed}'target TRAIT', 'drug NAME' or 'engaged'."
        self.problems.add(f"{self.kind} cannot sense '{signal}'.", help, node.where)
        return None

    def _contact(self, name: str, node: Node, clause: str) -> Sensed:
        """A kind or a trait of any neighbor."""
        here, known = self.scope.here, self.scope.known
        if name in here["kinds"] | here["traits"]:
            return "number"
        sort = "kinds" if known.elsewhere("kinds", name) else "traits"
        if sort == "traits" and not known.elsewhere("traits", name):
            help = did_you_mean(name, here["kinds"] | here["traits"])
            self.problems.add(f"There is no kind or trait '{name}'.", help, node.where)
        else:
            self.scope.holds(sort, name, node, clause)
        return None

    def _target(self, trait: str, node: Node, clause: str) -> Sensed:
        """A trait of the engaged target."""
        if not self.must_kill(f"target {trait}", node):
            return None
        target = self.target() or ""
        cell = self.scope.cells.get(target)
        if cell is not None and trait in cell.traits:
            return "number"
        if trait in self.scope.here["traits"]:
            self.scope.idle.note(f"{clause} is idle: {target} has no trait '{trait}'.")
        else:
            self.scope.holds("traits", trait, node, clause)
        return None

    def _checked_rule(self, clause: str, rule: Rule, row: Node, is_field: bool) -> Rule | None:
        """The rule, without a `blocked_by` that can never act; None where it is wrong."""
        before = len(self.problems)
        if rule.half_max is None and is_field:
            self.problems.add(
                f"{clause}: a concentration needs a half_max.", "Add e.g. half_max: 1 nM.", row.key
            )
        if rule.half_max is None and row.get("hill") is not None:
            at = row.get("hill") or row
            self.problems.add("hill means nothing without half_max.", "Add half_max, or remove hill.", at.key)
        if rule.against is not None and not is_field:
            at = row.get("against") or row
            self.problems.add("`against: plasma` needs a field as signal.", "Remove it.", at.key)
        if rule.against is not None and is_field and rule.signal not in self.scope.plasma:
            at, help = row.get("against") or row, f"Add body: {{plasma: {{{rule.signal}: {{baseline: …}}}}}}."
            self.problems.add(f"The body has no plasma level of '{rule.signal}'.", help, at.where)
        self.check_when(rule.when, row)
        at = row.get("blocked_by") or row
        blockers = tuple(
            drug for drug in rule.blocked_by if self._antibody_held(drug, at, clause, "never blocked")
        )
        rule = rule.model_copy(update={"blocked_by": blockers})
        return rule if len(self.problems) == before else None

    def _antibody_held(self, drug: str, node: Node, clause: str, verdict: str = "idle") -> bool:
        """Whether this experiment holds a drug that occupies receptors; without it the clause never acts."""
        if not self.scope.holds("drugs", drug, node, clause, verdict):
            return False
        if isinstance(self.scope.drugs.get(drug), CellProduct):
            antibodies = [name for name, other in self.scope.drugs.items() if isinstance(other, Antibody)]
            what = f"'{drug}' is a cell product and occupies no receptor."
            self.problems.add(what, did_you_mean(drug, antibodies) or "Name an antibody.", node.where)
        return True

    def _check_direction(self, rule: Rule, row: Node, behavior: Behavior, rules: tuple[Rule, ...]) -> None:
        """A row that can never act: raising to less than the base, lowering to more than is ever reached."""
        at = row.get("to") or row
        if rule.raised_by and rule.to < behavior.base:
            what = f"{self.kind}: {rule.behavior} is raised by '{rule.signal}' to less than its base."
            self.problems.add(what, "Raise `to` above the base, or write lowered_by.", at.where)
        highest = max([behavior.base, *(r.to for r in rules if r.behavior == rule.behavior and r.raised_by)])
        if rule.lowered_by and rule.to > highest:
            what = f"{self.kind}: {rule.behavior} is lowered by '{rule.signal}' to more than it can reach."
            help = "Set `to` below the base (or below what other rows raise it to), or write raised_by."
            self.problems.add(what, help, at.where)


def _with_list(row: Node, key: str) -> Node:
    """The row with a lone name under a key made a list of one."""
    given = row.get(key)
    if given is None or not isinstance(given.value, str):
        return row
    listed = Node([given], given.where, given.key)
    return Node({**dict(row.items()), key: listed}, row.where, row.key)


def _plain(given: Any) -> float:
    """A half_max of something counted: traits, contacts, targets."""
    if isinstance(given, int | float):
        return float(given)
    raise InputError(
        f"'{given}' is not a plain number.", "Traits, contacts and targets have no unit: write e.g. 0.5."
    )


def _zero(action: Action) -> str:
    """How a behavior that does nothing by itself is written."""
    return {"": "0", "secretion": "0 ng/Mcell/d", "cells/mm3/h": "0 /mm3/d"}.get(action.unit, "0 /d")
