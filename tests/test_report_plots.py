"""Figures: they show the numbers of the runs, take any name, skip what is missing, and repeat to the byte."""

import re
from io import BytesIO
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from report_fakes import ARMS, Fake, FakeArm, make_study

from simulator.report import dosing, forest, maps, overview, plots
from simulator.report.canvas import Missing, clean, number, save, svg_text
from simulator.report.page import FIGURES
from simulator.report.study import open_study

HOSTILE = {
    "$\\frac{1}{0}$ & <script>": FakeArm(),
    'quote" onload="x\x00\x1b\u202e': FakeArm((0.0,), growth=0.5),
    "an arm whose name goes on and on and on until nobody reads it any more": FakeArm((0.0, 2.0), growth=0.7),
}
SMALL = {"days": 4, "every": 2, "shape": (2, 8, 8)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return open_study(make_study(tmp_path_factory.mktemp("study"), Fake(**SMALL)))


@pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)
def test_every_figure_draws_and_leaves_settings_alone(study, draw):
    before = dict(matplotlib.rcParams)
    plot = draw(study)
    assert dict(matplotlib.rcParams) == before
    assert plot.caption.endswith(".") and plot.figure.axes
    assert ElementTree.fromstring(svg_text(plot.figure, plot.name)).tag.endswith("svg")


@pytest.mark.parametrize(
    ("draw", "lacking"),
    [
        (overview.overview, {"tumor_volume"}),
        (overview.overview, {"kind"}),
        (plots.tumor_volume, {"tumor_volume"}),
        (plots.paired_difference, {"tumor_volume"}),
        (plots.cell_counts, {"tumor_cells", "cd8", "cd4", "nk", "msc_alive"}),
        (plots.immune_density, {"cd8_density_core", "cd8_density_rim", "nk_density"}),
        (plots.chemokine, {"cxcl9_mean", "cxcl9_max", "plasma_cxcl9"}),
        (
            dosing.biodistribution,
            {f"msc_{p}" for p in ("lung", "blood", "liver_spleen", "elsewhere", "tumor")},
        ),
        (maps.tissue, {"kind"}),
        (maps.chemokine_map, {"cxcl9"}),
    ],
)
def test_what_was_not_recorded_is_missing_not_wrong(tmp_path, draw, lacking):
    fake = Fake(patients=1, without=frozenset(lacking), **SMALL)
    with pytest.raises(Missing, match=r"\w"):
        draw(open_study(make_study(tmp_path / "study", fake, tables=False)))


def test_a_kind_that_never_appears_has_no_panel(tmp_path):
    fake = Fake(arms={"vehicle": ARMS["vehicle"]}, patients=1, reference=None, **SMALL)
    plot = plots.cell_counts(open_study(make_study(tmp_path / "study", fake, tables=False)))
    titles = [axes.get_title(loc="left") for axes in plot.figure.axes]
    assert titles == ["tumor cells", "CD8 T cells", "CD4 T cells", "NK cells"]


def test_a_figure_of_several_quantities_keeps_those_that_were_recorded(tmp_path):
    fake = Fake(patients=1, without=frozenset({"cxcl9_mean"}), **SMALL)
    plot = plots.chemokine(open_study(make_study(tmp_path / "study", fake, tables=False)))
    assert [axes.get_title(loc="left") for axes in plot.figure.axes] == [
        "tissue, maximum (nM)",
        "plasma (nM)",
    ]


def test_tables_that_are_missing_only_cost_their_figures(tmp_path):
    study = open_study(make_study(tmp_path / "study", Fake(patients=2, **SMALL), tables=False))
    for draw in (dosing.calendar, forest.contrasts):
        with pytest.raises(Missing):
            draw(study)
    assert plots.tumor_volume(study).figure.axes


def test_a_line_is_the_median_of_the_runs(study):
    axes = plots.tumor_volume(study).figure.axes[0]
    for line, arm in zip(axes.get_lines(), study.arms, strict=True):
        assert np.allclose(line.get_ydata(), study.table("tumor_volume")[arm].median(axis=1))


def test_a_paired_panel_starts_at_no_difference_and_ends_at_the_contrast(study):
    table = study.tables["contrasts"]
    for axes, ratio in zip(plots.paired_difference(study).figure.axes, table["ratio"], strict=True):
        course = axes.get_lines()[-1].get_ydata()
        assert np.allclose([course[0], course[-1]], [1.0, ratio])


def test_ticks_below_an_interval_are_its_pairs(study):
    (axes,) = forest.contrasts(study).figure.axes
    ticks = [line.get_xdata() for line in axes.get_lines() if line.get_marker() == "|"]
    assert len(ticks) == len(study.tables["contrasts"])
    for pairs, row in zip(ticks, study.tables["contrasts"].itertuples(), strict=True):
        assert len(pairs) == row.pairs and np.isclose(np.exp(np.log(pairs).mean()), row.ratio)


def test_a_field_is_drawn_without_the_cells(tmp_path):
    fake = Fake(patients=1, without=frozenset({"kind"}), **SMALL)
    plot = maps.chemokine_map(open_study(make_study(tmp_path / "study", fake, tables=False)))
    assert plot.caption.endswith("not recorded.")


def test_mscs_near_a_section_are_shown_the_nearest_on_top(study):
    sections = maps._sections(study)[0]
    tissue = next(section.tissue for section in sections if section.arm == "once" and section.day > 0)
    kind = tissue["kind"]
    msc = kind.attrs["flag_meanings"].split().index("msc")
    points, depth = maps._near(tissue, "msc")
    assert len(points) == (kind.values == msc).sum() > 0  # the block is thinner than what is shown
    assert list(depth) == sorted(depth, reverse=True) and depth.max() <= 15.0


def test_the_overview_shows_the_arm_and_day_with_the_most_mscs(study):
    (section, _), tables = overview._section(study), study.table("msc_alive")
    counts = {(arm, day): tables[arm][1][1][day] for arm in study.arms for day in (0.0, 2.0, 4.0)}
    assert counts[section.arm, section.day] == max(counts.values()) > 0


@pytest.mark.parametrize(("reference", "arm"), [("second", "second"), (None, "first")])
def test_without_mscs_the_overview_shows_the_end_of_the_reference(tmp_path, reference, arm):
    arms = {"first": FakeArm(), "second": FakeArm()}
    fake = Fake(arms=arms, patients=1, reference=reference, **SMALL)
    study = open_study(make_study(tmp_path / "study", fake, tables=False))
    (section, _) = overview._section(study)
    assert (section.arm, section.day) == (arm, 4.0)
    titles = [axes.get_title(loc="left") for axes in overview.overview(study).figure.axes]
    assert "CD8 T cells in the block" in titles and "MSCs in the block" not in titles
    assert any("ratio to second" in title for title in titles) == (reference is not None)


def test_the_overview_ends_at_the_contrasts(study):
    axes = {axes.get_title(loc="left"): axes for axes in overview.overview(study).figure.axes}
    _, *courses = axes["tumor volume, ratio to vehicle"].get_lines()
    ends = [line.get_ydata()[-1] for line in courses]
    assert np.allclose(ends, study.tables["contrasts"].set_index("first").loc[study.arms[1:], "ratio"])


@pytest.mark.parametrize("shape", [(2, 4, 24), (2, 24, 4), (2, 16, 8)])
def test_a_section_in_the_overview_has_the_shape_of_the_block(tmp_path, shape):
    fake = Fake(patients=1, days=2, every=2, shape=shape)
    figure = overview.overview(open_study(make_study(tmp_path / "study", fake, tables=False))).figure
    section = next(axes for axes in figure.axes if axes.images)
    place, (width, height) = section.get_position(original=True), figure.get_size_inches()
    assert np.isclose(place.height * height / (place.width * width), shape[1] / shape[2])


def test_the_calendar_marks_every_dose(study):
    plot = dosing.calendar(study)
    days = [line.get_xdata() for line in plot.figure.axes[0].get_lines() if line.get_linestyle() == "None"]
    assert sum(map(len, days)) == sum(len(study.arm_doses(arm)) for arm in study.arms) == 9


def test_a_scale_bar_has_the_length_it_says(study):
    axes = maps.tissue(study).figure.axes
    (text,) = [text for one in axes for text in one.texts if text.get_text().endswith("µm")]
    (bar,) = [line for line in text.axes.get_lines() if line.get_linewidth() == 3]
    low, high = bar.get_xdata()
    width = abs(np.diff(text.axes.get_xlim())).item()
    assert np.isclose((high - low) * width, float(text.get_text().removesuffix(" µm")))


def test_cells_are_drawn_where_they_are(study):
    section = maps._sections(study)[0][0].tissue
    cd8 = section["lymphoid"].attrs["flag_meanings"].split().index("cd8")
    points = maps._points(section["lymphoid"], "cd8")
    plane = section["lymphoid"].values[section["lymphoid"].shape[0] // 2]
    assert len(points) == (plane == cd8).sum() > 0
    for x, y in points:
        assert plane[int(y // 15), int(x // 15)] == cd8


def test_hostile_names_stay_text(tmp_path):
    fake = Fake(arms=HOSTILE, patients=2, reference="$\\frac{1}{0}$ & <script>", title="<b>", **SMALL)
    study = open_study(make_study(tmp_path / "study", fake))
    for draw in FIGURES:
        plot = draw(study)
        root = ElementTree.fromstring(svg_text(plot.figure, plot.name))
        assert not [node for node in root.iter() if node.tag.endswith("script") or "onload" in node.attrib]
    texts = "".join(node.text or "" for node in ElementTree.fromstring(
        svg_text(plots.tumor_volume(study).figure, "x")).iter())  # fmt: skip
    assert "$\\frac{1}{0}$ & <script>" in texts and "…" in texts and "\u202e" not in texts


def test_lesions_are_taken_together_as_in_the_contrasts(tmp_path):
    fakes = {
        n: Fake(arms={"vehicle": ARMS["vehicle"]}, patients=1, lesions=n, reference=None, **SMALL)
        for n in (1, 2)
    }
    one, two = (open_study(make_study(tmp_path / str(n), fake, tables=False)) for n, fake in fakes.items())
    assert np.allclose(two.table("tumor_volume"), 2 * one.table("tumor_volume"))
    assert np.allclose(two.table("cxcl9_mean"), one.table("cxcl9_mean"))
    assert np.allclose(two.table("msc_lung"), one.table("msc_lung"))
    assert "Lesion 1 of 2" in maps.tissue(two).caption


def test_more_arms_than_rows_show_their_last_day(tmp_path):
    arms = {f"arm {i}": FakeArm((0.0,) if i else ()) for i in range(7)}
    fake = Fake(arms=arms, patients=1, reference="arm 0", **SMALL)
    study = open_study(make_study(tmp_path / "study", fake))
    titles = [axes.get_title(loc="left") for axes in maps.tissue(study).figure.axes]
    assert titles == ["arm 0, day 0", *(f"arm {i}, day 4" for i in range(7))]


def test_the_same_study_gives_the_same_bytes(study, tmp_path):
    for draw in (plots.tumor_volume, maps.tissue):
        first, second = (
            [path.read_bytes() for path in save(draw(study), tmp_path / name)] for name in ("one", "two")
        )
        assert first == second
        assert not any(word in first[0] for word in (b"<dc:date>", b"matplotlib.org"))


def test_a_png_has_150_dots_an_inch(study, tmp_path):
    plot = dosing.calendar(study)
    png = next(path for path in save(plot, tmp_path) if path.suffix == ".png")
    width, height = Image.open(BytesIO(png.read_bytes())).size
    assert np.allclose([width, height], 150 * plot.figure.get_size_inches(), atol=1)


@given(st.text(), st.integers(2, 40))
def test_cleaned_text_is_one_printable_line(text, width):
    line = clean(text, width)
    assert len(line) <= width
    assert line.encode("utf-8").decode() == line and not any(ord(c) < 32 for c in line)
    assert clean(line) == line


@given(st.floats(-1e12, 1e12))
def test_a_tick_label_reads_back_as_its_number(value):
    told = number(value).replace("\u202f", "").replace("−", "-")
    assert "$" not in told
    sign, factor, power = re.fullmatch(r"(-?)(?:([\d.]+)×)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)|.*", told).groups()
    if power is None:
        assert np.isclose(float(told), value, rtol=1e-9, atol=0)
    else:
        exponent = int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
        assert np.isclose(float(f"{sign}{factor or 1}e{exponent}"), value, rtol=1e-3, atol=0)
