"""Fit the values that no paper gives: entry, barriers, reactive share and cell loss, tissue by tissue.

    python benchmarks/calibration/fit.py human_mss [--write]     # minutes to an hour for each tissue

A fixed-point iteration on the lattice: each value is moved by the ratio of what is wanted to what is
measured, and the rounds after the first are averaged.  What is wanted is published (densities of Michel
2008 PMC2600708, doubling times), or assumed where the table below says so.  The reactive share of humans is
fitted to responses of patients, by `cohort.py`.  `--write` stores the result in `fitted.json`; the catalogue
holds these values, and a test compares the two.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import measure
from measure import Tissue

RESULTS = Path(__file__).resolve().parent / "fitted.json"
_SIZE, _SETTLE, _DAYS = 48, 20, 20
_DAMPING = 0.9  # of each step, in the logarithm
_AVERAGED = 3  # rounds whose estimates make the next one


class Knob(NamedTuple):
    """A value (its path and unit), what it is judged by, and what that should be."""

    path: str
    unit: str
    reached: Callable[[Tissue], float]
    wanted: float
    source: str
    additive: bool = False  # moved by the difference instead of the ratio


def entry(kind: str, nest: float, stroma: float, nests: float, source: str) -> list[Knob]:
    """The entry of a kind by its density in all the tissue, its barrier by the ratio of nest to stroma.

    nest, stroma : cells/mm²; nests : share of the tissue that is nest, the rest being stroma and vessels.
    """

    def overall(nest_density: float, stroma_density: float) -> float:
        return nests * nest_density + (1.0 - nests) * stroma_density

    at = f"cells.{kind}.behaviors"
    return [
        Knob(f"{at}.admit.base", "/mm3/d", lambda t: overall(t.nest[kind], t.stroma[kind]),
             overall(nest, stroma), source),
        Knob(f"{at}.migrate.barrier", "", lambda t: t.nest[kind] / t.stroma[kind], nest / stroma, source),
    ]  # fmt: skip


def growth(doubling: float, source: str) -> Knob:
    """The baseline death by the doubling time [d]."""
    return Knob(
        "cells.tumor.behaviors.die.base", "/d", lambda t: t.growth, math.log(2) / doubling, source, True
    )


def killing(hazard: float, source: str) -> Knob:
    """The reactive share by the kills of CD8 cells [per tumor cell and day]."""
    return Knob("cells.cd8.traits.reactive.share", "", lambda t: t.kill["cd8"], hazard, source)


_MICHEL = "Michel 2008 PMC2600708 Table 2"
_NEST = {"human": 0.65, "mouse": 0.90}


def phenotype(cd8: tuple[float, float], cd4: tuple[float, float], treg: tuple[float, float]) -> list[Knob]:
    """Entry and barriers of an MSS phenotype, which differs in nothing else; (nest, stroma) [cells/mm2]."""
    wanted = {"cd8": cd8, "cd4": cd4, "treg": treg}
    return [
        knob
        for kind, density in wanted.items()
        for knob in entry(kind, *density, _NEST["human"], "assumed: what defines the phenotype")
    ]


# By the name of a patient in the catalogue, perhaps with a phenotype.
TISSUES: dict[str, list[Knob]] = {
    "human_mss": [
        *entry("cd8", 25, 191, _NEST["human"], _MICHEL),
        *entry("cd4", 19, 191, _NEST["human"], f"{_MICHEL}, stroma assumed as CD8"),
        *entry("treg", 12.4, 150, _NEST["human"], f"{_MICHEL}, stroma assumed (100-1000)"),
        *entry("nk", 1, 8, _NEST["human"], "assumed: 3/mm2 (1-10)"),
        growth(50.0, "doubling 50 d: PFS and DCR of untreated refractory patients"),
    ],
    "human_msih": [
        *entry("cd8", 130, 430, _NEST["human"], _MICHEL),
        *entry("cd4", 79, 430, _NEST["human"], f"{_MICHEL}, stroma assumed as CD8"),
        *entry("treg", 34, 200, _NEST["human"], f"{_MICHEL}, stroma assumed"),
        *entry("nk", 1, 8, _NEST["human"], "assumed: 3/mm2 (1-10)"),
        *entry("gdt", 7, 18, _NEST["human"], "assumed: 10/mm2"),
    ],
    "mouse_ct26": [
        *entry("cd8", 160, 270, _NEST["mouse"], "assumed: 163/mm2 in the tumor"),
        *entry("cd4", 78, 130, _NEST["mouse"], "assumed: half of CD8"),
        *entry("treg", 20, 33, _NEST["mouse"], "assumed"),
        *entry("nk", 10, 16, _NEST["mouse"], "assumed"),
        killing(0.016, "assumed: anti-PD-1 leaves 0.2 to 0.5 of the volume at 14 d"),
    ],
    "human_mss inflamed": phenotype((148, 320), (148, 320), (40, 200)),
    "human_mss excluded": phenotype((21, 199), (16, 191), (10, 150)),
    "human_mss desert": phenotype((5, 36), (4, 41), (3, 32)),
}
# A mouse's tumor grows thirty times faster: short spans, or it would be another tumor at their end.  In MSI-H
# reactive cells are so many that their exhaustion lowers IFN-gamma and CXCL9, and so entry, for two months.
_SPANS = {"mouse_ct26": (5, 10), "human_msih": (55, 20)}


def fit(name: str, rounds: int) -> dict[str, dict[str, float | str]]:
    """Iterate; returns each value with what was wanted and what the last round reached."""
    knobs = TISSUES[name]
    species, _, phenotype = name.partition(" ")
    settle, days = _SPANS.get(species, (_SETTLE, _DAYS))
    values = {knob.path: _start(name, knob) for knob in knobs}
    estimates: dict[str, list[float]] = {knob.path: [] for knob in knobs}
    for turn in range(1, rounds + 1):
        changes = {knob.path: _said(values[knob.path], knob.unit) for knob in knobs}
        of = measure.experiment([species], changes, _SIZE, seed=turn, phenotype=phenotype or None)
        reached = measure.tissue(of, days, settle)
        print(f"{name}, round {turn}: doubling {math.log(2) / reached.growth:.1f} d, kills {reached.kill}")
        for knob in knobs:
            got = knob.reached(reached)
            print(f"  {knob.path} = {changes[knob.path]}: {got:.4g}, wanted {knob.wanted:.4g}")
            estimates[knob.path].append(_estimate(knob, values[knob.path], got))
            values[knob.path] = _mean(estimates[knob.path][-_AVERAGED:])
    return {
        knob.path: {
            "value": _said(_mean(estimates[knob.path][1:]), knob.unit),
            "wanted": knob.wanted,
            "reached": float(f"{knob.reached(reached):.3g}"),
            "source": knob.source,
        }
        for knob in knobs
    }


def _estimate(knob: Knob, value: float, got: float) -> float:
    """The value that would have reached what is wanted, were the response linear."""
    if knob.additive:
        return value + got - knob.wanted
    moved = value * (knob.wanted / max(got, 1e-9)) ** _DAMPING
    return min(1.0, moved) if knob.path.endswith(("barrier", "share")) else moved


def _mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def _said(value: float, unit: str) -> str:
    return f"{float(f'{value:.4g}'):g} {unit}".strip()


def _start(name: str, knob: Knob) -> float:
    """The catalogue's value, per day where it is a rate."""
    species, _, phenotype = name.partition(" ")
    model = measure.experiment([species], {}, 8, 1, phenotype or None).model("control", 1, "treatment")
    _, kind, sort, *rest = knob.path.split(".")
    cell = model.lesions[0].cells[kind]
    if sort == "traits":
        return float(cell.traits[rest[0]].share)
    behavior = cell.behaviors[rest[0]]
    return 24.0 * behavior.base if rest[1] == "base" else float(getattr(behavior, rest[1]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tissue", choices=sorted(TISSUES))
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--write", action="store_true", help="store the result in fitted.json")
    given = parser.parse_args()
    found = fit(given.tissue, given.rounds)
    if given.write:
        held = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(held | {given.tissue: found}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
