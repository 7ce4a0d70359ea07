"""The tables of a sweep.

`points.csv`: a row a point, a column a factor.  `factors.csv`: a row a factor, with its unit and range.
`outcomes.csv`: a row a run, the declared outcome (log taken) on the declared day.  `courses.csv`: a row a
point, contrast and day, the mean paired difference.  `conclusions.csv`, `parts.csv`: whether each declared
contrast holds over the sweep, and in which part of which factor it does not (`conclusions`).
`effects.csv` (grid, `factorial`), `sensitivity.csv` (other designs, `screening`), `threshold.csv` (grid of
two numeric factors or more, `threshold`).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plan import Plan
from ..tables import write
from . import conclusions, factorial, screening, threshold
from .compare import Contrast, Member

if TYPE_CHECKING:
    from .space import Space

TABLES = (
    "points", "factors", "outcomes", "courses", "conclusions", "parts", "effects", "sensitivity", "threshold",
)  # fmt: skip
OUTCOME_COLUMNS = ("point", "arm", "patient", "replicate", "day", "value")
COURSE_COLUMNS = ("point", "first", "second", "day", "difference")
_FACTOR_COLUMNS = ("factor", "unit", "scale", "base", "low", "high", "levels", "paths")


def outcome_rows(
    members: Iterable[Member], point: int, day: float | None, log: bool
) -> Iterator[tuple[Any, ...]]:
    """The outcome of each run on a day [d] (by default its last), for `outcomes.csv`."""
    for member in members:
        reached = np.flatnonzero(member.days <= (math.inf if day is None else day + 1e-6))
        if len(reached):
            at, value = float(member.days[reached[-1]]), float(member.values[reached[-1]])
            yield point, member.arm, member.patient, member.replicate, at, _scaled(value, log)


def course_rows(
    members: Iterable[Member], point: int, contrasts: Sequence[Contrast], log: bool
) -> Iterator[tuple[Any, ...]]:
    """The mean paired difference of each contrast on every day that its runs share, for `courses.csv`."""
    by_arm: dict[str, dict[tuple[int, int], Member]] = {}
    for member in members:
        by_arm.setdefault(member.arm, {})[member.patient, member.replicate] = member
    for found in contrasts:
        ones, others = by_arm.get(found.first, {}), by_arm.get(found.second, {})
        pairs = [(who[0], ones[who], others[who]) for who in sorted(ones.keys() & others.keys())]
        if not pairs:
            continue
        days = sorted(set.intersection(*(set(map(float, m.days)) for _, *two in pairs for m in two)))
        courses: dict[int, list[np.ndarray]] = {}
        for patient, *two in pairs:
            first, second = (_scaled(m.values[np.isin(m.days, days)], log) for m in two)
            courses.setdefault(patient, []).append(first - second)
        mean = np.mean([np.mean(of_one, axis=0) for of_one in courses.values()], axis=0)
        for day, value in zip(days, mean, strict=True):
            yield point, found.first, found.second, day, float(value)


def _scaled(values: Any, log: bool) -> Any:
    if not log:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)


def write_sweep(folder: Path, plan: Plan, outcomes: list[tuple], courses: list[tuple]) -> None:
    """Write every table of a sweep into the folder that holds its contrasts.csv."""
    names = [factor["name"] for factor in plan.factors]
    rows = [dict(zip(("point", *names), point, strict=True)) for point in plan.points]
    write(folder, "points", ("point", *names), rows)
    write(folder, "factors", _FACTOR_COLUMNS, map(_factor_row, plan.factors))
    write(folder, "outcomes", OUTCOME_COLUMNS, (dict(zip(OUTCOME_COLUMNS, r, strict=True)) for r in outcomes))
    write(folder, "courses", COURSE_COLUMNS, (dict(zip(COURSE_COLUMNS, r, strict=True)) for r in courses))
    space = read_space(folder, plan)
    whole, parts = conclusions.conclusions(space)
    write(folder, "conclusions", conclusions.COLUMNS, whole)
    write(folder, "parts", conclusions.PART_COLUMNS, parts)
    if space.design == "grid":
        write(folder, "effects", factorial.COLUMNS, factorial.effects(space))
    else:
        write(folder, "sensitivity", screening.COLUMNS, screening.sensitivity(space))
    if threshold.numeric(space):
        write(folder, "threshold", threshold.table_columns(space), threshold.border(space))


def _factor_row(factor: dict[str, Any]) -> dict[str, Any]:
    low, high = factor["range"] or (None, None)
    if factor["range"] is None and factor["numeric"]:
        low, high = min(factor["levels"]), max(factor["levels"])
    levels = " | ".join(map(str, factor["levels"]))
    named = {"factor": factor["name"], "low": low, "high": high, "levels": levels}
    return {**factor, **named, "paths": " | ".join(factor["paths"])}


def read_space(folder: Path, plan: Plan) -> "Space":
    """The sweep of a plan with the tables that a folder holds."""
    import pandas as pd

    from .space import Space

    assert plan.sweep is not None, "only a sweep has points"
    names = [factor["name"] for factor in plan.factors]
    points = pd.DataFrame(plan.points, columns=["point", *names]).set_index("point")
    for factor in plan.factors:
        if factor["numeric"]:
            points[factor["name"]] = points[factor["name"]].astype(float)
    texts = dict.fromkeys(("arm", "first", "second", "outcome", "verdict", "notes"), str)
    outcomes, contrasts = (
        pd.read_csv(folder / f"{name}.csv", dtype=texts, keep_default_na=False, na_values=[""])
        for name in ("outcomes", "contrasts")
    )
    level = (plan.compare or {}).get("level", 0.95)
    return Space(plan.sweep, points, outcomes, contrasts, level)
