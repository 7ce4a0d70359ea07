"""Dice: Random123's known answers, laws of the draws, the same bits without compilation."""

import inspect
import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from simulator.base import rng

ONES = 0xFFFFFFFF
seeds = st.integers(0, 2**64 - 1)
small = st.integers(0, 2**31)


def draws(count, stream="clock", step=0, part=0, seed=1, patient=0, replicate=0, lesion=0):
    """`count` pairs of uniforms, one a site."""
    dice = rng.make_dice(seed, patient, replicate, lesion)
    return np.array([rng.uniforms(dice, rng.STREAM[stream], step, part, site) for site in range(count)])


@pytest.mark.parametrize(
    ("key", "counter", "answer"),
    [
        ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES), (ONES, ONES, ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0xA4093822, 0x299F31D0),
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers_of_random123(key, counter, answer):
    assert rng.philox(*map(np.uint64, key + counter)) == answer


@given(seeds, small, small, small, st.sampled_from(rng.STREAMS), small, st.integers(0, 65535), small)
def test_a_draw_is_a_function_of_where_it_is_used(seed, patient, replicate, lesion, stream, step, part, site):
    first = rng.uniforms(
        rng.make_dice(seed, patient, replicate, lesion), rng.STREAM[stream], step, part, site
    )
    again = rng.uniforms(
        rng.make_dice(seed, patient, replicate, lesion), rng.STREAM[stream], step, part, site
    )
    assert first == again
    assert all(0.0 < u < 1.0 for u in first)
    one = rng.uniform(rng.make_dice(seed, patient, replicate, lesion), rng.STREAM[stream], step, part, site)
    assert one == first[0]


@pytest.mark.parametrize("word", [0, ONES])
def test_the_extreme_words_give_uniforms_inside_the_open_interval(word, monkeypatch):
    """Neither 0 nor 1, where log(u) and log(1 - u) end."""
    monkeypatch.setattr(rng, "philox", lambda *_: (np.uint64(word),) * 4)
    python = inspect.unwrap(getattr(rng.uniforms, "py_func", rng.uniforms))
    dice = rng.Dice(*map(np.uint64, (1, 2, 3)))
    for u in python(dice, rng.STREAM["hit"], 1, 2, 3):
        assert 0.0 < u < 1.0


def test_every_coordinate_of_the_key_and_the_counter_moves_the_draw():
    start = {"seed": 1, "patient": 0, "replicate": 0, "lesion": 0, "step": 0, "part": 0}
    moved = [start] + [start | {name: start[name] + 1} for name in start] + [start | {"seed": 1 + 2**32}]
    seen = {draws(1, **coordinates).tobytes() for coordinates in moved}
    assert len(seen) == len(moved)


def test_no_two_places_share_a_draw():
    """All streams, steps, parts and sites of a small box: 52-bit draws, so none may coincide."""
    dice = rng.make_dice(3, 1, 0)
    box = itertools.product(rng.STREAMS, range(5), (0, 1, 65535), range(40))
    seen = [rng.uniform(dice, rng.STREAM[stream], step, part, site) for stream, step, part, site in box]
    assert len(set(seen)) == len(seen)


def test_streams_are_unique_and_keep_their_numbers():
    """A number is part of the meaning of a seed: this list only grows."""
    assert len(set(rng.STREAMS)) == len(rng.STREAMS) < 2**16
    assert rng.STREAMS[:9] == (
        "key", "population", "stroma", "vessel", "founder", "infiltrate", "trait", "clock", "place",
    )  # fmt: skip
    assert [int(rng.STREAM[name]) for name in rng.STREAMS] == list(range(len(rng.STREAMS)))


@pytest.mark.parametrize("stream", ["clock", "hop"])
def test_draws_are_uniform(stream):
    both = draws(20000, stream)
    for column in both.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    "other", [{"step": 1}, {"part": 1}, {"stream": "hop"}, {"patient": 1}, {"replicate": 1}, {"lesion": 1}]
)
def test_neighboring_draws_are_independent(other):
    here, there = draws(20000)[:, 0], draws(20000, **other)[:, 0]
    table = np.histogram2d(here, there, bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(table.ravel()).pvalue > 1e-3
    along = np.histogram2d(here[:-1], here[1:], bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(along.ravel()).pvalue > 1e-3


@pytest.mark.parametrize("mean", [0.01, 0.7, 4.0, 60.0, 2000.0])
def test_poisson_has_the_mean_and_the_variance(mean):
    counts = np.array([rng.poisson(u, mean) for u in draws(20000)[:, 0]])
    error = math.sqrt(mean / counts.size)
    assert abs(counts.mean() - mean) < 4 * error
    spread = math.sqrt((mean + 2 * mean * mean) / counts.size)
    assert abs(counts.var() - mean) < 4 * spread


@given(st.floats(1e-12, 1 - 1e-12), st.floats(0, 9999))
def test_poisson_inverts_the_distribution_function(u, mean):
    count = rng.poisson(u, mean)
    assert stats.poisson.cdf(count, mean) >= u - 1e-12
    assert count == 0 or stats.poisson.cdf(count - 1, mean) <= u + 1e-12


@given(st.floats(0.0, 1 - 1e-12), st.floats(0, 400), st.floats(0, 400))
def test_poisson_is_monotone_in_the_mean(u, one, other):
    """A larger dose never brings fewer cells on the same dice."""
    low, high = sorted((one, other))
    assert rng.poisson(u, low) <= rng.poisson(u, high)


@given(st.floats(0, 200))
def test_poisson_stays_small_at_the_largest_uniform(mean):
    """Rounding may keep the summed terms below the last uniforms; the count must not run away."""
    assert rng.poisson(math.nextafter(1.0, 0.0), mean) <= mean + 12 * math.sqrt(mean) + 20


@pytest.mark.parametrize("mean", [1e5, 1e300, math.inf])
def test_poisson_ends_whatever_is_expected(mean):
    assert rng.poisson(0.5, mean) == rng.poisson(0.5, rng.MOST_EXPECTED)


@pytest.mark.parametrize("u", [0.0, 0.5, 1 - 2**-53])
def test_nothing_arrives_where_nothing_is_expected(u):
    assert rng.poisson(u, 0.0) == 0
    assert rng.poisson(u, -1.0) == 0


SAMPLE = """
from simulator.base import rng
for seed, patient, replicate, lesion in ((0, 0, 0, 0), (2**64 - 1, 7, 3, 1), (2**33 + 5, 2**31, 1, 0)):
    dice = rng.make_dice(seed, patient, replicate, lesion)
    for stream in rng.STREAMS:
        for step, part, site in ((0, 0, 0), (8760, 15, 884735), (2**31, 65535, 2**32 - 1)):
            u, v = rng.uniforms(dice, rng.STREAM[stream], step, part, site)
            print(u.hex(), v.hex(), *(rng.poisson(u, mean) for mean in (0.0, 0.3, 11.0)))
"""


def test_same_bits_without_compilation_and_without_warnings():
    def sample(jit_off):
        env = os.environ | {"NUMBA_DISABLE_JIT": jit_off}
        command = [sys.executable, "-W", "error", "-c", SAMPLE]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    compiled = sample("0")
    assert len(compiled.splitlines()) == 9 * len(rng.STREAMS)
    assert compiled == sample("1")
