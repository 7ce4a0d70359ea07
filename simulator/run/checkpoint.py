"""Checkpoints: named arrays and a few facts in one file, back bit for bit, or not at all.

A file is written aside, synced and renamed.  Its first 512 bytes (an HDF5 user
block) hold a hash of all the rest, verified before HDF5 looks at a single byte.
No pickle: opening a stranger's checkpoint runs no code.
"""

import ast
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..base.errors import InputError, SimulatorError
from .files import divert, reason, refuse_endless_heap, sound, sync_folder

_MAGIC = "msc-simulator checkpoint 1"
_BLOCK = 512  # the smallest user block HDF5 allows
_CHUNK = 2**17  # elements
_READ_BYTES = 2**20


def save(path: str | Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write `arrays` and `meta` (what JSON can hold) to `path`, whole or not at all.

    Needs little memory besides the arrays: they are streamed.
    Raises SimulatorError where the disk refuses, TypeError for arrays of Python
    objects and for facts that are not JSON; `path` keeps what it held.
    """
    path = Path(path)
    header = json.dumps({"arrays": [_entry(name, array) for name, array in arrays.items()], "meta": meta})
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        _write(aside, header.encode(), arrays)
        with aside.open("r+b") as handle:
            handle.write(_seal(_digest(aside), aside.stat().st_size))
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(aside, path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        raise SimulatorError(
            f"Cannot write the checkpoint {path}: {reason(error)}\n"
            "    Make room or choose another folder, then give the command again."
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink()


def load(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and facts that `save` wrote; arrays are new, in C order, with their dtype and bits.

    Raises InputError where `path` is missing, no checkpoint, torn, or changed by a single bit.
    """
    path = Path(path)
    _verify(path)
    refuse_endless_heap(path)
    with sound(path), h5py.File(path, "r") as file:
        header = json.loads(file["header"][()].tobytes())
        arrays = {e["name"]: _read(file[str(i)], e) for i, e in enumerate(header["arrays"])}
    return arrays, header["meta"]


def facts(path: str | Path) -> dict[str, Any]:
    """The facts that `save` wrote beside the arrays, which are verified and not read.  Raises as `load`."""
    path = Path(path)
    _verify(path)
    refuse_endless_heap(path)
    with sound(path), h5py.File(path, "r") as file:
        return json.loads(file["header"][()].tobytes())["meta"]


def _entry(name: str, array: np.ndarray) -> dict[str, Any]:
    if array.dtype.hasobject:
        raise TypeError(f"{name}: a checkpoint holds no Python objects")
    descr = repr(np.lib.format.dtype_to_descr(array.dtype))
    return {"name": name, "dtype": descr, "shape": list(array.shape)}


def _stored(dtype: np.dtype) -> np.dtype:
    """What HDF5 is given: numbers as they are, everything else as bytes."""
    return dtype if dtype.kind in "iuf" and dtype.itemsize <= 8 else np.dtype(np.uint8)


def _write(path: Path, header: bytes, arrays: Mapping[str, np.ndarray]) -> None:
    file = h5py.File(path, "w", libver="v110", userblock_size=_BLOCK)
    try:
        held = [file.create_dataset("header", data=np.frombuffer(header, np.uint8))]
        for index, array in enumerate(arrays.values()):
            stored = _stored(array.dtype)
            size = array.size * array.dtype.itemsize // stored.itemsize
            packed = {"chunks": (min(size, _CHUNK),), "compression": 1, "shuffle": True}
            options = packed if size and stored.kind in "iu" else {}
            data = file.create_dataset(str(index), (size,), stored, **options)
            held.append(data)  # HDF5 must not close it before a refused write is dealt with
            at = 0
            for piece in _pieces(array):
                values = piece.view(stored)
                data[at : at + values.size] = values
                at += values.size
        file.flush()
        file.close()
    except BaseException:
        if file:
            divert(file)
        raise


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """The elements in C order, flat, a piece at a time; copies no more than a piece."""
    if array.nbytes == 0:
        return
    if array.flags.c_contiguous:
        flat = array.reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            yield flat[start : start + _CHUNK]
        return
    rows = max(1, _CHUNK * array.shape[0] // array.size)
    for start in range(0, array.shape[0], rows):
        yield np.ascontiguousarray(array[start : start + rows]).reshape(-1)


def _read(data: h5py.Dataset, entry: Mapping[str, Any]) -> np.ndarray:
    try:
        dtype = np.lib.format.descr_to_dtype(ast.literal_eval(entry["dtype"]))
    except (SyntaxError, MemoryError) as error:  # what literal_eval raises beside ValueError and TypeError
        raise ValueError(f"{entry['dtype']!r} is no type") from error
    stored = _stored(dtype)
    if data.dtype != stored or data.nbytes != math.prod(entry["shape"]) * dtype.itemsize:
        raise ValueError(f"array {entry['name']} is not what the header says")
    array = np.empty(entry["shape"], dtype)
    if array.nbytes:
        data.read_direct(array.reshape(-1).view(stored))
    return array


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as handle:
        handle.seek(_BLOCK)
        while block := handle.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _seal(digest: str, size: int) -> bytes:
    return f"{_MAGIC}\n{size}\n{digest}\n".encode().ljust(_BLOCK, b"\0")


def _verify(path: Path) -> None:
    advice = "Delete it; the burn-in it holds is then grown again."
    try:
        with path.open("rb") as handle:
            block = handle.read(_BLOCK)
        size = path.stat().st_size
        lines = block.split(b"\n")
        if lines[0] != _MAGIC.encode():
            raise InputError(f"{path} is no checkpoint of this simulator.", "Run from the start.")
        if len(block) < _BLOCK or not lines[1].isdigit() or size < int(lines[1]):
            raise InputError(f"{path} is torn: its end is missing.", advice)
        if block != _seal(_digest(path), size):
            raise InputError(f"{path} is damaged: its bytes do not match their checksum.", advice)
    except FileNotFoundError:
        raise InputError(f"There is no checkpoint {path}.", "Run from the start.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}", "Run from the start.") from error
