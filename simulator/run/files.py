"""Names and safe opening of run files; what is wrong with one is said in a sentence.

A run is written as `<name>.h5.part` and renamed to `<name>.h5` when it is
complete, so a finished name always means a complete run.  The `.part` file
appears only once it can be read: live, killed or interrupted, it opens.
"""

import math
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from ..base.errors import InputError
from .heaps import endless_heap

SCHEMA = "msc-simulator run"
VERSION = "1.1"  # docs/run_file.md says what each version added; a reader takes every 1.x
_PART = ".part"
_WAITS = (0.01, 0.03, 0.1, 0.3)  # s; for a moment, a writer that closes or renames its file stands in the way
_DEFLATE = 1032  # deflate never packs more bytes into one
_SMALL = 2**20  # bytes that may always be read
_MARK = "already open for write"  # what HDF5 says of a file whose writer is at work or was killed


def final_path(path: str | Path) -> Path:
    """The name of the complete run, from it or from that of the unfinished one."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(_PART))


def part_path(path: str | Path) -> Path:
    """The name under which the run `path` stands until it is complete."""
    path = final_path(path)
    return path.with_name(path.name + _PART)


def reason(error: BaseException) -> str:
    """The operating system's words inside an HDF5 message, or the message itself."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    found = re.search(r"error message = '([^']*)'", str(error))
    return found.group(1) if found else str(error)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def sound(path: str | Path) -> Iterator[None]:
    """Inside the `with`, an error of reading means that `path` is damaged, and becomes an InputError."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path} is damaged: {reason(error)}", "Copy it again, or run it again.") from error


@contextmanager
def open_run(path: str | Path) -> Iterator[h5py.File]:
    """Inside the `with`, the run `path` open for reading: complete, running or killed.

    Raises InputError where it is missing, no run file, of another format, or cannot be opened.
    """
    path = final_path(path)
    with _open_either(path) as file:
        with sound(path):
            _check_schema(file, path)
        yield file


def divert(file: h5py.File) -> None:
    """Send what HDF5 still wants to write to memory, after the disk refused it.

    HDF5 keeps refused pages and tries again at every close, at exit too, and
    then crashes the process; so its descriptor is turned away from the file.
    """
    with _scrap() as scrap:
        os.dup2(scrap.fileno(), file.id.get_vfd_handle())
    for _ in range(2):  # the first attempt may trip over the refused one, the second does not
        with suppress(Exception):
            file.close()


def _scrap() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("refused"), "wb")
    return tempfile.TemporaryFile()


def _open_either(path: Path) -> h5py.File:
    part = part_path(path)
    for wait in _WAITS:
        if path.is_file():
            return _open(path)
        try:
            return _open(part)
        except InputError:
            if not part.is_file() and not path.is_file():
                raise
            time.sleep(wait)
    return _open(path if path.is_file() else part)


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise InputError(*_why_missing(final_path(path)))
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read.", "Ask its owner for permission.")
    if not h5py.is_hdf5(path):
        raise InputError(f"{path} is no HDF5 file.", "Give a run file written by this simulator.")
    refuse_endless_heap(path)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if _MARK not in str(error):  # HDF5 would wait in vain for a writer to mend a damaged file
            raise InputError(*_why_closed(path, error)) from error
    try:
        return h5py.File(path, "r", swmr=True)
    except OSError as error:
        raise InputError(*_why_closed(path, error)) from error


def refuse_endless_heap(path: Path, whole: bool = False) -> None:
    """Raises InputError where HDF5 would never come back from reading `path`; see `run.heaps`."""
    with sound(path):
        if endless_heap(path, whole):
            raise ValueError("a global heap of it has no end")


def _why_missing(path: Path) -> tuple[str, str]:
    if path.is_dir():
        return f"{path} is a folder.", "Give one run file (*.h5)."
    return f"There is no run file {path}.", "Give the path of a *.h5 file in the runs/ of a study."


def _why_closed(path: Path, error: OSError) -> tuple[str, str]:
    text = str(error)
    if "truncated" in text:
        return f"{path} is truncated: its end is missing.", "Copy it again, or run it again."
    if _MARK in text or "lock" in text:
        return (
            f"{path} is being written, or was killed while written, in a way that cannot be read.",
            "Wait until the run ends, or run it again.",
        )
    return f"{path} cannot be opened: {reason(error)}", "Copy it again, or run it again."


def _check_schema(file: h5py.File, path: Path) -> None:
    schema = attribute(file, "schema") if "schema" in file.attrs else ""
    name, _, version = str(schema).rpartition(" ")
    if name != SCHEMA:
        raise InputError(
            f"{path} is an HDF5 file, but no run of this simulator.",
            f"Its attribute `schema` must read '{SCHEMA} {VERSION}'.",
        )
    if version.split(".")[0] != VERSION.split(".")[0]:
        raise InputError(
            f"{path} has format {version}; this simulator reads {VERSION}.",
            "Read it with the simulator that wrote it (attribute `simulator_version`).",
        )


def attribute(item: h5py.HLObject, name: str) -> Any:
    """One attribute as plain Python; text is decoded, never interpreted."""
    value = item.attrs[name]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return value


def set_attribute(item: h5py.HLObject, name: str, value: str | int | float) -> None:
    """Store text at fixed length (UTF-8), a truth value as 0 or 1, any other number as it is.

    Raises TypeError for anything else.
    """
    if isinstance(value, str):
        data = value.encode()
        kind = h5py.string_dtype("utf-8", max(1, len(data)))  # HDF5 knows no text of length 0
        item.attrs.create(name, np.array(data, dtype=kind), dtype=kind)
    elif isinstance(value, bool | np.bool):
        item.attrs[name] = int(value)
    elif isinstance(value, int | float | np.integer | np.floating):
        item.attrs[name] = value
    else:
        raise TypeError(f"attribute {name}: text or a number, not {type(value).__name__}")


def replace_attribute(item: h5py.HLObject, name: str, value: int | np.bytes_) -> None:
    """Put a value of the same type and length into an attribute, in its place: SWMR forbids a new one."""
    held = h5py.h5a.open(item.id, name.encode())
    held.write(np.array(value, held.dtype))


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """The dataset `name` of `group`; only one whose numbers lie in this very file.

    Raises ValueError for links into other files and for types that a run file never holds.
    """
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is missing or leads elsewhere")
    item = group[name]
    if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
        raise ValueError(f"{group.name}/{name} is no plain dataset")
    if item.dtype.kind not in "iufS":
        raise ValueError(f"{group.name}/{name} holds {item.dtype}, neither numbers nor fixed-length text")
    return item


def rows(item: h5py.Dataset, start: int, stop: int) -> np.ndarray:
    """Rows `start` to `stop` along the first axis; raises ValueError as `check_rows`."""
    check_rows(item, start, stop)
    return item[start:stop]


def check_rows(item: h5py.Dataset, start: int, stop: int) -> None:
    """Raises ValueError where there are no such rows, or the file is too small to hold what it claims.

    So a few bytes that announce terabytes fill no memory, and nobody reads them for years.
    """
    if item.ndim == 0 or not 0 <= start <= stop <= item.shape[0]:
        raise ValueError(f"{item.name} has no rows {start} to {stop}")
    row = math.prod(item.shape[1:]) * item.dtype.itemsize
    chunk = math.prod(item.chunks or (0,)) * item.dtype.itemsize
    if max(row * max(1, stop - start), chunk) > _DEFLATE * item.file.id.get_filesize() + _SMALL:
        raise ValueError(f"{item.name} claims more than its file can hold")


def group(file: h5py.File, path: str) -> h5py.Group:
    """The group at `path`; only one that lies in this very file.  Raises ValueError otherwise."""
    at = file
    for name in path.split("/"):
        if not isinstance(at.get(name, getlink=True), h5py.HardLink) or not isinstance(at[name], h5py.Group):
            raise ValueError(f"/{path} is missing or leads elsewhere")
        at = at[name]
    return at
