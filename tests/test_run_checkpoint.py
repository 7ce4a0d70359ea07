"""Checkpoints: back bit for bit, or not at all."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import hypothesis.extra.numpy as nps
import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.base.errors import InputError, SimulatorError
from simulator.run import checkpoint

ARRAYS = {
    "lesion0/kind": np.random.default_rng(1).integers(0, 5, (6, 40, 40)).astype("u1"),
    "lesion0/field": np.random.default_rng(2).random(3000),
    "host/amount": np.array(2.5),
}
META = {"step": 240, "digest": "ab12", "dt": 0.1}


@pytest.fixture
def path(tmp_path) -> Path:
    checkpoint.save(tmp_path / "c.ckpt", ARRAYS, META)
    return tmp_path / "c.ckpt"


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# --- back bit for bit ------------------------------------------------------------------------------

DTYPES = (
    nps.scalar_dtypes()
    | nps.byte_string_dtypes()
    | nps.unicode_string_dtypes()
    | nps.array_dtypes(nps.scalar_dtypes(), max_size=3)
)
SHAPES = nps.array_shapes(min_dims=0, max_dims=3, min_side=0)
FLAT = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
FACTS = st.recursive(FLAT, lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=5)


@given(
    arrays=st.dictionaries(st.text(max_size=8), nps.arrays(DTYPES, SHAPES), max_size=3),
    meta=st.dictionaries(st.text(), FACTS, max_size=3),
)
def test_whatever_is_saved_comes_back(tmp_path_factory, arrays, meta):
    path = tmp_path_factory.mktemp("any") / "c.ckpt"
    checkpoint.save(path, arrays, meta)
    back, facts = checkpoint.load(path)
    assert list(back) == list(arrays)
    assert all(same_bits(back[name], array) for name, array in arrays.items())
    assert facts == meta


@pytest.mark.parametrize("array", [
    np.arange(24.0).reshape(4, 6).T,
    np.arange(24.0)[::-3],
    np.asfortranarray(np.arange(400_000, dtype="i4").reshape(4, 1000, 100)),
    np.broadcast_to(np.float32(1.5), (300, 1000)),
    np.array([0x7FF0000000000001, 0xFFF8000000000123], "u8").view("f8"),  # payloads of NaN
    np.arange(5, dtype=">i8"),
    np.rec.fromarrays([np.arange(4), np.array([True, False, True, True])], names="id,alive"),
    np.random.default_rng(3).integers(0, 3, 300_000).astype("u1"),
])  # fmt: skip
def test_memory_order_is_no_matter_and_bits_are_kept(tmp_path, array):
    checkpoint.save(tmp_path / "c.ckpt", {"a": array}, {})
    assert same_bits(checkpoint.load(tmp_path / "c.ckpt")[0]["a"], np.asarray(array, array.dtype))


def test_arrays_come_back_writable_and_apart(path):
    first, second = checkpoint.load(path)[0], checkpoint.load(path)[0]
    first["lesion0/field"][:] = 0
    assert same_bits(second["lesion0/field"], ARRAYS["lesion0/field"])


def test_codes_are_compressed(tmp_path):
    codes = np.random.default_rng(1).integers(0, 5, 300_000).astype("u1")
    checkpoint.save(tmp_path / "c.ckpt", {"kind": codes}, {})
    assert (tmp_path / "c.ckpt").stat().st_size < 0.5 * codes.nbytes


def test_saving_needs_little_memory_beside_the_arrays(tmp_path):
    arrays = {"f": np.zeros((2, 1000, 1000)), "t": np.zeros((1000, 2000)).T, "k": np.zeros(4_000_000, "u1")}
    tracemalloc.start()
    try:
        checkpoint.save(tmp_path / "c.ckpt", arrays, {})
        saving = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        checkpoint.load(tmp_path / "c.ckpt")
        loading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    total = sum(array.nbytes for array in arrays.values())
    assert saving < 0.1 * total
    assert loading < 1.2 * total


# --- or not at all ---------------------------------------------------------------------------------


@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_one_changed_byte_is_noticed(tmp_path_factory, place, change):
    path = tmp_path_factory.mktemp("changed") / "c.ckpt"
    checkpoint.save(path, ARRAYS, META)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= change
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"c\.ckpt is (no checkpoint|torn|damaged)"):
        checkpoint.load(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.99, 0.9999, 1.1])
def test_a_torn_or_longer_file_is_noticed(path, share):
    data = path.read_bytes()
    path.write_bytes((data + data)[: int(share * len(data))])
    with pytest.raises(InputError, match=r"c\.ckpt is (no checkpoint|torn|damaged)"):
        checkpoint.load(path)


@pytest.mark.parametrize(("make", "told"), [
    (lambda p: None, "There is no checkpoint"),
    (lambda p: p.mkdir(), "cannot be read: Is a directory"),
    (lambda p: np.savez(p.open("wb"), a=np.arange(3)), "no checkpoint of this simulator"),
    (lambda p: h5py.File(p, "w").close(), "no checkpoint of this simulator"),
    (lambda p: p.write_text("\n" * 600), "no checkpoint of this simulator"),
])  # fmt: skip
def test_what_is_no_checkpoint_is_named(tmp_path, make, told):
    make(tmp_path / "c.ckpt")
    with pytest.raises(InputError, match=told):
        checkpoint.load(tmp_path / "c.ckpt")


@pytest.mark.parametrize("entry", [
    {"dtype": "'|O'"},
    {"dtype": "__import__('os').getpid()"},
    {"dtype": "'<i4'"},
    {"dtype": "'<i8"},
    {"dtype": "(" * 9999},
    {"shape": [10**15]},
    {"shape": [-3]},
    {"shape": "3"},
])  # fmt: skip
def test_a_header_that_lies_runs_no_code_and_takes_no_memory(tmp_path, monkeypatch, entry):
    honest = checkpoint._entry
    monkeypatch.setattr(checkpoint, "_entry", lambda name, array: honest(name, array) | entry)
    checkpoint.save(tmp_path / "c.ckpt", {"a": np.arange(3.0)}, {})
    with pytest.raises(InputError, match="is damaged"):
        checkpoint.load(tmp_path / "c.ckpt")


def test_python_objects_and_facts_beyond_json_are_refused(path):
    before = path.read_bytes()
    with pytest.raises(TypeError, match="Python objects"):
        checkpoint.save(path, {"a": np.array([{}])}, {})
    with pytest.raises(TypeError, match="JSON"):
        checkpoint.save(path, {}, {"a": np.arange(3)})
    assert path.read_bytes() == before


def test_a_new_checkpoint_takes_the_place_of_the_old_one(path):
    checkpoint.save(path, {"a": np.arange(3)}, {"step": 1})
    assert checkpoint.load(path)[1] == {"step": 1}
    assert [p.name for p in path.parent.iterdir()] == ["c.ckpt"]


def test_a_reader_needs_nothing_but_hdf5(path):
    with h5py.File(path, "r") as file:
        header = json.loads(file["header"][()].tobytes())
        names = [entry["name"] for entry in header["arrays"]]
        assert (file[str(names.index("lesion0/field"))][()] == ARRAYS["lesion0/field"]).all()


# --- the disk refuses ------------------------------------------------------------------------------

SAVE_ON_A_FULL_DISK = """
import os, resource, sys
from pathlib import Path
import numpy as np
from simulator.base.errors import SimulatorError
from simulator.run import checkpoint, files

path, hard = Path(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
real_scrap = files._scrap

def scrap():  # the limit stands for this disk, not for memory
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    return real_scrap()

files._scrap = scrap
dice = np.random.default_rng(0)
arrays = {"k": dice.integers(0, 9, 300_000).astype("u1"), "f": dice.random(50_000)}
arrays["t"] = dice.random((300, 40)).T
checkpoint.save(path.with_name("size"), arrays, {})
size = path.with_name("size").stat().st_size
path.with_name("size").unlink()
for limit in (0, 100, 600, 3000, size // 4, size // 2, 3 * size // 4, size - 100):
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            checkpoint.save(path, arrays, {})
        except SimulatorError as error:
            assert "c.ckpt: File too large" in str(error), error
            sys.exit(3)
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3, limit
"""


def test_a_full_disk_is_one_error_and_keeps_the_old_checkpoint(path):
    pytest.importorskip("resource")
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", SAVE_ON_A_FULL_DISK, str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["c.ckpt"]


@pytest.mark.parametrize("folder", ["/proc/self", "missing", "file"])
def test_a_folder_that_takes_no_file_is_one_error(tmp_path, folder):
    (tmp_path / "file").write_text("")
    if folder.startswith("/proc") and not os.path.isdir(folder):
        pytest.skip("no /proc here")
    with pytest.raises(SimulatorError, match=r"Cannot write the checkpoint .*c\.ckpt: \w+"):
        checkpoint.save(tmp_path / folder / "c.ckpt", ARRAYS, META)
