"""What an experiment runs: every arm of every patient, replicate and point, and who shares which burn-in."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..base.errors import InputError, Problem
from ..run.doses import doses_of

if TYPE_CHECKING:
    from ..config.load import Experiment

_FORMAT = "msc-simulator plan 2"


@dataclass(frozen=True)
class BurnIn:
    """Growth before day 0, done once for all runs that branch from it; `arm`, `point` are one of theirs."""

    digest: str
    arm: str
    patient: int
    replicate: int
    point: int = 0


@dataclass(frozen=True)
class Run:
    """One arm of one replicate of one patient at one point of a sweep; `burn_in` is the digest of what it
    branches from, `point` 0 where there is no sweep."""

    digest: str
    arm: str
    patient: int
    replicate: int
    burn_in: str
    point: int = 0

    def __str__(self) -> str:
        where = f", point {self.point}" if self.point else ""
        return f"{self.arm}, patient {self.patient}, replicate {self.replicate}{where}"


@dataclass(frozen=True)
class Plan:
    """All runs of an experiment in a fixed order: by point, patient, replicate, then arm as in the file.

    Patients and replicates count from 1.  Runs that are the same to the digit share a digest, and so one
    file.  `compare` is the declared comparison: reference, also, outcome, day, level; or None.  `sweep` is
    the design with its factors, or None; `points` holds of each point its number and the values of the
    factors.
    """

    title: str
    version: str  # of the simulator
    seed: int
    arms: tuple[str, ...]
    patients: int
    replicates: int
    duration_days: float
    compare: dict[str, Any] | None
    runs: tuple[Run, ...]
    burn_ins: tuple[BurnIn, ...]
    sweep: dict[str, Any] | None = None
    points: tuple[tuple[Any, ...], ...] = ((0,),)

    @property
    def factors(self) -> list[dict[str, Any]]:
        """The factors of the sweep as `config.sweep` describes them; none without one."""
        return [] if self.sweep is None else self.sweep["factors"]

    @property
    def digest(self) -> str:
        """Hash of everything in the plan (32 hex digits)."""
        return hashlib.blake2b(self._text().encode(), digest_size=16).hexdigest()

    def shard(self, number: int, count: int) -> tuple[Run, ...]:
        """The runs of shard `number` (from 1) of `count`: a partition that keeps burn-ins together.

        Runs that share a file stay in one shard.  Those of one burn-in are split only where it has more
        than an even share of all files.  Raises InputError unless 1 ≤ number ≤ count.
        """
        if not 1 <= number <= count:
            raise InputError(f"There is no shard {number} of {count}.", _SHARD_HELP)
        limit = -(-len({run.digest for run in self.runs}) // count)
        shards: list[list[str]] = [[] for _ in range(count)]
        for piece in sorted(self._pieces(limit), key=len, reverse=True):
            min(shards, key=len).extend(piece)
        mine = set(shards[number - 1])
        return tuple(run for run in self.runs if run.digest in mine)

    def _pieces(self, limit: int) -> Iterable[list[str]]:
        """Digests in groups of one burn-in, at most `limit` in each."""
        groups: dict[str, dict[str, None]] = {}
        for run in self.runs:
            groups.setdefault(run.burn_in, {})[run.digest] = None
        for group in map(list, groups.values()):
            yield from (group[start : start + limit] for start in range(0, len(group), limit))

    def to_json(self) -> str:
        """The plan as text; equal plans give equal text."""
        return json.dumps({"format": _FORMAT, "digest": self.digest, **asdict(self)}, indent=1) + "\n"

    @staticmethod
    def read(path: str | Path) -> "Plan":
        """The plan in a file written from `to_json`; raises InputError where it is none or damaged."""
        try:
            held = json.loads(Path(path).read_text(encoding="utf-8"))
            if held.pop("format") != _FORMAT:
                raise ValueError("it is of another format")
            digest = held.pop("digest")
            for name, kind in (("runs", Run), ("burn_ins", BurnIn)):
                held[name] = tuple(kind(**entry) for entry in held[name])
            held["points"] = tuple(map(tuple, held["points"]))
            plan = Plan(**{**held, "arms": tuple(held["arms"])})
            if plan.digest != digest:
                raise ValueError("it was edited or is damaged")
        except FileNotFoundError:
            raise InputError(
                f"There is no plan {path}.", "Give the folder of a study that has run."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"The plan {path} cannot be read: {error}", "Choose another folder.") from error
        return plan

    def _text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def plan(experiment: "Experiment") -> Plan:
    """Lay out the runs of an experiment and the burn-ins that they share.

    Arms and points share the burn-in of their patient and replicate, unless they change something before
    day 0.  Raises InputError where the doses of an arm cannot be given, or a point cannot be, with all
    its problems.
    """
    runs: list[Run] = []
    burn_ins: dict[str, BurnIn] = {}
    for number, *_ in experiment.points:
        with at_point(experiment, number) as point:
            for run in _runs(point, number):
                burn_in = BurnIn(run.burn_in, run.arm, run.patient, run.replicate, number)
                burn_ins.setdefault(run.burn_in, burn_in)
                runs.append(run)
    sweep = experiment.sweep
    return Plan(
        title=experiment.title,
        version=__version__,
        seed=experiment.seed,
        arms=tuple(experiment.arms),
        patients=experiment.patients,
        replicates=experiment.replicates,
        duration_days=experiment.duration / 24.0,
        compare=_comparison(experiment),
        runs=tuple(runs),
        burn_ins=tuple(burn_ins.values()),
        sweep=None if sweep is None else sweep.plain(),
        points=tuple((p.number, *(sweep.labels(p) if sweep else ())) for p in experiment.points),
    )


def _runs(point: "Experiment", number: int) -> Iterator[Run]:
    """Every run of one point."""
    doses = {arm: doses_of(point, arm).canonical() for arm in point.arms}
    for patient in range(1, point.patients + 1):
        for replicate in range(1, point.replicates + 1):
            for arm in point.arms:
                burn_in = point.burn_in_digest(arm, patient, replicate)
                digest = point.digest(arm, patient, replicate, doses[arm])
                yield Run(digest, arm, patient, replicate, burn_in, number)


@contextmanager
def at_point(experiment: "Experiment", number: int) -> "Iterator[Experiment]":
    """The experiment of one point; an InputError inside the `with` says which point it is about."""
    try:
        yield experiment.at(number)
    except InputError as error:
        if number == 0:
            raise
        where = f"Point {number} of the sweep"
        problems = [Problem(f"{where}: {each.what}", each.help, each.where) for each in error.problems]
        raise InputError(problems) from error


def parse_shard(text: str) -> tuple[int, int]:
    """Read 'I/N', counted from 1; raises InputError."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise InputError(f"'{text}' names no shard.", _SHARD_HELP)
    return number, count


_SHARD_HELP = "Write I/N with I from 1 to N: --shard 1/4 is the first of four."


def _comparison(experiment: "Experiment") -> dict[str, Any] | None:
    declared = experiment.compare
    if declared is None:
        return None
    day = None if declared.at is None else declared.at / 24.0
    return {
        "reference": declared.reference,
        "also": declared.also,
        "outcome": declared.outcome,
        "day": day,
        "level": declared.level,
    }
