"""Two lesions whose every number follows from its row, for the tests of run files."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from simulator.run.storage import Column, LesionLayout, Rows, RunWriter, Snapshot

KINDS = {"empty": 0, "tumor": 1, "cd8": 7}
HOURS = tuple(24.0 * day for day in range(9))
SNAPSHOT_HOURS = (0.0, 96.0, 192.0)
SERIES = [Column("tumor_cells", "cells", "living tumor cells"), Column("cd8", "cells", "CD8 cells", "i8")]
AGENTS = [
    Column("id", "1", "number of the cell", "i8"),
    Column("kind", "1", "kind of the cell", "u1", KINDS),
    *(Column(f"position_{axis}", "um", f"position along {axis}", "f4") for axis in "zyx"),
]
SNAPSHOTS = [
    Snapshot("kind", "1", "bulk cell", "u1", flags=KINDS),
    Snapshot("pdl1", "1", "PD-L1 of the cell", "f4"),
    Snapshot("cxcl9", "nM", "concentration", "f4", (1, 2, 4)),
]
BODY = [Column("msc_lung", "cells", "living MSCs in the lung")]
EVENTS = [
    Column("type", "1", "what the row tells", "u1", {"dose": 0, "death": 1}),
    Column("day", "d", "when"),
    Column("drug", "1", "what was given", "S16"),
]
LESIONS = [
    LesionLayout((3, 5, 6), 15.0, SERIES, SNAPSHOTS, AGENTS),
    LesionLayout((1, 4, 6), 20.0, SERIES, SNAPSHOTS[:1], AGENTS[:2]),
]
LAYOUT = (HOURS, SNAPSHOT_HOURS, LESIONS, BODY, EVENTS)


def attributes(**more) -> dict:
    """What a run says of itself."""
    return {
        "simulator_version": "0.1.0", "seed": 2**64 - 1, "patient": 3, "arm": "q21d µ", "replicate": 1,
        "config": "title: fake\n", "digest": "ab12", "host": '{"cpu": "x"}', "started": "2026-01-01T00:00:00",
    } | more  # fmt: skip


def writer(path: Path, swmr: bool = True, **more) -> RunWriter:
    """A new run file of the fake layout."""
    return RunWriter(path, attributes(**more), *LAYOUT, swmr=swmr)


def record(row: int) -> tuple[list[dict], dict]:
    """The values of a record."""
    lesions = [{"tumor_cells": 100.5 * row + k, "cd8": row - k} for k in range(2)]
    return lesions, {"msc_lung": row / 3}


def snapshot(row: int) -> tuple[list[dict], list[dict]]:
    """The arrays and cells of a snapshot; the numbers of cells differ by lesion and row."""
    dice = np.random.default_rng(row)
    codes = np.array(list(KINDS.values()), np.uint8)
    arrays, agents = [], []
    for k, layout in enumerate(LESIONS):
        arrays.append({"kind": dice.choice(codes, layout.shape)})
        count = 4 * row + k
        agents.append({"id": np.arange(count) + 1000 * row, "kind": dice.choice(codes, count)})
    arrays[0] |= {"pdl1": dice.random((3, 5, 6), "f4"), "cxcl9": dice.random((3, 3, 2), "f4")}
    extents = zip("zyx", LESIONS[0].shape, strict=True)
    agents[0] |= {f"position_{axis}": dice.random(4 * row, "f4") * 15 * sites for axis, sites in extents}
    return arrays, agents


def event(row: int) -> dict[str, list]:
    """The rows of one call of `write_events`."""
    return {"type": [0, 1], "day": [row, row + 0.5], "drug": [f"msc{row}", "é"]}


def fill(to: RunWriter, until: int = len(HOURS)) -> Iterator[Rows]:
    """Write from where the writer stands until its record `until`; yields after every record."""
    for row in range(to.rows.series, until):
        if HOURS[row] in SNAPSHOT_HOURS and SNAPSHOT_HOURS.index(HOURS[row]) >= to.rows.snapshots:
            to.write_snapshot(*snapshot(SNAPSHOT_HOURS.index(HOURS[row])))
        if 2 * row >= to.rows.events:
            to.write_events(event(row))
        to.write_record(*record(row))
        yield to.rows


def write(path: Path, until: int = len(HOURS), **more) -> Path:
    """A run written until record `until` and closed; complete if that was the last."""
    run = writer(path, **more)
    list(fill(run, until))
    run.close(complete=until == len(HOURS))
    return path


def content(path: Path) -> dict[str, object]:
    """Every dataset and attribute of a file, as bytes that compare."""
    found = {}

    def take(name: str, item) -> None:
        for key in item.attrs.keys() - {"DIMENSION_LIST", "REFERENCE_LIST"}:  # addresses inside the file
            found[name, key] = np.asarray(item.attrs[key]).tobytes()
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype, item.shape, item[()].tobytes())

    with h5py.File(path, "r") as file:
        take("", file)
        file.visititems(take)
    return found
