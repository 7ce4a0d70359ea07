"""What an experiment will cost: cells, memory and time; refused where it cannot fit in memory."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError
from .plan import Plan, plan
from .words import count, duration, large

if TYPE_CHECKING:
    from ..config.load import Experiment
    from ..config.people import People
    from ..config.schema import Lesion

SITE_BYTES = 12  # of one site: kind, wounds, event, who stands there; every trait of bulk cells takes 4 more
VOXEL_BYTES = 16  # of one field's voxel: concentration and source; 8 more where cells take it up …
SOLVER_BYTES = 28  # … and of the solver's work on all levels, once a grid and thread
SEEDING_BYTES = (
    24  # of one site, while its lesion is seeded: noise, the order of its values, and sorting them
)
AGENT_BYTES = 400  # of one lymphoid cell or MSC with its traits, in lists that grow by doubling
PROCESS_BYTES = 300e6  # interpreter, libraries, compiled kernels
SPEED = 1.5e6  # cell-hours per second and thread: of cohorts of 24³ sites; large blocks are far faster
_SECTION_MM = 0.011  # cells/mm² are counted in a 4-µm section plus a 7-µm cell: validation.md §5
_SIZED = ("arms", "block", "phenotypes", "population", "tissue")  # sections that decide the size of a run
_UNKNOWN_GROWTH_H = 240.0  # a burn-in until a size: its time is known only afterwards


@dataclass(frozen=True)
class Estimate:
    """The size of an experiment.  Cells and memory are of its largest run; time is on one thread."""

    points: int  # of a sweep, or 1
    runs: int
    made: int  # runs to make: those that are the same to the digit are made once
    burn_ins: int
    sites: int
    cells: float  # living cells at the start of treatment
    memory: float  # bytes a run
    memory_available: float  # bytes
    memory_limit: str  # what sets it
    cell_hours: float  # of all runs and burn-ins
    speed: float  # cell-hours per second and thread
    seconds: float

    def __str__(self) -> str:
        memory = f"{self.memory / 1e9:,.1f} of {self.memory_available / 1e9:,.1f} GB of memory"
        return (
            f"{self.work}; the largest has "
            f"{self.sites:,} sites and about {large(self.cells)} cells, and takes {memory} "
            f"({self.memory_limit}). In all {large(self.cell_hours)} cell-hours: about "
            f"{duration(self.seconds)} on one thread, at {large(self.speed)} a second."
        )

    @property
    def work(self) -> str:
        """What there is to do, in words: '36 points, 288 runs (120 differ) and 4 burn-ins'."""
        points = f"{count(self.points, 'point')}, " if self.points > 1 else ""
        differ = f" ({self.made:,} differ)" if self.made < self.runs else ""
        return f"{points}{count(self.runs, 'run')}{differ} and {count(self.burn_ins, 'burn-in')}"


def estimate(experiment: "Experiment", planned: Plan | None = None, speed: float = SPEED) -> Estimate:
    """Estimate cells, memory and time of an experiment before anything runs.

    planned : its plan, if made already; speed : cell-hours per second and thread.  Growth is left out, so
    a nodule's time is a lower bound.  Raises InputError where the largest run needs more memory than
    there is.
    """
    planned = planned or plan(experiment)
    sizes = _sizes(experiment)
    burn_in_hours = _burn_in_hours(experiment)
    made = {run.digest: run for run in planned.runs}.values()
    cell_hours = sum(sizes[run.point, run.arm][1] * experiment.duration for run in made)
    cell_hours += sum(sizes[each.point, each.arm][1] * burn_in_hours for each in planned.burn_ins)
    sites, cells, memory = (max(size[k] for size in sizes.values()) for k in range(3))
    available, limit = memory_limit()
    if memory > available:
        raise InputError(
            f"A run of {sites:,} sites needs {memory / 1e9:.3g} GB of memory; this machine has "
            f"{available / 1e9:.3g} GB ({limit}).",
            "Take a smaller block.shape, or a machine with more memory.",
        )
    return Estimate(
        points=len(planned.points),
        runs=len(planned.runs),
        made=len(made),
        burn_ins=len(planned.burn_ins),
        sites=int(sites),
        cells=cells,
        memory=memory,
        memory_available=available,
        memory_limit=limit,
        cell_hours=cell_hours,
        speed=speed,
        seconds=cell_hours / speed,
    )


def _sizes(experiment: "Experiment") -> dict[tuple[int, str], tuple[int, float, float]]:
    """Sites, living cells and bytes of a run, by point and arm."""

    def sizes(point: "Experiment") -> dict[str, tuple[int, float, float]]:
        return {arm: _size(point.model(arm, 1, "treatment").lesions) for arm in point.arms}

    sweep, found = experiment.sweep, {}
    alike = None if sweep is not None and sweep.touches(_SIZED) else sizes(experiment)
    for number, *_ in experiment.points:
        for arm, size in (alike or sizes(experiment.at(number))).items():
            found[number, arm] = size
    return found


def work_hours(experiment: "Experiment | People") -> tuple[float, float]:
    """Simulated hours of a burn-in and of a run, by which progress is weighed."""
    return _burn_in_hours(experiment), experiment.duration


def memory_limit() -> tuple[float, str]:
    """Bytes of memory this process may use, and what sets the limit (machine, cgroup, ulimit)."""
    limits = [(_machine_bytes(), "machine")]
    limits += [(size, "cgroup") for size in _cgroup_bytes()]
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits.append((math.inf if soft == resource.RLIM_INFINITY else float(soft), "ulimit"))
    except ImportError:  # not on Windows
        pass
    return min(limits, key=lambda limit: limit[0])


def _size(lesions: "tuple[Lesion, ...]") -> tuple[int, float, float]:
    """Sites, living cells and bytes of one run."""
    sites = sum(math.prod(lesion.block.shape) for lesion in lesions)
    tumor = sum(_tumor_cells(lesion) for lesion in lesions)
    lymphoid = sum(_lymphoid_cells(lesion) for lesion in lesions)
    seeded = SEEDING_BYTES * max(math.prod(lesion.block.shape) for lesion in lesions)
    memory = sum(map(lattice_bytes, lesions)) + seeded + lymphoid * AGENT_BYTES + PROCESS_BYTES
    return sites, tumor + lymphoid, memory


def lattice_bytes(lesion: "Lesion") -> float:
    """Bytes of a lesion's sites and fields, with one thread."""
    bulk = [cell for cell in lesion.cells.values() if cell.layer == "bulk" and not cell.tracked]
    of_site = SITE_BYTES + 4.0 * max([1, *(len(cell.traits) for cell in bulk)])
    of_site += 4.0 * (lesion.block.mode == "nodule")  # the distance to its surface
    taken = {
        name.partition(" ")[2]
        for cell in lesion.cells.values()
        for name in cell.behaviors
        if name.startswith(("take_up ", "exchange "))
    }
    axes = sum(extent > 1 for extent in lesion.block.shape)
    for name, field in lesion.substances.items():
        of_site += (VOXEL_BYTES + 8.0 * (name in taken)) / field.grid**axes
    of_site += sum(SOLVER_BYTES / grid**axes for grid in {f.grid for f in lesion.substances.values()})
    return math.prod(lesion.block.shape) * of_site


def _tumor_cells(lesion: "Lesion") -> float:
    if lesion.block.cells is not None:
        return float(lesion.block.cells)
    tissue = lesion.tissue
    empty = min(1.0, tissue.stroma + tissue.vessel)
    return math.prod(lesion.block.shape) * (1.0 - empty) * (1.0 - tissue.debris)


def _lymphoid_cells(lesion: "Lesion") -> float:
    """Infiltrate at its densities; the stroma is its share of the volume, the nest the rest."""
    edge = lesion.block.site / 1000.0
    volume = math.prod(lesion.block.shape) * edge * edge * edge
    share = {"stroma": lesion.tissue.stroma, "nest": 1.0 - lesion.tissue.stroma}
    return sum(
        density / _SECTION_MM * volume * share[where]
        for densities in lesion.tissue.infiltrate.values()
        for where, density in densities.items()
    )


def _burn_in_hours(experiment: "Experiment | People") -> float:
    given = experiment.burn_in.time_h
    return _UNKNOWN_GROWTH_H if given is None else given


def _machine_bytes() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # a system that does not say
        return math.inf


def _cgroup_bytes() -> list[float]:
    """Limits of every cgroup around this process (v2 and v1), from its own to the root."""
    root = Path("/sys/fs/cgroup")
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    found = []
    for _, controllers, inner in groups:
        if controllers not in ("", "memory"):
            continue
        base, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        folder = base / inner.strip("/")
        for place in (folder, *folder.parents):
            text = _read(place / name)
            if text.isdigit():
                found.append(float(text))
            if place == base:
                break
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
