"""A stand-in for the simulation of patients: growth by patient and dose, fitted to simulated ones.

The growth rate of lesion l of patient i, who was given x million cells per kg in all, is
    r = ln 2 / T + a + b x + p + e,
T the doubling time that the population gives the lesion, p between patients, e between blocks of one.  By
ordinary least squares over patients, with the moments of a one-way random effect (Searle, Casella & McCulloch
1992, ch. 3): e is what small blocks add by chance, p what patients differ by beyond T.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from ..base.errors import InputError
from . import dosing, treated, trial
from .dice import Dice, normal
from .population import Patient
from .protocol import Protocol
from .treated import Simulated, Treated

FEWEST = 8  # patients from whom a slope and two variances can be had
_MILLION = 1e6
_MOST_ROUNDS = 50


class Simulation(NamedTuple):
    """One simulated patient: who, what was given in all (cells/kg), and the curves."""

    patient: Patient
    given: float
    seen: Simulated


@dataclass(frozen=True)
class Emulator:
    """Growth of lesions by dose.

    offset [1/d], slope [1/d per 1e6 cells/kg] with standard errors; between, blocks : standard deviations
    of growth rates between patients and between blocks of one [1/d]; error : root mean square error of the
    log volume at the end of follow-up, each patient predicted from the others; lowest, highest : doses
    that were simulated [1e6 cells/kg in all]; ifng : float[patients, days], the curves of the simulated
    patients on points of `treated.GRID` [pg/mL], of which an emulated one draws any.
    """

    patients: int
    lesions: int
    days: float
    offset: float
    offset_error: float
    slope: float
    slope_error: float
    between: float
    blocks: float
    error: float
    lowest: float
    highest: float
    ifng: np.ndarray

    def rows(self) -> list[dict[str, Any]]:
        """The emulator as one row of a table."""
        highest = self.ifng.max(axis=1)
        peaks = {"ifng_median": float(np.median(highest)), "ifng_highest": float(highest.max())}
        return [{name: value for name, value in asdict(self).items() if name != "ifng"} | peaks]

    def covers(self, million: float) -> bool:
        """Whether a total dose lies within those that were simulated, or is none."""
        return million == 0.0 or self.lowest - 1e-9 <= million <= self.highest + 1e-9

    def course(
        self, patient: Patient, protocol: Protocol, given: Sequence[dosing.Given], retention: float, seed: int
    ) -> Simulated:
        """What a simulation of this patient might have shown."""
        base = treated.expected(patient, protocol, dosing.doses(given), retention)
        dice = Dice(seed, patient.number)
        own = self.between * normal(dice("growth beyond the population"))
        rates = np.array(
            [
                math.log(2.0) / lesion.doubling_time
                + self.offset
                + own
                + self.blocks * normal(dice(f"growth of the block of lesion {k}"))
                for k, lesion in enumerate(patient.lesions)
            ]
        )
        log_volume = rates[None, :] * base.days[:, None]
        for one in given:
            if one.given > 0.0:  # each dose from its day on, as far as the whole follow-up would have shown
                after = np.clip(base.days - one.day, 0.0, None)
                share = after / max(base.days[-1] - one.day, treated.GRID)
                log_volume += (self.slope * one.given / _MILLION * base.days[-1] * share)[:, None]
        curves = dict(base.curves)
        if "ifng" in curves:
            drawn = self.ifng[int(dice("curve of IFN-gamma") * len(self.ifng))]
            points = treated.GRID * np.arange(len(drawn))
            curves["ifng"] = np.interp(base.days, points, drawn)
        return base._replace(volume=np.exp(log_volume), curves=curves)


def fit(simulations: Sequence[Simulation]) -> Emulator:
    """The emulator of simulated patients; raises InputError where these are too few."""
    if len(simulations) < FEWEST:
        raise InputError(
            f"An emulator cannot be fitted to {len(simulations)} simulated patients.",
            f"Simulate {FEWEST} or more.",
        )
    excess = [_excess(one) for one in simulations]  # growth rates beyond the population's, by lesion
    mean = np.array([rates.mean() for rates in excess])
    dose = np.array([one.given / _MILLION for one in simulations])
    (offset, slope), errors = _line(dose, mean)
    residual = mean - offset - slope * dose
    inside = sum(float(((rates - rates.mean()) ** 2).sum()) for rates in excess)
    spare = sum(len(rates) - 1 for rates in excess)
    blocks = inside / spare if spare else 0.0
    harmonic = float(np.mean([1.0 / len(rates) for rates in excess]))
    between = float((residual**2).sum()) / (len(dose) - 2) - blocks * harmonic
    days = max(float(one.seen.days[-1]) for one in simulations)
    return Emulator(
        patients=len(simulations),
        lesions=sum(len(rates) for rates in excess),
        days=days,
        offset=offset,
        offset_error=errors[0],
        slope=slope,
        slope_error=errors[1],
        between=math.sqrt(max(0.0, between)),
        blocks=math.sqrt(blocks),
        error=days * _left_out(dose, mean),
        lowest=float(dose.min()),
        highest=float(dose.max()),
        ifng=np.array([_curve(one.seen, "ifng", days) for one in simulations]),
    )


def _curve(seen: Simulated, name: str, days: float) -> np.ndarray:
    """A curve on points of `treated.GRID` until so many days; zero where the simulation has none."""
    points = np.arange(0.0, days + treated.GRID, treated.GRID)
    return np.interp(points, seen.days, seen.curves[name]) if name in seen.curves else np.zeros(len(points))


def _excess(one: Simulation) -> np.ndarray:
    """Growth rates of lesions beyond ln 2 / T [1/d], over the time in which they hold tumor cells."""
    found = []
    for k, lesion in enumerate(one.patient.lesions):
        alive = int((one.seen.tumor_cells[:, k] > 0).sum()) - 1
        last = max(1, alive)
        span = float(one.seen.days[last] - one.seen.days[0])
        grown = math.log(max(float(one.seen.volume[last, k]), 1e-12) / float(one.seen.volume[0, k]))
        found.append(grown / span - math.log(2.0) / lesion.doubling_time)
    return np.array(found)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Intercept and slope with their standard errors; slope 0 where x does not vary."""
    if np.ptp(x) == 0.0:
        error = float(y.std(ddof=1)) / math.sqrt(len(y))
        return (float(y.mean()), 0.0), (error, math.inf)
    design = np.column_stack([np.ones(len(x)), x])
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ y
    rest = y - design @ found
    variance = float(rest @ rest) / (len(y) - 2)
    errors = np.sqrt(variance * np.diag(inverse))
    return (float(found[0]), float(found[1])), (float(errors[0]), float(errors[1]))


def _left_out(x: np.ndarray, y: np.ndarray) -> float:
    """Root mean square error of each patient's mean rate, predicted from all others."""
    errors = []
    for k in range(len(x)):
        rest = np.arange(len(x)) != k
        (offset, slope), _ = _line(x[rest], y[rest])
        errors.append(y[k] - offset - slope * x[k])
    return float(np.sqrt(np.mean(np.square(errors))))


def treats(
    emulator: Emulator, protocol: Protocol, plans: Sequence[Sequence[Any]], retention: float, seed: int
) -> Callable[[Sequence[tuple[Patient, int]]], list[Treated]]:
    """What `trial.run` asks for, by the emulator; plans : planned doses by level."""

    def treat(people: Sequence[tuple[Patient, int]]) -> list[Treated]:
        return [
            _treat(emulator, protocol, patient, level, plans[level - 1], retention, seed)
            for patient, level in people
        ]

    return treat


def _treat(
    emulator: Emulator,
    protocol: Protocol,
    patient: Patient,
    level: int,
    plan: Sequence[Any],
    retention: float,
    seed: int,
) -> Treated:
    """One patient, doses and course settled together as in a simulation."""
    given = treated.realized(patient, protocol, plan, None, seed)
    for _ in range(_MOST_ROUNDS):
        seen = emulator.course(patient, protocol, given, retention, seed)
        one = treated.live(patient, level, protocol, plan, given, seen, seed)
        follows = treated.realized(patient, protocol, plan, one, seed)
        if dosing.doses(follows) == dosing.doses(given):
            return one._replace(given=follows)
        given = follows
    raise AssertionError("doses differ later in every round, and there are not that many")


def trials(
    emulator: Emulator,
    protocol: Protocol,
    plans: Sequence[Sequence[Any]],
    retention: float,
    seeds: Sequence[int],
) -> list[dict[str, Any]]:
    """A row an emulated trial: the level chosen, patients, DLTs, responses, trial days."""
    rows = []
    for seed in seeds:
        done = trial.run(protocol, seed, treats(emulator, protocol, plans, retention, seed))
        outcomes = [one.outcome.best for one in done.treated]
        rows.append(
            {
                "seed": seed,
                "chosen": done.choice.level,
                "chosen_at_the_end": done.final.level,
                "screened": len(done.enrollment.log),
                "treated": len(done.slots),
                "dlts": sum(one.dlt(protocol).dlt is not None for one in done.treated),
                "responses": sum(best in ("CR", "PR") for best in outcomes),
                "controlled": sum(best in ("CR", "PR", "SD") for best in outcomes),
                "stopped": int(bool(done.stopped)),
                "days": max((slot.start for slot in done.slots), default=0.0),
            }
        )
    return rows


def selection(rows: Sequence[dict[str, Any]], levels: int) -> list[dict[str, Any]]:
    """How often each level was chosen (0: none), with its Monte Carlo error.

    The error of a share with a choice more on either side (Wilson's prior): none is certain.
    """
    chosen = [row["chosen"] for row in rows]
    found = []
    for level in range(levels + 1):
        share = chosen.count(level) / len(chosen)
        near = (chosen.count(level) + 1.0) / (len(chosen) + 2.0)
        error = math.sqrt(near * (1.0 - near) / len(chosen))
        found.append({"level": level, "selected": share, "error": error, "trials": len(chosen)})
    return found
