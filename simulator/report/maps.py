"""The figures of space: the middle section of the tissue, and of the chemokine field, arm by arm."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, NullLocator

from ..base.errors import InputError
from ..run.reading import Run, read
from . import cells, style
from .canvas import Missing, Plot, add_axes, clean, drawn, inches, number, sheet
from .study import Study

_DAYS = 4  # at most so many columns
_GRID_ARMS = 5  # up to so many arms have a row of days each; more arms show their last day only
_LARGER = {"^": 1.25}  # marks that look smaller than a dot of their size
_OUTLINE: dict[str, Any] = {"path_effects": [Stroke(linewidth=1.6, foreground=style.INK), Normal()]}
_BARS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # µm
_FIELD = "cxcl9"
_DEPTH = 120.0  # µm before and behind the section in which MSCs, which are rare, are shown


class Section(NamedTuple):
    """One panel: the tissue of an arm at a day."""

    arm: str
    day: float
    tissue: xr.Dataset


@drawn
def tissue(study: Study) -> Plot:
    """Middle section of the block: bulk cells as squares, lymphoid cells as dots over them."""
    sections, across, who = _sections(study)
    if "kind" not in sections[0].tissue:
        raise Missing("no run recorded tissue snapshots")
    title = "The tissue, arm by arm" if len({s.day for s in sections}) > 1 else "The tissue of every arm"
    seen = {kind: dots for section in sections for kind, dots in kinds_in(section.tissue).items()}
    about = f"Middle section of the block, {who}."
    figure, axes = _grid(sections, across, title, about, legend=kind_legend(seen))
    for one, section in zip(axes, sections, strict=True):
        draw_tissue(one, section.tissue)
    _finish(axes, sections, across)
    caption = (
        "Each square is one site with its bulk cell; empty sites are white. Dots and triangles: lymphoid "
        f"cells, which share sites with bulk cells. {diamonds(sections[0].tissue)} All panels show the same "
        "person and the same section; arms share their tissue on day 0 unless one changes it before."
        + (f" Lesion 1 of {study.lesions}." if study.lesions > 1 else "")
    )
    return Plot("tissue", "Tissue", caption, figure)


@drawn
def chemokine_map(study: Study) -> Plot:
    """CXCL9 in the same sections, with the MSCs of the section."""
    sections, across, who = _sections(study)
    if _FIELD not in sections[0].tissue:
        raise Missing(f"no run recorded {_FIELD} in its snapshots")
    about = f"Middle section of the block, {who}."
    figure, axes = _grid(sections, across, "CXCL9 in the tissue", about, right=0.95, scale=0.62)
    planes = [_middle(section.tissue[_FIELD]) for section in sections]
    norm = _norm(np.concatenate([plane.ravel() for plane in planes]))
    for one, section, plane in zip(axes, sections, planes, strict=True):
        extent = _extent(section.tissue[_FIELD])
        image = one.imshow(plane, cmap=style.FIELD_MAP, norm=norm, extent=extent, interpolation="none")
        one.set(xlim=frame(section.tissue)[:2], ylim=frame(section.tissue)[2:])
        _draw_mscs(one, section.tissue, "#ffffff", 12.0)
        mean = f"{number(float(f'{plane.mean():.2g}'))}"
        one.text(0.04, 0.04, mean, transform=one.transAxes, color="white", size=8.5, **_OUTLINE)
    _finish(axes, sections, across)
    place, inch = axes[min(across, len(axes)) - 1].get_position(), 1 / figure.get_figwidth()
    beside = figure.add_axes((place.x1 + 0.1 * inch, place.y0, 0.13 * inch, place.height))
    bar = figure.colorbar(image, cax=beside)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(number))
    bar.set_label(f"CXCL9 ({clean(sections[0].tissue[_FIELD].attrs.get('units', ''), 16)})")
    bar.outline.set_visible(False)
    caption = (
        "Concentration of CXCL9 and its mean over the section, one color scale for all panels. It is even "
        f"where the block is smaller than the decay length of CXCL9. {diamonds(sections[0].tissue)}"
    )
    return Plot("chemokine_map", "Chemokine in the tissue", caption, figure)


def _sections(study: Study) -> tuple[list[Section], int, str]:
    """What to draw, how many panels in a row, and whose tissue it is."""
    opened, days, who = one_person(study)
    try:
        if len(opened) > _GRID_ARMS:
            chosen = [(arm, day) for arm, day in zip(opened, (d[-1] for d in days.values()), strict=True)]
            first = study.reference if study.reference in opened else next(iter(opened))
            chosen.insert(0, (first, days[first][0]))
            across = 4
        else:
            chosen = [(arm, day) for arm in opened for day in _spread(days[arm])]
            across = len(_spread(next(iter(days.values()))))
        sections = [Section(arm, day, opened[arm].snapshot(day=day)) for arm, day in chosen]
    except InputError as error:
        raise Missing(error.problems[0].what) from None
    return sections, across, who


def one_person(study: Study) -> tuple[dict[str, Run], dict[str, list[float]], str]:
    """By arm the run of one person and the days of its snapshots; who it is.  Raises Missing."""
    runs = study.runs_of_one_person()
    try:
        opened = {arm: read(path) for arm, path in runs}
        days = {arm: [float(day) for day in run.snapshot_days] for arm, run in opened.items()}
    except InputError as error:
        raise Missing(error.problems[0].what) from None
    if not opened or not all(days.values()):
        raise Missing("no run recorded tissue snapshots")
    patient, replicate = next(key[1:] for key, path in study.files.items() if path == runs[0][1])
    return opened, days, f"patient {patient}, replicate {replicate}"


def _spread(days: list[float]) -> list[float]:
    """At most four of the days, evenly over them, first and last among them."""
    picks = np.linspace(0, len(days) - 1, min(_DAYS, len(days))).round().astype(int)
    return [days[i] for i in dict.fromkeys(picks.tolist())]


def _grid(
    sections: list[Section],
    across: int,
    title: str,
    subtitle: str,
    legend: Sequence[Artist] = (),
    right: float = 0.15,
    scale: float = 1.0,
) -> tuple[Figure, list[Axes]]:
    """Panels of the shape of a section, `across` in a row, with `right` inches for a color bar."""
    left_um, right_um, bottom_um, top_um = frame(sections[0].tissue)
    width = scale * {1: 4.5, 2: 3.2, 3: 2.6}.get(across, 2.15)
    height = width * min(2.0, max(0.1, (bottom_um - top_um) / (right_um - left_um)))
    rows = _has_rows(sections, across)
    figure, boxes = sheet(
        title, subtitle, (width, height), len(sections), across, gap=(0.12, 0.12 if rows else 0.35),
        margin=(0.4 if rows else 0.15, right, 0.35), legend=legend,
    )  # fmt: skip
    return figure, [add_axes(figure, box) for box in boxes]


def _has_rows(sections: list[Section], across: int) -> bool:
    """True where each row of panels is one arm."""
    return all(len({s.arm for s in sections[i : i + across]}) == 1 for i in range(0, len(sections), across))


def _finish(axes: list[Axes], sections: list[Section], across: int) -> None:
    """Frames, names of arms and days, one scale bar."""
    rows = _has_rows(sections, across)
    for i, (one, section) in enumerate(zip(axes, sections, strict=True)):
        frame_only(one)
        if not rows:
            one.set_title(f"{clean(section.arm, 20)}, day {section.day:g}", size=9)
        elif i < across:
            one.set_title(f"day {section.day:g}")
        if rows and i % across == 0:
            one.set_ylabel(clean(section.arm, 22), size=9.5)
    last_row = across * ((len(axes) - 1) // across)
    scale_bar(axes[last_row], frame(sections[last_row].tissue))


def frame_only(axes: Axes) -> None:
    """A thin frame and nothing else: no ticks, no grid."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=style.MUTED, linewidth=0.6)


def scale_bar(axes: Axes, extent: tuple[float, float, float, float]) -> None:
    """A bar of round length just below the panel."""
    width = extent[1] - extent[0]
    depth = -0.13 / inches(axes)[1]
    length = max((bar for bar in _BARS if bar <= 0.45 * width), default=_BARS[0])
    axes.plot(
        [0.0, length / width], [depth, depth], color=style.INK, linewidth=3, solid_capstyle="butt",
        transform=axes.transAxes, clip_on=False,
    )  # fmt: skip
    axes.text(length / width + 0.03, depth, f"{length} µm", transform=axes.transAxes, va="center", size=8.5)


def kinds_in(tissue: xr.Dataset) -> dict[str, bool]:
    """The kinds in a section, True for lymphoid ones, which are drawn as dots."""
    seen: dict[str, bool] = {}
    for layer, dots in (("kind", False), ("lymphoid", True)):
        if layer in tissue:
            names, codes = _names(tissue[layer]), np.unique(_middle(tissue[layer])).tolist()
            seen |= {names[code]: dots for code in codes if code in names}
    if len(_near(tissue, "msc")[0]):
        seen["msc"] = False
    return {kind: dots for kind, dots in seen.items() if kind != "empty"}


def draw_tissue(axes: Axes, tissue: xr.Dataset) -> None:
    """Draw one section: bulk cells as an image, MSCs and lymphoid cells as marks over it."""
    names, plane = _names(tissue["kind"]), _middle(tissue["kind"])
    seen = kinds_in(tissue)
    colors = style.kind_colors([*names.values(), *seen])
    width = inches(axes)[0]
    image = cells.paint(plane, names, colors, cells.dots(width, plane.shape[1]))
    axes.imshow(image, extent=_extent(tissue["kind"]), interpolation="none")
    site = 72 * width / plane.shape[1]
    for kind in (kind for kind, dots in seen.items() if dots):
        points, mark = _points(tissue["lymphoid"], kind), style.MARKS.get(kind, "o")
        size = min(6.5, max(1.8, 0.95 * site)) * _LARGER.get(mark, 1.0)
        axes.plot(
            *points.T, mark, color=colors[kind], markersize=size,
            markeredgecolor="white", markeredgewidth=0.6, zorder=3, rasterized=len(points) > 400,
        )  # fmt: skip
    _draw_mscs(axes, tissue, colors.get("msc", style.KINDS["msc"]), min(9.0, max(4.5, 1.3 * site)) ** 2)


def _draw_mscs(axes: Axes, tissue: xr.Dataset, color: str, size: float) -> None:
    """MSCs near the section as diamonds, paler and smaller the farther before or behind it."""
    points, depth = _near(tissue, "msc")
    if len(points):
        near = 1.0 - depth / (_DEPTH + 1.0)
        edges = [to_rgba(style.INK, alpha) for alpha in 0.3 + 0.7 * near]
        faces = [to_rgba(color, alpha) for alpha in 0.35 + 0.65 * near]
        axes.scatter(
            points[:, 0], points[:, 1], s=size * (0.5 + 0.5 * near), c=faces, edgecolors=edges,
            marker="D", linewidths=0.8, zorder=4,
        )  # fmt: skip


def diamonds(tissue: xr.Dataset) -> str:
    """What the diamonds are; a flat block has its cells in the section."""
    if "kind" not in tissue:
        return "Where MSCs are was not recorded."
    if tissue["kind"].shape[0] == 1:
        return "Diamonds: MSCs."
    return f"Diamonds: MSCs up to {_DEPTH:g} µm before or behind the section, paler with distance."


def kind_legend(seen: dict[str, bool]) -> list[Artist]:
    """Squares for bulk kinds, a diamond for MSCs, dots for lymphoid kinds, in the order of the palette."""
    order = [*style.KINDS, *sorted(set(seen) - set(style.KINDS))]
    colors = style.kind_colors(seen)
    handles: list[Artist] = []
    for kind in sorted(seen, key=order.index):
        words = clean(style.kind_words(kind), 24)
        if seen[kind] or kind == "msc":
            edge: dict[str, Any] = {
                "markeredgecolor": "white" if seen[kind] else style.INK,
                "markeredgewidth": 0.6,
            }
            mark: dict[str, Any] = {
                "marker": style.MARKS.get(kind, "o"),
                "markersize": 6,
                "linestyle": "none",
            }
            handles.append(Line2D([], [], color=colors[kind], label=words, **mark, **edge))
        else:
            handles.append(Patch(facecolor=colors[kind], edgecolor=style.MUTED, linewidth=0.4, label=words))
    return handles


def _names(array: xr.DataArray) -> dict[int, str]:
    """Code → kind, as the array says itself; code 0 is an empty site."""
    codes = np.atleast_1d(array.attrs.get("flag_values", [])).tolist()
    names = str(array.attrs.get("flag_meanings", "")).split()
    return {int(code): name for code, name in zip(codes, names, strict=False)} | {0: "empty"}


def _middle(array: xr.DataArray) -> np.ndarray:
    """The middle z section, (y, x)."""
    return array.values[array.shape[0] // 2]


def _points(array: xr.DataArray, kind: str) -> np.ndarray:
    """Positions (x, y) in µm of the cells of a kind in the middle section."""
    codes = [code for code, name in _names(array).items() if name == kind]
    y, x = np.nonzero(np.isin(_middle(array), codes))
    *_, ys, xs = (array[dim].values for dim in array.dims)
    return np.column_stack([xs[x], ys[y]])


def _near(tissue: xr.Dataset, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions (x, y) of the cells of a kind near the middle section, and their distance to it, in µm."""
    if "kind" not in tissue:
        return np.empty((0, 2)), np.empty(0)
    array = tissue["kind"]
    codes = [code for code, name in _names(array).items() if name == kind]
    z, y, x = np.nonzero(np.isin(array.values, codes))
    zs, ys, xs = (array[dim].values for dim in array.dims)
    depth = np.abs(zs[z] - zs[len(zs) // 2])
    order = np.argsort(-depth, kind="stable")  # the nearest on top
    order = order[depth[order] <= _DEPTH]
    return np.column_stack([xs[x], ys[y]])[order], depth[order]


def _extent(array: xr.DataArray) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a section in µm, of whole voxels; y grows downward."""
    *_, ys, xs = (array[dim].values for dim in array.dims)
    return 0.0, float(xs[-1] + xs[0]), float(ys[-1] + ys[0]), 0.0


def frame(tissue: xr.Dataset) -> tuple[float, float, float, float]:
    """Extent of the tissue itself, which a field on a coarser grid may stick out of."""
    return _extent(tissue["kind" if "kind" in tissue else _FIELD])


def _norm(values: np.ndarray) -> Normalize:
    """One scale for all panels; logarithmic where the values span more than a factor of thirty."""
    finite = values[np.isfinite(values)]
    high = float(finite.max()) if finite.size else 1.0
    positive = finite[finite > 0]
    low = max(float(positive.min()), high / 1e3) if positive.size else 0.0
    if low > 0 and math.log10(high / low) > 1.5:
        return LogNorm(low, high, clip=True)
    return Normalize(0.0, high if high > 0 else 1.0)


FIGURES: tuple[Callable[[Study], Plot], ...] = (tissue, chemokine_map)
