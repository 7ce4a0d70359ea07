"""From a lesion's model to the tables that kernels read."""

import math
from collections.abc import Iterable

import numpy as np
from scipy.optimize import brentq

from ..base.errors import InputError
from ..config.schema import Behavior, Cell, Lesion, Rule, Step
from .actions import ACTIONS
from .rules import (
    BEHAVIOR,
    CONTACT_KIND,
    CONTACT_TRAIT,
    ENGAGED,
    EXCHANGE,
    EXPRESS,
    FIELD,
    HAZARD,
    HAZARDS,
    KIND,
    ROW,
    SENSE,
    TARGET,
    TRAIT,
    Names,
    Tables,
)


def check_motility(lesion: Lesion, step: Step) -> None:
    """Refuse kinds that would hop more than once a motility step: D = ν a²/(2d) holds while ν·step ≤ 1."""
    for kind, cell in sorted(lesion.cells.items()):
        if "migrate" not in cell.behaviors:
            continue
        most = max([cell.behaviors["migrate"].base, *(r.to for r in cell.rules if r.behavior == "migrate")])
        if most * step.motility > 1.0 + 1e-9:
            raise InputError(
                f"{kind} would hop more than once a motility step: {most / 60:g} /min × "
                f"{step.motility * 60:g} min",
                "Lower its migrate rate or step.motility, so that their product is at most 1.",
            )


def hit_rate(kills: float, hits: int, repair_rate: float) -> float:
    """Hits per hour that complete `kills` kills per hour in permanent contact.

    Damage rises by one with the hit rate h and falls by one with the repair rate r; the mean time from
    no damage to n hits is Σ over states of T_i, T_0 = 1/h, T_i = (1 + r·T_{i−1})/h, and must be 1/kills.
    """
    if kills <= 0.0 or hits == 1:
        return max(kills, 0.0)

    def mean_time(h: float) -> float:
        stay = total = 1.0 / h
        for _ in range(hits - 1):
            stay = (1.0 + repair_rate * stay) / h
            total += stay
        return total

    low = kills * hits
    high = 2.0 * low
    while mean_time(high) > 1.0 / kills:
        high *= 2.0
    return float(brentq(lambda h: mean_time(h) * kills - 1.0, low, high, rtol=1e-14))


def ordered_rows(cell: Cell, behavior: str) -> list[Rule]:
    """The rows of a behavior in the order in which they act: raising rows by ascending `to`, then
    lowering rows by descending `to`, ties by signal."""
    rows = [rule for rule in cell.rules if rule.behavior == behavior]
    raising = sorted((r for r in rows if r.raised_by), key=lambda r: (r.to, r.signal))
    lowering = sorted((r for r in rows if r.lowered_by), key=lambda r: (-r.to, r.signal))
    return raising + lowering


def names_of(lesion: Lesion, drugs: Iterable[str]) -> Names:
    """The sorted names of a lesion's model, and how many trait columns the sites and the agents need."""
    kinds = ("empty", *sorted(lesion.cells))
    listed = [len(c.traits) for c in lesion.cells.values() if is_tracked(c)]
    at_site = [len(c.traits) for c in lesion.cells.values() if not is_tracked(c)]
    traits = sorted({trait for cell in lesion.cells.values() for trait in cell.traits})
    return Names(
        kinds,
        tuple(traits),
        tuple(sorted(lesion.substances)),
        tuple(sorted(drugs)),
        max(at_site, default=0),
        max(listed, default=0),
    )


def is_tracked(cell: Cell) -> bool:
    """Whether each cell of the kind has an identity and a place in the agent list."""
    return cell.layer == "lymphoid" or cell.tracked


class _Compiler:
    """Collects the rows of every table, kind by kind, in the order of sorted names."""

    def __init__(self, lesion: Lesion, names: Names):
        self.lesion, self.names = lesion, names
        self.kind = {name: code for code, name in enumerate(names.kinds)}
        self.trait = {name: code for code, name in enumerate(names.traits)}
        self.field = {name: code for code, name in enumerate(names.fields)}
        self.drug = {name: code for code, name in enumerate(names.drugs)}
        self.targets: list[int] = []
        self.blockers: list[tuple[str, ...]] = []
        self.senses: list[tuple[int, int]] = []
        self.behaviors: list[tuple] = []
        self.rows: list[tuple] = []
        self.hazards: list[tuple] = []
        self.expressed: list[tuple] = []

    def column(self, kind: str, trait: str) -> int:
        """Where a trait stands among its kind's columns."""
        traits = sorted(self.lesion.cells[kind].traits)
        return traits.index(trait) if trait in traits else -1

    def local_signal(self, kind: str, text: str, local: list[tuple[int, int]]) -> int:
        """The index of a signal among those the kind senses, added where it is new."""
        code = self.signal_code(kind, text)
        if code not in local:
            local.append(code)
        return local.index(code)

    def signal_code(self, kind: str, text: str) -> tuple[int, int]:
        """(code, index) of a signal as a rule names it."""
        word, _, argument = text.partition(" ")
        if word == "contact":
            if argument in self.kind:
                return CONTACT_KIND, self.kind[argument]
            return CONTACT_TRAIT, self.trait[argument]
        if word == "target":
            trait = self.trait[argument]
            if trait not in self.targets:
                self.targets.append(trait)
            return TARGET, self.targets.index(trait)
        if word == "engaged":
            return ENGAGED, 0
        if word in self.field:
            return FIELD, self.field[word]
        return TRAIT, self.column(kind, word)

    def blocking(self, drugs: Iterable[str]) -> int:
        """The index of a set of drugs, added where it is new; −1 where none of them is here."""
        together = tuple(sorted(name for name in drugs if name in self.drug))
        if not together:
            return -1
        if together not in self.blockers:
            self.blockers.append(together)
        return self.blockers.index(together)

    def gate(self, kind: str, text: str | None, local) -> tuple[int, int]:
        """(local signal, inverted) of a `when`."""
        if text is None:
            return -1, 0
        inverted = text.startswith("not ")
        return self.local_signal(kind, text.removeprefix("not "), local), int(inverted)

    def behavior(self, kind: str, name: str, behavior: Behavior, local) -> int:
        """Add one behavior with its rows; returns its index."""
        convert = float
        if name == "kill":
            repair = 0.0 if behavior.repair is None else 1.0 / behavior.repair

            def convert(kills):
                return hit_rate(kills, behavior.hits, repair)

        first = len(self.rows)
        for rule in ordered_rows(self.lesion.cells[kind], name):
            word, _, argument = rule.signal.partition(" ")
            occupied = self.blocking([argument]) if word == "drug" else -1
            signal = 0 if word == "drug" else self.local_signal(kind, rule.signal, local)
            gate = self.gate(kind, rule.when, local)
            blockers = self.blocking(rule.blocked_by)
            plasma = self.field[rule.signal] if rule.against else -1
            half = rule.half_max if rule.half_max is not None else 0.0
            codes = (signal, occupied, *gate, blockers, plasma, int(rule.raised_by is not None))
            self.rows.append((*codes, convert(rule.to), half, rule.hill))
        gate = self.gate(kind, behavior.when, local)
        self.behaviors.append((*gate, first, len(self.rows), convert(behavior.base)))
        return len(self.behaviors) - 1


def compile_tables(lesion: Lesion, names: Names) -> Tables:
    """The tables of one lesion's model.  Raises InputError where the model contradicts itself."""
    compiler = _Compiler(lesion, names)
    tables = Tables(
        kinds=_filled(KIND, -1, len(names.kinds)),
        senses=_filled(SENSE, -1, 0),
        behaviors=_filled(BEHAVIOR, -1, 0),
        rows=_filled(ROW, -1, 0),
        hazards=_filled(HAZARD, -1, 0),
        expressed=_filled(EXPRESS, -1, 0),
        exchange=_filled(EXCHANGE, -1, len(names.kinds), max(1, len(names.fields))),
        column=np.full((len(names.kinds), max(1, len(names.traits))), -1, np.int64),
        passes=np.ones((len(names.kinds), len(names.kinds))),
        opens=np.ones((len(names.kinds),) * 3),
        invades=np.zeros((len(names.kinds), len(names.kinds))),
        renewed=np.full((len(names.kinds), max(1, names.agent_columns)), np.nan),
        kill_on=np.full((len(names.kinds), 4), -1, np.int64),
        target_trait=np.zeros(0, np.int64),
        blockers=np.zeros((0, 0), np.uint8),
        followed=np.zeros(0, np.int64),
        traced=np.full(2, -1, np.int64),
    )
    for flag in (
        "lymphoid",
        "tracked",
        "stroma",
        "active",
        "touches",
        "needs_room",
        "anywhere",
        "dead_leaves",
        "repair",
        "hazard_bound",
        "admit_bound",
    ):
        tables.kinds[flag] = 0
    for rows in ("sense", "hazard", "express"):
        tables.kinds[f"{rows}_start"][0] = tables.kinds[f"{rows}_stop"][0] = 0
    for code, kind in enumerate(names.kinds[1:], start=1):
        _compile_kind(compiler, tables, code, kind)
    _open(compiler, tables)
    _trace(compiler, tables)
    return tables._replace(
        senses=_table(SENSE, compiler.senses),
        behaviors=_table(BEHAVIOR, compiler.behaviors),
        rows=_table(ROW, compiler.rows),
        hazards=_table(HAZARD, compiler.hazards),
        expressed=_table(EXPRESS, compiler.expressed),
        target_trait=np.array(compiler.targets, np.int64),
        blockers=_sets(compiler),
        followed=np.unique(tables.kinds.toward[tables.kinds.toward >= 0]),
    )


def _open(compiler: _Compiler, tables: Tables) -> None:
    """How open a step is to each kind that walks: the barrier counts from stroma into a nest."""
    enters_nest = (tables.kinds.stroma[:, np.newaxis] == 1) & (tables.kinds.stroma == 0)
    for code, kind in enumerate(compiler.names.kinds[1:], start=1):
        walk = compiler.lesion.cells[kind].behaviors.get("migrate")
        if walk is not None:
            tables.opens[code] = np.where(enters_nest, walk.barrier, 1.0) * tables.passes[code]


def _trace(compiler: _Compiler, tables: Tables) -> None:
    """The part of a traced field is made by one kind alone, and lost as the whole is."""
    traced = compiler.lesion.traced
    if traced is None:
        return
    whole, part = compiler.field[traced[0]], compiler.field[traced[2]]
    tables.traced[:] = whole, part
    for name in ("take_up", "exchange"):
        tables.exchange[name][:, part] = tables.exchange[name][:, whole]
    tables.exchange.level[:, part] = 0.0
    maker = compiler.kind[traced[1]]
    for name in ("secrete", "scale"):
        tables.exchange[name][maker, part] = tables.exchange[name][maker, whole]


def _sets(compiler: _Compiler) -> np.ndarray:
    """u1[sets, drugs]: which drugs each set holds; at least one set, so that its array has an element."""
    sets = np.zeros((max(1, len(compiler.blockers)), max(1, len(compiler.names.drugs))), np.uint8)
    for row, together in enumerate(compiler.blockers):
        for name in together:
            sets[row, compiler.drug[name]] = 1
    return sets


def _filled(record: np.dtype, value: float, *shape: int) -> np.ndarray:
    """Records whose every number is `value`, readable as attributes."""
    array = np.zeros(shape, record).view(np.recarray)
    for name in record.names:
        array[name] = value
    return array


def _table(record: np.dtype, rows: list[tuple]) -> np.ndarray:
    return np.array(rows, record).view(np.recarray)


def _compile_kind(compiler: _Compiler, tables: Tables, code: int, kind: str) -> None:
    """Fill the row of one kind and append what it senses and does."""
    cell = compiler.lesion.cells[kind]
    row = tables.kinds[code]
    local: list[tuple[int, int]] = []
    row.sense_start, row.hazard_start, row.express_start = (
        len(compiler.senses),
        len(compiler.hazards),
        len(compiler.expressed),
    )
    for trait in cell.traits:
        tables.column[code, compiler.trait[trait]] = compiler.column(kind, trait)
    row.lymphoid = int(cell.layer == "lymphoid")
    row.tracked = int(is_tracked(cell))
    row.stroma = int(cell.compartment == "stroma")
    for held, chance in cell.invades.items():
        tables.invades[code, compiler.kind[held]] = chance
    for name in sorted(cell.behaviors):
        behavior = cell.behaviors[name]
        index = compiler.behavior(kind, name, behavior, local)
        word, _, argument = name.partition(" ")
        if ACTIONS[word].hazard:
            compiler.hazards.append(_hazard(compiler, kind, index, word, argument, behavior, local))
            most = max([behavior.base, *(r.to for r in cell.rules if r.behavior == name)])
            row.hazard_bound += most if behavior.scaled_by is None else math.inf
            row.needs_room |= int(behavior.needs_room)
            if behavior.spared_by:
                row.spared = compiler.column(kind, behavior.spared_by)
            for trait, chance in behavior.loses.items():
                row.lost, row.loss = compiler.column(kind, trait), chance
            for trait in behavior.renews:
                tables.renewed[code, compiler.column(kind, trait)] = cell.traits[trait]
        elif word == "express":
            compiler.expressed.append(_express(compiler, kind, index, argument, behavior))
        elif word in ("secrete", "take_up", "exchange"):
            entry = tables.exchange[code, compiler.field[argument]]
            entry[word] = index
            if behavior.scaled_by:
                entry.scale = compiler.column(kind, behavior.scaled_by)
            entry.level = behavior.level or 0.0
        else:
            row[word] = index
            if word == "admit":
                tos = [r.to for r in cell.rules if r.behavior == name]
                row.admit_bound = max([behavior.base, *tos]) * (1.0 + 1e-9)
                row.anywhere = int(behavior.anywhere)
            _fill_motion(compiler, tables, code, word, behavior)
    if "die" in cell.behaviors and cell.behaviors["die"].leaves:
        row.dead_leaves = compiler.kind[cell.behaviors["die"].leaves]
    compiler.senses.extend(local)
    row.sense_stop, row.hazard_stop, row.express_stop = (
        len(compiler.senses),
        len(compiler.hazards),
        len(compiler.expressed),
    )
    row.touches = int(any(code not in (FIELD, TRAIT) for code, _ in local))
    has_clocks = row.hazard_stop > row.hazard_start or row.express_stop > row.express_start
    row.active = int(not is_tracked(cell) and has_clocks)


def _hazard(
    compiler: _Compiler, kind: str, index: int, word: str, argument: str, behavior: Behavior, local
) -> tuple:
    """One row of the hazard table."""
    trait = argument or behavior.uses
    column = compiler.column(kind, trait) if trait else -1
    leaves = compiler.kind[behavior.leaves] if behavior.leaves else 0
    scale = compiler.local_signal(kind, behavior.scaled_by, local) if behavior.scaled_by else -1
    value = behavior.within / compiler.lesion.block.site if word == "scar" else behavior.set or 0.0
    return index, HAZARDS[word], column, leaves, scale, value


def _express(compiler: _Compiler, kind: str, index: int, trait: str, behavior: Behavior) -> tuple:
    """One row of the table of expressed traits."""
    if behavior.rise is None or behavior.fall is None:
        raise InputError(
            f"{kind}: 'express {trait}' needs a rise and a fall rate", "Write e.g. rise: 1 /d, fall: 1 /d."
        )
    return index, compiler.column(kind, trait), behavior.rise, behavior.fall


def _fill_motion(compiler: _Compiler, tables: Tables, code: int, word: str, behavior: Behavior) -> None:
    """The parameters of migrate and kill beside their rates."""
    row = tables.kinds[code]
    kind = compiler.names.kinds[code]
    if word == "migrate":
        row.toward = compiler.field.get(behavior.toward, -1) if behavior.toward else -1
        row.bias = behavior.bias
        row.receptor = behavior.half_max or 1.0
        row.sensitivity = behavior.sensitivity
        row.tries = behavior.tries
        for passed, chance in behavior.passes.items():
            tables.passes[code, compiler.kind[passed]] = chance
    elif word == "kill":
        target = compiler.kind[behavior.targets]
        row.kill_target = target
        for slot, trait in enumerate(behavior.on):
            tables.kill_on[code, slot] = compiler.trait[trait]
        row.kill_hits = behavior.hits
        row.kill_delay = behavior.dies_after
        row.kill_release = 0.0 if behavior.arrest is None else 1.0 / behavior.arrest
        row.kill_uses = compiler.column(kind, behavior.uses) if behavior.uses else -1
        repair = 0.0 if behavior.repair is None else 1.0 / behavior.repair
        if tables.kinds[target].repair not in (0.0, repair):
            raise InputError(
                f"{kind}: kill.repair differs from that of another killer of {behavior.targets}",
                "Damage of one target kind is repaired at one rate: give both the same.",
            )
        tables.kinds[target].repair = repair
