"""The points of a sweep and what came of them, as the analyses of a design see them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .paired import student

SAMPLES = ("latin_hypercube", "sobol", "morris")  # designs whose point 0 is the file, beside the sample


class Quantity(NamedTuple):
    """What is analyzed: a declared contrast (first minus second), or an arm's own outcome (second "")."""

    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.first} - {self.second}" if self.second else self.first


@dataclass(frozen=True)
class Space:
    """A sweep that has run.

    sweep : the design and its factors, as plans hold them.
    points : a row a point, its number as index, a column a factor (numbers, names of levels, NaN or None
    where the file's own value is not known as one).
    outcomes : rows (point, arm, patient, replicate, value), the declared outcome on the declared day.
    contrasts : rows of contrasts.csv.  level : of intervals.
    """

    sweep: dict[str, Any]
    points: pd.DataFrame
    outcomes: pd.DataFrame
    contrasts: pd.DataFrame
    level: float

    @property
    def design(self) -> str:
        """grid, one_at_a_time, latin_hypercube, sobol or morris."""
        return self.sweep["design"]

    @property
    def factors(self) -> list[dict[str, Any]]:
        """The factors as plans hold them."""
        return self.sweep["factors"]

    @cached_property
    def has_base(self) -> bool:
        """Whether the file itself was run, as point 0."""
        return 0 in self.points.index

    @cached_property
    def declared(self) -> list[Quantity]:
        """The declared contrasts."""
        pairs = self.contrasts[["first", "second"]].drop_duplicates()
        return [Quantity(row.first, row.second) for row in pairs.itertuples(index=False)]

    @cached_property
    def quantities(self) -> list[Quantity]:
        """The declared contrasts, then the outcome of every arm."""
        return [*self.declared, *(Quantity(arm, "") for arm in dict.fromkeys(self.outcomes["arm"]))]

    def units(self, quantity: Quantity) -> pd.DataFrame:
        """A quantity by point (index) and independent unit (columns), NaN where a run is missing.

        Units are patients, replicates averaged within them; of one patient, its replicates.
        """
        values = self._arm(quantity.first)
        if quantity.second:
            values = values - self._arm(quantity.second)
        if values.columns.get_level_values("patient").nunique() > 1:
            return values.T.groupby(level="patient").mean().T
        return values.droplevel("patient", axis=1)

    def _arm(self, arm: str) -> pd.DataFrame:
        mine = self.outcomes[self.outcomes["arm"] == arm]
        table = mine.pivot_table(
            index="point", columns=["patient", "replicate"], values="value", dropna=False
        )
        return table.reindex(self.points.index)

    def means(self, quantity: Quantity) -> pd.Series:
        """A quantity by point, averaged over units; NaN where any is missing, so that points compare."""
        return self.units(quantity).mean(axis=1, skipna=False)

    def of(self, quantity: Quantity) -> pd.DataFrame:
        """The rows of a declared contrast, by point."""
        rows = self.contrasts
        mine = rows[(rows["first"] == quantity.first) & (rows["second"] == quantity.second)]
        return mine.set_index("point").reindex(self.points.index)

    @cached_property
    def sampled(self) -> np.ndarray:
        """Numbers of the points of the design itself, in its order."""
        numbers = self.points.index.to_numpy()
        return numbers[numbers > 0] if self.design != "grid" else numbers

    @cached_property
    def independent(self) -> np.ndarray:
        """Numbers of points that fill the space evenly: a Saltelli design mixes the others from these."""
        if self.design == "sobol":
            each = len(self.factors) + 2
            return self.sampled.reshape(-1, each)[:, :2].ravel()
        return self.sampled

    def coordinate(self, factor: dict[str, Any]) -> pd.Series:
        """Where points stand along a factor, from 0 to 1: on its scale, or by the place of its levels."""
        values = self.points[factor["name"]]
        if factor["range"] is None:
            places = {level: place for place, level in enumerate(factor["levels"])}
            return values.map(places).astype(float) / (len(places) - 1)
        low, high = factor["range"]
        values = values.astype(float)
        if factor["scale"] == "log":
            return np.log(values / low) / math.log(high / low)
        return (values - low) / (high - low)


def factor_scale(factor: dict[str, Any], values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Values of a numeric factor on the scale on which they are interpolated."""
    numbers = np.asarray(values, dtype=float)
    return np.log(numbers) if factor["scale"] == "log" else numbers


def factor_unscaled(factor: dict[str, Any], places: np.ndarray) -> np.ndarray:
    """The values of a numeric factor at places on its scale."""
    return np.exp(places) if factor["scale"] == "log" else places


def summary(values: np.ndarray, level: float) -> dict[str, Any]:
    """Mean of independent values with its t interval and p-value; NaN for an interval of one."""
    values = values[np.isfinite(values)]
    count = len(values)
    if count == 0:
        return {"value": math.nan, "low": math.nan, "high": math.nan, "p_value": math.nan, "units": 0}
    mean = float(values.mean())
    sd = float(values.std(ddof=1)) if count > 1 else math.nan
    half, p_value = student(mean, sd, count, level)
    return {"value": mean, "low": mean - half, "high": mean + half, "p_value": p_value, "units": count}
