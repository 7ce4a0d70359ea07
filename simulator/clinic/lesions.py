"""The lesion table of a patient: every lesion at every visit, and which of them are targets.

Sizes are whole micrometers, so that sums and thresholds (20 %, 30 %, 5 mm) compare exactly.  A size is
the longest diameter, of a node the short axis.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..base.errors import InputError, Problem, did_you_mean
from .policy import Policy

MM = 1000  # µm
MEASURABLE = 10 * MM  # Eisenhauer 2009, §3.1.1
MEASURABLE_NODE = 15 * MM  # §3.1.1: short axis
PATHOLOGIC_NODE = 10 * MM  # §4.2.1: a smaller node is normal
TOO_SMALL_SIZE = 5 * MM  # §4.2.1: the size of what is seen but too small to measure
MOST_TARGETS, MOST_IN_ORGAN = 5, 2  # §3.2

STATES = ("not evaluated", "absent", "too small", "measured")
NOT_EVALUATED, ABSENT, TOO_SMALL, MEASURED = range(4)
COLUMNS = ("day", "lesion", "organ", "node", "state", "mm", "unequivocal")

_SIDE = re.compile(r"\b(left|right)\b|,")


class Lesion(NamedTuple):
    """One lesion.  `organ`: 'liver', 'left lung' …; paired organs and all nodes count as one organ."""

    name: str
    organ: str
    node: bool = False

    @property
    def site(self) -> str:
        """The organ that the limit of two targets goes by."""
        return "nodes" if self.node else " ".join(_SIDE.sub(" ", self.organ.lower()).split())


class Roles(NamedTuple):
    """Places of the lesions in the table by what they are at baseline; targets in order of choice."""

    targets: tuple[int, ...]
    non_targets: tuple[int, ...]
    later: tuple[int, ...]  # not there at baseline: new wherever they appear


class LesionTable:
    """Readings of L lesions at V visits; the first visit is the baseline.

    days : float[V], ascending.  state : code in STATES, uint8[V, L].  um : int64[V, L], 0 where absent
    or not evaluated.  unequivocal : bool[V, L], a reader's word that a lesion that is no target has
    clearly progressed.
    """

    def __init__(
        self,
        lesions: Iterable[Lesion],
        days: Iterable[float],
        state: np.ndarray,
        um: np.ndarray,
        unequivocal: np.ndarray | None = None,
    ):
        self.lesions, self.days = tuple(lesions), tuple(float(day) for day in days)
        self.state, self.um = np.asarray(state, np.uint8), np.asarray(um, np.int64)
        shape = (len(self.days), len(self.lesions))
        self.unequivocal = np.zeros(shape, bool) if unequivocal is None else np.asarray(unequivocal, bool)
        assert self.state.shape == self.um.shape == self.unequivocal.shape == shape
        self.node = np.array([lesion.node for lesion in self.lesions], bool)
        self.evaluated = self.state != NOT_EVALUATED
        # A node under 10 mm is a normal node: no disease is present.
        self.present = np.where(self.node, self.um >= PATHOLOGIC_NODE, self.um > 0)

    def roles(self, policy: Policy) -> Roles:
        """Targets, other lesions, and those to come.  Raises InputError without a measurable lesion."""
        baseline = self.present[0]
        targets = choose_targets(self.lesions, self.um[0], policy)
        if not targets:
            raise InputError(
                "No lesion is measurable at baseline.",
                "RECIST 1.1 measures lesions of 10 mm and more (nodes: short axis of 15 mm and more).",
            )
        others = range(len(self.lesions))
        return Roles(
            targets,
            tuple(k for k in others if baseline[k] and k not in targets),
            tuple(k for k in others if not baseline[k]),
        )

    def rows(self, policy: Policy) -> list[dict[str, Any]]:
        """One row a visit and lesion, with its role; `mm` is None where nothing was read."""
        roles = self.roles(policy)
        role = dict.fromkeys(roles.targets, "target") | dict.fromkeys(roles.non_targets, "non-target")
        return [
            {
                "day": day,
                "lesion": lesion.name,
                "organ": lesion.organ,
                "node": lesion.node,
                "role": role.get(k, "new"),
                "state": STATES[self.state[v, k]],
                "mm": self.um[v, k] / MM if self.evaluated[v, k] else None,
                "unequivocal": bool(self.unequivocal[v, k]),
            }
            for v, day in enumerate(self.days)
            for k, lesion in enumerate(self.lesions)
        ]


def choose_targets(
    lesions: tuple[Lesion, ...],
    um: np.ndarray,
    policy: Policy,
    among: Iterable[int] | None = None,
    chosen: Iterable[int] = (),
) -> tuple[int, ...]:
    """Places of the target lesions: measurable, at most five, at most two of an organ.

    'representative first' takes the largest of each organ, then the next largest; 'pure size' goes by size
    alone.  Ties go to the lesion named first in the table.  `among`: whom to choose from (all);
    `chosen`: targets from before, which stay.
    """
    bar = [MEASURABLE_NODE if lesion.node else MEASURABLE for lesion in lesions]
    able = [k for k in (range(len(lesions)) if among is None else among) if um[k] >= bar[k]]
    targets = list(chosen)
    for most in (1, MOST_IN_ORGAN) if policy.targets == "representative first" else (MOST_IN_ORGAN,):
        for k in sorted(able, key=lambda k: (-um[k], k)):
            taken = sum(lesions[i].site == lesions[k].site for i in targets)
            if k not in targets and taken < most and len(targets) < MOST_TARGETS:
                targets.append(k)
    return tuple(targets)


def from_rows(rows: Iterable[Mapping[str, Any]]) -> LesionTable:
    """A table from rows with the keys `COLUMNS` ('node' and 'unequivocal' default to False).

    A lesion without a row is absent at the visits before its first row and not evaluated after it.
    Raises InputError with every row that cannot be used.
    """
    given = list(rows)
    problems = [problem for number, row in enumerate(given, 1) for problem in _wrong(row, number)]
    if not given:
        problems.append(Problem("The lesion table has no row.", "Give at least the baseline."))
    if problems:
        raise InputError(problems)
    lesions: dict[str, Lesion] = {}
    for row in given:
        lesion = Lesion(str(row["lesion"]), str(row["organ"]), bool(row.get("node", False)))
        if lesions.setdefault(lesion.name, lesion) != lesion:
            problems.append(
                Problem(f"Lesion '{lesion.name}' changes its organ.", "Give it one organ at every visit.")
            )
    days = sorted({float(row["day"]) for row in given})
    place = {name: k for k, name in enumerate(lesions)}
    state = np.full((len(days), len(place)), NOT_EVALUATED, np.uint8)
    um, unequivocal = np.zeros(state.shape, np.int64), np.zeros(state.shape, bool)
    seen = set()
    for row in given:
        at = days.index(float(row["day"])), place[str(row["lesion"])]
        if at in seen:
            problems.append(
                Problem(f"Lesion '{row['lesion']}' has two rows on day {row['day']:g}.", "Give one.")
            )
        seen.add(at)
        state[at] = STATES.index(row["state"])
        um[at] = _size(row)
        unequivocal[at] = bool(row.get("unequivocal", False))
    if problems:
        raise InputError(problems)
    for k in place.values():
        state[: min(v for v, lesion in seen if lesion == k), k] = ABSENT
    return LesionTable(lesions.values(), days, state, um, unequivocal)


def _size(row: Mapping[str, Any]) -> int:
    return {"measured": round(float(row.get("mm") or 0) * MM), "too small": TOO_SMALL_SIZE}.get(
        row["state"], 0
    )


def _wrong(row: Mapping[str, Any], number: int) -> list[Problem]:
    """What is wrong with one row of a lesion table."""
    where = f"Row {number} of the lesion table"
    lacking = [key for key in ("day", "lesion", "organ", "state") if row.get(key) is None]
    if lacking:
        return [Problem(f"{where} lacks '{lacking[0]}'.", f"Its columns are {', '.join(COLUMNS)}.")]
    if row["state"] not in STATES:
        return [Problem(f"{where} has the state '{row['state']}'.", did_you_mean(str(row["state"]), STATES))]
    size = row.get("mm")
    if row["state"] == "measured" and not (size is not None and math.isfinite(size) and size > 0):
        return [Problem(f"{where} is measured with {size} mm.", "Give a size above 0 mm, or another state.")]
    return []
