"""The commands.  Each imports what it needs when it is called, so that `simulator --help` answers at once."""

import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from . import __version__
from .base.errors import InputError, SimulatorError

if TYPE_CHECKING:
    from .check import Checked

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="simulator",
    help="Engineered MSCs against colorectal cancer, cell by cell: compare dosing schedules.",
    help_epilogue="Begin with `simulator run demo`, or with `simulator init my-study`.\n"
    "More on a command: `simulator COMMAND --help`.",
    help_format="plaintext",
    version=__version__,
    suppress_keyboard_interrupt=False,
)

_File = Annotated[
    str, Parameter(help="an experiment file, or one that ships: demo, schedules, mechanisms, nct06446050 …")
]
_Set = Annotated[
    list[str] | None,
    Parameter(
        name="--set", negative="", help="change a value by its path: --set 'duration=20 d'; repeatable"
    ),
]
_Flag = Parameter(negative="", show_default=False)


def _command(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Add a command; `--help` lists commands in the order of this file."""
    return app.command(function, sort_key=len(list(app)), help_epilogue="")


@_command
def init(folder: Annotated[Path, Parameter(help="made if absent")], /) -> None:
    """Write a commented starter experiment into a folder; overwrites nothing."""
    from .starter import write

    path = write(folder)
    print(f"Wrote {path}. Edit it, then:")
    for command in ("check", "explain", "run"):
        print(f"  simulator {command} {shlex.quote(str(path))}")


@_command
def check(file: _File, /, *, overrides: _Set = None) -> None:
    """Find the mistakes in an experiment file, without running it."""
    checked = _checked(file, overrides)
    print(f"{file}: no problems. {checked.size}")
    for sentence in checked.experiment.idle:
        print(f"idle: {sentence}")


@_command
def explain(
    file: _File | None = None,
    /,
    *,
    vocabulary: Annotated[bool, _Flag] = False,
    overrides: _Set = None,
) -> None:
    """Say in prose what an experiment will do: arms, doses, expected MSCs, cells, rules, cost.

    Parameters
    ----------
    vocabulary
        print what a file may name: actions, signals, observables
    """
    from . import explain as prose

    if vocabulary:
        from .vocabulary import VOCABULARY

        print(prose.vocabulary_text(VOCABULARY), end="")
    elif file is None:
        raise InputError("There is nothing to explain.", "Give an experiment file, or --vocabulary.")
    if file is not None:
        from .check import checked

        print(prose.explain(checked(file, overrides or ())), end="")


@_command
def run(
    file: _File | None = None,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    overrides: _Set = None,
    seed: int | None = None,
    replicates: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    again: Path | None = None,
    dry_run: Annotated[bool, _Flag] = False,
    force: Annotated[bool, _Flag] = False,
) -> int:
    """Run an experiment into a study folder; the same command again goes on where it stopped.

    Parameters
    ----------
    out
        the study folder; by default named as the file
    seed
        another seed than the file's
    replicates
        another number of replicates than the file's
    workers
        runs at a time, each a process; by default what processors and memory allow
    threads
        processors of each run; by default what the workers leave
    scheduler
        run on the workers of a dask scheduler, as in tcp://HOST:8786; they must see the study folder
    shard
        I/N: run only the I-th of N parts, counted from 1, e.g. one on each machine
    from_
        RUN.h5@21d: begin where another run stood on a day whose state it kept (`record.checkpoints`)
    again
        repeat a run from nothing but its file RUN.h5, and say whether every number came out the same
    dry_run
        say how much there is to do, and do nothing
    force
        take over a folder that holds another study
    """
    from .base.log import to_console
    from .experiment.plan import parse_shard

    if again is not None:
        return _again(again, out, threads or 1)
    if file is None:
        raise InputError("There is nothing to run.", "Give an experiment file, or --again RUN.h5.")
    part = parse_shard(shard) if shard is not None else None
    checked = _checked(file, [*(overrides or ()), *_shorthands(seed, replicates, from_)])
    to_console()
    folder = out if out is not None else Path(Path(file).stem)
    how = {"workers": workers, "threads": threads, "scheduler": scheduler, "force": force, "dry_run": dry_run}
    is_trial = checked.experiment.protocol is not None
    (_run_trial if is_trial else _run_study)(checked, folder, part, **how)
    return DONE


def _run_study(checked: "Checked", folder: Path, shard: tuple[int, int] | None, **how: Any) -> None:
    """Run the study of a file, and print what it found."""
    from .experiment.execute import execute
    from .outcome import outcome

    results = execute(checked.experiment, folder, shard=shard, **how)
    if results is not None:
        print(outcome(results))
        print(f"\nFigures and tables on one page: simulator report {shlex.quote(str(folder))}")


def _shorthands(seed: int | None, replicates: int | None, from_: str | None) -> list[str]:
    """Options that stand for an override."""
    given = {"seed": seed, "replicates": replicates}
    found = [f"{key}={value}" for key, value in given.items() if value is not None]
    if from_ is not None:
        from .run.resume import named

        found.append(f"burn_in={{from: {json.dumps(str(named(from_).absolute()))}}}")
    return found


def _again(path: Path, out: Path | None, threads: int) -> int:
    """Repeat a run; fails where it does not come out the same."""
    from .again import again
    from .base.log import to_console

    to_console()
    verdict = again(path, out, threads)
    print(verdict.said_of(path))
    return DONE if verdict.reproduced else FAILED


def _run_trial(checked: "Checked", folder: Path, shard: tuple[int, int] | None, **how: Any) -> None:
    """Run the trial of a file, and print its synopsis."""
    from . import odd
    from .experiment.trial.execute import execute

    if shard is not None:
        raise InputError(
            "A trial has no shards: who is treated how depends on those before.", "Leave it out."
        )
    done = execute(checked.experiment, folder, pages={"odd.md": odd.text(checked)}, **how)
    if done is not None:
        print((done.path / "synopsis.md").read_text(encoding="utf-8"))
        print(f"All tables: {done.path}; figures on one page: simulator report {shlex.quote(str(folder))}")


@_command
def report(folder: Annotated[Path, Parameter(help="of a study, finished or not")], /) -> None:
    """Draw the figures of a study and write its report, one self-contained HTML file."""
    from .report.page import write

    print(f"Report: {write(folder)}")


@_command
def export(
    path: Annotated[Path, Parameter(help="a run file (*.h5)")],
    /,
    *,
    to: Annotated[str, Parameter(help="csv, h5ad, vtkhdf, png or gif")],
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    force: Annotated[bool, _Flag] = False,
) -> None:
    """Write a run for other tools: tables, AnnData, ParaView, pictures.

    Parameters
    ----------
    out
        a file or folder; by default beside the run, named as it
    force
        write over what is there
    """
    from .report.export import export as write

    print(f"Wrote {write(path, to, out, force)}")


@_command
def validate(
    names: Annotated[list[str] | None, Parameter(help="some of the cases; all without")] = None,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("validation"),
    workers: int | None = None,
    force: Annotated[bool, _Flag] = False,
    list_: Annotated[bool, Parameter(name="--list", negative="", show_default=False)] = False,
) -> None:
    """Hold the model against what is known: runs experiments for hours, prints target, reached, verdict.

    Parameters
    ----------
    out
        where the studies and the table are kept; what is finished there is not run again
    workers
        runs at a time; by default what processors and memory allow
    force
        take over studies that an earlier version of the simulator left there, and run them anew
    list_
        name the cases and do nothing
    """
    from . import validate as validation

    cases = validation.chosen(names or ())
    if list_:
        for case in cases:
            print(f"{case.name:<16} {case.title} ({case.experiment})")
        return
    from .base.log import to_console

    to_console()
    rows = validation.kept(out)
    for case in cases:
        rows[case.name] = validation.validate(case, out, workers, force)
        path = validation.keep(rows, out)
        print(f"{case.title}\n{validation.table(rows[case.name])}\n")
    print(f"{validation.summary(rows)} Table: {path}")


@_command
def info(
    path: Annotated[Path, Parameter(help="a study folder, a run file (*.h5) or a burn-in (*.ckpt)")],
    /,
    *,
    check: Annotated[bool, _Flag] = False,
    diff: Path | None = None,
) -> int:
    """Say what a study folder, a run file or a burn-in holds.

    Parameters
    ----------
    check
        read every number and say whether the file keeps what the format promises
    diff
        another run file: say where the two part, and what made them differ
    """
    from .info import describe, verdict

    if diff is not None:
        from .run.difference import differences

        found = differences(diff, path)
        print("\n".join(found) or f"{diff} and {path} hold the same numbers, made by the same.")
        return FAILED if found else DONE
    if not check:
        print(describe(path))
        return DONE
    sound, said = verdict(path)
    print(said)
    return DONE if sound else FAILED


@_command
def doctor(*, warm: Annotated[bool, _Flag] = False) -> int:
    """Say what this machine can do, and whether anything essential is broken.

    Parameters
    ----------
    warm
        compile the kernels first, so that no run has to: once for an installation, up to a minute
    """
    from .doctor import examine

    if warm:
        from .run.warm import warm as compile_kernels

        print(f"Kernels ready after {compile_kernels(print):.1f} s.")
    findings = examine(Path.cwd())
    print(f"simulator {__version__}")
    for finding in findings:
        print(finding)
    return DONE if all(finding.fine for finding in findings) else FAILED


def _checked(file: str, overrides: list[str] | None) -> "Checked":
    """A checked experiment; what to beware of goes to stderr."""
    from .check import checked

    found = checked(file, overrides or ())
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted.

    arguments : as on the command line; by default those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter shall not end a run
    try:
        return _attempt(arguments)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return INTERRUPTED
    except CycloptsError as error:
        error.verbose = False
        _tell(str(error), "See `simulator --help`, or `simulator COMMAND --help`.")
        return BAD_INPUT
    except InputError as error:
        for problem in error.problems:
            _tell(*str(problem).splitlines())
        if len(error.problems) > 1:
            _tell(f"{len(error.problems)} problems.")
        return error.exit_code
    except SimulatorError as error:
        _tell(*str(error).splitlines())
        return error.exit_code
    except BrokenPipeError:  # `simulator explain … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        _tell(f"{error.strerror or error}{': ' if error.filename else ''}{error.filename or ''}")
        return FAILED
    except Exception:
        _tell("This is a mistake in the simulator, not in your input. Please report it with what follows.")
        traceback.print_exc()
        return FAILED


def _attempt(arguments: Sequence[str] | None) -> int:
    code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    sys.stdout.flush()  # a reader that has left is noticed here
    return code if isinstance(code, int) else DONE


def _tell(headline: str, *details: str) -> None:
    """An error on stderr: the headline stands out on a terminal, and lines keep their columns."""
    from rich.text import Text

    from .base.log import console

    text = Text(headline, "bold red")
    for line in details:
        text.append("\n").append(line, "red" if line.strip() == "^" else "default not bold")
    console().print(text, soft_wrap=True)
