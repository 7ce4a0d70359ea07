"""Virtual cohorts: what trials would report of courses that are known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from simulator.clinic.dice import Dice, normal
from simulator.experiment.validation import cohorts
from simulator.experiment.validation.target import MISSED, REACHED

DAYS = np.arange(0.0, 127.0, 2.0)


class Cohort:
    """Results whose tumors grow exponentially, at rates given by arm and patient."""

    def __init__(self, patients: int, **rates):
        rows = []
        cells = np.full(len(DAYS), 900.0)
        for arm, rate in rates.items():
            for patient in range(1, patients + 1):
                values = {"tumor_volume": 100.0 * np.exp(rate(patient) * DAYS), "tumor_cells": cells}
                who = {"arm": arm, "patient": patient, "day": DAYS}
                rows += [pd.DataFrame({**who, "variable": name, "value": v}) for name, v in values.items()]
        self._table = pd.concat(rows)
        self.plan = SimpleNamespace(seed=1)

    def table(self):
        return self._table

    def contrast(self, first, second, outcome):
        return SimpleNamespace(difference=0.0, ratio=1.0, low=-0.001, high=0.001, pairs=100)


def refractory(patient: int) -> float:
    """Doubling times of 50 d, log-normal between patients."""
    return np.log(2.0) / (50.0 * np.exp(0.6 * normal(Dice(1, patient)("doubling"))))


def named(targets):
    return {target.name: target for target in targets}


def test_growth_as_published_reaches_the_untreated_targets():
    found = named(cohorts.mss(Cohort(300, untreated=refractory, anti_pd1=refractory, msc=refractory)))
    assert found["untreated: objective response"].verdict == REACHED
    assert found["untreated: median doubling time"].verdict == REACHED
    assert found["untreated: median survival"].verdict == REACHED
    assert found["MSCs at default: no effect"].verdict == REACHED


@pytest.mark.parametrize("faster", [0.25, 4.0])
def test_another_growth_misses(faster):
    def rate(patient):
        return faster * refractory(patient)

    found = named(cohorts.mss(Cohort(60, untreated=rate, anti_pd1=rate, msc=rate)))
    assert found["untreated: median doubling time"].verdict == MISSED
    assert found["untreated: median survival"].verdict == MISSED


def test_tumors_that_shrink_are_responses():
    def half(patient):
        return -0.02 if patient % 2 else 0.02

    found = named(cohorts.msih(Cohort(40, anti_pd1=half, anti_pd1_without_b2m=half)))
    assert found["anti-PD-1, MSI-H: objective response"].reached == "50%"
    assert found["without B2M: responds no less"].verdict == REACHED
    fewer = named(cohorts.msih(Cohort(40, anti_pd1=half, anti_pd1_without_b2m=lambda _: 0.02)))
    assert fewer["without B2M: responds no less"].verdict == MISSED
