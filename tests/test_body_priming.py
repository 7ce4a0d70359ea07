"""Priming, depletion, rejection and the covariates of antibodies: closed forms."""

import math

import numpy as np
import pytest
from bodies import body, fields, pembrolizumab, product
from scipy import stats

from simulator.body.course import Dose
from simulator.body.drugs import LUNG, TUMOR, AntibodyExposure, CellDistribution
from simulator.body.patient import Feedback, Host
from simulator.body.priming import PrimedPool
from simulator.config.host_schema import Covariate, Priming, Rejection

DAY = 24.0


def priming(**changes) -> Priming:
    return Priming(**({"trait": "reactive", "per_kill": 0.1, "delay": "6 d", "half_life": "41 h"} | changes))


def host(doses=(), drugs=None, **changes) -> Host:
    return Host(body(**changes), drugs or {}, fields(), doses, [80.0])


# --- priming -----------------------------------------------------------------------------------


def test_without_kills_nobody_is_primed():
    pool = PrimedPool(priming())
    for _ in range(100):
        pool.advance(0.0, 0.0, 1.0)
    assert not pool.state.any()


def test_primed_cells_come_after_a_gamma_distributed_delay():
    """A burst of kills: what has reached the blood by t is the gamma distribution function of 5 stages."""
    pool = PrimedPool(priming(half_life="1e9 d"))
    pool.advance(1e6, 0.0, 0.01)
    for hour in range(1, 20 * 24):
        pool.advance(0.0, 0.0, 1.0)
        expected = 0.1 * 1e6 * 0.01 * stats.gamma.cdf(hour, 5, scale=6 * DAY / 5)
        assert pool.cells == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_a_steady_rate_of_kills_holds_a_pool_of_kills_times_lifetime():
    patient = host(priming={"cd8": priming()})
    for hour in range(120 * 24):
        patient.advance(hour, hour + 1.0, Feedback(80.0, {}, 1e3))
    cells = 0.1 * 1e3 * 80.0 * 41.0 / math.log(2.0)
    assert patient.primed["cd8", "reactive"] == pytest.approx(cells / (400.0 * 5e6), rel=1e-6)
    assert patient.blood["cd8"] == pytest.approx(1.0 + cells / (400.0 * 5e6), rel=1e-6)
    assert patient.series()["primed_cd8"] == pytest.approx(cells / 5e6)


def test_a_continued_body_primes_to_the_same_bits():
    def story(pause):
        patient = host(priming={"cd8": priming()})
        for hour in range(200):
            if hour == pause:
                arrays = patient.arrays()
                patient = host(priming={"cd8": priming()})
                patient.restore(arrays)
            patient.advance(hour, hour + 1.0, Feedback(80.0, {}, 1e3 * (hour % 7)))
        return patient.arrays()["priming/cd8"]

    assert np.array_equal(story(None), story(77))


# --- depletion ---------------------------------------------------------------------------------


def test_a_depleting_antibody_empties_its_pool_and_no_other():
    drug = pembrolizumab(depletes={"cd8": "5 /d"}, penetration=1.0)
    patient = host([Dose(1, "anti_cd8", 0.0, 1e4, "mg", 0.0)], {"anti_cd8": drug})
    for hour in range(20 * 24):
        patient.advance(hour, hour + 1.0, Feedback(80.0))
    renewal = math.log(2.0) / body().blood_turnover
    loss = 5.0 / DAY * patient.occupancy["anti_cd8"]
    assert patient.occupancy["anti_cd8"] > 0.99
    assert patient.blood["cd8"] == pytest.approx(renewal / (renewal + loss), rel=1e-3)
    assert patient.blood["nk"] == 1.0


# --- rejection ---------------------------------------------------------------------------------


def doses(times):
    return [Dose(n, "msc", 24.0 * day, 1e8, "cells", 1.0) for n, day in enumerate(times, start=1)]


def followed(sensitized, times=(0, 21, 42), hours=60 * 24):
    given = product(rejection=Rejection(fold=2.0, trait="clearance"))
    distribution = CellDistribution("msc", given, doses(times), {}, 3000.0, 80.0, sensitized)
    for hour in range(hours):
        distribution.advance(hour, hour + 1.0, 80.0)
    return distribution


def test_each_dose_dies_twice_as_fast_as_the_one_before_in_a_sensitized_patient():
    def lung_after(distribution, number, hours):
        given = distribution.inflow.start[number]
        fresh = CellDistribution(
            "msc", distribution.product, doses((0, 21, 42)), {}, 3000.0, 80.0, distribution.fold[1] > 1.0
        )
        for hour in range(int(given) + hours):
            fresh.advance(hour, hour + 1.0, 80.0)
        return fresh.state[LUNG, number]

    plain, rejecting = followed(False), followed(True)
    assert list(plain.fold) == [1.0, 1.0, 1.0] and list(rejecting.fold) == [1.0, 2.0, 4.0]
    release = product().lung_release
    for number, fold in enumerate(rejecting.fold):
        rate = math.log(lung_after(rejecting, number, 10) / lung_after(rejecting, number, 30)) / 20.0
        assert rate == pytest.approx(fold * math.log(2.0) / 12.0 + release, rel=1e-9)
    assert rejecting.arrived[0, 2] < rejecting.arrived[0, 1] < rejecting.arrived[0, 0]
    assert plain.arrived[0] == pytest.approx(plain.arrived[0, 0])


def test_the_ledger_closes_where_doses_die_at_different_paces():
    assert followed(True).ledger_error(60 * 24.0) < 1e-9


def test_the_first_dose_is_the_same_to_the_bit_whether_rejected_or_not():
    assert np.array_equal(followed(False).state[:, 0], followed(True).state[:, 0])
    assert followed(True).state[TUMOR, 2] < followed(False).state[TUMOR, 2]


def test_homing_multiplies_what_reaches_the_tumor():
    def arrived(homing):
        patient = host(doses([0]), {"msc": product()}, homing=homing)
        for hour in range(100):
            patient.advance(hour, hour + 1.0, Feedback(80.0))
        return patient.dose_table()[0]["arrived"]

    assert arrived(3.0) == pytest.approx(3.0 * arrived(1.0), rel=1e-9)


# --- covariates ----------------------------------------------------------------------------------

AHAMADI = (
    Covariate(of="albumin", on="clearance", reference=39.6, exponent=-0.907),
    Covariate(of="female", on="clearance", factor=0.848),
    Covariate(of="ecog", on="clearance", factor=0.926),
)


def half_life(**covariates):
    """Of the slow phase."""
    given = [Dose(1, "anti_pd1", 0.0, 200.0, "mg", 0.0)]
    exposure = AntibodyExposure(pembrolizumab(covariates=AHAMADI), given, 76.8, covariates)
    exposure.advance(0.0, 60 * DAY)
    first = exposure.concentration
    exposure.advance(60 * DAY, 80 * DAY)
    return 20.0 * math.log(2.0) / math.log(first / exposure.concentration)


def test_low_albumin_clears_faster_and_women_slower():
    assert half_life() == half_life(albumin=39.6, female=0.0, ecog=0.0)
    assert half_life(albumin=30.0) < half_life() < half_life(female=1.0)
    assert half_life(ecog=1.0) == half_life(ecog=2.0) > half_life(ecog=0.0)


def test_clearance_follows_the_published_power():
    """Without exchange with tissue, C falls with CL/V, and CL with (albumin / 39.6)^−0.907."""
    drug = pembrolizumab(covariates=AHAMADI, intercompartmental="0 L/d")
    for albumin in (25.0, 45.0):
        exposure = AntibodyExposure(
            drug, [Dose(1, "a", 0.0, 200.0, "mg", 0.0)], 76.8, {"albumin": albumin, "female": 1.0}
        )
        exposure.advance(0.0, 10 * DAY)
        clearance = 0.22 * (albumin / 39.6) ** -0.907 * 0.848
        expected = 200.0 / 3.48 * math.exp(-clearance / 3.48 * 10.0)
        assert exposure.concentration == pytest.approx(expected, rel=1e-9)


# --- the lung --------------------------------------------------------------------------------------


def test_cells_in_the_lung_hold_up_their_own_chemokine():
    patient = host(doses([0]), {"msc": product()}, lung_volume="1 L")
    patient.advance(0.0, 2.0, Feedback(80.0))
    cells = patient.series()["msc_lung"]
    expected = cells * 3.6e5 / (fields()["cxcl9"].decay * 1000.0 * 1e12)
    assert patient.series()["lung_cxcl9"] == pytest.approx(expected, rel=1e-12)
    assert "lung_cxcl9" not in host(doses([0]), {"msc": product()}).series()
