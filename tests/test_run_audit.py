"""The validator: silent about sound files of every version, and never about a broken one."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import run_fakes as fakes

from simulator import cli
from simulator.base.errors import InputError
from simulator.run import content
from simulator.run.audit import audit
from simulator.run.files import attribute
from simulator.run.reading import read

OLDER = Path(__file__).parent / "data" / "run_1_0.h5"  # written by the version that wrote 1.0


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return fakes.write(tmp_path_factory.mktemp("run") / "run.h5")


def test_a_sound_file_has_no_problems(path, tmp_path):
    assert audit(path) == []
    assert audit(fakes.write(tmp_path / "half.h5", until=5)) == []


def test_a_file_of_an_older_version_is_sound_and_read_as_ever(path):
    assert audit(OLDER) == []
    old, new = read(OLDER), read(path)
    assert old.attributes["schema"] == "msc-simulator run 1.0"
    assert old.series.identical(new.series)
    assert old.body.identical(new.body)
    assert old.events.equals(new.events)
    for day in new.snapshot_days:
        assert old.snapshot(day).identical(new.snapshot(day))
        assert old.cells(day).equals(new.cells(day))


def test_the_content_is_the_same_however_it_came_about(path, tmp_path):
    again = fakes.write(tmp_path / "again.h5", started="another day", host="another machine")
    with h5py.File(path) as a, h5py.File(again) as b, h5py.File(OLDER) as c:
        assert content.digest(a) == content.digest(b) == content.digest(c)
        assert attribute(a, "content") == attribute(b, "content") == content.digest(a)


def change(path: str, value):
    def act(file: h5py.File) -> None:
        file[path][...] = value

    return act


def swap(path: str, values: np.ndarray):
    def act(file: h5py.File) -> None:
        options = {"maxshape": file[path].maxshape, "chunks": file[path].chunks}
        described = dict(file[path].attrs)
        del file[path]
        item = file.create_dataset(path, data=values, **options)
        item.attrs.update({name: described[name] for name in ("units", "long_name")})

    return act


@pytest.mark.parametrize(("act", "told"), [
    (lambda f: f.attrs.__delitem__("host"), "attribute host is missing"),
    (lambda f: f.attrs.__setitem__("seed", "one"), "attribute seed is no whole number"),
    (lambda f: f["series/cd8"].attrs.__delitem__("units"), "/series/cd8 has no units"),
    (swap("series/cd8", np.arange(9)), "axis 0 of /series/cd8 has no scale"),
    (swap("series/cd8", np.arange(4)), "axis 0 of /series/cd8 has no scale"),
    (change("time", 0.0), "/time does not ascend"),
    (change("snapshot_time", np.nan), "/snapshot_time does not ascend"),
    (change("done/events", 99), "/done/events trusts 99 of 18"),
    (change("done/series", 99), "/done/series says 99, there are 9 rows"),
    (change("lesions/1/done/agents", 3), "/lesions/1/agents/offsets do not divide 3 rows"),
    (change("agents/offsets", 1), "/agents/offsets do not divide"),
    (change("snapshots/kind", 3), "/snapshots/kind holds codes without a name: \\[3\\]"),
    (change("agents/position_y", 80.0), "/agents/position_y leaves the block"),
    (change("agents/position_y", np.nan), "/agents/position_y leaves the block"),
    (lambda f: f.__delitem__("VTKHDF/CellData/kind") or f.__setitem__("VTKHDF/CellData/kind", f["time"]),
     "/VTKHDF/CellData/kind is no link"),
    (lambda f: f["VTKHDF/Steps"].attrs.__setitem__("NSteps", 7), "says 7 steps, there are 3"),
    (change("series/cd8", 4), "the numbers are not those that were written"),
    (lambda f: f.attrs.__setitem__("content", "0" * 32), "the numbers are not those that were written"),
])  # fmt: skip
def test_every_broken_promise_is_told(path, tmp_path, act, told):
    copy = shutil.copy(path, tmp_path / "copy.h5")
    with h5py.File(copy, "r+") as file:
        act(file)
    with pytest.raises(AssertionError, match=told):
        assert audit(copy) == []


def test_one_changed_bit_of_any_number_is_told(path, tmp_path):
    """Also of what is not compressed, which HDF5 itself does not guard."""
    with h5py.File(path) as file:
        places = [file[name].id.get_offset() for name in ("series/cd8", "body/msc_lung", "agents/offsets")]
    for place in places:
        changed = bytearray(path.read_bytes())
        changed[place] ^= 1
        (tmp_path / "copy.h5").write_bytes(changed)
        assert audit(tmp_path / "copy.h5")


def test_a_few_bytes_that_announce_terabytes_fill_no_memory(path, tmp_path):
    copy = shutil.copy(path, tmp_path / "copy.h5")
    with h5py.File(copy, "r+") as file:
        del file["series/cd8"]
        file.create_dataset("series/cd8", (10**14,), "f8").attrs.update({"units": "1", "long_name": "x"})
        file["done/series"][()] = 10**14
    with pytest.raises(InputError, match="claims more than its file can hold"):
        audit(copy)


def test_the_command_tells_a_sound_file_from_a_broken_one(path, tmp_path, capsys):
    assert cli.main(["info", "--check", str(path)]) == cli.DONE
    assert "sound, complete, msc-simulator run 1.1" in capsys.readouterr().out
    copy = shutil.copy(path, tmp_path / "copy.h5")
    with h5py.File(copy, "r+") as file:
        del file.attrs["host"]
    assert cli.main(["info", "--check", str(copy)]) == cli.FAILED
    assert "1 problem\n  attribute host is missing" in capsys.readouterr().out
    assert cli.main(["info", "--check", str(tmp_path / "none.h5")]) == cli.BAD_INPUT
