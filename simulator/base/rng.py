"""Dice without state: every random number is a function of where it is used.

    value = philox4x32-10(key = (seed, patient, replicate), counter = (site, step, stream, lesion))

The arm is not in the key, so arms share their dice: what one arm does to one
cell moves no other cell's dice.  Salmon et al., SC'11, doi:10.1145/2063384.2063405.
"""

import math
from typing import NamedTuple

import numpy as np

from .kernel import kernel

# Every use of dice has its own stream.  Numbers are part of the meaning of a
# seed: append, never renumber.
STREAMS = (
    "key",  # 0  the key of a (patient, replicate)
    "population",  # 1  a virtual patient's covariates
    "stroma",  # 2  seeding: the stroma mask
    "vessel",  # 3  seeding: vessels
    "founder",  # 4  seeding: bulk cells
    "infiltrate",  # 5  seeding: lymphoid cells
    "trait",  # 6  traits of a new cell
    "clock",  # 7  competing clocks of a cell
    "place",  # 8  ties between free sites for a daughter or an arrival
    "priority",  # 9  who goes first where cells contend
    "hop",  # 10 motility
    "engage",  # 11 choice and recognition of a target
    "hit",  # 12 hits on a target
    "release",  # 13 end of an arrest
    "repair",  # 14 repair of damage
    "admit",  # 15 entry of blood cells at vessels
    "arrive",  # 16 arrival of infused cells at vessels
    "origin",  # 17 which dose an arriving cell came with
    "push",  # 18 ties along the way to a nodule's surface
    "brought",  # 19 the dose, if any, whose cells drew a blood cell in
    "map",  # 20 seeding: traits that vary smoothly over the tissue
    "invade",  # 21 which held sites are open to those that invade
)
STREAM = {name: np.uint64(code) for code, name in enumerate(STREAMS)}

_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_16 = np.uint64(16)
_12 = np.uint64(12)
_TO_UNIT = 2.0**-52

MOST_EXPECTED = 1e4  # of a Poisson variate


class Dice(NamedTuple):
    """The key of one (seed, patient, replicate), and the lesion it rolls for."""

    key0: np.uint64
    key1: np.uint64
    lesion: np.uint64


@kernel(inline=True)
def philox(key0, key1, c0, c1, c2, c3):
    """Philox4x32-10: four 32-bit words (held in uint64) from a key and a counter."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ key0, p1 & _LOW, (p0 >> _32) ^ c3 ^ key1, p0 & _LOW
        key0 = (key0 + _W0) & _LOW
        key1 = (key1 + _W1) & _LOW
    return c0, c1, c2, c3


@kernel(inline=True)
def _draw(dice, stream, step, part, site):
    """Two uniforms from one counter: 52 bits each, since with 53 the largest would round to 1."""
    w0, w1, w2, w3 = philox(
        dice.key0,
        dice.key1,
        np.uint64(site) & _LOW,
        np.uint64(step) & _LOW,
        stream | (np.uint64(part) << _16),
        dice.lesion,
    )
    a = ((w0 << _32) | w1) >> _12
    b = ((w2 << _32) | w3) >> _12
    return (np.float64(a) + 0.5) * _TO_UNIT, (np.float64(b) + 0.5) * _TO_UNIT


@kernel
def uniforms(dice, stream, step, part, site):
    """Two uniforms in the open interval (0, 1).

    stream : one of STREAM; step : tissue step; part : sub-step or draw number
    (< 65536); site : site index.  All integers.
    """
    return _draw(dice, stream, step, part, site)


@kernel
def uniforms_at(dice, stream, step, part, sites, u, v):
    """The two `uniforms` of many sites into u and v: a tenth of the time each, since the loop vectorizes."""
    for i in range(len(sites)):
        u[i], v[i] = _draw(dice, stream, step, part, sites[i])


@kernel
def uniforms_from(dice, stream, step, part, first, u, v):
    """The two `uniforms` of the sites first, first + 1, … into u and v."""
    for i in range(len(u)):
        u[i], v[i] = _draw(dice, stream, step, part, first + i)


@kernel
def uniform(dice, stream, step, part, site):
    """One uniform in the open interval (0, 1); see `uniforms`."""
    u, _ = uniforms(dice, stream, step, part, site)
    return u


@kernel
def poisson(u, mean):
    """Poisson variate by inverting the distribution function at `u`: monotone in `mean`.

    A larger mean counts as MOST_EXPECTED: nowhere is there room for so many at once.
    """
    if u <= 1.0 - mean:  # below exp(−mean)
        return 0
    mean = min(mean, MOST_EXPECTED)
    count = max(0, int(mean - 9.0 * math.sqrt(mean)) - 20)  # the tail below is under the last bit of u
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1.0))
    total = term
    while u > total:
        count += 1
        term = term * mean / count
        if count > mean and total + term == total:  # the sum has reached 1 as nearly as it can
            break
        total += term
    return count


def make_dice(seed: int, patient: int, replicate: int, lesion: int = 0) -> Dice:
    """The dice of one replicate of one patient under `seed` (0 ≤ seed < 2**64)."""
    low, high = np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)
    key0, key1, _, _ = philox(
        low, high, np.uint64(patient), np.uint64(replicate), STREAM["key"], np.uint64(0)
    )
    return Dice(np.uint64(key0), np.uint64(key1), np.uint64(lesion))
