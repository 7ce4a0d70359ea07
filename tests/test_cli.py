"""The commands as a newcomer meets them: what they say, what they leave behind, how they end."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from simulator import cli, doctor
from simulator.base.kernel import CACHE_DIR
from simulator.check import checked
from simulator.experiment import estimate
from simulator.starter import write

ROOT = Path(__file__).resolve().parent.parent
TINY = """
title: Tiny
use: [mouse_ct26, msc_cxcl9_ox40l_mouse]
block: {shape: [8, 8, 8]}
burn_in: 6 h
duration: 1 d
arms:
  vehicle: {}
  once: {doses: 1.5e8 cells/kg msc}
record: {series: every 6 h, snapshots: every 1 d}
compare: {reference: vehicle, outcome: log tumor_volume}
"""


def start(*arguments: str, cwd: Path, code: str = "") -> subprocess.Popen:
    """A command in a process of its own, `code` before it."""
    program = f"import sys\n{code}\nfrom simulator.cli import main\nsys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(autouse=True)
def fresh_log():
    """The log writes to the stderr of its first use, which pytest replaces for each test."""
    yield
    logging.getLogger("simulator").handlers.clear()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder of one's own that holds tiny.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study made by `run`, with what the command said."""
    folder = tmp_path_factory.mktemp("studies")
    (folder / "tiny.yaml").write_text(TINY)
    process = start("run", "tiny.yaml", "--workers", "1", cwd=folder)
    out, err = process.communicate()
    assert process.returncode == cli.DONE, err
    return folder / "tiny", out, err


# --- at once, and kindly -----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], []], ids=str)
def test_help_needs_nothing_heavy(arguments, tmp_path):
    """What takes long to import is left alone: 0.5 s is the promise, this is how it is kept."""
    heavy = ("numba", "numpy", "scipy", "h5py", "pandas", "matplotlib", "pydantic", "distributed")
    loaded = (
        f"import atexit\natexit.register(lambda: print('LOADED', [m for m in {heavy} if m in sys.modules]))"
    )
    process = start(*arguments, cwd=tmp_path, code=loaded)
    out, _ = process.communicate()
    assert process.returncode == cli.DONE
    assert "LOADED []" in out


def test_help_names_every_command_in_the_order_of_use(capsys):
    assert cli.main(["--help"]) == cli.DONE
    listed = re.findall(r"^. (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert listed == ["init", "check", "explain", "run", "report", "export", "validate", "info", "doctor"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["chek", "tiny.yaml"], 'Did you mean "check"?'),
        (["run", "tiny.yaml", "--sed", "3"], "Did you mean --seed?"),
        (["run", "tiny.yaml", "--workers", "two"], "--workers"),
        (["check"], "FILE"),
        (["explain"], "--vocabulary"),
        (["run", "tiny.yaml", "--shard", "3/2"], "--shard 1/4 is the first of four"),
        (["run", "tiny.yaml", "--workers", "0"], "Give --workers 1 or more"),
        (["run", "tiny.yaml", "--seed", "-1"], "seed"),
        (["check", "tiny.yml"], "Did you mean 'tiny.yaml'?"),
        (["run", "schedule"], "Did you mean 'schedules'?"),
        (["check", "tiny.yaml", "--set", "duratio=3 d"], "Did you mean 'duration'?"),
        (["check", "."], "."),
        (["info", "nothing.h5"], "run file"),
        (["info", "tiny.yaml"], "simulator explain tiny.yaml"),
        (["info", "."], "plan.json"),
        (["report", "."], "study"),
        (["report", "nowhere"], "nowhere"),
        (["init", "tiny.yaml"], "is a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_user_error_ends_with_2_and_says_what_to_do(tiny, capsys, arguments, said):
    assert cli.main(arguments) == cli.BAD_INPUT
    out, err = capsys.readouterr()
    assert said in err
    assert "Traceback" not in err + out


# --- check -------------------------------------------------------------------------------------------


def test_check_says_what_would_run(tiny, capsys):
    assert cli.main(["check", "tiny.yaml"]) == cli.DONE
    out, err = capsys.readouterr()
    assert out.startswith("tiny.yaml: no problems. 2 runs and 1 burn-in")
    assert "idle: no drug 'anti_pd1' here; never blocked: cd8: `kill lowered_by target pdl1`" in out
    assert "warning: too few MSCs in the block: once" in err


def test_check_finds_all_mistakes_of_a_file_at_once(tiny, capsys):
    wrong = (
        TINY.replace("duration", "duraton")
        .replace("burn_in: 6 h", "burn_in: 6")
        .replace("1.5e8 cells/kg", "many")
    )
    (tiny / "tiny.yaml").write_text(wrong)
    assert cli.main(["check", "tiny.yaml"]) == cli.BAD_INPUT
    err = capsys.readouterr().err
    assert "tiny.yaml:5:10: burn_in: 6 has no unit" in err
    assert "    burn_in: 6\n             ^" in err
    assert "tiny.yaml:6:1: The experiment has no key 'duraton'" in err
    assert re.search(r"\n\d+ problems\.", err)


def test_check_reads_the_doses_of_every_arm(tiny, capsys):
    doses = "{doses: 1.5e8 cells/kg msc}"
    wrong = TINY.replace(doses, "{doses: 2 mg msc}") + "seed: 1\n"
    wrong = wrong.replace("  vehicle: {}", "  vehicle: {}\n  late: {doses: 1e6 cells msc from 3 d}")
    (tiny / "tiny.yaml").write_text(wrong)
    assert cli.main(["check", "tiny.yaml"]) == cli.BAD_INPUT
    err = capsys.readouterr().err
    assert "tiny.yaml:9:" in err and "comes at or after the end" in err
    assert "tiny.yaml:10:" in err and "is no amount of 'msc_cxcl9_ox40l_mouse'" in err


def test_check_builds_what_a_run_builds(tiny, capsys):
    """More cells for the tumor than ever reach the blood: only the body's equations know."""
    assert (
        cli.main(["check", "tiny.yaml", "--set", "drugs.msc_cxcl9_ox40l_mouse.tumor_fraction=0.9"])
        == cli.BAD_INPUT
    )
    assert "ever reaches the blood" in capsys.readouterr().err


def test_check_refuses_what_cannot_fit_in_memory(tiny, capsys, monkeypatch):
    monkeypatch.setattr(estimate, "memory_limit", lambda: (2e9, "machine"))
    assert cli.main(["check", "tiny.yaml", "--set", "block.shape=[500, 500, 500]"]) == cli.BAD_INPUT
    err = capsys.readouterr().err
    assert "GB of memory; this machine has 2 GB" in err and "tiny.yaml:4:" in err


# --- explain, init, doctor ---------------------------------------------------------------------------


def test_explain_takes_a_file_or_the_vocabulary_or_both(tiny, capsys):
    assert cli.main(["explain", "tiny.yaml", "--set", "title=Other"]) == cli.DONE
    assert capsys.readouterr().out.startswith("Other\n")
    assert cli.main(["explain", "--vocabulary"]) == cli.DONE
    assert capsys.readouterr().out.startswith("Actions: what a cell can do")


def test_init_writes_an_experiment_that_is_fit_to_run(tiny, capsys):
    assert cli.main(["init", "my study"]) == cli.DONE
    assert "simulator run 'my study/experiment.yaml'" in capsys.readouterr().out
    found = checked("my study/experiment.yaml")
    assert found.warnings == []
    assert len(found.experiment.arms) == 3
    # what the comments offer works, too
    text = Path("my study/experiment.yaml").read_text()
    offered = re.search(r"  # slow_killers:(?:\n  #  .*)+", text)[0]
    Path("offered.yaml").write_text(text.replace(offered, offered.replace("  # ", "  ")))
    assert "slow_killers" in checked("offered.yaml").experiment.arms


def test_init_overwrites_nothing(tiny, capsys):
    path = write(Path("mine"))
    path.write_text("precious")
    assert cli.main(["init", "mine"]) == cli.BAD_INPUT
    assert "is not overwritten" in capsys.readouterr().err
    assert path.read_text() == "precious"


def test_doctor_finds_a_sound_machine_sound(tiny, capsys):
    assert cli.main(["doctor"]) == cli.DONE
    out = capsys.readouterr().out
    for what in ("python", "packages", "processors", "memory", "kernels", "run files"):
        assert re.search(rf"^  ok      {what} ", out, re.MULTILINE)
    assert sorted(os.listdir(tiny)) == ["tiny.yaml"]


def test_doctor_compiles_ahead(tiny, capsys):
    assert cli.main(["doctor", "--warm"]) == cli.DONE
    assert "Kernels ready after" in capsys.readouterr().out
    assert any(path.name.startswith("complete-") for path in CACHE_DIR.iterdir())


def test_doctor_finds_what_is_broken_and_looks_on(tiny, capsys, monkeypatch):
    monkeypatch.setitem(doctor.PACKAGES, "missing", "no_such_module")
    monkeypatch.setattr(doctor, "_memory", lambda: 1 / 0)
    assert cli.main(["doctor"]) == cli.FAILED
    out = capsys.readouterr().out
    assert "BROKEN  packages    cannot import missing (ModuleNotFoundError" in out
    assert "BROKEN  memory      ZeroDivisionError" in out
    assert "ok      run files" in out


def test_doctor_finds_a_folder_it_cannot_write():
    (finding,) = [f for f in doctor.examine(Path("/proc")) if f.what == "run files"]
    assert not finding.fine and "cannot be written" in finding.found


def test_doctor_looks_at_every_package_that_is_needed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[\w.-]+", line)[0] for line in project["dependencies"]}
    assert set(doctor.PACKAGES) == needed
    assert project["requires-python"] == ">=" + ".".join(map(str, doctor.OLDEST_PYTHON))


# --- run, report, info -------------------------------------------------------------------------------


def test_run_leaves_a_study_named_as_the_file_and_says_what_it_found(study):
    folder, out, err = study
    assert {"plan.json", "runs", "tables", "log.txt"} <= set(os.listdir(folder))
    assert re.search(r"arm +runs +MSCs a dose +peak H_hot", out)
    assert re.search(r"once +1 of 1 +[\d.]+", out)
    assert re.search(r"once against vehicle .* 1 pairs +too few MSCs in the block", out)
    assert "simulator report tiny" in out
    assert "warning: too few MSCs in the block" in err
    assert "Traceback" not in err and "Warning" not in err


def test_the_same_command_again_keeps_what_is_finished(study, capsys, monkeypatch):
    folder, out, _ = study
    monkeypatch.chdir(folder.parent)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*.h5")}
    assert cli.main(["run", "tiny.yaml", "--workers", "1"]) == cli.DONE
    assert capsys.readouterr().out == out
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/*.h5")} == before


@pytest.mark.parametrize("other", [["--seed", "5"], ["--set", "duration=2 d"]], ids=str)
def test_another_study_in_the_folder_is_refused(study, capsys, monkeypatch, other):
    folder, _, _ = study
    monkeypatch.chdir(folder.parent)
    assert cli.main(["run", "tiny.yaml", *other]) == cli.BAD_INPUT
    err = capsys.readouterr().err
    assert "holds another study" in err and "--force" in err
    assert len(list(folder.glob("runs/*.h5"))) == 2


def test_a_dry_run_writes_nothing(tiny, capsys):
    assert cli.main(["run", "tiny.yaml", "--dry-run", "--replicates", "3", "-o", "there"]) == cli.DONE
    assert "6 runs and 3 burn-ins" in capsys.readouterr().err
    assert os.listdir(tiny) == ["tiny.yaml"]


def test_report_says_where_its_page_is(study, capsys):
    folder, _, _ = study
    assert cli.main(["report", str(folder)]) == cli.DONE
    assert capsys.readouterr().out == f"Report: {folder / 'report.html'}\n"
    assert (folder / "report.html").stat().st_size > 10_000


def test_info_tells_what_a_study_a_run_and_a_burn_in_hold(study, capsys):
    folder, _, _ = study
    run = sorted(folder.glob("runs/*.h5"))[0]
    (burn_in,) = folder.glob("burn_ins/*.ckpt")
    told = {}
    for path in (folder, run, burn_in):
        assert cli.main(["info", str(path)]) == cli.DONE
        told[path] = capsys.readouterr().out
    assert "2 of 2 finished" in told[folder] and "vehicle                 1 of 1" in told[folder]
    assert "records:   5 of 5, day 0 to 1" in told[run] and re.search(r"tumor_cells +\d+ cells", told[run])
    assert "steps:     6 from the seeding" in told[burn_in] and "tumor" in told[burn_in]


# --- how things end ----------------------------------------------------------------------------------


def test_ctrl_c_ends_with_130_and_the_way_on(tiny):
    # A test that runs in the background inherits that Ctrl-C is ignored.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = start("run", "tiny.yaml", "--workers", "1", "--set", "duration=300 d", cwd=tiny, code=heed)
    while process.poll() is None and not (tiny / "tiny" / "plan.json").exists():
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == cli.INTERRUPTED
    assert "stopped; run the same command again to go on" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "error, said",
    [
        (PermissionError(13, "Permission denied", "study"), "Permission denied: study"),
        (ZeroDivisionError("division by zero"), "This is a mistake in the simulator"),
    ],
)
def test_a_failure_that_is_not_the_users_ends_with_1(capsys, monkeypatch, error, said):
    def fail(_):
        raise error

    monkeypatch.setattr("simulator.info.describe", fail)
    assert cli.main(["info", "x"]) == cli.FAILED
    assert said in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error(tiny):
    process = start("explain", "--vocabulary", cwd=tiny)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == cli.FAILED


def test_the_package_runs_as_a_module(tmp_path):
    command = [sys.executable, "-m", "simulator", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert said.returncode == cli.DONE and said.stdout.strip() == cli.__version__
