"""Escalation designs: published decision tables and worked trials, and what every design must never do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import integrate

from simulator.base.errors import InputError
from simulator.clinic import escalation
from simulator.clinic.designs import crm as crm_module, isotonic
from simulator.clinic.designs.boin import Boin, boundaries
from simulator.clinic.designs.boin12 import Boin12
from simulator.clinic.designs.crm import Crm, indifferent, posterior_below, posterior_mean
from simulator.clinic.designs.history import (
    COMPLETE,
    DEESCALATE,
    ESCALATE,
    NO_DOSE,
    START,
    STAY,
    STOP,
    Cohort,
    Followed,
    late_evidence,
)
from simulator.clinic.designs.three_plus_three import ThreePlusThree

VARIANTS = ("no_deescalation", "deescalation", "deescalation_top")
DESIGNS = [
    *(ThreePlusThree(levels=3, variant=variant) for variant in VARIANTS),
    Boin(levels=3, target=0.35),
    Crm(levels=3, target=0.35),
    Boin12(levels=3),
]


def cohorts(text):
    """'1NNN 2NTE': a cohort a word, its level, then N neither, T a DLT, E a response, B both."""
    found = []
    for word in text.split():
        level, marks = int(word[0]), word[1:]
        dlts, responses = (sum(mark in which for mark in marks) for which in ("TB", "EB"))
        found.append(Cohort(level, len(marks), dlts, responses))
    return found


def name_of(design):
    return f"{type(design).__name__} {getattr(design, 'variant', '')}".strip()


# --- BOIN ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "low", "high"), [(0.25, 0.1968, 0.2984), (0.30, 0.2365, 0.3585), (0.35, 0.2763, 0.4189)]
)
def test_boin_boundaries_are_the_published_ones(target, low, high):
    assert boundaries(target) == pytest.approx((low, high), abs=5e-5)


def test_boin_decision_table_is_the_published_one():
    """Table 1 of the protocol template of Liu & Yuan's software, target 0.3, cohorts of three."""
    _, rows = Boin(levels=5, target=0.3).table()
    columns = list(zip(*rows, strict=True))
    assert columns[0] == tuple(map(str, range(3, 31, 3)))
    assert columns[1] == tuple("0 1 2 2 3 4 4 5 6 7".split())
    assert columns[2] == tuple("2 3 4 5 6 7 8 9 10 11".split())
    assert columns[3] == tuple("3 4 5 7 8 9 10 11 12 14".split())


def test_boin_follows_the_published_trial():
    """Yuan et al. 2016, doi:10.1158/1078-0432.CCR-16-0592: thirty patients, target 0.3."""
    design = Boin(levels=5, target=0.3)
    words = "1NNN 2NNN 3NTT 2NTN 3NNN 3NNN 4TTT 3NTN 3NNT 3TNN".split()
    after = [2, 3, 2, 3, 3, 4, 3, 3, 3]
    for number, level in enumerate(after, start=1):
        assert design.decide(cohorts(" ".join(words[:number]))).level == level
    history = cohorts(" ".join(words))
    assert design.decide(history).action == COMPLETE
    assert design.choose(history).level == 3


def test_boin_never_returns_to_an_eliminated_level():
    design = Boin(levels=3, target=0.3)
    decision = design.decide(cohorts("1NNN 2TTT 1NNN"))
    assert (decision.action, decision.level) == (STAY, 1)
    assert "eliminated" in decision.reason
    assert design.choose(cohorts("1NNN 2TTT")).level == 1


def test_boin_stops_when_the_lowest_level_is_too_toxic():
    decision = Boin(levels=3, target=0.3).decide(cohorts("1TTT"))
    assert (decision.action, decision.level) == (STOP, NO_DOSE)
    assert Boin(levels=3, target=0.3).choose(cohorts("1TTT")).level == NO_DOSE


@given(st.integers(1, 30), st.data())
def test_more_dlts_never_lead_boin_higher(n, data):
    design = Boin(levels=3, target=0.35, cohort=1, patients=100)
    low, high = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    before = [Cohort(1, 3, 0)]
    levels = [design.decide([*before, Cohort(2, n, dlts)]).level for dlts in (low, high)]
    assert levels[1] <= levels[0]


# --- isotonic regression and the choice ----------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=6))
def test_isotonic_risks_solve_their_least_squares_problem(counts):
    """Rising, constant on blocks whose weighted mean they are, and no block can be split for the better."""
    dlts, patients = [min(y, n) for y, n in counts], [n for _, n in counts]
    risks = isotonic.risks(dlts, patients)
    raw = [(y + 0.05) / (n + 0.1) for y, n in zip(dlts, patients, strict=True)]
    weight = [
        (n + 0.1) ** 2 * (n + 1.1) / ((y + 0.05) * (n - y + 0.05))
        for y, n in zip(dlts, patients, strict=True)
    ]
    assert all(b >= a - 1e-12 for a, b in zip(risks, risks[1:], strict=False))
    surplus = np.cumsum([w * (x - r) for w, x, r in zip(weight, raw, risks, strict=True)])
    assert surplus[-1] == pytest.approx(0.0, abs=1e-6 * sum(weight))
    assert (surplus >= -1e-6 * sum(weight)).all()


def test_where_estimates_cannot_tell_levels_apart_the_largest_below_the_target_is_chosen():
    assert isotonic.nearest([0.1, 0.1, 0.1], 0.35) == 2
    assert isotonic.nearest([0.4, 0.4, 0.4], 0.35) == 0
    assert isotonic.nearest([0.25, 0.45], 0.35) == 0  # as near, but the lower one is below


# --- CRM ----------------------------------------------------------------


def test_crm_agrees_with_the_worked_example_of_weighted_patients():
    """Cheung 2011, p. 124: four patients without a DLT, followed 73, 66, 35 and 28 of 126 days."""
    design = Crm(levels=5, target=0.25, skeleton=(0.05, 0.12, 0.25, 0.40, 0.55))
    late = [Followed(3, False, days / 126) for days in (73, 66, 35, 28)]
    evidence = late_evidence(late, 5)
    assert posterior_mean(design.skeleton, evidence.dlts, evidence.spared) == pytest.approx(0.49, abs=5e-3)
    risks = design.risks(evidence)
    assert 1 + min(range(5), key=lambda i: abs(risks[i] - 0.25)) == 4


def test_crm_skeleton_is_the_published_calibration():
    """The skeleton of half width 0.05 at 0.3 around level 5 of 10, as published with Lee & Cheung 2009."""
    published = (0.03, 0.06, 0.12, 0.20, 0.30, 0.40, 0.50, 0.59, 0.67, 0.74)
    assert indifferent(0.3, 10, 5, 0.05) == pytest.approx(published, abs=5.1e-3)


def test_crm_posterior_agrees_with_adaptive_quadrature():
    skeleton = (0.1, 0.2, 0.35, 0.5)
    cases = [
        ((0, 0, 0, 0), (((1.0, 0),),) * 4),
        ((0, 1, 2, 0), (((1.0, 3),), ((1.0, 5),), ((0.4, 1), (0.9, 2)), ((1.0, 0),))),
        ((12, 6, 0, 0), (((1.0, 6),), ((1.0, 6),), ((1.0, 0),), ((1.0, 0),))),
        ((0, 0, 0, 0), (((1.0, 3),), ((1.0, 3),), ((1.0, 3),), ((1.0, 21),))),
    ]
    for dlts, spared in cases:

        def density(a, dlts=dlts, spared=spared):
            return math.exp(float(crm_module._log_posterior(skeleton, dlts, spared, np.array([a]))[0]))

        def integral(f, low, high):
            return integrate.quad(f, low, high, points=[0.5 * (low + high)], limit=400, epsabs=1e-16)[0]

        total = integral(density, -9, 9)
        mean = integral(lambda a, density=density: a * density(a), -9, 9) / total
        assert posterior_mean(skeleton, dlts, spared) == pytest.approx(mean, abs=1e-8)
        below = integral(density, -9, -0.3) / total
        assert posterior_below(skeleton, dlts, spared, -0.3) == pytest.approx(below, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_crm_neither_skips_nor_escalates_after_a_cohort_at_the_target(data):
    design = Crm(levels=5, target=0.3)
    history, decision = [], design.decide([])
    highest = 0
    while decision.level:
        assert decision.level <= highest + 1
        highest = max(highest, decision.level)
        history.append(Cohort(decision.level, 3, data.draw(st.integers(0, 3))))
        decision = design.decide(history)
        if history[-1].dlts / 3 >= 0.3:
            assert decision.level <= history[-1].level
    assert decision.action in (COMPLETE, STOP)


def test_crm_weights_of_one_change_nothing():
    design = Crm(levels=3, target=0.35)
    history = cohorts("1NNN 2NNT 3NNT")
    late = [Followed(c.level, k < c.dlts) for c in history for k in range(c.patients)]
    assert design.choose(history, late).risks == pytest.approx(design.choose(history).risks, abs=1e-12)


# --- BOIN12 ----------------------------------------------------------------

DESIRABILITY = {  # Table 3 of Lin et al. 2020, limits 0.35 and 0.25, utilities 100, 60, 40, 0
    (0, 0, 0): 60,
    (3, 0, 0): 35,
    (3, 0, 1): 55,
    (3, 0, 3): 91,
    (6, 1, 5): 87,
    (6, 5, 1): None,
    (9, 0, 8): 99,
    (9, 2, 3): 32.5,
    (9, 5, 5): 32.5,
    (9, 3, 1): 7,
    (9, 4, 0): None,
    (9, 6, 9): None,
}


def test_boin12_desirability_ranks_are_the_published_ones():
    ranks = Boin12(levels=5).ranks(9)
    assert {key: ranks[key] for key in DESIRABILITY} == DESIRABILITY


def test_boin12_follows_the_published_trial():
    """Section 6 and figure S2 of Lin et al. 2020: thirty patients, the OBD is level 4."""
    design = Boin12(levels=5)
    words = "1NNN 2NNB 3NEE 3NTN 4ETE 4NBE 4BNN 5BEN 5NBT 4NEN".split()
    for number, level in enumerate((2, 3, 3, 4, 4, 4, 5, 5, 4), start=1):
        assert design.decide(cohorts(" ".join(words[:number]))).level == level
    history = cohorts(" ".join(words))
    assert design.decide(history).action == COMPLETE
    assert design.choose(history).level == 4
    assert design.decide(cohorts("1NNN 2ENT 3ETT 2EEN")).level == 2  # p. 1396


@pytest.mark.parametrize(
    ("cohort", "level"),
    [("1EBB", 1), ("1EEE", 1), ("1ETB", 1), ("1NEE", 1), ("1NET", 2), ("1NNB", 2), ("1NNE", 2), ("1NNT", 2),
     ("1NTB", 1), ("5BBB", 4), ("5EEB", 5), ("5NEE", 5), ("5NNE", 4), ("5TTB", 4)],
)  # fmt: skip
def test_boin12_agrees_with_its_authors_program(cohort, level):
    """First decisions of the design with five levels, as its authors' program gives them."""
    assert Boin12(levels=5).decide(cohorts(cohort)).level == level


def test_boin12_stops_where_nothing_is_active_enough():
    design = Boin12(levels=1, patients=30)
    assert design.decide(cohorts("1NNN 1NNN")).action == STAY
    assert design.decide(cohorts("1NNN 1NNN 1NNN")).action == STOP
    assert design.choose(cohorts("1NNN 1NNN 1NNN")).level == NO_DOSE


# --- 3+3 ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "history", "action", "level", "mtd"),
    [
        ("no_deescalation", "1NNN", ESCALATE, 2, None),
        ("no_deescalation", "1NNT", STAY, 1, None),
        ("no_deescalation", "1NNT 1NNN", ESCALATE, 2, None),
        ("no_deescalation", "1NNT 1NNT", STOP, 0, 0),
        ("no_deescalation", "1NNN 2NTT", COMPLETE, 0, 1),
        ("no_deescalation", "1NNN 2NNN 3NNN", COMPLETE, 0, 3),
        ("deescalation", "1NNN 2NTT", DEESCALATE, 1, None),
        ("deescalation", "1NNN 2NTT 1NNT", COMPLETE, 0, 1),
        ("deescalation", "1NNN 2NTT 1NTT", STOP, 0, 0),
        ("deescalation", "1NNT 1NNN 2NTT", COMPLETE, 0, 1),
        ("deescalation", "1NNN 2NNN 3TTT 2NTT", DEESCALATE, 1, None),
        ("deescalation", "1NNN 2NNN 3NNN", COMPLETE, 0, 3),
        ("deescalation_top", "1NNN 2NNN 3NNN", STAY, 3, None),
        ("deescalation_top", "1NNN 2NNN 3NNN 3NNT", COMPLETE, 0, 3),
        ("deescalation_top", "1NNN 2NNN 3NNN 3NTT", DEESCALATE, 2, None),
    ],
)
def test_three_plus_three_rules(variant, history, action, level, mtd):
    design = ThreePlusThree(levels=3, variant=variant)
    decision = design.decide(cohorts(history))
    assert (decision.action, decision.level) == (action, level)
    if mtd is not None:
        assert design.choose(cohorts(history)).level == mtd


def test_three_plus_three_decides_after_three_or_six_patients_only():
    with pytest.raises(InputError, match="3\\+3 decides after 3 and after 6"):
        ThreePlusThree(levels=3).decide([Cohort(1, 2, 0)])


# --- all of them ----------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS, ids=name_of)
def test_every_decision_gives_its_reason_and_every_design_its_table(design):
    assert design.decide([])[:2] == (START, 1)
    for history in ("1NNN", "1NNT", "1TTT", "1NNN 2NNN", "1NNN 2NTT"):
        decision = design.decide(cohorts(history))
        assert decision.reason.endswith(".") and len(decision.reason) > 20
        assert (decision.level == NO_DOSE) == (decision.action in (COMPLETE, STOP))
    text = escalation.table_text(design).splitlines()
    assert len(text) > 4 and set(text[1]) == {"-", " "}


def test_the_decision_log_has_a_row_a_cohort():
    design = Boin(levels=3, target=0.35)
    rows = escalation.decision_log(design, cohorts("1NNN 2NTT 1NNN"))
    assert [(row["level"], row["dlts"], row["action"], row["next_level"]) for row in rows] == [
        (1, 0, ESCALATE, 2),
        (2, 2, DEESCALATE, 1),
        (1, 0, ESCALATE, 2),
    ]


def test_late_dlts_change_the_choice_and_weights_count():
    design = Boin(levels=2, target=0.35, patients=12)
    history = cohorts("1NNN 2NNN 2NNN 2NNT")
    assert design.choose(history).level == 2
    late = [Followed(1, False)] * 3 + [Followed(2, True)] * 6 + [Followed(2, False)] * 3
    assert design.choose(history, late).level == 1
    half = design.choose(
        history, [Followed(1, False, 0.5)] * 3 + [Followed(2, True)] + [Followed(2, False, 0.5)] * 8
    )
    assert half.risks[1] == pytest.approx((1 + 0.05) / (1 + 8 * 0.5 + 0.1))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: escalation.design("boim", 3), "Did you mean 'boin'"),
        (lambda: escalation.design("boin", 3, target=1.2), "target"),
        (lambda: escalation.design("boin", 3, target=0.0), "target"),
        (lambda: escalation.design("boin", 3, target=0.75), "1.4 times itself"),
        (lambda: escalation.design("boin12", 3, dlt_limit=0.75), "1.4 times itself"),
        (lambda: escalation.design("crm", 3, target=-0.1), "target"),
        (lambda: escalation.design("boin", 3, target=0.3, patients=31), "31 patients are no whole number"),
        (lambda: escalation.design("crm", 3, target=0.3, skeleton=(0.1, 0.3, 0.2)), "does not rise"),
        (lambda: escalation.design("crm", 3, target=0.3, skeleton=(0.1, 0.3)), "2 risks for 3 dose levels"),
        (lambda: escalation.design("3+3", 3, variant="5+5"), "variant"),
        (lambda: escalation.design("boin", 3, target=0.3, cohrt=3), "cohrt"),
        (lambda: escalation.design("boin12", 3, settle=9, explore=3), "explore"),
        (lambda: Boin(levels=3, target=0.3).decide([Cohort(4, 3, 0)]), "Levels run from 1 to 3"),
        (lambda: Boin(levels=3, target=0.3).decide([Cohort(1, 3, 4)]), "4 DLTs in 3 patients"),
        (lambda: Boin(levels=3, target=0.3).decide([Cohort(1, 0, 0)]), "0 evaluable patients"),
        (lambda: Boin(levels=1, target=0.3).choose([Cohort(1, 3, 0)], [Followed(1, False, 1.5)]), "1.5 of"),
        (lambda: Boin(levels=1, target=0.3).choose([Cohort(1, 3, 0)], [Followed(2, False)]), "level 2"),
        (
            lambda: ThreePlusThree(levels=1).choose([Cohort(1, 3, 0)], [Followed(1, False, 0.5)]),
            "3\\+3 cannot weigh",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_reason(make, says):
    with pytest.raises(InputError, match=says):
        make()
