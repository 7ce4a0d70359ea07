"""The state of one block: arrays, and nothing else.

Sites hold the numerous sessile kinds (tumor, stroma, vessel, debris) with their traits; the agent list
holds every cell with an identity (lymphoid cells, infused cells).  The order of the list means nothing:
dice are keyed by site, and contested sites go by a hashed priority.
"""

from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from .rules import Names, Tables

# Columns of the ledger, per kind.  now = seeded + born + admitted + formed − everything after.
LEDGER = (
    "seeded",
    "born",
    "admitted",
    "formed",
    "exported",
    "die",
    "necrose",
    "lyse",
    "clear",
    "leave",
    "killed",
)
SEEDED, BORN, ADMITTED, FORMED, EXPORTED, DIED, NECROSED, LYSED, CLEARED, LEFT, KILLED = range(len(LEDGER))

DYING = 100  # wounds at or above this: dying, and the excess is the sub-steps left

# Entries of `brought`: cells of a kind that a dose brought (0: no dose), those of them that ever touched a
# target (lymphoid cells) or a lymphoid cell (infused cells), and the kills of them and their daughters.
CAME, TOUCHED, KILLS = range(3)

# Entries of `count`.
AGENTS, WOUNDED, TURNED_AWAY = range(3)


# One cell of the agent list.
AGENT = np.dtype(
    [
        ("id", np.int64),  # birth step · 2³³ + layer · 2³² + birth site
        ("site", np.int32),
        ("target", np.int32),  # site of the engaged target, −1 for none
        ("hop", np.float64),  # chance of a hop a sub-step
        ("hit", np.float64),  # mean hits a sub-step on the present target
        ("dose", np.int32),  # number of the dose it came with, 0 for none
        ("engaged", np.int16),  # sub-steps engaged in the last step
        ("clock", np.int16),  # the hazard that struck this step, −1 for none
        ("kind", np.uint8),
        ("killer", np.uint8),  # 1: able to engage
        ("touched", np.uint8),  # 1: booked in `brought` as having touched something
    ],
    align=True,
)


class State(NamedTuple):
    """One block.  n sites, A slots in the agent list, K kinds, J target signals, F fields."""

    bulk: np.ndarray  # u1[n] kind at the site, 0 where none
    wounds: np.ndarray  # u1[n] hits not yet repaired, or DYING + sub-steps to death
    under: np.ndarray  # u1[n] kind that an invader has covered, 0 where none; u1[0] where none can be
    event: np.ndarray  # u1[n] 1 + the hazard that struck a bulk cell this step
    site_trait: np.ndarray  # f4[n, columns]
    lymphoid: np.ndarray  # i4[n] slot of the lymphoid cell, −1 where none
    occupied: np.ndarray  # u1[n] 1 where there is one: a quarter of the memory to look through.  While cells
    # hop also who claims a free site
    bulk_agent: np.ndarray  # i4[n] slot of a tracked bulk cell, −1 where none
    wounded: np.ndarray  # i8[capacity] sites with wounds, in any order
    agents: np.recarray  # AGENT[A]
    proposal: np.ndarray  # i4[A] site it would hop to; −1: no hop is due, below: due, but it stays
    way: np.ndarray  # u1[A] the direction there
    trait: np.ndarray  # f4[A, columns]
    next_trait: np.ndarray  # f4[A, columns] what `respond` decided, committed once every cell has sensed
    seen: np.ndarray  # f8[A, J] sum of the targets' traits over the last step's engaged sub-steps
    facing: np.ndarray  # f8[A, J] traits of the present target
    secretes: np.ndarray  # f8[A, F] rates of secretion
    count: np.ndarray  # i8[3] agents, wounded sites, lymphocytes that found no room at a vessel
    ledger: np.ndarray  # i8[K, len(LEDGER)]
    kills: np.ndarray  # i8[K, K] by killer and target
    brought: np.ndarray  # i8[K, doses + 1, 3]


_PER_AGENT = ("agents", "proposal", "way", "trait", "next_trait", "seen", "facing", "secretes")
_PER_SITE = ("bulk", "wounds", "under", "site_trait", "lymphoid", "occupied", "bulk_agent")
_SCRATCH = ("event", "proposal", "way", "next_trait")  # within a step; a checkpoint leaves them out


def empty_state(sites: int, names: Names, tables: Tables, capacity: int = 1024) -> State:
    """A block without cells."""
    slots = len(tables.target_trait)
    kinds = len(names.kinds)
    return State(
        bulk=np.zeros(sites, np.uint8),
        wounds=np.zeros(sites, np.uint8),
        under=np.zeros(sites if tables.invades.any() else 0, np.uint8),
        event=np.zeros(sites, np.uint8),
        site_trait=np.zeros((sites, max(1, names.site_columns)), np.float32),
        lymphoid=np.full(sites, -1, np.int32),
        occupied=np.zeros(sites, np.uint8),
        bulk_agent=np.full(sites, -1, np.int32),
        wounded=np.zeros(capacity, np.int64),
        agents=np.zeros(capacity, AGENT).view(np.recarray),
        proposal=np.zeros(capacity, np.int32),
        way=np.zeros(capacity, np.uint8),
        trait=np.zeros((capacity, max(1, names.agent_columns)), np.float32),
        next_trait=np.zeros((capacity, max(1, names.agent_columns)), np.float32),
        seen=np.zeros((capacity, max(1, slots))),
        facing=np.zeros((capacity, max(1, slots))),
        secretes=np.zeros((capacity, max(1, len(names.fields)))),
        count=np.zeros(3, np.int64),
        ledger=np.zeros((kinds, len(LEDGER)), np.int64),
        kills=np.zeros((kinds, kinds), np.int64),
        brought=np.zeros((kinds, 1, 3), np.int64),
    )


def with_capacity(state: State, agents: int, wounded: int) -> State:
    """The same state with room for at least so many agents and wounded sites; grows by doubling."""
    changes = {}
    if agents > len(state.agents):
        size = max(agents, 2 * len(state.agents))
        for name in _PER_AGENT:
            changes[name] = _grown(getattr(state, name), size)
    if wounded > len(state.wounded):
        changes["wounded"] = _grown(state.wounded, max(wounded, 2 * len(state.wounded)))
    return state._replace(**changes) if changes else state


def with_doses(state: State, doses: int) -> State:
    """The same state with room for what so many doses bring."""
    missing = doses + 1 - state.brought.shape[1]
    if missing <= 0:
        return state
    return state._replace(brought=np.pad(state.brought, ((0, 0), (0, missing), (0, 0))))


def with_model(state: State, names: Names, tables: Tables) -> State:
    """The same state for another model of the same kinds and traits, which may sense other targets."""
    targets = max(1, len(tables.target_trait))
    columns = {"seen": targets, "facing": targets, "secretes": max(1, len(names.fields))}
    fitted = {}
    for name, wanted in columns.items():
        old = getattr(state, name)
        fitted[name] = np.pad(old[:, :wanted], ((0, 0), (0, max(0, wanted - old.shape[1]))))
    if tables.invades.any() and len(state.under) == 0:
        fitted["under"] = np.zeros_like(state.bulk)
    return state._replace(**fitted)


def _grown(array: np.ndarray, size: int) -> np.ndarray:
    grown = np.zeros((size, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown.view(type(array))


def sort_agents(state: State, tables: Tables) -> None:
    """Put the agent list in the order of sites, so that what neighbors look up lies close together."""
    agents = int(state.count[AGENTS])
    layer = tables.kinds.lymphoid[state.agents.kind[:agents]]
    order = np.lexsort((layer, state.agents.site[:agents]))
    for name in _PER_AGENT:
        array = getattr(state, name)
        array[:agents] = array[order]
    site, slot, walks = state.agents.site[:agents], np.arange(agents), layer[order] == 1
    state.lymphoid[site[walks]] = slot[walks]
    state.bulk_agent[site[~walks]] = slot[~walks]


def to_arrays(state: State) -> dict[str, np.ndarray]:
    """What a checkpoint keeps, cut to the agents and wounded sites that exist; one array a record's field."""
    agents, wounded = state.count[AGENTS], state.count[WOUNDED]
    kept = {f"agents.{name}": np.asarray(state.agents[name][:agents]) for name in AGENT.names}
    for name, array in state._asdict().items():
        if name in _SCRATCH or name == "agents":
            continue
        kept[name] = array[:agents] if name in _PER_AGENT else array[:wounded] if name == "wounded" else array
    return kept


def from_arrays(arrays: dict[str, np.ndarray], names: Names, tables: Tables) -> State:
    """The state that `to_arrays` kept, for a model with the same kinds and traits.

    Arrays of sites are taken over, not copied: a whole lesion has gigabytes of them.
    """
    agents = len(arrays["trait"])
    taken = {name: arrays[name] for name in _PER_SITE}
    arrays = {name: array for name, array in arrays.items() if name not in taken}
    state = empty_state(0, names, tables)
    state = state._replace(**taken, event=np.zeros(len(taken["bulk"]), np.uint8))
    state = with_capacity(state, agents, len(arrays["wounded"]))
    state = with_doses(state, arrays["brought"].shape[1] - 1)
    for name, array in arrays.items():
        record, _, column = name.partition(".")
        own = getattr(state, record)
        if column:
            own[column][: len(array)] = array
        elif array.ndim == 2:
            own[: len(array), : array.shape[1]] = array
        else:
            own[: len(array)] = array
    return state


@kernel
def add_agent(state, tables, kind, site, step, dose):
    """Put a new cell of a tracked kind on a free site of its layer; returns its slot.

    Its traits are zero until the caller sets them; the list must have room.
    """
    slot = state.count[AGENTS]
    state.count[AGENTS] = slot + 1
    layer = int(tables.kinds[kind].lymphoid)
    if layer == 1:
        state.lymphoid[site] = slot
        state.occupied[site] = 1
    else:
        state.bulk[site] = kind
        state.bulk_agent[site] = slot
    agent = state.agents[slot]
    agent.kind = kind
    agent.site = site
    agent.id = step * 8589934592 + layer * 4294967296 + int(site)
    agent.dose = dose
    agent.clock = -1
    agent.hop = 0.0
    agent.killer = 0
    agent.touched = 0
    agent.hit = 0.0
    agent.target = -1
    agent.engaged = 0
    state.proposal[slot] = -1
    for c in range(state.trait.shape[1]):
        state.trait[slot, c] = 0.0
    for j in range(state.seen.shape[1]):
        state.seen[slot, j] = 0.0
        state.facing[slot, j] = 0.0
    for f in range(state.secretes.shape[1]):
        state.secretes[slot, f] = 0.0
    return slot


@kernel
def remove_agent(state, tables, slot):
    """Take a cell off the lattice; the last cell of the list moves into its slot."""
    site = int(state.agents[slot].site)
    if tables.kinds[state.agents[slot].kind].lymphoid == 1:
        state.lymphoid[site] = -1
        state.occupied[site] = 0
    else:
        state.bulk[site] = 0
        state.bulk_agent[site] = -1
        state.wounds[site] = 0
    last = state.count[AGENTS] - 1
    state.count[AGENTS] = last
    if slot != last:
        _move_agent(state, tables, last, slot)


@kernel
def _move_agent(state, tables, source, slot):
    """Copy everything about an agent from one slot to another."""
    site = int(state.agents[source].site)
    if tables.kinds[state.agents[source].kind].lymphoid == 1:
        state.lymphoid[site] = slot
    else:
        state.bulk_agent[site] = slot
    state.agents[slot] = state.agents[source]
    state.proposal[slot] = state.proposal[source]
    for c in range(state.trait.shape[1]):
        state.trait[slot, c] = state.trait[source, c]
        state.next_trait[slot, c] = state.next_trait[source, c]
    for j in range(state.seen.shape[1]):
        state.seen[slot, j] = state.seen[source, j]
        state.facing[slot, j] = state.facing[source, j]
    for f in range(state.secretes.shape[1]):
        state.secretes[slot, f] = state.secretes[source, f]


@kernel(inline=True)
def trait_of(state, tables, site, trait):
    """Trait `trait` of the bulk cell at a site; 0 where the cell has no such trait."""
    kind = state.bulk[site]
    column = tables.column[kind, trait]
    if column < 0:
        return 0.0
    if tables.kinds[kind].tracked == 1:
        return float(state.trait[state.bulk_agent[site], column])
    return float(state.site_trait[site, column])
