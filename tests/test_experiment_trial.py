"""A trial on a mechanism: doses and courses agree, nothing depends on how it was run, the folder is whole."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
import trial_fakes

import simulator as sim
from simulator.base.errors import InputError
from simulator.clinic import dosing, overrides
from simulator.clinic.trial import EXPANSION
from simulator.config.catalogue import shipped
from simulator.experiment.trial import execute as trials
from simulator.experiment.trial.simulate import Mechanism
from simulator.report import page

SMALL = ["block.shape=[8, 8, 8]", "burn_in=0 d"]
FILE = shipped() / "experiments/nct06446050.yaml"


def protocol(folder: Path, *changes: tuple[str, str]) -> Path:
    """The protocol that ships, of twelve patients, with parts of its text replaced."""
    text = (shipped() / "protocols/nct06446050.yaml").read_text(encoding="utf-8")
    for old, new in (("  patients: 30", "  patients: 12"), ("patients: 12   ", "patients: 9   "), *changes):
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / "protocol.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def trial_file(folder: Path, *changes: tuple[str, str]) -> Path:
    """The trial that ships, with that protocol."""
    protocol(folder, *changes)
    path = folder / "trial.yaml"
    text = FILE.read_text(encoding="utf-8")
    path.write_text(text.replace("{protocol: nct06446050}", "{protocol: protocol.yaml}"), encoding="utf-8")
    return path


def execute(file: Path, out: Path, **how):
    return trials.execute(
        sim.load(file, overrides=SMALL), out, workers=1, progress=False, engine=trial_fakes.ENGINE, **how
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    return execute(trial_file(folder), folder / "out"), folder


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_everybody_was_simulated_with_the_doses_that_follow_from_the_simulation(finished):
    (trial, results, _), folder = finished
    assert len(trial.slots) == 12
    runs = {(run.patient, run.arm): run for run in results.plan.runs}
    assert len(runs) == 12
    for one in trial.treated:
        run = runs[one.patient.number, f"level_{one.level}"]
        events = sim.read(folder / f"out/runs/{run.digest}.h5").events
        simulated = events[events["type"] == "dose"]["day"].tolist()
        assert simulated == pytest.approx([dose.time / 24.0 for dose in one.doses])
        stop = [dose.day for dose in one.given if dose.given > 0.0]
        if (death := one.followed.events.death) is not None:
            assert max(stop, default=0.0) < death


def test_some_stop_early_and_some_doses_differ_from_the_plan(finished):
    (trial, _, _), _ = finished
    statuses = {dose.status for one in trial.treated for dose in one.given}
    assert {dosing.GIVEN, dosing.STOPPED} <= statuses


def test_nothing_depends_on_what_was_expected_at_first(finished, tmp_path, monkeypatch):
    (trial, _, _), _ = finished
    monkeypatch.setattr(Mechanism, "_foreseen", lambda self, *one: self._realized(*one, None))
    other = execute(trial_file(tmp_path), tmp_path / "out")
    assert [one.given for one in other.trial.treated] == [one.given for one in trial.treated]
    assert other.trial.decisions == trial.decisions


def test_a_trial_goes_on_where_it_stopped_and_ends_the_same(finished, tmp_path, monkeypatch):
    (_, _, path), _ = finished
    made = []

    def stops_late(*args, **kwargs):
        made.append(args)
        if len(made) == 5:
            raise KeyboardInterrupt
        trial_fakes.treat(*args, **kwargs)

    engine = trial_fakes.ENGINE._replace(treat=stops_late)
    file = trial_file(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        trials.execute(
            sim.load(file, overrides=SMALL), tmp_path / "out", workers=1, progress=False, engine=engine
        )
    again = execute(file, tmp_path / "out")
    assert hashes(again.path) == hashes(path)
    before = len(made)
    assert execute(file, tmp_path / "out").trial.decisions == again.trial.decisions  # all is there already
    assert len(made) == before


def test_the_folder_holds_every_table_and_its_hashes(finished):
    (trial, _, path), _ = finished
    names = {file.name for file in path.iterdir()}
    tables = {"adsl", "adex", "adrs", "adtr", "adtte", "adae", "screening", "flow", "decisions", "rates",
              "decision_table", "operating_characteristics", "dlt", "lesions", "worst_grades"}  # fmt: skip
    assert {f"{name}.csv" for name in tables} <= names
    assert {"synopsis.md", "credibility.md", "protocol.json", "manifest.json"} <= names
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["sha256"] == {k: v for k, v in hashes(path).items() if k != "manifest.json"}
    with open(path / "adsl.csv", encoding="utf-8", newline="") as file:
        subjects = list(csv.DictReader(file))
    assert [row["USUBJID"] for row in subjects] == [f"P{k:03d}" for k in range(1, 13)]
    assert sum(row["COHORT"] == "expansion" for row in subjects) == sum(
        slot.cohort == EXPANSION for slot in trial.slots
    )


def test_cohorts_follow_the_design_and_wait_for_its_decisions(finished):
    (trial, _, _), _ = finished
    rule = trial.protocol.dlt
    for number, cohort in enumerate(trial.history, start=1):
        members = [slot for slot in trial.slots if slot.cohort == number]
        assert {slot.treated.level for slot in members} == {cohort.level}
        assert cohort.patients <= len(members)
        decided = trial.decisions[number]["day"]
        assert decided >= max(slot.start for slot in members) + rule.decide_after
        later = [slot.start for slot in trial.slots if slot.cohort in (number + 1, EXPANSION)]
        assert min(later, default=decided) >= decided
    assert [d["level"] for d in trial.decisions[: len(trial.history)]] == [c.level for c in trial.history]


@pytest.mark.parametrize(
    ("design", "also"), [("crm", ()), ("boin12", (("\n  target: 0.35", "\n  dlt_limit: 0.35"),))]
)
def test_patients_are_the_same_people_whatever_the_design(finished, tmp_path, design, also):
    (trial, _, _), _ = finished
    file = trial_file(tmp_path, ("design: boin ", f"design: {design} "), *also)
    other = execute(file, tmp_path / "out").trial
    assert type(other.protocol.design).__name__.lower() == design
    for one, same in zip(trial.treated, other.treated, strict=True):
        assert one.patient == same.patient
        if one.level == same.level:
            assert one.given == same.given


def test_a_folder_of_another_trial_is_refused(finished, tmp_path):
    _, folder = finished
    with pytest.raises(InputError, match="holds another study or trial"):
        execute(trial_file(tmp_path, ("target: 0.35", "target: 0.3 ")), folder / "out")


def test_every_patient_is_an_experiment_of_their_own_lesions(finished):
    (trial, results, _), folder = finished
    for one in trial.treated:
        run = next(run for run in results.plan.runs if run.patient == one.patient.number)
        assert sim.read(folder / f"out/runs/{run.digest}.h5").lesions == len(one.patient.lesions)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{protocol: nct06446050}", "{protocol: nct0644605}", "There is no protocol 'nct0644605'"),
        ("population: null", "patients: 5", "drawn by its protocol|'patients' is for the protocol"),
        ("seed: 1", "arms: {a: {}}", "'arms' is for the protocol"),
        ("msc_cxcl9_ox40l]", "msc_cxcl9_ox40l, msc_vector]", "one cell product"),
        ("msc_cxcl9_ox40l]", "anti_pd1]", "one cell product"),
    ],
)
def test_a_trial_that_cannot_run_is_refused(tmp_path, old, new, says):
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "trial.yaml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=says):
        execute(file, tmp_path / "out")
    assert not (tmp_path / "out/trial").exists()


def test_further_trials_are_emulated_on_what_this_one_taught(finished, tmp_path):
    (trial, _, _), _ = finished
    file = trial_file(tmp_path)
    text = file.read_text(encoding="utf-8").replace("protocol.yaml}", "protocol.yaml, emulated: 20}")
    file.write_text(text, encoding="utf-8")
    other = execute(file, tmp_path / "out")
    assert other.trial.decisions == trial.decisions
    with open(other.path / "selection.csv", encoding="utf-8", newline="") as table:
        shares = [float(row["selected"]) for row in csv.DictReader(table)]
    assert len(shares) == 4 and sum(shares) == pytest.approx(1.0)
    with open(other.path / "emulator.csv", encoding="utf-8", newline="") as table:
        (fitted,) = csv.DictReader(table)
    assert float(fitted["slope"]) < 0.0  # the fake product slows growth
    assert "Further trials" in (other.path / "synopsis.md").read_text(encoding="utf-8")


def read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def with_untreated(folder: Path) -> Path:
    file = trial_file(folder)
    text = file.read_text(encoding="utf-8").replace("protocol.yaml}", "protocol.yaml, untreated: true}")
    file.write_text(text, encoding="utf-8")
    return file


def test_the_same_patients_are_followed_without_a_dose(finished, tmp_path):
    (trial, _, _), _ = finished
    done = execute(with_untreated(tmp_path), tmp_path / "out")
    assert done.trial.decisions == trial.decisions  # the trial itself is as ever
    runs = [run for run in done.results.plan.runs if run.arm == "untreated"]
    assert len(runs) == len(trial.slots)
    for run in runs:
        assert "dose" not in list(sim.read(tmp_path / f"out/runs/{run.digest}.h5").events["type"])
    rows = {row["PARAMCD"]: row for row in read(done.path / "counterfactual.csv")}
    volume = rows["LOGVOL"]
    dosed = sum(one.first_dose is not None for one in trial.treated)
    assert (int(volume["BETTER"]), int(volume["WORSE"])) == (dosed, 0)  # the fake product slows growth
    assert float(volume["HIGH"]) < 0.0 < float(volume["CORRELATION"])
    assert float(rows["OS"]["TREATED"]) >= float(rows["OS"]["UNTREATED"])
    power = read(done.path / "power.csv")
    assert {(row["PARAMCD"], row["TEST"]) for row in power} == {
        ("ORR", "Fisher"), ("DCR", "Fisher"), ("PFS", "log-rank"), ("OS", "log-rank"),
    }  # fmt: skip
    assert all(0.0 <= float(row["POWER"]) <= 1.0 for row in power)
    synopsis = (done.path / "synopsis.md").read_text(encoding="utf-8")
    assert "The same patients without a dose" in synopsis and "What a real trial would show" in synopsis
    assert "Without a dose" in page.write(tmp_path / "out").read_text(encoding="utf-8")


def test_a_product_that_does_nothing_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(trial_fakes, "SLOWED", 0.0)
    done = execute(with_untreated(tmp_path), tmp_path / "out")
    rows = {row["PARAMCD"]: row for row in read(done.path / "counterfactual.csv")}
    assert (float(rows["LOGVOL"]["DIFFERENCE"]), float(rows["LOGVOL"]["P"])) == (0.0, 1.0)
    assert (rows["LOGVOL"]["BETTER"], rows["LOGVOL"]["WORSE"]) == ("0", "0")


def test_a_file_overrides_single_doses_of_single_patients(finished, tmp_path):
    (trial, _, _), _ = finished
    file = trial_file(tmp_path)
    (tmp_path / "own.csv").write_text(
        "ID,DOSE,TIME,AMT,REASON\n2,1,,0,no consent that day\n3,2,25,5e5,half\n"
    )
    text = file.read_text(encoding="utf-8").replace("protocol.yaml}", "protocol.yaml, overrides: own.csv}")
    file.write_text(text, encoding="utf-8")
    other = execute(file, tmp_path / "out").trial
    first, second, third = other.treated[:3]
    assert first.given == trial.treated[0].given
    assert (second.given[0].given, second.given[0].reason) == (0.0, "no consent that day")
    assert (third.given[1].day, third.given[1].given, third.given[1].reason) == (25.0, 5e5, "half")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ID,DOSE,REASON\n99,1,x\n", "ID is '99'"),
        ("ID,DOSE,REASON\n1,7,x\n", "DOSE is '7'"),
        ("ID,DOSE,AMT,REASON\n1,1,-5,x\n", "AMT is -5"),
        ("ID,DOSE,TIME,REASON\n1,1,20.5,x\n", "TIME is 20.5"),
        ("ID,DOSE,AMT,REASON\n1,1,five,x\n", "AMT 'five' is not a number"),
        ("ID,DOES,REASON\n1,1,x\n", "no column 'DOES'"),
        ("ID,DOSE,REASON\n1,1,x\n1,1,y\n", "overridden twice"),
        ("", "column ID is missing"),
    ],
)
def test_overrides_that_cannot_be_are_refused(tmp_path, text, says):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        overrides.read(path, 12, 6)


@pytest.mark.parametrize("series", ["every 5 d", "every 16 h", "every 1 d from 12 h"])
def test_records_that_leave_out_a_day_on_which_doses_may_fall_are_refused(tmp_path, series):
    file = trial_file(tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("every 12 h", series), encoding="utf-8")
    with pytest.raises(InputError, match="leaves out day"):
        execute(file, tmp_path / "out")
    assert not list((tmp_path / "out").glob("runs/*"))


def test_the_study_of_a_trial_is_a_study(finished):
    (trial, results, _), _ = finished
    assert results.plan.arms == ("level_1", "level_2", "level_3")
    assert len(results.runs) == len(trial.slots)
