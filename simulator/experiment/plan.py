"""What an experiment runs: every arm of every patient and replicate, and who shares which burn-in."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..base.errors import InputError
from ..body.regimen import Regimen, parse

if TYPE_CHECKING:
    from ..config.load import Experiment

_FORMAT = "msc-simulator plan 1"


@dataclass(frozen=True)
class BurnIn:
    """Growth before day 0, done once for all runs that branch from it; `arm` is one of theirs."""

    digest: str
    arm: str
    patient: int
    replicate: int


@dataclass(frozen=True)
class Run:
    """One arm of one replicate of one patient; `burn_in` is the digest of what it branches from."""

    digest: str
    arm: str
    patient: int
    replicate: int
    burn_in: str

    def __str__(self) -> str:
        return f"{self.arm}, patient {self.patient}, replicate {self.replicate}"


@dataclass(frozen=True)
class Plan:
    """All runs of an experiment in a fixed order: by patient, replicate, then arm as in the file.

    Patients and replicates count from 1.  Arms that are the same to the digit share a digest, and
    so one run file.  `compare` is the declared comparison: reference, outcome, day, level; or None.
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

    @property
    def digest(self) -> str:
        """Hash of everything in the plan (32 hex digits)."""
        return hashlib.blake2b(self._text().encode(), digest_size=16).hexdigest()

    def shard(self, number: int, count: int) -> tuple[Run, ...]:
        """The runs of shard `number` (from 1) of `count`: a partition that keeps burn-ins together.

        Runs of one burn-in are split only where it has more than an even share of all runs.
        Raises InputError unless 1 ≤ number ≤ count.
        """
        if not 1 <= number <= count:
            raise InputError(f"There is no shard {number} of {count}.", _SHARD_HELP)
        pieces = sorted(self._pieces(-(-len(self.runs) // count)), key=len, reverse=True)
        shards: list[list[Run]] = [[] for _ in range(count)]
        for piece in pieces:
            min(shards, key=len).extend(piece)
        mine = set(map(_identity, shards[number - 1]))
        return tuple(run for run in self.runs if _identity(run) in mine)

    def _pieces(self, limit: int) -> Iterable[list[Run]]:
        groups: dict[str, list[Run]] = {}
        for run in self.runs:
            groups.setdefault(run.burn_in, []).append(run)
        for group in groups.values():
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

    Arms share the burn-in of their patient and replicate, unless one changes something before
    day 0.  Raises InputError where the doses of an arm cannot be given, with all their problems.
    """
    doses = {arm: regimen_of(experiment, arm).canonical() for arm in experiment.arms}
    runs: list[Run] = []
    burn_ins: dict[str, BurnIn] = {}
    for patient in range(1, experiment.patients + 1):
        for replicate in range(1, experiment.replicates + 1):
            for arm in experiment.arms:
                burn_in = experiment.burn_in_digest(arm, patient, replicate)
                burn_ins.setdefault(burn_in, BurnIn(burn_in, arm, patient, replicate))
                digest = experiment.digest(arm, patient, replicate, doses[arm])
                runs.append(Run(digest, arm, patient, replicate, burn_in))
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
    )


def regimen_of(experiment: "Experiment", arm: str) -> Regimen:
    """The doses of an arm; raises InputError with every problem and its place in the file."""
    return parse(
        experiment.arms[arm].doses,
        experiment.model(arm, 1, "treatment").drugs,
        experiment.duration,
        experiment.locate_doses(arm),
        experiment.path.parent,
    )


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
        "outcome": declared.outcome,
        "day": day,
        "level": declared.level,
    }


def _identity(run: Run) -> tuple[str, int, int]:
    return run.arm, run.patient, run.replicate
