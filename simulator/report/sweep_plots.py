"""The figures of a sweep: which factor matters, what each does, where the therapy begins to work."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..experiment.designs.space import Quantity, Space
from ..experiment.words import count
from . import style
from .canvas import Inapplicable, Missing, Plot, add_axes, clean, days_x, drawn, number, sheet
from .stats import fan, split_outcome
from .study import Study
from .words import outcome_words

_BLUE, _RED, _FAINT = style.ARMS[0], style.ARMS[1], "#b9c1c9"
MOST_PANELS = 9
_MOST_BARS = 16
_MANY = 20  # points from which on 5 and 95 % are more than the outermost ones
_MEASURES = {  # by design: the measure drawn, its words, the measure drawn with it
    "morris": ("mu_star", "mean size of the effect over the range (μ*)", "sigma"),
    "latin_hypercube": ("partial_rank_correlation", "partial rank correlation", ""),
    "sobol": ("total", "share of variance, total", "first_order"),
    "one_at_a_time": ("change", "change from the file's own", ""),
}


def space_of(study: Study) -> Space:
    """The sweep of a study with its tables; raises Missing where there is none."""
    if study.space is None:
        raise Missing("the study is no sweep, or its tables are missing")
    if not study.space.declared:
        raise Missing("no comparison is declared")
    return study.space


def difference_words(study: Study) -> str:
    """What a difference of the outcome is called on an axis."""
    log, _ = split_outcome(study.outcome)
    return f"{'log ratio' if log else 'difference'} of {outcome_words(study.outcome)}"


# --- which factor matters ----------------------------------------------------------------------------


@drawn
def importance(study: Study) -> Plot:
    """How much each factor matters for each declared contrast, the largest on top."""
    space = space_of(study)
    rows = _importance_rows(study, space)
    quantities = [str(q) for q in space.declared if (rows["quantity"] == str(q)).any()][:MOST_PANELS]
    if not quantities:
        raise Missing("nothing was measured of any factor")
    names = _ordered(rows[rows["quantity"].isin(quantities)])[:_MOST_BARS]
    words = "share of the variance between points"
    if space.design != "grid":
        words = _MEASURES[space.design][1]
    figure, boxes = sheet(
        "What decides the outcome", f"{words[:1].upper()}{words[1:]}, by contrast.",
        (2.35, max(0.8, 0.3 * len(names))), len(quantities), 3, gap=(0.3, 0.75), margin=(1.9, 0.25, 0.6),
    )  # fmt: skip
    for i, (quantity, box) in enumerate(zip(quantities, boxes, strict=True)):
        axes = add_axes(figure, box)
        mine = rows[rows["quantity"] == quantity]
        for place, name in enumerate(names):
            _importance_bar(axes, len(names) - 1 - place, mine[mine["factor"] == name])
        axes.axvline(0, color=style.INK, linewidth=0.8)
        axes.set_title(clean(quantity, 34))
        axes.set_xlabel(words if len(quantities) == 1 else "")
        _rows_y(axes, names if i % 3 == 0 else [], len(names))
        if space.design == "latin_hypercube":  # correlations
            axes.set_xlim(-1.05, 1.05)
            axes.set_xticks([-1.0, -0.5, 0.0, 0.5, 1.0])
    caption = (
        "Bars with intervals over patients or points; blue: more of the factor raises the outcome of the "
        "first arm against the second, orange: lowers it. Of shares, all are blue."
    )
    return Plot("importance", "Importance of factors", caption, figure)


def _importance_rows(study: Study, space: Space) -> pd.DataFrame:
    """Rows quantity, factor, value, low, high, beside (a second measure, or NaN)."""
    if space.design == "grid":
        effects = study.tables.get("effects", pd.DataFrame())
        if effects.empty:
            return pd.DataFrame(columns=["quantity", "factor"])
        pairs = effects["factor_2"].notna()
        names = effects["factor"].where(~pairs, effects["factor"] + " × " + effects["factor_2"].astype(str))
        rows = effects.assign(factor=names, value=effects["share"], low=math.nan, high=math.nan)
        rows = rows.drop_duplicates(["quantity", "factor"])
        return rows.assign(beside=math.nan)
    found = study.tables.get("sensitivity", pd.DataFrame())
    if found.empty:
        return pd.DataFrame(columns=["quantity", "factor"])
    measure, _, second = _MEASURES[space.design]
    rows = found[found["measure"] == measure].copy()
    beside = found[found["measure"] == second].set_index(["quantity", "factor"])["value"]
    keys = pd.MultiIndex.from_frame(rows[["quantity", "factor"]])
    rows["beside"] = beside.reindex(keys).to_numpy() if second else math.nan
    return rows


def _ordered(rows: pd.DataFrame) -> list[str]:
    largest = rows.assign(size=rows["value"].abs()).groupby("factor")["size"].max()
    return [str(name) for name in largest.sort_values(ascending=False).index]


def _importance_bar(axes: Axes, y: float, rows: pd.DataFrame) -> None:
    for row in rows.itertuples(index=False):
        axes.barh(y, row.value, 0.55, color=_BLUE if row.value >= 0 else _RED, alpha=0.8)
        if np.isfinite(row.low):
            axes.plot([row.low, row.high], [y, y], color=style.INK, linewidth=1.1)
        if np.isfinite(row.beside):
            axes.plot(row.beside, y, "D", color=style.PAPER, markeredgecolor=style.INK, markersize=4.5)


def _rows_y(axes: Axes, names: list[str], rows: int) -> None:
    """Names down the side, grid lines up and down."""
    axes.set_ylim(-0.6, rows - 0.4)
    axes.set_yticks(range(rows) if names else [], [clean(name, 30) for name in reversed(names)])
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(FuncFormatter(number))


# --- what each factor does ---------------------------------------------------------------------------


@drawn
def effects(study: Study) -> Plot:
    """Main effects and the largest interactions of a grid, with intervals over patients."""
    space = space_of(study)
    if space.design != "grid":
        raise Inapplicable("the design is no grid")
    found = study.tables.get("effects", pd.DataFrame())
    if found.empty:
        raise Missing("nothing was measured of any factor")
    quantity = str(space.declared[0])
    rows = found[found["quantity"] == quantity]
    pairs = rows[rows["factor_2"].notna()]
    pairs = pairs.reindex(pairs["value"].abs().sort_values(ascending=False).index)
    shown = pd.concat([rows[rows["factor_2"].isna()], pairs[: max(0, _MOST_BARS - len(space.factors))]])
    figure, (box,) = sheet(
        f"What each factor does to {clean(quantity, 50)}",
        f"Change of the {difference_words(study)} from a factor's first level; of two, beyond the sum of "
        "both.",
        (3.9, 0.3 * len(shown)), margin=(3.1, 0.3, 0.6),
    )  # fmt: skip
    axes = add_axes(figure, box)
    axes.axvline(0, color=style.INK, linewidth=0.8)
    names = [_effect_name(row) for row in shown.itertuples(index=False)]
    for place, row in enumerate(shown.itertuples(index=False)):
        y = len(shown) - 1 - place
        color = style.ARMS[0] if pd.isna(row.factor_2) else style.ARMS[3]
        if np.isfinite(row.low):
            axes.plot([row.low, row.high], [y, y], color=color, linewidth=2)
        axes.plot(row.value, y, "o", color=color, markersize=6)
    axes.set_xlabel(difference_words(study))
    _rows_y(axes, names, len(names))
    axes.set_yticks(range(len(names)), [clean(name, 46) for name in reversed(names)])
    caption = (
        "Left of the line: the level makes the first arm end smaller or lower against the second. Blue: a "
        "factor by itself, averaged over all others; violet: two together beyond the sum of both."
    )
    return Plot("effects", "Effects of factors", caption, figure)


def _effect_name(row: Any) -> str:
    one = f"{row.factor} = {level_words(row.level)}"
    return one if pd.isna(row.factor_2) else f"{one}, {row.factor_2} = {level_words(row.level_2)}"


def level_words(value: Any) -> str:
    """A level of a factor, numbers to three digits."""
    try:
        return number(float(f"{float(value):.3g}"))
    except ValueError:
        return str(value)


# --- over time ---------------------------------------------------------------------------------------


@drawn
def courses(study: Study) -> Plot:
    """The paired difference over time at every point, and what spans most of them."""
    space = space_of(study)
    found = study.tables.get("courses", pd.DataFrame())
    quantities = space.declared[:MOST_PANELS]
    tables = {quantity: _course(found, quantity) for quantity in quantities}
    tables = {quantity: table for quantity, table in tables.items() if not table.empty}
    if not tables:
        raise Missing("no contrast has a course yet")
    across, size = (1, (5.4, 2.9)) if len(tables) == 1 else (3, (2.5, 1.9))
    ends = (0.05, 0.95) if len(space.points) >= _MANY else (0.0, 1.0)
    spans = "5–95 %" if ends[0] else "range"
    figure, boxes = sheet(
        "The difference over time, at every point of the sweep",
        f"{difference_words(study).capitalize()}, mean over patients. Shade: {spans} of "
        f"{count(len(space.points), 'point')}; thick: median.",
        size, len(tables), across, gap=(0.6, 0.75), margin=(0.8, 0.2, 0.6),
    )  # fmt: skip
    for (quantity, table), box in zip(tables.items(), boxes, strict=True):
        axes = add_axes(figure, box)
        summary = fan(table, *ends)
        axes.plot(table.index, table.to_numpy(), color=_FAINT, linewidth=0.5)
        axes.fill_between(
            summary.index, summary["low"], summary["high"], color=_BLUE, alpha=0.18, linewidth=0
        )
        axes.plot(summary.index, summary["median"], color=_BLUE, linewidth=2)
        if 0 in table:
            axes.plot(table.index, table[0], color=style.INK, linewidth=1.6, linestyle=(0, (4, 2)))
        axes.axhline(0, color=style.INK, linewidth=0.8)
        axes.set_title(clean(quantity, 40))
        axes.yaxis.set_major_formatter(FuncFormatter(number))
        days_x(axes, float(table.index.min()), float(table.index.max()))
    caption = "Thin: each point. Dashed: the file as it stands, where it is a point of the sweep."
    return Plot("courses", "Courses over the sweep", caption, figure)


def _course(rows: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """Difference by day (rows) and point (columns)."""
    if rows.empty:
        return rows
    mine = rows[(rows["first"] == quantity.first) & (rows["second"] == quantity.second)]
    return mine.pivot_table(index="day", columns="point", values="difference").dropna(how="all")
