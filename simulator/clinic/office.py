"""What a trial office writes down: a row a patient, dose, adverse event, cohort, under the names of CDISC."""

from collections import Counter
from typing import Any

from ..base import units
from . import dlt as dlt_rules, dosing, endpoints, escalation, tables
from .tables import Rows
from .toxicity import DOSE
from .treated import Treated, name_of
from .trial import EXPANSION, Slot, Trial


def arms(trial: Trial) -> list[str]:
    """What each dose level is called."""
    return [units.format(dose, "cells/kg") for dose in trial.protocol.treatment.doses]


def adsl(trial: Trial) -> Rows:
    """A row a patient: who, at which level and in which cohort, when, and how treatment ended."""
    return [_subject(trial, slot) for slot in trial.slots]


def _subject(trial: Trial, slot: Slot) -> dict[str, Any]:
    one, patient = slot.treated, slot.treated.patient
    judged = one.dlt(trial.protocol)
    given = [dose for dose in one.given if dose.given > 0.0]
    return {
        "USUBJID": name_of(patient),
        "ARM": arms(trial)[one.level - 1],
        "LEVEL": one.level,
        "COHORT": slot.cohort if slot.cohort != EXPANSION else "expansion",
        "TRIALDY": slot.start,
        "AGE": patient.values.get("age"),
        "SEX": {True: "F", False: "M"}.get(bool(patient.values.get("female"))),
        "WEIGHT": patient.values.get("weight"),
        "ECOG": patient.values.get("ecog"),
        "MSI": "MSI-H" if patient.values.get("msi_high") else "MSS",
        "PHENOTYPE": patient.phenotype or "intermediate",
        "HOMING": patient.values.get("homing"),
        "REACTIVE": patient.values.get("reactive"),
        "LESIONS": len(patient.lesions),
        "TUMORML": patient.tumor_volume,
        "LOT": patient.lot.number,
        "DONOR": patient.lot.donor,
        "VIABILITY": patient.lot.viability,
        "POTENCY": patient.lot.potency,
        "PLANNED": len(one.given),
        "GIVEN": len(given),
        "RDI": dosing.relative_dose_intensity(one.given, trial.protocol.treatment.interval),
        "EOTREASON": end_of_treatment(one),
        "DLT": int(judged.dlt is not None),
        "DLTEVAL": int(judged.evaluable),
        "DLTREASON": judged.reason,
        "BOR": one.outcome.best,
        "IBOR": one.outcome.ibest,
        "EOSDY": one.followed.end,
    }


def end_of_treatment(one: Treated) -> str:
    """Why a patient got no further dose: 'completed', or what stopped treatment."""
    stopped = [dose.reason.rsplit(" on day", 1)[0] for dose in one.given if dose.status == dosing.STOPPED]
    return stopped[0] if stopped else "completed"


def adex(trial: Trial) -> Rows:
    """A row a planned dose: when and how much, planned and given, and why they differ."""
    return [
        {
            "USUBJID": name_of(one.patient),
            "ARM": arms(trial)[one.level - 1],
            "EXSEQ": dose.number,
            "EXTRT": dose.drug,
            "PLANDY": dose.planned_day,
            "ASTDY": dose.day,
            "PLANDOSE": dose.planned,
            "EXDOSE": dose.given,
            "EXDOSU": dose.unit,
            "EXDURH": dose.duration,
            "STATUS": dose.status,
            "REASON": dose.reason,
        }
        for one in trial.treated
        for dose in one.given
    ]


def adae(trial: Trial) -> Rows:
    """A row an adverse event, with the curve that drove it."""
    found: Rows = []
    for one in trial.treated:
        limiting = one.dlt(trial.protocol).dlt
        for number, event in enumerate(one.events, start=1):
            found.append(
                {
                    "USUBJID": name_of(one.patient),
                    "ARM": arms(trial)[one.level - 1],
                    "AESEQ": number,
                    "AETERM": event.term,
                    "AECAUSE": event.cause,
                    "AESCALE": event.scale,
                    "AETOXGR": event.grade,
                    "ASTDY": event.onset,
                    "AENDY": event.end,
                    "CYCLE": event.cycle,
                    "CAUSED": int(event.caused),
                    "AEREL": int(event.related),
                    "DLT": int(event == limiting),
                    "CURVE": event.curve,
                    "PEAK": event.value,
                    "PEAKU": "cells/kg" if event.curve == DOSE else event.unit,
                }
            )
    return found


def responses(trial: Trial) -> dict[str, Rows]:
    """ADRS, ADTR, ADTTE, the lesion listing and the rates, with levels named by their doses."""
    outcomes = [one.outcome for one in trial.treated]
    policy = trial.protocol.evaluation.response
    found = {
        "adrs": tables.adrs(outcomes),
        "adtr": tables.adtr(outcomes, policy),
        "adtte": endpoints.rows(outcomes),
        "lesions": tables.lesions(outcomes, policy),
        "rates": tables.rates(outcomes),
    }
    named = {f"level {k}": name for k, name in enumerate(arms(trial), start=1)}
    return {
        name: [{**row, "ARM": named.get(row["ARM"], row["ARM"])} for row in rows]
        for name, rows in found.items()
    }


def decisions(trial: Trial) -> Rows:
    """A row a cohort of the escalation: what was seen, what followed, why, and on which trial day."""
    rows = escalation.decision_log(trial.protocol.design, trial.history)
    days = [decision["day"] for decision in trial.decisions[1:]]
    return [{**row, "day": day} for row, day in zip(rows, days, strict=False)]


def flow(trial: Trial) -> Rows:
    """The counts of a CONSORT diagram: stage, group, what, count."""
    reasons = trial.enrollment.reasons()
    rows = [("screening", "", "screened", len(trial.enrollment.log))]
    rows += [("screening", "", f"failed: {name}", count) for name, count in reasons.items()]
    rows.append(("enrollment", "", "enrolled", len(trial.slots)))
    for level, name in enumerate(arms(trial), start=1):
        here = [slot.treated for slot in trial.at(level)]
        seen = [one.dlt(trial.protocol) for one in here]
        rows += [
            ("treatment", name, "treated", len(here)),
            ("treatment", name, "evaluable", sum(one.evaluable for one in seen)),
            ("treatment", name, "dlts", sum(one.dlt is not None for one in seen)),
        ]
        ends = Counter(end_of_treatment(one) for one in here)
        rows += [("end of treatment", name, why, count) for why, count in ends.items()]
    return [dict(zip(("stage", "arm", "what", "count"), row, strict=True)) for row in rows]


def worst_grades(trial: Trial) -> Rows:
    """Patients by arm, kind of adverse event and worst grade."""
    worst: dict[tuple[str, str, str], int] = {}
    for row in adae(trial):
        key = (row["USUBJID"], row["ARM"], row["AETERM"])
        worst[key] = max(worst.get(key, 0), row["AETOXGR"])
    counts = Counter((kind, grade, arm) for (_, arm, kind), grade in worst.items())
    return [
        dict(zip(("kind", "grade", "arm", "count"), (*key, count), strict=True))
        for key, count in sorted(counts.items())
    ]


def dlt_rates(trial: Trial) -> Rows:
    """By level, DLTs seen of those who could be judged, and the risk estimated at the end."""
    rows = []
    for level, name in enumerate(arms(trial), start=1):
        seen: list[dlt_rules.Assessment] = [slot.treated.dlt(trial.protocol) for slot in trial.at(level)]
        counted = [one for one in seen if one.evaluable]
        risks = trial.final.risks
        rows.append(
            {
                "level": level,
                "arm": name,
                "patients": len(seen),
                "evaluable": len(counted),
                "dlts": sum(one.dlt is not None for one in counted),
                "risk": risks[level - 1] if level <= len(risks) else None,
                "chosen": int(level == trial.choice.level),
                "chosen_at_the_end": int(level == trial.final.level),
            }
        )
    return rows
