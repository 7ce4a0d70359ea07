"""The study folder: what lies where, whose it is, and who writes into it now."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import h5py

from ..base.errors import InputError, SimulatorError
from ..base.log import get_logger
from ..run import files, resume
from .plan import Plan
from .words import count

_LOCK = "lock"

log = get_logger("experiment")


class Study:
    """A folder with one plan, its runs and everything derived from them."""

    def __init__(self, path: str | Path):
        self.path = Path(path).absolute()
        self.plan_file = self.path / "plan.json"
        self.tables = self.path / "tables"
        self.log = self.path / "log.txt"

    def run_file(self, digest: str) -> Path:
        """Where the run of this digest stands when it is complete."""
        return self.path / "runs" / f"{digest}.h5"

    def burn_in_file(self, digest: str) -> Path:
        """Where the burn-in of this digest stands when it is complete; kept, so that arms can be added."""
        return self.path / "burn_ins" / f"{digest}.ckpt"

    def is_finished(self, digest: str) -> bool:
        """True where the run of this digest stands complete in its file."""
        path = self.run_file(digest)
        if not path.is_file():
            return False
        try:
            files.refuse_endless_heap(path)
            with h5py.File(path, "r") as file:
                if file.attrs["complete"] == 1 and files.attribute(file, "digest") == digest:
                    return True
            reason = "it is not that run"
        except (OSError, RuntimeError, KeyError, InputError) as error:
            reason = str(error)
        log.warning("%s is damaged (%s) and counts as missing.", path, reason)
        return False

    def is_made(self, path: Path, digest: str) -> bool:
        """True where `path` is the finished file of the run or burn-in of this digest."""
        return path.is_file() if path == self.burn_in_file(digest) else self.is_finished(digest)

    def prepare(self, plan: Plan, force: bool = False) -> list[str]:
        """Make the folder hold `plan`; returns what was done, in sentences.

        A folder with the same plan is resumed, one whose runs are all part of `plan` is extended.
        Raises InputError for anything else, unless `force`: then runs that the new plan lacks are
        removed.  Raises SimulatorError where the folder cannot be written.
        """
        said = []
        if self.plan_file.exists():
            said = self._succeed(plan, force)
        elif not force and (strangers := self._strangers()):
            raise InputError(
                f"{self.path} is no study folder and holds other files ({', '.join(strangers)}).",
                "Choose an empty or a new folder, or add --force to write beside them.",
            )
        with writing(self.path):
            for folder in ("runs", "burn_ins", "tables", "figures"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            write_text(self.plan_file, plan.to_json())
        return said

    def _succeed(self, plan: Plan, force: bool) -> list[str]:
        """Put `plan` in the place of the one held, if nothing is lost or the user forces it."""
        try:
            held = Plan.read(self.plan_file)
        except InputError as error:
            if force:
                return [f"The damaged plan in {self.path} is replaced."]
            what = error.problems[0].what
            raise InputError(
                what, "Choose another folder with -o, or replace the plan with --force."
            ) from None
        if held.digest == plan.digest:
            return [f"{self.path} holds this study: what is finished is kept."]
        lost = {run.digest for run in held.runs}
        if held.version == plan.version:
            lost -= {run.digest for run in plan.runs}
        if not lost:
            return [
                f"{self.path} holds {len(held.runs)} of the {count(len(plan.runs), 'run')} of this study."
            ]
        if not force:
            raise InputError(
                f"{self.path} holds another study: {'; '.join(_differences(held, plan))}.",
                "Choose another folder with -o, or add --force, which removes the "
                f"{count(len(lost), 'run')} that this study lacks.",
            )
        burn_ins = {b.digest for b in held.burn_ins} - {b.digest for b in plan.burn_ins}
        with writing(self.path):
            removed = sum(_remove(self.run_file(digest)) for digest in lost)
            for digest in lost:
                _remove(files.part_path(self.run_file(digest)))
            for digest in burn_ins:
                _remove(self.burn_in_file(digest))
            for out in (*map(self.run_file, lost), *map(self.burn_in_file, burn_ins)):
                for checkpoint in resume.beside(out):
                    resume.remove(checkpoint)
        return [f"Removed {count(removed, 'finished run')} of another study from {self.path} (--force)."]

    def _strangers(self) -> list[str]:
        if not self.path.exists():
            return []
        own = {self.log.name}
        with writing(self.path):
            names = sorted(p.name for p in self.path.iterdir() if not p.name.startswith("."))
        names = [name for name in names if name not in own and not name.startswith(_LOCK)]
        return names if len(names) <= 3 else [*names[:3], "…"]

    @contextmanager
    def lock(self, shard: tuple[int, int] | None = None) -> Iterator[None]:
        """Inside the `with`, this process alone writes here; shards of one count go side by side.

        A lock whose process is gone is taken over.  Raises InputError naming the holder.
        """
        mine = self.path / (f"{_LOCK}-{shard[0]}-of-{shard[1]}.json" if shard else f"{_LOCK}.json")
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file, not a folder.", "Choose another folder with -o.")
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            _claim(mine)
        try:
            for other in sorted(self.path.glob(f"{_LOCK}*.json")):
                beside = shard is not None and other.name.endswith(f"-of-{shard[1]}.json")
                if other != mine and not beside and (holder := _holder(other)):
                    raise _held(other, holder)
            yield
        finally:
            _remove(mine)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file at once: aside, then renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(aside, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        _remove(aside)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn failures of the file system inside the `with` into one SimulatorError that names `path`."""
    try:
        yield
    except OSError as error:
        raise SimulatorError(
            f"{error.filename or path} cannot be written: {error.strerror or error}"
        ) from error


def _remove(path: Path) -> bool:
    with suppress(FileNotFoundError):
        path.unlink()
        return True
    return False


def _differences(held: Plan, new: Plan) -> list[str]:
    """What sets two plans apart, in words; never empty."""
    found = []
    if held.version != new.version:
        found.append(f"it was made by simulator {held.version}, this is {new.version}")
    for name, words in (("title", "title"), ("seed", "seed"), ("duration_days", "duration in days")):
        old, now = getattr(held, name), getattr(new, name)
        if old != now:
            found.append(f"{words} {old!r} there, {now!r} here")
    for name in ("patients", "replicates"):
        if getattr(held, name) > getattr(new, name):
            found.append(f"{getattr(held, name)} {name} there, {getattr(new, name)} here")
    if gone := [arm for arm in held.arms if arm not in new.arms]:
        found.append(f"arms that this study lacks: {', '.join(gone)}")
    if (held.sweep, held.points) != (new.sweep, new.points):
        found.append("another sweep")
    if not found:
        theirs = {(r.point, r.arm, r.patient, r.replicate): r.digest for r in held.runs}
        mine = {(r.point, r.arm, r.patient, r.replicate): r for r in new.runs}
        arms = {r.arm for who, r in mine.items() if theirs.get(who, r.digest) != r.digest}
        found.append(f"other values in arms {', '.join(a for a in new.arms if a in arms)}")
    return found


def _claim(path: Path) -> None:
    """Create the lock file, or take it over from a process that is gone."""
    claim = {"pid": os.getpid(), "host": socket.gethostname(), "born": _born(os.getpid())}
    claim["since"] = datetime.now(UTC).isoformat(timespec="seconds")
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            if holder := _holder(path):
                raise _held(path, holder) from None
            _clear(path)
            continue
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(claim, file)
        return


def _clear(path: Path) -> None:
    """Remove a stale lock; put it back where another process has just taken it over."""
    stale = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        os.rename(path, stale)
        if _holder(stale):
            with suppress(FileExistsError):
                os.link(stale, path)
        _remove(stale)


def _holder(path: Path) -> dict | None:
    """Who holds the lock; None where nobody does, or a process of this host that has ended."""
    try:
        claim = json.loads(path.read_text(encoding="utf-8"))
        pid, host, born = int(claim["pid"]), str(claim["host"]), claim.get("born")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return {"pid": "?", "host": "?"}  # half written: its owner is just claiming it
    if host == socket.gethostname() and (not _is_alive(pid) or _born(pid) != born):
        return None
    return claim


def _held(path: Path, claim: dict) -> InputError:
    since = f" since {claim['since']}" if "since" in claim else ""
    return InputError(
        f"{path.parent} is being written by process {claim['pid']} on {claim['host']}{since}.",
        f"Wait for it, or choose another folder with -o; if it is gone, delete {path}.",
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _born(pid: int) -> str | None:
    """When a process began, by the kernel's clock: process numbers are used again.  None for a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state, *rest = file.read().rpartition(")")[2].split()
        return None if state == "Z" else rest[18]
    except (OSError, IndexError):
        return None
