"""The picture of a section: every site in its kind's color, whatever is drawn on it."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib.colors import to_rgb

from simulator.report import cells, style

NAMES = dict(enumerate([*style.KINDS, "fibroblast"]))
COLORS = style.kind_colors(NAMES.values())


def sites(image: np.ndarray, size: int) -> np.ndarray:
    """The image cut into its sites, (y, x, size, size, 3)."""
    y, x = image.shape[0] // size, image.shape[1] // size
    return image.reshape(y, size, x, size, 3).transpose(0, 2, 1, 3, 4)


def test_without_room_a_site_is_a_square_of_its_color():
    codes = np.array([list(NAMES)], np.uint8)
    image = cells.paint(codes, NAMES, COLORS, 1)
    assert np.allclose(image[0], [to_rgb(COLORS[name]) for name in NAMES.values()])


@pytest.mark.parametrize("size", [6, 14])
def test_every_kind_keeps_the_hue_of_its_legend(size):
    """Averaged over its picture, a site is nearest to its own color among all of the palette."""
    codes = np.array([list(NAMES)], np.uint8)
    seen = sites(cells.paint(codes, NAMES, COLORS, size), size)[0].mean(axis=(1, 2))
    palette = np.array([to_rgb(COLORS[name]) for name in NAMES.values()])
    nearest = np.linalg.norm(seen[:, None] - palette[None], axis=2).argmin(axis=1)
    assert nearest.tolist() == list(NAMES)


@given(st.integers(1, 14), st.integers(0, 2**32 - 1))
def test_a_picture_shows_its_own_site_and_nothing_else(size, seed):
    dice = np.random.default_rng(seed)
    codes = dice.integers(0, len(NAMES), (5, 7)).astype(np.uint8)
    other = codes.copy()
    other[2, 3] = (codes[2, 3] + 1) % len(NAMES)
    before, after = (sites(cells.paint(each, NAMES, COLORS, size), size) for each in (codes, other))
    changed = np.any(before != after, axis=(2, 3, 4))
    assert changed[2, 3] and changed.sum() == 1
    assert before.min() >= 0.0 and before.max() <= 1.0


@given(st.floats(0.5, 8.0), st.integers(1, 500))
def test_pictures_are_drawn_where_there_is_room(width, count):
    size = cells.dots(width, count)
    assert size == 1 or 6 <= size <= 14
    assert size == 1 or size * count <= width * 220
