"""The figures of a trial: response, course and adverse events, one function a figure.

Each takes tables as a trial writes them, with the names of CDISC, and returns a `Plot`, or raises
`Missing` where they hold nothing to draw.  The arm named `reference` is drawn in ink.

adtr : USUBJID, ARM, PARAMCD (SUMDIAM), ADY, PCHG [%].
adrs : USUBJID, ARM, PARAMCD (BOR), AVALC.
adtte : USUBJID, ARM, PARAMCD (OS, PFS …), AVAL [d], CNSR, EVNTDESC.
rates : ARM, CRITERIA, PARAMCD (ORR, DCR), N, COUNT, AVAL, LOW, HIGH, LEVEL.
"""

from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from . import style
from .canvas import Missing, Plot, add_axes, clean, days_x, drawn, number, sheet

RESPONSE, PROGRESSION = -30.0, 20.0  # % change of the sum: guideline §4.3.1
_CAP = 100.0  # % growth beyond which a bar or line is cut
_HATCH = {"NE": "////"}


def arms_of(table: pd.DataFrame) -> list[str]:
    """Arms in the order of a table; raises Missing where it is empty."""
    if table.empty:
        raise Missing("the trial has no patient with this result")
    return list(dict.fromkeys(table["ARM"]))


def best_responses(adrs: pd.DataFrame) -> pd.Series:
    """Best overall response by (ARM, USUBJID)."""
    best = adrs[adrs["PARAMCD"] == "BOR"]
    return best.set_index(["ARM", "USUBJID"])["AVALC"]


def _response_legend(seen: Sequence[str]) -> list[Artist]:
    return [
        Patch(
            facecolor=style.RESPONSES[r],
            edgecolor=style.PAPER,
            hatch=_HATCH.get(r, ""),
            label=f"{style.RESPONSE_WORDS[r]} ({r})",
        )
        for r in style.RESPONSES
        if r in set(seen)
    ]


def _thresholds(axes: Axes, label: bool) -> None:
    """The lines of response and progression, and the line of no change."""
    axes.axhline(0, color=style.INK, linewidth=0.8)
    for level in (RESPONSE, PROGRESSION):
        axes.axhline(level, color=style.INK, linewidth=0.9, dashes=(4, 3), zorder=3)
        if label:
            axes.annotate(
                f"{number(level)} %" if level < 0 else f"+{number(level)} %",
                (1, level), xytext=(3, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", size=8, color=style.MUTED,
            )  # fmt: skip


def _change_y(axes: Axes, high: float) -> None:
    """An axis of change in percent, from complete disappearance up."""
    axes.set_ylim(-104, high)
    axes.yaxis.set_major_locator(MultipleLocator(50 if high <= 160 else 100))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{'+' if value > 0 else ''}{number(value)}")
    )


def _changes(adtr: pd.DataFrame) -> pd.DataFrame:
    """Changes of the sum of diameters after baseline."""
    sums = adtr[(adtr["PARAMCD"] == "SUMDIAM") & (adtr["ADY"] > 0)]
    if sums.empty:
        raise Missing("no patient has a complete sum of diameters after baseline")
    return sums


@drawn
def waterfall(adtr: pd.DataFrame, adrs: pd.DataFrame) -> Plot:
    """Best change of the sum of target diameters, a bar a patient, colored by best response."""
    sums, best = _changes(adtr), best_responses(adrs)
    arms = arms_of(sums)
    lowest = sums.groupby(["ARM", "USUBJID"])["PCHG"].min()
    most = max(int(lowest[arm].size) for arm in arms)
    width = float(np.clip(0.075 * most, 2.4, 6.0))
    across = 1 if width > 4.2 else min(3, len(arms))
    figure, boxes = sheet(
        "Best change in target lesions",
        "Smallest sum of diameters after baseline against baseline, a bar a patient; color: best response.",
        (width, 2.3), len(arms), across, gap=(0.6, 0.65), margin=(0.75, 0.55, 0.2),
        legend=_response_legend([best[who] for who in lowest.index]),
    )  # fmt: skip
    high = min(_CAP, max(40.0, 1.1 * float(lowest.max())))
    for i, (arm, box) in enumerate(zip(arms, boxes, strict=True)):
        axes = add_axes(figure, box)
        bars = lowest[arm].sort_values(ascending=False, kind="stable")
        people = [best[arm, patient] for patient in bars.index]
        axes.bar(
            range(len(bars)), bars.clip(upper=high), width=0.82,
            color=[style.RESPONSES[r] for r in people],
            hatch=[_HATCH.get(r, "") for r in people], edgecolor=style.PAPER, linewidth=0.3,
        )  # fmt: skip
        for place, (value, response) in enumerate(zip(bars, people, strict=True)):
            if value > high:
                axes.text(
                    place, 0.97 * high, f"+{number(round(value))}", rotation=90, ha="center", va="top",
                    size=7, color=style.PAPER,
                )  # fmt: skip
            elif abs(value) < 2.5:  # no change is a patient too
                axes.plot(place, 0, "_", color=style.RESPONSES[response], markeredgewidth=2, zorder=4)
        _thresholds(axes, label=(i + 1) % across == 0 or i + 1 == len(arms))
        _change_y(axes, high)
        axes.set_xlim(-0.8, max(len(bars), 12) - 0.2)
        axes.set_xticks([])
        axes.grid(False)
        axes.spines["bottom"].set_visible(False)
        axes.set_title(f"{clean(arm, 26)}, {_of_all(len(bars), best[arm])}")
        if i % across == 0:
            axes.set_ylabel("best change (%)")
    cut = " Bars are cut at +100 % and tell their value." if lowest.max() > high else ""
    caption = (
        "Dashes: −30 %, partial response, and +20 %, progression (which counts from the smallest sum, not "
        f"from baseline). Patients without a complete sum after baseline have no bar.{cut}"
    )
    return Plot("waterfall", "Waterfall of best change", caption, figure)


def _of_all(shown: int, everyone: pd.Series) -> str:
    return f"n = {shown}" if shown == len(everyone) else f"{shown} of {len(everyone)} patients"


@drawn
def spider(adtr: pd.DataFrame, adrs: pd.DataFrame) -> Plot:
    """Change of the sum of target diameters over time, a line a patient, colored by best response."""
    scanned = _changes(adtr).set_index(["ARM", "USUBJID"]).index
    sums, best = adtr[adtr["PARAMCD"] == "SUMDIAM"], best_responses(adrs)
    sums = sums[pd.MultiIndex.from_frame(sums[["ARM", "USUBJID"]]).isin(scanned)]
    arms = arms_of(sums)
    across = min(3, len(arms))
    figure, boxes = sheet(
        "Target lesions over time",
        "Sum of diameters against baseline, a line a patient and a dot a scan; color: best response.",
        (5.4, 2.9) if len(arms) == 1 else (2.7, 2.3), len(arms), across, gap=(0.5, 0.7),
        margin=(0.75, 0.55, 0.5), legend=_response_legend([best[who] for who in scanned]),
    )  # fmt: skip
    last = float(sums["ADY"].max())
    high = min(150.0, max(40.0, 1.05 * float(sums["PCHG"].max())))
    for i, (arm, box) in enumerate(zip(arms, boxes, strict=True)):
        axes = add_axes(figure, box)
        mine = sums[sums["ARM"] == arm]
        for patient, line in mine.groupby("USUBJID"):
            response = str(best[arm, patient])
            axes.plot(
                line["ADY"], line["PCHG"], color=style.RESPONSES[response], linewidth=1.0,
                marker="o", markersize=2.2, alpha=0.9, zorder=4 if response in ("CR", "PR") else 2,
            )  # fmt: skip
        _thresholds(axes, label=(i + 1) % across == 0 or i + 1 == len(arms))
        _change_y(axes, high)
        days_x(axes, 0.0, last, label=i + across >= len(arms))
        axes.set_xlim(min(0.0, float(sums["ADY"].min())) - 0.02 * last, 1.02 * last)
        axes.set_title(f"{clean(arm, 26)}, {_of_all(mine['USUBJID'].nunique(), best[arm])}")
        if i % across == 0:
            axes.set_ylabel("change from baseline (%)")
    caption = (
        "Scans are joined by straight lines. Dashes: −30 % and +20 % of baseline. What grows beyond the "
        "frame is not shown."
    )
    return Plot("spider", "Change over time", caption, figure)


@drawn
def swimmer(adtte: pd.DataFrame, adrs: pd.DataFrame) -> Plot:
    """Each patient's time on study with responses, progression and death; one panel an arm."""
    times = adtte.pivot(index=["ARM", "USUBJID"], columns="PARAMCD", values=["AVAL", "CNSR"])
    arms = arms_of(adtte)
    best = best_responses(adrs)
    days = times["AVAL"]
    onset = (days["PFS"] - days["DOR"]).dropna() if "DOR" in days else pd.Series(dtype=float)
    most = max(int(times.loc[arm].shape[0]) for arm in arms)
    across = min(3, len(arms))
    legend = [*_response_legend(list(best)), *_swim_marks()]
    row = float(np.clip(4.2 / most, 0.07, 0.22))
    figure, boxes = sheet(
        "Every patient on study",
        "A bar from the first dose to death or the last day of follow-up; color: best response.",
        (5.4 if across == 1 else 2.6, row * most + 0.1), len(arms), across, gap=(0.3, 0.7),
        margin=(0.25, 0.2, 0.5), legend=legend,
    )  # fmt: skip
    last = float(times["AVAL"]["OS"].max())
    for i, (arm, box) in enumerate(zip(arms, boxes, strict=True)):
        axes = add_axes(figure, box)
        mine = times.loc[arm].sort_values(("AVAL", "OS"), kind="stable")
        for y, (patient, line) in enumerate(mine.iterrows()):
            _swim(axes, y, line, str(best[arm, patient]), onset.get((arm, patient)), last)
        days_x(axes, 0.0, last, label=i + across >= len(arms))
        axes.set_xlim(0, 1.06 * last)
        axes.set_ylim(-0.8, most - 0.2)
        axes.set_yticks([])
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_title(f"{clean(arm, 26)}, n = {len(mine)}")
    caption = (
        "Ordered by time on study, longest on top. Progression is that of RECIST 1.1, on a scan or clinical; "
        "a first response is one that counts towards the best. A bar without a square ends alive."
    )
    return Plot("swimmer", "Swimmer plot", caption, figure)


_SWIM = {  # marker, face, size
    "first response": ("^", style.PAPER, 5.0),
    "progression": ("D", style.PAPER, 3.8),
    "death": ("s", style.INK, 3.8),
    "alive at the end": (">", style.INK, 3.8),
}


def _swim_marks() -> list[Artist]:
    return [Line2D([], [], linestyle="none", **_swim_look(name), label=name) for name in _SWIM]


def _swim_look(name: str) -> dict[str, Any]:
    marker, face, size = _SWIM[name]
    return {
        "marker": marker,
        "markersize": size,
        "markerfacecolor": face,
        "markeredgecolor": style.INK,
        "markeredgewidth": 0.8,
    }


def _swim(axes: Axes, y: int, line: pd.Series, response: str, onset: float | None, last: float) -> None:
    """One patient's bar and marks."""
    end, died = float(line["AVAL", "OS"]), line["CNSR", "OS"] == 0
    axes.barh(
        y, end, height=0.72, color=style.RESPONSES[response], hatch=_HATCH.get(response, ""),
        edgecolor=style.PAPER, linewidth=0.3,
    )  # fmt: skip
    marks = {"death" if died else "alive at the end": end + 0.012 * last}
    if onset is not None:
        marks["first response"] = onset
    if line["CNSR", "PFS"] == 0 and line["AVAL", "PFS"] < end:
        marks["progression"] = float(line["AVAL", "PFS"])
    for name, day in marks.items():
        axes.plot(day, y, linestyle="none", clip_on=False, zorder=4, **_swim_look(name))


_RATES = {"ORR": "objective response (CR or PR)", "DCR": "disease control (CR, PR or SD)"}


@drawn
def response_rates(rates: pd.DataFrame, reference: str | None = None, criteria: str = "RECIST 1.1") -> Plot:
    """ORR and DCR of every arm with their exact intervals and counts."""
    rows = rates[rates["CRITERIA"] == criteria]
    arms = arms_of(rows)
    styles = style.arm_styles(arms, reference)
    level = 100 * float(rows["LEVEL"].iloc[0])
    figure, boxes = sheet(
        f"Response rates by {clean(criteria, 30)}",
        f"Share of all patients of an arm, with exact (Clopper–Pearson) {level:g} % interval.",
        (2.55, 0.34 * len(arms) + 0.1), 2, 2, gap=(1.15, 0.6), margin=(1.45, 1.05, 0.5),
    )  # fmt: skip
    for first, (code, box) in enumerate(zip(_RATES, boxes, strict=True)):
        axes = add_axes(figure, box)
        mine = rows[rows["PARAMCD"] == code].set_index("ARM")
        for y, arm in enumerate(reversed(arms)):
            row, color = mine.loc[arm], styles[arm]["color"]
            axes.barh(y, 100 * row["AVAL"], height=0.62, color=color, alpha=0.4, linewidth=0)
            axes.plot([100 * row["AVAL"]] * 2, [y - 0.31, y + 0.31], color=color, linewidth=2.2)
            axes.plot(
                [100 * row["LOW"], 100 * row["HIGH"]], [y, y], "|-", color=color, linewidth=1.4,
                markersize=7, markeredgewidth=1.4,
            )  # fmt: skip
            axes.annotate(
                f"{row['COUNT']:g} / {row['N']:g}   {100 * row['AVAL']:.0f} %", (1.03, y),
                xycoords=("axes fraction", "data"), va="center", size=8.5, annotation_clip=False,
            )  # fmt: skip
        axes.set_title(_RATES[code])
        axes.set_xlim(0, 100)
        axes.xaxis.set_major_locator(MultipleLocator(25))
        axes.set_xlabel("patients (%)")
        axes.set_ylim(-0.6, len(arms) - 0.4)
        axes.set_yticks(range(len(arms)), [clean(arm, 20) for arm in reversed(arms)] if not first else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")
    caption = (
        "Patients who could not be evaluated count as without response. Intervals are of each arm alone; "
        "arms of virtual patients are paired, and their difference is known better than two intervals tell."
    )
    return Plot("response_rates", "Response rates", caption, figure)


@drawn
def adverse_events(table: pd.DataFrame, patients: Mapping[str, int]) -> Plot:
    """Share of patients with each kind of adverse event by worst grade, a bar an arm.

    table : columns kind, grade (1–5), arm, count (patients with that worst grade).
    patients : treated patients by arm.
    """
    if table.empty or table["count"].sum() == 0:
        raise Missing("no adverse event was recorded")
    arms = [arm for arm in patients if arm in set(table["arm"])]
    count = table.pivot_table(index=["kind", "arm"], columns="grade", values="count", aggfunc="sum")
    share = count.fillna(0).div([patients[arm] / 100 for _, arm in count.index], axis=0)
    worst = share.sum(axis=1).groupby("kind").max().sort_values(kind="stable")
    slot = len(arms) + 0.7
    figure, (box,) = sheet(
        "Adverse events",
        "Patients by the worst grade of each kind, percent of those treated.",
        (3.7, 0.17 * slot * len(worst) + 0.1), margin=(3.1, 0.3, 0.5),
        legend=[Patch(label=f"grade {g}", **_grade_look(g)) for g in style.GRADES if g in share.columns],
    )  # fmt: skip
    axes = add_axes(figure, box)
    for k, kind in enumerate(worst.index):
        for i, arm in enumerate(reversed(arms)):
            left = 0.0
            for grade in style.GRADES if (kind, arm) in share.index else ():
                value = float(share.loc[(kind, arm)].get(grade, 0.0))
                if value > 0:
                    axes.barh(k * slot + i, value, left=left, height=0.8, **_grade_look(grade))
                left += value
        axes.annotate(
            fill(clean(kind, 56), 28), (-2.95 / 3.7, k * slot + 0.5 * (len(arms) - 1)),
            xycoords=("axes fraction", "data"), va="center", size=9, annotation_clip=False,
        )  # fmt: skip
    rows = [k * slot + i for k in range(len(worst)) for i in range(len(arms))]
    axes.set_yticks(rows, [clean(arm, 16) for arm in reversed(arms)] * len(worst))
    axes.tick_params(axis="y", length=0, labelsize=8, labelcolor=style.MUTED)
    axes.set_ylim(-0.8, len(worst) * slot - 0.7)
    axes.set_xlim(0, max(10.0, 1.08 * float(worst.max())))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(number))
    axes.set_xlabel("patients (%)")
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    caption = "The most frequent kind on top. A patient counts once for each kind, with its worst grade."
    return Plot("adverse_events", "Adverse events", caption, figure)


def _grade_look(grade: int) -> dict[str, Any]:
    return {"facecolor": style.GRADES[grade], "edgecolor": style.MUTED, "linewidth": 0.4}


FIGURES: tuple[Callable[..., Plot], ...] = (waterfall, spider, swimmer, response_rates, adverse_events)
