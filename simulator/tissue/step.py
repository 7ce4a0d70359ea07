"""One block through one step: fields, sense and respond, act, enter."""

from collections.abc import Iterable

import numpy as np

from ..base import threads
from ..base.errors import InputError
from ..base.rng import Dice
from ..config.schema import Lesion, Step
from . import fields as field_solver, state as states
from .compile import check_motility, compile_tables, names_of
from .entry import admit, arrive, draw_admissions, draw_arrivals, mark_serving
from .inputs import Inflow, Inputs
from .killing import engage, heal, release, strike
from .lattice import Lattice, offsets_within
from .motility import commit_hops, propose_hops, resolve_hops
from .respond import commit_traits, respond_agents, respond_bulk
from .rules import CONTACT_TRAIT, FIELD
from .seeding import seed_block
from .sources import constant_rates, gather
from .state import AGENTS, WOUNDED
from .traits import compile_spreads
from .turnover import (
    count_events,
    distance_to_surface,
    divide_bulk,
    push_out,
    turn_over_agents,
    turn_over_bulk,
)

_MM3_PER_UM3 = 1e-9
_ML_PER_UM3 = 1e-12
_TRACE = (
    1e-200  # [field unit]; what is left of a field without sources decays forever, at last into denormals
)


class Block:
    """One lesion's lattice, its cells and fields, and the rules they follow.

    lesion : the model; step : step lengths; dice : the key of (seed, patient, replicate) and lesion;
    drugs : names of all drugs of the experiment.  A new block is seeded; `restore` continues an old one.
    """

    def __init__(self, lesion: Lesion, step: Step, dice: Dice, drugs: Iterable[str]):
        self.dice = dice
        self.lattice = Lattice(*lesion.block.shape, int(lesion.block.walls == "periodic"))
        self.names = names_of(lesion, drugs)
        self._set_model(lesion, step)
        substances = [lesion.substances[name] for name in self.names.fields]
        self.fields = field_solver.make_fields(
            lesion.block.shape,
            lesion.block.site,
            [field.grid for field in substances],
            [field.diffusion for field in substances],
            [field.decay for field in substances],
            [field.start for field in substances],
            lesion.block.walls == "periodic",
        )
        self.solver = field_solver.Solver(self.fields)
        self.secreted = np.zeros(
            len(self.names.fields)
        )  # mean source of each field in the last step [unit/h]
        self.state = states.empty_state(self.lattice.sites, self.names, self.tables)
        self.state = seed_block(self.state, lesion, self.lattice, self.tables, self.names, dice)
        self._find_vessels()

    # --- set-up -----------------------------------------------------------------------------

    def _set_model(self, lesion: Lesion, step: Step) -> None:
        """Compile a model's tables and what depends on its step lengths."""
        check_motility(lesion, step)
        self.lesion, self.step = lesion, step
        self.tables = compile_tables(lesion, self.names)
        self.own_spreads = compile_spreads(lesion, self.names)
        self.spreads = compile_spreads(lesion, self.names)  # with what priming changes
        self.sub_steps = round(step.tissue / step.motility)
        flat = lesion.block.shape[0] == 1
        self.near = offsets_within(lesion.tissue.reach, flat)
        self.around = offsets_within(1, flat)
        self.volume_ml = self.lattice.sites * lesion.block.site**3 * _ML_PER_UM3
        self.site_volume = lesion.block.site**3
        nodule = lesion.block.mode == "nodule"
        self.surface = np.zeros(self.lattice.sites if nodule else 0, np.float32)
        self.sourced = [
            f
            for f in range(len(self.names.fields))
            if any(
                (self.tables.exchange[what][:, f] >= 0).any() for what in ("secrete", "take_up", "exchange")
            )
        ]
        sensed = [
            sense
            for kind in self.tables.kinds
            if kind.active
            for sense in self.tables.senses[kind.sense_start : kind.sense_stop]
        ]
        self._bulk_senses_traits = any(sense.code == CONTACT_TRAIT for sense in sensed)
        self._bulk_fields = np.array(sorted({int(s.index) for s in sensed if s.code == FIELD}), np.int64)

    def change_model(self, lesion: Lesion, step: Step) -> None:
        """Follow another model from now on (an arm from day 0); kinds and traits must be the same."""
        if names_of(lesion, self.names.drugs) != self.names:
            raise InputError(
                "an arm has other kinds, traits or fields than the burn-in it branches from",
                "Put what adds or removes them under the arm's 'tissue:'.",
            )
        self._set_model(lesion, step)
        self.state = states.with_model(self.state, self.names, self.tables)

    def _find_vessels(self) -> None:
        """List the vessel sites, and the volume of tumor that each serves."""
        kinds = self.names.kinds
        code = kinds.index("vessel") if "vessel" in kinds else -1
        self.vessels = np.flatnonzero(self.state.bulk == code)
        self.serves = np.ones(len(self.vessels), np.uint8)
        self.ml_per_vessel = self.volume_ml / max(1, len(self.vessels))
        self.admissions = np.zeros((len(self.vessels), len(kinds)), np.int64)
        self.brought = np.zeros(
            (len(self.vessels), len(kinds))
        )  # share of the entry that infused cells cause
        self.arrivals = np.zeros(len(self.vessels), np.int64)

    def kind(self, name: str) -> int:
        """The code of a kind; −1 where this model has none of that name."""
        return self.names.kinds.index(name) if name in self.names.kinds else -1

    @property
    def served_ml(self) -> float:
        """mL of tumor that the block's vessels serve: the whole of a tissue block."""
        return self.ml_per_vessel * int(self.serves.sum())

    # --- the step ----------------------------------------------------------------------------

    def advance(self, step: int, inputs: Inputs) -> np.ndarray:
        """Advance by one tissue step (numbered from 1); returns the infused cells placed, i8 per dose."""
        self.read(inputs)
        self.solve_fields()
        self.respond(step)
        return self.act(step, inputs)

    def act(self, step: int, inputs: Inputs) -> np.ndarray:
        """Carry out what the cells decided, and let new cells in."""
        self._move_and_kill(step)
        self._turn_over(step)
        placed = self._enter(step, inputs)
        self._list_wounded()
        return placed

    def read(self, inputs: Inputs) -> None:
        """The body's values as arrays in the order of names."""
        names = self.names
        free = np.array([1.0 - inputs.occupancy.get(name, 0.0) for name in names.drugs] or [1.0])
        self.unblocked = np.where(self.tables.blockers == 1, free, 1.0).prod(axis=1)
        self.plasma = np.array([inputs.plasma.get(name, 0.0) for name in names.fields] or [0.0])
        self.blood = np.array([inputs.blood.get(name, 1.0) for name in names.kinds])
        self._read_primed(inputs)

    def _read_primed(self, inputs: Inputs) -> None:
        """Primed cells raise the share that enters with their trait: (s (pool − primed) + primed) / pool."""
        for (kind, trait), primed in inputs.primed.items():
            code, pool = self.kind(kind), inputs.blood.get(kind, 1.0)
            if code < 0 or pool <= 0.0:
                continue
            column = sorted(self.lesion.cells[kind].traits).index(trait)
            own = float(self.own_spreads.value[code, column])
            self.spreads.value[code, column] = (own * (pool - primed) + primed) / pool

    def solve_fields(self) -> None:
        """Gather the sources of every field and advance it, all sources sensing the fields before."""
        for f in self.sourced:
            body = (self.unblocked, self.plasma, self.site_volume)
            constants = constant_rates(self.tables, f, *body)
            threads.over_slabs(
                gather,
                int(self.fields.nz[f]),
                self.state,
                self.tables,
                self.lattice,
                self.fields,
                f,
                constants,
                *body,
            )
            self.secreted[f] = field_solver.as_grid(self.fields, self.fields.s, f).mean()
        for f in self.sourced:
            if not self._is_empty(f):
                self.solver.solve(f, self.step.fields)

    def _is_empty(self, f: int) -> bool:
        """Whether a field has neither sources nor content; traces that lie beyond all meaning are removed."""
        content = field_solver.as_grid(self.fields, self.fields.c, f)
        if self.secreted[f] > 0.0:
            return False
        if content.max() < _TRACE:
            content[...] = 0.0
        return not content.any()

    def respond(self, step: int) -> None:
        """Every cell decides; then the traits of the agents change together."""
        state, model = (
            self.state,
            (self.tables, self.lattice, self.fields, self.unblocked, self.plasma, self.dice),
        )
        threads.over_slabs(
            respond_agents,
            int(state.count[AGENTS]),
            state,
            *model,
            step,
            self.step.tissue,
            self.step.motility,
        )
        sensed = state._replace(site_trait=state.site_trait.copy()) if self._bulk_senses_traits else state
        tables, lattice, fields, *rest = model
        threads.over_slabs(
            respond_bulk,
            lattice.nz * lattice.ny,
            state,
            sensed,
            tables,
            lattice,
            fields,
            self._bulk_fields,
            *rest,
            step,
            self.step.tissue,
        )
        commit_traits(state, self.tables, self.lattice)

    def _move_and_kill(self, step: int) -> None:
        """The motility sub-steps: hop, engage, strike, heal, release."""
        agents = int(self.state.count[AGENTS])
        room = int(self.state.count[WOUNDED]) + agents * self.sub_steps
        self.state = state = states.with_capacity(self.state, agents, room)
        tables, lattice, dice, dt = self.tables, self.lattice, self.dice, self.step.motility
        for part in range(self.sub_steps):
            agents = int(state.count[AGENTS])
            threads.over_slabs(propose_hops, agents, state, tables, lattice, self.fields, dice, step, part)
            threads.over_slabs(resolve_hops, agents, state, lattice, dice, step, part)
            threads.over_slabs(commit_hops, agents, state)
            threads.over_slabs(
                engage,
                agents,
                state,
                tables,
                lattice,
                self.fields,
                self.unblocked,
                self.plasma,
                dice,
                step,
                part,
                dt,
                float(self.sub_steps),
            )
            strike(state, tables, dice, step, part, dt)
            heal(state, tables, dice, step, part, dt)
            release(state, tables, dice, step, part, dt)

    def _turn_over(self, step: int) -> None:
        """Carry out the clocks that rang: deaths, clearances, switches, divisions."""
        agents = int(self.state.count[AGENTS])
        events = sum(threads.over_slabs(count_events, self.lattice.sites, self.state))
        self.state = state = states.with_capacity(self.state, 2 * agents, 0)
        mothers = turn_over_bulk(state, self.tables, events)
        crowded = divide_bulk(state, self.tables, self.lattice, self.near, self.dice, step, mothers)
        if len(self.surface) and len(crowded):
            distance_to_surface(state, self.lattice, self.around, self.surface)
        push_out(state, self.tables, self.lattice, self.surface, self.around, self.dice, step, crowded)
        turn_over_agents(state, self.tables, self.lattice, self.near, self.dice, step)

    def _list_wounded(self) -> None:
        """List the wounded sites anew: turnover and arrivals move and replace wounded cells."""
        wounded = np.flatnonzero(self.state.wounds)
        self.state = states.with_capacity(self.state, 0, len(wounded))
        self.state.wounded[: len(wounded)] = wounded
        self.state.count[WOUNDED] = len(wounded)

    def _enter(self, step: int, inputs: Inputs) -> np.ndarray:
        """Blood cells and infused cells come in at the vessels."""
        if len(self.surface):
            mark_serving(self.state, self.lattice, self.near, self.kind("tumor"), self.vessels, self.serves)
        total = draw_admissions(
            self.tables,
            self.lattice,
            self.fields,
            self.unblocked,
            self.plasma,
            self.blood,
            self.dice,
            step,
            self.step.tissue,
            self.ml_per_vessel * 1e3,
            self.vessels,
            self.serves,
            self.admissions,
            self.brought,
        )
        self._make_room(total)
        admit(
            self.state,
            self.tables,
            self.spreads,
            self.lattice,
            self.fields,
            self.near,
            self.dice,
            step,
            self.vessels,
            self.admissions,
            self.brought,
            self._emitters(),
        )
        return self._arrive(step, inputs.inflow)

    def _emitters(self) -> np.ndarray:
        """Slots of the cells that make the traced part of a field."""
        part = self.tables.traced[1]
        agents = int(self.state.count[AGENTS])
        return np.flatnonzero(self.state.secretes[:agents, part] > 0.0 if part >= 0 else np.zeros(0))

    def _arrive(self, step: int, inflow: Inflow | None) -> np.ndarray:
        """Infused cells reach the vessels; returns how many of each dose found a place."""
        if inflow is None:
            return np.zeros(0, np.int64)
        expected = float(inflow.per_ml.sum())
        if expected <= 0.0:
            return np.zeros(len(inflow.per_ml), np.int64)
        total = draw_arrivals(
            self.dice, step, expected * self.ml_per_vessel, self.vessels, self.serves, self.arrivals
        )
        if total == 0:
            return np.zeros(len(inflow.per_ml), np.int64)
        self._make_room(total)
        self.state = states.with_doses(self.state, int(inflow.number.max()))
        kinds = np.array([self.kind(name) for name in inflow.cell])
        return arrive(
            self.state,
            self.tables,
            self.spreads,
            self.lattice,
            self.near,
            self.kind("tumor"),
            self.dice,
            step,
            self.vessels,
            self.arrivals,
            np.cumsum(inflow.per_ml) / expected,
            kinds,
            inflow.number,
            self._presets(inflow),
        )

    def _presets(self, inflow: Inflow) -> np.ndarray:
        """f8[D, columns]: the start traits that each dose's product sets, nan elsewhere."""
        presets = np.full((len(inflow.per_ml), self.state.trait.shape[1]), np.nan)
        for dose, (kind, traits) in enumerate(zip(inflow.cell, inflow.traits, strict=True)):
            columns = sorted(self.lesion.cells[kind].traits)
            for trait, value in traits.items():
                presets[dose, columns.index(trait)] = value
        return presets

    def _make_room(self, agents: int) -> None:
        needed = int(self.state.count[AGENTS]) + int(agents)
        self.state = states.with_capacity(self.state, needed, 0)

    # --- checkpoints ---------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything that continues this block to the same bits."""
        return states.to_arrays(self.state) | {
            "concentration": self.fields.c,
            "secreted": self.secreted,
            "serves": self.serves,
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continue from what `to_arrays` kept."""
        arrays = dict(arrays)
        self.fields.c[:] = arrays.pop("concentration")
        self.secreted[:] = arrays.pop("secreted")
        serves = arrays.pop("serves")
        self.state = states.from_arrays(arrays, self.names, self.tables)
        self._find_vessels()
        self.serves[:] = serves
