"""The products: living cells on their way through the body, and an antibody in its two compartments.

Each holds one column of states per dose, so the ledger and the attribution are per dose.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..base import units
from ..base.errors import InputError
from ..base.log import get_logger
from ..config.schema import Antibody, CellProduct, Plasma
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
    over a step.

    doses : of this product, positive amounts in cells, in order of time.
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
    ):
        self.name, self.product = name, product
        self.secreted = tuple(sorted(field for field in product.secretes if field in plasma))
        self._gain = [product.secretes[field] / (plasma_volume_ml * _UM3_PER_ML) for field in self.secreted]
        self.density = _density(name, product, tumor_volume_ml)
        self._saturated = False
        sources = [plasma[field] for field in self.secreted]
        self._none, self._all = (LinearSystem(_matrix(product, sources, p)) for p in (0.0, 1.0))
        self.inflow = _inflow(doses, _entry(product, len(self.secreted)))
        self.state = np.zeros((_LEFT + 1 + len(self.secreted), len(doses)))
        self.arrivals = np.zeros(len(doses))  # cells per mL of tumor in the last step
        self.arrived = np.zeros((2, len(doses)))  # in all: cells, cells per mL

    def advance(self, t0: float, t1: float, tumor_volume_ml: float) -> None:
        """From `t0` to `t1` h beside `tumor_volume_ml` of tumor; sets `arrivals`."""
        if self.inflow.started(t1) == 0:
            return
        density = self.density
        if density * tumor_volume_ml > 1.0:
            density = self._saturate(tumor_volume_ml)
        share = density * tumor_volume_ml

        def propagator(dt: float) -> np.ndarray:
            return (1.0 - share) * self._none.propagator(dt) + share * self._all.propagator(dt)

        self.state[_LEFT] = 0.0
        self.inflow.advance(propagator, self.state, t0, t1)
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
    """Share of the cells leaving the blood that one mL of tumor takes [1/mL]."""
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


def _matrix(product: CellProduct, sources: Sequence[Plasma], share: float) -> np.ndarray:
    """Rates [1/h] where `share` of the cells leaving the blood settles in tumor.

    The plasma rows count cells that secrete into plasma, times hours: those in lung and blood wholly,
    those settled outside the tumor by `spill`; lost with the half-life of the substance.
    """
    lung_death = math.log(2.0) / product.lung_half_life
    leaving = math.log(2.0) / product.blood_half_life
    death = math.log(2.0) / product.half_life
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
    """Where each cell of a dose goes as it flows in; sums to one."""
    entry = np.zeros(_LEFT + 1 + plasma_rows)
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

    Clearances scale with (weight / reference)^clearance_exponent, volumes with ^volume_exponent
    (pembrolizumab: Ahamadi 2017, doi:10.1002/psp4.12139).

    doses : of this antibody, positive amounts in mg, in order of time.
    """

    def __init__(self, antibody: Antibody, doses: Sequence[Dose], weight_kg: float):
        self.antibody = antibody
        relative = weight_kg / antibody.reference_weight
        flow = relative**antibody.clearance_exponent
        size = relative**antibody.volume_exponent
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
