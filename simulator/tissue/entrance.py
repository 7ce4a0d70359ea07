"""Where cells come into a block in a step: its vessels, or the free sites on which they are put."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..base import threads
from ..base.rng import STREAM, uniform, uniforms_from
from . import state as states
from .entry import admit, arrive, draw_admissions, draw_anywhere, draw_arrivals, mark_serving, put_cells
from .inputs import Inflow, Inputs
from .state import AGENTS, TURNED_AWAY

if TYPE_CHECKING:
    from .step import Block

_ARRIVE = STREAM["arrive"]


class Entrance:
    """The vessel sites of a block, and the volume of tumor that each serves.

    bulk : u1[n], kinds at the sites; vessel : the code of vessels; kinds : how many there are.
    """

    def __init__(self, bulk: np.ndarray, vessel: int, kinds: int, volume_ml: float):
        self.vessels = np.flatnonzero(bulk == vessel)
        count = len(self.vessels)
        self.serves = np.ones(count, np.uint8)
        self.ml_per_vessel = volume_ml / max(1, count)
        self.admissions = np.zeros((count, kinds), np.int64)
        self.brought = np.zeros((count, kinds))  # share of the entry that infused cells cause
        self.arrivals = np.zeros(count, np.int64)
        self._dice = np.zeros((2, count))

    @property
    def served_ml(self) -> float:
        """mL of tumor that the vessels serve: the whole of a tissue block."""
        return self.ml_per_vessel * int(self.serves.sum())

    def enter(self, block: Block, step: int, inputs: Inputs) -> np.ndarray:
        """Blood cells and infused cells come in; returns the infused cells placed, i8 per dose."""
        if len(block.surface):
            mark_serving(
                block.state, block.lattice, block.near, block.kind("tumor"), self.vessels, self.serves
            )
        drawn = threads.over_slabs(
            draw_admissions,
            len(self.vessels),
            block.tables,
            block.lattice,
            block.fields,
            block.unblocked,
            block.plasma,
            block.blood,
            block.dice,
            step,
            block.step.tissue,
            self.ml_per_vessel * 1e3,
            self.vessels,
            self.serves,
            self.admissions,
            self.brought,
            *self._dice,
        )
        total = sum(drawn)
        if total > 0:
            _let_in(block, step, self.vessels, self.admissions, self.brought)
        _admit_anywhere(block, step)
        if inputs.inflow is None:
            return np.zeros(0, np.int64)
        return self._arrive(block, step, inputs.inflow) + place(block, step, inputs.inflow)

    def _arrive(self, block: Block, step: int, inflow: Inflow) -> np.ndarray:
        """Infused cells reach the vessels; returns how many of each dose found a place."""
        expected = float(inflow.per_ml.sum())
        if expected <= 0.0:
            return np.zeros(len(inflow.per_ml), np.int64)
        total = draw_arrivals(
            block.dice, step, expected * self.ml_per_vessel, self.vessels, self.serves, self.arrivals
        )
        if total == 0:
            return np.zeros(len(inflow.per_ml), np.int64)
        _make_room(block, total)
        block.state = states.with_doses(block.state, int(inflow.number.max()))
        return arrive(
            block.state,
            block.tables,
            block.spreads,
            block.lattice,
            block.near,
            block.kind("tumor"),
            block.dice,
            step,
            self.vessels,
            self.arrivals,
            np.cumsum(inflow.per_ml) / expected,
            np.array([block.kind(name) for name in inflow.cell]),
            inflow.number,
            _presets(block, inflow),
        )


def _let_in(block: Block, step: int, sites: np.ndarray, counts: np.ndarray, brought: np.ndarray) -> None:
    """Blood cells enter at sites: counts, brought : i8 and f8[sites, K], as `draw_admissions` fills them."""
    _make_room(block, int(counts.sum()))
    admit(
        block.state,
        block.tables,
        block.spreads,
        block.lattice,
        block.fields,
        block.near,
        block.dice,
        step,
        sites,
        counts,
        brought,
        _emitters(block),
    )


def _admit_anywhere(block: Block, step: int) -> None:
    """Kinds that need no vessel enter on sites that are open to them."""
    for kind in block.come_anywhere:
        sites, brought = draw_anywhere(
            block.tables,
            block.lattice,
            block.fields,
            block.unblocked,
            block.plasma,
            block.blood[kind],
            block.dice,
            step,
            block.step.tissue,
            block.volume_ml * 1e3,
            kind,
            np.flatnonzero(_open_to(block, kind)),
        )
        if len(sites) > 0:
            own = np.arange(len(block.names.kinds)) == kind
            counts = np.ones((len(sites), 1), np.int64) * own
            _let_in(block, step, sites, counts, brought[:, None] * own)


def _open_to(block: Block, kind: int) -> np.ndarray:
    """bool[n]: sites that a lymphoid kind may take."""
    state = block.state
    return (state.occupied == 0) & (block.tables.passes[kind, state.bulk] > 0.0)


def place(block: Block, step: int, inflow: Inflow) -> np.ndarray:
    """Put the cells of placed doses on free sites, drawn evenly among those far enough from all tumor cells.

    Returns how many of each dose found a site, i8[D].  Where no tumor cell is left any free site will do.
    """
    found = np.zeros(len(inflow.per_ml), np.int64)
    for dose, at in enumerate(inflow.placed):
        if at is None or at.cells <= 0.0:
            continue
        kind, sites = block.kind(inflow.cell[dose]), block.lattice.sites
        # No lattice has a site of this number, so its die is nobody's.
        wanted = int(at.cells + uniform(block.dice, _ARRIVE, step, 1 + dose, sites))
        if wanted == 0:
            continue
        distance = _tumor_distance(block)
        lymphoid = block.tables.kinds[kind].lymphoid
        open_to = _open_to(block, kind) if lymphoid else block.state.bulk == 0
        free = np.flatnonzero(open_to & (distance >= at.nearest) & (distance <= at.farthest))
        u, v = np.empty(sites), np.empty(sites)
        uniforms_from(block.dice, _ARRIVE, step, 1 + dose, 0, u, v)
        chosen = np.sort(free[np.argsort(u[free], kind="stable")[:wanted]])
        _make_room(block, len(chosen))
        number = int(inflow.number[dose])
        block.state = states.with_doses(block.state, number)
        block.state.count[TURNED_AWAY] += wanted - len(chosen)
        preset = _presets(block, inflow)[dose]
        put_cells(
            block.state, block.tables, block.spreads, block.dice, step, chosen, kind, number, preset
        )  # fmt: skip
        found[dose] = len(chosen)
    return found


def _tumor_distance(block: Block) -> np.ndarray:
    """f8[n]: µm from each site to the nearest tumor cell, straight through walls that are joined not."""
    tumor = block.state.bulk == block.kind("tumor")
    if not tumor.any():
        return np.full(block.lattice.sites, block.lesion.block.site)
    shape = (block.lattice.nz, block.lattice.ny, block.lattice.nx)
    sites = ndimage.distance_transform_edt(~tumor.reshape(shape)).ravel()
    return sites * block.lesion.block.site


def _emitters(block: Block) -> np.ndarray:
    """Slots of the cells that make the traced part of a field, in the order of their sites."""
    part = block.tables.traced[1]
    if part < 0:
        return np.zeros(0, np.int64)
    agents = int(block.state.count[AGENTS])
    slots = np.flatnonzero(block.state.secretes[:agents, part] > 0.0)
    return slots[np.argsort(block.state.agents.site[slots], kind="stable")]


def _presets(block: Block, inflow: Inflow) -> np.ndarray:
    """f8[D, columns]: the start traits that each dose's product sets, nan elsewhere."""
    presets = np.full((len(inflow.per_ml), block.state.trait.shape[1]), np.nan)
    for dose, (kind, traits) in enumerate(zip(inflow.cell, inflow.traits, strict=True)):
        columns = sorted(block.lesion.cells[kind].traits)
        for trait, value in traits.items():
            presets[dose, columns.index(trait)] = value
    return presets


def _make_room(block: Block, agents: int) -> None:
    """Room for more agents."""
    needed = int(block.state.count[AGENTS]) + int(agents)
    block.state = states.with_capacity(block.state, needed, 0)
