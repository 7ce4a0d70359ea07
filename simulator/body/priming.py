"""Priming: what killed tumor cells teach the lymph nodes reaches the blood days later.

Kills flow through a chain of equal stages (a gamma-distributed delay) into a pool of primed cells, which is
lost with its own half-life.  Linear, so advanced exactly.
"""

import math

import numpy as np

from ..config.host_schema import Priming
from .compartments import LinearSystem

_STAGES = 5  # the delay's standard deviation is 45 % of its mean (assumed)


class PrimedPool:
    """Primed cells of one kind in the blood, and those on their way there."""

    def __init__(self, priming: Priming):
        self.priming = priming
        self.state = np.zeros((_STAGES + 1, 1))
        onward = _STAGES / priming.delay
        rates = np.zeros((_STAGES + 1, _STAGES + 1))
        for stage in range(_STAGES):
            rates[stage, stage] = -onward
            rates[stage + 1, stage] = onward
        rates[_STAGES, _STAGES] = -math.log(2.0) / priming.half_life
        self._system = LinearSystem(rates)

    @property
    def cells(self) -> float:
        """Primed cells in the blood."""
        return float(self.state[_STAGES, 0])

    def advance(self, kills_per_h: float, depletion: float, dt: float) -> None:
        """`dt` hours under a constant rate of kills; `depletion` [1/h] kills primed cells in the blood."""
        inputs = np.zeros_like(self.state)
        inputs[0] = self.priming.per_kill * kills_per_h
        self.state = self._system.advance(self.state, inputs, dt)
        self.state[_STAGES] *= math.exp(-depletion * dt)
