"""The figures of dosing: what each arm receives and when, and where the infused cells go."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from . import stats, style
from .canvas import Missing, Plot, add_axes, clean, days_x, drawn, log_y, number, sheet
from .study import Study

_COMPARTMENTS = {
    "lung": "lung",
    "blood": "blood",
    "liver_spleen": "liver and spleen",
    "elsewhere": "elsewhere",
    "tumor": "tumor",
}


def looks(study: Study) -> dict[str, tuple[str, str]]:
    """Color and marker of every product that this study gives."""
    return style.product_looks(study.products, filter(study.is_cells, study.products))


def lollipops(axes: Axes, study: Study, arm: str, base: float = 0.0) -> None:
    """Doses of an arm on a line at `base`: cells point up, drugs down, length in proportion to amount."""
    doses = study.arm_doses(arm)
    for product, (color, mark) in looks(study).items():
        mine = doses[(doses["drug"] == product) & (doses["planned"] > 0)]
        up = 0.55 if study.is_cells(product) else -0.2
        heights = base + up * mine["planned"] / study.largest_dose(product)
        axes.vlines(mine["day"], base, heights, color=color, linewidth=1.1)
        axes.plot(mine["day"], heights, mark, color=color, markersize=3.6, linestyle="none", clip_on=False)
    axes.axhline(base, color=style.MUTED, linewidth=0.7)


def product_legend(study: Study) -> list[Line2D]:
    """Legend entries of the products given in this study."""
    return [
        Line2D([], [], color=color, marker=mark, linewidth=1.1, markersize=4.5, label=clean(product, 30))
        for product, (color, mark) in looks(study).items()
    ]  # fmt: skip


@drawn
def calendar(study: Study) -> Plot:
    """What every arm receives, and when: one line an arm."""
    if not study.products:
        raise Missing("no arm receives a dose")
    arms = study.arms
    figure, (box,) = sheet(
        "Dosing calendar",
        "One mark a dose, its length in proportion to the amount within each product; totals at the right.",
        (5.5, 0.48 * len(arms)), margin=(1.75, 1.95, 0.5), legend=product_legend(study),
    )  # fmt: skip
    axes = add_axes(figure, box)
    for row, arm in enumerate(reversed(arms)):
        lollipops(axes, study, arm, base=float(row))
        axes.annotate(
            _total(study, arm), (1.02, row + 0.16), xycoords=("axes fraction", "data"), size=8.5,
            color=style.MUTED, va="center", annotation_clip=False,
        )  # fmt: skip
    axes.set_yticks([row + 0.16 for row in range(len(arms))], [clean(arm, 26) for arm in reversed(arms)])
    axes.set_ylim(-0.4, len(arms) - 0.25)
    axes.tick_params(axis="y", length=0)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    days_x(axes, *study.span)
    caption = "Planned doses of a typical patient (median over patients). Day 0 is where the arms branch."
    return Plot("dosing_calendar", "Dosing calendar", caption, figure)


def _total(study: Study, arm: str) -> str:
    """What an arm receives in all: '3 × 10⁶ = 3×10⁶ cells', a line a product."""
    lines = []
    doses = study.arm_doses(arm)
    for product in study.products:
        mine = doses[(doses["drug"] == product) & (doses["planned"] > 0)]
        if len(mine):
            total = float(f"{mine['planned'].sum():.3g}")
            lines.append(f"{len(mine)} doses, {number(total)} {clean(mine['unit'].iloc[0], 12)}")
    return "\n".join(lines).replace("1 doses", "1 dose") or "none"


@drawn
def biodistribution(study: Study) -> Plot:
    """Where the infused cells are, in every arm that receives any, above that arm's doses."""
    recorded = {name: study.table(f"msc_{name}") for name in _COMPARTMENTS}
    tables = {name: table for name, table in recorded.items() if table is not None}
    arms = [arm for arm in study.arms if any(_some(table, arm) for table in tables.values())]
    if not arms:
        raise Missing("no MSCs were infused, or their whereabouts were not recorded")
    size = (2.6, 2.35) if len(arms) > 2 else (3.7, 2.7)
    figure, boxes = sheet(
        "Where the infused MSCs are",
        f"Living cells in each compartment of the body: median of {study.people()}. Doses below each panel.",
        size, len(arms), 3, legend=_compartment_legend(tables) + product_legend(study),
    )  # fmt: skip
    top = max(float(table[arm].max(axis=None)) for arm in arms for table in tables.values() if arm in table)
    for i, (arm, box) in enumerate(zip(arms, boxes, strict=True)):
        upper = add_axes(figure, box._replace(bottom=box.bottom + 0.55, height=box.height - 0.55))
        _body_panel(upper, tables, arm, top, first=i % 3 == 0)
        upper.set_title(clean(arm, 30))
        days_x(upper, *study.span, label=False)
        upper.tick_params(labelbottom=False)
        _dose_panel(add_axes(figure, box._replace(height=0.5)), study, arm, label=i + 3 >= len(arms))
    caption = (
        "Logarithmic counts of living infused cells in the whole body; under one cell is not drawn. "
        "The tumor (orange) is all tumor tissue of the patient, of which the simulated block is a small part."
    )
    return Plot("biodistribution", "MSC biodistribution", caption, figure)


def _some(table: pd.DataFrame, arm: str) -> bool:
    """True where an arm ever has cells of this compartment."""
    return arm in table and bool((table[arm] > 0).to_numpy().any())


def _compartment_legend(tables: dict) -> list[Line2D]:
    return [
        Line2D([], [], color=style.COMPARTMENTS[name], linewidth=2.6 if name == "tumor" else 1.6,
               label=_COMPARTMENTS[name])
        for name in tables
    ]  # fmt: skip


def _body_panel(axes: Axes, tables: dict, arm: str, top: float, first: bool) -> None:
    for name, table in tables.items():
        if arm not in table:
            continue
        summary = stats.fan(table[arm])
        summary = summary.where(summary >= 1)
        color, width = style.COMPARTMENTS[name], 2.4 if name == "tumor" else 1.5
        axes.plot(summary.index, summary["median"], color=color, linewidth=width)
    log_y(axes, 1, top * 3)
    if first:
        axes.set_ylabel("living MSCs (cells)")
    else:
        axes.tick_params(labelleft=False)


def _dose_panel(axes: Axes, study: Study, arm: str, label: bool) -> None:
    lollipops(axes, study, arm)
    axes.set_ylim(-0.3, 0.75)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    days_x(axes, *study.span, label=label)
    axes.tick_params(axis="x", length=0)
