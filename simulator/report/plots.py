"""The figures of time: one function a figure.

Each takes a `Study` and returns a `Plot`, or raises `Missing` where the study
recorded nothing to draw it from.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from . import stats, style
from .canvas import (
    Missing,
    Plot,
    add_axes,
    clean,
    count_y,
    days_x,
    drawn,
    linear_y,
    log_y,
    number,
    sheet,
    wants_log,
)
from .dosing import looks, product_legend
from .study import Study
from .words import outcome_words

_FEW_RUNS = 16  # up to here every run is drawn as a thin line
FAN_ARMS = 4  # up to here fans of several arms share a panel

_WORDS = {  # what a panel calls a quantity; others go by the words of the run file
    "tumor_volume": "tumor volume",
    "tumor_cells": "tumor cells",
    "killed_tumor": "tumor cells killed so far",
    "cd8": "CD8 T cells",
    "cd4": "CD4 T cells",
    "treg": "regulatory T cells",
    "nk": "NK cells",
    "msc_alive": "MSCs",
    "cd8_density_core": "CD8, nests",
    "cd8_density_rim": "CD8, stroma",
    "nk_density": "NK, all tissue",
    "cxcl9_mean": "tissue, mean",
    "cxcl9_max": "tissue, maximum",
    "plasma_cxcl9": "plasma",
}


def required(study: Study, name: str) -> pd.DataFrame:
    """Series `name` of every run; raises Missing."""
    table = study.table(name)
    if table is None or table.empty:
        raise Missing(f"no run recorded {name}")
    return table


def label_of(study: Study, name: str) -> str:
    """Axis label of a quantity, with its unit unless it counts cells or is a plain number."""
    quantity = study.quantities[name]
    words = _WORDS.get(name) or clean(quantity.words, 44)
    unit = "" if quantity.unit in ("", "1", "cells") else f" ({clean(quantity.unit, 24)})"
    return words + unit.replace("um", "µm").replace("m3", "m³").replace("m2", "m²")


def panels(
    count: int, title: str, subtitle: str, across: int = 3, legend: Sequence[Artist] = ()
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` equal panels, at most `across` in a row; one or two panels are larger."""
    size = {1: (5.4, 2.9), 2: (3.6, 2.5)}.get(count, (2.5, 1.75) if across == 3 else (2.2, 1.7))
    figure, boxes = sheet(title, subtitle, size, count, across, gap=(0.6, 0.6), legend=legend)
    return figure, [add_axes(figure, box) for box in boxes]


def arm_legend(study: Study, arms: list[str]) -> list[Line2D]:
    """Legend entries of arms: a line each."""
    styles = style.arm_styles(study.arms, study.reference)
    return [Line2D([], [], **styles[arm], linewidth=2.2, label=arm_words(study, arm)) for arm in arms]


def arm_words(study: Study, arm: str) -> str:
    """An arm's name in a figure; the reference is marked as such."""
    return clean(arm, 26) + (" (reference)" if arm == study.reference else "")


def draw_arm(
    axes: Axes, study: Study, table: pd.DataFrame, arm: str, shade: bool, runs: bool = False
) -> None:
    """Median line of an arm, the fan of its runs (`shade`), and each run as a thin line (`runs`)."""
    line = style.arm_styles(study.arms, study.reference)[arm]
    mine = table[arm].dropna(how="all")
    summary = stats.fan(mine, *study.spread[1:])
    if runs and mine.shape[1] <= _FEW_RUNS:
        axes.plot(mine.index, mine.to_numpy(), color=line["color"], linewidth=0.5, alpha=0.45)
    if shade and mine.shape[1] > 1:
        axes.fill_between(
            summary.index, summary["low"], summary["high"], color=line["color"], alpha=0.15, linewidth=0
        )
    axes.plot(summary.index, summary["median"], **line)


def scale_y(axes: list[Axes], table: pd.DataFrame) -> None:
    """One value axis for panels of one quantity: logarithmic where the values span far."""
    values = table.to_numpy()
    finite = values[np.isfinite(values)]
    for one in axes:
        if not finite.size or finite.min() < 0:
            linear_y(one)
        elif wants_log(finite):
            log_y(one, finite.min() / 1.25, finite.max() * 1.25)
        elif finite.max() > 500 and (finite == 0).any():
            count_y(one, finite.max())
        else:
            linear_y(one, finite.max())


@drawn
def tumor_volume(study: Study) -> Plot:
    """Tumor volume of every arm: medians side by side, then one panel an arm with its fan."""
    table = required(study, "tumor_volume")
    arms = [arm for arm in study.arms if arm in table]
    count = len(arms) + (len(arms) > 1)
    across = 4 if count in (4, 7, 8) or count > 9 else 3
    figure, axes = panels(
        count,
        "Tumor volume in every arm",
        f"Median and {study.spread[0]} (shade) of {study.people()}; thin lines: runs; marks below: doses.",
        across,
        arm_legend(study, arms) + product_legend(study),
    )
    if len(arms) > 1:
        axes[0].set_title("medians of all arms")
        for arm in arms:
            draw_arm(axes[0], study, table, arm, shade=False)
    for one, arm in zip(axes[-len(arms) :], arms, strict=True):
        one.set_title(arm_words(study, arm))
        if study.reference and arm != study.reference:
            ghost = stats.fan(table[study.reference])["median"]
            one.plot(ghost.index, ghost, color=style.MUTED, linewidth=1, dashes=(2, 2))
        draw_arm(one, study, table, arm, shade=True, runs=True)
        _dose_marks(one, study, arm)
    scale_y(axes, table)
    _share(axes, table, label_of(study, "tumor_volume"), across)
    ghost = f" Gray dashes repeat the median of {clean(study.reference)}." if study.reference else ""
    small = " Differences of a few percent do not show here: see the paired differences." if ghost else ""
    caption = f"Volume of the simulated lesion, live cells and debris.{ghost}{small}"
    return Plot("tumor_volume", "Tumor volume", caption, figure)


def _share(axes: list[Axes], table: pd.DataFrame, label: str, across: int) -> None:
    """Equal limits for panels of one quantity; labels at the left edge and the foot only."""
    low = min(one.get_ylim()[0] for one in axes)
    high = max(one.get_ylim()[1] for one in axes)
    across = min(across, len(axes))
    for i, one in enumerate(axes):
        one.set_ylim(low, high)
        days_x(one, table.index.min(), table.index.max(), label=i + across >= len(axes))
        if i % across == 0:
            one.set_ylabel(label)
        else:
            one.tick_params(labelleft=False)


def _dose_marks(axes: Axes, study: Study, arm: str) -> None:
    """Small marks at the foot of a panel where the arm's doses fall."""
    doses = study.arm_doses(arm)
    for product, (color, mark) in looks(study).items():
        days = doses.loc[(doses["drug"] == product) & (doses["planned"] > 0), "day"].unique()
        height = 0.03 if study.is_cells(product) else 0.09
        axes.plot(
            days, np.full(len(days), height), mark, transform=axes.get_xaxis_transform(),
            color=color, markersize=3.6, clip_on=False, linestyle="none",
        )  # fmt: skip


@drawn
def paired_difference(study: Study) -> Plot:
    """Each arm against the reference over time, paired, with its interval."""
    log, name = stats.split_outcome(study.outcome)
    table = required(study, name)
    if study.reference is None or study.reference not in table:
        raise Missing("the study declares no reference arm")
    others = [arm for arm in study.arms if arm in table and arm != study.reference]
    if not others:
        raise Missing("there is no second arm to compare")
    reference = study.reference
    unit, pairs = stats.pairing_unit(table, others[0], reference)
    level = study.level
    spread = f"{100 * level:g} % interval over {pairs} {unit} pairs" if pairs > 1 else "one pair: no interval"
    measure = "Geometric mean ratio" if log else "Mean difference"
    words = outcome_words(study.outcome)
    figure, axes = panels(
        len(others),
        f"{words[:1].upper()}{words[1:]} of each arm against {clean(reference, 40)}",
        f"{measure} within the same patient and replicate, {spread}.",
    )
    styles = style.arm_styles(study.arms, reference)
    for one, arm in zip(axes, others, strict=True):
        one.axhline(1 if log else 0, color=style.INK, linewidth=0.9)
        draw_paired(one, study, table, arm, 0.2, color=styles[arm]["color"])
        one.set_title(arm_words(study, arm))
    difference_axes(axes, log)
    label = f"ratio to {clean(reference, 18)}" if log else f"difference from {clean(reference, 18)}"
    _share(axes, table, label, 3)
    caption = (
        f"{'Ratio (geometric mean)' if log else 'Difference (mean)'} of each arm to the reference, "
        f"paired by patient and replicate; the line marks no difference. Replicates are averaged "
        f"within a patient. Outcome as declared: {clean(study.outcome)}."
    )
    return Plot("paired_difference", "Paired difference", caption, figure)


def draw_paired(axes: Axes, study: Study, table: pd.DataFrame, arm: str, alpha: float, **line: Any) -> None:
    """An arm against the reference over time, as a ratio where the outcome is a log; interval in `alpha`."""
    assert study.reference is not None
    log = stats.split_outcome(study.outcome)[0]
    course = stats.paired(table, arm, study.reference, log, study.level)[["estimate", "low", "high"]]
    if log:
        course = np.exp(course)
    if alpha > 0:
        axes.fill_between(
            course.index, course["low"], course["high"], color=line["color"], alpha=alpha, linewidth=0
        )
    axes.plot(course.index, course["estimate"], **line)


def difference_axes(axes: list[Axes], log: bool) -> None:
    """A ratio scale around one, or a linear scale around zero, never narrower than what matters."""
    lows, highs = zip(*(one.dataLim.intervaly for one in axes), strict=True)
    low, high = np.nanmin(lows), np.nanmax(highs)
    for one in axes:
        if log:
            log_y(one, min(low / 1.05, 0.9), max(high * 1.05, 1.1))
            one.yaxis.set_major_formatter(lambda value, _: f"{number(round(value, 6))}×")
        else:
            linear_y(one)
            one.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) or 1)


def _courses(study: Study, names: list[str], title: str) -> Figure:
    """A panel a quantity, a line an arm."""
    recorded = {name: table for name in names if (table := study.table(name)) is not None}
    tables = {name: table for name, table in recorded.items() if (table > 0).to_numpy().any()}
    if not tables:
        raise Missing(f"no run recorded any {' or '.join(names)}")
    many = len(study.arms) > FAN_ARMS
    shade = "" if many else f" and {study.spread[0]} (shade)"
    subtitle = f"Median{shade} of {study.people()}."
    figure, axes = panels(len(tables), title, subtitle, legend=arm_legend(study, study.arms))
    for i, (one, (name, table)) in enumerate(zip(axes, tables.items(), strict=True)):
        for arm in study.arms:
            if arm in table:
                draw_arm(one, study, table, arm, shade=not many)
        medians = pd.DataFrame({arm: stats.fan(table[arm])["median"] for arm in study.arms if arm in table})
        scale_y([one], medians if many else table)
        one.set_title(label_of(study, name))
        days_x(one, table.index.min(), table.index.max(), label=i + 3 >= len(tables))
    return figure


@drawn
def cell_counts(study: Study) -> Plot:
    """Living cells of each kind in the block, and how many tumor cells were killed, by arm."""
    names = ["tumor_cells", "killed_tumor", "cd8", "cd4", "treg", "nk", "msc_alive"]
    figure = _courses(study, names, "Cells in the block")
    caption = (
        "Cells alive in the simulated block, and tumor cells killed there by lymphocytes since it was "
        "seeded. A packed block stays full: its tumor grows by the cells that it pushes out. What never "
        "appears is not drawn."
    )
    return Plot("cell_counts", "Cell counts", caption, figure)


@drawn
def immune_density(study: Study) -> Plot:
    """CD8 density in the core and at the rim, and NK density, by arm."""
    names = ["cd8_density_core", "cd8_density_rim", "nk_density"]
    figure = _courses(study, names, "Density of CD8 T cells and NK cells")
    caption = (
        "Cells per area of a section. In a nodule that grows freely, nests are what lies deeper than 100 µm "
        "(core) and stroma its outer 100 µm (rim)."
    )
    return Plot("immune_density", "CD8 and NK density", caption, figure)


@drawn
def chemokine(study: Study) -> Plot:
    """CXCL9 in the tissue (mean and maximum) and in plasma, by arm."""
    names = ["cxcl9_mean", "cxcl9_max", "plasma_cxcl9"]
    figure = _courses(study, names, "CXCL9 in the tumor and in plasma")
    caption = (
        "Mean and maximum over the block, and the plasma concentration, which counts against recruitment."
    )
    return Plot("chemokine", "Chemokine", caption, figure)
