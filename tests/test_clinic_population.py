"""Virtual patients and who is let in: inclusive bounds, missing values, margins, a person who stays one."""

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.base.errors import InputError
from simulator.clinic import protocol
from simulator.clinic.dice import Dice
from simulator.clinic.eligibility import Criterion, Kind, rules, screen
from simulator.clinic.margins import Correlations, Variable, category
from simulator.clinic.population import Lesion, Population, phenotype

PROTOCOL = protocol.load(Path(__file__).parents[1] / "configs/protocols/nct06446050.yaml")
POPULATION, RULES = PROTOCOL.population, PROTOCOL.rules
CANDIDATES = 900

# A candidate who meets every criterion exactly at its bound, in the units of the protocol's population.
AT_THE_BOUND = {
    "age": 18.0, "confirmed_cancer": True, "stage": "locally_advanced", "measurable_lesions": 1.0,
    "prior_treatment": "refused", "lymphocytes": 800.0, "neutrophils": 1500.0, "platelets": 75000.0,
    "hemoglobin": 9.0, "alt": 3.0, "ast": 3.0, "creatinine": 1.5, "aptt": 1.5, "pt": 1.5, "inr": 1.5,
    "ecog": 2.0, "contraception": True, "recent_cell_therapy": False, "consent": True,
}  # fmt: skip
JUST_BEYOND = {
    "age": 17.99, "confirmed_cancer": False, "stage": "early", "measurable_lesions": 0.0,
    "prior_treatment": "none", "lymphocytes": 799.0, "neutrophils": 1499.0, "platelets": 74999.0,
    "hemoglobin": 8.99, "alt": 3.01, "ast": 3.01, "creatinine": 1.51, "aptt": 1.51, "pt": 1.51, "inr": 1.51,
    "ecog": 3.0, "contraception": False, "recent_cell_therapy": True, "consent": False,
}  # fmt: skip


# --- eligibility -------------------------------------------------------------------------------------------


def test_the_protocol_has_nineteen_criteria_each_about_a_value_of_its_own():
    assert len(RULES) == 19 == len({rule.name for rule in RULES}) == len({rule.value for rule in RULES})
    assert {rule.value for rule in RULES} == set(AT_THE_BOUND)


def test_bounds_are_inclusive():
    assert screen(AT_THE_BOUND, RULES) == ()
    assert screen({**AT_THE_BOUND, "ecog": 0.0}, RULES) == ()


@pytest.mark.parametrize("value", AT_THE_BOUND)
def test_just_beyond_a_bound_fails_that_criterion_alone(value):
    (failure,) = screen({**AT_THE_BOUND, value: JUST_BEYOND[value]}, RULES)
    assert failure.value == JUST_BEYOND[value]
    assert "not known" not in failure.reason and value.split("_")[0] in failure.reason


@pytest.mark.parametrize("value", AT_THE_BOUND)
def test_a_missing_value_fails_with_its_own_reason(value):
    others = {k: v for k, v in AT_THE_BOUND.items() if k != value}
    for candidate in (others, {**others, value: None}, {**others, value: math.nan}):
        (failure,) = screen(candidate, RULES)
        assert failure.value is None and failure.reason.endswith("not known")


def test_every_failed_criterion_is_kept():
    assert len(screen(JUST_BEYOND, RULES)) == 19
    assert len(screen({}, RULES)) == 19


def test_reasons_say_the_value_and_the_bound():
    failures = {f.criterion: f.reason for f in screen(JUST_BEYOND, RULES)}
    assert failures["lymphocytes"] == "lymphocytes 799 cells/uL, below 800 cells/uL"
    assert failures["alt"] == "alt 3.01, above 3"
    assert failures["prior_treatment"] == "prior treatment: none, not progressed or intolerant or refused"
    assert failures["consent"] == "consent: no"


@given(st.floats(0.1, 5000.0), st.floats(0.1, 5000.0))
def test_a_bound_in_another_unit_is_the_same_bound(value, bound):
    kinds = {"neutrophils": Kind("cells/uL")}
    one = rules({"x": Criterion(value="neutrophils", at_least=f"{bound!r} cells/uL")}, kinds)
    other = rules({"x": Criterion(value="neutrophils", at_least=f"{bound * 1e6!r} cells/L")}, kinds)
    assert bool(screen({"neutrophils": value}, one)) == (value < bound)
    assert other[0].bounds[0][1] == pytest.approx(one[0].bounds[0][1])


@pytest.mark.parametrize(
    ("criterion", "says"),
    [
        ({"value": "lymphocites", "at_least": "1 cells/uL"}, "Did you mean 'lymphocytes'"),
        ({"value": "lymphocytes", "at_least": 800}, "has no unit"),
        ({"value": "lymphocytes", "at_least": "9 g/dL"}, "cells per volume"),
        ({"value": "lymphocytes"}, "tests nothing"),
        ({"value": "lymphocytes", "at_least": "1 cells/uL", "equals": True}, "Write two criteria"),
        ({"value": "lymphocytes", "at_least": "2 cells/uL", "at_most": "1 cells/uL"}, "can never be met"),
        ({"value": "stage", "at_least": 1}, "Use one_of"),
        ({"value": "stage", "equals": True}, "Use one_of"),
        ({"value": "stage", "one_of": ("earli",)}, "Did you mean 'early'"),
        ({"value": "lymphocytes", "equals": True}, "Use at_least or at_most"),
    ],
)
def test_criteria_that_say_nothing_are_refused(criterion, says):
    with pytest.raises(InputError, match=says):
        rules(
            {"x": Criterion(**criterion)},
            {"lymphocytes": Kind("cells/uL"), "stage": Kind(options=("early",))},
        )


# --- margins -----------------------------------------------------------------------------------------------


@given(st.floats(0.001, 0.999))
def test_quantiles_are_those_of_the_distribution(q):
    z = NormalDist().inv_cdf(q)
    lognormal = Variable(unit="d", median="50 d", log_sd=0.6)
    assert lognormal.value(q, {}) == pytest.approx(50 * math.exp(0.6 * z))
    assert Variable(mean=11.9, sd=1.6).value(q, {}) == pytest.approx(11.9 + 1.6 * z)
    cut = Variable(mean=11.9, sd=1.6, low=9, high=13).value(q, {})
    inside = NormalDist(11.9, 1.6)
    assert (inside.cdf(cut) - inside.cdf(9)) / (inside.cdf(13) - inside.cdf(9)) == pytest.approx(q, abs=1e-9)
    assert Variable(share=0.3).value(q, {}) is (q < 0.3)
    assert Variable(shares={"0": 0.5, "1": 0.5}).value(q, {}) == (0.0 if q < 0.5 else 1.0)
    assert Variable(shares={"a": 0.5, "b": 0.5}).value(q, {}) == ("a" if q < 0.5 else "b")


def test_other_centers_hold_where_a_share_is_true():
    variable = Variable(median=0.0135, log_sd=1.15, where={"msi_high": {"median": 0.041}})
    assert variable.value(0.5, {"msi_high": True}) == pytest.approx(0.041)
    assert variable.value(0.5, {"msi_high": False}) == pytest.approx(0.0135)


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ({}, "needs one of"),
        ({"sd": 1, "log_sd": 1, "mean": 1}, "needs one of"),
        ({"log_sd": 0.5}, "no median"),
        ({"log_sd": 0.5, "median": -1}, "median of a log-normal"),
        ({"sd": 0.5, "mean": "3 d"}, "is a time"),
        ({"sd": -0.5, "mean": 3}, "sd is negative"),
        ({"sd": 0.5, "mean": 3, "low": 4, "high": 4}, "low is not below high"),
        ({"shares": {"a": 0.5, "b": 0.6}}, "add up to 1.1"),
        ({"share": 1.5}, "share"),
    ],
)
def test_impossible_distributions_are_refused(variable, says):
    with pytest.raises(InputError, match=says):
        Variable(**variable)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ({"a b": 0.9, "b c": 0.9, "a c": -0.9}, "contradict"),
        ({"a": 0.5}, "no pair"),
        ({"a a": 0.5}, "no pair"),
        ({"a d": 0.5}, "'d', which is no variable"),
    ],
)
def test_impossible_correlations_are_refused(pairs, says):
    with pytest.raises(InputError, match=says):
        Correlations(pairs=pairs).factor(["a", "b", "c"])


@given(st.floats(0.0, 1.0, exclude_min=True, exclude_max=True))
def test_a_category_is_drawn_in_proportion(uniform):
    assert category({"a": 2.0, "b": 6.0}, uniform) == ("a" if uniform < 0.25 else "b")


# --- virtual patients --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def candidates():
    return [POPULATION.candidate(7, slot, 1) for slot in range(1, CANDIDATES + 1)]


def column(candidates, name):
    return np.array([float(person.values[name]) for person in candidates])


def spearman(a, b):
    ranks = [np.argsort(np.argsort(v)) for v in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def test_margins_are_those_of_the_file(candidates):
    for name, median, log_sd in (
        ("lymphocytes", 1350, 0.42), ("neutrophils", 4200, 0.42),
        ("platelets", 225000, 0.38), ("alt", 0.55, 0.62),
        ("ast", 0.70, 0.62), ("creatinine", 0.72, 0.25), ("inr", 0.90, 0.08), ("aptt", 0.82, 0.11),
        ("doubling_time", 50, 0.6),
    ):  # fmt: skip
        logs = np.log(column(candidates, name))
        assert abs(logs.mean() - math.log(median)) < 4 * log_sd / math.sqrt(CANDIDATES), name
        assert logs.std() == pytest.approx(log_sd, rel=0.08), name
    hemoglobin = column(candidates, "hemoglobin")
    assert abs(hemoglobin.mean() - 11.9) < 4 * 1.6 / math.sqrt(CANDIDATES)
    ecog = column(candidates, "ecog")
    for grade, share in enumerate((0.33, 0.49, 0.14, 0.04)):
        assert abs((ecog == grade).mean() - share) < 4 * math.sqrt(share * (1 - share) / CANDIDATES)
    for name, share in (("msi_high", 0.05), ("liver_metastases", 0.69), ("female", 0.42)):
        assert abs(column(candidates, name).mean() - share) < 4 * math.sqrt(share * (1 - share) / CANDIDATES)
    assert 60 < np.median(column(candidates, "age")) < 64
    assert np.median(column(candidates, "weight")) == pytest.approx(72, abs=2)


def test_correlations_are_those_of_the_file(candidates):
    """Of normal scores: Spearman's ρ_s = (6/π) asin(ρ/2) for continuous margins."""
    for a, b, rho in (("alt", "ast", 0.75), ("neutrophils", "platelets", 0.35), ("inr", "pt", 0.90)):
        expected = 6 / math.pi * math.asin(rho / 2)
        assert spearman(column(candidates, a), column(candidates, b)) == pytest.approx(expected, abs=0.1)
    ecog = column(candidates, "ecog")
    signs = {"hemoglobin": -1, "lymphocytes": -1, "neutrophils": 1}
    for name, sign in signs.items():
        assert 0.1 < sign * spearman(column(candidates, name), ecog) < 0.35
    assert abs(spearman(column(candidates, "alt"), column(candidates, "platelets"))) < 0.1  # not named: none


def sum_of_diameters(lesions):
    """Of at most five measurable lesions, at most two an organ, the largest first."""
    chosen = []
    for lesion in sorted(lesions, key=lambda lesion: -lesion.diameter):
        same = sum(other.organ == lesion.organ for other in chosen)
        if lesion.measurable and same < 2 and len(chosen) < 5:
            chosen.append(lesion)
    return sum(lesion.diameter for lesion in chosen)


def test_lesions_make_up_the_published_burden(candidates):
    eligible = [person for person in candidates if not screen(person.values, RULES)]
    sums = [sum_of_diameters(person.lesions) for person in eligible]
    assert np.median(sums) == pytest.approx(86, abs=7)  # Ahamadi 2017
    for person in candidates:
        assert len(person.lesions) == person.values["lesion_count"]
        organs = [lesion.organ for lesion in person.lesions]
        assert (organs[0] == "liver") == bool(person.values["liver_metastases"]) == ("liver" in organs)
        assert person.values["measurable_lesions"] == sum(lesion.measurable for lesion in person.lesions)
    within = [
        math.log(lesion.doubling_time / person.values["doubling_time"])
        for person in candidates
        for lesion in person.lesions
    ]
    assert np.std(within) == pytest.approx(0.25, rel=0.05)


def test_about_one_in_five_fails_and_lymphocytes_lead(candidates):
    """Published screen failure 15-28 %."""
    failures = [screen(person.values, RULES) for person in candidates]
    assert 0.15 < np.mean([bool(found) for found in failures]) < 0.23
    enrollment = POPULATION.enroll(RULES, 150, seed=7)
    assert enrollment.reasons().most_common(1)[0][0] == "lymphocytes"
    assert 0.1 < enrollment.failed < 0.28


def test_a_nodes_short_axis_counts():
    assert Lesion("lung", 10.0, 50.0).measurable and not Lesion("lung", 9.9, 50.0).measurable
    assert Lesion("node", 15.0, 50.0).measurable and not Lesion("node", 14.9, 50.0).measurable
    assert Lesion("liver", 10.0, 50.0).volume == pytest.approx(math.pi / 6)


@pytest.mark.parametrize(
    ("nest", "stroma", "name"),
    [(100, 430, "inflamed"), (99, 40, "desert"), (5, 49, "desert"), (14, 100, "excluded"), (15, 100, "")],
)
def test_phenotypes_follow_their_order(nest, stroma, name):
    assert phenotype(nest, stroma) == name


# --- a person stays one ------------------------------------------------------------------------------------


def population_of(variables):
    parts = PROTOCOL.population
    return Population(variables, Correlations(), parts.lesions, parts.lots)


def test_a_new_variable_moves_no_other_value():
    variables = {name: v.model_copy(update={"where": {}}) for name, v in POPULATION.variables.items()}
    more = {"new": Variable(share=0.5), **variables}
    one, other = (population_of(v).candidate(3, 11, 2) for v in (variables, more))
    assert {name: other.values[name] for name in one.values} == dict(one.values)
    assert one.lesions == other.lesions and one.lot == other.lot


def test_a_criterion_moves_only_the_slots_it_decides_about():
    fewer = [rule for rule in RULES if rule.name != "lymphocytes"]
    one, other = (POPULATION.enroll(r, 40, seed=5).patients for r in (RULES, fewer))
    moved = [a.number for a, b in zip(one, other, strict=True) if a != b]
    decided = [b.number for b in other if b.values["lymphocytes"] < 800]
    assert moved == decided and 0 < len(moved) < 20


def test_the_first_patients_are_the_same_however_many_are_enrolled():
    assert POPULATION.enroll(RULES, 5, seed=5).patients == POPULATION.enroll(RULES, 9, seed=5).patients[:5]
    assert POPULATION.enroll(RULES, 5, seed=5).patients != POPULATION.enroll(RULES, 5, seed=6).patients


def test_the_log_holds_everybody_who_was_screened():
    enrollment = POPULATION.enroll(RULES, 40, seed=5)
    assert [p.number for p in enrollment.patients] == list(range(1, 41))
    assert [(s.slot, s.attempt) for s in enrollment.log if not s.failures] == [
        (p.number, p.attempt) for p in enrollment.patients
    ]
    assert len(enrollment.log) == sum(p.attempt for p in enrollment.patients)
    rows = enrollment.rows()
    assert sum(row["eligible"] for row in rows) == 40
    assert sum(not row["eligible"] for row in rows) == sum(len(s.failures) for s in enrollment.log)


def test_patients_share_lots_and_lots_share_donors():
    lots = [POPULATION.lot(1, slot) for slot in range(1, 41)]
    assert len(set(lots)) == 8 and len({lot.donor for lot in lots}) == 4
    assert len({lot.potency for lot in lots}) == 4 and len({lot.viability for lot in lots}) == 8
    assert all(0.7 <= lot.viability <= 1.0 for lot in lots)
    logs = np.log([POPULATION.lot(seed, 1).potency for seed in range(400)])
    assert math.sqrt(math.expm1(logs.std() ** 2)) == pytest.approx(0.5, abs=0.08)  # coefficient of variation


def test_an_experiment_is_told_of_its_patient():
    person = POPULATION.candidate(1, 1, 1)
    told = POPULATION.settings(person, "msc")
    assert told["body.weight"] == f"{person.values['weight']!r} kg"
    assert float(told["body.tumor_volume"].removesuffix(" mL")) == pytest.approx(person.tumor_volume)
    assert float(told["drugs.msc.viability"]) == person.lot.viability
    assert float(told["drugs.msc.tumor_fraction"]) == person.values["homing"]
    assert {"tissue.stroma", "cells.cd8.traits.reactive.share"} < set(told)


def test_dice_differ_between_names_counts_and_patients():
    names = [
        *POPULATION.variables,
        *(f"lesion {k} size" for k in range(8)),
        "lung",
        "lung onset",
        "visit missed",
    ]
    dice = Dice(1, 2)
    drawn = [dice(name, count) for name in names for count in range(3)]
    assert len(set(drawn)) == len(drawn)
    assert list(dice.several(names, 2)) == [dice(name, 2) for name in names]
    assert dice("age") != Dice(1, 3)("age") != Dice(2, 3)("age")


def test_a_population_nobody_of_which_is_eligible_is_refused():
    impossible = rules({"old": Criterion(value="age", at_least="200 y")}, POPULATION.kinds)
    with pytest.raises(InputError, match="None of 500 candidates for patient 1 is eligible; they fail old"):
        POPULATION.enroll(impossible, 3, seed=1)


def test_a_population_lacking_what_lesions_are_drawn_from_is_refused():
    variables = {name: v for name, v in POPULATION.variables.items() if name != "lesion_count"}
    with pytest.raises(InputError, match="no variable 'lesion_count'"):
        population_of(variables)
    for name, variable, says in (
        ("lesion_size", Variable(unit="cm", median="2.4 cm", log_sd=0.4), "`unit: mm`"),
        ("doubling_time", Variable(share=0.5), "`unit: d`"),
        ("liver_metastases", Variable(median=1, log_sd=0.4), "true or false"),
    ):
        with pytest.raises(InputError, match=says):
            population_of({**POPULATION.variables, name: variable})
    conditional = {**POPULATION.variables, "x": Variable(share=0.1, where={"age": {"share": 0.2}})}
    with pytest.raises(InputError, match="'age' is true, which is no share"):
        population_of(conditional)
