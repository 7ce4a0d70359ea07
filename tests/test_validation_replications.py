"""Replications: what is said of courses that are known."""

from types import SimpleNamespace

import pandas as pd
import pytest

from simulator.experiment.validation import replications
from simulator.experiment.validation.target import MISSED, REACHED


class Known:
    """Results with these values: rows of (arm, patient, point, day, variable, value)."""

    def __init__(self, rows):
        columns = ["arm", "patient", "point", "day", "variable", "value"]
        self._table = pd.DataFrame(rows, columns=columns)
        self.plan = SimpleNamespace(arms=tuple(dict.fromkeys(self._table["arm"])))

    def table(self):
        return self._table


def verdicts(targets):
    return {target.name: target.verdict for target in targets}


def organoids(untreated, one, two):
    counts = {"untreated": untreated, "one_dose": one, "two_doses": two}
    return Known(
        [(arm, k, 0, 30.0, "tumor_cells", n + k - 1) for arm, n in counts.items() for k in (0, 1, 2)]
    )


def test_the_original_reaches_every_target_of_cartopiax():
    assert set(verdicts(replications.cartopiax(organoids(49_000, 16_500, 4_300))).values()) == {REACHED}


def test_another_order_of_its_arms_misses():
    found = verdicts(replications.cartopiax(organoids(49_000, 4_300, 16_500)))
    assert found["CAR T: order of the arms"] == MISSED
    assert found["CAR T: untreated, day 30"] == REACHED


def homing(*courses):
    """A sweep of migration bias: tumor cells from day to day, a course a point."""
    rows = [
        ("immune", patient, k, float(day), "tumor_cells", float(value))
        for k, course in enumerate(courses)
        for patient in (1, 2)
        for day, value in enumerate(course)
    ]
    return Known(rows)


FALLS = [9000, 4000, 2000, 1000, 500, 200, 100, 50]
SLOW = [9000, 8000, 7000, 6000, 5000, 4500, 4000, 3500]
RISES = [9000, 7000, 7400, 6900, 6000, 5000, 4000, 3000]


def test_an_optimum_between_and_regrowth_beyond():
    assert set(verdicts(replications.physicell(homing(SLOW, FALLS, RISES))).values()) == {REACHED}
    found = verdicts(replications.physicell(homing(SLOW, RISES, FALLS)))
    assert set(found.values()) == {MISSED}  # the best is at the end, and there nothing rises


ARMS = [f"{s}_stroma_{n}_lymphocytes" for s in ("much", "little") for n in ("many", "few")]


def sheets(day_60, day_180):
    rows = []
    for arm in ARMS:
        for k in range(1, 11):
            rows.append((arm, k, 0, 60.0, "tumor_cells", float(day_60)))
            rows.append((arm, k, 0, 180.0, "tumor_cells", float(day_180[arm]) + (day_180[arm] > 0) * k))
    return Known(rows)


def test_the_sign_flip_of_stroma_is_seen_and_a_cleared_sheet_is_a_complete_response():
    late = dict(zip(ARMS, (2000, 8000, 0, 9000), strict=True))  # much/many, much/few, little/many, little/few
    assert set(verdicts(replications.kather(sheets(1000, late))).values()) == {REACHED}


def test_a_tumor_that_halves_its_diameter_responds_and_one_that_keeps_it_does_not():
    late = dict(zip(ARMS, (2000, 8000, 250, 9000), strict=True))
    found = verdicts(replications.kather(sheets(1000, late)))
    assert found["little stroma, many lymphocytes: respond"] == REACHED
    assert found["of these, complete responses"] == MISSED
    late = dict(zip(ARMS, (2000, 9000, 900, 8000), strict=True))
    found = verdicts(replications.kather(sheets(1000, late)))
    assert found["little stroma, many lymphocytes: respond"] == MISSED
    assert found["few lymphocytes: stroma slows growth"] == MISSED


def points(*values):
    """A sweep whose points have these (tumor, stroma, cd8, exhausted)."""
    names = ("tumor_cells", "stroma", "cd8", "cd8_exhausted")
    return Known(
        [
            ("untreated", 1, k, day, name, value if day else 9.0)
            for k, point in enumerate(values)
            for name, value in zip(names, point, strict=True)
            for day in (0.0, 175.0)
        ]
    )


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ((5000.0, 50.0, 30.0, 9.0), "cold"),
        ((5000.0, 50.0, 900.0, 9.0), "hot"),
        ((900.0, 500.0, 900.0, 9.0), "excluded"),
        ((0.0, 500.0, 900.0, 9.0), "eradicated"),
    ],
)
def test_a_phenotype_by_what_is_left(point, name):
    found = verdicts(replications.kather_phenotypes(points(point, point)))
    reached = [key for key, verdict in found.items() if verdict == REACHED and key.startswith("a tumor")]
    assert reached == [f"a tumor that is {name}"]


def test_the_ratios_of_liver_metastases_must_hold_together():
    good, bad = (1000.0, 226.0, 33.0, 12.0), (1000.0, 226.0, 33.0, 33.0)
    key = "stroma, lymphocytes per tumor cell, share exhausted"
    assert verdicts(replications.kather_phenotypes(points(bad, good)))[key] == REACHED
    assert verdicts(replications.kather_phenotypes(points(bad, bad)))[key] == MISSED


def opened(left: dict[str, float], at_start=(6000.0, 6000.0, 6000.0)):
    """Sheets whose stroma is opened on day 0, by arm what is left of each."""
    arms = [f"x{n}_p{p}" for n in (1, 2, 4, 8) for p in (0, 4, 8, 16)]
    rows = [
        (arm, k, 0, day, "tumor_cells", count)
        for arm in arms
        for k, start in enumerate(at_start, start=1)
        for day, count in ((0.0, start), (120.0, left.get(arm, 9000.0)))
    ]
    return Known(rows)


OPENED = {"x1_p0": 9000.0, "x1_p4": 9500.0, "x1_p8": 9800.0, "x1_p16": 9900.0, "x8_p16": 0.0}


def test_permeable_stroma_worsens_alone_and_frees_with_many_lymphocytes():
    assert set(verdicts(replications.kather_permeability(opened(OPENED))).values()) == {REACHED}
    found = verdicts(replications.kather_permeability(opened(OPENED | {"x1_p8": 8000.0, "x8_p0": 0.0})))
    assert found.pop("stroma 8 % permeable, influx as before: worse") == MISSED
    assert found.pop("stroma 4, 8, 16 % permeable and 8 times the influx: eradicated") == MISSED
    assert set(found.values()) == {REACHED}


def test_sheets_whose_tumor_died_before_the_therapy_do_not_count():
    (*_, last) = replications.kather_permeability(opened(OPENED, (6000.0, 0.0, 6000.0)))
    assert "of 2 gone" in last.reached
