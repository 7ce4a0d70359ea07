"""A protocol file: what ships loads, and every mistake is refused at its place with the reason."""

from pathlib import Path

import pytest

from simulator.base.errors import InputError
from simulator.body.course import Dose
from simulator.clinic import dosing, protocol, treated
from simulator.clinic.designs.boin import Boin
from simulator.clinic.designs.three_plus_three import ThreePlusThree

PATH = Path(__file__).parents[1] / "configs/protocols/nct06446050.yaml"
TEXT = PATH.read_text(encoding="utf-8")


def changed(tmp_path, *pairs):
    """The protocol with parts of its text replaced."""
    text = TEXT
    for old, new in pairs:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    path = tmp_path / "protocol.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_trial_that_ships_is_the_registered_one():
    found = protocol.load(PATH)
    assert found.header.registry == "NCT06446050"
    assert (found.treatment.patients, found.treatment.doses) == (30, (1e6, 2e6, 3e6))
    assert (found.treatment.interval, found.treatment.cycles) == (21.0, 6)
    assert found.dlt.window == pytest.approx(365.25 / 3) and found.dlt.decide_after == 21.0
    assert found.design == Boin(levels=3, target=0.35, patients=12, source=found.design.source)
    assert set(found.criteria) == {rule.name for rule in found.rules} and len(found.rules) == 19
    assert all(variable.source for variable in found.population.variables.values())


def test_plain_mappings_make_the_same_protocol():
    from ruamel.yaml import YAML

    found = protocol.parse(YAML(typ="safe", pure=True).load(TEXT))
    assert found.treatment == protocol.load(PATH).treatment
    with pytest.raises(InputError, match="no section 'treatment'"):
        protocol.parse({"title": "nothing"})


def test_a_file_may_change_bounds_and_design(tmp_path):
    path = changed(
        tmp_path,
        ("at_least: 800 cells/uL", "at_least: 1000 cells/uL"),
        ("design: boin ", "design: 3+3 "),
        ("  target: 0.35\n  cohort: 3\n  patients: 12 ", "  variant: deescalation_top "),
    )
    found = protocol.load(path)
    assert found.design == ThreePlusThree(levels=3, variant="deescalation_top", source=found.design.source)
    (rule,) = [rule for rule in found.rules if rule.name == "lymphocytes"]
    assert rule.bounds == (("at_least", 1000.0),)


def test_a_file_may_say_how_far_readings_are_off_and_its_trial_then_reads_so(tmp_path):
    path = changed(
        tmp_path, ("\nhazards:\n", "\nreading_error: {sd: 0.2 cm, relative: 0.05, reader: 0}\n\nhazards:\n")
    )
    error = protocol.load(path).evaluation.reading_error
    assert (error.sd, error.relative, error.reader) == (2.0, 0.05, 0.0)
    assert protocol.load(PATH).evaluation.reading_error is None
    assert protocol.load(path).evaluation.recorded()["reading_error.sd"] == 2.0
    readings = []
    for rules in (protocol.load(PATH), protocol.load(path)):
        patient = rules.population.candidate(1, 1, 1)
        plan = [Dose(1, "msc", 0.0, 1e6, "cells/kg", 1.0)]
        given = treated.realized(patient, rules, plan, None, 1)
        seen = treated.expected(patient, rules, dosing.doses(given), 0.85)
        one = treated.live(patient, 1, rules, plan, given, seen, 1)
        readings.append(one.followed.table.um.tolist())
    assert readings[0] != readings[1]


@pytest.mark.parametrize(
    ("old", "new", "says", "at"),
    [
        ("2e6 cells/kg, 3e6", "4e6 cells/kg, 3e6", "level 3 .* not above level 2", "doses"),
        ("2e6 cells/kg, 3e6", "1e6 cells/kg, 3e6", "level 2 .* not above level 1", "doses"),
        ("[1e6 cells/kg,", "[1e6,", "has no unit", "doses"),
        ("target: 0.35", "target: 1.0", "target: 1 must be below", "target"),
        ("target: 0.35", "target: 0", "target: 0 must be above 0", "target"),
        ("target: 0.35", "tarket: 0.35", "no key 'tarket'", "tarket"),
        ("design: boin", "design: bayes", "'bayes' is no escalation design", "design"),
        ("design: boin ", "# design: ", "does not name its design", "escalation"),
        ("window: 4 mo", "window: 7 mo", "DLT window .* is longer than the follow-up", "window: 7 mo"),
        ("decide_after: 21 d", "decide_after: 5 mo", "later than the DLT window", "decide_after"),
        ("patients: 12      ", "patients: 60      ", "up to 60 patients, the trial has 30", "patients: 60"),
        ("follow_up: 6 mo", "follow_up: 90 d", "last dose, on day 105", "follow_up"),
        ("value: lymphocytes,", "value: lymphozytes,", "Did you mean 'lymphocytes'", "lymphozytes"),
        ("at_least: 9 g/dL", "at_least: 9 cells/uL", "a mass concentration is expected", "hemoglobin"),
        ("median: 1350 cells/uL,", "", "has no median", "lymphocytes: {unit"),
        ("alt ast: 0.75", "alt ast: 1.75", "must be below 1", "alt ast"),
        ("inr aptt: 0.40", "inr aptt: -0.90", "contradict each other", "population"),
        ("misattributed: 0.10", "misattributed: 1.10", "misattributed", "misattributed"),
        ("{median: 2 h, log_sd: 0.8}", "{median: 2, log_sd: 0.8}", "has no unit", "median: 2,"),
        ("\n  window: 3 d", "\n  window: 11 d", "lets visits 21 d apart change places", "window: 11 d"),
        ("cohort: 3", "cohort: 3\n  levels: 5", "are the doses of the treatment", "levels: 5"),
        ("{mean: 0.90, sd: 0.04, low: 0.70, high: 1.0", "{share: 0.9", "no plain number", "viability"),
        ("weight_cap: 100 kg", "weight_cap: 100 mL", "weight_cap", "weight_cap"),
        ("registry: NCT06446050", "registri: NCT06446050", "no key 'registri'", "registri"),
        ("lots:", "lotz:", "no section 'lots'", "title"),
    ],
)  # fmt: skip
def test_each_mistake_is_refused_at_its_place(tmp_path, old, new, says, at):
    path = changed(tmp_path, (old, new))
    with pytest.raises(InputError, match=says) as refused:
        protocol.load(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    places = [problem.where for problem in refused.value.problems]
    assert all(place is not None and place.line for place in places)
    assert any(at in lines[place.line - 1] for place in places)


def test_every_problem_is_told_at_once(tmp_path):
    path = changed(
        tmp_path,
        ("target: 0.35", "target: 2"),
        ("at_least: 18 y", "at_least: 18 kg"),
        ("missed: 0.03", "missed: 3"),
        ("shares: {metastatic: 0.97", "shares: {metastatic: 0.90"),
    )
    with pytest.raises(InputError) as refused:
        protocol.load(path)
    told = str(refused.value)
    assert all(word in told for word in ("target", "missed", "add up to 0.93"))


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        protocol.load(tmp_path / "absent.yaml")
    (tmp_path / "list.yaml").write_text("[1, 2]")
    with pytest.raises(InputError, match="not a mapping"):
        protocol.load(tmp_path / "list.yaml")
