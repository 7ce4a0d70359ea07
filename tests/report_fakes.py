"""A study folder that looks like a finished one, for the tests of the report: nothing was simulated."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from simulator.experiment.collect import collect
from simulator.experiment.plan import BurnIn, Plan, Run
from simulator.run.storage import Column, LesionLayout, RunWriter, Snapshot

KINDS = {name: code for code, name in enumerate(
    ("empty", "tumor", "stroma", "vessel", "msc", "debris", "necrosis", "cd8", "cd4", "nk"))}  # fmt: skip
SERIES = [
    Column("tumor_volume", "mm3", "volume of the lesion"),
    Column("tumor_cells", "cells", "living tumor cells"),
    Column("cd8", "cells", "CD8 cells in the block"),
    Column("cd4", "cells", "CD4 cells in the block"),
    Column("nk", "cells", "NK cells in the block"),
    Column("msc_alive", "cells", "living MSCs in the block"),
    Column("cd8_density_core", "cells/mm2", "CD8 cells in nests"),
    Column("cd8_density_rim", "cells/mm2", "CD8 cells in stroma"),
    Column("nk_density", "cells/mm2", "NK cells"),
    Column("cxcl9_mean", "nM", "mean cxcl9 in the block"),
    Column("cxcl9_max", "nM", "largest cxcl9 in the block"),
    Column("h_hot", "1", "bulk CXCR3 occupancy by MSC-made CXCL9"),
]  # fmt: skip
PLACES = {"lung": (0.85, 0.5), "blood": (0.1, 0.05), "liver_spleen": (0.06, 2.0), "elsewhere": (0.04, 2.0),
          "tumor": (0.01, 2.0)}  # share of a dose, half-life in days  # fmt: skip
BODY = [Column(f"msc_{place}", "cells", f"living MSCs in {place}") for place in PLACES] + [
    Column("plasma_cxcl9", "nM", "cxcl9 in plasma")
]
EVENTS = [
    Column("type", "1", "what the row tells", "u1", {"dose": 0, "deaths": 1, "brought": 2}),
    Column("day", "d", ""), Column("lesion", "1", "", "i4"), Column("number", "1", "", "i4"),
    Column("drug", "1", "", "S48"), Column("unit", "1", "", "S8"), Column("planned", "1", ""),
    Column("given", "1", ""), Column("duration", "h", ""), Column("expected_mscs", "cells", ""),
    Column("arrived", "cells", "", "i8"), Column("kind", "1", "", "S32"), Column("cells", "cells", "", "i8"),
    Column("touched", "cells", "", "i8"), Column("kills", "cells", "", "i8"),
]  # fmt: skip
CONFIG = """title: fake
description: Does the schedule matter, <b>or</b> does it not?
block: {shape: [6, 24, 24], site: 15 um}
"""


EVERYTHING = frozenset({column.name for column in (*SERIES, *BODY)} | {"kind", "lymphoid", "cxcl9"})


@dataclass(frozen=True)
class FakeArm:
    """Days and amount of its MSC doses, days of anti-PD-1, its effect on growth, cells expected per dose."""

    msc: tuple[float, ...] = ()
    amount: float = 3e6
    antibody: tuple[float, ...] = ()
    growth: float = 1.0
    expected: float = 28.0


ARMS = {
    "vehicle": FakeArm(),
    "once": FakeArm((0.0,), growth=0.9),
    "thrice": FakeArm((0.0, 3.0, 6.0), 1e6, growth=0.75),
    "with anti-PD-1": FakeArm((0.0, 3.0, 6.0), 1e6, (0.0, 7.0), growth=0.4),
}


@dataclass
class Fake:
    """What to fabricate; `without` names series that the runs do not record."""

    arms: dict[str, FakeArm] = field(default_factory=lambda: dict(ARMS))
    patients: int = 3
    replicates: int = 1
    days: int = 10
    every: int = 5  # days between snapshots
    shape: tuple[int, int, int] = (6, 24, 24)
    without: frozenset[str] = frozenset()
    lesions: int = 1
    title: str = "One dose or several"
    reference: str | None = "vehicle"


def make_study(folder: Path, fake: Fake | None = None, tables: bool = True) -> Path:
    """Write plan.json, the runs and (with `tables`) the tables of a study that never ran."""
    fake = fake or Fake()
    plan = make_plan(fake)
    (folder / "runs").mkdir(parents=True)
    (folder / "plan.json").write_text(plan.to_json(), encoding="utf-8")
    for run in plan.runs:
        write_run(folder / "runs" / f"{run.digest}.h5", fake, run)
    if tables:
        collect(folder)
    return folder


def make_plan(fake: Fake) -> Plan:
    people = [(p, r) for p in range(1, fake.patients + 1) for r in range(1, fake.replicates + 1)]
    runs = tuple(
        Run(f"{i:02d}{p:02d}{r:02d}" + 10 * "ab", arm, p, r, f"burn{p}{r}")
        for p, r in people for i, arm in enumerate(fake.arms)
    )  # fmt: skip
    declared = {"reference": fake.reference, "outcome": "log tumor_volume", "day": None, "level": 0.95}
    return Plan(
        title=fake.title, version="0.1.0", seed=1, arms=tuple(fake.arms), patients=fake.patients,
        replicates=fake.replicates, duration_days=float(fake.days),
        compare=declared if fake.reference else None,
        runs=runs, burn_ins=tuple(BurnIn(f"burn{p}{r}", "", p, r) for p, r in people),
    )  # fmt: skip


def write_run(path: Path, fake: Fake, run: Run) -> None:
    """One run file of made-up numbers that follow from arm, patient and replicate alone."""
    arm = fake.arms[run.arm]
    person = np.random.default_rng([run.patient, run.replicate])
    own = np.random.default_rng([run.patient, run.replicate, *run.arm.encode("utf-8", "replace")])
    course = _course(fake, arm, person, own)
    series = [column for column in SERIES if column.name not in fake.without]
    body = [column for column in BODY if column.name not in fake.without]
    snapshots = [Snapshot("kind", "1", "bulk cell", "u1", flags=KINDS),
                 Snapshot("lymphoid", "1", "lymphoid cell", "u1", flags=KINDS),
                 Snapshot("cxcl9", "nM", "cxcl9", "f4", (2, 2, 2))]  # fmt: skip
    snapshots = [column for column in snapshots if column.name not in fake.without]
    layout = LesionLayout(fake.shape, 15.0, series, snapshots, [Column("id", "1", "", "i8")])
    facts = {"seed": 1, "patient": run.patient, "arm": run.arm, "replicate": run.replicate, "config": CONFIG,
             "digest": run.digest, "host": '{"packages": {"numpy": "2"}}', "started": "2026-01-01T00:00:00",
             "simulator_version": "0.1.0"}  # fmt: skip
    when = [24.0 * day for day in range(0, fake.days + 1, fake.every)]
    hours = [24.0 * day for day in range(fake.days + 1)]
    writer = RunWriter(path, facts, hours, when, [layout] * fake.lesions, body, EVENTS)
    for i in range(fake.days + 1):
        values, rest = ({c.name: float(course[c.name][i]) for c in columns} for columns in (series, body))
        writer.write_record([values] * fake.lesions, rest)
    for hour in when:
        arrays = _tissue(fake, arm, hour / 24, person.integers(2**31) if hour == 0 else 7, run.patient)
        arrays = {name: array for name, array in arrays.items() if name not in fake.without}
        writer.write_snapshot([arrays] * fake.lesions, [{"id": np.arange(3)}] * fake.lesions)
    writer.write_events(_events(arm))
    writer.close(complete=True)


def _course(fake: Fake, arm: FakeArm, person, own) -> dict[str, np.ndarray]:
    days = np.arange(fake.days + 1.0)
    rate = 0.2 * person.lognormal(0.0, 0.3)
    wiggle = np.cumsum(own.normal(0.0, 0.02, days.size)) * (days > 0)
    volume = 100.0 * np.exp(rate * arm.growth * days + wiggle)
    course = {f"msc_{place}": np.zeros(days.size) for place in PLACES}
    for place, (share, half_life) in PLACES.items():
        for given in arm.msc:
            since = np.clip(days - given, 0.0, None)
            left = share * arm.amount * 0.5 ** (since / half_life)
            course[f"msc_{place}"] += np.where(days > given, left, 0.0)
    alive = course["msc_tumor"] * arm.expected / 3e4
    heat = 1.0 + 3.0 * alive / (1.0 + alive)
    noise = lambda: person.lognormal(0.0, 0.15, days.size)  # noqa: E731
    return course | {
        "tumor_volume": volume, "tumor_cells": 2e4 * np.exp(0.02 * wiggle), "msc_alive": np.round(alive),
        "cd8": 220 * heat * noise(), "cd4": 120 * noise(), "nk": 40 * heat * noise(),
        "cd8_density_core": 25 * heat * noise(), "cd8_density_rim": 190 * heat * noise(),
        "nk_density": 3 * heat * noise(), "cxcl9_mean": 0.05 + 0.01 * alive, "cxcl9_max": 0.1 + 0.3 * alive,
        "plasma_cxcl9": 0.02 + course["msc_lung"] / 4e7, "h_hot": 0.001 * alive,
    }  # fmt: skip


def _tissue(fake: Fake, arm: FakeArm, day: float, seed: int, patient: int) -> dict[str, np.ndarray]:
    dice = np.random.default_rng([patient, 5])
    wave = gaussian_filter(dice.normal(size=fake.shape), (2, 3, 3))
    kind = np.where(wave > np.quantile(wave, 0.3), KINDS["tumor"], KINDS["stroma"]).astype(np.uint8)
    loose = dice.random(fake.shape)
    kind[loose < 0.03] = KINDS["vessel"]
    kind[(loose > 0.97) & (kind == KINDS["tumor"])] = KINDS["debris"]
    kind[(wave > np.quantile(wave, 0.96)) & (kind == KINDS["tumor"])] = KINDS["necrosis"]
    cells = np.random.default_rng([patient, int(day), len(arm.msc)])
    if arm.msc and day > 0:
        kind[cells.random(fake.shape) < 0.008] = KINDS["msc"]
    eaten = 0.25 * (1 - arm.growth) * day / max(fake.days, 1)
    kind[(cells.random(fake.shape) < eaten) & (kind == KINDS["tumor"])] = KINDS["empty"]
    crowd = cells.random(fake.shape)
    lymphoid = np.zeros(fake.shape, np.uint8)
    dense = np.where(kind == KINDS["stroma"], 0.08, 0.015) * (1 + 2 * bool(arm.msc) * (day > 0))
    lymphoid[crowd < dense] = KINDS["cd8"]
    lymphoid[(crowd > 0.985) & (kind == KINDS["stroma"])] = KINDS["cd4"]
    lymphoid[crowd > 0.996] = KINDS["nk"]
    field = 0.02 + gaussian_filter((kind == KINDS["msc"]) * 20.0, 2.5)
    coarse = tuple(slice(None, None, 2) for _ in range(3))
    return {"kind": kind, "lymphoid": lymphoid, "cxcl9": field[coarse].astype("f4")}


def _events(arm: FakeArm) -> dict[str, list]:
    given = [(day, "msc_cxcl9", "cells", arm.amount, arm.expected) for day in arm.msc]
    given += [(day, "anti_pd1", "mg", 0.2, np.nan) for day in arm.antibody]
    rows: list[dict] = [
        {"type": 0, "day": day, "number": number, "drug": drug, "unit": unit, "planned": amount,
         "given": amount, "duration": 0.5, "expected_mscs": expected,
         "arrived": 0 if np.isnan(expected) else round(expected)}
        for number, (day, drug, unit, amount, expected) in enumerate(sorted(given), start=1)
    ]  # fmt: skip
    doses = [0, *(row["number"] for row in rows if row["unit"] == "cells")]
    for kind, (came, touched, kills) in {"cd8": (40, 9, 20), "cd4": (20, 0, 0), "msc": (28, 14, 0)}.items():
        rows += [
            {"type": 2, "number": n, "kind": kind, "cells": came, "touched": touched, "kills": kills}
            for n in (doses if kind != "msc" else doses[1:])
        ]
    blank = {
        "type": 0, "day": 0.0, "lesion": 0, "number": 0, "drug": "", "unit": "", "planned": 0.0, "given": 0.0,
        "duration": 0.0, "expected_mscs": 0.0, "arrived": 0, "kind": "", "cells": 0, "touched": 0, "kills": 0,
    }  # fmt: skip
    return {name: [row.get(name, value) for row in rows] for name, value in blank.items()}
