"""Runs that go on as others, are repeated from their own file, and are held against each other."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import run_fakes as fakes

import simulator as sim
from simulator import cli
from simulator.again import again, described
from simulator.base.errors import InputError
from simulator.run.difference import differences
from simulator.run.doses import as_events, doses_of
from simulator.run.resume import named
from simulator.run.simulation import grow, treat

EXPERIMENT = """
title: To be repeated
use: [mouse_ct26, msc_cxcl9_ox40l_mouse, anti_pd1_mouse]
block: {shape: [7, 7, 7]}
burn_in: 3 h
duration: 20 h
arms:
  late:
    doses: [{drug: msc, time: 2 h, amount: 2e9 cells/kg}, {drug: anti_pd1, time: 11 h, amount: 10 mg/kg}]
  table: {doses: given.csv}
patients: 2
record: {series: every 2 h, snapshots: every 10 h, checkpoints: at 10 h}
seed: 4
"""
LATER = (
    EXPERIMENT.replace("duration: 20 h", "duration: 10 h")
    .replace("{drug: msc, time: 2 h, amount: 2e9 cells/kg}, ", "")
    .replace("time: 11 h", "time: 1 h")
)
FIRST = " is the first to differ, in "
TABLE = "TIME,AMT,AMTU,CMT\n0,1e9,cells/kg,msc\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The experiment, and a run of patient 2, whose state of hour 10 is kept."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "one.yaml").write_text(EXPERIMENT)
    (folder / "given.csv").write_text(TABLE)
    experiment = sim.load(folder / "one.yaml")
    grow(experiment, "late", 2, 1, folder / "grown.ckpt")
    digest = experiment.digest("late", 2, 1, doses_of(experiment, "late").canonical())
    treat(experiment, "late", 2, 1, folder / "grown.ckpt", folder / f"{digest}.h5")
    return folder


@pytest.fixture
def run(folder) -> Path:
    (path,) = folder.glob("*.h5")
    return path


# --- branching ---------------------------------------------------------------------------------------


def test_an_arm_from_a_kept_state_is_what_the_run_would_have_been(folder, run, tmp_path):
    """The rest of its doses, given from there on, make the rest of the run."""
    (tmp_path / "later.yaml").write_text(
        LATER.replace("burn_in: 3 h", f"burn_in: {{from: {named(f'{run}@10h')}}}")
    )
    later = sim.load(tmp_path / "later.yaml")
    grow(later, "late", 2, 1, tmp_path / "grown.ckpt")
    treat(later, "late", 2, 1, tmp_path / "grown.ckpt", tmp_path / "later.h5")
    whole, rest = sim.read(run), sim.read(tmp_path / "later.h5")
    for name in ("tumor_cells", "cd8", "nk", "msc_alive", "births_tumor", "deaths_tumor"):
        assert rest.series[name].values.tolist() == whole.series[name].values[5:].tolist(), name
    assert rest.series["msc_alive"].values[0] > 0
    for name in rest.body.data_vars:
        np.testing.assert_allclose(
            rest.body[name].values, whole.body[name].values[5:], rtol=1e-9, err_msg=name
        )
    assert rest.cells(10 / 24).equals(whole.cells(20 / 24))
    doses = rest.events[rest.events["type"] == "dose"]
    assert doses["day"].tolist() == pytest.approx([-8 / 24, 1 / 24])
    assert doses["number"].tolist() == [1, 2]


def test_a_state_that_is_not_kept_is_an_error_that_says_which_are(run, tmp_path):
    assert named(f"{run}@10h") == named(f"{run}@0.41667d") == run.with_name(f"{run.stem}@0.416667d.ckpt")
    for text, told in (
        (f"{run}@5d", "Kept: 0.416667d"),
        (f"{run}@soon", "soon"),
        ("no.h5@1d", "record.checkpoints"),
    ):
        with pytest.raises(InputError, match=told):
            named(text)


# --- again -------------------------------------------------------------------------------------------


def test_a_run_is_repeated_from_nothing_but_its_file(run, tmp_path, capsys):
    copy = shutil.copy(run, tmp_path / "stranger.h5")
    assert cli.main(["run", "--again", str(copy)]) == cli.DONE
    assert "Reproduced: every number" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["stranger.h5"]


def test_what_does_not_come_out_the_same_is_told(run, tmp_path):
    copy = shutil.copy(run, tmp_path / "stranger.h5")
    with h5py.File(copy, "r+") as file:
        file["series/cd8"][4] += 1.0
        file.attrs["simulator_version"] = "0.0.1"
    verdict = again(copy, tmp_path / "again", say=lambda _: None)
    assert not verdict.reproduced
    assert any(f"record 5 (day 0.333333){FIRST}series/cd8" in s for s in verdict.differences)
    assert any("simulator_version: 0.0.1, not" in s for s in verdict.differences)
    assert sim.read(verdict.path).complete
    with pytest.raises(InputError, match="is there already"):
        again(copy, tmp_path / "again", say=lambda _: None)


def test_what_is_no_finished_run_is_not_repeated(tmp_path):
    fakes.write(tmp_path / "half.h5", until=5)
    with pytest.raises(InputError, match="not complete"):
        again(tmp_path / "half.h5")
    fakes.write(tmp_path / "fake.h5")
    with pytest.raises(InputError, match="a configuration that this version cannot run"):
        again(tmp_path / "fake.h5")


def test_doses_of_a_table_travel_in_the_file(folder, tmp_path):
    """The configuration in a run file names no other file: its doses read back to the same bits."""
    experiment = sim.load(folder / "one.yaml")
    regimen = doses_of(experiment, "table")
    text = experiment.resolved("table", 2, as_events(regimen))
    (tmp_path / "alone.yaml").write_text(text)
    alone = sim.load(tmp_path / "alone.yaml")
    assert doses_of(alone, "table") == regimen
    assert alone.digest("table", 2, 1, doses_of(alone, "table").canonical()) == (
        experiment.digest("table", 2, 1, regimen.canonical())
    )


def test_sources_travel_in_the_file(run, tmp_path):
    experiment = described(sim.read(run), tmp_path)
    assert "doi:" in sim.read(run).config
    assert experiment.burn_in_digest("late", 2, 1) == sim.read(run).attributes["burn_in"]


# --- differences -------------------------------------------------------------------------------------


def change(path: Path, tmp_path: Path, act) -> Path:
    copy = shutil.copy(path, tmp_path / "changed.h5")
    with h5py.File(copy, "r+") as file:
        act(file)
    return copy


@pytest.fixture(scope="module")
def fake(tmp_path_factory) -> Path:
    return fakes.write(tmp_path_factory.mktemp("fake") / "fake.h5")


def put(name: str, place, value):
    def act(file: h5py.File) -> None:
        file[name][place] = value

    return act


@pytest.mark.parametrize(("act", "told"), [
    (put("series/cd8", 6, 9), f"record 7 (day 6){FIRST}series/cd8: 6, not 9"),
    (put("body/msc_lung", 3, np.nan), f"record 4 (day 3){FIRST}body/msc_lung: 1.0, not nan"),
    (put("lesions/1/series/cd8", 2, 0), f"record 3 (day 2){FIRST}lesions/1/series/cd8"),
    (put("snapshots/pdl1", (1, 2, 0, 0), 5.0), f"snapshot 2 (day 4){FIRST}snapshots/pdl1"),
    (put("events/day", 5, 5.0), f"event 6{FIRST}events/day: 2.5, not 5.0"),
    (put("agents/id", 3, 1), "cells of snapshot 2 (day 4) are the first to differ: 4 and 4 in /agents"),
    (lambda f: f.__delitem__("series/cd8"), "only the first has series/cd8"),
    (lambda f: f.attrs.__setitem__("host", '{"cpu": "y"}'), "host, cpu: x, not y"),
    (lambda f: f.attrs.__setitem__("config", "title: other\n"), "configuration: -title: fake; +title: other"),
    (lambda f: f.attrs.__setitem__("seed", 3), f"seed: {2**64 - 1}, not 3"),
])  # fmt: skip
def test_a_difference_is_named_with_its_place(fake, tmp_path, act, told):
    found = differences(fake, change(fake, tmp_path, act))
    assert len(found) == 1 and found[0].startswith(told), found


def test_equal_runs_have_no_differences_and_unfinished_ones_none_so_far(fake, tmp_path, capsys):
    assert differences(fake, fakes.write(tmp_path / "again.h5")) == []
    assert differences(fake, fakes.write(tmp_path / "half.h5", until=5)) == []
    assert cli.main(["info", "--diff", str(fake), str(fake)]) == cli.DONE
    other = change(fake, tmp_path, put("series/cd8", 6, 9))
    assert cli.main(["info", "--diff", str(fake), str(other)]) == cli.FAILED
    assert "record 7" in capsys.readouterr().out
