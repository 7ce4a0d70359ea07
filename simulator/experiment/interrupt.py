"""Ctrl-C and SIGTERM, heeded even where a library swallows the exception.

An exception that a signal raises inside a callback from C (a compiler's object cache, a file driver) is
printed and lost.  So the signal is noted as well, and whoever waits or reports asks for the note.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_asked = threading.Event()


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
        _asked.set()
        raise KeyboardInterrupt

    heard = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        heard.append(signal.SIGINT)
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
        check()
    finally:
        _asked.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
