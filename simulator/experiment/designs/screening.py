"""Which factor matters: one at a time, by elementary effects, by ranks, or by shares of variance."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from .space import Quantity, Space, summary

COLUMNS = ("quantity", "factor", "measure", "setting", "value", "low", "high", "p_value", "units")
_STEP = 2.0 / 3.0  # of a Morris trajectory, in shares of a factor's range
_RESAMPLES = 1000


def sensitivity(space: Space) -> list[dict[str, Any]]:
    """Measures of the design for every declared contrast and every arm's outcome; none for a grid.

    one_at_a_time : `value` at a setting, and its `change` from the file's own, each with an interval over
    units.  morris : `mu`, `mu_star`, `sigma` of elementary effects over trajectories, per whole range.
    latin_hypercube, sobol : `rank_correlation` and `partial_rank_correlation` over points.
    sobol : `first_order` and `total` shares of variance, with bootstrap intervals.
    """
    measures: dict[str, Callable[[Space, Quantity], Iterator[dict[str, Any]]]] = {
        "one_at_a_time": _one_at_a_time,
        "morris": _elementary,
        "latin_hypercube": _ranks,
        "sobol": _shares,
    }
    measure = measures.get(space.design)
    if measure is None:
        return []
    return [
        {"quantity": str(quantity), **row}
        for quantity in space.quantities
        for row in measure(space, quantity)
    ]


def _one_at_a_time(space: Space, quantity: Quantity) -> Iterator[dict[str, Any]]:
    table = space.units(quantity)
    base = table.loc[0].to_numpy()
    for number in space.sampled:
        factor, setting = moved(space, number)
        here = table.loc[number].to_numpy()
        for measure, values in (("value", here), ("change", here - base)):
            yield {"factor": factor, "measure": measure, "setting": setting, **summary(values, space.level)}


def moved(space: Space, number: int) -> tuple[str, Any]:
    """The factor that a point of a one-at-a-time design moves, and to where."""
    row, base = space.points.loc[number], space.points.loc[0]
    for factor in space.factors:
        now, before = row[factor["name"]], base[factor["name"]]
        if now != before and not (pd.isna(now) and pd.isna(before)):
            return factor["name"], now
    raise AssertionError(f"point {number} moves nothing")


def _elementary(space: Space, quantity: Quantity) -> Iterator[dict[str, Any]]:
    """Morris 1991 (doi:10.2307/1269043) with mu* of Campolongo 2007 (doi:10.1016/j.envsoft.2006.10.004)."""
    means = space.means(quantity)
    names = [factor["name"] for factor in space.factors]
    places = pd.DataFrame({factor["name"]: space.coordinate(factor) for factor in space.factors})
    found: dict[str, list[float]] = {name: [] for name in names}
    for walk in space.sampled.reshape(-1, len(names) + 1):
        for before, after in zip(walk, walk[1:], strict=False):
            change = places.loc[after] - places.loc[before]
            name = str(change.abs().idxmax())
            effect = (means[after] - means[before]) / (_STEP * np.sign(change[name]))
            found[name].append(float(effect))
    for name, effects in found.items():
        values = np.array(effects)
        yield {"factor": name, "measure": "mu", **summary(values, space.level)}
        yield {"factor": name, "measure": "mu_star", **summary(np.abs(values), space.level), "p_value": None}
        finite = values[np.isfinite(values)]
        sigma = float(finite.std(ddof=1)) if len(finite) > 1 else math.nan
        yield {"factor": name, "measure": "sigma", "value": sigma, "units": len(finite)}


# --- ranks -------------------------------------------------------------------------------------------


def columns(space: Space, numbers: np.ndarray) -> pd.DataFrame:
    """Factors as numbers, a column each: coordinates, or one of two for each level but the first."""
    found = {}
    for factor in space.factors:
        if factor["numeric"] or len(factor["levels"]) == 2:
            found[factor["name"], ""] = space.coordinate(factor)[numbers]
            continue
        for level in factor["levels"][1:]:
            found[factor["name"], str(level)] = (space.points[factor["name"]][numbers] == level) * 1.0
    return pd.DataFrame(found)


def _ranks(space: Space, quantity: Quantity) -> Iterator[dict[str, Any]]:
    """Rank correlation, and what is left of it once all other factors are accounted for."""
    means = space.means(quantity)[space.independent].dropna()
    if len(means) < 4 or np.ptp(means.to_numpy()) == 0.0:
        return
    table = columns(space, means.index.to_numpy())
    ranks = np.column_stack([table.rank().to_numpy(), means.rank().to_numpy()])
    plain = np.corrcoef(ranks, rowvar=False)[-1, :-1]
    partial = _partial(ranks)
    for place, (factor, level) in enumerate(table.columns):
        about = {"factor": factor, "setting": level or None}
        yield {**about, "measure": "rank_correlation", **_correlation(plain[place], len(means), 0, space)}
        others = table.shape[1] - 1
        found = _correlation(partial[place], len(means), others, space)
        yield {**about, "measure": "partial_rank_correlation", **found}


def _partial(ranks: np.ndarray) -> np.ndarray:
    """Correlation of each column with the last, all others held: from the inverse correlation matrix."""
    correlations = np.corrcoef(ranks, rowvar=False)
    if np.linalg.matrix_rank(correlations) < len(correlations):
        return np.full(ranks.shape[1] - 1, math.nan)
    inverse = np.linalg.inv(correlations)
    return -inverse[-1, :-1] / np.sqrt(inverse[-1, -1] * np.diag(inverse)[:-1])


def _correlation(value: float, count: int, others: int, space: Space) -> dict[str, Any]:
    """A correlation with its interval (Fisher's z) and p-value, `others` held constant."""
    from scipy import special

    freedom = count - 2 - others
    found = {"value": float(value), "units": count}
    if freedom < 2 or not abs(value) < 1.0:
        return found
    half = float(special.ndtri(0.5 + space.level / 2.0)) / math.sqrt(freedom - 1)
    t = value * math.sqrt(freedom / (1.0 - value * value))
    return found | {
        "low": math.tanh(math.atanh(value) - half),
        "high": math.tanh(math.atanh(value) + half),
        "p_value": 2.0 * float(special.stdtr(freedom, -abs(t))),
    }


# --- shares of variance ------------------------------------------------------------------------------


def _shares(space: Space, quantity: Quantity) -> Iterator[dict[str, Any]]:
    """Sobol indices of the mean over units, after the ranks of the rows A and B.

    First-order by Saltelli 2010 (doi:10.1016/j.cpc.2009.09.018), total by Jansen 1999.  Runs share their
    dice, but a changed factor also re-orders what chance does: that part counts as interaction.
    """
    yield from _ranks(space, quantity)
    names = [factor["name"] for factor in space.factors]
    rows = space.means(quantity)[space.sampled].to_numpy().reshape(-1, len(names) + 2)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) < 2 or np.var(rows[:, :2]) == 0.0:
        return
    dice = np.random.default_rng(0)
    again = dice.integers(0, len(rows), (_RESAMPLES, len(rows)))
    first, total = indices(rows)
    resampled = [indices(rows[pick]) for pick in again if np.var(rows[pick, :2]) > 0.0]
    tails = (0.5 - space.level / 2.0, 0.5 + space.level / 2.0)
    for measure, value, drawn in (
        ("first_order", first, [pair[0] for pair in resampled]),
        ("total", total, [pair[1] for pair in resampled]),
    ):
        low, high = np.quantile(np.array(drawn), tails, axis=0)
        for k, name in enumerate(names):
            ends = {"low": float(low[k]), "high": float(high[k])}
            yield {"factor": name, "measure": measure, "value": float(value[k]), **ends, "units": len(rows)}


def indices(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First-order and total indices from rows (A, B, AB_1, …, AB_k) of a Saltelli design."""
    a, b, mixed = rows[:, :1], rows[:, 1:2], rows[:, 2:]
    variance = rows[:, :2].var()
    center = rows[:, :2].mean()
    first = ((b - center) * (mixed - a)).mean(axis=0) / variance
    total = ((a - mixed) ** 2).mean(axis=0) / (2.0 * variance)
    return first, total
