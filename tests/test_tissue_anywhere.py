"""Cells that come in anywhere: as many as their rate brings, evenly where it is even."""

import numpy as np
import pytest
from scipy import stats
from tissues import PER_DAY, block, cells, lesion

from simulator.config.schema import Behavior, Cell, Rule, Tissue
from simulator.tissue.fields import as_grid
from simulator.tissue.inputs import Inputs
from simulator.tissue.state import ADMITTED, AGENTS

SITE_MM3 = (15e-3) ** 3
SHAPE = (16, 24, 24)


def coming(rate: float, shape=SHAPE, rules=(), seed: int = 1, **moves):
    """A quiet block of tumor cells into which `nk` come anywhere, at `rate` cells/mm³/d, and others not."""
    kind = Cell(
        layer="lymphoid",
        behaviors={"admit": Behavior(base=rate * PER_DAY, anywhere=True), **moves},
        rules=rules,
    )
    quiet = Cell(layer="bulk", traits={"antigenicity": 1.0, "mhc1": 1.0, "pdl1": 0.0})
    others = cells() | {"tumor": quiet, "nk": kind}
    others["cd8"] = Cell(layer="lymphoid", traits=others["cd8"].traits)
    of = block(lesion(shape, cells=others, tissue=Tissue(stroma=0.2, vessel=0.0)), seed=seed)
    of.read(Inputs())
    return of


def enter(of, steps: int) -> np.ndarray:
    """Sites of all that entered in so many steps, each step into an empty lymphoid layer."""
    found = []
    for step in range(1, steps + 1):
        of.entrance.enter(of, step, Inputs())
        found.append(of.state.agents.site[: of.state.count[AGENTS]].copy())
        of.state.occupied[:] = 0
        of.state.lymphoid[:] = -1
        of.state.count[AGENTS] = 0
    return np.concatenate(found)


def test_as_many_come_as_the_rate_brings_though_there_is_no_vessel():
    of = coming(1e4)
    assert len(of.entrance.vessels) == 0
    sites = enter(of, 60)
    expected = 1e4 * PER_DAY * of.lattice.sites * SITE_MM3 * 60
    assert abs(len(sites) - expected) < 4.0 * np.sqrt(expected)
    assert of.state.ledger[of.kind("nk"), ADMITTED] == len(sites)
    per_plane = np.bincount(sites // (24 * 24), minlength=16)
    assert stats.chisquare(per_plane).pvalue > 1e-3


def test_as_many_come_however_few_sites_are_open():
    """What keeps the kind out takes sites, not cells: they come in on the rest."""
    of = coming(1e4, migrate=Behavior(base=1.0, passes={"tumor": 0.0}))
    sites = enter(of, 60)
    expected = 1e4 * PER_DAY * of.lattice.sites * SITE_MM3 * 60
    assert abs(len(sites) - expected) < 4.0 * np.sqrt(expected)
    assert (of.state.bulk[sites] != of.kind("tumor")).all()


def test_where_a_signal_raises_the_entry_more_come():
    """Thinning: the flux at a site is base + r (to − base), r = c / (c + half)."""
    raised = Rule(behavior="admit", raised_by="cxcl9", to=3e4 * PER_DAY, half_max=1.0)
    of = coming(1e4, rules=(raised,))
    of.fields.c[...] = 0.0
    grid = as_grid(of.fields, of.fields.c, of.names.fields.index("cxcl9"))
    grid[: grid.shape[0] // 2] = 1.0  # half of the receptors: 2e4
    z = enter(of, 80) // (24 * 24)
    unit = PER_DAY * 4 * 24 * 24 * SITE_MM3 * 80
    low, high = np.count_nonzero(z >= 12), np.count_nonzero(z < 4)  # away from the border of the two
    assert abs(high - 2e4 * unit) < 4.0 * np.sqrt(2e4 * unit)
    assert abs(low - 1e4 * unit) < 4.0 * np.sqrt(1e4 * unit)


@pytest.mark.parametrize("rate", [0.0, 2e8])
def test_nobody_comes_at_no_rate_and_no_more_than_there_is_room_at_any(rate):
    of = coming(rate, shape=(6, 8, 8))
    of.entrance.enter(of, 1, Inputs())
    agents = int(of.state.count[AGENTS])
    assert agents == 0 if rate == 0.0 else 0 < agents <= of.lattice.sites
    assert len(np.unique(of.state.agents.site[:agents])) == agents


def test_an_empty_blood_lets_nobody_in():
    of = coming(1e5)
    of.read(Inputs(blood={"nk": 0.0}))
    assert len(enter(of, 3)) == 0
