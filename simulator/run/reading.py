"""Reads run files: series, snapshots, cells and events, of a run that is complete, running or killed.

Nothing stays open: every call looks at the file anew, so a run still going
shows what it has written by then, and only rows that `/done` vouches for.
"""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from ..base.errors import InputError
from .files import attribute, dataset, final_path, group, open_run, rows, sound
from .layout import AXES, own_axis, prefix
from .packing import BITS

if TYPE_CHECKING:
    from anndata import AnnData

_HALF_A_DAY = 0.5


def read(path: str | Path) -> "Run":
    """Open the run file `path`; a run still going is found under its final name, too.

    Raises InputError where it is missing, no run file, or damaged.
    """
    run = Run(path)
    with open_run(run.path) as file, sound(run.path):
        for lesion in range(_count_lesions(file)):
            _done(file, prefix(lesion), "series")
    return run


class Lesion:
    """One lesion of a run; `number` counts from 0."""

    def __init__(self, path: Path, number: int):
        self.path, self.number = path, number
        self._at = prefix(number)

    @property
    def series(self) -> xr.Dataset:
        """Every recorded quantity over `day` (days from day 0); attributes `units` and `long_name`."""
        with open_run(self.path) as file, sound(self.path):
            return _over_time(file, f"{self._at}series", _done(file, self._at, "series"))

    @property
    def block_mm3(self) -> float:
        """Volume of the simulated block."""
        with open_run(self.path) as file, sound(self.path):
            axes = [dataset(file, self._at + own_axis(axis, self.number)) for axis in AXES]
            return float(
                np.prod([2e-3 * axis[0] * axis.size for axis in axes])
            )  # centers begin at half a site

    @property
    def snapshot_days(self) -> np.ndarray:
        """Days from day 0 at which snapshots were recorded."""
        with open_run(self.path) as file, sound(self.path):
            return _days(file, "snapshot_time", _done(file, self._at, "snapshots"))

    def snapshot(self, day: float) -> xr.Dataset:
        """The snapshot nearest to `day`: arrays (z, y, x), coordinates are voxel centers in µm.

        Arrays on a coarser grid have axes of their own (z_2: two sites a voxel).
        `kind` and `lymphoid` are codes, named by `flag_values` and `flag_meanings`.
        Raises InputError where no snapshot was recorded within half a day.
        """
        with open_run(self.path) as file, sound(self.path):
            index, found = self._snapshot_at(file, day)
            arrays: dict[str, tuple] = {}
            axes: dict[str, tuple] = {}
            table = group(file, f"{self._at}snapshots")
            for name in table:
                item = dataset(table, name)
                dims = [self._axis(item, axis) for axis in range(1, 4)]
                axes |= {dim: (dim, values, text) for dim, values, text in dims}
                values = rows(item, index, index + 1)[0]
                arrays[name] = ([dim for dim, *_ in dims], values, _description(item))
        return xr.Dataset(arrays, coords=axes | {"day": found})

    def cells(self, day: float) -> pd.DataFrame:
        """The lymphoid cells and MSCs of the snapshot nearest to `day`, one row each.

        Codes are decoded to names, positions are in µm; `attrs["units"]` has the unit of each column.
        Raises InputError where no snapshot was recorded within half a day.
        """
        with open_run(self.path) as file, sound(self.path):
            index, _ = self._snapshot_at(file, day)
            table = group(file, f"{self._at}agents")
            start, stop = (int(row) for row in rows(dataset(table, "offsets"), index, index + 2))
            return _table(table, start, stop)

    def to_anndata(self, day: float) -> "AnnData":
        """Every cell of the snapshot nearest to `day` for scverse tools; see `run.anndata.to_anndata`."""
        from .anndata import to_anndata

        return to_anndata(self, day)

    def _snapshot_at(self, file: h5py.File, day: float) -> tuple[int, float]:
        days = _days(file, "snapshot_time", _done(file, self._at, "snapshots"))
        index = int(np.argmin(np.abs(days - day))) if days.size else 0
        if not days.size or not abs(days[index] - day) <= _HALF_A_DAY:
            recorded = f"Recorded days: {_listed(days)}." if days.size else "None is recorded yet."
            raise InputError(f"{self.path} has no snapshot of day {day:g}.", recorded)
        return index, float(days[index])

    def _axis(self, item: h5py.Dataset, axis: int) -> tuple[str, np.ndarray, dict]:
        """Name, coordinates and description of an axis, as if the lesion were the only one."""
        scale = item.dims[axis][0]
        name = str(scale.name).rpartition("/")[2].removesuffix(own_axis("", self.number))
        if name.partition("_")[0] != AXES[axis - 1] or scale.shape != (item.shape[axis],):
            raise ValueError(f"{item.name} stands on no axis {AXES[axis - 1]}")
        return name, rows(scale, 0, scale.size), _description(scale)


class Run:
    """One run file; `series`, `snapshot`, `cells` speak of lesion 0, `lesion(k)` of any.

    Every quantity is read when asked for.  All methods raise InputError where
    the file went missing or is damaged.
    """

    def __init__(self, path: str | Path):
        self.path = final_path(path)

    @property
    def attributes(self) -> dict[str, str | int | float]:
        """What the file says of itself: seed, patient, arm, replicate, config, digest, host, started …"""
        with open_run(self.path) as file, sound(self.path):
            return {name: attribute(file, name) for name in file.attrs}

    def _attribute(self, name: str) -> str | int | float:
        attributes = self.attributes
        if name not in attributes:
            raise InputError(f"{self.path} says no {name}.", f"It says: {', '.join(sorted(attributes))}.")
        return attributes[name]

    @property
    def arm(self) -> str:
        """Name of the arm."""
        return str(self._attribute("arm"))

    @property
    def patient(self) -> int:
        """Number of the patient, from 1."""
        return int(self._attribute("patient"))

    @property
    def replicate(self) -> int:
        """Number of the replicate, from 1."""
        return int(self._attribute("replicate"))

    @property
    def seed(self) -> int:
        """Seed of the experiment."""
        return int(self._attribute("seed"))

    @property
    def digest(self) -> str:
        """What the run is known by: a hash of all that determines it."""
        return str(self._attribute("digest"))

    @property
    def config(self) -> str:
        """The resolved configuration, YAML text."""
        return str(self._attribute("config"))

    @property
    def complete(self) -> bool:
        """False for a run that is still going, or was killed or interrupted."""
        return self._attribute("complete") == 1

    @property
    def lesions(self) -> int:
        """Number of lesions."""
        with open_run(self.path) as file, sound(self.path):
            return _count_lesions(file)

    def lesion(self, number: int) -> Lesion:
        """Lesion `number`, from 0; raises InputError where there is none."""
        if number not in range(self.lesions):
            raise InputError(f"{self.path} has no lesion {number}.", f"Lesions: 0 to {self.lesions - 1}.")
        return Lesion(self.path, number)

    @property
    def series(self) -> xr.Dataset:
        """Series of lesion 0; see `Lesion.series`."""
        return self.lesion(0).series

    @property
    def snapshot_days(self) -> np.ndarray:
        """Days from day 0 at which snapshots were recorded."""
        return self.lesion(0).snapshot_days

    def snapshot(self, day: float, lesion: int = 0) -> xr.Dataset:
        """The snapshot of a lesion nearest to `day`; see `Lesion.snapshot`."""
        return self.lesion(lesion).snapshot(day)

    def cells(self, day: float, lesion: int = 0) -> pd.DataFrame:
        """The cells of a lesion in the snapshot nearest to `day`; see `Lesion.cells`."""
        return self.lesion(lesion).cells(day)

    def to_anndata(self, day: float, lesion: int = 0) -> "AnnData":
        """The cells of a lesion in the snapshot nearest to `day`; see `Lesion.to_anndata`."""
        return self.lesion(lesion).to_anndata(day)

    @property
    def body(self) -> xr.Dataset:
        """Compartments, blood counts and concentrations of the body over `day`; as `series`."""
        with open_run(self.path) as file, sound(self.path):
            return _over_time(file, "body", _done(file, "", "series"))

    @property
    def events(self) -> pd.DataFrame:
        """Doses and what became of them, deaths by cause and killer; codes are decoded to names."""
        with open_run(self.path) as file, sound(self.path):
            return _table(group(file, "events"), 0, _done(file, "", "events"))

    @property
    def kinds(self) -> dict[int, str]:
        """The name of every code of a kind of cell."""
        with open_run(self.path) as file, sound(self.path):
            places = [("snapshots", "kind"), ("snapshots", "lymphoid"), ("agents", "kind")]
            tables = [(group(file, path), name) for path, name in places]
            found = [_flags(dataset(table, name)) for table, name in tables if name in table]
            return dict(sorted(pair for flags in found for pair in flags.items()))

    def _facts(self) -> list[tuple[str, str]]:
        with open_run(self.path) as file, sound(self.path):
            says = {name: attribute(file, name) for name in file.attrs}
            planned = (dataset(file, "time").size, dataset(file, "snapshot_time").size)
            days = _days(file, "time", _done(file, "", "series"))
            snapshots = _days(file, "snapshot_time", _done(file, "", "snapshots"))
            lesions = _count_lesions(file)
        until = f", day {days[0]:g} to {days[-1]:g}" if days.size else ""
        shown = f", days {_listed(snapshots)}" if snapshots.size else ""
        who = [(name, str(says[name])) for name in ("arm", "patient", "replicate", "seed") if name in says]
        return [
            *who,
            ("state", "complete" if says["complete"] == 1 else "not complete"),
            ("records", f"{days.size} of {planned[0]}{until}"),
            ("snapshots", f"{snapshots.size} of {planned[1]}{shown}"),
            ("lesions", str(lesions)),
            ("file", str(self.path)),
        ]

    def __repr__(self) -> str:
        return "\n".join(["Run", *(f"  {name + ':':<11}{value}" for name, value in self._facts())])

    def _repr_html_(self) -> str:
        table = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self._facts())
        return f"<table><caption>Run</caption>{''.join(table)}</table>"


def _count_lesions(file: h5py.File) -> int:
    further = list(group(file, "lesions")) if "lesions" in file else []
    if sorted(further) != sorted(str(k + 1) for k in range(len(further))):
        raise ValueError(f"/lesions holds {further}, not 1, 2, …")
    return 1 + len(further)


def _done(file: h5py.File, at: str, table: str) -> int:
    """Rows of a table that may be trusted."""
    return int(dataset(group(file, f"{at}done"), table)[()])


def _days(file: h5py.File, name: str, count: int) -> np.ndarray:
    return rows(dataset(file, name), 0, count)


def _over_time(file: h5py.File, path: str, count: int) -> xr.Dataset:
    days = ("day", _days(file, "time", count), {"units": "d", "long_name": "time from day 0"})
    table, arrays = group(file, path), {}
    for name in table:
        item = dataset(table, name)
        arrays[name] = ("day", rows(item, 0, count), _description(item))
    return xr.Dataset(arrays, coords={"day": days})


def _table(table: h5py.Group, start: int, stop: int) -> pd.DataFrame:
    items = {name: dataset(table, name) for name in table if name != "offsets"}
    frame = pd.DataFrame({name: _decoded(item, rows(item, start, stop)) for name, item in items.items()})
    frame.attrs["units"] = {name: str(attribute(item, "units")) for name, item in items.items()}
    return frame


def _decoded(item: h5py.Dataset, values: np.ndarray) -> np.ndarray | pd.Categorical:
    """Texts as text and codes as names; a code without a name is a missing value."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace").astype(object)
    if "flag_values" in item.attrs:
        flags = _flags(item)
        place = np.full(256, -1, dtype=np.int16)
        place[list(flags)] = range(len(flags))
        return pd.Categorical.from_codes(place[values], categories=list(flags.values()))
    return values


def _flags(item: h5py.Dataset) -> dict[int, str]:
    if "flag_values" not in item.attrs:
        return {}
    codes, names = attribute(item, "flag_values"), str(attribute(item, "flag_meanings")).split(" ")
    if item.dtype != np.uint8 or len(set(codes)) != len(set(names)) or len(codes) != len(names):
        raise ValueError(f"{item.name} names its codes inconsistently")
    return dict(zip(codes, names, strict=True))


def _description(item: h5py.Dataset) -> dict:
    """Unit, name, codes and what was left out, as xarray keeps them."""
    shown: dict = {name: attribute(item, name) for name in ("units", "long_name")}
    shown |= {name: attribute(item, name) for name in (BITS, "cell_methods") if name in item.attrs}
    if "flag_values" in item.attrs:
        flags = _flags(item)
        shown |= {"flag_values": np.array(list(flags), np.uint8), "flag_meanings": " ".join(flags.values())}
    return shown


def _listed(days: np.ndarray, most: int = 12) -> str:
    told = ", ".join(f"{day:g}" for day in days[:most])
    return told if len(days) <= most else f"{told} … {days[-1]:g}"
