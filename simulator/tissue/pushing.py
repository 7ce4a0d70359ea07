"""Pushing: in a nodule the daughters of crowded cells push a row of cells toward its surface."""

import math

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, uniform, uniforms
from .lattice import coordinates, shifted
from .state import EXPORTED
from .turnover import copy_bulk, lose

_PLACE = STREAM["place"]
_PUSH = STREAM["push"]
_LONGEST_PUSH = 8192  # cells in a row
_TIE = 1e-3  # sites: nearer to each other, distances to the surface are alike
_NEXT = 1.0  # sites: no cell is nearer to a free site than its neighbor
_FAR = 1e30


@kernel(allocates=True)
def push_out(state, tables, lattice, surface, around, dice, step, crowded):
    """In a nodule, daughters of the crowded push a row of cells toward the surface; returns how many.

    A cell that a row moves on divides where it then stands: `event` marks those that have yet to.  In tissue
    (`surface` empty), and where there is no way, the daughter is exported.
    """
    if len(crowded) == 0:
        return 0
    waiting, left = crowded.copy(), len(crowded)
    free = 0  # sites: in a nodule that fills its block no way is sought
    for site in range(len(surface)):
        free += int(state.bulk[site] == 0)
    path = np.empty(_LONGEST_PUSH if len(surface) > 0 else 0, np.int64)
    beside, key = np.empty(len(around), np.int64), np.empty(len(around))
    for i in range(len(crowded)):
        state.event[crowded[i]] = 1
    pushed, i = 0, 0
    while i < left:
        site = waiting[i]
        i += 1
        if state.event[site] == 0:
            continue
        state.event[site] = 0
        row = 0
        if free > 0:
            row = find_way(state, tables, lattice, surface, around, dice, step, site, path, beside, key)
        if row == 0:
            state.ledger[int(state.bulk[site]), EXPORTED] += 1
            continue
        if left + row > len(waiting):
            waiting = np.append(waiting, np.empty(left + row, np.int64))
        left = _shift(state, path[:row], waiting, left)
        copy_bulk(state, site, path[0])
        _, v = uniforms(dice, _PLACE, step, 0, site)  # the die of `divide_bulk`, where it was not needed
        lose(tables, int(state.bulk[path[0]]), state.site_trait[path[0]], v)
        free -= 1
        pushed += 1
    return pushed


@kernel
def _shift(state, path, waiting, left):
    """Every cell of a row moves on by one site; those that have yet to divide join the waiting anew."""
    for i in range(len(path) - 1, 0, -1):
        copy_bulk(state, path[i - 1], path[i])
        state.event[path[i]] = state.event[path[i - 1]]
        if state.event[path[i]] == 1:
            waiting[left] = path[i]
            left += 1
    state.bulk[path[0]] = 0
    state.event[path[0]] = 0
    return left


@kernel
def find_way(state, tables, lattice, surface, around, dice, step, site, path, beside, key):
    """The row from beside a mother to a free site, that included, into `path`; its length, 0 for no way.

    It goes where the distance to the surface is least.  Rows of this step have filled sites since it was
    mapped, so that it is a lower bound: a site from which the way is longer is raised as it is passed
    (learning real-time A*, Korf 1990, doi:10.1016/0004-3702(90)90054-4), and loops are cut.  Vessels, stroma
    and tracked cells stay and are walked around.  path, beside, key : scratch, i8[longest row], i8 and
    f8[neighbors].
    """
    length, here, raised = 0, site, False
    for _ in range(len(path)):
        before = surface[here]
        way = _way_out(state, tables, lattice, surface, around, dice, step, here, beside, key)
        if way < 0:
            return 0
        raised |= surface[here] != before
        here = beside[way]
        if raised:
            length = _cut_loop(path, length, site, here)
        if here == site:
            continue
        path[length] = here
        length += 1
        if state.bulk[here] == 0:
            return length
    return 0


@kernel
def _cut_loop(path, length, start, here):
    """The length of the path before it first came to `here`, or all of it."""
    if here == start:
        return 0
    for i in range(length):
        if path[i] == here:
            return i
    return length


@kernel
def _way_out(state, tables, lattice, surface, around, dice, step, here, beside, key):
    """Which neighbor of a site is next on the shortest way to a free one, or −1; fills `beside` with all.

    Raises the distance of a site to that of its way.  Ties by dice, which cost more than the search and are
    asked only where they can tell.
    """
    z, y, x = coordinates(lattice, here)
    lowest = _FAR
    for i in range(len(around)):
        goal = shifted(lattice, z, y, x, around[i, 0], around[i, 1], around[i, 2])
        beside[i] = goal
        key[i] = _FAR
        if goal >= 0 and _can_be_pushed(state, tables, goal):
            left = 0.0 if state.bulk[goal] == 0 else max(_NEXT, float(surface[goal]))
            key[i] = math.sqrt(float(around[i, 3])) + left
        lowest = min(lowest, key[i])
    if lowest == _FAR:
        return -1
    if lowest > surface[here] + _TIE:
        surface[here] = lowest
    best, best_key = -1, _FAR
    for i in range(len(around)):
        if key[i] <= lowest + _TIE:
            tried = key[i] + _TIE * uniform(dice, _PUSH, step, 0, beside[i])
            if tried < best_key:
                best, best_key = i, tried
    return best


@kernel
def _can_be_pushed(state, tables, site):
    """Whether a site is free or holds a cell that moves aside: an untracked one of the nest."""
    kind = state.bulk[site]
    return kind == 0 or (tables.kinds[kind].tracked == 0 and tables.kinds[kind].stroma == 0)


@kernel
def distance_to_surface(state, lattice, around, surface):
    """Distance in sites of every site to the nearest free bulk site, f4[n] into `surface`.

    Two sweeps of a chamfer mask (Borgefors 1986, doi:10.1016/S0734-189X(86)80047-0): within 8 % of the
    Euclidean distance, so that a nodule stays round.  around : offsets to the 26 (in a slab 8) neighbors.
    """
    n = len(surface)
    for site in range(n):
        surface[site] = 0.0 if state.bulk[site] == 0 else 1e9
    for sweep in range(2):
        for i in range(n):
            site = i if sweep == 0 else n - 1 - i
            d = float(surface[site])
            if d == 0.0:
                continue
            z, y, x = coordinates(lattice, site)
            for j in range(len(around)):
                beside = shifted(lattice, z, y, x, around[j, 0], around[j, 1], around[j, 2])
                if beside >= 0:
                    d = min(d, float(surface[beside]) + math.sqrt(float(around[j, 3])))
            surface[site] = d
