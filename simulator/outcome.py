"""What a study found, in a few aligned lines for the terminal."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from .experiment.collect import Results
from .experiment.designs.compare import FEW_MSCS, TOO_FEW_MSCS
from .report import words

_WIDTH = 100


def outcome(results: Results) -> str:
    """The arms with their MSCs and H_hot, then every declared contrast with its verdict, or over a sweep."""
    contrasts = results.table("contrasts")
    parts = [_arms(results)]
    if results.plan.sweep is not None:
        parts += _conclusions(results)
    elif len(contrasts):
        first = contrasts.iloc[0]
        parts.append(f"{first['outcome']} on day {first['day']:g}, paired by patient and replicate:")
        parts.append(_aligned([_contrast(row) for row in contrasts.to_dict("records")]))
        if (contrasts["verdict"] == TOO_FEW_MSCS).any():
            parts.append(
                f"{TOO_FEW_MSCS}: under {FEW_MSCS:g} a dose, so these numbers speak neither for nor against "
                "the therapy. Take a larger block, or ask what higher homing would do."
            )
    return "\n".join(parts)


def _conclusions(results: Results) -> list[str]:
    """How far each declared contrast holds over the points."""
    declared, sweep = results.plan.compare or {}, results.plan.sweep or {}
    rows = results.table("conclusions").to_dict("records")
    told = (words.conclusion(row, sweep["design"], declared["outcome"], declared["level"]) for row in rows)
    return [textwrap.fill(line, _WIDTH, subsequent_indent="  ") for line in told]


def _arms(results: Results) -> str:
    """MSCs expected per dose and block (median of the runs) and peak H_hot (largest) of each arm."""
    rows = [("arm", "runs", "MSCs a dose", "peak H_hot")]
    runs = results.runs
    for arm in results.plan.arms:
        mine = runs[runs["arm"] == arm]
        done = mine[mine["complete"] == 1]
        mscs, hot = done["expected_mscs"].dropna().median(), done["h_hot"].dropna().max()
        rows.append((arm, f"{len(done)} of {len(mine)}", _number(mscs), _number(hot)))
    return _aligned(rows)


def _contrast(row: dict[str, Any]) -> tuple[str, str, str, str]:
    who = f"{row['first']} against {row['second']}"
    if pd.isna(row["difference"]):
        return who, "-", f"{row['pairs']} pairs", row["verdict"]
    said = words.effect(float(row["difference"]), row["outcome"])
    between = words.interval(row)
    return who, f"{said} ({between})" if between else said, f"{row['pairs']} pairs", row["verdict"]


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    """Rows as columns two spaces apart."""
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"  {line.rstrip()}" for line in lines)
