"""The sections of a sweep: what holds over its points, what overturns it, and where the border lies."""

import math
from typing import Any

import pandas as pd

from ..experiment.designs import conclusions, threshold
from . import words
from .canvas import number
from .html import Html, table, tag
from .study import Study

_CHIPS = {"lower": "difference", "higher": "difference", "too_few": "few"}
_MOST_ROWS = 60


def answer(study: Study) -> Html:
    """One sentence a declared contrast: what is found over the sweep, where, and what overturns it."""
    rows = study.tables.get("conclusions", pd.DataFrame())
    if rows.empty or study.plan.sweep is None:
        return tag("p", "There is no contrast to tell.")
    design = study.plan.sweep["design"]
    items = [
        tag("li", _chip(row, design, study.outcome),
            tag("p", words.conclusion(row, design, study.outcome, study.level)))
        for row in rows.to_dict("records")
    ]  # fmt: skip
    return tag("ul", *items, class_="verdicts card")


def _chip(row: dict[Any, Any], design: str, outcome: str) -> Html:
    """The finding in a word; one that is an exception in the space around it does not stand out."""
    found = str(row["finding"])
    if conclusions.exception(design, found, row):
        return tag("span", f"{words.finding(found, outcome)}, an exception", class_="chip unseen")
    return tag("span", words.finding(found, outcome), class_=f"chip {_CHIPS.get(found, 'unseen')}")


def factors(study: Study) -> Html:
    """What was varied, over which range, and the file's own value."""
    rows = []
    for factor in study.plan.factors:
        low, high = factor["range"] or (None, None)
        span = (
            f"{_told(low)} to {_told(high)}" if low is not None else ", ".join(map(_told, factor["levels"]))
        )
        base = factor["base"]
        rows.append((
            factor["name"], span, factor["unit"] if factor["unit"] != "1" else "", factor["scale"],
            "–" if base is None else _told(base), ", ".join(factor["paths"]),
        ))  # fmt: skip
    return table(("Factor", "Over", "Unit", "Scale", "In the file", "Where"), rows, "------")


def parts(study: Study) -> Html:
    """Where within a factor another finding is commoner than the one that holds for the whole."""
    rows = study.tables.get("parts", pd.DataFrame())
    if rows.empty:
        return Html("")
    rows = rows[rows["overturns"] == 1]
    if rows.empty:
        return tag("p", "No part of any factor's range overturns what is found for the whole.")
    body = [
        (row["quantity"], row["factor"], _told(row["part"]), int(row["points"]),
         f"{100 * row['share']:.0f} %", words.finding(str(row["finding"]), study.outcome))
        for row in rows[:_MOST_ROWS].to_dict("records")
    ]  # fmt: skip
    head = ("Contrast", "Factor", "Part of it", "Points", "Finding holds", "Commoner there")
    return tag("h3", "What overturns it") + table(head, body, "---nn-")


def border(study: Study) -> Html:
    """Every crossing of the border with H_hot and the MSCs expected there."""
    rows = study.tables.get("threshold", pd.DataFrame())
    if rows.empty:
        return Html("")
    names = [factor["name"] for factor in study.plan.factors]
    found = rows[rows["kind"].isin([threshold.CROSSING, threshold.BOUND])]
    told = f"{len(found)} crossings on {len(rows)} lines through the grid."
    if found.empty:
        return tag("p", f"{told} The therapy works nowhere on it, or everywhere, or too few MSCs tell.")
    body = [
        (row["along"], *(_told(row[name]) for name in names), row["works"], _told(row["h_hot"]),
         _told(row["expected_mscs"]), "between levels" if row["kind"] == threshold.CROSSING else "bound")
        for row in found[:_MOST_ROWS].to_dict("records")
    ]  # fmt: skip
    head = ("Along", *names, "Works", "H_hot there", "MSCs per dose", "Kind")
    note = (
        "A bound: it works at this level, and at the level before too few MSCs meet the block to tell, so "
        "that the border lies at it or before it."
    )
    shown = table(head, body, "-" + "n" * len(names) + "-nn-")
    return tag("p", told) + shown + tag("p", note, class_="facts")


def _told(value: object) -> str:
    if isinstance(value, int | float):
        return number(float(f"{value:.3g}")) if math.isfinite(value) else "–"
    try:
        return number(float(f"{float(str(value)):.3g}"))
    except ValueError:
        return str(value)
