"""The motility sub-steps of a step: cells hop, engage, strike, heal and part, every few minutes."""

import numpy as np

from ..base import threads
from ..base.kernel import kernel
from .killing import engage, engage_slots, heal, release, strike
from .motility import (
    commit_hops,
    make_contested,
    make_walk,
    propose_batches,
    propose_hops,
    resolve_batches,
    resolve_hops,
)
from .state import AGENTS

_THREADED = 20_000  # agents from which cutting the list into slabs pays


def move_and_kill(state, tables, lattice, fields, body, dice, step: int, dt: float, parts: int) -> None:
    """All sub-steps of a step.

    body : (share of receptors that each set of drugs leaves free, plasma); dt : h a sub-step; parts : how
    many.  The same bits whether one call does them all or each phase is cut into slabs.
    """
    agents = int(state.count[AGENTS])
    if threads.get_threads() == 1 or agents < _THREADED:
        _all_parts(state, tables, lattice, fields, body, dice, step, dt, parts)
        return
    hitters = np.empty(agents, np.int64)
    for part in range(parts):
        agents = int(state.count[AGENTS])
        threads.over_slabs(propose_hops, agents, state, tables, lattice, fields, dice, step, part)
        threads.over_slabs(resolve_hops, agents, state, lattice, dice, step, part)
        threads.over_slabs(commit_hops, agents, state)
        threads.over_slabs(
            engage, agents, state, tables, lattice, fields, *body, dice, step, part, dt, float(parts)
        )
        strike(state, tables, dice, step, part, dt, hitters)
        heal(state, tables, dice, step, part, dt)
        release(state, tables, dice, step, part, dt)


@kernel(allocates=True)
def _all_parts(state, tables, lattice, fields, body, dice, step, dt, parts):
    """`move_and_kill` in one call, which for few cells costs more than their work."""
    walk, contested = make_walk(), make_contested()
    hitters = np.empty(state.count[AGENTS], np.int64)
    x = np.zeros(max(1, len(tables.senses)))
    for part in range(parts):
        agents = state.count[AGENTS]
        propose_batches(state, tables, lattice, fields, dice, step, part, 0, agents, walk)
        resolve_batches(state, lattice, dice, step, part, 0, agents, contested)
        commit_hops(state, 0, agents)
        engage_slots(state, tables, lattice, fields, body, dice, step, part, dt, float(parts), 0, agents, x)
        strike(state, tables, dice, step, part, dt, hitters)
        heal(state, tables, dice, step, part, dt)
        release(state, tables, dice, step, part, dt)
