"""Does a run file keep what docs/run_file.md promises?  Every number of it is read, none is trusted."""

import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from . import content
from .files import attribute, dataset, group, open_run, refuse_endless_heap, rows, sound
from .layout import AXES, NO_CONTENT, own_axis, prefix

_TEXTS = ("schema", "simulator_version", "arm", "config", "digest", "host", "started")
_NUMBERS = ("seed", "patient", "replicate", "complete")
_CODES = ("kind", "lymphoid")
_SHOWN = 20  # problems; a broken file may have thousands


def audit(path: str | Path) -> list[str]:
    """What is wrong with the run file `path`, in sentences; empty for one that keeps every promise.

    Raises InputError where it is no run file, or so damaged that it cannot be read.
    """
    found: list[str] = []
    with open_run(path) as file, sound(path):
        refuse_endless_heap(Path(file.filename), whole=True)
        for problem in _problems(file):
            found.append(problem)
            if len(found) == _SHOWN:
                return [*found, "and more"]
    return found


def _problems(file: h5py.File) -> Iterator[str]:
    yield from _attributes(file)
    yield from _datasets(file)
    yield from _times(file)
    for number in range(1 + len(file["lesions"]) if "lesions" in file else 1):
        yield from _Lesion(file, number).problems()
    yield from _view(file)
    if attribute(file, "complete") == 1:
        yield from _whole(file)


def _attributes(file: h5py.File) -> Iterator[str]:
    """Those of the root: there, and of their kind."""
    for names, kind in ((_TEXTS, str), (_NUMBERS, int)):
        for name in names:
            if name not in file.attrs:
                yield f"attribute {name} is missing"
            elif not isinstance(attribute(file, name), kind):
                yield f"attribute {name} is no {'text' if kind is str else 'whole number'}"


def _datasets(file: h5py.File) -> Iterator[str]:
    """Types that open everywhere, every axis named, every quantity with unit and name."""
    for path in content.datasets(file):
        item = dataset(file, path)
        if path.startswith(("done/", "lesions/")) and item.ndim == 0:
            continue
        for axis in range(item.ndim):
            scales = [scale for scale in item.dims[axis].values() if scale.shape == (item.shape[axis],)]
            if not item.is_scale and not scales:
                yield f"axis {axis} of /{path} has no scale of its length"
        if item.maxshape[:1] == (None,) and item.is_scale:
            continue  # counts rows, has no values
        for name in ("units", "long_name"):
            if name not in item.attrs:
                yield f"/{path} has no {name}"


def _times(file: h5py.File) -> Iterator[str]:
    for name in ("time", "snapshot_time"):
        days = rows(dataset(file, name), 0, dataset(file, name).size)
        if not (np.isfinite(days).all() and (np.diff(days) > 0).all()):
            yield f"/{name} does not ascend"


class _Lesion:
    """The tables of one lesion against each other."""

    def __init__(self, file: h5py.File, number: int):
        self.file, self.number, self.at = file, number, prefix(number)
        self.done = {
            table: int(dataset(group(file, f"{self.at}done"), table)[()])
            for table in ("series", "snapshots", "agents")
        }

    def problems(self) -> Iterator[str]:
        planned = {"series": "time", "snapshots": "snapshot_time"}
        lengths = {table: dataset(self.file, scale).size for table, scale in planned.items()}
        lengths["agents"] = dataset(self.file, self.at + own_axis("agent", self.number)).size
        for table, length in lengths.items():
            if not 0 <= self.done[table] <= length:
                yield f"/{self.at}done/{table} says {self.done[table]}, there are {length} rows"
                return
        yield from self._codes()
        yield from self._cells()

    def _codes(self) -> Iterator[str]:
        """Every site of a trusted snapshot holds a kind that has a name."""
        table = group(self.file, f"{self.at}snapshots")
        for name in _CODES:
            if name in table:
                item = dataset(table, name)
                known = set(attribute(item, "flag_values"))
                for piece in content.pieces(item, 0, self.done["snapshots"]):
                    if strange := set(np.unique(piece).tolist()) - known:
                        yield f"{item.name} holds codes without a name: {sorted(strange)[:5]}"
                        break

    def _cells(self) -> Iterator[str]:
        """Cells of a snapshot stand in one piece, inside the block."""
        table = group(self.file, f"{self.at}agents")
        offsets = rows(dataset(table, "offsets"), 0, self.done["snapshots"] + 1)
        if offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] > self.done["agents"]:
            yield f"/{self.at}agents/offsets do not divide {self.done['agents']} rows"
        for axis in AXES:
            scale = dataset(self.file, self.at + own_axis(axis, self.number))
            if f"position_{axis}" not in table or not scale.size:
                continue
            edge = 2.0 * float(rows(scale, 0, 1)[0]) * scale.size  # centers begin at half a site
            for piece in content.pieces(dataset(table, f"position_{axis}"), 0, self.done["agents"]):
                if not ((piece >= 0.0) & (piece <= edge)).all():
                    yield f"/{self.at}agents/position_{axis} leaves the block"
                    break


def _view(file: h5py.File) -> Iterator[str]:
    """What ParaView opens: soft links to what is there."""
    if "VTKHDF/CellData" not in file:
        yield "/VTKHDF/CellData is missing"
        return
    cells = file["VTKHDF/CellData"]
    for name in cells:
        link = cells.get(name, getlink=True)
        if not (isinstance(link, h5py.SoftLink) and link.path == f"/snapshots/{name}" and link.path in file):
            yield f"/VTKHDF/CellData/{name} is no link to /snapshots/{name}"


def _whole(file: h5py.File) -> Iterator[str]:
    """What a finished file promises beyond."""
    for at in sorted(path for path in content.datasets(file) if re.search(r"(^|/)done/", path)):
        lesion, _, table = at.rpartition("done/")
        number = int(lesion.split("/")[1]) if lesion else 0
        scale = {"series": "time", "snapshots": "snapshot_time", "events": "event"}.get(table)
        length = dataset(file, scale or lesion + own_axis("agent", number)).size
        if int(dataset(file, at)[()]) != length:
            yield f"the file says it is complete, but /{at} trusts {int(dataset(file, at)[()])} of {length}"
    steps, snapshots = attribute(file["VTKHDF/Steps"], "NSteps"), int(dataset(file, "done/snapshots")[()])
    if steps != snapshots:
        yield f"/VTKHDF/Steps says {steps} steps, there are {snapshots} snapshots"
    said = attribute(file, "content") if "content" in file.attrs else None  # since 1.1
    if said == NO_CONTENT or said is not None and said != content.digest(file):
        yield "the numbers are not those that were written: attribute content differs from their hash"
