"""Tidy tables of a study, made from its run files one at a time, and the results a user holds.

`runs.csv` has a row a run; `series.csv` a row a run, lesion, day and variable; `doses.csv` a row a run
and dose; `contrasts.csv` a row an arm of the declared comparison.
"""

import csv
import dataclasses
import hashlib
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, did_you_mean
from ..base.log import get_logger
from ..run import reading
from .designs.compare import Contrast, Member, contrast, contrasts
from .plan import Plan, Run
from .study import Study, writing
from .words import count

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

TABLES = ("runs", "series", "doses", "contrasts")
_OUTCOME = "log tumor_volume"
_SUMMED = {"cells", "sites", "mm", "mm3", "mL"}  # units of what adds up over a patient's lesions
_WHO = ("arm", "patient", "replicate")
_RUNS = (*_WHO, "seed", "digest", "file", "complete", "last_day", "expected_mscs", "h_hot", "host")
_DOSES = (*_WHO, "lesion", "number", "drug", "day", "planned", "given", "unit", "duration",
          "expected_mscs", "arrived")  # fmt: skip
_SERIES = (*_WHO, "seed", "lesion", "day", "variable", "value")

log = get_logger("experiment.collect")


class Results:
    """The results of a study: its tables, and contrasts of its arms.

    path : the study folder.  Raises InputError where there is no study.
    """

    def __init__(self, path: str | Path):
        self._study = Study(path)
        self.path = self._study.path
        self.plan = Plan.read(self._study.plan_file)
        self._members: dict[str, list[Member]] = {}

    @property
    def runs(self) -> "pd.DataFrame":
        """One row a run: arm, patient, replicate, digest, file, whether it is complete, …"""
        return self.table("runs")

    def table(self, name: str = "series") -> "pd.DataFrame":
        """A tidy table: 'runs', 'series' (days, and units as in the run files), 'doses', 'contrasts'.

        Raises InputError for another name, or where the tables are not made yet.
        """
        import pandas as pd

        if name not in TABLES:
            raise InputError(f"There is no table '{name}'.", did_you_mean(name, TABLES))
        path = self._study.tables / f"{name}.csv"
        if not path.is_file():
            raise InputError(f"{path} is missing.", "Run the study again: it makes its tables at the end.")
        texts = dict.fromkeys(("arm", "first", "second", "digest", "host"), str)
        return pd.read_csv(
            path, dtype=texts, keep_default_na=False, na_values=[""], float_precision="round_trip"
        )

    def contrast(
        self,
        first: str,
        second: str,
        outcome: str | None = None,
        day: float | None = None,
        level: float | None = None,
    ) -> Contrast:
        """First arm minus second, paired by patient and replicate.

        outcome : 'NAME' or 'log NAME' of a series (what adds up is summed over lesions, all else
        averaged); day [d], by default the declared one, else the last common record; level : of
        the interval.  Outcome and level default to what the study declares.  Raises InputError for
        an unknown arm or series.
        """
        declared = self.plan.compare or {}
        for arm in (first, second):
            if arm not in self.plan.arms:
                raise InputError(f"There is no arm '{arm}'.", did_you_mean(arm, self.plan.arms))
        return contrast(
            self._loaded(outcome or declared.get("outcome", _OUTCOME)),
            first,
            second,
            outcome or declared.get("outcome", _OUTCOME),
            declared.get("day") if day is None else day,
            level or declared.get("level", 0.95),
        )

    def _loaded(self, outcome: str) -> list[Member]:
        name = outcome.removeprefix("log ")
        if name not in self._members:
            members = []
            for run, file in _finished(self._study, self.plan):
                series = _series(file)
                members.append(_member(run, file, series, _doses(file), _outcome(file, series, name)))
            self._members[name] = members
        return self._members[name]

    def __repr__(self) -> str:
        finished = sum(self._study.run_file(run.digest).is_file() for run in self.plan.runs)
        lines = [f"{self.plan.title}: {finished} of {count(len(self.plan.runs), 'run')} in {self.path}"]
        if (self._study.tables / "contrasts.csv").is_file():
            lines += [_sentence(row) for row in self.table("contrasts").itertuples()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        first, *rest = repr(self).splitlines()
        return f"<p><b>{escape(first)}</b></p><ul>" + "".join(f"<li>{escape(r)}</li>" for r in rest) + "</ul>"


def collect(path: str | Path) -> Results:
    """Make the tables of a study from its finished runs, a run at a time; returns its results.

    Raises InputError where there is no study, SimulatorError where a table cannot be written.
    """
    results, study = Results(path), Study(path)
    plan = results.plan
    name = (plan.compare or {}).get("outcome", _OUTCOME).removeprefix("log ")
    members: dict[Run, Member] = {}
    with writing(study.tables), ExitStack() as stack:
        study.tables.mkdir(exist_ok=True)
        runs, series, doses = (stack.enter_context(_Table(study.tables, name)) for name in TABLES[:3])
        runs.rows([_RUNS])
        series.rows([_SERIES])
        doses.rows([_DOSES])
        for run, file in _finished(study, plan):
            try:
                each, given = _series(file), _doses(file)
                known = name in each[0]
                values = _outcome(file, each, name) if known else np.full(each[0]["day"].size, math.nan)
                members[run] = _member(run, file, each, given, values)
            except InputError as error:
                log.warning("%s counts as missing: %s", run, error)
                continue
            series.rows(_series_rows(run, each, plan.seed))
            doses.rows(_dose_rows(run, given))
        runs.rows(_run_row(run, members.get(run), study, plan.seed) for run in plan.runs)
    with writing(study.tables), _Table(study.tables, "contrasts") as table:
        rows = [found.row() for found in _declared(plan, list(members.values()))]
        names = list(rows[0]) if rows else [field.name for field in dataclasses.fields(Contrast)]
        table.rows([names, *(row.values() for row in rows)])
    return results


def _declared(plan: Plan, members: list[Member]) -> list[Contrast]:
    """The declared comparison; one that cannot be made is said and leaves the other tables alone."""
    if plan.compare is None or not members:
        return []
    declared = plan.compare
    try:
        return contrasts(
            members, plan.arms, declared["reference"], declared["outcome"], declared["day"], declared["level"]
        )
    except InputError as error:
        log.warning("The declared comparison cannot be made: %s", error)
        return []


class _Table:
    """A CSV file that appears whole or not at all."""

    def __init__(self, folder: Path, name: str):
        self._path = folder / f"{name}.csv"
        self._aside = folder / f".{name}.{os.getpid()}.csv"

    def __enter__(self) -> "_Table":
        self._file: IO[str] = open(self._aside, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        return self

    def __exit__(self, kind: Any, *_) -> None:
        self._file.close()
        if kind is None:
            os.replace(self._aside, self._path)
        else:
            self._aside.unlink(missing_ok=True)

    def rows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Append rows; what is not a number (NaN, None) stays empty."""
        self._writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    return value.item() if isinstance(value, np.generic) else value


def _sentence(row: Any) -> str:
    """A row of contrasts.csv in a line."""
    told = f"{row.first} minus {row.second}, {row.outcome}: {row.verdict}"
    if math.isnan(row.difference):
        return told
    interval = "" if math.isnan(row.low) else f" [{row.low:.3g}, {row.high:.3g}]"
    return f"{told}; {row.difference:.3g}{interval} on day {row.day:g}, {count(row.pairs, 'pair')}"


def _finished(study: Study, plan: Plan) -> Iterator[tuple[Run, reading.Run]]:
    """Every finished run of the plan with its open file, in the plan's order."""
    for run in plan.runs:
        if study.is_finished(run.digest):
            yield run, reading.read(study.run_file(run.digest))


def _who(run: Run) -> tuple[str, int, int]:
    return run.arm, run.patient, run.replicate


def _series(file: reading.Run) -> "list[xr.Dataset]":
    """The series of every lesion of a run."""
    return [file.lesion(number).series for number in range(file.lesions)]


def _series_rows(run: Run, series: "list[xr.Dataset]", seed: int) -> Iterator[tuple]:
    for lesion, each in enumerate(series):
        days = each["day"].values.tolist()
        for name in each.data_vars:
            for day, value in zip(days, each[name].values.tolist(), strict=True):
                yield *_who(run), seed, lesion, day, name, value


def _dose_rows(run: Run, doses: "pd.DataFrame") -> Iterator[tuple]:
    for row in doses.reindex(columns=list(_DOSES[len(_WHO) :])).itertuples(index=False):
        yield *_who(run), *row


def _run_row(run: Run, member: Member | None, study: Study, seed: int) -> tuple:
    file = study.run_file(run.digest).relative_to(study.path)
    row = (*_who(run), seed, run.digest, file.as_posix(), int(member is not None))
    return row if member is None else (*row, member.days[-1], member.expected_mscs, member.h_hot, member.host)


def _outcome(file: reading.Run, series: "list[xr.Dataset]", name: str) -> np.ndarray:
    """A quantity of the patient over time; raises InputError where it was not recorded."""
    if name not in series[0]:
        known = map(str, series[0].data_vars)
        raise InputError(f"{file.path} has no series '{name}'.", did_you_mean(name, known))
    values = np.array([each[name].values for each in series], dtype=float)
    adds_up = series[0][name].attrs.get("units") in _SUMMED
    return values.sum(axis=0) if adds_up else values.mean(axis=0)


def _member(
    run: Run, file: reading.Run, series: "list[xr.Dataset]", doses: "pd.DataFrame", values: np.ndarray
) -> Member:
    """A run as a comparison sees it, with the outcome `values`."""
    heat = np.concatenate([each["h_hot"].values for each in series if "h_hot" in each] or [np.zeros(0)])
    heat = heat[np.isfinite(heat)]
    return Member(
        *_who(run),
        days=np.asarray(series[0]["day"].values, dtype=float),
        values=values,
        host=_short(str(file.attributes.get("host", ""))),
        expected_mscs=_expected_mscs(doses),
        h_hot=float(heat.max()) if heat.size else None,
    )


def _doses(file: reading.Run) -> "pd.DataFrame":
    """The dose rows of a run's events."""
    events = file.events
    return events[events["type"] == "dose"] if "type" in events else events.iloc[:0]


def _expected_mscs(doses: "pd.DataFrame") -> float | None:
    """Cells expected in the block per dose that gives any, on average; None without such a dose."""
    if "expected_mscs" not in doses:
        return None
    cells = doses["unit"].str.startswith("cell") & (doses["planned"] > 0.0)
    return float(doses.loc[cells, "expected_mscs"].mean()) if cells.any() else None


def _short(text: str) -> str:
    """Eight hex digits that tell one host from another; empty for an unknown one."""
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest() if text else ""
