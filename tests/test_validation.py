"""How results are judged against what is known, and how the verdicts are kept."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.experiment.designs.compare import Member, contrast
from simulator.experiment.validation.target import (
    MISSED,
    REACHED,
    UNDECIDED,
    Target,
    alike,
    larger_count,
    smaller,
    within,
)
from simulator.validate import keep, kept, table


class Fake:
    """Results of two arms, `a` a known factor above `b`, with noise between patients."""

    def __init__(self, factor: float, noise: float = 0.01, mscs: float = 30.0, patients: int = 12):
        rng = np.random.default_rng(7)
        self.members = []
        for patient in range(1, patients + 1):
            size = math.exp(rng.normal(0.0, 0.5))
            for arm, value in (("a", factor * size * math.exp(rng.normal(0.0, noise))), ("b", size)):
                days, values = np.array([0.0, 7.0]), np.array([1.0, value])
                self.members.append(
                    Member(arm, patient, 1, days, values, "", mscs if arm == "a" else None, 0.1)
                )

    def contrast(self, first, second, outcome, day=None):
        return contrast(self.members, first, second, outcome, day)


@given(st.floats(0.05, 20.0))
def test_the_direction_of_an_effect_decides(factor):
    down, up = (
        smaller(Fake(factor), "a", "b", "", ""),
        larger_count(Fake(factor), "a", "b", "cd8", 7.0, "", ""),
    )
    if not 0.95 < factor < 1.05:
        assert (down.verdict == REACHED) == (factor < 1.0)
        assert (up.verdict == REACHED) == (factor > 1.0)
    assert not down.verdict == up.verdict == REACHED
    assert "power 0.8" in down.note


def test_a_block_that_met_too_few_mscs_decides_nothing():
    found = smaller(Fake(0.2, mscs=3.0), "a", "b", "", "").missed_because("never told")
    assert found.verdict == UNDECIDED
    assert "too small" in found.note and "never told" not in found.note


@pytest.mark.parametrize(
    ("factor", "noise", "verdict"),
    [
        (1.0, 0.01, REACHED),
        (1.3, 0.01, MISSED),
        (0.7, 0.01, MISSED),
        (1.0, 0.5, UNDECIDED),
        (1.0, 0.0, REACHED),
    ],
)
def test_alike_asks_for_the_whole_interval(factor, noise, verdict):
    assert alike(Fake(factor, noise), "a", "b", "", "").verdict == verdict


def test_bounds_are_inclusive():
    for value, verdict in (
        (1.0, REACHED),
        (2.0, REACHED),
        (0.999, MISSED),
        (2.001, MISSED),
        (math.nan, MISSED),
    ):
        assert within("", value, 1.0, 2.0, "{:.3f}", "").verdict == verdict


def test_a_miss_alone_tells_its_reason():
    assert Target("x", "", "", MISSED, "10 pairs").missed_because("why").note == "10 pairs. why"
    assert Target("x", "", "", MISSED).missed_because("why").note == "why"
    assert Target("x", "", "", REACHED, "10 pairs").missed_because("why").note == "10 pairs"


def test_verdicts_are_kept_for_a_later_call(tmp_path):
    rows = {
        "therapy": [
            Target('one, quoted "so"', "smaller", "0.9", REACHED, "5 pairs"),
            Target("two", "", "", MISSED),
        ],
        "msih": [Target("three", "1 to 2", "3", MISSED, "why")],
    }
    page = keep(rows, tmp_path).read_text(encoding="utf-8")
    assert kept(tmp_path) == rows
    assert page.count("**missed**") == 2
    assert "MISSED: two" in table(rows["therapy"])
    assert kept(tmp_path / "none") == {}
