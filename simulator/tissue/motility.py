"""Motility: lymphoid cells hop between sites, up a gradient if they follow one.

Propose, resolve, commit: every cell names the free site it would take, the lowest hashed priority wins a
contested one, winners move.  No phase reads what another cell writes in it, so neither the order of the
list nor the number of threads can matter.
"""

import math

from ..base.kernel import kernel
from ..base.rng import STREAM, uniform, uniforms
from .fields import value_gradient_at
from .lattice import coordinates, directions, neighbor

# A cell whose hop clock rang, but that stays: it still looks around for a target.
LOOKS = -2

_HOP = STREAM["hop"]
_PRIORITY = STREAM["priority"]


@kernel
def propose_hops(state, tables, lattice, fields, dice, step, part, start, stop):
    """Each free-walking cell in slots [start, stop) names the free site it would hop to, or none."""
    for slot in range(start, stop):
        state.agents[slot].proposal = -1
        chance = state.agents[slot].hop
        if chance <= 0.0 or state.agents[slot].target >= 0:
            continue
        site = state.agents[slot].site
        u, v = uniforms(dice, _HOP, step, part, site)
        if u >= chance:
            continue
        state.agents[slot].proposal = LOOKS
        kind = state.agents[slot].kind
        z, y, x = coordinates(lattice, site)
        u = u / chance
        direction = -1
        if tables.kinds[kind].toward >= 0 and tables.kinds[kind].bias > 0.0:
            strength, direction = _biased(tables, fields, kind, z, y, x, v)
            if u < strength:
                u = u / strength
            else:
                u = (u - strength) / (1.0 - strength)
                direction = -1
        if direction < 0:
            direction = int(v * directions(lattice))
        goal = neighbor(lattice, site, z, y, x, direction)
        if goal < 0 or state.lymphoid[goal] >= 0:
            continue
        enters_nest = (
            tables.kinds[state.bulk[site]].stroma == 1 and tables.kinds[state.bulk[goal]].stroma == 0
        )
        if enters_nest and u >= tables.kinds[kind].barrier:
            continue
        state.agents[slot].proposal = goal


@kernel(inline=True)
def _biased(tables, fields, kind, z, y, x, v):
    """(chance to follow the gradient, direction along it) at a site.

    The drive is the difference in receptor occupancy c/(c + Kd) across one site, so it fades where c ≫ Kd
    (desensitized) and where c ≪ Kd (few receptors bound).  An axis is drawn by its share of |∇c|₁.
    """
    c, gz, gy, gx = value_gradient_at(fields, tables.kinds[kind].toward, z, y, x)
    steepness = math.sqrt(gz * gz + gy * gy + gx * gx)
    if steepness <= 0.0:
        return 0.0, -1
    bound = tables.kinds[kind].receptor + c
    difference = fields.spacing * steepness * tables.kinds[kind].receptor / (bound * bound)
    strength = tables.kinds[kind].bias * difference / (difference + tables.kinds[kind].sensitivity)
    pick = v * (abs(gz) + abs(gy) + abs(gx))
    if pick < abs(gx):
        return strength, 1 if gx > 0.0 else 0
    if pick < abs(gx) + abs(gy):
        return strength, 3 if gy > 0.0 else 2
    return strength, 5 if gz > 0.0 else 4


@kernel
def resolve_hops(state, lattice, dice, step, part, start, stop):
    """Of the cells that name one site, the lowest priority keeps it; the others stay.

    A loser marks its proposal by adding the number of sites, so that its rivals still read it.
    """
    sites = lattice.nz * lattice.ny * lattice.nx
    for slot in range(start, stop):
        goal = state.agents[slot].proposal
        if goal < 0:
            continue
        goal = goal % sites
        z, y, x = coordinates(lattice, goal)
        own = state.agents[slot].site
        for direction in range(directions(lattice)):
            beside = neighbor(lattice, goal, z, y, x, direction)
            if beside < 0 or beside == own:
                continue
            rival = state.lymphoid[beside]
            if rival < 0 or state.agents[rival].proposal < 0 or state.agents[rival].proposal % sites != goal:
                continue
            mine = uniform(dice, _PRIORITY, step, part, own)
            theirs = uniform(dice, _PRIORITY, step, part, beside)
            if theirs < mine or (theirs == mine and beside < own):
                state.agents[slot].proposal = goal + sites
                break


@kernel
def commit_hops(state, lattice, start, stop):
    """Move the winners: their goals are free and distinct, so cells move without touching each other."""
    sites = lattice.nz * lattice.ny * lattice.nx
    for slot in range(start, stop):
        goal = state.agents[slot].proposal
        if 0 <= goal < sites:
            state.lymphoid[state.agents[slot].site] = -1
            state.lymphoid[goal] = slot
            state.agents[slot].site = goal
