"""What every dose brought: a row of `attribution.csv` a run, lesion, dose and kind.

Every infused cell, and every lymphoid cell that entered because of the infused cells' chemokine, knows its
dose; those that came without one stand under dose 0.  `touched` are those that ever touched a target (an MSC:
a lymphoid cell), `idle` those that never did; both are empty for a kind of which no cell of the run touched
anything, as helpers, which have no target.  `kills` counts those of the cells and of their daughters.
All counts are of the block; `lesion_per_block` scales them to the lesion on the day of the dose.
`kills_per_million` is what cells of a kind killed in the whole lesion per 10⁶ cells infused.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from ..run.reading import Run

COLUMNS = (
    "lesion", "number", "drug", "day", "infused", "expected", "kind",
    "came", "touched", "idle", "kills", "lesion_per_block", "kills_per_million",
)  # fmt: skip
NO_DOSE = 0  # number of those that came without a dose
_MILLION = 1e6


def attribution(file: "Run") -> "pd.DataFrame":
    """The rows of one run file, in the order of lesions, doses and kinds.

    infused [cells], expected [cells in the block]: of the dose, NaN for dose 0.  Raises InputError where
    the file is damaged.
    """
    import pandas as pd

    events = file.events
    brought = list(_of(events, "brought"))
    doses = {(row.lesion, row.number): row for row in _of(events, "dose")} if brought else {}
    scales = {lesion: _scale(file, lesion) for lesion in {row.lesion for row in brought}}
    rows = [_row(row, doses, *scales[row.lesion]) for row in brought]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["lesion", "number", "kind"])
    without_target = table.groupby("kind")["touched"].transform("sum") == 0
    table[["touched", "idle"]] = table[["touched", "idle"]].mask(without_target)
    return table


def _of(events: "pd.DataFrame", kind: str) -> Iterator[Any]:
    return events[events["type"] == kind].itertuples(index=False)


def _scale(file: "Run", lesion: int) -> tuple[np.ndarray, np.ndarray]:
    """Days [d], and volume of the lesion over that of its block on them; no days where it is not recorded."""
    one = file.lesion(lesion)
    series = one.series
    if "tumor_volume" not in series:
        return np.zeros(0), np.zeros(0)
    return series["day"].values, series["tumor_volume"].values / one.block_mm3


def _row(
    brought: Any, doses: dict[tuple[int, int], Any], days: np.ndarray, ratio: np.ndarray
) -> dict[str, Any]:
    dose = doses.get((brought.lesion, brought.number))
    row = {
        "lesion": brought.lesion,
        "number": brought.number,
        "kind": brought.kind,
        "came": brought.cells,
        "touched": brought.touched,
        "idle": brought.cells - brought.touched,
        "kills": brought.kills,
    }
    if dose is None:
        return row | {"lesion_per_block": float(ratio[0]) if len(ratio) else np.nan}
    scale = float(ratio[max(0, np.searchsorted(days, dose.day, side="right") - 1)]) if len(ratio) else np.nan
    row |= {"drug": dose.drug, "day": dose.day, "infused": dose.given, "expected": dose.expected_mscs}
    per_million = brought.kills * scale / (dose.given / _MILLION) if dose.given > 0.0 else np.nan
    return row | {"lesion_per_block": scale, "kills_per_million": per_million}
