"""Figures of a trial: they show the numbers of the tables, take any name, and skip what is missing."""

from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from clinics import lesion_table

from simulator.clinic import tables
from simulator.clinic.endpoints import judge, rows
from simulator.clinic.events import Events
from simulator.clinic.follow import Followed
from simulator.clinic.policy import Policy
from simulator.clinic.survival import cox, kaplan_meier
from simulator.report import clinical, kaplan_meier as curves, style
from simulator.report.canvas import Missing, svg_text

POLICY = Policy()
# Sums of diameters at baseline and every 8 weeks, day of death, day of clinical progression.
PATIENTS = [
    ([100, 0, 0, 0, 0], None, None),
    ([100, 60, 55, 62, 80], None, None),
    ([100, 95, 100, 130], 250.0, None),
    ([100, 99.9, 101], 150.0, None),
    ([100, 125, 160], 190.0, None),
    ([100, 240], 100.0, None),
    ([100], 40.0, 20.0),
]
HOSTILE = '$\\frac{1}{0}$ & <script> "x\x00\u202e'


def trial(arms=("control", "q21d"), shift=0.8):
    """The same people in every arm, with `shift` of the tumor in the later ones."""
    found = []
    for number, arm in enumerate(arms):
        for k, (sums, death, clinical_day) in enumerate(PATIENTS):
            sizes = [sums[0], *(s * shift**number for s in sums[1:])]
            table = lesion_table({"a liver": sizes})
            late = None if death is None else death * (1 + number)
            end = late or table.days[-1] + 60
            seen = Followed(table, Events(late, clinical_day, ()), end)
            found.append(judge(f"P{k}", arm, seen, POLICY))
    return found


def frames(outcomes) -> dict[str, pd.DataFrame]:
    return {
        "adrs": pd.DataFrame(tables.adrs(outcomes)),
        "adtr": pd.DataFrame(tables.adtr(outcomes, POLICY)),
        "adtte": pd.DataFrame(rows(outcomes)),
        "rates": pd.DataFrame(tables.rates(outcomes)),
    }


EVENTS = pd.DataFrame(
    [
        ("fever", 1, "control", 2),
        ("fever", 1, "q21d", 3),
        ("fever", 3, "q21d", 1),
        ("embolism", 4, "q21d", 1),
    ],
    columns=["kind", "grade", "arm", "count"],
)
TREATED = {"control": 7, "q21d": 7}


@pytest.fixture(scope="module")
def data():
    return frames(trial())


def plots(data, arms=("control", "q21d")):
    events = EVENTS.replace({"arm": dict(zip(TREATED, arms, strict=True))})
    yield clinical.waterfall(data["adtr"], data["adrs"])
    yield clinical.spider(data["adtr"], data["adrs"])
    yield clinical.swimmer(data["adtte"], data["adrs"])
    yield clinical.response_rates(data["rates"], arms[0])
    yield clinical.adverse_events(events, dict.fromkeys(arms, 7))
    for code in ("OS", "PFS", "IPFS", "DOR"):
        yield curves.kaplan_meier(data["adtte"], code, arms[0])


def text_of(figure) -> str:
    return "\n".join(
        str(artist.get_text()) for artist in figure.findobj(matplotlib.text.Text) if artist.get_text()
    )


def test_figures_from_written_tables_are_the_same_to_the_byte_and_leave_settings_alone(data, tmp_path):
    for name, frame in data.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    before = dict(matplotlib.rcParams)
    back = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in data}
    first, second = ({p.name: svg_text(p.figure, p.name) for p in plots(d)} for d in (data, back))
    assert dict(matplotlib.rcParams) == before and first == second and len(first) == 9
    assert all(ElementTree.fromstring(svg).tag.endswith("svg") for svg in first.values())


def test_any_name_of_an_arm_can_be_drawn():
    arms = (HOSTILE, "an arm whose name goes on and on until nobody reads it any more")
    for plot in plots(frames(trial(arms)), arms):
        ElementTree.fromstring(svg_text(plot.figure, plot.name))


def test_a_waterfall_shows_the_best_change_of_each_patient(data):
    left, right = clinical.waterfall(data["adtr"], data["adrs"]).figure.axes
    heights = [bar.get_height() for bar in left.patches]
    assert heights == pytest.approx([100, 25, -0.1, -5, -45, -100], abs=1e-9)
    assert "+140" in text_of(left.figure)  # the bar that is cut
    assert {line.get_ydata()[0] for line in left.get_lines() if len(set(line.get_ydata())) == 1} >= {-30, 20}
    assert left.get_title(loc="left") == "control, 6 of 7 patients"
    colors = [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in left.patches]
    assert colors[0] == style.RESPONSES["PD"] and colors[-1] == style.RESPONSES["CR"]
    assert len(right.patches) == 6


def test_a_spider_has_a_line_a_patient_with_its_scans(data):
    left, _ = clinical.spider(data["adtr"], data["adrs"]).figure.axes
    lines = [line for line in left.get_lines() if line.get_marker() == "o"]
    assert len(lines) == 6 and lines[0].get_xdata().tolist() == [-10, 56, 112, 168, 224]
    assert lines[1].get_ydata() == pytest.approx([0, -40, -45, -38, -20])


def test_a_swimmer_ends_at_death_or_the_end_of_follow_up(data):
    left, _ = clinical.swimmer(data["adtte"], data["adrs"]).figure.axes
    assert [bar.get_width() for bar in left.patches] == [40, 100, 150, 190, 250, 284, 284]
    marks = [line.get_marker() for line in left.get_lines()]
    assert marks.count("s") == 5 and marks.count(">") == 2 and marks.count("^") == 2
    assert marks.count("D") == 5  # the first two patients stand; the fourth dies before progression is seen


def test_rates_are_told_with_their_counts_and_intervals(data):
    figure = clinical.response_rates(data["rates"], "control").figure
    said = text_of(figure)
    assert "2 / 7   29 %" in said and "4 / 7   57 %" in said
    low, high = (100 * data["rates"][bound].iloc[0] for bound in ("LOW", "HIGH"))
    spans = [line.get_xdata() for line in figure.axes[0].get_lines() if line.get_marker() == "|"]
    assert any(span == pytest.approx([low, high]) for span in spans)


def test_bars_of_adverse_events_are_shares_of_those_treated():
    (axes,) = clinical.adverse_events(EVENTS, TREATED).figure.axes
    widths = sorted(bar.get_width() for bar in axes.patches)
    assert widths == pytest.approx([100 / 7, 100 / 7, 200 / 7, 300 / 7])
    kinds = [a.get_text() for a in axes.texts]
    assert kinds == ["embolism", "fever"]  # the most frequent is drawn last, on top


def test_survival_curves_tell_their_numbers(data):
    plot = curves.kaplan_meier(data["adtte"], "OS", "control")
    (axes,) = plot.figure.axes
    mine = data["adtte"][(data["adtte"]["PARAMCD"] == "OS")]
    first = mine[mine["ARM"] == "control"]
    curve = kaplan_meier(first["AVAL"].to_numpy(), first["CNSR"].to_numpy() == 0)
    drawn = next(line for line in axes.get_lines() if line.get_drawstyle() == "steps-post")
    assert drawn.get_xdata().tolist() == [0, *curve.time]
    assert drawn.get_ydata().tolist() == [1, *curve.survival]
    said = text_of(plot.figure)
    fit = cox(mine["AVAL"], mine["CNSR"] == 0, mine["ARM"] == "q21d")
    assert f"q21d {fit.ratio[0]:.2f} ({fit.low[0]:.2f}–{fit.high[0]:.2f})" in said
    assert "190 (40–not reached)" in said and "log-rank p = " in said
    counts = [a.get_text() for a in axes.texts if a.get_text().isdigit()]
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= axes.get_xlim()[1]]
    assert counts[: len(ticks)] == [str(n) for n in curve.number_at_risk(np.array(ticks))]
    assert "5 of 7 patients" in plot.caption


def test_one_arm_is_compared_with_nothing():
    plot = curves.kaplan_meier(frames(trial(("only",)))["adtte"], "PFS")
    assert "log-rank" not in text_of(plot.figure) and "ratios" not in plot.caption


def test_what_is_not_there_is_missing_not_wrong(data):
    none = data["adtr"][data["adtr"]["ADY"] < 0]
    for draw in (
        lambda: clinical.waterfall(none, data["adrs"]),
        lambda: clinical.spider(none, data["adrs"]),
        lambda: clinical.response_rates(data["rates"], criteria="WHO"),
        lambda: curves.kaplan_meier(data["adtte"], "TTR"),
        lambda: clinical.adverse_events(EVENTS.iloc[:0], TREATED),
    ):
        with pytest.raises(Missing, match=r"\w"):
            draw()
