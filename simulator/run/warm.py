"""Compile every kernel once per installation, by a few cells that do a little of everything."""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from zlib import crc32

import numpy as np

from ..base import interrupt
from ..base.kernel import CACHE_DIR, is_compiled
from ..base.rng import make_dice
from ..config.schema import Lesion, Step
from ..tissue.inputs import Inflow, Inputs, Placing
from ..tissue.step import Block as TissueBlock

# Stands where every kernel has been compiled, from the place where this package lies: numba looks by place.
_DONE = CACHE_DIR / f"complete-{crc32(str(Path(__file__).parent).encode()):08x}"


def warm(say: Callable[[str], None] | None = None) -> float:
    """Compile the kernels, or load them from the cache; returns the seconds it took.

    say : told once where compilation is due, since that takes up to a minute.  A second process compiles the
    field solver meanwhile.

    Raises KeyboardInterrupt between two steps where a signal asks for it: one that fell into a kernel that is
    being loaded has ended the process with a segmentation fault.
    """
    start = time.perf_counter()
    with interrupt.heeded(), interrupt.deferred(), ExitStack() as stack:
        helper = None
        if is_compiled() and not _DONE.exists():
            if say is not None:
                say("Compiling the kernels, once for this installation: up to a minute ...")
            helper = stack.enter_context(_helper())
        for mode in ("tissue", "nodule"):
            block = _block(mode)
            block.read(Inputs())
            for step in range(1, 4):
                interrupt.check()
                block.act(step, Inputs(inflow=_inflow()))
        if helper is not None:
            helper.wait()
        for step in range(1, 3):
            interrupt.check()
            block.advance(step, Inputs(inflow=_inflow()))
    if is_compiled():
        with suppress(OSError):  # a cache that cannot be written compiles anew each time, and says so
            _DONE.touch()
    return time.perf_counter() - start


@contextmanager
def _helper() -> Iterator[subprocess.Popen]:
    """A process that compiles the field solver; it ends with the `with`."""
    code = "from simulator.run.warm import warm_fields; warm_fields()"
    with interrupt.shielded():  # the parent alone shall act on Ctrl-C
        helper = subprocess.Popen([sys.executable, "-c", code])
    with helper:
        try:
            yield helper
        finally:
            helper.terminate()


def warm_fields() -> None:
    """Compile what gathers sources, solves fields and senses them."""
    block = _block("tissue")
    block.read(Inputs())
    block.solve_fields(1)
    block.respond(1)


def _block(mode: str) -> TissueBlock:
    return TissueBlock(_lesion(mode, (6, 6, 6)), Step(), make_dice(1, 1, 1), ["drug"])


def _inflow() -> Inflow:
    """Enough cells that some arrive, and two that are placed."""
    placed = (None, Placing(2.0, 0.0, math.inf))
    return Inflow(np.array([1e9, 0.0]), np.array([1, 2]), ("msc", "cd8"), ({}, {}), placed)


def _lesion(mode: str, shape: tuple[int, int, int]) -> Lesion:
    """A tiny lesion in which every phase of a step finds something to do."""
    often = {"base": 0.5}
    wall = {"layer": "bulk", "compartment": "stroma"}
    tumor = {
        "divide": often,
        "die": often | {"leaves": "debris"},
        "take_up o2": often,
        "express mhc1": {"base": 1.0, "rise": "1 /d", "fall": "1 /d"},
    }
    effector = {
        "migrate": {"base": 10.0, "toward": "o2", "bias": 0.4, "half_max": 1.0},
        "admit": {"base": 1e4},
        "kill": {
            "base": 2.0,
            "targets": "tumor",
            "on": ["mhc1"],
            "hits": 2,
            "repair": "50 min",
            "arrest": "30 min",
        },
        "divide": often | {"uses": "left"},
        "die": often,
    }
    return Lesion.model_validate(
        {
            "block": {"mode": mode, "shape": shape, "cells": 20 if mode == "nodule" else None},
            "tissue": {"infiltrate": {"cd8": {"nest": "500 cells/mm2", "stroma": "500 cells/mm2"}}},
            "cells": {
                "tumor": {"layer": "bulk", "traits": {"mhc1": 1.0}, "behaviors": tumor},
                "cd8": {"layer": "lymphoid", "traits": {"left": 9.0}, "behaviors": effector},
                "nk": {"layer": "lymphoid", "behaviors": {"admit": {"base": 1e4, "anywhere": True}}},
                "debris": {"layer": "bulk", "behaviors": {"clear": often}},
                "msc": {"layer": "bulk", "tracked": True, "behaviors": {"die": often, "secrete o2": often}},
                "vessel": wall | {"behaviors": {"exchange o2": {"base": 9.0, "level": 38.0}}},
                "stroma": wall,
            },
            "fields": {
                "o2": {"unit": "mmHg", "diffusion": "1e5 um2/min", "decay": "0.1 /min", "start": 20.0}
            },
        }
    )
