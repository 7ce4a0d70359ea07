"""Kernels are compiled and loaded whole, whatever asks the process to stop."""

import os
import signal
import subprocess
import sys

import pytest

from simulator.run import warm


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_kernels_of_a_step_are_loaded(monkeypatch, capfd, number):
    loaded = []

    def act(self, step, inputs) -> None:
        os.kill(os.getpid(), number)
        loaded.append(step)  # a signal that raises would skip it

    monkeypatch.setattr(warm.TissueBlock, "act", act)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            warm.warm()
    finally:
        signal.signal(signal.SIGINT, before)
    assert loaded == [1]
    assert "Stopping after this step; the same signal again stops at once." in capfd.readouterr().err


def test_the_second_compiler_ends_with_the_first(monkeypatch, tmp_path):
    helpers, start = [], subprocess.Popen

    def endless(*_):
        helpers.append(start([sys.executable, "-c", "import time; time.sleep(1e4)"]))
        return helpers[-1]

    def fail(self, step, inputs) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(warm, "_DONE", tmp_path / "complete")
    monkeypatch.setattr(warm.subprocess, "Popen", endless)
    monkeypatch.setattr(warm.TissueBlock, "act", fail)
    told = []
    with pytest.raises(ZeroDivisionError):
        warm.warm(told.append)
    assert told == ["Compiling the kernels, once for this installation: up to a minute ..."]
    assert helpers[0].returncode == -signal.SIGTERM
    assert not (tmp_path / "complete").exists()
