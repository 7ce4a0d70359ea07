"""What disks, other processes and crowds do to a study: one clear error, and nothing lost."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from experiment_fakes import FakeExperiment, write_run
from test_run_resume import EXPERIMENT, check_same

from simulator.experiment.collect import collect
from simulator.experiment.plan import plan
from simulator.experiment.study import Study
from simulator.run.files import replace_attribute
from simulator.run.resume import rolling

ROOT = Path(__file__).parent.parent
STUDY = """
title: Crowded
use: [mouse_ct26]
block: {shape: [6, 6, 6]}
burn_in: 2 h
duration: {duration}
arms: {{none: {{}}}}
record: {{series: every 6 h, snapshots: never}}
""".replace("{shape: [6, 6, 6]}", "{{shape: [6, 6, 6]}}")


def simulator(*arguments: str, cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


# --- the disk ----------------------------------------------------------------------------------------

FULL = """
import os, resource, sys
from pathlib import Path
import simulator as sim
from simulator.base.errors import SimulatorError
from simulator.run import files
from simulator.run.simulation import grow, treat

folder, hard = Path(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
experiment = sim.load(folder / "stopped.yaml")
who = (experiment, "late", 1, 1)
real_scrap = files._scrap

def scrap():  # the limit stands for this disk, not for memory
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    return real_scrap()

files._scrap = scrap
grow(*who, folder / "grown.ckpt")
treat(*who, folder / "grown.ckpt", folder / "whole.h5")
size = (folder / "whole.h5").stat().st_size
for number, share in enumerate((0.3, 0.97, 0.985, 0.995)):
    out = folder / f"{number}.h5"
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), hard))
        try:
            treat(*who, folder / "grown.ckpt", out)
        except SimulatorError as error:
            assert f"{out.name}: File too large" in str(error), error
            os._exit(3)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3, share
    assert not out.exists()
    treat(*who, folder / "grown.ckpt", out)  # there is room again
"""


def test_a_run_on_a_full_disk_stops_with_one_error_and_goes_on_when_there_is_room(tmp_path):
    (tmp_path / "stopped.yaml").write_text(EXPERIMENT)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    for number in range(4):
        check_same(tmp_path / f"{number}.h5", tmp_path / "whole.h5")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_one_error(tmp_path):
    (tmp_path / "x.yaml").write_text(STUDY.format(duration="1 d"))
    (tmp_path / "locked").mkdir(mode=0o555)
    process = simulator("run", "x.yaml", "-o", "locked/study", "--workers", "1", cwd=tmp_path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "Permission denied" in err and "Traceback" not in err
    assert list((tmp_path / "locked").iterdir()) == []


def test_a_device_that_takes_no_file_is_one_error(tmp_path):
    """Also for root: /proc is a folder in which nobody can write."""
    (tmp_path / "x.yaml").write_text(STUDY.format(duration="1 d"))
    process = simulator("run", "x.yaml", "-o", "/proc/study", "--workers", "1", cwd=tmp_path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "cannot be written" in err and "Traceback" not in err


# --- other processes ---------------------------------------------------------------------------------


def test_of_two_processes_on_one_folder_the_second_says_who_holds_it(tmp_path):
    """And after the first was told to stop, the folder is free and its run goes on."""
    (tmp_path / "x.yaml").write_text(STUDY.format(duration="3000 d"))
    first = simulator("run", "x.yaml", "-o", "study", "--workers", "1", cwd=tmp_path)
    try:
        until = time.monotonic() + 300
        while not list(tmp_path.glob("study/runs/*.part")) and time.monotonic() < until:
            assert first.poll() is None, first.stderr.read()
            time.sleep(0.05)
        second = simulator("run", "x.yaml", "-o", "study", "--workers", "1", cwd=tmp_path)
        _, err = second.communicate(timeout=300)
        assert second.returncode == 2
        assert f"is being written by process {first.pid}" in err
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=300) == 130
    finally:
        first.kill()
        first.communicate()
    (part,) = tmp_path.glob("study/runs/*.part")
    (saved,) = rolling(part.with_suffix(""))
    hour = int(re.search(r"hour-(\d+)", saved.name)[1])
    third = simulator("run", "x.yaml", "-o", "study", "--workers", "1", cwd=tmp_path)
    try:
        until = time.monotonic() + 300
        while f"goes on from step {hour + 2}" not in (tmp_path / "study/log.txt").read_text():
            assert third.poll() is None and time.monotonic() < until
            time.sleep(0.05)
    finally:
        third.kill()
        third.communicate()


# --- crowds ------------------------------------------------------------------------------------------


@pytest.fixture
def few_files():
    """Hardly any file may be open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("patients", [30, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_study_merges_without_opening_all_its_runs_at_once(tmp_path, few_files, patients):
    """Two arms a patient: ten thousand runs in the long test."""
    experiment = FakeExperiment(patients=patients)
    study, planned = Study(tmp_path / "study"), plan(experiment)
    study.prepare(planned)
    first = planned.runs[0]
    write_run(experiment, first.arm, first.patient, first.replicate, study.run_file(first.digest))
    for run in planned.runs[1:]:
        shutil.copy(study.run_file(first.digest), study.run_file(run.digest))
        with h5py.File(study.run_file(run.digest), "r+") as file:
            replace_attribute(file, "digest", run.digest)
    results = collect(study.path)
    assert len(results.runs) == 2 * patients
    assert results.runs["complete"].all()
    assert json.loads((study.path / "plan.json").read_text())["patients"] == patients


def test_a_reader_that_keeps_a_run_open_is_no_hindrance(tmp_path):
    """Somebody looks at the unfinished file all the while, and copies it."""
    import run_fakes as fakes

    writer = fakes.writer(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5.part", "r", swmr=True) as held:
        for count in fakes.fill(writer):
            shutil.copy(tmp_path / "run.h5.part", tmp_path / "copy.h5")
            held["series/cd8"].refresh()
            held["done/series"].refresh()
            assert held["done/series"][()] == count.series
            assert held["series/cd8"][count.series - 1] == count.series - 1
        writer.close(complete=True)
    assert fakes.content(tmp_path / "run.h5") == fakes.content(fakes.write(tmp_path / "whole.h5"))
