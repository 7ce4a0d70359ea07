"""The sites of a block: a closed or periodic box, one site thick when it is two-dimensional."""

from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel


class Lattice(NamedTuple):
    """Extents in sites; `wraps` is 1 where opposite walls are joined.  Site = (z·ny + y)·nx + x.

    A block with nz = 1 is a slab: closed in z whatever `wraps` says, with four neighbors a site.
    """

    nz: int
    ny: int
    nx: int
    wraps: int

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.nz * self.ny * self.nx


@kernel(inline=True)
def coordinates(lattice, site):
    """(z, y, x) of a site.  Unsigned 32-bit division takes a third of the time of the signed 64-bit one."""
    nx, ny = np.uint32(lattice.nx), np.uint32(lattice.ny)
    row = np.uint32(np.uint32(site) // nx)
    z = np.uint32(row // ny)
    return np.int64(z), np.int64(row - z * ny), np.int64(np.uint32(site) - row * nx)


@kernel(inline=True)
def neighbor(lattice, site, z, y, x, direction):
    """The face neighbor of `site` at (z, y, x), or −1 behind a closed wall.

    direction : 0 −x, 1 +x, 2 −y, 3 +y, 4 −z, 5 +z.  Selections, not branches: directions are random.
    """
    axis = direction >> 1
    way = 2 * (direction & 1) - 1
    here = x if axis == 0 else (y if axis == 1 else z)
    extent = lattice.nx if axis == 0 else (lattice.ny if axis == 1 else lattice.nz)
    stride = 1 if axis == 0 else (lattice.nx if axis == 1 else lattice.ny * lattice.nx)
    if 0 <= here + way < extent:
        return site + way * stride
    if lattice.wraps and extent > 1:
        return site - way * stride * (extent - 1)
    return -1


@kernel(inline=True)
def directions(lattice):
    """Number of face neighbors of an inner site: 4 in a slab, else 6."""
    return 4 if lattice.nz == 1 else 6


@kernel
def shifted(lattice, z, y, x, dz, dy, dx):
    """The site at an offset from (z, y, x), or −1 outside closed walls."""
    z, y, x = z + dz, y + dy, x + dx
    if lattice.wraps:
        y = y % lattice.ny
        x = x % lattice.nx
        if lattice.nz > 1:
            z = z % lattice.nz
    if z < 0 or z >= lattice.nz or y < 0 or y >= lattice.ny or x < 0 or x >= lattice.nx:
        return -1
    return (z * lattice.ny + y) * lattice.nx + x


def offsets_within(reach: int, flat: bool) -> np.ndarray:
    """Offsets (dz, dy, dx, squared distance) of a cube of half-width `reach`, nearest first.

    int64[m, 4], the center left out; a flat block has no dz.  Rows of equal distance stand together.
    """
    span = np.arange(-reach, reach + 1)
    dz, dy, dx = np.meshgrid(np.zeros(1, int) if flat else span, span, span, indexing="ij")
    rows = np.stack([dz, dy, dx, dz * dz + dy * dy + dx * dx], axis=-1).reshape(-1, 4)
    rows = rows[rows[:, 3] > 0]
    return np.ascontiguousarray(rows[np.argsort(rows[:, 3], kind="stable")]).astype(np.int64)
