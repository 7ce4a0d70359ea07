"""What a dose will bring to a block, reckoned before anything runs."""

from typing import NamedTuple

from ..base import units
from ..body.course import Dose
from ..body.regimen import Regimen
from ..config.host_schema import CellProduct
from ..config.schema import Lesion, Model, Spread
from .lesion import block_ml, lesion_volume_ml, nodule_ml, recruitment

_ML_PER_UM3 = 1e-12


class Expectation(NamedTuple):
    """What one dose of cells brings to one block, on average.

    mscs : cells that arrive over the whole life of the dose.  h_hot : H_hot if all of them lived at once, so
    an upper bound of the dose's peak; None where the model lets no CXCL9 recruit.
    """

    mscs: float
    h_hot: float | None


def expectations(model: Model, regimen: Regimen) -> dict[str, Expectation]:
    """What each kind of dose of cells brings to the block that receives fewest, by the dose's words.

    model : of the patient that the doses are given to.
    """
    fewest = min(range(len(model.lesions)), key=lambda index: served_ml(model.lesions[index]))
    found = {}
    for dose, given in zip(regimen.doses, regimen.absolute(model.body.weight), strict=True):
        product = model.drugs[given.drug]
        if isinstance(product, CellProduct) and given.amount > 0.0:
            mscs = expected_mscs(model, fewest, given)
            words = f"{units.format(dose.amount, dose.unit)} {dose.drug}"
            found[words] = Expectation(mscs, h_hot(model.lesions[fewest], product, mscs))
    return found


def expected_mscs(model: Model, index: int, dose: Dose) -> float:
    """Cells of a dose that arrive in block `index` on average; 0 for an antibody.

    dose : absolute, in cells.  Arrivals per mL follow perfusion, not burden: `tumor_fraction` of the dose
    over `tumor_reference_volume`.  A nodule counts with its seeded size: one that grows receives more.
    """
    product = model.drugs[dose.drug]
    if not isinstance(product, CellProduct):
        return 0.0
    if product.placed is not None:
        part = lesion_volume_ml(model, index) / model.body.tumor_volume
        return dose.amount * product.viability * part
    per_ml = dose.amount * product.tumor_fraction * model.body.homing / product.tumor_reference_volume
    return per_ml * served_ml(model.lesions[index])


def served_ml(lesion: Lesion) -> float:
    """mL of tumor that a block's vessels serve at the start."""
    whole = block_ml(lesion)
    if lesion.block.mode == "nodule" and lesion.block.cells is not None:
        return min(whole, nodule_ml(lesion, lesion.block.cells))
    return whole


def h_hot(lesion: Lesion, product: CellProduct, cells: float) -> float | None:
    """H_hot = n·s / (k·K_rec) with `cells` of a product alive in the block; None where no CXCL9 recruits.

    n per volume of block, s the secretion of one cell, k the loss of CXCL9, K_rec the concentration of
    half-maximal entry.
    """
    found = recruitment(lesion)
    if found is None:
        return None
    decay, half_max = found
    density = cells * _ML_PER_UM3 / served_ml(lesion)  # cells/um3
    return density * _secretion(lesion, product) / (decay * half_max)


def _secretion(lesion: Lesion, product: CellProduct) -> float:
    """What one arrived cell of a product releases of CXCL9 [field unit · um3/h], rules left out."""
    cell = lesion.cells.get(product.cell)
    secrete = cell.behaviors.get("secrete cxcl9") if cell is not None else None
    if cell is None or secrete is None:
        return 0.0
    if secrete.scaled_by is None:
        return secrete.base
    start = cell.traits[secrete.scaled_by]
    if isinstance(start, Spread):
        start = start.center
    return secrete.base * product.traits.get(secrete.scaled_by, start)
