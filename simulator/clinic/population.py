"""Virtual patients: drawn from a joint distribution, then screened.

Every slot of the trial has its own candidates, drawn one after another until one is eligible, so that
screening keeps the correlations, patient k is the same person in every arm and design, and a criterion
that is changed moves only the slots whose candidate it decides about.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, NamedTuple

from pydantic import Field as Key

from ..base.errors import InputError, did_you_mean
from ..config.schema import Share
from .dice import Dice, normal
from .eligibility import Failure, Kind, Rule, Value, screen
from .margins import Correlations, Variable, category, draw
from .settings import Fault, Section

MOST_CANDIDATES = 500  # for one slot of the trial

# What lesions and phenotypes are made from, and the units that these are in; None: true or false.
_NEEDED = {
    "lesion_count": "1",
    "lesion_size": "mm",
    "doubling_time": "d",
    "liver_metastases": None,
    "cd8_nest": "cells/mm2",
    "cd8_stroma": "cells/mm2",
}


class Lesions(Section):
    """How the lesions of one patient differ: around the patient's own size and doubling time.

    organs : shares of the organs of the lesions; where a patient has liver metastases the first lesion is
    one, where not none is.  `node` lesions are measured by their short axis.
    """

    size_log_sd: Annotated[float, Key(ge=0)]
    doubling_log_sd: Annotated[float, Key(ge=0)]
    smallest: Annotated[float, Key(gt=0)]  # mm
    organs: dict[str, Share]
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Shares of organs, the liver among them."""
        total = sum(self.organs.values())
        if abs(total - 1.0) > 1e-9:
            yield Fault(("organs",), f"The shares of organs add up to {total:.6g}.", "Make it 1.")
        if "liver" not in self.organs or self.organs.get("liver", 0.0) >= 1.0:
            yield Fault(("organs",), "There is no share of the liver below 1 among the organs.", "Add it.")


class Lots(Section):
    """Product lots: each patient is treated from one lot, each lot comes from one donor."""

    patients_per_lot: Annotated[int, Key(ge=1)]
    lots_per_donor: Annotated[int, Key(ge=1)]
    viability: Variable  # of a lot
    potency: Variable  # of a donor
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Plain numbers."""
        for name in ("viability", "potency"):
            if getattr(self, name).kind != Kind("1"):
                yield Fault((name,), f"The {name} of lots is no plain number.", "Give a distribution of one.")


class Lesion(NamedTuple):
    """One lesion at baseline: longest diameter, of a node the short axis (mm), and doubling time (d)."""

    organ: str
    diameter: float
    doubling_time: float

    @property
    def measurable(self) -> bool:
        """Large enough for a target lesion by RECIST 1.1 (Eisenhauer 2009)."""
        return self.diameter >= (15.0 if self.organ == "node" else 10.0)

    @property
    def volume(self) -> float:
        """Volume of a sphere of that diameter, mL."""
        return math.pi / 6.0 * (0.1 * self.diameter) ** 3


class Lot(NamedTuple):
    """A product lot: its number and donor, the share of viable cells and the potency of the donor."""

    number: int
    donor: int
    viability: float
    potency: float


@dataclass(frozen=True)
class Patient:
    """A virtual patient: slot `number` of the trial, filled by the `attempt`-th candidate for it."""

    number: int
    attempt: int
    values: Mapping[str, Value]
    lesions: tuple[Lesion, ...]
    lot: Lot

    @property
    def phenotype(self) -> str:
        """The immune phenotype of the tumor by its CD8 densities; '' where it is intermediate."""
        return phenotype(self._number("cd8_nest"), self._number("cd8_stroma"))

    @property
    def tumor_volume(self) -> float:
        """Volume of all lesions, mL."""
        return sum(lesion.volume for lesion in self.lesions)

    def _number(self, name: str) -> float:
        value = self.values[name]
        assert isinstance(value, float), f"{name} is a number"
        return value


class Screened(NamedTuple):
    """One candidate of the screening log: the slot, the attempt, and every criterion failed."""

    slot: int
    attempt: int
    failures: tuple[Failure, ...]


class Enrollment(NamedTuple):
    """The patients of a trial and the log of everybody who was screened for it."""

    patients: tuple[Patient, ...]
    log: tuple[Screened, ...]

    @property
    def failed(self) -> float:
        """Share of the screened who were not eligible."""
        return sum(bool(one.failures) for one in self.log) / len(self.log)

    def reasons(self) -> Counter[str]:
        """How many candidates failed each criterion; a candidate may fail several."""
        return Counter(failure.criterion for one in self.log for failure in one.failures)

    def rows(self) -> list[dict[str, object]]:
        """The screening log as a table: a row a failed criterion, one row for each who is eligible."""
        rows: list[dict[str, object]] = []
        for one in self.log:
            start = {"slot": one.slot, "attempt": one.attempt, "eligible": not one.failures}
            if not one.failures:
                rows.append({**start, "criterion": "", "value": "", "reason": ""})
            rows += [{**start, **failure._asdict()} for failure in one.failures]
        return rows


class Population:
    """Everything a virtual patient is drawn from."""

    def __init__(
        self,
        variables: Mapping[str, Variable],
        correlations: Correlations,
        lesions: Lesions,
        lots: Lots,
    ):
        """Raises InputError where variables are missing, in other units, or cannot be correlated so."""
        self.variables, self.lesions, self.lots = dict(variables), lesions, lots
        for name, unit in _NEEDED.items():
            if name not in variables:
                raise InputError(f"The population has no variable '{name}'.", "Lesions are made from it.")
            if variables[name].kind != Kind(unit):
                what = f"a number with `unit: {unit}`" if unit else "true or false"
                raise InputError(f"The variable '{name}' is not {what}.", "Lesions are made from it.")
        for name, variable in variables.items():
            for other in variable.where:
                if other not in variables or variables[other].form != "share" or variables[other].where:
                    shares = [key for key, v in variables.items() if v.form == "share" and not v.where]
                    raise InputError(
                        f"'{name}' differs where '{other}' is true, which is no share of its own.",
                        did_you_mean(other, shares),
                    )
        self.factor = correlations.factor(list(variables))

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """What every value of a candidate is."""
        found = {name: variable.kind for name, variable in self.variables.items()}
        return {**found, "measurable_lesions": Kind("1")}

    def candidate(self, seed: int, slot: int, attempt: int) -> Patient:
        """The `attempt`-th candidate for a slot of the trial, both counted from 1."""
        dice = Dice(seed, slot)
        values = draw(self.variables, self.factor, dice, attempt - 1)
        lesions = _lesions(self.lesions, values, dice, attempt - 1)
        values["measurable_lesions"] = float(sum(lesion.measurable for lesion in lesions))
        return Patient(slot, attempt, values, lesions, self.lot(seed, slot))

    def lot(self, seed: int, slot: int) -> Lot:
        """The lot that a slot of the trial is treated from: lots follow each other by slots."""
        number = (slot - 1) // self.lots.patients_per_lot + 1
        donor = (number - 1) // self.lots.lots_per_donor + 1
        viability = self.lots.viability.value(Dice(seed, number)("lot.viability", 0), {})
        potency = self.lots.potency.value(Dice(seed, donor)("donor.potency", 0), {})
        assert isinstance(viability, float) and isinstance(potency, float)
        return Lot(number, donor, viability, potency)

    def enroll(self, rules: Sequence[Rule], patients: int, seed: int) -> Enrollment:
        """Screen candidates until every slot is filled.

        Raises InputError where nobody is eligible for a slot.
        """
        found: list[Patient] = []
        log: list[Screened] = []
        for slot in range(1, patients + 1):
            for attempt in range(1, MOST_CANDIDATES + 1):
                person = self.candidate(seed, slot, attempt)
                failures = screen(person.values, rules)
                log.append(Screened(slot, attempt, failures))
                if not failures:
                    found.append(person)
                    break
            else:
                raise _nobody(slot, log)
        return Enrollment(tuple(found), tuple(log))

    def settings(self, patient: Patient, product: str) -> dict[str, str]:
        """What an experiment is told of a patient who is given a product: a value for each path that a
        variable `sets`, the volume of the tumor and the viability of the lot."""
        told = {
            variable.sets.replace("{product}", product): _written(patient.values[name], variable.unit)
            for name, variable in self.variables.items()
            if variable.sets
        }
        volume, viability = _written(patient.tumor_volume, "mL"), _written(patient.lot.viability, "1")
        return {**told, "body.tumor_volume": volume, f"drugs.{product}.viability": viability}


def phenotype(nest: float, stroma: float) -> str:
    """The immune phenotype of CD8 densities in nests and stroma (cells/mm2), '' where intermediate.

    Inflamed: nests ≥ 100; else desert: stroma < 50; else excluded: ratio < 0.15.
    """
    if nest >= 100.0:
        return "inflamed"
    if stroma < 50.0:
        return "desert"
    return "excluded" if nest < 0.15 * stroma else ""


def _lesions(lesions: Lesions, values: Mapping[str, Value], dice: Dice, attempt: int) -> tuple[Lesion, ...]:
    """The lesions of a candidate, in the order they are drawn."""
    count, size, doubling = (values[name] for name in ("lesion_count", "lesion_size", "doubling_time"))
    assert isinstance(count, float) and isinstance(size, float) and isinstance(doubling, float)
    liver = bool(values["liver_metastases"])
    shares = {organ: share for organ, share in lesions.organs.items() if liver or organ != "liver"}
    names = [f"lesion {k} {what}" for k in range(int(count)) for what in ("organ", "size", "doubling")]
    found = []
    for k, (place, large, slow) in enumerate(dice.several(names, attempt).reshape(-1, 3)):
        organ = "liver" if liver and k == 0 else category(shares, place)
        diameter = max(size * math.exp(lesions.size_log_sd * normal(large)), lesions.smallest)
        found.append(Lesion(organ, diameter, doubling * math.exp(lesions.doubling_log_sd * normal(slow))))
    return tuple(found)


def _nobody(slot: int, log: Sequence[Screened]) -> InputError:
    mine = [one for one in log if one.slot == slot]
    reasons = Counter(failure.criterion for one in mine for failure in one.failures)
    worst = ", ".join(f"{name} ({number})" for name, number in reasons.most_common(3))
    return InputError(
        f"None of {len(mine)} candidates for patient {slot} is eligible; they fail {worst}.",
        "Widen those criteria, or give a population that meets them.",
    )


def _written(value: Value, unit: str) -> str:
    """A value as an experiment file says it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value!r} {unit.removeprefix('1')}".strip() if isinstance(value, float) else str(value)
