"""The host: zero doses, branching, checkpoints, plasma and blood; to the bit where that is promised."""

import math
from itertools import pairwise

import numpy as np
import pytest
from bodies import body, fields, pembrolizumab, plasma, product
from hypothesis import given, settings, strategies as st

from simulator.base.errors import InputError, SimulatorError
from simulator.body.course import Dose
from simulator.body.patient import Feedback, Host
from simulator.body.regimen import parse

DRUGS = {"msc_a": product(), "msc_b": product(half_life="3 d"), "anti_pd1": pembrolizumab()}
LN2 = math.log(2.0)
HOURS = 24 * 10


def host(*doses, drugs=DRUGS, given_body=None, lesions=(80.0,)) -> Host:
    """A host under shorthand doses, or under `Dose`s as they are."""
    given_body = given_body or body()
    if all(isinstance(dose, str) for dose in doses):
        doses = parse(list(doses), drugs, float(HOURS)).absolute(given_body.weight)
    return Host(given_body, drugs, fields(), doses, lesions)


def feedback(t: float) -> Feedback:
    return Feedback(80.0 + 0.1 * t, {"cxcl9": 1e-3 * (1 + math.sin(t)), "o2": 5.0})


def story(patient: Host, start=0, stop=HOURS, step=1.0) -> list[tuple]:
    """All a tissue and a record ever see of the body, step by step."""
    seen = []
    for t in np.arange(start, stop, step).tolist():
        patient.advance(t, t + step, feedback(t))
        arrivals = [float(value) for value in patient.arrivals if value]
        values = (patient.series(), patient.occupancy, patient.plasma, patient.blood)
        seen.append((arrivals, *[tuple(part.items()) for part in values]))
    return seen


def test_a_dose_of_nothing_changes_no_bit():
    course = "1e6 cells/kg msc_a q3d x2"
    empty = ["0 cells/kg msc_a q1d x9", "0 mg anti_pd1 from 5.5 h", "0 cells msc_b from 30 h"]
    assert story(host(course, "200 mg anti_pd1 from 1 d")) == story(
        host(course, "200 mg anti_pd1 from 1 d", *empty)
    )
    assert story(host(*empty)) == story(host())


def test_arms_are_one_until_their_first_differing_dose():
    a = story(host("1e6 cells/kg msc_a q2d x4", "200 mg anti_pd1"))
    b = story(host("1e6 cells/kg msc_a q2d x2", "200 mg anti_pd1", "2e6 cells msc_b from 4.5 d"))
    first = next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)
    assert first == 96


@settings(max_examples=8)
@given(st.integers(1, HOURS - 1))
def test_a_checkpoint_goes_on_to_the_same_bits(t):
    doses = ("1e6 cells/kg msc_a q2d x4", "5e5 cells/kg msc_b q1d x5 from 6 h", "200 mg anti_pd1 q7d x2")
    whole = host(*doses)
    story(whole, 0, t)
    resumed = host(*doses)
    resumed.restore(whole.arrays())
    assert resumed.time == t
    assert np.array_equal(resumed.arrivals, whole.arrivals)
    assert resumed.series() == whole.series()
    assert story(resumed, t) == story(whole, t)
    assert resumed.dose_table() == whole.dose_table()
    assert resumed.ledger_error() == whole.ledger_error()


def test_arrays_are_copies():
    patient = host("1e6 cells msc_a")
    story(patient, 0, 3)
    stored = patient.arrays()
    kept = {name: array.copy() for name, array in stored.items()}
    story(patient, 3, 6)
    assert all(np.array_equal(stored[name], kept[name]) for name in kept)


def test_an_arm_branches_from_a_burn_in_without_doses():
    burned = host()
    story(burned, -24, 0)
    arm, through = host("1e6 cells/kg msc_a q2d x4"), host("1e6 cells/kg msc_a q2d x4")
    arm.restore(burned.arrays())
    story(through, -24, 0)
    assert arm.plasma == burned.plasma
    assert story(arm) == story(through)


def test_an_arm_may_bring_a_drug_and_a_field_that_its_burn_in_lacked():
    burned = Host(body(plasma={}), {}, {}, (), [80.0])
    burned.advance(-1.0, 0.0, Feedback(80.0))
    arm = host("1e6 cells/kg msc_a")
    arm.restore(burned.arrays())
    assert arm.plasma["cxcl9"] == plasma().baseline
    assert arm.time == 0.0


def test_doses_of_another_run_are_refused():
    one, two = host("1e6 cells msc_a"), host("1e6 cells msc_a q1d x2")
    with pytest.raises(SimulatorError, match="holds 2 doses of 'msc_a', this one 1"):
        one.restore(two.arrays())


def test_the_order_of_names_does_not_matter():
    doses = ("1e6 cells/kg msc_a", "1e6 cells/kg msc_b from 1 d", "200 mg anti_pd1")
    assert story(host(*doses)) == story(host(*doses, drugs=dict(reversed(DRUGS.items()))))


@pytest.mark.parametrize("step", [0.5, 0.1, 3.0])
def test_the_step_is_numerics(step):
    """Under constant feedback every step length ends in the same state."""
    doses = ("1e6 cells/kg msc_a q1d x4 from 0.3 h", "200 mg anti_pd1 from 1.7 h")
    ends = []
    for dt in (1.0, step):
        patient = host(*doses)
        for i in range(round(96 / dt)):
            patient.advance(i * dt, (i + 1) * dt, Feedback(80.0, {"cxcl9": 1e-3}))
        assert patient.ledger_error() < 1e-9
        ends.append(patient.series())
    assert ends[1] == pytest.approx(ends[0], rel=1e-9)


def test_plasma_rests_at_its_baseline_and_rises_by_what_spills():
    patient = host()
    patient.advance(0.0, 1.0, Feedback(80.0))
    assert patient.plasma == {"cxcl9": 0.004, "o2": 0.0}
    for t in range(1, 40):
        patient.advance(t, t + 1, Feedback(80.0, {"cxcl9": 2e-3, "o2": 1.0}))
    rise = 0.2 * 2e-3 * 80.0 / 3000.0 / (LN2 / 0.5)
    assert patient.plasma == pytest.approx({"cxcl9": 0.004 + rise, "o2": 0.0}, rel=1e-9)


def test_two_products_add_up_in_plasma():
    both = host("1e8 cells msc_a", "1e8 cells msc_b")
    alone = [host("1e8 cells msc_a"), host("1e8 cells msc_b")]
    for patient in (both, *alone):
        for t in range(30):
            patient.advance(t, t + 1, Feedback(80.0))
    added = sum(patient.plasma["cxcl9"] - 0.004 for patient in alone)
    assert both.plasma["cxcl9"] - 0.004 == pytest.approx(added, rel=1e-9)
    assert added > 1e-4


def test_blood_rests_at_its_baseline_and_returns_to_it():
    patient = host()
    story(patient, 0, 50)
    assert patient.blood == {"cd8": 1.0, "nk": 1.0}
    assert patient.series()["blood_cd8"] == 400.0
    patient.restore(patient.arrays() | {"blood/nk": np.array([0.2])})
    patient.advance(50.0, 50.0 + body().blood_turnover, Feedback(80.0))
    assert patient.blood == pytest.approx({"cd8": 1.0, "nk": 0.6}, rel=1e-12)


def test_every_column_is_registered_once_and_filled():
    patient = host("1e6 cells msc_a", "200 mg anti_pd1")
    columns = patient.columns()
    assert [column.name for column in columns] == list(patient.series())
    assert len({column.name for column in columns}) == len(columns)
    assert {"msc_liver_spleen", "msc_infused", "anti_pd1_occupancy", "plasma_cxcl9", "blood_nk"} <= {
        column.name for column in columns
    }
    assert {column.name: column.unit for column in columns}["plasma_cxcl9"] == "nM"


def test_the_dose_table_says_what_was_planned_given_and_reached_the_tumor():
    patient = host("1e8 cells msc_a q2d x2", "200 mg anti_pd1 from 1 d")
    for t in range(40):
        patient.advance(t, t + 1, Feedback(80.0))
    patient.advance(40.0, 48.25, Feedback(80.0))
    first, second, third = patient.dose_table()
    assert (first["drug"], second["drug"], third["number"]) == ("msc_a", "anti_pd1", 3)
    assert first["given"] == first["planned"] == 1e8
    assert third["given"] == pytest.approx(0.5e8)
    assert second["given"] == 200.0 and second["arrived"] == 0.0 and second["unit"] == "mg"
    assert 2.9e4 < first["arrived"] < 3e4 and third["arrived"] > 0.0
    assert first["arrived"] == pytest.approx(80.0 * first["arrived_per_ml"])


def test_arrivals_add_up_to_the_dose_table():
    patient = host("1e8 cells msc_a q1d x3", "1e8 cells msc_b")
    total = np.zeros(4)
    for t in range(100):
        patient.advance(t, t + 1, feedback(t))
        total += patient.arrivals
    assert total == pytest.approx([row["arrived_per_ml"] for row in patient.dose_table()], rel=1e-12)


def test_doses_fade_one_after_the_other():
    patient = host("1e8 cells msc_a q3d x3")
    lung = [dict(entry[1])["msc_lung"] for entry in story(patient)]
    assert all(a > b for a, b in pairwise(lung[1:71]))
    assert lung[72] > lung[71]


@pytest.mark.parametrize(
    ("dose", "match"),
    [
        (Dose(1, "msc_a", 0.0, 1e6, "cells/kg", 0.5), "cells/kg"),
        (Dose(1, "aspirin", 0.0, 100.0, "mg", 0.0), "aspirin"),
    ],
)
def test_only_absolute_doses_of_its_drugs_enter_a_body(dose, match):
    with pytest.raises(SimulatorError, match=match):
        host(dose)


def test_doses_stand_in_order():
    with pytest.raises(SimulatorError, match="order of time"):
        host(Dose(1, "msc_a", 5.0, 1.0, "cells", 0.5), Dose(2, "anti_pd1", 0.0, 1.0, "mg", 0.5))


def test_lesions_are_parts_of_the_tumor():
    host(lesions=[80.0 / 3] * 3)
    with pytest.raises(InputError, match="90 mL.*only 80 mL"):
        host(lesions=[50.0, 40.0])
