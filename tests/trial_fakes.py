"""A mechanism for trials that needs no tissue: tumors grow by a rule that the doses given so far slow."""

import os
from pathlib import Path

import numpy as np

from simulator.experiment.pools import Engine
from simulator.run.doses import doses_of
from simulator.run.records import EVENTS
from simulator.run.storage import Column, LesionLayout, RunWriter

_OF_DOSES = ("type", "day", "lesion", "number", "drug", "unit", "planned", "given", "duration",
             "expected_mscs", "arrived")  # fmt: skip
_EVENTS = [column for column in EVENTS if column.name in _OF_DOSES]
SLOWED = 0.15  # by each dose of 1e6 cells/kg


def grow(experiment, arm, patient, replicate, out: Path, threads=1, report=None) -> None:
    aside = out.with_suffix(".aside")
    aside.write_text(f"{patient}")
    os.replace(aside, out)


def treat(experiment, arm, patient, replicate, start: Path, out: Path, threads=1, report=None) -> None:
    assert start.read_text() == f"{patient}"
    model = experiment.model(arm, patient, "treatment")
    doses = doses_of(experiment, arm).doses
    series = [Column("tumor_volume", "mm3", "volume"), Column("tumor_cells", "cells", "cells"),
              Column("h_hot", "1", "H_hot")]  # fmt: skip
    body = [Column("weight", "kg", ""), Column("msc_lung", "cells", ""), Column("plasma_ifng", "ng/mL", "")]
    layout = LesionLayout((1, 1, 1), 15.0, series, [], [Column("id", "1", "", "i8")])
    facts = {"seed": experiment.seed, "patient": patient, "arm": arm, "replicate": replicate, "config": "",
             "digest": out.stem, "host": "here", "started": "", "simulator_version": "0"}  # fmt: skip
    days = np.arange(0.0, experiment.duration / 24.0 + 0.5)
    layouts = [layout] * len(model.lesions)
    writer = RunWriter(out, facts, (24.0 * days).tolist(), [0.0], layouts, body, _EVENTS)
    volume = np.array([lesion.block.volume for lesion in model.lesions])
    rate = 0.0278 - 24.0 * np.array([lesion.cells["tumor"].behaviors["die"].base for lesion in model.lesions])
    rate = np.log(2.0) / 50.0 + 0.124 + rate - 0.0278
    for day in days:
        before = [dose for dose in doses if dose.time / 24.0 < day]
        given = sum(dose.amount for dose in before) / 1e6
        volume = volume * np.exp(rate * max(0.0, 1.0 - SLOWED * given) * (day > 0))
        fresh = sum(dose.amount for dose in before if day - dose.time / 24.0 <= 1.0)
        lung = 0.85 * fresh * model.body.weight
        writer.write_record(
            [{"tumor_volume": v, "tumor_cells": 100, "h_hot": 0.1} for v in volume],
            {"weight": model.body.weight, "msc_lung": lung, "plasma_ifng": 0.001},
        )
    writer.write_snapshot([{}] * len(model.lesions), [{"id": np.arange(3)}] * len(model.lesions))
    for dose in doses:
        row = {"type": 0, "day": dose.time / 24.0, "lesion": 0, "number": dose.number, "drug": b"msc",
               "unit": b"cells", "planned": dose.amount, "given": dose.amount, "duration": 0.5,
               "expected_mscs": 2.0, "arrived": 3}  # fmt: skip
        writer.write_events({name: [value] for name, value in row.items()})
    writer.close(complete=True)


ENGINE = Engine(grow, treat, lambda _: None)
