"""What a cell senses, as numbers: the signals of its kind, in the order of the tables."""

from ..base.kernel import kernel
from .fields import value_at
from .lattice import coordinates, directions, neighbor
from .rules import CONTACT_KIND, CONTACT_TRAIT, ENGAGED, FIELD, TARGET, TRAIT
from .state import trait_of


@kernel(inline=True)
def sense_fields(tables, lattice, fields, kind, site, x):
    """Fill x with the fields at a site, zero elsewhere: what a cell still in the blood can sense."""
    z, y, w = coordinates(lattice, site)
    first = tables.kinds[kind].sense_start
    for j in range(first, tables.kinds[kind].sense_stop):
        x[j - first] = (
            value_at(fields, tables.senses[j].index, z, y, w) if tables.senses[j].code == FIELD else 0.0
        )


@kernel(inline=True)
def sense_agent(state, tables, lattice, fields, slot, now, sub_steps, x):
    """Fill x with the signals of a cell of the agent list.

    now : 1 where `target` means the present target (hits), 0 where it means the last step's (hourly).
    """
    kind = int(state.agents[slot].kind)
    site = int(state.agents[slot].site)
    z, y, w = coordinates(lattice, site)
    first = tables.kinds[kind].sense_start
    for j in range(first, tables.kinds[kind].sense_stop):
        code, index = tables.senses[j].code, tables.senses[j].index
        if code == FIELD:
            x[j - first] = value_at(fields, index, z, y, w)
        elif code == TRAIT:
            x[j - first] = float(state.trait[slot, index])
        elif code == CONTACT_KIND or code == CONTACT_TRAIT:
            layer = int(tables.kinds[kind].lymphoid)
            x[j - first] = contact(state, tables, lattice, layer, site, z, y, w, code, index)
        elif code == TARGET:
            if now == 1:
                x[j - first] = state.facing[slot, index]
            else:
                x[j - first] = state.seen[slot, index] / max(1, int(state.agents[slot].engaged))
        elif code == ENGAGED:
            x[j - first] = int(state.agents[slot].engaged) / sub_steps
        else:
            x[j - first] = 0.0


@kernel(inline=True)
def contact(state, tables, lattice, layer, site, z, y, x, code, index):
    """Sum over the other layer's cell at the own site and the face neighbors of both layers."""
    if layer == 1:
        total = _in_bulk(state, tables, site, code, index)
    else:
        total = _in_lymphoid(state, tables, site, code, index)
    for direction in range(directions(lattice)):
        beside = neighbor(lattice, site, z, y, x, direction)
        if beside >= 0:
            total += _in_bulk(state, tables, beside, code, index)
            total += _in_lymphoid(state, tables, beside, code, index)
    return total


@kernel(inline=True)
def _in_bulk(state, tables, site, code, index):
    """What the bulk cell at a site adds to a contact signal."""
    if code == CONTACT_KIND:
        return 1.0 if state.bulk[site] == index else 0.0
    return trait_of(state, tables, site, index)


@kernel(inline=True)
def _in_lymphoid(state, tables, site, code, index):
    """What the lymphoid cell at a site adds to a contact signal."""
    slot = state.lymphoid[site]
    if slot < 0:
        return 0.0
    kind = int(state.agents[slot].kind)
    if code == CONTACT_KIND:
        return 1.0 if kind == index else 0.0
    column = tables.column[kind, index]
    return float(state.trait[slot, column]) if column >= 0 else 0.0
