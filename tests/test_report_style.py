"""Colors that stay apart, whoever looks."""

from itertools import combinations

import numpy as np
import pytest

from simulator.report import style

# Machado, Oliveira & Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1.
VISION = {
    "normal": np.eye(3),
    "deutan": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "protan": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "tritan": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}  # fmt: skip


def seen(color: str, vision: str) -> np.ndarray:
    """Oklab coordinates (Ottosson 2020) of a color as someone with this vision sees it."""
    srgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    red, green, blue = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    cones = np.cbrt(
        [
            0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue,
            0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue,
            0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue,
        ]
    )
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
              [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.asarray(to_lab) @ cones


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    "palette",
    [[*style.KINDS.values()], [style.INK, *style.ARMS], [*style.RESPONSES.values()]],
    ids=["kinds", "arms", "responses"],
)
def test_any_two_colors_differ_for_every_vision(palette, vision):
    near = min(np.linalg.norm(seen(a, vision) - seen(b, vision)) for a, b in combinations(palette, 2))
    assert near > 0.09  # four to five just noticeable differences


@pytest.mark.parametrize("vision", VISION)
def test_grades_darken_with_their_harm(vision):
    lightness = [seen(style.GRADES[grade], vision)[0] for grade in sorted(style.GRADES)]
    assert np.diff(lightness).max() < -0.09


def test_a_users_kinds_have_colors_that_do_not_hang_on_their_order():
    kinds = ["tumor", "fibroblast", "b_cell"]
    colors = style.kind_colors(kinds)
    assert colors == style.kind_colors(reversed(kinds))
    assert len(set(colors.values())) == 3
    assert colors["tumor"] == style.KINDS["tumor"]


def test_twenty_four_arms_look_different_and_the_reference_is_ink():
    arms = [f"arm {i}" for i in range(25)]
    styles = style.arm_styles(arms, "arm 7")
    assert len({(look["color"], look["dashes"]) for look in styles.values()}) == 25
    assert styles["arm 7"]["color"] == style.INK


def test_living_products_wear_the_color_of_mscs():
    looks = style.product_looks(["msc_a", "msc_b", "antibody"], ["msc_a", "msc_b"])
    assert looks["msc_a"][0] == looks["msc_b"][0] == style.KINDS["msc"] != looks["antibody"][0]
    assert len({mark for _, mark in looks.values()}) == 3
