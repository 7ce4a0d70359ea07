"""Entry: blood cells and infused cells come into the block at its vessels.

Each vessel site serves an equal volume of tumor.  What arrives there in a step is one Poisson draw, by
inverting the distribution function: more flux never means fewer cells on the same dice.
"""

import math

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, poisson, uniform, uniforms, uniforms_at
from .fields import value_at
from .lattice import coordinates, shifted
from .rules import FIELD, evaluate
from .sensing import sense_fields
from .state import ADMITTED, CAME, EXPORTED, TURNED_AWAY, add_agent
from .traits import draw_traits
from .turnover import free_site_near

_ADMIT = STREAM["admit"]
_ARRIVE = STREAM["arrive"]
_ORIGIN = STREAM["origin"]
_BROUGHT = STREAM["brought"]
_PLACE = STREAM["place"]
_FEW = 5000.0  # expected of one Poisson variate: below MOST_EXPECTED


@kernel(allocates=True)
def draw_admissions(
    tables,
    lattice,
    fields,
    unblocked,
    plasma,
    blood,
    dice,
    step,
    dt,
    volume,
    vessels,
    serves,
    counts,
    brought,
    u,
    v,
    start,
    stop,
):
    """How many cells of each kind enter at vessels [start, stop) this step; i8[vessels, K] into `counts`.

    volume : mm³ of tumor a vessel serves; serves : u1[vessels], 1 where the vessel stands in tumor;
    blood : f8[K], blood pools relative to their baseline; brought : f8[vessels, K], filled with the share of
    the entry that would not be without the traced part of a field; u, v : f8[vessels], scratch.  Returns
    the total.
    """
    x = np.zeros(max(1, len(tables.senses)))
    body = (unblocked, plasma, volume, dt)
    total = 0
    for kind in range(counts.shape[1]):
        counts[start:stop, kind] = 0
        entry = tables.kinds[kind]
        if entry.admit < 0 or entry.anywhere == 1 or blood[kind] <= 0.0:
            continue
        uniforms_at(dice, _ADMIT, step, kind, vessels[start:stop], u[start:stop], v[start:stop])
        # Under this die no signal could bring a cell: most vessels, and their signals need not be known.
        none = 1.0 - entry.admit_bound * blood[kind] * volume * dt
        for i in range(start, stop):
            if serves[i] == 1 and u[i] > none:
                total += _draw_admission(
                    tables, lattice, fields, body, kind, i, vessels[i], u[i], blood[kind], counts, brought, x
                )
    return total


@kernel(allocates=True)
def draw_anywhere(tables, lattice, fields, unblocked, plasma, blood, dice, step, dt, volume, kind, open_to):
    """Where cells of a kind enter that come in anywhere, i8, and as f8 the `brought` of each.

    Candidates fall evenly on the open sites, as many as the highest flux would bring; each enters with the
    share of it that its site has (thinning: Lewis & Shedler 1979, doi:10.1002/nav.3800260304).
    volume : mm³ of the block; blood : f8, the pool relative to its baseline; open_to : i8, ascending.
    """
    most = tables.kinds[kind].admit_bound * blood
    expected = most * volume * dt
    parts = 1 + int(expected / _FEW)
    # No lattice has sites of these numbers, so their dice are nobody's.
    die = lattice.nz * lattice.ny * lattice.nx
    candidates = 0
    for _ in range(parts):
        candidates += poisson(uniform(dice, _ADMIT, step, kind, die), expected / parts)
        die += 1
    entered, brought = np.empty(candidates, np.int64), np.zeros(candidates)
    x = np.zeros(max(1, len(tables.senses)))
    found = 0
    for _ in range(candidates if len(open_to) > 0 else 0):
        u, v = uniforms(dice, _ADMIT, step, kind, die)
        die += 1
        site = open_to[int(u * len(open_to))]
        sense_fields(tables, lattice, fields, kind, site, x)
        flux = evaluate(tables, tables.kinds[kind].admit, x, unblocked, plasma) * blood
        if v * most < flux:
            entered[found] = site
            brought[found] = _share_of_part(
                tables, lattice, fields, kind, site, x, unblocked, plasma, flux, blood
            )
            found += 1
    return entered[:found], brought[:found]


@kernel
def _draw_admission(tables, lattice, fields, body, kind, i, site, u, blood, counts, brought, x):
    """How many cells of a kind enter at the i-th vessel, by the signals there."""
    unblocked, plasma, volume, dt = body
    sense_fields(tables, lattice, fields, kind, site, x)
    flux = evaluate(tables, tables.kinds[kind].admit, x, unblocked, plasma) * blood
    counts[i, kind] = poisson(u, flux * volume * dt)
    if counts[i, kind] > 0:
        brought[i, kind] = _share_of_part(
            tables, lattice, fields, kind, site, x, unblocked, plasma, flux, blood
        )
    return counts[i, kind]


@kernel
def _share_of_part(tables, lattice, fields, kind, site, x, unblocked, plasma, flux, blood):
    """The share of a flux of entry that would be missing without the traced part of a field."""
    whole, part = tables.traced[0], tables.traced[1]
    if part < 0:
        return 0.0
    z, y, w = coordinates(lattice, site)
    made = value_at(fields, part, z, y, w)
    if made <= 0.0:
        return 0.0
    first = tables.kinds[kind].sense_start
    for j in range(first, tables.kinds[kind].sense_stop):
        if tables.senses[j].code == FIELD and tables.senses[j].index == whole:
            x[j - first] = max(0.0, x[j - first] - made)
    without = evaluate(tables, tables.kinds[kind].admit, x, unblocked, plasma) * blood
    return max(0.0, 1.0 - without / flux)


@kernel
def dose_behind(state, lattice, fields, part, site, emitters, v):
    """The dose whose cells made the traced part of a field at a site: drawn by what each of them adds there.

    emitters : slots of the cells that make it; each adds s·exp(−r/λ)/r, the steady state around a point
    source with λ = √(D/k).  Walls are left out: they move all sources alike.
    """
    per_um = math.sqrt(fields.decay[part] / fields.diffusion[part])
    total = 0.0
    for i in range(len(emitters)):
        total += _adds(state, lattice, fields, part, site, emitters[i], per_um)
    threshold = v * total
    passed = 0.0
    for i in range(len(emitters)):
        passed += _adds(state, lattice, fields, part, site, emitters[i], per_um)
        if threshold < passed:
            return state.agents[emitters[i]].dose
    return np.int32(0)


@kernel
def _adds(state, lattice, fields, part, site, slot, per_um):
    """What one cell adds to the traced part at a site, up to a factor that all share."""
    z, y, x = coordinates(lattice, site)
    z1, y1, x1 = coordinates(lattice, int(state.agents[slot].site))
    dz, dy, dx = float(z - z1), float(y - y1), float(x - x1)
    r = fields.spacing * math.sqrt(max(0.25, dz * dz + dy * dy + dx * dx))
    return state.secretes[slot, part] * math.exp(-r * per_um) / r


@kernel(allocates=True)
def admit(state, tables, spreads, lattice, fields, near, dice, step, vessels, counts, brought, emitters):
    """Put the admitted cells at or near their vessels; who finds no room within reach is turned away.

    brought : f8[vessels, K], the share of the entry that infused cells cause; a cell belongs to their dose
    with that chance.  emitters : i8, the slots of these cells.
    """
    for i in range(len(vessels)):
        for kind in range(counts.shape[1]):
            for n in range(counts[i, kind]):
                site = vessels[i]
                if state.lymphoid[site] >= 0:
                    u = uniform(dice, _PLACE, step, 100 + 50 * kind + n, site)
                    site = free_site_near(state, tables, lattice, near, dice, step, kind, site, u)
                if site < 0:
                    state.count[TURNED_AWAY] += 1
                    continue
                dose = np.int32(0)
                if brought[i, kind] > 0.0:
                    u, v = uniforms(dice, _BROUGHT, step, 50 * kind + n, vessels[i])
                    if u < brought[i, kind]:
                        dose = dose_behind(state, lattice, fields, tables.traced[1], site, emitters, v)
                slot = add_agent(state, tables, kind, site, step, dose)
                draw_traits(state, tables, spreads, dice, step, slot)
                state.ledger[kind, ADMITTED] += 1
                state.brought[kind, dose, CAME] += 1


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
    """Put arriving cells on free sites of their layer near their vessels.

    Who finds none: a bulk cell takes the place of the nearest tumor cell, a lymphoid one is turned away.

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
            layer = int(tables.kinds[kind].lymphoid)
            site = vessels[i]
            if layer == 0 or state.lymphoid[site] >= 0:
                site = free_site_near(state, tables, lattice, near, dice, step, kind, site, v)
            if site < 0 and layer == 1:
                state.count[TURNED_AWAY] += 1
                continue
            if site < 0:
                site = nearest_of_kind(state, lattice, near, vessels[i], displaced)
                if site < 0:
                    state.count[TURNED_AWAY] += 1
                    continue
                state.ledger[displaced, EXPORTED] += 1
                state.wounds[site] = 0
            put_cell(state, tables, spreads, dice, step, site, kind, number[dose], preset[dose])
            placed[dose] += 1
    return placed


@kernel(allocates=True)
def put_cells(state, tables, spreads, dice, step, sites, kind, number, preset):
    """Put one cell of a dose on each of these free sites, i8; preset : f8[columns], as in `arrive`."""
    for i in range(len(sites)):
        put_cell(state, tables, spreads, dice, step, sites[i], kind, number, preset)


@kernel
def put_cell(state, tables, spreads, dice, step, site, kind, number, preset):
    """A cell of a dose on a free site: its traits, and the books."""
    slot = add_agent(state, tables, kind, site, step, number)
    draw_traits(state, tables, spreads, dice, step, slot)
    for c in range(len(preset)):
        if not np.isnan(preset[c]):
            state.trait[slot, c] = preset[c]
    state.ledger[kind, ADMITTED] += 1
    state.brought[kind, number, CAME] += 1


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
