"""Measure how fast the simulator is, next to its targets and its peers: see README.md beside this file."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import blocks
import fields
import program
from rows import machine, print_table, row, write_markdown
from triad import triad_seconds

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
FIELDS: dict[str, Callable[[], dict]] = {"field_cold": fields.field_cold, "field_warm": fields.field_warm}
SIZED: dict[str, Callable[..., list[dict]]] = {
    "walk": blocks.walk,
    "tumor_pass": blocks.tumor_pass,
    "block": blocks.block,
    "scaling": blocks.scaling,
    "threads": blocks.threads,
    "output": program.output,
    "file_size": program.file_size,
    "checkpoint": program.checkpoint,
    "startup": program.startup,
    "compile": program.compile,
}


# On the way to a target; the note says so.
MILESTONES = {"field_cold": 120, "walk": 6, "block": 1}
# Why a figure misses its target; the note of a row that does so ends with it.
REASONS = {
    "field_cold": "three cycles of 14 passes each",
    "field_warm": "lone moved sources are short waves, which take two cycles",
    "walk": "random neighbors: mispredicted branches and reads beyond the second-level cache",
    "tumor_pass": "the powers of the interpreted rules",
    "block": "a third is motility, a quarter the powers of interpreted rules",
    "scaling": "the fixed cost of some 150 kernel calls a step shows below 10⁵ cells",
    "threads": "what strikes, heals, turns over and solves fields is serial",
    "startup new": "compiling, with other programs on the cores",
    "compile": "other programs on the cores",
}


def measure(names: Sequence[str], size: int | None = None) -> list[dict]:
    """The rows of the named benchmarks, the triad of this run first.

    size : edge of every lattice of cells, instead of each benchmark's own.
    """
    rows = [
        row("triad", triad_seconds() * 1e9, "ns an element", note="the yardstick of this run, one thread")
    ]
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        sized = partial(SIZED[name], size) if name in SIZED and size else SIZED.get(name)
        rows += sized() if sized else [FIELDS[name]()]
    return [_explained(measured) for measured in rows]


def _explained(measured: dict) -> dict:
    """A row with its milestone, and why it misses its target where it does."""
    name, note = measured["name"], [measured["note"]]
    if name in MILESTONES:
        note.append(f"first milestone {MILESTONES[name]}")
    if measured["met"] is False and name in REASONS:
        note.append(f"missed: {REASONS[name]}")
    return measured | {"note": "; ".join(note)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    known = [*FIELDS, *SIZED]
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
    rows = measure(given.names or known, given.size)
    print_table(rows)
    print(about)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.write:
        write_markdown(rows, about, RESULTS)


if __name__ == "__main__":
    main()
