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


@kernel(allocates=True)
def push_out(state, tables, lattice, surface, around, dice, step, crowded):
    """In a nodule, daughters of the crowded push a row of cells toward the surface; returns how many.

    In tissue (`surface` empty), and where the way is blocked, the daughter is exported.
    """
    pushed = 0
    path = np.empty(_LONGEST_PUSH if len(surface) > 0 else 0, np.int64)
    for i in range(len(crowded)):
        site = crowded[i]
        goal = -1
        if len(surface) > 0:
            goal = push_to_surface(state, tables, lattice, surface, around, dice, step, site, path)
        if goal >= 0:
            copy_bulk(state, site, goal)
            _, v = uniforms(dice, _PLACE, step, 0, site)  # the die of `divide_bulk`, where it was not needed
            lose(tables, int(state.bulk[goal]), state.site_trait[goal], v)
            pushed += 1
        else:
            state.ledger[int(state.bulk[site]), EXPORTED] += 1
    return pushed


@kernel
def push_to_surface(state, tables, lattice, surface, around, dice, step, site, path):
    """Shift a row of cells from a mother to the surface outward by one; returns the site freed beside her.

    The row follows the falling distance to the surface, ties by dice; where the map of this step is already
    outgrown it goes straight on.  Vessels, stroma and tracked cells stay and are walked around.  −1 where
    the way is blocked.  path : scratch, i8[longest row].
    """
    length = 0
    here = site
    last = -1
    while length < len(path):
        z, y, x = coordinates(lattice, here)
        best, best_key, way = -1, 1e30, -1
        for i in range(len(around)):
            beside = shifted(lattice, z, y, x, around[i, 0], around[i, 1], around[i, 2])
            if beside < 0 or not _can_be_pushed(state, tables, beside):
                continue
            free = state.bulk[beside] == 0
            if not free and surface[beside] >= surface[here]:
                continue
            key = (0.0 if free else 1.0 + float(surface[beside])) + 1e-3 * uniform(
                dice, _PUSH, step, 0, beside
            )
            if key < best_key:
                best, best_key, way = beside, key, i
        if best < 0 and last >= 0:
            way = last
            best = shifted(lattice, z, y, x, around[way, 0], around[way, 1], around[way, 2])
            if best >= 0 and not _can_be_pushed(state, tables, best):
                best = -1
        if best < 0:
            return -1
        path[length] = best
        length += 1
        last = way
        here = best
        if state.bulk[best] == 0:
            for i in range(length - 1, 0, -1):
                copy_bulk(state, path[i - 1], path[i])
            state.bulk[path[0]] = 0
            state.wounds[path[0]] = 0
            return path[0]
    return -1


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
