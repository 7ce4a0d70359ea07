"""All that can be known to be wrong with an experiment, or weak, before anything runs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from .base import units
from .base.errors import InputError, Problem, did_you_mean
from .body.course import collecting
from .body.patient import Host
from .body.regimen import Regimen
from .clinic import protocol as protocols
from .config.catalogue import shipped
from .config.load import Experiment, load
from .config.schema import Model
from .experiment.designs.compare import FEW_MSCS, TOO_FEW_MSCS
from .experiment.estimate import Estimate, estimate
from .experiment.plan import Plan, plan
from .experiment.trial.persons import product_of
from .run.doses import doses_of
from .run.expectation import expectations
from .run.lesion import lesion_volume_ml
from .tissue.actions import ACTIONS
from .tissue.compile import check_motility, compile_tables, names_of
from .vocabulary import VOCABULARY

FAST_CLOCK = 0.2  # hazard × step above which an hourly draw distorts a process noticeably


class Checked(NamedTuple):
    """An experiment without a problem, and what is known of it.

    typical : the same with patients who do not vary and without its sweep; regimens : of each arm; planned :
    its runs; warnings : what to beware of.
    """

    experiment: Experiment
    typical: Experiment
    regimens: dict[str, Regimen]
    planned: Plan
    size: Estimate
    warnings: list[str]


def checked(file: str | Path, overrides: Iterable[str] = ()) -> Checked:
    """Read an experiment and check its text, its doses, the models of all arms and phases, and its memory.

    file : a path, or the name of an experiment of the catalogue.  Raises InputError with every problem.
    """
    experiment = load(find(file), VOCABULARY, tuple(overrides))
    problems: list[Problem] = []
    regimens = {}
    for arm in experiment.arms:
        with collecting(problems, experiment.locate(("arms", arm))):
            regimens[arm] = doses_of(experiment, arm)
            _compile(experiment, arm, regimens[arm])
    problems += _levels(experiment)
    if experiment.protocol is not None:
        with collecting(problems, experiment.locate(("trial",))):
            protocols.load(experiment.protocol)
            product_of(experiment)
    planned = size = None
    with collecting(problems, experiment.locate(("block",))):
        planned = plan(experiment)
        size = estimate(experiment, planned)
    if problems or planned is None or size is None:
        raise InputError(list(dict.fromkeys(problems)))
    plain = [f"{key}=null" for key, found in _VARIES.items() if found(experiment)]
    typical = experiment.with_overrides(plain) if plain else experiment
    few = _few_mscs(typical, regimens) if experiment.sweep is None else _few_mscs_at_points(experiment)
    return Checked(experiment, typical, regimens, planned, size, [*few, *_fast_clocks(typical)])


# Sections by which runs differ beside their arms, and whether an experiment has them.
_VARIES: dict[str, Callable[[Experiment], bool]] = {
    "population": lambda experiment: bool(experiment.population),
    "sweep": lambda experiment: experiment.sweep is not None,
}


def find(file: str | Path) -> Path:
    """The path of an experiment file, or of the catalogue's experiment of that name.

    Raises InputError where there is neither.
    """
    path = Path(file)
    if path.exists():
        return path
    entries = {entry.stem: entry for entry in sorted((shipped() / "experiments").glob("*.yaml"))}
    if str(file) in entries:
        return entries[str(file)]
    beside = [str(entry) for entry in sorted(path.parent.glob("*.yaml"))] if path.parent.is_dir() else []
    raise InputError(f"There is no file '{file}'.", did_you_mean(str(file), [*entries, *beside]))


def _compile(experiment: Experiment, arm: str, regimen: Regimen) -> None:
    """Build what the runs of an arm build, without a lattice."""
    for phase in ("burn_in", "treatment"):
        model = experiment.model(arm, 1, phase)
        for lesion in model.lesions:
            check_motility(lesion, model.step)
            compile_tables(lesion, names_of(lesion, model.drugs))
        fields = {name: field for lesion in model.lesions for name, field in lesion.fields.items()}
        volumes = [lesion_volume_ml(model, index) for index in range(len(model.lesions))]
        doses = regimen.absolute(model.body.weight) if phase == "treatment" else ()
        Host(model.body, model.drugs, fields, doses, volumes)


def _levels(experiment: Experiment) -> Iterator[Problem]:
    """Every problem of building what the runs build, with each factor of a sweep alone at each setting."""
    if experiment.sweep is None:
        return
    for factor, moves in experiment.sweep.alone():
        for settings in moves:
            setting = next(setting for setting in settings if setting is not None)
            found: list[Problem] = []
            with collecting(found, factor.place(setting).where):
                point = experiment.derived(settings)
                for arm in point.arms:
                    _compile(point, arm, doses_of(point, arm))
            for problem in found:
                yield replace(problem, what=f"{factor.words(setting)}: {problem.what}")


def _few_mscs(typical: Experiment, regimens: dict[str, Regimen]) -> Iterator[str]:
    """A sentence where doses of cells bring so few to a block that it cannot show what they do."""
    few = [f"{arm} {mscs:.2g}" for arm, mscs in _fewest(typical, regimens).items() if mscs < FEW_MSCS]
    if few:
        yield (
            f"{TOO_FEW_MSCS}: {', '.join(few)} expected per dose, where {FEW_MSCS:g} are needed to tell an "
            "effect from its absence; no comparison of these arms will speak for or against the therapy. "
            "Take a larger block, or ask what higher homing would do (tumor_fraction of the product)."
        )


def _fewest(experiment: Experiment, regimens: dict[str, Regimen]) -> dict[str, float]:
    """By arm that is given cells, how many its smallest dose brings to a block of the first patient."""
    return {
        arm: min(found.mscs for found in expected.values())
        for arm, regimen in regimens.items()
        if (expected := expectations(experiment.model(arm, 1, "treatment"), regimen))
    }


def _few_mscs_at_points(experiment: Experiment) -> Iterator[str]:
    """A sentence that counts the points of a sweep whose doses bring too few cells to some arm's block."""
    fewest = []
    for number, _ in experiment.points:
        point = experiment.at(number)
        mscs = _fewest(point, {arm: doses_of(point, arm) for arm in point.arms})
        if mscs:
            fewest.append(min(mscs.values()))
    few = sum(mscs < FEW_MSCS for mscs in fewest)
    if few:
        yield (
            f"{TOO_FEW_MSCS}: at {few} of {len(fewest)} points an arm's doses bring fewer than {FEW_MSCS:g} "
            f"({min(fewest):.2g} at the fewest); no comparison with it there will speak for or against the "
            "therapy. A larger block meets more."
        )


def _fast_clocks(experiment: Experiment) -> Iterator[str]:
    """A sentence for each hazard so fast that the tissue step blurs it."""
    told = set()
    for arm in experiment.arms:
        for behavior, hazard, step in _hazards(experiment.model(arm, 1, "treatment")):
            if hazard * step > FAST_CLOCK and behavior not in told:
                told.add(behavior)
                speed, most = units.format(24.0 * hazard, "/d"), units.format(FAST_CLOCK / hazard, "h")
                yield (
                    f"{behavior} reaches {speed}, fast for steps of {units.format(step, 'h')}: "
                    f"set step.tissue to {most} or less."
                )


def _hazards(model: Model) -> Iterator[tuple[str, float, float]]:
    """(kind: behavior, the most it can reach [1/h], step [h]) of every clock of a model."""
    for lesion in model.lesions:
        for kind, cell in lesion.cells.items():
            for name, behavior in cell.behaviors.items():
                if ACTIONS[name.partition(" ")[0]].hazard:
                    most = max([behavior.base, *(rule.to for rule in cell.rules if rule.behavior == name)])
                    yield f"{kind}: {name}", most, model.step.tissue
