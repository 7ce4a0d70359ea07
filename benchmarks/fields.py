"""Field solver: a ball of sources at 100³ to its steady state, and again after 1 % of the sources moved.

D = 6000 µm²/min, k = 0.1/min, voxels of 20 µm, relative residual 1e-3, one thread.  The peer is BioFVM
(LOD), which steps to 1 % of the steady total mass in 280 s on the two-core machine.
"""

import math

import numpy as np
from triad import median_seconds, triad_seconds

from simulator.tissue.levels import make_levels
from simulator.tissue.multigrid import solve_grid

N, RADIUS, SPACING = 100, 25, 20.0
DIFFUSION, DECAY = 6000.0 * 60, 0.1 * 60  # µm²/h, 1/h
RESIDUAL = 1e-3
BIOFVM_SECONDS = 280.0


def field_cold() -> dict:
    """From zero to the steady state."""
    s = _ball()
    levels = make_levels(s.shape, (SPACING,) * 3, False)
    c, u = np.zeros_like(s), np.zeros(s.shape)

    def solve():
        c[:] = 0.0
        return solve_grid(c, s, u, DIFFUSION, DECAY, math.inf, levels, RESIDUAL)

    return _result("field_cold", solve, 40.0, BIOFVM_SECONDS)


def field_warm() -> dict:
    """From the steady state of other sources: one voxel's source in a hundred moved anywhere in the ball.

    Lone moved sources are nearly all short waves: one cycle takes 0.02 to 0.006, so two are needed; loading
    and unloading the colors costs as much as half a cycle again.
    """
    before = _ball()
    levels = make_levels(before.shape, (SPACING,) * 3, False)
    steady, u = np.zeros_like(before), np.zeros(before.shape)
    solve_grid(steady, before, u, DIFFUSION, DECAY, math.inf, levels, 1e-8)
    after, c = _moved(before), np.zeros_like(before)

    def solve():
        c[:] = steady
        return solve_grid(c, after, u, DIFFUSION, DECAY, math.inf, levels, RESIDUAL)

    return _result("field_warm", solve, 10.0, None)


def _ball():
    """Unit sources in a ball in the middle."""
    z, y, x = np.ogrid[:N, :N, :N]
    middle = (N - 1) / 2
    return ((z - middle) ** 2 + (y - middle) ** 2 + (x - middle) ** 2 < RADIUS**2).astype(float)


def _moved(s):
    """The sources after one in a hundred moved to another place in the ball."""
    rng = np.random.default_rng(1)
    inside = np.flatnonzero(s)
    leaving = rng.choice(inside, len(inside) // 100, replace=False)
    moved = s.copy()
    moved.flat[leaving] -= 1.0
    np.add.at(moved.ravel(), rng.choice(inside, len(leaving)), 1.0)
    return moved


def _result(name, solve, target, peer):
    """One row of the table: time a voxel in passes of the triad of the same minute."""
    triad = triad_seconds()
    seconds = median_seconds(solve)
    passes = seconds / N**3 / triad
    return {
        "name": name,
        "value": round(passes, 1),
        "unit": "triad passes a voxel",
        "target": target,
        "met": passes <= target,
        "peer": peer and f"BioFVM {peer:g} s",
        "ratio": peer and round(peer / seconds),
        "note": f"{seconds * 1e3:.1f} ms, {solve()} cycles; triad {triad * 1e9:.2f} ns an element",
    }


if __name__ == "__main__":
    for row in (field_cold(), field_warm()):
        print(row)
