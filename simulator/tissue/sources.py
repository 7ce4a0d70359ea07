"""Sources: what the cells of each voxel secrete, take up and exchange with the blood.

Gathered voxel by voxel in the order of its sites, never scattered in the order of the agent list, so the
sums have the same bits however the list is ordered and however many threads gather.
"""

from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from .cellrow import find_cells, make_cell_row, sense_fields_of_row, sense_row
from .rules import evaluate, evaluate_row

_UNUSED, _CONSTANT, _VARIES = range(3)


class Rates(NamedTuple):
    """What a bulk cell of each kind adds to each field, as if its site were a voxel of its own."""

    source: np.ndarray  # f8[F, K] [unit/h], where no signal matters
    uptake: np.ndarray  # f8[F, K] [1/h], the same
    how: np.ndarray  # u1[F, K] nothing to do with the field; constant; or to be asked site by site
    takes: np.ndarray  # u1[F] whether any takes it up


@kernel(allocates=True)
def constant_rates(tables, unblocked, plasma, site_volume):
    """The rates that hold for all cells of a kind, and which kinds must be asked cell by cell."""
    kinds, fields = tables.exchange.shape
    rates = Rates(
        np.zeros((fields, kinds)),
        np.zeros((fields, kinds)),
        np.zeros((fields, kinds), np.uint8),
        np.zeros(fields, np.uint8),
    )
    x = np.zeros(max(1, len(tables.senses)))
    for f in range(fields):
        for kind in range(1, kinds):
            entry = tables.exchange[kind, f]
            if entry.secrete < 0 and entry.take_up < 0 and entry.exchange < 0:
                continue
            if entry.take_up >= 0 or entry.exchange >= 0:
                rates.takes[f] = 1
            if (entry.secrete >= 0 and (tables.kinds[kind].tracked == 1 or entry.scale >= 0)) or (
                _depends(tables, entry.secrete)
                or _depends(tables, entry.take_up)
                or _depends(tables, entry.exchange)
            ):
                rates.how[f, kind] = _VARIES
                continue
            rates.how[f, kind] = _CONSTANT
            if entry.secrete >= 0:
                rates.source[f, kind] += evaluate(tables, entry.secrete, x, unblocked, plasma) / site_volume
            if entry.take_up >= 0:
                rates.uptake[f, kind] += evaluate(tables, entry.take_up, x, unblocked, plasma)
            if entry.exchange >= 0:
                rate = evaluate(tables, entry.exchange, x, unblocked, plasma)
                rates.uptake[f, kind] += rate
                rates.source[f, kind] += rate * entry.level
    return rates


@kernel
def _depends(tables, behavior):
    """Whether a behavior (−1: none) depends on a signal."""
    if behavior < 0:
        return False
    b = tables.behaviors[behavior]
    return b.gate >= 0 or b.row_stop > b.row_start


@kernel(allocates=True)
def gather(state, tables, lattice, fields, group, used, rates, unblocked, plasma, site_volume, start, stop):
    """Write source s [unit/h] and uptake u [1/h] of fields of one grid for their voxel planes [start, stop).

    group : i8, these fields; used : i8, the fields that the kinds asked cell by cell sense.
    """
    r = make_cell_row(tables, fields, lattice.nx)
    made, taken = np.zeros((len(group), lattice.nx)), np.zeros((len(group), lattice.nx))
    body = (unblocked, plasma, site_volume)
    f = group[0]
    for vz in range(start, stop):
        for vy in range(fields.ny[f]):
            _clear(fields, group, vz, vy)
            for z in range(vz * fields.gz[f], min((vz + 1) * fields.gz[f], lattice.nz)):
                for y in range(vy * fields.gy[f], min((vy + 1) * fields.gy[f], lattice.ny)):
                    _rates_of_row(
                        state, tables, lattice, fields, group, used, rates, body, z, y, made, taken, r
                    )
                    _add_row(fields, group, rates, vz, vy, made, taken)


@kernel
def _clear(fields, group, vz, vy):
    """Start the sums of a row of voxels."""
    for g in range(len(group)):
        f = group[g]
        voxel = fields.offset[f] + (vz * fields.ny[f] + vy) * fields.nx[f]
        fields.s[voxel : voxel + fields.nx[f]] = 0.0
        fields.u[voxel : voxel + fields.nx[f]] = 0.0


@kernel
def _rates_of_row(state, tables, lattice, fields, group, used, rates, body, z, y, made, taken, r):
    """Source and uptake of every site of row (z, y), f8[fields of the group, nx]."""
    unblocked, plasma, site_volume = body
    start = (z * lattice.ny + y) * lattice.nx
    for g in range(len(group)):
        _constant_row(state, start, rates.source[group[g]], made[g])
        if rates.takes[group[g]] == 1:
            _constant_row(state, start, rates.uptake[group[g]], taken[g])
    find_cells(state, start, 1, r)
    sensed = 0
    for kind in range(1, len(tables.kinds)):
        varies = 0
        for g in range(len(group)):
            varies += int(rates.how[group[g], kind] == _VARIES)
        if r.found[kind] == 0 or varies == 0:
            continue
        if tables.kinds[kind].tracked == 1:
            _add_tracked(state, group, rates, site_volume, start, kind, made, r)
            continue
        if sensed == 0:
            sense_fields_of_row(fields, used, z, y, r)
            sensed = 1
        sense_row(state, tables, lattice, kind, z, y, r)
        for g in range(len(group)):
            if rates.how[group[g], kind] == _VARIES:
                _add_varying(state, tables, group[g], body, start, kind, made[g], taken[g], r)
    _add_lymphoid(state, group, site_volume, start, made)


@kernel
def _constant_row(state, start, of_kind, values):
    """The rate of each site's kind."""
    for w in range(len(values)):
        values[w] = of_kind[state.bulk[start + w]]


@kernel
def _add_tracked(state, group, rates, site_volume, start, kind, made, r):
    """Add what tracked bulk cells of a kind secrete, as the agent list says."""
    for i in range(r.found[kind]):
        w = r.place[kind, i]
        slot = state.bulk_agent[start + w]
        for g in range(len(group)):
            if rates.how[group[g], kind] == _VARIES:
                made[g, w] += state.secretes[slot, group[g]] / site_volume


@kernel
def _add_varying(state, tables, f, body, start, kind, made, taken, r):
    """Add what untracked cells of a kind make and take up by the signals they sense; r.x holds these."""
    unblocked, plasma, site_volume = body
    entry = tables.exchange[kind, f]
    place = r.place[kind, : r.found[kind]]
    v, strength = r.v[: len(place)], r.strength[: len(place)]
    if entry.secrete >= 0:
        evaluate_row(tables, entry.secrete, r.x, unblocked, plasma, v, strength)
        if entry.scale >= 0:
            for i in range(len(place)):
                v[i] *= float(state.site_trait[start + place[i], entry.scale])
        for i in range(len(place)):
            made[place[i]] += v[i] / site_volume
    if entry.take_up >= 0:
        evaluate_row(tables, entry.take_up, r.x, unblocked, plasma, v, strength)
        for i in range(len(place)):
            taken[place[i]] += v[i]
    if entry.exchange >= 0:
        evaluate_row(tables, entry.exchange, r.x, unblocked, plasma, v, strength)
        for i in range(len(place)):
            taken[place[i]] += v[i]
            made[place[i]] += v[i] * entry.level


@kernel
def _add_lymphoid(state, group, site_volume, start, made):
    """Add what the lymphoid cells of a row secrete."""
    for w in range(made.shape[1]):
        if state.occupied[start + w] == 1:
            slot = state.lymphoid[start + w]
            for g in range(len(group)):
                made[g, w] += state.secretes[slot, group[g]] / site_volume


@kernel
def _add_row(fields, group, rates, vz, vy, made, taken):
    """Add a row of sites to its row of voxels, as means over all sites of a whole voxel."""
    for g in range(len(group)):
        f = group[g]
        voxel = fields.offset[f] + (vz * fields.ny[f] + vy) * fields.nx[f]
        _add_sites(made[g], fields.gx[f], fields.s[voxel : voxel + fields.nx[f]], fields, f)
        if rates.takes[f] == 1:
            _add_sites(taken[g], fields.gx[f], fields.u[voxel : voxel + fields.nx[f]], fields, f)


@kernel
def _add_sites(of_sites, gx, of_voxels, fields, f):
    """Add the sites of a row to their voxels, each its share of the voxel."""
    share = 1.0 / float(fields.gz[f] * fields.gy[f] * gx)  # a power of two: exact
    for p in range(gx):
        for i in range((len(of_sites) - p + gx - 1) // gx):
            of_voxels[i] += of_sites[gx * i + p] * share
