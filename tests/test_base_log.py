"""The log: plain lines off a terminal, dated lines in a file, nothing twice."""

import logging
import subprocess
import sys

import pytest

from simulator.base import log


@pytest.fixture(autouse=True)
def fresh():
    """Give the package's logger back as it was."""
    root = log.get_logger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    root.manager._clear_cache()


def test_console_lines_are_plain_and_shown_once(capsys):
    log.to_console()
    log.to_console()
    log.get_logger("run.storage").info("12 runs [done] at 50 %%")
    log.get_logger("run.storage").debug("not shown")
    assert capsys.readouterr().err == "12 runs [done] at 50 %%\n"


def test_a_file_holds_dated_lines_and_is_appended_to(tmp_path):
    path = tmp_path / "log.txt"
    for text in ("first", "second"):
        with log.to_file(path):
            log.get_logger("run").warning(text)
    log.get_logger("run").error("after the study")
    lines = path.read_text().splitlines()
    assert [line.split()[2:] for line in lines] == [["WARNING", "first"], ["WARNING", "second"]]


def test_a_file_may_hold_more_than_the_console(tmp_path, capsys):
    log.to_console(logging.WARNING)
    with log.to_file(tmp_path / "log.txt"):
        log.get_logger("run").info("detail")
    assert capsys.readouterr().err == ""
    assert "detail" in (tmp_path / "log.txt").read_text()


def test_a_file_that_cannot_be_written_is_said_at_once(tmp_path):
    with pytest.raises(OSError), log.to_file(tmp_path / "absent" / "log.txt"):
        pass


def test_a_warning_reaches_a_user_who_set_up_nothing():
    code = "from simulator.base import log; log.get_logger('x').warning('too few MSCs')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "too few MSCs\n"
