"""Fit the share of CD8 cells that see the tumor: as many of a cohort respond to anti-PD-1 as in trials.

    python benchmarks/calibration/cohort.py human_mss FOLDER [--write]     # half an hour a species

Who responds is a matter of how patients differ, so the medians of a species cannot tell: patients drawn from
its population are treated, and RECIST judges them (`experiment.validation.cohorts`).  A patient responds
where the logarithm of the share exceeds some threshold; over patients it is spread as the population says, so
each round finds the threshold by the responses and moves the median accordingly (a probit model).  FOLDER
keeps the runs; `--write` stores the result in `fitted.json`.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import NamedTuple

from fit import RESULTS
from scipy.special import ndtri

import simulator
from simulator.clinic.endpoints import OBJECTIVE
from simulator.experiment.execute import execute
from simulator.experiment.validation import cohorts

PATH = "cells.cd8.traits.reactive.share"
_AVERAGED = 3  # rounds whose thresholds make the next median
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
    """The share of a cohort that should respond, and the spread of the logarithm between its patients."""

    response: float
    spread: float
    source: str


COHORTS = {
    "human_mss": Wanted(0.025, 1.15, "anti-PD-1 in MMR-proficient disease: response 0-5 %"),
    "human_msih": Wanted(0.34, 1.15, "anti-PD-1 in MSI-H, second line or later: 33-35 % (KEYNOTE-164)"),
}


def fit(species: str, folder: Path, patients: int, rounds: int) -> dict[str, float | str]:
    """Iterate; returns the median with what was wanted and what the last round reached."""
    wanted = COHORTS[species]
    median, thresholds, reached = _start(species), [], 0.0
    for turn in range(1, rounds + 1):
        said = f"{median:.3g}"
        responders = _responders(species, said, folder / f"{species}-{said}", patients)
        reached = responders / patients
        print(f"{species}, round {turn}: {PATH} = {said}: {responders} of {patients} respond", flush=True)
        at = (responders + 0.5) / (patients + 1.0)  # nobody and everybody have a finite threshold
        thresholds.append(math.log(float(said)) - wanted.spread * float(ndtri(at)))
        threshold = sum(thresholds[-_AVERAGED:]) / len(thresholds[-_AVERAGED:])
        median = math.exp(threshold + wanted.spread * float(ndtri(wanted.response)))
    return {
        "value": f"{median:.3g}",
        "wanted": wanted.response,
        "reached": round(reached, 3),
        "source": wanted.source,
    }


def _responders(species: str, share: str, folder: Path, patients: int) -> int:
    """How many of a cohort respond where the median share is this."""
    text = _EXPERIMENT.format(species=species, patients=patients)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "cohort.yaml"
        path.write_text(text, encoding="utf-8")
        results = execute(simulator.load(path, [f"{PATH}={share}"]), folder)
    assert results is not None
    return sum(one.best in OBJECTIVE for one in cohorts.outcomes(results, "anti_pd1"))


def _start(species: str) -> float:
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
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--write", action="store_true", help="store the result in fitted.json")
    given = parser.parse_args()
    found = fit(given.species, given.folder, given.patients, given.rounds)
    print(found)
    if given.write:
        held = json.loads(RESULTS.read_text(encoding="utf-8"))
        held[given.species][PATH] = found
        RESULTS.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
