"""Fit how cell loss differs between patients, so that untreated tumors double as refractory ones do.

    python benchmarks/calibration/growth.py FOLDER [--write]     # half an hour

What is known is the doubling time of untreated tumors: log-normal around 50 d with a standard deviation of 0.6
(validation of refractory cohorts: CONCUR, RECOURSE, CO.26).  T cells that see the tumor slow it, in some patients much,
so that doubling times spread more than cell loss alone makes them.  Patients drawn from the population grow without
treatment; what each one's tumor gains a day less than its cell loss says is the work of its lymphocytes, and chance.
Over every such deficit and every deviate of cell loss, the spread of cell loss is chosen that leaves 16 to 84 % of
doubling times within 50 d e^(±0.6).  FOLDER keeps the runs; `--write` stores the result in `growth.json`, whose
values the catalogue holds.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

import simulator
from simulator.config.load import Experiment
from simulator.experiment.collect import Results
from simulator.experiment.execute import execute

RESULTS = Path(__file__).resolve().parent / "growth.json"
PATH = "cells.tumor.behaviors.die.base"
DOUBLING, SPREAD = 50.0, 0.6  # d; standard deviation of its logarithm
_SOURCE = "derived: doubling 50 d, sigma 0.6 (25-100 d) between untreated refractory patients"
_EXPERIMENT = """
title: untreated growth
use: [human_mss]
block: {{shape: [24, 24, 24], site: 15 um}}
burn_in: 10 d
duration: 126 d
arms: {{untreated: {{}}}}
patients: {patients}
replicates: 1
record: {{series: every 2 d, snapshots: every 126 d}}
seed: 3
"""


def fit(folder: Path, patients: int) -> dict[str, Any]:
    """The spread of cell loss, and what it makes of doubling times."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "growth.yaml"
        path.write_text(_EXPERIMENT.format(patients=patients), encoding="utf-8")
        of = simulator.load(path)
    results = execute(of, folder)
    assert results is not None
    deficits = _deficits(of, results, patients)
    spread = spread_of_loss(deficits)
    return {
        "path": PATH, "value": float(f"{spread:.2g}"), "patients": patients, "source": _SOURCE,
        "median": float(f"{np.median(_doubling(spread, deficits)):.3g}"),
        "deficits": [float(f"{q:.2g}") for q in np.quantile(deficits, (0.16, 0.5, 0.84))],
    }  # fmt: skip


def spread_of_loss(deficits: np.ndarray) -> float:
    """The standard deviation of the logarithm of growth without lymphocytes that makes doubling times as known.

    deficits : growth that each patient lacks [1/d], beyond that at the medians.
    """
    return float(brentq(lambda spread: _spread(_doubling(spread, deficits)) - SPREAD, 0.01, 2.0))


def _doubling(spread: float, deficits: np.ndarray) -> np.ndarray:
    """Doubling times [d] of all pairs of a deviate and a deficit; inf where a tumor does not grow."""
    deviates = ndtri((np.arange(400) + 0.5) / 400)
    growth = np.log(2.0) / DOUBLING * np.exp(spread * deviates)[:, None] - deficits
    return np.where(growth > 0.0, np.log(2.0) / np.maximum(growth, 1e-12), np.inf).ravel()


def _spread(doubling: np.ndarray) -> float:
    """Half of what lies between the 16th and the 84th of a hundred, as a logarithm."""
    low, high = np.quantile(doubling, (0.16, 0.84), method="nearest")
    return 0.5 * math.log(high / low) if math.isfinite(high) else 10.0


def _deficits(of: Experiment, results: Results, patients: int) -> np.ndarray:
    """Growth [1/d] that every patient's tumor lacks against what its cell loss says."""
    table = results.table()
    volumes = table[table["variable"] == "tumor_volume"].pivot_table(
        index="day", columns="patient", values="value"
    )
    days = volumes.index.to_numpy(float)
    standing = _loss(of, None) + math.log(2.0) / DOUBLING
    found = []
    for patient in range(1, patients + 1):
        volume = volumes[patient].to_numpy(float)
        grown = math.log(max(volume[-1], 1e-9) / volume[0]) / (days[-1] - days[0])
        found.append(standing - _loss(of, patient) - grown)
    return np.array(found)


def _loss(of: Experiment, patient: int | None) -> float:
    """Baseline death [1/d] of a patient, or of the file."""
    if patient is None:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "growth.yaml"
            path.write_text(_EXPERIMENT.format(patients=1), encoding="utf-8")
            of, patient = simulator.load(path, ["population=null"]), 1
    return 24.0 * of.model("untreated", patient, "treatment").lesions[0].cells["tumor"].behaviors["die"].base


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="store the result in growth.json")
    given = parser.parse_args()
    found = fit(given.folder, given.patients)
    print(found)
    if given.write:
        RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
