"""Multigrid for diffusion with loss:  (1/dt + k + u(x)) c − D ∇²c = s + c_old/dt.

A cycle restricts the residual (mean over the children), solves for the correction one level coarser by two
V cycles, adds it by trilinear interpolation and smooths by two red–black sweeps, the first over-relaxed.
Without smoothing before the restriction, one residual serves both the stop test and the cycle.
Trottenberg, Oosterlee & Schüller, Multigrid (2001); over-relaxed red–black sweeps: Yavneh, SIAM J. Sci.
Comput. 17:180 (1996).
"""

import math

import numpy as np

from ..base.errors import InputError, SimulatorError
from ..base.kernel import kernel
from ..base.threads import get_threads, over_slabs
from .colors import join, load, row_total, split, unload
from .levels import Levels, edge, edge_count, even_part, inflow, row, row_inflow, stencil, straight_row

TOLERANCE = 1e-4  # residual allowed, as a share of the sources: bounds the mass law
CARRIED = 1e-3  # what the old content counts beside the sources in that bound
MAX_CYCLES = 100
OMEGA = 1.3  # over-relaxation of the first sweep; measured ÷ 20 a cycle, with 1 ÷ 8
THREADED = 60_000  # voxels of a level from which cutting it into slabs pays

# What is known of the residual of a level.
WHOLE = 0
HALF = 1  # the second color was relaxed last, by omega = 1, and has none
RAW = 2  # the solution is zero, so the residual is the right-hand side


def solve_grid(
    c, s, u, diffusion, decay, dt_h, levels: Levels, tolerance: float = TOLERANCE, alone: bool = True
) -> int:
    """Advance c by an implicit step of dt_h hours (math.inf: to the steady state); returns the cycles used.

    c, s, u : f8[nz, ny, nx] concentration, source ≥ 0 [unit/h] and uptake ≥ 0 [1/h]; diffusion [µm²/h];
    decay [1/h].  Stops at Σ|residual| ≤ tolerance · Σ s, or · 1e-3 Σ c_old/dt where that is more.
    alone : False where other threads solve other fields meanwhile.  c stays ≥ 0.  InputError: no steady
    state; SimulatorError: no convergence.
    """
    rate = 0.0 if math.isinf(dt_h) else 1.0 / dt_h
    if rate == 0.0 and decay == 0.0 and not u.any():
        raise InputError("a field without any loss has no steady state", "Give it a decay, or a finite step.")
    solve = _solve_over_slabs if alone and get_threads() > 1 and _is_large(levels, 0) else _solve
    cycles, residual, bound = solve(levels, c, s, u, diffusion, decay, rate, tolerance)
    if not math.isfinite(bound):
        raise SimulatorError("a field has sources or concentrations that are no finite numbers")
    if cycles == MAX_CYCLES:
        raise SimulatorError(
            f"a field of {c.shape} voxels did not converge: residual {residual:.3g}, allowed {bound:.3g} "
            f"after {MAX_CYCLES} cycles"
        )
    return cycles


@kernel
def _solve(g, c, s, u, diffusion, decay, rate, tolerance):
    """Advance c in one call; returns (cycles used, residual left, residual allowed: none is not finite)."""
    zero, nz = np.int64(0), g.grid[0].nz  # a literal 0 would compile every kernel once more
    load(g, zero, c, s, u, decay, rate, zero, nz)
    content = row_total(g.sums[1])
    bound = _allowed(row_total(g.sums[0]), content, rate, tolerance)
    if bound == 0.0:
        c[:] = 0.0
    if not (0.0 < bound < math.inf):
        return 0, 0.0, bound
    for level in range(len(g.grid) - 1):
        _invert(g, level, diffusion, zero, g.grid[level + 1].nz)
    _invert_coarsest(g)
    known, after = _known(g, content)
    residual = 0.0
    for cycle in range(MAX_CYCLES):
        _restrict_planes(g, zero, diffusion, known, zero, g.grid[1].nz, g.rows)
        residual = row_total(g.sums[0, : g.grid[1].nz])
        if residual <= bound:
            if cycle > 0:
                unload(g, zero, c, zero, nz)
            return cycle, residual, bound
        _cycle(g, 1, diffusion, RAW)
        _cycle(g, 1, diffusion, after)
        _climb(g, zero, diffusion)
        known = after
    return MAX_CYCLES, residual, bound


def _solve_over_slabs(g, c, s, u, diffusion, decay, rate, tolerance):
    """What `_solve` does, with the large levels cut into slabs."""
    _slabs(load, g, 0, g.grid[0].nz, c, s, u, decay, rate)
    content = row_total(g.sums[1])
    bound = _allowed(row_total(g.sums[0]), content, rate, tolerance)
    if bound == 0.0:
        c[:] = 0.0
    if not 0.0 < bound < math.inf:
        return 0, 0.0, bound
    for level in range(len(g.grid) - 1):
        _slabs(_invert, g, level, g.grid[level + 1].nz, diffusion)
    _invert_coarsest(g)
    known, after = _known(g, content)
    residual = 0.0
    for cycle in range(MAX_CYCLES):
        _slabs(_restrict, g, 0, g.grid[1].nz, diffusion, known)
        residual = row_total(g.sums[0, : g.grid[1].nz])
        if residual <= bound:
            if cycle > 0:
                _slabs(unload, g, 0, g.grid[0].nz, c)
            return cycle, residual, bound
        _cycle_over_slabs(g, 1, diffusion, RAW)
        _cycle_over_slabs(g, 1, diffusion, after)
        _climb_over_slabs(g, 0, diffusion)
        known = after
    return MAX_CYCLES, residual, bound


@kernel
def _allowed(sources, content, rate, tolerance):
    """The residual at which to stop."""
    return tolerance * max(sources, CARRIED * rate * content) + 0.0 * (sources + content)


@kernel
def _known(g, content):
    """What is known of the finest residual: at first, and after a cycle."""
    after = WHOLE if g.periodic == 1 else HALF  # an odd periodic length has neighbors of one color
    return WHOLE if content > 0.0 else RAW, after


@kernel
def _invert_coarsest(g):
    """The one voxel of the coarsest level has no neighbors."""
    g.inverse[g.grid[-1].start] = 1.0 / g.inverse[g.grid[-1].start]


def _is_large(levels, level):
    """Whether a level is worth cutting into slabs."""
    grid = levels.grid[level]
    return not levels.periodic and grid.nz * grid.ny * grid.nx >= THREADED


def _slabs(function, levels, level, length, *args):
    """Call a kernel over the planes of a level, in threads if the level is large."""
    planes = int(length)
    if _is_large(levels, level):
        over_slabs(function, planes, levels, level, *args)
    else:
        function(levels, level, *args, 0, planes)


def _cycle_over_slabs(levels, level, diffusion, known):
    """What `_cycle` does, with the large levels cut into slabs."""
    if not _is_large(levels, level):
        _cycle(levels, level, diffusion, known)
        return
    _slabs(_restrict, levels, level, levels.grid[level + 1].nz, diffusion, known)
    _cycle_over_slabs(levels, level + 1, diffusion, RAW)
    _climb_over_slabs(levels, level, diffusion)


def _climb_over_slabs(levels, level, diffusion):
    """What `_climb` does, cut into slabs."""
    _slabs(_straighten, levels, level + 1, levels.grid[level + 1].nz)
    _slabs(_interpolate, levels, level, levels.grid[level].nz)
    for omega in (OMEGA, 1.0):
        for color in range(2):
            _slabs(_relax, levels, level, levels.grid[level].nz, diffusion, color, omega)


@kernel
def _cycle(g, top, diffusion, known):
    """Improve the correction on level `top` by one V cycle over it and all coarser levels."""
    bottom = len(g.grid) - 1
    zero = np.int64(0)  # a literal 0 would compile every kernel once more
    for level in range(top, bottom):
        _restrict_planes(
            g, level, diffusion, known if level == top else RAW, zero, g.grid[level + 1].nz, g.rows
        )
    g.c[g.grid[bottom].start] = g.inverse[g.grid[bottom].start] * g.b[g.grid[bottom].start]
    for level in range(bottom - 1, top - 1, -1):
        _climb(g, level, diffusion)


@kernel
def _climb(g, level, diffusion):
    """Add the correction found one level coarser, interpolated, and smooth by two sweeps of both colors.

    Between closed walls all five passes follow each other plane by plane, each one plane behind, while the
    planes are in the cache: a color needs of the planes around it only what the pass before left there.
    """
    zero, nz = np.int64(0), g.grid[level].nz
    _straighten(g, level + 1, zero, g.grid[level + 1].nz)
    lag = nz if g.periodic == 1 else 1  # across a periodic wall there is no first plane
    for first in range(0, nz + 4 * lag, lag):
        if first < nz:
            _interpolate_planes(g, level, first, first + lag, g.rows[0])
        for sweep in range(2):
            for color in range(2):
                z = first - lag * (2 * sweep + color + 1)
                if 0 <= z < nz:
                    _relax(g, level, diffusion, color, OMEGA if sweep == 0 else 1.0, z, z + lag)


@kernel(allocates=True)
def _invert(g, level, diffusion, z0, z1):
    """Average the loss of a level to the coarse planes [z0, z1), then turn it into 1/diagonal."""
    m = g.grid[level].stride
    mean = np.zeros(g.grid[level + 1].nx)
    for coarse_z in range(z0, z1):
        for coarse_y in range(g.grid[level + 1].ny):
            mean[:] = 0.0
            for z in range(2 * coarse_z, min(2 * coarse_z + 2, g.grid[level].nz)):
                for y in range(2 * coarse_y, min(2 * coarse_y + 2, g.grid[level].ny)):
                    iz, iy = g.grid[level].at_z + z, g.grid[level].at_y + y
                    links = g.axis[iz].low + g.axis[iz].high + g.axis[iy].low + g.axis[iy].high
                    for color in range(2):
                        p = (color + z + y) & 1
                        here = row(g, level, color, z, y)
                        values = g.inverse[here : here + ((g.grid[level].nx - p + 1) >> 1)]
                        _add_to_parents(g, level, z, y, p, values, mean)
                        x_links = g.links_x[
                            g.grid[level].links_start + p * m : g.grid[level].links_start + (p + 1) * m
                        ]
                        for j in range(len(values)):
                            values[j] = 1.0 / (values[j] + diffusion * (links + x_links[j]))
            _write_coarse(g, level + 1, coarse_z, coarse_y, mean, g.inverse)


@kernel(allocates=True)
def _restrict(g, level, diffusion, known, z0, z1):
    """Average the residual of a level to the coarse planes [z0, z1); Σ|residual| of each to g.sums[0]."""
    _restrict_planes(g, level, diffusion, known, z0, z1, np.zeros((3, g.grid[level].nx + 2)))


@kernel
def _restrict_planes(g, level, diffusion, known, z0, z1, rows):
    """`_restrict` on scratch of the caller's, f8[3, at least nx + 2]."""
    mean = rows[0, : g.grid[level + 1].nx]
    rest = rows[1, : g.grid[level].stride]
    size = rows[2, : g.grid[level].stride]
    for coarse_z in range(z0, z1):
        size[:] = 0.0
        for coarse_y in range(g.grid[level + 1].ny):
            mean[:] = 0.0
            for z in range(2 * coarse_z, min(2 * coarse_z + 2, g.grid[level].nz)):
                for y in range(2 * coarse_y, min(2 * coarse_y + 2, g.grid[level].ny)):
                    for color in range(1 if known == HALF else 2):
                        p = (color + z + y) & 1
                        if known == RAW:
                            here = np.uint64(row(g, level, color, z, y))
                            for j in range(np.uint64(g.grid[level].stride)):
                                rest[j] = g.b[here + j]
                        else:
                            _residual(g, level, diffusion, color, z, y, rest)
                        for j in range((g.grid[level].nx - p + 1) >> 1):
                            size[j] += abs(rest[j])
                        _add_to_parents(g, level, z, y, p, rest, mean)
            _write_coarse(g, level + 1, coarse_z, coarse_y, mean, g.b)
            for color in range(2):
                here = row(g, level + 1, color, coarse_z, coarse_y)
                g.c[here : here + g.grid[level + 1].stride] = 0.0
        g.sums[0, coarse_z] = row_total(size)


@kernel(inline=True)
def _residual(g, level, diffusion, color, z, y, values):
    """Fill `values` with the residual of one row of one color."""
    p = (color + z + y) & 1
    first, last = even_part(g, level, p)
    w = stencil(g, level, diffusion, color, z, y, p, first)
    out = np.uint64(first)
    for j in range(np.uint64(last - first)):
        values[out + j] = g.b[w.here + j] - g.c[w.here + j] / g.inverse[w.here + j]
    for j in range(np.uint64(last - first)):  # apart: LLVM vectorizes loops over at most eight rows
        values[out + j] += row_inflow(g.c, w, j)
    for e in range(edge_count(g, level, p, first, last)):
        x = edge(p, first, last, e)
        i = row(g, level, color, z, y) + (x >> 1)
        values[x >> 1] = g.b[i] + diffusion * inflow(g, level, z, y, x) - g.c[i] / g.inverse[i]


@kernel(inline=True)
def _add_to_parents(g, level, z, y, p, values, mean):
    """Add the values of a row of one parity to the mean over their parents' children."""
    weight = g.axis[g.grid[level].at_z + z].share * g.axis[g.grid[level].at_y + y].share
    n = (g.grid[level].nx - p + 1) >> 1
    whole = min(n, g.grid[level + 1].nx - 1)
    for j in range(whole):
        mean[j] += 0.5 * weight * values[j]
    for j in range(whole, n):
        mean[j] += weight * g.axis[g.grid[level].at_x + 2 * j + p].share * values[j]


@kernel
def _write_coarse(g, level, z, y, values, by_color):
    """Write a row of a level to its two colors."""
    color = (z + y) & 1
    split(values, by_color, row(g, level, color, z, y), row(g, level, 1 - color, z, y))


@kernel
def _straighten(g, level, z0, z1):
    """Write the planes' correction to b in x order, for `_interpolate`."""
    for z in range(z0, z1):
        for y in range(g.grid[level].ny):
            start = straight_row(g, level, z, y)
            color = (z + y) & 1
            join(
                g.c,
                row(g, level, color, z, y),
                row(g, level, 1 - color, z, y),
                g.b[start : start + g.grid[level].nx],
            )


@kernel(allocates=True)
def _interpolate(g, level, z0, z1):
    """Add the correction of the next coarser level, interpolated, to planes [z0, z1)."""
    _interpolate_planes(g, level, z0, z1, np.zeros(g.grid[level].nx + 2))


@kernel
def _interpolate_planes(g, level, z0, z1, line):
    """`_interpolate` on scratch of the caller's, f8[at least nx + 2]."""
    n = g.grid[level + 1].nx
    for z in range(z0, z1):
        for y in range(g.grid[level].ny):
            _blend_rows(g, level, z, y, line[1 : n + 1])
            line[0] = line[n] if g.periodic == 1 else line[1]
            line[n + 1] = line[1] if g.periodic == 1 else line[n]
            for p in range(2):
                here = row(g, level, (z + y + p) & 1, z, y)
                even = (g.grid[level].even_near - p + 1) >> 1
                c, own, other = g.c[here : here + even], line[1 : even + 1], line[2 * p : even + 2 * p]
                for j in range(even):
                    c[j] += 0.75 * own[j] + 0.25 * other[j]
                for x in range(2 * even + p, g.grid[level].nx, 2):
                    i = g.grid[level].at_x + x
                    blend = (
                        g.axis[i].near * line[(x >> 1) + 1]
                        + (1.0 - g.axis[i].near) * line[g.axis[i].other + 1]
                    )
                    g.c[here + (x >> 1)] += blend


@kernel
def _blend_rows(g, level, z, y, line):
    """Interpolate the four coarse rows around row (z, y) in z and y."""
    n = g.grid[level + 1].nx
    iz, iy = g.grid[level].at_z + z, g.grid[level].at_y + y
    fz, fy = g.axis[iz].near, g.axis[iy].near
    start = straight_row(g, level + 1, z >> 1, y >> 1)
    a = g.b[start : start + n]
    start = straight_row(g, level + 1, z >> 1, g.axis[iy].other)
    b = g.b[start : start + n]
    start = straight_row(g, level + 1, g.axis[iz].other, y >> 1)
    c = g.b[start : start + n]
    start = straight_row(g, level + 1, g.axis[iz].other, g.axis[iy].other)
    d = g.b[start : start + n]
    for x in range(n):
        line[x] = fz * (fy * a[x] + (1.0 - fy) * b[x]) + (1.0 - fz) * (fy * c[x] + (1.0 - fy) * d[x])


@kernel
def _relax(g, level, diffusion, color, omega, z0, z1):
    """Gauss–Seidel with over-relaxation omega on one color of planes [z0, z1)."""
    floor = 0.0 if level == 0 and omega > 1.0 else -math.inf  # with omega = 1 what is ≥ 0 stays so
    for z in range(z0, z1):
        for y in range(g.grid[level].ny):
            p = (color + z + y) & 1
            first, last = even_part(g, level, p)
            w = stencil(g, level, diffusion, color, z, y, p, first)
            _relax_row(g, w, last - first, omega, floor)
            for e in range(edge_count(g, level, p, first, last)):
                x = edge(p, first, last, e)
                i = row(g, level, color, z, y) + (x >> 1)
                target = g.inverse[i] * (g.b[i] + diffusion * inflow(g, level, z, y, x))
                value = g.c[i] + omega * (target - g.c[i])
                g.c[i] = floor if value < floor else value


@kernel(inline=True)
def _relax_row(g, w, n, omega, floor):
    """Relax n voxels of one color in a row, all independent."""
    for j in range(np.uint64(n)):
        i = w.here + j
        target = g.inverse[i] * (g.b[i] + row_inflow(g.c, w, j))
        value = g.c[i] + omega * (target - g.c[i])
        g.c[i] = floor if value < floor else value
