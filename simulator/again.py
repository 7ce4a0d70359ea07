"""A run repeated from nothing but its file."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from .base.errors import InputError
from .config.load import Experiment, load
from .run.difference import differences
from .run.doses import doses_of
from .run.reading import Run, read
from .run.simulation import grow, treat
from .vocabulary import VOCABULARY


class Verdict(NamedTuple):
    """Whether a run came out the same, where the repetition stands, and how it differs if it does."""

    reproduced: bool
    path: Path | None
    differences: list[str]

    def said_of(self, path: Path) -> str:
        """The verdict on the run in a file, in words."""
        if self.reproduced:
            first = f"Reproduced: every number of {path} came out the same."
        else:
            first = f"Not reproduced: {path} and its repetition differ."
        return "\n  ".join([first, *self.differences])


def again(
    path: str | Path, out: Path | None = None, threads: int = 1, say: Callable[[str], None] = print
) -> Verdict:
    """Run what a run file describes once more, and compare every number.

    out : a folder that keeps the repetition; without one it is thrown away.  Raises InputError where the
    file is no finished run, or does not hold all that it was made from.
    """
    run = read(path)
    if not run.complete:
        raise InputError(f"{run.path} is not complete.", "Finish it with the command that began it.")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        experiment = described(run, scratch)
        who = (run.arm, run.patient, run.replicate)
        digest = experiment.digest(*who, doses_of(experiment, run.arm).canonical())
        if digest != run.digest:
            say(f"This version knows the run by another digest: {digest}, not {run.digest}.")
        folder = out if out is not None else scratch
        folder.mkdir(parents=True, exist_ok=True)
        repeated, start = folder / f"{digest}.h5", scratch / "burn_in.ckpt"
        if repeated.exists():
            raise InputError(f"{repeated} is there already.", "Choose another folder with -o.")
        say(f"Growing the burn-in of patient {run.patient}, replicate {run.replicate} ...")
        grow(experiment, *who, start, threads=threads)
        say(f"Running {run.arm} ...")
        treat(experiment, *who, start, repeated, threads=threads)
        found = differences(run.path, repeated)
        same = _content(run) == read(repeated).attributes["content"]
        return Verdict(same, repeated if out is not None else None, found)


def described(run: Run, folder: Path) -> Experiment:
    """The experiment in a run file, of its one arm and patient; its text goes to `folder`.

    Raises InputError where the text is no experiment, or asks for a state that the file does not hold.
    """
    text = folder / "again.yaml"
    text.write_text(run.config, encoding="utf-8")
    try:
        return load(text, VOCABULARY)
    except InputError as error:
        what = f"{run.path} holds a configuration that this version cannot run: {error.problems[0].what}"
        raise InputError(what, error.problems[0].help) from error


def _content(run: Run) -> str:
    """Hash of a run's numbers; computed for files that do not hold it."""
    from .run.content import digest
    from .run.files import open_run

    with open_run(run.path) as file:
        return digest(file)
