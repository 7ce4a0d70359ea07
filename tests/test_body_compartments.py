"""Linear compartments: exact whatever the steps, and the same bits however many columns."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.body.compartments import Inflow, LinearSystem, apply

CHAIN = np.array([[-0.7, 0.0, 0.0], [0.5, -0.2, 0.1], [0.2, 0.2, -0.1]])  # conserves mass
times = st.floats(0.01, 30.0)


def test_one_compartment_follows_its_closed_form():
    k, u, x0, t = 0.3, 2.0, 5.0, 7.0
    got = LinearSystem(np.array([[-k]])).advance(np.array([[x0]]), np.array([[u]]), t)
    assert got[0, 0] == pytest.approx(x0 * math.exp(-k * t) + u / k * (1 - math.exp(-k * t)), rel=1e-13)


@given(times, times)
def test_two_steps_are_one(a, b):
    system, x, u = LinearSystem(CHAIN), np.array([[3.0], [1.0], [0.0]]), np.array([[0.5], [0.0], [0.1]])
    whole = system.advance(x, u, a + b)
    assert system.advance(system.advance(x, u, a), u, b) == pytest.approx(whole, rel=1e-11)


@given(times)
def test_a_closed_system_keeps_its_mass(t):
    x, u = np.array([[3.0], [1.0], [0.0]]), np.array([[0.5], [0.0], [0.1]])
    assert LinearSystem(CHAIN).advance(x, u, t).sum() == pytest.approx(4.0 + 0.6 * t, rel=1e-12)


def test_the_same_call_gives_the_same_bits_from_any_system():
    x = np.random.default_rng(1).random((3, 4))
    system = LinearSystem(CHAIN)
    first = system.advance(x, x, 1.0)
    for dt in np.linspace(0.1, 9.0, 600):  # more than the cache keeps
        system.propagator(float(dt))
    assert np.array_equal(system.advance(x, x, 1.0), first)
    assert np.array_equal(LinearSystem(CHAIN).advance(x, x, 1.0), first)


@given(st.integers(1, 40), st.integers(0, 39))
def test_the_bits_of_a_column_do_not_depend_on_the_others(n, i):
    x = np.random.default_rng(n).random((3, n))
    i %= n
    propagator = LinearSystem(CHAIN).propagator(0.7)
    assert np.array_equal(apply(propagator, x)[:, i], apply(propagator, x[:, i : i + 1])[:, 0])


def doses(*rows: tuple[float, float, float]) -> Inflow:
    """Doses (start, duration, amount) into the first compartment of CHAIN."""
    start, duration, amount = (np.array(values) for values in zip(*rows, strict=True))
    return Inflow(start, duration, np.array([1.0, 0.0, 0.0])[:, None] * amount)


def carry(inflow: Inflow, ends: list[float], t: float = 0.0) -> np.ndarray:
    system, state = LinearSystem(CHAIN), np.zeros((3, len(inflow.start)))
    for end in ends:
        inflow.advance(system.propagator, state, t, end)
        t = end
    return state


@given(st.lists(st.floats(0.0, 20.0), max_size=8), st.lists(st.floats(0.0, 5.0), min_size=3, max_size=3))
def test_steps_may_fall_anywhere_among_the_doses(cuts, durations):
    inflow = doses((0.0, durations[0], 1.0), (3.3, durations[1], 2.0), (7.25, durations[2], 4.0))
    ends = sorted({cut for cut in cuts if cut > 0.01} | {20.0})
    assert carry(inflow, ends) == pytest.approx(carry(inflow, [20.0]), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("duration", [0.0, 0.25, 1.0, 2.5])
def test_everything_flows_in(duration):
    inflow = doses((1.0, duration, 6.0))
    assert carry(inflow, [1.0]).sum() == 0.0
    for end in (1.2, 2.0, 3.0, 6.0):
        got = carry(inflow, [1.0, end]).sum()
        assert got == pytest.approx(6.0 * inflow.given(end)[0], rel=1e-12)
    assert carry(inflow, [1.0, 2.0, 3.0, 4.0]).sum() == pytest.approx(6.0, rel=1e-12)


@pytest.mark.parametrize("duration", [0.0, 1e-9, 1e-7, 1e-5])
@pytest.mark.parametrize("early", [0.0, 1e-12, 1e-9, 2e-9, 1e-8, 1e-6, 1e-5])
def test_the_shortest_dose_flows_in_once(duration, early):
    """However close to the end of a step it begins."""
    inflow = doses((2.0 - early, duration, 1.0))
    assert carry(inflow, [1.0, 2.0, 3.0, 4.0]).sum() == pytest.approx(1.0, rel=2e-4)


@pytest.mark.parametrize("duration", [0.0, 0.5])
@pytest.mark.parametrize("error", [-3e-13, 0.0, 3e-13])
def test_a_dose_at_a_step_boundary_waits_for_the_later_step(duration, error):
    inflow = doses((504.0, duration, 1.0))
    before = carry(inflow, [504.0 + error], t=503.0)
    assert not before.any()
    state = before
    inflow.advance(LinearSystem(CHAIN).propagator, state, 504.0 + error, 505.0)
    assert state.sum() == pytest.approx(1.0, rel=1e-11)


@given(st.integers(0, 9))
def test_a_dose_splits_no_step_but_its_own(i):
    alone = doses((0.0, 0.5, 3.0))
    both = doses((0.0, 0.5, 3.0), (4.0 + i / 10, 0.3, 5.0))
    ends = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert np.array_equal(carry(alone, ends)[:, 0], carry(both, ends)[:, 0])


def test_given_grows_from_nothing_to_all():
    inflow = doses((2.0, 0.0, 1.0), (2.0, 4.0, 1.0))
    shares = np.array([inflow.given(t) for t in (-math.inf, 0.0, 2.0, 3.0, 6.0, 100.0)])
    assert shares.tolist() == [[0, 0], [0, 0], [0, 0], [1, 0.25], [1, 1], [1, 1]]
