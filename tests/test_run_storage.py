"""Run files: what they hold, who can open them, and what a kill or a full disk leaves behind."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import run_fakes as fakes
import xarray as xr

from simulator.base.errors import InputError, SimulatorError
from simulator.run.layout import CHUNK_BYTES, chunk_shape
from simulator.run.reading import read
from simulator.run.storage import Column, LesionLayout, Rows, RunWriter, Snapshot, resume

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return fakes.write(tmp_path_factory.mktemp("run") / "run.h5", config="x: 1\n" * 40_000)


def check_trusted(path: Path) -> Rows:
    """Every row that /done vouches for is what was written; returns how many there are."""
    with h5py.File(path, "r", swmr=True) as file:
        rows = Rows(*(int(file[f"done/{table}"][()]) for table in Rows._fields))
        for row in range(rows.series):
            lesions, body = fakes.record(row)
            for at, values in zip(("/", "/lesions/1/"), lesions, strict=True):
                assert {name: file[f"{at}series/{name}"][row] for name in values} == values
            assert file["body/msc_lung"][row] == body["msc_lung"]
        for row in range(rows.snapshots):
            arrays, agents = fakes.snapshot(row)
            for at, grids, cells in zip(("/", "/lesions/1/"), arrays, agents, strict=True):
                assert all((file[f"{at}snapshots/{name}"][row] == grids[name]).all() for name in grids)
                start, stop = file[f"{at}agents/offsets"][row : row + 2]
                assert file[f"{at}done/agents"][()] >= stop
                assert all((file[f"{at}agents/{name}"][start:stop] == cells[name]).all() for name in cells)
        for row in range(rows.events // 2):
            drugs = [name.encode() for name in fakes.event(row)["drug"]]
            assert file["events/drug"][2 * row : 2 * row + 2].tolist() == drugs
    return rows


# --- what a file holds -----------------------------------------------------------------------------


def test_h5py_finds_what_was_written(run):
    assert check_trusted(run) == (9, 3, 18)
    with h5py.File(run, "r") as file:
        assert file.attrs["schema"] == b"msc-simulator run 1.1"
        assert file.attrs["complete"] == 1
        assert file.attrs["seed"] == 2**64 - 1
        assert file.attrs["arm"].decode() == "q21d µ"
        assert len(file.attrs["config"]) == 200_000
        assert file["time"][()].tolist() == list(range(9))
        assert file["time"].attrs["units"] == b"d"
        assert file["lesions/1/x_lesion1"][()].tolist() == [10, 30, 50, 70, 90, 110]
        assert file["y_2"][()].tolist() == [15, 45, 75]
        kind = file["snapshots/kind"]
        assert kind.attrs["flag_meanings"].decode().split() == list(fakes.KINDS)
        assert kind.attrs["flag_values"].tolist() == list(fakes.KINDS.values())
        assert list(file["agents"]) == [c.name for c in fakes.AGENTS] + ["offsets"]


def test_no_type_of_variable_length_outside_the_links_between_axes(run):
    def check(name, item):
        for key in item.attrs:
            kind = item.attrs.get_id(key).dtype
            assert h5py.check_vlen_dtype(kind) is None or key == "DIMENSION_LIST", (name, key)
        if isinstance(item, h5py.Dataset):
            assert item.dtype.kind in "iufS", name
            assert item.dtype.names is None

    with h5py.File(run, "r") as file:
        check("/", file)
        file.visititems(check)


def test_xarray_opens_the_tree_without_a_loader(run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_datatree(run, engine="h5netcdf") as tree:
            assert tree["series/cd8"].values.tolist() == list(range(9))
            assert tree["series"]["time"].values.tolist() == list(range(9))
            assert tree["snapshots/cxcl9"].dims == ("snapshot_time", "z", "y_2", "x_4")
            assert tree["snapshots/kind"].attrs["flag_meanings"] == "empty tumor cd8"
            assert tree["agents/position_x"].dims == ("agent",)
            assert tree["lesions/1/snapshots/kind"].dims[1:] == ("z_lesion1", "y_lesion1", "x_lesion1")
            assert tree["events/day"].sizes == {"event": 18}
            assert tree["done/series"].item() == 9
            assert len(tree.attrs["config"]) == 200_000


def test_vtk_shows_every_step(run):
    vtk = pytest.importorskip("vtkmodules.vtkIOHDF")
    from vtkmodules.util.numpy_support import vtk_to_numpy

    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(run))
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == 3
    for step in range(3):
        reader.SetStep(step)
        reader.Update()
        image = reader.GetOutput()
        assert image.GetSpacing() == (15, 15, 15)
        assert image.GetDimensions() == (7, 6, 4)
        assert reader.GetTimeValue() == fakes.SNAPSHOT_HOURS[step] / 24
        for name in ("kind", "pdl1"):
            values = vtk_to_numpy(image.GetCellData().GetArray(name)).reshape(3, 5, 6)
            assert (values == fakes.snapshot(step)[0][0][name]).all()


@pytest.mark.parametrize("shape", [(96, 96, 96), (1, 400, 400), (650, 650, 650), (2, 3000, 3000)])
@pytest.mark.parametrize("itemsize", [1, 4])
def test_a_chunk_is_a_mebibyte_of_whole_planes_or_rows(shape, itemsize):
    z, y, x = chunk_shape(shape, itemsize)
    assert x == shape[2]
    assert y == shape[1] or z == 1
    assert z * y * x * itemsize <= CHUNK_BYTES or (z, y) == (1, 1)
    assert (z, y) == shape[:2] or 2 * z * y * x * itemsize > CHUNK_BYTES


def test_a_live_reader_never_meets_a_dataset_that_moves(tmp_path):
    writer = fakes.writer(tmp_path / "run.h5")

    def places() -> dict[str, int | None]:
        found = {}
        with h5py.File(tmp_path / "run.h5.part", "r", swmr=True) as file:
            file.visititems(lambda name, item: found.update({name: item.id.get_offset()})
                            if isinstance(item, h5py.Dataset) and item.chunks is None else None)  # fmt: skip
        return found

    before = places()
    assert None not in before.values()
    list(fakes.fill(writer))
    assert places() == before
    writer.close(complete=True)


# --- names and completeness ------------------------------------------------------------------------


def test_the_final_name_means_complete(tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(b"an older run")
    writer = fakes.writer(path)
    for _ in fakes.fill(writer):
        assert path.read_bytes() == b"an older run"
    with pytest.raises(ValueError, match="one record more"):
        writer.write_record(*fakes.record(0))
    writer.close(complete=True)
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]
    assert read(path).complete


def test_a_run_that_lacks_records_cannot_be_called_complete(tmp_path):
    writer = fakes.writer(tmp_path / "run.h5")
    list(fakes.fill(writer, 5))
    with pytest.raises(ValueError, match="not complete"):
        writer.close(complete=True)
    writer.close(complete=False)
    writer.close(complete=False)
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5.part"]
    assert check_trusted(tmp_path / "run.h5.part") == (5, 2, 10)
    with h5py.File(tmp_path / "run.h5.part", "r") as file:
        assert file.attrs["complete"] == 0
        assert file["VTKHDF/Steps"].attrs["NSteps"] == 2


def test_rows_not_yet_written_read_as_nan(tmp_path):
    fakes.write(tmp_path / "run.h5", until=5)
    with h5py.File(tmp_path / "run.h5.part", "r") as file:
        assert np.isnan(file["series/tumor_cells"][5:]).all()


# --- wrong use is an error, and changes nothing ----------------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda a, c: a[0].pop("kind"), "missing"),
        (lambda a, c: a[0].update(o2=1), "not declared"),
        (lambda a, c: a[0].update(kind=a[0]["kind"][:2]), "shape"),
        (lambda a, c: a[1].update(kind=a[1]["kind"].astype("i8") + 300), "do not fit"),
        (lambda a, c: a[0].update(pdl1=np.full((3, 5, 6), "a")), "do not fit"),
        (lambda a, c: c[1].update(id=np.arange(7)), "unequal"),
        (lambda a, c: c[1].update(id=np.arange(5) + 0.5), "do not fit"),
    ],
)
def test_a_wrong_snapshot_leaves_the_file_as_it_was(tmp_path, change, match):
    writer = fakes.writer(tmp_path / "run.h5")
    arrays, agents = fakes.snapshot(1)
    change(arrays, agents)
    with pytest.raises(ValueError, match=match):
        writer.write_snapshot(arrays, agents)
    list(fakes.fill(writer))
    writer.close(complete=True)
    assert check_trusted(tmp_path / "run.h5") == (9, 3, 18)


@pytest.mark.parametrize("seconds", [0.0, 1.5, 10.0])
def test_records_wait_five_seconds_at_most_and_nothing_overtakes_them(tmp_path, seconds):
    now = [0.0]
    path = tmp_path / "run.h5"
    writer = RunWriter(path, fakes.attributes(), *fakes.LAYOUT, clock=lambda: now[0])
    written = []
    for row in range(len(fakes.HOURS)):
        writer.write_record(*fakes.record(row))
        written.append(writer.rows.series)
        now[0] += seconds
    late = {0.0: [1] * 9, 1.5: [1, 1, 1, 1, 5, 5, 5, 5, 9], 10.0: list(range(1, 10))}
    assert written == late[seconds]
    assert len(read(path).lesion(0).series["day"]) == written[-1]
    writer.write_events(fakes.event(0))
    assert writer.rows == (9, 0, 2)
    for row in range(len(fakes.SNAPSHOT_HOURS)):
        writer.write_snapshot(*fakes.snapshot(row))
    for row in range(1, len(fakes.HOURS)):
        writer.write_events(fakes.event(row))
    writer.close(complete=True)
    assert fakes.content(path) == fakes.content(fakes.write(tmp_path / "other.h5"))


def test_a_wrong_record_or_event_is_an_error(tmp_path):
    writer = fakes.writer(tmp_path / "run.h5")
    lesions, body = fakes.record(0)
    with pytest.raises(ValueError, match="missing"):
        writer.write_record([lesions[0], {}], body)
    with pytest.raises(ValueError, match="shorter"):
        writer.write_record(lesions[:1], body)
    with pytest.raises(ValueError, match="do not fit"):
        writer.write_events({"type": [0], "day": [1.0], "drug": ["a name longer than sixteen bytes"]})
    assert writer.rows == (0, 0, 0)
    writer.close(complete=False)


@pytest.mark.parametrize(
    "column",
    [
        Column("a/b", "1", ""),
        Column("", "1", ""),
        Column("cd8", "1", "there already"),
        Column("flag", "1", "", "?"),
        Column("text", "1", "", "U8"),
        Column("kind", "1", "", "i4", {"tumor": 1}),
        Column("kind", "1", "", "u1", {"tumor": 256}),
        Column("kind", "1", "", "u1", {"tumor cell": 1}),
    ],
)
def test_a_column_no_reader_understands_is_refused(tmp_path, column):
    layout = LesionLayout((1, 2, 2), 10.0, [*fakes.SERIES, column], [], [])
    with pytest.raises(ValueError, match=r"name|column"):
        RunWriter(tmp_path / "run.h5", {}, [0.0], [0.0], [layout], [], [])
    assert not list(tmp_path.iterdir())


def test_attributes_are_texts_and_numbers(tmp_path):
    with pytest.raises(TypeError, match="host"):
        fakes.writer(tmp_path / "run.h5", host={"cpu": "x"})
    fakes.write(tmp_path / "run.h5", note="", flag=True, share=np.float64(0.5))
    says = read(tmp_path / "run.h5").attributes
    assert (says["note"], says["flag"], says["share"]) == ("", 1, 0.5)


def test_a_run_without_snapshots_cells_events_or_body(tmp_path):
    layout = LesionLayout((1, 2, 2), 10.0, fakes.SERIES, [Snapshot("kind", "1", "", "u1")], [])
    writer = RunWriter(tmp_path / "run.h5", {}, [0.0], [], [layout], [], [])
    writer.write_record([{"tumor_cells": 1, "cd8": 2}], {})
    writer.write_events({})
    writer.close(complete=True)
    assert read(tmp_path / "run.h5").series["cd8"].values.tolist() == [2]


# --- kill, resume, live reading --------------------------------------------------------------------

WRITE_IN_CHILDREN = """
import os, random, signal, sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import run_fakes as fakes
dice = random.Random(1)
for number in range(12):
    child = os.fork()
    if child == 0:
        run = fakes.writer(Path(sys.argv[1]) / f"{number}.h5")
        for _ in fakes.fill(run):
            time.sleep(0.004)
        os._exit(0)
    while number % 2 and not Path(sys.argv[1], f"{number}.h5.part").exists():
        time.sleep(0.001)  # every other one has something to read
    time.sleep(dice.uniform(0.0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_a_killed_run_stays_readable_and_is_resumed_to_the_same_file(tmp_path, run):
    subprocess.run([sys.executable, "-c", WRITE_IN_CHILDREN, str(tmp_path), HERE], check=True)
    left = sorted(tmp_path.glob("*.part"))
    assert len(left) >= 6
    whole = fakes.content(fakes.write(tmp_path / "whole.h5"))
    for part in left:
        path = part.with_suffix("")
        trusted = check_trusted(part)
        assert not read(path).complete
        writer = resume(path, path, fakes.attributes(), *fakes.LAYOUT)
        assert writer.rows == trusted
        list(fakes.fill(writer))
        writer.close(complete=True)
        assert fakes.content(path) == whole


@pytest.mark.parametrize("swmr", [True, False])
@pytest.mark.parametrize("rows", [None, Rows(3, 1, 6), Rows(5, 2, 10), Rows(0, 0, 0)])
def test_resume_goes_on_from_a_checkpoint(tmp_path, rows, swmr):
    fakes.write(tmp_path / "run.h5", until=6, swmr=swmr)
    old = (tmp_path / "run.h5.part").rename(tmp_path / "old.h5")
    writer = resume(old, tmp_path / "run.h5", fakes.attributes(), *fakes.LAYOUT, rows=rows, swmr=swmr)
    assert writer.rows == (rows or (6, 2, 12))
    list(fakes.fill(writer))
    writer.close(complete=True)
    whole = fakes.write(tmp_path / "whole.h5")
    assert fakes.content(tmp_path / "run.h5") == fakes.content(whole)


def test_resume_refuses_another_run_and_keeps_its_file(tmp_path):
    part = fakes.write(tmp_path / "run.h5", until=6).with_name("run.h5.part")
    before = part.read_bytes()
    hours, snapshots, lesions, body, events = fakes.LAYOUT

    def refused(match, layout=fakes.LAYOUT, rows=None, **other):
        with pytest.raises(InputError, match=match):
            resume(part, tmp_path / "run.h5", fakes.attributes(**other), *layout, rows=rows)
        assert part.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["run.h5.part"]

    refused("digest", digest="other")
    refused("fewer", rows=Rows(7, 2, 12))
    refused("fewer", rows=Rows(-1, 2, 12))
    refused("axis", layout=((1.0, *hours[1:]), snapshots, lesions, body, events))
    refused("layout", layout=(hours, snapshots, lesions, [*body, Column("weight", "kg", "")], events))
    refused("layout", layout=(hours, snapshots, lesions, body, [*events, Column("unit", "1", "", "S8")]))


def test_resume_of_a_missing_file_says_so(tmp_path):
    with pytest.raises(InputError, match="no run file"):
        resume(tmp_path / "run.h5", tmp_path / "run.h5", fakes.attributes(), *fakes.LAYOUT)
    assert not list(tmp_path.iterdir())


WRITE_WHEN_TOLD = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import run_fakes as fakes
run = fakes.writer(Path(sys.argv[1]))
print("ready", flush=True)
for _ in fakes.fill(run):
    sys.stdin.readline()
run.close(complete=True)
"""


def test_a_reader_beside_the_writer_sees_whole_rows_only(tmp_path):
    path = tmp_path / "run.h5"
    command = [sys.executable, "-c", WRITE_WHEN_TOLD, str(path), HERE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        seen = []
        for _ in fakes.HOURS:
            process.stdin.write("\n")  # the next record is being written while this one looks
            process.stdin.flush()
            run = read(path)
            cells = run.series["tumor_cells"].values
            assert cells.tolist() == [fakes.record(row)[0][0]["tumor_cells"] for row in range(cells.size)]
            for day in run.snapshot_days:
                index = fakes.SNAPSHOT_HOURS.index(24 * day)
                assert (run.snapshot(day)["kind"].values == fakes.snapshot(index)[0][0]["kind"]).all()
                assert run.cells(day)["id"].tolist() == fakes.snapshot(index)[1][0]["id"].tolist()
            seen.append(cells.size)
    assert process.returncode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert read(path).complete


# --- the disk refuses ------------------------------------------------------------------------------

WRITE_ON_A_FULL_DISK = """
import os, resource, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import run_fakes as fakes
from simulator.base.errors import SimulatorError
from simulator.run import files

folder, hard = Path(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
real_scrap = files._scrap

def scrap():  # the limit stands for this disk, not for memory
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    return real_scrap()

files._scrap = scrap
fakes.write(folder / "finished.h5")
size = (folder / "finished.h5").stat().st_size
for number, share in enumerate((0.0, 0.3, 0.6, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)):
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), hard))
        try:
            run = fakes.writer(folder / f"{number}.h5")
            try:
                list(fakes.fill(run))
                run.close(complete=True)
            finally:
                run.close(complete=False)
        except SimulatorError as error:
            told = str(error)
            assert f"{number}.h5: File too large" in told, told
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            fakes.write(folder / f"later{number}.h5")  # the process goes on
            sys.exit(3)
        sys.exit(0)
    print(share, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_full_disk_is_one_error_and_costs_no_trusted_row(tmp_path):
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", WRITE_ON_A_FULL_DISK, str(tmp_path), HERE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    codes = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert set(codes) == {3}, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob(".*"))
    rows = [check_trusted(part) for part in sorted(tmp_path.glob("*.part"))]
    assert any(0 < n.series < 9 for n in rows)
    assert check_trusted(tmp_path / "finished.h5") == (9, 3, 18)
    assert read(tmp_path / "later0.h5").complete


@pytest.mark.parametrize("folder", ["/proc/self", "missing", "file"])
def test_a_folder_that_takes_no_file_is_one_error(tmp_path, folder):
    (tmp_path / "file").write_text("")
    if folder.startswith("/proc") and not os.path.isdir(folder):
        pytest.skip("no /proc here")
    with pytest.raises(SimulatorError, match=r"Cannot write .*run\.h5: \w+") as told:
        fakes.writer(tmp_path / folder / "run.h5")
    assert told.value.exit_code == 1
