"""Lesion tables for the tests of the clinic."""

from collections.abc import Mapping, Sequence

import numpy as np

from simulator.clinic.lesions import ABSENT, MEASURED, MM, NOT_EVALUATED, Lesion, LesionTable

MISSING = -1.0


def lesion_table(
    sizes: Mapping[str, Sequence[float]],
    days: Sequence[float] | None = None,
    unequivocal: Mapping[str, Sequence[int]] | None = None,
    every: float = 56.0,
) -> LesionTable:
    """A table of sizes in mm by 'name organ [node]'; 0 is absent, `MISSING` not evaluated.

    The first visit is the baseline; `unequivocal` lists visits at which a lesion has clearly progressed.
    """
    lesions = [Lesion(key, key.split()[1], "node" in key.split()) for key in sizes]
    mm = np.array(list(sizes.values()), float).T
    state = np.where(mm == MISSING, NOT_EVALUATED, np.where(mm == 0, ABSENT, MEASURED))
    if days is None:
        days = [-10.0, *(every * (1 + np.arange(len(mm) - 1)))]
    flags = np.zeros(mm.shape, bool)
    for key, visits in (unequivocal or {}).items():
        flags[list(visits), list(sizes).index(key)] = True
    return LesionTable(lesions, days, state, np.rint(np.maximum(mm, 0) * MM), flags)
