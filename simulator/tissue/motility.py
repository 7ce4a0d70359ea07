"""Motility: lymphoid cells hop between sites, up a gradient if they follow one.

Propose, claim, dispute, resolve, commit: every cell names the free site it would take and marks it, rivals
find each other by the marks, the lowest hashed priority wins a contested site, winners move.  No phase reads
what another cell writes in it (of marks on one site any may stay), so neither the order of the list nor the
number of threads can matter.

Cells go through each phase in batches, loop by loop: what is random in one cell's fate is a selection, not
a branch that the processor must guess.
"""

import math
from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, uniform, uniforms_at
from .fields import Slopes, slopes_of
from .lattice import coordinates, directions, neighbor

# A cell whose hop clock rang, but that stays: it still looks around for a target.
LOOKS = -2

_HOP = STREAM["hop"]
_PRIORITY = STREAM["priority"]
# Marks in `occupied`, where 0 is free and 1 is a cell: claimed from a direction; by several cells.
_CLAIMED = np.uint8(2)
_CONTESTED = np.uint8(255)
_BATCH = 512  # cells: their scratch stays in the first-level cache


class Walk(NamedTuple):
    """Scratch for a batch of cells; those that hop stand together."""

    site: np.ndarray  # i8 site of each cell of the batch
    chance: np.ndarray  # f8 of a hop
    first: np.ndarray  # f8 two uniforms a cell
    second: np.ndarray
    slot: np.ndarray  # i8 the cells that hop
    here: np.ndarray  # i8 their sites
    z: np.ndarray  # i8
    y: np.ndarray
    x: np.ndarray
    u: np.ndarray  # f8 what is left of their uniforms
    v: np.ndarray
    slopes: Slopes  # of the field that they follow
    kind: np.ndarray  # i8
    bias: np.ndarray  # f8 of their kinds
    receptor: np.ndarray
    sensitivity: np.ndarray
    direction: np.ndarray  # i8
    goal: np.ndarray  # i8 the site there; negative behind a wall
    openness: np.ndarray  # f8 chance that the way in that direction is open


@kernel(allocates=True)
def make_walk():
    """Scratch for one batch."""
    n = _BATCH
    slopes = Slopes(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n))
    return Walk(
        np.zeros(n, np.int64),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n),
        np.zeros(n),
        slopes,
        np.zeros(n, np.int64),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n),
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
            w.site[i] = agent.site
            w.chance[i] = agent.hop if agent.target < 0 else 0.0
            state.proposal[first + i] = -1
        uniforms_at(dice, _HOP, step, part, w.site[:n], w.first[:n], w.second[:n])
        hops = 0
        for i in range(n):
            w.slot[hops], w.here[hops] = first + i, w.site[i]
            w.u[hops], w.v[hops] = w.first[i] / (w.chance[i] if w.chance[i] > 0.0 else 1.0), w.second[i]
            hops += int(w.first[i] < w.chance[i])
        for j in range(hops):
            w.kind[j] = state.agents[w.slot[j]].kind
            w.z[j], w.y[j], w.x[j] = coordinates(lattice, w.here[j])
        _choose_ways(directions(lattice), hops, w)
        for i in range(len(tables.followed)):
            slopes_of(fields, tables.followed[i], w.z, w.y, w.x, hops, w.slopes)
            _follow(tables, fields.spacing, tables.followed[i], hops, w)
        _name_goals(state, tables, lattice, hops, w)
        if _some_try(tables):
            _try_other_ways(state, tables, lattice, hops, w)


@kernel
def _choose_ways(ways, hops, w):
    """Any way, all alike."""
    for j in range(hops):
        w.direction[j] = int(w.v[j] * ways)


@kernel
def _follow(tables, spacing, f, hops, w):
    """Cells that follow field f go up its gradient with a chance instead.

    The drive is the difference in receptor occupancy c/(c + Kd) across one site, so it fades where c ≫ Kd
    (desensitized) and where c ≪ Kd (few receptors bound).  An axis is drawn by its share of |∇c|₁.
    Short loops, each over no more arrays than LLVM vectorizes.
    """
    gz, gy, gx = w.slopes.z, w.slopes.y, w.slopes.x
    for j in range(hops):
        k = tables.kinds[w.kind[j]]
        w.bias[j] = k.bias if k.toward == f else 0.0
        w.receptor[j], w.sensitivity[j] = k.receptor, k.sensitivity
    for j in range(hops):
        steepness = math.sqrt(gz[j] * gz[j] + gy[j] * gy[j] + gx[j] * gx[j])
        # bias · d / (d + sensitivity) with the occupancy difference d = a |∇c| Kd / (Kd + c)²
        difference = spacing * steepness * w.receptor[j]
        bound = w.receptor[j] + w.slopes.c[j]
        whole = difference + w.sensitivity[j] * bound * bound
        w.bias[j] = w.bias[j] * difference / (whole if steepness > 0.0 else 1.0)
    for j in range(hops):
        u, chance = w.u[j], w.bias[j]
        w.receptor[j] = 1.0 if u < chance else 0.0  # follows
        w.u[j] = (u if u < chance else u - chance) / (chance if u < chance else 1.0 - chance)
    for j in range(hops):
        pick = w.v[j] * (abs(gz[j]) + abs(gy[j]) + abs(gx[j]))
        beyond_x, beyond_y = pick >= abs(gx[j]), pick >= abs(gx[j]) + abs(gy[j])
        slope = gz[j] if beyond_y else (gy[j] if beyond_x else gx[j])
        uphill = 2 * (int(beyond_x) + int(beyond_y)) + int(slope > 0.0)
        w.direction[j] = uphill if w.receptor[j] > 0.0 else w.direction[j]


@kernel
def _name_goals(state, tables, lattice, hops, w):
    """The neighboring site in the chosen direction, if it is free and nothing there keeps the cell out."""
    for j in range(hops):
        w.goal[j] = neighbor(lattice, w.here[j], w.z[j], w.y[j], w.x[j], w.direction[j])
    for j in range(hops):
        w.openness[j] = _openness(state, tables, w.kind[j], w.here[j], w.goal[j])
    for j in range(hops):
        state.proposal[w.slot[j]] = w.goal[j] if w.u[j] < w.openness[j] else LOOKS
        state.way[w.slot[j]] = w.direction[j]


@kernel(inline=True)
def _openness(state, tables, kind, site, goal):
    """The chance that nothing keeps a cell of this kind from stepping from `site` to `goal`."""
    there = goal if goal >= 0 else site
    shut = int(goal < 0) | int(state.occupied[there])
    return tables.opens[kind, state.bulk[site], state.bulk[there]] * (1 - shut)


@kernel
def _some_try(tables):
    """Whether a kind tries more than one way."""
    for k in range(len(tables.kinds)):
        if tables.kinds[k].tries > 1:
            return True
    return False


@kernel
def _try_other_ways(state, tables, lattice, hops, w):
    """A cell whose way is shut tries the others in random turn, as many as its kind does.

    What is left of its uniform after each refusal decides which way comes next, and whether it is open.
    """
    ways = directions(lattice)
    for j in range(hops):
        slot, site, kind = w.slot[j], w.here[j], w.kind[j]
        u, openness, tried = w.u[j], w.openness[j], 0
        for left in range(ways - 1, ways - min(tables.kinds[kind].tries, ways), -1):
            if state.proposal[slot] != LOOKS or openness >= 1.0:  # an open way is refused by rounding alone
                break
            tried |= 1 << state.way[slot]
            u = (u - openness) / (1.0 - openness) * left
            nth = min(int(u), left - 1)
            state.way[slot] = _untried(tried, nth)
            u -= nth
            goal = neighbor(lattice, site, w.z[j], w.y[j], w.x[j], state.way[slot])
            openness = _openness(state, tables, kind, site, goal)
            if u < openness:
                state.proposal[slot] = goal


@kernel(inline=True)
def _untried(tried, nth):
    """The nth way, counted from 0, whose bit is not set."""
    way = 0
    while tried >> way & 1 or nth > 0:
        nth -= 1 - (tried >> way & 1)
        way += 1
    return way


@kernel
def claim_goals(state, start, stop):
    """Every cell that names a site leaves its mark there: one of several rivals' stays, no matter whose."""
    for slot in range(start, stop):
        goal = state.proposal[slot]
        if goal >= 0:
            state.occupied[goal] = _CLAIMED + state.way[slot]


@kernel
def dispute_goals(state, start, stop):
    """Whoever does not find its own mark has a rival, and says so."""
    for slot in range(start, stop):
        goal = state.proposal[slot]
        if goal >= 0 and state.occupied[goal] != _CLAIMED + state.way[slot]:
            state.occupied[goal] = _CONTESTED


@kernel
def resolve_hops(state, lattice, dice, step, part, start, stop):
    """Of the cells that name one site, the lowest priority keeps it; the others stay.

    A loser's proposal turns negative, so that its rivals still read the goal.
    """
    for slot in range(start, stop):
        goal = state.proposal[slot]
        if goal >= 0 and state.occupied[goal] == _CONTESTED:
            _contest(state, lattice, dice, step, part, slot, int(goal))


@kernel
def _contest(state, lattice, dice, step, part, slot, goal):
    """One cell's goal against every other cell that names it."""
    own = int(state.agents[slot].site)
    mine = uniform(dice, _PRIORITY, step, part, own)
    z, y, x = coordinates(lattice, goal)
    for direction in range(directions(lattice)):
        beside = neighbor(lattice, goal, z, y, x, direction)
        if beside < 0 or beside == own or state.occupied[beside] != 1:
            continue
        if _named(int(state.proposal[state.lymphoid[beside]])) != goal:
            continue
        theirs = uniform(dice, _PRIORITY, step, part, beside)
        if theirs < mine or (theirs == mine and beside < own):
            state.proposal[slot] = LOOKS - 1 - goal
            return


@kernel(inline=True)
def _named(proposal):
    """The site that a proposal names, whether it lost or not; negative for none."""
    return proposal if proposal >= LOOKS else LOOKS - 1 - proposal


@kernel
def commit_hops(state, start, stop):
    """Move the winners: their goals are free and distinct, so cells move without touching each other.

    Every goal that was claimed has its winner, so no mark stays behind.
    """
    for slot in range(start, stop):
        goal = int(state.proposal[slot])
        if goal >= 0:
            site = int(state.agents[slot].site)
            state.lymphoid[site] = -1
            state.occupied[site] = 0
            state.lymphoid[goal] = slot
            state.occupied[goal] = 1
            state.agents[slot].site = goal
