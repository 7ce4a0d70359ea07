"""The forest plot: every contrast with its interval and its verdict in words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from ..experiment.designs import compare
from . import stats, style
from .canvas import Missing, Plot, add_axes, clean, drawn, log_x, number, sheet
from .study import Study
from .words import effect, outcome_words

_ROW = 0.52  # inches


@drawn
def contrasts(study: Study) -> Plot:
    """Difference of each arm to the reference, with interval, number of pairs and verdict."""
    rows = study.tables["contrasts"]
    if rows.empty or not np.isfinite(rows["difference"]).any():
        raise Missing("no contrast has a number yet")
    rows = rows[np.isfinite(rows["difference"])].reset_index(drop=True)
    outcome, day = str(rows["outcome"].iloc[0]), float(rows["day"].iloc[0])
    log = stats.split_outcome(outcome)[0]
    what = outcome_words(outcome)
    figure, (box,) = sheet(
        f"{what[:1].upper()}{what[1:]} at day {day:g} against {clean(rows['second'].iloc[0], 40)}",
        f"{'Geometric mean ratio' if log else 'Mean difference'} with "
        f"{100 * float(rows['level'].iloc[0]):g} % interval, paired by patient and replicate. "
        "Ticks: single pairs.",
        (3.5, _ROW * len(rows)), margin=(1.75, 3.95, 0.55),
    )  # fmt: skip
    axes = add_axes(figure, box)
    _estimates(axes, study, rows, log)
    _columns(axes, rows)
    caption = (
        "Left of the line: less than the reference. The bar is the interval of each contrast alone, a tick "
        "below it one patient and replicate. Filled: a difference was seen at the stated level after "
        "adjusting for the number of contrasts (Holm)."
    )
    return Plot("contrasts", "Contrasts", caption, figure)


def _estimates(axes: Axes, study: Study, rows: pd.DataFrame, log: bool) -> None:
    """Points and intervals, top row first, on a ratio or a difference scale."""
    scale = np.exp if log else np.asarray
    values = rows[["difference", "low", "high"]].apply(scale)
    styles = style.arm_styles(study.plan.arms, study.compare.get("reference"))
    axes.axvline(1 if log else 0, color=style.INK, linewidth=0.9)
    for i, row in values.iterrows():
        y = len(rows) - 1 - i
        color = styles.get(str(rows["first"][i]), {"color": style.INK})["color"]
        pairs = scale(_pairs(study, rows.loc[i]))
        axes.plot(pairs, np.full(len(pairs), y - 0.24), "|", color=color, markersize=6, markeredgewidth=1.1)
        clear = rows["verdict"][i] == compare.DIFFERENCE
        if np.isfinite(row["low"]):
            axes.plot([row["low"], row["high"]], [y, y], color=color, linewidth=2)
        axes.plot(
            row["difference"], y, "o", markersize=7.5, color=color, markeredgewidth=1.6,
            markerfacecolor=color if clear else style.PAPER,
        )  # fmt: skip
    if log:
        low, high = axes.dataLim.intervalx
        log_x(axes, min(low / 1.03, 0.9), max(high * 1.03, 1.1))
        axes.set_xlabel("ratio to the reference")
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(number))
        axes.set_xlabel("difference from the reference")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [clean(name, 26) for name in rows["first"][::-1]])
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)


def _pairs(study: Study, row: pd.Series) -> np.ndarray:
    """The difference in each pair of a contrast, on the scale of its outcome."""
    log, name = stats.split_outcome(str(row["outcome"]))
    table = study.table(name)
    arms = {row["first"], row["second"]}
    if table is None or row["day"] not in table.index or not arms <= {arm for arm, *_ in table.columns}:
        return np.empty(0)
    first, second = (table.loc[row["day"], row[side]] for side in ("first", "second"))
    difference = (np.log(first) - np.log(second) if log else first - second).to_numpy()
    return difference[np.isfinite(difference)]


def _columns(axes: Axes, rows: pd.DataFrame) -> None:
    """What each row says, to the right of the plot."""
    for i, row in rows.iterrows():
        y = len(rows) - 1 - i
        pairs = f"{int(row['pairs'])} pair{'s' if row['pairs'] != 1 else ''}"
        few = f", {row['expected_mscs']:.2g} MSCs a dose" if np.isfinite(row["expected_mscs"]) else ""
        place: dict[str, Any] = {
            "xycoords": ("axes fraction", "data"),
            "va": "center",
            "annotation_clip": False,
        }
        axes.annotate(effect(row["difference"], str(row["outcome"])), (1.06, y), size=9, **place)
        said = f"{clean(row['verdict'], 40)}\n{pairs}{few}"
        axes.annotate(said, (1.5, y), size=8.5, color=style.MUTED, linespacing=1.35, **place)


FIGURES: tuple[Callable[[Study], Plot], ...] = (contrasts,)
