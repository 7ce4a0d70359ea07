"""Every validation: which experiment it runs, and how its results are judged."""

from collections.abc import Callable
from typing import NamedTuple

from ..collect import Results
from . import cohorts, phenotypes, replications, therapy
from .target import Target


class Case(NamedTuple):
    """One experiment of the catalogue and the targets it is held against.

    experiment : its entry under `validation/` or `replications/`; title : what it is about.
    """

    name: str
    title: str
    experiment: str
    targets: Callable[[Results], list[Target]]


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("therapy", "The therapy in mice, where it works", "validation/therapy", therapy.strong),
        Case(
            "therapy_center",
            "The therapy in mice, at the centers of the priors",
            "validation/therapy_center",
            therapy.center,
        ),
        Case(
            "therapy_factor",
            "The therapy in mice, if PD-L1 and MSCs multiply division",
            "validation/therapy_factor",
            therapy.by_factor,
        ),
        Case(
            "therapy_mhc1",
            "The therapy against tumors without MHC-I",
            "validation/therapy_mhc1",
            therapy.without_mhc1,
        ),
        Case("phenotypes", "Densities and phenotypes, MSS", "validation/phenotypes", phenotypes.mss),
        Case("msih", "Densities, MSI-H", "validation/msih", phenotypes.msih),
        Case("cohort_mss", "A hundred patients with MSS disease", "validation/cohort_mss", cohorts.mss),
        Case("cohort_msih", "A hundred patients with MSI-H disease", "validation/cohort_msih", cohorts.msih),
        Case(
            "cartopiax",
            "CAR T cells against an organoid (Luque 2024)",
            "replications/cartopiax",
            replications.cartopiax,
        ),
        Case(
            "physicell",
            "How strongly immune cells home (PhysiCell)",
            "replications/physicell",
            replications.physicell,
        ),
        Case(
            "kather",
            "Stroma and lymphocytes (Kather 2017)",
            "replications/kather",
            replications.kather,
        ),
        Case(
            "kather_phenotypes",
            "Four phenotypes from two knobs (Kather 2017, 2018)",
            "replications/kather_phenotypes",
            replications.kather_phenotypes,
        ),
        Case(
            "kather_permeability",
            "Permeable stroma (Kather 2017)",
            "replications/kather_permeability",
            replications.kather_permeability,
        ),
    )
}
