"""Signals that Python loses are noted, and not printed as errors that nobody made."""

import sys

import pytest

from simulator.base import interrupt


class Last:
    """Raises while it is being freed, where nobody can catch."""

    def __init__(self, error: BaseException):
        self.error = error

    def __del__(self):
        raise self.error


def test_an_interrupt_that_falls_into_a_callback_is_not_printed_and_errors_are(monkeypatch):
    told: list[type] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(lost.exc_type))
    with interrupt.heeded():
        Last(KeyboardInterrupt())
        Last(ValueError())
    assert told == [ValueError]
    Last(KeyboardInterrupt())
    assert told == [ValueError, KeyboardInterrupt]


def test_the_hook_is_given_back_after_an_error():
    before = sys.unraisablehook
    with pytest.raises(ZeroDivisionError), interrupt.heeded():
        raise ZeroDivisionError
    assert sys.unraisablehook is before
