"""What an experiment is told of one patient of a trial: lesions, growth, phenotype, product, doses."""

import math
from collections.abc import Sequence
from typing import Any

from ...base import units
from ...base.errors import InputError
from ...body import regimen
from ...body.course import Dose
from ...clinic.population import Lesion, Patient
from ...clinic.protocol import Protocol
from ...config.host_schema import CellProduct
from ...config.load import Experiment
from ...config.merge import split_path
from ...config.population import number_and_unit

_DIE = ("cells", "tumor", "behaviors", "die", "base")
_SECRETED = ("cells.{cell}.behaviors.secrete {field}.base", "drugs.{product}.secretes.{field}")


def product_of(experiment: Experiment) -> str:
    """The one cell product of an experiment; raises InputError where there is not exactly one."""
    drugs = experiment.model(None, 1, "treatment").drugs
    found = [name for name, drug in drugs.items() if isinstance(drug, CellProduct)]
    if len(found) != 1:
        raise InputError(
            f"A trial treats with one cell product; in use are {', '.join(found) or 'none'}.",
            "Name one in `use:`, as in [human_mss, msc_cxcl9_ox40l].",
        )
    return found[0]


def plans_of(experiment: Experiment, protocol: Protocol, product: str) -> list[tuple[Dose, ...]]:
    """The planned doses of every level."""
    treatment, drugs = protocol.treatment, experiment.model(None, 1, "treatment").drugs
    every = f"q{treatment.interval:g}d x{treatment.cycles}" if treatment.cycles > 1 else ""
    return [
        regimen.parse(f"{dose!r} cells/kg {product} {every}".strip(), drugs, experiment.duration).doses
        for dose in treatment.doses
    ]


def values_of(experiment: Experiment, protocol: Protocol, patient: Patient, product: str) -> dict[str, Any]:
    """Values by path that make the experiment this patient's.

    Every lesion is a block of its own with a phenotype of its own: that of the patient, and the death rate
    at which it doubles in its own time.  The file's tissue is taken to double in the population's median.
    """
    plain = experiment.tree.plain()
    told: dict[str, Any] = dict(protocol.population.settings(patient, product))
    typical = _median(protocol, "doubling_time")
    blocks = []
    for number, lesion in enumerate(patient.lesions, start=1):
        own = dict((plain.get("phenotypes") or {}).get(patient.phenotype, {}) if patient.phenotype else {})
        die = _death_rate(plain, lesion.doubling_time, typical)
        told[f"phenotypes.lesion_{number}"] = _with(own, _DIE, f"{die!r} /h")
        blocks.append(
            {
                **plain["block"],
                "phenotype": f"lesion_{number}",
                "volume": f"{_at_first_dose(lesion, protocol)!r} mL",
            }
        )
    told["block"] = blocks
    told["body.tumor_volume"] = f"{sum(_at_first_dose(each, protocol) for each in patient.lesions)!r} mL"
    drug = experiment.model(None, 1, "treatment").drugs[product]
    assert isinstance(drug, CellProduct)
    for field in drug.secretes:
        for pattern in _SECRETED:
            path = pattern.format(cell=drug.cell, field=field, product=product)
            told[path] = _scaled(experiment, path, patient.lot.potency)
    return told


def doses_as_written(doses: Sequence[Dose]) -> list[dict[str, str]]:
    """Doses as a file writes them."""
    return [
        {
            "drug": dose.drug,
            "time": f"{dose.time!r} h",
            "amount": f"{dose.amount!r} {dose.unit}",
            "duration": f"{dose.duration!r} h",
        }
        for dose in doses
    ]


def _at_first_dose(lesion: Lesion, protocol: Protocol) -> float:
    """Volume on day 0 (mL): that of the baseline scan, and the growth since."""
    return lesion.volume * 2.0 ** (protocol.evaluation.scans.baseline / lesion.doubling_time)


def _death_rate(plain: dict[str, Any], doubling: float, typical: float) -> float:
    """The rate (/h) at which cells die in a tissue that doubles in `doubling` instead of `typical` days."""
    base = units.value(_get(plain, _DIE), "1/h")
    return max(0.0, base + math.log(2.0) / 24.0 * (1.0 / typical - 1.0 / doubling))


def _median(protocol: Protocol, name: str) -> float:
    variable = protocol.population.variables[name]
    value = variable.value(0.5, {})
    assert isinstance(value, float)
    return value


def _get(plain: Any, path: Sequence[str]) -> Any:
    for key in path:
        plain = plain[key]
    return plain


def _with(plain: dict[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy with a value at a path."""
    head, *rest = path
    return {**plain, head: _with(plain.get(head) or {}, rest, value) if rest else value}


def _scaled(experiment: Experiment, path: str, factor: float) -> str:
    """A quantity of the file times a factor."""
    node = experiment.tree.get(*split_path(path))
    assert node is not None, f"{path} is checked with the product"
    number, unit = number_and_unit(node.plain())
    return f"{number * factor!r} {unit}"
