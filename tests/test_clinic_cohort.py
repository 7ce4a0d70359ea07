"""An anchor: untreated patients with refractory colorectal cancer live as in published control arms."""

import numpy as np
import pytest

from simulator.clinic import tables
from simulator.clinic.course import Course, from_volumes
from simulator.clinic.dice import Dice, normal
from simulator.clinic.endpoints import OBJECTIVE, Outcome, judge
from simulator.clinic.follow import follow
from simulator.clinic.lesions import Lesion
from simulator.clinic.policy import Evaluation
from simulator.clinic.survival import kaplan_meier

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


@pytest.mark.slow
def test_no_treatment_gives_the_control_arms_of_concur_recourse_and_co_26():
    outcomes = cohort(2000)
    rates = {row["PARAMCD"]: row["AVAL"] for row in tables.rates(outcomes) if row["CRITERIA"] == "RECIST 1.1"}
    assert rates["ORR"] == 0.0
    assert 0.07 <= rates["DCR"] <= 0.15
    assert 4.0 <= median_months(outcomes, "OS") <= 6.6
    assert 1.7 <= median_months(outcomes, "PFS") <= 1.9
    assert not any(outcome.best in OBJECTIVE for outcome in outcomes)
