"""What is written when: the series, snapshots, cells and events of one run, into its file."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from .. import __version__
from ..base.schedule import Schedule
from ..config import provenance
from ..config.load import Experiment
from ..tissue.state import AGENTS, CAME, EXPORTED, KILLS, LEDGER, TOUCHED
from . import packing
from .doses import as_events, doses_of
from .filesystem import is_network
from .lesion import LesionRun, product_doses
from .observables import OBSERVABLES, field_observables, observe
from .storage import Column, LesionLayout, Rows, RunWriter, Snapshot, resume

_SITE_TRAITS = ("mhc1", "pdl1")  # of tumor cells, in snapshots
_EVENT_TYPES = {"dose": 0, "deaths": 1, "brought": 2}
EVENTS = [
    Column("type", "1", "what the row tells", "u1", _EVENT_TYPES),
    Column("day", "d", "time of the dose; end of the count of deaths"),
    Column("lesion", "1", "number of the lesion", "i4"),
    Column("number", "1", "number of the dose; of cells brought, 0 for none", "i4"),
    Column("drug", "1", "what was given", "S48"),
    Column("unit", "1", "unit of planned and given", "S8"),
    Column("planned", "1", "amount planned"),
    Column("given", "1", "amount given"),
    Column("duration", "h", "length of the infusion"),
    Column("expected_mscs", "cells", "cells of the dose that the block's share of flux brings, on average"),
    Column("arrived", "cells", "cells of the dose placed in the block", "i8"),
    Column("kind", "1", "kind of the cells that died or were brought", "S32"),
    Column("cause", "1", "what they died of", "S32"),
    Column("killer", "1", "kind that killed them", "S32"),
    Column("cells", "cells", "how many died or were brought, since the seeding", "i8"),
    Column(
        "touched", "cells", "of those brought, how many ever touched a target (MSC: a lymphoid cell)", "i8"
    ),
    Column("kills", "cells", "kills of those brought and of their daughters", "i8"),
]


def record_steps(schedule: Schedule, duration: float, dt: float) -> list[int]:
    """Steps after day 0 at which a schedule is due: day 0 always, the last day included."""
    return sorted({0} | {round(t / dt) for t in schedule.due(0.0, duration + dt / 2)})


class RunRecorder:
    """Writes one run: a context that leaves a whole file behind, or an unfinished one.

    rows : what an unfinished file had recorded when the simulation was saved; it goes on there.
    recorded : that file, where it is not the one at `out`.
    """

    def __init__(
        self,
        simulation,
        experiment: Experiment,
        arm: str,
        patient: int,
        replicate: int,
        out: Path,
        rows: Rows | None = None,
        recorded: Path | None = None,
    ):
        dt = simulation.dt
        self.bits, self.coarsen = experiment.record.bits, experiment.record.coarsen
        self.series = record_steps(experiment.record.series, experiment.duration, dt)
        self.snapshots = record_steps(experiment.record.snapshots, experiment.duration, dt)
        self.simulation = simulation
        described = (
            _facts(experiment, arm, patient, replicate, out),
            [step * dt for step in self.series],
            [step * dt for step in self.snapshots],
            [lesion_layout(lesion, self.bits, self.coarsen) for lesion in simulation.lesions],
            [Column(*column) for column in simulation.host.columns()],
            EVENTS,
        )
        swmr = not is_network(out.parent)
        if rows is None:
            self.writer = RunWriter(out, *described, swmr=swmr)
        else:
            self.writer = resume(recorded or out, out, *described, rows=rows, swmr=swmr)

    def __enter__(self) -> "RunRecorder":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.writer.write_events(events(self.simulation))
        self.writer.close(complete=kind is None)

    def record(self, simulation) -> None:
        """Write what is due at the simulation's present step; called before the doses of that time."""
        step = simulation.steps - simulation.zero
        if step in self.series:
            self.writer.write_record(
                [observe(lesion) for lesion in simulation.lesions], simulation.host.series()
            )
        if step in self.snapshots:
            self.writer.write_snapshot(
                [SiteArrays(lesion, self.coarsen) for lesion in simulation.lesions],
                [agent_table(lesion) for lesion in simulation.lesions],
            )


def _facts(
    experiment: Experiment, arm: str, patient: int, replicate: int, out: Path
) -> dict[str, str | int | float]:
    """What a run says of itself."""
    tabled = as_events(doses_of(experiment, arm)) if ".csv" in str(experiment.arms[arm].doses) else None
    return {
        "title": experiment.title,
        "simulator_version": __version__,
        "seed": experiment.seed,
        "patient": patient,
        "arm": arm,
        "replicate": replicate,
        "config": experiment.resolved(arm, patient, tabled),
        "digest": out.stem,
        "burn_in": experiment.burn_in_digest(arm, patient, replicate),
        "idle": "\n".join(experiment.idle),
        "host": provenance.host(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def lesion_layout(lesion: LesionRun, bits: int = packing.MANTISSA, coarsen: int = 1) -> LesionLayout:
    """The columns and arrays that a run file holds of a lesion; `bits`, `coarsen` as in `config.Records`."""
    kept = bits if bits < packing.MANTISSA else None
    block = lesion.block
    kinds = {name: code for code, name in enumerate(block.names.kinds)}
    series = [Column(*entry) for entry in OBSERVABLES.values()]
    units: dict[str, str] = {name: lesion.lesion.substances[name].unit for name in block.names.fields}
    series += [Column(*entry) for entry in field_observables(units).values()]
    snapshots = [
        Snapshot("kind", "1", "bulk cell at the site", "u1", flags=kinds),
        Snapshot("lymphoid", "1", "lymphoid cell at the site", "u1", flags=kinds),
    ]
    snapshots += [
        Snapshot(name, "1", f"{name} of the tumor cell at the site", "f4", bits=kept)
        for name in site_traits(lesion)
    ]
    for f, name in enumerate(block.names.fields):
        fine = (int(block.fields.gz[f]), int(block.fields.gy[f]), int(block.fields.gx[f]))
        counts = (block.fields.nz[f], block.fields.ny[f], block.fields.nx[f])
        z, y, x = (g * (coarsen if n > 1 else 1) for g, n in zip(fine, counts, strict=True))
        grid = (z, y, x)
        method = f"volume: mean (interval: {max(fine)} sites)" if grid != fine else ""
        words = f"concentration of {name}"
        snapshots.append(Snapshot(name, units[name], words, "f4", grid, None, kept, method))
    agents = [
        Column("id", "1", "birth step · 2³³ + layer · 2³² + birth site", "i8"),
        Column("kind", "1", "kind of the cell", "u1", kinds),
        *(Column(f"position_{axis}", "um", f"position along {axis}", "f4") for axis in "zyx"),
        Column("dose_id", "1", "number of the dose it came with, 0 for none", "i4"),
        Column("engaged", "1", "1: arrested on a target", "u1"),
    ]
    agents += [
        Column(f"trait_{name}", "1", f"trait {name}; nan where the kind has none", "f4")
        for name in agent_traits(lesion)
    ]
    return LesionLayout(lesion.lesion.block.shape, lesion.lesion.block.site, series, snapshots, agents)


def site_traits(lesion: LesionRun) -> list[str]:
    """Traits of tumor cells that snapshots show."""
    tumor = lesion.lesion.cells.get("tumor")
    return [name for name in _SITE_TRAITS if tumor is not None and name in tumor.traits]


def agent_traits(lesion: LesionRun) -> list[str]:
    """Traits of any kind of the agent list, sorted."""
    block = lesion.block
    return sorted(
        {
            trait
            for code, kind in enumerate(block.names.kinds)
            if code and block.tables.kinds[code].tracked
            for trait in lesion.lesion.cells[kind].traits
        }
    )


class SiteArrays(Mapping[str, np.ndarray]):
    """The arrays of a snapshot by name, (z, y, x), each made when it is asked for.

    Fields are means over `coarsen` of their voxels along each axis.
    """

    def __init__(self, lesion: LesionRun, coarsen: int = 1):
        self.lesion, self.coarsen = lesion, coarsen
        self._fields = {name: f for f, name in enumerate(lesion.block.names.fields)}
        self._names = ("kind", "lymphoid", *site_traits(lesion), *self._fields)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> np.ndarray:
        shape, state = self.lesion.lesion.block.shape, self.lesion.block.state
        if name == "kind":
            return state.bulk.reshape(shape)
        if name == "lymphoid":
            return self._lymphoid().reshape(shape)
        if name in self._fields:
            return self._field(self._fields[name])
        column = sorted(self.lesion.lesion.cells["tumor"].traits).index(name)
        tumor = state.bulk == self.lesion.block.kind("tumor")
        return np.where(tumor, state.site_trait[:, column], np.float32(np.nan)).reshape(shape)

    def _lymphoid(self) -> np.ndarray:
        """u1[n]: the kind of the lymphoid cell at each site."""
        block, state = self.lesion.block, self.lesion.block.state
        agents = int(state.count[AGENTS])
        kind, site = state.agents.kind[:agents], state.agents.site[:agents]
        walks = block.tables.kinds.lymphoid[kind] == 1
        found = np.zeros(len(state.bulk), np.uint8)
        found[site[walks]] = kind[walks]
        return found

    def _field(self, f: int) -> np.ndarray:
        fields = self.lesion.block.fields
        grid = (int(fields.nz[f]), int(fields.ny[f]), int(fields.nx[f]))
        values = fields.c[fields.offset[f] : fields.offset[f + 1]]
        return packing.coarse(values.reshape(grid), self.coarsen).astype(np.float32)


def agent_table(lesion: LesionRun) -> dict[str, np.ndarray]:
    """The cells of the agent list, ordered by id."""
    block, state = lesion.block, lesion.block.state
    agents = int(state.count[AGENTS])
    order = np.argsort(state.agents.id[:agents], kind="stable")
    cells = state.agents[:agents][order]
    kind, site = cells["kind"], cells["site"]
    positions = np.unravel_index(site, lesion.lesion.block.shape)
    table = {
        "id": cells["id"],
        "kind": kind,
        "dose_id": cells["dose"],
        "engaged": (cells["target"] >= 0).astype(np.uint8),
    }
    for axis, index in zip("zyx", positions, strict=True):
        table[f"position_{axis}"] = ((index + 0.5) * lesion.lesion.block.site).astype(np.float32)
    for name in agent_traits(lesion):
        columns = block.tables.column[kind, block.names.traits.index(name)]
        values = state.trait[:agents][order, np.maximum(columns, 0)]
        table[f"trait_{name}"] = np.where(columns >= 0, values, np.float32(np.nan))
    return table


def events(simulation) -> dict[str, list]:
    """The rows of /events: every dose in every lesion, and the deaths by kind, cause and killer."""
    rows: list[dict] = []
    for lesion in simulation.lesions:
        rows += _dose_rows(simulation, lesion) + _death_rows(simulation, lesion)
        rows += _brought_rows(simulation, lesion)
    blank = {
        "type": 0,
        "day": 0.0,
        "lesion": 0,
        "number": 0,
        "drug": b"",
        "unit": b"",
        "planned": 0.0,
        "given": 0.0,
        "duration": 0.0,
        "expected_mscs": 0.0,
        "arrived": 0,
        "kind": b"",
        "cause": b"",
        "killer": b"",
        "cells": 0,
        "touched": 0,
        "kills": 0,
    }
    return {name: [row.get(name, value) for row in rows] for name, value in blank.items()}


def _dose_rows(simulation, lesion: LesionRun) -> list[dict]:
    host = simulation.host
    place = {dose: n for n, dose in enumerate(product_doses(host))}
    rows = []
    for i, dose in enumerate(host.dose_table()):
        n = place.get(i)
        arrived = int(lesion.placed[n]) if n is not None and n < len(lesion.placed) else 0
        expected = float(lesion.expected[n]) if n is not None and n < len(lesion.expected) else 0.0
        rows.append(
            {
                "type": _EVENT_TYPES["dose"],
                "day": dose["time_h"] / 24.0,
                "lesion": lesion.index,
                "number": dose["number"],
                "drug": dose["drug"].encode(),
                "unit": dose["unit"].encode(),
                "planned": dose["planned"],
                "given": dose["given"],
                "duration": dose["duration_h"],
                "expected_mscs": expected,
                "arrived": arrived,
            }
        )
    return rows


def _death_rows(simulation, lesion: LesionRun) -> list[dict]:
    block, state = lesion.block, lesion.block.state
    base = {"type": _EVENT_TYPES["deaths"], "day": simulation.hours / 24.0, "lesion": lesion.index}
    rows = []
    for code, kind in enumerate(block.names.kinds):
        for entry in range(EXPORTED + 1, len(LEDGER)):
            if LEDGER[entry] != "killed" and state.ledger[code, entry] > 0:
                rows.append(
                    base
                    | {
                        "kind": kind.encode(),
                        "cause": LEDGER[entry].encode(),
                        "cells": int(state.ledger[code, entry]),
                    }
                )
        for killer, name in enumerate(block.names.kinds):
            if state.kills[killer, code] > 0:
                rows.append(
                    base
                    | {
                        "kind": kind.encode(),
                        "cause": b"killed",
                        "killer": name.encode(),
                        "cells": int(state.kills[killer, code]),
                    }
                )
    return rows


def _brought_rows(simulation, lesion: LesionRun) -> list[dict]:
    """What every dose brought, and what came without one: cells, of them those that touched, and kills."""
    brought = lesion.block.state.brought
    base = {"type": _EVENT_TYPES["brought"], "day": simulation.hours / 24.0, "lesion": lesion.index}
    return [
        base
        | {
            "kind": lesion.block.names.kinds[code].encode(),
            "number": int(number),
            "cells": int(brought[code, number, CAME]),
            "touched": int(brought[code, number, TOUCHED]),
            "kills": int(brought[code, number, KILLS]),
        }
        for code, number in np.argwhere(brought.any(axis=2))
    ]
