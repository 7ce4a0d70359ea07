"""Proportions: exact intervals and tests, paired and parallel.

Written with scipy.special: importing scipy.stats costs a second.
"""

import math

import numpy as np

from ..base.errors import InputError


def clopper_pearson(count: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a binomial proportion (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404)."""
    from scipy import special

    if not 0 <= count <= n or n < 1:
        raise InputError(f"{count} of {n} is no proportion.", "Give 0 ≤ count ≤ n and n ≥ 1.")
    tail = 0.5 * (1.0 - level)
    low = float(special.betaincinv(count, n - count + 1, tail)) if count > 0 else 0.0
    high = float(special.betaincinv(count + 1, n - count, 1.0 - tail)) if count < n else 1.0
    return low, high


def mcnemar(first_only: int, second_only: int) -> float:
    """Two-sided exact p-value of McNemar's test, from the pairs that differ."""
    from scipy import special

    n = first_only + second_only
    return min(1.0, 2.0 * float(special.bdtr(min(first_only, second_only), n, 0.5))) if n else 1.0


def paired_difference(
    both: int, first_only: int, second_only: int, neither: int, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the difference of two paired proportions (first − second).

    Newcombe 1998, doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C, method 10:
    Wilson intervals of both, put together with the correlation of the pairs.
    """
    n = both + first_only + second_only + neither
    p, q = (both + first_only) / n, (both + second_only) / n
    (p_low, p_high), (q_low, q_high) = wilson(p, n, level), wilson(q, n, level)
    phi = _phi(both, first_only, second_only, neither)
    below = _length(p - p_low, q_high - q, phi)
    above = _length(q - q_low, p_high - p, phi)
    return p - q - below, p - q + above


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a binomial proportion (Wilson 1927)."""
    from scipy import special

    z = float(special.ndtri(0.5 + 0.5 * level))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _phi(both: int, first_only: int, second_only: int, neither: int) -> float:
    """The correlation of the pairs with Newcombe's continuity correction where it is positive."""
    rows = (both + first_only) * (second_only + neither)
    columns = (both + second_only) * (first_only + neither)
    if rows * columns == 0:
        return 0.0
    cross = float(both * neither - first_only * second_only)
    if cross > 0:
        cross = max(cross - 0.5 * (both + first_only + second_only + neither), 0.0)
    return cross / math.sqrt(rows * columns)


def _length(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(0.0, a * a - 2.0 * phi * a * b + b * b))


def fisher_power(first: float, second: float, n: int, level: float = 0.95) -> float:
    """Chance that Fisher's exact test (two-sided) tells two arms of `n` apart, by summing every outcome.

    first, second : true proportions of the arms.
    """
    from scipy import special

    k = np.arange(n + 1)
    log_choose = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    p, q = (
        np.exp(log_choose + special.xlogy(k, share) + special.xlog1py(n - k, -share))
        for share in (first, second)
    )
    power = 0.0
    for total in range(2 * n + 1):
        here = k[max(0, total - n) : min(n, total) + 1]
        chance = np.exp(log_choose[here] + log_choose[total - here] - _log_choose(2 * n, total))
        order = np.sort(chance)
        # as extreme: every table no more likely, equal ones included though they differ in the last bit
        p_value = np.cumsum(order)[np.searchsorted(order, chance * (1 + 1e-7), side="right") - 1]
        power += float((p[here] * q[total - here])[p_value <= 1.0 - level].sum())
    return power


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
