"""The sentence of a contrast says what the numbers say, and never more."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.experiment.designs import compare
from simulator.experiment.designs.compare import Member, contrasts
from simulator.report.words import effect, sentence

VERDICTS = [
    compare.DIFFERENCE, compare.NOT_SEEN, compare.TOO_FEW_MSCS, compare.SINGLE_PAIR, compare.NO_PAIRS,
    compare.NOT_DEFINED,
]  # fmt: skip


def row(verdict=compare.DIFFERENCE, **changed):
    told = {
        "first": "q7d", "second": "q21d", "outcome": "log tumor_volume", "day": 21.0, "level": 0.95,
        "pairs": 8, "patients": 8, "units": 8, "sd": 0.1, "detectable": 0.15, "p_value": 0.01,
        "difference": math.log(0.88), "low": math.log(0.81), "high": math.log(0.96), "p_adjusted": 0.02,
        "expected_mscs": 40.0, "h_hot": 0.01,
    }  # fmt: skip
    return {**told, "verdict": verdict, **changed}


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_difference_is_told_in_percent_with_interval_and_pairs():
    said = "q7d against q21d: tumor volume 12 % smaller (95 % interval 4–19 % smaller; 8 pairs) at day 21."
    assert plain(sentence(row())) == said


def test_an_interval_across_no_change_names_both_directions():
    told = plain(sentence(row(compare.NOT_SEEN, high=math.log(1.07))))
    assert "no difference in tumor volume seen at day 21: 12 % smaller" in told
    assert "19 % smaller to 7 % larger" in told
    assert "14 % smaller or 16 % larger would likely have been missed" in told


def test_few_mscs_forbid_a_verdict_on_the_therapy():
    told = plain(sentence(row(compare.TOO_FEW_MSCS, expected_mscs=0.5)))
    assert "too few MSCs in the block to tell (0.5 expected per dose, 10 needed)" in told
    assert "do not speak for or against the therapy" in told
    assert "no difference" not in told and "no effect" not in told


def test_a_single_pair_has_a_number_but_no_interval():
    told = sentence(
        row(compare.SINGLE_PAIR, pairs=1, units=1, patients=1, low=math.nan, high=math.nan, sd=math.nan)
    )
    assert "one pair, so no interval" in told and "% interval" not in plain(told)


def test_holm_is_named_where_it_decides():
    told = sentence(row(compare.NOT_SEEN, p_value=0.03, p_adjusted=0.09))
    assert "p = 0.03 alone, 0.09 adjusted" in told


def test_replicates_are_not_counted_as_patients():
    assert "16 pairs of 8 patients" in sentence(row(pairs=16))


def test_an_outcome_that_is_no_log_is_told_in_its_own_unit():
    told = sentence(row(outcome="cd8_density_core", difference=-3.21, low=-5.0, high=-1.0))
    assert "cd8 density core lower by 3.2 (" in told
    assert "lower by 1 to lower by 5" in told


@pytest.mark.parametrize("verdict", VERDICTS)
@given(
    difference=st.floats(-5, 5), half=st.floats(0, 3), detectable=st.floats(1e-6, 5) | st.just(math.nan),
    log=st.booleans(), pairs=st.integers(2, 50),
)  # fmt: skip
def test_every_contrast_has_a_sentence_naming_both_arms(verdict, difference, half, detectable, log, pairs):
    told = sentence(row(
        verdict, outcome=("log " if log else "") + "cd8", difference=difference, low=difference - half,
        high=difference + half, detectable=detectable, pairs=pairs,
    ))  # fmt: skip
    assert told.startswith("q7d against q21d: ") and told.endswith((".", ")."))
    assert "nan" not in told and "no effect" not in told


@given(st.floats(-6, 6))
def test_the_word_follows_the_sign(value):
    told = effect(value, "log tumor_volume")
    assert ("smaller" in told) == (value < 0)
    assert value == 0 or ("larger" in told or "times as large" in told) == (value > 0)


def test_rows_of_the_comparison_itself_are_understood():
    days = np.array([0.0, 1.0])
    members = [
        Member(
            arm, patient, 1, days, np.array([1.0, factor * patient * (1 + 0.01 * (patient == 2))]), "h", 30.0
        )
        for arm, factor in {"control": 1.0, "q7d": 0.5}.items()
        for patient in (1, 2, 3)
    ]
    (found,) = contrasts(members, [("q7d", "control")], "log tumor_volume")
    assert plain(sentence(found.row())).startswith("q7d against control: tumor volume 50 % smaller")
