"""The bulk cells of a strip, kind by kind: what many cells sense and do in one loop.

A strip is some rows of one plane of the lattice, one after the other in memory: as many as it takes for loops
over cells to be long.  Rules are interpreted once a strip and kind instead of once a cell, and the loops
vectorize.
"""

from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from .fields import value_row
from .rules import CONTACT_KIND, CONTACT_TRAIT, FIELD, TRAIT
from .sensing import contact
from .state import DYING

_LONG = 384  # sites from which one row is strip enough


class Strip(NamedTuple):
    """Scratch for a strip of n sites; K kinds, F fields, S signals."""

    rows: int  # at most
    y: np.ndarray  # i8[n] the row of each site, from the first of the strip
    x: np.ndarray  # i8[n]
    voxel: np.ndarray  # i8[3, n] the voxel in its plane that holds each site, by log2 of sites a voxel
    found: np.ndarray  # i8[K] living cells of each kind
    place: np.ndarray  # i8[K, n] where in the strip they stand
    lines: np.ndarray  # f8[F, n] fields at the sites
    line: np.ndarray  # f8[nx + 2] voxels of one row of one of them
    signal: np.ndarray  # f8[S, n] signals of the cells of one kind
    v: np.ndarray  # f8[n] values of a behavior
    strength: np.ndarray  # f8[n]


@kernel(allocates=True)
def make_strip(tables, fields, lattice):
    """Scratch for the strips of a lattice."""
    rows = max(1, min(lattice.ny, _LONG // lattice.nx))
    n = rows * lattice.nx
    kinds, signals = len(tables.kinds), max(1, len(tables.senses))
    site = np.arange(n)
    return Strip(
        rows,
        site // lattice.nx,
        site % lattice.nx,
        np.zeros((3, n), np.int64),
        np.zeros(kinds, np.int64),
        np.zeros((kinds, n), np.int64),
        np.zeros((max(1, len(fields.nx)), n)),
        np.zeros(lattice.nx + 2),
        np.zeros((signals, n)),
        np.zeros(n),
        np.zeros(n),
    )


@kernel(inline=True)
def rows_from(lattice, r, row, stop):
    """How many rows the strip has that begins with a row of the lattice: within a plane, before `stop`."""
    return min(r.rows, stop - row, lattice.ny - row % lattice.ny)


@kernel
def find_cells(state, lattice, row, rows, dying, r):
    """List the bulk cells of `rows` rows from `row` on by kind; dying : 1 to list those, too."""
    start = row * lattice.nx
    r.found[:] = 0
    most = 256 if dying == 1 else DYING
    for w in range(rows * lattice.nx):
        kind = int(state.bulk[start + w])
        n = r.found[kind]
        r.place[kind, n] = w
        r.found[kind] = n + int(state.wounds[start + w] < most)


@kernel
def find_voxels(lattice, y, rows, r):
    """Note the voxel in its plane that holds each site of `rows` rows from y on, for each grid."""
    for shift in range(3):
        of_grid = r.voxel[shift]
        width = -(-lattice.nx >> shift)
        for q in range(rows):
            first = ((y + q) >> shift) * width
            for x in range(lattice.nx):
                of_grid[q * lattice.nx + x] = first + (x >> shift)


@kernel
def sense_fields_of_strip(lattice, fields, used, z, y, rows, r):
    """Interpolate the fields `used` to the sites of `rows` rows from (z, y) on."""
    nx = lattice.nx
    for i in range(len(used)):
        for q in range(rows):
            value_row(fields, used[i], z, y + q, r.line, r.lines[used[i], q * nx : (q + 1) * nx])


@kernel
def sense_strip(state, tables, lattice, kind, z, y, r):
    """Fill `signal` with those of the cells of an untracked kind in the strip from (z, y) on."""
    start = (z * lattice.ny + y) * lattice.nx
    first = tables.kinds[kind].sense_start
    place = r.place[kind, : r.found[kind]]
    for j in range(first, tables.kinds[kind].sense_stop):
        code, index = tables.senses[j].code, tables.senses[j].index
        x = r.signal[j - first]
        if code == FIELD:
            line = r.lines[index]
            for i in range(len(place)):
                x[i] = line[place[i]]
        elif code == TRAIT:
            for i in range(len(place)):
                x[i] = float(state.site_trait[start + place[i], index])
        elif code == CONTACT_KIND or code == CONTACT_TRAIT:
            for i in range(len(place)):
                w = place[i]
                x[i] = contact(state, tables, lattice, 0, start + w, z, y + r.y[w], r.x[w], code, index)
        else:
            for i in range(len(place)):
                x[i] = 0.0
