"""A trial protocol: one file, checked as a whole."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field as Key

from ..base import units
from ..base.errors import InputError, Location
from ..config.schema import quantity
from ..config.tree import Node, Problems, as_node, read_file
from .conduct import Conduct
from .designs.history import Design
from .dlt import DltRule
from .dosing import Rules
from .eligibility import Criterion, Rule, read_rules
from .escalation import read_design
from .expansion import Monitor
from .margins import Correlations, Variable
from .policy import Evaluation, Hazards, Policy, ReadingError, ScanCalendar
from .population import Lesions, Lots, Population
from .settings import Fault, Section, read
from .toxicity import Days, Toxicity

S = TypeVar("S", bound=Section)


class Treatment(Section):
    """Who is treated how: dose levels in ascending order (cells/kg), one dose every `interval`."""

    patients: Annotated[int, Key(ge=1, le=10_000)]
    doses: tuple[Annotated[float, quantity("cells/kg", above=0)], ...]
    interval: Days
    cycles: Annotated[int, Key(ge=1, le=100)]
    follow_up: Days  # of every patient, from the first dose
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """Rising doses that all fall into the follow-up."""
        if not self.doses:
            yield Fault(("doses",), "There is no dose level.", "Give at least one.")
        for i, (low, high) in enumerate(zip(self.doses, self.doses[1:], strict=False), start=1):
            if high <= low:
                yield Fault(
                    ("doses", i),
                    f"Dose level {i + 1} ({units.format(high, 'cells/kg')}) is not above level {i} "
                    f"({units.format(low, 'cells/kg')}).",
                    "Give the levels in ascending order.",
                )
        last = (self.cycles - 1) * self.interval
        if last >= self.follow_up:
            yield Fault(
                ("follow_up",),
                f"The last dose, on day {last:g}, comes after the follow-up ends (day {self.follow_up:g}).",
                "Lengthen follow_up.",
            )


class Header(Section):
    """What the trial is called."""

    title: str
    registry: str = ""
    description: str = ""


# Sections read as they stand; `escalation`, `eligibility` and `population` are read by their own rules.
_SECTIONS: dict[str, type[Section]] = {
    "treatment": Treatment,
    "dlt": DltRule,
    "expansion": Monitor,
    "dosing": Rules,
    "correlations": Correlations,
    "lesions": Lesions,
    "lots": Lots,
    "toxicity": Toxicity,
    "conduct": Conduct,
}
# May be left out: then the guidelines' own rules hold, and readings are exact.
_EVALUATION: dict[str, type[Section]] = {
    "scans": ScanCalendar,
    "response": Policy,
    "hazards": Hazards,
    "reading_error": ReadingError,
}
_OWN = ("escalation", "eligibility", "population")


@dataclass(frozen=True)
class Protocol:
    """A checked protocol."""

    header: Header
    treatment: Treatment
    dlt: DltRule
    design: Design
    expansion: Monitor
    dosing: Rules
    criteria: Mapping[str, Criterion]
    rules: tuple[Rule, ...]
    population: Population
    toxicity: Toxicity
    conduct: Conduct
    evaluation: Evaluation
    source: str  # the file as it stands, as JSON


def load(path: str | Path) -> Protocol:
    """Read a protocol file; raises InputError with every problem found, each at its place."""
    problems = Problems()
    node = read_file(Path(path), problems)
    if node is None:
        problems.done()
        raise AssertionError("no tree and no problem")
    return _protocol(node, problems)


def parse(plain: Mapping[str, Any], name: str = "protocol") -> Protocol:
    """A protocol from plain mappings, as a file would hold them; raises InputError."""
    return _protocol(as_node(plain, Location(name, 0, 0)), Problems())


def _protocol(node: Node, problems: Problems) -> Protocol:
    header = {key: child for key, child in node.items() if key not in (*_SECTIONS, *_EVALUATION, *_OWN)}
    read(Header, Node(header, node.where, node.key), "The protocol", problems)
    for name in (*_SECTIONS, *_OWN):
        child = node.get(name)
        if child is None or not child.is_map:
            problems.add(f"The protocol has no section '{name}'.", f"Add `{name}:`.", (child or node).key)
    problems.done()
    parts = {name: read(cls, _child(node, name), f"'{name}'", problems) for name, cls in _SECTIONS.items()}
    rules = {
        name: read(cls, child, f"'{name}'", problems)
        for name, cls in _EVALUATION.items()
        if (child := node.get(name)) is not None and child.value is not None
    }
    treatment = parts["treatment"]
    levels = len(treatment.doses) if isinstance(treatment, Treatment) else 1
    design = read_design(_child(node, "escalation"), levels, problems)
    population = _population(node, parts, problems)
    known = population.kinds if population is not None else {}
    criteria, bounds = read_rules(_child(node, "eligibility"), known, problems) if known else ({}, ())
    if isinstance(treatment, Treatment) and design is not None:
        _together(node, treatment, design, parts, problems)
    problems.done()
    assert design is not None and population is not None
    return Protocol(
        header=Header(**{key: child.plain() for key, child in header.items()}),
        treatment=_part(parts, Treatment),
        dlt=_part(parts, DltRule),
        design=design,
        expansion=_part(parts, Monitor),
        dosing=_part(parts, Rules),
        criteria=criteria,
        rules=bounds,
        population=population,
        toxicity=_part(parts, Toxicity),
        conduct=_part(parts, Conduct),
        evaluation=Evaluation(**rules),  # type: ignore[arg-type]
        source=json.dumps(node.plain(), sort_keys=True),
    )


def _child(node: Node, name: str) -> Node:
    child = node.get(name)
    assert child is not None, "missing sections were refused"
    return child


def _part(parts: Mapping[str, Section | None], cls: type[S]) -> S:
    return next(part for part in parts.values() if isinstance(part, cls))


def _population(node: Node, parts: Mapping[str, Section | None], problems: Problems) -> Population | None:
    """The population, once all of its sections can be read."""
    variables: dict[str, Variable] = {}
    section = _child(node, "population")
    before = len(problems)
    for name, child in section.items():
        variable = read(Variable, child, f"variable '{name}'", problems)
        if variable is not None:
            variables[name] = variable
    correlations, lesions, lots = (parts[name] for name in ("correlations", "lesions", "lots"))
    if len(problems) > before or not (
        isinstance(correlations, Correlations) and isinstance(lesions, Lesions) and isinstance(lots, Lots)
    ):
        return None
    try:
        return Population(variables, correlations, lesions, lots)
    except InputError as error:
        problems.take(error, section.key)
        return None


def _together(
    node: Node,
    treatment: Treatment,
    design: Design,
    parts: Mapping[str, Section | None],
    problems: Problems,
) -> None:
    """What must hold between the sections."""
    dlt, dosing = parts["dlt"], parts["dosing"]
    if isinstance(dlt, DltRule) and dlt.window > treatment.follow_up:
        at = node.get("dlt", "window")
        problems.add(
            f"The DLT window ({dlt.window:g} d) is longer than the follow-up ({treatment.follow_up:g} d).",
            "Shorten the window or lengthen follow_up.",
            at.where if at is not None else node.key,
        )
    if isinstance(dosing, Rules) and 2.0 * dosing.window >= treatment.interval:
        at = node.get("dosing", "window")
        problems.add(
            f"A window of ±{dosing.window:g} d lets visits {treatment.interval:g} d apart change places.",
            "Give less than half of the interval.",
            at.where if at is not None else node.key,
        )
    if design.most_patients > treatment.patients:
        at = node.get("escalation", "patients") or node.get("escalation")
        problems.add(
            f"The escalation treats up to {design.most_patients} patients, "
            f"the trial has {treatment.patients}.",
            "Give the escalation at most as many; the others are treated at the dose it chooses.",
            at.where if at is not None else node.key,
        )
