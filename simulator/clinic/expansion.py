"""Expansion at the chosen dose: patients one after another under a Bayesian stopping rule."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field as Key

from .designs.history import Confidence
from .settings import Fault, Section


class Monitor(Section):
    """Stop when the DLT risk exceeds `limit` with probability above `confidence`.

    The risk has a Beta(prior) distribution before any data (Thall & Simon 1994,
    doi:10.2307/2533377).  `look_from` patients must have been seen before the first look; then one
    looks after every patient.
    """

    limit: Annotated[float, Key(gt=0, lt=1)]
    confidence: Confidence = 0.95
    prior: tuple[float, float] = (1.0, 1.0)
    look_from: Annotated[int, Key(ge=1)] = 3
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """A prior is a distribution."""
        if min(self.prior) <= 0.0:
            yield Fault(("prior",), f"The prior Beta{self.prior} is none.", "Give two positive numbers.")

    def exceeds(self, dlts: int, patients: int) -> float:
        """Posterior probability that the DLT risk exceeds the limit."""
        from scipy import special

        a, b = self.prior
        return 1.0 - float(special.betainc(a + dlts, b + patients - dlts, self.limit))

    def stops(self, dlts: int, patients: int) -> bool:
        """Whether these counts stop the expansion."""
        return patients >= self.look_from and self.exceeds(dlts, patients) > self.confidence

    def bounds(self, most: int) -> tuple[int | None, ...]:
        """For 1, 2, … `most` patients the fewest DLTs that stop; None where none can."""
        return tuple(next((y for y in range(n + 1) if self.stops(y, n)), None) for n in range(1, most + 1))


class Course(NamedTuple):
    """How an expansion behaves at one DLT risk: probability of stopping, expected patients and DLTs."""

    stops: float
    patients: float
    dlts: float


def expansion(monitor: Monitor, risk: float, more: int, before: tuple[int, int] = (0, 0)) -> Course:
    """Exact behavior of an expansion by up to `more` patients at a true DLT risk.

    before : patients and DLTs at this dose in the escalation, which count.
    """
    n, y = before
    alive = np.zeros(n + more + 1)
    alive[y] = 1.0
    stops, patients, dlts = 0.0, 0.0, 0.0
    for seen in range(n + 1, n + more + 1):
        running = float(alive.sum())
        patients += running
        dlts += running * risk
        alive[1:] = (1.0 - risk) * alive[1:] + risk * alive[:-1]
        alive[0] *= 1.0 - risk
        out = [count for count in range(seen + 1) if alive[count] and monitor.stops(count, seen)]
        stops += float(alive[out].sum())
        alive[out] = 0.0
    return Course(stops, patients, dlts)
