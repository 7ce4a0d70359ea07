"""Experiment files: read, checked as a whole, and turned into the models of their runs."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..base.errors import InputError, Location, did_you_mean
from . import provenance
from .arms import Arm, Phase, assemble, check_phenotypes, read_arms
from .catalogue import Catalogue, compose, compose_parts, extend_drugs
from .digests import digest
from .dormant import acting, drugs_given
from .factors import Setting
from .file import ELSEWHERE, BurnIn, File, Records, check_compare, read_burn_in, read_protocol, read_records
from .levels import check_levels
from .merge import list_rules, override, put
from .model import Builder
from .names import Known, names_in
from .population import Deviates, Population, deviates_of
from .reader import Reader
from .resolved import person, to_yaml
from .schema import VERSION, Compare, Lesion, Model, Step, Vocabulary
from .sweep import Point, Sweep, read_sweep
from .tree import Node, Problems

_EXTREME = 6.0  # standard deviations within which every patient must be possible
_KEPT_MODELS = 128
_KEPT_POINTS = 4


__all__ = ["Experiment", "load", "to_yaml"]


def load(
    path: str | Path, vocabulary: Vocabulary, overrides: Iterable[str] = (), catalogue: Path | None = None
) -> "Experiment":
    """Read an experiment file and check all of it.

    overrides : 'a.b.c=value' texts, applied in order; catalogue : the folder that `use:` names entries
    of (the one that ships if None).  Raises InputError with every problem found.
    """
    problems = Problems()
    shelf = Catalogue(catalogue)
    composed = compose(Path(path), shelf, problems)
    tree = composed.tree
    if tree is None:
        problems.done()
        raise AssertionError("no tree and no problem")
    tree = extend_drugs(tree, shelf, problems)
    if not composed.complete:  # what is missing would look like a hundred other mistakes
        Reader(problems).section(File, tree, "The experiment", ignore=ELSEWHERE)
        problems.done()
    return _checked(tree, Path(path), vocabulary, shelf, composed.used, tuple(overrides), problems)


def _checked(
    tree: Node,
    path: Path,
    vocabulary: Vocabulary,
    shelf: Catalogue,
    used: frozenset[Path],
    overrides: tuple[str, ...],
    problems: Problems,
) -> "Experiment":
    """The experiment of a composed tree; every arm and phase is built once, and the extremes of patients."""
    for text in overrides:
        tree = override(tree, text, problems)
    tree = compose_parts(tree, path, shelf, used, problems)
    tree, arms = read_arms(tree, shelf, problems)
    file = Reader(problems).section(File, tree, "The experiment", ignore=ELSEWHERE)
    burn_in = read_burn_in(tree.get("burn_in"), path.parent, problems)
    records = read_records(tree.get("record"), problems)
    population = Population(tree.get("population"), problems)
    builder = Builder(vocabulary, Known(names_in(tree), shelf), problems)
    _check_models(tree, arms, population, builder)
    if file is not None and file.compare is not None:
        fields = names_in(tree)["fields"]
        at = tree.get("compare") or tree
        check_compare(file.compare, at, list(arms), fields, vocabulary, file.duration, records, problems)
    sweep = read_sweep(tree, 0 if file is None else file.seed, problems)
    protocol = read_protocol(tree, path.parent, shelf.folder, problems)
    problems.done()
    assert file is not None, "a section failed without a problem"
    experiment = Experiment(
        title=file.title or path.stem,
        description=file.description,
        path=path,
        arms=arms,
        patients=file.patients,
        replicates=file.replicates,
        seed=file.seed,
        duration=file.duration,
        burn_in=burn_in,
        record=records,
        compare=file.compare,
        idle=builder.idle.sentences(),
        tree=tree,
        vocabulary=vocabulary,
        catalogue=shelf,
        population=population,
        used=used,
        sweep=sweep,
        protocol=protocol,
    )
    check_levels(experiment, problems)
    problems.done()
    return experiment


def _check_models(tree: Node, arms: dict[str, Arm], population: Population, builder: Builder) -> None:
    """Build every arm and phase, every phenotype, and the patients at the ends of the population."""
    problems = builder.problems

    def build(arm: str | None, phase: Phase, of: Node = tree) -> Model | None:
        return builder.model(assemble(of, arm, phase, population, None, problems))

    build(None, "treatment")
    for name, arm in arms.items():
        if arm.overrides:
            first, last = build(name if arm.own_burn_in else None, "burn_in"), build(name, "treatment")
            if first is not None and last is not None:
                _check_layout(name, first, last, tree, problems)
    for name in check_phenotypes(tree, problems):
        if (shown := _as_phenotype(tree, name)) is not None:
            build(None, "treatment", of=shown)
    lesions = assemble(tree, None, "treatment", population, None, Problems()).lesions
    population.check(lesions[0] if lesions else tree, builder.known, builder.idle, problems)
    if population and not len(problems):
        _check_extremes(tree, population, builder)


def _as_phenotype(tree: Node, name: str) -> Node | None:
    """The tree with one block, of that phenotype."""
    block = tree.get("block")
    if block is not None and isinstance(block.value, list):
        block = block.value[0] if block.value else None
    if block is None or not block.is_map:
        return None
    return put(tree, ("block",), put(block, ("phenotype",), Node(name, block.where, block.key)))


def _check_extremes(tree: Node, population: Population, builder: Builder) -> None:
    """A patient six standard deviations out, in everything at once, must still be possible."""
    for bound in (-_EXTREME, _EXTREME):
        found = Problems()
        parts = assemble(tree, None, "treatment", population, _everywhere(bound), builder.problems)
        Builder(builder.vocabulary, builder.known, found, drawn=True).model(parts)
        for problem in found:
            builder.problems.add(
                f"A patient may be impossible: {problem.what}",
                "Bound the distribution with low and high.",
                problem.where,
            )


def _everywhere(bound: float) -> Deviates:
    return lambda path: bound


def _check_layout(name: str, first: Model, last: Model, tree: Node, problems: Problems) -> None:
    """From day 0 an arm keeps the kinds, traits and fields that its burn-in has grown."""
    for before, after in zip(first.lesions, last.lesions, strict=True):
        changed = [
            kind for kind in {*before.cells, *after.cells} if _layout(before, kind) != _layout(after, kind)
        ]
        changed += [
            field for field in {*before.fields, *after.fields} if _grid(before, field) != _grid(after, field)
        ]
        if changed:
            at = tree.get("arms", name) or tree
            names = "', '".join(sorted(changed))
            problems.add(
                f"Arm {name} changes what there is from day 0: '{names}'.",
                "A kind, its layer and traits, a field and its grid can only change before day 0: put that "
                "under the arm's `tissue:`. To silence a kind, set its rates to 0.",
                at.key,
            )


def _layout(lesion: Lesion, kind: str) -> object:
    cell = lesion.cells.get(kind)
    return None if cell is None else (cell.layer, cell.tracked, sorted(cell.traits))


def _grid(lesion: Lesion, field: str) -> object:
    return None if field not in lesion.fields else (lesion.fields[field].grid, lesion.fields[field].unit)


@dataclass(frozen=True, eq=False)
class Experiment:
    """What an experiment file describes, checked; its models are built when asked for.

    duration : h; patients : how many, numbered from 1; replicates : how many of each patient and arm;
    record : schedules from day 0; idle : sentences about what has no effect here; used : the files in its
    tree; sweep : the design of its points, of which this is number `point`; protocol : of a trial.
    """

    title: str
    description: str
    path: Path
    arms: dict[str, Arm]
    patients: int
    replicates: int
    seed: int
    duration: float
    burn_in: BurnIn
    record: Records
    compare: Compare | None
    idle: list[str]
    tree: Node = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    catalogue: Catalogue = field(repr=False)
    population: Population = field(repr=False)
    used: frozenset[Path] = field(repr=False)
    sweep: Sweep | None = field(repr=False)
    point: int = 0
    protocol: Path | None = None
    _points: OrderedDict = field(default_factory=OrderedDict, repr=False)
    _models: OrderedDict = field(default_factory=OrderedDict, repr=False)
    _hashes: dict = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: not the models, which are built where they are needed."""
        return {**vars(self), "_points": OrderedDict(), "_models": OrderedDict(), "_hashes": {}}

    @property
    def step(self) -> Step:
        """Step lengths."""
        return self.model(None, 1, "treatment").step

    @property
    def points(self) -> tuple[Point, ...]:
        """The points that are run; without a sweep only number 0, the experiment itself."""
        return self.sweep.points if self.sweep is not None else (Point(0, ()),)

    def at(self, number: int) -> "Experiment":
        """The experiment of one point of the sweep; point 0 is this one.

        Raises InputError where there is no such point, or its levels contradict each other.
        """
        if number == self.point:
            return self
        if number not in self._points:
            found = next((point for point in self.points if point.number == number), None)
            if found is None:
                last = self.points[-1].number
                raise InputError(f"There is no point {number}.", f"The last point of the sweep is {last}.")
            self._points[number] = self.derived(found.settings, number)
            if len(self._points) > _KEPT_POINTS:
                self._points.popitem(last=False)
        return self._points[number]

    def derived(self, settings: Sequence[Setting], number: int = 0) -> "Experiment":
        """The experiment with every factor of the sweep at a setting.  Raises InputError."""
        assert self.sweep is not None, "only a sweep has settings"
        point = self.placed(self.sweep.applied(self.tree, settings), number)
        if list(point.arms) != list(self.arms):
            names = ", ".join(sorted(set(point.arms) ^ set(self.arms)))
            raise InputError(
                f"A level of a sweep adds or removes arms: {names}.", "All points share their arms."
            )
        return point

    def placed(self, tree: Node, number: int) -> "Experiment":
        """The experiment with another tree, as its point `number`.  Raises InputError."""
        problems = Problems()
        tree = compose_parts(tree, self.path, self.catalogue, self.used, problems)
        tree = extend_drugs(tree, self.catalogue, problems)
        tree, arms = read_arms(tree, self.catalogue, problems)
        population = Population(tree.get("population"), problems)
        problems.done()
        point = replace(self, tree=tree, arms=arms, population=population, point=number, sweep=None)
        return replace(point, _points=OrderedDict(), _models=OrderedDict(), _hashes={})

    def model(self, arm: str | None, patient: int, phase: Phase) -> Model:
        """The model of one phase ("burn_in" or "treatment") of an arm (None: no arm) for a patient.

        Raises InputError for an unknown arm or patient, or a patient whose drawn values are impossible.
        """
        key = self._key(arm, patient, phase)
        if key not in self._models:
            problems = Problems()
            deviates = deviates_of(self.seed, patient) if self.population else None
            parts = assemble(self.tree, arm, phase, self.population, deviates, problems)
            known = Known(names_in(self.tree), self.catalogue)
            self._models[key] = Builder(self.vocabulary, known, problems, drawn=bool(self.population)).model(
                parts
            )
            problems.done()
            if len(self._models) > _KEPT_MODELS:
                self._models.popitem(last=False)
        return self._models[key]

    def _key(self, arm: str | None, patient: int, phase: Phase) -> tuple[str | None, int, Phase]:
        """What a model depends on: arms that change nothing share one, as do people who do not vary."""
        if arm is not None and arm not in self.arms:
            raise InputError(f"There is no arm '{arm}'.", did_you_mean(arm, self.arms))
        if not 1 <= patient <= self.patients:
            raise InputError(
                f"There is no patient {patient}.", f"Patients are numbered 1 to {self.patients}."
            )
        own = arm is not None and (
            self.arms[arm].own_burn_in if phase == "burn_in" else bool(self.arms[arm].overrides)
        )
        if not (arm is not None and self.arms[arm].overrides):
            phase = "treatment"  # nothing changes on day 0
        return (arm if own else None, patient if self.population else 1, phase)

    def _hash(self, arm: str | None, patient: int, phase: Phase, given: Collection[str] | None) -> str:
        """Hash of a model as far as it can act where the drugs `given` are given; None: all of it."""
        key = (self._key(arm, patient, phase), given)
        if key not in self._hashes:
            model = self.model(arm, patient, phase)
            self._hashes[key] = digest(model if given is None else acting(model, given))
        return self._hashes[key]

    def burn_in_digest(self, arm: str | None, patient: int, replicate: int) -> str:
        """Hash (32 hex digits) of everything that decides the state at day 0, before any drug is given."""
        burn_in = self.burn_in._asdict()
        if self.burn_in.path is not None:
            burn_in["path"] = provenance.file_hash(self.path.parent / self.burn_in.path)
        return digest(
            [
                VERSION,
                provenance.version(),
                self.seed,
                patient,
                replicate,
                burn_in,
                self._hash(arm, patient, "burn_in", frozenset()),
            ]
        )

    def digest(self, arm: str | None, patient: int, replicate: int, doses: Any = None) -> str:
        """Hash (32 hex digits) of everything that decides a run's file.

        doses : the arm's doses in a canonical form (`Regimen.canonical()`), from which what cannot act is
        known; if None as written, with the content of the tables they name.
        """
        given = None if doses is None else drugs_given(doses)
        if doses is None and arm is not None:
            doses = _with_tables(self.arms[arm].doses, self.path.parent)
        return digest(
            [
                self.burn_in_digest(arm, patient, replicate),
                self._hash(arm, patient, "treatment", given),
                doses,
                self.duration,
                str(self.record.series),
                str(self.record.snapshots),
                *self.record.packing,
            ]
        )

    def resolved(self, arm: str | None, patient: int, doses: Any = None) -> str:
        """The configuration of one arm and patient as YAML: nothing left to look up or to draw.

        doses : of the arm, where they are written in another file.

        Values keep their units and sources; `load` reads it again into the same models and digests.
        """
        self._key(arm, patient, "treatment")
        tree = self.tree
        if self.population:
            tree = person(tree, self.population, deviates_of(self.seed, patient))
        left_out = ("arms", "population", "compare", "regimens", "sweep")
        sections = {key: tree.get(key) for key in File.model_fields if key not in left_out}
        plain = {key: node.plain() for key, node in sections.items() if node is not None}
        if arm is not None and (own := tree.get("arms", arm)) is not None:
            plain["arms"] = {arm: own.plain() if doses is None else {**own.plain(), "doses": doses}}
        return to_yaml(list_rules(plain))

    def with_overrides(self, overrides: Sequence[str]) -> "Experiment":
        """The experiment with 'a.b.c=value' texts applied over it.  Raises InputError."""
        own = (self.tree, self.path, self.vocabulary, self.catalogue, self.used)
        return _checked(*own, tuple(overrides), Problems())

    def locate_doses(self, arm: str) -> Callable[[Sequence[str | int]], Location | None]:
        """Where parts of an arm's doses were written: a function of the path below `doses`."""
        return lambda path: self.locate(("arms", arm, "doses", *path))

    def locate(self, path: Sequence[str | int]) -> Location | None:
        """Where the value at a path of keys and list positions was written."""
        node = self.tree.get(*path)
        return None if node is None else node.where


def _with_tables(doses: Any, folder: Path) -> Any:
    """Doses as written, with the hash of a CSV file in place of its name."""
    if isinstance(doses, list):
        return [_with_tables(item, folder) for item in doses]
    name = doses.get("csv") if isinstance(doses, dict) else doses
    if isinstance(name, str) and name.endswith(".csv") and (folder / name).is_file():
        return {"csv": provenance.file_hash(folder / name)}
    return doses
