"""The grids of a hierarchy: what must hold on every level for mass to be kept and cycles to converge."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.tissue.levels import make_levels

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))


def _numbers(levels, level, axis):
    """(low, high, share, near, other) of one axis of a level."""
    grid = levels.grid[level]
    start = (grid.at_z, grid.at_y, grid.at_x)[axis]
    part = levels.axis[start : start + (grid.nz, grid.ny, grid.nx)[axis]]
    return part.low, part.high, part.share, part.near, part.other


def _width(levels, level, axis):
    """Widths of a level's voxels in voxels of level 0, joined from what the shares say."""
    width = np.ones((levels.grid.nz, levels.grid.ny, levels.grid.nx)[axis][0])
    for finer in range(level):
        width = np.bincount(np.arange(len(width)) // 2, weights=width)
        share = _numbers(levels, finer, axis)[2]
        assert np.allclose(np.bincount(np.arange(len(share)) // 2, weights=share), 1.0)
    return width


@given(shape=SHAPES, periodic=st.booleans())
def test_levels_halve_to_one_voxel(shape, periodic):
    levels = make_levels(shape, (20.0, 20.0, 20.0), periodic)
    for n in (levels.grid.nz, levels.grid.ny, levels.grid.nx):
        assert (n[1:] == -(-n[:-1] // 2)).all()
        assert n[-1] == 1
    assert len(levels.grid) >= 2


@given(shape=SHAPES, periodic=st.booleans(), axis=st.integers(0, 2))
def test_what_flows_out_of_a_voxel_flows_into_its_neighbor(shape, periodic, axis):
    levels = make_levels(shape, (10.0, 20.0, 30.0), periodic)
    for level in range(len(levels.grid)):
        low, high, *_ = _numbers(levels, level, axis)
        width = _width(levels, level, axis)
        np.testing.assert_allclose(high * width, np.roll(low * width, -1))
        assert periodic or (low[0] == 0.0 and high[-1] == 0.0)


@given(shape=SHAPES, axis=st.integers(0, 2))
def test_interpolation_is_exact_for_lines_inside(shape, axis):
    levels = make_levels(shape, (20.0, 20.0, 20.0), False)
    for level in range(len(levels.grid) - 1):
        near, other = _numbers(levels, level, axis)[3:]
        fine, coarse = _width(levels, level, axis), _width(levels, level + 1, axis)
        x, parent = np.cumsum(fine) - fine / 2, np.cumsum(coarse) - coarse / 2
        own = np.arange(len(x)) // 2
        inside = (x >= parent[0]) & (x <= parent[-1])
        np.testing.assert_allclose((near * parent[own] + (1 - near) * parent[other])[inside], x[inside])
        assert (near[~inside] == 1.0).all()


def test_memory_is_four_copies_of_the_field():
    levels = make_levels((64, 64, 64), (20.0, 20.0, 20.0), False)
    assert sum(values.nbytes for values in levels if isinstance(values, np.ndarray)) < 4 * 8 * 64**3


@pytest.mark.parametrize("n, expected", [(1, 0.0), (2, 1 / 400), (9, 1 / 400)])
def test_links_of_the_finest_level(n, expected):
    low, high, *_ = _numbers(make_levels((1, 1, n), (20.0, 20.0, 20.0), False), 0, 2)
    assert np.allclose(low[1:], expected) and np.allclose(high[:-1], expected)
