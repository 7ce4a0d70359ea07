"""The mechanism behind a trial: cohorts become runs of a study, and their files become courses.

Everything that was run is kept under its digest, so that the same trial goes on where it stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ... import __version__
from ...base.errors import InputError
from ...clinic import counterfactual, dosing, overrides, treated
from ...clinic.counterfactual import NO_LEVEL
from ...clinic.dosing import Given, Override
from ...clinic.population import Patient
from ...clinic.protocol import Protocol
from ...clinic.treated import Simulated, Treated
from ...config.host_schema import CellProduct
from ...config.load import Experiment
from ...config.people import People
from ...run import reading
from ...run.doses import doses_of
from ..estimate import Estimate, estimate
from ..execute import Means, carry_out, choose_means, failure_of, simulation_engine, unfinished
from ..plan import BurnIn, Plan, Run
from ..pools import Engine
from ..study import Study
from .persons import doses_as_written, plans_of, product_of, values_of

# Curves that adverse events may follow: the series of the body, and what makes it the curve's unit.
_CURVES = {"msc_lung": ("msc_lung", 1.0), "ifng": ("plasma_ifng", 1000.0), "il6": ("plasma_il6", 1.0)}
_PER_KG = ("msc_lung",)
_MOST_ROUNDS = 50


class Mechanism:
    """Treats patients of a protocol by simulating them in a study folder."""

    def __init__(
        self,
        experiment: Experiment,
        protocol: Protocol,
        study: Study,
        workers: int | None = None,
        threads: int | None = None,
        scheduler: str | None = None,
        progress: bool = True,
        engine: Engine | None = None,
    ):
        unknown = sorted(set(protocol.toxicity.curves) - set(_CURVES))
        if unknown:
            raise InputError(
                f"Adverse events follow '{unknown[0]}', a curve that no simulation gives.",
                f"Known curves: {', '.join(_CURVES)}.",
            )
        _check_records(experiment, protocol.treatment.follow_up)
        self.experiment = replace(experiment, duration=24.0 * protocol.treatment.follow_up)
        self.protocol, self.study = protocol, study
        self.product = product_of(self.experiment)
        self.plans = plans_of(self.experiment, protocol, self.product)
        self.overrides = _overrides(experiment, protocol)
        self.runs: dict[tuple[int, str], Run] = {}
        self.burn_ins: dict[str, BurnIn] = {}
        self.courses: dict[tuple[int, int], Simulated] = {}  # of the last rounds, by patient and level
        self._how = (workers, threads, scheduler)
        self._progress, self._engine = progress, engine
        self._values: dict[int, dict[str, Any]] = {}

    @property
    def levels(self) -> int:
        """How many dose levels there are."""
        return len(self.plans)

    @property
    def retention(self) -> float:
        """The share of viable cells that the lung traps at first."""
        drug = self.experiment.model(None, 1, "treatment").drugs[self.product]
        assert isinstance(drug, CellProduct)
        return drug.lung_retention

    def seconds(self, patients: Sequence[Patient]) -> float:
        """Seconds of work for one thread to simulate patients once."""
        size = estimate(self.experiment)  # of one lesion
        return size.seconds * sum(len(patient.lesions) for patient in patients)

    def treat(self, people: Sequence[tuple[Patient, int]]) -> list[Treated]:
        """What becomes of patients at their levels: rounds of runs until doses and courses agree."""
        waiting = {patient.number: (patient, level) for patient, level in people}
        given = {k: self._foreseen(*one) for k, one in waiting.items()}
        found: dict[int, Treated] = {}
        for _ in range(_MOST_ROUNDS):
            if not waiting:
                return [found[patient.number] for patient, _ in people]
            seen = self._simulated({k: (*one, given[k]) for k, one in waiting.items()})
            for k, (patient, level) in list(waiting.items()):
                one = self._live(patient, level, given[k], seen[k])
                follows = self._realized(patient, level, one)
                if dosing.doses(follows) == dosing.doses(given[k]):
                    found[k] = one._replace(given=follows)
                    self.courses[k, level] = seen[k]
                    del waiting[k]
                given[k] = follows
        raise AssertionError("doses differ later in every round, and there are not that many")

    def untreated(self, people: Sequence[Patient]) -> list[Treated]:
        """What becomes of the same patients without a dose, from the same burn-in and on the same dice."""
        seen = self._simulated({patient.number: (patient, NO_LEVEL, ()) for patient in people})
        found = []
        for patient in people:
            course = self.courses[patient.number, NO_LEVEL] = seen[patient.number]
            own = self.overrides.get(patient.number)
            seed = self.experiment.seed
            found.append(counterfactual.untreated(patient, self.protocol, self.plans[0], course, seed, own))
        return found

    def _live(self, patient: Patient, level: int, given: tuple[Given, ...], seen: Simulated) -> Treated:
        plan = self.plans[level - 1]
        own = self.overrides.get(patient.number)
        return treated.live(patient, level, self.protocol, plan, given, seen, self.experiment.seed, own)

    def _realized(self, patient: Patient, level: int, so_far: Treated | None) -> tuple[Given, ...]:
        plan = self.plans[level - 1]
        own = self.overrides.get(patient.number)
        return treated.realized(patient, self.protocol, plan, so_far, self.experiment.seed, own)

    def _foreseen(self, patient: Patient, level: int) -> tuple[Given, ...]:
        """The doses of a patient whose tumor grows as ever: a guess that saves rounds of runs."""
        given = self._realized(patient, level, None)
        for _ in range(_MOST_ROUNDS):
            seen = treated.expected(patient, self.protocol, dosing.doses(given), self.retention)
            one = self._live(patient, level, given, seen)
            follows = self._realized(patient, level, one)
            if dosing.doses(follows) == dosing.doses(given):
                break
            given = follows
        return given

    def _simulated(
        self, people: Mapping[int, tuple[Patient, int, tuple[Given, ...]]]
    ) -> dict[int, Simulated]:
        """The courses of patients who are given these doses; runs what is not finished."""
        for number, (patient, _, _) in people.items():
            if number not in self._values:
                self._values[number] = values_of(self.experiment, self.protocol, patient, self.product)
        arms = {
            number: {arm_of(level): doses_as_written(dosing.doses(given))}
            for number, (_, level, given) in people.items()
        }
        persons = People(self.experiment, {k: self._values[k] for k in people}, arms)
        runs = {k: self._run(persons.at(k), k, arm_of(level)) for k, (_, level, _) in people.items()}
        self._carry_out(persons, tuple(runs.values()))
        return {k: self._read(run) for k, run in runs.items()}

    def _run(self, person: Experiment, number: int, arm: str) -> Run:
        """The run of a patient, which takes the place of the run of an earlier round."""
        burn_in = person.burn_in_digest(arm, number, 1)
        digest = person.digest(arm, number, 1, doses_of(person, arm).canonical())
        self.burn_ins.setdefault(burn_in, BurnIn(burn_in, arm, number, 1, number))
        self.runs[number, arm] = Run(digest, arm, number, 1, burn_in, number)
        return self.runs[number, arm]

    def _carry_out(self, persons: People, runs: tuple[Run, ...]) -> None:
        todo = unfinished(self.study, runs)
        if not todo:
            return
        means: Means = choose_means(
            todo, self._size(persons, runs), *self._how, self._engine or simulation_engine()
        )
        failed = carry_out(persons, self.study, todo, len(runs), means, self._progress)
        if failed:
            raise failure_of(failed, len(runs), self.study)

    def _size(self, persons: People, runs: tuple[Run, ...]) -> Estimate:
        """The cost of the runs of a round: memory of the patient with most lesions, work by lesions."""
        lesions = {run.point: len(self._values[run.point]["block"]) for run in runs}
        most = max(lesions, key=lambda point: lesions[point])
        size = estimate(replace(persons.at(most), point=0))
        share = sum(lesions.values()) / lesions[most]
        return replace(
            size,
            runs=len(runs), made=len(runs), burn_ins=len(runs),
            cell_hours=share * size.cell_hours, seconds=share * size.seconds,
        )  # fmt: skip

    def _read(self, run: Run) -> Simulated:
        file = reading.read(self.study.run_file(run.digest))
        series = [file.lesion(k).series for k in range(file.lesions)]
        body = file.body
        days = np.asarray(series[0]["day"].values, float)
        curves = {}
        for name in self.protocol.toxicity.curves:
            variable, factor = _CURVES[name]
            curve = factor * np.asarray(body[variable].values, float)
            curves[name] = curve / np.asarray(body["weight"].values, float) if name in _PER_KG else curve
        return Simulated(
            days,
            np.column_stack([each["tumor_volume"].values for each in series]),
            np.column_stack([each["tumor_cells"].values for each in series]),
            curves,
        )

    def plan(self, patients: int) -> Plan:
        """The runs of the last rounds, as a study's plan."""
        runs = tuple(replace(self.runs[key], point=0) for key in sorted(self.runs))
        used = {run.burn_in for run in runs}
        return Plan(
            title=self.experiment.title,
            version=__version__,
            seed=self.experiment.seed,
            arms=tuple(dict.fromkeys([*map(arm_of, range(1, self.levels + 1)), *(run.arm for run in runs)])),
            patients=patients,
            replicates=1,
            duration_days=self.protocol.treatment.follow_up,
            compare=None,
            runs=runs,
            burn_ins=tuple(replace(each, point=0) for each in self.burn_ins.values() if each.digest in used),
            points=((0,),),
        )


def _check_records(experiment: Experiment, follow_up: float) -> None:
    """Refuse records with a gap over a whole day: a scan in it would see a dose that comes after it."""
    series = experiment.record.series
    for day in range(int(follow_up) + 1):
        if not series.due(24.0 * day, 24.0 * day + 1e-3):
            raise InputError(
                f"record.series '{series}' leaves out day {day}, and doses may fall on any whole day.",
                "Record every day or more often, as in `series: every 12 h`.",
            )


def _overrides(experiment: Experiment, protocol: Protocol) -> dict[int, dict[int, Override]]:
    """What the file under `trial: overrides` says of single doses, by patient."""
    node = experiment.tree.get("trial", "overrides")
    if node is None or node.value is None:
        return {}
    treatment = protocol.treatment
    return overrides.read(experiment.path.parent / str(node.value), treatment.patients, treatment.cycles)


def arm_of(level: int) -> str:
    """The name of a level as an arm of runs."""
    return "untreated" if level == NO_LEVEL else f"level_{level}"
