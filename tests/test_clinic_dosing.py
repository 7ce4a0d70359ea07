"""What becomes of planned doses: each rule, the order of rules, and plans without trouble as they are."""

import math

import pytest
from hypothesis import given, settings, strategies as st

from simulator.base.errors import InputError
from simulator.body.course import Dose
from simulator.body.regimen import Regimen
from simulator.clinic.dice import Dice
from simulator.clinic.dosing import (
    DELAYED,
    GIVEN,
    HELD,
    MISSED,
    REDUCED,
    STOPPED,
    Findings,
    Hold,
    Override,
    Rules,
    doses,
    realize,
    relative_dose_intensity,
    table,
)

HOLD = Hold(anc_below="1000 cells/uL", recheck="7 d", at_most="14 d")
SETTINGS = {
    "window": "3 d", "missed": 0.0, "hold": HOLD, "reduce_after": "7 d", "reduce_to": 0.75,
}  # fmt: skip
PUNCTUAL = Rules(**{**SETTINGS, "window": "0 d"})
PLAN = tuple(Dose(k + 1, "msc", 24.0 * 21 * k, 2e6, "cells/kg", 0.5) for k in range(6))


def findings(anc=lambda day: 4000.0, weight=70.0, **stops):
    return Findings(anc, stops, lambda day: weight)


def given_doses(rules=PUNCTUAL, found=None, patient=1, overrides=None, plan=PLAN):
    return realize(plan, rules, found or findings(), Dice(1, patient), overrides)


def test_without_trouble_the_plan_is_given():
    given_ = given_doses()
    assert [(g.status, g.day, g.given, g.reason) for g in given_] == [
        (GIVEN, 21.0 * k, 2e6, "") for k in range(6)
    ]
    assert doses(given_) == PLAN
    assert Regimen(doses(given_)).total("msc") == {"cells/kg": 12e6}
    assert relative_dose_intensity(given_, 21) == pytest.approx(1.0)


def test_neutrophils_at_the_bound_are_enough_and_below_it_hold():
    assert given_doses(found=findings(lambda day: 1000.0))[0].status == GIVEN
    assert given_doses(found=findings(lambda day: None))[0].status == GIVEN  # nobody measured
    low = given_doses(found=findings(lambda day: 999.0))
    assert {g.status for g in low} == {HELD}
    assert "neutrophils below 1000 /uL for 14 d" in low[0].reason
    assert doses(low) == () and relative_dose_intensity(low, 21) == 0.0


def test_a_dose_waits_for_neutrophils_and_a_long_wait_reduces_it():
    recovers = {0.0: 500.0, 7.0: 1200.0, 21.0: 500.0, 28.0: 500.0, 35.0: 1200.0}
    first, second, third, *_ = given_doses(found=findings(lambda day: recovers.get(day, 4000.0)))
    assert (first.status, first.day, first.given) == (DELAYED, 7.0, 2e6)
    assert "held 7 d" in first.reason
    assert (second.status, second.planned_day, second.day) == (DELAYED, 21.0, 35.0)
    assert second.reason.startswith("moved on by the dose before; held 7 d")
    assert (third.planned_day, third.day) == (42.0, 56.0)


def test_a_hold_beyond_the_limit_reduces_the_dose():
    first = given_doses(found=findings(lambda day: 500.0 if day < 14 else 4000.0))[0]
    assert (first.status, first.day, first.given) == (REDUCED, 14.0, 1.5e6)
    assert "held 14 d" in first.reason and "reduced to 75 %" in first.reason


def test_a_dose_put_off_moves_the_next_only_as_far_as_it_must():
    late = given_doses(found=findings(lambda day: 500.0 if day < 7 else 4000.0))
    days = [g.day for g in late]
    assert days == [7.0, 28.0, 49.0, 70.0, 91.0, 112.0]
    moved = given_doses(Rules(**SETTINGS), overrides={1: Override("traveled", day=10.0)})
    assert [g.day for g in moved[:3]] == [10.0, 28.0, 46.0]  # as close as the window allows
    assert abs(moved[5].day - 105.0) <= 3.0  # back on the calendar


@pytest.mark.parametrize("stop", ["progression", "dlt", "death", "withdrawal"])
def test_treatment_stops(stop):
    given_ = given_doses(found=findings(**{stop: 42.0}))
    assert [g.status for g in given_] == [GIVEN, GIVEN, *[STOPPED] * 4]
    assert "on day 42" in given_[2].reason and math.isnan(given_[2].day) and given_[2].given == 0.0
    assert relative_dose_intensity(given_, 21) == pytest.approx(2 / 6)


def test_the_worst_reason_is_named_and_only_those_that_stop():
    given_ = given_doses(found=findings(progression=42.0, death=42.0))
    assert given_[2].reason.startswith("death")
    beyond = Rules(**{**SETTINGS, "window": "0 d", "stops": ("death", "dlt")})
    assert [g.status for g in given_doses(beyond, findings(progression=10.0))] == [GIVEN] * 6


def test_a_patient_who_stops_while_held_gets_no_dose():
    found = findings(lambda day: 500.0 if day < 7 else 4000.0, progression=5.0)
    assert given_doses(found=found)[0].status == STOPPED


def test_missed_visits_have_their_chance_and_their_reason():
    rules = Rules(**{**SETTINGS, "missed": 0.3})
    statuses = [g.status for patient in range(300) for g in given_doses(rules, patient=patient)]
    assert statuses.count(MISSED) / len(statuses) == pytest.approx(0.3, abs=0.04)
    missed = next(g for k in range(30) for g in given_doses(rules, patient=k) if g.status == MISSED)
    assert missed.reason == "visit missed"


@settings(max_examples=80)
@given(st.integers(0, 10_000))
def test_visits_keep_to_their_window_their_order_and_their_distance(patient):
    given_ = given_doses(Rules(**SETTINGS), patient=patient)
    days = [g.day for g in given_]
    assert all(abs(day - 21.0 * k) <= 3.0 and day >= 0.0 for k, day in enumerate(days))
    assert all(b - a >= 18.0 for a, b in zip(days, days[1:], strict=False))
    assert all(day == int(day) for day in days)


def test_visits_use_their_whole_window():
    shifts = {g.day - g.planned_day for k in range(60) for g in given_doses(Rules(**SETTINGS), patient=k)[1:]}
    assert shifts == {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}


def test_arms_of_one_patient_share_their_visits():
    rules = Rules(**{**SETTINGS, "missed": 0.2})
    high = tuple(dose._replace(amount=3e6) for dose in PLAN)
    for patient in range(20):
        one, other = (given_doses(rules, patient=patient, plan=plan) for plan in (PLAN, high))
        assert [(g.status, g.planned_day) for g in one] == [(g.status, g.planned_day) for g in other]
        assert [g.day for g in one] == pytest.approx([g.day for g in other], nan_ok=True)


def test_drugs_given_on_one_day_share_the_visit_and_keep_their_own_distance():
    other = tuple(Dose(k + 7, "antibody", 24.0 * 42 * k, 400.0, "mg", 0.5) for k in range(3))
    rules = Rules(**{**SETTINGS, "missed": 0.2})
    for patient in range(20):
        given_ = given_doses(rules, patient=patient, plan=(*PLAN, *other))
        for one in given_[6:]:
            (same,) = [g for g in given_[:6] if g.planned_day == one.planned_day]
            assert (one.status == MISSED) == (same.status == MISSED)
            assert one.day == pytest.approx(same.day, nan_ok=True) or "moved on" in same.reason + one.reason


def test_a_heavy_patient_is_dosed_at_the_cap():
    capped = Rules(**{**SETTINGS, "window": "0 d", "weight_cap": "100 kg"})
    heavy = given_doses(capped, findings(weight=125.0))[0]
    assert heavy.given == pytest.approx(1.6e6) and heavy.given * 125 == pytest.approx(2e6 * 100)
    assert heavy.reason == "dosed as 100 kg" and heavy.status == GIVEN
    assert given_doses(capped, findings(weight=100.0))[0].given == 2e6
    flat = tuple(dose._replace(unit="cells", amount=1e8) for dose in PLAN)
    assert given_doses(capped, findings(weight=125.0), plan=flat)[0].given == 1e8


def test_a_patients_own_record_overrides_the_rules():
    orders = {1: Override("half, by choice", amount=1e6), 2: Override("no cells that day", amount=0.0),
              3: Override("holiday", day=50.0)}  # fmt: skip
    given_ = given_doses(found=findings(lambda day: 100.0), overrides=orders)
    assert (given_[0].status, given_[0].given, given_[0].reason) == (REDUCED, 1e6, "half, by choice")
    assert (given_[1].status, given_[1].given, given_[1].reason) == (HELD, 0.0, "no cells that day")
    assert (given_[2].status, given_[2].day) == (GIVEN, 50.0)
    assert given_[3].status == HELD  # the others follow the rules


def test_dose_intensity_falls_with_delay_reduction_and_omission():
    full = given_doses()
    assert relative_dose_intensity(full[:1], 21) == 1.0
    half = tuple(g._replace(given=0.5 * g.given) for g in full)
    assert relative_dose_intensity(half, 21) == pytest.approx(0.5)
    stretched = tuple(g._replace(day=28.0 * k) for k, g in enumerate(full))
    assert relative_dose_intensity(stretched, 21) == pytest.approx(126 / 161)
    assert math.isnan(relative_dose_intensity((), 21))


def test_the_exposure_listing_has_a_row_a_planned_dose():
    rows = table(7, given_doses(found=findings(progression=42.0)))
    assert [row["patient"] for row in rows] == [7] * 6
    assert {"planned_day", "day", "planned", "given", "unit", "status", "reason"} < set(rows[0])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: given_doses(Rules(**{**SETTINGS, "window": "11 d"})), "change places"),
        (lambda: Rules(**{**SETTINGS, "window": 3}), "has no unit"),
        (lambda: Rules(**{**SETTINGS, "missed": 1.2}), "missed"),
        (lambda: Rules(**{**SETTINGS, "reduce_to": 0.0}), "reduce_to"),
        (lambda: Rules(**{**SETTINGS, "stops": ("death", "boredom")}), "'boredom' stops no treatment"),
        (lambda: Rules(**{**SETTINGS, "stops": ("dlt",)}), "Death does not stop"),
        (lambda: given_doses(overrides={9: Override("x")}), "An override is for dose 9; the plan has 6"),
        (lambda: given_doses(overrides={1: Override("x", amount=-1.0)}), "overridden by -1"),
        (lambda: given_doses(overrides={1: Override("x", day=-1.0)}), "moved to day -1"),
    ],
)
def test_impossible_rules_and_orders_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
