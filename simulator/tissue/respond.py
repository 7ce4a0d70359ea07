"""Respond: from what a cell senses to what it will do this step.

Hourly rates, trait levels and the competing clocks.  Nothing visible to another cell changes here: agents
write beside their traits, bulk cells write traits that no bulk cell senses (or a copy is sensed).
"""

import math

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, uniforms, uniforms_from
from .lattice import coordinates, directions, neighbor
from .rules import evaluate, evaluate_row
from .sensing import sense_agent
from .state import AGENTS, TOUCHED
from .strip import find_cells, make_strip, rows_from, sense_fields_of_strip, sense_strip

_CLOCK = STREAM["clock"]


@kernel(allocates=True)
def relaxation(tables, dt):
    """Share of its distance to the level that each expressed trait keeps over dt hours; f8[E, 2].

    Column 0 where it rises, 1 where it falls.
    """
    kept = np.empty((len(tables.expressed), 2))
    for e in range(len(tables.expressed)):
        kept[e, 0] = math.exp(-tables.expressed[e].rise * dt)
        kept[e, 1] = math.exp(-tables.expressed[e].fall * dt)
    return kept


@kernel(inline=True)
def relax(value, level, kept, e):
    """A trait after a step of relaxing toward its level."""
    return level + (value - level) * (kept[e, 0] if level > value else kept[e, 1])


@kernel(allocates=True)
def chance_bounds(tables, dt):
    """No cell of a kind meets any of its hazards within dt hours with more than this chance; f8[K].

    Most cells' dice exceed it, and then the hazards need not be known.
    """
    bounds = np.empty(len(tables.kinds))
    for kind in range(len(bounds)):
        bounds[kind] = 1.0 - math.exp(-tables.kinds[kind].hazard_bound * dt * (1.0 + 1e-9))
    return bounds


@kernel(inline=True)
def hazard(tables, h, x, unblocked, plasma):
    """The rate of one clock [1/h]."""
    rate = evaluate(tables, tables.hazards[h].behavior, x, unblocked, plasma)
    scale = tables.hazards[h].scale
    return rate if scale < 0 else rate * max(0.0, x[scale])


@kernel
def ring(tables, kind, x, unblocked, plasma, u, v, dt):
    """Which of a cell's hazards strikes within dt hours (its place in the table), or −1.

    Competing clocks: P = 1 − exp(−Λ dt), and hazard i has the share λᵢ/Λ.  u, v : uniforms.
    """
    first, stop = tables.kinds[kind].hazard_start, tables.kinds[kind].hazard_stop
    total = 0.0
    for h in range(first, stop):
        total += hazard(tables, h, x, unblocked, plasma)
    if u >= 1.0 - math.exp(-total * dt):
        return -1
    threshold = v * total
    passed = 0.0
    for h in range(first, stop):
        rate = hazard(tables, h, x, unblocked, plasma)
        passed += rate
        if threshold < passed and rate > 0.0:
            return h
    return -1


@kernel(allocates=True)
def respond_bulk(
    state, sensed, tables, lattice, fields, used, unblocked, plasma, dice, step, dt, start, stop
):
    """Untracked bulk cells in rows [start, stop) of the lattice: traits relax, clocks ring.

    `sensed` is the state whose traits neighbors see: the same arrays, or a copy made before.  used : i8, the
    fields that any bulk kind senses, interpolated strip by strip.  A strip without such cells costs a look.
    """
    x = np.zeros(max(1, len(tables.senses)))
    kept, bounds = relaxation(tables, dt), chance_bounds(tables, dt)
    r = make_strip(tables, fields, lattice)
    u, v = np.empty(len(r.v)), np.empty(len(r.v))
    body, clocks = (unblocked, plasma), (u, v, dt, kept, bounds)
    row = start
    while row < stop:
        rows = rows_from(lattice, r, row, stop)
        find_cells(state, lattice, row, rows, 0, r)
        if _active(tables, r) > 0:
            z, y, n = row // lattice.ny, row % lattice.ny, rows * lattice.nx
            sense_fields_of_strip(lattice, fields, used, z, y, rows, r)
            uniforms_from(dice, _CLOCK, step, 0, row * lattice.nx, u[:n], v[:n])
            for kind in range(1, len(tables.kinds)):
                if tables.kinds[kind].active == 1 and r.found[kind] > 0:
                    _respond_strip(state, sensed, tables, lattice, kind, z, y, body, clocks, r, x)
        row += rows


@kernel
def _active(tables, r):
    """How many cells of a strip have clocks or traits that change."""
    total = 0
    for kind in range(1, len(tables.kinds)):
        total += r.found[kind] * tables.kinds[kind].active
    return total


@kernel
def _respond_strip(state, sensed, tables, lattice, kind, z, y, body, clocks, r, x):
    """The untracked bulk cells of one kind in the strip from (z, y) on."""
    unblocked, plasma = body
    u, v, dt, kept, bounds = clocks
    start = (z * lattice.ny + y) * lattice.nx
    k = tables.kinds[kind]
    place = r.place[kind, : r.found[kind]]
    sense_strip(sensed, tables, lattice, kind, z, y, r)
    level = r.v[: len(place)]
    for e in range(k.express_start, k.express_stop):
        behavior, column = tables.expressed[e].behavior, tables.expressed[e].column
        evaluate_row(tables, behavior, r.signal, unblocked, plasma, level, r.strength[: len(place)])
        for i in range(len(place)):
            value = float(state.site_trait[start + place[i], column])
            state.site_trait[start + place[i], column] = relax(value, level[i], kept, e)
    for i in range(len(place)):
        w = place[i]
        if u[w] < bounds[kind]:
            for j in range(k.sense_stop - k.sense_start):
                x[j] = r.signal[j, i]
            struck = ring(tables, kind, x, unblocked, plasma, u[w], v[w], dt)
            if struck >= 0:
                state.event[start + w] = 1 + struck - k.hazard_start


@kernel(allocates=True)
def respond_agents(
    state, tables, lattice, fields, unblocked, plasma, dice, step, dt, dt_motility, start, stop
):
    """Cells of the agent list in slots [start, stop): rates of this step, next traits, clocks."""
    x = np.zeros(max(1, len(tables.senses)))
    kept, bounds = relaxation(tables, dt), chance_bounds(tables, dt)
    body = (unblocked, plasma)
    _respond_slots(
        state, tables, lattice, fields, body, dice, step, dt, dt_motility, start, stop, x, kept, bounds
    )


@kernel
def _respond_slots(
    state, tables, lattice, fields, body, dice, step, dt, dt_motility, start, stop, x, kept, bounds
):
    """`respond_agents` on scratch arrays of the caller's."""
    unblocked, plasma = body
    for slot in range(start, stop):
        agent = state.agents[slot]
        kind = int(agent.kind)
        sense_agent(state, tables, lattice, fields, slot, 0, dt / dt_motility, x)
        _set_rates(state, tables, slot, kind, x, unblocked, plasma, dt_motility)
        for c in range(state.trait.shape[1]):
            state.next_trait[slot, c] = state.trait[slot, c]
        for e in range(tables.kinds[kind].express_start, tables.kinds[kind].express_stop):
            level = evaluate(tables, tables.expressed[e].behavior, x, unblocked, plasma)
            column = tables.expressed[e].column
            state.next_trait[slot, column] = relax(float(state.trait[slot, column]), level, kept, e)
        u, v = uniforms(dice, _CLOCK, step, 1 + tables.kinds[kind].lymphoid, int(agent.site))
        agent.clock = ring(tables, kind, x, unblocked, plasma, u, v, dt) if u < bounds[kind] else -1


@kernel
def _set_rates(state, tables, slot, kind, x, unblocked, plasma, dt_motility):
    """Motility, readiness to engage and secretion of one agent for the coming step."""
    behavior = tables.kinds[kind].migrate
    if behavior >= 0:
        state.agents[slot].hop = evaluate(tables, behavior, x, unblocked, plasma) * dt_motility
    behavior = tables.kinds[kind].kill
    if behavior >= 0:
        able = evaluate(tables, behavior, x, unblocked, plasma) > 0.0
        uses = tables.kinds[kind].kill_uses
        if uses >= 0 and state.trait[slot, uses] < 1.0:
            able = False
        state.agents[slot].killer = 1 if able else 0
    for f in range(tables.exchange.shape[1]):
        behavior = tables.exchange[kind, f].secrete
        if behavior >= 0:
            rate = evaluate(tables, behavior, x, unblocked, plasma)
            scale = tables.exchange[kind, f].scale
            if scale >= 0:
                rate *= float(state.trait[slot, scale])
            state.secretes[slot, f] = rate


@kernel
def commit_traits(state, tables, lattice):
    """Make the traits that `respond_agents` decided visible, and start a new count of arrests."""
    for slot in range(state.count[AGENTS]):
        kind = int(state.agents[slot].kind)
        if state.agents[slot].touched == 0 and tables.kinds[kind].lymphoid == 0:
            _meet(state, lattice, slot, kind)
        for e in range(tables.kinds[kind].express_start, tables.kinds[kind].express_stop):
            column = tables.expressed[e].column
            state.trait[slot, column] = state.next_trait[slot, column]
        state.agents[slot].engaged = 0
        for j in range(state.seen.shape[1]):
            state.seen[slot, j] = 0.0


@kernel
def _meet(state, lattice, slot, kind):
    """Book an infused cell as having touched something, once a lymphoid cell is in reach of it."""
    site = int(state.agents[slot].site)
    met = state.occupied[site] == 1
    z, y, x = coordinates(lattice, site)
    for direction in range(directions(lattice)):
        beside = neighbor(lattice, site, z, y, x, direction)
        met = met or (beside >= 0 and state.occupied[beside] == 1)
    if met:
        state.agents[slot].touched = 1
        state.brought[kind, state.agents[slot].dose, TOUCHED] += 1
