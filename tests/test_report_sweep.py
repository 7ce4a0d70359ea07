"""The report of a sweep: every design has its figures and sections, and says what its tables say."""

import re

import pytest
from test_experiment_sweep import GRID, LATIN, ONE, experiment, run

from simulator.report import border_plot, page, sweep
from simulator.report.canvas import Missing
from simulator.report.study import open_study

DRAWN = {
    GRID: {"importance", "effects", "border", "courses"},
    ONE: {"importance", "courses"},
    LATIN: {"importance", "courses"},
}


@pytest.fixture(scope="module", params=[GRID, ONE, LATIN], ids=["grid", "one_at_a_time", "latin_hypercube"])
def reported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "out"
    found = run(folder, experiment(request.param, patients=3))
    return request.param, found.path, page.write(found.path).read_text(encoding="utf-8")


def test_a_design_has_its_figures_and_no_others(reported):
    design, folder, text = reported
    drawn = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert drawn & {draw.__name__ for draw in page.OF_SWEEPS} == DRAWN[design]
    assert "the design is no grid" not in text  # what a design cannot have is not called missing
    numbers = [int(number) for number in re.findall(r"Figure (\d+)\.", text)]
    assert numbers == list(range(1, len(drawn) + 1))


def test_the_answer_of_a_sweep_is_its_conclusions(reported):
    _, folder, text = reported
    answer = text.split('<section id="answer">')[1].split("</section>")[0]
    assert "msc against control" in answer and "points" in answer
    assert '<section id="factors">' in text


def test_the_file_itself_is_shown_where_it_is_a_point(reported):
    design, folder, text = reported
    assert ('<section id="base">' in text) == (design != GRID)
    runs = open_study(folder).tables["runs"]
    assert set(runs["point"]) == ({0} if design != GRID else set())


def test_crossings_of_the_border_stand_in_the_table(reported):
    design, folder, _ = reported
    study = open_study(folder)
    rows = study.tables.get("threshold")
    if design != GRID:
        assert rows is None and not sweep.border(study)
        with pytest.raises(Missing, match="no grid"):
            border_plot.border(study)
        return
    told = str(sweep.border(study))
    assert f"{rows['kind'].isin(['crossing', 'bound']).sum()} crossings on {len(rows)} lines" in told


def test_what_is_no_sweep_draws_none_of_it(tmp_path):
    from report_fakes import make_study

    study = open_study(make_study(tmp_path / "study"))
    for draw in page.OF_SWEEPS:
        with pytest.raises(Missing):
            draw(study)
