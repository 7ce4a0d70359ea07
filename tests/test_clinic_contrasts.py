"""Proportions, paired contrasts and the power of a real trial: published examples, exact sums, laws."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import special

from simulator.base.errors import InputError
from simulator.clinic.contrasts import (
    paired_rates,
    paired_times,
    power_of_rates,
    power_of_times,
    pseudo_means,
)
from simulator.clinic.proportions import clopper_pearson, fisher_power, mcnemar, paired_difference, wilson
from simulator.clinic.survival import kaplan_meier


def binomial(n: int, p: float) -> np.ndarray:
    k = np.arange(n + 1)
    return special.binom(n, k) * p**k * (1 - p) ** (n - k)


# --- one proportion -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),  # Clopper & Pearson 1934; Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)
        (1, 10, 0.0025, 0.4450),
        (81, 263, 0.2527, 0.3676),  # 17:8<857::AID-SIM777>3.0.CO;2-E, table I
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
        (30, 30, 0.8843, 1.0),
    ],
)
def test_exact_intervals_of_published_examples(count, n, low, high):
    assert clopper_pearson(count, n) == pytest.approx((low, high), abs=5.1e-5)


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.sampled_from([0.8, 0.95]))
def test_exact_intervals_cover_at_least_their_level(n, p, level):
    bounds = np.array([clopper_pearson(k, n, level) for k in range(n + 1)])
    covered = (bounds[:, 0] <= p) & (p <= bounds[:, 1])
    assert binomial(n, p)[covered].sum() >= level - 1e-9


def test_no_proportion_is_an_error():
    for count, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(InputError, match="no proportion"):
            clopper_pearson(count, n)


# --- pairs ----------------------------------------------------------------------------------------------


def test_mcnemar_of_the_two_media():
    """Armitage & Berry 1994, p. 127: 12 and 2 of 50 specimens grew on one medium only; p = 0.0129."""
    assert mcnemar(12, 2) == pytest.approx(0.0129, abs=5e-5)
    assert mcnemar(0, 0) == 1.0 and mcnemar(3, 3) == 1.0


def test_paired_differences_of_newcombe():
    """Method 10 of Newcombe 1998 with his tables (36, 12, 2, 0) and (20, 12, 2, 16), difference 0.2."""
    assert paired_difference(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert paired_difference(20, 12, 2, 16) == pytest.approx((0.0562, 0.3292), abs=5e-5)


@given(st.lists(st.integers(0, 30), min_size=4, max_size=4).filter(any))
def test_exchanging_the_arms_mirrors_the_interval(counts):
    both, first, second, neither = counts
    low, high = paired_difference(both, first, second, neither)
    assert -1 <= low <= (first - second) / sum(counts) <= high <= 1
    assert paired_difference(both, second, first, neither) == pytest.approx((-high, -low))


@pytest.mark.parametrize("shares", [(0.1, 0.1, 0.05, 0.75), (0.3, 0.2, 0.1, 0.4), (0.02, 0.03, 0.03, 0.92)])
def test_paired_intervals_cover_nearly_their_level(shares):
    """By summing over every outcome of 25 pairs; Newcombe 1998 reports a mean of 0.949, least 0.919."""
    n, truth, covered = 25, shares[1] - shares[2], 0.0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            for c in range(n + 1 - a - b):
                counts = (a, b, c, n - a - b - c)
                log = math.lgamma(n + 1) + sum(
                    k * math.log(p) - math.lgamma(k + 1) for k, p in zip(counts, shares, strict=True)
                )
                low, high = paired_difference(*counts)
                covered += math.exp(log) * (low <= truth <= high)
    assert covered >= 0.93


def test_wilson_is_the_published_interval():
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, table I
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_a_paired_contrast_of_rates():
    first = np.repeat([1, 1, 0, 0], [20, 12, 2, 16])
    second = np.repeat([1, 0, 1, 0], [20, 12, 2, 16])
    found = paired_rates(first, second)
    assert (found.both, found.first_only, found.second_only, found.neither) == (20, 12, 2, 16)
    assert found.difference == pytest.approx(0.2) and found.p_value == pytest.approx(0.0129, abs=5e-5)
    assert found.correlation == pytest.approx((20 * 16 - 12 * 2) / math.sqrt(32 * 18 * 22 * 28))
    same = paired_rates(first, first)
    assert same.difference == 0 and same.correlation == pytest.approx(1) and same.p_value == 1
    assert math.isnan(paired_rates(first, np.zeros(50)).correlation)


def test_patients_must_pair():
    with pytest.raises(InputError, match="do not pair"):
        paired_rates(np.ones(3), np.ones(4))
    with pytest.raises(InputError, match="at least two"):
        paired_times((np.ones(1), np.ones(1)), (np.ones(1), np.ones(1)), 10.0)


# --- paired times -----------------------------------------------------------------------------------------

TIMES = st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=3, max_size=15)


@given(TIMES)
def test_pseudo_observations_are_times_without_censoring_and_average_to_the_estimate(patients):
    time, event = (np.array(column, float) for column in zip(*patients, strict=True))
    assert pseudo_means(time, np.ones(len(time)), 20.0) == pytest.approx(np.minimum(time, 20))
    horizon = float(np.sort(time)[:-1].max())  # leaving one out keeps a curve that long
    if np.sum(time >= horizon) >= 2:
        mean = kaplan_meier(time, event).restricted_mean(horizon)[0]
        assert pseudo_means(time, event, horizon).mean() == pytest.approx(mean, abs=horizon / 4)


def test_pseudo_observations_average_to_the_estimate_in_a_large_cohort():
    dice = np.random.default_rng(1)
    time, limit = dice.exponential(100, 300), dice.uniform(50, 400, 300)
    seen, event = np.minimum(time, limit), time <= limit
    values = pseudo_means(seen, event, 150.0)
    assert values.mean() == pytest.approx(kaplan_meier(seen, event).restricted_mean(150.0)[0], rel=2e-3)


def test_pairing_sharpens_a_difference_by_the_correlation_it_reaches():
    dice = np.random.default_rng(2)
    second = dice.exponential(100, 400)
    first = second * dice.lognormal(0.1, 0.1, 400)
    ended = np.ones(400, bool)
    found = paired_times((first, ended), (second, ended), horizon=200.0)
    unpaired = math.sqrt(np.minimum(first, 200).var(ddof=1) / 400 + np.minimum(second, 200).var(ddof=1) / 400)
    half = (found.high - found.low) / 2 / special.stdtrit(399, 0.975)
    assert half == pytest.approx(unpaired * math.sqrt(1 - found.correlation), rel=0.02)
    assert found.correlation > 0.97 and found.low > 0 and found.p_value < 1e-6
    assert found.longer + found.shorter + found.equal == 400 and found.unknown == 0
    assert found.equal == (np.minimum(first, second) >= 200).sum()


def test_fates_are_told_only_where_censoring_lets_them():
    first = np.array([50.0, 50, 50, 90]), np.array([1, 0, 0, 1])
    second = np.array([40.0, 40, 60, 120]), np.array([1, 1, 1, 0])
    found = paired_times(first, second, horizon=50.0)
    assert (found.longer, found.shorter, found.equal, found.unknown) == (2, 0, 2, 0)
    censored = paired_times((first[0], np.array([1, 0, 1, 1])), (second[0], np.array([0, 0, 1, 1])), 45.0)
    assert censored.unknown == 2


# --- a real trial -----------------------------------------------------------------------------------------


def test_the_power_of_fishers_test_is_the_sum_over_every_table():
    """Two arms of 10 at 0.8 and 0.3: p ≤ 0.05 for the tables that a hand enumeration finds."""
    n, p, q = 10, 0.8, 0.3
    k = np.arange(n + 1)
    power = 0.0
    for a in k:
        for b in k:
            total = a + b
            ways = special.binom(n, k) * special.binom(n, total - k) * ((k <= total) & (total - k <= n))
            ways /= ways.sum()
            if ways[ways <= ways[a] * (1 + 1e-7)].sum() <= 0.05:
                power += binomial(n, p)[a] * binomial(n, q)[b]
    assert fisher_power(p, q, n) == pytest.approx(power, rel=1e-9)


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.7), (0.05, 0.25), (0.1, 0.5)])
def test_power_is_near_that_of_the_textbook_sample_size(p, q):
    """Sizes for 80 % power with continuity correction (Fleiss, Levin & Paik 2003, eq. 4.14 and 4.15)."""
    mean, d = (p + q) / 2, abs(p - q)
    root = 1.96 * math.sqrt(2 * mean * (1 - mean)) + 0.8416 * math.sqrt(p * (1 - p) + q * (1 - q))
    plain = (root / d) ** 2
    n = math.ceil(plain / 4 * (1 + math.sqrt(1 + 4 / (plain * d))) ** 2)
    assert fisher_power(p, q, n) == pytest.approx(0.80, abs=0.04)


@given(st.integers(1, 40), st.floats(0, 1))
def test_the_size_of_an_exact_test_never_exceeds_its_level(n, p):
    assert fisher_power(p, p, n) <= 0.05


def test_arms_that_cannot_be_confused_are_told_apart():
    assert fisher_power(0.0, 0.0, 30) == 0.0 and fisher_power(0.0, 1.0, 30) == pytest.approx(1.0)


def test_power_of_simulated_patients():
    found = power_of_rates(np.arange(10) < 7, np.arange(10) < 5, 103)
    assert found.power == pytest.approx(fisher_power(0.7, 0.5, 103)) and found.error == 0
    dice = np.random.default_rng(3)
    slow, fast = dice.exponential(200, 2000), dice.exponential(100, 2000)
    ended = np.ones(2000, bool)
    power = power_of_times((slow, ended), (fast, ended), 33, seed=1, trials=400)
    # Schoenfeld 1981: events for 80 % power at a ratio of 2 are 4 (1.96 + 0.84)² / (ln 2)² = 65.3.
    assert power.power == pytest.approx(0.80, abs=4 * power.error + 0.02)
    again = power_of_times((slow, ended), (fast, ended), 33, seed=1, trials=400)
    assert again == power and power_of_times((slow, ended), (slow, ended), 33, seed=1, trials=400).power < 0.1
