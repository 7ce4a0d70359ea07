"""What should come out of a simulation and what did: rows with a verdict, made from contrasts and values."""

import math
from typing import NamedTuple

from ..collect import Results
from ..designs.compare import DIFFERENCE, TOO_FEW_MSCS, Contrast

REACHED, MISSED, UNDECIDED = "reached", "missed", "undecided"
_ALIKE = 0.05  # relative difference below which two arms count as alike


class Target(NamedTuple):
    """One row of the validation table.

    name : what is asked; target : what is known, with its source; reached : what came out; verdict : one of
    REACHED, MISSED, UNDECIDED; note : the power of an ordinal claim, the reason of a miss.
    """

    name: str
    target: str
    reached: str
    verdict: str
    note: str = ""

    def missed_because(self, reason: str) -> "Target":
        """The row with the reason of its miss, where it is one."""
        return self._replace(note=f"{self.note}. {reason}".lstrip(". ")) if self.verdict == MISSED else self


def judged(name: str, target: str, reached: str, is_reached: bool, note: str = "") -> Target:
    """A row whose verdict is a plain yes or no."""
    return Target(name, target, reached, REACHED if is_reached else MISSED, note)


def within(
    name: str, value: float, low: float, high: float, form: str, source: str, note: str = ""
) -> Target:
    """A row whose value must lie in [low, high]; form : how numbers are written, as '{:.0%}'."""
    target = f"{form.format(low)} to {form.format(high)} ({source})"
    return judged(name, target, form.format(value), low <= value <= high, note)


def smaller(results: Results, first: str, second: str, name: str, source: str) -> Target:
    """Whether tumors of the first arm end smaller than those of the second, at the declared day."""
    found = results.contrast(first, second, "log tumor_volume")
    return _ordinal(found, -1.0, name, f"smaller ({source})", volume_ratio(found))


def larger_count(results: Results, first: str, second: str, cells: str, day: float, name: str,
                 source: str) -> Target:  # fmt: skip
    """Whether the first arm holds more cells of a kind than the second on a day."""
    found = results.contrast(first, second, f"log {cells}", day=day)
    return _ordinal(found, 1.0, name, f"more ({source})", ratio(found))


def _ordinal(found: Contrast, sign: float, name: str, target: str, reached: str) -> Target:
    """Whether a difference of this sign was seen; undecided where too few MSCs came to tell."""
    if found.verdict == TOO_FEW_MSCS:
        return Target(name, target, reached, UNDECIDED, " ".join(found.notes))
    is_seen = found.verdict == DIFFERENCE and sign * found.difference > 0.0
    return judged(name, target, reached, is_seen, power(found))


def alike(results: Results, first: str, second: str, name: str, source: str) -> Target:
    """Whether tumors of two arms end alike: the whole interval of their ratio within 5 %.

    An interval that reaches beyond leaves it undecided; one that lies beyond is a miss.
    """
    found = results.contrast(first, second, "log tumor_volume")
    bound = math.log1p(_ALIKE)
    if math.isnan(found.low):
        same = found.difference == 0.0
        verdict = REACHED if same else UNDECIDED
    elif -bound < found.low and found.high < bound:
        verdict = REACHED
    else:
        verdict = MISSED if found.low > bound or found.high < -bound else UNDECIDED
    target = f"alike within {_ALIKE:.0%} ({source})"
    return Target(name, target, volume_ratio(found), verdict, power(found))


def ratio(found: Contrast) -> str:
    """First over second with its interval."""
    if math.isnan(found.low):
        return f"{found.ratio:.3g}"
    return f"{found.ratio:.3g} ({math.exp(found.low):.3g}-{math.exp(found.high):.3g})"


def volume_ratio(found: Contrast) -> str:
    """The ratio of volumes in words."""
    return f"{ratio(found)} times the volume"


def power(found: Contrast) -> str:
    """With which power a difference would have been seen."""
    if math.isnan(found.detectable):
        return f"{found.pairs} pairs"
    return f"{found.pairs} pairs; a ratio below {math.exp(-found.detectable):.3g} is seen with power 0.8"
