"""Response tables of a trial, a row at a time, under the names of CDISC (ADRS, ADTR) and a lesion listing."""

from collections.abc import Iterable
from typing import Any

from .endpoints import CONTROL, OBJECTIVE, Outcome
from .lesions import MM
from .policy import Policy
from .proportions import clopper_pearson

Rows = list[dict[str, Any]]


def adrs(outcomes: Iterable[Outcome]) -> Rows:
    """Responses: OVRLRESP and IOVRLRSP at every visit, BOR and IBOR once a patient."""
    found: Rows = []
    for outcome in outcomes:
        who = {"USUBJID": outcome.patient, "ARM": outcome.arm}
        found += [
            {**who, "PARAMCD": code, "ADY": visit.day, "AVALC": visit.overall}
            for code, visits in (("OVRLRESP", outcome.responses), ("IOVRLRSP", outcome.iresponses))
            for visit in visits
        ]
        found += [
            {**who, "PARAMCD": code, "ADY": None, "AVALC": best}
            for code, best in (("BOR", outcome.best), ("IBOR", outcome.ibest))
        ]
    return found


def adtr(outcomes: Iterable[Outcome], policy: Policy) -> Rows:
    """Sum of target diameters [mm] at every complete visit: AVAL, BASE, and PCHG, the change in percent."""
    found: Rows = []
    for outcome in outcomes:
        targets = list(outcome.table.roles(policy).targets)
        base = int(outcome.table.um[0, targets].sum())
        for v, day in enumerate(outcome.table.days):
            if not outcome.table.evaluated[v, targets].all():
                continue
            um = int(outcome.table.um[v, targets].sum())
            found.append(
                {
                    "USUBJID": outcome.patient,
                    "ARM": outcome.arm,
                    "PARAMCD": "SUMDIAM",
                    "ADY": day,
                    "AVAL": um / MM,
                    "BASE": base / MM,
                    "PCHG": 100.0 * (um - base) / base,
                }
            )
    return found


def lesions(outcomes: Iterable[Outcome], policy: Policy) -> Rows:
    """Every reading of every lesion."""
    return [
        {"USUBJID": outcome.patient, "ARM": outcome.arm, **row}
        for outcome in outcomes
        for row in outcome.table.rows(policy)
    ]


def rates(outcomes: Iterable[Outcome], level: float = 0.95) -> Rows:
    """ORR and DCR of each arm by both criteria, with exact intervals; every patient counts, the NE too."""
    by_arm: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_arm.setdefault(outcome.arm, []).append(outcome)
    found: Rows = []
    for arm, patients in by_arm.items():
        for criteria, bests in (
            ("RECIST 1.1", [patient.best for patient in patients]),
            ("iRECIST", [patient.ibest for patient in patients]),
        ):
            for code, wanted in (("ORR", OBJECTIVE), ("DCR", CONTROL)):
                count = sum(best in wanted for best in bests)
                low, high = clopper_pearson(count, len(bests), level)
                found.append(
                    {
                        "ARM": arm,
                        "CRITERIA": criteria,
                        "PARAMCD": code,
                        "N": len(bests),
                        "COUNT": count,
                        "AVAL": count / len(bests),
                        "LOW": low,
                        "HIGH": high,
                        "LEVEL": level,
                    }
                )
    return found
