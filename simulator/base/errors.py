"""One shape for every error a user can cause: where, what, what is allowed, what to do."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """A place in a text file; line and column count from 1.  Line 0: a value of the command line."""

    file: str
    line: int
    column: int
    text: str = ""


@dataclass(frozen=True)
class Problem:
    """One thing wrong: `what` says it in a sentence, `help` what to do or what is allowed."""

    what: str
    help: str = ""
    where: Location | None = None

    def __str__(self) -> str:
        lines = []
        if self.where is not None:
            place = self.where
            position = f":{place.line}:{place.column}" if place.line else ""
            lines.append(f"{place.file}{position}: {self.what}")
            if place.text and place.line:
                lines.append(f"    {place.text}")
                lines.append("    " + " " * (place.column - 1) + "^")
        else:
            lines.append(self.what)
        if self.help:
            lines.append(f"    {self.help}")
        return "\n".join(lines)


class SimulatorError(Exception):
    """Something failed that is not the user's input (exit code 1)."""

    exit_code = 1


class InputError(SimulatorError):
    """What the user gave cannot be used (exit code 2); holds every problem found."""

    exit_code = 2

    def __init__(self, problems: str | Problem | Iterable[Problem], help: str = ""):
        if isinstance(problems, str):
            problems = [Problem(problems, help)]
        elif isinstance(problems, Problem):
            problems = [problems]
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """A sentence naming the nearest option, or listing a short list; may be empty."""
    options = sorted(options)
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    if len(options) <= 12:
        return f"Allowed: {', '.join(options)}." if options else ""
    return f"Allowed: {', '.join(options[:12])} and {len(options) - 12} more."
