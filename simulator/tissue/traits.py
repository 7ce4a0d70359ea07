"""Start values of traits: what a new cell is born with, by the dice of its site."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from ..base.rng import STREAM, uniforms
from ..config.schema import Lesion, Spread
from .rules import Names

_TRAIT = STREAM["trait"]
_FOUNDER = STREAM["founder"]

CONSTANT, SHARE, LOG_NORMAL, NORMAL = range(4)


class Spreads(NamedTuple):
    """How start values vary between cells; K kinds, C columns."""

    form: np.ndarray  # u1[K, C]
    value: np.ndarray  # f8[K, C] the constant, the share, the median, or the mean
    sd: np.ndarray  # f8[K, C] of a normal; of a log-normal, that of the logarithm


def compile_spreads(lesion: Lesion, names: Names, founders: bool = False) -> Spreads:
    """Start values of every kind; with `founders`, those that `tissue.founders` gives the seeded tumor."""
    columns = max(1, names.site_columns, names.agent_columns)
    shape = (len(names.kinds), columns)
    spreads = Spreads(np.zeros(shape, np.uint8), np.zeros(shape), np.zeros(shape))
    for code, kind in enumerate(names.kinds[1:], start=1):
        start = dict(lesion.cells[kind].traits)
        if founders and kind == "tumor":
            start |= {name: value for name, value in lesion.tissue.founders.items() if name in start}
        for column, trait in enumerate(sorted(start)):
            _fill(spreads, code, column, start[trait])
    return spreads


def mapped_traits(lesion: Lesion, names: Names) -> Iterator[tuple[int, int, Spread]]:
    """(kind, column, spread) of every trait of a seeded bulk kind that forms a map."""
    for code, kind in enumerate(names.kinds[1:], start=1):
        cell = lesion.cells[kind]
        if cell.layer == "bulk" and not cell.tracked:
            for column, trait in enumerate(sorted(cell.traits)):
                start = cell.traits[trait]
                if isinstance(start, Spread) and start.width is not None:
                    yield code, column, start


def _fill(spreads: Spreads, code: int, column: int, start: float | Spread) -> None:
    if not isinstance(start, Spread):
        spreads.value[code, column] = start
    elif start.share is not None:
        spreads.form[code, column] = SHARE
        spreads.value[code, column] = start.share
    elif start.mean is not None:
        spreads.form[code, column] = NORMAL
        spreads.value[code, column] = start.mean
        spreads.sd[code, column] = start.sd
    else:
        spreads.form[code, column] = LOG_NORMAL
        spreads.value[code, column] = start.median
        spreads.sd[code, column] = start.log_sd


@kernel
def start_value(spreads, kind, column, u, v):
    """A start value: the constant, 1 with a probability, a log-normal or a normal ≥ 0 (Box–Muller)."""
    value = spreads.value[kind, column]
    form = spreads.form[kind, column]
    if form == SHARE:
        return 1.0 if u < value else 0.0
    if form == CONSTANT:
        return value
    z = math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)
    if form == LOG_NORMAL:
        return value * math.exp(spreads.sd[kind, column] * z)
    return max(0.0, value + spreads.sd[kind, column] * z)


@kernel
def draw_traits(state, tables, spreads, dice, step, slot):
    """Start traits of a new cell of the agent list."""
    kind = int(state.agents[slot].kind)
    for t in range(tables.column.shape[1]):
        c = tables.column[kind, t]
        if c >= 0:
            u, v = uniforms(
                dice, _TRAIT, step, t * 2 + int(tables.kinds[kind].lymphoid), state.agents[slot].site
            )
            state.trait[slot, c] = start_value(spreads, kind, c, u, v)


@kernel
def draw_founder_traits(state, tables, spreads, dice):
    """Start traits of every untracked bulk cell of the seeded block."""
    for site in range(len(state.bulk)):
        kind = int(state.bulk[site])
        if kind == 0 or tables.kinds[kind].tracked == 1:
            continue
        for t in range(tables.column.shape[1]):
            c = tables.column[kind, t]
            if c >= 0:
                u, v = uniforms(dice, _FOUNDER, 0, t + 1, site)
                state.site_trait[site, c] = start_value(spreads, kind, c, u, v)
