"""Work that is counted, not timed: the same on any machine, however busy.

Cycles of the field solver, passes over its finest grid, allocations in a step, and bytes a site.  `COUNTS` is
what they are; more than that is a step back, and a test says so.
"""

import math

import fields
import human
import numpy as np
from numba.core.runtime import _nrt_python, rtsys
from rows import row

from simulator.tissue.levels import make_levels
from simulator.tissue.multigrid import solve_grid

# Passes of one array of doubles over the finest grid, read or written, from the loops of `multigrid`.
LOAD, UNLOAD = 8, 2  # c, s, u to c, b, 1/diagonal, which is then turned round; c back
RESIDUAL = 3  # c, b, 1/diagonal; what is restricted is an eighth
CLIMB = 8  # interpolation reads and writes c; two sweeps read c, b and 1/diagonal and write c, in the cache

COUNTS = {"cold cycles": 3, "warm cycles": 2, "allocations a step": 1300, "bytes a site": 48}


def counted(size: int = 36) -> list[dict]:
    """One row a count, with what it may be."""
    cold, warm = _cycles()
    figures = {
        "cold cycles": (cold, f"{field_passes(cold)} array passes over the finest grid"),
        "warm cycles": (warm, f"{field_passes(warm)} array passes over the finest grid"),
        "allocations a step": (
            _allocations(size),
            "by compiled code: arguments and scratch of each call, none for a cell",
        ),
        "bytes a site": (_bytes(64), "every field at two sites a voxel, without the listed cells"),
    }
    return [row(f"counted {name}", value, name.split()[-1] if name.endswith("cycles") else name.split()[0],
                float(COUNTS[name]), note=note) for name, (value, note) in figures.items()]  # fmt: skip


def field_passes(cycles: int) -> int:
    """Passes of one array over the finest grid in a solve of so many cycles."""
    return LOAD + UNLOAD + RESIDUAL + cycles * (RESIDUAL + CLIMB)


def _cycles() -> tuple[int, int]:
    """Multigrid cycles of `field_cold` and `field_warm`."""
    s = fields._ball()
    levels = make_levels(s.shape, (fields.SPACING,) * 3, False)
    c, u = np.zeros_like(s), np.zeros(s.shape)
    how = (fields.DIFFUSION, fields.DECAY, math.inf, levels)
    cold = solve_grid(c, s, u, *how, fields.RESIDUAL)
    solve_grid(c, s, u, *how, 1e-8)
    return cold, solve_grid(c, fields._moved(s), u, *how, fields.RESIDUAL)


def _allocations(size: int) -> int:
    """Allocations of compiled code in a step of a human block; a call with arrays as arguments makes some."""
    simulation = human.simulation(human.experiment(size))
    for _ in range(3):
        simulation.advance()
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats().alloc
        simulation.advance()
        return int(rtsys.get_allocation_stats().alloc - before)
    finally:
        _nrt_python.memsys_disable_stats()


def _bytes(size: int) -> float:
    """Bytes a site of a human block: its state, fields and the solver's work space."""
    block = human.simulation(human.experiment(size)).lesions[0].block
    for f in range(len(block.names.fields)):
        block.solver.solve(f, 1.0)
    state = block.state._asdict()
    listed = len(block.state.agents)
    arrays = [array for array in state.values() if array.shape[:1] != (listed,)]
    arrays += [block.fields.c, block.fields.s, block.fields.u]
    arrays += [array for levels in block.solver._levels.values() for array in levels[:-1]]
    return sum(array.nbytes for array in arrays) / size**3
