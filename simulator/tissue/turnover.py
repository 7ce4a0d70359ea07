"""Turnover: the clocks that rang are carried out, and daughters find a place.

Deaths, clearances and switches touch only their own cell.  Divisions contend for free sites, so they go
one by one in the order of a hashed priority: the same at any thread count.
"""

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, uniform, uniforms
from .killing import leave_behind, leave_scar
from .lattice import coordinates, shifted
from .rules import CLEAR, DIE, DIVIDE, LYSE, NECROSE, SCAR, SWITCH, WANDER
from .state import (
    AGENTS,
    BORN,
    CLEARED,
    DIED,
    DYING,
    EXPORTED,
    LEFT,
    LYSED,
    NECROSED,
    add_agent,
    remove_agent,
)

_PRIORITY = STREAM["priority"]
_PLACE = STREAM["place"]
_INVADE = STREAM["invade"]
_AFTER_MOTILITY = 60000  # the part of a step's dice that turnover uses


@kernel
def ledger_entry(code):
    """The column of the ledger in which a removal is booked."""
    if code == DIE or code == SCAR:
        return DIED
    if code == NECROSE:
        return NECROSED
    if code == LYSE:
        return LYSED
    if code == CLEAR:
        return CLEARED
    return LEFT


@kernel
def count_events(state, start, stop):
    """How many bulk cells at sites [start, stop) have an event."""
    total = 0
    for site in range(start, stop):
        if state.event[site] != 0:
            total += 1
    return total


@kernel(allocates=True)
def turn_over_bulk(state, tables, events):
    """Carry out the events of untracked bulk cells; returns the sites of those that divide, and that wander.

    A cell killed in the meantime has no event any more.
    """
    mothers, movers = np.empty(events, np.int64), np.empty(events, np.int64)
    divisions, moves = 0, 0
    if events == 0:
        return mothers, movers
    for site in range(len(state.event)):
        struck = int(state.event[site])
        if struck == 0:
            continue
        state.event[site] = 0
        kind = int(state.bulk[site])
        if kind == 0 or tables.kinds[kind].active == 0 or state.wounds[site] >= DYING:
            continue
        h = tables.kinds[kind].hazard_start + struck - 1
        if h >= tables.kinds[kind].hazard_stop:
            continue
        code = tables.hazards[h].code
        if code == DIVIDE:
            if _may_divide(tables, kind, tables.hazards[h].column, state.site_trait[site]):
                mothers[divisions] = site
                divisions += 1
        elif code == WANDER:
            movers[moves] = site
            moves += 1
        elif code == SWITCH:
            state.site_trait[site, tables.hazards[h].column] = tables.hazards[h].value
        else:
            state.ledger[kind, ledger_entry(code)] += 1
            leave_behind(state, site, tables.hazards[h].leaves)
    return mothers[:divisions], movers[:moves]


@kernel(allocates=True)
def wander_bulk(state, tables, lattice, near, dice, step, movers):
    """Bulk cells at the given sites move to a free site within reach, in order of priority, or stay."""
    order = by_priority(dice, step, 0, movers)
    for i in range(len(order)):
        site = movers[order[i]]
        u, _ = uniforms(dice, _PLACE, step, 0, site)
        goal = free_site_near(state, tables, lattice, near, dice, step, int(state.bulk[site]), site, u)
        if goal >= 0:
            cover(state, goal)
            copy_bulk(state, site, goal)
            leave_behind(state, site, 0)


@kernel(allocates=True)
def by_priority(dice, step, layer, sites):
    """The order of contending cells: ascending hashed priority of their sites."""
    priority = np.empty(len(sites))
    for i in range(len(sites)):
        priority[i] = uniform(dice, _PRIORITY, step, _AFTER_MOTILITY + layer, sites[i])
    return np.argsort(priority, kind="mergesort")


@kernel
def free_site_near(state, tables, lattice, near, dice, step, kind, site, u):
    """The nearest site within reach that is open to a kind (ties by u), or −1.  near : offsets."""
    z, y, x = coordinates(lattice, site)
    first = 0
    while first < len(near):
        distance = near[first, 3]
        last, found = first, 0
        while last < len(near) and near[last, 3] == distance:
            goal = shifted(lattice, z, y, x, near[last, 0], near[last, 1], near[last, 2])
            found += _is_open(state, tables, dice, step, goal, kind)
            last += 1
        if found > 0:
            left = int(u * found)
            for i in range(first, last):
                goal = shifted(lattice, z, y, x, near[i, 0], near[i, 1], near[i, 2])
                left -= _is_open(state, tables, dice, step, goal, kind)
                if left < 0:
                    return goal
        first = last
    return -1


@kernel(inline=True)
def _is_open(state, tables, dice, step, site, kind):
    """1 where a site exists, holds no cell of the kind's layer, and nothing there that keeps the kind out.

    What a kind invades is open to it with a chance, to all that come there in a step alike.
    """
    if site < 0:
        return 0
    held = state.bulk[site]
    if tables.kinds[kind].lymphoid == 1:
        return int(state.occupied[site] == 0 and tables.passes[kind, held] > 0.0)
    if held == 0:
        return 1
    chance = tables.invades[kind, held]
    return int(chance > 0.0 and uniform(dice, _INVADE, step, 0, site) < chance)


@kernel
def cover(state, site):
    """What an invaded site holds lies under the invader until that is gone; of two kinds, the first."""
    if state.bulk[site] != 0:
        state.ledger[int(state.bulk[site]), CLEARED] += 1
        if state.under[site] == 0:
            state.under[site] = state.bulk[site]
        state.wounds[site] = 0


@kernel
def find_room(state, tables, lattice, near, dice, step, mothers, room, start, stop):
    """Whether a site within reach of each mother in [start, stop) is open, into room, u1.

    Divisions fill sites and free none: who has no room before them has none later.  In packed tissue that is
    nearly everyone, found out by many threads.
    """
    for i in range(start, stop):
        kind = int(state.bulk[mothers[i]])
        z, y, x = coordinates(lattice, mothers[i])
        room[i] = 0
        for j in range(len(near)):
            goal = shifted(lattice, z, y, x, near[j, 0], near[j, 1], near[j, 2])
            if _is_open(state, tables, dice, step, goal, kind) == 1:
                room[i] = 1
                break


@kernel(allocates=True)
def divide_bulk(state, tables, lattice, near, dice, step, mothers, room):
    """Mothers at the given sites divide, in order of priority, where a site within reach is free.

    room : u1, who may find one at all.  Returns the sites of the crowded: their daughters are born, but have
    no place yet.  Of a kind that needs room the crowded do not divide.
    """
    order = by_priority(dice, step, 0, mothers)
    crowded = np.empty(len(mothers), np.int64)
    left = 0
    for i in range(len(order)):
        site = mothers[order[i]]
        kind = int(state.bulk[site])
        goal, v = -1, 0.0
        if room[order[i]] == 1:
            u, v = uniforms(dice, _PLACE, step, 0, site)
            goal = free_site_near(state, tables, lattice, near, dice, step, kind, site, u)
        if goal < 0 and tables.kinds[kind].needs_room == 1:
            continue
        state.ledger[kind, BORN] += 1
        _use_up(tables, kind, _divides(tables, kind), state.site_trait[site])
        if goal >= 0:
            cover(state, goal)
            copy_bulk(state, site, goal)
            lose(tables, kind, state.site_trait[goal], v)
        else:
            crowded[left] = site
            left += 1
    return crowded[:left]


@kernel
def _divides(tables, kind):
    """The column that a kind's divisions use up, or −1."""
    for h in range(tables.kinds[kind].hazard_start, tables.kinds[kind].hazard_stop):
        if tables.hazards[h].code == DIVIDE:
            return tables.hazards[h].column
    return -1


@kernel
def _may_divide(tables, kind, column, traits):
    """Whether a cell has what a division uses up, or need not."""
    return column < 0 or traits[column] >= 1.0 or _is_spared(tables, kind, traits)


@kernel
def _is_spared(tables, kind, traits):
    """Whether the divisions of a cell use nothing up."""
    spared = tables.kinds[kind].spared
    return spared >= 0 and traits[spared] > 0.5


@kernel
def _use_up(tables, kind, column, traits):
    """What a division costs the mother, and so both."""
    if column >= 0 and not _is_spared(tables, kind, traits):
        traits[column] -= np.float32(1.0)


@kernel
def lose(tables, kind, traits, u):
    """A daughter lacks a trait of her mother with a chance."""
    lost = tables.kinds[kind].lost
    if lost >= 0 and u < tables.kinds[kind].loss:
        traits[lost] = 0.0


@kernel
def copy_bulk(state, source, goal):
    """A free site receives a copy of an untracked bulk cell: kind, traits and wounds."""
    state.bulk[goal] = state.bulk[source]
    state.wounds[goal] = state.wounds[source]
    for c in range(state.site_trait.shape[1]):
        state.site_trait[goal, c] = state.site_trait[source, c]


@kernel(allocates=True)
def turn_over_agents(state, tables, lattice, near, dice, step):
    """Carry out what struck the cells of the agent list.  Removals last, so that slots keep their meaning."""
    agents = state.count[AGENTS]
    mothers = np.empty(agents, np.int64)
    slots = np.empty(agents, np.int64)
    divisions = 0
    for slot in range(agents):
        h = state.agents[slot].clock
        if h < 0:
            continue
        code = tables.hazards[h].code
        column = tables.hazards[h].column
        if code == SWITCH:
            state.trait[slot, column] = tables.hazards[h].value
        elif code == DIVIDE and _may_divide(tables, int(state.agents[slot].kind), column, state.trait[slot]):
            mothers[divisions] = int(state.agents[slot].site)
            slots[divisions] = slot
            divisions += 1
    order = by_priority(dice, step, 1, mothers[:divisions])
    for i in range(divisions):
        divide_agent(state, tables, lattice, near, dice, step, slots[order[i]])
    for slot in range(agents - 1, -1, -1):
        h = state.agents[slot].clock
        if h >= 0 and tables.hazards[h].code != DIVIDE and tables.hazards[h].code != SWITCH:
            kind = int(state.agents[slot].kind)
            site = int(state.agents[slot].site)
            state.ledger[kind, ledger_entry(tables.hazards[h].code)] += 1
            layer = tables.kinds[kind].lymphoid
            remove_agent(state, tables, slot)
            if tables.hazards[h].code == SCAR:
                leave_scar(state, lattice, site, tables.hazards[h].leaves, tables.hazards[h].value)
            elif layer == 0:
                leave_behind(state, site, tables.hazards[h].leaves)


@kernel
def divide_agent(state, tables, lattice, near, dice, step, slot):
    """One cell of the list divides; both daughters carry its traits, a used-up trait lower by one.

    Some traits a kind may renew in the second daughter.
    """
    kind = int(state.agents[slot].kind)
    layer = int(tables.kinds[kind].lymphoid)
    site = int(state.agents[slot].site)
    column = tables.hazards[state.agents[slot].clock].column
    u, v = uniforms(dice, _PLACE, step, 1 + layer, site)
    goal = free_site_near(state, tables, lattice, near, dice, step, kind, site, u)
    if goal < 0 and tables.kinds[kind].needs_room == 1:
        return
    _use_up(tables, kind, column, state.trait[slot])
    state.ledger[kind, BORN] += 1
    if goal < 0:
        state.ledger[kind, EXPORTED] += 1
        return
    daughter = add_agent(state, tables, kind, goal, step, state.agents[slot].dose)
    state.agents[daughter].touched = 1  # counted once a family
    for c in range(state.trait.shape[1]):
        renewed = tables.renewed[kind, c]
        state.trait[daughter, c] = state.trait[slot, c] if np.isnan(renewed) else renewed
    lose(tables, kind, state.trait[daughter], v)
