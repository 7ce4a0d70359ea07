"""The reader: what a run shows, and what it says of files that are none."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import run_fakes as fakes

import simulator as sim
from simulator.base.errors import InputError
from simulator.run.files import part_path
from simulator.run.reading import read


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return fakes.write(tmp_path_factory.mktemp("run") / "run.h5")


@pytest.fixture
def damaged(path, tmp_path) -> Path:
    """A copy to damage."""
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())
    return copy


def look_everywhere(path: Path) -> None:
    run = read(path)
    run.series, run.body, run.events, run.kinds, run.attributes, repr(run)
    for lesion in range(run.lesions):
        for day in run.snapshot_days:
            run.snapshot(day, lesion), run.cells(day, lesion)


# --- what a run shows ------------------------------------------------------------------------------


def test_a_run_says_who_it_is(path):
    run = sim.read(path)
    assert (run.arm, run.patient, run.replicate, run.seed) == ("q21d µ", 3, 1, 2**64 - 1)
    assert (run.digest, run.config, run.complete, run.lesions) == ("ab12", "title: fake\n", True, 2)
    assert run.attributes["schema"] == "msc-simulator run 1.1"
    assert run.kinds == {code: name for name, code in fakes.KINDS.items()}


@pytest.mark.parametrize("lesion", [0, 1])
def test_series_have_days_units_and_names(path, lesion):
    series = read(path).lesion(lesion).series
    assert series["day"].values.tolist() == list(range(9))
    assert list(series.data_vars) == ["tumor_cells", "cd8"]
    assert series["tumor_cells"].attrs == {"units": "cells", "long_name": "living tumor cells"}
    wrote = [fakes.record(k)[0][lesion]["tumor_cells"] for k in range(9)]
    assert series["tumor_cells"].values.tolist() == wrote
    assert (read(path).series == read(path).lesion(0).series).all()


def test_the_body_has_one_value_a_record(path):
    assert read(path).body["msc_lung"].values.tolist() == [k / 3 for k in range(9)]


@pytest.mark.parametrize(("day", "row"), [(0, 0), (4, 1), (3.6, 1), (8.5, 2)])
def test_a_snapshot_is_the_nearest_within_half_a_day(path, day, row):
    shown = read(path).snapshot(day)
    for name, array in fakes.snapshot(row)[0][0].items():
        assert (shown[name].values == array).all()
    assert shown["day"] == fakes.SNAPSHOT_HOURS[row] / 24
    assert shown["kind"].dims == ("z", "y", "x")
    assert shown["cxcl9"].dims == ("z", "y_2", "x_4")
    assert shown["x_4"].values.tolist() == [30, 90]
    assert shown["kind"].attrs["flag_meanings"].split() == list(fakes.KINDS)
    assert shown["kind"].attrs["flag_values"].tolist() == list(fakes.KINDS.values())


def test_axes_of_a_further_lesion_have_plain_names(path):
    shown = read(path).snapshot(day=4, lesion=1)
    assert (shown["kind"].values == fakes.snapshot(1)[0][1]["kind"]).all()
    assert shown["kind"].dims == ("z", "y", "x")
    assert shown["y"].values.tolist() == [10, 30, 50, 70]


@pytest.mark.parametrize("lesion", [0, 1])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_cells_are_a_table_with_names_for_codes(path, row, lesion):
    cells = read(path).cells(fakes.SNAPSHOT_HOURS[row] / 24, lesion)
    wrote = fakes.snapshot(row)[1][lesion]
    names = {code: name for name, code in fakes.KINDS.items()}
    assert list(cells) == [column.name for column in fakes.LESIONS[lesion].agents]
    assert cells["kind"].tolist() == [names[code] for code in wrote["kind"]]
    assert cells["id"].tolist() == wrote["id"].tolist()
    assert lesion or cells["position_x"].tolist() == wrote["position_x"].tolist()
    assert lesion or cells.attrs["units"]["position_x"] == "um"


def test_events_are_a_table_with_texts(path):
    events = read(path).events
    assert events["type"].tolist() == ["dose", "death"] * 9
    assert events["drug"].tolist()[:4] == ["msc0", "é", "msc1", "é"]
    assert events["day"].tolist()[2:4] == [1.0, 1.5]
    assert (events["drug"].str.startswith("msc") == (events["type"] == "dose")).all()


def test_a_code_without_a_name_is_missing_not_an_error(tmp_path):
    writer = fakes.writer(tmp_path / "run.h5")
    writer.write_events({"type": [0, 9], "day": [0, 0], "drug": ["", ""]})
    writer.close(complete=False)
    assert read(tmp_path / "run.h5").events["type"].isna().tolist() == [False, True]


@pytest.mark.parametrize(("call", "told"), [
    (lambda run: run.snapshot(2), r"day 2.*\n.*Recorded days: 0, 4, 8\."),
    (lambda run: run.cells(9), r"day 9.*\n.*Recorded days: 0, 4, 8\."),
    (lambda run: run.snapshot(float("nan")), "day nan"),
    (lambda run: run.lesion(2), r"no lesion 2.*\n.*0 to 1"),
    (lambda run: run.lesion(-1), "no lesion -1"),
])  # fmt: skip
def test_what_was_not_recorded_is_an_error_that_says_what_was(path, call, told):
    with pytest.raises(InputError, match=told):
        call(read(path))


def test_an_unfinished_run_shows_what_it_has_under_its_final_name(tmp_path):
    path = tmp_path / "run.h5"
    fakes.write(path, until=5)
    for name in (path, part_path(path)):
        run = read(name)
        assert not run.complete
        assert run.series["day"].size == 5
        assert run.snapshot_days.tolist() == [0, 4]
        assert len(run.events) == 10
        assert "not complete" in repr(run)
        assert "5 of 9, day 0 to 4" in repr(run)


def test_a_reader_follows_a_run_to_its_final_name(tmp_path):
    writer = fakes.writer(tmp_path / "run.h5")
    run = read(tmp_path / "run.h5")
    assert (run.series.sizes["day"], run.events.shape, repr(run).count("0 of")) == (0, (0, 3), 2)
    with pytest.raises(InputError, match="None is recorded yet"):
        run.snapshot(0)
    list(fakes.fill(writer))
    writer.close(complete=True)
    assert (run.series.sizes["day"], run.complete) == (9, True)


def test_a_notebook_shows_a_run_with_markup_escaped(tmp_path):
    run = read(fakes.write(tmp_path / "run.h5", arm="<b>bold</b>"))
    assert "<td>&lt;b&gt;bold&lt;/b&gt;</td>" in run._repr_html_()
    assert "arm:" in repr(run)


# --- files that are none ---------------------------------------------------------------------------


def write_hdf5(path: Path, schema=None) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1
        if schema is not None:
            file.attrs["schema"] = schema


@pytest.mark.parametrize(("make", "told"), [
    (lambda p: None, "no run file"),
    (lambda p: p.mkdir(), "is a folder"),
    (lambda p: p.write_bytes(b""), "no HDF5 file"),
    (lambda p: p.write_text("day,cells\n0,1\n"), "no HDF5 file"),
    (lambda p: p.write_bytes(pickle.dumps({"series": 1})), "no HDF5 file"),
    (lambda p: write_hdf5(p), "no run of this simulator"),
    (lambda p: write_hdf5(p, "other 1.0"), "no run of this simulator"),
    (lambda p: write_hdf5(p, 3), "no run of this simulator"),
    (lambda p: write_hdf5(p, "msc-simulator run 2.1"), "format 2.1.*reads 1.1"),
    (lambda p: write_hdf5(p, "msc-simulator run 1.1"), "damaged: /done"),
])  # fmt: skip
def test_what_is_no_run_file_is_named(tmp_path, make, told):
    make(tmp_path / "run.h5")
    with pytest.raises(InputError, match=told):
        read(tmp_path / "run.h5")


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_named(path, tmp_path, share):
    whole = path.read_bytes()
    (tmp_path / "run.h5").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"run\.h5 is truncated"):
        read(tmp_path / "run.h5")


def test_changed_bytes_are_an_input_error_or_change_numbers_only(damaged):
    whole, dice, told = damaged.read_bytes(), np.random.default_rng(2), 0
    for _ in range(20):
        changed = bytearray(whole)
        for place in dice.integers(48, len(whole), 3):  # past the superblock
            changed[place] ^= 1 + int(dice.integers(255))
        damaged.write_bytes(changed)
        try:
            look_everywhere(damaged)
        except InputError as error:
            told += "copy.h5" in str(error)
    assert told > 5


PARTS = "body series snapshots agents/offsets done/events done z time lesions/1/done/series".split()


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_part_is_damage(damaged, name):
    with h5py.File(damaged, "r+") as file:
        del file[name]
    with pytest.raises(InputError, match="is damaged"):
        look_everywhere(damaged)


@pytest.mark.parametrize("name", ["series/cd8", "snapshots/kind", "events", "done", "time"])
@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/time"), h5py.SoftLink("/done")])
def test_a_part_that_leads_elsewhere_is_damage(damaged, name, link):
    fakes.write(damaged.with_name("other.h5"))
    with h5py.File(damaged, "r+") as file:
        del file[name]
        file[name] = link
    with pytest.raises(InputError, match="is damaged"):
        look_everywhere(damaged)


def test_a_table_longer_than_its_columns_is_damage(damaged):
    with h5py.File(damaged, "r+") as file:
        file["done/events"][()] = 1000
    with pytest.raises(InputError, match="damaged: /events/type has no rows"):
        read(damaged).events  # noqa: B018


def test_numbers_from_another_file_are_not_read(damaged, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(9.0).tobytes())
    with h5py.File(damaged, "r+") as file:
        del file["series/cd8"]
        file.create_dataset("series/cd8", (9,), "f8", external=str(secret))
    with pytest.raises(InputError, match="no plain dataset"):
        read(damaged).series  # noqa: B018


def test_python_objects_are_not_read(damaged):
    with h5py.File(damaged, "r+") as file:
        del file["events/drug"]
        file.create_dataset("events/drug", (18,), h5py.string_dtype())
    with pytest.raises(InputError, match="neither numbers nor fixed-length text"):
        read(damaged).events  # noqa: B018


def test_a_file_written_plainly_is_refused_until_it_is_closed(tmp_path):
    writer = fakes.writer(tmp_path / "run.h5", swmr=False)
    writer.write_record(*fakes.record(0))
    copy = tmp_path / "killed.h5"
    copy.write_bytes(part_path(tmp_path / "run.h5").read_bytes())
    with pytest.raises(InputError, match="written"):
        read(copy)
    writer.close(complete=False)
    assert read(tmp_path / "run.h5").series["day"].size == 1
