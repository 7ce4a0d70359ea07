"""Seeding: the tissue a block starts with, before its burn-in.

Stroma forms the septa between nests: the sites where a smooth random map lies above a quantile.  Vessels
stand in or beside the septa.  Tumor fills the rest of a tissue block, or a ball amid a nodule's.
"""

import numpy as np
from scipy import ndimage, special

from ..base.errors import InputError
from ..base.kernel import kernel
from ..base.rng import STREAM, uniform
from ..config.schema import Lesion
from .lattice import Lattice
from .rules import Names, Tables
from .state import SEEDED, State, add_agent, with_capacity
from .traits import compile_spreads, draw_founder_traits, draw_traits, mapped_traits

_SECTION = 11.0e-3  # mm: cells per mm² of a 4-µm section are cells per mm³ times section plus cell diameter
_MOST_OCCUPIED = 0.4  # of the lymphoid layer of a compartment: beyond, cells could no longer walk


@kernel
def uniform_map(dice, stream, part, out):
    """One uniform a site into out, f8[n]."""
    for site in range(len(out)):
        out[site] = uniform(dice, stream, 0, part, site)


def random_map(dice, stream: str, part: int, sites: int) -> np.ndarray:
    """f8[sites] of uniforms from a stream."""
    out = np.empty(sites)
    uniform_map(dice, STREAM[stream], part, out)
    return out


def seed_block(state: State, lesion: Lesion, lattice: Lattice, tables: Tables, names: Names, dice) -> State:
    """Fill an empty state: stroma, vessels, tumor, debris, infiltrate.  Returns the state (it may grow)."""
    tissue = lesion.tissue
    kinds = {name: code for code, name in enumerate(names.kinds)}
    bulk = np.zeros(lattice.sites, np.uint8)
    if "stroma" in kinds and tissue.stroma > 0:
        # Vessels are cut out of the septa first, so the septa are marked wide enough for both.
        wanted = min(1.0, tissue.stroma + (tissue.vessel if "vessel" in kinds else 0.0))
        order = septa_order(lattice, tissue.nest_width / lesion.block.site, dice)
        bulk[order[: round(wanted * lattice.sites)]] = kinds["stroma"]
        del order  # eight bytes a site, when a whole lesion needs the most memory
    if "vessel" in kinds and tissue.vessel > 0:
        bulk[vessel_sites(lattice, bulk, tissue, kinds, dice)] = kinds["vessel"]
    _fill_tumor(bulk, lesion, lattice, kinds, dice)
    state.bulk[:] = bulk
    for code in range(1, len(names.kinds)):
        state.ledger[code, SEEDED] = int(np.count_nonzero(bulk == code))
    draw_founder_traits(state, tables, compile_spreads(lesion, names, founders=True), dice)
    _draw_maps(state, lesion, lattice, names, dice)
    return _infiltrate(state, lesion, lattice, tables, names, dice)


def _draw_maps(state: State, lesion: Lesion, lattice: Lattice, names: Names, dice) -> None:
    """Traits of seeded bulk cells that vary smoothly over the tissue: a share of all sites, or log-normal."""
    for code, column, spread in mapped_traits(lesion, names):
        sites = np.flatnonzero(state.bulk == code)
        noise = smooth_noise(lattice, spread.width / lesion.block.site, dice, "map", 64 * code + column)
        quantile = np.empty(lattice.sites)
        quantile[np.argsort(noise, kind="stable")] = (np.arange(lattice.sites) + 0.5) / lattice.sites
        if spread.share is not None:
            state.site_trait[sites, column] = quantile[sites] < spread.share
        else:
            deviate = special.ndtri(quantile[sites])
            if spread.mean is not None:
                state.site_trait[sites, column] = np.maximum(0.0, spread.mean + spread.sd * deviate)
            else:
                state.site_trait[sites, column] = spread.median * np.exp(spread.log_sd * deviate)


def smooth_noise(lattice: Lattice, width: float, dice, stream: str, part: int) -> np.ndarray:
    """f8[sites]: white noise smoothed with a Gaussian of width/4 sites."""
    shape = (lattice.nz, lattice.ny, lattice.nx)
    noise = random_map(dice, stream, part, lattice.sites).reshape(shape)
    noise -= 0.5
    mode = "wrap" if lattice.wraps else "reflect"
    sigma = [0.0 if extent == 1 else width / 4 for extent in shape]
    ndimage.gaussian_filter(noise, sigma, mode=mode, truncate=3.0, output=noise)
    return noise.ravel()


def septa_order(lattice: Lattice, width: float, dice) -> np.ndarray:
    """Sites sorted so that a prefix of any length forms septa around nests of about `width` sites.

    The septa are where the absolute value of smooth noise is smallest, a connected network of walls.
    """
    noise = smooth_noise(lattice, width, dice, "stroma", 0)
    return np.argsort(np.abs(noise, out=noise), kind="stable")


def vessel_sites(lattice: Lattice, bulk: np.ndarray, tissue, kinds: dict[str, int], dice) -> np.ndarray:
    """Sites of vessels: drawn evenly from the septa, and from the nests once the septa are used up."""
    wanted = round(tissue.vessel * lattice.sites)
    key = random_map(dice, "vessel", 0, lattice.sites)
    if "stroma" in kinds:
        key += bulk != kinds["stroma"]
    return np.sort(np.argsort(key, kind="stable")[:wanted])


def _fill_tumor(bulk: np.ndarray, lesion: Lesion, lattice: Lattice, kinds: dict[str, int], dice) -> None:
    """Tumor (and debris) on the free sites: all of them in tissue, the nearest to the center in a nodule."""
    if "tumor" not in kinds:
        return
    free = np.flatnonzero(bulk == 0)
    if lesion.block.mode == "nodule":
        cells = lesion.block.cells
        if cells is None:
            raise InputError(
                "a nodule needs its number of tumor cells at the start", "Write block: {cells: 500}."
            )
        if cells > len(free):
            raise InputError(
                f"{cells} tumor cells do not fit on the {len(free)} free sites of the block",
                "Give the block a larger shape or fewer cells.",
            )
        z, y, x = np.unravel_index(free, (lattice.nz, lattice.ny, lattice.nx))
        middle = [(extent - 1) / 2 for extent in (lattice.nz, lattice.ny, lattice.nx)]
        distance = (z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2
        free = free[np.argsort(distance, kind="stable")[:cells]]
    bulk[free] = kinds["tumor"]
    if "debris" in kinds and lesion.tissue.debris > 0:
        dead = random_map(dice, "founder", 0, lattice.sites)[free] < lesion.tissue.debris
        bulk[free[dead]] = kinds["debris"]


def _infiltrate(state: State, lesion: Lesion, lattice: Lattice, tables: Tables, names: Names, dice) -> State:
    """Lymphoid cells at the densities of `tissue.infiltrate`, site by site, at most one a site."""
    site_mm3 = (lesion.block.site * 1e-3) ** 3
    stroma_side = tables.kinds.stroma.astype(np.uint8)[state.bulk]
    inside = state.bulk > 0 if lesion.block.mode == "nodule" else np.ones(lattice.sites, bool)
    density = np.zeros((2, len(names.kinds)))  # chance a site, in nests and in stroma
    for code, kind in enumerate(names.kinds):
        for compartment, cells in lesion.tissue.infiltrate.get(kind, {}).items():
            density[int(compartment == "stroma"), code] = cells / _SECTION * site_mm3
    present = [side for side in (0, 1) if (inside & (stroma_side == side)).any()]
    most = max((float(density[side].sum()) for side in present), default=0.0)
    if most > _MOST_OCCUPIED:
        raise InputError(
            f"the infiltrate would fill {most:.0%} of the lymphoid sites of a compartment",
            f"At most {_MOST_OCCUPIED:.0%} may be filled: lower tissue.infiltrate or refine block.site.",
        )
    draw = random_map(dice, "infiltrate", 0, lattice.sites)
    kind_at = np.full(lattice.sites, len(names.kinds), np.uint8)
    for side in present:
        where = np.flatnonzero(inside & (stroma_side == side))
        kind_at[where] = np.searchsorted(np.cumsum(density[side]), draw[where], side="right")
    sites = np.flatnonzero(kind_at < len(names.kinds))
    state = with_capacity(state, len(sites) + 1024, 1024)
    _place_infiltrate(state, tables, compile_spreads(lesion, names), dice, sites, kind_at[sites])
    for code in range(1, len(names.kinds)):
        state.ledger[code, SEEDED] += int(np.count_nonzero(kind_at[sites] == code))
    return state


@kernel
def _place_infiltrate(state, tables, spreads, dice, sites, kinds):
    """One lymphoid cell at each site, born at step 0."""
    for i in range(len(sites)):
        slot = add_agent(state, tables, kinds[i], sites[i], 0, 0)
        draw_traits(state, tables, spreads, dice, 0, slot)
