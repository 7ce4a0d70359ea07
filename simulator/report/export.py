"""Run files for other people's tools: tables, AnnData, a VTK file of its own, pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ..base.errors import InputError, did_you_mean
from ..run import content
from ..run.files import dataset, group, open_run, rows, sound
from ..run.reading import Run, read

if TYPE_CHECKING:
    from PIL.Image import Image

_GIF_MS = 600  # a snapshot is shown so long
_PANEL_IN = 5.0  # inches
_PER_INCH = 120


def export(path: str | Path, to: str, out: str | Path | None = None, force: bool = False) -> Path:
    """Write a run in another format; returns the file or folder written.

    to : "csv" (a folder of tables), "h5ad" (a folder, one AnnData a snapshot), "vtkhdf" (one file with all
    time steps), "png" (a folder, the middle section of each snapshot) or "gif" (the same, moving).
    out : by default beside the run, named as it.  Raises InputError for another format, where `out` exists
    (unless `force`) and where the run lacks what the format shows.
    """
    if to not in FORMATS:
        raise InputError(f"There is no format '{to}'.", did_you_mean(to, FORMATS))
    run = read(path)
    write, ending = FORMATS[to]
    target = Path(out) if out is not None else run.path.with_name(run.path.stem + ending)
    if target.exists() and not force:
        raise InputError(f"{target} is not overwritten.", "Choose another place with -o, or add --force.")
    write(run, target)
    return target


def _csv(run: Run, folder: Path) -> None:
    """Series and cells of every lesion, body and events; what a number counts in stands in units.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    units = ["table,column,unit,long_name"]
    for number in range(run.lesions):
        lesion, ending = run.lesion(number), f"_lesion{number}" if number else ""
        tables = {f"series{ending}": lesion.series} | ({} if number else {"body": run.body})
        for name, table in tables.items():
            table.to_dataframe().to_csv(folder / f"{name}.csv")
            for column, array in table.data_vars.items():
                unit, words = array.attrs["units"], array.attrs["long_name"]
                units.append(f'{name},{column},{unit},"{words}"')
        for day in lesion.snapshot_days:
            lesion.cells(float(day)).to_csv(folder / f"cells{ending}_day{day:g}.csv", index=False)
    run.events.to_csv(folder / "events.csv", index=False)
    (folder / "units.csv").write_text("\n".join(units) + "\n", encoding="utf-8")


def _h5ad(run: Run, folder: Path) -> None:
    """One AnnData a snapshot and lesion."""
    _some_snapshot(run)
    found = {
        f"{f'lesion{number}_' if number else ''}day{day:g}.h5ad": run.to_anndata(float(day), number)
        for number in range(run.lesions)
        for day in run.lesion(number).snapshot_days
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, cells in found.items():
        cells.write_h5ad(folder / name, compression="gzip")


def _vtkhdf(run: Run, path: Path) -> None:
    """The group /VTKHDF of a run, with the arrays in the place of the links, as ParaView opens it."""
    days = _some_snapshot(run)
    with open_run(run.path) as source, sound(run.path), h5py.File(path, "w") as target:
        image, copy = group(source, "VTKHDF"), target.create_group("VTKHDF")
        copy.attrs.update(image.attrs)
        cells, steps = copy.create_group("CellData"), copy.create_group("Steps")
        steps.attrs["NSteps"] = len(days)
        steps["Values"] = rows(dataset(source, "snapshot_time"), 0, len(days))
        for name in group(source, "VTKHDF/CellData"):
            item = dataset(group(source, "snapshots"), name)
            data = cells.create_dataset(
                name, (len(days), *item.shape[1:]), item.dtype, chunks=item.chunks, compression="gzip"
            )
            for day in range(len(days)):
                at = 0
                for piece in content.pieces(item, day, day + 1):
                    planes = np.asarray(piece).reshape(-1, *item.shape[2:])
                    data[day, at : at + len(planes)] = planes
                    at += len(planes)


def _png(run: Run, folder: Path) -> None:
    """The middle section of every snapshot."""
    days = _some_snapshot(run)
    folder.mkdir(parents=True, exist_ok=True)
    for day in days:
        _picture(run, day).save(folder / f"day{day:g}.png")


def _gif(run: Run, path: Path) -> None:
    """The middle section, snapshot after snapshot."""
    first, *others = [_picture(run, day) for day in _some_snapshot(run)]
    first.save(path, save_all=True, append_images=others, duration=_GIF_MS, loop=0)


def _picture(run: Run, day: float) -> "Image":
    """The middle section of lesion 0 on a day, drawn as in the report."""
    import io

    from matplotlib.figure import Figure
    from PIL import Image

    from .canvas import clean
    from .maps import draw_tissue, frame, frame_only, kind_legend, kinds_in, scale_bar

    tissue = run.snapshot(day)
    if "kind" not in tissue:
        raise InputError(f"{run.path} holds no cells in its snapshots.")
    left, right, bottom, top = frame(tissue)
    height = _PANEL_IN * min(2.0, max(0.2, (bottom - top) / (right - left)))
    figure = Figure((_PANEL_IN + 2.0, height + 0.9), dpi=_PER_INCH, facecolor="white")
    width, tall = _PANEL_IN / (_PANEL_IN + 2.0), height / (height + 0.9)
    axes = figure.add_axes((0.15 / (_PANEL_IN + 2.0), 0.45 / (height + 0.9), width, tall))
    draw_tissue(axes, tissue)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    frame_only(axes)
    scale_bar(axes, (left, right, bottom, top))
    axes.set_title(f"{clean(run.arm, 30)}, patient {run.patient}, day {day:g}")
    figure.legend(
        handles=kind_legend(kinds_in(tissue)),
        loc="center left",
        bbox_to_anchor=(width + 0.03, 0.5),
        frameon=False,
    )
    shown = io.BytesIO()
    figure.savefig(shown, format="png")
    return Image.open(shown).convert("RGB")


def _some_snapshot(run: Run) -> list[float]:
    """The days of the snapshots; raises InputError where there is none."""
    days = [float(day) for day in run.snapshot_days]
    if not days:
        raise InputError(f"{run.path} holds no snapshot.", "Record some: record.snapshots.")
    return days


FORMATS: dict[str, tuple[Callable[[Run, Path], None], str]] = {
    "csv": (_csv, "_csv"),
    "h5ad": (_h5ad, "_h5ad"),
    "vtkhdf": (_vtkhdf, ".vtkhdf"),
    "png": (_png, "_png"),
    "gif": (_gif, ".gif"),
}
