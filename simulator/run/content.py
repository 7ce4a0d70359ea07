"""What a run file holds, in one hash: equal for equal numbers, whoever wrote them and however packed."""

import hashlib
import math
from collections.abc import Iterator

import h5py
import numpy as np

from .files import check_rows, dataset

_ELEMENTS = 2**18  # read at a time


def digest(file: h5py.File) -> str:
    """Hash (32 hex digits) of every dataset: path, type, shape and numbers; attributes do not count."""
    total = hashlib.blake2b(digest_size=16)
    for path in datasets(file):
        item = dataset(file, path)
        total.update(f"{path} {item.dtype.str} {item.shape}\n".encode())
        for piece in pieces(item):
            total.update(np.ascontiguousarray(piece).tobytes())
    return total.hexdigest()


def datasets(file: h5py.File) -> list[str]:
    """The paths of all datasets that hard links lead to, sorted."""
    found: list[str] = []

    def take(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(name)

    file.visititems(take)
    return sorted(found)


def pieces(item: h5py.Dataset, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
    """Rows `start` to `stop` of a dataset in C order, a little at a time."""
    if item.ndim == 0:
        yield item[()]
        return
    shape = item.shape
    stop = shape[0] if stop is None else stop
    check_rows(item, start, stop)
    width = math.prod(shape[1:])
    if width <= _ELEMENTS or len(shape) < 3:
        step = max(1, _ELEMENTS // max(1, width))
        for row in range(start, stop, step):
            yield item[row : min(row + step, stop)]
        return
    planes = max(1, _ELEMENTS // math.prod(shape[2:]))
    for row in range(start, stop):
        for plane in range(0, shape[1], planes):
            yield item[row, plane : plane + planes]
