"""Execution: what is finished is kept, what fails stops nothing else, and a folder has one owner."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from experiment_fakes import ENGINE, FakeArm, FakeExperiment

from simulator.base.errors import InputError, SimulatorError
from simulator.base.log import get_logger, to_console
from simulator.experiment.execute import _aside, execute
from simulator.experiment.plan import Plan, plan
from simulator.experiment.progress import Progress
from simulator.experiment.study import Study

TESTS = Path(__file__).parent


@pytest.fixture
def marks(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "study"


def done(marks: Path) -> list[str]:
    """What was done since the last look, in order."""
    names = sorted((path.name.rsplit(" ", 2) for path in marks.iterdir()), key=lambda name: int(name[1]))
    for path in marks.iterdir():
        path.unlink()
    return [name[0] for name in names]


def run(experiment, out, **options):
    return execute(experiment, out, progress=False, **{"workers": 1, "engine": ENGINE, **options})


def test_every_burn_in_is_grown_once_and_the_arms_of_a_patient_finish_together(marks, out):
    run(FakeExperiment(marks=str(marks)), out)
    assert done(marks) == ["burn-in 1", "control 1", "msc 1", "burn-in 2", "control 2", "msc 2"]
    assert Plan.read(out / "plan.json") == plan(FakeExperiment())
    assert len(list((out / "runs").glob("*.h5"))) == 4
    assert {p.name for p in (out / "tables").iterdir()} == {
        "runs.csv", "series.csv", "doses.csv", "contrasts.csv", "attribution.csv"
    }  # fmt: skip
    assert not list(out.glob("lock*"))


def test_the_same_call_again_does_nothing(marks, out):
    experiment = FakeExperiment(marks=str(marks))
    run(experiment, out)
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    done(marks)
    run(experiment, out)
    assert done(marks) == []
    assert before == {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}


def test_new_patients_and_arms_extend_a_study(marks, out):
    small = FakeExperiment(marks=str(marks))
    run(small, out)
    done(marks)
    larger = replace(small, arms=small.arms | {"more": FakeArm(0.5)}, patients=3)
    run(larger, out)
    assert sorted(done(marks)) == ["burn-in 3", "control 3", "more 1", "more 2", "more 3", "msc 3"]


def test_a_damaged_run_file_is_made_again(marks, out):
    experiment = FakeExperiment(marks=str(marks))
    run(experiment, out)
    done(marks)
    victim = Study(out).run_file(plan(experiment).runs[-1].digest)
    victim.write_bytes(victim.read_bytes()[:1000])
    run(experiment, out)
    assert done(marks) == ["msc 2"]


def test_arms_equal_to_the_digit_share_one_file(marks, out):
    experiment = FakeExperiment({"control": FakeArm(), "zero": FakeArm()}, patients=1, marks=str(marks))
    results = run(experiment, out)
    assert done(marks) == ["burn-in 1", "control 1"]
    assert results.contrast("zero", "control").difference == 0.0


@pytest.mark.parametrize(("how", "says"), [("fails", "the disk is full"), ("bug", "ZeroDivisionError")])
def test_a_failing_run_stops_no_other_and_is_tried_again(marks, out, how, says):
    experiment = FakeExperiment(marks=str(marks), trouble={"control 1": how})
    with pytest.raises(SimulatorError, match=f"(?s)1 of 4 runs failed.*control, patient 1.*{says}") as caught:
        run(experiment, out)
    assert caught.value.exit_code == 1
    assert len(list((out / "runs").iterdir())) == 3
    assert len((out / "tables" / "runs.csv").read_text().splitlines()) == 5
    assert "Traceback" in (out / "log.txt").read_text() or how == "fails"
    done(marks)
    run(experiment.without_trouble(), out)
    assert done(marks) == ["control 1"]


def test_a_failing_burn_in_takes_only_its_own_runs(marks, out):
    experiment = FakeExperiment(marks=str(marks), trouble={"burn-in 1": "fails"})
    with pytest.raises(SimulatorError, match=r"(?s)2 of 4 runs failed.*burn-in of patient 1"):
        run(experiment, out)
    assert done(marks) == ["burn-in 1", "burn-in 2", "control 2", "msc 2"]


def test_bad_input_found_late_is_still_bad_input(out):
    with pytest.raises(InputError, match="burn-in of patient 1, replicate 1: density too high") as caught:
        run(FakeExperiment(trouble={"burn-in 1": "input"}), out)
    assert caught.value.exit_code == 2


def test_a_run_that_writes_something_else_is_a_failure(out):
    lying = ENGINE._replace(treat=lambda *args, **options: None)
    with pytest.raises(SimulatorError, match="not written as planned"):
        run(FakeExperiment(), out, engine=lying)


def test_an_interrupt_keeps_what_is_finished_and_frees_the_folder(marks, out):
    experiment = FakeExperiment(marks=str(marks), trouble={"msc 1": "interrupt"})
    with pytest.raises(KeyboardInterrupt):
        run(experiment, out)
    assert not list(out.glob("lock*"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    done(marks)
    run(experiment.without_trouble(), out)
    assert done(marks) == ["msc 1", "burn-in 2", "control 2", "msc 2"]


def test_shards_together_make_the_whole_study(marks, out):
    experiment = FakeExperiment(marks=str(marks), patients=3)
    for number in (2, 1, 3):
        run(experiment, out, shard=(number, 3))
        assert [task.split()[0] for task in done(marks)] == ["burn-in", "control", "msc"]
    run(experiment, out)
    assert done(marks) == []


def test_a_dry_run_touches_nothing(out, caplog):
    with caplog.at_level("INFO", "simulator"):
        assert run(FakeExperiment(), out, dry_run=True) is None
    assert not out.exists()
    assert "4 of 4 runs" in caplog.text


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (FakeExperiment(seed=7), "seed 1 there, 7 here"),
        (FakeExperiment(title="other", seed=2), "title 'fake' there, 'other' here"),
        (FakeExperiment(patients=1), "2 patients there, 1 here"),
        (FakeExperiment(duration=72.0), "duration in days 2.0 there, 3.0 here"),
        (FakeExperiment(arms={"control": FakeArm()}), "arms that this study lacks: msc"),
        (FakeExperiment(arms={"control": FakeArm(), "msc": FakeArm(0.1)}), "other values in arms msc"),
    ],
)
def test_a_folder_with_another_study_is_refused_and_kept(out, other, named):
    run(FakeExperiment(), out)
    before = sorted(out.rglob("*"))
    with pytest.raises(InputError, match="holds another study") as caught:
        run(other, out)
    assert named in str(caught.value)
    assert "--force" in str(caught.value)
    assert before == sorted(out.rglob("*"))
    assert Plan.read(out / "plan.json") == plan(FakeExperiment())


def test_force_replaces_another_study_and_leaves_strangers_alone(out):
    run(FakeExperiment(), out)
    (out / "notes.txt").write_text("mine")
    other = FakeExperiment(seed=7)
    run(other, out, force=True)
    assert {path.stem for path in (out / "runs").iterdir()} == {r.digest for r in plan(other).runs}
    assert {path.stem for path in (out / "burn_ins").iterdir()} == {b.digest for b in plan(other).burn_ins}
    assert (out / "notes.txt").read_text() == "mine"


def test_a_study_of_another_version_is_refused_even_with_the_same_runs(out):
    run(FakeExperiment(), out)
    old = replace(plan(FakeExperiment()), version="0.0.1")
    (out / "plan.json").write_text(old.to_json())
    with pytest.raises(InputError, match=r"made by simulator 0\.0\.1"):
        run(FakeExperiment(), out)
    run(FakeExperiment(), out, force=True)
    assert Plan.read(out / "plan.json") == plan(FakeExperiment())


def test_a_folder_of_something_else_or_a_file_is_refused(out):
    out.mkdir()
    (out / "thesis.tex").write_text("text")
    with pytest.raises(InputError, match=r"no study folder and holds other files \(thesis\.tex\)"):
        run(FakeExperiment(), out)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="is a file, not a folder"):
        run(FakeExperiment(), out / "thesis.tex")
    run(FakeExperiment(), out, force=True)
    assert (out / "thesis.tex").read_text() == "text"


def test_a_damaged_plan_is_refused_without_force(out):
    run(FakeExperiment(), out)
    (out / "plan.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        run(FakeExperiment(), out)
    run(FakeExperiment(), out, force=True)


def test_a_folder_that_cannot_be_written_is_one_error():
    with pytest.raises(SimulatorError, match="cannot be written") as caught:
        run(FakeExperiment(), "/proc/study")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("options", [{"workers": 0}, {"threads": 0}, {"workers": -2}])
def test_nobody_is_not_enough(out, options):
    with pytest.raises(InputError, match="can do nothing"):
        run(FakeExperiment(), out, **options)


# --- locks -----------------------------------------------------------------------------------------


def test_a_second_process_learns_who_holds_the_folder(out):
    with (
        Study(out).lock(),
        pytest.raises(InputError, match=f"process {os.getpid()} on {socket.gethostname()}"),
    ):
        run(FakeExperiment(), out)
    run(FakeExperiment(), out)


def test_shards_of_one_count_go_side_by_side_and_nothing_else(out):
    study = Study(out)
    with study.lock((1, 2)):
        with study.lock((2, 2)):
            pass
        for other in (None, (1, 2), (1, 3)):
            with pytest.raises(InputError, match="being written"), study.lock(other):
                pass
        assert [path.name for path in out.iterdir()] == ["lock-1-of-2.json"]


def test_a_lock_whose_process_is_gone_is_taken_over(out):
    out.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    mine = {"host": socket.gethostname(), "since": "2020"}
    for stale in ({"pid": gone.pid, "born": "5"}, {"pid": os.getpid(), "born": "another life"}):
        (out / "lock.json").write_text(json.dumps(mine | stale))
        with Study(out).lock():
            assert json.loads((out / "lock.json").read_text())["pid"] == os.getpid()


def test_a_lock_of_another_host_is_never_taken_over(out):
    out.mkdir()
    (out / "lock.json").write_text(json.dumps({"pid": 1, "host": "elsewhere", "born": "1"}))
    with pytest.raises(InputError, match="process 1 on elsewhere"), Study(out).lock():
        pass
    assert (out / "lock.json").exists()


# --- other processes -------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_and_its_task_done_again(marks, out):
    trouble = {"msc 1": "killed once", "control 2": "fails"}
    experiment = FakeExperiment(marks=str(marks), trouble=trouble, patients=3)
    with pytest.raises(SimulatorError, match="1 of 6 runs failed"):
        run(experiment, out, workers=2)
    (marks / "killed").unlink()
    workers = {path.name.rsplit(" ", 1)[1] for path in marks.iterdir()}
    assert done(marks).count("msc 1") == 2
    assert len(workers) >= 2
    assert str(os.getpid()) not in workers
    assert len(list((out / "runs").glob("*.h5"))) == 5


def test_workers_and_this_process_give_the_same_tables(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    run(FakeExperiment(), one)
    run(FakeExperiment(), two, workers=2)
    for name in ("runs", "series", "doses", "contrasts"):
        assert (one / "tables" / f"{name}.csv").read_bytes() == (two / "tables" / f"{name}.csv").read_bytes()


def test_the_workers_of_a_scheduler_do_the_same(marks, out):
    import distributed

    options = {"processes": False, "protocol": "tcp://", "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster:
        run(FakeExperiment(marks=str(marks)), out, workers=None, scheduler=cluster.scheduler_address)
    assert sorted(done(marks)) == ["burn-in 1", "burn-in 2", "control 1", "control 2", "msc 1", "msc 2"]
    assert len(list((out / "runs").glob("*.h5"))) == 4


def test_a_scheduler_that_does_not_answer_is_named(out, monkeypatch):
    monkeypatch.setattr("simulator.experiment.pools._CONNECT_S", 0.3)
    with pytest.raises(InputError, match=r"No scheduler answers at tcp://127\.0\.0\.1:9"):
        run(FakeExperiment(), out, workers=None, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="No scheduler answers at nonsense"):
        run(FakeExperiment(), out, workers=None, scheduler="nonsense")


def test_progress_weighs_work_and_never_falls(caplog, monkeypatch):
    monkeypatch.setattr("simulator.experiment.progress._LINE_S", -1.0)
    bar = Progress({"a": 1.0, "b": 3.0}, runs=2, kept=1)
    with caplog.at_level("INFO", "simulator"), bar.shown():
        seen = []
        for digest, fraction in (("a", 0.5), ("a", 0.25), ("b", 0.5), ("a", 1.0), ("b", 7.0)):
            bar.reach(digest, fraction)
            seen.append(bar.share)
        bar.finish("b", is_run=True)
    assert seen == [0.125, 0.125, 0.5, 0.625, 1.0]
    assert "1 of 2 runs, 50 %" in caplog.text
    assert "2 of 2 runs, 100 %" in caplog.text


def test_threads_and_workers_share_the_cpus_out(out, monkeypatch, caplog):
    seen = []
    engine = ENGINE._replace(treat=lambda *args, threads, **rest: seen.append(threads))
    monkeypatch.setattr("simulator.experiment.execute.available_cpus", lambda: (6, "test"))
    one = FakeExperiment({"control": FakeArm()}, patients=1, compare=None)
    with caplog.at_level("INFO", "simulator"), pytest.raises(SimulatorError):
        run(one, out, workers=None, engine=engine)
    assert seen == [6]
    assert "1 worker with 6 threads each: there are 6 CPUs (test)" in caplog.text


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that it is ignored
sys.path.insert(0, {tests!r})
from experiment_fakes import ENGINE, FakeExperiment
from simulator.experiment.execute import _aside, execute
trouble = {{"msc 1": "sleep 60", "control 1": "sleep 60"}}
try:
    execute(FakeExperiment(marks={marks!r}, trouble=trouble), {out!r}, workers={workers}, engine=ENGINE)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("sent", "workers"), [(signal.SIGINT, 2), (signal.SIGTERM, 2), (signal.SIGTERM, 1)])
def test_ctrl_c_and_termination_stop_cleanly(tmp_path, marks, out, sent, workers):
    """Also from a script without `if __name__ == "__main__"`: workers do not run it again."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(TESTS), marks=str(marks), out=str(out), workers=workers))
    path = os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    process = subprocess.Popen(
        [sys.executable, script], stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )
    deadline = time.monotonic() + 300
    while not any(p.name.startswith("control 1") for p in marks.iterdir()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # as a terminal does
    else:
        process.send_signal(sent)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert not list(out.glob("lock*"))
    workers = {int(path.name.rsplit(" ", 1)[1]) for path in marks.iterdir()}
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_what_runs_say_goes_to_the_log_of_their_study_alone(tmp_path, capsys, monkeypatch):
    """Every run of a study may say the same; the console stays readable."""
    (tmp_path / "runs").mkdir()
    body = get_logger("body")
    monkeypatch.setattr(get_logger(), "handlers", [])
    to_console()
    with _aside(tmp_path / "runs" / "a.h5"):
        body.warning("the tumor is too large")
    assert "too large" not in capsys.readouterr().err
    assert (tmp_path / "log.txt").read_text().endswith("WARNING the tumor is too large\n")
    assert body.propagate and not body.handlers
