"""Between values in the order of voxels and a level's storage by color."""

import numpy as np

from ..base.kernel import kernel
from .levels import row


@kernel(allocates=True)
def load(g, level, c, s, u, decay, rate, z0, z1):
    """Write the planes' c, right-hand side and loss by color, and the sums of |s| and |c|."""
    ny, nx = g.grid[level].ny, g.grid[level].nx
    value, source, content = np.zeros(nx), np.zeros(nx), np.zeros(nx)
    for z in range(z0, z1):
        source[:] = 0.0
        content[:] = 0.0
        for y in range(ny):
            even, odd = row(g, level, (z + y) & 1, z, y), row(g, level, 1 - ((z + y) & 1), z, y)
            old, made, taken = c[z, y], s[z, y], u[z, y]
            split(old, g.c, even, odd)
            for x in range(nx):
                value[x] = made[x] + rate * old[x]
                source[x] += abs(made[x])
                content[x] += abs(old[x])
            split(value, g.b, even, odd)
            for x in range(nx):
                value[x] = decay + rate + taken[x]
            split(value, g.inverse, even, odd)
        g.sums[0, z] = row_total(source)
        g.sums[1, z] = row_total(content)


@kernel
def unload(g, level, c, z0, z1):
    """Write the planes' solution back to c."""
    for z in range(z0, z1):
        for y in range(g.grid[level].ny):
            join(g.c, row(g, level, (z + y) & 1, z, y), row(g, level, 1 - ((z + y) & 1), z, y), c[z, y])


@kernel
def split(values, by_color, even, odd):
    """Write a row to its two colors; even and odd are where they begin."""
    half = len(values) >> 1
    first, second = by_color[even : even + half], by_color[odd : odd + half]
    for j in range(half):
        first[j] = values[2 * j]
        second[j] = values[2 * j + 1]
    if 2 * half < len(values):
        by_color[even + half] = values[2 * half]


@kernel
def join(by_color, even, odd, values):
    """Write a row from its two colors."""
    half = len(values) >> 1
    first, second = by_color[even : even + half], by_color[odd : odd + half]
    for j in range(half):
        values[2 * j] = first[j]
        values[2 * j + 1] = second[j]
    if 2 * half < len(values):
        values[2 * half] = by_color[even + half]


@kernel
def row_total(values):
    """Sum of a row in order."""
    total = 0.0
    for value in values:
        total += value
    return total
