"""The figure that comes first: the tissue with its MSCs, what they did in the block, and what came of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..base.errors import InputError
from ..run.reading import Run
from . import maps, plots, stats, style
from .canvas import Box, Missing, Plot, add_axes, add_legend, clean, days_x, drawn, legend_height, sheet
from .study import Study
from .words import outcome_words

_SIDE = 4.3  # inches, of the square that holds the section
_BESIDE = 4.95  # inches right of it: two panels over one
_KINDS_WIDTH, _ARMS_WIDTH = 5.2, 4.6  # inches, of the legends; kinds have short names
_COUNTS = ("msc_alive", "cd8")


@drawn
def overview(study: Study) -> Plot:
    """A section of the tissue; MSCs and CD8 cells in the block; each arm's outcome against the reference."""
    name = stats.split_outcome(study.outcome)[1]
    outcome = plots.required(study, name)
    counts = {count: table for count in _COUNTS if (table := _recorded(study, count)) is not None}
    section, who = _section(study)
    kinds = maps.kind_legend(maps.kinds_in(section.tissue))
    arms = plots.arm_legend(study, study.arms)
    foot = max(legend_height(kinds, _KINDS_WIDTH), legend_height(arms, _ARMS_WIDTH))
    figure, (box,) = sheet(
        clean(study.plan.title, 200) or "The study", _subtitle(study, who), (_SIDE, _SIDE),
        margin=(0.15, _BESIDE, 0.42 + foot),
    )  # fmt: skip
    _draw_section(figure, box, section)
    left, across, low = box.left + box.width + 0.75, _BESIDE - 0.9, 1.85
    lower = add_axes(figure, Box(left, box.bottom, across, low))
    high = box.height - low - 0.75
    width = (across - 0.55 * (len(counts) - 1)) / max(1, len(counts))
    for i, (count, table) in enumerate(counts.items()):
        axes = add_axes(figure, Box(left + i * (width + 0.55), box.bottom + low + 0.75, width, high))
        _courses(axes, study, table, f"{plots.label_of(study, count)} in the block")
    _effect(lower, study, outcome)
    lower.set_xlabel("day")
    _legends(figure, box, left, kinds, arms)
    return Plot("overview", "The study at a glance", _caption(study, section), figure)


def _recorded(study: Study, name: str) -> pd.DataFrame | None:
    """A count that some run recorded and that is not zero throughout."""
    table = study.table(name)
    return table if table is not None and (table > 0).to_numpy().any() else None


def _section(study: Study) -> tuple[maps.Section, str]:
    """The arm and day with the most MSCs of one person, or the reference's last day; and who it is."""
    opened, days, who = maps.one_person(study)
    counts = {
        (arm, day): mscs for arm, run in opened.items()
        for day, mscs in zip(days[arm], _mscs(run, days[arm]), strict=True)
    }  # fmt: skip
    arm, day = max(counts, key=lambda place: counts[place])
    if counts[arm, day] == 0:
        arm = study.reference if study.reference in opened else next(iter(opened))
        day = days[arm][-1]
    try:
        tissue = opened[arm].snapshot(day=day)
    except InputError as error:
        raise Missing(error.problems[0].what) from None
    if "kind" not in tissue:
        raise Missing("no run recorded tissue snapshots")
    return maps.Section(arm, day, tissue), who


def _mscs(run: Run, days: list[float]) -> np.ndarray:
    """Living MSCs in the first block at the records nearest to some days; zero where none are recorded."""
    series = run.series
    if "msc_alive" not in series or not series.sizes["day"]:
        return np.zeros(len(days))
    return np.nan_to_num(series["msc_alive"].sel(day=days, method="nearest").values)


def _draw_section(figure: Figure, box: Box, section: maps.Section) -> None:
    """The section at the top left of its square, in its own shape."""
    extent = maps.frame(section.tissue)
    shape = (extent[2] - extent[3]) / (extent[1] - extent[0])
    width, height = min(box.width, box.height / shape), min(box.height, box.width * shape)
    axes = add_axes(figure, Box(box.left, box.bottom + box.height - height, width, height))
    maps.draw_tissue(axes, section.tissue)
    maps.frame_only(axes)
    axes.set_title(f"{clean(section.arm, 26)}, day {section.day:g}")
    maps.scale_bar(axes, extent)


def _courses(axes: Axes, study: Study, table: pd.DataFrame, title: str) -> None:
    """A line an arm, its runs shaded where the arms are few."""
    for arm in study.arms:
        if arm in table:
            plots.draw_arm(axes, study, table, arm, shade=_few(study))
    plots.scale_y([axes], table)
    axes.set_title(title)
    days_x(axes, table.index.min(), table.index.max(), label=False)


def _effect(axes: Axes, study: Study, table: pd.DataFrame) -> None:
    """Each arm against the reference; without a comparison, the outcome itself."""
    log, name = stats.split_outcome(study.outcome)
    if not _compares(study):
        _courses(axes, study, table, plots.label_of(study, name))
        return
    styles = style.arm_styles(study.arms, study.reference)
    axes.axhline(1 if log else 0, color=style.INK, linewidth=0.9)
    for arm in study.arms:
        if arm in table and arm != study.reference:
            plots.draw_paired(axes, study, table, arm, 0.13 if _few(study) else 0.0, **styles[arm])
    plots.difference_axes([axes], log)
    against = f"{'ratio to' if log else 'difference from'} {clean(study.reference, 18)}"
    axes.set_title(f"{outcome_words(study.outcome)}, {against}")
    days_x(axes, table.index.min(), table.index.max(), label=False)


def _compares(study: Study) -> bool:
    """True where there is a reference and an arm to compare with it."""
    table = study.table(stats.split_outcome(study.outcome)[1])
    compared = [arm for arm in study.arms if table is not None and arm in table]
    return study.reference in compared and len(compared) > 1


def _few(study: Study) -> bool:
    return len(study.arms) <= plots.FAN_ARMS


def _legends(figure: Figure, box: Box, left: float, kinds: Sequence[Artist], arms: Sequence[Artist]) -> None:
    """The kinds below the section, the arms below the panels."""
    top = box.bottom - 0.4
    add_legend(figure, kinds, (0.02, top), _KINDS_WIDTH, "upper left")
    add_legend(figure, arms, (left - 0.4, top), _ARMS_WIDTH, "upper left")


def _subtitle(study: Study, who: str) -> str:
    spread = f" and {study.spread[0]} (shade)" if _few(study) else ""
    ratio = "ratio" if stats.split_outcome(study.outcome)[0] else "difference"
    interval = f" with {100 * study.level:g} % interval" if _few(study) else ""
    paired = f"; paired {ratio}{interval}" if _compares(study) else ""
    return f"Section of {who}; median{spread} of {study.people()}{paired}."


def _caption(study: Study, section: maps.Section) -> str:
    """What is drawn, where it is from."""
    return (
        "Left: middle section of the block in the arm and on the recorded day with the most MSCs, or at the "
        "end where there are none; each square is one site with its bulk cell. "
        + maps.diamonds(section.tissue)
        + (f" Lesion 1 of {study.lesions}." if study.lesions > 1 else "")
        + " Right: cells alive in the block, and the outcome"
        + (" within the same patient and replicate." if _compares(study) else ".")
    )
