"""Sources: what the cells of each voxel secrete, take up and exchange with the blood.

Gathered voxel by voxel in the order of its sites, never scattered in the order of the agent list, so the
sums have the same bits however the list is ordered and however many threads gather.
"""

import numpy as np

from ..base.kernel import kernel
from .rules import evaluate
from .sensing import sense_bulk

_UNUSED, _CONSTANT, _VARIES = range(3)


@kernel(allocates=True)
def constant_rates(tables, f, unblocked, plasma, site_volume):
    """What a bulk cell of each kind adds to field f where no signal matters.

    Returns source [unit/h] and uptake [1/h] as f8[K], and i8[K]: whether a kind has nothing to do with the
    field, acts at these constant rates, or must be asked site by site.
    """
    kinds = len(tables.kinds)
    source = np.zeros(kinds)
    uptake = np.zeros(kinds)
    how = np.zeros(kinds, np.int64)
    x = np.zeros(max(1, len(tables.senses)))
    for kind in range(1, kinds):
        entry = tables.exchange[kind, f]
        if entry.secrete < 0 and entry.take_up < 0 and entry.exchange < 0:
            continue
        how[kind] = _CONSTANT
        if (entry.secrete >= 0 and (tables.kinds[kind].tracked == 1 or entry.scale >= 0)) or (
            _depends(tables, entry.secrete)
            or _depends(tables, entry.take_up)
            or _depends(tables, entry.exchange)
        ):
            how[kind] = _VARIES
        else:
            source[kind], uptake[kind] = _rates(tables, entry, x, unblocked, plasma, site_volume, 1.0)
    return source, uptake, how


@kernel
def _depends(tables, behavior):
    """Whether a behavior (−1: none) depends on a signal."""
    if behavior < 0:
        return False
    b = tables.behaviors[behavior]
    return b.gate >= 0 or b.row_stop > b.row_start


@kernel(inline=True)
def _rates(tables, entry, x, unblocked, plasma, site_volume, scale):
    """(source [unit/h], uptake [1/h]) of one bulk cell, as if its site were a voxel of its own."""
    source = 0.0
    uptake = 0.0
    if entry.secrete >= 0:
        source += evaluate(tables, entry.secrete, x, unblocked, plasma) * scale / site_volume
    if entry.take_up >= 0:
        uptake += evaluate(tables, entry.take_up, x, unblocked, plasma)
    if entry.exchange >= 0:
        rate = evaluate(tables, entry.exchange, x, unblocked, plasma)
        uptake += rate
        source += rate * entry.level
    return source, uptake


@kernel(inline=True)
def _rates_at(state, tables, lattice, fields, f, site, unblocked, plasma, site_volume, x):
    """`_rates` of the bulk cell at a site, by the signals it senses there."""
    kind = int(state.bulk[site])
    entry = tables.exchange[kind, f]
    if tables.kinds[kind].tracked == 1:
        return state.secretes[state.bulk_agent[site], f] / site_volume, 0.0
    sense_bulk(state, tables, lattice, fields, kind, site, x)
    scale = 1.0 if entry.scale < 0 else float(state.site_trait[site, entry.scale])
    return _rates(tables, entry, x, unblocked, plasma, site_volume, scale)


@kernel(allocates=True)
def gather(state, tables, lattice, fields, f, constants, unblocked, plasma, site_volume, start, stop):
    """Write source s [unit/h] and uptake u [1/h] of field f for its voxel planes [start, stop).

    constants : what `constant_rates` returned for this field.
    """
    x = np.zeros(max(1, len(tables.senses)))
    body = (unblocked, plasma, site_volume)
    _gather_planes(state, tables, lattice, fields, f, constants, body, start, stop, x)


@kernel
def _gather_planes(state, tables, lattice, fields, f, constants, body, start, stop, x):
    """`gather` on scratch of the caller's."""
    unblocked, plasma, site_volume = body
    bulk_source, bulk_uptake, how = constants
    bulk, lymphoid, secretes = state.bulk, state.lymphoid, state.secretes
    gz, gy, gx = fields.gz[f], fields.gy[f], fields.gx[f]
    ny, nx = fields.ny[f], fields.nx[f]
    sites = float(gz * gy * gx)
    for vz in range(start, stop):
        for vy in range(ny):
            for vx in range(nx):
                source = 0.0
                uptake = 0.0
                for z in range(vz * gz, min((vz + 1) * gz, lattice.nz)):
                    for y in range(vy * gy, min((vy + 1) * gy, lattice.ny)):
                        row = (z * lattice.ny + y) * lattice.nx
                        for site in range(row + vx * gx, row + min((vx + 1) * gx, lattice.nx)):
                            kind = int(bulk[site])
                            if how[kind] == _CONSTANT:
                                source += bulk_source[kind]
                                uptake += bulk_uptake[kind]
                            elif how[kind] == _VARIES:
                                a, b = _rates_at(
                                    state, tables, lattice, fields, f, site, unblocked, plasma, site_volume, x
                                )
                                source += a
                                uptake += b
                            slot = lymphoid[site]
                            if slot >= 0:
                                source += secretes[slot, f] / site_volume
                voxel = fields.offset[f] + (vz * ny + vy) * nx + vx
                fields.s[voxel] = source / sites
                fields.u[voxel] = uptake / sites
