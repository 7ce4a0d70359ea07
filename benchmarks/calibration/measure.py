"""What a set of values does to a tissue at the medians of its species: densities, growth, killing."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import simulator
from simulator.body.course import Dose
from simulator.config.load import Experiment
from simulator.run.observables import View
from simulator.run.simulation import Simulation
from simulator.tissue.state import BORN, DIED, KILLED, LYSED, NECROSED

_HOURS = 24
_EXPERIMENT = """
title: calibration
use: [{entries}]
block: {{shape: [{size}, {size}, {size}], site: 15 um{phenotype}}}
burn_in: 1 d
duration: 1 d
population: null
seed: {seed}
arms: {{control: {{}}}}
"""


@dataclasses.dataclass(frozen=True)
class Tissue:
    """Means over the days measured.  Densities in cells/mm² of section, rates per day and tumor cell."""

    nest: dict[str, float]
    stroma: dict[str, float]
    birth: float
    death: float  # by itself or of anoxia
    kill: dict[str, float]
    reactive: float  # share of the CD8 cells present
    exhausted: float  # share of the reactive ones
    engaged: float  # share of the reactive ones arrested on a target
    fields: dict[str, float]

    @property
    def growth(self) -> float:
        """Net growth [1/d]."""
        return self.birth - self.death - sum(self.kill.values())


def experiment(entries: Sequence[str], changes: Mapping[str, str], size: int, seed: int,
               phenotype: str | None = None) -> Experiment:  # fmt: skip
    """The medians of a species in a block of `size`³ sites; `changes` are values by their path."""
    named = f", phenotype: {phenotype}" if phenotype else ""
    text = _EXPERIMENT.format(entries=", ".join(entries), size=size, seed=seed, phenotype=named)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "experiment.yaml"
        path.write_text(text, encoding="utf-8")
        return simulator.load(path, [f"{key}={value}" for key, value in changes.items()])


def tissue(of: Experiment, days: int, settle: int, treated: Sequence[tuple[str, float, float]] = (),
           wait: int = 0) -> Tissue:  # fmt: skip
    """Grow for `settle` days, then treat, wait, and measure for `days`.

    treated : (drug, amount in mg, day after `settle`) of every dose.
    """
    doses = tuple(
        Dose(n, drug, _HOURS * (settle + day), amount, "mg", 0.0)
        for n, (drug, amount, day) in enumerate(treated, start=1)
    )
    simulation = Simulation(of.model("control", 1, "treatment"), (of.seed, 1, 1), doses)
    lesion = simulation.lesions[0]
    code = lesion.block.kind("tumor")
    for _ in range(_HOURS * (settle + wait)):
        simulation.advance()
    before, killed = lesion.block.state.ledger[code].copy(), lesion.block.state.kills[:, code].copy()
    cell_days, views = 0.0, []
    for hour in range(_HOURS * days):
        cell_days += lesion.count("tumor") / _HOURS
        simulation.advance()
        if hour % _HOURS == _HOURS - 1:
            views.append(_look(View(lesion)))
    booked = (lesion.block.state.ledger[code] - before) / cell_days
    kills = (lesion.block.state.kills[:, code] - killed) / cell_days
    kills *= booked[KILLED] / kills.sum() if kills.sum() > 0 else 1.0
    mean = {key: float(np.mean([view[key] for view in views])) for key in views[0]}
    kinds = lesion.block.names.kinds
    return Tissue(
        nest={kind: mean[f"nest {kind}"] for kind in _lymphoid(lesion)},
        stroma={kind: mean[f"stroma {kind}"] for kind in _lymphoid(lesion)},
        birth=float(booked[BORN]),
        death=float(booked[[DIED, NECROSED, LYSED]].sum()),
        kill={kinds[k]: float(kills[k]) for k in np.flatnonzero(kills)},
        reactive=mean["reactive"] / max(1.0, mean["cd8"]),
        exhausted=mean["exhausted"] / max(1.0, mean["reactive"]),
        engaged=mean["engaged"] / max(1.0, mean["reactive"]),
        fields={name: mean[f"field {name}"] for name in lesion.block.names.fields},
    )


def _lymphoid(lesion) -> list[str]:
    return [kind for kind, cell in lesion.lesion.cells.items() if cell.layer == "lymphoid"]


def _look(view: View) -> dict[str, float]:
    found = {f"nest {kind}": view.density(kind, view.core) for kind in _lymphoid(view.lesion)}
    found |= {f"stroma {kind}": view.density(kind, view.rim) for kind in _lymphoid(view.lesion)}
    found |= {f"field {name}": float(view.field(name).mean()) for name in view.block.names.fields}
    return found | {
        "cd8": view.count("cd8"),
        "reactive": view.with_trait("cd8", "reactive"),
        "exhausted": view.with_trait("cd8", "exhausted"),
        "engaged": view.engaged("cd8"),
    }
