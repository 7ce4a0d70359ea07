"""Linear compartments, advanced exactly: dx/dt = A x + u with u constant between events.

States are columns, one a dose, so that amounts can be traced to the dose they
came from.  Products are added up term by term in a fixed order, never by BLAS:
the bits of one dose do not depend on how many others there are.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import expm

# Hours.  A dose this close before the end of a step belongs to the next one: far above the rounding
# of t = step * dt, far below any infusion.
_SLACK = 1e-9
_BOLUS = 1e-6  # h; what flows in faster is added at once
_KEPT = 256  # propagators; steps of equal length use a handful


class LinearSystem:
    """dx/dt = A x + u for a constant matrix A [1/h]; x in any one unit, u in that unit per hour.

    matrix : float64[k, k], 1/h.
    """

    def __init__(self, matrix: np.ndarray):
        self.matrix = np.array(matrix, dtype=np.float64)
        self._propagators: dict[float, np.ndarray] = {}

    def propagator(self, dt: float) -> np.ndarray:
        """float64[k, 2k]: exp(A dt) beside its integral over [0, dt] h.

        Both come from one exponential of the augmented matrix [[A, I], [0, 0]] (Van Loan 1978,
        doi:10.1109/TAC.1978.1101743), so A may be singular.
        """
        if dt not in self._propagators:
            k = len(self.matrix)
            augmented = np.zeros((2 * k, 2 * k))
            augmented[:k, :k] = self.matrix
            augmented[:k, k:] = np.eye(k)
            if len(self._propagators) == _KEPT:
                self._propagators.clear()
            self._propagators[dt] = expm(augmented * dt)[:k]
        return self._propagators[dt]

    def advance(self, state: np.ndarray, inputs: np.ndarray | None, dt: float) -> np.ndarray:
        """The state `dt` hours later under constant `inputs` [1/h]; both float64[k, n], columns apart."""
        return apply(self.propagator(dt), state, inputs)


def apply(propagator: np.ndarray, state: np.ndarray, inputs: np.ndarray | None = None) -> np.ndarray:
    """`propagator` (float64[k, 2k]) times `state` over `inputs`, each float64[k, n]."""
    k = len(state)
    total = propagator[:, 0, None] * state[0]
    for j in range(1, k):
        total += propagator[:, j, None] * state[j]
    if inputs is not None:
        for j in range(k):
            total += propagator[:, k + j, None] * inputs[j]
    return total


class Inflow:
    """The doses of one drug as columns: when each flows in, and into which compartments.

    start, duration : float64[n], h; ascending starts.
    amounts : float64[k, n]; what a whole dose brings into each compartment, at a constant rate.
    """

    def __init__(self, start: np.ndarray, duration: np.ndarray, amounts: np.ndarray):
        self.start = start
        self.duration = np.where(duration > _BOLUS, duration, 0.0)
        self.stop = start + self.duration
        self.amounts = amounts

    def given(self, t: float) -> np.ndarray:
        """float64[n]: the share of each dose that has flowed in by `t` h."""
        flowing = np.clip((t - self.start) / np.maximum(self.duration, _BOLUS), 0.0, 1.0)
        return np.where(self.duration == 0.0, self.start < t - _SLACK, flowing)

    def started(self, t: float) -> int:
        """How many doses begin before `t` h."""
        return int(np.searchsorted(self.start, t - _SLACK))

    def advance(
        self, propagator: Callable[[float], np.ndarray], state: np.ndarray, t0: float, t1: float
    ) -> None:
        """Take `state` (float64[k, n]) from `t0` to `t1` h in place; `propagator(dt)` is float64[k, 2k].

        A dose splits its own column where it starts or stops, and nothing else.
        """
        begun = self.started(t1)
        if begun == 0:
            return
        flowing = np.flatnonzero(
            (self.start[:begun] >= t0 - _SLACK) | (self.stop[:begun] > t0 + _SLACK),
        )
        infused = [self._infuse(propagator, state[:, i : i + 1], i, t0, t1) for i in flowing.tolist()]
        if len(flowing) < begun:
            state[:, :begun] = apply(propagator(t1 - t0), state[:, :begun])
        for i, column in zip(flowing.tolist(), infused, strict=True):
            state[:, i : i + 1] = column

    def _infuse(
        self, propagator: Callable[[float], np.ndarray], column: np.ndarray, i: int, t0: float, t1: float
    ) -> np.ndarray:
        """Column `i` at `t1`, of a dose that flows in somewhere in [t0, t1)."""
        amounts = self.amounts[:, i : i + 1]
        begin = max(float(self.start[i]), t0)
        end = max(begin, min(float(self.stop[i]), t1))
        if self.duration[i] == 0.0:
            column, end = column + amounts, begin
        else:
            column = apply(propagator(end - begin), column, amounts / self.duration[i])
        return apply(propagator(t1 - end), column) if end < t1 - _SLACK else column
