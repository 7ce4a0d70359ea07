"""Draw published models side by side with their replications here.

    python benchmarks/replications/figure.py STUDIES FOLDER

STUDIES is what `simulator validate cartopiax physicell kather kather_phenotypes kather_permeability
-o STUDIES` left; FOLDER gets the figures that the pages under docs/replications show.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from simulator.experiment.collect import collect
from simulator.experiment.validation import replications
from simulator.report import canvas, style

_ORIGINAL = {"untreated": (48_000, 50_000), "one_dose": (15_000, 17_500), "two_doses": (3_900, 4_500)}
_LUQUE_ARMS = {"untreated": style.INK, "one_dose": style.ARMS[0], "two_doses": style.ARMS[1]}
_KATHER_ARMS = {
    "little_stroma_few_lymphocytes": (style.ARMS[0], "-"),
    "much_stroma_few_lymphocytes": (style.ARMS[0], "--"),
    "little_stroma_many_lymphocytes": (style.ARMS[1], "-"),
    "much_stroma_many_lymphocytes": (style.ARMS[1], "--"),
}
_BIAS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the original, by point
_NONE = 1e-4  # where no tumor cell is left, on a logarithmic axis
_CLASSES = {
    "cold": (style.MUTED, "o"),
    "hot": (style.ARMS[1], "s"),
    "excluded": (style.KINDS["stroma"], "D"),
    "eradicated": (style.ARMS[2], "^"),
}


def cells(study: Path) -> pd.DataFrame:
    """Tumor cells of every run of a study, by day."""
    table = collect(study).table()
    return table[table["variable"] == "tumor_cells"]


@canvas.drawn
def cartopiax(studies: Path) -> canvas.Plot:
    """Tumor cells over time by arm, a line a seed, and what the original has on day 30."""
    found = cells(studies / "cartopiax")
    legend = [Line2D([], [], color=color, label=arm.replace("_", " ")) for arm, color in _LUQUE_ARMS.items()]
    legend.append(Line2D([], [], color=style.MUTED, linewidth=5, label="original, day 30"))
    figure, (box,) = canvas.sheet(
        "CAR T cells against an organoid",
        "A line a seed; bars: the published range.",
        (5.6, 2.8),
        legend=legend,
    )
    axes = canvas.add_axes(figure, box)
    for arm, color in _LUQUE_ARMS.items():
        for _, run in found[found["arm"] == arm].groupby("patient"):
            axes.plot(run["day"], run["value"], color=color, linewidth=1.0)
        axes.plot([31.0, 31.0], _ORIGINAL[arm], color=color, linewidth=5, solid_capstyle="butt")
    canvas.days_x(axes, 0.0, 31.5)
    canvas.log_y(axes, 300.0, 1e5)
    axes.set_ylabel("tumor cells")
    return canvas.Plot("cartopiax", "CARTopiaX", "", figure)


@canvas.drawn
def physicell(studies: Path) -> canvas.Plot:
    """Tumor cells over time at each bias, and those left after 7 days against the bias."""
    found = cells(studies / "physicell")
    colors = [style.INK, *style.ARMS[:4]]
    legend = [Line2D([], [], color=c, label=f"bias {b:g}") for b, c in zip(_BIAS, colors, strict=True)]
    figure, (first, second) = canvas.sheet(
        "How strongly immune cells home",
        "Left: a line a seed, from the day on which immune cells come.  Right: what is left after 7 days.",
        (3.4, 2.6), 2, 2, gap=(0.8, 0.6), legend=legend,
    )  # fmt: skip
    axes, ends = canvas.add_axes(figure, first), canvas.add_axes(figure, second)
    for (_, runs), bias, color in zip(found.groupby("point"), _BIAS, colors, strict=True):
        for _, run in runs.groupby("patient"):
            axes.plot(run["day"], np.maximum(run["value"], 1.0), color=color, linewidth=1.0)
        left = runs[runs["day"] == 7.0]["value"]
        ends.plot(np.full(len(left), bias), left, "o", color=color, markersize=4)
    canvas.days_x(axes, 0.0, 14.0)
    for each in (axes, ends):
        canvas.log_y(each, 10.0, 3e5)
        each.set_ylabel("tumor cells")
    ends.set_xticks(_BIAS)
    ends.set_xlabel("migration bias of the original")
    return canvas.Plot("physicell", "PhysiCell", "", figure)


@canvas.drawn
def kather(studies: Path) -> canvas.Plot:
    """Courses of the four arms, and what becomes of a tumor by two knobs."""
    found = cells(studies / "kather")
    legend = [
        Line2D([], [], color=color, linestyle=dash, label=arm.replace("a_", "a, ").replace("_", " "))
        for arm, (color, dash) in _KATHER_ARMS.items()
    ]  # fmt: skip
    legend += [
        Line2D([], [], color=color, marker=mark, linestyle="none", label=name)
        for name, (color, mark) in _CLASSES.items()
    ]
    figure, (first, second) = canvas.sheet(
        "Stroma and lymphocytes on a sheet",
        "Left: means of the seeds.  Right: the tumor on day 175 by two chances.",
        (3.4, 2.6), 2, 2, gap=(0.95, 0.6), legend=legend,
    )  # fmt: skip
    axes = canvas.add_axes(figure, first)
    for arm, (color, dash) in _KATHER_ARMS.items():
        mean = found[found["arm"] == arm].groupby("day")["value"].mean()
        axes.plot(mean.index, np.maximum(mean, 1.0), color=color, linestyle=dash)
    canvas.days_x(axes, 0.0, 180.0)
    canvas.log_y(axes, 1.0, 3e5)
    axes.set_ylabel("tumor cells")
    _phenotypes(canvas.add_axes(figure, second), studies)
    return canvas.Plot("kather", "Kather 2017", "", figure)


def _phenotypes(axes: Axes, studies: Path) -> None:
    """A mark a run beside its pair of knobs, by the class of what is left."""
    runs = replications.ratios(collect(studies / "kather_phenotypes"), "point", "patient")
    classes = runs.apply(replications.phenotype, axis=1)
    first = min(point for point, _ in classes.index)
    scars, kills = ("0", "0.01", "0.12", "0.2"), ("0", "0.01", "0.05", "0.25")
    for (point, seed), name in classes.items():
        color, mark = _CLASSES[name]
        scar, kill = divmod(point - first, 4)
        axes.plot(scar + 0.15 * (seed - 3), kill, mark, color=color, markersize=6)
    axes.set_xticks(range(4), scars)
    axes.set_yticks(range(4), kills)
    axes.set_xlim(-0.5, 3.5)
    axes.set_ylim(-0.5, 3.5)
    axes.set_xlabel("chance of a scar in 12 h")
    axes.set_ylabel("chance of a kill in 7.5 min")


@canvas.drawn
def kather_permeability(studies: Path) -> canvas.Plot:
    """What is left 120 days after stroma became permeable, by permeability and influx."""
    results = collect(studies / "kather_permeability")
    before, left = (replications.permeable(results, day) for day in (0.0, 120.0))
    alive = (before > 0.0).all(axis=1)
    ratio = left[alive] / before[alive]
    colors = dict(zip((1, 2, 4, 8), (style.INK, *style.ARMS[:3]), strict=True))
    figure, (first, second) = canvas.sheet(
        "Stroma made permeable, more lymphocytes let in",
        "Left: a mark a sheet, lines through the medians; on the axis: no tumor cell left.",
        (3.4, 2.6), 2, 2, gap=(0.95, 0.6),
        legend=[Line2D([], [], color=c, label=f"influx × {n}") for n, c in colors.items()],
    )  # fmt: skip
    axes, gone = canvas.add_axes(figure, first), canvas.add_axes(figure, second)
    for k, (influx, color) in enumerate(colors.items()):
        arms = [f"x{influx}_p{percent}" for percent in (0, 4, 8, 16)]
        axes.plot(range(4), np.maximum(ratio[arms].median(), _NONE), color=color)
        for place, arm in enumerate(arms):
            at = np.full(len(ratio), place + 0.1 * (k - 1.5))
            axes.plot(at, np.maximum(ratio[arm], _NONE), "o", color=color, markersize=3)
        gone.plot(range(4), 100.0 * (ratio[arms] == 0.0).mean(), "o-", color=color)
    canvas.log_y(axes, _NONE, 20.0)
    axes.set_ylabel("tumor cells, of those on day 0")
    gone.set_ylim(-3.0, 103.0)
    gone.set_ylabel("sheets without a tumor cell (%)")
    for each in (axes, gone):
        each.set_xticks(range(4), ("0", "4", "8", "16"))
        each.set_xlabel("permeability of stroma (%)")
    return canvas.Plot("kather_permeability", "Kather 2017, permeability", "", figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for draw in (cartopiax, physicell, kather, kather_permeability):
        for path in canvas.save(draw(given.studies), given.folder):
            print(path)


if __name__ == "__main__":
    main()
