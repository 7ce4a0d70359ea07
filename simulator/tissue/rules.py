"""How strongly a cell responds: the configuration's rows as tables, and their evaluation.

The tables are plain arrays, so a new behavior rate or rule is data and needs no new code.  Codes follow
sorted names: the order of anything in a file cannot reach a result.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from ..base.errors import InputError
from ..base.kernel import kernel
from ..config.schema import Behavior, Cell, Lesion, Rule, Step
from .actions import ACTIONS

# Signal codes.
FIELD, TRAIT, CONTACT_KIND, CONTACT_TRAIT, TARGET, ENGAGED = range(6)
# Hazard codes: what happens when a clock rings.
DIVIDE, DIE, NECROSE, LYSE, CLEAR, LEAVE, SWITCH = range(7)
HAZARDS = {"divide": DIVIDE, "die": DIE, "necrose": NECROSE, "lyse": LYSE, "clear": CLEAR, "leave": LEAVE,
           "switch": SWITCH}  # fmt: skip


def _record(integers: str, floats: str = "") -> np.dtype:
    """A record of named integers (int64), then named floats (float64)."""
    return np.dtype([(name, np.int64) for name in integers.split()] + [(name, np.float64) for name in floats.split()])


# One row a kind.  Ranges `x_start : x_stop` select its rows of another table.
KIND = _record(
    "lymphoid tracked stroma active touches "  # flags: layer; has an identity; side of the barrier; has
    # clocks; senses other bulk or lymphoid cells
    "sense_start sense_stop hazard_start hazard_stop express_start express_stop "
    "admit migrate kill "  # behaviors
    "toward "  # migrate: the field it follows
    "kill_target kill_hits kill_uses dead_leaves",  # kind; hits; column used up; kind left when killed
    "bias receptor sensitivity barrier "  # migrate
    "hazard_bound "  # 1/h: no signal can raise the sum of its hazards beyond
    "kill_delay kill_release repair",  # h from the last hit to death; 1/h end of an arrest; 1/h healing
)
SENSE = _record("code index")  # index: field, column, kind, trait or slot of a target signal
BEHAVIOR = _record("gate gate_not row_start row_stop", "rate")  # gate: a signal of the kind
ROW = _record("signal gate gate_not drug plasma raises", "to half hill")  # half 0: in proportion to the signal
HAZARD = _record("behavior code column leaves", "value")  # switch: value for the column; divide: column used up
EXPRESS = _record("behavior column", "rise fall")
EXCHANGE = _record("secrete scale take_up exchange", "level")  # scale: column of the trait that multiplies


class Tables(NamedTuple):
    """Everything a kernel needs to know of the model, as arrays of records.

    K kinds (code 0 is an empty site), T traits, F fields.  An index of −1 means none.
    """

    kinds: np.ndarray  # KIND[K]
    senses: np.ndarray  # SENSE: what each kind senses, in the order of its local signals
    behaviors: np.ndarray  # BEHAVIOR
    rows: np.ndarray  # ROW, in the order in which they act
    hazards: np.ndarray  # HAZARD, in the order of their names
    expressed: np.ndarray  # EXPRESS
    exchange: np.ndarray  # EXCHANGE[K, F]
    column: np.ndarray  # i8[K, T] where trait t of kind k stands
    kill_on: np.ndarray  # i8[K, 4] target traits that must be recognized
    target_trait: np.ndarray  # i8[J] trait behind each slot of a target signal


class Names(NamedTuple):
    """The sorted names behind the codes; kinds[0] is the empty site."""

    kinds: tuple[str, ...]
    traits: tuple[str, ...]
    fields: tuple[str, ...]
    drugs: tuple[str, ...]
    site_columns: int
    agent_columns: int


@kernel(inline=True)
def hill(x, half, n):
    """H(x; K, n) = xⁿ / (xⁿ + Kⁿ), zero for x ≤ 0."""
    if x <= 0.0:
        return 0.0
    if n == 1.0:
        return x / (x + half)
    if n == 2.0:
        return x * x / (x * x + half * half)
    if n == 4.0:
        x2 = x * x
        k2 = half * half
        return x2 * x2 / (x2 * x2 + k2 * k2)
    p = math.pow(x / half, n)
    return p / (p + 1.0)


@kernel(inline=True)
def evaluate(tables, behavior, x, unblocked, plasma):
    """The value of a behavior: base, then every row in its fixed order.

    v ← v + r·(to − v), skipped where that would move v the wrong way;
    r = H(x)·[when]·(1 − occupancy).  x : f8, the kind's signals; unblocked : f8[D], 1 − occupancy of
    each drug; plasma : f8[F].
    """
    b = tables.behaviors[behavior]
    if b.gate >= 0 and (x[b.gate] > 0.5) == (b.gate_not == 1):
        return 0.0
    v = b.rate
    for i in range(b.row_start, b.row_stop):
        row = tables.rows[i]
        if row.gate >= 0 and (x[row.gate] > 0.5) == (row.gate_not == 1):
            continue
        if row.half > 0.0:
            r = hill(x[row.signal], row.half, row.hill)
            if row.plasma >= 0:
                r = max(0.0, r - hill(plasma[row.plasma], row.half, row.hill))
        else:
            r = min(max(x[row.signal], 0.0), 1.0)
        if row.drug >= 0:
            r *= unblocked[row.drug]
        if (row.to > v) == (row.raises == 1):
            v += r * (row.to - v)
    return v


def check_motility(lesion: Lesion, step: Step) -> None:
    """Refuse kinds that would hop more than once a motility step: D = ν a²/(2d) holds while ν·step ≤ 1."""
    for kind, cell in sorted(lesion.cells.items()):
        if "migrate" not in cell.behaviors:
            continue
        most = max([cell.behaviors["migrate"].base, *(r.to for r in cell.rules if r.behavior == "migrate")])
        if most * step.motility > 1.0 + 1e-9:
            raise InputError(
                f"{kind} would hop more than once a motility step: {most / 60:g} /min × {step.motility * 60:g} min",
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


def names_of(lesion: Lesion, drugs) -> Names:
    """The sorted names of a lesion's kinds, traits and fields, and how many trait columns each store needs."""
    kinds = ("empty", *sorted(lesion.cells))
    listed = [len(c.traits) for c in lesion.cells.values() if is_tracked(c)]
    at_site = [len(c.traits) for c in lesion.cells.values() if not is_tracked(c)]
    traits = sorted({trait for cell in lesion.cells.values() for trait in cell.traits})
    return Names(kinds, tuple(traits), tuple(sorted(lesion.fields)), tuple(sorted(drugs)),
                 max(at_site, default=0), max(listed, default=0))  # fmt: skip


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
            signal = self.local_signal(kind, rule.signal, local)
            gate = self.gate(kind, rule.when, local)
            drug = self.drug.get(rule.blocked_by, -1) if rule.blocked_by else -1
            plasma = self.field[rule.signal] if rule.against else -1
            half = rule.half_max if rule.half_max is not None else 0.0
            raises = int(rule.raised_by is not None)
            self.rows.append((signal, *gate, drug, plasma, raises, convert(rule.to), half, rule.hill))
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
        kill_on=np.full((len(names.kinds), 4), -1, np.int64),
        target_trait=np.zeros(0, np.int64),
    )
    for flag in ("lymphoid", "tracked", "stroma", "active", "touches", "dead_leaves", "repair", "hazard_bound"):
        tables.kinds[flag] = 0
    for starts in ("sense_start", "sense_stop", "hazard_start", "hazard_stop", "express_start", "express_stop"):
        tables.kinds[starts][0] = 0
    for code, kind in enumerate(names.kinds[1:], start=1):
        _compile_kind(compiler, tables, code, kind)
    return tables._replace(
        senses=_table(SENSE, compiler.senses),
        behaviors=_table(BEHAVIOR, compiler.behaviors),
        rows=_table(ROW, compiler.rows),
        hazards=_table(HAZARD, compiler.hazards),
        expressed=_table(EXPRESS, compiler.expressed),
        target_trait=np.array(compiler.targets, np.int64),
    )


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
        len(compiler.senses), len(compiler.hazards), len(compiler.expressed))  # fmt: skip
    for trait in cell.traits:
        tables.column[code, compiler.trait[trait]] = compiler.column(kind, trait)
    row.lymphoid = int(cell.layer == "lymphoid")
    row.tracked = int(is_tracked(cell))
    row.stroma = int(cell.compartment == "stroma")
    for name in sorted(cell.behaviors):
        behavior = cell.behaviors[name]
        index = compiler.behavior(kind, name, behavior, local)
        word, _, argument = name.partition(" ")
        if ACTIONS[word].hazard:
            compiler.hazards.append(_hazard(compiler, kind, index, word, argument, behavior))
            row.hazard_bound += max([behavior.base, *(r.to for r in cell.rules if r.behavior == name)])
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
            _fill_motion(compiler, tables, code, word, behavior)
    if "die" in cell.behaviors and cell.behaviors["die"].leaves:
        row.dead_leaves = compiler.kind[cell.behaviors["die"].leaves]
    compiler.senses.extend(local)
    row.sense_stop, row.hazard_stop, row.express_stop = (
        len(compiler.senses), len(compiler.hazards), len(compiler.expressed))  # fmt: skip
    row.touches = int(any(code not in (FIELD, TRAIT) for code, _ in local))
    has_clocks = row.hazard_stop > row.hazard_start or row.express_stop > row.express_start
    row.active = int(not is_tracked(cell) and has_clocks)


def _hazard(compiler: _Compiler, kind: str, index: int, word: str, argument: str, behavior: Behavior) -> tuple:
    """One row of the hazard table."""
    trait = argument or behavior.uses
    column = compiler.column(kind, trait) if trait else -1
    leaves = compiler.kind[behavior.leaves] if behavior.leaves else 0
    return index, HAZARDS[word], column, leaves, 0.0 if behavior.set is None else behavior.set


def _express(compiler: _Compiler, kind: str, index: int, trait: str, behavior: Behavior) -> tuple:
    """One row of the table of expressed traits."""
    if behavior.rise is None or behavior.fall is None:
        raise InputError(f"{kind}: 'express {trait}' needs a rise and a fall rate", "Write e.g. rise: 1 /d, fall: 1 /d.")
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
        row.barrier = behavior.barrier
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
            raise InputError(f"{kind}: kill.repair differs from that of another killer of {behavior.targets}",
                             "Damage of one target kind is repaired at one rate: give both the same.")  # fmt: skip
        tables.kinds[target].repair = repair
