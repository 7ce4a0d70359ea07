"""The pages of a trial's folder: a synopsis that leads with activity, and what the trial can be used for."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...clinic import office
from ...clinic.counterfactual import NO_LEVEL, PAIRED, PARALLEL
from ...clinic.endpoints import PARAMETERS
from ...clinic.escalation import RARE, table_text
from ...clinic.survival import kaplan_meier
from ...clinic.tables import Rows
from ...clinic.trial import Trial
from ..designs.compare import FEW_MSCS
from ..words import count
from .simulate import arm_of

if TYPE_CHECKING:
    import pandas as pd

_MONTH = 365.25 / 12.0


def synopsis(trial: Trial, listings: Mapping[str, Rows], runs: "pd.DataFrame") -> str:
    """The trial on a page."""
    header = trial.protocol.header
    parts = {
        header.title: _opening(trial),
        "Activity": _activity(trial, listings),
        "The same patients without a dose": _counterfactual(listings),
        "What a real trial would show": _power(listings),
        "What the blocks met": _blocks(runs[runs["arm"] != arm_of(NO_LEVEL)]),
        "Dose": _dose(trial, listings),
        "Further trials": _further(listings),
        "Safety": _safety(trial, listings),
        "Exposure": _exposure(listings),
        "Rules": _rules(trial),
    }
    bodies = {name: "\n".join(lines) for name, lines in parts.items()}
    text = [f"## {name}\n\n{body}" for name, body in bodies.items() if body]
    return "\n\n".join(text).removeprefix("#") + "\n"


def _opening(trial: Trial) -> Iterator[str]:
    screened, treated = len(trial.enrollment.log), len(trial.slots)
    yield f"Registry: {trial.protocol.header.registry or 'none'}. Virtual patients of seed {trial.seed}."
    yield f"{screened} screened, {treated} treated; {100 * trial.enrollment.failed:.0f} % failed screening."
    if trial.stopped:
        yield f"The expansion stopped early: {trial.stopped}"


def _activity(trial: Trial, listings: Mapping[str, Rows]) -> Iterator[str]:
    yield "| dose | patients | ORR | DCR | median PFS (months) | median OS (months) |"
    yield "|---|---|---|---|---|---|"
    rates = {
        (row["ARM"], row["PARAMCD"]): row for row in listings["rates"] if row["CRITERIA"] == "RECIST 1.1"
    }
    for name in office.arms(trial):
        if (name, "ORR") not in rates:
            continue
        cells = [_share(rates[name, code]) for code in ("ORR", "DCR")]
        medians = [_median(listings["adtte"], name, code) for code in ("PFS", "OS")]
        yield f"| {name} | {rates[name, 'ORR']['N']} | {' | '.join(cells)} | {' | '.join(medians)} |"
    yield ""
    asked = (
        "is told by the same patients without a dose, below"
        if "counterfactual" in listings
        else "is asked by giving the same patients nothing, `trial: {untreated: true}`"
    )
    yield "Intervals are exact (Clopper–Pearson, 95 %)."
    yield f"There is no control arm: whether the product did anything {asked}."


def _counterfactual(listings: Mapping[str, Rows]) -> Iterator[str]:
    """Each patient against himself or herself; pairing takes the differences between patients out."""
    if "counterfactual" not in listings:
        return
    yield "| | treated | untreated | difference | correlation | better · worse |"
    yield "|---|---|---|---|---|---|"
    for row in listings["counterfactual"]:
        difference = f"{row['DIFFERENCE']:.3g} ({row['LOW']:.3g} to {row['HIGH']:.3g})"
        rho = "–" if np.isnan(row["CORRELATION"]) else f"{row['CORRELATION']:.2f}"
        yield (
            f"| {row['PARAM']} | {row['TREATED']:.3g} | {row['UNTREATED']:.3g} | {difference} | {rho} "
            f"| {row['BETTER']} · {row['WORSE']} |"
        )
    yield f"\n{PAIRED}"


def _power(listings: Mapping[str, Rows]) -> Iterator[str]:
    """Other patients in either arm: what a real trial of some size would tell."""
    if "power" not in listings:
        return
    sizes = sorted({row["PATIENTS"] for row in listings["power"]})
    yield f"| | {' | '.join(f'{size} an arm' for size in sizes)} |"
    yield f"|---|{'---|' * len(sizes)}"
    for code, test in dict.fromkeys((row["PARAMCD"], row["TEST"]) for row in listings["power"]):
        mine = {row["PATIENTS"]: row for row in listings["power"] if row["PARAMCD"] == code}
        shares = [f"{100 * mine[size]['POWER']:.1f} % ± {100 * mine[size]['ERROR']:.1f}" for size in sizes]
        yield f"| {code}, {test} | {' | '.join(shares)} |"
    yield f"\n{PARALLEL}"


def _share(row: Mapping[str, Any]) -> str:
    return f"{100 * row['AVAL']:.0f} % ({100 * row['LOW']:.0f}–{100 * row['HIGH']:.0f})"


def _median(rows: Rows, arm: str, code: str) -> str:
    mine = [row for row in rows if row["ARM"] == arm and row["PARAMCD"] == code]
    assert code in PARAMETERS
    curve = kaplan_meier(
        np.array([row["AVAL"] for row in mine]), np.array([row["CNSR"] == 0 for row in mine])
    )
    median, low, high = (value / _MONTH for value in curve.quantile())
    if not np.isfinite(median):
        return "not reached"
    return (
        f"{median:.1f} ({low:.1f}–{high:.1f})" if np.isfinite(high) else f"{median:.1f} ({low:.1f} or more)"
    )


def _blocks(runs: "pd.DataFrame") -> Iterator[str]:
    met = runs["expected_mscs"].dropna()
    if not len(met):
        yield "No cell was given."
        return
    few = int((met < FEW_MSCS).sum())
    yield (
        f"{count(few, 'patient')} of {len(met)} met fewer than {FEW_MSCS:g} MSCs a dose in the blocks that "
        f"stand for their lesions (median {met.median():.2g}); H_hot was at most {runs['h_hot'].max():.2g}."
    )
    if few:
        yield "Such blocks cannot show what the product does; what they show of the tumor's growth holds."


def _dose(trial: Trial, listings: Mapping[str, Rows]) -> Iterator[str]:
    yield f"After the escalation: {trial.choice.reason}"
    yield f"After all follow-up: {trial.final.reason}"
    rare, top = f"{100 * RARE:g} %", len(trial.protocol.treatment.doses)
    for row in listings["operating_characteristics"]:
        if row["scenario"].startswith(rare) and row["level"] == top:
            yield (
                f"Were the true DLT rate {rare} at every level, this design would choose the top level in "
                f"{100 * row['selected']:.1f} % of trials: DLTs that rare cannot tell the levels apart."
            )
    yield "\n```text"
    yield table_text(trial.protocol.design)
    yield "```"


def _further(listings: Mapping[str, Rows]) -> Iterator[str]:
    """What many emulated trials chose, and how far the emulator can be trusted."""
    if "selection" not in listings:
        return
    (fitted,) = listings["emulator"]
    for row in listings["selection"]:
        name = f"level {row['level']}" if row["level"] else "no level"
        yield f"- {name}: {100 * row['selected']:.1f} % ± {100 * row['error']:.1f} of {row['trials']} trials"
    yield ""
    yield (
        f"The emulator was fitted to {fitted['patients']} patients with {fitted['lesions']} lesions "
        f"and {fitted['lowest']:.3g} to {fitted['highest']:.3g} million cells per kg in all."
    )
    yield (
        f"A patient left out is predicted within a factor {np.exp(fitted['error']):.2f} of the volume after "
        f"{fitted['days']:.0f} d. A million cells per kg move growth by {fitted['slope']:.2g} ± "
        f"{fitted['slope_error']:.2g} per day."
    )
    yield (
        f"Growth differs by {fitted['between']:.2g} per day between patients, beyond doubling times, and by "
        f"{fitted['blocks']:.2g} between blocks of one patient: that is chance in small blocks, told apart."
    )


def _safety(trial: Trial, listings: Mapping[str, Rows]) -> Iterator[str]:
    for row in listings["dlt"]:
        risk = "untried" if row["risk"] is None else f"estimated risk {100 * row['risk']:.1f} %"
        yield f"- {row['arm']}: {row['dlts']} of {row['evaluable']} evaluable patients had a DLT; {risk}."
    severe = [row for row in listings["adae"] if row["AETOXGR"] >= 3]
    caused = sum(row["CAUSED"] for row in severe)
    blamed = sum(row["AEREL"] for row in severe)
    yield (
        f"- {count(len(severe), 'adverse event')} of grade 3 or more: {caused} caused by the product, "
        f"{blamed} put down to it."
    )


def _exposure(listings: Mapping[str, Rows]) -> Iterator[str]:
    rows = listings["adsl"]
    planned, given = sum(row["PLANNED"] for row in rows), sum(row["GIVEN"] for row in rows)
    intensity = float(np.nanmean([row["RDI"] for row in rows])) if rows else float("nan")
    yield f"{given} of {planned} planned doses were given."
    yield f"The relative dose intensity is {100 * intensity:.0f} % on average."


def _rules(trial: Trial) -> Iterator[str]:
    yield "Every switch of response evaluation:"
    for name, value in trial.protocol.evaluation.recorded().items():
        yield f"- {name}: {value}"
    yield from trial.protocol.evaluation.notes()


def credibility(trial: Trial) -> str:
    """The credibility sheet (ASME V&V 40-2018): question, context of use, evidence, limits."""
    return _CREDIBILITY.format(registry=trial.protocol.header.registry or "given")


_CREDIBILITY = """# Credibility of this virtual trial

**Question of interest.** How would a trial run by the protocol {registry} go, if patients, product and tumors
were as the configuration assumes?

**Context of use.** To plan: which designs, dose levels, visits and endpoints could tell anything at all, and
what would have to be true of the product. Not to predict the outcome of the real trial or of any patient.

**Influence and consequence.** Low by intent: no decision about a person may rest on it.

**Verification.** Laws (ledgers, field mass, the same bits at any number of threads, arms equal to the bit
until their doses differ), theory (diffusion, walks, birth and death, pharmacokinetics), published decision
tables and worked rules of RECIST 1.1, iRECIST, 3+3, BOIN, BOIN12 and CRM: the test suite.

**Validation.** `simulator validate` holds densities, phenotypes, the therapy in mice and virtual cohorts
against publications, target by target; what is missed is listed there with its reason.

**Uncertainty.** Homing, secretion, persistence, potency and the risks of adverse events are assumed, over
orders of magnitude. A trial of one seed is one draw; seeds spread more than most effects that it shows.

**Limits.** A block stands for a lesion and, at human doses, seldom meets an MSC. Myeloid cells and B cells
are not agents. Toxicity beyond the causes in the protocol does not exist here. Death follows burden and
performance status by a rule fitted to control arms.
"""
