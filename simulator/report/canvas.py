"""The paper figures are drawn on: headers, scales, number formats, and files that repeat to the byte."""

import math
import os
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    MultipleLocator,
    NullLocator,
    SymmetricalLogLocator,
)

from ..base.errors import SimulatorError
from . import style

PNG_DPI = 150
_NARROWEST = 6.4  # inches
_DAY_STEPS = (1, 2, 5, 7, 14, 21, 28, 42, 56, 84, 112, 168, 364, 728)
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, which neither SVG nor HTML may hold
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # invisible ones, which reorder or hide what follows
    "\ud800-\udfff\ufffe\uffff]"  # what no file can encode
)


class Plot(NamedTuple):
    """One figure of the report: `name` of its files, a short heading and a caption."""

    name: str
    heading: str
    caption: str
    figure: Figure


class Missing(Exception):
    """This study has nothing to draw the figure from; the text says what is lacking."""


class Inapplicable(Missing):
    """A study of this design has no such figure: nothing is lacking, and nothing is said."""


def drawn(function: Callable[..., Plot]) -> Callable[..., Plot]:
    """Run a plotting function under the house style, leaving matplotlib's own settings alone."""

    @wraps(function)
    def inside(*args, **kwargs) -> Plot:
        with rc_context(style.RC):
            return function(*args, **kwargs)

    return inside


def clean(text: object, width: int | None = None) -> str:
    """A user's text on one line, unprintable characters replaced, cut to `width` with an ellipsis."""
    line = re.sub(" +", " ", _UNPRINTABLE.sub(" ", str(text))).strip()
    return line if width is None or len(line) <= width else line[: width - 1].rstrip() + "…"


class Box(NamedTuple):
    """A rectangle on a sheet, inches from its lower left corner."""

    left: float
    bottom: float
    width: float
    height: float


def sheet(
    title: str,
    subtitle: str,
    panel: tuple[float, float],
    count: int = 1,
    across: int = 1,
    gap: tuple[float, float] = (0.45, 0.6),
    margin: tuple[float, float, float] = (0.7, 0.15, 0.5),
    legend: Sequence[Artist] = (),
) -> tuple[Figure, list[Box]]:
    """A figure with a header, room for `count` panels `across` in a row, and a legend at its foot.

    panel, gap, margin (left, right, foot) : inches, so that a panel is as large in every figure.
    """
    across = min(across, count)
    down = -(-count // across)
    left, right, foot = margin
    width = max(_NARROWEST, left + across * panel[0] + (across - 1) * gap[0] + right)
    titles, subtitles = textwrap.wrap(title, int(width * 9.8)), textwrap.wrap(subtitle, int(width * 13.2))
    head = 0.24 + 0.2 * len(titles) + 0.17 * len(subtitles) + 0.22
    foot += legend_height(legend, width)
    height = head + down * panel[1] + (down - 1) * gap[1] + foot
    figure = Figure(figsize=(width, height))
    x, y = 0.1 / width, 1 - 0.1 / height
    figure.text(x, y, "\n".join(titles), va="top", weight="bold", size=11)
    y -= (0.06 + 0.2 * len(titles)) / height
    figure.text(x, y, "\n".join(subtitles), va="top", size=9, color=style.MUTED)
    if legend:
        add_legend(figure, legend, (0.02, 0.02), width, "lower left")
    boxes = [
        Box(left + (i % across) * (panel[0] + gap[0]),
            height - head - panel[1] - (i // across) * (panel[1] + gap[1]), *panel)
        for i in range(count)
    ]  # fmt: skip
    return figure, boxes


def add_axes(figure: Figure, box: Box) -> Axes:
    """Axes that fill a box of the figure's sheet."""
    width, height = figure.get_size_inches()
    return figure.add_axes((box.left / width, box.bottom / height, box.width / width, box.height / height))


def inches(axes: Axes) -> tuple[float, float]:
    """Width and height of axes in inches."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    place, (width, height) = axes.get_position(), figure.get_size_inches()
    return place.width * width, place.height * height


def add_legend(
    figure: Figure, legend: Sequence[Artist], at: tuple[float, float], width: float, corner: str
) -> None:
    """A legend up to `width` inches wide with a corner ('lower left') `at` a place in inches."""
    across, up = figure.get_size_inches()
    place: dict[str, Any] = {"loc": corner, "bbox_to_anchor": (at[0] / across, at[1] / up)}
    figure.legend(handles=legend, ncols=_legend_columns(legend, width), handlelength=3.4, **place)


def legend_height(legend: Sequence[Artist], width: float) -> float:
    """Inches that a legend up to `width` inches wide takes."""
    return -(-len(legend) // _legend_columns(legend, width)) * 0.21 + 0.12 if legend else 0.0


def _legend_columns(legend: Sequence[Artist], width: float) -> int:
    longest = max((len(str(handle.get_label())) for handle in legend), default=0)
    return max(1, min(len(legend), int((width - 0.2) / (0.75 + 0.075 * longest))))


def number(value: float, _position: int | None = None) -> str:
    """A tick label without mathematics markup: 0.2, 5 000, 10⁵, 2×10⁻⁴."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else ""
    if 1e-3 <= abs(value) < 1e5:
        text = f"{value:.10g}"
        if abs(value) >= 1e4 and float(value).is_integer():
            text = f"{int(value):,}".replace(",", "\u202f")
        return text.replace("-", "−")
    mantissa, exponent = f"{value:.3e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".").replace("-", "−")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return {"1": power, "−1": "−" + power}.get(mantissa, f"{mantissa}×{power}")


def _power(value: float, _position: int | None = None) -> str:
    """A tick label of a long logarithmic axis: 1, 10, 100, 10³, 10⁴."""
    return number(value) if value < 1e3 else f"10{str(round(math.log10(value))).translate(_SUPERSCRIPT)}"


def wants_log(values: np.ndarray) -> bool:
    """True where all values are positive and span more than a factor of twenty."""
    finite = values[np.isfinite(values)]
    return finite.size > 0 and finite.min() > 0 and finite.max() / finite.min() > 20


def linear_y(axes: Axes, high: float | None = None) -> None:
    """A linear value axis; from zero to a little over `high` where that is given."""
    axes.yaxis.set_major_formatter(FuncFormatter(number))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    if high is not None:
        axes.set_ylim(0, 1.07 * high if high > 0 else 1)


def log_y(axes: Axes, low: float, high: float) -> None:
    """A logarithmic value axis over [low, high]."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    _log_ticks(axes.yaxis, low, high)


def log_x(axes: Axes, low: float, high: float) -> None:
    """A logarithmic horizontal axis over [low, high]."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    _log_ticks(axes.xaxis, low, high)


def _log_ticks(axis: Axis, low: float, high: float) -> None:
    """Labels at decades; at round numbers between them where the span is short."""
    decades = math.log10(high / low)
    if decades > 2:
        axis.set_major_locator(LogLocator(numticks=7))
    elif decades > 0.7:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    else:
        axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(number if high < 1e5 else _power))
    axis.set_minor_locator(NullLocator())


def count_y(axes: Axes, high: float) -> None:
    """A value axis for counts of very different size: linear up to one, logarithmic above."""
    axes.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    axes.set_ylim(0, high * 1.5)
    axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1.0))
    axes.yaxis.set_major_formatter(FuncFormatter(number))
    axes.yaxis.set_minor_locator(NullLocator())


def days_x(axes: Axes, low: float, high: float, label: bool = True) -> None:
    """A day axis with ticks at whole days, weeks or cycles."""
    span = max(high - low, 1e-9)
    step = next((s for s in _DAY_STEPS if span / s <= 7), span / 6)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(number))
    axes.set_xlim(low - 0.01 * span, high + 0.01 * span)
    if label:
        axes.set_xlabel("day")


def svg_text(figure: Figure, name: str) -> str:
    """The figure as SVG text: the same bytes for the same figure, whenever and wherever drawn."""
    with rc_context({**style.RC, "svg.hashsalt": f"simulator {name}"}), _quiet():
        stream = BytesIO()
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    return stream.getvalue().decode("utf-8")


def save(plot: Plot, folder: Path) -> list[Path]:
    """Write NAME.svg and NAME.png into `folder`, each at once or not at all."""
    with rc_context(style.RC), _quiet():
        stream = BytesIO()
        figure = plot.figure
        figure.set_dpi(PNG_DPI)
        FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
        figure.set_dpi(100)
    files = {
        folder / f"{plot.name}.svg": svg_text(plot.figure, plot.name).encode("utf-8"),
        folder / f"{plot.name}.png": stream.getvalue(),
    }
    for path, content in files.items():
        write_whole(path, content)
    return list(files)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file aside and rename it; raises SimulatorError naming the path."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise SimulatorError(f"{path} cannot be written: {error.strerror or error}") from None


def _quiet() -> warnings.catch_warnings:
    """Silence the warning for characters a font lacks: a viewer's font may have them."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)
