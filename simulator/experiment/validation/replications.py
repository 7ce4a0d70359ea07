"""Published lattice and cell-based models as experiments of this one: do their results come out?"""

from typing import TYPE_CHECKING

import numpy as np

from ..collect import Results
from .target import Target, judged, within

if TYPE_CHECKING:
    import pandas as pd

_LUQUE = "Luque 2024, CARTopiaX"
_KATHER = "Kather 2017, doi:10.1158/0008-5472.CAN-17-2006"
_PHYSICELL = "PhysiCell 2018, EMEWS 2019"
_LIVER = "Kather 2018, liver metastases: mean ± SD"
_ABOUT = 0.1  # relative distance from a number that its authors give as 'about'
_END = 7.0  # d after the immune cells came, day 21 of the original
_BETTER = 2.0  # times fewer tumor cells at the optimum than at either end
_RISE = 1.02  # from one day to the next: regrowth
_BASELINE = 60.0  # d, of the responses of Kather 2017
_SMALLER, _LARGER = 0.7, 1.2  # diameter over its baseline: partial response, progression
_NEARLY_ALL = 0.9  # of the runs
_LYMPHOCYTES, _STROMA = 0.05, 0.2  # per tumor cell: a hot, an excluded tumor (assumed)


# --- Luque 2024 ------------------------------------------------------------------------------------


def cartopiax(results: Results) -> list[Target]:
    """CAR T cells against an organoid: tumor cells on day 30, and how much a dose takes away."""
    left = {arm: float(_at(results, arm, "tumor_cells", 30.0).mean()) for arm in results.plan.arms}
    none, one, two = left["untreated"], left["one_dose"], left["two_doses"]
    low, high = (1.0 - _ABOUT) * 49_000.0, (1.0 + _ABOUT) * 49_000.0
    return [
        within("CAR T: untreated, day 30", none, low, high, "{:,.0f}", _LUQUE),
        within("CAR T: one dose, day 30", one, 15_000.0, 17_500.0, "{:,.0f}", _LUQUE),
        within("CAR T: two doses, day 30", two, 3_900.0, 4_500.0, "{:,.0f}", _LUQUE),
        within("CAR T: one dose takes away", 1.0 - one / none, 0.64, 0.70, "{:.0%}", _LUQUE),
        within("CAR T: two doses take away", 1.0 - two / none, 0.91, 0.92, "{:.0%}", _LUQUE),
        judged(
            "CAR T: order of the arms",
            f"untreated > one dose > two ({_LUQUE})",
            f"{none:,.0f}, {one:,.0f}, {two:,.0f}",
            none > one > two,
        ),
    ]


# --- PhysiCell 2018, EMEWS 2019 --------------------------------------------------------------------


def physicell(results: Results) -> list[Target]:
    """How strongly immune cells home: an optimum between, regrowth beyond it.  Points ascend by bias."""
    table = results.table()
    cells = table[table["variable"] == "tumor_cells"]
    left = cells[cells["day"] == _END].pivot_table(index="point", values="value")["value"]
    best = int(np.argmin(left.to_numpy()))
    ends = min(left.iloc[0], left.iloc[-1])
    strong = cells[cells["point"] == left.index[-1]].pivot_table(
        index="day", columns="patient", values="value"
    )
    rises = (strong / strong.shift(1)).loc[1.0:_END].max()
    said = ", ".join(f"{value:,.0f}" for value in left)
    return [
        judged(
            "immune cells: an interior optimum of migration bias",
            f"fewest tumor cells between none and full bias, {_BETTER:g} times fewer ({_PHYSICELL})",
            f"{said} cells by bias, after 7 d",
            0 < best < len(left) - 1 and ends >= _BETTER * max(left.iloc[best], 1.0),
        ),
        judged(
            "immune cells: regrowth where they home most strongly",
            f"tumor cells rise again ({_PHYSICELL})",
            f"in {(rises >= _RISE).sum()} of {len(rises)} runs, by {rises.max() - 1.0:.0%} in a day at most",
            bool((rises >= _RISE).mean() > 0.5),
        ),
    ]


# --- Kather 2017 -----------------------------------------------------------------------------------


def kather(results: Results) -> list[Target]:
    """Stroma and lymphocytes, little or much of each: responses, and the sign of what stroma does."""
    hot = _diameters(results, "little_stroma_many_lymphocytes")
    responds, gone = float(np.mean(hot <= _SMALLER)), float(np.mean(hot == 0.0))
    rows = [
        within("little stroma, many lymphocytes: respond", responds, _NEARLY_ALL, 1.0, "{:.0%}", _KATHER),
        within("of these, complete responses", gone / max(responds, 1e-9), 0.5, 1.0, "{:.0%}", _KATHER),
    ]
    for lymphocytes, sign, what in (("few", -1.0, "slows growth"), ("many", 1.0, "lets tumors escape")):
        much, little = (
            _at(results, f"{stroma}_stroma_{lymphocytes}_lymphocytes", "tumor_cells", 180.0)
            for stroma in ("much", "little")
        )
        differs = float((sign * (much - little) > 0.0).mean())
        rows.append(
            judged(
                f"{lymphocytes} lymphocytes: stroma {what}",
                f"{'fewer' if sign < 0.0 else 'more'} tumor cells with much stroma ({_KATHER})",
                f"{much.mean():,.0f} against {little.mean():,.0f}, in {differs:.0%} of {len(much)} pairs",
                differs > 0.5 and sign * (much.mean() - little.mean()) > 0.0,
            )
        )
    return rows


def _diameters(results: Results, arm: str) -> np.ndarray:
    """Diameter of each sheet's tumor on day 180 over that at its baseline."""
    before, after = (_at(results, arm, "tumor_cells", day) for day in (_BASELINE, 180.0))
    return np.sqrt((after / before.where(before > 0.0, 1.0)).to_numpy())


def kather_phenotypes(results: Results) -> list[Target]:
    """Cold, hot, excluded and eradicated tumors from two knobs, and the ratios of liver metastases."""
    points, found = ratios(results, "point"), ratios(results, "point", "patient").apply(phenotype, axis=1)
    rows = [
        judged(
            f"a tumor that is {name}",
            f"at some values of two knobs ({_KATHER})",
            f"in {int((found == name).sum())} of {len(found)} runs",
            bool((found == name).any()),
        )
        for name in ("cold", "hot", "excluded", "eradicated")
    ]
    known = {"stroma": (0.226, 0.156), "cd8": (0.033, 0.041), "exhausted": (0.366, 0.157)}
    near = [
        all(abs(point[name] - mean) <= sd for name, (mean, sd) in known.items())
        for _, point in points.iterrows()
    ]
    words = ", ".join(f"{name} {mean} ± {sd}" for name, (mean, sd) in known.items())
    closest = points.loc[
        sum(((points[name] - mean) / sd) ** 2 for name, (mean, sd) in known.items()).idxmin()
    ]
    return [
        *rows,
        judged(
            "stroma, lymphocytes per tumor cell, share exhausted",
            f"{words} together ({_LIVER})",
            ", ".join(f"{name} {closest[name]:.3g}" for name in known) + " at the closest pair of values",
            any(near),
        ),
    ]


def kather_permeability(results: Results) -> list[Target]:
    """Stroma made permeable on day 0: alone it feeds tumors, with much influx it frees sheets."""
    before, left = permeable(results, 0.0), permeable(results, 120.0)
    left = left.loc[(before > 0.0).all(axis=1)]  # the original starts a sheet anew whose tumor dies early
    closed = left["x1_p0"]
    rows = []
    for arm, percent in (("x1_p4", 4), ("x1_p8", 8), ("x1_p16", 16)):
        more = float((left[arm] > closed).mean())
        rows.append(
            judged(
                f"stroma {percent} % permeable, influx as before: worse",
                f"more tumor cells than in closed stroma ({_KATHER})",
                f"{left[arm].mean():,.0f} against {closed.mean():,.0f}, in {more:.0%} of {len(left)} pairs",
                more > 0.5 and left[arm].mean() > closed.mean(),
            )
        )
    closed, *opened = (float((left[f"x8_p{percent}"] == 0.0).mean()) for percent in (0, 4, 8, 16))
    said = ", ".join(f"{share:.0%}" for share in opened)
    rows.append(
        judged(
            "stroma 4, 8, 16 % permeable and 8 times the influx: eradicated",
            f"most tumors are gone at one of them, and more than in closed stroma ({_KATHER})",
            f"{said} of {len(left)} gone, in closed stroma {closed:.0%}",
            max(opened) > max(0.5, closed),
        )
    )
    return rows


def permeable(results: Results, day: float) -> "pd.DataFrame":
    """Tumor cells on a day: a row a sheet, a column an arm."""
    import pandas as pd

    return pd.DataFrame({arm: _at(results, arm, "tumor_cells", day) for arm in results.plan.arms})


def phenotype(point: "pd.Series") -> str:
    """What a tumor is called: gone, walled off by stroma, full of lymphocytes, or neither."""
    if point["tumor"] < 1.0:
        return "eradicated"
    if point["stroma"] >= _STROMA:
        return "excluded"
    return "hot" if point["cd8"] >= _LYMPHOCYTES else "cold"


def ratios(results: Results, *by: str) -> "pd.DataFrame":
    """Means on the last day, a row a point of the sweep, or a run of one (by point and patient).

    tumor : cells; stroma, cd8 : per tumor cell; exhausted : share of the lymphocytes.
    """
    import pandas as pd

    table = results.table()
    last = table[table["day"] == table["day"].max()]
    mean = last.pivot_table(index=list(by), columns="variable", values="value")
    tumor = mean["tumor_cells"]
    return pd.DataFrame(
        {
            "tumor": tumor,
            "stroma": mean["stroma"] / tumor.clip(lower=1.0),
            "cd8": mean["cd8"] / tumor.clip(lower=1.0),
            "exhausted": mean["cd8_exhausted"] / mean["cd8"].clip(lower=1.0),
        }
    )


def _at(results: Results, arm: str, variable: str, day: float) -> "pd.Series":
    """A recorded value of every patient of an arm on a day."""
    table = results.table()
    rows = table[(table["arm"] == arm) & (table["variable"] == variable) & (table["day"] == day)]
    return rows.set_index("patient")["value"].sort_index()
