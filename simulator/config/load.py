"""Experiment files: read, checked as a whole, and turned into the models of their runs."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ..base.errors import InputError, Location, did_you_mean
from . import provenance
from .arms import Arm, Phase, assemble, check_phenotypes, read_arms
from .catalogue import Catalogue, compose, extend_drugs
from .digests import digest
from .file import ELSEWHERE, BurnIn, File, Records, check_compare, read_burn_in, read_records
from .merge import list_rules, merge, override, put, split_path
from .model import Builder
from .names import Known, names_in
from .population import Deviates, Population, deviates_of
from .reader import Reader
from .schema import VERSION, Compare, Lesion, Model, Step, Vocabulary
from .tree import Node, Problems

_EXTREME = 6.0  # standard deviations within which every patient must be possible
_KEPT_MODELS = 128


def load(
    path: str | Path, vocabulary: Vocabulary, overrides: Iterable[str] = (), catalogue: Path | None = None
) -> "Experiment":
    """Read an experiment file and check all of it.

    overrides : 'a.b.c=value' texts, applied in order; catalogue : the folder that `use:` names entries
    of (the one that ships if None).  Raises InputError with every problem found.
    """
    problems = Problems()
    shelf = Catalogue(catalogue)
    tree, complete = compose(Path(path), shelf, problems)
    if tree is None:
        problems.done()
        raise AssertionError("no tree and no problem")
    tree = extend_drugs(tree, shelf, problems)
    if not complete:  # what is missing would look like a hundred other mistakes
        Reader(problems).section(File, tree, "The experiment", ignore=ELSEWHERE)
        problems.done()
    return _checked(tree, Path(path), vocabulary, shelf, tuple(overrides), problems)


def _checked(
    tree: Node,
    path: Path,
    vocabulary: Vocabulary,
    shelf: Catalogue,
    overrides: tuple[str, ...],
    problems: Problems,
) -> "Experiment":
    """The experiment of a composed tree; every arm and phase is built once, and the extremes of patients."""
    for text in overrides:
        tree = override(tree, text, problems)
    tree, arms = read_arms(tree, shelf, problems)
    file = Reader(problems).section(File, tree, "The experiment", ignore=ELSEWHERE)
    burn_in = read_burn_in(tree.get("burn_in"), path.parent, problems)
    records = read_records(tree.get("record"), problems)
    population = Population(tree.get("population"), problems)
    builder = Builder(vocabulary, Known(names_in(tree), shelf), problems)
    model = _check_models(tree, arms, population, builder)
    if file is not None and file.compare is not None:
        fields = names_in(tree)["fields"]
        check_compare(
            file.compare,
            tree.get("compare") or tree,
            list(arms),
            fields,
            vocabulary,
            file.duration,
            records,
            problems,
        )
    problems.done()
    assert file is not None and model is not None, "a section failed without a problem"
    return Experiment(
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
        step=model.step,
        idle=builder.idle.sentences(),
        tree=tree,
        vocabulary=vocabulary,
        catalogue=shelf,
        population=population,
    )


def _check_models(tree: Node, arms: dict[str, Arm], population: Population, builder: Builder) -> Model | None:
    """Build every arm and phase, every phenotype, and the patients at the ends of the population.

    Returns the model without arm and patient.
    """
    problems = builder.problems

    def build(arm: str | None, phase: Phase, of: Node = tree) -> Model | None:
        return builder.model(assemble(of, arm, phase, population, None, problems))

    base = build(None, "treatment")
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
    return base


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
        parts = assemble(tree, None, "treatment", population, _everywhere(bound), found)
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
    record : schedules from day 0; idle : sentences about what has no effect here.
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
    step: Step
    idle: list[str]
    tree: Node = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    catalogue: Catalogue = field(repr=False)
    population: Population = field(repr=False)
    _models: OrderedDict = field(default_factory=OrderedDict, repr=False)
    _hashes: dict = field(default_factory=dict, repr=False)

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
        return (arm if own else None, patient if self.population else 1, phase)

    def _hash(self, arm: str | None, patient: int, phase: Phase) -> str:
        key = self._key(arm, patient, phase)
        if key not in self._hashes:
            self._hashes[key] = digest(self.model(arm, patient, phase))
        return self._hashes[key]

    def burn_in_digest(self, arm: str | None, patient: int, replicate: int) -> str:
        """Hash (32 hex digits) of everything that decides the state at day 0."""
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
                self._hash(arm, patient, "burn_in"),
            ]
        )

    def digest(self, arm: str | None, patient: int, replicate: int, doses: Any = None) -> str:
        """Hash (32 hex digits) of everything that decides a run's file.

        doses : the arm's doses in a canonical form (`Regimen.canonical()`); if None as written, with the
        content of the tables they name.
        """
        if doses is None and arm is not None:
            doses = _with_tables(self.arms[arm].doses, self.path.parent)
        return digest(
            [
                self.burn_in_digest(arm, patient, replicate),
                self._hash(arm, patient, "treatment"),
                doses,
                self.duration,
                str(self.record.series),
                str(self.record.snapshots),
            ]
        )

    def resolved(self, arm: str | None, patient: int) -> str:
        """The configuration of one arm and patient as YAML: nothing left to look up or to draw.

        Values keep their units and sources; `load` reads it again into the same models and digests.
        """
        self._key(arm, patient, "treatment")
        tree = self.tree
        if self.population:
            tree = _person(tree, self.population, deviates_of(self.seed, patient))
        left_out = ("arms", "population", "compare", "regimens")
        sections = {key: tree.get(key) for key in File.model_fields if key not in left_out}
        plain = {key: node.plain() for key, node in sections.items() if node is not None}
        if arm is not None and (own := tree.get("arms", arm)) is not None:
            plain["arms"] = {arm: own.plain()}
        return to_yaml(list_rules(plain))

    def with_overrides(self, overrides: Sequence[str]) -> "Experiment":
        """The experiment with 'a.b.c=value' texts applied over it.  Raises InputError."""
        return _checked(self.tree, self.path, self.vocabulary, self.catalogue, tuple(overrides), Problems())

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


def _person(tree: Node, population: Population, deviates: Deviates) -> Node:
    """The tree with a patient's values, also where a phenotype has its own."""
    problems = Problems()
    result = population.applied(tree, deviates, problems)
    for name, phenotype in (tree.get("phenotypes") or Node({}, tree.where, tree.key)).items():
        drawn = population.applied(merge(tree, phenotype), deviates, problems)
        for path in population.rows:
            keys = split_path(path)
            value = drawn.get(*keys)
            if phenotype.get(*keys) is not None and value is not None:
                result = put(result, ("phenotypes", name, *keys), value)
    problems.done()
    return result


def to_yaml(plain: Any) -> str:
    """Plain data as YAML text that `tree.read_text` reads back to the same."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 110
    yaml.sort_base_mapping_type_on_output = False
    stream = StringIO()
    yaml.dump(plain, stream)
    return stream.getvalue()
