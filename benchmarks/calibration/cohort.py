"""Fit the share of CD8 cells that see the tumor: as many of a cohort respond to anti-PD-1 as in trials.

    python benchmarks/calibration/cohort.py human_mss FOLDER [--write]     # a quarter of an hour a round

Who responds is a matter of how patients differ, so the medians of a species cannot tell: patients drawn from
its population are treated, and RECIST judges them (`experiment.validation.cohorts`).  While the published
range lies beyond a standard error of what was reached, the median moves: a patient responds where the
logarithm of the share exceeds some threshold, and over patients it is spread as the population says (a probit
model).  FOLDER keeps the runs; `--write` stores the result in `responses.json`, whose values the catalogue
holds.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from scipy.special import ndtri

import simulator
from simulator.clinic.endpoints import OBJECTIVE
from simulator.experiment.execute import execute
from simulator.experiment.validation import cohorts

RESULTS = Path(__file__).resolve().parent / "responses.json"
PATH = "cells.cd8.traits.reactive.share"
_SPREAD = 1.15  # of the logarithm between patients, as configs/patients/human_mss.yaml
_EXPERIMENT = """
title: responses of {species}
use: [{species}, anti_pd1]
block: {{shape: [24, 24, 24], site: 15 um}}
burn_in: 10 d
duration: 126 d
arms: {{anti_pd1: {{doses: 200 mg anti_pd1 q21d x6}}}}
patients: {patients}
replicates: 1
record: {{series: every 2 d, snapshots: every 126 d}}
seed: 2
"""


class Wanted(NamedTuple):
    """The range in which the share of responders should lie."""

    low: float
    high: float
    source: str


COHORTS = {
    "human_mss": Wanted(0.0, 0.05, "anti-PD-1 in MMR-proficient disease"),
    "human_msih": Wanted(0.33, 0.35, "anti-PD-1 in MSI-H disease, second line or later: KEYNOTE-164"),
}


def fit(species: str, folder: Path, patients: int, rounds: int) -> dict[str, Any]:
    """Iterate; returns the median with what was wanted and what it reached."""
    wanted, said = COHORTS[species], f"{_catalogued(species):.3g}"
    for turn in range(1, rounds + 1):
        responders = _responders(species, said, folder / f"{species}-{said}", patients)
        print(f"{species}, round {turn}: {PATH} = {said}: {responders} of {patients} respond", flush=True)
        near = (responders + 0.5) / (patients + 1.0)  # nobody and everybody have a finite threshold
        error = math.sqrt(near * (1.0 - near) / patients)
        reached = responders / patients
        if wanted.low - error <= reached <= wanted.high + error or turn == rounds:
            break
        middle = 0.5 * (wanted.low + wanted.high)
        said = f"{float(said) * math.exp(_SPREAD * float(ndtri(middle) - ndtri(near))):.3g}"
    return {
        "path": PATH, "value": said, "wanted": [wanted.low, wanted.high],
        "responders": responders, "patients": patients, "source": wanted.source,
    }  # fmt: skip


def _responders(species: str, share: str, folder: Path, patients: int) -> int:
    """How many of a cohort respond where the median share is this."""
    text = _EXPERIMENT.format(species=species, patients=patients)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "cohort.yaml"
        path.write_text(text, encoding="utf-8")
        results = execute(simulator.load(path, [f"{PATH}={share}"]), folder)
    assert results is not None
    return sum(one.best in OBJECTIVE for one in cohorts.outcomes(results, "anti_pd1"))


def _catalogued(species: str) -> float:
    """The catalogue's median."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "cohort.yaml"
        path.write_text(_EXPERIMENT.format(species=species, patients=1), encoding="utf-8")
        of = simulator.load(path, ["population=null"])
    return float(of.model("anti_pd1", 1, "treatment").lesions[0].cells["cd8"].traits["reactive"].share)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("species", choices=sorted(COHORTS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=120, help="how many a round treats")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--write", action="store_true", help="store the result in responses.json")
    given = parser.parse_args()
    found = fit(given.species, given.folder, given.patients, given.rounds)
    print(found)
    if given.write:
        held = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        held[given.species] = found
        RESULTS.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
