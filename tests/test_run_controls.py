"""Laws of the null therapy: an arm whose MSCs do nothing receives the very MSCs of the arm it controls."""

import numpy as np
import pytest

import simulator as sim
from simulator.run.simulation import branch, grow

EXPERIMENT = """
title: A law of controls
use: [mouse_ct26, msc_cxcl9_ox40l_mouse, suppression_far]
block: {shape: [14, 14, 14], site: 15 um}
burn_in: 10 h
duration: 4 d
arms:
  msc: {doses: 2e9 cells/kg total msc q1d x2}
  null_therapy: {doses: 2e9 cells/kg total msc q1d x2, use: therapy_null}
  silent:
    doses: 2e9 cells/kg total msc q1d x2
    drugs: {msc_cxcl9_ox40l_mouse: {traits: {cxcl9: 0, ox40l: 0}, secretes: {cxcl9: 0 ng/Mcell/d}}}
cells:
  msc: {behaviors: {secrete cxcl9: {base: 20 ug/Mcell/d}}}
record: {series: every 1 d, snapshots: never}
seed: 4
"""


@pytest.fixture(scope="module")
def arrivals(tmp_path_factory):
    """By arm: MSCs that reached each vessel in each step, MSCs placed by then, and CD8 cells at the end."""
    folder = tmp_path_factory.mktemp("controls")
    (folder / "law.yaml").write_text(EXPERIMENT)
    experiment = sim.load(folder / "law.yaml")
    grow(experiment, "msc", 1, 1, folder / "grown.ckpt")
    found = {}
    for arm in experiment.arms:
        simulation = branch(experiment, arm, 1, 1, folder / "grown.ckpt")
        lesion, at_vessels, placed = simulation.lesions[0], [], []
        for _ in range(48):
            lesion.block.entrance.arrivals[:] = 0
            simulation.advance()
            at_vessels.append(lesion.block.entrance.arrivals.copy())
            placed.append(lesion.placed.copy())
        cd8 = int(np.count_nonzero(lesion.block.state.agents.kind == lesion.block.kind("cd8")))
        found[arm] = np.array(at_vessels), np.array(placed), cd8
    return found


@pytest.mark.parametrize("control", ["null_therapy", "silent"])
def test_a_null_therapy_receives_the_same_mscs_at_the_same_vessels_and_hours(arrivals, control):
    at_vessels, placed, _ = arrivals["msc"]
    assert at_vessels.sum() > 50 and placed[-1].min() > 10
    np.testing.assert_array_equal(arrivals[control][0], at_vessels)
    np.testing.assert_array_equal(arrivals[control][1], placed)


def test_what_the_arms_share_is_not_that_nothing_differs(arrivals):
    assert arrivals["msc"][2] != arrivals["null_therapy"][2]
    assert arrivals["msc"][2] != arrivals["silent"][2]
