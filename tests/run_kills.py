"""A run that is ended at random instants, again and again, until it is done; a program for `test_run_resume`.

    python run_kills.py FOLDER EXPERIMENT KILLS SIGNALS SEED

Kernels are loaded once; every attempt is a child of its own.  Prints how many attempts were ended.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import simulator as sim
from simulator.base import interrupt
from simulator.run.simulation import grow, treat


def attempt(experiment, folder: Path, name: str) -> None:
    """Grow and treat, whatever of it is still missing."""
    start, out = folder / f"grown{name}.ckpt", folder / f"{name}.h5"
    try:
        with interrupt.heeded():
            if not start.exists():
                grow(experiment, "late", 1, 1, start)
            treat(experiment, "late", 1, 1, start, out)
    except KeyboardInterrupt:
        os._exit(130)
    os._exit(0)


def ended(experiment, folder: Path, name: str, sent: int, wait: float) -> bool:
    """Whether an attempt was still going after `wait` seconds, and was ended then."""
    child = os.fork()
    if child == 0:
        attempt(experiment, folder, name)
    until = time.monotonic() + wait
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(child, sent)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -sent, 130), code
    return code != 0


def main(folder: Path, file: str, kills: int, signals: list[int], seed: int) -> None:
    experiment, dice = sim.load(file), random.Random(seed)
    for whole in ("compiling.h5", "whole.h5"):  # the second time tells how long a run takes
        (folder / "grown.ckpt").unlink(missing_ok=True)
        begin = time.monotonic()
        grow(experiment, "late", 1, 1, folder / "grown.ckpt")
        treat(experiment, "late", 1, 1, folder / "grown.ckpt", folder / whole)
    longest = 1.2 * (time.monotonic() - begin)
    count = number = 0
    while count < kills:
        name = str(number)
        while not (folder / f"{name}.h5").exists():
            count += ended(experiment, folder, name, dice.choice(signals), dice.uniform(0.0, longest))
        number += 1
    print(count, number)


if __name__ == "__main__":
    path, given, number, names, start = sys.argv[1:]
    main(Path(path), given, int(number), [signal.Signals[name] for name in names.split(",")], int(start))
