"""The figures of dose finding: the decisions of one trial, what a design tends to choose, and who took part.

They are drawn from tables alone: the decision log, the operating characteristics, the counts of a trial.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from . import style
from .canvas import Missing, Plot, add_axes, clean, drawn, sheet

_DLT, _RESPONSE = style.KINDS["vessel"], style.ARMS[2]
_ABBREVIATIONS = ("dlt", "ecog", "alt", "ast", "aptt", "pt", "inr")
_NONE = "none"  # the level of the row about trials that choose no dose


@drawn
def decisions(log: pd.DataFrame, levels: Sequence[str], chosen: int = 0, goal: str = "MTD") -> Plot:
    """Every patient of one trial in order of treatment, at the dose level of the cohort.

    log : a row a cohort, with cohort, level (from 1), patients, dlts, responses, action, next_level and
    reason; levels : what each level is called, ascending; chosen : the level chosen at the end, 0 none.
    """
    if log.empty:
        raise Missing("no cohort was treated")
    treated = int(log["patients"].sum())
    outcome = f"{goal}: level {chosen}, {clean(levels[chosen - 1], 30)}" if chosen else f"no {goal}"
    some = bool((log["responses"] > 0).any())
    figure, (box,) = sheet(
        "Dose decisions, cohort by cohort",
        f"{treated} patients in {len(log)} cohorts; {outcome}. One mark a patient.",
        (max(5.2, 0.2 * treated + 0.06 * len(log)), 0.62 * len(levels) + 0.5),
        margin=(1.35, 0.25, 0.55),
        legend=_decision_legend(some, bool(chosen)),
    )
    axes = add_axes(figure, box)
    if chosen:
        axes.axhspan(chosen - 0.36, chosen + 0.36, color=style.RULE, alpha=0.55, linewidth=0)
    ends = _patients(axes, log)
    _path(axes, log, ends)
    axes.set_yticks(
        range(1, len(levels) + 1), [f"{i}:  {clean(name, 18)}" for i, name in enumerate(levels, 1)]
    )
    axes.set_ylim(0.35, len(levels) + 0.65)
    axes.set_xticks([0.5 * (low + high) for low, high in ends], [str(n) for n in log["cohort"]])
    axes.set_xlim(ends[0][0] - 0.9, ends[-1][1] + 0.9)
    axes.set_xlabel("cohort")
    axes.set_ylabel("dose level")
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    last = str(log["reason"].iloc[-1])
    caption = (
        "The line joins cohorts in order of treatment; within a cohort DLTs are drawn last and responses "
        f"first, whoever had them. In the end: {clean(last, 160).rstrip('.')}."
    )
    return Plot("dose_decisions", "Dose decisions", caption, figure)


def _decision_legend(responses: bool, chosen: bool) -> list[Artist]:
    marks: list[Artist] = [
        _mark("no DLT", style.PAPER, style.INK),
        _mark("DLT", _DLT, _DLT),
    ]
    if responses:
        marks.append(
            Line2D([], [], linestyle="none", marker=".", color=_RESPONSE, markersize=9, label="response")
        )
    if chosen:
        marks.append(Patch(color=style.RULE, alpha=0.55, label="chosen level"))
    return marks


def _mark(label: str, face: str, edge: str) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker="o", markersize=8, markerfacecolor=face, markeredgecolor=edge,
        markeredgewidth=1.3, label=label,
    )  # fmt: skip


def _patients(axes: Axes, log: pd.DataFrame) -> list[tuple[float, float]]:
    """Draw the marks; the first and last position of each cohort."""
    ends, x = [], 0.0
    for row in log.itertuples():
        at = x + np.arange(row.patients)
        ends.append((float(at[0]), float(at[-1])))
        dlt = (
            np.arange(row.patients) >= row.patients - row.dlts
        )  # last in the cohort, as counts have no order
        for who, face, edge in ((~dlt, style.PAPER, style.INK), (dlt, _DLT, _DLT)):
            axes.plot(
                at[who], np.full(who.sum(), row.level), "o", markersize=8, markerfacecolor=face,
                markeredgecolor=edge, markeredgewidth=1.3, zorder=3,
            )  # fmt: skip
        responds = at[: row.responses]
        axes.plot(responds, np.full(len(responds), row.level + 0.27), ".", color=_RESPONSE, markersize=9)
        x += row.patients + 0.7
    return ends


def _path(axes: Axes, log: pd.DataFrame, ends: list[tuple[float, float]]) -> None:
    """The way from cohort to cohort."""
    levels = log["level"].to_numpy()
    for i in range(len(log) - 1):
        x, y = (ends[i][1], ends[i + 1][0]), (levels[i], levels[i + 1])
        axes.plot(x, y, color=style.MUTED, linewidth=1.2, zorder=1)
    for (low, high), level in zip(ends, levels, strict=True):
        axes.plot((low, high), (level, level), color=style.MUTED, linewidth=1.2, zorder=1)


@drawn
def selection(table: pd.DataFrame, levels: Sequence[str], scenario: str = "") -> Plot:
    """How often each design chooses each level, with Monte Carlo errors, and whom it treats there.

    table : a row a design and level, with design, level (from 1, or 'none'), dlt_rate, selected, error and
    patients; levels : what each level is called, ascending; scenario : the truth, in words.
    """
    if table.empty:
        raise Missing("no operating characteristics were computed")
    designs = list(dict.fromkeys(table["design"]))
    exact = not (table["error"] > 0).any()
    how = "Exact, over every path of a trial." if exact else "Whiskers: ± 1 Monte Carlo standard error."
    figure, boxes = sheet(
        "What each design chooses, and where it treats",
        f"{clean(scenario, 80)}. {how}" if scenario else how,
        (max(2.1, 0.5 * len(levels) + 0.5, 5.6 / len(designs)), 1.6),
        2 * len(designs),
        len(designs),
        gap=(0.25, 0.25),
        margin=(0.7, 0.15, 0.72),
    )
    looks = style.arm_styles(designs, None)
    most = float(table["patients"].max())
    for k, name in enumerate(designs):
        rows = table[table["design"] == name].set_index("level")
        color = looks[name]["color"]
        chosen, treated = add_axes(figure, boxes[k]), add_axes(figure, boxes[k + len(designs)])
        chosen.set_title(clean(name, 24))
        _bars(chosen, rows["selected"], len(levels), color, _percent, rows["error"])
        _bars(treated, rows["patients"], len(levels), color, "{:.1f}".format)
        chosen.set_ylim(0, 1.16)
        chosen.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
        chosen.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value)))
        treated.set_ylim(0, 1.18 * most)
        treated.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
        chosen.tick_params(labelbottom=False)
        ticks = [f"{i}\n{_percent(rows['dlt_rate'].loc[i])}" for i in range(1, len(levels) + 1)]
        treated.set_xticks(range(len(levels) + 1), [*ticks, "none"])
        treated.set_xlabel("dose level, true DLT rate")
        if k:
            chosen.tick_params(labelleft=False)
            treated.tick_params(labelleft=False)
        else:
            chosen.set_ylabel("trials that choose it")
            treated.set_ylabel("expected patients")
    named = "; ".join(f"level {i}: {clean(name, 24)}" for i, name in enumerate(levels, start=1))
    caption = f"{named[:1].upper()}{named[1:]}. None: the design stops, or finds no level acceptable."
    return Plot("dose_selection", "Dose selection", caption, figure)


def _bars(
    axes: Axes,
    values: pd.Series,
    levels: int,
    color: str,
    told: Callable[[float], str],
    errors: pd.Series | None = None,
) -> None:
    """A bar a level and one for no dose, where there is a number, each with its value."""
    for x, level in enumerate([*range(1, levels + 1), _NONE]):
        height = float(values.get(level, np.nan))
        if not np.isfinite(height):
            continue
        error = 0.0 if errors is None else float(errors.loc[level])
        axes.bar(x, height, 0.62, color=style.MUTED if level == _NONE else color, linewidth=0)
        if error > 0:
            axes.errorbar(x, height, error, fmt="none", ecolor=style.INK, elinewidth=0.9, capsize=2.5)
        axes.annotate(
            told(height), (x, height + error), (0, 2.5), textcoords="offset points", ha="center", size=8,
            color=style.MUTED,
        )  # fmt: skip
    axes.set_xlim(-0.6, levels + 0.6)
    axes.set_xticks(range(levels + 1))
    axes.tick_params(axis="x", length=0)


def _percent(share: float) -> str:
    """A share as a percentage, as short as it stays true: 4.2 %, 97 %, < 0.1 %."""
    percent = 100 * float(share)
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 9.95 else f"{percent:.0f} %"


class Arm(NamedTuple):
    """What became of the patients of one dose level."""

    name: str
    treated: int
    evaluable: int  # for DLTs
    dlts: int
    stopped: Mapping[str, int]  # why treatment ended early: patients
    completed: int


class Flow(NamedTuple):
    """The counts of a CONSORT diagram; a candidate may fail several criteria."""

    screened: int
    failed: Mapping[str, int]  # criterion: candidates who fail it
    enrolled: int
    arms: Sequence[Arm]


@drawn
def consort(flow: Flow) -> Plot:
    """The CONSORT flow: screened, enrolled, treated at each level, and how treatment ended."""
    if not flow.arms:
        raise Missing("no patient was treated")
    width = max(6.4, 2.15 * len(flow.arms) + 0.1)
    reasons = sorted(flow.failed.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{_plain(name)}: {count}" for name, count in reasons[:6]]
    told += [f"{len(reasons) - 6} more criteria"] if len(reasons) > 6 else []
    out = [f"not eligible: {flow.screened - flow.enrolled}", *told]
    stops = [_stops(arm) for arm in flow.arms]
    heights = [0.42, 0.19 * len(out) + 0.22, 0.42, 0.83, 0.19 * max(map(len, stops)) + 0.22]
    gap = 0.3
    top = sum(heights) + gap * (len(heights) - 1)
    figure, (box,) = sheet(
        "Flow of patients",
        "From screening to the end of treatment.",
        (width - 0.2, top),
        margin=(0.1, 0.1, 0.1),
    )
    axes = add_axes(figure, box)
    axes.set_xlim(0, box.width)
    axes.set_ylim(0, top)
    axes.axis("off")
    _flow(axes, flow, out, stops, heights, gap)
    caption = "A candidate may fail several criteria. DLT: of the patients who can be judged for it."
    return Plot("consort", "Patient flow", caption, figure)


def _flow(
    axes: Axes,
    flow: Flow,
    out: list[str],
    stops: list[list[str]],
    heights: list[float],
    gap: float,
) -> None:
    """Boxes from the top down, and the lines between them."""
    wide = axes.get_xlim()[1]
    middle, y = 0.5 * wide, axes.get_ylim()[1]
    tops = []
    for height in heights:
        tops.append(y)
        y -= height + gap
    _box(axes, middle, tops[0], 2.3, heights[0], [f"screened: {flow.screened}"], bold=True)
    _line(axes, [(middle, tops[0] - heights[0]), (middle, tops[2])], arrow=True)
    side = middle + 0.5 * (wide - middle) + 0.1
    center = tops[1] - 0.5 * heights[1]
    _line(axes, [(middle, center), (side - 0.5 * min(2.5, wide - middle - 0.3), center)], arrow=True)
    _box(axes, side, tops[1], min(2.5, wide - middle - 0.3), heights[1], out, left=True)
    _box(axes, middle, tops[2], 2.3, heights[2], [f"enrolled: {flow.enrolled}"], bold=True)
    step = wide / len(flow.arms)
    fork = tops[2] - heights[2] - 0.5 * gap
    _line(axes, [(middle, tops[2] - heights[2]), (middle, fork)])
    for k, arm in enumerate(flow.arms):
        x = (k + 0.5) * step
        _line(axes, [(middle, fork), (x, fork), (x, tops[3])], arrow=True)
        lines = [clean(arm.name, 24), f"treated: {arm.treated}", f"DLT: {arm.dlts} of {arm.evaluable}"]
        _box(axes, x, tops[3], step - 0.25, heights[3], lines, bold=True)
        _line(axes, [(x, tops[3] - heights[3]), (x, tops[4])], arrow=True)
        _box(axes, x, tops[4], step - 0.25, heights[4], stops[k], left=True)


def _stops(arm: Arm) -> list[str]:
    early = sorted(arm.stopped.items(), key=lambda item: (-item[1], item[0]))
    return [f"all doses: {arm.completed}", *(f"{_plain(why)}: {count}" for why, count in early)]


def _box(
    axes: Axes, x: float, top: float, width: float, height: float, lines: Sequence[str], bold: bool = False,
    left: bool = False,
) -> None:  # fmt: skip
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.5 * width, top - height), width, height, boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=style.PAPER, edgecolor=style.MUTED, linewidth=0.9, clip_on=False,
        )
    )  # fmt: skip
    at = x - 0.5 * width + 0.12 if left else x
    y = top - 0.2 if left else top - 0.5 * height + 0.095 * (len(lines) - 1)
    for k, line in enumerate(lines):
        weight = "bold" if bold and k == 0 else "normal"
        color = style.INK if k == 0 or not left else style.MUTED
        axes.text(
            at, y - 0.19 * k, line, ha="left" if left else "center", va="center", size=8.5, color=color,
            weight=weight,
        )  # fmt: skip


def _line(axes: Axes, points: Sequence[tuple[float, float]], arrow: bool = False) -> None:
    x, y = zip(*points, strict=True)
    axes.plot(x, y, color=style.MUTED, linewidth=0.9, solid_capstyle="butt")
    if arrow:
        start, end = points[-2], points[-1]
        axes.annotate(
            "",
            end,
            start,
            arrowprops={
                "arrowstyle": "-|>",
                "color": style.MUTED,
                "linewidth": 0.9,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )


def _plain(name: str) -> str:
    """A criterion or reason in words."""
    words = clean(name.replace("_", " "), 30)
    return words.upper() if name in _ABBREVIATIONS else words
