"""What becomes of one patient at one dose level, from the curves that a simulation gives.

Doses depend on what befalls the patient, and that on the doses: so a simulation is made for an expected
course of doses, and again for the doses that follow from it, until both agree.  Since what comes later
changes nothing before, the first difference moves on with every round, and the end is the only course in
which everything fits, whatever was expected at first.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..body.course import Dose
from . import dosing, toxicity
from .course import Course, from_volumes
from .dice import Dice
from .dlt import Assessment, assess
from .dosing import Findings, Given, Override
from .endpoints import Outcome, judge
from .follow import Followed, follow
from .lesions import Lesion
from .population import Patient
from .protocol import Protocol
from .toxicity import AdverseEvent, Cycle

# Days between points of a course that is only expected.  Doses fall on whole days: what one does reaches no
# point before it, so that what comes later changes nothing before.
GRID = 1.0


class Simulated(NamedTuple):
    """What is known of a patient over time, by a simulation or by expectation.

    days : float[T], from day 0; volume, tumor_cells : [T, L]; curves : float[T] by name.
    """

    days: np.ndarray
    volume: np.ndarray
    tumor_cells: np.ndarray
    curves: Mapping[str, np.ndarray]


class Treated(NamedTuple):
    """One patient at one level: doses, cycles, adverse events, scans and endpoints."""

    patient: Patient
    level: int
    given: tuple[Given, ...]
    cycles: tuple[Cycle, ...]
    events: tuple[AdverseEvent, ...]
    followed: Followed
    outcome: Outcome

    @property
    def first_dose(self) -> float | None:
        """Day of the first dose given, None where none was."""
        return min((one.day for one in self.given if one.given > 0.0), default=None)

    @property
    def doses(self) -> tuple[Dose, ...]:
        """The doses given."""
        return dosing.doses(self.given)

    def dlt(self, protocol: Protocol, seen_to: float = math.inf) -> Assessment:
        """The DLT of this patient by a day of their own."""
        return assess(self.events, self.first_dose, min(seen_to, self.followed.end), protocol.dlt)


def name_of(patient: Patient) -> str:
    """The subject identifier."""
    return f"P{patient.number:03d}"


def expected(patient: Patient, protocol: Protocol, plan: Sequence[Dose], retention: float) -> Simulated:
    """A course without a simulation: lesions grow as ever, the lung holds `retention` of a dose for a day,
    and there are no cytokines."""
    days = np.arange(0.0, protocol.treatment.follow_up + GRID, GRID)
    doubling = np.array([lesion.doubling_time for lesion in patient.lesions])
    volume = np.exp2(days[:, None] / doubling)
    curves = {name: np.zeros(len(days)) for name in protocol.toxicity.curves}
    if "msc_lung" in curves:
        for dose in plan:
            since = days - dose.time / 24.0
            curves["msc_lung"][(since > 0.0) & (since <= GRID)] = retention * dose.amount
    return Simulated(days, volume, np.ones(volume.shape, int), curves)


def live(
    patient: Patient,
    level: int,
    protocol: Protocol,
    plan: Sequence[Dose],
    given: Sequence[Given],
    seen: Simulated,
    seed: int,
    overrides: Mapping[int, Override] | None = None,
) -> Treated:
    """What follows for a patient who was given these doses and of whom a simulation knows these curves."""
    dice = Dice(seed, patient.number)
    course = _course(patient, protocol, seen)
    visits = _visits(realized(patient, protocol, plan, None, seed, overrides))
    cycles = _cycles(protocol, visits, given, seen)
    events = toxicity.adverse_events(protocol.toxicity, cycles, dice)
    fatal = min((event.onset for event in events if event.grade == 5), default=None)
    followed = follow(course, _ecog(patient), protocol.evaluation, dice, fatal)
    outcome = judge(name_of(patient), f"level {level}", followed, protocol.evaluation.response)
    return Treated(
        patient, level, tuple(given), cycles, toxicity.until(events, followed.end), followed, outcome
    )


def realized(
    patient: Patient,
    protocol: Protocol,
    plan: Sequence[Dose],
    so_far: Treated | None,
    seed: int,
    overrides: Mapping[int, Override] | None = None,
) -> tuple[Given, ...]:
    """The doses of a patient, with the stops that `so_far` shows; without it, those of visits and labs.

    overrides : what the patient's own file says, by number of the dose.
    """
    dice = Dice(seed, patient.number)
    conduct, usual = protocol.conduct, _number(patient, "neutrophils")
    findings = Findings(
        anc=lambda day: conduct.neutrophils(usual, day, dice),
        stops={"withdrawal": conduct.withdraws(dice), **(_stops(so_far, protocol) if so_far else {})},
        weight=lambda _: _number(patient, "weight"),
    )
    return dosing.realize(plan, protocol.dosing, findings, dice, overrides)


def _stops(treated: Treated, protocol: Protocol) -> dict[str, float]:
    """Days of what ends a treatment."""
    found = {}
    if (death := treated.followed.events.death) is not None:
        found["death"] = death
    if (dlt := treated.dlt(protocol).dlt) is not None:
        found["dlt"] = dlt.onset
    progression = treated.outcome.times["PFS"]
    if progression.event and progression.reason != "death":
        found["progression"] = progression.days
    return found


def _course(patient: Patient, protocol: Protocol, seen: Simulated) -> Course:
    lesions = [
        Lesion(f"T{k}", lesion.organ, lesion.organ == "node")
        for k, lesion in enumerate(patient.lesions, start=1)
    ]
    return from_volumes(
        lesions,
        [lesion.diameter for lesion in patient.lesions],
        seen.days.tolist(),
        seen.volume,
        -protocol.evaluation.scans.baseline,
        [lesion.doubling_time for lesion in patient.lesions],
        seen.tumor_cells,
    )


def _visits(unstopped: Sequence[Given]) -> list[float]:
    """Days of the visits, whether or not treatment goes on by then: what stops it moves no cycle."""
    return [one.day if one.given > 0.0 else one.planned_day for one in unstopped]


def _cycles(
    protocol: Protocol, visits: Sequence[float], given: Sequence[Given], seen: Simulated
) -> tuple[Cycle, ...]:
    """A cycle from each visit to the next, then one every interval until the follow-up ends."""
    treatment = protocol.treatment
    starts = list(zip(visits, (one.given for one in given), strict=True))
    while starts[-1][0] + treatment.interval < treatment.follow_up:
        starts.append((starts[-1][0] + treatment.interval, 0.0))
    ends = [*(start for start, _ in starts[1:]), treatment.follow_up]
    return tuple(
        Cycle(number, start, end, dose, _peaks(seen, start, end))
        for number, ((start, dose), end) in enumerate(zip(starts, ends, strict=True), start=1)
    )


def _peaks(seen: Simulated, start: float, end: float) -> dict[str, float]:
    """The highest value of each curve in a cycle."""
    inside = (seen.days >= start) & (seen.days <= end)
    return {name: float(curve[inside].max(initial=0.0)) for name, curve in seen.curves.items()}


def _ecog(patient: Patient) -> int:
    return int(float(str(patient.values["ecog"])))


def _number(patient: Patient, name: str) -> float:
    value = patient.values[name]
    assert isinstance(value, float), f"{name} is a number"
    return value
