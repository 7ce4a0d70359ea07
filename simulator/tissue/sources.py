"""Sources: what the cells of each voxel secrete, take up and exchange with the blood.

Gathered strip by strip in the order of kinds and sites, never scattered in the order of the agent list, so
the sums have the same bits however the list is ordered and however many threads gather.
"""

from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from .rules import evaluate, evaluate_row
from .strip import find_cells, find_voxels, make_strip, rows_from, sense_fields_of_strip, sense_strip

_CONSTANT, _VARIES, _LISTED = range(3)


class Rates(NamedTuple):
    """What bulk cells do to fields: J pairs of a kind and a field, by kind and then by field."""

    kind: np.ndarray  # i8[J]
    field: np.ndarray  # i8[J]
    how: np.ndarray  # u1[J] the same for all of a kind; asked cell by cell; or as the agent list says
    source: np.ndarray  # f8[J] [unit/h] of a cell whose site were a voxel of its own, where it is constant
    uptake: np.ndarray  # f8[J] [1/h], the same
    lymphoid: np.ndarray  # i8[·] fields that lymphoid kinds secrete
    taken: np.ndarray  # u1[F] whether any bulk cell takes the field up


@kernel(allocates=True)
def make_rates(tables, unblocked, plasma, site_volume):
    """The rates that hold for all cells of a kind, and which kinds must be asked cell by cell."""
    kinds, fields = tables.exchange.shape
    most = kinds * fields
    kind_of, field_of = np.zeros(most, np.int64), np.zeros(most, np.int64)
    how, taken = np.zeros(most, np.uint8), np.zeros(fields, np.uint8)
    source, uptake = np.zeros(most), np.zeros(most)
    lymphoid = np.zeros(fields, np.uint8)
    x = np.zeros(max(1, len(tables.senses)))
    pairs = 0
    for kind in range(1, kinds):
        for f in range(fields):
            entry = tables.exchange[kind, f]
            if entry.secrete < 0 and entry.take_up < 0 and entry.exchange < 0:
                continue
            if tables.kinds[kind].lymphoid == 1:
                lymphoid[f] = 1
                continue
            kind_of[pairs], field_of[pairs] = kind, f
            if entry.take_up >= 0 or entry.exchange >= 0:
                taken[f] = 1
            if tables.kinds[kind].tracked == 1 and entry.secrete >= 0:
                how[pairs] = _LISTED
            elif _varies(tables, entry):
                how[pairs] = _VARIES
            else:
                how[pairs] = _CONSTANT
                if entry.secrete >= 0:
                    source[pairs] += evaluate(tables, entry.secrete, x, unblocked, plasma) / site_volume
                if entry.take_up >= 0:
                    uptake[pairs] += evaluate(tables, entry.take_up, x, unblocked, plasma)
                if entry.exchange >= 0:
                    rate = evaluate(tables, entry.exchange, x, unblocked, plasma)
                    uptake[pairs] += rate
                    source[pairs] += rate * entry.level
            pairs += 1
    of_lymphoid = np.flatnonzero(lymphoid)
    return Rates(
        kind_of[:pairs], field_of[:pairs], how[:pairs], source[:pairs], uptake[:pairs], of_lymphoid, taken
    )  # fmt: skip


@kernel
def _varies(tables, entry):
    """Whether what a kind does to a field differs between its cells."""
    return (
        (entry.secrete >= 0 and entry.scale >= 0)
        or _depends(tables, entry.secrete)
        or _depends(tables, entry.take_up)
        or _depends(tables, entry.exchange)
    )


@kernel
def _depends(tables, behavior):
    """Whether a behavior (−1: none) depends on a signal."""
    if behavior < 0:
        return False
    b = tables.behaviors[behavior]
    return b.gate >= 0 or b.row_stop > b.row_start


@kernel(allocates=True)
def gather(state, tables, lattice, fields, made, used, rates, body, depth, start, stop):
    """Write source s [unit/h] and uptake u [1/h] of fields in slabs [start, stop) of `depth` planes of sites.

    made : i8, these fields, whose voxels no slab cuts; used : i8, the fields that the kinds asked cell by
    cell sense; body : (share of receptors that each set of drugs leaves free, plasma, µm³ of a site).
    """
    r = make_strip(tables, fields, lattice)
    first, last = start * depth, min(stop * depth, lattice.nz)
    _clear(fields, made, rates, first, last)
    for z in range(first, last):
        for y in range(0, lattice.ny, r.rows):
            _add_bulk(state, tables, lattice, fields, used, rates, body, z, y, r)
            _add_lymphoid(state, lattice, fields, rates.lymphoid, body[2], z, y, r)


@kernel
def _clear(fields, made, rates, first, last):
    """Start the sums of the voxels in planes [first, last) of sites."""
    for f in made:
        plane = fields.ny[f] * fields.nx[f]
        low, high = first // fields.gz[f] * plane, -(-last // fields.gz[f]) * plane
        fields.s[fields.offset[f] + low : fields.offset[f] + high] = 0.0
        if rates.taken[f] == 1:
            fields.u[fields.at_u[f] + low : fields.at_u[f] + high] = 0.0


@kernel(inline=True)
def _plane(fields, f, z):
    """(where the plane of voxels that holds plane z of sites begins and ends, log2 of sites a voxel)."""
    voxels = fields.ny[f] * fields.nx[f]
    first = (z // fields.gz[f]) * voxels
    return first, first + voxels, fields.gx[f] // 2  # of 1, 2 and 4 sites: 0, 1 and 2


@kernel(inline=True)
def _share(fields, f):
    """The share of a voxel that a site is, as if all voxels were whole; a power of two: exact."""
    return 1.0 / float(fields.gz[f] * fields.gy[f] * fields.gx[f])


@kernel
def _add_bulk(state, tables, lattice, fields, used, rates, body, z, y, r):
    """Add what the bulk cells of the strip from (z, y) on do, kind by kind."""
    row = z * lattice.ny + y
    start, rows = row * lattice.nx, rows_from(lattice, r, row, row + r.rows)
    find_cells(state, lattice, row, rows, 1, r)
    find_voxels(lattice, y, rows, r)
    sensed = 0  # the last kind that was asked: fields are interpolated once a strip, signals once a kind
    for j in range(len(rates.kind)):
        kind, f = rates.kind[j], rates.field[j]
        if r.found[kind] == 0:
            continue
        place = r.place[kind, : r.found[kind]]
        low, high, shift = _plane(fields, f, z)
        share, voxel = _share(fields, f), r.voxel[shift]
        s = fields.s[fields.offset[f] + low : fields.offset[f] + high]
        u = fields.u[fields.at_u[f] + low : fields.at_u[f] + low + (high - low) * rates.taken[f]]
        if rates.how[j] == _CONSTANT:
            _add_equal(place, voxel, rates.source[j] * share, s)
            _add_equal(place, voxel, rates.uptake[j] * share, u)
        elif rates.how[j] == _LISTED:
            for i in range(len(place)):
                slot = state.bulk_agent[start + place[i]]
                s[voxel[place[i]]] += state.secretes[slot, f] / body[2] * share
        else:
            if sensed == 0:
                sense_fields_of_strip(lattice, fields, used, z, y, rows, r)
            if sensed != kind:
                sense_strip(state, tables, lattice, kind, z, y, r)
                sensed = kind
            _add_varying(state, tables, f, body, start, kind, voxel, share, s, u, r)


@kernel
def _add_equal(place, voxel, value, of_voxels):
    """Add the same for every cell."""
    if value != 0.0:
        for i in range(len(place)):
            of_voxels[voxel[place[i]]] += value


@kernel
def _add_varying(state, tables, f, body, start, kind, voxel, share, s, u, r):
    """Add what untracked cells of a kind make and take up by the signals they sense; r.signal holds these."""
    unblocked, plasma, site_volume = body
    entry = tables.exchange[kind, f]
    place = r.place[kind, : r.found[kind]]
    v, strength = r.v[: len(place)], r.strength[: len(place)]
    if entry.secrete >= 0:
        evaluate_row(tables, entry.secrete, r.signal, unblocked, plasma, v, strength)
        if entry.scale >= 0:
            for i in range(len(place)):
                v[i] *= float(state.site_trait[start + place[i], entry.scale])
        for i in range(len(place)):
            s[voxel[place[i]]] += v[i] / site_volume * share
    if entry.take_up >= 0:
        evaluate_row(tables, entry.take_up, r.signal, unblocked, plasma, v, strength)
        for i in range(len(place)):
            u[voxel[place[i]]] += v[i] * share
    if entry.exchange >= 0:
        evaluate_row(tables, entry.exchange, r.signal, unblocked, plasma, v, strength)
        for i in range(len(place)):
            u[voxel[place[i]]] += v[i] * share
            s[voxel[place[i]]] += v[i] * entry.level * share


@kernel
def _add_lymphoid(state, lattice, fields, made, site_volume, z, y, r):
    """Add what the lymphoid cells of the strip from (z, y) on secrete; `r.voxel` is its own."""
    if len(made) == 0:
        return
    row = z * lattice.ny + y
    start = row * lattice.nx
    for w in range(rows_from(lattice, r, row, row + r.rows) * lattice.nx):
        if state.occupied[start + w] == 1:
            slot = state.lymphoid[start + w]
            for f in made:
                low, _, shift = _plane(fields, f, z)
                added = state.secretes[slot, f] / site_volume * _share(fields, f)
                fields.s[fields.offset[f] + low + r.voxel[shift, w]] += added
