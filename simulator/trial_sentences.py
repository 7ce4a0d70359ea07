"""A trial in sentences."""

from collections.abc import Iterator

from .base import units
from .clinic import protocol as protocols
from .config.load import Experiment


def trial_lines(experiment: Experiment) -> Iterator[str]:
    """What the protocol of an experiment says: who is treated, how it escalates, when one is scanned."""
    assert experiment.protocol is not None, "the experiment is a trial"
    protocol = protocols.load(experiment.protocol)
    treatment, conduct, scans = protocol.treatment, protocol.conduct, protocol.evaluation.scans
    yield f"{protocol.header.title} ({protocol.header.registry or 'in no registry'})."
    levels = ", ".join(units.format(dose, "cells/kg") for dose in treatment.doses)
    yield (
        f"{treatment.patients} patients, {treatment.cycles} doses every {treatment.interval:g} d at one of "
        f"{len(treatment.doses)} levels ({levels}), followed for {treatment.follow_up:.0f} d."
    )
    yield f"Screened by {len(protocol.rules)} criteria: {', '.join(rule.name for rule in protocol.rules)}."
    design = protocol.design
    yield (
        f"Escalated by {type(design).__name__} in cohorts of {design.cohort_size}, up to "
        f"{design.most_patients} patients, decided {protocol.dlt.decide_after:g} d after the last first "
        f"dose; the rest are treated at the {design.goal} that it chooses."
    )
    yield (
        f"DLT: an adverse event of grade {protocol.dlt.grade} or more put down to the product within "
        f"{protocol.dlt.window:.0f} d of the first dose."
    )
    yield (
        f"A patient is ready every {conduct.accrual:g} d; the first of a cohort is watched for "
        f"{conduct.sentinel:g} d."
    )
    yield f"Scans {scans.baseline:g} d before the first dose, and every {scans.every:g} d."
    yield "Every lesion of a patient is a block of its own; all of them share one body."
