"""Killing: effectors arrest on targets and hit them; hits add up, heal, and kill.

Additive cytotoxicity (Weigelin 2021, doi:10.1038/s41467-021-25282-3): a target dies once it carries n hits
at one time; it loses one hit with the repair hazard.
"""

import math

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, poisson, uniform, uniforms
from .lattice import coordinates, directions, neighbor, shifted
from .rules import evaluate
from .sensing import sense_agent
from .state import AGENTS, DYING, FORMED, KILLED, KILLS, TOUCHED, WOUNDED, remove_agent, trait_of

_ENGAGE = STREAM["engage"]
_HIT = STREAM["hit"]
_RELEASE = STREAM["release"]
_REPAIR = STREAM["repair"]
_PRIORITY = STREAM["priority"]
_OWN = 6  # beside the six directions


@kernel(allocates=True)
def engage(state, tables, lattice, fields, unblocked, plasma, dice, step, part, dt, sub_steps, start, stop):
    """Free effectors in slots [start, stop) look at the own site and the face neighbors for a target.

    One of the targets in reach, drawn evenly, is recognized with the product of its `on` traits.  A cell
    looks when its hop clock rings, so that the walk between two arrests has a length of its own and not
    that of a sub-step; a cell that cannot hop looks in every sub-step.
    """
    x = np.zeros(max(1, len(tables.senses)))
    body = (unblocked, plasma)
    engage_slots(state, tables, lattice, fields, body, dice, step, part, dt, sub_steps, start, stop, x)


@kernel
def engage_slots(state, tables, lattice, fields, body, dice, step, part, dt, sub_steps, start, stop, x):
    """`engage` on scratch of the caller's."""
    unblocked, plasma = body
    for slot in range(start, stop):
        agent = state.agents[slot]
        if agent.killer == 0 or agent.target >= 0 or (agent.hop > 0.0 and state.proposal[slot] == -1):
            continue
        kind = int(state.agents[slot].kind)
        wanted = tables.kinds[kind].kill_target
        site = int(state.agents[slot].site)
        z, y, w = coordinates(lattice, site)
        found = int(_is_target(state, site, wanted))
        places = found << _OWN  # a bit a direction in which a target stands, and one for the own site
        for direction in range(directions(lattice)):
            beside = neighbor(lattice, site, z, y, w, direction)
            if beside >= 0 and _is_target(state, beside, wanted):
                found += 1
                places |= 1 << direction
        if found == 0:
            continue
        u, v = uniforms(dice, _ENGAGE, step, part, site)
        direction = _nth_place(places, int(u * found))
        goal = site if direction == _OWN else neighbor(lattice, site, z, y, w, direction)
        recognized = 1.0
        for i in range(tables.kill_on.shape[1]):
            if tables.kill_on[kind, i] >= 0:
                recognized *= trait_of(state, tables, goal, tables.kill_on[kind, i])
        if v >= recognized:
            continue
        state.agents[slot].target = goal
        for j in range(len(tables.target_trait)):
            state.facing[slot, j] = trait_of(state, tables, goal, tables.target_trait[j])
        sense_agent(state, tables, lattice, fields, slot, 1, sub_steps, x)
        rate = evaluate(tables, tables.kinds[kind].kill, x, unblocked, plasma)
        state.agents[slot].hit = rate * exposure(tables.kinds[kind].kill_release, dt)


@kernel
def exposure(release, dt):
    """Mean time that an arrest which ends with hazard `release` lasts within a sub-step of dt."""
    return dt if release <= 0.0 else (1.0 - math.exp(-release * dt)) / release


@kernel(inline=True)
def _is_target(state, site, wanted):
    """Whether a site holds a living cell of the wanted kind."""
    return state.bulk[site] == wanted and state.wounds[site] < DYING


@kernel(inline=True)
def _nth_place(places, n):
    """The n-th bit that is set: that of the own site counts first, then the directions in order."""
    own = places >> _OWN
    if n < own:
        return _OWN
    n -= own
    direction = 0
    while direction < _OWN:
        set_here = (places >> direction) & 1
        if set_here == 1 and n == 0:
            break
        n -= set_here
        direction += 1
    return direction


@kernel
def strike(state, tables, dice, step, part, dt, hitters):
    """Engaged effectors hit; the hits of a sub-step add up; a target with enough of them is dying.

    The killer is the hitter of that sub-step with the lowest priority.  hitters : scratch, a slot an agent.
    Returns how many hit.
    """
    hits = 0
    for slot in range(state.count[AGENTS]):
        goal = int(state.agents[slot].target)
        if goal < 0:
            continue
        state.agents[slot].engaged += 1
        if state.agents[slot].touched == 0:
            state.agents[slot].touched = 1
            state.brought[int(state.agents[slot].kind), state.agents[slot].dose, TOUCHED] += 1
        for j in range(len(tables.target_trait)):
            state.seen[slot, j] += state.facing[slot, j]
        if not _is_target(state, goal, tables.kinds[state.agents[slot].kind].kill_target):
            continue
        u = uniform(dice, _HIT, step, part, state.agents[slot].site)
        struck = poisson(u, state.agents[slot].hit)
        if struck > 0:
            if state.wounds[goal] == 0:
                state.wounded[state.count[WOUNDED]] = goal
                state.count[WOUNDED] += 1
            state.wounds[goal] = min(DYING - 1, int(state.wounds[goal]) + struck)
            hitters[hits] = slot
            hits += 1
    for i in range(hits):
        slot = hitters[i]
        goal = int(state.agents[slot].target)
        if state.wounds[goal] < tables.kinds[state.agents[slot].kind].kill_hits:
            hitters[i] = -1
    for i in range(hits):
        if hitters[i] >= 0 and _is_first(state, dice, step, part, hitters, hits, i):
            _complete_kill(state, tables, hitters[i], dt)
    return hits


@kernel
def _is_first(state, dice, step, part, hitters, hits, i):
    """Whether hitter i has the lowest priority among those that complete a kill on its target."""
    own = int(state.agents[hitters[i]].site)
    goal = int(state.agents[hitters[i]].target)
    for j in range(hits):
        if j == i or hitters[j] < 0 or state.agents[hitters[j]].target != goal:
            continue
        other = int(state.agents[hitters[j]].site)
        mine = uniform(dice, _PRIORITY, step, part, own)
        theirs = uniform(dice, _PRIORITY, step, part, other)
        if theirs < mine or (theirs == mine and other < own):
            return False
    return True


@kernel
def _complete_kill(state, tables, slot, dt):
    """The target of a killer starts to die; the books and the killer's store note it."""
    kind = int(state.agents[slot].kind)
    goal = int(state.agents[slot].target)
    state.wounds[goal] = DYING + min(155, int(tables.kinds[kind].kill_delay / dt + 0.5))
    state.kills[kind, tables.kinds[kind].kill_target] += 1
    state.brought[kind, state.agents[slot].dose, KILLS] += 1
    uses = tables.kinds[kind].kill_uses
    if uses >= 0:
        state.trait[slot, uses] = float(state.trait[slot, uses]) - 1.0
        if state.trait[slot, uses] < 1.0:
            state.agents[slot].killer = 0


@kernel
def heal(state, tables, dice, step, part, dt):
    """Wounded cells lose a hit with the repair hazard; dying cells come to their end."""
    kept = 0
    for i in range(state.count[WOUNDED]):
        site = state.wounded[i]
        wounds = int(state.wounds[site])
        if wounds == 0:
            continue
        if wounds > DYING:
            state.wounds[site] = wounds - 1
        elif wounds == DYING:
            die_of_wounds(state, tables, site)
            continue
        else:
            rate = tables.kinds[state.bulk[site]].repair
            if uniform(dice, _REPAIR, step, part, site) < 1.0 - math.exp(-rate * dt):
                state.wounds[site] = wounds - 1
                if wounds == 1:
                    continue
        state.wounded[kept] = site
        kept += 1
    state.count[WOUNDED] = kept


@kernel
def die_of_wounds(state, tables, site):
    """A killed bulk cell becomes what its kind leaves."""
    kind = int(state.bulk[site])
    state.ledger[kind, KILLED] += 1
    if tables.kinds[kind].tracked == 1:
        remove_agent(state, tables, state.bulk_agent[site])
    leave_behind(state, site, tables.kinds[kind].dead_leaves)


@kernel
def leave_behind(state, site, kind):
    """The site of a dead bulk cell turns into another kind, or is free (0): for what the cell had covered."""
    if kind == 0 and len(state.under) > 0:
        kind = int(state.under[site])
        state.under[site] = 0
    state.bulk[site] = kind
    state.wounds[site] = 0
    if kind > 0:
        state.ledger[kind, FORMED] += 1
        for c in range(state.site_trait.shape[1]):
            state.site_trait[site, c] = 0.0


@kernel
def leave_scar(state, lattice, site, kind, radius):
    """Free sites within `radius` (in sites) of one turn into a kind."""
    z, y, x = coordinates(lattice, site)
    reach = int(radius)
    deep = reach if lattice.nz > 1 else 0
    for dz in range(-deep, deep + 1):
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if float(dz * dz + dy * dy + dx * dx) > radius * radius:
                    continue
                near = shifted(lattice, z, y, x, dz, dy, dx) if dz != 0 or dy != 0 or dx != 0 else site
                if near >= 0 and state.bulk[near] == 0:
                    leave_behind(state, near, kind)


@kernel
def release(state, tables, dice, step, part, dt):
    """Arrests end: when the target is gone or dying, and by their own hazard."""
    for slot in range(state.count[AGENTS]):
        goal = int(state.agents[slot].target)
        if goal < 0:
            continue
        kind = int(state.agents[slot].kind)
        gone = not _is_target(state, goal, tables.kinds[kind].kill_target)
        leaving = 1.0 - math.exp(-tables.kinds[kind].kill_release * dt)
        if (
            gone
            or state.agents[slot].killer == 0
            or uniform(dice, _RELEASE, step, part, state.agents[slot].site) < leaving
        ):
            state.agents[slot].target = -1
            state.agents[slot].hit = 0.0
