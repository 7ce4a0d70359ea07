"""Time: one patient, from the start of the burn-in to the last record.

The loop is `Simulation.advance`, and `treat` calls it between records.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..base import interrupt, threads as thread_pool
from ..base.errors import InputError, SimulatorError
from ..body.course import Dose
from ..body.patient import Feedback, Host
from ..config.load import Experiment
from ..config.schema import Model
from . import checkpoint, trust
from .doses import doses_of
from .lesion import LesionRun
from .records import RunRecorder
from .resume import Checkpoints

Report = Callable[[float], None] | None
_REPORTS = 200  # how often a run tells how far it is


class Simulation:
    """The lesions of one patient on one body.

    model : the patient's model; key : (seed, patient, replicate); doses : absolute, of this arm.
    is_seeded : false for one that a stored state will fill, which takes half the memory of both.
    `steps` counts tissue steps from the seeding, `zero` is the step of day 0.
    """

    def __init__(
        self,
        model: Model,
        key: tuple[int, int, int],
        doses: tuple[Dose, ...] = (),
        zero: int = 0,
        is_seeded: bool = True,
    ):
        self.model, self.key = model, key
        self.dt = model.step.tissue
        self.steps, self.zero = 0, zero
        self.doses = doses
        self.earlier: tuple[Dose, ...] = ()  # doses of the run that this one branches from, before day 0
        self.lesions = [LesionRun(model, index, key, is_seeded) for index in range(len(model.lesions))]
        self.host = self._host(doses, ())

    def _host(self, doses: tuple[Dose, ...], earlier: tuple[Dose, ...]) -> Host:
        fields = {name: field for lesion in self.model.lesions for name, field in lesion.fields.items()}
        volumes = [lesion.start_ml for lesion in self.lesions]
        body = self.model.body
        if earlier:  # tumors have grown since the patient was described
            body = body.model_copy(update={"tumor_volume": max(body.tumor_volume, math.fsum(volumes))})
        numbered = (dose._replace(number=n) for n, dose in enumerate((*earlier, *doses), start=1))
        return Host(body, self.model.drugs, fields, tuple(numbered), volumes)

    @property
    def hours(self) -> float:
        """Hours since day 0; negative in the burn-in."""
        return (self.steps - self.zero) * self.dt

    @property
    def tumor_cells(self) -> int:
        """Living tumor cells in all blocks."""
        return sum(lesion.count("tumor") for lesion in self.lesions)

    def advance(self) -> None:
        """One tissue step: the body once, then every lesion on what it offers."""
        self.host.advance(self.hours, self.hours + self.dt, self._feedback())
        self.steps += 1
        thread_pool.over_items(lambda lesion: lesion.advance(self.steps, self.host), self.lesions)

    def _feedback(self) -> Feedback:
        """What the lesions tell the body: their volume with the rest of the burden, and what they secrete."""
        now = sum(lesion.volume_ml for lesion in self.lesions)
        start = sum(lesion.start_ml for lesion in self.lesions)
        rest = max(0.0, self.host.body.tumor_volume - start) * (now / start if start > 0.0 else 1.0)
        secretion: dict[str, float] = {}
        kills = 0.0
        for lesion in self.lesions:
            share = lesion.volume_ml / now if now > 0.0 else 0.0
            kills += share * lesion.kills_per_ml_h
            for name, rate in lesion.secretion().items():
                secretion[name] = secretion.get(name, 0.0) + share * rate
        return Feedback(now + rest, secretion, kills)

    def begin_treatment(self, model: Model, doses: tuple[Dose, ...]) -> None:
        """Day 0 is now: follow an arm's model and doses."""
        self.model, self.zero = model, self.steps
        before = self.host.arrays()
        for lesion in self.lesions:
            lesion.change_model(model)
        self.doses, self.host = doses, self._host(doses, self.earlier)
        self.host.restore(before)
        self.host.time = self.hours

    # --- checkpoints ---------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that continues this simulation to the same bits, beside the numbers of its steps."""
        arrays = {f"host/{name}": np.asarray(array) for name, array in self.host.arrays().items()}
        for lesion in self.lesions:
            own = lesion.to_arrays()
            arrays |= {f"lesion{lesion.index}/{name}": np.asarray(array) for name, array in own.items()}
        return arrays

    def save(self, path: Path, **facts) -> None:
        """Write a checkpoint, whole or not at all; `facts` (what JSON can hold) travel with it."""
        own = {
            "steps": self.steps,
            "zero": self.zero,
            "key": list(self.key),
            "layout": self._layout(),
            "doses": [list(dose) for dose in self.host.doses if dose.time < self.hours],
        }
        checkpoint.save(path, self.arrays(), own | facts)

    def _layout(self) -> list[dict]:
        """What a stored state and a model must have in common, lesion by lesion."""
        return [
            {
                "shape": list(lesion.lesion.block.shape),
                "kinds": list(lesion.block.names.kinds[1:]),
                "traits": list(lesion.block.names.traits),
                "fields": list(lesion.block.names.fields),
            }
            for lesion in self.lesions
        ]

    def restore(self, path: Path) -> dict:
        """Continue from what `save` wrote for the same model, key and doses; returns its facts.

        Raises InputError where the state has other kinds, traits or shape than this model, another key, or
        is none that a simulation could have saved.
        """
        arrays, meta = self._load(path)
        if tuple(meta["key"]) != self.key:
            raise InputError(
                f"{path} belongs to another seed, patient or replicate: {meta['key']}, not {self.key}"
            )
        given = (Dose(*dose) for dose in meta["doses"])
        self._take(path, arrays, meta, tuple(dose for dose in given if dose.time < 0.0))
        return meta

    def branch_from(self, path: Path) -> None:
        """Day 0 is the moment of a checkpoint of any patient: its tissue, and what its body still holds.

        The dice from here on are those of this key.  Raises InputError as `restore`.
        """
        arrays, meta = self._load(path)
        hours = (meta["steps"] - meta["zero"]) * self.dt
        given = (Dose(*dose) for dose in meta["doses"])
        self._take(path, arrays, meta, tuple(dose._replace(time=dose.time - hours) for dose in given))
        self.zero = self.steps

    def _load(self, path: Path) -> tuple[dict[str, np.ndarray], dict]:
        arrays, meta = checkpoint.load(path)
        trust.check_facts(path, meta)
        if meta["layout"] != self._layout():
            raise InputError(
                f"{path} holds a tissue of another kind than this experiment grows",
                f"There: {meta['layout']}; here: {self._layout()}.",
            )
        return arrays, meta

    def _take(self, path: Path, arrays: dict, meta: dict, earlier: tuple[Dose, ...]) -> None:
        """Put the stored state in the place of this one."""
        self.steps, self.zero = meta["steps"], meta["zero"]
        if earlier != self.earlier:
            self.earlier, self.host = earlier, self._host(self.doses, earlier)
        body = _part(arrays, "host/")
        trust.check_body(path, body, self.host)
        self.host.restore(body)
        for lesion in self.lesions:
            own = _part(arrays, f"lesion{lesion.index}/")
            trust.check_lesion(path, own, lesion)
            lesion.restore(own)


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


# --- what a plan calls -----------------------------------------------------------------------------


def grow(
    experiment: Experiment,
    arm: str | None,
    patient: int,
    replicate: int,
    out: Path,
    threads: int = 1,
    report: Report = None,
) -> None:
    """Seed a patient's tissue and run its burn-in; writes a checkpoint at `out`, whole or not at all."""
    thread_pool.set_threads(threads)

    def begin(is_seeded: bool) -> Simulation:
        key = (experiment.seed, patient, replicate)
        return Simulation(experiment.model(arm, patient, "burn_in"), key, is_seeded=is_seeded)

    burn_in, kept = experiment.burn_in, Checkpoints(out, experiment.record.save_every)
    if burn_in.path is not None:
        simulation = begin(False)
        simulation.branch_from(experiment.path.parent / burn_in.path)
        simulation.save(out, **kept.facts())
        return
    simulation = kept.newest(lambda: begin(False))[0] or begin(True)
    longest = round((burn_in.time_h if burn_in.time_h is not None else burn_in.at_most_h) / simulation.dt)
    every = max(1, longest // _REPORTS)
    with interrupt.deferred():
        while simulation.steps < longest:
            if burn_in.tumor_cells is not None and simulation.tumor_cells >= burn_in.tumor_cells:
                break
            simulation.advance()
            kept.keep(simulation)
            if report is not None and simulation.steps % every == 0:
                report(simulation.steps / longest)
        else:
            if burn_in.tumor_cells is not None and simulation.tumor_cells < burn_in.tumor_cells:
                raise SimulatorError(
                    f"patient {patient}, replicate {replicate}: {simulation.tumor_cells} tumor cells, not "
                    f"{burn_in.tumor_cells}, after {longest * simulation.dt / 24:g} d of burn-in"
                )
    simulation.zero = simulation.steps
    simulation.save(out, **kept.facts())
    kept.clear()


def treat(
    experiment: Experiment,
    arm: str,
    patient: int,
    replicate: int,
    start: Path,
    out: Path,
    threads: int = 1,
    report: Report = None,
) -> None:
    """Branch an arm from a grown burn-in at `start` and run it; the run file at `out` is whole or absent.

    Goes on from the newest sound checkpoint beside `out`, where there is one, to the very same bits.  Raises
    KeyboardInterrupt, with a checkpoint of the step it reached, where a signal asks it to stop.
    """
    thread_pool.set_threads(threads)
    who = (experiment, arm, patient, replicate)
    kept = Checkpoints(out, experiment.record.save_every, experiment.record.checkpoints)
    simulation, recorder = kept.newest(
        lambda: branch(*who, None),
        lambda simulation, *recorded: RunRecorder(simulation, *who, out, *recorded),
    )
    if simulation is None or recorder is None:
        simulation = branch(*who, start)
        recorder = RunRecorder(simulation, *who, out)
    end = round(experiment.duration / simulation.dt)
    every = max(1, end // _REPORTS)
    with recorder, interrupt.deferred():
        for step in range(simulation.steps - simulation.zero, end):
            recorder.record(simulation)
            simulation.advance()
            kept.keep(simulation, recorder)
            if report is not None and step % every == 0:
                report(step / end)
        recorder.record(simulation)
    kept.clear()


def branch(experiment: Experiment, arm: str, patient: int, replicate: int, start: Path | None) -> Simulation:
    """A patient on day 0 of an arm: the burn-in's state, the arm's model and doses.

    start : the burn-in; None for a patient whose state is to be restored.
    """
    key = (experiment.seed, patient, replicate)
    simulation = Simulation(experiment.model(arm, patient, "burn_in"), key, is_seeded=False)
    if start is not None:
        simulation.restore(start)
    model = experiment.model(arm, patient, "treatment")
    simulation.begin_treatment(model, doses_of(experiment, arm).absolute(model.body.weight))
    return simulation
