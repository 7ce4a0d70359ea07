"""The doses of an arm, from what its file says."""

from typing import TYPE_CHECKING

from ..body.regimen import Regimen, parse

if TYPE_CHECKING:
    from ..config.load import Experiment


def doses_of(experiment: "Experiment", arm: str) -> Regimen:
    """The doses of an arm; raises InputError with every problem and its place in the file."""
    return parse(
        experiment.arms[arm].doses,
        experiment.model(arm, 1, "treatment").drugs,
        experiment.duration,
        experiment.locate_doses(arm),
        experiment.path.parent,
    )


def as_events(regimen: Regimen) -> list[dict[str, str]]:
    """The doses as events of an experiment file, which read back to the same bits."""
    return [
        {
            "drug": dose.drug,
            "time": f"{dose.time!r} h",
            "amount": f"{dose.amount!r} {dose.unit}",
            "duration": f"{dose.duration!r} h",
        }
        for dose in regimen.doses
    ]
