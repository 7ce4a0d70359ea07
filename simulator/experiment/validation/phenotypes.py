"""Immune phenotypes: densities of CD8 cells in nests and stroma, and whether a tissue keeps its class."""

from typing import TYPE_CHECKING

from ..collect import Results
from .target import Target, judged, within

if TYPE_CHECKING:
    import pandas as pd

_MICHEL = "Michel 2008 PMC2600708"
_OFF = 0.2  # relative distance from a published density that still counts
_STABLE = 0.9  # share of blocks that must keep their class
_DAYS = 10.0  # over which a density is averaged: a block holds some hundred cells


def phenotype(nest: float, stroma: float) -> str:
    """The class of a tissue by its CD8 cells [cells/mm² of section], asked in this order."""
    if nest >= 100.0:
        return "inflamed"
    if stroma < 50.0:
        return "desert"
    return "excluded" if nest < 0.15 * stroma else "intermediate"


def mss(results: Results) -> list[Target]:
    """The medians of MSS and its three phenotypes."""
    rows = _density_rows(results, "median", "MSS", 25.0, 191.0)
    return rows + [_stays(results, name) for name in ("inflamed", "excluded", "desert")]


def msih(results: Results) -> list[Target]:
    """The medians of MSI-H."""
    return _density_rows(results, "median", "MSI-H", 130.0, 430.0)


def _density_rows(results: Results, arm: str, name: str, nest: float, stroma: float) -> list[Target]:
    found = _densities(results, arm)
    last = found[found["span"] == "last"]
    measured = {side: float(last[side].mean()) for side in ("core", "rim")}
    asked = {
        "CD8 in nests, per mm2": (measured["core"], nest, "{:.0f}"),
        "CD8 in stroma, per mm2": (measured["rim"], stroma, "{:.0f}"),
        "ratio of the two": (measured["core"] / measured["rim"], nest / stroma, "{:.2f}"),
    }
    return [
        within(f"{name}: {what}", value, (1.0 - _OFF) * known, (1.0 + _OFF) * known, form, _MICHEL)
        for what, (value, known, form) in asked.items()
    ]


def _stays(results: Results, arm: str) -> Target:
    """Whether the blocks of an arm begin and end in the class that they are named for."""
    found = _densities(results, arm)
    classes = found.assign(
        found=[phenotype(core, rim) for core, rim in zip(found["core"], found["rim"], strict=True)]
    )
    kept = classes.groupby("patient")["found"].agg(lambda each: set(each) == {arm})
    mean = found[["core", "rim"]].mean()
    return judged(
        f"{arm} tissue stays {arm} for 60 d",
        f"in {_STABLE:.0%} of blocks or more",
        f"{kept.sum()} of {len(kept)}",
        kept.mean() >= _STABLE,
        f"CD8 {mean['core']:.0f} in nests, {mean['rim']:.0f} per mm2 in stroma",
    )


def _densities(results: Results, arm: str) -> "pd.DataFrame":
    """Mean densities over the first and the last days, a row a block and span: core, rim [cells/mm²]."""
    import pandas as pd

    table = results.table()
    names = {"cd8_density_core": "core", "cd8_density_rim": "rim"}
    mine = table[(table["arm"] == arm) & table["variable"].isin(names)]
    last = mine["day"].max()
    spans = {"first": mine["day"] <= _DAYS, "last": mine["day"] >= last - _DAYS}
    return pd.concat(
        mine[chosen]
        .assign(variable=mine["variable"].map(names), span=span)
        .pivot_table(index=["patient", "span"], columns="variable", values="value")
        .reset_index()
        for span, chosen in spans.items()
    )
