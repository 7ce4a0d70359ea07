"""A study folder as the report sees it: the plan, the tables, and the series of every finished run.

Only files are read.  Whatever is missing becomes a sentence in `notes`; only a
folder that holds no study at all is an error.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ..base.errors import InputError
from ..experiment.designs.space import Space
from ..experiment.designs.sweep import TABLES as SWEEP_TABLES, read_space
from ..experiment.plan import Plan
from ..experiment.words import count
from ..run.reading import Run, read

RunKey = tuple[str, int, int]  # arm, patient, replicate

_TEXTS = ("arm", "first", "second", "drug", "unit", "digest", "host", "file", "outcome", "verdict", "notes")
_MANY = 20  # runs of an arm from which on 5 and 95 % are more than the outermost runs
_ADD_UP = {"cells", "sites", "mm", "mm3", "mL"}  # units of what sums over lesions, as in the contrasts
_DOSE_COLUMNS = ["drug", "day", "planned", "unit", "expected_mscs", "arrived"]


class Quantity(NamedTuple):
    """What a recorded number is: unit and words, as the run file says them."""

    unit: str
    words: str


@dataclass
class Study:
    """Everything a figure or a page may ask of a study.

    files, attributes : of each finished run.  series : one table a run (rows
    days, columns what its lesions and its body recorded).  tables : runs, doses
    and contrasts, empty where absent.  notes : what is missing, in sentences.
    config : the resolved configuration of one run.  space : of a sweep, its points and what came of them;
    files, series and the four tables are then those of the file itself, point 0, where that was run.
    trial : of a trial, the tables of its folder.
    """

    folder: Path
    plan: Plan
    files: dict[RunKey, Path] = field(default_factory=dict)
    attributes: dict[RunKey, dict[str, Any]] = field(default_factory=dict)
    series: dict[RunKey, pd.DataFrame] = field(default_factory=dict)
    quantities: dict[str, Quantity] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    lesions: int = 1
    space: Space | None = None
    trial: dict[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def arms(self) -> list[str]:
        """Arms that have a finished run, in the order of the plan."""
        present = {arm for arm, _, _ in self.files}
        return [arm for arm in self.plan.arms if arm in present]

    @property
    def compare(self) -> dict[str, Any]:
        """The declared comparison: reference, outcome, day, level; empty where none is declared."""
        return self.plan.compare or {}

    @property
    def reference(self) -> str | None:
        """The arm the others are compared with, if it has runs."""
        name = self.compare.get("reference")
        return name if name in self.arms else None

    @property
    def outcome(self) -> str:
        """The outcome of the declared comparison as written, e.g. 'log tumor_volume'."""
        return self.compare.get("outcome") or "log tumor_volume"

    @property
    def level(self) -> float:
        """The level of the intervals."""
        return self.compare.get("level") or 0.95

    @cached_property
    def span(self) -> tuple[float, float]:
        """First and last day of the study."""
        return 0.0, float(self.plan.duration_days)

    def table(self, name: str) -> pd.DataFrame | None:
        """Quantity `name` of every run: rows days, columns (arm, patient, replicate); None if unknown."""
        columns = {key: frame[name] for key, frame in self.series.items() if name in frame}
        if not columns:
            return None
        table = pd.DataFrame(columns).sort_index()
        table.columns = pd.MultiIndex.from_tuples(columns, names=["arm", "patient", "replicate"])
        return table.dropna(how="all")

    def people(self) -> str:
        """How many patients and replicates stand behind a figure, in words."""
        patients = len({patient for _, patient, _ in self.files})
        replicates = len({replicate for _, _, replicate in self.files})
        return f"{count(patients, 'patient')} × {count(replicates, 'replicate')}"

    @property
    def spread(self) -> tuple[str, float, float]:
        """What a fan spans, in words and as quantiles: of few runs, all of them."""
        runs = [arm for arm, _, _ in self.files]
        fewest = min((runs.count(arm) for arm in self.arms), default=0)
        return ("range", 0.0, 1.0) if fewest < _MANY else ("5–95 %", 0.05, 0.95)

    @cached_property
    def _doses(self) -> pd.DataFrame:
        """Doses of a typical patient: one row an arm, number and drug; amounts are medians."""
        doses = self.tables.get("doses", pd.DataFrame())
        if doses.empty or not {"arm", "number", *_DOSE_COLUMNS} <= set(doses.columns):
            return pd.DataFrame(columns=["arm", "number", *_DOSE_COLUMNS])
        by = ["arm", "number", "drug", "unit", "day"]
        return doses.groupby(by, sort=True)[["planned", "expected_mscs", "arrived"]].median().reset_index()

    def arm_doses(self, arm: str) -> pd.DataFrame:
        """Doses of an arm for a typical patient, with columns drug, day, planned, unit, …"""
        return self._doses[self._doses["arm"] == arm]

    @cached_property
    def products(self) -> list[str]:
        """What is given in this study, living cells first, each in the order of the arms."""
        given = self._doses[self._doses["planned"] > 0]
        names = dict.fromkeys(drug for arm in self.arms for drug in given.loc[given["arm"] == arm, "drug"])
        return sorted(names, key=lambda drug: not self.is_cells(drug))

    def is_cells(self, product: str) -> bool:
        """True for a product of living cells."""
        units = self._doses.loc[self._doses["drug"] == product, "unit"]
        return bool(len(units)) and str(units.iloc[0]).startswith("cell")

    def largest_dose(self, product: str) -> float:
        """The largest single amount of a product in any arm."""
        return float(self._doses.loc[self._doses["drug"] == product, "planned"].max())

    @property
    def idle(self) -> list[str]:
        """Rules that had nothing to act on, as the runs tell."""
        told = (str(attributes.get("idle", "")).splitlines() for attributes in self.attributes.values())
        return list(dict.fromkeys(line for lines in told for line in lines if line))

    @cached_property
    def warnings(self) -> list[str]:
        """Warnings and errors in the log of the study, each once, whatever numbers it names."""
        try:
            lines = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        told = (re.fullmatch(r"\S+ \S+ (?:WARNING|ERROR) +(.*)", line) for line in lines)
        said = [found[1] for found in told if found]
        return list({re.sub(r"\d[\d.e+-]*", "0", line): line for line in reversed(said)}.values())[::-1]

    def runs_of_one_person(self) -> list[tuple[str, Path]]:
        """Run files of the first patient and replicate that most arms share: (arm, path)."""
        sharing: dict[tuple[int, int], int] = {}
        for _, patient, replicate in self.files:
            sharing[patient, replicate] = sharing.get((patient, replicate), 0) + 1
        if not sharing:
            return []
        person = min(sharing, key=lambda who: (-sharing[who], who))
        return [(arm, self.files[arm, *person]) for arm in self.arms if (arm, *person) in self.files]


def open_study(folder: Path) -> Study:
    """Read a study folder; raises InputError where it holds no plan that can be read."""
    study = Study(folder, Plan.read(folder / "plan.json"))
    for name in ("runs", "contrasts", "doses", "attribution"):
        rows = _table(folder / "tables" / f"{name}.csv", study.notes)
        study.tables[name] = rows[rows["point"] == 0] if "point" in rows else rows
    if study.plan.sweep is not None:
        _add_sweep(study)
    for key, path in _run_files(study):
        _add_run(study, key, path)
    if not study.files and study.space is None:
        study.notes.append("No run of this study is finished, so there is nothing to draw yet.")
    return study


def _add_sweep(study: Study) -> None:
    """The tables of a sweep, and what the runs of all points say of themselves, from the first that can."""
    folder = study.folder / "tables"
    for name in SWEEP_TABLES:  # each design has its own
        if (folder / f"{name}.csv").is_file():
            study.tables[name] = _table(folder / f"{name}.csv", study.notes)
    try:
        study.space = read_space(folder, study.plan)
    except (OSError, ValueError, KeyError) as error:
        study.notes.append(f"The tables of the sweep cannot be read: {error}")
    for run in study.plan.runs:
        path = study.folder / "runs" / f"{run.digest}.h5"
        if path.is_file():
            found = read(path)
            study.attributes[run.arm, run.patient, run.replicate] = dict(found.attributes)
            study.config = _parsed(found.config)
            return


def _table(path: Path, notes: list[str]) -> pd.DataFrame:
    try:
        texts = dict.fromkeys(_TEXTS, str)
        # An arm may be called NA.
        return pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        notes.append(f"There is no table {path.name}.")
    except (OSError, ValueError) as error:
        notes.append(f"The table {path.name} cannot be read: {error}")
    return pd.DataFrame()


def _run_files(study: Study) -> Iterator[tuple[RunKey, Path]]:
    missing = 0
    for run in study.plan.runs:
        if run.point != 0:
            continue
        path = study.folder / "runs" / f"{run.digest}.h5"
        if path.is_file():
            yield (run.arm, run.patient, run.replicate), path
        else:
            missing += 1
    if missing:
        study.notes.append(f"{missing} of {len(study.plan.runs)} runs are not finished and left out.")


def _add_run(study: Study, key: RunKey, path: Path) -> None:
    """Take the series and the body of one run into the study, or note why not."""
    try:
        run = read(path)
        frame, quantities, attributes = *_recorded(run), dict(run.attributes)
    except InputError as error:
        study.notes.append(f"A run of arm {key[0]} is left out. {error.problems[0].what}")
        return
    study.quantities = {**quantities, **study.quantities}
    study.series[key], study.attributes[key], study.files[key] = frame, attributes, path
    study.lesions = max(study.lesions, run.lesions)
    study.config = study.config or _parsed(run.config)


def _parsed(text: str) -> dict[str, Any]:
    """A run's configuration; empty where it cannot be read, since only words of the page come from it."""
    try:
        config = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return {}
    return config if isinstance(config, dict) else {}


def _recorded(run: Run) -> tuple[pd.DataFrame, dict[str, Quantity]]:
    """What a run recorded over time, lesions taken together, and what each column is."""
    lesions = [run.lesion(number).series for number in range(run.lesions)]
    columns, quantities = {}, {}
    for parts in (lesions, [run.body]):
        for name, array in parts[0].data_vars.items():
            unit, words = str(array.attrs.get("units", "")), str(array.attrs.get("long_name", name))
            quantities[str(name)] = Quantity(unit, words)
            together = np.sum if unit in _ADD_UP else np.mean
            columns[str(name)] = together([part[name].values for part in parts], axis=0)
    return pd.DataFrame(columns, index=lesions[0]["day"].values), quantities
