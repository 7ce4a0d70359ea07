"""The benchmarks run, say what they should, and time what they claim: on tiny lattices, without a clock."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from simulator.experiment.estimate import lattice_bytes

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SIZE = 14


@pytest.fixture(scope="module")
def bench():
    """The command as a module; its folder is on the path while these tests run, as when it is called."""
    sys.path.insert(0, str(FOLDER))
    try:
        import run

        yield run
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture
def small(bench, monkeypatch):
    """The yardstick and the fields on little memory."""
    monkeypatch.setattr(sys.modules["triad"], "ELEMENTS", 1000)
    monkeypatch.setattr(bench.fields, "N", 12)
    monkeypatch.setattr(bench.fields, "RADIUS", 4)
    monkeypatch.setattr(bench.program, "_new_installation", lambda size: (2.0, 1.0))
    return bench


def check(row: dict) -> None:
    assert list(row) == ["name", "value", "unit", "target", "met", "peer", "ratio", "note"]
    assert np.isfinite(row["value"]) and row["value"] >= 0
    assert row["unit"]
    assert (row["met"] is None) == (row["target"] is None)
    assert (row["ratio"] is None) == (row["peer"] is None)
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize(
    "name", ["field_cold", "field_warm", "walk", "tumor_pass", "block", "scaling", "threads"]
)
def test_a_benchmark_gives_rows_of_one_shape(small, name):
    triad, *rows = small.measure([name], SIZE)
    assert triad["name"] == "triad" and [row["name"] for row in rows] == [name]
    for row in [triad, *rows]:
        check(row)


@pytest.mark.parametrize("name", ["file_size", "checkpoint"])
def test_what_a_run_leaves_on_the_disk_is_measured(small, name):
    _, row = small.measure([name], SIZE)
    check(row)
    assert row["name"] == name and row["value"] > 0 and row["met"]


def test_output_times_a_run_that_leaves_a_file(small):
    (row,) = small.program.output(SIZE, days=1.0)
    check(row)
    assert 0 < row["value"] <= 100 and "0.0 MB" not in row["note"]


@pytest.mark.parametrize("name, rows", [("startup", ["startup help", "startup warm", "startup new"]),
                                        ("compile", ["compile"])])  # fmt: skip
def test_the_program_is_timed_from_outside(small, monkeypatch, name, rows):
    monkeypatch.setattr(small.program, "median_seconds", lambda work, repeats: work() and 1.0 or 1.0)
    monkeypatch.setattr(small.program, "_python", lambda *arguments, **environment: "1.0")
    measured = small.SIZED[name](SIZE)
    assert [row["name"] for row in measured] == rows
    for row in measured:
        check(row)


def test_a_block_takes_the_memory_that_is_foretold(bench):
    human, size = bench.blocks.human, 40
    lesion = human.simulation(human.experiment(size)).lesions[0].lesion
    assert bench.counted._bytes(size) * size**3 == pytest.approx(lattice_bytes(lesion), rel=0.05)


def test_counted_work_has_not_grown(bench):
    """The one benchmark that a test holds to its targets: what it counts hangs on no clock."""
    rows = bench.counted.counted()
    for row in rows:
        check(row)
    assert [(row["name"], row["value"]) for row in rows if not row["met"]] == []


def test_a_step_allocates_nothing_for_a_cell(bench):
    """Three times the cells: a few calls more, on further levels of the solver or for arrivals."""
    assert bench.counted._allocations(36) - bench.counted._allocations(24) < 200


@pytest.mark.parametrize("name", ["kather", "luque", "spqsp"])
def test_the_work_of_peers_is_of_their_size(bench, name):
    (row,) = getattr(bench.peers, name)(days=1.0)
    check(row)
    assert {"kather": "135×135×135 sites, 1.5 d in steps of 12 h", "luque": "2 fields",
            "spqsp": "50×50×50 sites, 1.25 d in steps of 6 h, 10 fields, 1"}[name] in row["note"]  # fmt: skip


def test_two_threads_are_compared_bit_by_bit(small, monkeypatch):
    (row,) = small.blocks.threads(SIZE)
    assert "same bits" in row["note"]
    digests = iter("ab")
    monkeypatch.setattr(small.blocks, "_digest", lambda simulation: next(digests))
    (row,) = small.blocks.threads(SIZE)
    assert "OTHER bits" in row["note"] and row["met"] is False


def test_the_human_block_has_the_composition_it_claims(bench):
    human = bench.blocks.human
    simulation = human.simulation(human.experiment(40))
    block = simulation.lesions[0].block
    sites = len(block.state.bulk)
    tumor = np.count_nonzero(block.state.bulk == block.kind("tumor"))
    assert tumor / sites == pytest.approx(0.70, abs=0.001)
    assert human.agents(block) / tumor == pytest.approx(0.05, rel=0.1)
    assert human.living(block) == sites + human.agents(block)
    assert set(block.fields.gx) == {2}


def test_the_human_block_meets_its_drugs(bench):
    human = bench.blocks.human
    simulation = human.simulation(human.experiment(16))
    for _ in range(6):
        simulation.advance()
    assert simulation.host.occupancy["anti_pd1"] > 0.5
    assert simulation.lesions[0].expected.sum() > 0.1


def test_a_missed_target_is_met_false_and_says_why(bench):
    rows = sys.modules["rows"]
    assert rows.row("walk", 1.0, "M", 2.0, at_least=True)["met"] is False
    assert rows.row("walk", 3.0, "M", 2.0, at_least=True)["met"] is True
    assert rows.row("compile", 3.0, "s", 2.0)["met"] is False
    missed = bench._explained(rows.row("walk", 1.0, "M", 2.0, at_least=True, note="n"), 1.0)
    distance = "200.0 times the memory traffic of the cost model"
    assert missed["note"] == f"n; {distance}; missed: {bench.REASONS['walk']}"
    met = bench._explained(rows.row("study", 3.0, "min", 15.0, note="n"), 1.0)
    assert met["note"] == "n"


def test_the_command_writes_json_and_prints_the_table(small, tmp_path, capsys):
    small.main(["walk", "--size", str(SIZE), "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in rows] == ["triad", "walk"]
    assert "walk" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, said", [
    (["walks"], "no benchmark is called walks; there are field_cold"),
    (["--size", "3"], "at least 12"),
    (["walk", "--write"], "neither names nor --size"),
])  # fmt: skip
def test_a_wrong_call_ends_with_2_and_says_what_is_allowed(bench, capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        bench.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_committed_table_names_its_machine_and_explains_what_is_missed():
    about, *table = (FOLDER / "RESULTS.md").read_text(encoding="utf-8").split("\n\n", 1)[1].split("\n\n")
    assert "numba" in about and "load average" in about
    rows = [line for line in table[0].splitlines() if line.startswith("|")][2:]
    assert len(rows) > 10
    for line in rows:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[4] != "**no**" or "missed:" in cells[7], line


def test_the_figure_of_the_calibration_shows_every_fitted_value(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER / "calibration")
    import figure

    stored = json.loads((FOLDER / "calibration/fitted.json").read_text())
    panels = figure.calibration().figure.axes
    assert len(panels) == len(stored)
    for axes, knobs in zip(panels, stored.values(), strict=True):
        marks = [line for line in axes.lines if line.get_linestyle() == "None"]
        drawn = sorted(float(np.atleast_1d(line.get_xdata())[0]) for line in marks)
        assert drawn == pytest.approx(sorted(each["reached"] / each["wanted"] for each in knobs.values()))
        low, high = axes.get_xlim()
        assert low < min(drawn) and max(drawn) < high


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_share_moves_until_a_cohort_responds_as_trials_say(monkeypatch, tmp_path, factor):
    monkeypatch.syspath_prepend(FOLDER / "calibration")
    import cohort
    from scipy.special import ndtr

    true = 0.01  # the median at which a third responds

    def responders(species, share, folder, patients):
        return round(patients * ndtr(np.log(float(share) / true) / cohort._SPREAD + cohort.ndtri(0.34)))

    monkeypatch.setattr(cohort, "_responders", responders)
    monkeypatch.setattr(cohort, "_catalogued", lambda species: factor * true)
    found = cohort.fit("human_msih", tmp_path, 200, 6)
    assert 0.8 * true < float(found["value"]) < 1.25 * true
    assert 0.29 < found["responders"] / 200 < 0.39
    assert factor != 1.0 or float(found["value"]) == true  # what holds is left alone
