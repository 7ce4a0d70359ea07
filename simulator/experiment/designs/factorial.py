"""Effects of a full factorial grid: of each factor, and of two together beyond the sum of each."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from .space import Quantity, Space, summary

COLUMNS = (
    "quantity", "factor", "level", "factor_2", "level_2", "value", "low", "high", "p_value", "units", "share",
)  # fmt: skip


def effects(space: Space) -> list[dict[str, Any]]:
    """Main effects and two-way interactions of every declared contrast and of every arm's outcome.

    A main effect is the mean over all other factors of a level minus the factor's first level; an
    interaction of two levels is what they do together beyond the sum of both alone.  Each is computed
    within every unit (patient) and its interval is over units.  `share` is that of the variance between
    points of the mean over units, which the factor, or the pair beyond both, accounts for.
    """
    return [row for quantity in space.quantities for row in _of(space, quantity)]


def _of(space: Space, quantity: Quantity) -> Iterator[dict[str, Any]]:
    """Rows of one quantity; units that lack a run anywhere, or whose tumor is gone (log 0), are left out."""
    shape = [len(factor["levels"]) for factor in space.factors]
    table = space.units(quantity).replace([np.inf, -np.inf], np.nan).dropna(axis=1).to_numpy()
    if table.shape[1] == 0:
        return
    grid = table.T.reshape(-1, *shape)
    mean = grid.mean(axis=0)
    total = float(((mean - mean.mean()) ** 2).sum())
    main = [_averaged(mean, (i,)) - mean.mean() for i in range(len(shape))]
    for i, factor in enumerate(space.factors):
        by_level = _within_units(grid, (i,))
        share = _share(main[i], mean.size, total)
        for place, level in enumerate(factor["levels"][1:], start=1):
            found = summary(by_level[:, place] - by_level[:, 0], space.level)
            yield {
                "quantity": str(quantity),
                "factor": factor["name"],
                "level": level,
                "share": share,
                **found,
            }
    for i, j in combinations(range(len(shape)), 2):
        pair = _averaged(mean, (i, j)) - main[i][:, None] - main[j][None, :] - mean.mean()
        yield from _interactions(space, quantity, grid, (i, j), _share(pair, mean.size, total))


def _interactions(
    space: Space, quantity: Quantity, grid: np.ndarray, pair: tuple[int, int], share: float
) -> Iterator[dict[str, Any]]:
    one, other = (space.factors[k] for k in pair)
    cells = _within_units(grid, pair)
    for a, level in enumerate(one["levels"][1:], start=1):
        for b, level_2 in enumerate(other["levels"][1:], start=1):
            beyond = cells[:, a, b] - cells[:, a, 0] - cells[:, 0, b] + cells[:, 0, 0]
            yield {
                "quantity": str(quantity),
                "factor": one["name"],
                "level": level,
                "factor_2": other["name"],
                "level_2": level_2,
                "share": share,
                **summary(beyond, space.level),
            }


def _within_units(grid: np.ndarray, kept: tuple[int, ...]) -> np.ndarray:
    """Averages over all factors but those kept, within each unit (the first axis)."""
    others = tuple(axis for axis in range(1, grid.ndim) if axis - 1 not in kept)
    return grid.mean(axis=others) if others else grid


def _averaged(mean: np.ndarray, kept: tuple[int, ...]) -> np.ndarray:
    return _within_units(mean[None], kept)[0]


def _share(part: np.ndarray, cells: int, total: float) -> float:
    """Share of the sum of squares of all cells that an averaged part accounts for."""
    return float((part * part).sum()) * cells / part.size / total if total > 0.0 else 0.0
