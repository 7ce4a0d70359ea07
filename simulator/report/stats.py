"""Summaries for figures: fans over runs, paired differences over time."""

import numpy as np
import pandas as pd

from ..experiment.designs.paired import student


def fan(table: pd.DataFrame, low: float = 0.05, high: float = 0.95) -> pd.DataFrame:
    """Median and quantiles over the columns (runs) of `table` at every row (day).

    Returns columns low, median, high; quantiles interpolate linearly between
    runs, so with few runs the fan is close to their range.
    """
    quantiles = table.quantile([low, 0.5, high], axis=1).T
    quantiles.columns = ["low", "median", "high"]
    return quantiles


def split_outcome(outcome: str) -> tuple[bool, str]:
    """Whether an outcome is on the log scale, and the series it names: 'log tumor_volume'."""
    return outcome.startswith("log "), outcome.removeprefix("log ").strip()


def paired(
    table: pd.DataFrame, first: str, second: str, log: bool = False, level: float = 0.95
) -> pd.DataFrame:
    """First minus second arm at every day, paired by patient and replicate.

    As in the table of contrasts: replicates are averaged within a patient and
    the t interval is over patients; with one patient it is over its replicates.
    `log` takes natural logarithms first: a difference is then a log ratio.
    Returns columns estimate, low, high (NaN for a single pair) and n.
    """
    difference = (_scaled(table[first], log) - _scaled(table[second], log)).dropna(axis=1, how="all")
    if difference.columns.get_level_values("patient").nunique() > 1:
        difference = difference.T.groupby(level="patient").mean().T
    n, mean, sd = difference.count(axis=1), difference.mean(axis=1), difference.std(axis=1, ddof=1)
    rows = zip(mean, sd, n, strict=True)
    half = np.array([student(float(m), float(s), int(k), level)[0] for m, s, k in rows])
    return pd.DataFrame({"estimate": mean, "low": mean - half, "high": mean + half, "n": n})


def pairing_unit(table: pd.DataFrame, first: str, second: str) -> tuple[str, int]:
    """What the pairs of two arms are ('patient', or 'replicate' of the only one), and how many."""
    shared = table[first].columns.intersection(table[second].columns)
    patients = shared.get_level_values("patient").nunique()
    return ("patient", patients) if patients > 1 else ("replicate", len(shared))


def _scaled(table: pd.DataFrame, log: bool) -> pd.DataFrame:
    return np.log(table.where(table > 0)) if log else table
