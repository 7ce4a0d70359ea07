"""Ctrl-C and SIGTERM, heeded even where a library swallows the exception.

An exception that a signal raises inside a callback from C (a compiler's object cache, a file driver) is
printed and lost.  So the signal is noted as well, whoever waits or reports asks for the note, and no
trace is printed.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_asked = threading.Event()
_patient = 0  # how many callers are inside `deferred`


def asked() -> bool:
    """True where a signal wants this process to stop."""
    return _asked.is_set()


def check() -> None:
    """Raise the KeyboardInterrupt that a signal asked for."""
    if _asked.is_set():
        raise KeyboardInterrupt


@contextmanager
def heeded() -> Iterator[None]:
    """Inside the `with`, SIGTERM acts like Ctrl-C and neither is lost; only the main thread can do that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_) -> None:
        again = _asked.is_set()
        _asked.set()
        if again or not _patient:
            raise KeyboardInterrupt
        with suppress(OSError):  # nobody may be listening any more
            os.write(2, b"\nStopping after this step; the same signal again stops at once.\n")

    heard = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        heard.append(signal.SIGINT)

    def say_lost(lost: "sys.UnraisableHookArgs") -> None:
        if lost.exc_type is not KeyboardInterrupt:
            saying(lost)

    before = {number: signal.signal(number, interrupt) for number in heard}
    saying, sys.unraisablehook = sys.unraisablehook, say_lost
    try:
        yield
        check()
    finally:
        _asked.clear()
        sys.unraisablehook = saying
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Inside the `with`, a first signal is only noted, for a caller that asks between its steps.

    A second one interrupts at once.
    """
    global _patient
    _patient += 1
    try:
        yield
    finally:
        _patient -= 1


@contextmanager
def shielded() -> Iterator[None]:
    """Inside the `with`, processes and threads are born deaf to Ctrl-C, for good; this thread hears it after.

    Ctrl-C reaches every process of a terminal's group, also one that still imports its modules.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
