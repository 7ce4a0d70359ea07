"""Rules evaluated for one cell and for many, and the Hill curve beneath them."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tissues import block

from simulator.tissue.hill import hill, hill_of, power
from simulator.tissue.rules import evaluate, evaluate_row

EXPONENTS = (0.3, 1.0, 1.26, 2.0, 3.0, 4.0, 8.0, 17.0)


@given(x=st.floats(1e-12, 1e12), n=st.sampled_from(EXPONENTS))
def test_the_power_is_the_power(x, n):
    assert power(x, n) == pytest.approx(x**n, rel=1e-13)


@given(x=st.floats(-1.0, 1e9), n=st.sampled_from(EXPONENTS), half=st.floats(1e-3, 1e3))
def test_many_hill_values_have_the_bits_of_one(x, n, half):
    out = np.zeros(3)
    hill_of(np.array([x, 2 * x, 0.0]), half, n, out)
    assert out.tolist() == [hill(x, half, n), hill(2 * x, half, n), 0.0]
    assert 0.0 <= out.min() and out.max() <= 1.0


@pytest.mark.parametrize("n", EXPONENTS)
def test_hill_is_half_at_its_constant_and_rises(n):
    x = np.geomspace(1e-6, 1e6, 4001) * 0.37
    out = np.zeros(len(x))
    hill_of(x, 0.37, n, out)
    assert hill(0.37, 0.37, n) == pytest.approx(0.5, rel=1e-14)
    assert (np.diff(out) >= -1e-15).all()


def test_rules_give_many_cells_the_bits_of_each():
    tables = block().tables
    rng = np.random.default_rng(1)
    signals, cells = len(tables.senses), 40
    x = rng.choice([0.0, 1.0, -0.1], (signals, cells)) + rng.random((signals, cells)) * rng.integers(0, 2)
    unblocked, plasma = np.array([0.3] * len(tables.blockers)), rng.random(8)
    v, strength = np.zeros(cells), np.zeros(cells)
    for behavior in range(len(tables.behaviors)):
        evaluate_row(tables, behavior, x, unblocked, plasma, v, strength)
        assert v.tolist() == [
            evaluate(tables, behavior, x[:, i].copy(), unblocked, plasma) for i in range(cells)
        ]
