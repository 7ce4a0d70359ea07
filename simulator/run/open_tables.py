"""The tables of a run file that is open for writing: their datasets, and what may be put into them."""

from collections.abc import Mapping, Sequence

import h5py
import numpy as np

from .layout import Column, LesionLayout, Snapshot, own_axis, prefix


class LesionTables:
    """The datasets of one lesion."""

    def __init__(self, file: h5py.File, number: int, layout: LesionLayout):
        at = prefix(number)
        self.series = columns_of(file[f"{at}series"], layout.series)
        self.snapshots = columns_of(file[f"{at}snapshots"], layout.snapshots)
        self.bits = {s.name: s.bits for s in layout.snapshots if s.bits is not None}
        agents = columns_of(file[f"{at}agents"], layout.agents)
        self.agents = GrowingTable(f"{at}agents", file[at + own_axis("agent", number)], agents)
        self.offsets = file[f"{at}agents/offsets"]
        self.done = dict(file[f"{at}done"])


def columns_of(group: h5py.Group, columns: Sequence[Column | Snapshot]) -> dict[str, h5py.Dataset]:
    """The dataset behind each column."""
    return {column.name: group[column.name] for column in columns}


class GrowingTable:
    """A table that grows: columns along one scale."""

    def __init__(self, name: str, scale: h5py.Dataset, columns: Mapping[str, h5py.Dataset]):
        self.name, self.scale, self.columns = name, scale, columns

    def prepare(self, rows: Mapping) -> dict[str, np.ndarray]:
        """The rows as they will be stored; an error leaves the file as it is."""
        check_names(self.name, rows, self.columns)
        arrays = {name: cast(name, rows[name], data.dtype) for name, data in self.columns.items()}
        shapes = {array.shape for array in arrays.values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise ValueError(f"{self.name}: columns of unequal length, {shapes}")
        return arrays

    def append(self, arrays: Mapping[str, np.ndarray]) -> int:
        """Append prepared rows; returns the new length."""
        start = self.scale.shape[0]
        stop = start + max((array.size for array in arrays.values()), default=0)
        if stop > start:
            self.scale.resize((stop,))
            for name, data in self.columns.items():
                data.resize((stop,))
                data[start:stop] = arrays[name]
        return stop


def check_names(table: str, given: Mapping, declared: Mapping) -> None:
    """Raises ValueError where other columns are given than were declared."""
    if given.keys() != declared.keys():
        missing, extra = sorted(declared.keys() - given.keys()), sorted(given.keys() - declared.keys())
        raise ValueError(f"{table}: missing {missing}, not declared {extra}")


def cast(name: str, values, dtype: np.dtype, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """`values` as `dtype`; a number that does not fit, or a text that is too long, is a ValueError."""
    array = np.asarray(values)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name}: shape {array.shape}, declared {shape}")
    if array.size == 0:
        return np.empty(array.shape, dtype)
    if array.dtype.kind == "U":
        array = np.char.encode(array, "utf-8")
    if np.can_cast(array.dtype, dtype, "safe") or array.dtype.kind == dtype.kind == "f":
        return array.astype(dtype, copy=False)
    text = [kind == "S" for kind in (array.dtype.kind, dtype.kind)]
    with np.errstate(invalid="ignore"):
        found = array.astype(dtype) if text[0] == text[1] else None
    if found is None or not np.array_equal(found, array):
        raise ValueError(f"{name}: values of type {array.dtype} do not fit {dtype}")
    return found
