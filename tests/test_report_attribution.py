"""Attribution: what a study's table and page say of each dose, against the counts of the run files."""

import numpy as np
import pandas as pd
import pytest

from simulator.experiment.attribution import COLUMNS, NO_DOSE, attribution
from simulator.report.attribution import attribution as draw, by_dose, section
from simulator.report.canvas import Missing
from simulator.report.study import open_study


class FakeLesion:
    """A lesion whose volume doubles on day 2, and whose block is a tenth of a mm³."""

    block_mm3 = 0.1

    def __init__(self):
        import xarray as xr

        days = np.array([0.0, 1.0, 2.0])
        self.series = xr.Dataset(
            {"tumor_volume": ("day", np.array([10.0, 10.0, 20.0]))}, coords={"day": days}
        )


class FakeRun:
    """Two doses; the second brings two CD8 cells, of which one touched and killed thrice."""

    lesions = 1

    def __init__(self):
        dose = {"type": "dose", "lesion": 0, "drug": "msc", "given": 2e6, "expected_mscs": 5.0}
        brought = {"type": "brought", "lesion": 0}
        self.events = pd.DataFrame([
            dose | {"number": 1, "day": 0.0},
            dose | {"number": 2, "day": 2.0},
            brought | {"number": 0, "kind": "cd8", "cells": 7, "touched": 3, "kills": 4},
            brought | {"number": 0, "kind": "cd4", "cells": 9, "touched": 0, "kills": 0},
            brought | {"number": 2, "kind": "cd8", "cells": 2, "touched": 1, "kills": 3},
        ])  # fmt: skip

    def lesion(self, number):
        return FakeLesion()


def test_kills_are_scaled_to_the_lesion_of_the_day_and_to_a_million_infused_cells():
    table = attribution(FakeRun()).set_index(["number", "kind"])
    assert table.loc[(2, "cd8"), "lesion_per_block"] == pytest.approx(200.0)
    assert table.loc[(2, "cd8"), "kills_per_million"] == pytest.approx(3 * 200.0 / 2.0)
    assert np.isnan(table.loc[(NO_DOSE, "cd8"), "kills_per_million"])


def test_idle_cells_are_those_with_a_target_that_never_touched_one():
    table = attribution(FakeRun()).set_index(["number", "kind"])
    assert table.loc[(2, "cd8"), ["touched", "idle"]].tolist() == [1, 1]
    assert table.loc[(NO_DOSE, "cd4"), ["touched", "idle"]].isna().all()


def test_a_run_without_events_has_an_empty_table():
    run = FakeRun()
    run.events = run.events.iloc[:2]
    assert attribution(run).empty
    assert tuple(attribution(run).columns) == COLUMNS


def study_with(tmp_path, rows):
    """A fabricated study with an attribution table of its own."""
    from report_fakes import make_study

    study = open_study(make_study(tmp_path / "study"))
    study.tables["attribution"] = pd.DataFrame(rows)
    return study


def brought(arm, patient, number, kind, came, touched, kills):
    return {
        "arm": arm, "patient": patient, "replicate": 1, "number": number, "drug": "msc", "day": 0.0,
        "infused": 1e6, "kind": kind, "came": came, "touched": touched,
        "idle": came - touched if touched is not None else None, "kills": kills,
        "kills_per_million": 10.0 * kills,
    }  # fmt: skip


def test_the_page_tells_means_over_all_runs_of_an_arm(tmp_path):
    rows = [
        brought("once", 1, 1, "cd8", 30, 3, 12),
        brought("once", 1, 1, "msc", 6, 3, 0),
        brought("once", 2, 0, "cd8", 99, 9, 9),
    ]
    study = study_with(tmp_path, rows)
    mean = by_dose(study).set_index("kind")
    assert mean.loc["cd8", "came"] == pytest.approx(10.0), "three patients, of whom one had cells brought"
    text = str(section(study))
    assert "90 %" in text and "50 %" in text and "40" in text
    draw(study)


def test_doses_that_brought_nothing_draw_nothing(tmp_path):
    study = study_with(tmp_path, [brought("once", 1, 0, "cd8", 5, 1, 1)])
    with pytest.raises(Missing):
        draw(study)
    assert not section(study)
