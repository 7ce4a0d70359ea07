"""Draw how close the calibration came: of every fitted value, what was reached over what was wanted.

    python benchmarks/calibration/figure.py FOLDER     # writes calibration.png and calibration.svg

Reads `fitted.json`, which `fit.py` writes and the catalogue holds.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from simulator.report import canvas, style

RESULTS = Path(__file__).resolve().parent / "fitted.json"
_KNOBS = {  # the end of a path, and what it was judged by
    "behaviors.admit.base": "density",
    "behaviors.migrate.barrier": "nest over stroma",
    "traits.reactive.share": "kills a tumor cell and day",
    "behaviors.die.base": "net growth",
}
_WITHIN = 0.2  # densities need to come this close, validation.md section 5


class Fitted(NamedTuple):
    """One value: whose it is, what it was judged by, reached over wanted."""

    kind: str
    judged: str
    ratio: float


def fitted() -> dict[str, list[Fitted]]:
    """The stored fits, by tissue."""
    stored: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {
        tissue: [_fitted(path, entry["reached"] / entry["wanted"]) for path, entry in knobs.items()]
        for tissue, knobs in stored.items()
    }


def _fitted(path: str, ratio: float) -> Fitted:
    _, kind, knob = path.split(".", 2)
    return Fitted(kind, _KNOBS[knob], ratio)


@canvas.drawn
def calibration() -> canvas.Plot:
    """A panel a tissue: reached over wanted of each value, by kind."""
    tissues = fitted()
    kinds = list(dict.fromkeys(each.kind for rows in tissues.values() for each in rows))
    figure, boxes = canvas.sheet(
        "How close the calibration came",
        "Reached on the lattice over wanted, the same seeds as in the fit. Shade: within 20 %.",
        (1.75, 0.3 * len(kinds)), len(tissues), 3, gap=(0.3, 0.65), margin=(0.85, 0.2, 0.55),
        legend=[Line2D([], [], label=judged, **_look(judged)) for judged in _KNOBS.values()],
    )  # fmt: skip
    for i, ((tissue, rows), box) in enumerate(zip(tissues.items(), boxes, strict=True)):
        _panel(canvas.add_axes(figure, box), tissue, rows, kinds, named=i % 3 == 0)
    caption = "Sources of what was wanted stand in benchmarks/calibration/fit.py."
    return canvas.Plot("calibration", "Calibration", caption, figure)


def _panel(axes: Axes, tissue: str, rows: list[Fitted], kinds: list[str], named: bool) -> None:
    axes.axvspan(1.0 - _WITHIN, 1.0 + _WITHIN, color="#e8ecef", linewidth=0)
    axes.axvline(1.0, color=style.INK, linewidth=0.8)
    for each in rows:
        offset = (list(_KNOBS.values()).index(each.judged) - 1.5) * 0.16
        axes.plot(each.ratio, len(kinds) - 1 - kinds.index(each.kind) - offset, **_look(each.judged))
    axes.set_xscale("log")
    axes.set_xlim(0.6, 1.6667)
    axes.set_xticks([0.7, 1.0, 1.4])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(FuncFormatter(canvas.number))
    axes.set_ylim(-0.6, len(kinds) - 0.4)
    axes.set_yticks(range(len(kinds)), list(reversed(kinds)) if named else [""] * len(kinds))
    axes.set_title(tissue.replace("_", " "))
    axes.set_xlabel("reached / wanted")


def _look(judged: str) -> dict[str, Any]:
    i = list(_KNOBS.values()).index(judged)
    return {
        "marker": "osD^"[i], "markersize": 6, "color": style.ARMS[i], "markeredgecolor": style.PAPER,
        "linestyle": "none",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for path in canvas.save(calibration(), folder):
        print(path)


if __name__ == "__main__":
    main()
