"""Run a trial into a study folder, or go on with one."""

import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ... import __version__
from ...base.errors import InputError
from ...base.log import get_logger, to_file
from ...clinic import counterfactual, emulator, protocol as protocols, trial as trials
from ...clinic.counterfactual import NO_LEVEL
from ...clinic.tables import Rows
from ...clinic.trial import Trial
from ...config.digests import digest
from ...config.load import Experiment
from ..collect import Results, collect
from ..execute import interruptible
from ..plan import Plan
from ..pools import Engine
from ..study import Study, write_text, writing
from ..words import count, duration
from . import folder
from .simulate import Mechanism, arm_of

log = get_logger("experiment")

IDENTITY = "trial.json"


class TrialResults(NamedTuple):
    """A finished trial: how it went, and the study with its runs."""

    trial: Trial
    results: Results
    path: Path  # of the folder with the trial's own tables


def execute(
    experiment: Experiment,
    out: str | Path,
    workers: int | None = None,
    threads: int | None = None,
    scheduler: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: bool = True,
    engine: Engine | None = None,
    pages: Mapping[str, str] | None = None,
) -> TrialResults | None:
    """Run the trial of an experiment file; arguments and errors as those of `experiment.execute`.

    pages : texts to lie beside the trial's own tables, by file name.
    A trial is decided step by step, so how many runs it takes is known only at its end.
    """
    assert experiment.protocol is not None, "the file holds a trial"
    protocol, study = protocols.load(experiment.protocol), Study(out)
    mechanism = Mechanism(experiment, protocol, study, workers, threads, scheduler, progress, engine)
    if dry_run:
        log.info("%s", _cost(mechanism, experiment.seed))
        return None
    with interruptible(), study.lock(), ExitStack() as stack:
        _prepare(study, _identity(experiment, mechanism), force)
        with writing(study.log):
            stack.enter_context(to_file(study.log, logging.DEBUG))
        log.info("%s", _cost(mechanism, experiment.seed))
        trial = trials.run(protocol, experiment.seed, mechanism.treat)
        further = {**_without_dose(experiment, trial, mechanism), **_emulated(experiment, trial, mechanism)}
        write_text(study.plan_file, _plan(mechanism, trial).to_json())
        results = collect(study.path)
        path = folder.write(study.path, trial, mechanism, results, further, pages or {})
        return TrialResults(trial, results, path)


def _without_dose(experiment: Experiment, trial: Trial, mechanism: Mechanism) -> dict[str, Rows]:
    """Tables of the same patients without a dose; none where they are not asked for."""
    node = experiment.tree.get("trial", "untreated")
    if node is None or not node.plain():
        return {}
    treated, follow_up = trial.treated, trial.protocol.treatment.follow_up
    log.info("The same %s without a dose.", count(len(treated), "patient"))
    without = mechanism.untreated([one.patient for one in treated])
    first, second = (
        np.array([mechanism.courses[one.patient.number, one.level].volume[-1].sum() for one in arm])
        for arm in (treated, without)
    )
    return {
        "counterfactual": counterfactual.compared(treated, without, follow_up)
        + counterfactual.compared_volumes(first, second, follow_up),
        "power": counterfactual.power(treated, without, trial.seed),
    }


def _emulated(experiment: Experiment, trial: Trial, mechanism: Mechanism) -> dict[str, Rows]:
    """Tables of further trials on an emulator of this one's patients; none where none are asked for."""
    node = experiment.tree.get("trial", "emulated")
    number = 0 if node is None else int(node.plain())
    if not number:
        return {}
    simulations = [
        emulator.Simulation(
            one.patient,
            sum(dose.given for dose in one.given),
            mechanism.courses[one.patient.number, one.level],
        )
        for one in trial.treated
    ]
    fitted = emulator.fit(simulations)
    log.info("%s on an emulator of %s.", count(number, "trial"), count(fitted.patients, "simulated patient"))
    seeds = range(trial.seed + 1, trial.seed + 1 + number)
    rows = emulator.trials(fitted, trial.protocol, mechanism.plans, mechanism.retention, seeds)
    return {
        "emulator": fitted.rows(),
        "many_trials": rows,
        "selection": emulator.selection(rows, mechanism.levels),
    }


def _plan(mechanism: Mechanism, trial: Trial) -> Plan:
    """The runs of those who were treated in the end, and of the same without a dose."""
    levels = [(one.patient.number, level) for one in trial.treated for level in (one.level, NO_LEVEL)]
    who = {(number, arm_of(level)) for number, level in levels}
    plan = mechanism.plan(max((number for number, _ in who), default=1))
    return replace(plan, runs=tuple(run for run in plan.runs if (run.patient, run.arm) in who))


def _identity(experiment: Experiment, mechanism: Mechanism) -> str:
    """Hash of everything that decides a trial."""
    own = {k: {n: tuple(o) for n, o in doses.items()} for k, doses in mechanism.overrides.items()}
    return digest(
        [__version__, mechanism.protocol.source, experiment.seed, repr(own), experiment.resolved(None, 1)]
    )


def _prepare(study: Study, identity: str, force: bool) -> None:
    """Make the folder ready for this trial; refuse one that holds anything else, unless `force`."""
    file = study.path / IDENTITY
    held = None
    if file.is_file():
        try:
            held = json.loads(file.read_text(encoding="utf-8"))["identity"]
        except (OSError, ValueError, KeyError, TypeError):
            held = "of a damaged file"
    elif study.plan_file.exists():
        held = "a study that is no trial"
    if held not in (None, identity) and not force:
        raise InputError(
            f"{study.path} holds another study or trial.",
            "Choose another folder with -o, or add --force: runs that this trial does not need stay unused.",
        )
    with writing(study.path):
        for name in ("runs", "burn_ins", "tables", "figures"):
            (study.path / name).mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps({"identity": identity}) + "\n")


def _cost(mechanism: Mechanism, seed: int) -> str:
    """What a trial will take at most, in a line."""
    protocol = mechanism.protocol
    enrolled = protocol.population.enroll(protocol.rules, protocol.treatment.patients, seed).patients
    hours = mechanism.seconds(enrolled) / 3600.0
    lesions = sum(len(patient.lesions) for patient in enrolled)
    return (
        f"{count(len(enrolled), 'patient')} with {count(lesions, 'lesion')}: about "
        f"{duration(3600.0 * hours)} of work for one thread, and for some of them twice."
    )
