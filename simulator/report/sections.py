"""What the report says around its figures: the answer first, then what stands behind it."""

import json
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from ..experiment.designs import compare
from ..experiment.words import count
from . import attribution, sweep, trial, words
from .canvas import clean, number
from .html import Html, join, table, tag
from .stats import split_outcome
from .study import Study

_CHIPS = {compare.DIFFERENCE: "difference", compare.TOO_FEW_MSCS: "few"}
_RUN_COLUMNS = ["arm", "patient", "replicate", "complete", "last_day", "expected_mscs", "h_hot", "digest"]
_FEW = (
    f"Some doses bring fewer than {compare.FEW_MSCS:g} MSCs to this block of tumor. Where a verdict says so, "
    "the study speaks neither for nor against the therapy. A larger block meets more MSCs."
)
_LONG = 24  # a longer table is folded


class Section(NamedTuple):
    """A part of the page: its anchor, heading and content."""

    anchor: str
    heading: str
    body: Html


def all_sections(study: Study, figures: dict[str, Html]) -> list[Section]:
    """Every section that has something to say, in the order of the page."""

    def drawn(*names: str) -> Html:
        return join(figures[name] for name in names if name in figures)

    parts = [
        *_first(study, drawn),
        Section("doses", "Doses", drawn("dosing_calendar") + _doses(study)),
        Section("contrasts", "Contrasts", drawn("contrasts") + _contrasts(study)),
        Section("volume", "Tumor volume", drawn("tumor_volume", "paired_difference")),
        Section("cells", "Immune cells", drawn("cell_counts", "immune_density")),
        Section("mscs", "MSCs and chemokine", drawn("biodistribution", "chemokine")),
        Section("attribution", "Attribution", drawn("attribution") + attribution.section(study)),
        Section("tissue", "Tissue", drawn("tissue", "chemokine_map")),
        Section("runs", "Runs", _runs(study)),
        Section("methods", "Methods", _methods(study)),
        Section("notes", "Notes", _notes(study)),
        Section("provenance", "Provenance", _provenance(study)),
        Section("files", "Files", _files(study)),
    ]
    return [part for part in parts if part.body]


def _first(study: Study, drawn: Callable[..., Html]) -> list[Section]:
    """The answer; of a sweep, with what stands behind it, before what the file itself shows."""
    if study.trial:
        return [Section(*part) for part in trial.sections(study, drawn)]
    if study.plan.sweep is None:
        return [Section("answer", "Answer", _answer(study) + drawn("overview"))]
    return [
        Section("answer", "Answer", sweep.answer(study) + _callout(study)),
        Section("deciding", "What decides it", drawn("importance") + sweep.parts(study)),
        Section("effects", "Effects", drawn("effects")),
        Section("border", "What would have to be true", drawn("border") + sweep.border(study)),
        Section("courses", "Over time", drawn("courses")),
        Section("factors", "Factors", sweep.factors(study)),
        Section(
            "base", "The file as it stands", _answer(study) + drawn("overview") if study.files else Html("")
        ),
    ]


def header(study: Study, contents: Html) -> Html:
    """Title, question, and the size of the study in a line."""
    question = study.config.get("description")
    plan = study.plan
    points = f"{count(len(plan.points), 'point')} × " if plan.sweep is not None else ""
    facts = (
        f"{points}{count(len(plan.arms), 'arm')} · {count(plan.patients, 'patient')} × "
        f"{count(plan.replicates, 'replicate')} · {plan.duration_days:.4g} days · seed {plan.seed}"
    )
    return tag(
        "header",
        tag("h1", plan.title or "Study"),
        tag("p", question, class_="lead") if question else "",
        tag("p", facts, class_="facts"),
        contents,
    )


def footer(study: Study) -> Html:
    """What made this page."""
    return tag("footer", f"Made by simulator {study.plan.version} from the files beside it.")


def _answer(study: Study) -> Html:
    """One sentence a contrast, with what qualifies it; and what a reader must know before believing it."""
    rows = study.tables["contrasts"]
    items = [
        tag("li", tag("span", row["verdict"], class_=f"chip {_CHIPS.get(row['verdict'], 'unseen')}"),
            tag("p", words.sentence(row)))
        for _, row in rows.iterrows()
    ]  # fmt: skip
    answer = tag("ul", *items, class_="verdicts card") if items else tag("p", "There is no contrast to tell.")
    if rows["verdict"].eq(compare.TOO_FEW_MSCS).any() if len(rows) else False:
        answer += tag("div", tag("p", _FEW), class_="callout card")
    return answer if study.plan.sweep is not None else answer + _callout(study)


def _callout(study: Study) -> Html:
    """What is missing, in a box."""
    if not study.notes:
        return Html("")
    told = [tag("p", note) for note in study.notes[:3]]
    if len(study.notes) > 3:
        told.append(tag("p", tag("a", f"All {len(study.notes)} notes", href="#notes")))
    return tag("div", *told, class_="callout card")


def _doses(study: Study) -> Html:
    """What an arm receives in all, and what of it a block can expect to meet."""
    rows = []
    for arm in study.arms:
        doses = study.arm_doses(arm)
        for drug, mine in doses[doses["planned"] > 0].groupby("drug", sort=False):
            days = ", ".join(f"{day:g}" for day in mine["day"])
            expected, arrived = mine["expected_mscs"].mean(), mine["arrived"].sum()
            cells = study.is_cells(str(drug))
            rows.append((
                arm, drug, len(mine), days, f"{number(_round(mine['planned'].sum()))} {mine['unit'].iloc[0]}",
                _short(expected) if cells else "", _short(arrived) if cells else "",
            ))  # fmt: skip
    if not rows:
        return tag("p", "No arm receives a dose.")
    head = ("Arm", "Product", "Doses", "Days", "Total", "MSCs expected per dose", "MSCs arrived")
    note = "A typical patient: medians over patients. MSCs expected and arrived are those of the block."
    return table(head, rows, "--n-nnn") + tag("p", note, class_="facts")


def _contrasts(study: Study) -> Html:
    """Every number of every contrast."""
    rows = study.tables["contrasts"]
    if rows.empty:
        return Html("")
    log = split_outcome(str(rows["outcome"].iloc[0]))[0]
    head = ("Contrast", "Ratio" if log else "Difference", "Interval", "Pairs", "p (Holm)", "Correlation",
            "Detectable", "MSCs per dose", "H_hot", "Verdict")  # fmt: skip
    body = [_contrast_row(row, log) for _, row in rows.iterrows()]
    notes = [
        tag("li", tag("b", f"{row['first']} − {row['second']}:"), Html(" "), row["notes"])
        for _, row in rows.iterrows() if isinstance(row["notes"], str)
    ]  # fmt: skip
    key = tag(
        "p",
        f"Outcome: {rows['outcome'].iloc[0]}, first arm {'over' if log else 'minus'} second, on day "
        f"{_short(rows['day'].max())}. Correlation: between the paired arms, what pairing gains from. "
        f"Detectable: true {'ratios so far from one' if log else 'differences so large'}, or more, are seen "
        "with power 0.8 by this many pairs. H_hot: at its peak, the CXCL9 of the block's living MSCs, spread "
        "evenly, over the concentration of half-maximal entry; far below 1 they recruit only nearby.",
        class_="facts",
    )
    more = tag("details", tag("summary", "Remarks on each contrast"), tag("ul", *notes, class_="facts"))
    return table(head, body, "-nnnnnnnn-") + key + (more if notes else Html(""))


def _contrast_row(row: pd.Series, log: bool) -> tuple[object, ...]:
    """A contrast's numbers; those of a log outcome as ratios."""
    value, low, high, far = (float(row[name]) for name in ("difference", "low", "high", "detectable"))
    if log:
        value, low, high = (math.exp(number) for number in (value, low, high))
    detectable = _exact(far)
    if log and math.isfinite(far):
        detectable = f"{_exact(math.exp(-far))} or {_exact(math.exp(far))}"
    between = f"{_exact(low)} to {_exact(high)}" if math.isfinite(low) else "–"
    measured = _short(row["p_adjusted"]), _short(row["correlation"], 3)
    arms = f"{row['first']}\u00a0{'/' if log else '−'}\u00a0{row['second']}"
    return (arms, _exact(value), between, int(row["pairs"]), *measured, detectable,
            _short(row["expected_mscs"]), _short(row["h_hot"]), row["verdict"])  # fmt: skip


def _runs(study: Study) -> Html:
    rows = study.tables["runs"]
    if not {"arm", "patient", "replicate", "digest"} <= set(rows.columns):
        return Html("")
    rows = rows.reindex(columns=_RUN_COLUMNS)
    body = [
        (row["arm"], row["patient"], row["replicate"], "yes" if row["complete"] == 1 else "no",
         _short(row["last_day"]), _short(row["expected_mscs"]), _short(row["h_hot"]),
         tag("code", row["digest"][:12]))
        for _, row in rows.iterrows()
    ]  # fmt: skip
    head = ("Arm", "Patient", "Replicate", "Finished", "Last day", "MSCs expected per dose", "Peak H_hot",
            "Digest")  # fmt: skip
    if not body:
        told = f"{count(len(study.plan.runs), 'run')} over all points; tables/runs.csv lists them."
        return tag("p", told) if study.plan.sweep is not None else Html("")
    shown = table(head, body, "-nnnnnn-")
    return shown if len(rows) <= _LONG else tag("details", tag("summary", f"All {len(rows)} runs"), shown)


def _methods(study: Study) -> Html:
    """How the numbers came about, for a methods section."""
    plan = study.plan
    grown = ", once for all arms of a patient and replicate that do not change it"
    told = [
        f"Each run simulates a block of tumor tissue cell by cell{_block(study)}, coupled to the patient's "
        f"body, for {plan.duration_days:g} days from day 0, where the arms branch.",
        f"The study has {count(len(plan.runs), 'run')}: {count(len(plan.arms), 'arm')} of "
        f"{count(plan.patients, 'virtual patient')} in {count(plan.replicates, 'replicate')}, all from seed "
        f"{plan.seed}.",
        *_sweep_methods(study),
        f"The tissue before day 0 was grown {count(len(plan.burn_ins), 'time')}"
        f"{grown if len(plan.burn_ins) < len(plan.runs) else ''}.",
        "All arms of a patient and replicate use the same random numbers, so they are identical to the bit "
        "until their first differing dose, and a difference between them is an effect of the doses and of "
        "what follows from them.",
        f"Arms are compared by {study.outcome}, each minus the reference, paired by patient and replicate; "
        f"replicates are averaged within a patient, and the {100 * study.level:g} % interval is Student's, "
        "over patients (over replicates where there is one patient). A difference is called seen where p, "
        f"adjusted for the number of contrasts after Holm, is below {1 - study.level:.2g}. Where fewer than "
        f"{compare.FEW_MSCS:g} MSCs are expected per dose and block, no verdict on the therapy is given.",
        f"Shades in figures over time show the {study.spread[0]} of the runs, not the error of their median.",
    ]
    half = 4 + len(_sweep_methods(study))
    halves = (" ".join(told[:half]), " ".join(told[half:]))
    return join(tag("p", half) for half in halves)


def _sweep_methods(study: Study) -> list[str]:
    if study.plan.sweep is None:
        return []
    design = study.plan.sweep["design"].replace("_", " ")
    return [
        f"It varies {count(len(study.plan.factors), 'factor')} in a design of the kind {design}, of "
        f"{count(len(study.plan.points), 'point')}; runs that a factor cannot change are shared by points."
    ]


def _block(study: Study) -> str:
    """Size of the first block in brackets, as the configuration says it; empty where it does not."""
    block = study.config.get("block")
    block = block[0] if isinstance(block, list) and block else block
    if not isinstance(block, dict) or not isinstance(block.get("shape"), list):
        return ""
    shape = " × ".join(str(n) for n in block["shape"])
    return f" ({clean(shape, 40)} sites of {clean(block.get('site', '15 um'), 16)})".replace(" um", " µm")


def _notes(study: Study) -> Html:
    """What is missing, rules that had nothing to act on, and warnings of the run."""
    parts = []
    told = {"Missing": study.notes, "Idle rules": study.idle, "Warnings": study.warnings}
    for heading, lines in told.items():
        if lines:
            parts += [tag("h3", heading), tag("ul", *(tag("li", line) for line in lines))]
    return join(parts)


def _provenance(study: Study) -> Html:
    if not study.attributes:
        return Html("")

    def values(name: str) -> list[str]:
        return sorted({str(attributes.get(name, "")) for attributes in study.attributes.values()})

    hosts = values("host")
    rows = [
        ("Plan", tag("code", study.plan.digest)),
        ("Simulator", ", ".join(values("simulator_version"))),
        ("Seed", study.plan.seed),
        ("First run started", values("started")[0]),
        ("Machines", "one" if len(hosts) == 1 else f"{len(hosts)} that differ; the first is"),
        *_host_rows(hosts[0]),
    ]
    return tag("dl", *(tag(name, text) for row in rows for name, text in zip(("dt", "dd"), row, strict=True)))


def _host_rows(text: str) -> Iterator[tuple[str, str]]:
    """What a run file says of its machine, flattened; JSON, or a line of text."""
    try:
        host = json.loads(text)
    except ValueError:
        host = text
    if not isinstance(host, dict):
        yield "Host", str(host)
        return
    for name, value in host.items():
        if name == "simulator":  # told from the runs already
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{key} {entry}" for key, entry in value.items())
        yield f"{name[:1].upper()}{name[1:]}", str(value)


def _files(study: Study) -> Html:
    """What lies in the study folder, beside this page."""
    paths = [path for folder in ("tables", "figures") for path in (study.folder / folder).glob("[!.]*")]
    names = sorted(path.relative_to(study.folder).as_posix() for path in paths if path.is_file())
    files = {run.digest for run in study.plan.runs if (study.folder / "runs" / f"{run.digest}.h5").is_file()}
    runs = f"runs/*.h5 ({count(len(files), 'file')})"
    return tag("ul", *(tag("li", name) for name in ("plan.json", runs, *names)), class_="files")


def _short(value: object, digits: int = 2) -> str:
    """A number for a table, '–' where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value) or pd.isna(value):
        return "–"
    return number(value) if float(value).is_integer() else number(_round(value, digits))


def _exact(value: float) -> str:
    """Three significant digits, zeros at the end kept, so that a column reads alike."""
    if not math.isfinite(value):
        return "–"
    return f"{value:#.3g}".rstrip(".").replace("-", "−") if 1e-3 <= abs(value) < 1e3 else _short(value, 3)


def _round(value: float, digits: int = 3) -> float:
    return float(f"{value:.{digits}g}")
