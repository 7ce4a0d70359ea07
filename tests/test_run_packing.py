"""Rounding and coarsening of snapshots: stated, bounded, and of no effect on results."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import simulator as sim
from simulator.run.packing import BITS, coarse, rounded
from simulator.run.simulation import grow, treat

FLOATS = st.lists(st.floats(width=32), min_size=1, max_size=20)


@given(values=FLOATS, bits=st.integers(1, 23))
def test_rounding_keeps_what_it_says(values, bits):
    given_, kept = np.array(values, np.float32), rounded(np.array(values, np.float32), bits)
    odd = ~np.isfinite(given_)
    assert kept[odd].tobytes() == given_[odd].tobytes()
    normal = ~odd & (np.abs(given_) >= np.finfo(np.float32).tiny) & np.isfinite(kept)
    error = np.abs(kept[normal].astype(float) - given_[normal])
    assert (error <= 2.0 ** -(bits + 1) * np.abs(given_[normal].astype(float))).all()
    assert (kept[~odd].view(np.uint32) & ((1 << (23 - bits)) - 1) == 0).all()
    assert rounded(kept, bits).tobytes() == kept.tobytes()


def test_all_bits_are_the_numbers_themselves():
    values = np.random.default_rng(1).random(100, np.float32)
    assert rounded(values, 23) is values


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 5)),
    factor=st.sampled_from([1, 2, 4]),
)
def test_coarse_voxels_are_means_and_keep_the_total_of_whole_ones(shape, factor):
    values = np.random.default_rng(3).random(shape)
    found = coarse(values, factor)
    size = [factor if n > 1 else 1 for n in shape]
    assert found.shape == tuple(-(-n // f) for n, f in zip(shape, size, strict=True))
    for place in np.ndindex(found.shape):
        block = values[tuple(slice(i * f, (i + 1) * f) for i, f in zip(place, size, strict=True))]
        assert found[place] == pytest.approx(block.mean(), rel=1e-12)


EXPERIMENT = """
use: [mouse_ct26]
block: {shape: [8, 8, 8]}
burn_in: 2 h
duration: 4 h
arms: {none: {}}
record: {series: every 1 h, snapshots: every 2 h}
"""


def test_packed_snapshots_say_so_and_change_no_result(tmp_path):
    """Less is written, the runs are the same, and a file that holds less has another name."""
    (tmp_path / "one.yaml").write_text(EXPERIMENT)
    usual = sim.load(tmp_path / "one.yaml")
    exact = usual.with_overrides(["record.bits=23"])
    small = usual.with_overrides(["record.bits=6", "record.coarsen=2"])
    who = ("none", 1, 1)
    grow(usual, *who, tmp_path / "grown.ckpt")
    runs = {}
    for name, experiment in (("usual", usual), ("exact", exact), ("small", small)):
        treat(experiment, *who, tmp_path / "grown.ckpt", tmp_path / f"{name}.h5")
        runs[name] = sim.read(tmp_path / f"{name}.h5")
    assert len({experiment.digest(*who) for experiment in (usual, exact, small)}) == 3
    assert usual.digest(*who) == usual.with_overrides(["record.bits=10"]).digest(*who)
    assert runs["small"].series.identical(runs["exact"].series)
    whole, part, usually = (runs[name].snapshot(4 / 24) for name in ("exact", "small", "usual"))
    assert (whole["kind"].values == part["kind"].values).all()
    assert BITS not in whole["o2"].attrs
    assert (usually["o2"].attrs[BITS], part["o2"].attrs[BITS]) == (10, 6)
    np.testing.assert_allclose(usually["o2"].values, whole["o2"].values, rtol=2.0**-11)
    assert part["o2"].attrs["cell_methods"] == "volume: mean (interval: 2 sites)"
    assert part["o2"].dims == ("z_4", "y_4", "x_4") and whole["o2"].dims == ("z_2", "y_2", "x_2")
    np.testing.assert_allclose(part["o2"].values, coarse(whole["o2"].values, 2), rtol=2.0**-7)
