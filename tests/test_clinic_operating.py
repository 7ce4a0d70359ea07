"""Operating characteristics: closed formulas, a brute-force twin, and simulation against enumeration."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from simulator.base.errors import InputError
from simulator.clinic import escalation, operating
from simulator.clinic.designs.boin import Boin
from simulator.clinic.designs.boin12 import Boin12
from simulator.clinic.designs.crm import Crm
from simulator.clinic.designs.history import NO_DOSE, STOP, Cohort
from simulator.clinic.designs.three_plus_three import ThreePlusThree
from simulator.clinic.expansion import Monitor, expansion
from simulator.clinic.operating import enumerate_paths, simulate

MODEL_RATES = (0.0416, 0.0530, 0.0643)  # of the default toxicity model
rates = st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).map(lambda found: tuple(sorted(found)))


def three_plus_three(variant):
    return enumerate_paths(ThreePlusThree(levels=3, variant=variant))


@pytest.fixture(scope="module")
def boin():
    return enumerate_paths(Boin(levels=3, target=0.35))


@given(rates)
def test_three_plus_three_without_deescalation_has_its_closed_form(p):
    """Pr(MTD = i) = ∏_{j≤i} Q_j · (1 − Q_{i+1}), Q_j the chance to pass level j (Storer 1989)."""
    found = NO_DEESCALATION.characteristics(p)
    q = 1 - np.array(p)
    passes = q**3 + 3 * np.array(p) * q**2 * q**3
    reach = np.concatenate([[1.0], np.cumprod(passes)])
    fails = np.append(1 - passes, 1.0)
    assert (found.none, *found.selected) == pytest.approx(tuple(reach * fails), abs=1e-12)
    assert found.stopped == found.none
    patients = reach[:3] * (3 + 3 * 3 * np.array(p) * q**2)
    assert found.patients == pytest.approx(tuple(patients), abs=1e-12)
    assert found.dlts == pytest.approx(tuple(patients * p), abs=1e-12)


@given(rates)
def test_three_plus_three_with_deescalation_has_its_closed_form(p):
    """Lin & Shih 2001, doi:10.1093/biostatistics/2.2.203, for A = B = 3."""
    found = DEESCALATION.characteristics(p)
    q = 1 - np.array(p)
    clean, six = q**3, 3 * np.array(p) * q**2 * q**3  # passes with 3 patients, with 6
    confirms = q**3 + 3 * np.array(p) * q**2  # at most one DLT in three more
    fails = 1 - clean - six
    reach = np.concatenate([[1.0], np.cumprod(clean + six)])
    down = [
        sum(
            np.prod([clean[j] * (1 - confirms[j]) for j in range(i + 1, k)]) * fails[k]
            for k in range(i + 1, 3)
        )
        for i in range(3)
    ]
    chosen = [reach[i] * (six[i] + clean[i] * confirms[i]) * down[i] for i in range(3)]
    chosen[2] += reach[3]
    assert found.selected == pytest.approx(tuple(chosen), abs=1e-12)
    assert found.none == pytest.approx(1 - sum(chosen), abs=1e-12)


NO_DEESCALATION, DEESCALATION = three_plus_three("no_deescalation"), three_plus_three("deescalation")


def brute_force(design, p, r=None):
    """Every sequence of outcomes, one by one, from histories alone: the obvious twin."""
    selected, patients = np.zeros(design.levels + 1), np.zeros(design.levels)

    def follow(history, chance):
        decision = design.decide(history)
        if decision.level == NO_DOSE:
            chosen = NO_DOSE if decision.action == STOP else design.choose(history).level
            selected[chosen] += chance
            for cohort in history:
                patients[cohort.level - 1] += chance * cohort.patients
            return
        i, n = decision.level - 1, design.cohort_size
        for dlts, responses in product(range(n + 1), range(n + 1) if r else (0,)):
            more = comb(n, dlts) * p[i] ** dlts * (1 - p[i]) ** (n - dlts)
            if r:
                more *= comb(n, responses) * r[i] ** responses * (1 - r[i]) ** (n - responses)
            follow([*history, Cohort(decision.level, n, dlts, responses)], chance * more)

    follow([], 1.0)
    return selected, patients


@pytest.mark.parametrize(
    ("design", "responses"),
    [
        (ThreePlusThree(levels=2, variant="deescalation_top"), None),
        (Boin(levels=3, target=0.3, patients=12), None),
        (Crm(levels=3, target=0.3, patients=12), None),
        (Boin12(levels=2, patients=6), (0.2, 0.5)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_enumeration_agrees_with_brute_force(design, responses):
    p = (0.1, 0.3, 0.5)[: design.levels]
    found = enumerate_paths(design).characteristics(p, responses)
    selected, patients = brute_force(design, p, responses)
    assert (found.none, *found.selected) == pytest.approx(tuple(selected), abs=1e-12)
    assert found.patients == pytest.approx(tuple(patients), abs=1e-10)


@settings(deadline=None)
@given(rates)
def test_every_trial_ends_once_and_is_no_longer_than_planned(boin, p):
    found = boin.characteristics(p)
    assert sum(found.selected) + found.none == pytest.approx(1.0, abs=1e-9)
    assert sum(found.patients) <= 30 + 1e-9
    assert found.dlts == pytest.approx(tuple(np.multiply(found.patients, p)), abs=1e-9)  # Wald
    assert found.errors == (0.0, 0.0, 0.0)


def test_certain_outcomes_end_as_they_must(boin):
    assert boin.characteristics((0.0, 0.0, 0.0)).selected == (0.0, 0.0, 1.0)
    toxic = boin.characteristics((1.0, 1.0, 1.0))
    assert (toxic.none, toxic.stopped, toxic.patients) == (1.0, 1.0, (3.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "design", [Boin(levels=3, target=0.35), Crm(levels=3, target=0.35)], ids=("boin", "crm")
)
def test_where_dlts_are_rare_a_target_of_35_percent_selects_the_top_dose(design):
    paths = enumerate_paths(design)
    assert paths.characteristics((0.12, 0.12, 0.12)).selected[-1] >= 0.97
    assert paths.characteristics(MODEL_RATES).selected[-1] > 0.99
    words = escalation.top_level_words(paths)
    assert "cannot tell the levels apart" in words and "activity and futility first" in words


def test_simulation_agrees_with_enumeration_within_its_error(boin):
    p = (0.15, 0.30, 0.45)
    exact, found = boin.characteristics(p), simulate(boin.design, p, trials=800, seed=3)
    assert found.trials == 800
    for a, b, error in zip(exact.selected, found.selected, found.errors, strict=True):
        assert error == pytest.approx(np.sqrt(b * (1 - b) / 800))
        assert abs(a - b) < 4 * max(error, 0.003)
    assert found.patients == pytest.approx(exact.patients, abs=0.8)


def test_simulated_trials_meet_the_same_patients_whatever_the_scenario():
    design = Boin(levels=3, target=0.35, patients=9)
    first = simulate(design, (0.1, 0.2, 0.3), trials=60, seed=1)
    assert first == simulate(design, (0.1, 0.2, 0.3), trials=60, seed=1)
    assert first.dlts[0] <= simulate(design, (0.4, 0.4, 0.4), trials=60, seed=1).dlts[0]
    assert first != simulate(design, (0.1, 0.2, 0.3), trials=60, seed=2)


def test_boin12_is_simulated_where_it_cannot_be_enumerated(monkeypatch):
    design = Boin12(levels=3, patients=18)
    monkeypatch.setattr(operating, "MOST_STATES", 1000)
    with pytest.raises(InputError, match="more than 1,000 states"):
        enumerate_paths(design)
    found = simulate(design, MODEL_RATES, (0.1, 0.3, 0.5), trials=200, seed=1)
    assert found.selected[2] == max(found.selected)
    assert all(error > 0 for error in found.errors)


def test_a_table_has_a_row_a_level_and_one_for_no_dose(boin):
    rows = boin.characteristics(MODEL_RATES).rows()
    assert [row["level"] for row in rows] == [1, 2, 3, "none"]
    assert sum(row["selected"] for row in rows) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("given_rates", "responses", "says"),
    [
        ((0.1, 0.2), None, "2 DLT rates for 3"),
        ((0.1, 0.2, 1.3), None, "1.3"),
        ((0.1, 0.2, -0.1), None, "-0.1"),
    ],
)
def test_impossible_rates_are_refused(boin, given_rates, responses, says):
    with pytest.raises(InputError, match=says):
        boin.characteristics(given_rates, responses)


def test_boin12_needs_rates_of_response():
    with pytest.raises(InputError, match="response rates"):
        simulate(Boin12(levels=2, patients=3), (0.1, 0.2), trials=1)
    with pytest.raises(InputError, match="0 trials"):
        simulate(Boin(levels=2, target=0.3), (0.1, 0.2), trials=0)


# --- expansion ----------------------------------------------------------------


def test_stopping_bounds_are_the_published_elimination_bounds():
    """From a uniform prior they are those of BOIN, target 0.3 (Liu & Yuan 2015)."""
    bounds = Monitor(limit=0.3).bounds(30)
    assert bounds[2::3] == (3, 4, 5, 7, 8, 9, 10, 11, 12, 14)
    assert bounds[:2] == (None, None)  # no look before three patients


@settings(max_examples=30)
@given(st.floats(0.01, 0.99), st.integers(0, 3))
def test_an_expansion_behaves_as_its_paths_do(risk, before):
    monitor = Monitor(limit=0.3, confidence=0.9)
    stops = patients = dlts = 0.0
    for path in product((0, 1), repeat=6):
        chance, y = 1.0, min(before, 1)
        for k, dlt in enumerate(path, start=1):
            chance *= risk if dlt else 1 - risk
            y += dlt
            if monitor.stops(y, before + k):
                chance *= 2.0 ** (k - 6)  # as many paths share this beginning
                stops += chance
                break
        patients += chance * k
        dlts += chance * (y - min(before, 1))
    found = expansion(monitor, risk, 6, (before, min(before, 1)))
    assert found == pytest.approx((stops, patients, dlts), abs=1e-12)


def test_an_expansion_stops_the_more_the_higher_the_risk():
    monitor = Monitor(limit=0.35)
    courses = [expansion(monitor, risk, 20) for risk in (0.05, 0.35, 0.6, 0.9)]
    assert [c.stops for c in courses] == sorted(c.stops for c in courses)
    assert courses[0].patients > 19.9 and courses[-1].patients < 4
    with pytest.raises(InputError, match="prior"):
        Monitor(limit=0.35, prior=(0.0, 1.0))
