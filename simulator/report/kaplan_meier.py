"""Survival curves with intervals, censoring marks and the table of those at risk."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from ..base.errors import InputError
from ..clinic import survival
from . import style
from .canvas import Missing, Plot, add_axes, clean, days_x, drawn, inches, number, sheet
from .clinical import arms_of

_ROW = 0.185  # inches of the table
_TITLES = {
    "OS": "Overall survival",
    "PFS": "Progression-free survival",
    "IPFS": "Progression-free survival by iRECIST",
    "DOR": "Duration of response",
}
_MONTH = 365.25 / 12.0


@drawn
def kaplan_meier(
    adtte: pd.DataFrame, code: str = "PFS", reference: str | None = None, level: float = 0.95
) -> Plot:
    """Kaplan–Meier curves of one time to event, an arm a curve.

    adtte : USUBJID, ARM, PARAMCD, AVAL [d], CNSR.  code : which of PARAMCD.
    """
    rows = adtte[adtte["PARAMCD"] == code]
    if rows.empty:
        raise Missing(f"no patient has a time of {code}")
    arms = arms_of(rows)
    curves = {
        arm: survival.kaplan_meier(mine["AVAL"].to_numpy(), mine["CNSR"].to_numpy() == 0, level)
        for arm, mine in rows.groupby("ARM", sort=False)
    }
    styles = style.arm_styles(arms, reference)
    shade = len(arms) <= 3
    title = _TITLES.get(code, clean(code, 30))
    figure, (box,) = sheet(
        title,
        f"Kaplan–Meier estimate{f', {100 * level:g} % interval (shade)' if shade else ''}; ticks: censored.",
        (4.6, 2.8), margin=(1.45, 2.15, 0.75 + _ROW * (len(arms) + 1)),
        legend=[Line2D([], [], **styles[arm], linewidth=2.2, label=clean(arm, 26)) for arm in arms],
    )  # fmt: skip
    axes = add_axes(figure, box)
    last = max(float(curve.time[-1]) for curve in curves.values())
    for arm in arms:
        _draw(axes, curves[arm], styles[arm], shade)
    days_x(axes, 0.0, last)
    axes.set_xlim(0, 1.01 * last)
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_locator(MultipleLocator(0.25))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    axes.set_ylabel("without event (%)" if code != "OS" else "alive (%)")
    axes.axhline(0.5, color=style.MUTED, linewidth=0.7, dashes=(2, 2))
    _at_risk(axes, curves, styles)
    compared = _compared(rows, arms, reference, level)
    _aside(axes, curves, styles, compared, level)
    caption = "; ".join(_words(arm, curve) for arm, curve in curves.items()) + "."
    if compared:
        caption += (
            " The test and the ratios take arms as made of different people; the paired contrast of virtual "
            "patients stands apart."
        )
    return Plot(f"kaplan_meier_{code.lower()}", title, caption, figure)


def _draw(axes: Axes, curve: survival.KaplanMeier, look: dict[str, Any], shade: bool) -> None:
    """Steps, interval and censoring ticks of one arm."""
    time, height = np.r_[0.0, curve.time], np.r_[1.0, curve.survival]
    if shade:
        low, high = (np.where(np.isnan(b), height[1:], b) for b in (curve.low, curve.high))
        axes.fill_between(
            time, np.r_[1.0, low], np.r_[1.0, high], step="post", color=look["color"], alpha=0.11, linewidth=0
        )
    axes.plot(time, height, drawstyle="steps-post", **look)
    gone = curve.censored > 0
    axes.plot(
        curve.time[gone], curve.survival[gone], "|", color=look["color"], markersize=7, markeredgewidth=1.2
    )


def _at_risk(
    axes: Axes,
    curves: dict[str, survival.KaplanMeier],
    styles: dict[str, dict[str, Any]],
) -> None:
    """Numbers at risk below the ticks of the axis."""
    low, high = axes.get_xlim()
    ticks = [float(tick) for tick in axes.get_xticks() if low <= tick <= high]
    height = inches(axes)[1]
    top = -0.52 / height
    place: dict[str, Any] = {"va": "center", "size": 8.5, "annotation_clip": False}
    axes.annotate("at risk", (-0.05, top), xycoords="axes fraction", ha="right", color=style.MUTED, **place)
    for row, (arm, curve) in enumerate(curves.items(), start=1):
        y, color = top - row * _ROW / height, styles[arm]["color"]
        axes.annotate(clean(arm, 18), (-0.05, y), xycoords="axes fraction", ha="right", color=color, **place)
        for tick, count in zip(ticks, curve.number_at_risk(np.array(ticks)), strict=True):
            axes.annotate(str(count), (tick, y), xycoords=("data", "axes fraction"), ha="center", **place)


def _aside(
    axes: Axes,
    curves: dict[str, survival.KaplanMeier],
    styles: dict[str, dict[str, Any]],
    compared: list[str],
    level: float,
) -> None:
    """Medians and comparisons, to the right of the curves."""
    lines = [(f"median, days ({100 * level:g} % interval)", style.MUTED)]
    for arm, curve in curves.items():
        color = styles[arm]["color"]
        lines += [(clean(arm, 26), color), (_median(curve), color)]
    lines += [("", style.INK), *((line, style.INK) for line in compared)]
    height = inches(axes)[1]
    for i, (text, color) in enumerate(lines):
        axes.annotate(
            text, (1.06, 1.0 - (i + 0.4) * 0.165 / height), xycoords="axes fraction", va="center", size=8.5,
            color=color, annotation_clip=False,
        )  # fmt: skip


def _median(curve: survival.KaplanMeier) -> str:
    """A median with its interval, in days: 53 (52–56)."""
    median, low, high = (number(round(x)) if math.isfinite(x) else "not reached" for x in curve.quantile())
    return f"{median} ({low}–{high})" if median != "not reached" else median


def _words(arm: str, curve: survival.KaplanMeier) -> str:
    """An arm in words: events and median in months."""
    median = curve.quantile()[0]
    when = f"median {median / _MONTH:.1f} months" if math.isfinite(median) else "median not reached"
    return f"{clean(arm, 30)}: {int(curve.events.sum())} of {int(curve.at_risk[0])} patients, {when}"


def _compared(rows: pd.DataFrame, arms: list[str], reference: str | None, level: float) -> list[str]:
    """Log-rank test over all arms, and hazard ratios against the reference (else the first arm)."""
    if len(arms) < 2:
        return []
    time, event = rows["AVAL"].to_numpy(float), rows["CNSR"].to_numpy() == 0
    p_value = survival.log_rank(time, event, rows["ARM"].to_numpy()).p_value
    said = [f"log-rank p = {p_value:.2g}"] if math.isfinite(p_value) else []
    base = reference if reference in arms else arms[0]
    ratios = []
    for arm in (arm for arm in arms if arm != base):
        both = rows["ARM"].isin([arm, base]).to_numpy()
        try:
            fit = survival.cox(time[both], event[both], (rows["ARM"] == arm).to_numpy(float)[both], level)
        except InputError:  # no event, or never at risk together
            continue
        between = f" ({fit.low[0]:.2f}–{fit.high[0]:.2f})" if math.isfinite(fit.error[0]) else ""
        ratios.append(f"{clean(arm, 18)} {fit.ratio[0]:.2f}{between}")
    if ratios:
        said += [f"hazard ratio to {clean(base, 18)}:", *ratios]
    return said
