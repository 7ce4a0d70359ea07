"""Cells that are put into a block, fields held at its walls, normal traits, divisions scaled by a trait."""

import math

import numpy as np
import pytest
from scipy import ndimage, stats
from tissues import PER_DAY, block, cells, digest, fields, lesion

from simulator.config.schema import Behavior, Cell, Lesion, Spread, Tissue
from simulator.tissue.fields import as_grid
from simulator.tissue.inputs import Inflow, Inputs, Placing
from simulator.tissue.state import ADMITTED, AGENTS, CAME, TURNED_AWAY

SITE = 15.0


def placing(cells_in: float, nearest=0.0, farthest=math.inf, kind="cd8", number=1, **traits) -> Inputs:
    """One dose of cells that is put into the block in this step."""
    at = Placing(cells_in, nearest, farthest)
    return Inputs(inflow=Inflow(np.zeros(1), np.array([number]), (kind,), (traits,), (at,)))


def still(**traits) -> Cell:
    """Tumor cells that do nothing."""
    return Cell(layer="bulk", traits={"antigenicity": 1.0, "mhc1": 1.0, "pdl1": 0.0} | traits)


def nodule(**changes) -> Lesion:
    """A ball of tumor cells that do nothing, in an empty block."""
    quiet = {"tissue": Tissue(stroma=0.0, vessel=0.0), "mode": "nodule", "cells_at_start": 500}
    return lesion((24, 24, 24), **(quiet | {"cells": cells() | {"tumor": still()}} | changes))


def entered(of, inputs, step=1):
    of.read(inputs)
    return of.entrance.enter(of, step, inputs)


def distances(of) -> np.ndarray:
    """µm from every cell of the agent list to the nearest tumor cell."""
    shape = (of.lattice.nz, of.lattice.ny, of.lattice.nx)
    away = ndimage.distance_transform_edt((of.state.bulk != of.kind("tumor")).reshape(shape)).ravel()
    return away[of.state.agents.site[: of.state.count[AGENTS]]] * SITE


def test_placed_cells_stand_where_they_are_put_and_are_booked():
    of = block(nodule())
    assert entered(of, placing(300.0, 45.0, 90.0, divisions=7.0)).tolist() == [300]
    assert of.state.count[AGENTS] == 300
    away = distances(of)
    assert away.min() >= 45.0 and away.max() <= 90.0
    code = of.kind("cd8")
    assert of.state.ledger[code, ADMITTED] == of.state.brought[code, 1, CAME] == 300
    column = sorted(of.lesion.cells["cd8"].traits).index("divisions")
    assert (of.state.trait[:300, column] == 7.0).all()
    assert len(np.unique(of.state.agents.site[:300])) == 300


def test_placed_cells_are_spread_evenly_over_the_sites_in_reach():
    of = block(nodule())
    entered(of, placing(2000.0, 30.0))
    z = of.state.agents.site[:2000] // (24 * 24)
    half = np.count_nonzero(z < 12)
    assert stats.binomtest(int(half), 2000, 0.5).pvalue > 1e-3


def test_a_fraction_of_a_cell_comes_with_its_chance():
    counts = [int(entered(block(nodule()), placing(0.25), step)[0]) for step in range(1, 201)]
    assert set(counts) <= {0, 1}
    assert stats.binomtest(sum(counts), 200, 0.25).pvalue > 1e-3


def test_cells_without_a_site_are_turned_away():
    of = block(nodule())
    free = np.count_nonzero(of.state.bulk != of.kind("tumor"))
    (placed,) = entered(of, placing(24.0**3, 1.0))
    assert placed == free
    assert of.state.count[TURNED_AWAY] == 24**3 - free


def test_bulk_cells_are_put_on_free_bulk_sites():
    of = block(nodule())
    before = np.count_nonzero(of.state.bulk == of.kind("tumor"))
    assert entered(of, placing(50.0, kind="msc"))[0] == 50
    assert np.count_nonzero(of.state.bulk == of.kind("msc")) == 50
    assert np.count_nonzero(of.state.bulk == of.kind("tumor")) == before


def test_without_tumor_cells_any_free_site_will_do():
    of = block(nodule())
    of.state.bulk[:] = 0
    assert entered(of, placing(100.0, 60.0))[0] in (0, 100)


def test_no_cells_to_place_change_no_bit():
    with_dose, without = block(), block()
    for step in range(1, 4):
        with_dose.advance(step, placing(0.0, 30.0))
        without.advance(step, Inputs())
    assert digest(with_dose) == digest(without)


def test_a_lymphoid_product_comes_in_at_vessels():
    of = block()
    inflow = Inflow(np.array([2e9]), np.array([1]), ("cd8",), ({},))
    of.read(Inputs())
    (placed,) = of.entrance._arrive(of, 1, inflow)
    agents = of.state.agents[: of.state.count[AGENTS]]
    mine = agents.site[agents.dose == 1]
    assert placed == len(mine) > 10
    assert (of.state.occupied[mine] == 1).all()


# --- fields held at the walls --------------------------------------------------------------------


def held(level, shape, decay, start=0.0, grid=1) -> Lesion:
    """An empty block whose oxygen is held at its walls."""
    o2 = fields()["o2"].model_copy(update={"edge": level, "start": start, "decay": decay, "grid": grid})
    kinds = {"tumor": Cell(layer="bulk")}
    nothing = Tissue(stroma=0.0, vessel=0.0)
    return lesion(shape, mode="nodule", cells_at_start=1, tissue=nothing, cells=kinds, fields={"o2": o2})


def steady(of, steps=40) -> np.ndarray:
    of.read(Inputs())
    for step in range(1, steps + 1):
        of.solve_fields(step)
    return as_grid(of.fields, of.fields.c, 0)


def test_a_field_without_loss_comes_to_the_level_of_the_walls():
    assert steady(block(held(38.0, (8, 8, 8), 0.0))) == pytest.approx(38.0, rel=1e-3)


@pytest.mark.parametrize("grid", [1, 2])
def test_a_slab_of_one_site_shows_the_profile_of_its_walls(grid):
    """c'' = c/λ² with c = 38 on four walls: the series of two cosh profiles, within 1 % of the level."""
    n, reach = 40, 150.0
    d = fields()["o2"].diffusion
    c = steady(block(held(38.0, (1, n, n), d / reach**2, grid=grid)))[0]
    length, h = n * SITE, SITE * grid
    x = (np.arange(len(c)) + 0.5) * h
    away = np.zeros_like(c)  # 1 − c/38, by Fourier series
    for i in range(1, 80, 2):
        for j in range(1, 80, 2):
            mode = math.pi / length
            part = 16 / (math.pi**2 * i * j) / (1 + reach**2 * mode**2 * (i * i + j * j))
            away += part * np.sin(i * mode * x)[:, None] * np.sin(j * mode * x)
    assert np.abs(c / 38.0 - (1 - away)).max() < 0.01


def test_what_the_walls_give_is_not_taken_for_secretion():
    of = block(held(38.0, (6, 6, 6), 1.0))
    steady(of, 2)
    assert of.secreted[0] == 0.0


# --- normal traits, scaled divisions ----------------------------------------------------------------


def test_normal_traits_have_their_mean_and_spread_and_no_negative_value():
    spread = Spread(mean=1.0, sd=0.5)
    of = block(nodule(cells=cells() | {"tumor": still(t=spread)}, cells_at_start=4000))
    place = sorted(of.lesion.cells["tumor"].traits).index("t")
    column = of.state.site_trait[of.state.bulk == of.kind("tumor"), place]
    inside = stats.norm(1.0, 0.5)
    assert (
        stats.kstest(column[column > 0.0], lambda x: (inside.cdf(x) - inside.cdf(0)) / inside.sf(0)).pvalue
        > 1e-3
    )
    assert (column >= 0.0).all() and 0 < np.count_nonzero(column == 0.0) < 200


def test_a_trait_multiplies_the_rate_of_division():
    """Births of a kind with the trait at 2 and at 0."""

    def births(value):
        mother = still(t=value).model_copy(
            update={"behaviors": {"divide": Behavior(base=PER_DAY, scaled_by="t")}}
        )
        of = block(nodule(cells=cells() | {"tumor": mother}, cells_at_start=3000))
        of.advance(1, Inputs())
        return np.count_nonzero(of.state.bulk == of.kind("tumor")) - 3000

    assert births(0.0) == 0
    expected = 3000 * (1 - math.exp(-2.0 * PER_DAY))
    assert abs(births(2.0) - expected) < 4 * math.sqrt(expected)
