"""Laws of points: what they share is what each would have grown and run on its own, to the bit."""

from pathlib import Path

import numpy as np
import pytest

import simulator as sim
from simulator.run import checkpoint
from simulator.run.doses import doses_of
from simulator.run.simulation import grow, treat

EXPERIMENT = """
title: A law of sweeps
use: [mouse_ct26, msc_cxcl9_ox40l_mouse, anti_pd1_mouse]
block: {shape: [12, 11, 10]}
burn_in: 10 h
duration: 30 h
arms:
  vehicle: {}
  msc: {doses: 2e9 cells/kg msc}
  both: {doses: [2e9 cells/kg msc, 10 mg/kg anti_pd1]}
record: {series: every 6 h, snapshots: every 30 h}
compare: {reference: vehicle, at: 30 h}
seed: 4
sweep:
  factors:
    homing: {path: drugs.msc_cxcl9_ox40l_mouse.tumor_fraction, values: [0.01, 0.04]}
    cell:
      levels:
        shipped: {}
        other:
          use: [homing_doubled, sensitized, licensing_off]
          cells:
            msc:
              traits: {ox40l: 0.5}
              behaviors: {die: {base: 2 /d}, secrete cxcl9: {base: 2000 ng/Mcell/d}}
              rules: [{lyse: {raised_by: contact nk, off: true}}, {die: {raised_by: contact cd8, to: 3 /d}}]
    affinity: {path: drugs.anti_pd1.kd, values: [0.03 nM, 30 nM]}
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    file = tmp_path_factory.mktemp("sweep") / "law.yaml"
    file.write_text(EXPERIMENT)
    return sim.load(file)


@pytest.fixture(scope="module")
def first_and_last(experiment, tmp_path_factory):
    """The two points that differ in everything, with the burn-in that each grows on its own."""
    folder = tmp_path_factory.mktemp("burn_ins")
    points = [experiment.at(experiment.points[k].number) for k in (0, -1)]
    for point in points:
        grow(point, "msc", 1, 1, folder / f"{point.point}.ckpt")
    return [(point, folder / f"{point.point}.ckpt") for point in points]


def same(a: Path, b: Path) -> bool:
    """Whether two runs recorded the same, the text of their configurations aside."""
    one, two = sim.read(a), sim.read(b)
    tables = [(one.series, two.series), (one.body, two.body), (one.snapshot(1.25), two.snapshot(1.25))]
    return all(x.identical(y) for x, y in tables) and one.cells(1.25).equals(two.cells(1.25))


def test_a_burn_in_is_the_same_to_the_bit_whatever_the_products(first_and_last):
    (first, grown), (last, own) = first_and_last
    assert first.burn_in_digest("msc", 1, 1) == last.burn_in_digest("msc", 1, 1)
    (arrays, meta), (others, other_meta) = checkpoint.load(grown), checkpoint.load(own)
    assert meta | {"of": ""} == other_meta | {"of": ""} and arrays.keys() == others.keys()
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], err_msg=name)


@pytest.mark.parametrize("arm", ["vehicle", "both"])
def test_a_run_from_a_shared_burn_in_is_the_run_from_its_own(first_and_last, tmp_path, arm):
    (_, grown), (last, own) = first_and_last
    treat(last, arm, 1, 1, own, tmp_path / "own.h5")
    treat(last, arm, 1, 1, grown, tmp_path / "shared.h5")
    assert same(tmp_path / "own.h5", tmp_path / "shared.h5")


@pytest.mark.parametrize(("arm", "shared"), [("vehicle", True), ("both", False)])
def test_points_share_a_run_where_what_differs_is_not_given(first_and_last, tmp_path, arm, shared):
    runs = []
    for point, grown in first_and_last:
        runs.append(tmp_path / f"{point.point}.h5")
        treat(point, arm, 1, 1, grown, runs[-1])
    digests = {point.digest(arm, 1, 1, doses_of(point, arm).canonical()) for point, _ in first_and_last}
    assert (len(digests) == 1) is shared
    assert same(*runs) is shared
