"""The sections of an experiment file that are not biology: what is run, and how often."""

import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field as Key

from ..base import schedule, units
from ..base.errors import InputError, did_you_mean
from .host_schema import Body, Drug
from .quantities import Name, Strict, quantity
from .reader import Reader
from .schema import Block, Cell, Compare, Distribution, FieldModel, Record, Step, Tissue, Vocabulary
from .sweep import SweepSection
from .tree import Node, Problems


class Phenotype(Strict):
    """What a lesion of an immune phenotype has different."""

    cells: dict[Name, Cell | None] = {}
    fields: dict[Name, FieldModel | None] = {}
    tissue: Tissue | None = None


class ArmTissue(Tissue):
    """What an arm has different before day 0 as well: it gives the arm a burn-in of its own."""

    cells: dict[Name, Cell | None] = {}
    fields: dict[Name, FieldModel | None] = {}
    body: Body | None = None
    block: Block | list[Block] | None = None
    phenotype: Name | None = None


class ArmSection(Strict):
    """What one arm is given, and what it has different from day 0."""

    use: str | list[str] = []
    doses: Any = None
    cells: dict[Name, Cell | None] = {}
    fields: dict[Name, FieldModel | None] = {}
    drugs: dict[Name, Drug | None] = {}
    body: Body | None = None
    tissue: ArmTissue | None = None


class BurnInFrom(Strict):
    """A burn-in that is read from a run."""

    from_: Annotated[str, Key(alias="from")]


class TrialSection(Strict):
    """A trial: its patients are those of the protocol, who are given what the protocol says."""

    protocol: str  # a name under `protocols/` of the catalogue, or a path from this file
    overrides: str | None = None  # a CSV file of single doses of single patients, from this file
    untreated: bool = False  # whether each patient is also followed without a dose
    emulated: Annotated[int, Key(ge=0, le=100_000)] = 0  # further trials, on what this one taught


class File(Strict):
    """An experiment file."""

    title: str = ""
    description: str = ""
    use: str | list[str] = []
    block: Block | list[Block]
    step: Step | None = None
    burn_in: str | BurnInFrom = "0 d"
    duration: Annotated[float, quantity("h", above=0)]
    arms: dict[Name, ArmSection | None] = {}
    patients: Annotated[int, Key(ge=1, le=1_000_000)] = 1
    replicates: Annotated[int, Key(ge=1, le=1_000_000)] = 1
    record: Record | None = None
    compare: Compare | None = None
    seed: Annotated[int, Key(ge=0, lt=2**64)] = 0
    tissue: Tissue | None = None
    cells: dict[Name, Cell | None] = {}
    fields: dict[Name, FieldModel | None] = {}
    drugs: dict[Name, Drug | None] = {}
    body: Body | None = None
    population: dict[str, Distribution | None] | None = None
    phenotypes: dict[Name, Phenotype | None] = {}
    regimens: dict[Name, Any] = {}
    sweep: SweepSection | None = None
    trial: TrialSection | None = None


# Sections that this module does not read: they are built into models, arms and distributions.
ELSEWHERE = (
    "block",
    "step",
    "burn_in",
    "arms",
    "record",
    "tissue",
    "cells",
    "fields",
    "drugs",
    "body",
    "population",
    "phenotypes",
    "regimens",
    "sweep",
)

# What the protocol of a trial decides, so that a file cannot.
_OF_THE_PROTOCOL = ("arms", "compare", "patients", "sweep")


class BurnIn(NamedTuple):
    """What comes before day 0: a time, a number of tumor cells (reached by `at_most_h`), or a run's end."""

    time_h: float | None = None
    tumor_cells: int | None = None
    path: str | None = None
    at_most_h: float = 365 * 24.0


class Records(NamedTuple):
    """When what is written: schedules in hours from day 0.

    checkpoints : states that are kept, to branch from.  save_every : hours of wall time between states to
    resume from; None: as often as costs next to nothing.  bits : of mantissa that snapshots keep; coarsen :
    voxels of a field along each axis that a snapshot shows as one.
    """

    series: schedule.Schedule
    snapshots: schedule.Schedule
    checkpoints: schedule.Schedule = schedule.At(())
    save_every: float | None = None
    bits: int = Record.model_fields["bits"].default
    coarsen: int = 1

    @property
    def packing(self) -> tuple[int, ...]:
        """What decides the numbers of a file and no result; nothing where it is as usual."""
        usual = (Records._field_defaults["bits"], Records._field_defaults["coarsen"])
        return () if (self.bits, self.coarsen) == usual else (self.bits, self.coarsen)


_UNTIL = re.compile(r"until\s+(?P<cells>.+?)\s+tumor\s+cells(?:\s*,\s*at\s+most\s+(?P<most>.+))?")


def read_burn_in(node: Node | None, folder: Path, problems: Problems) -> BurnIn:
    """`10 d`, `until 5e4 tumor cells`, `until 5e4 tumor cells, at most 60 d` or `{from: run.h5}`."""
    help = "Write '10 d', 'until 5e4 tumor cells, at most 60 d' or {from: run.h5}."
    if node is None or node.value is None:
        return BurnIn(0.0)
    if node.is_map:
        source = node.get("from")
        if source is None or not isinstance(source.value, str) or len(node.items()) != 1:
            problems.add("`burn_in` as a mapping holds one key, `from`.", help, node.where)
        elif not (folder / source.value).is_file():
            problems.add(
                f"There is no file '{source.value}'.", "Give the path of a run, from this file.", source.where
            )
        else:
            return BurnIn(path=source.value)
        return BurnIn(0.0)
    try:
        until = _UNTIL.fullmatch(str(node.value).strip())
        if until is None and str(node.value).startswith("until"):
            raise InputError(f"'{node.value}' does not name a number of tumor cells.", help)
        if until is None:
            return BurnIn(_hours(node.value))
        cells = units.value(f"{until['cells']} cells", "cells")
        if not (cells >= 1 and cells == int(cells)):
            raise InputError(f"'{until['cells']}' is no number of cells.", help)
        most = _hours(until["most"]) if until["most"] else BurnIn().at_most_h
        return BurnIn(tumor_cells=int(cells), at_most_h=most)
    except InputError as error:
        problems.take(error, node.where, "burn_in")
        return BurnIn(0.0)


def _hours(given: Any) -> float:
    hours = units.value(given, "h")
    if hours < 0:
        raise InputError(f"'{given}' is a negative time.", "Give 0 d or more.")
    return hours


def read_records(node: Node | None, problems: Problems) -> Records:
    """The schedules under `record:`."""
    schedules = Records._fields[:3]
    found = {name: schedule.parse(Record.model_fields[name].default) for name in schedules}
    read = None
    if node is not None and node.value is not None:
        read = Reader(problems).section(Record, node, "'record'", ignore=schedules)
    for name in schedules:
        at = node.get(name) if node is not None else None
        try:
            if at is not None and at.value is not None:
                found[name] = schedule.parse(at.plain())
        except InputError as error:
            problems.take(error, at.where if at is not None else None, name)
    read = read or Record()
    return Records(**found, save_every=read.save_every, bits=read.bits, coarsen=read.coarsen)


def read_protocol(tree: Node, folder: Path, catalogue: Path, problems: Problems) -> Path | None:
    """The protocol file under `trial:`; None where the experiment is no trial."""
    node = tree.get("trial", "protocol")
    if node is None or not isinstance(node.value, str):
        return None
    for key in _OF_THE_PROTOCOL:
        if (given := tree.get(key)) is not None and given.where != tree.where:  # there: the default arm
            problems.add(f"'{key}' is for the protocol of the trial to say.", f"Remove `{key}:`.", given.key)
    if (drawn := tree.get("population")) is not None and drawn.items():
        what = "The patients of a trial are drawn by its protocol, and here by `population:` again."
        problems.add(what, "Write `population: null`.", (tree.get("trial") or tree).key)
    shipped = sorted(path.stem for path in (catalogue / "protocols").glob("*.yaml"))
    if node.value in shipped:
        return catalogue / "protocols" / f"{node.value}.yaml"
    if not (folder / node.value).is_file():
        help = did_you_mean(node.value, shipped) or "Give the path of a protocol, from this file."
        problems.add(f"There is no protocol '{node.value}'.", help, node.where)
        return None
    return folder / node.value


def check_compare(
    compare: Compare,
    node: Node,
    arms: list[str],
    fields: set[str],
    vocabulary: Vocabulary,
    duration: float,
    records: Records,
    problems: Problems,
) -> None:
    """References are arms, the outcome is an observable, the time one that is recorded."""
    at = dict(node.items())
    if compare.reference not in arms:
        problems.add(
            f"There is no arm '{compare.reference}'.",
            did_you_mean(compare.reference, arms),
            at["reference"].where,
        )
    for first, second in compare.also.items():
        for arm in (first, second):
            if arm not in arms:
                problems.add(f"There is no arm '{arm}'.", did_you_mean(arm, arms), at["also"].where)
        if second in (first, compare.reference):
            declared = "itself" if second == first else f"'{second}', as every arm is already"
            problems.add(f"'{first}' is compared with {declared}.", "Name another arm.", at["also"].where)
    outcome = compare.outcome.removeprefix("log ").strip()
    known = {*vocabulary.observables, *(f"{field}_{end}" for field in fields for end in ("mean", "max"))}
    if outcome not in known and "outcome" in at:
        problems.add(
            f"There is no observable '{outcome}'.", did_you_mean(outcome, known), at["outcome"].where
        )
    if compare.at is None or "at" not in at:
        return
    if compare.at > duration:
        problems.add(
            f"The comparison is after the end ({units.format(duration / 24, 'd')}).",
            "Give a time up to `duration`.",
            at["at"].where,
        )
    elif compare.at != duration and not records.series.due(compare.at, compare.at + 1e-3):
        problems.add(
            "No record is written at that time.", f"Series are written {records.series}.", at["at"].where
        )
