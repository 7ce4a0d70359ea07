"""Adverse events: the stated DLT rates, calibrated links, dice that arms share, and who can be judged."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from simulator.base.errors import InputError
from simulator.clinic import crs, protocol
from simulator.clinic.dice import Dice
from simulator.clinic.dlt import DltRule, assess, plan, risk
from simulator.clinic.toxicity import AdverseEvent, Background, Cause, Cycle, Timing, adverse_events, until

PROTOCOL = protocol.load(Path(__file__).parents[1] / "configs/protocols/nct06446050.yaml")
TOXICITY, RULE = PROTOCOL.toxicity, PROTOCOL.dlt
DOSES = (1e6, 2e6, 3e6)


def with_misattribution(chance):
    background = TOXICITY.background.model_copy(update={"misattributed": chance})
    return TOXICITY.model_copy(update={"background": background})


def cycles(dose, doses=6, toxicity=TOXICITY, **peaks):
    """Six cycles of 21 days; `peaks` of curves in every cycle with a dose."""
    planned = plan(dose, doses, 21.0, PROTOCOL.treatment.follow_up, 0.85, toxicity)
    return tuple(c._replace(peaks={**c.peaks, **peaks}) if c.dose else c for c in planned)


def event(grade=3, onset=10.0, related=True, term="Pneumonitis"):
    return AdverseEvent(term, "lung", "CTCAE 5.0", grade, onset, onset + 5, 1, related, related)


# --- rates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misattributed", "percent"), [(0.10, (4.2, 5.3, 6.4)), (1.0, (30.8, 31.7, 32.5)), (0.0, (1.2, 2.4, 3.5))]
)
def test_dlt_rates_over_six_doses_are_the_stated_ones(misattributed, percent):
    toxicity = with_misattribution(misattributed)
    found = [100 * risk(toxicity, cycles(dose, toxicity=toxicity), RULE) for dose in DOSES]
    assert found == pytest.approx(percent, abs=0.06)


def test_sampled_patients_have_the_exact_dlt_rates():
    """Both at the end of the window and when the escalation decides, where few events are in."""
    toxicity = with_misattribution(1.0)
    planned = cycles(3e6, toxicity=toxicity)
    n = 1500
    late = early = 0
    for patient in range(n):
        events = adverse_events(toxicity, planned, Dice(11, patient))
        late += assess(events, 0.0, 999.0, RULE).dlt is not None
        early += assess(events, 0.0, RULE.decide_after, RULE).dlt is not None
    for count, within in ((late, None), (early, RULE.decide_after)):
        p = risk(toxicity, planned, RULE, within)
        assert abs(count / n - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_background_events_have_their_stated_chance():
    background = TOXICITY.background
    assert background.within(background.over) == pytest.approx(0.30)
    n, hits, grades = 2000, 0, []
    for patient in range(n):
        events = adverse_events(TOXICITY, cycles(0.0, 0), Dice(5, patient))
        mine = [e for e in events if e.cause == "background" and e.onset <= background.over]
        hits += bool(mine)
        grades += [e.grade for e in mine]
        assert len({e.related for e in mine}) <= 1  # judged once a patient
    assert abs(hits / n - 0.30) < 4 * math.sqrt(0.21 / n)
    assert [np.mean(np.array(grades) == g) for g in (3, 4, 5)] == pytest.approx((0.80, 0.16, 0.04), abs=0.07)


def test_fever_has_its_relative_risk():
    n = 700
    counts = [
        sum(
            e.cause == "fever"
            for k in range(n)
            for e in adverse_events(TOXICITY, cycles(dose, doses), Dice(2, k))
        )
        for dose, doses in ((0.0, 0), (1e6, 9))
    ]
    cycles_of_all = n * len(cycles(1e6))
    assert counts[0] / cycles_of_all == pytest.approx(0.04, abs=0.01)
    assert counts[1] / counts[0] == pytest.approx(2.5, abs=0.45)


def test_the_lung_is_hit_through_the_cells_that_it_traps():
    lung = TOXICITY.causes["lung"]
    assert lung.chance(0.85e6, 3) == pytest.approx(0.0005, rel=1e-3)
    (cycle, *_) = cycles(1e6)
    assert cycle.peaks["msc_lung"] == pytest.approx(0.85e6)


# --- dice --------------------------------------------------------------------------------------------------


def worst(events):
    found = {}
    for e in events:
        key = e.cause, e.cycle
        found[key] = max(found.get(key, 0), e.grade)
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 500), st.floats(1e5, 1e8), st.floats(1.0, 5.0))
def test_at_equal_dice_more_exposure_never_gives_a_lower_grade(patient, dose, factor):
    low, high = (
        worst(adverse_events(TOXICITY, cycles(d, ifng=d / 1e6), Dice(3, patient)))
        for d in (dose, factor * dose)
    )
    assert all(high.get(key, 0) >= grade for key, grade in low.items())


def test_events_of_one_cycle_do_not_hang_on_the_others():
    for patient in range(200):
        six, one = (adverse_events(TOXICITY, cycles(3e7, n), Dice(1, patient)) for n in (6, 1))
        assert [e for e in six if e.cycle == 1] == [e for e in one if e.cycle == 1]
        background = [[e for e in events if e.cause == "background"] for events in (six, one)]
        assert background[0] == background[1]


def test_every_event_names_its_curve_and_lies_in_time():
    seen = set()
    for patient in range(300):
        events = adverse_events(TOXICITY, cycles(5e7, ifng=40.0), Dice(4, patient))
        assert [e.onset for e in events] == sorted(e.onset for e in events)
        for e in events:
            seen.add((e.cause, e.curve))
            start = (e.cycle - 1) * 21.0
            assert start < e.onset < e.end and 1 <= e.grade <= 5
            assert e.related or not e.caused
            if e.curve:
                assert e.caused and e.value > 0 and e.unit
    assert {("crs", "ifng"), ("lung", "msc_lung"), ("embolism", "dose"), ("background", "")} <= seen


def test_a_curve_that_drives_events_must_be_given():
    with pytest.raises(InputError, match="Cycle 1 has no peak of 'ifng'"):
        adverse_events(TOXICITY, [Cycle(1, 0, 21, 1e6, {"msc_lung": 1e6})], Dice(1, 1))


def test_events_end_with_the_follow_up():
    events = (event(onset=3.0), event(onset=9.0))
    assert until(events, 5.0) == (events[0]._replace(end=5.0),)


# --- CRS ---------------------------------------------------------------------------------------------------

LINK = TOXICITY.crs.links["ifng"]


@pytest.mark.parametrize("sd", [0.0, 1.0, 2.5])
def test_the_link_passes_through_its_points(sd):
    """Over patients, whatever they differ by; slope and thresholds follow from the points."""
    link = LINK.calibrated(sd)
    nodes, weights = crs.normal_quadrature()
    for point in LINK.points:
        peak = float(point.at.removesuffix(" pg/mL"))
        chances = [link.chances(peak, float(b))[point.grade - 1] for b in nodes]
        assert float(weights @ chances) == pytest.approx(point.chance, abs=1e-9)


@given(st.floats(1e-3, 1e5), st.floats(1.0, 100.0), st.floats(-3, 3), st.floats(0.001, 0.999))
def test_higher_peaks_give_higher_grades(peak, factor, effect, uniform):
    link = LINK.calibrated(1.0)
    chances = link.chances(peak, effect)
    assert list(chances) == sorted(chances, reverse=True)
    grades = [crs.grade({"ifng": link}, {"ifng": x}, effect, uniform).grade for x in (peak, factor * peak)]
    assert grades[0] <= grades[1]


def test_without_cytokines_there_is_no_crs_and_the_worst_cytokine_names_it():
    link = LINK.calibrated(0.0)
    assert crs.grade({"ifng": link}, {"ifng": 0.0}, 5.0, 1e-9).grade == 0
    both = {"ifng": link, "il6": link}
    assert crs.grade(both, {"ifng": 10.0, "il6": 100.0}, 0.0, 0.3)[1:] == ("il6", 100.0)


def test_crs_is_part_of_the_exact_dlt_rate():
    planned = cycles(1e6, ifng=30.0)
    n, hits = 1000, 0
    for patient in range(n):
        events = adverse_events(TOXICITY, planned, Dice(8, patient))
        hits += assess(events, 0.0, 999.0, RULE).dlt is not None
    p = risk(TOXICITY, planned, RULE)
    assert p > 0.3
    assert abs(hits / n - p) < 4 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([(1, 75, 0.9), (2, 75, 0.5)], "a second at another peak"),
        ([(1, 75, 0.9), (1, 7.5, 0.95)], "falls as the peak rises"),
        ([(2, 75, 0.9), (2, 7.5, 0.1)], "grades 2, 2"),
        ([(1, 75, 0.5), (1, 7.5, 0.1), (2, 75, 0.6)], "as likely as a lower one"),
        ([(1, 75, 0.5), (1, 0, 0.1)], "A peak of 0"),
    ],
)
def test_points_that_fix_no_link_are_refused(points, says):
    rows = tuple(crs.Point(grade=g, at=f"{at} pg/mL", chance=c) for g, at, c in points)
    with pytest.raises(InputError, match=says):
        crs.Crs(links={"ifng": crs.Link(unit="pg/mL", points=rows)}, effect_sd=1.0)


# --- DLT ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "seen_to", "dlt", "evaluable", "weight"),
    [
        ((event(),), 200, True, True, 1.0),
        ((event(),), 12, True, True, 1.0),  # a DLT counts, however short the follow-up
        ((event(),), 9, False, False, 9 / 120),  # not yet seen
        ((event(grade=2),), 200, False, True, 1.0),
        ((event(related=False),), 200, False, True, 1.0),
        ((event(onset=119.9),), 200, True, True, 1.0),
        ((event(onset=120.1),), 200, False, True, 1.0),  # after the window
        ((), 20.9, False, False, 20.9 / 120),
        ((), 21, False, True, 21 / 120),
        ((), 60, False, True, 0.5),
    ],
)
def test_who_has_a_dlt_and_who_can_be_judged(events, seen_to, dlt, evaluable, weight):
    rule = DltRule(window="120 d", decide_after="21 d")
    found = assess(events, 0.0, seen_to, rule)
    assert (found.dlt is not None, found.evaluable) == (dlt, evaluable)
    assert found.weight == pytest.approx(weight)
    assert found.reason


def test_the_window_counts_from_the_first_dose():
    rule = DltRule(window="120 d", decide_after="21 d")
    assert assess((event(onset=125.0),), 10.0, 300.0, rule).dlt is not None
    assert assess((event(onset=5.0),), 10.0, 300.0, rule).dlt is None
    assert assess((event(),), None, 300.0, rule) == (None, False, 0.0, "no dose was given")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DltRule(window="20 d", decide_after="21 d"), "later than the DLT window"),
        (lambda: DltRule(window=20, decide_after="21 d"), "has no unit"),
        (lambda: DltRule(window="4 mo", decide_after="21 d", grade=2), "grade"),
        (lambda: TOXICITY.causes["lung"].__class__(**{**CAUSE, "grades": (1, 1, 1, 1, 1)}), "add up to 3"),
        (lambda: Cause(**{**CAUSE, "grades": (1, 1)}), "2 numbers for grades"),
        (lambda: Cause(**{**CAUSE, "per": "0 cells/kg"}), "positive peak"),
        (lambda: Cause(**{**CAUSE, "per": "1 mg/kg"}), "cells per kg"),
        (lambda: Background(**{**BACKGROUND, "grades": (0.5, 0.1, 0.1)}), "add up to 1"),
    ],
)
def test_impossible_settings_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


TIMING = Timing(median="1 d", log_sd=0.5)
CAUSE = {
    "term": "x", "driver": "dose", "unit": "cells/kg", "risk": 0.1, "per": "1e6 cells/kg",
    "grades": (0, 0, 1, 0, 0), "onset": TIMING, "lasts": TIMING,
}  # fmt: skip
BACKGROUND = {
    "term": "x", "chance": 0.3, "over": "4 mo", "misattributed": 0.1, "grades": (1, 0, 0), "lasts": TIMING,
}  # fmt: skip
