"""What each dose brought and what came of it: the figure and the table of attribution."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from . import style
from .canvas import Missing, Plot, add_axes, clean, drawn, number, sheet
from .html import Html, table, tag
from .study import Study

_MSC = "msc"
_MOST_ROWS = 18  # of the figure; more doses than that are taken together by arm
_BAR = 0.62
_HATCH = "/////"


def by_dose(study: Study) -> pd.DataFrame:
    """Means over the runs of an arm, a row an arm, dose and kind; only what doses brought.

    came, touched, idle, kills [cells of a block]; kills_per_million [cells of the lesion].  A run in which a
    dose brought no cell of a kind counts as zero.
    """
    rows = study.tables.get("attribution", pd.DataFrame())
    if rows.empty:
        return rows
    rows = rows[rows["number"] > 0]
    counted = ["came", "touched", "idle", "kills", "kills_per_million"]
    runs = pd.Series([arm for arm, *_ in study.files]).value_counts()
    sums = rows.groupby(["arm", "number", "drug", "day", "kind"], sort=True)[counted].sum().reset_index()
    sums[counted] = sums[counted].div(sums["arm"].map(runs), axis=0)
    order = {arm: place for place, arm in enumerate(study.plan.arms)}
    return sums.sort_values("arm", key=lambda arms: arms.map(order), kind="stable").reset_index(drop=True)


@drawn
def attribution(study: Study) -> Plot:
    """Lymphoid cells that each dose brought, idle ones hatched, and what they killed."""
    rows = by_dose(study)
    lymphoid = rows[rows["kind"] != _MSC] if len(rows) else rows
    if lymphoid.empty:
        raise Missing("no dose brought a lymphoid cell, or the runs do not tell")
    labels, groups = _bars(lymphoid)
    kinds = list(dict.fromkeys(lymphoid["kind"]))
    colors = style.kind_colors(kinds)
    legend = [Patch(color=colors[kind], label=style.kind_words(kind)) for kind in kinds]
    legend.append(Patch(facecolor="white", edgecolor=style.INK, hatch=_HATCH, label="never touched a target"))
    figure, boxes = sheet(
        "What each dose brought", f"Mean of a block of {study.people()}, from the dose to the end.",
        (2.75, max(0.9, 0.3 * len(labels))), 2, 2, gap=(0.4, 0.6), margin=(2.0, 0.25, 0.55), legend=legend,
    )  # fmt: skip
    for panel, (box, column) in enumerate(zip(boxes, ("came", "kills"), strict=True)):
        axes = add_axes(figure, box)
        for place, group in enumerate(groups):
            _stack(axes, len(groups) - 1 - place, group, column, colors)
        axes.set_xlabel("cells brought" if column == "came" else "cells they killed")
        names = [clean(label, 30) for label in reversed(labels)] if panel == 0 else []
        axes.set_yticks(range(len(groups)) if names else [], names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.6, len(groups) - 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.xaxis.set_major_formatter(FuncFormatter(number))
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")
    caption = (
        "A lymphoid cell belongs to a dose where the chemokine of that dose's MSCs let it in; its daughters "
        "and their kills count with it. Cells that would have come anyway are not shown. Helpers have no "
        "target."
    )
    return Plot("attribution", "Attribution", caption, figure)


def _bars(rows: pd.DataFrame) -> tuple[list[str], list[pd.DataFrame]]:
    """Labels and rows of each bar: a dose, or an arm where doses are many."""
    keys = ["arm", "number"] if rows.groupby(["arm", "number"]).ngroups <= _MOST_ROWS else ["arm"]
    labels, groups = [], []
    for key, group in rows.groupby(keys, sort=False):
        labels.append(f"{key[0]}, day {group['day'].iloc[0]:g}" if len(key) > 1 else str(key[0]))
        groups.append(group.groupby("kind", sort=False)[["came", "idle", "kills"]].sum().reset_index())
    return labels, groups


def _stack(axes: Axes, y: float, group: pd.DataFrame, column: str, colors: dict[str, str]) -> None:
    """One bar, a piece a kind; of cells that came, the idle ones hatched."""
    left = 0.0
    for row in group.itertuples(index=False):
        width = float(getattr(row, column))
        axes.barh(y, width, _BAR, left, color=colors[str(row.kind)])
        if column == "came" and row.idle > 0:
            at = left + width - float(row.idle)
            axes.barh(
                y, float(row.idle), _BAR, at, facecolor="none", edgecolor="white", hatch=_HATCH, linewidth=0
            )
        left += width


def section(study: Study) -> Html:
    """Every dose of cells: what of it came, what it brought, what that did, and what was in vain."""
    rows = by_dose(study)
    if rows.empty:
        return Html("")
    infused = _infused(study)
    body = [
        (arm, f"{day:g}", drug, *_counts(group, infused.get((arm, dose), np.nan)))
        for (arm, dose, drug, day), group in rows.groupby(["arm", "number", "drug", "day"], sort=False)
    ]
    head = (
        "Arm", "Day", "Product", "Infused", "MSCs in the block", "of them idle", "Lymphoid cells brought",
        "of them idle", "Killed by them", "Killed in the lesion per 10⁶ infused",
    )  # fmt: skip
    note = (
        "Means over runs, from the dose to the end. Idle: an MSC that never touched a lymphoid cell, a "
        "lymphoid cell with a target (helpers have none) that never touched one. All other cells infused "
        "never came to this block. "
        "The whole lesion's kills scale the block's by the volume of the lesion on the day of the dose."
    )
    return table(head, body, "-n-nnnnnnn") + tag("p", note, class_="facts")


def _infused(study: Study) -> dict[tuple[str, int], float]:
    rows = study.tables["attribution"]
    return rows[rows["number"] > 0].groupby(["arm", "number"])["infused"].median().to_dict()


def _counts(group: pd.DataFrame, infused: float) -> Iterator[str]:
    """Cells of a dose in the columns of the table."""
    mine, others = group[group["kind"] == _MSC], group[group["kind"] != _MSC]
    yield _told(infused)
    for part in (mine, others):
        yield _told(float(part["came"].sum()))
        with_target = part[part["idle"] + part["touched"] > 0]
        came = float(with_target["came"].sum())
        yield f"{100.0 * float(with_target['idle'].sum()) / came:.0f} %" if came else "–"
    yield _told(float(others["kills"].sum()))
    yield _told(float(others["kills_per_million"].sum()))


def _told(value: float) -> str:
    return number(float(f"{value:.3g}")) if np.isfinite(value) else "–"
