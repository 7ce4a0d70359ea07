"""DLT risks that do not fall with the dose, and the level whose risk is nearest to a target."""

from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=65536)
def exceeds(events: float, patients: float, limit: float) -> float:
    """Posterior probability that a rate exceeds `limit`, from a uniform prior; counts may be fractions."""
    from scipy import special

    return 1.0 - float(special.betainc(1.0 + events, 1.0 + patients - events, limit))


def risks(dlts: Sequence[int], patients: Sequence[float]) -> list[float]:
    """Isotonic regression of DLT risks over ascending levels, all tried.

    The raw risk (y + 0.05)/(n + 0.1) is weighted by the inverse of its posterior variance under a
    Beta(0.05, 0.05) prior (Liu & Yuan 2015, doi:10.1111/rssc.12089, and its software).
    """
    blocks: list[tuple[float, float, int]] = []  # risk, weight, levels
    for y, n in zip(dlts, patients, strict=True):
        a, b = y + 0.05, n - y + 0.05
        block = a / (a + b), (a + b) ** 2 * (a + b + 1.0) / (a * b), 1
        while blocks and blocks[-1][0] >= block[0]:  # pool what falls
            risk, weight, count = blocks.pop()
            total = weight + block[1]
            block = (weight * risk + block[1] * block[0]) / total, total, count + block[2]
        blocks.append(block)
    return [risk for risk, _, count in blocks for _ in range(count)]


def nearest(risks: Sequence[float], target: float) -> int:
    """Position of the risk nearest to the target: of equals the highest below it, the lowest above it.

    So Liu & Yuan's software: the largest dose where the estimates cannot tell doses apart.
    """
    distance = min(abs(risk - target) for risk in risks)
    close = [i for i, risk in enumerate(risks) if abs(risk - target) <= distance + 1e-12]
    below = [i for i in close if risks[i] < target]
    return below[-1] if below else close[0]
