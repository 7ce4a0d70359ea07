"""One lesion of a patient: its block, its volume, and the share of the infused cells that it sees."""

import math

import numpy as np

from ..base.rng import make_dice
from ..body.patient import Host
from ..config.host_schema import CellProduct
from ..config.schema import Lesion, Model
from ..tissue.inputs import Inflow, Inputs, Placing
from ..tissue.state import ADMITTED, KILLED
from ..tissue.step import Block
from ..tissue.volume import RelativeVolume

_MM3_PER_ML = 1000.0


class LesionRun:
    """A block and what is reckoned from it.

    model, index : the patient's model and which of its lesions this is; key : (seed, patient, replicate);
    is_seeded : false for one that `restore` will fill.
    """

    def __init__(self, model: Model, index: int, key: tuple[int, int, int], is_seeded: bool = True):
        self.index = index
        self.lesion: Lesion = model.lesions[index]
        self.block = Block(self.lesion, model.step, make_dice(*key, index), model.drugs, is_seeded)
        self.volume = RelativeVolume(
            self.lesion.cells,
            self.count("tumor"),
            self.count("debris") + self.count("necrosis"),
            model.step.tissue,
        )
        self.start_ml = lesion_volume_ml(model, index)
        self.placed = np.zeros(0, np.int64)  # infused cells placed in the block, per dose of cells
        self.expected = np.zeros(0)  # and how many their flux brings on average
        self.kills_per_ml_h = 0.0  # tumor cells killed by effectors in the last step

    def count(self, kind: str) -> int:
        """Living cells of an untracked bulk kind."""
        code = self.block.kind(kind)
        return 0 if code < 0 else int(np.count_nonzero(self.block.state.bulk == code))

    def change_model(self, model: Model) -> None:
        """Follow an arm's model from day 0, which is now."""
        if self.volume.begun:  # a run goes on as another one: the lesion starts as large as it is now
            self.start_ml = self.volume_ml
        self.lesion = model.lesions[self.index]
        self.block.change_model(self.lesion, model.step)
        self.volume.set_cells(self.lesion.cells)
        self.volume.set_day_zero()
        if self.lesion.block.mode == "nodule" and self.lesion.block.volume is None:
            filled = sum(self.count(kind) for kind in ("tumor", "debris", "necrosis"))
            self.start_ml = nodule_ml(self.lesion, filled)

    def advance(self, step: int, host: Host) -> None:
        """One tissue step on what the body offers now."""
        code = self.block.kind("tumor")
        before = self.block.state.ledger[code].copy()
        cells = self.count("tumor")
        inputs = self._inputs(host)
        placed = self.block.advance(step, inputs)
        served = self.block.served_ml
        if inputs.inflow is not None:
            expected = inputs.inflow.per_ml * served + [
                at.cells if at else 0.0 for at in inputs.inflow.placed
            ]
            self.placed = placed + _widened(self.placed, len(placed))
            self.expected = expected + _widened(self.expected, len(expected))
        after = self.block.state.ledger[code]
        self.volume.advance(before, after, cells)
        killed = float(after[KILLED] - before[KILLED])
        self.kills_per_ml_h = killed / (served * self.volume.dt) if served else 0.0

    def _inputs(self, host: Host) -> Inputs:
        """The body's offer: drugs, plasma, blood, and the infused cells on their way."""
        products = product_doses(host)
        inflow = None
        if products:
            doses = list(products)
            placed = tuple(self._placing(product, host.arrivals[i]) for i, product in products.items())
            inflow = Inflow(
                per_ml=np.where([at is None for at in placed], host.arrivals[doses], 0.0),
                number=np.array([host.doses[i].number for i in doses], np.int64),
                cell=tuple(product.cell for product in products.values()),
                traits=tuple(_start_traits(product, host.rejection(i)) for i, product in products.items()),
                placed=placed,
            )
        return Inputs(host.occupancy, host.plasma, host.blood, host.primed, inflow)

    def _placing(self, product: CellProduct, per_ml: float) -> Placing | None:
        """What of a dose is put into this lesion now; None for cells that come in at its vessels."""
        at = product.placed
        if at is None:
            return None
        farthest = math.inf if at.farthest is None else at.farthest
        return Placing(float(per_ml) * self.volume_ml, at.nearest, farthest)

    # --- what is reckoned ----------------------------------------------------------------------

    @property
    def volume_ml(self) -> float:
        """Volume of the lesion now; until day 0, while its tissue settles, that of day 0."""
        return self.start_ml * self.volume.relative if self.volume.begun else self.start_ml

    @property
    def volume_mm3(self) -> float:
        """Volume of the lesion now; 0 once its block holds no tumor cell and no debris."""
        return self.volume_ml * _MM3_PER_ML

    @property
    def diameter_mm(self) -> float:
        """Diameter of a sphere of that volume."""
        return (6.0 * self.volume_mm3 / math.pi) ** (1.0 / 3.0)

    @property
    def arrived(self) -> int:
        """Infused cells that were placed in the block so far."""
        code = self.block.kind("msc")
        return 0 if code < 0 else int(self.block.state.ledger[code, ADMITTED])

    def secretion(self) -> dict[str, float]:
        """What a mL of the block's tissue makes of each field on average [field unit / h]."""
        return {
            name: float(rate) for name, rate in zip(self.block.names.fields, self.block.secreted, strict=True)
        }

    @property
    def h_hot(self) -> float:
        """H_hot = n·s / (k·K_rec): what the living MSCs' CXCL9 would hold of CXCR3, spread evenly."""
        found = recruitment(self.lesion)
        if found is None or self.block.kind("msc") < 0:
            return 0.0
        decay, half_max = found
        f = self.block.names.fields.index("cxcl9")
        state = self.block.state
        agents = int(state.count[0])
        mine = state.agents.kind[:agents] == self.block.kind("msc")
        total = float(np.sort(state.secretes[:agents, f][mine]).sum())
        return total / (self.block.lattice.sites * self.block.site_volume) / (decay * half_max)

    # --- checkpoints -----------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything that continues this lesion to the same bits."""
        arrays = self.block.to_arrays() | self.volume.to_arrays()
        return arrays | {
            "placed": self.placed,
            "expected": self.expected,
            "start_ml": np.array(self.start_ml),
            "kills_per_ml_h": np.array(self.kills_per_ml_h),
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continue from what `to_arrays` kept."""
        arrays = dict(arrays)
        self.volume.restore({name: arrays.pop(name) for name in ("volume", "recent")})
        self.placed = np.asarray(arrays.pop("placed"))
        self.expected = np.asarray(arrays.pop("expected"))
        self.start_ml = float(arrays.pop("start_ml"))
        self.kills_per_ml_h = float(arrays.pop("kills_per_ml_h"))
        self.block.restore(arrays)


def _widened(array: np.ndarray, doses: int) -> np.ndarray:
    """An array of so many doses; those still to come have brought nothing."""
    return array if len(array) == doses else np.pad(array, (0, doses - len(array)))


def _start_traits(product: CellProduct, fold: float) -> dict[str, float]:
    """What the cells of a dose start with: as the product says, and how fast the patient rejects them."""
    if product.rejection is None:
        return product.traits
    return product.traits | {product.rejection.trait: fold}


def product_doses(host: Host) -> dict[int, CellProduct]:
    """The doses of living cells, by their place among all doses."""
    drugs = [host.drugs[dose.drug] for dose in host.doses]
    return {i: drug for i, drug in enumerate(drugs) if isinstance(drug, CellProduct)}


def recruitment(lesion: Lesion) -> tuple[float, float] | None:
    """(loss of CXCL9 [1/h], concentration of half-maximal entry of CD8) of a model, or None."""
    if "cxcl9" not in lesion.fields or "cd8" not in lesion.cells:
        return None
    for rule in lesion.cells["cd8"].rules:
        if rule.behavior == "admit" and rule.raised_by == "cxcl9" and rule.half_max:
            return lesion.fields["cxcl9"].decay, rule.half_max
    return None


def block_ml(lesion: Lesion) -> float:
    """mL of the whole lattice."""
    z, y, x = lesion.block.shape
    return z * y * x * lesion.block.site**3 * 1e-12


def lesion_volume_ml(model: Model, index: int) -> float:
    """Volume on day 0 of the lesion that a block stands for.

    As the block says; else, for a nodule, its seeded cells with their stroma and vessels; else an equal part
    of the patient's tumor.
    """
    lesion = model.lesions[index]
    if lesion.block.volume is not None:
        return lesion.block.volume
    if lesion.block.mode == "nodule" and lesion.block.cells is not None:
        return nodule_ml(lesion, lesion.block.cells)
    return model.body.tumor_volume / len(model.lesions)


def nodule_ml(lesion: Lesion, cells: int) -> float:
    """mL of a nodule of so many tumor and debris sites, its stroma and vessels included."""
    nest = 1.0 - lesion.tissue.stroma - lesion.tissue.vessel
    return cells / max(nest, 0.05) * lesion.block.site**3 * 1e-12
