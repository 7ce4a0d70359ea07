"""The field solver against its equation, written down a second time in numpy."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.base import threads
from simulator.base.errors import InputError, SimulatorError
from simulator.tissue import multigrid
from simulator.tissue.levels import make_levels
from simulator.tissue.multigrid import TOLERANCE, solve_grid

H = 20.0
D = 3.6e5  # µm²/h
K = 6.0  # 1/h: a decay length of 245 µm


def _levels(shape, periodic=False):
    return make_levels(shape, (H, H, H), periodic)


def _residual(c, old, s, u, diffusion, decay, dt_h, periodic):
    """s + old/dt − (1/dt + k + u) c + D ∇²c by plain slicing."""
    rate = 0.0 if math.isinf(dt_h) else 1.0 / dt_h
    rest = s + rate * old - (rate + decay + u) * c
    for axis in range(3):
        if c.shape[axis] == 1:
            continue
        flux = diffusion / H**2 * (np.roll(c, -1, axis) - c)
        if not periodic:
            flux[(slice(None),) * axis + (-1,)] = 0.0
        rest += flux - np.roll(flux, 1, axis)
    return rest


def _scattered(shape, seed, share=0.05):
    """Unit sources in a share of the voxels, at least one."""
    s = (np.random.default_rng(seed).random(shape) < share).astype(float)
    s.flat[0] = 1.0
    return s


@st.composite
def problems(draw):
    """(shape, periodic, diffusion, decay, dt, largest uptake, old level, seed)."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 13), st.integers(1, 21)))
    return (
        shape,
        draw(st.booleans()),
        draw(st.sampled_from([0.0, 10.0, 1e3, D, 1e7])),
        draw(st.sampled_from([1e-3, 0.1, K, 1e3])),
        draw(st.sampled_from([0.01, 1.0, 24.0, math.inf])),
        draw(st.sampled_from([0.0, 1.0, 1e5])),
        draw(st.sampled_from([0.0, 1e-3, 1.0])),
        draw(st.integers(0, 99)),
    )


@given(problem=problems())
def test_residual_is_within_the_bound_and_nothing_is_negative(problem):
    shape, periodic, diffusion, decay, dt_h, uptake, level, seed = problem
    s = _scattered(shape, seed)
    u = uptake * np.random.default_rng(seed + 1).random(shape)
    old = level * np.random.default_rng(seed + 2).random(shape)
    c = old.copy()
    solve_grid(c, s, u, diffusion, decay, dt_h, _levels(shape, periodic))
    rest = _residual(c, old, s, u, diffusion, decay, dt_h, periodic)
    carried = 0.0 if math.isinf(dt_h) else old.sum() / dt_h
    assert np.abs(rest).sum() <= 1.001 * TOLERANCE * max(s.sum(), 1e-3 * carried)
    assert c.min() >= 0.0


@pytest.mark.parametrize("dt_h", [0.1, 1.0, math.inf])
@pytest.mark.parametrize("periodic", [False, True])
def test_mass_law(dt_h, periodic):
    shape = (11, 16, 18)
    s, old = _scattered(shape, 3), np.full(shape, 0.02)
    u = np.random.default_rng(4).random(shape)
    c = old.copy()
    solve_grid(c, s, u, D, K, dt_h, _levels(shape, periodic))
    gained = 0.0 if math.isinf(dt_h) else (c.sum() - old.sum()) / dt_h
    assert gained == pytest.approx(s.sum() - ((K + u) * c).sum(), abs=1e-4 * s.sum())


def test_without_sources_a_uniform_field_decays_exactly():
    c = np.full((5, 6, 7), 3.0)
    zero = np.zeros_like(c)
    solve_grid(c, zero, zero, D, 0.5, 2.0, _levels(c.shape))
    np.testing.assert_allclose(c, 3.0 / (1.0 + 0.5 * 2.0), rtol=1e-6)


def test_diffusion_alone_keeps_the_mass():
    c = np.random.default_rng(0).random((5, 9, 11))
    zero, before = np.zeros_like(c), c.sum()
    solve_grid(c, zero, zero, D, 0.0, 1.0, _levels(c.shape))
    assert c.sum() == pytest.approx(before, rel=1e-6)
    assert np.ptp(c) < 0.1


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 50),
        (1, 37, 23),
        (1, 100, 100),
        (37, 23, 5),
        (25, 25, 25),
        (3, 41, 66),
        (17, 17, 17),
        (13, 9, 50),
    ],
)
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("decay", [1e-3, K])
def test_every_cycle_divides_the_residual_by_five(shape, periodic, decay):
    """Also at lengths where plain halving stalls; the first cycle also pays for the sources' sharp edges."""
    s, zero, levels = _scattered(shape, 1), np.zeros(shape), _levels(shape, periodic)
    c = np.zeros(shape)
    first = solve_grid(c, s, zero, D, decay, math.inf, levels, 1e-2)
    more = solve_grid(c, s, zero, D, decay, math.inf, levels, 1e-2 / 5**6)
    assert first <= 4 and more <= 6


def test_nothing_to_do_is_not_done():
    shape = (6, 10, 15)
    s, zero, c = _scattered(shape, 2), np.zeros(shape), np.zeros(shape)
    levels = _levels(shape)
    assert solve_grid(c, s, zero, D, K, math.inf, levels) > 0
    before = c.copy()
    assert solve_grid(c, s, zero, D, K, math.inf, levels) == 0
    assert (c == before).all()


def test_a_warm_start_saves_cycles():
    shape = (20, 20, 20)
    s, zero, c = _scattered(shape, 2), np.zeros(shape), np.zeros(shape)
    levels = _levels(shape)
    cold = solve_grid(c, s, zero, D, K, math.inf, levels)
    assert 0 < solve_grid(c, np.where(s > 0, 1.001, 0.0), zero, D, K, math.inf, levels) < cold


def test_periodic_solutions_move_with_their_sources():
    shape, shift = (6, 10, 14), (1, 3, 5)
    s, zero = _scattered(shape, 5), np.zeros(shape)
    a, b = np.zeros(shape), np.zeros(shape)
    solve_grid(a, s, zero, D, K, math.inf, _levels(shape, True), 1e-10)
    solve_grid(b, np.roll(s, shift, (0, 1, 2)), zero, D, K, math.inf, _levels(shape, True), 1e-10)
    np.testing.assert_allclose(np.roll(a, shift, (0, 1, 2)), b, rtol=1e-6)


def test_closed_walls_are_mirrors():
    shape = (4, 7, 9)
    s = _scattered(shape, 6)
    closed = np.zeros(shape)
    solve_grid(closed, s, np.zeros(shape), D, K, math.inf, _levels(shape), 1e-10)
    mirrored = s
    for axis in range(3):
        mirrored = np.concatenate([mirrored, np.flip(mirrored, axis)], axis)
    around = np.zeros(mirrored.shape)
    solve_grid(around, mirrored, np.zeros_like(around), D, K, math.inf, _levels(around.shape, True), 1e-10)
    np.testing.assert_allclose(around[:4, :7, :9], closed, rtol=1e-6)


def test_a_field_solves_alike_whatever_was_solved_before_on_its_levels():
    shape = (5, 8, 11)
    s, zero, levels = _scattered(shape, 7), np.zeros(shape), _levels(shape)
    a, b, other = np.zeros(shape), np.zeros(shape), np.ones(shape)
    solve_grid(a, s, zero, D, K, 1.0, levels)
    solve_grid(other, 5 * s, zero + 1, D / 9, 0.1, math.inf, levels)
    solve_grid(b, s, zero, D, K, 1.0, levels)
    assert (a == b).all()


@pytest.mark.parametrize("shape", [(48, 40, 36), (51, 37, 33)])
@pytest.mark.parametrize("periodic", [False, True])
def test_two_threads_give_the_same_bits(shape, periodic):
    s, u = _scattered(shape, 8), np.random.default_rng(9).random(shape)
    results = []
    try:
        for count in (1, 2, 3):
            threads.set_threads(count)
            c = np.zeros(shape)
            cycles = solve_grid(c, s, u, D, K, 1.0, _levels(shape, periodic), 1e-8)
            results.append((cycles, c.tobytes()))
    finally:
        threads.set_threads(1)
    assert math.prod(shape) >= multigrid.THREADED
    assert results[0] == results[1] == results[2]


def test_a_steady_state_needs_a_loss():
    zero = np.zeros((3, 3, 3))
    with pytest.raises(InputError, match="steady state"):
        solve_grid(zero.copy(), zero + 1.0, zero, D, 0.0, math.inf, _levels(zero.shape))


def test_a_steady_state_without_sources_is_empty():
    c, zero = np.ones((3, 4, 5)), np.zeros((3, 4, 5))
    assert solve_grid(c, zero, zero, D, K, math.inf, _levels(c.shape)) == 0
    assert not c.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused(bad):
    s = np.zeros((3, 4, 5))
    s[1, 1, 1] = bad
    with pytest.raises(SimulatorError):
        solve_grid(np.zeros_like(s), s, np.zeros_like(s), D, K, math.inf, _levels(s.shape))
