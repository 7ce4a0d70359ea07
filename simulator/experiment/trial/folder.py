"""What a trial leaves: one folder `trial/` of tables and pages, with a manifest of their hashes."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ... import __version__
from ...clinic import office, operating
from ...clinic.dlt import plan as cycles_of, risk
from ...clinic.tables import Rows
from ...clinic.trial import Trial
from .. import tables
from ..collect import Results
from ..study import write_text, writing
from . import synopsis
from .simulate import Mechanism

FOLDER = "trial"


def write(
    study: Path,
    trial: Trial,
    mechanism: Mechanism,
    results: Results,
    further: Mapping[str, Rows],
    pages: Mapping[str, str],
) -> Path:
    """Write the folder of a finished trial; returns it.

    further : tables beside the trial's own, by name; pages : texts by file name.
    """
    folder = study / FOLDER
    found = {**listings(trial, mechanism), **further}
    runs = results.runs
    texts = {
        "synopsis.md": synopsis.synopsis(trial, found, runs),
        "credibility.md": synopsis.credibility(trial),
        "protocol.json": json.dumps(json.loads(trial.protocol.source), indent=1) + "\n",
        **pages,
    }
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in found.items():
            columns = list(dict.fromkeys(key for row in rows for key in row))
            tables.write(folder, name, columns, rows)
        for name, text in texts.items():
            write_text(folder / name, text)
        write_text(folder / "manifest.json", _manifest(folder, trial))
    return folder


def listings(trial: Trial, mechanism: Mechanism) -> dict[str, Rows]:
    """Every table of the folder by name."""
    head, rows = trial.protocol.design.table()
    return {
        "screening": trial.enrollment.rows(),
        "flow": office.flow(trial),
        "decision_table": [dict(zip(head, row, strict=True)) for row in rows],
        "decisions": office.decisions(trial),
        "dlt": office.dlt_rates(trial),
        "worst_grades": office.worst_grades(trial),
        "adsl": office.adsl(trial),
        "adex": office.adex(trial),
        "adae": office.adae(trial),
        **office.responses(trial),
        "operating_characteristics": operating_characteristics(trial, mechanism.retention),
    }


def operating_characteristics(trial: Trial, retention: float) -> Rows:
    """How often the escalation chooses each level, exactly: at the protocol's own risks, and at flat ones."""
    protocol = trial.protocol
    treatment, paths = protocol.treatment, operating.enumerate_paths(protocol.design)
    own = [
        risk(
            protocol.toxicity,
            cycles_of(
                dose, treatment.cycles, treatment.interval, treatment.follow_up, retention, protocol.toxicity
            ),
            protocol.dlt,
            within=protocol.dlt.decide_after,
        )
        for dose in treatment.doses
    ]
    scenarios = {"the protocol's own risks in the first cycle": own}
    scenarios |= {f"{100 * rate:g} % at every level": [rate] * len(own) for rate in (0.04, 0.12, 0.35)}
    return [
        {"scenario": name, **row}
        for name, rates in scenarios.items()
        for row in paths.characteristics(rates, [0.05] * len(own)).rows()
    ]


def _manifest(folder: Path, trial: Trial) -> str:
    """Version, seed and the hash of every file of the folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != "manifest.json")
    hashes = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.startswith(".")
    }
    about = {"simulator": __version__, "seed": trial.seed, "registry": trial.protocol.header.registry}
    return json.dumps({**about, "sha256": hashes}, indent=1) + "\n"
