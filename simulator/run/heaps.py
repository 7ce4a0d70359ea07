"""Global heaps of an HDF5 file in which HDF5 would walk for ever are found before it opens the file.

A global heap collection holds what has no fixed length, in a run file the references from datasets to
their scales: "GCOL", version 1, three zeros, its size, then objects of a 16-byte header (number, count of
references, four zeros, size) and their bytes.  HDF5 (2.0 still) goes from object to object until the
collection ends, and never ends where one takes no room (HDF5 File Format Specification 3.0, III.E).
"""

import mmap
from pathlib import Path

_SIGNATURE = b"GCOL\x01\0\0\0"
_HEADER = 16  # bytes of a collection before its first object, and of an object before its data
_HEAD = 2**24  # bytes in which the writer puts all heaps, with room to spare: a dataset's scales come first


def endless_heap(path: Path, whole: bool = False) -> bool:
    """Whether a heap in the first 16 MiB of a file (or in the `whole`) has an object without room."""
    if path.stat().st_size == 0:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        piece = len(data) if whole else min(len(data), _HEAD)
        for start in range(0, piece, _HEAD):
            text = data[start : min(piece, start + _HEAD) + len(_SIGNATURE) - 1]
            at = text.find(_SIGNATURE)
            while at >= 0:
                if _is_endless(data, start + at):
                    return True
                at = text.find(_SIGNATURE, at + 1)
    return False


def _is_endless(data: mmap.mmap, at: int) -> bool:
    """Walk one collection as HDF5 does, with its arithmetic of 64 bits."""
    end = min(at + _number(data, at + 8, 8), len(data))
    at += _HEADER
    while at + _HEADER <= end:
        size = _number(data, at + 8, 8)
        free = _number(data, at, 2) == 0  # object 0 is the free rest; its size counts its header
        room = size if free else (_HEADER + (size + 7) // 8 * 8) % 2**64
        if room == 0:
            return True
        at += room
    return False


def _number(data: mmap.mmap, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")
