"""The products: living cells on their way through the body, and an antibody in its two compartments.

Each holds one column of states per dose, so the ledger and the attribution are per dose.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..base import units
from ..base.errors import InputError
from ..base.log import get_logger
from ..config.host_schema import Antibody, CellProduct, Plasma
from .compartments import Inflow, LinearSystem
from .course import Dose

COMPARTMENTS = ("lung", "blood", "tumor", "liver_spleen", "elsewhere", "dead")
LUNG, BLOOD, TUMOR, LIVER_SPLEEN, ELSEWHERE, DEAD = range(6)
_LEFT = 6  # cells that left the blood since the step began; plasma burdens follow
_UM3_PER_ML = 1e12


class CellDistribution:
    """The biodistribution of one cell product: lung, blood, tumor, liver and spleen, elsewhere, dead.

    Linear, with rates [1/h] from half-lives: viable cells are split between lung and blood as they
    flow in; the lung loses cells by death and by release to the blood; what leaves the blood settles,
    a share p of it in tumor; settled cells die with one half-life.  p = d·V with the density d per mL
    chosen so that `tumor_fraction` of the dose reaches V = `tumor_reference_volume`: arrivals per mL
    follow perfusion, not burden.  Nothing returns from tissue, so every cell meets the split once
    and the propagator is affine in p: (1 − p)·E(0) + p·E(1), both cached, exact for V constant
    over a step.  Placed cells are in tumor at once, all of them.

    doses : of this product, positive amounts in cells, in order of time.
    sensitized : whether the patient rejects the donor: each earlier dose then speeds up all deaths.
    tumor_volume_ml : at the start; raises InputError where the tumor would have to take more cells
    than ever reach the blood.
    """

    def __init__(
        self,
        name: str,
        product: CellProduct,
        doses: Sequence[Dose],
        plasma: Mapping[str, Plasma],
        plasma_volume_ml: float,
        tumor_volume_ml: float,
        sensitized: bool = False,
    ):
        self.name, self.product = name, product
        self.secreted = tuple(sorted(field for field in product.secretes if field in plasma))
        self._gain = [product.secretes[field] / (plasma_volume_ml * _UM3_PER_ML) for field in self.secreted]
        self.density = _density(name, product, tumor_volume_ml)
        self._saturated = False
        sources = [plasma[field] for field in self.secreted]
        entry = _entry(product, len(self.secreted))
        self.inflow = _inflow(doses, entry)
        fold = product.rejection.fold if sensitized and product.rejection is not None else 1.0
        self.fold = fold ** np.arange(len(doses), dtype=float)  # times the death of plain cells, by dose
        self._parts = [
            _Part(columns, _inflow([doses[i] for i in columns], entry), *_systems(product, sources, fold))
            for fold, columns in _equal(self.fold)
        ]
        self.state = np.zeros((_LEFT + 1 + len(self.secreted), len(doses)))
        self.arrivals = np.zeros(len(doses))  # cells per mL of tumor in the last step
        self.arrived = np.zeros((2, len(doses)))  # in all: cells, cells per mL

    def advance(self, t0: float, t1: float, tumor_volume_ml: float) -> None:
        """From `t0` to `t1` h beside `tumor_volume_ml` of tumor; sets `arrivals`."""
        if self.inflow.started(t1) == 0:
            return
        density = self.density
        if self.product.placed is not None:
            density = 1.0 / tumor_volume_ml if tumor_volume_ml > 0.0 else 0.0
        elif density * tumor_volume_ml > 1.0:
            density = self._saturate(tumor_volume_ml)
        share = density * tumor_volume_ml
        self.state[_LEFT] = 0.0
        for part in self._parts:
            part.advance(self.state, share, t0, t1)
        left = np.maximum(self.state[_LEFT], 0.0)
        self.arrivals = density * left
        self.arrived[0] += share * left
        self.arrived[1] += self.arrivals

    def _saturate(self, tumor_volume_ml: float) -> float:
        if not self._saturated:
            self._saturated = True
            get_logger("body").warning(
                "The tumor (%.4g mL) has grown so large that it takes every '%s' cell that leaves the "
                "blood; arrivals per mL fall from here on.",
                tumor_volume_ml,
                self.name,
            )
        return 1.0 / tumor_volume_ml

    def cells(self) -> dict[str, float]:
        """Cells in each compartment, the dead included, over all doses."""
        return {name: math.fsum(self.state[row]) for row, name in enumerate(COMPARTMENTS)}

    def plasma(self) -> dict[str, float]:
        """What cells outside the tumor add to each plasma concentration [field unit]."""
        first = _LEFT + 1
        return {
            field: gain * math.fsum(self.state[first + row])
            for row, (field, gain) in enumerate(zip(self.secreted, self._gain, strict=True))
        }

    def lung(self, volume_ml: float, decay: Mapping[str, float]) -> dict[str, float]:
        """What the cells in the lung hold up in its tissue: n·s/(k·V) of each field [field unit].

        volume_ml : of the lung; decay : of each field, 1/h.
        """
        cells = math.fsum(self.state[LUNG])
        return {
            field: cells * rate / (decay[field] * volume_ml * _UM3_PER_ML)
            for field, rate in sorted(self.product.secretes.items())
            if decay.get(field, 0.0) > 0.0
        }

    def infused(self, t: float) -> np.ndarray:
        """float64[n]: cells of each dose that have flowed in by `t` h, the dead among them."""
        return self.inflow.given(t) * self.inflow.amounts[: DEAD + 1].sum(axis=0)

    def ledger_error(self, t: float) -> float:
        """Largest |infused − alive − dead| of a dose, relative to what was infused."""
        infused = self.infused(t)
        found = self.state[: DEAD + 1].sum(axis=0)
        return float(np.max(np.abs(found - infused) / np.maximum(infused, 1.0), initial=0.0))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that a continuation needs."""
        return {"state": self.state.copy(), "arrived": self.arrived.copy(), "arrivals": self.arrivals.copy()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `arrays`."""
        self.state = arrays["state"].copy()
        self.arrived = arrays["arrived"].copy()
        self.arrivals = arrays["arrivals"].copy()


def _density(name: str, product: CellProduct, tumor_volume_ml: float) -> float:
    """Share of the cells leaving the blood that one mL of tumor takes [1/mL]; 0 for those that are placed."""
    if product.placed is not None:
        return 0.0
    death = math.log(2.0) / product.lung_half_life
    released = product.lung_release / (product.lung_release + death)
    reaching = product.viability * (1.0 - product.lung_retention * (1.0 - released))
    wanted = product.tumor_fraction * tumor_volume_ml / product.tumor_reference_volume
    if wanted > reaching:
        # Shown to four digits, it must still lie below the true bound.
        bound = (1.0 - 5e-4) * reaching * product.tumor_reference_volume / tumor_volume_ml
        raise InputError(
            f"'{name}': a tumor of {tumor_volume_ml:.4g} mL would take {wanted:.4g} of the dose, but only "
            f"{reaching:.4g} of it ever reaches the blood (viability, lung_retention, lung_release).",
            f"Give a tumor_fraction of at most {bound:.4g}, or check tumor_reference_volume "
            f"({units.format(product.tumor_reference_volume, 'mL')}).",
        )
    if product.tumor_fraction == 0.0:
        return 0.0
    return product.tumor_fraction / (product.tumor_reference_volume * reaching)


class _Part(NamedTuple):
    """Doses whose cells die at one pace: their columns, and the system with none and with all to tumor."""

    columns: list[int]
    inflow: Inflow
    none: LinearSystem
    all: LinearSystem

    def advance(self, state: np.ndarray, share: float, t0: float, t1: float) -> None:
        """Take these columns of `state` from `t0` to `t1` h, `share` of what leaves the blood to tumor."""

        def propagator(dt: float) -> np.ndarray:
            return (1.0 - share) * self.none.propagator(dt) + share * self.all.propagator(dt)

        own = state[:, self.columns]
        self.inflow.advance(propagator, own, t0, t1)
        state[:, self.columns] = own


def _equal(values: np.ndarray) -> Iterator[tuple[float, list[int]]]:
    """Each value that occurs, ascending, with the places where it stands."""
    for value in np.unique(values).tolist():
        yield value, np.flatnonzero(values == value).tolist()


def _systems(
    product: CellProduct, sources: Sequence[Plasma], fold: float
) -> tuple[LinearSystem, LinearSystem]:
    none, all_ = (LinearSystem(_matrix(product, sources, share, fold)) for share in (0.0, 1.0))
    return none, all_


def _matrix(product: CellProduct, sources: Sequence[Plasma], share: float, fold: float) -> np.ndarray:
    """Rates [1/h] where `share` of the cells leaving the blood settles in tumor; deaths are `fold` times
    as fast as the product's own.

    The plasma rows count cells that secrete into plasma, times hours: those in lung and blood wholly,
    those settled outside the tumor by `spill`; lost with the half-life of the substance.
    """
    lung_death = fold * math.log(2.0) / product.lung_half_life
    leaving = math.log(2.0) / product.blood_half_life
    death = fold * math.log(2.0) / product.half_life
    rates = np.zeros((_LEFT + 1 + len(sources), _LEFT + 1 + len(sources)))
    rates[LUNG, LUNG] = -(lung_death + product.lung_release)
    rates[DEAD, LUNG] = lung_death
    rates[BLOOD, LUNG] = product.lung_release
    rates[BLOOD, BLOOD] = -leaving
    rates[_LEFT, BLOOD] = leaving
    rates[TUMOR, BLOOD] = leaving * share
    rates[LIVER_SPLEEN, BLOOD] = leaving * (1.0 - share) * product.liver_spleen_share
    rates[ELSEWHERE, BLOOD] = leaving * (1.0 - share) * (1.0 - product.liver_spleen_share)
    for tissue in (TUMOR, LIVER_SPLEEN, ELSEWHERE):
        rates[tissue, tissue] = -death
        rates[DEAD, tissue] = death
    for row, source in enumerate(sources, start=_LEFT + 1):
        rates[row, [LUNG, BLOOD]] = 1.0
        rates[row, [LIVER_SPLEEN, ELSEWHERE]] = source.spill
        rates[row, row] = -math.log(2.0) / source.half_life
    return rates


def _entry(product: CellProduct, plasma_rows: int) -> np.ndarray:
    """Where each cell of a dose goes as it flows in; its places sum to one."""
    entry = np.zeros(_LEFT + 1 + plasma_rows)
    if product.placed is not None:
        entry[TUMOR] = entry[_LEFT] = product.viability
    else:
        entry[LUNG] = product.viability * product.lung_retention
        entry[BLOOD] = product.viability - entry[LUNG]
    entry[DEAD] = 1.0 - product.viability
    return entry


def _inflow(doses: Sequence[Dose], entry: np.ndarray) -> Inflow:
    start = np.array([dose.time for dose in doses], dtype=np.float64)
    duration = np.array([dose.duration for dose in doses], dtype=np.float64)
    amount = np.array([dose.amount for dose in doses], dtype=np.float64)
    return Inflow(start, duration, entry[:, None] * amount)


class AntibodyExposure:
    """An antibody in a central and a peripheral compartment [mg], and the receptors it holds.

    Clearances scale with (weight / reference)^clearance_exponent, volumes with ^volume_exponent, and both
    with the covariates (pembrolizumab: Ahamadi 2017, doi:10.1002/psp4.12139).

    doses : of this antibody, positive amounts in mg, in order of time; covariates : of the body, by name, in
    the units of `schema.COVARIATES`.
    """

    def __init__(
        self,
        antibody: Antibody,
        doses: Sequence[Dose],
        weight_kg: float,
        covariates: Mapping[str, float] | None = None,
    ):
        self.antibody = antibody
        relative = weight_kg / antibody.reference_weight
        flow = relative**antibody.clearance_exponent * _scaling(antibody, "clearance", covariates or {})
        size = relative**antibody.volume_exponent * _scaling(antibody, "volume", covariates or {})
        self._central = units.convert(antibody.central_volume, "L", "mL") * size
        peripheral = units.convert(antibody.peripheral_volume, "L", "mL") * size
        clearance = units.convert(antibody.clearance, "L/d", "mL/h") * flow
        exchange = units.convert(antibody.intercompartmental, "L/d", "mL/h") * flow
        out, back = exchange / self._central, exchange / peripheral
        self._system = LinearSystem(np.array([[-clearance / self._central - out, back], [out, -back]]))
        self.inflow = _inflow(doses, np.array([1.0, 0.0]))
        self.state = np.zeros((2, len(doses)))

    def advance(self, t0: float, t1: float) -> None:
        """From `t0` to `t1` h."""
        self.inflow.advance(self._system.propagator, self.state, t0, t1)

    @property
    def concentration(self) -> float:
        """In plasma, ug/mL."""
        return 1000.0 * math.fsum(self.state[0]) / self._central

    @property
    def occupancy(self) -> float:
        """Share of receptors in tumor that the antibody holds: c / (c + kd) at c = penetration · plasma."""
        # 1 ug/mL of a substance of 1 g/mol is 1e6 nM
        free = self.concentration * 1e6 / self.antibody.molar_mass * self.antibody.penetration
        return free / (free + self.antibody.kd)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that a continuation needs."""
        return {"state": self.state.copy()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `arrays`."""
        self.state = arrays["state"].copy()


def _scaling(antibody: Antibody, what: str, body: Mapping[str, float]) -> float:
    """The factor by which a body's covariates change the clearances or the volumes of an antibody."""
    factor = 1.0
    for row in antibody.covariates:
        if row.on != what or row.of not in body:
            continue
        if row.factor is not None:
            factor *= row.factor if body[row.of] >= 1.0 else 1.0
        elif row.reference is not None and row.exponent is not None:
            factor *= (body[row.of] / row.reference) ** row.exponent
    return factor
