"""iRECIST: progression under immunotherapy that must be confirmed, from the same lesion table.

Seymour et al. 2017, doi:10.1016/S1470-2045(17)30074-8, tables 2 and 3, and the clarifications of the EORTC.
The first progression is unconfirmed (iUPD).  The next visits confirm it (iCPD), leave it open (iUPD), or
undo it (iSD, iPR, iCR): then the bar is reset and progression must come, and be confirmed, anew.  New
lesions are measured apart and never added to the targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from . import recist
from .lesions import MM, LesionTable, Roles, choose_targets
from .policy import Policy
from .recist import CR, GROWTH, NE, PD, PR, SD, Reading, progressed

ICR, IPR, ISD, IUPD, ICPD = "iCR", "iPR", "iSD", "iUPD", "iCPD"
VISIBLE = MM  # "any increase" of a lesion that is no target: one that a reading can show
_RANK = {NE: -1, CR: 0, PR: 1, SD: 2, PD: 3}


class IResponse(NamedTuple):
    """The response at one visit; sums in µm, None where incomplete or there is none."""

    day: float
    sum_um: int | None
    new_um: int | None  # of the measurable new lesions
    target: str
    non_target: str
    overall: str


@dataclass
class _Pending:
    """A progression that waits to be confirmed: what it was made of, and the last visit that showed it."""

    causes: frozenset[str]
    target: str
    visit: int
    since: float
    last: float


def assess(table: LesionTable, policy: Policy) -> tuple[IResponse, ...]:
    """Responses at the visits after baseline, up to and with iCPD."""
    roles = table.roles(policy)
    new = _NewLesions(table, policy)
    history: list[IResponse] = []
    pending: _Pending | None = None
    for v, found in enumerate(recist.read(table, roles, policy), start=1):
        new.see(v, found.appeared)
        causes = _causes(found, v, new, pending)
        if pending is None:
            response = IUPD if causes else _without_progression(found, history, policy)
        elif _confirmed(pending, found, v, causes, table, roles, new) and _in_window(pending, found, policy):
            response = ICPD
        elif not causes and found.target == NE:
            response = NE
        elif causes or not _undone(pending, found, v, table, roles):
            response = IUPD
        else:
            response = _without_progression(found, history, policy)
        history.append(
            IResponse(found.day, found.sum_um, new.sum_um(v), found.target, found.non_target, response)
        )
        if response == ICPD:
            break
        if response == IUPD:
            pending = pending or _Pending(causes, found.target, v, found.day, found.day)
            pending.last = found.day
        elif response != NE:
            pending = None
    return tuple(history)


def _causes(found: Reading, v: int, new: "_NewLesions", pending: _Pending | None) -> frozenset[str]:
    """What is progression by RECIST 1.1 at this visit; known new lesions count again after a reset."""
    causes = set()
    if found.target == PD:
        causes.add("target")
    if found.non_target == PD:
        causes.add("non-target")
    if found.appeared or (pending is None and new.progressed(v)):
        causes.add("new")
    return frozenset(causes)


def _confirmed(
    pending: _Pending,
    found: Reading,
    v: int,
    causes: frozenset[str],
    table: LesionTable,
    roles: Roles,
    new: "_NewLesions",
) -> bool:
    """Whether the disease has gone on since the iUPD, or progresses where it did not before.

    Increases add up over visits, since they are taken from the iUPD.
    """
    if found.appeared or causes - pending.causes:
        return True
    if "target" in pending.causes and _increase(table, pending.visit, v, roles.targets) >= GROWTH:
        return True
    if "non-target" in pending.causes and _increase(table, pending.visit, v, roles.non_targets) >= VISIBLE:
        return True
    return new.grown(pending.visit, v)


def _in_window(pending: _Pending, found: Reading, policy: Policy) -> bool:
    """Not before the window after the iUPD, and no later than its end after the last visit that showed it."""
    soonest, latest = policy.irecist_window
    return found.day - pending.since >= soonest and found.day - pending.last <= latest


def _undone(pending: _Pending, found: Reading, v: int, table: LesionTable, roles: Roles) -> bool:
    """Whether an iUPD whose lesions show no progression now is taken back.

    Lesions of baseline: by no longer meeting the criteria.  A new lesion: by going, or where the targets
    have shrunk since (a better response, or 5 mm less); without either it is progression still.  What was
    not evaluated takes nothing back.
    """
    if "non-target" in pending.causes and found.non_target == NE:
        return False
    if "new" not in pending.causes or not found.new:
        return True
    better = _RANK[found.target] < _RANK[pending.target]
    return better or _increase(table, pending.visit, v, roles.targets) <= -GROWTH


def _without_progression(found: Reading, history: Sequence[IResponse], policy: Policy) -> str:
    """iCR, iPR, iSD or NE; no iCR while a new lesion is there; a PR since the last iUPD continues."""
    response = recist.overall(found.target, found.non_target, new=False)
    if response == CR and found.new:
        response = PR
    last = max((i for i, r in enumerate(history) if r.overall == IUPD), default=-1)
    if response == SD and recist.continues_pr(as_recist(history[last + 1 :]), policy):
        response = PR
    return response if response == NE else f"i{response}"


def _increase(table: LesionTable, before: int, now: int, lesions: Sequence[int]) -> int:
    """By how much lesions that were read at both visits have grown in sum [µm]."""
    both = [k for k in lesions if table.evaluated[before, k] and table.evaluated[now, k]]
    return int(table.um[now, both].sum() - table.um[before, both].sum())


class _NewLesions:
    """The lesions that came after baseline: up to five measurable ones are targets among themselves."""

    def __init__(self, table: LesionTable, policy: Policy):
        self.table, self.policy = table, policy
        self.targets: list[int] = []
        self.others: list[int] = []
        self.since = 0  # the visit that showed the last of the targets first

    def see(self, v: int, appeared: frozenset[int]) -> None:
        """Take in those that a visit shows for the first time."""
        strangers = sorted(appeared - {*self.targets, *self.others})
        table = self.table
        chosen = choose_targets(table.lesions, table.um[v], self.policy, strangers, self.targets)
        self.since = v if len(chosen) > len(self.targets) else self.since
        self.targets = list(chosen)
        self.others += [k for k in strangers if k not in chosen]

    def sum_um(self, v: int) -> int | None:
        """Their sum; None where there is none or one was not evaluated."""
        if not self.targets or not self.table.evaluated[v, self.targets].all():
            return None
        return int(self.table.um[v, self.targets].sum())

    def grown(self, before: int, now: int) -> bool:
        """5 mm more in the sum of the measured ones there were at a visit, or any increase of the others."""
        table = self.table
        targets, others = ([k for k in of if table.present[before, k]] for of in (self.targets, self.others))
        return (
            _increase(table, before, now, targets) >= GROWTH
            or _increase(table, before, now, others) >= VISIBLE
        )

    def progressed(self, v: int) -> bool:
        """Progression by RECIST 1.1 among themselves: 20 % and 5 mm over their nadir, or unequivocal."""
        if self.table.unequivocal[v, self.targets + self.others].any():
            return True
        now, before = self.sum_um(v), [self.sum_um(u) for u in range(self.since, v)]
        known = [um for um in before if um is not None]
        return now is not None and bool(known) and progressed(now, min(known))


def as_recist(history: Sequence[IResponse]) -> list[recist.Response]:
    """The same responses under the names of RECIST 1.1, iUPD and iCPD as PD."""
    plain = {ICR: CR, IPR: PR, ISD: SD, IUPD: PD, ICPD: PD, NE: NE}
    return [
        recist.Response(r.day, r.sum_um, r.target, r.non_target, False, plain[r.overall]) for r in history
    ]


def best(history: Sequence[IResponse], policy: Policy) -> str:
    """Best overall iRECIST response: an iUPD that was never confirmed does not end the search."""
    response = recist.best(as_recist(history), policy)
    if response == PD:
        return ICPD if any(r.overall == ICPD for r in history) else IUPD
    return response if response == NE else f"i{response}"


def progression_day(history: Sequence[IResponse]) -> float | None:
    """The first iUPD of the run that was confirmed or never undone; None where every iUPD was undone."""
    day = None
    for response in history:
        if response.overall in (IUPD, ICPD):
            day = response.day if day is None else day
        elif response.overall != NE:
            day = None
    return day
