"""Fields of soluble factors: where they are stored, how they advance, how a cell senses them.

Each field has voxels of 1, 2 or 4 sites an axis (a voxel at the far edge may reach over it and counts
whole), and obeys (1/dt + k + u(x)) c − D ∇²c = s + c_old/dt with closed or periodic walls.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..base import threads
from ..base.errors import InputError
from ..base.kernel import kernel
from .levels import make_levels
from .multigrid import solve_grid

GRIDS = (1, 2, 4)


class Fields(NamedTuple):
    """All fields of a block, packed one after the other in the order of their names.

    Voxel (z, y, x) of field f stands at offset[f] + (z · ny[f] + y) · nx[f] + x.
    """

    c: np.ndarray  # f8 concentration [unit]
    s: np.ndarray  # f8 source ≥ 0 [unit/h]
    u: np.ndarray  # f8 loss by uptake ≥ 0 [1/h]; fields that nobody takes up share zeros
    offset: np.ndarray  # i8[F + 1]
    at_u: np.ndarray  # i8[F] where a field begins in u
    nz: np.ndarray  # i8[F] voxels an axis
    ny: np.ndarray
    nx: np.ndarray
    gz: np.ndarray  # i8[F] sites a voxel; gz is 1 in a slab of one site
    gy: np.ndarray
    gx: np.ndarray
    diffusion: np.ndarray  # f8[F] µm²/h
    decay: np.ndarray  # f8[F] 1/h
    periodic: int
    spacing: float  # site edge, µm


def make_fields(
    shape_sites: Sequence[int],
    site_um: float,
    grids: Sequence[int],
    diffusion: Sequence[float],
    decay: Sequence[float],
    start: Sequence[float],
    periodic: bool,
) -> Fields:
    """Fields over a block of `shape_sites` (nz, ny, nx), without sources, each at its value `start`.

    grids : sites a voxel edge, 1, 2 or 4; diffusion [µm²/h]; decay [1/h]: one number a field.
    InputError: another grid, or one that does not divide a periodic block.
    """
    for grid in grids:
        _check_grid(shape_sites, grid, periodic)
    sites = np.array([[1 if n == 1 else grid for n in shape_sites] for grid in grids], dtype=np.int64)
    sites = sites.reshape(len(grids), 3)
    voxels = -(-np.array(shape_sites, dtype=np.int64) // sites)
    sizes = voxels.prod(axis=1)
    total = int(sizes.sum())
    return Fields(
        np.repeat(np.asarray(start, dtype=float), sizes),
        np.zeros(total),
        np.zeros(total),
        np.concatenate([[0], np.cumsum(sizes)]),
        np.cumsum(sizes) - sizes,
        *(np.ascontiguousarray(column) for column in voxels.T),
        *(np.ascontiguousarray(column) for column in sites.T),
        np.array(diffusion, dtype=float),
        np.array(decay, dtype=float),
        int(periodic),
        float(site_um),
    )


def _check_grid(shape_sites, grid, periodic):
    """Refuse a grid that the block cannot have."""
    if grid not in GRIDS:
        raise InputError(f"a field's grid must be 1, 2 or 4 sites, not {grid}", "Write e.g. 'grid: 2'.")
    uneven = [n for n in shape_sites if n > 1 and n % grid != 0]
    if periodic and uneven:
        raise InputError(
            f"a field's grid of {grid} sites does not fit a periodic block of "
            f"{' × '.join(map(str, shape_sites))} sites: {uneven[0]} is no multiple of {grid}",
            "Change the block's shape, the field's grid, or use closed walls.",
        )


def with_uptake(fields: Fields, taken: Sequence[bool]) -> Fields:
    """The same fields with room for the uptake of those that some cell takes up."""
    sizes, own = np.diff(fields.offset), np.asarray(taken, dtype=bool)
    kept = np.where(own, sizes, 0)
    at = np.where(own, np.cumsum(kept) - kept, kept.sum())
    return fields._replace(u=np.zeros(int(kept.sum()) + int(sizes[~own].max(initial=0))), at_u=at)


def as_grid(fields: Fields, values: np.ndarray, f: int) -> np.ndarray:
    """The part of c or s that belongs to field f, as a view [z, y, x]."""
    part = values[fields.offset[f] : fields.offset[f + 1]]
    return part.reshape(fields.nz[f], fields.ny[f], fields.nx[f])


def uptake_grid(fields: Fields, f: int) -> np.ndarray:
    """The uptake of field f, as a view [z, y, x]."""
    shape = (fields.nz[f], fields.ny[f], fields.nx[f])
    return fields.u[fields.at_u[f] :][: math.prod(shape)].reshape(shape)


def clear(fields: Fields, f: int) -> None:
    """Field f has neither sources nor uptake."""
    as_grid(fields, fields.s, f)[...] = 0.0
    uptake_grid(fields, f)[...] = 0.0


def hold_edges(fields: Fields, f: int, level: float) -> None:
    """Add what holds field f at `level` on the walls of the block: to its sources and its uptake.

    A wall is half a voxel h away from its voxels, so the flux D (level − c) / (h/2) enters through each face:
    2D/h² per volume.  A slab has no walls above and below.
    """
    s, u = as_grid(fields, fields.s, f), uptake_grid(fields, f)
    sites = (fields.gz[f], fields.gy[f], fields.gx[f])
    for axis, extent in enumerate(s.shape):
        if axis == 0 and fields.gz[f] == 1 and extent == 1:
            continue
        rate = 2.0 * float(fields.diffusion[f]) / (float(sites[axis]) * fields.spacing) ** 2
        for end in (0, extent - 1):
            wall = tuple(end if other == axis else slice(None) for other in range(3))
            u[wall] += rate
            s[wall] += rate * level


class Solver:
    """Advances the fields of one block.

    Fields of equal grid share one work space a thread, made when first needed.
    """

    def __init__(self, fields: Fields):
        self._fields = fields
        self._levels = {}
        self.cycles = np.zeros(len(fields.nx), np.int64)  # multigrid cycles of each field's last step

    def solve_all(self, which: Sequence[int], dt_h: float) -> None:
        """Advance several fields, in threads where there are several: each field is one thread's."""
        workers = min(threads.get_threads(), len(which))
        size = np.diff(self._fields.offset)
        todo = deque(sorted(which, key=lambda f: (-int(size[f] * (1 + self.cycles[f])), f)))

        def work(worker: int) -> None:
            while True:
                try:
                    f = todo.popleft()
                except IndexError:
                    return
                self.solve(f, dt_h, worker, workers == 1)

        threads.over_workers(work, workers)

    def solve(self, f: int, dt_h: float, worker: int = 0, alone: bool = True) -> int:
        """Advance field f by one implicit step of dt_h hours (math.inf: to the steady state).

        Returns the multigrid cycles used: 0 where c fulfils the equation already.  The residual left is at
        most 1e-4 of the sources, which bounds the mass law.  InputError: a steady state without any loss.
        worker, alone : which thread's work space; whether all threads may share in this field.
        """
        fields = self._fields
        c, s, u = as_grid(fields, fields.c, f), as_grid(fields, fields.s, f), uptake_grid(fields, f)
        sites = (fields.gz[f], fields.gy[f], fields.gx[f])
        key = (worker, c.shape, sites)
        if key not in self._levels:
            spacing = [int(g) * fields.spacing for g in sites]
            self._levels[key] = make_levels(c.shape, spacing, bool(fields.periodic))
        d, k = float(fields.diffusion[f]), float(fields.decay[f])
        self.cycles[f] = solve_grid(c, s, u, d, k, dt_h, self._levels[key], alone=alone)
        return int(self.cycles[f])


@kernel(inline=True)
def value_at(fields, f, z, y, x):
    """Concentration of field f at the center of site (z, y, x), trilinear between voxel centers."""
    if fields.gy[f] == 1 and fields.gx[f] == 1:
        return fields.c[_voxel(fields, f, z, y, x)]
    per = 1.0 / fields.gx[f]  # along z too: a slab has one plane of voxels whatever the place between them
    z0, z1, tz = _between(z, per, fields.nz[f], fields.periodic)
    y0, y1, ty = _between(y, per, fields.ny[f], fields.periodic)
    x0, x1, tx = _between(x, per, fields.nx[f], fields.periodic)
    c00, c01 = _along_x(fields, f, z0, y0, x0, x1, tx), _along_x(fields, f, z0, y1, x0, x1, tx)
    c10, c11 = _along_x(fields, f, z1, y0, x0, x1, tx), _along_x(fields, f, z1, y1, x0, x1, tx)
    c0 = c00 + ty * (c01 - c00)
    c1 = c10 + ty * (c11 - c10)
    return c0 + tz * (c1 - c0)


@kernel
def value_row(fields, f, z, y, line, out):
    """Concentrations of field f at all sites of the row (z, y) into out, f8[nx]: trilinear, z and y first.

    line : scratch, f8[at least voxels of the row + 2].
    """
    per = 1.0 / fields.gx[f]  # along z too: a slab has one plane of voxels whatever the place between them
    z0, z1, tz = _between(z, per, fields.nz[f], fields.periodic)
    y0, y1, ty = _between(y, per, fields.ny[f], fields.periodic)
    nx, gx = fields.nx[f], fields.gx[f]
    a, b = _voxel(fields, f, z0, y0, 0), _voxel(fields, f, z0, y1, 0)
    c, d = _voxel(fields, f, z1, y0, 0), _voxel(fields, f, z1, y1, 0)
    row_a, row_b, row_c, row_d = (
        fields.c[a : a + nx],
        fields.c[b : b + nx],
        fields.c[c : c + nx],
        fields.c[d : d + nx],
    )
    inner = line[1 : nx + 1]
    for x in range(nx):
        low = row_a[x] + ty * (row_b[x] - row_a[x])
        high = row_c[x] + ty * (row_d[x] - row_c[x])
        inner[x] = low + tz * (high - low)
    line[0] = line[nx] if fields.periodic == 1 else line[1]
    line[nx + 1] = line[1] if fields.periodic == 1 else line[nx]
    for p in range(gx):  # sites at place p of their voxel lie equally between two voxels
        position = (p + 0.5) * per - 0.5
        i = int(math.floor(position))
        tx = position - i
        below, above = line[1 + i : 1 + i + nx], line[2 + i : 2 + i + nx]
        for x in range((len(out) - p + gx - 1) // gx):
            out[gx * x + p] = below[x] + tx * (above[x] - below[x])


class Slopes(NamedTuple):
    """A field and its slopes at many sites, f8 each; per µm."""

    c: np.ndarray
    z: np.ndarray
    y: np.ndarray
    x: np.ndarray


@kernel
def slopes_of(fields, f, z, y, x, n, out):
    """Value and slopes of field f at the centers of n sites (z, y, x).

    The slopes of the trilinear interpolation; where voxels are sites, central differences.  A closed wall
    mirrors, so the slope across it is flat.
    """
    if fields.gy[f] == 1 and fields.gx[f] == 1:
        for i in range(n):
            out.c[i], out.z[i], out.y[i], out.x[i] = _central(fields, f, z[i], y[i], x[i])
        return
    c = fields.c[fields.offset[f] : fields.offset[f + 1]]
    nz, ny, nx, periodic = fields.nz[f], fields.ny[f], fields.nx[f], fields.periodic
    per = 1.0 / fields.gx[f]
    per_um = per / fields.spacing
    g = fields.gx[f]
    shift = 1 + int(g > 1) + int(g > 2)  # 2 g = 2^shift
    for i in range(n):
        z0, z1, tz = _around(z[i], g, shift, nz, periodic)
        y0, y1, ty = _around(y[i], g, shift, ny, periodic)
        x0, x1, tx = _around(x[i], g, shift, nx, periodic)
        row00, row01 = (z0 * ny + y0) * nx, (z0 * ny + y1) * nx
        row10, row11 = (z1 * ny + y0) * nx, (z1 * ny + y1) * nx
        c000, c001 = c[row00 + x0], c[row00 + x1]
        c010, c011 = c[row01 + x0], c[row01 + x1]
        c100, c101 = c[row10 + x0], c[row10 + x1]
        c110, c111 = c[row11 + x0], c[row11 + x1]
        c00, c01 = c000 + tx * (c001 - c000), c010 + tx * (c011 - c010)
        c10, c11 = c100 + tx * (c101 - c100), c110 + tx * (c111 - c110)
        c0, c1 = c00 + ty * (c01 - c00), c10 + ty * (c11 - c10)
        low_x = (c001 - c000) + ty * ((c011 - c010) - (c001 - c000))
        high_x = (c101 - c100) + ty * ((c111 - c110) - (c101 - c100))
        out.c[i] = c0 + tz * (c1 - c0)
        out.z[i] = (c1 - c0) * per_um
        out.y[i] = ((c01 - c00) + tz * ((c11 - c10) - (c01 - c00))) * per_um
        out.x[i] = (low_x + tz * (high_x - low_x)) * per_um


@kernel(inline=True)
def _around(site, g, shift, n, periodic):
    """`_between` in integers, without branches: g sites a voxel, 2 g = 2^shift."""
    twice = 2 * site + 1 - g
    i = twice >> shift
    t = float(twice - (i << shift)) * (0.5 / g)
    low, high = (n - 1, 0) if periodic == 1 else (0, n - 1)
    return (low if i < 0 else i), (high if i + 1 >= n else i + 1), t


@kernel(inline=True)
def _central(fields, f, z, y, x):
    """Value and central differences where voxels are sites."""
    nz, ny, nx, periodic = fields.nz[f], fields.ny[f], fields.nx[f], fields.periodic
    below = fields.c[_voxel(fields, f, _inside(z - 1, nz, periodic), y, x)]
    above = fields.c[_voxel(fields, f, _inside(z + 1, nz, periodic), y, x)]
    front = fields.c[_voxel(fields, f, z, _inside(y - 1, ny, periodic), x)]
    back = fields.c[_voxel(fields, f, z, _inside(y + 1, ny, periodic), x)]
    left = fields.c[_voxel(fields, f, z, y, _inside(x - 1, nx, periodic))]
    right = fields.c[_voxel(fields, f, z, y, _inside(x + 1, nx, periodic))]
    reach = 2.0 * fields.spacing
    here = fields.c[_voxel(fields, f, z, y, x)]
    return here, (above - below) / reach, (back - front) / reach, (right - left) / reach


@kernel(inline=True)
def _voxel(fields, f, z, y, x):
    """Index of a voxel of field f."""
    return fields.offset[f] + (z * fields.ny[f] + y) * fields.nx[f] + x


@kernel(inline=True)
def _inside(i, n, periodic):
    """Voxel i of an axis of n: held at a closed wall, carried around a periodic one."""
    if i < 0:
        return n - 1 if periodic == 1 else 0
    if i >= n:
        return 0 if periodic == 1 else n - 1
    return i


@kernel(inline=True)
def _between(site, per, n, periodic):
    """The two voxels whose centers enclose a site's center, and its place between them (0 to 1).

    per : voxels a site, 1, 1/2 or 1/4: exact.
    """
    position = (site + 0.5) * per - 0.5
    i = int(math.floor(position))
    return _inside(i, n, periodic), _inside(i + 1, n, periodic), position - i


@kernel(inline=True)
def _along_x(fields, f, z, y, x0, x1, t):
    """Linear interpolation between two voxels of a row."""
    a, b = fields.c[_voxel(fields, f, z, y, x0)], fields.c[_voxel(fields, f, z, y, x1)]
    return a + t * (b - a)
