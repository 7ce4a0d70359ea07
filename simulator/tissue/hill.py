"""The Hill curve, of one number and of many at once.

The power is a polynomial of plain arithmetic, not the C library's: its loops vectorize (a quarter of the
time), and its bits depend on no library.
"""

import numpy as np

from ..base.kernel import kernel

_SQRT_HALF = np.int64(0x3FE6A09E667F3BCD)  # the bits of √½: a mantissa is taken from [√½, √2)
_MANTISSA = np.int64(52)  # bits
_BIAS = np.int64(1023)
_ROUND = 6755399441055744.0  # 1.5 · 2⁵²: adding it rounds to an integer
_LN2 = 0.6931471805599453
_LOWEST = 1e-300  # below, H is 0 for any exponent in use


@kernel(inline=True)
def power(x, n):
    """xⁿ for normal x > 0, within 1e-13 of the value, cut at 2^±1000.

    log₂ x = e + 2/ln 2 · artanh((m − 1)/(m + 1)) with x = m · 2ᵉ, and 2^y = 2ᵏ e^(t), t = (y − k) ln 2:
    Taylor series to 1e-16, summed in pairs.
    """
    bits = np.float64(x).view(np.int64)
    e = (bits - _SQRT_HALF) >> _MANTISSA
    m = np.int64(bits - (e << _MANTISSA)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    z2 = z * z
    z4 = z2 * z2
    low = (1 / 3 + z * (1 / 5)) + z2 * (1 / 7 + z * (1 / 9))
    high = (1 / 11 + z * (1 / 13)) + z2 * (1 / 15 + z * (1 / 17)) + z4 * (1 / 19 + z * (1 / 21))
    y = n * (np.float64(e) + (2.0 / _LN2) * (s + s * z * (low + z4 * high)))
    y = y if y > -1000.0 else -1000.0
    y = y if y < 1000.0 else 1000.0
    k = (y + _ROUND) - _ROUND
    t = (y - k) * _LN2
    t2 = t * t
    t4 = t2 * t2
    low = (1.0 + t) + t2 * (1 / 2 + t * (1 / 6))
    middle = (1 / 24 + t * (1 / 120)) + t2 * (1 / 720 + t * (1 / 5040))
    high = (1 / 40320 + t * (1 / 362880)) + t2 * (1 / 3628800 + t * (1 / 39916800))
    high += t4 * (1 / 479001600 + t * (1 / 6227020800))
    scale = np.int64((np.int64(k) + _BIAS) << _MANTISSA).view(np.float64)
    return (low + t4 * (middle + t4 * high)) * scale


@kernel(inline=True)
def hill(x, half, n):
    """H(x; K, n) = xⁿ / (xⁿ + Kⁿ), zero for x ≤ 0."""
    if x <= 0.0:
        return 0.0
    if n == 1.0:
        return x / (x + half)
    if n == 2.0:
        return x * x / (x * x + half * half)
    if n == 4.0:
        x2 = x * x
        k2 = half * half
        return x2 * x2 / (x2 * x2 + k2 * k2)
    if n == 8.0:
        x4 = x * x * x * x
        k4 = half * half * half * half
        return x4 * x4 / (x4 * x4 + k4 * k4)
    ratio = x / half
    p = power(ratio if ratio > _LOWEST else _LOWEST, n)
    return p / (p + 1.0)


@kernel
def hill_of(x, half, n, out):
    """H of every x into out: `hill`, bit for bit, with the loop inside."""
    if n == 1.0:
        for i in range(len(out)):
            out[i] = x[i] / (x[i] + half) if x[i] > 0.0 else 0.0
    elif n == 2.0:
        k2 = half * half
        for i in range(len(out)):
            x2 = x[i] * x[i]
            out[i] = x2 / (x2 + k2) if x[i] > 0.0 else 0.0
    elif n == 4.0:
        k2 = half * half
        k4 = k2 * k2
        for i in range(len(out)):
            x2 = x[i] * x[i]
            out[i] = x2 * x2 / (x2 * x2 + k4) if x[i] > 0.0 else 0.0
    elif n == 8.0:
        k4 = half * half * half * half
        k8 = k4 * k4
        for i in range(len(out)):
            x4 = x[i] * x[i] * x[i] * x[i]
            out[i] = x4 * x4 / (x4 * x4 + k8) if x[i] > 0.0 else 0.0
    else:
        for i in range(len(out)):
            ratio = x[i] / half
            p = power(ratio if ratio > _LOWEST else _LOWEST, n)
            out[i] = p / (p + 1.0) if x[i] > 0.0 else 0.0
