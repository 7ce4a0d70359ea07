"""The grids of a multigrid hierarchy, fine to coarse, and the solver's work space on them.

Cell-centred finite volumes.  Any length n coarsens to ceil(n/2): the last coarse voxel may be narrower
than the others, and every level discretizes its own, slightly uneven grid.

A level is stored by color, so that rows vectorize: value [color, z, y, j] belongs to x = 2j + p with
p = (color + z + y) & 1, and both x neighbors of a row lie in one row of the other color.  Every row ends in
a zero that is never written: what a closed wall lets in.
"""

from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel

GRID = np.dtype(
    [
        ("nz", np.int64),
        ("ny", np.int64),
        ("nx", np.int64),
        ("start", np.int64),  # where the level's values begin
        ("stride", np.int64),  # from row to row
        ("at_z", np.int64),  # where the numbers of its axes begin in `axis`
        ("at_y", np.int64),
        ("at_x", np.int64),
        ("links_start", np.int64),  # where those of `links_x` begin: even x, then odd x, `stride` each
        ("even_links", np.int64),  # voxels of x below it have the links of a uniform grid with zeros outside
        ("even_near", np.int64),  # voxels of x below it interpolate by 3/4 and 1/4
    ]
)

AXIS = np.dtype(
    [
        ("low", np.float64),  # link to the lower neighbor, 1/µm² (times D: 1/h); 0 at a closed wall
        ("high", np.float64),  # link to the upper neighbor
        ("share", np.float64),  # width as a share of the parent's
        ("near", np.float64),  # interpolation: weight of the parent; the rest goes to `other`
        ("other", np.int64),
    ]
)


class Levels(NamedTuple):
    """Grids of one shape, fine to coarse, and their work space; fields of equal shape share one.

    The last level is a single voxel.
    """

    c: np.ndarray  # solution (level 0) or correction (the others), by color
    b: np.ndarray  # right-hand side, by color; a finished correction stands here in x order
    inverse: np.ndarray  # 1 / diagonal of the operator, by color; first the loss [1/h]
    grid: np.ndarray  # GRID[levels]
    axis: np.ndarray  # AXIS, the positions of all axes of all levels
    links_x: np.ndarray  # low + high along x
    sums: np.ndarray  # f8[2, planes]: partial sums, one a plane
    rows: np.ndarray  # f8[3, nx + 2]: scratch of whoever works alone
    periodic: int


def make_levels(shape, spacing_um, periodic: bool) -> Levels:
    """The hierarchy for a grid of `shape` (nz, ny, nx) voxels of `spacing_um` (z, y, x), µm."""
    widths = [[np.full(n, float(h)) for n, h in zip(shape, spacing_um, strict=True)]]
    while len(widths) < 2 or max(map(len, widths[-1])) > 1:
        widths.append([_join(width) for width in widths[-1]])
    grid = np.zeros(len(widths), GRID).view(np.recarray)
    lengths = np.array([[len(width) for width in level] for level in widths])
    grid.nz, grid.ny, grid.nx = lengths.T
    grid.stride = (grid.nx + 1) // 2 + 1
    sizes = 2 * grid.nz * grid.ny * grid.stride
    grid.start = np.cumsum(sizes) - sizes + 1  # the first row has a zero before it, too
    grid.at_z, grid.at_y, grid.at_x = (np.cumsum(lengths) - lengths.ravel()).reshape(lengths.shape).T
    grid.links_start = np.cumsum(2 * grid.stride) - 2 * grid.stride
    grid.even_links = [_even_links(level[2], periodic) for level in widths]
    grid.even_near = [_even_near(level[2]) for level in widths]
    axes = [
        _axis(width, parent, periodic)
        for level, below in zip(widths, widths[1:] + widths[-1:], strict=True)
        for width, parent in zip(level, below, strict=True)
    ]
    links = [_by_parity(x.low + x.high, stride) for x, stride in zip(axes[2::3], grid.stride, strict=True)]
    return Levels(
        *(np.zeros(sizes.sum() + 2) for _ in range(3)),
        grid,
        np.concatenate(axes).view(np.recarray),
        np.concatenate(links),
        np.zeros((2, shape[0])),
        np.zeros((3, shape[2] + 2)),
        int(periodic),
    )


def _join(width):
    """Widths of the next coarser level: pairs joined, an odd last voxel alone."""
    pairs = len(width) // 2
    return np.append(width[0 : 2 * pairs : 2] + width[1 : 2 * pairs : 2], width[2 * pairs :])


def _axis(width, parent, periodic):
    """AXIS of one axis of a level, whose next coarser level has the widths `parent`."""
    gap = 0.5 * (width + np.roll(width, 1))  # to the lower neighbor; of the first, to the last
    low, high = 1.0 / (gap * width), 1.0 / (np.roll(gap, -1) * width)
    if not periodic or len(width) == 1:
        low[0] = high[-1] = 0.0
    index = np.arange(len(width))
    own = index // 2
    beyond = own + np.where(index % 2 == 0, -1, 1)
    other = beyond % len(parent) if periodic else np.clip(beyond, 0, len(parent) - 1)
    center = np.cumsum(width) - 0.5 * width
    coarse = np.cumsum(parent) - 0.5 * parent
    reach = np.where(other == beyond, np.abs(coarse[other] - coarse[own]), 0.5 * (parent[0] + parent[-1]))
    near = np.where(other == own, 1.0, 1.0 - np.abs(center - coarse[own]) / reach)
    return np.rec.fromarrays([low, high, width / parent[own], near, other], dtype=AXIS)


def _by_parity(values, stride):
    """Values of even x, then of odd x, each padded with zeros to `stride`."""
    rows = np.zeros((2, stride))
    for p in range(2):
        rows[p, : len(values[p::2])] = values[p::2]
    return rows.ravel()


def _even_links(width, periodic):
    """Voxels below it (from 1 where periodic) have equal links to what stands beside them in the rows."""
    narrow = len(width) > 1 and width[-1] < width[0]
    return max(0, len(width) - (2 if narrow else int(periodic)))


def _even_near(width):
    """Voxels below it have parents of full width on both sides (a closed wall mirrors)."""
    whole = len(width) % 2 == 0 and width[-1] == width[0]
    return len(width) if whole else max(0, 2 * ((len(width) - 1) // 2) - 1)


@kernel(inline=True)
def row(g, level, color, z, y):
    """Where row (z, y) of a color begins."""
    return (
        g.grid[level].start + ((color * g.grid[level].nz + z) * g.grid[level].ny + y) * g.grid[level].stride
    )


@kernel(inline=True)
def straight_row(g, level, z, y):
    """Where row (z, y) begins in x order, both colors together."""
    return g.grid[level].start + 2 * (z * g.grid[level].ny + y) * g.grid[level].stride


@kernel(inline=True)
def even_part(g, level, p):
    """[first, last) j of the row loop at parity p: x = 2j + p with the links of a uniform grid."""
    first = g.periodic * (1 - p)
    return first, max(first, (g.grid[level].even_links - p + 1) >> 1)


@kernel(inline=True)
def edge_count(g, level, p, first, last):
    """How many voxels of a row the row loop leaves out."""
    return first + max(0, (g.grid[level].nx - p + 1 - 2 * last) >> 1)


@kernel(inline=True)
def edge(p, first, last, e):
    """x of the e-th voxel that the row loop leaves out."""
    return p if e < first else 2 * (last + e - first) + p


@kernel
def inflow(g, level, z, y, x):
    """Σ link · neighbor over the six faces of any voxel."""
    nz, ny, nx = g.grid[level].nz, g.grid[level].ny, g.grid[level].nx
    iz, iy, ix = g.grid[level].at_z + z, g.grid[level].at_y + y, g.grid[level].at_x + x
    along_z = g.axis[iz].low * _at(g, level, _below(z, nz), y, x) + g.axis[iz].high * _at(
        g, level, _above(z, nz), y, x
    )
    along_y = g.axis[iy].low * _at(g, level, z, _below(y, ny), x) + g.axis[iy].high * _at(
        g, level, z, _above(y, ny), x
    )
    along_x = g.axis[ix].low * _at(g, level, z, y, _below(x, nx)) + g.axis[ix].high * _at(
        g, level, z, y, _above(x, nx)
    )
    return along_z + along_y + along_x


@kernel
def _at(g, level, z, y, x):
    """The solution in one voxel."""
    return g.c[row(g, level, (z + y + x) & 1, z, y) + (x >> 1)]


@kernel(inline=True)
def _below(i, n):
    """The lower neighbor; of the first, the last."""
    return i - 1 if i > 0 else n - 1


@kernel(inline=True)
def _above(i, n):
    """The upper neighbor; of the last, the first."""
    return i + 1 if i < n - 1 else 0


class Stencil(NamedTuple):
    """Where a row and the rows around it begin, and the weights of their links (times D: 1/h).

    Unsigned, so that no index can count from the end: LLVM then vectorizes the row loops.
    """

    here: np.uint64
    below: np.uint64
    above: np.uint64
    front: np.uint64
    back: np.uint64
    left: np.uint64
    right: np.uint64
    w_below: float
    w_above: float
    w_front: float
    w_back: float
    w_beside: float


@kernel(inline=True)
def stencil(g, level, diffusion, color, z, y, p, first):
    """The rows around row (z, y) of a color, from its j = first."""
    iz, iy = g.grid[level].at_z + z, g.grid[level].at_y + y
    beside = row(g, level, 1 - color, z, y) + first
    return Stencil(
        np.uint64(row(g, level, color, z, y) + first),
        np.uint64(_aside(g, level, p, _below(z, g.grid[level].nz), y, g.axis[iz].low, first, beside)),
        np.uint64(_aside(g, level, p, _above(z, g.grid[level].nz), y, g.axis[iz].high, first, beside)),
        np.uint64(_aside(g, level, p, z, _below(y, g.grid[level].ny), g.axis[iy].low, first, beside)),
        np.uint64(_aside(g, level, p, z, _above(y, g.grid[level].ny), g.axis[iy].high, first, beside)),
        np.uint64(beside + p - 1),
        np.uint64(beside + p),
        diffusion * g.axis[iz].low,
        diffusion * g.axis[iz].high,
        diffusion * g.axis[iy].low,
        diffusion * g.axis[iy].high,
        diffusion * g.axis[g.grid[level].at_x + min(1, g.grid[level].nx - 1)].low,
    )


@kernel(inline=True)
def row_inflow(c, w, j):
    """D Σ link · neighbor of voxel j of a row, j unsigned."""
    along_z = w.w_below * c[w.below + j] + w.w_above * c[w.above + j]
    along_y = w.w_front * c[w.front + j] + w.w_back * c[w.back + j]
    return along_z + along_y + w.w_beside * (c[w.left + j] + c[w.right + j])


@kernel(inline=True)
def _aside(g, level, p, z, y, link, first, idle):
    """Row (z, y) at parity p from j = first; behind a closed wall a row that is never written to."""
    return idle if link == 0.0 else row(g, level, (p + z + y) & 1, z, y) + first
