"""An experiment and a simulation that take no time, for the tests of the floor above them."""

import hashlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from simulator.base.errors import InputError, Location, SimulatorError
from simulator.config.host_schema import Antibody
from simulator.config.schema import Block, Compare, Lesion, Tissue
from simulator.config.sweep import Point, Sweep, read_sweep
from simulator.config.tree import Problems, read_text
from simulator.experiment.pools import Engine
from simulator.run.storage import Column, LesionLayout, RunWriter

DAYS = (0.0, 1.0, 2.0)
ANTIBODY = Antibody(
    type="antibody",
    clearance="0.2 L/d",
    central_volume="3 L",
    intercompartmental="0.8 L/d",
    peripheral_volume="4 L",
    reference_weight="77 kg",
    molar_mass="149 kDa",
    kd="0.03 nM",
)
_EVENTS = [
    Column("type", "1", "", "u1", {"dose": 0, "deaths": 1}),
    Column("day", "d", ""),
    Column("lesion", "1", "", "i4"),
    Column("number", "1", "", "i4"),
    Column("drug", "1", "", "S48"),
    Column("unit", "1", "", "S8"),
    Column("planned", "1", ""),
    Column("given", "1", ""),
    Column("duration", "h", ""),
    Column("expected_mscs", "cells", ""),
    Column("arrived", "cells", "", "i8"),
]


@dataclass(frozen=True)
class FakeArm:
    """An arm: the factor on tumor volume, whether it has its own burn-in, and the MSCs of its one dose."""

    factor: float = 1.0
    own_burn_in: bool = False
    expected_mscs: float | None = None
    doses: str | None = None


@dataclass(frozen=True)
class FakeExperiment:
    """As much of an Experiment as the experiment floor asks for; `trouble` makes tasks misbehave."""

    arms: dict[str, FakeArm] = field(default_factory=lambda: {"control": FakeArm(), "msc": FakeArm(0.8)})
    patients: int = 2
    replicates: int = 1
    seed: int = 1
    title: str = "fake"
    duration: float = 48.0
    shape: tuple[int, int, int] = (1, 8, 8)
    lesions: int = 1
    compare: Compare | None = field(default_factory=lambda: Compare(reference="control"))
    trouble: dict[str, str] = field(default_factory=dict)  # "arm patient" or "burn-in patient": what happens
    marks: str = ""  # folder in which every task leaves a mark each time it is done
    sweep: Sweep | None = None
    # (values of the factors, arm, patient): the factor on tumor volume and the MSCs expected at a point
    response: Callable[[dict[str, Any], str, int], tuple[float, float]] | None = None
    point: int = 0

    path = Path("fake.yaml")
    burn_in = SimpleNamespace(time_h=24.0, tumor_cells=None, path=None, at_most_h=1440.0)

    @property
    def points(self) -> tuple[Point, ...]:
        return (Point(0, ()),) if self.sweep is None else self.sweep.points

    def at(self, number: int) -> "FakeExperiment":
        return replace(self, point=number)

    def values(self) -> dict[str, Any]:
        """The values of the factors here."""
        if self.sweep is None:
            return {}
        point = next(point for point in self.points if point.number == self.point)
        names = [factor.name for factor in self.sweep.factors]
        return dict(zip(names, self.sweep.labels(point), strict=True))

    def effect(self, arm: str, patient: int) -> tuple[float, float | None]:
        """The factor on tumor volume and the MSCs expected, in an arm here; the control knows no factors."""
        given = self.arms[arm]
        if self.response is None or arm == "control":
            return given.factor, given.expected_mscs
        return self.response(self.values(), arm, patient)

    def burn_in_digest(self, arm: str, patient: int, replicate: int) -> str:
        own = arm if self.arms[arm].own_burn_in else ""
        return _hash("burn-in", self.seed, patient, replicate, own)

    def digest(self, arm: str, patient: int, replicate: int, doses: list) -> str:
        values = replace(self.arms[arm], doses=None)
        here = {} if arm == "control" else self.values()
        grown = self.burn_in_digest(arm, patient, replicate)
        return _hash("run", grown, self.duration, vars(values), doses, here)

    def locate_doses(self, arm: str):
        return lambda path: Location("fake.yaml", 7, 5)

    def model(self, arm: str, patient: int, phase: str) -> SimpleNamespace:
        tissue = Tissue(infiltrate={"cd8": {"nest": "20 cells/mm2"}})
        lesion = Lesion(block=Block(shape=self.shape), tissue=tissue, cells={}, fields={})
        return SimpleNamespace(lesions=(lesion,) * self.lesions, drugs={"anti_pd1": ANTIBODY})

    def without_trouble(self) -> "FakeExperiment":
        return replace(self, trouble={})


def sweep_of(text: str, seed: int = 1) -> Sweep:
    """The sweep of a YAML text, over an experiment of three values."""
    base = "drugs: {msc: {homing: 0.01, gene: 10 ng/Mcell/d}}\ncells: {msc: {half_life: 2 d}}\n"
    problems = Problems()
    tree = read_text(base + text, "fake.yaml", problems)
    found = None if tree is None else read_sweep(tree, seed, problems)
    problems.done()
    assert found is not None
    return found


def _hash(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def grow(experiment, arm, patient, replicate, out: Path, threads=1, report=None) -> None:
    _act(experiment, f"burn-in {patient}", out)
    report(0.5)
    aside = out.with_suffix(".aside")
    aside.write_text(f"{patient} {replicate}")
    os.replace(aside, out)


def treat(experiment, arm, patient, replicate, start: Path, out: Path, threads=1, report=None) -> None:
    assert start.read_text() == f"{patient} {replicate}"
    _act(experiment, f"{arm} {patient}", out)
    report(0.5)
    write_run(experiment, arm, patient, replicate, out)


def write_run(experiment, arm, patient, replicate, out: Path, host: str = "here") -> None:
    """A run file whose volume grows by e a day, from the patient's number, times the arm's factor."""
    series = [Column("tumor_volume", "mm3", "volume"), Column("cd8_density", "cells/mm2", "density"),
              Column("h_hot", "1", "H_hot")]  # fmt: skip
    layout = LesionLayout((1, 1, 1), 15.0, series, [], [Column("id", "1", "", "i8")])
    facts = {"seed": experiment.seed, "patient": patient, "arm": arm, "replicate": replicate, "config": "",
             "digest": out.stem, "host": host, "started": "", "simulator_version": "0"}  # fmt: skip
    factor, mscs = experiment.effect(arm, patient)
    out.parent.mkdir(parents=True, exist_ok=True)
    days = [24.0 * day for day in DAYS]
    writer = RunWriter(
        out, facts, days, [0.0], [layout] * experiment.lesions, [Column("weight", "kg", "")], _EVENTS
    )
    for day in DAYS:
        noise = 0.01 * replicate * patient if arm != "control" else 0.0
        volume = (patient + noise) * np.exp(day) * (factor if day > 0 else 1.0)
        values = {"tumor_volume": volume, "cd8_density": 10.0 * day, "h_hot": 0.1 * day}
        writer.write_record([values] * experiment.lesions, {"weight": 70.0})
    writer.write_snapshot([{}] * experiment.lesions, [{"id": np.arange(3)}] * experiment.lesions)
    if mscs is not None:
        row = {"type": 0, "day": 0.0, "lesion": 0, "number": 1, "drug": b"msc", "unit": b"cells",
               "planned": 1e6, "given": 1e6, "duration": 0.5, "expected_mscs": mscs,
               "arrived": 3}  # fmt: skip
        writer.write_events({name: [value] for name, value in row.items()})
    writer.close(complete=True)


def _act(experiment: FakeExperiment, what: str, out: Path) -> None:
    """Leave a mark, then misbehave as asked."""
    if experiment.marks:
        Path(experiment.marks, f"{what} {time.monotonic_ns()} {os.getpid()}").touch()
    match experiment.trouble.get(what, "").split():
        case ["input"]:
            raise InputError("density too high", "lower it")
        case ["fails"]:
            raise SimulatorError("the disk is full")
        case ["bug"]:
            raise ZeroDivisionError("division by zero")
        case ["interrupt"]:
            raise KeyboardInterrupt
        case ["killed", "once"] if not (flag := Path(experiment.marks, "killed")).exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case ["sleep", seconds]:
            time.sleep(float(seconds))


def warm(say) -> float:
    return 0.0


ENGINE = Engine(grow, treat, warm)
