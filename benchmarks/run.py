"""Measure how fast the simulator is, next to its targets and its peers: see README.md beside this file."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import blocks
import counted
import fields
import peers
import program
import scaling
from rows import machine, print_table, row, write_markdown
from triad import triad_seconds

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
FIELDS: dict[str, Callable[[], dict]] = {"field_cold": fields.field_cold, "field_warm": fields.field_warm}
SIZED: dict[str, Callable[..., list[dict]]] = {
    "walk": blocks.walk,
    "tumor_pass": blocks.tumor_pass,
    "block": blocks.block,
    "scaling": scaling.scaling,
    "threads": blocks.threads,
    "lesion": blocks.lesion,
    "output": program.output,
    "file_size": program.file_size,
    "checkpoint": program.checkpoint,
    "startup": program.startup,
    "compile": program.compile,
}
# Of a size of their own.
WHOLE: dict[str, Callable[[], list[dict]]] = {
    "counted": counted.counted,
    "kather": peers.kather,
    "luque": peers.luque,
    "spqsp": peers.spqsp,
    "study": program.study,
}


# Bytes that the cost model of README.md counts for one unit of each row's work; memory sets the least time.
BYTES = {
    "field_cold": 8 * counted.field_passes(3),
    "field_warm": 8 * counted.field_passes(2),
    "walk": 120,
    "tumor_pass": 36,
    "block": 230,
}
YARDSTICK = "the yardstick of this run, one thread; 1.07 on the machine for which the targets were set"
# Why a figure misses its target; the note of a row that does so ends with it.
REASONS = {
    "field_warm": "lone moved sources are short waves, which take two cycles: 12 passes of traffic alone",
    "walk": "the field and the sites around each cell lie in many cache lines, and each is used once",
    "tumor_pass": "dice and the powers of the rules: some 150 operations a cell",
    "block": "motility and the field solver, which run at four times the traffic of the cost model",
    "scaling": "small fields, and what Python does between kernels, show below 10⁵ cells",
    "threads": "kills, entry and the search for gone cells are serial, and memory is shared",
    "kather": "fields, moves and the daughters that push their way out",
    "luque": "sources, residuals and distances to the surface, over 80³ sites of which few hold a cell",
    "spqsp": "a processor against an accelerator",
    "lesion": "as `block` and `threads`",
    "study": "small fields, and what Python does between kernels",
    "output": "a small block writes as many tables as a large one",
    "startup help": "importing",
    "startup warm": "importing numba and scipy, and loading compiled kernels",
    "startup new": "compiling",
    "compile": "numba compiles every kernel, two processes at a time",
}


def measure(names: Sequence[str], size: int | None = None, figure: Path | None = None) -> list[dict]:
    """The rows of the named benchmarks, the triad of this run first.

    size : edge of every lattice of cells, instead of each benchmark's own; figure : where to draw `scaling`.
    """
    rows = [row("triad", triad_seconds() * 1e9, "ns an element", note=YARDSTICK)]
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        sized = partial(SIZED[name], size) if name in SIZED and size else SIZED.get(name)
        if name == "scaling" and sized and figure:
            sized = partial(sized, figure=figure)
        rows += sized() if sized else WHOLE[name]() if name in WHOLE else [FIELDS[name]()]
    return [_explained(measured, rows[0]["value"]) for measured in rows]


def _explained(measured: dict, triad_ns: float) -> dict:
    """A row with its distance to the cost model, and why it misses its target where it does."""
    name, note = measured["name"], [measured["note"]]
    if name in BYTES:
        least = BYTES[name] / 24.0  # passes of the triad
        taken = measured["value"] if name in FIELDS else 1e3 / measured["value"] / triad_ns
        note.append(f"{taken / least:.1f} times the memory traffic of the cost model")
    if measured["met"] is False and name in REASONS:
        note.append(f"missed: {REASONS[name]}")
    return measured | {"note": "; ".join(note)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    known = [*FIELDS, *SIZED, *WHOLE]
    parser = argparse.ArgumentParser(description="Measure how fast the simulator is.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure; all without it: {', '.join(known)}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows into a file, too")
    parser.add_argument("--size", type=int, metavar="N", help="edge of every lattice of cells, in sites")
    parser.add_argument(
        "--write", action="store_true", help=f"replace {RESULTS.name}; takes all benchmarks in full"
    )
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - set(known)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    if given.size is not None and given.size < 12:
        parser.error(f"--size must be at least 12 sites, not {given.size}")
    if given.write and (given.names or given.size):
        parser.error("--write keeps a whole run: give it neither names nor --size")
    about = machine()
    rows = measure(given.names or known, given.size, scaling.FIGURE if given.write else None)
    print_table(rows)
    print(about)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.write:
        write_markdown(rows, about, RESULTS)


if __name__ == "__main__":
    main()
