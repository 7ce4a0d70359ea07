"""How strongly a cell responds: the configuration's rows as tables, and their evaluation.

The tables are plain arrays, so a new behavior rate or rule is data and needs no new code.  Codes follow
sorted names: the order of anything in a file cannot reach a result.  `compile` fills them.
"""

from typing import NamedTuple

import numpy as np

from ..base.kernel import kernel
from .hill import hill, hill_of

# Signal codes.
FIELD, TRAIT, CONTACT_KIND, CONTACT_TRAIT, TARGET, ENGAGED = range(6)
# Hazard codes: what happens when a clock rings.
DIVIDE, DIE, NECROSE, LYSE, CLEAR, LEAVE, SWITCH, SCAR, WANDER = range(9)
HAZARDS = {
    "divide": DIVIDE,
    "die": DIE,
    "necrose": NECROSE,
    "lyse": LYSE,
    "clear": CLEAR,
    "leave": LEAVE,
    "switch": SWITCH,
    "reset": SWITCH,  # to 0
    "scar": SCAR,
    "wander": WANDER,
}


def _record(integers: str, floats: str = "") -> np.dtype:
    """A record of named integers (int64), then named floats (float64)."""
    return np.dtype(
        [(name, np.int64) for name in integers.split()] + [(name, np.float64) for name in floats.split()]
    )


# One row a kind.  Ranges `x_start : x_stop` select its rows of another table.
KIND = _record(
    "lymphoid tracked stroma active touches needs_room anywhere "  # flags: layer; has an identity; side of
    # the barrier; has clocks; senses other bulk or lymphoid cells; divides only where a site is free; is
    # admitted anywhere
    "sense_start sense_stop hazard_start hazard_stop express_start express_stop "
    "admit migrate kill "  # behaviors
    "toward tries "  # migrate: the field it follows; ways tried in a step
    "spared lost "  # divide: column of a trait that spares what is used up; of one that daughters may lack
    "kill_target kill_hits kill_uses dead_leaves",  # kind; hits; column used up; kind left when killed
    "bias receptor sensitivity "  # migrate
    "hazard_bound "  # 1/h: no signal can raise the sum of its hazards beyond
    "admit_bound "  # cells/mm³/h: nor its entry, while the blood holds its baseline
    "loss "  # divide: chance that a daughter lacks it
    "kill_delay kill_release repair",  # h from the last hit to death; 1/h end of an arrest; 1/h healing
)
SENSE = _record("code index")  # index: field, column, kind, trait or slot of a target signal
BEHAVIOR = _record("gate gate_not row_start row_stop", "rate")  # gate: a signal of the kind
ROW = _record(
    "signal occupied gate gate_not blockers plasma raises",  # occupied: drugs whose occupancy is the signal
    "to half hill",  # half 0: in proportion to the signal
)
HAZARD = _record(
    "behavior code column leaves scale",  # scale: a signal of the kind that multiplies the rate
    "value",  # switch: value for the column; divide: column used up; scar: how far around, in sites
)
EXPRESS = _record("behavior column", "rise fall")
EXCHANGE = _record("secrete scale take_up exchange", "level")  # scale: column of the trait that multiplies


class Tables(NamedTuple):
    """Everything a kernel needs to know of the model, as arrays of records.

    K kinds (code 0 is an empty site), T traits, F fields.  An index of −1 means none.
    """

    kinds: np.recarray  # KIND[K]
    senses: np.recarray  # SENSE: what each kind senses, in the order of its local signals
    behaviors: np.recarray  # BEHAVIOR
    rows: np.recarray  # ROW, in the order in which they act
    hazards: np.recarray  # HAZARD, in the order of their names
    expressed: np.recarray  # EXPRESS
    exchange: np.recarray  # EXCHANGE[K, F]
    column: np.ndarray  # i8[K, T] where trait t of kind k stands
    passes: np.ndarray  # f8[K, K] relative chance of a step of a kind onto a bulk kind
    opens: np.ndarray  # f8[K, K, K] the same of a step from a bulk kind, with the barrier around nests
    invades: np.ndarray  # f8[K, K] chance that a site of a bulk kind is open to a kind in a step
    renewed: np.ndarray  # f8[K, columns] with which a daughter starts; nan where with her mother's
    kill_on: np.ndarray  # i8[K, 4] target traits that must be recognized
    target_trait: np.ndarray  # i8[J] trait behind each slot of a target signal
    blockers: np.ndarray  # u1[B, D] sets of drugs that block a row together, or whose occupancy is a signal
    followed: np.ndarray  # i8 fields that cells walk along
    traced: np.ndarray  # i8[2] a field, and the one that follows the part which one kind makes; −1 for none


class Names(NamedTuple):
    """The sorted names behind the codes; kinds[0] is the empty site."""

    kinds: tuple[str, ...]
    traits: tuple[str, ...]
    fields: tuple[str, ...]
    drugs: tuple[str, ...]
    site_columns: int
    agent_columns: int


@kernel(inline=True)
def evaluate(tables, behavior, x, unblocked, plasma):
    """The value of a behavior: base, then every row in its fixed order.

    v ← v + r·(to − v), skipped where that would move v the wrong way;
    r = H(x)·[when]·(1 − occupancy).  x : f8, the kind's signals; unblocked : f8[B], the share of receptors
    that each set of drugs leaves free; plasma : f8[F].
    """
    b = tables.behaviors[behavior]
    if b.gate >= 0 and (x[b.gate] > 0.5) == (b.gate_not == 1):
        return 0.0
    v = b.rate
    for i in range(b.row_start, b.row_stop):
        row = tables.rows[i]
        if row.gate >= 0 and (x[row.gate] > 0.5) == (row.gate_not == 1):
            continue
        signal = x[row.signal] if row.occupied < 0 else 1.0 - unblocked[row.occupied]
        if row.half > 0.0:
            r = hill(signal, row.half, row.hill)
            if row.plasma >= 0:
                r = max(0.0, r - hill(plasma[row.plasma], row.half, row.hill))
        else:
            r = min(max(signal, 0.0), 1.0)
        if row.blockers >= 0:
            r *= unblocked[row.blockers]
        if (row.to > v) == (row.raises == 1):
            v += r * (row.to - v)
    return v


@kernel
def evaluate_row(tables, behavior, x, unblocked, plasma, v, strength):
    """The values of a behavior of many cells of one kind into v: `evaluate`, bit for bit.

    x : f8[signals, n], each signal of all cells; v, strength : f8[n], the second scratch.
    """
    b = tables.behaviors[behavior]
    v[:] = b.rate
    for i in range(b.row_start, b.row_stop):
        row = tables.rows[i]
        if row.occupied >= 0:
            strength[:] = 1.0 - unblocked[row.occupied]
            signal = strength
        else:
            signal = x[row.signal]
        if row.half > 0.0:
            hill_of(signal, row.half, row.hill, strength)
            if row.plasma >= 0:
                outside = hill(plasma[row.plasma], row.half, row.hill)
                for j in range(len(v)):
                    strength[j] = max(0.0, strength[j] - outside)
        else:
            for j in range(len(v)):
                strength[j] = min(max(signal[j], 0.0), 1.0)
        if row.blockers >= 0:
            free = unblocked[row.blockers]
            for j in range(len(v)):
                strength[j] *= free
        if row.gate >= 0:
            for j in range(len(v)):
                strength[j] = 0.0 if (x[row.gate, j] > 0.5) == (row.gate_not == 1) else strength[j]
        to, raises = row.to, row.raises == 1
        for j in range(len(v)):
            v[j] = v[j] + strength[j] * (to - v[j]) if (to > v[j]) == raises else v[j]
    if b.gate >= 0:
        for j in range(len(v)):
            v[j] = 0.0 if (x[b.gate, j] > 0.5) == (b.gate_not == 1) else v[j]
