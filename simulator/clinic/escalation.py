"""Dose escalation: the designs by name, their decision tables, and the log of a trial's decisions."""

from collections.abc import Sequence
from typing import Any

from ..base.errors import InputError, did_you_mean
from ..config.tree import Node, Problems
from .designs.boin import Boin
from .designs.boin12 import Boin12
from .designs.crm import Crm
from .designs.history import Choice, Cohort, Decision, Design, Followed
from .designs.three_plus_three import ThreePlusThree
from .operating import Paths
from .settings import read

__all__ = ["DESIGNS", "Choice", "Cohort", "Decision", "Followed"]

DESIGNS: dict[str, type[Design]] = {"3+3": ThreePlusThree, "boin": Boin, "crm": Crm, "boin12": Boin12}

RARE = 0.12  # the DLT rate below which a target of 35 % cannot be met


def design(name: str, levels: int, **settings: Any) -> Design:
    """An escalation design by name: `design("boin", 3, target=0.35)`.

    Raises InputError where the name is unknown or a setting is impossible.
    """
    return _class(name)(levels=levels, **settings)


def read_design(node: Node, levels: int, problems: Problems) -> Design | None:
    """The design under `escalation:`, whose `design` names it; `levels` is the number of doses."""
    named = node.get("design")
    if named is None or not isinstance(named.value, str):
        problems.add(
            "'escalation' does not name its design.",
            f"Write `design:` with one of {', '.join(DESIGNS)}.",
            named.where if named is not None else node.key,
        )
        return None
    try:
        cls = _class(named.value)
    except InputError as error:
        problems.take(error, named.where)
        return None
    settings = {key: child for key, child in node.items() if key != "design"}
    if "levels" in settings:
        problems.add(
            "The levels of the escalation are the doses of the treatment.", "", settings["levels"].key
        )
    settings["levels"] = Node(levels, node.where, node.key)
    return read(cls, Node(settings, node.where, node.key), "'escalation'", problems)


def _class(name: str) -> type[Design]:
    if name not in DESIGNS:
        raise InputError(f"'{name}' is no escalation design.", did_you_mean(name, DESIGNS))
    return DESIGNS[name]


def decision_log(design: Design, history: Sequence[Cohort]) -> list[dict[str, Any]]:
    """A row a cohort: what was seen in it, what followed and why."""
    rows = []
    for number, cohort in enumerate(history, start=1):
        decision = design.decide(history[:number])
        rows.append(
            {
                "cohort": number,
                "level": cohort.level,
                "patients": cohort.patients,
                "dlts": cohort.dlts,
                "responses": cohort.responses,
                "action": decision.action,
                "next_level": decision.level,
                "reason": decision.reason,
            }
        )
    return rows


def table_text(design: Design) -> str:
    """The decision table of a design, aligned for a page of text."""
    head, rows = design.table()
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    aligned = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows)]
    lines = ["  ".join(row) for row in aligned]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def top_level_words(paths: Paths) -> str:
    """What a design can learn where DLTs are as rare as with MSCs; to stand before any choice of a dose."""
    design = paths.design
    if design.uses_responses:
        return "Where DLTs are as rare as with MSCs, this design chooses among levels by their responses."
    rare = (RARE,) * design.levels
    chance = paths.characteristics(rare, rare).selected[-1]
    return (
        f"With a true DLT rate of {100 * RARE:g} % at every level this design selects the top level, "
        f"{design.levels}, in {100 * chance:.1f} % of trials: DLTs that rare cannot tell the levels apart. "
        "Read activity and futility first."
    )
