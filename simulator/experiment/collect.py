"""Tidy tables of a study, made from its run files one at a time, and the results a user holds.

`runs.csv` has a row a run; `series.csv` a row a run, lesion, day and variable; `doses.csv` a row a run
and dose; `contrasts.csv` a row an arm of the declared comparison, at each point of a sweep;
`attribution.csv` what each dose brought (`attribution`).
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base.errors import InputError, did_you_mean
from ..base.log import get_logger
from ..run import reading
from . import attribution
from .designs.compare import Contrast, Member, contrast, contrasts
from .designs.sweep import TABLES as SWEEP_TABLES, course_rows, outcome_rows, write_sweep
from .plan import Plan, Run
from .study import Study, writing
from .tables import Table
from .words import count

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_OF_ANY = ("runs", "series", "doses", "contrasts", "attribution")
TABLES = (*_OF_ANY, *SWEEP_TABLES)
_OUTCOME = "log tumor_volume"
_SUMMED = {"cells", "sites", "mm", "mm3", "mL"}  # units of what adds up over a patient's lesions
_WHO = ("point", "arm", "patient", "replicate")
_RUNS = (*_WHO, "seed", "digest", "file", "complete", "last_day", "expected_mscs", "h_hot", "host")
_DOSES = (*_WHO, "lesion", "number", "drug", "day", "planned", "given", "unit", "duration",
          "expected_mscs", "arrived")  # fmt: skip
_SERIES = (*_WHO, "seed", "lesion", "day", "variable", "value")
_CONTRASTS = ("point", *Contrast.columns())
_BROUGHT = (*_WHO, *attribution.COLUMNS)
_KEPT_RUNS = 64  # files whose series are held: points share runs, an arm without the product above all
_MOST_ROWS = 5_000_000  # of the series of a sweep

log = get_logger("experiment.collect")


class Results:
    """The results of a study: its tables, and contrasts of its arms.

    path : the study folder.  Raises InputError where there is no study.
    """

    def __init__(self, path: str | Path):
        self._study = Study(path)
        self.path = self._study.path
        self.plan = Plan.read(self._study.plan_file)
        self._members: dict[tuple[str, int], list[Member]] = {}

    @property
    def runs(self) -> "pd.DataFrame":
        """One row a run: arm, patient, replicate, digest, file, whether it is complete, …"""
        return self.table("runs")

    def table(self, name: str = "series") -> "pd.DataFrame":
        """A tidy table: 'runs', 'series' (days, and units as in the run files), 'doses', 'contrasts' or
        'attribution'.

        Of a sweep also 'points', 'factors', 'outcomes', 'courses', 'conclusions', 'parts' and, by its design,
        'effects', 'sensitivity' or 'threshold'; see `experiment.designs.sweep`.  Raises InputError for
        another name, or where the tables are not made yet.
        """
        import pandas as pd

        if name not in TABLES:
            raise InputError(f"There is no table '{name}'.", did_you_mean(name, TABLES))
        if name in SWEEP_TABLES and self.plan.sweep is None:
            raise InputError(f"Only a sweep has a table '{name}'.", did_you_mean("", _OF_ANY))
        path = self._study.tables / f"{name}.csv"
        if name in SWEEP_TABLES and not path.is_file() and path.with_name("points.csv").is_file():
            made = [table for table in TABLES if path.with_name(f"{table}.csv").is_file()]
            raise InputError(f"This design has no table '{name}'.", did_you_mean("", made))
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
        point: int | None = None,
    ) -> Contrast:
        """First arm minus second, paired by patient and replicate.

        outcome : 'NAME' or 'log NAME' of a series (what adds up is summed over lesions, all else
        averaged); day [d], by default the declared one, else the last common record; level : of
        the interval; point : of a sweep, by default the file itself (0) where that was run.  Outcome
        and level default to what the study declares.  Raises InputError for an unknown arm, series
        or point.
        """
        declared = self.plan.compare or {}
        for arm in (first, second):
            if arm not in self.plan.arms:
                raise InputError(f"There is no arm '{arm}'.", did_you_mean(arm, self.plan.arms))
        return contrast(
            self._loaded(outcome or declared.get("outcome", _OUTCOME), self._known_point(point)),
            first,
            second,
            outcome or declared.get("outcome", _OUTCOME),
            declared.get("day") if day is None else day,
            level or declared.get("level", 0.95),
        )

    def _known_point(self, point: int | None) -> int:
        numbers = [number for number, *_ in self.plan.points]
        wanted = 0 if point is None else point
        if wanted not in numbers:
            what = f"There is no point {point}." if point is not None else "A grid has many points."
            raise InputError(what, f"Give one of points {numbers[0]} to {numbers[-1]}; see table('points').")
        return wanted

    def _loaded(self, outcome: str, point: int) -> list[Member]:
        name = outcome.removeprefix("log ")
        if (name, point) not in self._members:
            members = []
            for run in self.plan.runs:
                if run.point == point and self._study.is_finished(run.digest):
                    file = reading.read(self._study.run_file(run.digest))
                    series, host = _series(file), _short(str(file.attributes.get("host", "")))
                    values = _outcome(file, series, name)
                    members.append(_member(run, series, _doses(file), values, host))
            self._members[name, point] = members
        return self._members[name, point]

    def __repr__(self) -> str:
        finished = sum(self._study.run_file(run.digest).is_file() for run in self.plan.runs)
        points = f", {count(len(self.plan.points), 'point')}" if self.plan.sweep is not None else ""
        runs = f"{finished} of {count(len(self.plan.runs), 'run')}{points}"
        lines = [f"{self.plan.title}: {runs} in {self.path}"]
        if self.plan.sweep is None and (self._study.tables / "contrasts.csv").is_file():
            lines += [_sentence(row) for row in self.table("contrasts").itertuples()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        first, *rest = repr(self).splitlines()
        return f"<p><b>{escape(first)}</b></p><ul>" + "".join(f"<li>{escape(r)}</li>" for r in rest) + "</ul>"


def collect(path: str | Path) -> Results:
    """Make the tables of a study from its finished runs, a run at a time; returns its results.

    Of every run only the outcome is kept.  Raises InputError where there is no study, SimulatorError where
    a table cannot be written.
    """
    results, study = Results(path), Study(path)
    plan = results.plan
    with writing(study.tables), ExitStack() as stack:
        study.tables.mkdir(exist_ok=True)
        writer = _Writer(study, plan, stack)
        for number, runs in groupby(plan.runs, key=lambda run: run.point):
            writer.point(number, list(runs))
    if plan.sweep is not None:
        with writing(study.tables):
            write_sweep(study.tables, plan, writer.outcomes, writer.courses)
    return results


class _Writer:
    """Writes the tables of a study, point by point.

    outcomes : rows of the declared outcome on the declared day; courses : of contrasts over time.
    """

    def __init__(self, study: Study, plan: Plan, stack: ExitStack):
        self.study, self.plan = study, plan
        self.runs, self.series, self.doses, self.contrasts, self.brought = (
            stack.enter_context(Table(study.tables, name)) for name in _OF_ANY
        )
        self.runs.rows([_RUNS])
        self.series.rows([_SERIES])
        self.doses.rows([_DOSES])
        self.contrasts.rows([_CONTRASTS])
        self.brought.rows([_BROUGHT])
        self.name = (plan.compare or {}).get("outcome", _OUTCOME).removeprefix("log ")
        self.outcomes: list[tuple] = []
        self.courses: list[tuple] = []
        self._read = lru_cache(_KEPT_RUNS)(self._recorded)
        self._only: str | None = None  # the series that is written, where all would be too many

    def point(self, number: int, runs: list[Run]) -> None:
        """Everything about the runs of one point."""
        members: dict[Run, Member] = {}
        for run in runs:
            found = self._read(run.digest)
            if found is None:
                continue
            if self.plan.sweep is not None and self._only is None:
                self._only = self._limit(found)
            members[run] = found.member(run)
            self.series.rows(_series_rows(run, found.series, self.plan.seed, self._only or ""))
            self.doses.rows(_dose_rows(run, found.doses))
            self.brought.rows((*_who(run), *row) for row in found.brought.itertuples(index=False))
        self.runs.rows(_run_row(run, members.get(run), self.study, self.plan.seed) for run in runs)
        contrasts = _declared(self.plan, list(members.values()))
        self.contrasts.rows((number, *each.row().values()) for each in contrasts)
        if self.plan.sweep is not None:
            declared = self.plan.compare or {}
            log_scale = declared.get("outcome", _OUTCOME).startswith("log ")
            days = [each.day for each in contrasts if each.pairs]
            day = days[0] if days else declared.get("day")
            self.outcomes += outcome_rows(members.values(), number, day, log_scale)
            self.courses += course_rows(members.values(), number, contrasts, log_scale)

    def _recorded(self, digest: str) -> "_Recorded | None":
        """What the finished run of a digest recorded; None where there is none, or it cannot be read."""
        if not self.study.is_finished(digest):
            return None
        try:
            file = reading.read(self.study.run_file(digest))
            each, given = _series(file), _doses(file)
            known = self.name in each[0]
            values = _outcome(file, each, self.name) if known else np.full(each[0]["day"].size, math.nan)
            brought = attribution.attribution(file)
            return _Recorded(each, given, brought, values, _short(str(file.attributes.get("host", ""))))
        except InputError as error:
            run = next(run for run in self.plan.runs if run.digest == digest)
            log.warning("%s counts as missing: %s", run, error)
            return None

    def _limit(self, found: "_Recorded") -> str:
        """The series of a sweep that are written: all ("") unless their rows would be too many to use."""
        each = sum(len(one.data_vars) * one.sizes["day"] for one in found.series)
        if each * len(self.plan.runs) <= _MOST_ROWS:
            return ""
        log.info(
            "series.csv holds %s alone: all series of %s would be %s rows; they stand in the run files.",
            self.name, count(len(self.plan.runs), "run"), f"{each * len(self.plan.runs):,}",
        )  # fmt: skip
        return self.name


class _Recorded(NamedTuple):
    """What a table needs of one run file."""

    series: "list[xr.Dataset]"
    doses: "pd.DataFrame"
    brought: "pd.DataFrame"
    values: np.ndarray
    host: str

    def member(self, run: Run) -> Member:
        """The run as a comparison sees it."""
        return _member(run, self.series, self.doses, self.values, self.host)


def _declared(plan: Plan, members: list[Member]) -> list[Contrast]:
    """The declared comparison; one that cannot be made is said and leaves the other tables alone."""
    if plan.compare is None or not members:
        return []
    declared = plan.compare
    try:
        pairs = [(arm, declared["reference"]) for arm in plan.arms if arm != declared["reference"]]
        pairs += declared.get("also", {}).items()
        return contrasts(members, pairs, declared["outcome"], declared["day"], declared["level"])
    except InputError as error:
        log.warning("The declared comparison cannot be made: %s", error)
        return []


def _sentence(row: Any) -> str:
    """A row of contrasts.csv in a line."""
    told = f"{row.first} minus {row.second}, {row.outcome}: {row.verdict}"
    if math.isnan(row.difference):
        return told
    interval = "" if math.isnan(row.low) else f" [{row.low:.3g}, {row.high:.3g}]"
    return f"{told}; {row.difference:.3g}{interval} on day {row.day:g}, {count(row.pairs, 'pair')}"


def _who(run: Run) -> tuple[int, str, int, int]:
    return run.point, run.arm, run.patient, run.replicate


def _series(file: reading.Run) -> "list[xr.Dataset]":
    """The series of every lesion of a run."""
    return [file.lesion(number).series for number in range(file.lesions)]


def _series_rows(run: Run, series: "list[xr.Dataset]", seed: int, only: str = "") -> Iterator[tuple]:
    """Every series of a run, or one alone."""
    for lesion, each in enumerate(series):
        days = each["day"].values.tolist()
        for name in [only] if only in each else each.data_vars:
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
    run: Run, series: "list[xr.Dataset]", doses: "pd.DataFrame", values: np.ndarray, host: str
) -> Member:
    """A run as a comparison sees it, with the outcome `values`."""
    heat = np.concatenate([each["h_hot"].values for each in series if "h_hot" in each] or [np.zeros(0)])
    heat = heat[np.isfinite(heat)]
    return Member(
        run.arm,
        run.patient,
        run.replicate,
        days=np.asarray(series[0]["day"].values, dtype=float),
        values=values,
        host=host,
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
