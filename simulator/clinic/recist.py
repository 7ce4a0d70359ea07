"""RECIST 1.1: from the lesion table of a patient to response at every visit and best overall response.

Eisenhauer et al. 2009, doi:10.1016/j.ejca.2008.10.026; questions and clarifications of the EORTC where the
guideline leaves room.  What it leaves to the protocol is a switch of `Policy`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .lesions import MM, PATHOLOGIC_NODE, LesionTable, Roles
from .policy import Policy

CR, PR, SD, PD, NE = "CR", "PR", "SD", "PD", "NE"
NON_CR_NON_PD, NONE = "NON-CR/NON-PD", "NONE"  # of non-targets; NONE: the patient has none
GROWTH = 5 * MM  # the least absolute increase of a sum that counts


class Reading(NamedTuple):
    """What one visit shows, before any history of responses.

    sum_um : of the target lesions, None where one was not evaluated.  target, non_target : the response
    of each.  appeared : new lesions not seen at an earlier visit.  new : one is there, or may be.
    """

    day: float
    sum_um: int | None
    target: str
    non_target: str
    appeared: frozenset[int]
    new: bool


class Response(NamedTuple):
    """The response at one visit; `sum_um` of the targets is None where it is incomplete."""

    day: float
    sum_um: int | None
    target: str
    non_target: str
    new: bool
    overall: str


def read(table: LesionTable, roles: Roles, policy: Policy) -> list[Reading]:
    """What each visit after baseline shows against baseline, nadir and an earlier complete response."""
    baseline = nadir = int(table.um[0, list(roles.targets)].sum())
    readings: list[Reading] = []
    known: frozenset[int] = frozenset()
    complete = False  # a complete response stands: whatever reappears is progression
    for v in range(1, len(table.days)):
        target, total = _target(table, v, roles.targets, baseline, nadir)
        non_target = _non_target(table, v, roles, policy)
        here = frozenset(k for k in roles.later if table.present[v, k])
        if complete:
            target = PD if table.present[v, list(roles.targets)].any() else target
            non_target = PD if table.present[v, list(roles.non_targets)].any() else non_target
        unread = any(not table.evaluated[v, k] for k in known)  # what was not looked at may still be there
        found = Reading(table.days[v], total, target, non_target, here - known, bool(here) or unread)
        readings.append(found)
        known |= here
        nadir = nadir if total is None else min(nadir, total)
        if overall(target, non_target, found.new) == CR:
            complete, known = True, frozenset()
    return readings


def _target(
    table: LesionTable, v: int, targets: tuple[int, ...], baseline: int, nadir: int
) -> tuple[str, int | None]:
    """Response of the targets, and their sum (None where one was not evaluated)."""
    where = list(targets)
    um, evaluated = table.um[v, where], table.evaluated[v, where]
    part = int(um[evaluated].sum())
    total = part if evaluated.all() else None
    gone = np.where(table.node[where], um < PATHOLOGIC_NODE, um == 0)
    if total is not None and gone.all():
        return CR, total  # before any percentage: what is left of normal nodes is no disease
    if progressed(part, nadir):
        return PD, total  # also where the part that was read shows it alone
    if total is None:
        return NE, total
    return (PR if 10 * total <= 7 * baseline else SD), total


def progressed(um: int, nadir: int) -> bool:
    """A sum at least 20 % and at least 5 mm above the smallest earlier one."""
    return um - nadir >= GROWTH and 5 * um >= 6 * nadir


def _non_target(table: LesionTable, v: int, roles: Roles, policy: Policy) -> str:
    """Response of the lesions that are no targets.

    Progression is a reader's word, or a volume that has grown by the 73 % that equal 20 % in diameter
    (guideline §4.3.4), of these lesions and of all disease: a modest growth of a few does not suffice.
    """
    where = list(roles.non_targets)
    if not where:
        return NONE
    if table.unequivocal[v, where].any() or (
        _outgrown(table, v, where, policy) and _outgrown(table, v, where + list(roles.targets), policy)
    ):
        return PD
    if not table.evaluated[v, where].all():
        return NE
    return NON_CR_NON_PD if table.present[v, where].any() else CR


def _outgrown(table: LesionTable, v: int, where: list[int], policy: Policy) -> bool:
    """Whether lesions' volume is `non_target_volume` and their sum 5 mm above the smallest earlier ones."""
    if not table.evaluated[v, where].all():
        return False
    um = table.um[: v + 1, where][table.evaluated[: v + 1, where].all(axis=1)]
    total, volume = um.sum(axis=1), (um / MM * (um / MM) * (um / MM)).sum(axis=1)
    grown = total[-1] - total[:-1].min() >= GROWTH
    return bool(grown and volume[-1] >= (1.0 + policy.non_target_volume) * volume[:-1].min())


def overall(target: str, non_target: str, new: bool) -> str:
    """Table 1 of the guideline: the overall response from its parts."""
    if PD in (target, non_target) or new:
        return PD
    if target == CR:
        return CR if non_target in (CR, NONE) else PR
    return target


def assess(table: LesionTable, policy: Policy) -> tuple[Response, ...]:
    """Responses at the visits after baseline, up to and with the first PD."""
    history: list[Response] = []
    for found in read(table, table.roles(policy), policy):
        response = overall(found.target, found.non_target, found.new)
        if response == SD and continues_pr(history, policy):
            response = PR
        history.append(Response(found.day, found.sum_um, found.target, found.non_target, found.new, response))
        if response == PD:
            break
    return tuple(history)


def continues_pr(history: Sequence[Response], policy: Policy) -> bool:
    """Whether a PR stands, so that SD is still PR until PD."""
    if not policy.continuing_pr:
        return False
    return response_at(history, PR, policy) is not None


def response_at(history: Sequence[Response], level: str, policy: Policy) -> int | None:
    """Place of the first visit whose CR (or, for `level` PR, CR or PR) counts; None without one.

    Where confirmation is asked for, a later visit `confirm_min` on must show it again, with nothing
    but such responses and `may_stand_between` in between.
    """
    wanted = (CR,) if level == CR else (CR, PR)
    for i, first in enumerate(history):
        if first.overall not in wanted:
            continue
        if not policy.confirmation:
            return i
        for later in history[i + 1 :]:
            if later.overall in wanted:
                if later.day - first.day >= policy.confirm_min:
                    return i
            elif later.overall not in policy.may_stand_between:
                break
    return None


def best(history: Sequence[Response], policy: Policy) -> str:
    """Best overall response (guideline §4.4, table 3)."""
    for level in (CR, PR):
        if response_at(history, level, policy) is not None:
            return level
    if any(r.overall in (CR, PR, SD) and r.day >= policy.sd_min for r in history):
        return SD
    return PD if any(r.overall == PD for r in history) else NE
