"""What a dose-finding trial has seen so far, and what a design says to it.

Dose levels count from 1; level 0 is no dose at all.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field as Key

from ...base.errors import InputError
from ..settings import Fault, Section

START, ESCALATE, STAY, DEESCALATE = "start", "escalate", "stay", "de-escalate"
COMPLETE, STOP = "complete", "stop"  # all treated: choose a dose; no dose is acceptable

NO_DOSE = 0

Target = Annotated[float, Key(gt=0, lt=1)]
Confidence = Annotated[float, Key(gt=0.5, lt=1)]
Levels = Annotated[int, Key(ge=1, le=20)]


class Cohort(NamedTuple):
    """Evaluable patients who were treated together, and how many of them had a DLT, and a response."""

    level: int
    patients: int
    dlts: int
    responses: int = 0


class Followed(NamedTuple):
    """One patient at the end of the trial.

    weight : share of the DLT window that a patient without a DLT was followed, in [0, 1].
    """

    level: int
    dlt: bool
    weight: float = 1.0
    response: bool = False


class Standing(NamedTuple):
    """Totals at each level, the level of the last cohort, and whether that cohort reached the target."""

    treated: tuple[int, ...]
    dlts: tuple[int, ...]
    responses: tuple[int, ...]
    at: int = NO_DOSE
    alarm: bool = False

    def seen(self, level: int) -> tuple[int, int]:
        """Patients and DLTs at a level."""
        return self.treated[level - 1], self.dlts[level - 1]

    def words(self, level: int) -> str:
        """'1 of 3 patients had a DLT at level 2'."""
        n, y = self.seen(level)
        return f"{y} of {n} patient{'s' if n != 1 else ''} had a DLT at level {level}"


class Evidence(NamedTuple):
    """The data of a final choice: at each level patients, DLTs, responses, and those without a DLT as
    (weight, number) pairs."""

    treated: tuple[int, ...]
    dlts: tuple[int, ...]
    responses: tuple[int, ...]
    spared: tuple[tuple[tuple[float, int], ...], ...]

    def effective(self, level: int) -> float:
        """Patients that the data of a level are worth: a DLT counts 1, no DLT the share followed.

        Lin & Yuan 2020, Biostatistics 21:807, doi:10.1093/biostatistics/kxz007.
        """
        return self.dlts[level - 1] + sum(weight * n for weight, n in self.spared[level - 1])


class Decision(NamedTuple):
    """What follows: an action, the level of the next cohort (0: none), and why, in words."""

    action: str
    level: int
    reason: str


class Choice(NamedTuple):
    """The level chosen at the end (0: none), why, and each level's estimated DLT risk (None: untried)."""

    level: int
    reason: str
    risks: tuple[float | None, ...]


class Design(Section):
    """An escalation design.  It is pure: equal histories give equal decisions."""

    goal: ClassVar[str] = "MTD"  # what it looks for
    uses_responses: ClassVar[bool] = False
    levels: Levels
    source: str | None = None

    @property
    def cohort_size(self) -> int:
        """Patients of a cohort."""
        raise NotImplementedError

    @property
    def most_patients(self) -> int:
        """Patients of the longest possible trial."""
        raise NotImplementedError

    def rule(self, standing: Standing) -> Decision:
        """What follows on a standing."""
        if standing.at == NO_DOSE:
            return Decision(START, 1, "The first cohort is treated at the lowest level.")
        return self.next(standing)

    def next(self, standing: Standing) -> Decision:
        """What follows on a standing after the first cohort."""
        raise NotImplementedError

    def select(self, evidence: Evidence) -> Choice:
        """The level chosen from the data of a complete trial."""
        raise NotImplementedError

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The decision table of the protocol: headings and rows."""
        raise NotImplementedError

    def decide(self, history: Sequence[Cohort]) -> Decision:
        """What follows on the cohorts so far, in the order they were treated.

        Raises InputError where a cohort is impossible.
        """
        return self.rule(self.standing(history))

    def choose(self, history: Sequence[Cohort], late: Sequence[Followed] | None = None) -> Choice:
        """The level chosen after these cohorts.

        late : the same patients at the end of follow-up, which replaces the counts of `history` by
        DLTs of the whole window, weighted by the share of it that was seen (Cheung & Chappell 2000,
        doi:10.1111/j.0006-341X.2000.01177.x).  Raises InputError where a cohort is impossible.
        """
        standing = self.standing(history)
        decision = self.rule(standing)
        evidence = plain_evidence(standing) if late is None else self._late(late)
        if decision.action == STOP:
            return Choice(NO_DOSE, decision.reason, (None,) * self.levels)
        return self.select(evidence)

    def standing(self, history: Sequence[Cohort]) -> Standing:
        """The totals after these cohorts; raises InputError naming the first impossible one."""
        standing = self.before()
        for number, cohort in enumerate(history, start=1):
            self._check(cohort, number)
            standing = self.after(standing, cohort)
        return standing

    def before(self) -> Standing:
        """The standing before the first cohort."""
        none = (0,) * self.levels
        return Standing(none, none, none)

    def after(self, standing: Standing, cohort: Cohort) -> Standing:
        """The standing after one more cohort."""
        i = cohort.level - 1
        return Standing(
            _plus(standing.treated, i, cohort.patients),
            _plus(standing.dlts, i, cohort.dlts),
            _plus(standing.responses, i, cohort.responses),
            cohort.level,
            self.alarms(cohort),
        )

    def alarms(self, cohort: Cohort) -> bool:
        """Whether a cohort forbids escalating right after it; only some designs look."""
        return False

    def _check(self, cohort: Cohort, number: int) -> None:
        if not 1 <= cohort.level <= self.levels:
            raise InputError(
                f"Cohort {number} is at level {cohort.level}.", f"Levels run from 1 to {self.levels}."
            )
        if cohort.patients < 1:
            raise InputError(f"Cohort {number} has {cohort.patients} evaluable patients.", "Give 1 or more.")
        for what, count in (("DLTs", cohort.dlts), ("responses", cohort.responses)):
            if not 0 <= count <= cohort.patients:
                raise InputError(
                    f"Cohort {number} has {count} {what} in {cohort.patients} patients.",
                    f"Give 0 to {cohort.patients}.",
                )

    def _late(self, late: Sequence[Followed]) -> Evidence:
        for number, patient in enumerate(late, start=1):
            if not 1 <= patient.level <= self.levels:
                raise InputError(
                    f"Patient {number} is at level {patient.level}.", f"Levels run from 1 to {self.levels}."
                )
            if not 0.0 <= patient.weight <= 1.0:
                raise InputError(
                    f"Patient {number} was followed for {patient.weight:g} of the DLT window.",
                    "Give a share between 0 and 1.",
                )
        return late_evidence(late, self.levels)


class Sequential(Design):
    """A design that treats cohorts of one size until a fixed number of patients."""

    cohort: Annotated[int, Key(ge=1, le=12)] = 3
    patients: Annotated[int, Key(ge=1, le=200)] = 30

    @property
    def cohort_size(self) -> int:
        """Patients of a cohort."""
        return self.cohort

    @property
    def most_patients(self) -> int:
        """Patients of the longest possible trial."""
        return self.patients

    def end(self, standing: Standing) -> Decision | None:
        """The end of the escalation once all its patients were treated."""
        treated = sum(standing.treated)
        if treated < self.patients:
            return None
        return Decision(COMPLETE, NO_DOSE, f"All {treated} patients of the escalation are treated.")

    def faults(self) -> Iterator[Fault]:
        """The cohorts fill the trial."""
        if self.patients % self.cohort:
            yield Fault(
                ("patients",),
                f"{self.patients} patients are no whole number of cohorts of {self.cohort}.",
                f"Give {self.patients // self.cohort * self.cohort or self.cohort} or "
                f"{(self.patients // self.cohort + 1) * self.cohort}.",
            )


def plain_evidence(standing: Standing) -> Evidence:
    """The data of a standing, every patient followed for the whole window."""
    spared = tuple(((1.0, n - y),) for n, y in zip(standing.treated, standing.dlts, strict=True))
    return Evidence(standing.treated, standing.dlts, standing.responses, spared)


def late_evidence(late: Sequence[Followed], levels: int) -> Evidence:
    """The data of patients one by one."""
    at = [[patient for patient in late if patient.level == level] for level in range(1, levels + 1)]
    return Evidence(
        tuple(len(patients) for patients in at),
        tuple(sum(patient.dlt for patient in patients) for patients in at),
        tuple(sum(patient.response for patient in patients) for patients in at),
        tuple(tuple((patient.weight, 1) for patient in patients if not patient.dlt) for patients in at),
    )


def _plus(counts: tuple[int, ...], i: int, more: int) -> tuple[int, ...]:
    return (*counts[:i], counts[i] + more, *counts[i + 1 :])
