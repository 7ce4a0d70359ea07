"""What the body hands a block for one step."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Placing(NamedTuple):
    """Cells of a dose that are put on free sites of the block: how many, how far from all tumor cells."""

    cells: float  # expected in this step
    nearest: float  # um
    farthest: float  # um


@dataclass(frozen=True)
class Inflow:
    """Infused cells on their way into a block: one entry a dose, all in the same order."""

    per_ml: np.ndarray  # f8[D] expected arrivals per mL of tumor in this step
    number: np.ndarray  # i8[D] number of the dose
    cell: tuple[str, ...]  # kind of the cells
    traits: tuple[dict[str, float], ...]  # start traits the product sets
    placed: tuple[Placing | None, ...] = ()  # of doses that do not come in at vessels; () where none is


@dataclass(frozen=True)
class Inputs:
    """What the body hands a block for one step."""

    occupancy: dict[str, float] = field(default_factory=dict)  # share of receptors a drug holds
    plasma: dict[str, float] = field(default_factory=dict)  # [field unit]
    blood: dict[str, float] = field(default_factory=dict)  # pools relative to their baseline
    primed: dict[tuple[str, str], float] = field(default_factory=dict)  # (kind, trait): primed part of a pool
    inflow: Inflow | None = None
