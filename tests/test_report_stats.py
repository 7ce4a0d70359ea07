"""Fans and paired differences over time: laws, and agreement with the table of contrasts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from simulator.experiment.designs.compare import Member, contrast
from simulator.report import stats

NAMES = ["arm", "patient", "replicate"]


def table(values: np.ndarray, patients: int, replicates: int) -> pd.DataFrame:
    """Rows days, columns (arm, patient, replicate) of arms 'a' and 'b'."""
    keys = [(arm, p, r) for arm in "ab" for p in range(patients) for r in range(replicates)]
    return pd.DataFrame(values, columns=pd.MultiIndex.from_tuples(keys, names=NAMES))


def random_table(patients: int, replicates: int, seed: int = 0) -> pd.DataFrame:
    shape = (4, 2 * patients * replicates)
    return table(np.random.default_rng(seed).lognormal(size=shape), patients, replicates)


def test_a_fan_is_the_quantiles_of_the_runs_and_knows_no_order():
    runs = random_table(5, 2)["a"]
    fan = stats.fan(runs)
    assert np.allclose(fan["low"], np.quantile(runs.to_numpy(), 0.05, axis=1))
    assert np.allclose(fan["median"], np.median(runs.to_numpy(), axis=1))
    assert np.allclose(fan["high"], np.quantile(runs.to_numpy(), 0.95, axis=1))
    pd.testing.assert_frame_equal(fan, stats.fan(runs.iloc[:, ::-1]))


def test_a_run_that_ended_early_leaves_the_others_their_fan():
    runs = random_table(5, 1)["a"]
    runs.iloc[2:, 0] = np.nan
    assert np.isfinite(stats.fan(runs).to_numpy()).all()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("patients", "replicates"), [(4, 1), (3, 2), (1, 5), (1, 1)])
def test_the_difference_at_a_day_is_that_of_the_contrast(patients, replicates, log):
    values = random_table(patients, replicates)
    members = [Member(*key, days=np.arange(4.0), values=values[key].to_numpy()) for key in values.columns]
    course = stats.paired(values, "a", "b", log)
    for day in range(4):
        told = contrast(members, "a", "b", "log volume" if log else "volume", float(day))
        expected = [told.difference, told.low, told.high, told.units]
        assert np.allclose(course.loc[day, ["estimate", "low", "high", "n"]], expected, equal_nan=True)


def test_swapping_the_arms_mirrors_the_interval():
    values = random_table(5, 1)
    there, back = stats.paired(values, "a", "b"), stats.paired(values, "b", "a")
    assert np.allclose(there[["estimate", "low", "high"]], -back[["estimate", "high", "low"]])


@settings(max_examples=25)
@given(st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5))
def test_what_a_pair_has_in_common_cancels(shifts):
    values = random_table(5, 1)
    shifted = values + np.tile(shifts, 2)
    assert np.allclose(stats.paired(values, "a", "b"), stats.paired(shifted, "a", "b"), atol=1e-8)
    scaled = values * np.tile(1.0 + np.abs(shifts), 2)
    assert np.allclose(stats.paired(values, "a", "b", True), stats.paired(scaled, "a", "b", True), atol=1e-8)


def test_the_log_of_nothing_is_left_out_not_guessed():
    values = random_table(3, 1)
    values.loc[2, ("a", 0, 0)] = 0.0
    course = stats.paired(values, "a", "b", log=True)
    assert course["n"].tolist() == [3, 3, 2, 3]


def test_an_outcome_names_its_scale_and_its_series():
    assert stats.split_outcome("log tumor_volume") == (True, "tumor_volume")
    assert stats.split_outcome("cd8") == (False, "cd8")
    assert stats.split_outcome("logical") == (False, "logical")
