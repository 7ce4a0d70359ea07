"""Motility: lymphoid cells hop between sites, up a gradient if they follow one.

Propose, resolve, commit: every cell names the free site it would take, the lowest hashed priority wins a
contested one, winners move.  No phase reads what another cell writes in it, so neither the order of the
list nor the number of threads can matter.
"""

import math

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, uniform, uniforms_at
from .fields import value_gradient_at
from .lattice import coordinates, directions, neighbor

# A cell whose hop clock rang, but that stays: it still looks around for a target.
LOOKS = -2

_HOP = STREAM["hop"]
_PRIORITY = STREAM["priority"]


@kernel(allocates=True)
def propose_hops(state, tables, lattice, fields, dice, step, part, start, stop):
    """Each free-walking cell in slots [start, stop) names the free site it would hop to, or none."""
    sites = np.empty(stop - start, np.int64)
    u, v = np.empty(stop - start), np.empty(stop - start)
    _sites_of(state, start, sites)
    uniforms_at(dice, _HOP, step, part, sites, u, v)
    _propose(state, tables, lattice, fields, start, u, v)


@kernel
def _sites_of(state, start, sites):
    """Sites of consecutive slots."""
    for i in range(len(sites)):
        sites[i] = state.agents[start + i].site


@kernel
def _propose(state, tables, lattice, fields, start, first, second):
    """`propose_hops` on the dice of the slots from `start` on."""
    for i in range(len(first)):
        agent = state.agents[start + i]
        agent.proposal = -1
        chance = agent.hop
        u, v = first[i], second[i]
        if chance <= 0.0 or agent.target >= 0 or u >= chance:
            continue
        site = int(agent.site)
        agent.proposal = LOOKS
        kind = int(agent.kind)
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
        if goal < 0 or state.occupied[goal] == 1:
            continue
        enters_nest = (
            tables.kinds[state.bulk[site]].stroma == 1 and tables.kinds[state.bulk[goal]].stroma == 0
        )
        if enters_nest and u >= tables.kinds[kind].barrier:
            continue
        agent.proposal = goal


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
    k = tables.kinds[kind]
    # bias · d / (d + sensitivity) with the occupancy difference d = a |∇c| Kd / (Kd + c)²
    difference = fields.spacing * steepness * k.receptor
    strength = k.bias * difference / (difference + k.sensitivity * (k.receptor + c) * (k.receptor + c))
    pick = v * (abs(gz) + abs(gy) + abs(gx))
    axis = int(pick >= abs(gx)) + int(pick >= abs(gx) + abs(gy))
    slope = gx if axis == 0 else (gy if axis == 1 else gz)
    return strength, 2 * axis + int(slope > 0.0)


@kernel
def resolve_hops(state, lattice, dice, step, part, start, stop):
    """Of the cells that name one site, the lowest priority keeps it; the others stay.

    A loser's proposal turns negative, so that its rivals still read the goal.
    """
    for slot in range(start, stop):
        goal = int(state.agents[slot].proposal)
        if goal < 0:
            continue
        z, y, x = coordinates(lattice, goal)
        if _cells_beside(state, lattice, goal, z, y, x) == 1:
            continue  # itself alone
        own = int(state.agents[slot].site)
        for direction in range(directions(lattice)):
            beside = neighbor(lattice, goal, z, y, x, direction)
            if beside < 0 or beside == own:
                continue
            rival = state.lymphoid[beside]
            if rival < 0 or _named(int(state.agents[rival].proposal)) != goal:
                continue
            mine = uniform(dice, _PRIORITY, step, part, own)
            theirs = uniform(dice, _PRIORITY, step, part, beside)
            if theirs < mine or (theirs == mine and beside < own):
                state.agents[slot].proposal = LOOKS - 1 - goal
                break


@kernel(inline=True)
def _cells_beside(state, lattice, site, z, y, x):
    """Lymphoid cells on the face neighbors of a site; −1, unknown, beside a wall."""
    nx, plane = lattice.nx, lattice.ny * lattice.nx
    if x == 0 or x == nx - 1 or y == 0 or y == lattice.ny - 1 or z == 0 or z == lattice.nz - 1:
        return -1
    found = int(state.occupied[site - 1]) + int(state.occupied[site + 1])
    found += int(state.occupied[site - nx]) + int(state.occupied[site + nx])
    return found + int(state.occupied[site - plane]) + int(state.occupied[site + plane])


@kernel(inline=True)
def _named(proposal):
    """The site that a proposal names, whether it lost or not; negative for none."""
    return proposal if proposal >= LOOKS else LOOKS - 1 - proposal


@kernel
def commit_hops(state, start, stop):
    """Move the winners: their goals are free and distinct, so cells move without touching each other."""
    for slot in range(start, stop):
        goal = int(state.agents[slot].proposal)
        if goal >= 0:
            site = int(state.agents[slot].site)
            state.lymphoid[site] = -1
            state.occupied[site] = 0
            state.lymphoid[goal] = slot
            state.occupied[goal] = 1
            state.agents[slot].site = goal
