"""The border in a grid of factors beyond which the therapy works."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from .compare import DIFFERENCE
from .conclusions import TOO_FEW, UNDECIDED, findings
from .space import Quantity, Space, factor_scale, factor_unscaled

_CAP = 1e3  # of a score, so that it can be interpolated where nothing varies

# What a row of the table says of its line through the grid.
CROSSING = "crossing"  # between two levels, interpolated
BOUND = "bound"  # works here, and the level before has too few MSCs to tell
NEVER = "never works"
ALWAYS = "always works"
UNKNOWN = "too few MSCs"


def table_columns(space: Space) -> list[str]:
    """Columns of the table: each row fixes all factors but `along`, whose column holds the border."""
    names = [factor["name"] for factor in space.factors]
    return ["quantity", "along", *names, "kind", "works", "h_hot", "expected_mscs"]


def numeric(space: Space) -> list[dict[str, Any]]:
    """Factors along which a border can be drawn; at least two make a map."""
    found = [factor for factor in space.factors if factor["numeric"] and len(factor["levels"]) > 1]
    return found if space.design == "grid" and len(found) > 1 else []


def border(space: Space) -> list[dict[str, Any]]:
    """Where the therapy begins or ceases to work, along the first two numeric factors of a grid.

    It works at a point where a difference was seen and is as large as the sweep's `smallest_effect`.  The
    border between two neighboring levels lies where min(|difference|/size, |difference|/half interval)
    passes 1, the interval at Holm's level, interpolated linearly on the factor's scale; `works` says on which
    side (above or below).  `h_hot` (its peak) and `expected_mscs` are interpolated there on a logarithmic
    scale.
    """
    along = numeric(space)[:2]
    return [row for quantity in space.declared for factor in along for row in _lines(space, quantity, factor)]


def smallest(space: Space, outcome: str) -> float:
    """The size that matters, on the scale of the outcome; 0 where any seen difference does."""
    declared = space.sweep["smallest_effect"]
    if declared is None:
        return 0.0
    if not outcome.startswith("log "):
        return float(declared)
    return -math.log1p(-declared) if declared < 1.0 else math.inf


def scores(space: Space, quantity: Quantity) -> pd.Series:
    """By point, how far the therapy works: 1 at the border, NaN where too few MSCs or runs can tell."""
    rows = space.of(quantity)
    outcomes = rows["outcome"].dropna()
    size = smallest(space, str(outcomes.iloc[0])) if len(outcomes) else 0.0
    effect = rows["difference"].abs().to_numpy(float)
    half = _half_interval(rows).to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.minimum(*(np.where(effect > 0.0, effect / limit, 0.0) for limit in (size, half)))
    score = np.minimum(score, _CAP)
    seen = (rows["verdict"] == DIFFERENCE).to_numpy()
    score = np.where(seen & (effect >= size), np.maximum(score, 1.0), np.minimum(score, 1.0 - 1e-9))
    unknown = findings(rows).isin([TOO_FEW, UNDECIDED]).to_numpy()
    return pd.Series(np.where(unknown, math.nan, score), index=rows.index)


def _half_interval(rows: pd.DataFrame) -> pd.Series:
    """Half the interval that decides whether a difference was seen: at Holm's level among the contrasts."""
    family = (rows["p_adjusted"] / rows["p_value"]).clip(lower=1.0).fillna(1.0)
    alpha, freedom = 1.0 - rows["level"], rows["units"] - 1
    wider = special.stdtrit(freedom, 1.0 - alpha / family / 2) / special.stdtrit(freedom, 1.0 - alpha / 2)
    return 0.5 * (rows["high"] - rows["low"]) * wider


def _lines(space: Space, quantity: Quantity, factor: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every line of the grid along one factor."""
    name = factor["name"]
    others = [each["name"] for each in space.factors if each["name"] != name]
    frame = space.points.assign(
        score=scores(space, quantity), **space.of(quantity)[["h_hot", "expected_mscs"]].to_dict("series")
    )
    for fixed, line in frame.groupby(others, sort=False):
        line = line.sort_values(name)
        about = {"quantity": str(quantity), "along": name, **dict(zip(others, fixed, strict=True))}
        yield from ({**about, **row} for row in _borders(factor, line))


def _borders(factor: dict[str, Any], line: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The borders on one line of levels in ascending order; one row without a place where there is none."""
    score = line["score"].to_numpy()
    known = np.isfinite(score)
    if not known.any():
        yield {"kind": UNKNOWN}
        return
    none = True
    for a, b in pairwise(range(len(line))):
        works = "above" if score[b] >= 1.0 else "below"
        if known[a] and known[b] and (score[a] >= 1.0) != (score[b] >= 1.0):
            share = float((1.0 - score[a]) / (score[b] - score[a]))
            yield {"kind": CROSSING, "works": works, **_between(factor, line, a, b, share)}
            none = False
        elif known[a] != known[b] and score[b if known[b] else a] >= 1.0:
            yield {"kind": BOUND, "works": works, **_between(factor, line, a, b, float(known[b]))}
            none = False
    if none:
        yield {"kind": ALWAYS if (score[known] >= 1.0).all() else NEVER}


def _between(factor: dict[str, Any], line: pd.DataFrame, a: int, b: int, share: float) -> dict[str, float]:
    """The factor, H_hot and expected MSCs at a share of the way from level a to level b."""
    name = factor["name"]
    ends = factor_scale(factor, [line[name].iloc[a], line[name].iloc[b]])
    place = ends[0] + share * (ends[1] - ends[0])
    found = {name: float(factor_unscaled(factor, place))}
    if share in (0.0, 1.0):
        found = {name: float(line[name].iloc[b if share else a])}  # as written, not rounded on the way
    for column in ("h_hot", "expected_mscs"):
        first, last = line[column].iloc[a], line[column].iloc[b]
        if first > 0.0 and last > 0.0:
            found[column] = math.exp((1.0 - share) * math.log(first) + share * math.log(last))
    return found
