"""The validation suite: run its experiments, judge what came out, keep the table."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from .base.errors import InputError, did_you_mean
from .config.catalogue import shipped
from .config.load import load
from .experiment.execute import execute
from .experiment.study import write_text, writing
from .experiment.validation.cases import CASES, Case
from .experiment.validation.target import MISSED, REACHED, Target
from .vocabulary import VOCABULARY

COLUMNS = ("case", "name", "target", "reached", "verdict", "note")


def chosen(names: Sequence[str]) -> list[Case]:
    """The cases named, all of them where none is.  Raises InputError for a name that is no case."""
    for name in names:
        if name not in CASES:
            raise InputError(f"There is no validation '{name}'.", did_you_mean(name, CASES))
    return [CASES[name] for name in names or CASES]


def validate(case: Case, folder: Path, workers: int | None = None, force: bool = False) -> list[Target]:
    """Run a case's experiment into a study folder of its own, or go on with it, and judge it.

    force : take over a folder that holds another study, as an earlier version leaves.
    """
    experiment = load(shipped() / f"{case.experiment}.yaml", VOCABULARY)
    results = execute(experiment, folder / case.name, workers=workers, force=force)
    assert results is not None  # only a dry run has none
    return case.targets(results)


def keep(rows: dict[str, list[Target]], folder: Path) -> Path:
    """Write the rows of each case to `validation.csv` and, to read, `validation.md`; returns the latter."""
    page = [
        "# Validation",
        "",
        "What `simulator validate` found: a miss is a miss, and its note says why.",
        "",
    ]
    for name, targets in rows.items():
        page += [f"## {CASES[name].title}", "", "| | target | reached | verdict | |", "|---|---|---|---|---|"]
        page += [
            f"| {t.name} | {t.target} | {t.reached} | {_marked(t.verdict)} | {t.note} |" for t in targets
        ]
        page.append("")
    with writing(folder):
        with open(folder / "validation.csv", "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows((name, *target) for name, targets in rows.items() for target in targets)
        write_text(folder / "validation.md", "\n".join(page))
    return folder / "validation.md"


def kept(folder: Path) -> dict[str, list[Target]]:
    """The rows that an earlier call wrote, by case."""
    path = folder / "validation.csv"
    rows: dict[str, list[Target]] = {}
    if path.is_file():
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["case"] in CASES:
                    rows.setdefault(row["case"], []).append(Target(*(row[name] for name in COLUMNS[1:])))
    return {name: rows[name] for name in CASES if name in rows}


def table(targets: Iterable[Target]) -> str:
    """Rows for the terminal: the question and its verdict, then what was known and what came out."""
    lines = []
    for target in targets:
        lines.append(
            f"  {target.verdict.upper() if target.verdict == MISSED else target.verdict}: {target.name}"
        )
        lines.append(f"      target {target.target}; reached {target.reached}")
        if target.note:
            lines.append(f"      {target.note}")
    return "\n".join(lines)


def summary(rows: dict[str, list[Target]]) -> str:
    """How many targets were reached."""
    verdicts = [target.verdict for targets in rows.values() for target in targets]
    return f"{verdicts.count(REACHED)} of {len(verdicts)} targets reached, {verdicts.count(MISSED)} missed."


def _marked(verdict: str) -> str:
    return f"**{verdict}**" if verdict == MISSED else verdict
