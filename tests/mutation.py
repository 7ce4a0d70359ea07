"""Inputs that nobody would write, by the thousand, each in a child that may crash, hang or swallow memory."""

import os
import random
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from simulator.base.errors import SimulatorError

SECONDS = 20  # of the processor for one input; by the clock, on a busy machine, so many times more:
PATIENCE = 20
MEMORY = 2**30  # bytes beside what the process holds
BATCH = 250  # inputs a child
EXTREMES = [b"\0" * 8, b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\0" * 7 + b"\x80", b"\x01" + b"\0" * 7]


def changed(data: bytes, dice: random.Random, tokens: list[bytes] = EXTREMES) -> bytes:
    """`data` with one to four things wrong with it."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        place, length = dice.randrange(len(out) + 1), dice.choice((1, 2, 8, 64))
        match dice.randrange(7):
            case 0:
                out[place : place + 1] = bytes([dice.randrange(256)])
            case 1 if place < len(out):
                out[place] ^= 1 << dice.randrange(8)
            case 2:
                token = dice.choice(tokens)
                out[place : place + len(token)] = token
            case 3:
                del out[place : place + length]
            case 4:
                out[place:place] = dice.choice(tokens)
            case 5:
                other = dice.randrange(len(out) + 1)
                out[place : place + length] = out[other : other + length]
            case 6 if dice.random() < 0.2:
                del out[place:]
    return bytes(out) if out != data else changed(data, dice, tokens)


def survive(attempt: Callable[[random.Random, Path], None], count: int, seed: int) -> int:
    """Make `count` attempts, each with dice of its own and an empty folder; returns how many were refused.

    An attempt may raise SimulatorError.  Anything else, a crash, a hang or a hunger for memory fails with the
    number of the attempt, which `attempt(random.Random(number), folder)` repeats.
    """
    refused = 0
    for first in range(seed, seed + count, BATCH):
        refused += _batch(attempt, range(first, min(first + BATCH, seed + count)))
    return refused


def _batch(attempt, numbers: range) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = folder / "told"
        child = os.fork()
        if child == 0:
            os._exit(_attempts(attempt, numbers, folder, told))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        lines = told.read_text().splitlines() if told.exists() else []
        assert code == 0, f"attempt {lines[0] if lines else '?'} ended with {code}: " + "\n".join(lines[1:])
        return int(lines[0])


def _attempts(attempt, numbers: range, folder: Path, told: Path) -> int:
    """What the child does; its exit code."""
    sys.stderr = open(os.devnull, "w")
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, MEMORY))
    for ended in (signal.SIGALRM, signal.SIGPROF):  # a hang in C ends as well
        signal.signal(ended, signal.SIG_DFL)
    refused = 0
    for number in numbers:
        told.write_text(str(number))
        own = folder / "own"
        own.mkdir(exist_ok=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(PATIENCE * SECONDS)
        try:
            attempt(random.Random(number), own)
        except SimulatorError as error:
            refused += 1
            if not str(error).strip():
                told.write_text(f"{number}\nan error without a word")
                return 1
        except BaseException:
            told.write_text(f"{number}\n{traceback.format_exc()}")
            return 1
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for path in own.iterdir():
            path.unlink()
    told.write_text(str(refused))
    return 0
