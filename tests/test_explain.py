"""What `explain` says before a run agrees with what the model is and does."""

import math
import re

import pytest
from hypothesis import given, strategies as st

from simulator.base import units
from simulator.body.patient import Feedback, Host
from simulator.check import checked, find
from simulator.config.catalogue import shipped
from simulator.config.schema import FieldModel
from simulator.explain import explain, vocabulary_text
from simulator.run.expectation import expectations, expected_mscs
from simulator.run.lesion import block_ml
from simulator.sentences import rate, secretion, span
from simulator.vocabulary import VOCABULARY

EXPERIMENTS = sorted(path.stem for path in (shipped() / "experiments").glob("*.yaml"))


@pytest.fixture(scope="module")
def schedules():
    return checked("schedules")


@pytest.fixture(scope="module")
def prose(schedules):
    return " ".join(explain(schedules).split())  # as one line: where it is wrapped is no matter


# --- numbers before a run ----------------------------------------------------------------------------


def test_expected_mscs_and_h_hot_by_hand(schedules):
    """2e6 cells/kg × 72 kg × 3e-4 of the dose in 80 mL; 100 ng per 1e6 cells and day, lost at 10 /d, 1 nM."""
    model = schedules.typical.model("level_2", 1, "treatment")
    (found,) = expectations(model, schedules.regimens["level_2"]).values()
    per_ml = 2e6 * 72 * 3e-4 / 80
    assert found.mscs == pytest.approx(per_ml * (48 * 15e-4) ** 3, rel=1e-9)
    nanomolar = per_ml * 1e-13 / 10 * 1000 / 11700 * 1e9  # g per cell and day, mL per L, g/mol
    assert found.h_hot == pytest.approx(nanomolar / 1.0, rel=1e-6)


@pytest.mark.parametrize("experiment, arm", [("demo", "once"), ("schedules", "bolus")])
def test_expected_mscs_are_what_the_body_delivers(experiment, arm):
    found = checked(experiment)
    model = found.typical.model(arm, 1, "treatment")
    doses = found.regimens[arm].absolute(model.body.weight)
    fields = model.lesions[0].fields
    host = Host(model.body, model.drugs, fields, doses, [model.body.tumor_volume])
    arrived = 0.0
    for hour in range(20 * 24):
        host.advance(float(hour), hour + 1.0, Feedback(model.body.tumor_volume, {}))
        arrived += float(host.arrivals[0])
    assert expected_mscs(model, 0, doses[0]) == pytest.approx(arrived * block_ml(model.lesions[0]), rel=1e-6)


def test_antibodies_bring_no_mscs_and_a_zero_dose_is_not_told():
    found = checked("demo", ["arms.nothing={doses: 0 cells/kg msc}"])
    assert expectations(found.typical.model("nothing", 1, "treatment"), found.regimens["nothing"]) == {}
    found = checked("mechanisms")
    model = found.typical.model("anti_pd1", 1, "treatment")
    assert expectations(model, found.regimens["anti_pd1"]) == {}
    assert expected_mscs(model, 0, found.regimens["anti_pd1"].absolute(0.02)[0]) == 0.0


def test_a_nodule_counts_with_its_cells():
    nodule = "block={mode: nodule, shape: [64, 64, 64], cells: 1000}"
    found = checked("demo", [nodule])
    whole = checked("demo", ["block={shape: [64, 64, 64]}"])
    few, many = (
        next(iter(expectations(c.typical.model("once", 1, "treatment"), c.regimens["once"]).values())).mscs
        for c in (found, whole)
    )
    assert few < many / 100


# --- what is warned of -------------------------------------------------------------------------------


def test_few_mscs_are_warned_of_before_a_run(schedules):
    (warning,) = schedules.warnings
    assert warning.startswith("too few MSCs in the block: level_1 0.1")
    assert "vehicle" not in warning
    assert checked("demo").warnings == []


def test_a_clock_too_fast_for_the_step_is_warned_of():
    found = checked("demo", ["cells.tumor.behaviors.necrose.base=10 /d"])
    assert found.warnings == [
        "tumor: necrose reaches 10 /d, fast for steps of 1 h: set step.tissue to 0.48 h or less."
    ]
    assert checked("demo", ["cells.tumor.behaviors.necrose.base=10 /d", "step.tissue=0.25 h"]).warnings == []


# --- prose -------------------------------------------------------------------------------------------


def test_the_runs_and_the_calendar_are_told(prose):
    assert "8 arms × 4 patients × 1 replicate = 32 runs, each 126 d from day 0." in prose
    assert "4 burn-ins before day 0 (10 d of growth)" in prose
    assert "18 × 6.667e5 cells/kg over 1 h, every 7 d: days 0, 7, 14, …, 119" in prose
    assert (
        "2e6 cells/kg msc_cxcl9_ox40l bring 0.2 MSCs to a block on average, H_hot at most 0.00046." in prose
    )
    assert "every other arm with level_2; log tumor_volume at day 126" in prose
    assert "Patients differ in body.weight" in prose


def test_kills_are_told_as_kills_and_as_hits(prose):
    """16 a day in permanent contact, 3 hits, 50 min of repair are 65 hits a day."""
    assert "Kills tumor at 16 a day (65 hits a day)" in prose
    assert (
        "Lowered toward 4.8 a day (29 hits a day) by pdl1 of its target, half-maximal at 0.5, Hill 2."
        in prose
    )


def test_fields_are_told_with_their_decay_length(prose):
    assert "D 50 um2/s, half-life 100 min, decay length 660 um" in prose


def test_what_is_assumed_and_idle_is_told(prose, schedules):
    assert re.search(r"\d+ of \d+ sourced entries are assumed", prose)
    assert "divide (lowered by tgfb)" in prose
    for sentence in schedules.experiment.idle:
        assert sentence in prose


def test_the_typical_patient_is_told_not_the_first(prose):
    assert "half-life 5.6 d, leaving debris." in prose


def test_what_an_arm_changes_is_told():
    change = "arms.slow={doses: 5e7 cells/kg msc, cells: {cd8: {behaviors: {kill: {base: 3 /d}}}}}"
    before = "arms.bare={tissue: {stroma: 0.01}}"
    text = " ".join(explain(checked("demo", [change, before])).split())
    assert "slow changes cells.cd8.behaviors.kill.base = 3 /d." in text
    assert "With a burn-in of their own, since they differ before day 0: bare." in text


def test_a_switch_in_use_is_told_with_what_it_sets(tmp_path):
    file = tmp_path / "switched.yaml"
    file.write_text(
        "use: [human_mss, anti_pd1, ifng_switch, licensing_off]\n"
        "block: {shape: [8, 8, 8]}\nburn_in: 1 d\nduration: 1 d\n"
    )
    told = " ".join(explain(checked(str(file))).split())
    assert "Switches ifng_switch: cells.stroma.rules.secrete cxcl9.raised_by ifng.hill = 2." in told
    assert "licensing_off: cells.msc.rules.express licensed.raised_by ifng.off = True." in told


def test_lesions_that_differ_are_told_apart():
    two = "block=[{shape: [8, 8, 8]}, {shape: [8, 8, 8], phenotype: desert}]"
    text = explain(checked("demo", [two]))
    assert "In lesion 0:" in text and "In lesion 1:" in text
    same = explain(checked("demo", ["block=[{shape: [8, 8, 8]}, {shape: [16, 16, 16]}]"]))
    assert "In lesion 1:" not in same


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_behavior_and_rule_of_what_ships_is_told(name):
    found = checked(name)
    text = explain(found)
    cells = found.typical.model(None, 1, "treatment").lesions[0].cells
    told = [
        line.split()[0] for line in text.splitlines() if line.startswith("      ") and line[6:7].isupper()
    ]
    assert told.count("Raised") == sum(
        rule.raised_by is not None for cell in cells.values() for rule in cell.rules
    )
    assert told.count("Lowered") == sum(
        rule.lowered_by is not None for cell in cells.values() for rule in cell.rules
    )
    assert all(f"\n  {kind} (" in text for kind in cells)
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "None" not in text and "nan" not in text.split()


def test_the_vocabulary_lists_every_name():
    text = vocabulary_text(VOCABULARY)
    for names in (VOCABULARY.actions, VOCABULARY.signals, VOCABULARY.observables):
        assert all(f"\n  {name}" in text for name in names)


# --- units for people --------------------------------------------------------------------------------

_WORDS = {"per day": "/d", "per hour": "/h", "per minute": "/min"}


@given(st.floats(1e-6, 1e6))
def test_a_rate_for_people_is_the_rate(value):
    number, *words = rate(value).split()
    assert units.value(f"{number} {_WORDS[' '.join(words)]}", "1/h") == pytest.approx(value, rel=1e-3)


@given(st.floats(1e-4, 1e5))
def test_a_time_for_people_is_the_time(hours):
    assert units.value(span(hours), "h") == pytest.approx(hours, rel=0.051)


@pytest.mark.parametrize("unit", ["nM", "ng/mL", "pg/mL"])
@given(nanograms=st.floats(1e-3, 1e4))
def test_a_secretion_for_people_is_the_secretion(unit, nanograms):
    """Of 1 ng/Mcell/d: 1e-15/24 g per cell and hour, over the grams of one field unit in one µm³."""
    mass = units.convert(11.7, "kDa", "g/mol")
    grams = {"nM": 1e-24 * mass, "ng/mL": 1e-21, "pg/mL": 1e-24}[unit]
    field = FieldModel(unit=unit, diffusion="1 um2/s", decay="1 /d", molar_mass="11.7 kDa")
    said = secretion(nanograms * 1e-15 / 24 / grams, field)
    assert float(said.split()[0]) == pytest.approx(nanograms, rel=0.051)


def test_a_secretion_without_a_mass_is_told_in_molecules():
    field = FieldModel(unit="nM", diffusion="1 um2/s", decay="1 /d")
    assert secretion(5 * 3600 / 0.602214076, field) == "5 molecules per cell and second"


def test_a_local_file_comes_before_the_catalogue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find("demo").parent.name == "experiments"
    (tmp_path / "demo").write_text("")
    assert find("demo").parent.name == ""


def test_hits_need_more_than_kills():
    """The prose of a kill of one hit tells no hits."""
    text = explain(checked("demo"))
    nk = text[text.index("\n  nk (") :]
    assert re.search(r"Kills tumor at 3 a day, completed", " ".join(nk.split()))
    assert math.isclose(float(re.search(r"\((\d+) hits a day\)", text)[1]), 65)
