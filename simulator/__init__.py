"""Engineered mesenchymal stem cells against colorectal cancer, cell by cell.

    import simulator as sim

    experiment = sim.load("experiment.yaml")
    results = sim.run(experiment, out="study", workers=2)
    results.contrast("q21d", "q14d", "tumor_volume")
    run = sim.read("study/runs/….h5")

Functions import what they need when called, so that `simulator --help` answers at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config.load import Experiment
    from .experiment.collect import Results
    from .experiment.trial.execute import TrialResults
    from .run.reading import Run

from . import run as _run  # noqa: F401  first: importing the folder later would put it in the place of `run`

__version__ = "0.1.0"
__all__ = ["load", "read", "run"]


def load(path: str | Path, overrides: Sequence[str] = ()) -> "Experiment":
    """Read and check an experiment file.

    overrides : texts like 'cells.cd8.behaviors.kill.base=3 /d', as `--set` takes them.
    Raises InputError holding every problem of the file, with its place.
    """
    from .config.load import load as load_file
    from .vocabulary import VOCABULARY

    return load_file(path, VOCABULARY, overrides)


def run(
    experiment: "Experiment | str | Path", out: str | Path, workers: int | None = None
) -> "Results | TrialResults":
    """Run whatever an experiment describes into the study folder `out`; what is finished there is kept.

    Returns the results of a trial (`trial`, its study's `results`, the `path` of its tables) where the
    experiment is one, else those of a study.

    workers : processes at a time; None takes what the machine grants, 1 runs in this process.
    Raises InputError where the folder holds another study, SimulatorError where runs failed.
    """
    from .experiment.execute import execute

    if isinstance(experiment, str | Path):
        experiment = load(experiment)
    if experiment.protocol is not None:
        from .experiment.trial.execute import execute as execute_trial

        trial = execute_trial(experiment, Path(out), workers=workers)
        assert trial is not None
        return trial
    results = execute(experiment, Path(out), workers=workers)
    assert results is not None  # only a dry run has none
    return results


def read(path: str | Path) -> "Run":
    """Open a run file, finished or still growing; see `simulator.run.reading.Run`.

    Raises InputError where the file is not a run file or is damaged.
    """
    from .run.reading import read as read_file

    return read_file(path)
