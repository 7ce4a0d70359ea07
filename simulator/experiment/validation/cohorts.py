"""Virtual cohorts against published trials: what RECIST makes of the simulated courses of a hundred patients.

A block gives the course of all lesions of its patient; beyond the simulated time the tumor goes on as in its
last weeks.  Three lesions of 86 mm in all, scans every eight weeks, hazards as in `clinic.policy`.
"""

from typing import TYPE_CHECKING

import numpy as np

from ...clinic.course import Course, from_volumes
from ...clinic.dice import Dice
from ...clinic.endpoints import CONTROL, OBJECTIVE, Outcome, judge
from ...clinic.follow import follow
from ...clinic.lesions import Lesion
from ...clinic.policy import Evaluation
from ...clinic.survival import kaplan_meier
from ..collect import Results
from .target import Target, judged, ratio, within

if TYPE_CHECKING:
    import pandas as pd

_LESIONS = (Lesion("T1", "liver"), Lesion("T2", "liver"), Lesion("T3", "lung"))
_SIZES = (40.0, 28.0, 18.0)  # mm
_ECOG = np.array([0.33, 0.49, 0.14])  # 0, 1, 2
_HORIZON, _LAST, _WEEK = 1100.0, 42.0, 7.0  # d: end of follow-up, weeks that tell how it goes on, grid
_MONTH = 365.25 / 12.0
_NO_EFFECT = 0.01  # of a volume
_CONTROLS = "CONCUR, RECOURSE, CO.26"
_KEYNOTE = "KEYNOTE-164"
_PMMR = "MMR-proficient"


def mss(results: Results) -> list[Target]:
    """Refractory disease without mismatch repair deficiency: untreated, under anti-PD-1, under MSCs."""
    untreated, anti_pd1 = (outcomes(results, arm) for arm in ("untreated", "anti_pd1"))
    found = results.contrast("msc", "untreated", "log tumor_volume")
    return [
        within("untreated: disease control", _share(untreated, CONTROL), 0.07, 0.15, "{:.0%}", _CONTROLS),
        within("untreated: objective response", _share(untreated, OBJECTIVE), 0.0, 0.0, "{:.0%}", _CONTROLS),
        within("untreated: median survival", _median(untreated, "OS"), 4.0, 6.6, "{:.1f} mo", _CONTROLS),
        within("untreated: median PFS", _median(untreated, "PFS"), 1.7, 1.9, "{:.2f} mo", _CONTROLS),
        within("untreated: median doubling time", _doubling(results), 35.0, 80.0, "{:.0f} d", _CONTROLS),
        within("anti-PD-1: objective response", _share(anti_pd1, OBJECTIVE), 0.0, 0.05, "{:.0%}", _PMMR),
        within("anti-PD-1: median PFS", _median(anti_pd1, "PFS"), 1.8, 2.6, "{:.2f} mo", _PMMR),
        judged(
            "MSCs at default: no effect",
            f"volume on the last day within {_NO_EFFECT:.0%} of the own control (by construction)",
            f"{ratio(found)} times the volume",
            abs(found.difference) < _NO_EFFECT,
            f"{found.pairs} pairs",
        ),
    ]  # fmt: skip


def msih(results: Results) -> list[Target]:
    """Mismatch repair deficiency, second line or later, under anti-PD-1, with and without B2M."""
    treated, without = (outcomes(results, arm) for arm in ("anti_pd1", "anti_pd1_without_b2m"))
    response, lost = _share(treated, OBJECTIVE), _share(without, OBJECTIVE)
    return [
        within("anti-PD-1, MSI-H: objective response", response, 0.33, 0.35, "{:.0%}", _KEYNOTE),
        within("anti-PD-1, MSI-H: progression", _share(treated, ("PD",)), 0.35, 0.50, "{:.0%}", _KEYNOTE),
        within("anti-PD-1, MSI-H: median PFS", _median(treated, "PFS"), 2.3, 4.1, "{:.1f} mo", _KEYNOTE),
        judged(
            "without B2M: responds no less",
            "at least as often (de Vries 2023, doi:10.1038/s41586-022-05593-1)",
            f"{lost:.0%} against {response:.0%}",
            lost >= response,
            f"{len(without)} patients in each",
        ),
    ]  # fmt: skip


def outcomes(results: Results, arm: str) -> list[Outcome]:
    """What a trial would report of every patient of an arm."""
    rules, found = Evaluation(), []
    for patient, course in _courses(results, arm):
        dice = Dice(results.plan.seed, patient)
        ecog = int(np.searchsorted(np.cumsum(_ECOG) / _ECOG.sum(), dice("ecog")))
        found.append(judge(f"P{patient:03d}", arm, follow(course, ecog, rules, dice), rules.response))
    return found


def _courses(results: Results, arm: str) -> list[tuple[int, Course]]:
    """The course of every patient's lesions, carried on beyond the simulation."""
    return [(patient, _course(mine)) for patient, mine in _series(results, arm)]


def _series(results: Results, arm: str) -> "list[tuple[int, pd.DataFrame]]":
    """Rows days, columns tumor_volume and tumor_cells, of every patient."""
    table = results.table()
    mine = table[(table["arm"] == arm) & table["variable"].isin(["tumor_volume", "tumor_cells"])]
    return [
        (int(patient), rows.pivot_table(index="day", columns="variable", values="value"))
        for patient, rows in mine.groupby("patient")
    ]


def _course(series: "pd.DataFrame") -> Course:
    days, volume, cells = (
        np.asarray(values, float) for values in (series.index, series["tumor_volume"], series["tumor_cells"])
    )
    last = days >= days[-1] - _LAST
    alive = volume[-1] > 0.0 and cells[-1] > 0
    rate = np.polyfit(days[last], np.log(np.maximum(volume[last], 1e-12)), 1)[0] if alive else 0.0
    later = np.arange(days[-1] + _WEEK, _HORIZON, _WEEK)
    days_all = np.r_[days, later]
    grown = np.r_[volume, volume[-1] * np.exp(np.clip(rate * (later - days[-1]), -20.0, 20.0))]
    kept = np.r_[cells, np.full(len(later), cells[-1])]
    shape = (1, len(_LESIONS))
    early = days <= _LAST
    growth = np.polyfit(days[early], np.log(np.maximum(volume[early], 1e-12)), 1)[0]
    doubling = np.log(2.0) / growth if growth > 0.0 else _HORIZON
    return from_volumes(
        _LESIONS, _SIZES, days_all.tolist(), np.tile(grown[:, None], shape), -10.0,
        [doubling] * len(_LESIONS), np.tile(kept[:, None], shape),
    )  # fmt: skip


def _doubling(results: Results) -> float:
    """Median doubling time of untreated tumors [d]; inf where most do not grow."""
    found = []
    for _, series in _series(results, "untreated"):
        days, volume = series.index.to_numpy(float), series["tumor_volume"].to_numpy(float)
        grown = np.log(volume[-1] / volume[0]) if volume[-1] > 0.0 else -np.inf
        found.append(np.log(2.0) * (days[-1] - days[0]) / grown if grown > 0.0 else np.inf)
    return float(np.median(found))


def _share(outcomes: list[Outcome], responses: tuple[str, ...]) -> float:
    return float(np.mean([outcome.best in responses for outcome in outcomes]))


def _median(outcomes: list[Outcome], code: str) -> float:
    """Median time to an event [months]."""
    times = [outcome.times[code] for outcome in outcomes]
    curve = kaplan_meier(np.array([t.days for t in times]), np.array([t.event for t in times]))
    return curve.quantile()[0] / _MONTH
