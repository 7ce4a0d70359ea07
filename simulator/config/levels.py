"""Every level of a sweep is tried before anything runs."""

from typing import TYPE_CHECKING

from ..base.errors import InputError
from .arms import Phase
from .digests import digest
from .factors import Factor, Setting
from .tree import Problems

if TYPE_CHECKING:
    from .load import Experiment

_PHASES: tuple[Phase, ...] = ("burn_in", "treatment")


def check_levels(experiment: "Experiment", problems: Problems) -> None:
    """Each factor alone goes through its settings: all must be possible, and some must differ."""
    if experiment.sweep is None:
        return
    for factor, moves in experiment.sweep.alone():
        before, seen = len(problems), set()
        for settings in moves:
            setting = next(setting for setting in settings if setting is not None)
            seen.add(_tried(experiment, settings, factor, setting, problems))
        if len(seen) == 1 and len(problems) == before:
            help = (
                "A phenotype, an arm or a population may set the same value over it (then name that path, or "
                "both in `paths`), or nothing here uses it."
            )
            problems.add(f"Factor {factor.name} changes nothing in this experiment.", help, factor.node.key)


def _tried(
    experiment: "Experiment",
    settings: tuple[Setting, ...],
    factor: Factor,
    setting: Setting,
    problems: Problems,
) -> str:
    """A digest of the first patient's models of every arm; what is wrong with them goes to `problems`."""
    found: list[object] = []

    def note(error: InputError) -> None:
        for problem in error.problems:
            where = problem.where or factor.place(setting).where
            problems.add(f"{factor.words(setting)}: {problem.what}", problem.help, where)

    try:
        point = experiment.derived(settings)
    except InputError as error:
        note(error)
        return ""
    for arm in point.arms:
        for phase in _PHASES:
            try:
                found.append(point.model(arm, 1, phase))
            except InputError as error:
                note(error)
        found.append(point.arms[arm].doses)
    return digest(found)
