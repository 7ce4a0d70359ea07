"""The report of a trial: its figures from the tables in its folder, and the sections that hold them."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ..clinic.counterfactual import PAIRED, PARALLEL
from . import clinical, dosefinding
from .canvas import Missing, Plot, number
from .html import Html, table, tag
from .kaplan_meier import kaplan_meier
from .study import Study

FOLDER = "trial"
_TEXTS = ("ARM", "USUBJID", "AVALC", "COHORT", "arm", "kind", "what", "stage", "reason", "level", "scenario")
_SEEN = ("treated", "evaluable", "dlts")
_OWN_RISKS = "the protocol's own risks in the first cycle"


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Every table of a trial's folder by name; empty where there is no such folder."""
    return {
        path.stem: pd.read_csv(path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False, na_values=[""])
        for path in sorted((folder / FOLDER).glob("*.csv"))
        if path.stat().st_size > 1  # a table without rows has no heading
    }


def _of(study: Study, name: str) -> pd.DataFrame:
    found = study.trial.get(name)
    if found is None:
        raise Missing(f"the trial has no rows in {name}.csv")
    return found


def levels_of(study: Study) -> list[str]:
    """What the dose levels are called, ascending."""
    return list(_of(study, "dlt")["arm"])


def consort(study: Study) -> Plot:
    """The CONSORT flow of the trial."""
    counts = {
        (row.stage, _text(row.arm), row.what): int(row.count)
        for row in _of(study, "flow").itertuples(index=False)
    }
    failed = {
        what.removeprefix("failed: "): count
        for (_, _, what), count in counts.items()
        if what.startswith("failed: ")
    }
    arms = []
    for name in levels_of(study):
        ends = {
            why: count
            for (stage, arm, why), count in counts.items()
            if (stage, arm) == ("end of treatment", name)
        }
        treated, evaluable, dlts = (counts["treatment", name, what] for what in _SEEN)
        if treated:
            completed = ends.pop("completed", 0)
            arms.append(dosefinding.Arm(name, treated, evaluable, dlts, ends, completed))
    screened, enrolled = counts["screening", "", "screened"], counts["enrollment", "", "enrolled"]
    return dosefinding.consort(dosefinding.Flow(screened, failed, enrolled, arms))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def decisions(study: Study) -> Plot:
    """The cohorts of the escalation, and the level that was chosen."""
    chosen = _of(study, "dlt")
    level = int(chosen.loc[chosen["chosen"] == 1, "level"].astype(int).max()) if chosen["chosen"].any() else 0
    log = _of(study, "decisions").astype({"level": int})
    return dosefinding.decisions(log, levels_of(study), level)


def selection(study: Study) -> Plot:
    """How often the escalation chooses each level, exactly, at the protocol's own risks."""
    rows = _of(study, "operating_characteristics")
    rows = rows[rows["scenario"] == _OWN_RISKS].assign(design="this protocol")
    rows["level"] = [level if level == "none" else int(level) for level in rows["level"]]
    return dosefinding.selection(rows, levels_of(study), _OWN_RISKS[:1].upper() + _OWN_RISKS[1:])


def waterfall(study: Study) -> Plot:
    """Best change of the sum of diameters."""
    return clinical.waterfall(_of(study, "adtr"), _of(study, "adrs"))


def spider(study: Study) -> Plot:
    """Change of the sum of diameters over time."""
    return clinical.spider(_of(study, "adtr"), _of(study, "adrs"))


def swimmer(study: Study) -> Plot:
    """Every patient's time on study."""
    return clinical.swimmer(_of(study, "adtte"), _of(study, "adrs"))


def response_rates(study: Study) -> Plot:
    """Response and disease control."""
    return clinical.response_rates(_of(study, "rates"))


def progression_free(study: Study) -> Plot:
    """Progression-free survival."""
    return kaplan_meier(_of(study, "adtte"), "PFS")


def overall(study: Study) -> Plot:
    """Overall survival."""
    return kaplan_meier(_of(study, "adtte"), "OS")


def adverse_events(study: Study) -> Plot:
    """Patients by worst grade of each kind of adverse event."""
    rates = _of(study, "dlt")
    patients = {str(row.arm): int(row.patients) for row in rates.itertuples(index=False) if row.patients}
    return clinical.adverse_events(_of(study, "worst_grades"), patients)


FIGURES: tuple[Callable[[Study], Plot], ...] = (
    consort, decisions, selection, waterfall, spider, swimmer, response_rates, progression_free, overall,
    adverse_events,
)  # fmt: skip


def sections(study: Study, drawn: Callable[..., Html]) -> list[tuple[str, str, Html]]:
    """(anchor, heading, content) of everything that a trial has to tell, activity first."""
    untreated = [("untreated", "Without a dose", _without_dose(study))] if _is_paired(study) else []
    return [
        ("answer", "Answer", _answer(study)),
        *untreated,
        ("response", "Response", drawn("waterfall", "spider", "response_rates")),
        ("survival", "Survival", drawn("swimmer", "kaplan_meier_pfs", "kaplan_meier_os")),
        ("safety", "Safety", drawn("adverse_events") + _dlts(study)),
        ("dose", "Dose", drawn("dose_decisions", "dose_selection") + _decided(study)),
        ("flow", "Flow", drawn("consort")),
        ("exposure", "Exposure", _exposure(study)),
    ]


def _answer(study: Study) -> Html:
    """Response and control by level, in a table, and what must be known first."""
    rates = _of(study, "rates")
    rows = []
    for arm, mine in rates[rates["CRITERIA"] == "RECIST 1.1"].groupby("ARM", sort=False):
        by = mine.set_index("PARAMCD")
        rows.append((arm, int(by.loc["ORR", "N"]), *(_interval(by.loc[code]) for code in ("ORR", "DCR"))))
    head = ("Dose", "Patients", "Objective response", "Disease control")
    met = study.tables["runs"].get("expected_mscs", pd.Series(dtype=float)).dropna()
    note = "No cell was given."
    if len(met):
        few = number(float(f"{met.median():.2g}"))
        note = (
            f"Half of the patients met fewer than {few} MSCs a dose in the blocks that stand for their "
            "lesions: such blocks show the tumor and the protocol more than the product."
        )
        note += "" if _is_paired(study) else " There is no control."
    where = f"The synopsis, the model by the ODD protocol and all listings: {study.folder / FOLDER}."
    told = tag("div", tag("p", note), class_="callout card") + tag("p", where, class_="facts")
    return table(head, rows, "-nnn") + told


def _is_paired(study: Study) -> bool:
    return "counterfactual" in study.trial


def _without_dose(study: Study) -> Html:
    """The same patients without a dose; and, apart from them, what a real trial would show."""
    pairs = [
        (row.PARAM, f"{row.TREATED:.3g}", f"{row.UNTREATED:.3g}",
         f"{row.DIFFERENCE:.3g} ({row.LOW:.3g} to {row.HIGH:.3g})",
         "–" if pd.isna(row.CORRELATION) else f"{row.CORRELATION:.2f}", f"{row.BETTER} · {row.WORSE}")
        for row in _of(study, "counterfactual").itertuples(index=False)
    ]  # fmt: skip
    head = ("The same patients", "Treated", "Untreated", "Difference", "Correlation", "Better · worse")
    power = _of(study, "power").assign(POWER=lambda rows: [_percent(share) for share in rows["POWER"]])
    wide = power.pivot_table(index=["PARAMCD", "TEST"], columns="PATIENTS", values="POWER", aggfunc="first",
                             sort=False)  # fmt: skip
    sizes = [f"{size} an arm" for size in wide.columns]
    chances = [(f"{code}, {test}", *row) for (code, test), row in zip(wide.index, wide.values, strict=True)]
    return (
        table(head, pairs, "-nnnnn")
        + tag("p", PAIRED, class_="facts")
        + table(("A real trial", *sizes), chances, "-" + "n" * len(sizes))
        + tag("p", PARALLEL, class_="facts")
    )


def _interval(row: pd.Series) -> str:
    return f"{100 * row['AVAL']:.0f} % ({100 * row['LOW']:.0f}–{100 * row['HIGH']:.0f})"


def _dlts(study: Study) -> Html:
    rows = [
        (
            row.arm,
            row.patients,
            row.evaluable,
            row.dlts,
            _percent(row.risk),
        )
        for row in _of(study, "dlt").itertuples(index=False)
    ]
    return table(("Dose", "Patients", "Evaluable", "DLTs", "Estimated risk"), rows, "-nnnn")


def _percent(share: float) -> str:
    return "" if pd.isna(share) else f"{100 * share:.1f} %"


def _decided(study: Study) -> Html:
    rows = [
        (row.cohort, row.level, row.patients, row.dlts, f"{row.day:g}", row.action, row.reason)
        for row in _of(study, "decisions").itertuples(index=False)
    ]
    return table(("Cohort", "Level", "Evaluable", "DLTs", "Day", "Action", "Reason"), rows, "nnnnn--")


def _exposure(study: Study) -> Html:
    subjects = _of(study, "adsl")
    rows = []
    for arm, mine in subjects.groupby("ARM", sort=False):
        planned, given = int(mine["PLANNED"].sum()), int(mine["GIVEN"].sum())
        ends = ", ".join(f"{why} {n}" for why, n in mine["EOTREASON"].value_counts().items())
        rows.append((arm, len(mine), f"{given} of {planned}", f"{100 * mine['RDI'].mean():.0f} %", ends))
    head = ("Dose", "Patients", "Doses given", "Relative dose intensity", "End of treatment")
    return table(head, rows, "-nnn-")
