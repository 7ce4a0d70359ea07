"""The body and its drugs as sentences, with their numbers in the units that people think in."""

import math
from collections.abc import Iterator

from .base import units
from .config.host_schema import COVARIATES, Antibody, Body, CellProduct, Drug
from .config.schema import Model
from .sentences import rate, secretion, span


def body_lines(model: Model) -> Iterator[str]:
    """The patient in prose: size, burden, blood, plasma, what kills prime, who rejects the donor."""
    body = model.body
    yield (
        f"{_amount(body.weight, 'kg')}, {_volume(body.tumor_volume)} of tumor, "
        f"{_volume(body.blood_volume)} of blood, {_volume(body.plasma_volume)} of plasma."
    )
    given = [f"{name} {_amount(value, COVARIATES[name])}" for name, value in body.covariates.items()]
    if given:
        yield f"Known to drugs: {', '.join(given)}."
    if body.blood:
        pools = ", ".join(f"{kind} {_amount(count, 'cells/uL')}" for kind, count in body.blood.items())
        yield f"Blood pools: {pools}; they return from a disturbance within {span(body.blood_turnover)}."
    yield from _plasma_lines(model)
    for kind, priming in body.priming.items():
        yield (
            f"Each tumor cell killed primes {_plain(priming.per_kill)} {kind} cells with '{priming.trait}', "
            f"which reach the blood {span(priming.delay)} later and stay with a half-life of "
            f"{span(priming.half_life)}."
        )
    if body.homing != 1.0:
        yield f"{_plain(body.homing)} times the product's share of cells reaches the tumor."
    if body.sensitized > 0.5:
        yield "The patient has antibodies against the donor of the cells."


def _plasma_lines(model: Model) -> Iterator[str]:
    fields = {name: field for lesion in model.lesions for name, field in lesion.fields.items()}
    for name, plasma in model.body.plasma.items():
        yield (
            f"{name} in plasma: {_amount(plasma.baseline, fields[name].unit)} at rest, half-life "
            f"{span(plasma.half_life)}; {100.0 * plasma.spill:g} % of what tissue makes spills over."
        )


def drug_lines(name: str, drug: Drug, model: Model) -> Iterator[str]:
    """A drug in prose: where it goes, how long it stays, what it does to blood and plasma."""
    about = f": {drug.description}" if drug.description else ""
    yield f"{name}{about}, given over {span(drug.infusion)}." if drug.infusion else f"{name}{about}, a bolus."
    lines = (
        _product_lines(drug, model) if isinstance(drug, CellProduct) else _antibody_lines(drug, model.body)
    )
    for line in lines:
        yield "  " + line


def _product_lines(product: CellProduct, model: Model) -> Iterator[str]:
    yield from _placed_lines(product) if product.placed is not None else _blood_lines(product)
    traits = [f"{trait} {_plain(value)}" for trait, value in product.traits.items()]
    if traits:
        yield f"They become {product.cell} cells with {', '.join(traits)}."
    fields = {name: field for lesion in model.lesions for name, field in lesion.fields.items()}
    for name, value in product.secretes.items():
        yield f"Outside the tumor they secrete {name} at {secretion(value, fields[name])}."
    if product.rejection is not None:
        yield (
            f"A patient with antibodies against the donor kills each dose {_plain(product.rejection.fold)} "
            "times as fast as the one before."
        )


def _placed_lines(product: CellProduct) -> Iterator[str]:
    at = product.placed
    assert at is not None
    far = "" if at.farthest is None else f" and at most {_amount(at.farthest, 'um')}"
    yield (
        f"{_percent(product.viability)} are alive; they are put into the lesions themselves, on free sites "
        f"at least {_amount(at.nearest, 'um')}{far} from every tumor cell."
    )


def _blood_lines(product: CellProduct) -> Iterator[str]:
    yield (
        f"{_percent(product.viability)} arrive alive; at the first pass the lung holds "
        f"{_percent(product.lung_retention)} of them, where they die with a half-life of "
        f"{span(product.lung_half_life)} and leave at {rate(product.lung_release)}; half of those in the "
        f"blood leave it within {span(product.blood_half_life)}."
    )
    yield (
        f"{_plain(product.tumor_fraction)} of the dose reaches "
        f"{_amount(product.tumor_reference_volume, 'mL')} of tumor, in proportion to its volume; of the rest "
        f"that leaves the blood {_percent(product.liver_spleen_share)} settle in liver and spleen. Settled "
        f"cells die with a half-life of {span(product.half_life)}."
    )


def _antibody_lines(drug: Antibody, body: Body) -> Iterator[str]:
    slow = _terminal_half_life(drug)
    yield (
        f"Compartments of {_amount(drug.central_volume, 'L')} and {_amount(drug.peripheral_volume, 'L')}, "
        f"clearance {_amount(drug.clearance, 'L/d')}, half-life {span(slow)}, at "
        f"{_amount(drug.reference_weight, 'kg')}."
    )
    moved = [row.of for row in drug.covariates if row.of in body.covariates]
    if moved:
        yield f"Changed by the patient's {', '.join(moved)}."
    yield (
        f"{_percent(drug.penetration)} of the plasma concentration in tumor; half of the receptors held at "
        f"{_amount(drug.kd, 'nM')}."
    )
    for kind, killing in drug.depletes.items():
        yield f"Where it holds all receptors it kills {kind} cells in the blood at {rate(killing)}."


def _terminal_half_life(drug: Antibody) -> float:
    """Of the slow phase [h]: ln 2 over the smaller eigenvalue of the two-compartment system."""
    out, back = (
        drug.intercompartmental / drug.central_volume,
        drug.intercompartmental / drug.peripheral_volume,
    )
    total = drug.clearance / drug.central_volume + out + back
    product = drug.clearance / drug.central_volume * back
    slow = 0.5 * (total - math.sqrt(total * total - 4.0 * product))
    return 24.0 * math.log(2.0) / (slow if slow > 0.0 else drug.clearance / drug.central_volume)


def _amount(value: float, unit: str) -> str:
    return units.format(float(f"{value:.4g}"), unit)


def _volume(ml: float) -> str:
    return _amount(ml, "mL") if ml < 1000.0 else _amount(ml / 1000.0, "L")


def _percent(share: float) -> str:
    return f"{100.0 * share:g} %"


def _plain(value: float) -> str:
    return units.format(value, "1")
