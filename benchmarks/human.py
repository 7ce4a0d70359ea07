"""The blocks that are timed: a patient of the shipped catalogue `human_mss` with every mechanism on."""

import tempfile
from pathlib import Path

import numpy as np

import simulator
from simulator.config.load import Experiment
from simulator.run.doses import doses_of
from simulator.run.simulation import Simulation
from simulator.tissue.state import AGENTS

# MSCs at three hundred times a human dose, so that hundreds reach a block of 96³ and what they do is timed.
_EXPERIMENT = """
title: What a step costs
use: [human_mss, msc_cxcl9_ox40l, anti_pd1]
block: {{shape: [{size}, {size}, {size}], site: 15 um}}
tissue:
  stroma: {stroma}
  vessel: {vessel}
  debris: {debris}
  infiltrate:
    cd8: {{nest: {cd8} cells/mm2, stroma: {cd8} cells/mm2}}
    cd4: {{nest: {cd4} cells/mm2, stroma: {cd4} cells/mm2}}
    treg: {{nest: {treg} cells/mm2, stroma: {treg} cells/mm2}}
    nk: {{nest: {nk} cells/mm2, stroma: {nk} cells/mm2}}
  source: "assumed: round shares of the sites, to time"
fields:
  ifng: {{grid: 2, start: 0.1 ng/mL}}
  tgfb: {{grid: 2}}
  il6: {{grid: 2}}
  suppressor: {{grid: 2}}
burn_in: 1 d
duration: {days} d
arms:
  treated: {{doses: [6e8 cells/kg msc, 2 mg/kg anti_pd1]}}
record: {{series: every 1 d, snapshots: every 7 d}}
"""
_PER_MM2 = 11e-3 / 15e-3**3  # cells/mm² of section on every site, as seeding reckons it
_REMAINS = ("empty", "debris", "necrosis")


def experiment(size: int, tumor: float = 0.70, stroma: float = 0.25, vessel: float = 0.05,
               lymphocytes: float = 0.05, days: float = 7.0) -> Experiment:  # fmt: skip
    """An experiment with a block of `size`³ sites.

    tumor, stroma, vessel : shares of all sites, debris the rest; lymphocytes : per tumor cell.
    """
    density = lymphocytes * tumor * _PER_MM2
    text = _EXPERIMENT.format(
        size=size,
        days=days,
        stroma=stroma,
        vessel=vessel,
        debris=max(0.0, 1.0 - tumor / (1.0 - stroma - vessel)),
        cd8=0.45 * density,
        cd4=0.45 * density,
        treg=0.08 * density,
        nk=0.02 * density,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "experiment.yaml"
        path.write_text(text, encoding="utf-8")
        return simulator.load(path)


def simulation(of: Experiment) -> Simulation:
    """The patient on day 0, with both doses ahead."""
    return Simulation(of.model("treated", 1, "treatment"), (1, 1, 1), doses_of(of, "treated").absolute(72.0))


def living(block) -> int:
    """Living cells of any kind in a block: tumor, stroma, vessels, lymphocytes, MSCs."""
    bulk = np.bincount(block.state.bulk, minlength=len(block.names.kinds))
    remains = sum(int(bulk[code]) for code in map(block.kind, _REMAINS) if code >= 0)
    lymphoid = int(np.count_nonzero(block.state.lymphoid >= 0))
    return len(block.state.bulk) - remains + lymphoid


def agents(block) -> int:
    """Cells with an identity: lymphocytes and MSCs."""
    return int(block.state.count[AGENTS])
