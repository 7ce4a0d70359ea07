"""The bulk cells of one row of the lattice, kind by kind: what many cells sense and do in one loop.

Rules are interpreted once a row and kind instead of once a cell, and the loops over cells vectorize.
"""

from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from .fields import value_row
from .rules import CONTACT_KIND, CONTACT_TRAIT, FIELD, TRAIT
from .sensing import contact
from .state import DYING


class CellRow(NamedTuple):
    """Scratch for one row of nx sites; K kinds, F fields, S signals."""

    found: np.ndarray  # i8[K] living cells of each kind
    place: np.ndarray  # i8[K, nx] where in the row they stand
    lines: np.ndarray  # f8[F, nx] fields at the sites
    line: np.ndarray  # f8[nx + 2] voxels of one of them
    x: np.ndarray  # f8[S, nx] signals of the cells of one kind
    v: np.ndarray  # f8[nx] values of a behavior
    strength: np.ndarray  # f8[nx]


@kernel(allocates=True)
def make_cell_row(tables, fields, nx):
    """Scratch for rows of nx sites."""
    kinds, signals = len(tables.kinds), max(1, len(tables.senses))
    return CellRow(
        np.zeros(kinds, np.int64),
        np.zeros((kinds, nx), np.int64),
        np.zeros((max(1, len(fields.nx)), nx)),
        np.zeros(nx + 2),
        np.zeros((signals, nx)),
        np.zeros(nx),
        np.zeros(nx),
    )


@kernel
def find_cells(state, start, dying, r):
    """List the bulk cells of the row that begins at site `start` by kind; dying : 1 to list those, too."""
    r.found[:] = 0
    most = 256 if dying == 1 else DYING
    for w in range(len(r.v)):
        kind = int(state.bulk[start + w])
        n = r.found[kind]
        r.place[kind, n] = w
        r.found[kind] = n + int(state.wounds[start + w] < most)


@kernel
def sense_fields_of_row(fields, used, z, y, r):
    """Interpolate the fields `used` to the sites of row (z, y)."""
    for i in range(len(used)):
        value_row(fields, used[i], z, y, r.line, r.lines[used[i]])


@kernel
def sense_row(state, tables, lattice, kind, z, y, r):
    """Fill x with the signals of the cells of an untracked kind in row (z, y)."""
    start = (z * lattice.ny + y) * lattice.nx
    first = tables.kinds[kind].sense_start
    place = r.place[kind, : r.found[kind]]
    for j in range(first, tables.kinds[kind].sense_stop):
        code, index = tables.senses[j].code, tables.senses[j].index
        x = r.x[j - first]
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
                x[i] = contact(state, tables, lattice, 0, start + w, z, y, w, code, index)
        else:
            for i in range(len(place)):
                x[i] = 0.0
