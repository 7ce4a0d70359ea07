"""What a run file holds: columns, arrays and axes, declared once and laid out before the first record."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h5py
import numpy as np

from . import packing, vtkhdf
from .files import SCHEMA, VERSION, set_attribute

CHUNK_BYTES = 2**20
_AGENT_ROWS = 4096
_EVENT_ROWS = 256
_PACKED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
AXES = ("z", "y", "x")
NO_CONTENT = "0" * 32  # of a run that is not complete
# netCDF-4's mark of a dimension without coordinates; xarray then shows no variable for it
_NO_VALUES = "This is a netCDF dimension but not a netCDF variable."


@dataclass(frozen=True)
class Column:
    """One quantity of a table: `dtype` a number or fixed-length text ('S16'); `flags` names uint8 codes."""

    name: str
    unit: str
    long_name: str
    dtype: str = "f8"
    flags: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Snapshot:
    """One array of a snapshot; `grid` is its voxel in sites along (z, y, x); `flags` names uint8 codes.

    bits : of the mantissa of a float32 that are kept; None: all.  method : how the values of a voxel came
    about from smaller ones, as CF's `cell_methods` says it.
    """

    name: str
    unit: str
    long_name: str
    dtype: str
    grid: tuple[int, int, int] = (1, 1, 1)
    flags: Mapping[str, int] | None = None
    bits: int | None = None
    method: str = ""


@dataclass(frozen=True)
class LesionLayout:
    """What is written of one lesion: `shape` in sites along (z, y, x), `spacing_um` a site's edge, µm."""

    shape: tuple[int, int, int]
    spacing_um: float
    series: Sequence[Column]
    snapshots: Sequence[Snapshot]
    agents: Sequence[Column]


def prefix(lesion: int) -> str:
    """Where the tables of a lesion stand: at the root for lesion 0, in lesions/<k>/ for the others."""
    return f"lesions/{lesion}/" if lesion else ""


def own_axis(name: str, lesion: int) -> str:
    """The name of an axis of one lesion; within one ancestry a name has one length (netCDF)."""
    return f"{name}_lesion{lesion}" if lesion else name


def image(
    attributes: Mapping[str, str | int | float],
    times_h: Sequence[float],
    snapshot_times_h: Sequence[float],
    lesions: Sequence[LesionLayout],
    body: Sequence[Column],
    events: Sequence[Column],
) -> bytes:
    """The bytes of a run file without rows; arguments as for `storage.RunWriter`."""
    with h5py.File("image", "w", driver="core", backing_store=False, libver="v110") as file:
        for name, value in attributes.items():
            set_attribute(file, name, value)
        set_attribute(file, "schema", f"{SCHEMA} {VERSION}")
        file.attrs["complete"] = 0
        set_attribute(file, "content", NO_CONTENT)
        build = _Builder(file)
        days = np.asarray(times_h, dtype="f8") / 24.0
        time = build.scale("time", days, "d", "time of a record, from day 0")
        days = np.asarray(snapshot_times_h, dtype="f8") / 24.0
        build.scale("snapshot_time", days, "d", "time of a snapshot, from day 0")
        build.scale("snapshot_edge", np.arange(days.size + 1), "1", "boundary between snapshots")
        for number, layout in enumerate(lesions):
            build.lesion(number, layout)
        build.table("body", body, time)
        build.table("events", events, build.growing_scale("event", _EVENT_ROWS))
        build.counter("done/events")
        vtkhdf.add(file, lesions[0])
        file.flush()
        return file.id.get_file_image()


class _Builder:
    """Creates datasets with their axes and descriptions."""

    def __init__(self, file: h5py.File):
        self.file = file

    def scale(self, path: str, values: np.ndarray, unit: str, long_name: str) -> h5py.Dataset:
        """An axis with coordinates."""
        scale = self.file.create_dataset(path, data=values)
        scale.make_scale(path.rpartition("/")[2])
        _describe(scale, unit, long_name, None)
        return scale

    def growing_scale(self, path: str, chunk: int) -> h5py.Dataset:
        """An axis of rows, of length 0 now."""
        scale = self.file.create_dataset(path, (0,), "i8", maxshape=(None,), chunks=(chunk,))
        scale.make_scale(f"{_NO_VALUES}{0:10d}")
        return scale

    def counter(self, path: str) -> None:
        """The number of trusted rows of a table, 0 now."""
        self.file.create_dataset(path, data=np.int64(0))

    def dataset(self, path: str, column: Column | Snapshot, scales: Sequence, **options) -> None:
        """One described dataset along `scales`; numbers not yet written read as NaN."""
        dtype = _checked_dtype(column)
        shape = tuple(scale.shape[0] for scale in scales)
        fill = np.nan if dtype.kind == "f" else None
        data = self.file.create_dataset(path, shape, dtype, fillvalue=fill, **options)
        if data.chunks is None:
            data[...] = data.fillvalue  # has its place in the file now: one that moves fails SWMR readers
        for axis, scale in enumerate(scales):
            data.dims[axis].attach_scale(scale)
        _describe(data, column.unit, column.long_name, column.flags)

    def table(self, path: str, columns: Sequence[Column], scale: h5py.Dataset) -> None:
        """A group of columns along `scale`, growing where the scale grows."""
        _check_names(path, columns)
        options = {} if scale.chunks is None else {"maxshape": (None,), "chunks": scale.chunks, **_PACKED}
        self.file.create_group(path, track_order=True)  # tables read back in the declared order
        for column in columns:
            self.dataset(f"{path}/{column.name}", column, [scale], **options)

    def lesion(self, number: int, layout: LesionLayout) -> None:
        """All tables of one lesion."""
        at, file = prefix(number), self.file
        self.table(f"{at}series", layout.series, file["time"])
        self.snapshots(number, layout)
        agent = self.growing_scale(at + own_axis("agent", number), _AGENT_ROWS)
        self.table(f"{at}agents", layout.agents, agent)
        offsets = Column("offsets", "1", "first row of each snapshot, and after the last one", "i8")
        self.dataset(f"{at}agents/offsets", offsets, [file["snapshot_edge"]])
        for table in ("series", "snapshots", "agents"):
            self.counter(f"{at}done/{table}")

    def snapshots(self, number: int, layout: LesionLayout) -> None:
        """The arrays of one lesion, compressed by the snapshot, and their axes."""
        group, file = f"{prefix(number)}snapshots", self.file
        _check_names(group, layout.snapshots)
        file.create_group(group, track_order=True)
        for axis in range(3):
            self.axis(number, layout, axis, 1)
        for s in layout.snapshots:
            scales = [self.axis(number, layout, axis, multiple) for axis, multiple in enumerate(s.grid)]
            chunks = (1, *chunk_shape([scale.size for scale in scales], np.dtype(s.dtype).itemsize))
            options = {"chunks": chunks, **_PACKED} if file["snapshot_time"].size else {}
            self.dataset(f"{group}/{s.name}", s, [file["snapshot_time"], *scales], **options)
            if s.bits is not None:
                set_attribute(file[f"{group}/{s.name}"], packing.BITS, s.bits)
            if s.method:
                set_attribute(file[f"{group}/{s.name}"], "cell_methods", s.method)

    def axis(self, number: int, layout: LesionLayout, axis: int, multiple: int) -> h5py.Dataset:
        """Centers of voxels of `multiple` sites; the last voxel may reach over the edge."""
        name = AXES[axis] + (f"_{multiple}" if multiple > 1 else "")
        path = prefix(number) + own_axis(name, number)
        if path in self.file:
            return self.file[path]
        count = -(-layout.shape[axis] // multiple)
        centers = (np.arange(count) + 0.5) * multiple * layout.spacing_um
        return self.scale(path, centers, "um", f"center of a voxel along {AXES[axis]}")


def chunk_shape(shape: Sequence[int], itemsize: int) -> tuple[int, int, int]:
    """Whole planes of (z, y, x) up to about 1 MiB, or whole rows of a larger plane."""
    z, y, x = shape
    planes = CHUNK_BYTES // (y * x * itemsize)
    if planes >= 1:
        return min(z, planes), y, x
    return 1, max(1, min(y, CHUNK_BYTES // (x * itemsize))), x


def _check_names(path: str, columns: Sequence[Column | Snapshot]) -> None:
    """Raises ValueError where names are no plain words or stand twice in one table."""
    names = [column.name for column in columns]
    for name in names:
        if not re.fullmatch(r"\w[\w.+-]*", name) or names.count(name) > 1:
            raise ValueError(f"'{name}' cannot name a column of {path}: no plain word, or there already")


def _describe(data: h5py.Dataset, unit: str, long_name: str, flags: Mapping[str, int] | None) -> None:
    set_attribute(data, "units", unit)
    set_attribute(data, "long_name", long_name)
    if flags is not None:
        data.attrs["flag_values"] = np.array(list(flags.values()), dtype=data.dtype)
        set_attribute(data, "flag_meanings", " ".join(flags))


def _checked_dtype(column: Column | Snapshot) -> np.dtype:
    dtype = np.dtype(column.dtype)
    if dtype.kind not in "iufS" or dtype.itemsize == 0:
        raise ValueError(f"column {column.name}: a number or fixed-length text, not {column.dtype}")
    if column.flags is not None:
        if dtype != np.uint8 or not all(0 <= code <= 255 for code in column.flags.values()):
            raise ValueError(f"column {column.name}: categories are codes of type uint8")
        if any(not name or re.search(r"\s", name) for name in column.flags):
            raise ValueError(f"column {column.name}: the name of a category holds no space")
    return dtype
