"""Respond: from what a cell senses to what it will do this step.

Hourly rates, trait levels and the competing clocks.  Nothing visible to another cell changes here: agents
write beside their traits, bulk cells write traits that no bulk cell senses (or a copy is sensed).
"""

import math

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, uniforms
from .rules import evaluate
from .sensing import sense_agent, sense_bulk
from .state import DYING

_CLOCK = STREAM["clock"]


@kernel(inline=True)
def relax(value, level, rise, fall, dt):
    """A trait after relaxing toward a level for dt hours."""
    rate = rise if level > value else fall
    return level + (value - level) * math.exp(-rate * dt)


@kernel(inline=True)
def ring(tables, kind, x, unblocked, plasma, u, v, dt):
    """Which of a cell's hazards strikes within dt hours (its place in the table), or −1.

    Competing clocks: P = 1 − exp(−Λ dt), and hazard i has the share λᵢ/Λ.  u, v : uniforms.
    """
    first, stop = tables.kinds[kind].hazard_start, tables.kinds[kind].hazard_stop
    total = 0.0
    for h in range(first, stop):
        total += evaluate(tables, tables.hazards[h].behavior, x, unblocked, plasma)
    if total <= 0.0 or u >= 1.0 - math.exp(-total * dt):
        return -1
    threshold = v * total
    passed = 0.0
    for h in range(first, stop):
        rate = evaluate(tables, tables.hazards[h].behavior, x, unblocked, plasma)
        passed += rate
        if threshold < passed and rate > 0.0:
            return h
    return -1


@kernel
def respond_bulk(state, sensed, tables, lattice, fields, unblocked, plasma, dice, step, dt, start, stop):
    """Untracked bulk cells at sites [start, stop): traits relax, clocks ring.

    `sensed` is the state whose traits neighbors see: the same arrays, or a copy made before.
    """
    x = np.zeros(max(1, len(tables.senses)))
    for site in range(start, stop):
        kind = state.bulk[site]
        if tables.kinds[kind].active == 0 or state.wounds[site] >= DYING:
            continue
        sense_bulk(sensed, tables, lattice, fields, kind, site, x)
        for e in range(tables.kinds[kind].express_start, tables.kinds[kind].express_stop):
            level = evaluate(tables, tables.expressed[e].behavior, x, unblocked, plasma)
            column = tables.expressed[e].column
            value = float(state.site_trait[site, column])
            state.site_trait[site, column] = relax(value, level, tables.expressed[e].rise, tables.expressed[e].fall, dt)
        u, v = uniforms(dice, _CLOCK, step, 0, site)
        struck = ring(tables, kind, x, unblocked, plasma, u, v, dt)
        if struck >= 0:
            state.event[site] = 1 + struck - tables.kinds[kind].hazard_start


@kernel
def respond_agents(state, tables, lattice, fields, unblocked, plasma, dice, step, dt, dt_motility, start, stop):
    """Cells of the agent list in slots [start, stop): rates of this step, next traits, clocks."""
    x = np.zeros(max(1, len(tables.senses)))
    sub_steps = dt / dt_motility
    for slot in range(start, stop):
        kind = state.agents[slot].kind
        sense_agent(state, tables, lattice, fields, slot, 0, sub_steps, x)
        _set_rates(state, tables, slot, kind, x, unblocked, plasma, dt_motility)
        for c in range(state.trait.shape[1]):
            state.next_trait[slot, c] = state.trait[slot, c]
        for e in range(tables.kinds[kind].express_start, tables.kinds[kind].express_stop):
            level = evaluate(tables, tables.expressed[e].behavior, x, unblocked, plasma)
            column = tables.expressed[e].column
            value = float(state.trait[slot, column])
            state.next_trait[slot, column] = relax(value, level, tables.expressed[e].rise, tables.expressed[e].fall, dt)
        part = 1 + int(tables.kinds[kind].lymphoid)
        u, v = uniforms(dice, _CLOCK, step, part, state.agents[slot].site)
        state.agents[slot].clock = ring(tables, kind, x, unblocked, plasma, u, v, dt)


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
def commit_traits(state, tables):
    """Make the traits that `respond_agents` decided visible, and start a new count of arrests."""
    for slot in range(state.count[0]):
        kind = state.agents[slot].kind
        for e in range(tables.kinds[kind].express_start, tables.kinds[kind].express_stop):
            column = tables.expressed[e].column
            state.trait[slot, column] = state.next_trait[slot, column]
        state.agents[slot].engaged = 0
        for j in range(state.seen.shape[1]):
            state.seen[slot, j] = 0.0
