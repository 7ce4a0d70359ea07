"""An anchor: untreated patients with refractory colorectal cancer live as in published control arms."""

from pathlib import Path

import numpy as np
import pytest

from simulator.body.course import Dose
from simulator.clinic import counterfactual, tables
from simulator.clinic.course import Course, from_volumes
from simulator.clinic.dice import Dice, normal
from simulator.clinic.endpoints import OBJECTIVE, Outcome, judge
from simulator.clinic.follow import follow
from simulator.clinic.lesions import Lesion
from simulator.clinic.policy import Evaluation
from simulator.clinic.protocol import load
from simulator.clinic.survival import kaplan_meier
from simulator.clinic.treated import expected

PROTOCOL = Path(__file__).parents[1] / "configs/protocols/nct06446050.yaml"
MONTH = 365.25 / 12
DEFAULT = Evaluation()
ECOG = np.array([0.33, 0.49, 0.14])  # of those an eligibility of 0–2 leaves
# 86 mm in a liver, a lung and a nodal target, as liver metastases of 70 % of patients suggest.
LESIONS = (Lesion("T1", "liver"), Lesion("T2", "liver"), Lesion("T3", "lung"))
SIZES = (40.0, 28.0, 18.0)


def untreated(dice: Dice, days: int, median=50.0, between=0.6, within=0.25) -> Course:
    """Exponential growth: doubling times log-normal between patients, and between lesions of one."""
    whole = np.log(median) + between * normal(dice("doubling"))
    doubling = np.exp([whole + within * normal(dice(f"doubling of lesion {k}")) for k in range(len(SIZES))])
    grid = np.arange(0.0, days + 1.0, 7.0)
    return from_volumes(LESIONS, SIZES, grid, np.exp2(grid[:, None] / doubling), -10.0, doubling)


def cohort(patients: int, rules: Evaluation = DEFAULT, days: int = 1100, **growth) -> list[Outcome]:
    found = []
    for patient in range(patients):
        dice = Dice(1, patient)
        ecog = int(np.searchsorted(np.cumsum(ECOG) / ECOG.sum(), dice("ecog")))
        seen = follow(untreated(dice, days, **growth), ecog, rules, dice)
        found.append(judge(f"P{patient:04d}", "untreated", seen, rules.response))
    return found


def median_months(outcomes: list[Outcome], code: str) -> float:
    times = [outcome.times[code] for outcome in outcomes]
    curve = kaplan_meier(np.array([t.days for t in times]), np.array([t.event for t in times]))
    return curve.quantile()[0] / MONTH


def trial_population(patients: int) -> list[Outcome]:
    """Those whom the shipped protocol enrolls: given nothing, their lesions grow as the population says."""
    protocol = load(PROTOCOL)
    plan = [Dose(n, "msc", 24.0 * 21 * n, 1e6, "cells/kg", 0.0) for n in range(protocol.treatment.cycles)]
    enrolled = protocol.population.enroll(protocol.rules, patients, seed=2).patients
    return [
        counterfactual.untreated(who, protocol, plan, expected(who, protocol, plan, 0.0), seed=2).outcome
        for who in enrolled
    ]


@pytest.mark.slow
@pytest.mark.parametrize("of", [cohort, trial_population])
def test_no_treatment_gives_the_control_arms_of_concur_recourse_and_co_26(of):
    outcomes = of(2000)
    rates = {row["PARAMCD"]: row["AVAL"] for row in tables.rates(outcomes) if row["CRITERIA"] == "RECIST 1.1"}
    assert rates["ORR"] == 0.0
    assert 0.07 <= rates["DCR"] <= 0.15
    assert 4.0 <= median_months(outcomes, "OS") <= 6.6
    assert 1.7 <= median_months(outcomes, "PFS") <= 1.9
    assert not any(outcome.best in OBJECTIVE for outcome in outcomes)
