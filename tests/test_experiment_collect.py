"""Tables hold what the run files hold, tidy and whole; results answer for them."""

import math

import h5py
import numpy as np
import pandas as pd
import pytest
from experiment_fakes import DAYS, ENGINE, FakeArm, FakeExperiment, write_run

from simulator.base.errors import InputError
from simulator.config.schema import Compare
from simulator.experiment.collect import Results, collect
from simulator.experiment.execute import execute
from simulator.experiment.plan import plan
from simulator.experiment.study import Study

ARMS = {"control": FakeArm(), "msc": FakeArm(0.8, expected_mscs=30.0), "low": FakeArm(0.9, expected_mscs=0.5)}


def study_of(tmp_path, **options):
    experiment = FakeExperiment(**{"arms": ARMS, "patients": 4, **options})
    return execute(experiment, tmp_path / "study", workers=1, progress=False, engine=ENGINE)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return study_of(tmp_path_factory.mktemp("collect"))


def test_runs_have_a_row_each(results):
    runs = results.runs
    assert len(runs) == len(results.plan.runs) == 12
    assert runs.complete.all()
    assert (results.path / runs.file[0]).is_file()
    by_arm = runs.groupby("arm").expected_mscs.first()
    assert by_arm["msc"] == 30.0
    assert math.isnan(by_arm["control"])
    assert (runs.h_hot == 0.1 * DAYS[-1]).all()
    assert runs.host.nunique() == 1


def test_the_series_are_tidy_and_exact(results):
    series = results.table()
    assert list(series) == [
        "point",
        "arm",
        "patient",
        "replicate",
        "seed",
        "lesion",
        "day",
        "variable",
        "value",
    ]
    assert len(series) == 12 * len(DAYS) * 3
    one = series.query("arm == 'msc' and patient == 3 and variable == 'tumor_volume'")
    expected = [3.03 * np.exp(day) * (0.8 if day else 1.0) for day in DAYS]
    assert one.value.tolist() == expected


def test_doses_carry_what_was_expected_and_what_arrived(results):
    doses = results.table("doses")
    assert set(doses.arm) == {"msc", "low"}
    assert len(doses) == 8
    assert doses.loc[doses.arm == "low", "expected_mscs"].eq(0.5).all()
    assert doses[["drug", "planned", "given", "unit", "arrived"]].iloc[0].tolist() == [
        "msc",
        1e6,
        1e6,
        "cells",
        3,
    ]


def test_declared_contrasts_are_made_and_too_few_mscs_are_no_verdict_on_the_therapy(results):
    contrasts = results.table("contrasts").set_index("first")
    assert list(contrasts.index) == ["msc", "low"]
    assert contrasts.loc["msc", "verdict"] == "difference"
    assert contrasts.loc["msc", "difference"] == pytest.approx(math.log(0.8) + np.log1p(0.01), rel=1e-12)
    assert contrasts.loc["low", "verdict"] == "too few MSCs in the block"
    assert (contrasts.p_adjusted >= contrasts.p_value).all()


def test_a_contrast_of_ones_own_is_made_from_the_files(results):
    found = results.contrast("low", "msc", "tumor_volume", day=1.0)
    assert found.day == 1.0
    volumes = [(p + 0.01 * p) * math.e * 0.1 for p in (1, 2, 3, 4)]
    assert found.difference == pytest.approx(np.mean(volumes))
    assert results.contrast("msc", "control").day == 2.0
    assert results.contrast("msc", "control", "cd8_density").difference == 0.0


def test_results_are_read_again_from_the_folder_alone(results):
    again = Results(results.path)
    pd.testing.assert_frame_equal(again.table(), results.table())
    assert repr(again) == repr(results)
    assert "12 of 12 runs" in repr(again)
    assert "too few MSCs" in again._repr_html_()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda r: r.table("serie"), "Did you mean 'series'"),
        (lambda r: r.contrast("mcs", "control"), "Did you mean 'msc'"),
        (lambda r: r.contrast("msc", "control", "tumour_volume"), "Did you mean 'tumor_volume'"),
        (lambda r: r.contrast("msc", "control", level=1.0), "no confidence level"),
    ],
)
def test_wrong_names_name_the_nearest(results, call, says):
    with pytest.raises(InputError, match=says):
        call(results)


def test_a_folder_without_a_study_or_tables_says_so(tmp_path):
    with pytest.raises(InputError, match="There is no plan"):
        Results(tmp_path)
    results = study_of(tmp_path)
    (results.path / "tables" / "series.csv").unlink()
    with pytest.raises(InputError, match="Run the study again"):
        results.table()


def test_what_adds_up_is_summed_over_lesions_and_all_else_averaged(tmp_path):
    single, double = (study_of(tmp_path / str(n), lesions=n, patients=2) for n in (1, 2))
    assert set(double.table().lesion) == {0, 1}
    volume = [r.contrast("msc", "control", "tumor_volume").difference for r in (single, double)]
    density = [r.contrast("msc", "control", "cd8_density") for r in (single, double)]
    assert volume[1] == pytest.approx(2 * volume[0])
    assert density[0].difference == density[1].difference == 0.0


def test_missing_runs_are_rows_without_numbers(tmp_path):
    results = study_of(tmp_path)
    Study(results.path).run_file(results.plan.runs[0].digest).unlink()
    collect(results.path)
    runs = results.runs
    assert runs.complete.tolist() == [0] + [1] * 11
    assert math.isnan(runs.last_day[0])
    assert results.table("contrasts").pairs.tolist() == [3, 3]
    assert len(results.table()) == 11 * 9


def test_a_study_without_a_comparison_has_an_empty_table(tmp_path):
    results = study_of(tmp_path, compare=None)
    assert len(results.table("contrasts")) == 0
    assert "verdict" in results.table("contrasts")
    assert results.contrast("msc", "control").outcome == "log tumor_volume"


@pytest.mark.parametrize("outcome", ["log h_hot", "no such series"])
def test_an_outcome_that_says_nothing_spares_the_other_tables(tmp_path, outcome):
    results = study_of(tmp_path, compare=Compare(reference="control", outcome=outcome, at="0 d"))
    assert len(results.table()) == 12 * 9
    assert results.table("contrasts").verdict.tolist() == ["not defined", "too few MSCs in the block"]
    assert results.table("contrasts").difference.isna().all()


def test_a_reference_without_runs_leaves_no_pairs(tmp_path):
    results = study_of(tmp_path, arms={"control": FakeArm()}, compare=Compare(reference="gone"))
    assert len(results.table("contrasts")) == 1
    assert results.table("contrasts").verdict[0] == "no pairs"


def test_a_damaged_run_is_missing_and_said(tmp_path, caplog):
    results = study_of(tmp_path)
    with h5py.File(results.path / results.runs.file[0], "r+") as file:
        del file["series/tumor_volume"], file["series"]
    collect(results.path)
    assert results.runs.complete.tolist() == [0] + [1] * 11
    assert "control, patient 1, replicate 1 counts as missing" in caplog.text
    assert len(results.table()) == 11 * 9


def test_pairs_from_two_machines_are_flagged(tmp_path):
    results = study_of(tmp_path)
    experiment = FakeExperiment(arms=ARMS, patients=4)
    run = plan(experiment).runs[1]
    write_run(experiment, run.arm, run.patient, 1, Study(results.path).run_file(run.digest), host="there")
    collect(results.path)
    assert results.table("contrasts").set_index("first").mixed_hosts.to_dict() == {"msc": 1, "low": 0}


def test_tables_are_whole_or_absent(tmp_path, monkeypatch):
    results = study_of(tmp_path)
    before = {path.name: path.read_bytes() for path in (results.path / "tables").iterdir()}

    def broken(*_):
        raise RuntimeError("half way")

    monkeypatch.setattr("simulator.experiment.collect._dose_rows", broken)
    with pytest.raises(RuntimeError):
        collect(results.path)
    assert before == {path.name: path.read_bytes() for path in (results.path / "tables").iterdir()}
