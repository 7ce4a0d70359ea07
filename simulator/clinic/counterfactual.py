"""Two questions about a trial without a control arm, kept apart.

What would the same patients have lived through without a dose?  And what would a real trial show, in which
other patients get none?  See `contrasts`.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..body.course import Dose
from . import contrasts
from .dosing import Override
from .endpoints import CONTROL, OBJECTIVE, PARAMETERS
from .population import Patient
from .protocol import Protocol
from .tables import Rows
from .treated import Simulated, Treated, live, realized

# What has to be said beside each of the two tables.
PAIRED = (
    "Treated minus untreated, patient by patient: same tumor, same dice, 95 % intervals. No real trial can "
    "see this: to know a difference as well without pairing takes 1 / (1 − correlation) times the patients."
)
PARALLEL = (
    "Chance that a parallel trial, with other patients in its control arm, finds a difference at the 5 % "
    "level. About 5 % or less means that it cannot tell the product from nothing."
)
NO_LEVEL = 0  # the level of those who are given nothing
NOT_GIVEN = "not given"
_RATES = {"ORR": ("Objective response", OBJECTIVE), "DCR": ("Disease control", CONTROL)}
_TIMES = ("PFS", "OS")
_CELL_MM3 = 3.4e-6  # a site of 15 µm
_SIZES = (30, 100, 300)  # patients an arm of a real trial


def untreated(
    patient: Patient,
    protocol: Protocol,
    plan: Sequence[Dose],
    seen: Simulated,
    seed: int,
    overrides: Mapping[int, Override] | None = None,
) -> Treated:
    """What becomes of a patient who comes to every visit and is given nothing.

    seen : the simulation without a dose; the rest as in `treated.live`.
    """
    visits = realized(patient, protocol, plan, None, seed, overrides)
    given = [one._replace(given=0.0, status=NOT_GIVEN, reason="") for one in visits]
    return live(patient, NO_LEVEL, protocol, plan, given, seen, seed, overrides)


def compared(treated: Sequence[Treated], without: Sequence[Treated], horizon: float) -> Rows:
    """Each patient against the same patient without a dose, a row an endpoint; differences are treated − not.

    horizon : days up to which time lived is counted, or as far as in both arms two patients are followed.
    """
    rows = []
    for code, (name, responses) in _RATES.items():
        first, second = (_responds(arm, responses) for arm in (treated, without))
        rate = contrasts.paired_rates(first, second)
        rows.append(
            _row(code, name, "1", first.mean(), second.mean(), rate, rate.first_only, rate.second_only)
        )
    for code in _TIMES:
        arms = _times(treated, code), _times(without, code)
        until = min(horizon, *(float(np.sort(days)[-2]) for days, _ in arms))
        time = contrasts.paired_times(*arms, until)
        name = f"{PARAMETERS[code]}, mean days up to {until:.0f}"
        rows.append(_row(code, name, "d", time.first, time.second, time, time.longer, time.shorter))
    return rows


def compared_volumes(first: np.ndarray, second: np.ndarray, day: float) -> Rows:
    """The same for the log of the whole tumor volume on a day; mm³ of each patient, treated and not.

    The mechanism goes on after a death, so every patient counts.  A tumor that is gone counts as one cell's.
    """
    a, b = (np.log(np.maximum(volumes, _CELL_MM3)) for volumes in (first, second))
    mean = contrasts.paired_means(a, b)
    name = f"Log of the tumor volume on day {day:.0f}"
    return [_row("LOGVOL", name, "1", a.mean(), b.mean(), mean, int((a < b).sum()), int((a > b).sum()))]


def power(treated: Sequence[Treated], without: Sequence[Treated], seed: int) -> Rows:
    """Chance that a real parallel trial tells the arms apart, by endpoint and patients an arm.

    Patients are drawn anew from those simulated, for either arm its own.
    """
    return [
        {
            "PARAMCD": code,
            "TEST": test,
            "PATIENTS": found.patients,
            "POWER": found.power,
            "ERROR": found.error,
        }
        for code, test, found in _powers(treated, without, seed)
    ]


def _powers(
    treated: Sequence[Treated], without: Sequence[Treated], seed: int
) -> Iterator[tuple[str, str, contrasts.Power]]:
    for code, (_, responses) in _RATES.items():
        first, second = (_responds(arm, responses) for arm in (treated, without))
        for size in _SIZES:
            yield code, "Fisher", contrasts.power_of_rates(first, second, size)
    for code in _TIMES:
        for size in _SIZES:
            arms = _times(treated, code), _times(without, code)
            yield code, "log-rank", contrasts.power_of_times(*arms, size, seed)


def _row(
    code: str,
    name: str,
    unit: str,
    first: float,
    second: float,
    found: contrasts.PairedRates | contrasts.PairedTimes | contrasts.PairedMeans,
    better: int,
    worse: int,
) -> dict:
    return {
        "PARAMCD": code,
        "PARAM": name,
        "UNIT": unit,
        "TREATED": float(first),
        "UNTREATED": float(second),
        "DIFFERENCE": found.difference,
        "LOW": found.low,
        "HIGH": found.high,
        "P": found.p_value,
        "CORRELATION": found.correlation,
        "BETTER": better,
        "WORSE": worse,
    }


def _responds(arm: Sequence[Treated], responses: Sequence[str]) -> np.ndarray:
    return np.array([one.outcome.best in responses for one in arm])


def _times(arm: Sequence[Treated], code: str) -> tuple[np.ndarray, np.ndarray]:
    times = [one.outcome.times[code] for one in arm]
    return np.array([time.days for time in times]), np.array([time.event for time in times])
