"""One patient's body: what all lesions share, from the infusion line to the plasma."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..base.errors import InputError, SimulatorError
from ..config.host_schema import Antibody, Body, Drug
from ..config.schema import FieldModel
from .course import Dose
from .drugs import COMPARTMENTS, AntibodyExposure, CellDistribution
from .priming import PrimedPool

_WHERE = {
    "lung": "alive in the lung",
    "blood": "alive in the blood",
    "tumor": "alive in tumor",
    "liver_spleen": "alive in liver and spleen",
    "elsewhere": "alive elsewhere",
    "dead": "dead, on arrival or since",
}
_UL_PER_ML = 1000.0
_ZERO, _ONE = np.zeros(1), np.ones(1)


@dataclass(frozen=True)
class Feedback:
    """What the lesions tell the body.

    tumor_volume_ml : of all the patient's lesions together.
    secretion : by field, what one mL of tumor makes on average [field unit / h].
    kills_per_ml_h : tumor cells killed by effectors in one mL of tumor and hour, on average.
    """

    tumor_volume_ml: float
    secretion: Mapping[str, float] = field(default_factory=dict)
    kills_per_ml_h: float = 0.0


class Column(NamedTuple):
    """A recorded quantity of the body: its name, unit and what it is."""

    name: str
    unit: str
    long_name: str


class Host:
    """Drugs, plasma and blood of one patient; times in hours from day 0, negative in the burn-in.

    drugs : by name; `doses` are absolute (cells or mg) and in order of time, as `Regimen.absolute`
    gives them.
    fields : the substances of the experiment; each has a plasma concentration, zero where `body.plasma`
    says nothing about it.
    lesion_volumes_ml : of the simulated lesions on day 0, parts of `body.tumor_volume`.

    After `advance`, `arrivals` (float64[n_doses], overwritten by the next) holds the cells of each dose
    that one mL of tumor received in that step; `occupancy` the share of receptors each antibody holds,
    `plasma` the concentrations [field unit] and `blood` the pools relative to their baselines, at its end;
    `primed` the primed cells in the blood relative to the baseline of their pool, by (kind, trait).
    Raises InputError where a product sends more cells to the tumor than reach the blood, or lesions
    are larger than the tumor.
    """

    def __init__(
        self,
        body: Body,
        drugs: Mapping[str, Drug],
        fields: Mapping[str, FieldModel],
        doses: Sequence[Dose],
        lesion_volumes_ml: Sequence[float],
    ):
        _check(body, drugs, doses, lesion_volumes_ml)
        self.body, self.drugs, self.fields, self.doses = body, drugs, fields, tuple(doses)
        self.time = -math.inf  # the end of the last step
        self._plasma = {name: body.plasma[name] for name in sorted(body.plasma) if name in fields}
        self._spilled = dict.fromkeys(self._plasma, 0.0)  # in plasma, made by the lesions [field unit]
        self.blood = dict.fromkeys(sorted(body.blood), 1.0)
        self.arrivals = np.zeros(len(self.doses))
        self._places: dict[str, list[int]] = {}  # drug: which doses are its columns
        self._products: dict[str, CellDistribution] = {}
        self._antibodies: dict[str, AntibodyExposure] = {}
        self._priming = {kind: PrimedPool(body.priming[kind]) for kind in sorted(body.priming)}
        self._circulating = dict.fromkeys(self.blood, 1.0)  # pools without the primed
        for name in sorted(drugs):
            self._add(name, drugs[name])
        self._look()

    def _add(self, name: str, drug: Drug) -> None:
        # An empty dose has no column, so it cannot change a bit of anything.
        places = [i for i, dose in enumerate(self.doses) if dose.drug == name and dose.amount > 0.0]
        doses = [self.doses[i] for i in places]
        self._places[name] = places
        if isinstance(drug, Antibody):
            self._antibodies[name] = AntibodyExposure(drug, doses, self.body.weight, self.body.covariates)
        else:
            reaching = drug.tumor_fraction * self.body.homing
            self._products[name] = CellDistribution(
                name,
                drug.model_copy(update={"tumor_fraction": reaching}),
                doses,
                self._plasma,
                self.body.plasma_volume,
                self.body.tumor_volume,
                self.body.sensitized > 0.5,
            )

    def advance(self, t0: float, t1: float, feedback: Feedback) -> None:
        """From `t0` to `t1` h with the lesions as in `feedback` all the while."""
        for name, product in self._products.items():
            product.advance(t0, t1, feedback.tumor_volume_ml)
            self.arrivals[self._places[name]] = product.arrivals
        for antibody in self._antibodies.values():
            antibody.advance(t0, t1)
        for name, source in self._plasma.items():
            made = source.spill * feedback.secretion.get(name, 0.0) * feedback.tumor_volume_ml
            self._spilled[name] = _relax(
                self._spilled[name], made / self.body.plasma_volume, source.half_life, t1 - t0
            )
        self._advance_blood(feedback, t1 - t0)
        self.time = t1
        self._look()

    def _advance_blood(self, feedback: Feedback, dt: float) -> None:
        """Pools return to their baselines, drugs deplete them, kills of days ago bring primed cells."""
        renewal = math.log(2.0) / self.body.blood_turnover
        for kind, level in self._circulating.items():
            loss = self._depletion(kind)
            rest = renewal / (renewal + loss)
            self._circulating[kind] = rest + (level - rest) * math.exp(-(renewal + loss) * dt)
        for kind, pool in self._priming.items():
            pool.advance(feedback.kills_per_ml_h * feedback.tumor_volume_ml, self._depletion(kind), dt)

    def _depletion(self, kind: str) -> float:
        """The rate [1/h] at which drugs kill a pool of the blood."""
        return math.fsum(
            antibody.occupancy * antibody.antibody.depletes.get(kind, 0.0)
            for antibody in self._antibodies.values()
        )

    def _look(self) -> None:
        """Set what the lesions see."""
        self.primed: dict[tuple[str, str], float] = {}
        self.blood = dict(self._circulating)
        for kind, pool in self._priming.items():
            ratio = pool.cells / (self.body.blood[kind] * self.body.blood_volume * _UL_PER_ML)
            self.primed[kind, pool.priming.trait] = ratio
            self.blood[kind] += ratio
        self.occupancy = {name: antibody.occupancy for name, antibody in self._antibodies.items()}
        self.plasma = dict.fromkeys(self.fields, 0.0)
        for name, source in self._plasma.items():
            self.plasma[name] = source.baseline + self._spilled[name]
        for product in self._products.values():
            for name, added in product.plasma().items():
                self.plasma[name] += added

    def columns(self) -> list[Column]:
        """What `series` holds, in its order."""
        columns = [Column(f"msc_{name}", "cells", f"infused cells {_WHERE[name]}") for name in COMPARTMENTS]
        columns.append(Column("msc_infused", "cells", "cells infused so far, the dead among them"))
        for name in self._antibodies:
            columns.append(Column(f"{name}_concentration", "ug/mL", f"{name} in plasma"))
            columns.append(Column(f"{name}_occupancy", "1", f"receptors in tumor held by {name}"))
        for name in self._plasma:
            columns.append(Column(f"plasma_{name}", self.fields[name].unit, f"{name} in plasma"))
        columns += [
            Column(f"lung_{name}", self.fields[name].unit, f"{name} that infused cells hold up in the lung")
            for name in self._lung()
        ]
        columns += [Column(f"blood_{kind}", "cells/uL", f"{kind} cells in blood") for kind in self.blood]
        columns += [
            Column(f"primed_{kind}", "cells/uL", f"{kind} cells in blood that kills have primed")
            for kind in self._priming
        ]
        columns.append(Column("weight", "kg", "body weight"))
        return columns

    def series(self) -> dict[str, float]:
        """The state now, a number for each of `columns`."""
        counts = [product.cells() for product in self._products.values()]
        values = {f"msc_{name}": math.fsum(count[name] for count in counts) for name in COMPARTMENTS}
        values["msc_infused"] = math.fsum(
            cells for product in self._products.values() for cells in product.infused(self.time)
        )
        for name, antibody in self._antibodies.items():
            values[f"{name}_concentration"] = antibody.concentration
            values[f"{name}_occupancy"] = antibody.occupancy
        values.update({f"plasma_{name}": self.plasma[name] for name in self._plasma})
        values.update({f"lung_{name}": value for name, value in self._lung().items()})
        values.update({f"blood_{kind}": self.body.blood[kind] * level for kind, level in self.blood.items()})
        for kind, pool in self._priming.items():
            values[f"primed_{kind}"] = pool.cells / (self.body.blood_volume * _UL_PER_ML)
        values["weight"] = self.body.weight
        return values

    def _lung(self) -> dict[str, float]:
        """What infused cells hold up in the lung's tissue, by field; empty where its volume is unknown."""
        if self.body.lung_volume is None:
            return {}
        decay = {name: model.decay for name, model in self.fields.items()}
        total: dict[str, float] = {}
        for product in self._products.values():
            for name, value in product.lung(self.body.lung_volume, decay).items():
                total[name] = total.get(name, 0.0) + value
        return dict(sorted(total.items()))

    def rejection(self, place: int) -> float:
        """How many times faster than others the cells of a dose die, since the patient rejects them."""
        places = self._places[self.doses[place].drug]
        return (
            float(self._products[self.doses[place].drug].fold[places.index(place)])
            if place in places
            else 1.0
        )

    def _given(self) -> dict[str, CellDistribution | AntibodyExposure]:
        """The drugs that this patient's doses hold."""
        drugs: dict[str, CellDistribution | AntibodyExposure] = {**self._products, **self._antibodies}
        return {name: drug for name, drug in drugs.items() if self._places[name]}

    def dose_table(self) -> list[dict[str, float | int | str]]:
        """A row for each dose: what was planned, what was given so far, what of it reached the tumor.

        `planned`, `given` in `unit`; `time_h`, `duration_h` hours; `arrived` cells in all the patient's
        tumor, `arrived_per_ml` cells per mL of tumor, both cumulative and zero for antibodies.
        """
        given, arrived = np.zeros(len(self.doses)), np.zeros((2, len(self.doses)))
        for name, drug in self._given().items():
            places = self._places[name]
            given[places] = drug.inflow.given(self.time)
            if isinstance(drug, CellDistribution):
                arrived[:, places] = drug.arrived
        return [
            {
                "number": dose.number,
                "drug": dose.drug,
                "time_h": dose.time,
                "planned": dose.amount,
                "given": float(given[i]) * dose.amount,
                "unit": dose.unit,
                "duration_h": dose.duration,
                "arrived": float(arrived[0, i]),
                "arrived_per_ml": float(arrived[1, i]),
            }
            for i, dose in enumerate(self.doses)
        ]

    def ledger_error(self) -> float:
        """Largest |infused − alive − dead| of a dose of cells, relative to what was infused."""
        return max((product.ledger_error(self.time) for product in self._products.values()), default=0.0)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that `restore` needs to go on to the same bits."""
        arrays = {"time": np.array([self.time])}
        arrays |= {f"spilled/{name}": np.array([value]) for name, value in self._spilled.items()}
        arrays |= {f"blood/{kind}": np.array([level]) for kind, level in self._circulating.items()}
        arrays |= {f"priming/{kind}": pool.state.copy() for kind, pool in self._priming.items()}
        for name, drug in self._given().items():
            arrays |= {f"drugs/{name}/{key}": array for key, array in drug.arrays().items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `arrays`: of this body, or of what an arm branches from, with doses of its own to come.

        What the arrays do not hold (a drug, a field or later doses that come with the arm) starts afresh.
        Raises SimulatorError where a drug has more doses there than here.
        """
        self.time = float(arrays["time"][0])
        for name in self._spilled:
            self._spilled[name] = float(arrays.get(f"spilled/{name}", _ZERO)[0])
        for kind in self._circulating:
            self._circulating[kind] = float(arrays.get(f"blood/{kind}", _ONE)[0])
        for kind, pool in self._priming.items():
            pool.state = arrays.get(f"priming/{kind}", pool.state).copy()
        for name, drug in self._given().items():
            prefix = f"drugs/{name}/"
            stored = {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}
            if not stored:
                continue
            missing = drug.state.shape[1] - stored["state"].shape[1]
            if missing < 0:
                raise SimulatorError(
                    f"The stored body holds {stored['state'].shape[1]} doses of '{name}', "
                    f"this one {drug.state.shape[1]}: they are not of one run."
                )
            drug.restore({key: _widened(array, missing) for key, array in stored.items()})
            if isinstance(drug, CellDistribution):
                self.arrivals[self._places[name]] = drug.arrivals
        self._look()


def _widened(array: np.ndarray, columns: int) -> np.ndarray:
    """An array with so many more columns of zeros: doses that are still to come."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, columns)])


def _relax(level: float, influx: float, half_life: float, dt: float) -> float:
    """`level` after `dt` hours of a constant `influx` per hour and loss with `half_life`."""
    loss = math.log(2.0) / half_life
    return level * math.exp(-loss * dt) - influx / loss * math.expm1(-loss * dt)


def _check(
    body: Body, drugs: Mapping[str, Drug], doses: Sequence[Dose], lesion_volumes_ml: Sequence[float]
) -> None:
    for dose in doses:
        if dose.unit not in ("cells", "mg") or dose.drug not in drugs:
            raise SimulatorError(f"A body cannot take dose {dose.number} of '{dose.drug}' in {dose.unit}.")
    if any(after.time < before.time for before, after in zip(doses, doses[1:], strict=False)):
        raise SimulatorError("The doses of a body must stand in order of time.")
    total = math.fsum(lesion_volumes_ml)
    if total > body.tumor_volume * (1.0 + 1e-9):
        raise InputError(
            f"The lesions hold {total:.4g} mL, the patient's whole tumor only {body.tumor_volume:.4g} mL.",
            "Raise body.tumor_volume, or lower the volumes of the blocks.",
        )
