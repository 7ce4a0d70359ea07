"""Points spread over the unit cube: the designs that sample a space of factors.

Numbers of points are checked by `allowed`, so that a design is whole or not made.
"""

from collections.abc import Callable

Points = list[tuple[float, ...]]

MORRIS_LEVELS = 4  # of each factor; steps of 2/3 then visit all levels equally often (Morris 1991)
_FEWEST_TRAJECTORIES = 2  # without a second one, elementary effects have no spread


def allowed(design: str, factors: int, points: int) -> str:
    """What is wrong with a number of points, in a sentence; empty where nothing is."""
    if design == "latin_hypercube" and points < 2:
        return "A Latin hypercube needs at least 2 points."
    if design == "morris":
        each = factors + 1
        rows = max(_FEWEST_TRAJECTORIES, points // each)
        if points != rows * each:
            return (
                f"A Morris design of {factors} factors walks in trajectories of {each} points, at least "
                f"{_FEWEST_TRAJECTORIES} of them: write {rows * each} or {(rows + 1) * each}."
            )
    if design == "sobol":
        each = factors + 2
        rows = 2 ** max(1, (points // each).bit_length() - 1)
        if points != rows * each:
            return (
                f"A Sobol design of {factors} factors has N × {each} points with N a power of 2, at least 2: "
                f"write {rows * each} or {2 * rows * each}."
            )
    return ""


def sample(design: str, factors: int, points: int, seed: int) -> Points:
    """`points` points of the unit cube of so many factors; the same for the same arguments.

    latin_hypercube : every factor has one point in each of `points` equal parts.
    sobol : rows A, B, AB_1, …, AB_k of Saltelli 2010 (doi:10.1016/j.cpc.2009.09.018), one after the other,
    where A and B are halves of a scrambled Sobol sequence and AB_i is A with factor i from B.
    morris : trajectories that change one factor a step by ±2/3 (Morris 1991, doi:10.2307/1269043).
    """
    makers: dict[str, Callable[[int, int, int], Points]] = {
        "latin_hypercube": _latin_hypercube,
        "sobol": _saltelli,
        "morris": _morris,
    }
    return makers[design](factors, points, seed)


def _latin_hypercube(factors: int, points: int, seed: int) -> Points:
    from scipy.stats import qmc

    return [tuple(map(float, row)) for row in qmc.LatinHypercube(factors, rng=seed).random(points)]


def _saltelli(factors: int, points: int, seed: int) -> Points:
    from scipy.stats import qmc

    rows = points // (factors + 2)
    found: Points = []
    for row in qmc.Sobol(2 * factors, rng=seed).random_base2(rows.bit_length() - 1):
        a, b = tuple(map(float, row[:factors])), tuple(map(float, row[factors:]))
        found += [a, b]
        found += [(*a[:i], b[i], *a[i + 1 :]) for i in range(factors)]
    return found


def _morris(factors: int, points: int, seed: int) -> Points:
    import numpy as np

    dice = np.random.default_rng(seed)
    top = MORRIS_LEVELS - 1
    step = MORRIS_LEVELS // 2
    found: Points = []
    for _ in range(points // (factors + 1)):
        place = dice.integers(0, MORRIS_LEVELS, factors)
        found.append(tuple(float(level / top) for level in place))
        for factor in dice.permutation(factors):
            place[factor] += step if place[factor] < step else -step
            found.append(tuple(float(level / top) for level in place))
    return found
