"""Endpoints of a patient: best response, and times to progression and death with their censoring.

Days count from day 0, the first dose.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from . import irecist, recist
from .follow import Followed
from .irecist import IResponse
from .lesions import LesionTable
from .policy import Policy
from .recist import NE, PD, Response

OBJECTIVE = ("CR", "PR", "iCR", "iPR")
CONTROL = (*OBJECTIVE, "SD", "iSD")

PARAMETERS = {
    "OS": "Overall survival",
    "PFS": "Progression-free survival (RECIST 1.1)",
    "IPFS": "Progression-free survival (iRECIST)",
    "DOR": "Duration of response (RECIST 1.1)",
}


class TimeToEvent(NamedTuple):
    """Days to an event, or to the last day on which it was known not to have come."""

    days: float
    event: bool
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What a trial reports of one patient.  `times` by PARAMETERS; DOR only after a response."""

    patient: str
    arm: str
    table: LesionTable
    responses: tuple[Response, ...]
    iresponses: tuple[IResponse, ...]
    best: str
    ibest: str
    times: dict[str, TimeToEvent]


def judge(patient: str, arm: str, seen: Followed, policy: Policy) -> Outcome:
    """Endpoints of a patient by RECIST 1.1 and iRECIST from the same scans."""
    responses, iresponses = recist.assess(seen.table, policy), irecist.assess(seen.table, policy)
    progression = next((r.day for r in responses if r.overall == PD), None)
    times = {
        "OS": _overall_survival(seen),
        "PFS": _progression_free(responses, progression, seen, policy),
        "IPFS": _progression_free(iresponses, irecist.progression_day(iresponses), seen, policy),
    }
    first = recist.response_at(responses, recist.PR, policy)
    if first is not None:
        days, event, reason = times["PFS"]
        times["DOR"] = TimeToEvent(days - responses[first].day, event, reason)
    return Outcome(
        patient, arm, seen.table, responses, iresponses,
        recist.best(responses, policy), irecist.best(iresponses, policy), times,
    )  # fmt: skip


def _overall_survival(seen: Followed) -> TimeToEvent:
    died = seen.events.death is not None and seen.events.death <= seen.end
    return TimeToEvent(seen.end, died, "death" if died else "alive at the end of follow-up")


def _progression_free(
    visits: Sequence[Response | IResponse], progression: float | None, seen: Followed, policy: Policy
) -> TimeToEvent:
    """The first of progression on a scan, clinical progression and death.

    Censored on the last evaluable scan where none came, and where `missed_scans` scans in a row were
    missed or unreadable just before it (FDA 2018, Clinical Trial Endpoints for the Approval of Cancer
    Drugs and Biologics, appendix C); on day 0 where no scan after baseline was evaluable.
    """
    found = (
        (progression, "progression on a scan"),
        (seen.events.clinical_progression, "clinical progression"),
        (seen.events.death, "death"),
    )
    came = [(day, reason) for day, reason in found if day is not None and day <= seen.end]
    day, reason = min(came, default=(math.inf, ""))
    evaluable = [visit.day for visit in visits if visit.overall != NE and visit.day < day]
    last = max(evaluable, default=0.0)
    missed = sum(last < visit.day < day for visit in visits)
    if came and not 0 < policy.missed_scans <= missed:
        return TimeToEvent(day, True, reason)
    if came:
        return TimeToEvent(last, False, f"{missed} missed scans before {reason}")
    why = "no event by the last evaluable scan" if evaluable else "no evaluable scan after baseline"
    return TimeToEvent(last, False, why)


def rows(outcomes: Iterable[Outcome]) -> list[dict[str, str | float | int]]:
    """Time-to-event rows as in ADTTE: AVAL in days, CNSR 0 for an event and 1 for a censored time."""
    return [
        {
            "USUBJID": outcome.patient,
            "ARM": outcome.arm,
            "PARAMCD": code,
            "PARAM": PARAMETERS[code],
            "AVAL": time.days,
            "AVALU": "DAYS",
            "CNSR": int(not time.event),
            "EVNTDESC": time.reason,
        }
        for outcome in outcomes
        for code, time in outcome.times.items()
    ]
