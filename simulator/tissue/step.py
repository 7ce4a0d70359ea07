"""One block through one step: fields, sense and respond, act, enter."""

from collections.abc import Iterable

import numpy as np

from ..base import threads
from ..base.errors import InputError
from ..base.rng import Dice
from ..config.schema import Lesion, Step
from . import fields as field_solver, state as states
from .compile import check_motility, compile_tables, names_of
from .entrance import Entrance
from .inputs import Inputs
from .lattice import Lattice, offsets_within
from .pushing import distance_to_surface, push_out
from .respond import commit_traits, respond_agents, respond_bulk
from .rules import CONTACT_TRAIT, FIELD
from .seeding import seed_block
from .sources import gather, make_rates
from .state import AGENTS, WOUNDED
from .substeps import move_and_kill
from .traits import compile_spreads
from .turnover import count_events, divide_bulk, find_room, turn_over_agents, turn_over_bulk, wander_bulk

_MM3_PER_UM3 = 1e-9
_ML_PER_UM3 = 1e-12
_TRACE = (
    1e-200  # [field unit]; what is left of a field without sources decays forever, at last into denormals
)


class Block:
    """One lesion's lattice, its cells and fields, and the rules they follow.

    lesion : the model; step : step lengths; dice : the key of (seed, patient, replicate) and lesion;
    drugs : names of all drugs of the experiment; is_seeded : false for a block that `restore` will fill.
    """

    def __init__(self, lesion: Lesion, step: Step, dice: Dice, drugs: Iterable[str], is_seeded: bool = True):
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
        self._set_fields()
        self.secreted = np.zeros(
            len(self.names.fields)
        )  # mean source of each field in the last step [unit/h]
        self.state = states.empty_state(self.lattice.sites, self.names, self.tables)
        if is_seeded:
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
        self.day = max(1, round(24.0 / step.tissue))  # in steps
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
        substances = [lesion.substances[name] for name in self.names.fields]
        self.edges = {f: held.edge for f, held in enumerate(substances) if held.edge is not None}
        kinds = range(1, len(self.names.kinds))
        active = [kind for kind in kinds if self.tables.kinds[kind].active]
        self._bulk_fields, self._bulk_senses_traits = self._sensed_by(active)
        asked = [
            kind
            for kind in kinds
            if not self.tables.kinds[kind].lymphoid
            and any(
                (self.tables.exchange[what][kind] >= 0).any() for what in ("secrete", "take_up", "exchange")
            )
        ]
        self._source_fields, _ = self._sensed_by(asked)
        self.come_anywhere = [kind for kind in kinds if self.tables.kinds[kind].anywhere == 1]
        self._read = {int(sense.index) for sense in self.tables.senses if sense.code == FIELD}
        self._read |= {int(f) for f in (*self.tables.followed, *self.tables.traced)}

    def _sensed_by(self, kinds: list[int]) -> tuple[np.ndarray, bool]:
        """(fields that untracked ones of these kinds sense, whether they sense neighbors' traits)."""
        sensed = [
            sense
            for kind in (self.tables.kinds[code] for code in kinds)
            if not kind.tracked
            for sense in self.tables.senses[kind.sense_start : kind.sense_stop]
        ]
        fields = sorted({int(sense.index) for sense in sensed if sense.code == FIELD})
        return np.array(fields, np.int64), any(sense.code == CONTACT_TRAIT for sense in sensed)

    def _set_fields(self) -> None:
        """The fields that cells make or take up, and the slabs in which their sources are gathered."""
        exchange = self.tables.exchange
        taken = ((exchange.take_up >= 0) | (exchange.exchange >= 0)).any(axis=0)[: len(self.names.fields)]
        taken[list(self.edges)] = True
        self.fields = field_solver.with_uptake(self.fields, taken)
        self.solver = field_solver.Solver(self.fields)
        self._made = np.array(self.sourced, np.int64)
        self._depth = int(self.fields.gz[self._made].max(initial=1))  # planes of sites that no voxel crosses

    def change_model(self, lesion: Lesion, step: Step) -> None:
        """Follow another model from now on (an arm from day 0); kinds and traits must be the same."""
        if names_of(lesion, self.names.drugs) != self.names:
            raise InputError(
                "an arm has other kinds, traits or fields than the burn-in it branches from",
                "Put what adds or removes them under the arm's 'tissue:'.",
            )
        self._set_model(lesion, step)
        self._set_fields()
        self.state = states.with_model(self.state, self.names, self.tables)

    def _find_vessels(self) -> None:
        """List the vessel sites anew."""
        self.entrance = Entrance(self.state.bulk, self.kind("vessel"), len(self.names.kinds), self.volume_ml)

    def kind(self, name: str) -> int:
        """The code of a kind; −1 where this model has none of that name."""
        return self.names.kinds.index(name) if name in self.names.kinds else -1

    @property
    def served_ml(self) -> float:
        """mL of tumor that the block's vessels serve: the whole of a tissue block."""
        return self.entrance.served_ml

    # --- the step ----------------------------------------------------------------------------

    def advance(self, step: int, inputs: Inputs) -> np.ndarray:
        """Advance by one tissue step (numbered from 1); returns the infused cells placed, i8 per dose."""
        self.read(inputs)
        if step % self.day == 0:
            states.sort_agents(self.state, self.tables)
        self.solve_fields(step)
        self.respond(step)
        return self.act(step, inputs)

    def act(self, step: int, inputs: Inputs) -> np.ndarray:
        """Carry out what the cells decided, and let new cells in."""
        self._move_and_kill(step)
        self._turn_over(step)
        placed = self.entrance.enter(self, step, inputs)
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

    def solve_fields(self, step: int) -> None:
        """Gather the sources of every field and advance it, all sources sensing the fields before.

        A field that no cell senses is only reported: it advances by a day, once a day.
        """
        body = (self.unblocked, self.plasma, self.site_volume)
        if self.sourced:
            threads.over_slabs(
                gather,
                -(-self.lattice.nz // self._depth),
                self.state,
                self.tables,
                self.lattice,
                self.fields,
                self._made,
                self._source_fields,
                make_rates(self.tables, *body),
                body,
                self._depth,
            )
        for f in self.sourced:
            self.secreted[f] = field_solver.as_grid(self.fields, self.fields.s, f).mean()
        for f, level in self.edges.items():
            if f not in self.sourced:
                field_solver.clear(self.fields, f)
            field_solver.hold_edges(self.fields, f, level)
        moving = sorted({*self.sourced, *self.edges})
        filled = [f for f in moving if f in self.edges or not self._is_empty(f)]
        self.solver.solve_all([f for f in filled if f in self._read], self.step.fields)
        if step % self.day == 0:
            self.solver.solve_all([f for f in filled if f not in self._read], self.day * self.step.tissue)

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
        move_and_kill(
            state,
            self.tables,
            self.lattice,
            self.fields,
            (self.unblocked, self.plasma),
            self.dice,
            step,
            self.step.motility,
            self.sub_steps,
        )

    def _turn_over(self, step: int) -> None:
        """Carry out the clocks that rang: deaths, clearances, switches, divisions."""
        agents = int(self.state.count[AGENTS])
        events = sum(threads.over_slabs(count_events, self.lattice.sites, self.state))
        self.state = state = states.with_capacity(self.state, 2 * agents, 0)
        mothers, movers = turn_over_bulk(state, self.tables, events)
        room = np.empty(len(mothers), np.uint8)
        around = (state, self.tables, self.lattice, self.near, self.dice, step, mothers, room)
        threads.over_slabs(find_room, len(mothers), *around)
        crowded = divide_bulk(*around)
        if len(self.surface) and len(crowded):
            distance_to_surface(state, self.lattice, self.around, self.surface)
        push_out(state, self.tables, self.lattice, self.surface, self.around, self.dice, step, crowded)
        if len(movers):
            wander_bulk(state, self.tables, self.lattice, self.near, self.dice, step, movers)
        turn_over_agents(state, self.tables, self.lattice, self.near, self.dice, step)

    def _list_wounded(self) -> None:
        """List the wounded sites anew: turnover and arrivals move and replace wounded cells."""
        found = threads.over_slabs(_wounded, self.lattice.sites, self.state.wounds)
        wounded = np.concatenate(found)
        self.state = states.with_capacity(self.state, 0, len(wounded))
        self.state.wounded[: len(wounded)] = wounded
        self.state.count[WOUNDED] = len(wounded)

    # --- checkpoints ---------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything that continues this block to the same bits."""
        return states.to_arrays(self.state) | {
            "concentration": self.fields.c,
            "secreted": self.secreted,
            "serves": self.entrance.serves,
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continue from what `to_arrays` kept; the arrays of its sites become the block's own."""
        arrays = dict(arrays)
        self.fields.c[:] = arrays.pop("concentration")
        self.secreted[:] = arrays.pop("secreted")
        serves = arrays.pop("serves")
        self.state = states.from_arrays(arrays, self.names, self.tables)
        self._find_vessels()
        self.entrance.serves[:] = serves


def _wounded(wounds: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Those of the sites [start, stop) that have wounds."""
    return start + np.flatnonzero(wounds[start:stop] != 0)
