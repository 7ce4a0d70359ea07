"""When things happen: pure functions of time, so a checkpoint need not hold them.

Times are hours.  A schedule is asked for what falls due in [t0, t1); asked for
one interval after another it names every time once, whatever rounding the
interval ends carry: a time within a few milliseconds of an end counts as at it.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from . import units
from .errors import InputError

_SLACK = 1e-6  # h; far below any step, far above the rounding of t = step * dt over 1e6 steps


@dataclass(frozen=True)
class Every:
    """At `start`, `start + period`, `start + 2 period` … up to `stop`, itself included; hours."""

    period: float
    start: float = 0.0
    stop: float = math.inf

    def __post_init__(self) -> None:
        if not (self.period > 10 * _SLACK and math.isfinite(self.period)):
            raise InputError(f"A period of {self.period:g} h repeats without end.", "Give a longer one.")
        if not (math.isfinite(self.start) and self.stop >= self.start):
            raise InputError(
                f"A schedule from {_time(self.start)} until {_time(self.stop)} holds no time.",
                "The end must not come before the start.",
            )

    def due(self, t0: float, t1: float) -> list[float]:
        """Times in [t0, t1), ascending, hours; multiples are computed, never accumulated."""
        low = max(t0, self.start) - _SLACK
        high = min(t1 - _SLACK, math.nextafter(self.stop + _SLACK, math.inf))
        if high <= low:
            return []
        if math.isinf(high):
            raise ValueError("an endless schedule has no list of times")
        first = max(0, math.floor((low - self.start) / self.period))
        last = math.ceil((high - self.start) / self.period)
        times = (self.start + k * self.period for k in range(first, last + 1))
        return [t for t in times if low <= t < high]

    def is_due(self, step: int, dt: float = 1.0) -> bool:
        """True where a time falls into step `step` of `dt` hours: [step dt, (step + 1) dt)."""
        return bool(self.due(step * dt, (step + 1) * dt))

    def __str__(self) -> str:
        text = f"every {_time(self.period)}"
        if self.start:
            text += f" from {_time(self.start)}"
        return text if math.isinf(self.stop) else f"{text} until {_time(self.stop)}"


@dataclass(frozen=True)
class At:
    """At the given times, hours; kept ascending, each once."""

    times: tuple[float, ...]

    def __init__(self, times: Iterable[float]):
        ordered = tuple(sorted(set(times)))
        if not all(math.isfinite(t) for t in ordered):
            raise InputError("A time in a schedule is not finite.")
        object.__setattr__(self, "times", ordered)

    def due(self, t0: float, t1: float) -> list[float]:
        """Times in [t0, t1), ascending, hours."""
        return [t for t in self.times if t0 - _SLACK <= t < t1 - _SLACK]

    def is_due(self, step: int, dt: float = 1.0) -> bool:
        """True where a time falls into step `step` of `dt` hours: [step dt, (step + 1) dt)."""
        return bool(self.due(step * dt, (step + 1) * dt))

    def __str__(self) -> str:
        return "at " + ", ".join(_time(t) for t in self.times) if self.times else "never"


Schedule = Every | At

_EVERY = re.compile(
    r"every\s+(?P<period>.+?)(?:\s+from\s+(?P<start>.+?))?(?:\s+until\s+(?P<stop>.+?))?", re.IGNORECASE
)
_HELP = "Write 'every 1 d', 'every 21 d from 7 d until 126 d', 'at 0 d, 21 d, 42 d' or a list of times."


def parse(given: str | Iterable[str]) -> Schedule:
    """Read 'every 1 d', 'every 21 d from 7 d until 126 d', 'at 0 d, 21 d', or a list of times.

    Raises InputError where a time is negative, has no unit of time, or the text says nothing.
    """
    if not isinstance(given, str):
        if not isinstance(given, Iterable):
            raise InputError(f"{given} is no schedule.", _HELP)
        return At([_hours(item) for item in given])
    text = given.strip()
    if text.lower() == "never":
        return At(())
    every = _EVERY.fullmatch(text)
    if every is not None:
        period, start, stop = every["period"], every["start"] or "0 h", every["stop"]
        return Every(_hours(period), _hours(start), math.inf if stop is None else _hours(stop))
    if text.lower().startswith("at "):
        return At([_hours(item) for item in text[3:].split(",")])
    raise InputError(f"'{given}' is no schedule.", _HELP)


def _hours(text: str) -> float:
    hours = units.value(text, "h")
    if hours < 0:
        raise InputError(f"'{text}' is a negative time.", "Schedules count from day 0: give 0 d or later.")
    return hours


def _time(hours: float) -> str:
    """A time in days where that is a whole number of half days, else in hours."""
    days = hours / 24.0
    exact, unit = (days, "d") if (2.0 * days).is_integer() else (hours, "h")
    return f"{exact:.10g} {unit}"
