"""Motility: lymphoid cells hop between sites, up a gradient if they follow one.

Propose, resolve, commit: every cell names the free site it would take, the lowest hashed priority wins a
contested one, winners move.  No phase reads what another cell writes in it, so neither the order of the
list nor the number of threads can matter.

Cells go through each phase in batches, loop by loop: what is random in one cell's fate is a selection, not
a branch that the processor must guess.
"""

import math
from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, uniform, uniforms_at
from .fields import value_gradient_at
from .lattice import coordinates, directions, neighbor

# A cell whose hop clock rang, but that stays: it still looks around for a target.
LOOKS = -2

_HOP = STREAM["hop"]
_PRIORITY = STREAM["priority"]
_BATCH = 512  # cells: their scratch stays in the first-level cache


class Walk(NamedTuple):
    """Scratch for a batch of cells; those that hop stand together."""

    site: np.ndarray  # i8 site of each cell of the batch
    chance: np.ndarray  # f8 of a hop
    first: np.ndarray  # f8 two uniforms a cell
    second: np.ndarray
    slot: np.ndarray  # i8 the cells that hop
    place: np.ndarray  # i8[:, 3] z, y, x
    u: np.ndarray  # f8 what is left of their uniforms
    v: np.ndarray
    c: np.ndarray  # f8 the field that they follow, and its slopes
    gz: np.ndarray
    gy: np.ndarray
    gx: np.ndarray
    bias: np.ndarray  # f8 0 for those that follow none
    receptor: np.ndarray
    sensitivity: np.ndarray
    direction: np.ndarray  # i8


@kernel(allocates=True)
def make_walk():
    """Scratch for one batch."""
    n = _BATCH
    return Walk(
        np.zeros(n, np.int64),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, np.int64),
        np.zeros((n, 3), np.int64),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, np.int64),
    )


@kernel(allocates=True)
def propose_hops(state, tables, lattice, fields, dice, step, part, start, stop):
    """Each free-walking cell in slots [start, stop) names the free site it would hop to, or none."""
    propose_batches(state, tables, lattice, fields, dice, step, part, start, stop, make_walk())


@kernel
def propose_batches(state, tables, lattice, fields, dice, step, part, start, stop, w):
    """`propose_hops` on scratch of the caller's."""
    for first in range(start, stop, _BATCH):
        n = min(_BATCH, stop - first)
        for i in range(n):
            agent = state.agents[first + i]
            agent.proposal = -1
            w.site[i] = agent.site
            w.chance[i] = agent.hop if agent.target < 0 else 0.0
        uniforms_at(dice, _HOP, step, part, w.site[:n], w.first[:n], w.second[:n])
        hops = 0
        for i in range(n):
            w.slot[hops] = i
            hops += int(w.first[i] < w.chance[i])
        _sense_slopes(state, tables, lattice, fields, first, hops, w)
        _choose_directions(fields.spacing, directions(lattice), hops, w)
        _name_goals(state, tables, lattice, hops, w)


@kernel
def _sense_slopes(state, tables, lattice, fields, first, hops, w):
    """The field that each hopping cell follows; w.slot turns from places in the batch into slots."""
    for j in range(hops):
        i = w.slot[j]
        slot = first + i
        kind = int(state.agents[slot].kind)
        k = tables.kinds[kind]
        z, y, x = coordinates(lattice, w.site[i])
        w.place[j, 0], w.place[j, 1], w.place[j, 2] = z, y, x
        w.u[j], w.v[j] = w.first[i] / w.chance[i], w.second[i]
        w.slot[j] = slot
        w.receptor[j], w.sensitivity[j] = k.receptor, k.sensitivity
        if k.toward >= 0:
            w.bias[j] = k.bias
            w.c[j], w.gz[j], w.gy[j], w.gx[j] = value_gradient_at(fields, k.toward, z, y, x)
        else:
            w.bias[j], w.c[j], w.gz[j], w.gy[j], w.gx[j] = 0.0, 0.0, 0.0, 0.0, 0.0


@kernel
def _choose_directions(spacing, ways, hops, w):
    """Up the gradient with a chance, else any way.

    The drive is the difference in receptor occupancy c/(c + Kd) across one site, so it fades where c ≫ Kd
    (desensitized) and where c ≪ Kd (few receptors bound).  An axis is drawn by its share of |∇c|₁.
    """
    for j in range(hops):
        gz, gy, gx, receptor = w.gz[j], w.gy[j], w.gx[j], w.receptor[j]
        steepness = math.sqrt(gz * gz + gy * gy + gx * gx)
        # bias · d / (d + sensitivity) with the occupancy difference d = a |∇c| Kd / (Kd + c)²
        difference = spacing * steepness * receptor
        bound = receptor + w.c[j]
        strength = w.bias[j] * difference / (difference + w.sensitivity[j] * bound * bound)
        strength = strength if steepness > 0.0 else 0.0
        u, v = w.u[j], w.v[j]
        follows = u < strength
        w.u[j] = u / strength if follows else (u - strength) / (1.0 - strength)
        pick = v * (abs(gz) + abs(gy) + abs(gx))
        beyond_x, beyond_y = pick >= abs(gx), pick >= abs(gx) + abs(gy)
        slope = gz if beyond_y else (gy if beyond_x else gx)
        uphill = 2 * (int(beyond_x) + int(beyond_y)) + int(slope > 0.0)
        w.direction[j] = uphill if follows else int(v * ways)


@kernel
def _name_goals(state, tables, lattice, hops, w):
    """The neighboring site in the chosen direction, if it is free and no barrier keeps the cell out."""
    for j in range(hops):
        slot = w.slot[j]
        site = int(state.agents[slot].site)
        goal = neighbor(lattice, site, w.place[j, 0], w.place[j, 1], w.place[j, 2], w.direction[j])
        there = goal if goal >= 0 else site
        enters_nest = tables.kinds[state.bulk[site]].stroma & (1 - tables.kinds[state.bulk[there]].stroma)
        kept_out = enters_nest & int(w.u[j] >= tables.kinds[state.agents[slot].kind].barrier)
        stays = int(goal < 0) | int(state.occupied[there]) | kept_out
        state.agents[slot].proposal = LOOKS if stays == 1 else goal


@kernel(allocates=True)
def resolve_hops(state, lattice, dice, step, part, start, stop):
    """Of the cells that name one site, the lowest priority keeps it; the others stay.

    A loser's proposal turns negative, so that its rivals still read the goal.
    """
    resolve_batches(state, lattice, dice, step, part, start, stop, make_contested())


@kernel(allocates=True)
def make_contested():
    """Scratch for the cells of a batch whose goals others may name."""
    return np.zeros(_BATCH, np.int64)


@kernel
def resolve_batches(state, lattice, dice, step, part, start, stop, contested):
    """`resolve_hops` on scratch of the caller's: i8[batch]."""
    for first in range(start, stop, len(contested)):
        found = 0
        for slot in range(first, min(stop, first + len(contested))):
            goal = int(state.agents[slot].proposal)
            contested[found] = slot
            found += int(goal >= 0) & int(_cells_beside(state, lattice, max(goal, 0)) != 1)
        for i in range(found):
            _contest(state, lattice, dice, step, part, contested[i])


@kernel(inline=True)
def _cells_beside(state, lattice, site):
    """Lymphoid cells on the face neighbors of a free site; across walls too many rather than too few.

    Where a goal has one cell beside it, that is the cell which names it, and nobody contends.
    """
    nx, plane, last = lattice.nx, lattice.ny * lattice.nx, len(state.occupied) - 1
    found = int(state.occupied[max(site - 1, 0)]) + int(state.occupied[min(site + 1, last)])
    found += int(state.occupied[max(site - nx, 0)]) + int(state.occupied[min(site + nx, last)])
    found += int(state.occupied[max(site - plane, 0)]) + int(state.occupied[min(site + plane, last)])
    return found + 2 * lattice.wraps


@kernel
def _contest(state, lattice, dice, step, part, slot):
    """One cell's goal against every other cell that may name it."""
    goal = int(state.agents[slot].proposal)
    own = int(state.agents[slot].site)
    z, y, x = coordinates(lattice, goal)
    for direction in range(directions(lattice)):
        beside = neighbor(lattice, goal, z, y, x, direction)
        if beside < 0 or beside == own or state.occupied[beside] == 0:
            continue
        if _named(int(state.agents[state.lymphoid[beside]].proposal)) != goal:
            continue
        mine = uniform(dice, _PRIORITY, step, part, own)
        theirs = uniform(dice, _PRIORITY, step, part, beside)
        if theirs < mine or (theirs == mine and beside < own):
            state.agents[slot].proposal = LOOKS - 1 - goal
            return


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
