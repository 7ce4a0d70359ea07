"""How a site looks in a section: a small picture of a cell, in shades of the color of its kind."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import to_rgb

_MOST, _LEAST = 14, 6  # picture elements along a site; where there is room for fewer than the least, one
_PER_INCH = 220


def dots(width: float, sites: int) -> int:
    """Picture elements along a site where `sites` of them share `width` inches."""
    room = min(_MOST, int(width * _PER_INCH / sites))
    return room if room >= _LEAST else 1


def paint(codes: np.ndarray, names: Mapping[int, str], colors: Mapping[str, str], size: int) -> np.ndarray:
    """A section as an image, float (y · size, x · size, 3).

    codes : uint8 (y, x), kinds of the sites; names : kind of each code; colors : of each kind;
    size : picture elements along a site.  A site looks the same in every image, turned by its place.
    """
    base = np.ones((256, 3))
    shades = np.zeros((256, 4, size, size))
    for code, name in names.items():
        base[code] = to_rgb(colors[name])
        if size > 1 and name != "empty":
            shades[code] = [np.rot90(_stamp(name, size), turn) for turn in range(4)]
    y, x = np.indices(codes.shape)
    shade = shades[codes, (5 * y + 3 * x + y * x) % 4]
    color = base[codes][:, :, None, None, :]
    dark, light = np.clip(-shade, 0, 1)[..., None], np.clip(shade, 0, 1)[..., None]
    image = color * (1 - 0.6 * dark) + (1 - color) * light
    return image.transpose(0, 2, 1, 3, 4).reshape(codes.shape[0] * size, codes.shape[1] * size, 3)


def _stamp(name: str, size: int) -> np.ndarray:
    """Shades of one site, from -1 (darkest) to 1 (white); 0 is the color itself."""
    line = (np.arange(size) + 0.5) / size * 2 - 1
    v, u = np.meshgrid(line, line, indexing="ij")
    far = np.maximum(abs(u), abs(v))
    if name == "stroma":  # fibers
        return 0.12 * np.sin(5.0 * (v + 0.25 * np.sin(2.2 * u)))
    if name == "vessel":  # wall and lumen
        return np.where(far > 0.85, -0.3, np.where(np.hypot(u, v) < 0.5, 0.2, 0.0))
    if name in ("debris", "necrosis"):  # fragments
        specks = ((-0.45, -0.4, 0.3), (0.4, -0.15, 0.25), (-0.1, 0.5, 0.28))
        inside = [np.hypot(u - x, v - y) < radius for x, y, radius in specks]
        return np.where(np.any(inside, axis=0), -0.22, 0.15)
    membrane = (u * u * u * u + v * v * v * v) > 0.7
    nucleus = np.hypot(u - 0.1, v + 0.08) < 0.42
    return np.where(membrane, 0.3, np.where(nucleus, -0.09, 0.0))
