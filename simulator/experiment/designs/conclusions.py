"""Whether the conclusion of a contrast holds over a sweep, and which factor overturns it."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .compare import DIFFERENCE, FEW_MSCS
from .space import SAMPLES, Quantity, Space

COLUMNS = (
    "quantity", "finding", "points", "holds", "share", "low", "high",
    "lower", "higher", "not_seen", "too_few", "undecided", "detectable", "overturned_by",
)  # fmt: skip
PART_COLUMNS = (
    "quantity",
    "factor",
    "part",
    "points",
    "holds",
    "share",
    "difference",
    "finding",
    "overturns",
)

LOWER, HIGHER, NOT_SEEN, TOO_FEW, UNDECIDED = "lower", "higher", "not_seen", "too_few", "undecided"
FINDINGS = (LOWER, HIGHER, NOT_SEEN, TOO_FEW, UNDECIDED)
_THIRDS = ("lowest third", "middle third", "highest third")


def conclusions(space: Space) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A row a declared contrast, and a row a contrast, factor and part of that factor's range.

    `finding` is the file's own (of a grid, the commonest): lower or higher where a difference was seen,
    not_seen, too_few MSCs, or undecided.  `share` is that of the points at which it holds, with a Wilson
    interval where these are an independent sample of the space; `detectable` the median over points of
    the true difference that would have been seen with power 0.8.  A part (a level, or a third of a range)
    overturns a finding where another is commoner in it; none does so where the file's own finding is an
    exception in the space that was sampled around it.
    """
    whole, parts = [], []
    for quantity in space.declared:
        rows = space.of(quantity)
        found = findings(rows)
        base = str(found[0]) if space.has_base else _commonest(found)
        exceptional = exception(space.design, base, found[space.independent].value_counts())
        of_parts = list(_parts(space, quantity, rows, found, base, bool(exceptional)))
        whole.append(_whole(space, quantity, rows, found, base, of_parts))
        parts += of_parts
    return whole, parts


def findings(rows: pd.DataFrame) -> pd.Series:
    """What each row of a table of contrasts says, in one word."""
    seen = rows["verdict"] == DIFFERENCE
    few = rows["expected_mscs"] < FEW_MSCS
    unseen = np.isfinite(rows["p_value"].astype(float)) & ~seen
    found = pd.Series(UNDECIDED, index=rows.index)
    found[unseen] = NOT_SEEN
    found[seen & (rows["difference"] < 0)] = LOWER
    found[seen & (rows["difference"] > 0)] = HIGHER
    found[few] = TOO_FEW
    return found


def exception(design: str, finding: str, counts: Mapping[Any, Any] | pd.Series) -> str:
    """The commonest finding of a sampled space, where that is not the file's own; else nothing.

    counts : of points, by finding.
    """
    common = max(FINDINGS, key=lambda word: int(counts.get(word, 0)))
    return common if design in SAMPLES and counts.get(common, 0) > counts.get(finding, 0) else ""


def _whole(
    space: Space,
    quantity: Quantity,
    rows: pd.DataFrame,
    found: pd.Series,
    base: str,
    parts: list[dict[str, Any]],
) -> dict[str, Any]:
    chosen = found[space.independent]
    holds, points = int((chosen == base).sum()), len(chosen)
    low, high = math.nan, math.nan
    if space.design in ("latin_hypercube", "sobol"):
        low, high = wilson(holds, points, space.level)
    overturning = dict.fromkeys(part["factor"] for part in parts if part["overturns"])
    return {
        "quantity": str(quantity),
        "finding": base,
        "points": points,
        "holds": holds,
        "share": holds / points,
        "low": low,
        "high": high,
        **{word: int((chosen == word).sum()) for word in FINDINGS},
        "detectable": float(rows["detectable"].dropna().median()),
        "overturned_by": ", ".join(overturning),
    }


def _parts(
    space: Space, quantity: Quantity, rows: pd.DataFrame, found: pd.Series, base: str, exceptional: bool
) -> Iterator[dict[str, Any]]:
    for factor in space.factors:
        for part, numbers in _divided(space, factor):
            here = found[numbers]
            if not len(here):
                continue
            common = _commonest(here)
            commoner = (here == common).sum() > (here == base).sum()
            yield {
                "quantity": str(quantity),
                "factor": factor["name"],
                "part": part,
                "points": len(here),
                "holds": int((here == base).sum()),
                "share": float((here == base).mean()),
                "difference": float(rows.loc[numbers, "difference"].mean()),
                "finding": common,
                "overturns": int(commoner and not exceptional),
            }


def _divided(space: Space, factor: dict[str, Any]) -> Iterator[tuple[Any, np.ndarray]]:
    """Parts of a factor with the points in them: its levels, or thirds of its range."""
    values = space.points[factor["name"]][space.independent]
    numbers = values.index.to_numpy()
    if space.design == "one_at_a_time":
        base = space.points[factor["name"]][0]
        moved = values[(values != base) & values.notna()]
        yield from ((value, np.array([number])) for number, value in moved.items())
    elif factor["range"] is None:
        yield from ((level, numbers[(values == level).to_numpy()]) for level in factor["levels"])
    else:
        place = space.coordinate(factor)[space.independent].to_numpy()
        third = np.minimum((3.0 * place).astype(int), 2)
        yield from ((words, numbers[third == k]) for k, words in enumerate(_THIRDS))


def _commonest(found: pd.Series) -> str:
    """The commonest finding; of equally common ones, the first in the order of words."""
    return str(found.value_counts().sort_index().idxmax())


def wilson(hits: int, trials: int, level: float) -> tuple[float, float]:
    """Wilson's score interval of a share (1927, J. Am. Stat. Assoc. 22:209)."""
    from scipy import special

    z = float(special.ndtri(0.5 + level / 2.0))
    share, spread = hits / trials, z * z / trials
    center = (share + spread / 2.0) / (1.0 + spread)
    half = math.sqrt(spread * (share * (1.0 - share) + spread / 4.0)) / (1.0 + spread)
    return max(0.0, center - half), min(1.0, center + half)
