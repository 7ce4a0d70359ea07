"""Checkpoints beside an unfinished file: when they are saved, which are kept, and which one to go on from.

Beside `NAME.h5` stand the two newest, `NAME.hour-480.ckpt` and `NAME.hour-240.ckpt`, gone once the run is
complete, and those that the experiment asks for by day, `NAME@21d.ckpt`, which stay to branch from.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..base import interrupt, units
from ..base.errors import InputError, SimulatorError
from ..base.log import get_logger
from ..base.schedule import At, Schedule
from ..config import provenance
from .files import final_path
from .storage import Rows

if TYPE_CHECKING:
    from .records import RunRecorder
    from .simulation import Simulation

_KEPT = 2  # the newest, and one for the case that the newest is torn
SHARE = 0.02  # of the run's time that saving may take
SHORTEST_S = 60.0  # between two: what a crash may cost
_BYTES_PER_S = 50e6  # how fast a state is saved, until it is measured
_S_PER_H = 3600.0
_NEAR_DAYS = 1e-4  # names hold six digits of a day
_NEVER = At(())

Recorder = TypeVar("Recorder")

log = get_logger("run")


class Checkpoints:
    """The checkpoints of one unfinished file.

    out : the file, a run or a burn-in.  save_every : hours of wall time between two; None: a minute, or so
    much longer that saving takes 2 % of the time.  days : simulated times [h from day 0] of those that stay.
    clock : seconds that never jump.
    """

    def __init__(
        self,
        out: Path,
        save_every: float | None = None,
        days: Schedule = _NEVER,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.out, self._days, self._clock = Path(out), days, clock
        self._every_s = None if save_every is None else save_every * _S_PER_H
        self._cost_s: float | None = None
        self._last = clock()

    # --- going on ------------------------------------------------------------------------------

    def newest(
        self,
        begin: "Callable[[], Simulation]",
        record: "Callable[[Simulation, Rows, Path], Recorder] | None" = None,
    ) -> "tuple[Simulation | None, Recorder | None]":
        """A simulation that goes on from the newest checkpoint that is sound and of this file, or None.

        begin : makes a simulation to restore; record : opens what it had recorded.  Each checkpoint that is
        refused is logged with its reason.
        """
        for path in self.saved():
            simulation = begin()
            try:
                facts = simulation.restore(path)
                self._check_own(path, facts)
                recorder = None
                if record is not None:
                    copy = _copy(path)
                    recorder = record(simulation, Rows(*facts["rows"]), copy if copy.exists() else self.out)
            except InputError as error:
                log.warning("%s", error)
                continue
            log.info("%s goes on from step %d (%s).", self.out.name, simulation.steps, path.name)
            return simulation, recorder
        return None, None

    def saved(self) -> list[Path]:
        """Every checkpoint of this file, the newest first."""
        return sorted(beside(self.out), key=_hours, reverse=True)

    def _check_own(self, path: Path, facts: dict) -> None:
        """Raises InputError where going on from a checkpoint would not give the bits of one run."""
        mine = self.facts()
        for name, what in (
            ("of", "another run"),
            ("sources", "other sources"),
            ("packages", "other packages"),
        ):
            if facts.get(name) != mine[name]:
                there = facts.get(name, "unknown")
                raise InputError(f"{path} is of {what}: {there}, not {mine[name]}.", "It is left aside.")

    def facts(self) -> dict[str, Any]:
        """What tells a checkpoint of this file from all others."""
        return {
            "of": _stem(self.out),
            "sources": provenance.source_hash(),
            "packages": provenance.packages(),
        }

    # --- saving --------------------------------------------------------------------------------

    def keep(self, simulation: "Simulation", recorder: "RunRecorder | None" = None) -> None:
        """Save the state now if it is due; called between two steps.

        Raises KeyboardInterrupt, after saving, where a signal asks this process to stop.
        """
        if self._days.is_due(simulation.steps - simulation.zero, simulation.dt) and recorder is not None:
            self._save(simulation, recorder, kept_path(self.out, simulation.hours / 24.0))
        if interrupt.asked() or self._is_due(simulation):
            name = f"{_stem(self.out)}.hour-{simulation.hours:.10g}.ckpt"
            self._save(simulation, recorder, self.out.with_name(name))
        interrupt.check()

    def _is_due(self, simulation: "Simulation") -> bool:
        if self._cost_s is None:
            size = sum(array.nbytes for array in simulation.arrays().values())
            self._cost_s = size / _BYTES_PER_S
        wait = self._every_s if self._every_s is not None else max(SHORTEST_S, self._cost_s / SHARE)
        return self._clock() - self._last >= wait

    def _save(self, simulation: "Simulation", recorder: "RunRecorder | None", path: Path) -> None:
        """One that cannot be written costs time after a crash, and not the run."""
        start = self._clock()
        try:
            facts = self.facts()
            if recorder is not None:
                recorder.writer.sync()
                facts["rows"] = list(recorder.writer.rows)
                if not recorder.writer.swmr:
                    recorder.writer.copy_to(_copy(path))
            simulation.save(path, **facts)
            for old in sorted(rolling(self.out), key=_hours, reverse=True)[_KEPT:]:
                remove(old)
        except SimulatorError as error:
            log.warning("%s", error)
        self._last = self._clock()
        self._cost_s = self._last - start

    def clear(self) -> None:
        """The file is complete: nobody goes on from here."""
        for path in rolling(self.out):
            remove(path)


def kept_path(out: Path, day: float) -> Path:
    """Where the checkpoint of a day stands that stays beside a run."""
    return out.with_name(f"{_stem(out)}@{day:g}d.ckpt")


def kept(out: Path) -> dict[float, Path]:
    """The checkpoints that stay beside a run, by day."""
    found = {_hours(path) / 24.0: path for path in out.parent.glob(f"{_stem(out)}@*d.ckpt")}
    return {day: found[day] for day in sorted(found) if day > -math.inf}


def named(text: str) -> Path:
    """The checkpoint that `RUN.h5@21d` names, or a checkpoint's own path.  Raises InputError."""
    file, at, when = text.rpartition("@")
    if not at:
        return Path(text)
    out = final_path(file)
    days = kept(out)
    day = units.value(f"{when}", "d")
    found = min(days, key=lambda held: abs(held - day), default=None)
    if found is None or abs(found - day) > _NEAR_DAYS:
        listed = ", ".join(f"{held:g}d" for held in days)
        raise InputError(
            f"No state of day {day:g} is kept beside {out}.",
            f"Kept: {listed}." if days else "Ask for some where the run is described: record.checkpoints.",
        )
    return days[found]


def beside(out: Path) -> list[Path]:
    """Every checkpoint beside a file."""
    return [*rolling(out), *kept(out).values()]


def rolling(out: Path) -> list[Path]:
    """The checkpoints beside an unfinished file that go once it is complete."""
    return [path for path in out.parent.glob(f"{_stem(out)}.hour-*.ckpt") if _hours(path) > -math.inf]


def _hours(path: Path) -> float:
    """When a checkpoint was saved, from its name; −∞ where that says nothing."""
    name = path.name.removesuffix(".ckpt")
    try:
        return 24.0 * float(name.rpartition("@")[2][:-1]) if "@" in name else float(name.rpartition("-")[2])
    except ValueError:
        return -math.inf


def _stem(out: Path) -> str:
    return out.name.removesuffix(".h5").removesuffix(".ckpt")


def _copy(path: Path) -> Path:
    """Beside a checkpoint, what the run had recorded; only where the run's own file is not safe to read."""
    return path.with_name(path.name + ".rows")


def remove(path: Path) -> None:
    """Remove a checkpoint and what belongs to it."""
    for each in (path, _copy(path)):
        with suppress(OSError):
            each.unlink()
