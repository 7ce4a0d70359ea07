"""The run file: one self-describing HDF5 file a run, readable while it grows and after a kill.

Written in SWMR mode: every dataset exists before the first record, a table's rows are flushed before `/done`
counts them, and only counted rows may be trusted.  See `files` for names, `layout` for parts, `reading`.
"""

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from ..base.errors import InputError, SimulatorError
from . import content, packing, vtkhdf
from .files import (
    attribute,
    dataset,
    divert,
    final_path,
    open_run,
    part_path,
    reason,
    replace_attribute,
    sound,
    sync_folder,
)
from .layout import CHUNK_BYTES, Column, LesionLayout, Snapshot, image
from .open_tables import GrowingTable, LesionTables, cast, check_names, columns_of

__all__ = ["Column", "LesionLayout", "Rows", "RunWriter", "Snapshot", "resume"]

_COPY_ROWS = 2**16
_LAG_S = 5.0  # how long records may wait to be written together: a call of HDF5 costs more than a number


class Rows(NamedTuple):
    """How many rows of each table stand in a file and may be trusted; agents follow the snapshots."""

    series: int
    snapshots: int
    events: int


class RunWriter:
    """Writes one run file, record by record; readable at any moment by `reading.read`.

    path : final name; until `close(complete=True)` the file stands beside it
        as `<path>.part`, and whatever `path` held is untouched.
    attributes : texts and numbers for the root (seed, patient, arm, replicate,
        config, digest, host, started, simulator_version …); `schema` and
        `complete` are added.
    times_h, snapshot_times_h : record times, hours from day 0, ascending.
    lesions : one layout a lesion; lesion 0 stands at the root.
    body, events : columns of /body (on /time) and of /events.
    swmr : False for file systems where SWMR does not hold (network): such a
        file is readable only after `close`.
    clock : seconds that never jump: records that follow each other within
        five seconds are written together.

    `rows` says what has been written, for a checkpoint and `resume`.
    Raises SimulatorError where the file cannot be written (disk full, no permission), here and in every
    method; ValueError where names, shapes or values differ from what was declared.
    """

    def __init__(
        self,
        path: str | Path,
        attributes: Mapping[str, str | int | float],
        times_h: Sequence[float],
        snapshot_times_h: Sequence[float],
        lesions: Sequence[LesionLayout],
        body: Sequence[Column],
        events: Sequence[Column],
        swmr: bool = True,
        *,
        clock: Callable[[], float] = time.monotonic,
        _fill: Callable[["RunWriter"], Rows] | None = None,
    ):
        self.path = final_path(path)
        self.rows = Rows(0, 0, 0)
        self._waiting: list[tuple[Mapping[str, float], ...]] = []  # records: of the body, and of the lesions
        self._clock, self._last = clock, -math.inf
        self.swmr = swmr
        self._layout = (lesions, body, events)
        self._at = self.path.with_name(f".{self.path.name}.new")
        self._planned = (len(times_h), len(snapshot_times_h))
        self._file: h5py.File = None
        with self._writing():
            # HDF5 may crash where the disk refuses a file half made; plain bytes fail cleanly
            self._at.write_bytes(image(attributes, times_h, snapshot_times_h, lesions, body, events))
            file = self._open()
            if _fill is not None:
                self.rows = _fill(self)
            file.flush()
            if swmr:
                file.swmr_mode = True
            os.replace(self._at, part_path(self.path))
            self._at = part_path(self.path)

    def _open(self) -> h5py.File:
        """Open the file that is laid out, and find what is written to."""
        lesions, body, events = self._layout
        self._file = file = h5py.File(self._at, "r+", libver="v110", rdcc_nbytes=CHUNK_BYTES)
        self._lesions = [LesionTables(file, number, layout) for number, layout in enumerate(lesions)]
        self._body = columns_of(file["body"], body)
        self._events = GrowingTable("events", file["event"], columns_of(file["events"], events))
        return file

    def write_record(self, lesion_values: Sequence[Mapping[str, float]], body: Mapping[str, float]) -> None:
        """Write the next record: one value for every series of every lesion, and of the body.

        It may wait for others up to five seconds, or until something else is written or synced.
        """
        self._next("record", self.rows.series + len(self._waiting), self._planned[0])
        record = (body, *lesion_values)
        for columns, values in zip(self._series(), record, strict=True):
            check_names("record", values, columns)
        self._waiting.append(record)
        if self._clock() - self._last >= _LAG_S:
            self._write_waiting()

    def _series(self) -> list[dict[str, h5py.Dataset]]:
        """The columns of a record: of the body, and of the lesions."""
        return [self._body, *(lesion.series for lesion in self._lesions)]

    def _write_waiting(self) -> None:
        """Write the records that wait, a column at a time."""
        if not self._waiting:
            return
        start = self.rows.series
        stop = start + len(self._waiting)
        with self._writing():
            for columns, records in zip(self._series(), zip(*self._waiting, strict=True), strict=True):
                for name, data in columns.items():
                    data[start:stop] = [values[name] for values in records]
            self._trust("series", stop)
        self.rows = self.rows._replace(series=stop)
        self._waiting.clear()
        self._last = self._clock()

    def write_snapshot(self, arrays: Sequence[Mapping], agents: Sequence[Mapping]) -> None:
        """Write the next snapshot: per lesion its arrays (z, y, x) and the columns of its cells.

        Each array is asked for when it is written, and rounded a few planes at a time.
        """
        index = self._next("snapshot", self.rows.snapshots, self._planned[1])
        prepared = []
        for lesion, grids, cells in zip(self._lesions, arrays, agents, strict=True):
            check_names("snapshot", grids, lesion.snapshots)
            prepared.append((lesion, lesion.agents.prepare(cells)))
        self._write_waiting()
        for lesion, grids in zip(self._lesions, arrays, strict=True):
            for name, data in lesion.snapshots.items():
                grid = cast(name, grids[name], data.dtype, data.shape[1:])
                with self._writing():
                    _write_planes(data, index, grid, lesion.bits.get(name, packing.MANTISSA))
        with self._writing():
            cells_of = []
            for lesion, cells in prepared:
                rows = lesion.agents.append(cells)
                lesion.offsets[index + 1] = rows
                cells_of.append(rows)
            self._trust("agents", *cells_of)
            self._trust("snapshots", index + 1)
        self.rows = self.rows._replace(snapshots=index + 1)

    def write_events(self, rows: Mapping[str, Sequence]) -> None:
        """Append events: lists or arrays of one length, a column each."""
        prepared = self._events.prepare(rows)
        self._write_waiting()
        with self._writing():
            count = self._events.append(prepared)
            self._trust("events", count)
        self.rows = self.rows._replace(events=count)

    def sync(self) -> None:
        """Make what was written so far outlive a power cut."""
        self._write_waiting()
        with self._writing():
            self._file.flush()
            os.fsync(self._file.id.get_vfd_handle())

    def copy_to(self, path: Path) -> None:
        """Leave a closed copy of what was written so far at `path`, whole or not at all.

        Without SWMR a killed writer leaves a file that nobody can read: the copy is what a checkpoint goes
        on from.  Raises SimulatorError where the copy cannot be made; the run goes on.
        """
        with self._writing():
            vtkhdf.set_steps(self._file, self.rows.snapshots)
            self._file.close()
        aside = path.with_name(f".{path.name}.new")
        try:
            shutil.copyfile(self._at, aside)
            with open(aside, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(aside, path)
        except OSError as error:
            raise SimulatorError(f"Cannot copy {self.path} to {path}: {reason(error)}") from error
        finally:
            with suppress(OSError):
                aside.unlink()
            with self._writing():
                self._open()

    def close(self, complete: bool) -> None:
        """Close the file; a complete one is synced to the disk and takes its final name.

        After a failure, or a second time, `close(False)` does nothing.
        Raises ValueError where a run that lacks planned records is called complete.
        """
        if self._file:
            self._write_waiting()
        if complete and (not self._file or self.rows[:2] != self._planned):
            raise ValueError(f"{self.path}: {self.rows} written, {self._planned} planned: not complete")
        if not self._file:
            return
        with self._writing():
            vtkhdf.set_steps(self._file, self.rows.snapshots)
            if complete:
                replace_attribute(self._file, "content", np.bytes_(content.digest(self._file)))
            replace_attribute(self._file, "complete", int(complete))
            self._file.flush()
            self._file.close()
            if complete:
                with open(self._at, "rb") as handle:
                    os.fsync(handle.fileno())
                os.replace(self._at, self.path)
                sync_folder(self.path.parent)

    def _next(self, what: str, index: int, planned: int) -> int:
        if index >= planned:
            raise ValueError(f"{self.path}: one {what} more than the {planned} planned")
        return index

    def _trust(self, table: str, *counts: int) -> None:
        """Count the rows of a table, a number a lesion or one for all.

        HDF5 writes what one flush holds in any order, and a kill may fall between: so rows are flushed before
        their count, and the first lesion, by which a run resumes, is counted last.
        """
        counted = [lesion.done[table] for lesion in self._lesions if table in lesion.done]
        for done, count in reversed(list(zip(counted, counts * len(counted), strict=False))):
            self._file.flush()
            done[()] = count
        self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what the disk refuses into one clear error; a file that nobody saw yet is removed."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            self._abandon()
            raise SimulatorError(
                f"Cannot write {self.path}: {reason(error)}\n"
                "    Finished runs are kept. Make room or choose another folder, then give the command again."
            ) from error
        except BaseException:
            if self._at != part_path(self.path):
                self._abandon()
            raise

    def _abandon(self) -> None:
        if self._file:
            divert(self._file)
        if self._at != part_path(self.path):
            with suppress(OSError):
                self._at.unlink()


def _write_planes(data: h5py.Dataset, index: int, grid: np.ndarray, bits: int) -> None:
    """Write a snapshot's array, its numbers rounded to `bits` of mantissa, a chunk's planes at a time."""
    depth = data.chunks[1] if data.chunks else max(1, len(grid))
    for z in range(0, len(grid), depth):
        planes = grid[z : z + depth]
        data[index, z : z + depth] = packing.rounded(planes, bits) if bits < packing.MANTISSA else planes


def resume(
    old_path: str | Path,
    path: str | Path,
    attributes: Mapping[str, str | int | float],
    times_h: Sequence[float],
    snapshot_times_h: Sequence[float],
    lesions: Sequence[LesionLayout],
    body: Sequence[Column],
    events: Sequence[Column],
    rows: Rows | None = None,
    swmr: bool = True,
) -> RunWriter:
    """A writer that goes on where a killed or interrupted run stopped; see `RunWriter`.

    Copies the trusted rows of `old_path` into a new file, or only the first `rows` of them (what had been
    written when a checkpoint was saved).  The old `.part` is replaced only once the copy is whole.
    Raises InputError where the old file cannot be read, belongs to another run (`digest`), has another
    layout, or holds fewer rows than asked.
    """

    def fill(writer: RunWriter) -> Rows:
        with open_run(old_path) as source:
            with sound(old_path):
                _check_same_run(source, writer, old_path)
                wanted = _rows_to_copy(source, rows, old_path)
            _copy_tables(source, writer, wanted, old_path)
        return wanted

    return RunWriter(
        path, attributes, times_h, snapshot_times_h, lesions, body, events, swmr=swmr, _fill=fill
    )


def _check_same_run(source: h5py.File, writer: RunWriter, old: str | Path) -> None:
    new, advice = writer._file, "It cannot be continued; run from the start."
    if "digest" in new.attrs and attribute(source, "digest") != attribute(new, "digest"):
        raise InputError(f"{old} belongs to another run: its digest differs.", advice)

    def compare(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        other = dataset(source, name) if name in source else None
        grows = item.maxshape[:1] == (None,)
        if other is None or other.dtype != item.dtype or other.maxshape != item.maxshape:
            raise InputError(f"{old} has another layout: /{name} differs.", advice)
        if item.is_scale and not grows and not np.array_equal(other[()], item[()]):
            raise InputError(f"{old} has another axis /{name}.", advice)

    new.visititems(compare)


def _rows_to_copy(source: h5py.File, rows: Rows | None, old: str | Path) -> Rows:
    trusted = Rows(*(int(dataset(source["done"], table)[()]) for table in Rows._fields))
    wanted = trusted if rows is None else Rows(*rows)
    if any(not 0 <= n <= have for n, have in zip(wanted, trusted, strict=True)):
        raise InputError(f"{old} holds {trusted}, fewer than {wanted}.", "Continue from an older checkpoint.")
    return wanted


def _copy_tables(source: h5py.File, writer: RunWriter, rows: Rows, old: str | Path) -> None:
    def copy(columns: Mapping[str, h5py.Dataset], start: int, stop: int) -> None:
        for data in columns.values():
            with sound(old):
                values = dataset(source, data.name)[start:stop]
            data[start:stop] = values

    def grow(table: GrowingTable, stop: int) -> None:
        for data in (table.scale, *table.columns.values()):
            data.resize((stop,))
        for start in range(0, stop, _COPY_ROWS):
            copy(table.columns, start, min(start + _COPY_ROWS, stop))

    copy(writer._body, 0, rows.series)
    grow(writer._events, rows.events)
    cells_of = []
    for lesion in writer._lesions:
        copy(lesion.series, 0, rows.series)
        for index in range(rows.snapshots):
            copy(lesion.snapshots, index, index + 1)
        copy({"offsets": lesion.offsets}, 0, rows.snapshots + 1)
        cells = int(lesion.offsets[rows.snapshots])
        grow(lesion.agents, cells)
        cells_of.append(cells)
    writer._trust("agents", *cells_of)
    writer._trust("snapshots", rows.snapshots)
    writer._trust("series", rows.series)
    writer._trust("events", rows.events)
