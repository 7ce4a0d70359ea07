"""The emulator of patients: it finds the law it was fitted to, and trials on it behave as trials."""

import numpy as np
import pytest

from simulator.base.errors import InputError
from simulator.body.course import Dose
from simulator.clinic import dosing, emulator, protocol, treated, trial
from simulator.clinic.treated import Simulated
from simulator.config.catalogue import shipped

PROTOCOL = protocol.load(shipped() / "protocols/nct06446050.yaml")
TRUE = {"offset": 0.002, "slope": -0.0008, "between": 0.003, "blocks": 0.002}
RETENTION = 0.85


def plans():
    treatment = PROTOCOL.treatment
    return [
        tuple(
            Dose(k + 1, "msc", 24.0 * treatment.interval * k, dose, "cells/kg", 1.0)
            for k in range(treatment.cycles)
        )
        for dose in treatment.doses
    ]


def simulated(patients: int, seed: int = 1, **law: float) -> list[emulator.Simulation]:
    """Patients whose lesions grow by the law."""
    law = {**TRUE, **law}
    dice = np.random.default_rng(seed)
    days = np.arange(0.0, 184.0)
    found = []
    for k in range(1, patients + 1):
        patient = PROTOCOL.population.candidate(seed, k, 1)
        given = (k % 3 + 1) * 3e6
        rates = np.array([np.log(2) / lesion.doubling_time for lesion in patient.lesions])
        rates = rates + law["offset"] + law["slope"] * given / 1e6 + law["between"] * dice.normal()
        rates = rates + law["blocks"] * dice.normal(size=len(rates))
        cells = np.full((len(days), len(rates)), 9)
        curves = {"ifng": np.zeros(len(days)), "msc_lung": np.zeros(len(days))}
        found.append(
            emulator.Simulation(patient, given, Simulated(days, np.exp(np.outer(days, rates)), cells, curves))
        )
    return found


def test_the_fit_recovers_the_law():
    found = emulator.fit(simulated(400))
    assert abs(found.offset - TRUE["offset"]) < 4 * found.offset_error
    assert abs(found.slope - TRUE["slope"]) < 4 * found.slope_error
    assert found.between == pytest.approx(TRUE["between"], rel=0.15)
    assert found.blocks == pytest.approx(TRUE["blocks"], rel=0.1)
    assert (found.lowest, found.highest) == (3.0, 9.0)


def test_without_chance_the_fit_is_exact_and_has_no_error():
    found = emulator.fit(simulated(12, between=0.0, blocks=0.0))
    assert found.slope == pytest.approx(TRUE["slope"])
    assert found.error == pytest.approx(0.0, abs=1e-9)
    assert found.between == pytest.approx(0.0, abs=1e-9)


def test_an_emulated_patient_who_completes_grows_as_fitted():
    found = emulator.fit(simulated(12, between=0.0, blocks=0.0))
    patient, plan = PROTOCOL.population.candidate(1, 3, 1), plans()[1]
    given = [
        dosing.Given(d.number, d.drug, d.time / 24, d.time / 24, d.amount, d.amount, d.unit, "given", "", 1.0)
        for d in plan
    ]
    course = found.course(patient, PROTOCOL, given, RETENTION, 1)
    total = sum(one.given for one in given) / 1e6
    for k, lesion in enumerate(patient.lesions):
        rate = np.log(2) / lesion.doubling_time + found.offset + found.slope * total
        assert np.log(course.volume[-1, k]) == pytest.approx(rate * course.days[-1], rel=1e-6)


def test_a_dose_that_is_not_given_changes_nothing_before_its_day():
    found = emulator.fit(simulated(12))
    plan = plans()[2]
    for k in range(1, 31):
        patient = PROTOCOL.population.candidate(1, k, 1)
        all_given = treated.realized(patient, PROTOCOL, plan, None, 1)
        if all_given[3].given == 0.0:
            continue
        fewer = tuple(
            one._replace(given=0.0, status="stopped") if one.number > 3 else one for one in all_given
        )
        first, second = (found.course(patient, PROTOCOL, given, RETENTION, 1) for given in (all_given, fewer))
        day = all_given[3].day  # scans read between points, to the very day
        at = np.array([0.3 * day, day - 1e-9])
        read = [np.interp(at, one.days, one.volume[:, 0]) for one in (first, second)]
        assert np.array_equal(*read)
        assert not np.array_equal(first.volume, second.volume)


def test_a_level_that_is_always_chosen_is_not_certain():
    none, first = emulator.selection([{"chosen": 1}] * 1000, 1)
    assert (none["selected"], first["selected"]) == (0.0, 1.0)
    assert [none["error"], first["error"]] == pytest.approx([1e-3, 1e-3], rel=0.01)
    half = emulator.selection([{"chosen": k % 2} for k in range(1000)], 1)[1]
    assert half["error"] == pytest.approx(0.5 / 1000**0.5, rel=0.01)


def test_a_storm_in_one_patient_is_no_storm_in_all():
    simulations = simulated(30)
    simulations[4].seen.curves["ifng"][50:60] = 2000.0  # pg/mL
    found = emulator.fit(simulations)
    (row,) = found.rows()
    assert (row["ifng_median"], row["ifng_highest"]) == (0.0, 2000.0)
    plan = plans()[1]
    peaks = []
    for k in range(1, 301):
        patient = PROTOCOL.population.candidate(1, k, 1)
        given = treated.realized(patient, PROTOCOL, plan, None, 1)
        curve = found.course(patient, PROTOCOL, given, RETENTION, 1).curves["ifng"]
        peaks.append(curve.max())
        assert not curve[:50].any()  # it comes when it came, not from the first day
    assert 2 <= sum(peak == 2000.0 for peak in peaks) <= 22  # one in thirty: 10 ± 3.1


def test_every_emulated_trial_comes_to_an_end_within_its_patients():
    found = emulator.fit(simulated(30))
    rows = emulator.trials(found, PROTOCOL, plans(), RETENTION, range(1, 26))
    assert all(row["treated"] <= PROTOCOL.treatment.patients for row in rows)
    complete = PROTOCOL.treatment.patients
    assert all(row["treated"] == complete or row["stopped"] or not row["chosen"] for row in rows)
    chosen = emulator.selection(rows, 3)
    assert sum(row["selected"] for row in chosen) == pytest.approx(1.0)
    assert emulator.trials(found, PROTOCOL, plans(), RETENTION, [7]) == [rows[6]]


def test_doses_and_courses_agree_for_everybody():
    found = emulator.fit(simulated(30))
    treat = emulator.treats(found, PROTOCOL, plans(), RETENTION, 5)
    done = trial.run(PROTOCOL, 5, treat)
    for one in done.treated:
        again = treated.realized(one.patient, PROTOCOL, plans()[one.level - 1], one, 5)
        assert dosing.doses(again) == one.doses
        for event in one.events:
            assert event.onset <= one.followed.end


def test_too_few_patients_make_no_emulator():
    with pytest.raises(InputError, match="cannot be fitted to 7 simulated patients"):
        emulator.fit(simulated(7))
