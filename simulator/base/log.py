"""One log for a study: readable on a terminal, plain lines elsewhere, dated lines in a file."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_ROOT = "simulator"


def get_logger(name: str = "") -> logging.Logger:
    """The logger of a part of the simulator; `name` without the package, e.g. 'run.storage'."""
    return logging.getLogger(f"{_ROOT}.{name}" if name else _ROOT)


@cache
def console() -> "Console":
    """The one console on stderr: progress bars and log lines share it, so neither breaks the other."""
    from rich.console import Console  # 0.1 s, and of no use to a worker or to `--help`

    return Console(stderr=True)


def to_console(level: int = logging.INFO) -> None:
    """Show log lines of at least `level` on stderr; called again, it changes the level."""
    root = get_logger()
    root.setLevel(min(level, root.level or level))
    for old in [each for each in root.handlers if each.get_name() == "console"]:
        root.removeHandler(old)  # its stderr may be closed by now
    handler = _rich_handler() if sys.stderr.isatty() else logging.StreamHandler(sys.stderr)
    handler.set_name("console")
    handler.setLevel(level)
    root.addHandler(handler)


def _rich_handler() -> logging.Handler:
    from rich.logging import RichHandler

    return RichHandler(console=console(), show_time=False, show_level=False, show_path=False, markup=False)


@contextmanager
def to_file(path: str | Path, level: int = logging.INFO) -> Iterator[None]:
    """Inside the `with`, also append every line of at least `level`, with its time, to `path`.

    Raises OSError where the file cannot be written.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    handler.setLevel(level)
    root = get_logger()
    root.setLevel(min(level, root.level or level))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
