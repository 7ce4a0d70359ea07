"""What a run can report of a lesion: every quantity once, with its name, unit, meaning and formula.

The writer, the reader, the plots and the manual read these entries.
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..config.schema import Observable
from ..tissue.state import (
    AGENTS,
    BORN,
    CAME,
    DIED,
    EXPORTED,
    KILLED,
    KILLS,
    LEDGER,
    LYSED,
    NECROSED,
    TURNED_AWAY,
)
from .lesion import LesionRun

_SECTION_MM = 11.0e-3  # mm: a 4-µm section shows the cells of 11 µm (section + cell diameter)
_RIM_UM = 100.0  # width of a nodule's rim


class View:
    """One lesion at one moment, with counts that several observables share, made once."""

    def __init__(self, lesion: LesionRun):
        self.lesion = lesion
        self.block = lesion.block
        self.state = lesion.block.state
        agents = int(self.state.count[AGENTS])
        self.agents = self.state.agents[:agents]
        self.kind, self.site = self.agents["kind"], self.agents["site"]
        self.bulk_counts = np.bincount(self.state.bulk, minlength=len(self.block.names.kinds))
        self.agent_counts = np.bincount(self.kind, minlength=len(self.block.names.kinds))

    def count(self, kind: str) -> int:
        """Living cells of a kind in the block."""
        code = self.block.kind(kind)
        if code < 0:
            return 0
        tracked = self.block.tables.kinds[code].tracked
        return int(self.agent_counts[code] if tracked else self.bulk_counts[code])

    def ledger(self, kind: str, *entries: int) -> int:
        """Sum of ledger entries of a kind since the seeding."""
        code = self.block.kind(kind)
        return 0 if code < 0 else int(self.state.ledger[code, list(entries)].sum())

    def kills(self, killer: str) -> int:
        """Kills of a kind since the seeding."""
        code = self.block.kind(killer)
        return 0 if code < 0 else int(self.state.kills[code].sum())

    def with_trait(self, kind: str, trait: str) -> int:
        """Cells of the agent list of a kind whose trait exceeds one half."""
        code = self.block.kind(kind)
        cell = self.block.lesion.cells.get(kind)
        if code < 0 or cell is None or trait not in cell.traits:
            return 0
        column = sorted(cell.traits).index(trait)
        return int(np.count_nonzero((self.kind == code) & (self.state.trait[: len(self.kind), column] > 0.5)))

    def engaged(self, kind: str) -> int:
        """Cells of a kind arrested on a target."""
        return int(np.count_nonzero((self.kind == self.block.kind(kind)) & (self.agents["target"] >= 0)))

    @cached_property
    def stroma(self) -> np.ndarray:
        """bool[n]: sites of kinds that stand outside nests."""
        return self.block.tables.kinds.stroma.astype(bool)[self.state.bulk]

    @cached_property
    def core(self) -> np.ndarray:
        """bool[n]: sites within nests; in a nodule those deeper than its rim."""
        nest = (self.state.bulk > 0) & ~self.stroma
        if self.block.lesion.block.mode == "nodule":
            shape = (self.block.lattice.nz, self.block.lattice.ny, self.block.lattice.nx)
            filled = (self.state.bulk > 0).reshape(shape)
            padded = np.pad(filled, [(0, 0) if n == 1 else (1, 1) for n in shape])
            depth = ndimage.distance_transform_edt(padded)
            inner = tuple(slice(None) if n == 1 else slice(1, -1) for n in shape)
            nest &= depth[inner].ravel() * self.block.lesion.block.site > _RIM_UM
        return nest

    @cached_property
    def rim(self) -> np.ndarray:
        """bool[n]: the stroma between nests; in a nodule its outer 100 µm."""
        if self.block.lesion.block.mode == "nodule":
            return (self.state.bulk > 0) & ~self.stroma & ~self.core
        return self.stroma

    def density(self, kind: str, where: np.ndarray | None) -> float:
        """Cells per mm² of a section through the sites given (all filled sites by default)."""
        code = self.block.kind(kind)
        if where is None:
            where = self.state.bulk > 0
        sites = int(np.count_nonzero(where))
        if code < 0 or sites == 0:
            return 0.0
        cells = int(np.count_nonzero(where[self.site[self.kind == code]]))
        return cells / (sites * self.block.site_volume * 1e-9) * _SECTION_MM

    def field(self, name: str) -> np.ndarray:
        """Concentrations of a field, f8[voxels]."""
        f = self.block.names.fields.index(name)
        return self.block.fields.c[self.block.fields.offset[f] : self.block.fields.offset[f + 1]]

    def brought(self, entry: int, *kinds: str) -> int:
        """What the doses of infused cells brought so far: an entry of `State.brought`, summed over kinds."""
        codes = [code for kind in kinds if (code := self.block.kind(kind)) >= 0]
        return int(self.state.brought[codes, 1:, entry].sum())

    def cxcr3_occupancy(self) -> float:
        """Mean share of CXCR3 that its ligands hold; nan where nothing follows them."""
        cell = self.block.lesion.cells.get("cd8")
        walk = cell.behaviors.get("migrate") if cell is not None else None
        if walk is None or walk.toward != "cxcl9" or not walk.half_max:
            return math.nan
        c = self.field("cxcl9")
        return float((c / (c + walk.half_max)).mean())

    def msc_ligand_share(self) -> float:
        """Share of the CXCR3 ligand in the block that the MSCs made; nan where it is not traced."""
        traced = self.block.lesion.traced
        if traced is None or traced[0] != "cxcl9":
            return math.nan
        total = float(self.field("cxcl9").sum())
        return float(self.field(traced[2]).sum()) / total if total > 0.0 else 0.0

    def trait_mean(self, trait: str) -> float:
        """Mean of a tumor trait over living tumor cells; nan without any."""
        code = self.block.kind("tumor")
        cell = self.block.lesion.cells.get("tumor")
        if code < 0 or cell is None or trait not in cell.traits or self.bulk_counts[code] == 0:
            return math.nan
        column = sorted(cell.traits).index(trait)
        return float(self.state.site_trait[:, column][self.state.bulk == code].mean(dtype=np.float64))


class Formula(NamedTuple):
    """An observable and how it is computed."""

    entry: Observable
    value: Callable[[View], float]


_DEATHS = (DIED, NECROSED, LYSED, KILLED)


def _formula(name: str, unit: str, doc: str, value: Callable[[View], float]) -> Formula:
    return Formula(Observable(name, unit, doc), value)


def _count(kind: str, name: str) -> Formula:
    return _formula(kind, "cells", f"{name} cells in the block", lambda view: view.count(kind))


_ENTRIES = (
    _formula("tumor_cells", "cells", "living tumor cells in the block", lambda v: v.count("tumor")),
    _formula("stroma", "cells", "stroma sites in the block", lambda v: v.count("stroma")),
    _formula("tumor_volume", "mm3", "volume of the lesion, live and debris", lambda v: v.lesion.volume_mm3),
    _formula(
        "relative_volume",
        "1",
        "volume of the lesion relative to day 0",
        lambda v: v.lesion.volume.relative,
    ),
    _formula(
        "tumor_diameter",
        "mm",
        "diameter of a sphere of the lesion's volume",
        lambda v: v.lesion.diameter_mm,
    ),
    _formula(
        "tumor_exported",
        "cells",
        "tumor cells pushed out of the block",
        lambda v: v.ledger("tumor", EXPORTED),
    ),
    _formula(
        "births_tumor",
        "cells",
        "tumor cells born, exported daughters included",
        lambda v: v.ledger("tumor", BORN),
    ),
    _formula("deaths_tumor", "cells", "tumor cells dead of any cause", lambda v: v.ledger("tumor", *_DEATHS)),
    _formula("killed_tumor", "cells", "tumor cells killed by hits", lambda v: v.ledger("tumor", KILLED)),
    _formula(
        "necrosed_tumor",
        "cells",
        "tumor cells dead of want of oxygen",
        lambda v: v.ledger("tumor", NECROSED),
    ),
    _formula(
        "debris",
        "sites",
        "sites of dead cells not yet cleared",
        lambda v: v.count("debris") + v.count("necrosis"),
    ),
    _formula("pdl1_tumor", "1", "mean PD-L1 of living tumor cells", lambda v: v.trait_mean("pdl1")),
    _formula("mhc1_tumor", "1", "mean MHC-I of living tumor cells", lambda v: v.trait_mean("mhc1")),
    _formula(
        "cd8_reactive",
        "cells",
        "CD8 cells specific for the tumor",
        lambda v: v.with_trait("cd8", "reactive"),
    ),
    _formula("cd8_exhausted", "cells", "exhausted CD8 cells", lambda v: v.with_trait("cd8", "exhausted")),
    _formula("cd8_engaged", "cells", "CD8 cells arrested on a target", lambda v: v.engaged("cd8")),
    _formula("nk_engaged", "cells", "NK cells arrested on a target", lambda v: v.engaged("nk")),
    _formula(
        "cd8_density_core",
        "cells/mm2",
        "CD8 cells in nests (a nodule: deeper than 100 µm), per area of section",
        lambda v: v.density("cd8", v.core),
    ),
    _formula(
        "cd8_density_rim",
        "cells/mm2",
        "CD8 cells in stroma (a nodule: its outer 100 µm), per area of section",
        lambda v: v.density("cd8", v.rim),
    ),
    _formula(
        "nk_density_core",
        "cells/mm2",
        "NK cells in nests, per area of section",
        lambda v: v.density("nk", v.core),
    ),
    _formula(
        "nk_density_rim",
        "cells/mm2",
        "NK cells in stroma, per area of section",
        lambda v: v.density("nk", v.rim),
    ),
    _formula(
        "treg_density_core",
        "cells/mm2",
        "regulatory T cells in nests, per area of section",
        lambda v: v.density("treg", v.core),
    ),
    _formula(
        "treg_density_rim",
        "cells/mm2",
        "regulatory T cells in stroma, per area of section",
        lambda v: v.density("treg", v.rim),
    ),
    _formula("nk_density", "cells/mm2", "NK cells, per area of section", lambda v: v.density("nk", None)),
    _formula("kills_cd8", "cells", "cells killed by CD8 cells", lambda v: v.kills("cd8")),
    _formula("kills_nk", "cells", "cells killed by NK cells", lambda v: v.kills("nk")),
    _formula("kills_gdt", "cells", "cells killed by gamma-delta T cells", lambda v: v.kills("gdt")),
    _formula(
        "brought_cd8",
        "cells",
        "CD8 cells that entered because of the MSCs' CXCL9, so far",
        lambda v: v.brought(CAME, "cd8"),
    ),
    _formula(
        "brought_nk",
        "cells",
        "NK cells that entered because of the MSCs' CXCL9, so far",
        lambda v: v.brought(CAME, "nk"),
    ),
    _formula(
        "kills_brought",
        "cells",
        "cells killed by those that the MSCs' CXCL9 brought, and their daughters",
        lambda v: v.brought(KILLS, "cd8", "nk", "gdt"),
    ),
    _formula(
        "cxcr3_occupancy",
        "1",
        "mean share of CXCR3 that its ligands hold, c / (c + Kd)",
        lambda v: v.cxcr3_occupancy(),
    ),
    _formula(
        "msc_ligand_share",
        "1",
        "share of the CXCR3 ligand in the block that the MSCs made",
        lambda v: v.msc_ligand_share(),
    ),
    _formula("msc_alive", "cells", "living MSCs in the block", lambda v: v.count("msc")),
    _formula("msc_arrived", "cells", "MSCs that arrived in the block so far", lambda v: v.lesion.arrived),
    _formula(
        "turned_away",
        "cells",
        "cells that found no room at their vessel",
        lambda v: int(v.state.count[TURNED_AWAY]),
    ),
    _formula(
        "h_hot",
        "1",
        "CXCL9 of the living MSCs, spread evenly, over that of half-maximal entry: n·s/(k·K_rec)",
        lambda v: v.lesion.h_hot,
    ),
    _count("cd8", "CD8"),
    _count("cd4", "CD4"),
    _count("treg", "regulatory T"),
    _count("nk", "NK"),
    _count("gdt", "gamma-delta T"),
)
FORMULAS: dict[str, Formula] = {formula.entry.name: formula for formula in _ENTRIES}
OBSERVABLES: dict[str, Observable] = {name: formula.entry for name, formula in FORMULAS.items()}


def field_observables(fields: dict[str, str]) -> dict[str, Observable]:
    """Mean and maximum of every field of an experiment; `fields` gives units by name."""
    entries = {}
    for name in sorted(fields):
        entries[f"{name}_mean"] = Observable(f"{name}_mean", fields[name], f"mean {name} in the block")
        entries[f"{name}_max"] = Observable(f"{name}_max", fields[name], f"largest {name} in the block")
    return entries


def observe(lesion: LesionRun) -> dict[str, float]:
    """Every observable of a lesion now, the fields' among them."""
    view = View(lesion)
    values = {name: float(formula.value(view)) for name, formula in FORMULAS.items()}
    for name in view.block.names.fields:
        field = view.field(name)
        values[f"{name}_mean"] = float(field.mean())
        values[f"{name}_max"] = float(field.max())
    return values


def ledger_gap(lesion: LesionRun) -> dict[str, int]:
    """Cells that the ledger misses, by kind: seeded + born + admitted + formed − gone − present; 0 by law."""
    view = View(lesion)
    signs = np.array([1 if LEDGER.index(name) < EXPORTED else -1 for name in LEDGER])
    return {
        kind: int(view.state.ledger[code] @ signs) - view.count(kind)
        for code, kind in enumerate(view.block.names.kinds)
        if code > 0
    }
