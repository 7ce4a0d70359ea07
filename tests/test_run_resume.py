"""A run that was stopped, at whatever instant and however, goes on to the very same bits."""

import logging
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import simulator as sim
from simulator.base import interrupt
from simulator.base.errors import SimulatorError
from simulator.base.schedule import parse
from simulator.run import checkpoint, resume, simulation as runs
from simulator.run.audit import audit
from simulator.run.files import part_path
from simulator.run.resume import Checkpoints, beside, kept, rolling
from simulator.run.simulation import grow, treat

HERE = Path(__file__).parent
EXPERIMENT = """
title: To be stopped
use: [mouse_ct26, msc_cxcl9_ox40l_mouse, anti_pd1_mouse]
block: [{shape: [7, 6, 6]}, {shape: [1, 9, 8], phenotype: inflamed}]
burn_in: 3 h
duration: 20 h
arms:
  late:
    doses: [{drug: msc, time: 5 h, amount: 2e9 cells/kg}, {drug: anti_pd1, time: 11 h, amount: 10 mg/kg}]
record: {series: every 2 h, snapshots: every 7 h, checkpoints: at 20 h, save_every: 0.0001 s}
seed: 4
"""
ARM = ("late", 1, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the experiment, its burn-in and an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "stopped.yaml").write_text(EXPERIMENT)
    experiment = sim.load(folder / "stopped.yaml")
    grow(experiment, *ARM, folder / "grown.ckpt")
    treat(experiment, *ARM, folder / "grown.ckpt", folder / "run.h5")
    return folder


@pytest.fixture(scope="module")
def experiment(folder):
    return sim.load(folder / "stopped.yaml")


def final_state(run: Path) -> dict[str, bytes]:
    """The arrays of a run's last hour, by name."""
    (last,) = kept(run).values()
    return {name: array.tobytes() for name, array in checkpoint.load(last)[0].items()}


def check_same(run: Path, whole: Path) -> None:
    assert sim.read(run).attributes["content"] == sim.read(whole).attributes["content"]
    assert final_state(run) == final_state(whole)
    assert audit(run) == []
    assert rolling(run) == [] and not part_path(run).exists()


class Stopped(Exception):
    pass


def stop_after(monkeypatch, steps: int, error: BaseException) -> None:
    """The simulation ends with `error` after so many steps."""
    left, advance = [steps], runs.Simulation.advance

    def counted(self) -> None:
        if left[0] == 0:
            raise error
        left[0] -= 1
        advance(self)

    monkeypatch.setattr(runs.Simulation, "advance", counted)


def stopped(experiment, folder: Path, out: Path, steps: int) -> None:
    """An unfinished run at `out`."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, steps, Stopped())
        with pytest.raises(Stopped):
            treat(experiment, *ARM, folder / "grown.ckpt", out)


# --- killed ------------------------------------------------------------------------------------------


def kill(tmp_path: Path, kills: int, sent: str) -> None:
    (tmp_path / "stopped.yaml").write_text(EXPERIMENT)
    command = [sys.executable, str(HERE / "run_kills.py"), str(tmp_path), str(tmp_path / "stopped.yaml")]
    seed = time.time_ns() % 10**6
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(
        [*command, str(kills), sent, str(seed)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, (seed, done.stdout + done.stderr)
    count, number = map(int, done.stdout.split())
    assert count >= kills
    for name in range(number):
        check_same(tmp_path / f"{name}.h5", tmp_path / "whole.h5")
        grown = [checkpoint.load(tmp_path / f"grown{n}.ckpt")[0] for n in ("", name)]
        assert all((grown[0][key] == grown[1][key]).all() for key in grown[0])


def test_a_run_stopped_at_random_instants_ends_in_the_same_bits(tmp_path):
    kill(tmp_path, 4, "SIGKILL,SIGKILL,SIGTERM")


@pytest.mark.slow
@pytest.mark.parametrize("sent", ["SIGKILL", "SIGTERM,SIGINT"])
def test_a_run_stopped_a_hundred_times_ends_in_the_same_bits(tmp_path, sent):
    kill(tmp_path, 100, sent)


# --- which checkpoint --------------------------------------------------------------------------------


def test_the_two_newest_are_kept_and_gone_in_the_end(experiment, folder, tmp_path, caplog):
    stopped(experiment, folder, tmp_path / "run.h5", 9)
    assert [path.name for path in beside(tmp_path / "run.h5")] != []
    names = sorted(path.name for path in rolling(tmp_path / "run.h5"))
    assert names == ["run.hour-8.ckpt", "run.hour-9.ckpt"]
    with caplog.at_level(logging.INFO, "simulator"):
        treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    assert "run.h5 goes on from step 12 (run.hour-9.ckpt)" in caplog.text
    check_same(tmp_path / "run.h5", folder / "run.h5")


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def of_another_run(path: Path) -> None:
    arrays, facts = checkpoint.load(path)
    checkpoint.save(path, arrays, facts | {"of": "somebody else"})


def of_other_sources(path: Path) -> None:
    arrays, facts = checkpoint.load(path)
    checkpoint.save(path, arrays, facts | {"sources": "0123"})


def ahead_of_its_rows(path: Path) -> None:
    arrays, facts = checkpoint.load(path)
    checkpoint.save(path, arrays, facts | {"rows": [9, 3, 0]})


@pytest.mark.parametrize(("spoil", "told"), [
    (torn, "is torn"),
    (changed, "is damaged"),
    (of_another_run, "is of another run: somebody else, not run"),
    (of_other_sources, "is of other sources: 0123"),
    (ahead_of_its_rows, "fewer than"),
])  # fmt: skip
def test_a_bad_checkpoint_is_refused_with_a_reason_and_the_older_used(
    experiment, folder, tmp_path, caplog, spoil, told
):
    stopped(experiment, folder, tmp_path / "run.h5", 9)
    spoil(tmp_path / "run.hour-9.ckpt")
    with caplog.at_level(logging.INFO, "simulator"):
        treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    assert told in caplog.text and "goes on from step 11 (run.hour-8.ckpt)" in caplog.text
    check_same(tmp_path / "run.h5", folder / "run.h5")


def test_without_a_sound_checkpoint_or_rows_a_run_begins_anew(experiment, folder, tmp_path, caplog):
    stopped(experiment, folder, tmp_path / "run.h5", 9)
    part_path(tmp_path / "run.h5").unlink()
    treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    assert caplog.text.count("There is no run file") == 2
    check_same(tmp_path / "run.h5", folder / "run.h5")


def test_the_clock_of_the_files_is_no_matter(experiment, folder, tmp_path, caplog):
    """The newest is the one of the latest simulated hour, whatever the clock did."""
    stopped(experiment, folder, tmp_path / "run.h5", 9)
    os.utime(tmp_path / "run.hour-8.ckpt", (4e9, 4e9))
    with caplog.at_level(logging.INFO, "simulator"):
        treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    assert "(run.hour-9.ckpt)" in caplog.text


# --- asked to stop -----------------------------------------------------------------------------------


def test_a_signal_stops_between_two_steps_with_a_checkpoint_of_the_last(
    experiment, folder, tmp_path, monkeypatch
):
    lazy = experiment.with_overrides(["record.save_every=1 d"])
    advance, steps = runs.Simulation.advance, []

    def advance_and_ask(self) -> None:
        advance(self)
        steps.append(self.steps)
        if len(steps) == 6:
            os.kill(os.getpid(), 15)

    monkeypatch.setattr(runs.Simulation, "advance", advance_and_ask)
    with pytest.raises(KeyboardInterrupt), interrupt.heeded():
        treat(lazy, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    assert [path.name for path in rolling(tmp_path / "run.h5")] == ["run.hour-6.ckpt"]
    assert len(steps) == 6
    monkeypatch.undo()
    treat(lazy, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    check_same(tmp_path / "run.h5", folder / "run.h5")


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_during_a_checkpoint_leaves_sound_ones(experiment, folder, tmp_path, monkeypatch, times):
    """One signal waits for it, a second one does not."""
    write, dice = checkpoint._write, random.Random(time.time_ns())
    when, written = dice.randrange(2, 9), []

    def write_and_ask(path, *given) -> None:
        written.append(path)
        for _ in range(times if len(written) == when else 0):
            os.kill(os.getpid(), 15)
        write(path, *given)

    monkeypatch.setattr(checkpoint, "_write", write_and_ask)
    with pytest.raises(KeyboardInterrupt), interrupt.heeded():
        treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    monkeypatch.undo()
    assert len(written) == when
    assert f"run.hour-{when - (times == 2)}.ckpt" in os.listdir(tmp_path)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".new")]
    treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    check_same(tmp_path / "run.h5", folder / "run.h5")


# --- when it is saved --------------------------------------------------------------------------------


class Clock:
    """Seconds that pass as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeSimulation:
    """Takes `step_s` a step and `save_s` to be saved; its state has `size` bytes."""

    zero, dt = 0, 1.0

    def __init__(self, clock: Clock, step_s: float, save_s: float, size: int):
        self.clock, self.step_s, self.save_s = clock, step_s, save_s
        self.state, self.steps, self.saved = np.broadcast_to(np.uint8(0), size), 0, []

    @property
    def hours(self) -> float:
        return self.steps * self.dt

    def arrays(self) -> dict[str, np.ndarray]:
        return {"state": self.state}

    def advance(self) -> None:
        self.clock.now += self.step_s
        self.steps += 1

    def save(self, path: Path, **facts) -> None:
        self.clock.now += self.save_s
        self.saved.append(self.steps)


@pytest.mark.parametrize("step_s", [0.01, 7.0, 500.0])
@pytest.mark.parametrize(("save_s", "size"), [(0.1, 10**6), (40.0, 2 * 10**9), (0.5, 10**9)])
def test_saving_takes_two_percent_of_the_time_at_most(tmp_path, step_s, save_s, size):
    clock = Clock()
    fake = FakeSimulation(clock, step_s, save_s, size)
    keeper = Checkpoints(tmp_path / "run.h5", clock=clock)
    while clock.now < 20_000.0 and fake.steps < 200_000:
        fake.advance()
        keeper.keep(fake)
    assert fake.saved or clock.now < save_s / 0.02 + step_s + 60.0
    assert len(fake.saved) * save_s <= 0.02 * clock.now
    wait = max(60.0, save_s / 0.02, size / 50e6 / 0.02)
    assert len(fake.saved) >= clock.now / (wait + save_s + step_s) - 1


def test_a_declared_interval_of_wall_time_is_kept(tmp_path):
    clock = Clock()
    fake = FakeSimulation(clock, 10.0, 0.0, 10)
    keeper = Checkpoints(tmp_path / "run.h5", save_every=0.1, clock=clock)
    for _ in range(144):
        fake.advance()
        keeper.keep(fake)
    assert fake.saved == [36, 72, 108, 144]


def test_a_clock_that_jumps_changes_nothing(experiment, folder, tmp_path, monkeypatch):
    """Only `started`, a text, comes from the clock of the day."""
    dice = random.Random(3)
    monkeypatch.setattr(time, "time", lambda: dice.uniform(0, 4e9))
    treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    check_same(tmp_path / "run.h5", folder / "run.h5")
    clock = Checkpoints.__init__.__kwdefaults__ or Checkpoints.__init__.__defaults__
    assert time.monotonic in (clock.values() if isinstance(clock, dict) else clock)


def test_days_that_stay_are_saved_by_the_simulated_clock(experiment, folder, tmp_path):
    often = experiment.with_overrides(["record.checkpoints=every 8 h"])
    treat(often, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    assert list(kept(tmp_path / "run.h5")) == pytest.approx([8 / 24, 16 / 24], abs=1e-5)
    assert often.digest(*ARM) == experiment.digest(*ARM)
    assert str(parse("every 8 h")) == str(often.record.checkpoints)


def test_a_checkpoint_that_cannot_be_written_is_no_end_of_a_run(
    experiment, folder, tmp_path, monkeypatch, caplog
):
    def refuse(*_) -> None:
        raise SimulatorError("Cannot write the checkpoint: No space left on device")

    monkeypatch.setattr(resume, "SHORTEST_S", 0.0)
    monkeypatch.setattr(checkpoint, "save", refuse)
    treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    assert "No space left" in caplog.text
    assert (
        sim.read(tmp_path / "run.h5").attributes["content"]
        == (sim.read(folder / "run.h5").attributes["content"])
    )


def test_a_burn_in_goes_on_too(experiment, folder, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2, Stopped())
        with pytest.raises(Stopped):
            grow(experiment, *ARM, tmp_path / "grown.ckpt")
    assert len(rolling(tmp_path / "grown.ckpt")) == 2
    grow(experiment, *ARM, tmp_path / "grown.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["grown.ckpt"]
    whole, again = (checkpoint.load(path / "grown.ckpt")[0] for path in (folder, tmp_path))
    assert all(whole[name].tobytes() == again[name].tobytes() for name in whole)


def test_a_copied_run_takes_its_name_from_its_file(folder, tmp_path):
    """Checkpoints belong to the name they stand beside."""
    shutil.copy(folder / "run.h5", tmp_path / "other.h5")
    assert beside(tmp_path / "other.h5") == []
