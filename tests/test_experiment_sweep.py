"""Sweeps from plan to tables: what points share is done once, and every table says its point."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from experiment_fakes import DAYS, ENGINE, FakeArm, FakeExperiment, sweep_of

from simulator.base.errors import InputError, SimulatorError
from simulator.experiment import collect as collecting
from simulator.experiment.collect import TABLES, Results, collect
from simulator.experiment.estimate import estimate
from simulator.experiment.execute import execute
from simulator.experiment.plan import Plan, plan
from simulator.experiment.study import Study

GRID = """
sweep:
  smallest_effect: 0.1
  factors:
    homing: {path: drugs.msc.homing, values: [0.001, 0.01, 0.1], scale: log}
    gene: {path: drugs.msc.gene, values: [1 ng/Mcell/d, 100 ng/Mcell/d], scale: log}
"""
SMALL = GRID.replace("[0.001, 0.01, 0.1]", "[0.001, 0.1]")
ONE = GRID.replace("sweep:", "sweep:\n  design: one_at_a_time")
LATIN = """
sweep:
  design: latin_hypercube
  points: 4
  factors:
    homing: {path: drugs.msc.homing, low: 0.001, high: 0.1, scale: log}
    gene: {path: drugs.msc.gene, low: 1 ng/Mcell/d, high: 100 ng/Mcell/d, scale: log}
"""
ARMS = {"control": FakeArm(), "msc": FakeArm()}


def response(values, arm: str, patient: int) -> tuple[float, float]:
    """The log volume falls by 0.2 a decade of homing × gene above 0.01; MSCs follow homing."""
    reach = max(0.0, math.log10(values["homing"] * values["gene"] / 0.01))
    return math.exp(-0.2 * reach * (1 + 0.05 * patient)), 300.0 * values["homing"]


def experiment(text: str = GRID, **changes) -> FakeExperiment:
    return FakeExperiment(
        **{"arms": ARMS, "patients": 3, "sweep": sweep_of(text), "response": response} | changes
    )


def run(out, of: FakeExperiment, **options) -> Results:
    return execute(of, out, progress=False, **{"workers": 1, "engine": ENGINE, **options})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run(tmp_path_factory.mktemp("grid") / "study", experiment())


# --- plans -------------------------------------------------------------------------------------------


def test_every_point_arm_patient_and_replicate_is_planned_once_in_order():
    planned = plan(experiment(patients=2, replicates=2))
    who = [(run.point, run.patient, run.replicate, run.arm) for run in planned.runs]
    assert who == [
        (n, p, r, a) for n in range(1, 7) for p in (1, 2) for r in (1, 2) for a in ("control", "msc")
    ]
    assert [point[0] for point in planned.points] == [1, 2, 3, 4, 5, 6]
    assert planned.points[1] == (2, 0.001, 100.0)
    assert len(planned.burn_ins) == 4
    assert "point 3" in str(planned.runs[-1].__class__("", "msc", 1, 1, "", 3))


def test_a_plan_of_a_sweep_survives_its_file(tmp_path):
    for text in (GRID, ONE, LATIN):
        planned = plan(experiment(text))
        (tmp_path / "plan.json").write_text(planned.to_json())
        assert Plan.read(tmp_path / "plan.json") == planned


def test_shards_partition_a_sweep_and_no_file_is_made_twice():
    planned = plan(experiment())
    shards = [planned.shard(number, 4) for number in (1, 2, 3, 4)]
    assert sorted(map(str, planned.runs)) == sorted(str(run) for shard in shards for run in shard)
    files = [{run.digest for run in shard} for shard in shards]
    assert sum(map(len, files)) == len(set().union(*files)) == 3 * 7


def test_the_cost_counts_what_is_made():
    size = estimate(experiment(duration=100.0), speed=1e3)
    assert (size.points, size.runs, size.made, size.burn_ins) == (6, 36, 21, 3)
    assert size.cell_hours == pytest.approx(size.cells * (21 * 100 + 3 * 24))
    assert "6 points, 36 runs (21 differ) and 3 burn-ins" in str(size)


def test_a_point_that_cannot_be_is_named_before_anything_runs():
    wrong = experiment(arms={"control": FakeArm(), "msc": FakeArm(doses="2 mg/kg anti_pdl")})
    with pytest.raises(InputError, match=r"(?s)Point 1 of the sweep: .*Did you mean 'anti_pd1'"):
        plan(wrong)


# --- running -----------------------------------------------------------------------------------------


def done(folder) -> list[str]:
    marks = sorted(folder.iterdir(), key=lambda path: int(path.name.split()[-2]))
    names = [path.name.rsplit(" ", 2)[0] for path in marks]
    for path in marks:
        path.unlink()
    return names


def test_the_control_of_a_patient_is_run_once_for_all_points(tmp_path):
    (tmp_path / "marks").mkdir()
    run(tmp_path / "out", experiment(SMALL, marks=str(tmp_path / "marks"), patients=2))
    names = done(tmp_path / "marks")
    assert {name: names.count(name) for name in names} == {
        "burn-in 1": 1, "control 1": 1, "msc 1": 4, "burn-in 2": 1, "control 2": 1, "msc 2": 4,
    }  # fmt: skip


def test_a_sweep_goes_on_where_it_stopped_and_grows_by_levels(tmp_path):
    (tmp_path / "marks").mkdir()
    small = experiment(SMALL, marks=str(tmp_path / "marks"), patients=1)
    run(tmp_path / "out", small)
    assert done(tmp_path / "marks").count("msc 1") == 4
    run(tmp_path / "out", replace(small, sweep=sweep_of(GRID)))
    assert done(tmp_path / "marks") == ["msc 1", "msc 1"]


def test_shards_together_make_a_sweep(tmp_path):
    (tmp_path / "marks").mkdir()
    whole = experiment(SMALL, marks=str(tmp_path / "marks"), patients=2)
    for number in (1, 2, 3):
        last = run(tmp_path / "out", whole, shard=(number, 3))
    assert last.runs.complete.all()
    done(tmp_path / "marks")
    run(tmp_path / "out", whole)
    assert done(tmp_path / "marks") == []


def test_workers_and_this_process_give_the_same_tables(tmp_path):
    run(tmp_path / "one", experiment(SMALL, patients=1))
    run(tmp_path / "two", experiment(SMALL, patients=1), workers=2)
    made = sorted((tmp_path / "one" / "tables").iterdir())
    assert len(made) == 13
    for path in made:
        assert path.read_bytes() == (tmp_path / "two" / "tables" / path.name).read_bytes()


def test_another_sweep_is_named_as_the_difference(tmp_path):
    run(tmp_path / "out", experiment(SMALL, patients=1))
    fewer = experiment(GRID.replace("[0.001, 0.01, 0.1]", "[0.001, 0.02]"), patients=1)
    with pytest.raises(InputError, match="another sweep"):
        run(tmp_path / "out", fewer)


# --- tables ------------------------------------------------------------------------------------------


def test_every_table_says_its_point(results):
    assert list(results.runs.point.unique()) == [1, 2, 3, 4, 5, 6]
    assert len(results.runs) == 36
    series = results.table()
    assert len(series) == 36 * len(DAYS) * 3
    one = series.query("point == 6 and arm == 'msc' and patient == 2 and variable == 'tumor_volume'")
    assert one.value.iloc[-1] == pytest.approx(2.02 * math.exp(2) * math.exp(-0.6 * 1.1))
    assert list(results.table("doses").point.unique()) == [1, 2, 3, 4, 5, 6]
    contrasts = results.table("contrasts")
    assert contrasts.point.tolist() == [1, 2, 3, 4, 5, 6]
    assert contrasts.expected_mscs.tolist() == pytest.approx([0.3, 0.3, 3, 3, 30, 30])
    assert (contrasts.verdict == "too few MSCs in the block").tolist() == [True] * 4 + [False] * 2


def test_points_and_factors_are_listed_with_their_units(results):
    points = results.table("points")
    assert points.iloc[3].tolist() == [4, 0.01, 100.0]
    factors = results.table("factors").set_index("factor")
    assert factors.loc["gene", ["unit", "scale", "low", "high"]].tolist() == ["ng/Mcell/d", "log", 1.0, 100.0]
    assert factors.loc["homing", "base"] == 0.01


def test_outcomes_and_courses_are_those_of_the_contrasts(results):
    outcomes, courses = results.table("outcomes"), results.table("courses")
    assert len(outcomes) == 36
    wide = outcomes.pivot_table(index=["point", "patient"], columns="arm", values="value")
    difference = (wide["msc"] - wide["control"]).groupby("point").mean()
    contrasts = results.table("contrasts").set_index("point").difference
    pd.testing.assert_series_equal(difference, contrasts, check_names=False, rtol=1e-12)
    last = courses[courses.day == DAYS[-1]].set_index("point").difference
    pd.testing.assert_series_equal(last, contrasts, check_names=False, rtol=1e-12)
    assert sorted(courses.day.unique()) == list(DAYS)


def test_a_contrast_of_one_point_is_made_from_its_files(results):
    found = results.contrast("msc", "control", point=6)
    assert found.difference == pytest.approx(results.table("contrasts").difference[5], rel=1e-12)
    for point, says in ((None, "A grid has many points"), (7, "no point 7"), (0, "no point 0")):
        with pytest.raises(InputError, match=says):
            results.contrast("msc", "control", point=point)


def test_the_tables_of_a_design_are_made_and_no_others(tmp_path, results):
    assert {"effects", "threshold"} <= {path.stem for path in (results.path / "tables").iterdir()}
    with pytest.raises(InputError, match="This design has no table 'sensitivity'"):
        results.table("sensitivity")
    sampled = run(tmp_path / "latin", experiment(LATIN, patients=2))
    assert len(sampled.table("sensitivity")) > 0
    assert sampled.contrast("msc", "control").pairs == 2
    conclusions = sampled.table("conclusions")
    assert conclusions.points.tolist() == [4]
    with pytest.raises(InputError, match="no table 'threshold'"):
        sampled.table("threshold")


def test_a_study_without_a_sweep_has_no_table_of_points(tmp_path):
    plain = run(tmp_path / "out", FakeExperiment())
    assert plain.runs.point.unique().tolist() == [0]
    assert {path.stem for path in (plain.path / "tables").iterdir()} == set(TABLES[:5])
    with pytest.raises(InputError, match="Only a sweep has a table 'points'"):
        plain.table("points")


def test_what_is_missing_spares_all_other_points(tmp_path):
    trouble = {"msc 2": "fails"}
    with pytest.raises(SimulatorError, match="4 of 10 runs failed"):
        run(tmp_path / "out", experiment(SMALL, patients=2, trouble=trouble))
    found = Results(tmp_path / "out")
    assert found.table("contrasts").pairs.tolist() == [1] * 4
    assert (found.table("effects").query("quantity == 'msc - control'").units == 1).all()


@pytest.mark.parametrize("text", [GRID, ONE, LATIN])
def test_a_sweep_of_which_nothing_is_finished_has_its_tables(tmp_path, text):
    study, of = Study(tmp_path), experiment(text)
    study.prepare(plan(of))
    collect(tmp_path)
    assert Results(tmp_path).table("conclusions") is not None
    assert len(Results(tmp_path).table("points")) == len(of.points)


def test_a_sweep_without_a_comparison_still_tells_of_its_arms(tmp_path):
    found = run(tmp_path / "out", experiment(SMALL, patients=1, compare=None))
    assert len(found.table("conclusions")) == 0
    assert set(found.table("effects").quantity) == {"control", "msc"}


def test_the_series_of_a_large_sweep_are_its_outcome_alone(results, monkeypatch, caplog):
    monkeypatch.setattr(collecting, "_MOST_ROWS", 100)
    with caplog.at_level("INFO", "simulator"):
        found = collect(results.path)
    monkeypatch.undo()
    assert found.table().variable.unique().tolist() == ["tumor_volume"]
    assert len(found.table()) == 36 * len(DAYS)
    assert "series.csv holds tumor_volume alone: all series of 36 runs would be 324 rows" in caplog.text
    collect(results.path)


def test_of_the_files_read_only_so_many_are_held(results, monkeypatch):
    """A file is read once where points share it, and never more than a few are in memory."""
    read: list[str] = []
    original = collecting.reading.read
    monkeypatch.setattr(collecting.reading, "read", lambda path: read.append(path.stem) or original(path))
    collect(results.path)
    assert len(read) == len(set(read)) == 21
    read.clear()
    monkeypatch.setattr(collecting, "_KEPT_RUNS", 1)
    collect(results.path)
    assert len(read) == 36
