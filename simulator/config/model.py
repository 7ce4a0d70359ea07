"""From a tree to a `Model`: every lesion, the drugs and the body, in numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from ..base.errors import did_you_mean
from .host import HostReader
from .names import Idle, Known, Scope, names_in
from .reader import Reader
from .rules import CellReader
from .schema import Block, Cell, FieldModel, Lesion, Model, Spread, Step, Tissue, Vocabulary
from .tree import Node, Problems

MOST_SITES = 2**31  # a site's index stays within 31 bits
_RESERVED = "empty"  # what the tissue calls a site without a cell


class Parts(NamedTuple):
    """The trees one model is built from: blocks with the lesion tree of each, and what they share."""

    blocks: Sequence[Node]
    lesions: Sequence[Node]
    common: Node


class Builder:
    """Builds models; problems and idle clauses gather over all it builds."""

    def __init__(self, vocabulary: Vocabulary, known: Known, problems: Problems, drawn: bool = False):
        """drawn : values are a patient's, whose draw may leave a row of rules without effect."""
        self.vocabulary, self.known, self.problems, self.drawn = vocabulary, known, problems, drawn
        self.reader = Reader(problems)
        self.idle = Idle()

    def model(self, parts: Parts) -> Model | None:
        """The model of one phase, or None where something is wrong (then it is among the problems)."""
        before = len(self.problems)
        step = self._step(parts.common.get("step"))
        scope = self._scope(parts.common)
        host = HostReader(parts.common, scope)
        fields = host.fields()
        drugs, body = host.drugs(fields), host.body(fields)
        scope = scope._replace(drugs=drugs, plasma={name for name, _ in host.present("body", "plasma")})
        lesions = [self._lesion(*pair, scope) for pair in zip(parts.blocks, parts.lesions, strict=True)]
        if len(self.problems) > before or step is None or body is None:
            return None
        return Model.model_construct(lesions=tuple(lesions), drugs=drugs, body=body, step=step)

    def _scope(self, tree: Node) -> Scope:
        return Scope(names_in(tree), {}, {}, {}, set(), self.known, self.problems, self.idle)

    def _step(self, node: Node | None) -> Step | None:
        if node is None or node.value is None:
            return Step()
        step = self.reader.section(Step, node, "'step'")
        if step is not None and step.motility > step.tissue:
            at = node.get("motility") or node
            self.problems.add(
                "The motility step is longer than the tissue step.", "Make it a part of it.", at.where
            )
        return step

    # --- lesions -----------------------------------------------------------------------------

    def _lesion(self, block_node: Node, tree: Node, scope: Scope) -> Lesion | None:
        block = self._block(block_node)
        fields = HostReader(tree, scope).fields()
        scope = scope._replace(here=names_in(tree), fields=fields)
        cells = self._cells(tree, scope)
        tissue = self._tissue(tree.get("tissue"), scope._replace(cells=cells))
        if block is None or tissue is None:
            return None
        self._check_grids(block, fields, block_node)
        return Lesion.model_construct(block=block, tissue=tissue, cells=cells, fields=fields)

    def _cells(self, tree: Node, scope: Scope) -> dict[str, Cell]:
        """Every kind: first what all of them are, then what each does, which may name the others."""
        nodes, headers = dict(HostReader(tree, scope).named("cells")), {}
        for kind, node in nodes.items():
            if kind == _RESERVED:
                self.problems.add(
                    f"'{kind}' is what a site without a cell is called.", "Choose another name.", node.key
                )
            header = self.reader.section(Cell, node, kind, ignore=("behaviors", "rules"))
            if header is not None:
                self._check_header(kind, header, node)
                headers[kind] = header
        if not nodes and not len(self.problems):
            self.problems.add(
                "There are no cells.",
                "Use a patient of the catalogue, or write a `cells:` section.",
                tree.key,
            )
        scope = scope._replace(cells=headers)
        cells = {
            kind: CellReader(kind, nodes[kind], scope, self.vocabulary).cell(self.drawn) for kind in headers
        }
        self._check_repair(cells, nodes)
        return cells

    def _check_header(self, kind: str, cell: Cell, node: Node) -> None:
        for key in ("tracked", "compartment"):
            given = node.get(key)
            if cell.layer == "lymphoid" and given is not None and given.value is not None:
                self.problems.add(f"'{key}' is for bulk kinds; {kind} is lymphoid.", "Remove it.", given.key)
        for trait, start in cell.traits.items():
            if isinstance(start, Spread):
                at = node.get("traits", trait) or node
                self._check_spread(start, trait, at, mapped=cell.layer == "bulk" and not cell.tracked)

    def _check_spread(self, spread: Spread, trait: str, node: Node, mapped: bool) -> None:
        if sum(center is not None for center in (spread.share, spread.median, spread.mean)) != 1:
            help = "Write {share: 0.3}, {median: 1, log_sd: 0.5} or {mean: 1, sd: 0.25}."
            self.problems.add(f"'{trait}' needs one of share, median and mean.", help, node.key)
        elif spread.median is None and spread.log_sd:
            self.problems.add(f"'{trait}': log_sd goes with a median.", "Give a median.", node.key)
        elif spread.mean is None and spread.sd:
            self.problems.add(f"'{trait}': sd goes with a mean.", "Give a mean.", node.key)
        if spread.width is not None and not mapped:
            help = "Only traits of bulk kinds that are not tracked can; remove it."
            self.problems.add(f"'{trait}' cannot form a map.", help, (node.get("width") or node).key)

    def _check_repair(self, cells: dict[str, Cell], nodes: dict[str, Node]) -> None:
        """Damage of one target kind is repaired at one rate, whoever did it."""
        first: dict[str, tuple[str, float | None]] = {}
        for kind in sorted(cells):
            kill = cells[kind].behaviors.get("kill")
            if kill is None or kill.targets is None:
                continue
            other, repair = first.setdefault(kill.targets, (kind, kill.repair))
            if repair != kill.repair:
                at = nodes[kind].get("behaviors", "kill") or nodes[kind]
                what = f"{kind} and {other} kill {kill.targets} with different repair times."
                self.problems.add(
                    what, "Repair belongs to the target: give both the same.", (at.get("repair") or at).key
                )

    # --- block and tissue --------------------------------------------------------------------

    def _block(self, node: Node) -> Block | None:
        if not self.reader.mapping(node, "'block'"):
            return None
        shape = node.get("shape")
        if shape is not None and isinstance(shape.value, list) and len(shape.value) == 2:
            flat = Node([Node(1, shape.where, shape.key), *shape.value], shape.where, shape.key)
            node = Node({**dict(node.items()), "shape": flat}, node.where, node.key)
        block = self.reader.section(Block, node, "'block'")
        if block is None or shape is None:
            return None
        sites = block.shape[0] * block.shape[1] * block.shape[2]
        if sites >= MOST_SITES:
            self.problems.add(
                f"A block of {sites:.3g} sites is too large.", f"At most {MOST_SITES:.3g}.", shape.where
            )
        if block.mode == "nodule" and block.cells is None:
            self.problems.add("A nodule needs its number of cells.", "Add cells: 1000.", node.key)
        if block.mode == "nodule" and block.cells is not None and block.cells > sites:
            at = node.get("cells") or node
            self.problems.add(
                f"{block.cells} cells do not fit on {sites} sites.", "Enlarge the shape.", at.where
            )
        if block.mode == "tissue" and block.cells is not None:
            at = node.get("cells") or node
            self.problems.add("`cells` is for a nodule; a tissue block is seeded full.", "Remove it.", at.key)
        return block

    def _tissue(self, node: Node | None, scope: Scope) -> Tissue | None:
        if node is None or node.value is None:
            return Tissue()
        kept = HostReader(node, scope).held(node, "infiltrate", "kinds") if node.is_map else node
        tissue = self.reader.section(Tissue, kept, "'tissue'")
        if tissue is None:
            return None
        if tissue.stroma + tissue.vessel >= 1:
            at = node.get("stroma") or node
            self.problems.add(
                "Stroma and vessels leave no site for the tumor.",
                "Their shares must sum to less than 1.",
                at.where,
            )
        for kind, share in (("stroma", "stroma"), ("vessel", "vessel"), ("debris", "debris")):
            given = node.get(share)
            if given is not None and getattr(tissue, share) > 0 and kind not in scope.here["kinds"]:
                self.problems.add(
                    f"There is no kind '{kind}' to seed.",
                    f"Add it to `cells`, or set {share}: 0.",
                    given.where,
                )
        self._check_seeds(tissue, node, scope)
        return tissue

    def _check_seeds(self, tissue: Tissue, node: Node, scope: Scope) -> None:
        """Founders have the traits of a bulk kind; what infiltrates is lymphoid."""
        bulk = {name: cell for name, cell in scope.cells.items() if cell.layer == "bulk"}
        own = {
            trait
            for name, cell in bulk.items()
            if name == "tumor" or "tumor" not in bulk
            for trait in cell.traits
        }
        for trait, start in tissue.founders.items():
            at = node.get("founders", trait) or node
            if trait not in own and scope.cells:
                self.problems.add(f"Tumor cells have no trait '{trait}'.", did_you_mean(trait, own), at.key)
            if isinstance(start, Spread):
                self._check_spread(start, trait, at, mapped=False)
        for kind in tissue.infiltrate:
            if kind in bulk:
                at = node.get("infiltrate", kind) or node
                self.problems.add(
                    f"{kind} is a bulk kind and does not infiltrate.", "Name a lymphoid kind.", at.key
                )

    def _check_grids(self, block: Block, fields: dict[str, FieldModel], node: Node) -> None:
        """A periodic axis holds a whole number of voxels, and has no walls that could hold a field."""
        held = [name for name, field in fields.items() if field.edge is not None]
        if block.walls == "periodic" and held:
            what = f"{held[0]} is held at the walls of a block that has none."
            self.problems.add(what, "Remove `edge`, or close the walls.", node.key)
        lengths = [n for n in block.shape if n > 1]
        wrong = [name for name, field in fields.items() if any(n % field.grid for n in lengths)]
        if block.walls == "periodic" and wrong:
            self.problems.add(
                f"With periodic walls the voxels of {', '.join(wrong)} must divide the block.",
                f"Make each length a multiple of {max(fields[n].grid for n in wrong)}, or close the walls.",
                (node.get("shape") or node).where,
            )
