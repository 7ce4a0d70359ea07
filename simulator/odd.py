"""The model of an experiment by the ODD protocol, generated from the model itself.

Grimm et al. 2020, J. Artif. Soc. Soc. Simul. 23(2):7, doi:10.18564/jasss.4259.
"""

from collections.abc import Iterator

from .check import Checked
from .explain import page, sections


def text(checked: Checked) -> str:
    """Overview, design concepts and details, in that order."""
    parts = {name: list(lines) for name, lines in sections(checked).items()}
    experiment = checked.experiment
    return page(
        [f"{experiment.title}: the model by the ODD protocol"],
        {
            "1 Purpose and patterns": [experiment.description, *_PATTERNS],
            "2 Entities, state variables and scales": [*parts["Blocks"], *parts["Fields"], *_scales(checked)],
            "3 Process overview and scheduling": _SCHEDULE,
            "4 Design concepts": _CONCEPTS,
            "5 Initialization": _initialization(checked),
            "6 Input data": [*parts["Trial"], *parts["Doses"]] or ["None."],
            "7 Submodels": [*parts["Cells"], *parts["Body"], *parts["Drugs"]],
            "Assumed values": parts["Assumed"],
        },
    )


def _scales(checked: Checked) -> Iterator[str]:
    step = checked.typical.step
    yield (
        f"Time goes in steps of {step.tissue:g} h for tissue and body, {60.0 * step.motility:g} min for "
        f"motility and contacts, {step.fields:g} h for fields."
    )
    yield "A cell has a kind, a place on the lattice and traits; a patient has a body and lesions."


def _initialization(checked: Checked) -> Iterator[str]:
    burn_in = checked.experiment.burn_in
    yield "Stroma, vessels, nests and infiltrate are seeded by their shares and densities."
    if burn_in.time_h is not None:
        yield f"Tissue then grows for {burn_in.time_h / 24.0:g} d; day 0 is its end, where arms branch."
    else:
        yield "Tissue then grows until it is as large as the file says; day 0 is then, where arms branch."


_PATTERNS = [
    "Judged by the densities and phenotypes of colorectal cancer, growth and response of mice and cohorts, "
    "and laws of conservation and theory: `simulator validate` and the test suite."
]
_SCHEDULE = [
    "At each step: records that are due are written; doses that are due are given; the body advances once; "
    "then every block: fields are solved, cells sense, their rates respond, cells act.",
    "Within a step all cells act on the same state; conflicts over a site are settled by dice, so that no "
    "order of cells or threads reaches a result.",
]
_CONCEPTS = [
    "Emergence: response, escape and phenotype follow from cells; none is imposed.",
    "Adaptation, objectives, learning, prediction: none; cells follow rules.",
    "Sensing: cells sense fields at their site, traits of their own, and kinds in touch with them.",
    "Interaction: contact (killing, help, suppression, OX40L) and fields (CXCL9, IFN-gamma, TGF-beta, O2).",
    "Stochasticity: every event is drawn from a counter-based generator by its patient, step, place and "
    "name, so that arms of a patient share all dice and the same seed gives the same bits.",
    "Collectives: lesions of one patient share blood, drugs and priming.",
    "Observation: counts, densities, fields and volumes over time; scans and adverse events of a trial.",
]
