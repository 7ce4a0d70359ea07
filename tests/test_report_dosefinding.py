"""Figures of dose finding: they show the numbers of their tables, and what is missing is told."""

from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest

from simulator.clinic import escalation
from simulator.clinic.designs.boin import Boin
from simulator.clinic.designs.boin12 import Boin12
from simulator.clinic.designs.history import Cohort
from simulator.clinic.designs.three_plus_three import ThreePlusThree
from simulator.clinic.operating import enumerate_paths, simulate
from simulator.report import dosefinding
from simulator.report.canvas import Missing, save, svg_text

LEVELS = ("1e6 cells/kg", "2e6 cells/kg", "3e6 cells/kg")
HISTORY = [Cohort(1, 3, 0, 1), Cohort(2, 3, 1), Cohort(2, 3, 0, 2), Cohort(3, 3, 3), Cohort(2, 3, 0)]
FLOW = dosefinding.Flow(
    12,
    {"lymphocytes": 2, "ecog": 1},
    10,
    [
        dosefinding.Arm(LEVELS[0], 3, 3, 0, {"progression": 2}, 1),
        dosefinding.Arm(LEVELS[1], 7, 6, 1, {"dlt": 1, "death": 1}, 5),
    ],
)


@pytest.fixture(scope="module")
def log():
    return pd.DataFrame(escalation.decision_log(Boin(levels=3, target=0.35), HISTORY))


@pytest.fixture(scope="module")
def table():
    rates = (0.1, 0.25, 0.45)
    exact = enumerate_paths(ThreePlusThree(levels=3)).characteristics(rates)
    sampled = simulate(Boin12(levels=3, patients=9), rates, (0.2, 0.3, 0.4), trials=50, seed=1)
    rows = [{"design": name, **row} for name, c in (("3+3", exact), ("BOIN12", sampled)) for row in c.rows()]
    return pd.DataFrame(rows)


def texts(plot):
    root = ElementTree.fromstring(svg_text(plot.figure, plot.name))
    return [node.text or "" for node in root.iter() if node.tag.endswith("text")]


def test_every_figure_draws_and_leaves_settings_alone(log, table, tmp_path):
    before = dict(matplotlib.rcParams)
    for plot in (
        dosefinding.decisions(log, LEVELS, 2),
        dosefinding.selection(table, LEVELS, "A scenario"),
        dosefinding.consort(FLOW),
    ):
        assert plot.caption.endswith(".")
        first, second = ([p.read_bytes() for p in save(plot, tmp_path / name)] for name in ("one", "two"))
        assert first == second
    assert dict(matplotlib.rcParams) == before


def test_every_patient_is_one_mark_at_the_level_of_the_cohort(log):
    plot = dosefinding.decisions(log, LEVELS, 2)
    marks = [line for line in plot.figure.axes[0].get_lines() if line.get_marker() == "o"]
    points = {True: [], False: []}
    for line in marks:
        filled = line.get_markerfacecolor() == line.get_markeredgecolor()
        points[filled] += list(zip(line.get_xdata(), line.get_ydata(), strict=True))
    assert len(points[True]) == 4 and len(points[False]) == 11
    assert len({x for x, _ in points[True] + points[False]}) == 15
    for level in (1, 2, 3):
        assert sum(y == level for _, y in points[True]) == sum(c.dlts for c in HISTORY if c.level == level)
    dots = [line for line in plot.figure.axes[0].get_lines() if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in dots) == 3


def test_the_chosen_level_is_shaded_and_named(log):
    assert any("MTD: level 2, 2e6 cells/kg" in text for text in texts(dosefinding.decisions(log, LEVELS, 2)))
    assert any("no OBD" in text for text in texts(dosefinding.decisions(log, LEVELS, 0, "OBD")))


def test_bars_are_the_characteristics_and_whiskers_their_errors(table):
    plot = dosefinding.selection(table, LEVELS)
    axes = plot.figure.axes
    for k, name in enumerate(("3+3", "BOIN12")):
        chosen, treated = axes[2 * k], axes[2 * k + 1]
        rows = table[table["design"] == name]
        assert chosen.get_title(loc="left") == name
        assert [bar.get_height() for bar in chosen.patches] == pytest.approx(list(rows["selected"]))
        patients = rows["patients"].dropna()
        assert [bar.get_height() for bar in treated.patches] == pytest.approx(list(patients))
        whiskers = [c for c in chosen.containers if c.__class__.__name__ == "ErrorbarContainer"]
        assert len(whiskers) == (rows["error"] > 0).sum()
    assert any("Monte Carlo" in text for text in texts(plot))


def test_the_flow_shows_every_count():
    told = texts(dosefinding.consort(FLOW))
    for text in ("screened: 12", "not eligible: 2", "lymphocytes: 2", "ECOG: 1", "enrolled: 10", "treated: 7",
                 "DLT: 1 of 6", "all doses: 5", "progression: 2", "DLT: 1", "death: 1"):  # fmt: skip
        assert text in told, text


def test_boxes_of_the_flow_stay_on_the_page_and_apart():
    many = [arm._replace(name=f"level {k}") for k in range(3) for arm in FLOW.arms]
    for flow in (FLOW, FLOW._replace(arms=many), FLOW._replace(arms=FLOW.arms[:1])):
        figure = dosefinding.consort(flow).figure
        (axes,) = figure.axes
        boxes = [patch.get_bbox() for patch in axes.patches]
        wide, top = axes.get_xlim()[1], axes.get_ylim()[1]
        assert all(
            b.x0 >= -1e-9 and b.x1 <= wide + 1e-9 and b.y0 >= -1e-9 and b.y1 <= top + 1e-9 for b in boxes
        )
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0


def test_names_stay_text(log):
    hostile = ("$\\frac{1}{0}$", "<script>", "x\u202e")
    root = ElementTree.fromstring(svg_text(dosefinding.decisions(log, hostile, 2).figure, "x"))
    assert not [node for node in root.iter() if node.tag.endswith("script")]


def test_nothing_to_draw_is_missing_not_wrong(log, table):
    for draw in (
        lambda: dosefinding.decisions(log.iloc[:0], LEVELS),
        lambda: dosefinding.selection(table.iloc[:0], LEVELS),
        lambda: dosefinding.consort(FLOW._replace(arms=[])),
    ):
        with pytest.raises(Missing, match=r"\w"):
            draw()


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.0004, "< 0.1 %"), (0.042, "4.2 %"), (0.5, "50 %"), (1.0, "100 %")]
)
def test_shares_are_told_short_and_true(share, text):
    assert dosefinding._percent(np.float64(share)) == text
