"""The paired comparison of two arms: how large a difference, how sure, and what could have been seen.

Arms share patients and dice, so runs pair by (patient, replicate).  Patients, not replicates, are the
sample (Hurlbert 1984, doi:10.2307/1942661): replicates of a patient are averaged first, unless there
is one patient only.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...base.errors import InputError, did_you_mean
from ..words import count
from .paired import POWER, Paired, holm, paired

FEW_MSCS = 10.0  # expected per dose and block; with fewer, a block cannot show what the therapy does

DIFFERENCE = "difference"
NOT_SEEN = "no difference seen"
TOO_FEW_MSCS = "too few MSCs in the block"
SINGLE_PAIR = "single pair"
NO_PAIRS = "no pairs"
NOT_DEFINED = "not defined"  # the log of zero, or an outcome that was not a number


class Member(NamedTuple):
    """One finished run as a comparison sees it: its outcome over time, and what qualifies it.

    days, values : record times [d] and the outcome at them, 1-D of one length; host : what names
    the machine and the versions; expected_mscs : cells expected per dose and block, mean over the
    doses, None where the run gives no cells; h_hot : its peak, None where it was not recorded.
    """

    arm: str
    patient: int
    replicate: int
    days: np.ndarray
    values: np.ndarray
    host: str = ""
    expected_mscs: float | None = None
    h_hot: float | None = None


@dataclasses.dataclass(frozen=True, repr=False)
class Contrast:
    """First arm minus second, paired by patient and replicate; on a log outcome, a log ratio.

    Numbers that the runs do not determine (the interval of one pair, say) are NaN.
    """

    first: str
    second: str
    outcome: str
    day: float  # of the record compared
    pairs: int  # runs of the first arm with a partner in the second
    patients: int
    units: int  # independent differences behind the interval: patients, or replicates of the only one
    difference: float
    low: float
    high: float
    level: float
    p_value: float  # two-sided
    p_adjusted: float  # Holm, over the contrasts declared together
    sd: float  # of the independent differences
    correlation: float  # between the arms, over the independent units
    detectable: float  # smallest true difference seen with power 0.8
    sd_patients: float  # of the difference between patients, the replicates' share taken out
    sd_replicates: float  # of the difference between replicates of one patient
    expected_mscs: float  # per dose and block, in the arm with fewest; NaN where no arm gives cells
    h_hot: float  # its peak, in the run with most
    mixed_hosts: int  # pairs whose runs come from different machines or versions
    verdict: str
    notes: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """First over second, geometric mean of the pairs; NaN unless the outcome is a log."""
        return math.exp(self.difference) if self.outcome.startswith("log ") else math.nan

    @staticmethod
    def columns() -> list[str]:
        """Names of the values of a `row`, in their order."""
        names = [field.name for field in dataclasses.fields(Contrast)]
        return [*names[:-1], "ratio", names[-1]]

    def row(self) -> dict[str, float | int | str]:
        """The contrast as one row of a table; the notes as one text."""
        row = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        notes = row.pop("notes")
        return {**row, "ratio": self.ratio, "notes": " ".join(notes)}

    def __str__(self) -> str:
        lines = [f"{self.first} minus {self.second}, {self.outcome}, day {self.day:g}: {self.verdict}"]
        if self.pairs:
            interval = "" if math.isnan(self.low) else f" [{self.low:.4g}, {self.high:.4g}]"
            ratio = "" if math.isnan(self.ratio) else f", ratio {self.ratio:.4g}"
            lines.append(f"  {self.difference:.4g}{interval}{ratio}, {count(self.pairs, 'pair')}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        shown = ((name, f"{v:.4g}" if isinstance(v, float) else str(v)) for name, v in self.row().items())
        return (
            "<table>" + "".join(f"<tr><th>{n}</th><td>{escape(v)}</td></tr>" for n, v in shown) + "</table>"
        )


def contrast(
    members: Iterable[Member],
    first: str,
    second: str,
    outcome: str,
    day: float | None = None,
    level: float = 0.95,
) -> Contrast:
    """The paired contrast of two arms at `day` [d], by default at their last common record.

    outcome : 'NAME' or 'log NAME' of the series that the members carry (plain, never its log).
    A day between two records takes the record before it.  Raises InputError for an arm without a
    finished run, a level outside (0, 1), or a day before the first record.
    """
    members = list(members)
    known = {member.arm for member in members}
    for arm in (first, second):
        if arm not in known:
            raise InputError(f"There is no finished run of an arm '{arm}'.", did_you_mean(arm, known))
    if not 0.0 < level < 1.0:
        raise InputError(f"{level:g} is no confidence level.", "Give a share such as 0.95.")
    pairs = _pair(members, first, second)
    if not pairs:
        return _without_pairs(first, second, outcome, level)
    at = _common_day(pairs, day)
    values = np.array([[_value(member, at) for member in pair] for pair in pairs])
    if outcome.startswith("log "):
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(values)
    stats = paired(values[:, 0], values[:, 1], np.array([a.patient for a, _ in pairs]), level)
    alone = sum(m.arm in (first, second) for m in members) - 2 * len(pairs)
    return _conclude(_unjudged(stats, pairs, outcome, at, level), stats, alone, day)


def contrasts(
    members: Iterable[Member],
    pairs: Sequence[tuple[str, str]],
    outcome: str,
    day: float | None = None,
    level: float = 0.95,
) -> list[Contrast]:
    """The first arm of each pair minus the second, with p-values adjusted for their number (Holm).

    The verdict of each follows the adjusted value; an arm without finished runs has 'no pairs'.
    """
    members = list(members)
    present = {member.arm for member in members}
    found = [
        contrast(members, first, second, outcome, day, level)
        if {first, second} <= present
        else _without_pairs(first, second, outcome, level)
        for first, second in pairs
    ]
    adjusted = holm([each.p_value for each in found])
    return [_adjust(each, p, len(found)) for each, p in zip(found, adjusted, strict=True)]


def _pair(members: list[Member], first: str, second: str) -> list[tuple[Member, Member]]:
    """Runs of both arms that share patient and replicate, in the order of these."""
    ones = {(m.patient, m.replicate): m for m in members if m.arm == first}
    others = {(m.patient, m.replicate): m for m in members if m.arm == second}
    return [(ones[key], others[key]) for key in sorted(ones.keys() & others.keys())]


def _common_day(pairs: list[tuple[Member, Member]], day: float | None) -> float:
    """The last record day that all runs share, not after `day`."""
    recorded = [set(map(float, member.days)) for pair in pairs for member in pair]
    common = recorded[0].intersection(*recorded[1:])
    if not common:
        raise InputError("The runs of these arms share no record day.", "Give both arms one record schedule.")
    reached = [d for d in common if day is None or d <= day + 1e-6]
    if not reached:
        raise InputError(f"Day {day:g} lies before the first common record, day {min(common):g}.")
    return max(reached)


def _value(member: Member, day: float) -> float:
    return float(member.values[int(np.flatnonzero(np.asarray(member.days) == day)[0])])


def _unjudged(
    stats: Paired, pairs: list[tuple[Member, Member]], outcome: str, day: float, level: float
) -> Contrast:
    """The numbers of a contrast, before its verdict."""
    expected = [_expected([pair[side] for pair in pairs]) for side in (0, 1)]
    heat = [member.h_hot for pair in pairs for member in pair if member.h_hot is not None]
    own = {field.name for field in dataclasses.fields(Contrast)}
    return Contrast(
        first=pairs[0][0].arm,
        second=pairs[0][1].arm,
        outcome=outcome,
        day=day,
        pairs=len(pairs),
        patients=len({a.patient for a, _ in pairs}),
        level=level,
        p_adjusted=stats.p_value,
        expected_mscs=min((e for e in expected if e is not None), default=math.nan),
        h_hot=max(heat, default=math.nan),
        mixed_hosts=sum(a.host != b.host for a, b in pairs),
        verdict="",
        notes=(),
        **{name: value for name, value in dataclasses.asdict(stats).items() if name in own},
    )


def _expected(runs: list[Member]) -> float | None:
    """Cells expected per dose in the runs of one arm, on average; None where none gives cells."""
    given = [run.expected_mscs for run in runs if run.expected_mscs is not None]
    return sum(given) / len(given) if given else None


def _conclude(bare: Contrast, stats: Paired, alone: int, day: float | None) -> Contrast:
    """Verdict and notes.  Too few MSCs come first: such a contrast cannot speak for the therapy."""
    notes = []
    if bare.expected_mscs < FEW_MSCS:
        verdict = TOO_FEW_MSCS
        notes.append(
            f"{bare.expected_mscs:.2g} MSCs are expected per dose and block, fewer than {FEW_MSCS:g}: "
            "this block is too small to show what they do; take a larger one."
        )
    elif not stats.finite:
        verdict = NOT_DEFINED
    elif bare.units == 1:
        verdict = SINGLE_PAIR
    else:
        verdict = DIFFERENCE if bare.p_value < 1.0 - bare.level else NOT_SEEN
    notes += _on_statistics(bare, stats)
    if alone:
        notes.append(f"{count(alone, 'run')} of these arms had no finished partner.")
    if bare.mixed_hosts:
        notes.append(
            f"{count(bare.mixed_hosts, 'pair')} mixed machines or versions: the arms of such a pair "
            "may differ by rounding before their first differing dose."
        )
    if day is not None and abs(bare.day - day) > 1e-6:
        notes.append(f"Day {day:g} was not recorded by all: day {bare.day:g} is compared.")
    return dataclasses.replace(bare, verdict=verdict, notes=tuple(notes))


def _on_statistics(bare: Contrast, stats: Paired) -> list[str]:
    """What a reader must know about the interval of this contrast."""
    if not stats.finite:
        return [f"The {bare.outcome} of a run is not a finite number: take an outcome that is."]
    if bare.units == 1:
        averaged = ", replicates averaged" if bare.pairs > 1 else ""
        return [f"One pair{averaged}: a difference, but no interval. Run more patients or replicates."]
    notes = []
    if bare.sd == 0.0:
        same = "are equal to the bit" if bare.difference == 0.0 else "differ by the same number"
        notes.append(f"All pairs {same}: nothing varies that an interval could rest on.")
    elif bare.outcome.startswith("log "):
        low, high = math.exp(-bare.detectable), math.exp(bare.detectable)
        notes.append(
            f"A true ratio below {low:.3g} or above {high:.3g} would have been seen with power {POWER:g}."
        )
    else:
        notes.append(f"A true difference of {bare.detectable:.3g} would have been seen with power {POWER:g}.")
    if stats.averaged:
        notes.append(f"Replicates are averaged within each of {bare.patients} patients.")
    if bare.patients == 1:
        notes.append("One patient: the interval is over replicates and says nothing of other patients.")
    return notes


def _adjust(bare: Contrast, p_adjusted: float, family: int) -> Contrast:
    """The contrast as one of `family` declared together."""
    verdict, notes = bare.verdict, bare.notes
    if verdict == DIFFERENCE and p_adjusted >= 1.0 - bare.level:
        verdict = NOT_SEEN
        alone = f"p = {bare.p_value:.2g} alone, {p_adjusted:.2g} as one of {family} contrasts (Holm)."
        notes = (*notes, alone)
    return dataclasses.replace(bare, p_adjusted=p_adjusted, verdict=verdict, notes=notes)


def _without_pairs(first: str, second: str, outcome: str, level: float) -> Contrast:
    """The row of two arms that share no finished (patient, replicate)."""
    numbers = {field.name: math.nan for field in dataclasses.fields(Contrast) if field.type is float}
    counts = {field.name: 0 for field in dataclasses.fields(Contrast) if field.type is int}
    texts = {"first": first, "second": second, "outcome": outcome, "verdict": NO_PAIRS}
    note = "No patient and replicate has finished in both arms."
    values: dict[str, Any] = {**numbers, **counts, **texts, "level": level, "notes": (note,)}
    return Contrast(**values)
