"""The figure of a grid's border: where the therapy begins to work, over its first two numeric factors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.interpolate import RegularGridInterpolator

from ..experiment.designs import threshold
from ..experiment.designs.space import Quantity, Space, factor_scale, factor_unscaled
from . import style
from .canvas import Box, Inapplicable, Plot, add_axes, clean, drawn, number, sheet
from .study import Study
from .sweep_plots import MOST_PANELS, difference_words, level_words, space_of

_FINE = 40  # steps between two levels, along which the border is drawn
_WORKS: dict[str, Any] = {
    "marker": "P",
    "linestyle": "none",
    "markersize": 7,
    "color": style.PAPER,
    "markeredgecolor": style.INK,
    "markeredgewidth": 0.8,
}


@drawn
def border(study: Study) -> Plot:
    """Effects over the first two numeric factors of a grid, with the border beyond which each works."""
    space = space_of(study)
    along = threshold.numeric(space)[:2]
    if not along:
        raise Inapplicable("the design is no grid of two numeric factors")
    others = [factor["name"] for factor in space.factors if factor not in along]
    groups = {
        quantity: list(frame.groupby(others, sort=False))[:MOST_PANELS] if others else [((), frame)]
        for quantity in space.declared[:MOST_PANELS]
        for frame in [_frame(space, quantity)]
    }
    panels = len(next(iter(groups.values())))
    across = min(panels, 2 if panels <= 2 or panels * len(groups) == 4 else 4)
    lines = -(-panels // across)  # a contrast fills whole lines of the sheet
    figure, boxes = sheet(
        "What would have to be true",
        f"{difference_words(study).capitalize()}; the line is the border beyond which the therapy works, its "
        "marks carry H_hot.",
        (2.7, 2.2) if across < 3 else (1.9, 1.7), len(groups) * lines * across, across, gap=(0.35, 0.9),
        margin=(0.95, 1.3, 0.6), legend=_legend(),
    )  # fmt: skip
    for i, (quantity, maps) in enumerate(groups.items()):
        mine = boxes[i * lines * across :][:panels]
        _maps(figure, study, quantity, maps, mine, along, others, across)
    caption = (
        "Each tile is a point of the sweep. Works: a difference was seen, of at least the size declared as "
        "the smallest that matters. Hatched: too few MSCs in the block, or too few runs, to tell."
    )
    return Plot("border", "What would have to be true", caption, figure)


def _maps(
    figure: Figure, study: Study, quantity: Quantity, maps: list[Any], boxes: Sequence[Box],
    along: list[dict[str, Any]], others: list[str], across: int,
) -> None:  # fmt: skip
    """The maps of one contrast, a panel for each setting of the other factors, on one scale."""
    values = np.concatenate([group["difference"].to_numpy(float) for _, group in maps])
    limit = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    rows = study.tables.get("threshold", pd.DataFrame())
    units = {factor["name"]: _unit(factor) for factor in space_of(study).factors}
    for i, ((fixed, group), box) in enumerate(zip(maps, boxes, strict=True)):
        axes = add_axes(figure, box)
        image = _map(axes, group, along, limit)
        _marks(axes, _at(rows[rows["quantity"] == str(quantity)], others, fixed), along)
        told = ", ".join(
            f"{name} {level_words(value)}{units[name]}" for name, value in zip(others, fixed, strict=True)
        )
        axes.set_title(clean(told, 44))
        if i % across:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
        if i % across == across - 1 or i == len(maps) - 1:
            beside = add_axes(figure, Box(box.left + box.width + 0.12, box.bottom, 0.12, box.height))
            bar = figure.colorbar(image, cax=beside)
            bar.outline.set_visible(False)
            bar.set_label(f"{clean(quantity, 34)}\n{difference_words(study)}", size=8.5)
            bar.ax.yaxis.set_major_formatter(FuncFormatter(number))


def _frame(space: Space, quantity: Quantity) -> pd.DataFrame:
    rows = space.of(quantity)
    return space.points.assign(
        difference=rows["difference"], h_hot=rows["h_hot"], score=threshold.scores(space, quantity)
    )


def _at(rows: pd.DataFrame, names: list[str], values: Any) -> pd.DataFrame:
    """Rows of the border in which the other factors stand at these values."""
    for name, value in zip(names, values if isinstance(values, tuple) else (values,), strict=True):
        rows = rows[rows[name] == value]
    return rows


def _map(axes: Axes, group: pd.DataFrame, along: list[dict[str, Any]], limit: float) -> Any:
    """Tiles of the difference; the border as the line on which the score is 1."""
    x, y = (factor["name"] for factor in along)
    table = group.pivot_table(index=y, columns=x, values="difference", dropna=False)
    score = group.pivot_table(index=y, columns=x, values="score", dropna=False)
    score = score.reindex_like(table)
    edges = [_edges(np.asarray(axis, float), factor) for axis, factor in zip(
        (table.columns, table.index), along, strict=True)]  # fmt: skip
    image = axes.pcolormesh(
        *edges, table.to_numpy(float), cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True
    )
    for row, column in np.argwhere(~np.isfinite(score.to_numpy(float))):
        (left, right), (low, high) = edges[0][column : column + 2], edges[1][row : row + 2]
        tile = Rectangle((left, low), right - left, high - low, fill=False, hatch="////", linewidth=0)
        tile.set_edgecolor(style.MUTED)
        axes.add_patch(tile)
    for row, column in np.argwhere(score.to_numpy(float) >= 1.0):
        axes.plot(score.columns[column], score.index[row], **_WORKS)
    if min(score.shape) > 1:
        fine = _finely(score, along)
        if fine[-1].count() and fine[-1].min() < 1.0 <= fine[-1].max():
            axes.contour(*fine, levels=[1.0], colors=[style.INK], linewidths=1.6, zorder=3)
    for axis, factor, at in zip((axes.xaxis, axes.yaxis), along, (table.columns, table.index), strict=True):
        (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)(factor["scale"])
        axis.set_ticks(list(at), [level_words(value) for value in at])
        axis.set_minor_locator(MaxNLocator(1))
        axis.set_ticks([], minor=True)
    axes.set_xlabel(_with_unit(along[0]))
    axes.set_ylabel(_with_unit(along[1]))
    axes.grid(False)
    return image


def _edges(values: np.ndarray, factor: dict[str, Any]) -> np.ndarray:
    """Edges of tiles around levels, halfway between them on the factor's scale."""
    at = factor_scale(factor, values)
    inner = 0.5 * (at[1:] + at[:-1])
    edges = np.concatenate([[2 * at[0] - inner[0]], inner, [2 * at[-1] - inner[-1]]])
    return factor_unscaled(factor, edges)


def _finely(score: pd.DataFrame, along: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, Any]:
    """Levels and scores of a map on a finer grid, linear on the factors' scales as the table's border is."""
    levels = [np.asarray(axis, float) for axis in (score.index, score.columns)]
    steps = [np.linspace(0, len(axis) - 1, _FINE * (len(axis) - 1) + 1) for axis in levels]
    places = np.meshgrid(*steps, indexing="ij")
    found = RegularGridInterpolator([np.arange(len(axis)) for axis in levels], score.to_numpy(float))(
        np.stack(places, axis=-1)
    )
    y, x = (
        factor_unscaled(factor, np.interp(step, np.arange(len(axis)), factor_scale(factor, axis)))
        for factor, axis, step in zip(along[::-1], levels, steps, strict=True)
    )
    return x, y, np.ma.masked_invalid(found)


def _marks(axes: Axes, rows: pd.DataFrame, along: list[dict[str, Any]]) -> None:
    x, y = (factor["name"] for factor in along)
    for row in rows[rows["kind"].isin([threshold.CROSSING, threshold.BOUND])].to_dict("records"):
        hollow = row["kind"] == threshold.BOUND
        axes.plot(
            row[x], row[y], "o", markersize=5, zorder=4, color=style.PAPER if hollow else style.INK,
            markeredgecolor=style.INK,
        )  # fmt: skip
        if np.isfinite(row["h_hot"]):
            axes.annotate(
                f"{row['h_hot']:.2g}", (row[x], row[y]), xytext=(4, 4), textcoords="offset points", size=8,
                zorder=5, path_effects=[withStroke(linewidth=2, foreground=style.PAPER)],
            )  # fmt: skip


def _legend() -> list[Artist]:
    mark: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 5, "markeredgecolor": style.INK}
    return [
        Line2D([], [], label="works: a difference was seen, and is large enough", **_WORKS),
        Line2D([], [], color=style.INK, label="border, and H_hot on it", **mark),
        Line2D([], [], color=style.PAPER, label="works here; before it, too few MSCs to tell", **mark),
        Patch(facecolor="none", edgecolor=style.MUTED, hatch="////", linewidth=0, label="too few to tell"),
    ]  # fmt: skip


def _with_unit(factor: dict[str, Any]) -> str:
    unit = _unit(factor).strip()
    return clean(factor["name"], 24) + (f" ({unit})" if unit else "")


def _unit(factor: dict[str, Any]) -> str:
    """A factor's unit behind a space; nothing for numbers without one."""
    unit = factor["unit"]
    return f" {clean(unit, 16)}" if unit and unit != "1" else ""
