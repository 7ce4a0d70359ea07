"""Fields, drugs and the body, read from a tree."""

from collections.abc import Callable
from typing import Any

from ..base import units
from ..base.errors import did_you_mean
from . import amounts
from .host_schema import COVARIATES, THROUGH_BLOOD, Antibody, Body, CellProduct, Covariate, Plasma
from .names import Scope
from .reader import Reader
from .schema import FieldModel
from .tree import Node, describe

_DRUG_TYPES: dict[str, type[Antibody] | type[CellProduct]] = {"antibody": Antibody, "cells": CellProduct}


class HostReader:
    """Reads what lies around the cells of one tree; `scope` says what the tree holds by name."""

    def __init__(self, tree: Node, scope: Scope):
        self.tree, self.scope = tree, scope
        self.problems, self.reader = scope.problems, Reader(scope.problems)

    def present(self, *path: str) -> list[tuple[str, Node]]:
        """Names and nodes of a mapping in the tree; removed ones left out."""
        node = self.tree.get(*path)
        return (
            [] if node is None else [(key, child) for key, child in node.items() if child.value is not None]
        )

    def named(self, section: str) -> list[tuple[str, Node]]:
        """Names and nodes of a section; a bad name or the removal of nothing is a problem."""
        node = self.tree.get(section)
        if node is None or node.value is None or not self.reader.mapping(node, f"'{section}'"):
            return []
        others = [name for name, _ in self.present(section)]
        for name, child in node.items():
            if child.value is None:
                what = f"There is no '{name}' in {section} to remove."
                self.problems.add(what, did_you_mean(name, others), child.key)
        return [(name, child) for name, child in self.present(section) if self.reader.is_name(name, child)]

    def fields(self) -> dict[str, FieldModel]:
        """Every field, `start` and `edge` in its own unit."""
        found = {}
        for name, node in self.named("fields"):
            read = self.reader.section(FieldModel, node, f"field {name}", ignore=("start", "edge"))
            for key in ("start", "edge"):
                given = node.get(key)
                if read is not None and given is not None and given.value is not None:
                    value = self.reader.amount(given, key, _concentration(read))
                    read = None if value is None else read.model_copy(update={key: value})
            if read is not None:
                found[name] = read
                self._check_traced(name, read, node, found)
        return found

    def _check_traced(self, name: str, field: FieldModel, node: Node, found: dict[str, FieldModel]) -> None:
        """One field may be traced, by a kind that somebody knows."""
        if field.traced is None:
            return
        at = node.get("traced") or node
        self.scope.holds("kinds", field.traced, at, f"{name}: `traced {field.traced}`")
        others = [other for other, model in found.items() if model.traced and other != name]
        if others:
            self.problems.add(
                f"{name} and {others[0]} are both traced.", "One field may be: remove one of them.", at.key
            )

    def drugs(self, fields: dict[str, FieldModel]) -> dict[str, Antibody | CellProduct]:
        """Every drug; `secretes` in the units of the fields."""
        found: dict[str, Antibody | CellProduct] = {}
        for name, node in self.named("drugs"):
            if not self.reader.mapping(node, f"drug {name}"):
                continue
            given = node.get("type")
            kind = _DRUG_TYPES.get(str(given.value)) if given is not None else None
            if given is None or kind is None:
                what = (
                    f"drug {name} lacks 'type'."
                    if given is None
                    else f"{describe(given)} is no type of drug."
                )
                self.problems.add(
                    what, "Allowed: antibody, cells.", node.key if given is None else given.where
                )
                continue
            read = self.reader.section(kind, node, f"drug {name}", ignore=("secretes", "covariates"))
            if isinstance(read, CellProduct):
                self._check_product(name, read, node)
                read = read.model_copy(update={"secretes": self._secretes(name, fields)})
            if isinstance(read, Antibody):
                read = read.model_copy(update={"covariates": self._covariates(name, node.get("covariates"))})
                self._check_depleted(name, node)
            if read is not None:
                found[name] = read
        return found

    def _secretes(self, drug: str, fields: dict[str, FieldModel]) -> dict[str, float]:
        node = self.tree.get("drugs", drug, "secretes")
        if node is not None and node.value is not None:
            self.reader.mapping(node, "'secretes'")
        found = {}
        for name, child in self.present("drugs", drug, "secretes"):
            at_key = Node(name, child.key, child.key)
            if self.scope.holds("fields", name, at_key, f"{drug}: `secretes {name}`") and name in fields:
                value = self.reader.amount(child, name, _secretion(fields[name]))
                if value is not None:
                    found[name] = value
        return found

    def _covariates(self, drug: str, node: Node | None) -> tuple[Covariate, ...]:
        """The covariates of an antibody; each reference in the unit of what it refers to."""
        if node is None or node.value is None:
            return ()
        if not isinstance(node.value, list):
            help = "Write e.g. [{of: albumin, on: clearance, reference: 40 g/L, exponent: -0.9}]."
            self.problems.add(f"'covariates' is {describe(node)}; it must be a list.", help, node.where)
            return ()
        read = [self._covariate(drug, item) for item in node.value]
        return tuple(covariate for covariate in read if covariate is not None)

    def _covariate(self, drug: str, node: Node) -> Covariate | None:
        of = node.get("of")
        unit = COVARIATES.get(str(of.value), "1") if of is not None else "1"
        convert = {"reference": lambda given: units.value(given, unit)}
        read = self.reader.section(Covariate, node, f"drug {drug}: covariate", convert)
        if read is None:
            return None
        power = read.reference is not None and read.exponent is not None
        if power == (read.factor is not None) or (read.reference is None) != (read.exponent is None):
            help = "Give reference and exponent, or a factor."
            self.problems.add(f"The covariate '{read.of}' has no single effect.", help, node.key)
            return None
        return read

    def _check_depleted(self, name: str, node: Node) -> None:
        for kind, child in self.present("drugs", name, "depletes"):
            self.scope.holds("kinds", kind, Node(kind, child.key, child.key), f"{name}: `depletes {kind}`")

    def _check_product(self, name: str, product: CellProduct, node: Node) -> None:
        """The kind that arrives is in the tree and has the product's traits; the way there is known."""
        self._check_way(name, product, node)
        kinds, at = dict(self.present("cells")), node.get("cell") or node
        cell = kinds.get(product.cell)
        if cell is None:
            help = did_you_mean(product.cell, kinds)
            if product.cell in self.scope.known.shipped("kinds"):
                help = f"Add it: use: [{product.cell}, …]."
            what = f"{name} gives cells of kind '{product.cell}', which this experiment lacks."
            self.problems.add(what, help, at.where)
            return
        layer, tracked = cell.get("layer"), cell.get("tracked")
        if (layer is None or layer.value == "bulk") and (tracked is None or tracked.value is not True):
            what = f"{name} gives '{product.cell}', a bulk kind whose cells have no identity."
            self.problems.add(what, "Give the kind `tracked: true`.", at.where)
        own = {trait for trait, _ in self.present("cells", product.cell, "traits")}
        named = [(trait, child.key) for trait, child in self.present("drugs", name, "traits")]
        if product.rejection is not None:
            named.append((product.rejection.trait, (node.get("rejection", "trait") or node).where))
        for trait, where in named:
            if trait not in own:
                self.problems.add(f"{product.cell} has no trait '{trait}'.", did_you_mean(trait, own), where)

    def _check_way(self, name: str, product: CellProduct, node: Node) -> None:
        """A product comes with the blood, and then all of its way is given; or it is placed."""
        for key in THROUGH_BLOOD:
            child = node.get(key)
            given = child is not None and child.value is not None
            if product.placed is None and not given:
                help = f"Add `{key}:`, or `placed: {{}}` for cells that do not come with the blood."
                self.problems.add(f"drug {name} lacks '{key}'.", help, node.key)
            elif product.placed is not None and given:
                what = f"drug {name} is placed: '{key}' means nothing to it."
                self.problems.add(what, "Remove it, or `placed`.", child.key if child else node.key)
        if product.placed is not None and product.placed.farthest is not None:
            if product.placed.farthest <= product.placed.nearest:
                help = "Give a farthest beyond the nearest, or leave it out."
                at = node.get("placed") or node
                self.problems.add(f"drug {name}: there is no place to put it.", help, at.key)

    def body(self, fields: dict[str, FieldModel]) -> Body | None:
        """The body; pools of absent kinds and plasma levels of absent fields are idle."""
        node = self.tree.get("body")
        if node is None or node.value is None:
            help = "Use a patient of the catalogue, or write a `body:` section."
            self.problems.add("There is no body.", help, self.tree.key)
            return None
        kept = self.held(self.held(node, "blood", "kinds"), "plasma", "fields")
        kept = self.held(kept, "priming", "kinds")
        body = self.reader.section(Body, kept, "'body'", ignore=("plasma",))
        plasma = self._plasma(kept.get("plasma"), fields)
        if body is None:
            return None
        self._check_priming(body, kept)
        return body.model_copy(update={"plasma": plasma})

    def _check_priming(self, body: Body, node: Node) -> None:
        """Primed cells come from a pool of the blood, and carry a trait of their kind."""
        for kind, priming in body.priming.items():
            at = node.get("priming", kind) or node
            own = {trait for trait, _ in self.present("cells", kind, "traits")}
            if kind not in body.blood:
                help = f"Add body: {{blood: {{{kind}: 300 cells/uL}}}}."
                self.problems.add(f"The blood holds no '{kind}' that priming could add to.", help, at.key)
            if priming.trait not in own:
                where = (at.get("trait") or at).where
                what = f"{kind} has no trait '{priming.trait}'."
                self.problems.add(what, did_you_mean(priming.trait, own), where)

    def held(self, body: Node, key: str, sort: str) -> Node:
        """The body without the entries of a section that this experiment lacks."""
        section = body.get(key)
        if section is None or not section.is_map:
            return body
        left = {
            name: child
            for name, child in section.items()
            if self.scope.holds(sort, name, Node(name, child.key, child.key), f"body: `{key} {name}`")
        }
        return Node({**dict(body.items()), key: Node(left, section.where, section.key)}, body.where, body.key)

    def _plasma(self, node: Node | None, fields: dict[str, FieldModel]) -> dict[str, Plasma]:
        if node is None or node.value is None or not self.reader.mapping(node, "'plasma'"):
            return {}
        found = {}
        for name, child in node.items():
            if name in fields and child.value is not None:
                convert = {"baseline": _concentration(fields[name])}
                read = self.reader.section(Plasma, child, f"plasma {name}", convert)
                if read is not None:
                    found[name] = read
        return found


def _concentration(field: FieldModel) -> Callable[[Any], float]:
    return lambda given: amounts.concentration(given, field)


def _secretion(field: FieldModel) -> Callable[[Any], float]:
    return lambda given: amounts.secretion(given, field)
