"""Paired contrasts against scipy, by simulation, and the verdicts they may and may not give."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import integrate, stats

from simulator.base.errors import InputError
from simulator.experiment.designs import compare
from simulator.experiment.designs.compare import Member, contrast, contrasts
from simulator.experiment.designs.paired import correlation, detectable, holm, paired, spread

DAYS = np.array([0.0, 10.0, 20.0])


def members(arm, values, replicates=1, **facts):
    """Runs of an arm with these values on day 20, replicates within patients."""
    return [
        Member(arm, k // replicates + 1, k % replicates + 1, DAYS, np.array([1.0, 2.0, value]), **facts)
        for k, value in enumerate(values)
    ]


def pair(first, second, **options):
    facts = {key: options.pop(key) for key in ("replicates", "expected_mscs") if key in options}
    return contrast([*members("a", first, **facts), *members("b", second, **facts)], "a", "b", "v", **options)


finite = st.floats(-100.0, 100.0)
pairs_of_values = st.integers(2, 12).flatmap(
    lambda n: st.tuples(st.lists(finite, min_size=n, max_size=n), st.lists(finite, min_size=n, max_size=n))
)


@given(pairs_of_values, st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_and_p_value_are_those_of_the_paired_t_test(values, level):
    first, second = map(np.array, values)
    d = first - second
    if np.std(d) < 1e-6:
        return
    found = pair(first, second, level=level)
    oracle = stats.ttest_rel(first, second)
    interval = oracle.confidence_interval(level)
    assert found.difference == pytest.approx(d.mean(), abs=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-7)
    assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-6, abs=1e-12)


@given(pairs_of_values)
def test_swapping_the_arms_turns_the_sign_and_nothing_else(values):
    one, other = pair(*values), pair(*reversed(values))
    assert one.difference == -other.difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert one.verdict == other.verdict


@given(pairs_of_values, st.randoms())
def test_the_order_of_runs_does_not_matter(values, random):
    runs = [*members("a", values[0]), *members("b", values[1])]
    shuffled = list(runs)
    random.shuffle(shuffled)
    assert str(contrast(runs, "a", "b", "v").row()) == str(contrast(shuffled, "a", "b", "v").row())


def test_pairing_uses_only_what_both_arms_have():
    runs = [*members("a", [1.0, 2.0, 4.0]), *members("b", [1.0, 1.0])]
    found = contrast(runs, "a", "b", "v")
    assert (found.pairs, found.difference) == (2, 0.5)
    assert any("1 run of these arms had no finished partner" in note for note in found.notes)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(20)
    trials, n, truth, level = 4000, 6, 0.3, 0.9
    covered = 0
    for _ in range(trials):
        shared = rng.normal(0.0, 3.0, n)
        found = paired(
            shared + rng.normal(truth, 1.0, n), shared + rng.normal(0.0, 1.0, n), np.arange(n), level
        )
        covered += found.low <= truth <= found.high
    error = math.sqrt(level * (1 - level) / trials)
    assert abs(covered / trials - level) < 4 * error


def test_patients_are_the_sample_where_they_differ():
    """With a patient effect on the difference, counting replicates as patients would cover too rarely."""
    rng = np.random.default_rng(21)
    trials, patients, replicates, level = 2000, 5, 4, 0.95
    whose = np.repeat(np.arange(patients), replicates)
    covered = naive = 0
    for _ in range(trials):
        d = rng.normal(0.0, 1.0, patients)[whose] + rng.normal(0.0, 0.5, patients * replicates)
        for is_naive in (False, True):
            found = paired(d, np.zeros_like(d), np.arange(len(d)) if is_naive else whose, level)
            naive += is_naive and found.low <= 0.0 <= found.high
            covered += not is_naive and found.low <= 0.0 <= found.high
    error = math.sqrt(level * (1 - level) / trials)
    assert abs(covered / trials - level) < 4 * error
    assert naive / trials < 0.85


@pytest.mark.parametrize(
    ("n", "level", "power"), [(2, 0.95, 0.8), (5, 0.9, 0.8), (12, 0.99, 0.5), (200, 0.95, 0.9)]
)
def test_the_detectable_effect_inverts_the_noncentral_t(n, level, power):
    """By its definition: a normal mean over the independent root of a chi-square."""
    sd = 2.5
    shift = detectable(sd, n, level, power) * math.sqrt(n) / sd
    critical = stats.t.ppf(0.5 + level / 2, n - 1)
    root = stats.chi(n - 1, scale=1 / math.sqrt(n - 1))

    def seen(s):
        return root.pdf(s) * (stats.norm.sf(critical * s - shift) + stats.norm.cdf(-critical * s - shift))

    reached, _ = integrate.quad(seen, 0.0, 8.0, limit=500, points=[0.05, 0.5, 1.0, 1.5])
    assert reached == pytest.approx(power, abs=1e-6)


def test_the_detectable_effect_is_seen_with_the_power_it_states():
    rng = np.random.default_rng(22)
    n, trials = 8, 4000
    effect = detectable(1.0, n, 0.95)
    d = rng.normal(effect, 1.0, (trials, n))
    seen = (stats.ttest_1samp(d, 0.0, axis=1).pvalue < 0.05).mean()
    assert abs(seen - 0.8) < 4 * math.sqrt(0.16 / trials)


@given(pairs_of_values)
def test_correlation_is_pearsons(values):
    first, second = map(np.array, values)
    found = correlation(first, second)
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        assert math.isnan(found)
    elif np.ptp(first) > 1e-6 and np.ptp(second) > 1e-6:
        assert found == pytest.approx(stats.pearsonr(first, second).statistic, abs=1e-6)
        assert -1.0 <= found <= 1.0


def test_correlation_of_tiny_numbers_does_not_underflow():
    tiny = 1e-200 * np.array([1.0, 2.0, 4.0])
    assert correlation(tiny, tiny) == pytest.approx(1.0)


def test_the_variance_split_recovers_both_parts():
    rng = np.random.default_rng(23)
    sizes = rng.integers(2, 6, 4000)
    whose = np.repeat(np.arange(4000), sizes)
    d = rng.normal(0.0, 2.0, 4000)[whose] + rng.normal(0.0, 0.7, len(whose))
    between, within = spread(d, whose)
    assert between == pytest.approx(2.0, rel=0.05)
    assert within == pytest.approx(0.7, rel=0.05)


def test_a_negative_variance_between_patients_is_zero():
    assert spread(np.array([1.0, -1.0, 1.0, -1.0]), np.array([1, 1, 2, 2]))[0] == 0.0


def test_replicates_are_averaged_within_patients_and_split_apart():
    found = pair([3.0, 5.0, 9.0, 11.0], [1.0, 1.0, 1.0, 1.0], replicates=2)
    assert (found.pairs, found.patients, found.units) == (4, 2, 2)
    assert found.difference == 6.0
    assert found.sd == pytest.approx(np.std([3.0, 9.0], ddof=1))
    assert found.sd_replicates == pytest.approx(math.sqrt(2.0))
    assert any("averaged within each of 2 patients" in note for note in found.notes)


def test_one_patient_is_judged_by_replicates_and_says_so():
    found = pair([3.0, 5.0, 9.0], [1.0, 1.0, 2.0], replicates=3)
    assert (found.patients, found.units) == (1, 3)
    assert math.isnan(found.sd_patients)
    assert any("nothing of other patients" in note for note in found.notes)


@given(st.lists(st.one_of(st.floats(0.0, 1.0), st.just(math.nan)), max_size=8))
def test_holm_is_the_closed_testing_of_bonferroni(p_values):
    known = [p for p in p_values if not math.isnan(p)]
    found = holm(p_values)
    for p, adjusted in zip(p_values, found, strict=True):
        if math.isnan(p):
            assert math.isnan(adjusted)
            continue
        ordered = sorted(known)
        upto = [min(1.0, q * (len(known) - k)) for k, q in enumerate(ordered) if q <= p]
        assert adjusted == pytest.approx(max(upto))
        assert p <= adjusted <= 1.0


def test_a_clear_difference_is_one_and_noise_is_not_seen_with_what_could_have_been():
    clear = pair([5.0, 6.1, 7.0, 8.2], [1.0, 2.0, 3.0, 4.0], expected_mscs=50.0)
    noise = pair([1.1, 1.9, 3.1, 3.9], [1.0, 2.0, 3.0, 4.0], expected_mscs=50.0)
    assert clear.verdict == compare.DIFFERENCE
    assert noise.verdict == compare.NOT_SEEN
    assert any(f"A true difference of {noise.detectable:.3g} would have been seen" in n for n in noise.notes)


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [8.0, 9.1, 10.0], [1.0]])
def test_too_few_mscs_is_never_no_effect(values):
    found = pair(values, [1.0, 2.0, 3.0][: len(values)], expected_mscs=9.99)
    assert found.verdict == compare.TOO_FEW_MSCS
    assert found.expected_mscs == 9.99


def test_mscs_count_in_the_arm_with_fewest_and_only_where_cells_are_given():
    few, many = members("few", [1.0, 2.0], expected_mscs=3.0), members("many", [1.0, 2.5], expected_mscs=30.0)
    none = members("none", [1.0, 2.2])
    runs = [*few, *many, *none]
    assert contrast(runs, "many", "few", "v").expected_mscs == 3.0
    assert contrast(runs, "many", "none", "v").verdict == compare.NOT_SEEN
    assert math.isnan(contrast([*none, *members("other", [1.0, 2.0])], "none", "other", "v").expected_mscs)


def test_a_single_pair_has_a_difference_and_no_interval():
    found = pair([3.0], [1.0])
    assert found.verdict == compare.SINGLE_PAIR
    assert found.difference == 2.0
    assert all(math.isnan(x) for x in (found.low, found.high, found.p_value, found.detectable))


def test_equal_runs_show_no_difference_and_no_false_precision():
    found = pair([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (found.verdict, found.difference, found.p_value) == (compare.NOT_SEEN, 0.0, 1.0)
    assert math.isnan(found.detectable)
    assert any("equal to the bit" in note for note in found.notes)


def test_a_log_outcome_is_a_log_ratio():
    runs = [*members("a", [2.0, 8.0]), *members("b", [1.0, 2.0])]
    found = contrast(runs, "a", "b", "log v")
    assert found.difference == pytest.approx(math.log(math.sqrt(2.0 * 4.0)))
    assert found.ratio == pytest.approx(math.sqrt(8.0))
    assert math.isnan(contrast(runs, "a", "b", "v").ratio)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_the_log_of_nothing_is_not_defined(value):
    runs = [*members("a", [2.0, value]), *members("b", [1.0, 2.0])]
    found = contrast(runs, "a", "b", "log v")
    assert found.verdict == compare.NOT_DEFINED
    assert math.isnan(found.difference)


def test_the_last_common_record_or_the_declared_day_is_compared():
    long = [
        m._replace(days=np.array([0.0, 10.0, 20.0, 30.0]), values=np.arange(4.0))
        for m in members("a", [0, 0])
    ]
    runs = [*long, *members("b", [5.0, 6.0])]
    assert contrast(runs, "a", "b", "v").day == 20.0
    assert contrast(runs, "a", "b", "v", day=10.0).difference == -1.0
    between = contrast(runs, "a", "b", "v", day=15.0)
    assert between.day == 10.0
    assert any("Day 15 was not recorded by all" in note for note in between.notes)
    with pytest.raises(InputError, match="before the first common record, day 0"):
        contrast(runs, "a", "b", "v", day=-1.0)


def test_pairs_that_mix_hosts_are_flagged():
    runs = [*members("a", [1.0, 2.0], host="x"), *members("b", [1.0, 2.5], host="y")]
    assert contrast(runs, "a", "b", "v").mixed_hosts == 2


def test_an_unknown_arm_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'control'"):
        contrast(members("control", [1.0]), "contrl", "control", "v")
    with pytest.raises(InputError, match="no confidence level"):
        contrast(members("a", [1.0]), "a", "a", "v", level=95.0)


def test_declared_contrasts_are_adjusted_together_and_judged_so():
    rng = np.random.default_rng(3)
    base = rng.normal(0.0, 1.0, 6)
    runs = members("ref", base)
    shifts = {"a": 0.0, "b": 3.0, "c": 0.9}
    for arm, shift in shifts.items():
        runs += members(arm, base + shift + rng.normal(0.0, 0.7, 6))
    found = contrasts(runs, [(arm, "ref") for arm in shifts], "v")
    assert [c.first for c in found] == list(shifts)
    assert [c.p_adjusted for c in found] == holm([c.p_value for c in found])
    for each in found:
        assert (each.verdict == compare.DIFFERENCE) == (each.p_adjusted < 0.05)


def test_an_arm_without_finished_runs_has_no_pairs():
    (found,) = contrasts(members("ref", [1.0]), [("lost", "ref")], "v")
    assert (found.verdict, found.pairs) == (compare.NO_PAIRS, 0)
    assert math.isnan(found.difference)
    assert found.row().keys() == pair([1.0], [2.0]).row().keys()


def test_a_contrast_shows_itself():
    found = pair([5.0, 6.1, 7.0], [1.0, 2.0, 3.0])
    assert repr(found).startswith("a minus b, v, day 20: difference")
    assert "<table>" in found._repr_html_()
