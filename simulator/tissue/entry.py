"""Entry: blood cells and infused cells come into the block at its vessels.

Each vessel site serves an equal volume of tumor.  What arrives there in a step is one Poisson draw, by
inverting the distribution function: more flux never means fewer cells on the same dice.
"""

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, poisson, uniform, uniforms
from .killing import leave_behind
from .lattice import coordinates, shifted
from .rules import evaluate
from .sensing import sense_fields
from .state import ADMITTED, EXPORTED, TURNED_AWAY, add_agent
from .traits import draw_traits
from .turnover import free_site_near

_ADMIT = STREAM["admit"]
_ARRIVE = STREAM["arrive"]
_ORIGIN = STREAM["origin"]
_PLACE = STREAM["place"]


@kernel(allocates=True)
def draw_admissions(
    tables, lattice, fields, unblocked, plasma, blood, dice, step, dt, volume, vessels, serves, counts
):
    """How many cells of each kind enter at each vessel this step; i8[vessels, K] into `counts`.

    volume : mm³ of tumor a vessel serves; serves : u1[vessels], 1 where the vessel stands in tumor;
    blood : f8[K], blood pools relative to their baseline.  Returns the total.
    """
    x = np.zeros(max(1, len(tables.senses)))
    total = 0
    for i in range(len(vessels)):
        for kind in range(counts.shape[1]):
            counts[i, kind] = 0
            behavior = tables.kinds[kind].admit
            if behavior < 0 or serves[i] == 0 or blood[kind] <= 0.0:
                continue
            u = uniform(dice, _ADMIT, step, kind, vessels[i])
            sense_fields(tables, lattice, fields, kind, vessels[i], x)
            flux = evaluate(tables, behavior, x, unblocked, plasma) * blood[kind]
            counts[i, kind] = poisson(u, flux * volume * dt)
            total += counts[i, kind]
    return total


@kernel(allocates=True)
def admit(state, tables, spreads, lattice, near, dice, step, vessels, counts):
    """Put the admitted cells at or near their vessels; who finds no room within reach is turned away."""
    for i in range(len(vessels)):
        for kind in range(counts.shape[1]):
            for n in range(counts[i, kind]):
                site = vessels[i]
                if state.lymphoid[site] >= 0:
                    u = uniform(dice, _PLACE, step, 100 + 50 * kind + n, site)
                    site = free_site_near(state, lattice, near, 1, site, u)
                if site < 0:
                    state.count[TURNED_AWAY] += 1
                    continue
                slot = add_agent(state, tables, kind, site, step, 0)
                draw_traits(state, tables, spreads, dice, step, slot)
                state.ledger[kind, ADMITTED] += 1


@kernel
def draw_arrivals(dice, step, mean, vessels, serves, counts):
    """How many infused cells reach each vessel this step; i8[vessels] into `counts`.

    mean : expected cells a serving vessel.  Returns the total.
    """
    total = 0
    for i in range(len(vessels)):
        counts[i] = poisson(uniform(dice, _ARRIVE, step, 0, vessels[i]), mean) if serves[i] == 1 else 0
        total += counts[i]
    return total


@kernel(allocates=True)
def arrive(
    state,
    tables,
    spreads,
    lattice,
    near,
    displaced,
    dice,
    step,
    vessels,
    counts,
    share,
    kind_of,
    number,
    preset,
):
    """Put arriving cells on free bulk sites near their vessels, else in place of the nearest tumor cell.

    share : f8[D], cumulative share of each dose in this step's arrivals; kind_of, number : i8[D], the kind
    and the number of a dose; preset : f8[D, columns], traits its product sets (nan: drawn); displaced : the
    kind that makes room and is exported.  Returns i8[D], the cells placed of each dose.
    """
    placed = np.zeros(len(share), np.int64)
    for i in range(len(vessels)):
        for n in range(counts[i]):
            u, v = uniforms(dice, _ORIGIN, step, n, vessels[i])
            dose = 0
            while dose < len(share) - 1 and u >= share[dose]:
                dose += 1
            kind = kind_of[dose]
            site = free_site_near(state, lattice, near, 0, vessels[i], v)
            if site < 0:
                site = nearest_of_kind(state, lattice, near, vessels[i], displaced)
                if site < 0:
                    state.count[TURNED_AWAY] += 1
                    continue
                state.ledger[displaced, EXPORTED] += 1
                leave_behind(state, site, 0)
            slot = add_agent(state, tables, kind, site, step, number[dose])
            draw_traits(state, tables, spreads, dice, step, slot)
            for c in range(preset.shape[1]):
                if not np.isnan(preset[dose, c]):
                    state.trait[slot, c] = preset[dose, c]
            state.ledger[kind, ADMITTED] += 1
            placed[dose] += 1
    return placed


@kernel
def nearest_of_kind(state, lattice, near, site, kind):
    """The nearest site within reach whose bulk cell is of a kind (first in table order), or −1."""
    z, y, x = coordinates(lattice, site)
    for i in range(len(near)):
        goal = shifted(lattice, z, y, x, near[i, 0], near[i, 1], near[i, 2])
        if goal >= 0 and state.bulk[goal] == kind:
            return goal
    return -1


@kernel
def mark_serving(state, lattice, near, tumor, vessels, serves):
    """A vessel serves tumor where a tumor cell stands within reach; u1[vessels] into `serves`."""
    for i in range(len(vessels)):
        serves[i] = 1 if nearest_of_kind(state, lattice, near, vessels[i], tumor) >= 0 else 0
