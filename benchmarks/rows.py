"""One row of the table, and what the table says of the machine."""

import os
import platform
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from simulator.config import provenance

COLUMNS = ("name", "value", "unit", "target", "met", "peer", "ratio", "note")


def row(name: str, value: float, unit: str, target: float | None = None, at_least: bool = False,
        peer: str | None = None, ratio: float | None = None, note: str = "") -> dict:  # fmt: skip
    """One measured figure, to three digits.

    at_least : whether the target is a lower bound.  peer, ratio : the other program's figure, and how many
    times better this one is.
    """
    met = None if target is None else bool(value >= target if at_least else value <= target)
    return {
        "name": name,
        "value": _rounded(value),
        "unit": unit,
        "target": target,
        "met": met,
        "peer": peer,
        "ratio": None if ratio is None else _rounded(ratio),
        "note": note,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def machine() -> str:
    """Processor, versions, date and load in one line: a figure means nothing without them."""
    versions = ", ".join(f"{name} {number}" for name, number in provenance.packages().items())
    return (f"{provenance.processor()['model']}, {os.cpu_count()} cores, {platform.system()}; simulator "
            f"{provenance.version()} (sources {provenance.source_hash()}), {versions}; "
            f"{date.today().isoformat()}{_busy()}")  # fmt: skip


def _busy() -> str:
    """How busy other programs keep the machine, where it can tell."""
    if not hasattr(os, "getloadavg"):
        return ""
    load = os.getloadavg()[0]
    warning = (
        ": other programs ran, so that figures by the clock are too slow, `threads` most"
        if load > 0.5
        else ""
    )
    return f", load average {load:.1f} at the start{warning}"


def print_table(rows: list[dict]) -> None:
    """Show the rows on the screen, their notes below."""
    table = Table(*COLUMNS[:-1])
    for measured in rows:
        table.add_row(*(_word(measured[column]) for column in COLUMNS[:-1]))
    console = Console(highlight=False)
    console.print(table)
    for measured in rows:
        console.print(f"{measured['name']}: {measured['note']}", soft_wrap=True)


def write_markdown(rows: list[dict], about: str, path: Path) -> None:
    """Write the table that is committed."""
    lines = ["# Results of `benchmarks/run.py --write`", "", about, "",
             "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]  # fmt: skip
    lines += ["| " + " | ".join(_word(measured[column]) for column in COLUMNS) + " |" for measured in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _word(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "**no**"
    return f"{cell:g}" if isinstance(cell, float) else str(cell)
