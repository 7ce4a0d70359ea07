"""Where two runs part: the first record, the first snapshot, the datasets, and what made them."""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from . import content
from .files import attribute, dataset, open_run, rows, sound

_WHO = ("arm", "patient", "replicate", "seed", "digest", "simulator_version")
_NAMED = 5  # datasets, and lines of configuration, that are named
_LONGEST = 72  # characters of a value that are shown


def differences(first: str | Path, second: str | Path) -> list[str]:
    """In sentences, how two run files differ in numbers and in what made them; empty where they do not.

    Unfinished runs are compared as far as both go.  Raises InputError where one cannot be read.
    """
    with open_run(first) as a, open_run(second) as b, sound(f"{first} or {second}"):
        return [*_numbers(a, b), *_makers(a, b)]


def _numbers(a: h5py.File, b: h5py.File) -> Iterator[str]:
    names = [set(content.datasets(file)) for file in (a, b)]
    for there, elsewhere, which in ((0, 1, "first"), (1, 0, "second")):
        if alone := sorted(names[there] - names[elsewhere]):
            yield f"only the {which} has {_listed(alone)}"
    shared = sorted(names[0] & names[1])
    tables = {
        "record": [name for name in shared if "series/" in name and "done/" not in name]
        + [name for name in shared if name.startswith("body/")],
        "snapshot": [name for name in shared if "snapshots/" in name],
        "event": [name for name in shared if name.startswith("events/")],
    }
    for what, scale in (("record", "time"), ("snapshot", "snapshot_time"), ("event", "")):
        found = {name: row for name in tables[what] if (row := _first(a, b, name, what)) is not None}
        if found:
            row = min(found.values())
            day = f" (day {float(dataset(a, scale)[row]):g})" if scale else ""
            here = [name for name in found if found[name] == row]
            values = _values(a, b, here[0], row)
            yield f"{what} {row + 1}{day} is the first to differ, in {_listed(here)}{values}"
    yield from _cells(a, b, [name for name in shared if name.endswith("agents/offsets")])


def _first(a: h5py.File, b: h5py.File, name: str, what: str) -> int | None:
    """The first row of a dataset in which two files differ; None where they do not."""
    items = dataset(a, name), dataset(b, name)
    counts = [_trusted(file, name, what) for file in (a, b)]
    if items[0].shape[1:] != items[1].shape[1:] or items[0].dtype != items[1].dtype:
        return 0
    common, at = min(counts), 0
    for one, two in zip(*(content.pieces(item, 0, common) for item in items), strict=True):
        differ = np.flatnonzero(_bits(one) != _bits(two))
        if differ.size:
            return (at + int(differ[0])) // int(np.prod(items[0].shape[1:]))
        at += one.size
    return None if counts[0] == counts[1] or not all(_complete(file) for file in (a, b)) else common


def _trusted(file: h5py.File, name: str, what: str) -> int:
    """Rows of a dataset that may be compared."""
    at = "lesions/" + name.split("/")[1] + "/" if name.startswith("lesions/") else ""
    table = {"record": f"{at}done/series", "snapshot": f"{at}done/snapshots", "event": "done/events"}[what]
    return int(dataset(file, table)[()])


def _bits(array: np.ndarray) -> np.ndarray:
    """Numbers as they are stored, so that nan equals nan, and 0 differs from −0."""
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "f" else array


def _values(a: h5py.File, b: h5py.File, name: str, row: int) -> str:
    """The two values, where one number differs."""
    if dataset(a, name).ndim != 1 or min(dataset(file, name).size for file in (a, b)) <= row:
        return ""
    one, two = (rows(dataset(file, name), row, row + 1)[0] for file in (a, b))
    return f": {one!s}, not {two!s}"


def _cells(a: h5py.File, b: h5py.File, tables: list[str]) -> Iterator[str]:
    """The first snapshot of each lesion whose cells differ."""
    for offsets in tables:
        group = offsets.removesuffix("/offsets")
        snapshots = group.removesuffix("agents") + "snapshots/kind"
        common = min(_trusted(file, snapshots, "snapshot") for file in (a, b))
        edges = [rows(dataset(file, offsets), 0, common + 1).tolist() for file in (a, b)]
        columns = sorted(set(a[group]) & set(b[group]) - {"offsets"})
        for row in range(common):
            one, two = (
                [_bits(rows(dataset(file[group], name), *edge[row : row + 2])) for name in columns]
                for file, edge in zip((a, b), edges, strict=True)
            )
            differ = [n for n, x, y in zip(columns, one, two, strict=True) if not np.array_equal(x, y)]
            if differ:
                day = float(dataset(a, "snapshot_time")[row])
                counts = " and ".join(str(edge[row + 1] - edge[row]) for edge in edges)
                yield (
                    f"cells of snapshot {row + 1} (day {day:g}) are the first to differ: {counts} in "
                    f"/{group}, other {_listed(differ)}"
                )
                break


def _makers(a: h5py.File, b: h5py.File) -> Iterator[str]:
    """What was run, and what ran it."""
    said = [{name: attribute(file, name) for name in file.attrs} for file in (a, b)]
    for name in _WHO:
        one, two = (facts.get(name, "unknown") for facts in said)
        if one != two:
            yield f"{name}: {_short(one)}, not {_short(two)}"
    hosts = [_facts(str(facts.get("host", ""))) for facts in said]
    for name in sorted(hosts[0].keys() | hosts[1].keys()):
        one, two = (host.get(name, "unknown") for host in hosts)
        if one != two:
            yield f"host, {name}: {_short(one)}, not {_short(two)}"
    ours, theirs = (str(facts.get("config", "")).splitlines() for facts in said)
    changed = [line for line in difflib.unified_diff(ours, theirs, n=0, lineterm="") if line[:1] in "+-"][2:]
    if changed:
        shown = "; ".join(_short(" ".join(line.split())) for line in changed[:_NAMED])
        more = f" and {len(changed) - _NAMED} lines more" if len(changed) > _NAMED else ""
        yield f"configuration: {shown}{more}"


def _facts(host: str) -> dict[str, str]:
    """The JSON of attribute `host`, a line each."""
    try:
        told = json.loads(host)
        flat = {name: value for name, value in told.items() if not isinstance(value, dict)}
        for name, inner in told.items():
            if isinstance(inner, dict):
                flat |= {f"{name} {key}": value for key, value in inner.items()}
        return {name: str(value) for name, value in flat.items()}
    except (ValueError, AttributeError):
        return {"": host}


def _complete(file: h5py.File) -> bool:
    return attribute(file, "complete") == 1


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
