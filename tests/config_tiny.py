"""A catalogue of a few lines, and an experiment on it, for the tests of `simulator.config`."""

from pathlib import Path

from simulator.config.load import Experiment, load
from simulator.config.schema import Observable, Vocabulary
from simulator.tissue.actions import ACTIONS
from simulator.tissue.signals import SIGNALS

OBSERVABLES = {name: Observable(name, "", name) for name in ("tumor_volume", "cd8", "o2_mean", "h_hot")}
VOCABULARY = Vocabulary(ACTIONS, SIGNALS, OBSERVABLES)

FILES = {
    "cells/tumor": """
tumor:
  layer: bulk
  traits: {mhc1: 1, pdl1: 0}
  behaviors:
    divide: {base: 0 /d}
    die: {base: 0.12 /d, leaves: debris, source: "assumed: tiny"}
    take_up o2: {base: 10 /min}
    express pdl1: {base: 0, rise: 1 /d, fall: 1 /d}
  rules:
    - divide: {raised_by: o2, to: 0.24 /d, half_max: 5 mmHg, hill: 4}
    - express pdl1: {raised_by: ifng, to: 1, half_max: 0.11 ng/mL}
""",
    "cells/debris": "debris: {layer: bulk, behaviors: {clear: {base: 1 /d}}}",
    "cells/stroma": "stroma: {layer: bulk, compartment: stroma}",
    "cells/vessel": """
vessel:
  layer: bulk
  compartment: stroma
  behaviors:
    exchange o2: {base: 100 /min, level: 38 mmHg}
""",
    "cells/cd8": """
cd8:
  layer: lymphoid
  traits: {reactive: {share: 0.1}, activated: 0, exhausted: 0}
  behaviors:
    admit: {base: 560 /mm3/d}
    migrate: {base: 0.25 /min, toward: cxcl9, bias: 0.3, half_max: 12.285 ng/mL}
    kill: {base: 6 /d, when: reactive, targets: tumor, on: [mhc1], hits: 3, repair: 50 min, arrest: 30 min}
    divide: {base: 0 /d}
    die: {base: 0.1 /d}
    secrete ifng: {base: 0 molecules/cell/s}
    switch exhausted: {base: 0 /d, set: 1}
  rules:
    - admit: {raised_by: cxcl9, to: 5 x, half_max: 1 nM, against: plasma}
    - kill: {lowered_by: target pdl1, to: 1.2 /d, half_max: 0.5, hill: 2, blocked_by: anti_pd1}
    - divide: {raised_by: contact ox40l, to: 1 /d, half_max: 1, when: activated}
    - divide: {raised_by: engaged, to: 0.2 /d}
    - secrete ifng: {raised_by: engaged, to: 5 molecules/cell/s}
    - switch exhausted: {raised_by: engaged, to: 0.2 /d}
""",
    "cells/msc": """
msc:
  layer: bulk
  tracked: true
  traits: {ox40l: 0, potency: 0}
  behaviors:
    secrete cxcl9: {base: 100 ng/Mcell/d, scaled_by: potency}
    die: {base: 0.35 /d}
""",
    "cells/nk": "nk: {layer: lymphoid, behaviors: {die: {base: 0.1 /d}}}",
    "fields/o2": "o2: {unit: mmHg, diffusion: 1e5 um2/min, decay: 0.1 /min, start: 38 mmHg}",
    "fields/cxcl9": "cxcl9: {unit: nM, diffusion: 50 um2/s, decay: 10 /d, molar_mass: 11.7 kDa}",
    "fields/ifng": "ifng: {unit: ng/mL, diffusion: 100 um2/s, decay: 6.5e-5 /s, molar_mass: 34 kDa}",
    "fields/tgfb": "tgfb: {unit: ng/mL, diffusion: 30 um2/s, decay: 1 /h}",
    "drugs/msc_vector": """
msc_vector:
  type: cells
  cell: msc
  traits: {potency: 0}
  viability: 0.9
  lung_retention: 0.85
  lung_half_life: 1 d
  lung_release: 0.01 /h
  blood_half_life: 1 h
  liver_spleen_share: 0.6
  tumor_fraction: 0.0003
  tumor_reference_volume: 80 mL
  half_life: 2 d
""",
    "drugs/msc_cxcl9": """
msc_cxcl9:
  extends: msc_vector
  traits: {potency: 1}
  secretes: {cxcl9: 100 ng/Mcell/d}
""",
    "drugs/anti_pd1": """
anti_pd1:
  type: antibody
  clearance: 0.2 L/d
  central_volume: 3.5 L
  intercompartmental: 0.8 L/d
  peripheral_volume: 2.9 L
  reference_weight: 77 kg
  molar_mass: 149 kDa
  kd: 0.03 nM
""",
    "regimens/weekly": "weekly: 1e6 cells/kg msc q7d x6",
    "regimens/loading": "loading:\n  - 4e6 cells/kg msc\n  - 1e6 cells/kg msc q7d x5 from 7 d",
    "patients/human": """
use: [tumor, debris, stroma, vessel, cd8, msc, o2, cxcl9, ifng]
tissue: {stroma: 0.3, vessel: 0.05, infiltrate: {cd8: {nest: 21 cells/mm2, stroma: 199 cells/mm2}}}
body:
  weight: 70 kg
  tumor_volume: 80 mL
  blood_volume: 5 L
  plasma_volume: 3 L
  blood: {cd8: 400 cells/uL, nk: 200 cells/uL}
  plasma: {cxcl9: {baseline: 117 pg/mL}}
population:
  body.weight: {log_sd: 0.2, low: 40 kg, high: 130 kg}
  cells.tumor.behaviors.die.base: {sd: 0.02 /d, low: 0.05 /d}
  cells.cd8.traits.reactive.share: {log_sd: 1.0, high: 0.5}
phenotypes:
  inflamed:
    cells: {cd8: {behaviors: {admit: {base: 2000 /mm3/d}}}}
    tissue: {stroma: 0.2}
  excluded:
    cells: {cd8: {behaviors: {migrate: {barrier: 0.13}}}}
""",
}

EXPERIMENT = """
title: Weekly against three-weekly
use: [human, msc_cxcl9, anti_pd1]
block: {shape: [12, 12, 12], phenotype: excluded}
burn_in: 5 d
duration: 42 d
arms:
  control: {}
  q21d: {doses: 2e6 cells/kg msc q21d x2}
  q7d: {doses: weekly}
patients: 3
record: {series: every 1 d, snapshots: every 21 d}
compare: {reference: q21d, outcome: log tumor_volume, at: 42 d}
seed: 7
"""


def catalogue(folder: Path) -> Path:
    """Write the catalogue under `folder`."""
    for name, text in FILES.items():
        path = folder / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "configs"


def experiment(folder: Path, text: str = EXPERIMENT, overrides: tuple[str, ...] = ()) -> Experiment:
    """Write and load an experiment on the tiny catalogue."""
    shelf = folder / "configs" if (folder / "configs").is_dir() else catalogue(folder)
    path = folder / "experiment.yaml"
    path.write_text(text)
    return load(path, VOCABULARY, overrides, shelf)
