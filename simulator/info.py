"""What a run file, a burn-in or a study folder holds, for people."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from .base.errors import InputError
from .experiment.plan import Plan
from .experiment.study import Study
from .experiment.words import count
from .run import checkpoint, files
from .run.audit import audit
from .run.reading import Run, read

_BURN_IN = ".ckpt"


def describe(path: Path) -> str:
    """What is held at `path`, in lines; raises InputError where it is nothing of this simulator's."""
    if path.is_dir():
        return _study(path)
    if not path.exists() and not files.part_path(path).exists():
        raise InputError(
            f"There is no '{path}'.", "Give a run file (*.h5), a burn-in (*.ckpt) or a study folder."
        )
    if path.suffix in (".yaml", ".yml"):
        raise InputError(f"{path} is an experiment, not a result.", f"Try `simulator explain {path}`.")
    return _burn_in(path) if path.suffix == _BURN_IN else _run(read(path))


def verdict(path: Path) -> tuple[bool, str]:
    """Whether a file keeps what its format promises, and what to tell; raises InputError for no such file."""
    if path.suffix == _BURN_IN:
        checkpoint.load(path)
        return True, f"{path}: whole; every bit as it was written."
    problems = audit(path)
    if problems:
        return False, "\n".join([f"{path}: {count(len(problems), 'problem')}", *(f"  {p}" for p in problems)])
    run = read(path)
    state = "complete" if run.complete else "not complete"
    return True, f"{path}: sound, {state}, {run.attributes['schema']}."


def _run(run: Run) -> str:
    attributes = run.attributes
    lesion = run.lesion(0)
    lines = [
        repr(run).replace("Run", str(attributes.get("title") or "Run"), 1),
        _line(
            "written",
            f"{attributes.get('started', '?')}, simulator {attributes.get('simulator_version', '?')}",
        ),
        _line("digest", str(attributes.get("digest", "?"))),
        _line("kinds", ", ".join(name for name in run.kinds.values() if name != "empty")),
        _line("doses", _doses(run.events)),
        "Series of a lesion, last value recorded",
    ]
    for dataset, heading in ((lesion.series, ""), (run.body, "Body, last value recorded")):
        lines += [heading] if heading else []
        for name, array in dataset.data_vars.items():
            value = f"{float(array[-1]):.6g} {array.attrs['units']}".removesuffix(" 1") if array.size else "-"
            lines.append(f"  {name:<24}{value:<20}{array.attrs['long_name']}")
    if lesion.snapshot_days.size:
        held = lesion.snapshot(float(lesion.snapshot_days[-1]))
        lines.append("Snapshots (z, y, x)")
        lines += [
            f"  {name:<24}{_shape(array.shape):<20}{array.attrs['long_name']}" for name, array in held.items()
        ]
    return "\n".join(lines)


def _doses(events: pd.DataFrame) -> str:
    """How many doses of what the run plans."""
    doses = events[(events["type"] == "dose") & (events["lesion"] == 0)] if len(events) else events
    counts = doses["drug"].value_counts(sort=False) if len(doses) else {}
    return ", ".join(f"{number} of {drug}" for drug, number in counts.items()) or "none"


def _burn_in(path: Path) -> str:
    arrays, meta = checkpoint.load(path)
    seed, patient, replicate = meta["key"]
    lines = [
        "Burn-in",
        _line("patient", str(patient)),
        _line("replicate", str(replicate)),
        _line("seed", str(seed)),
    ]
    lines.append(_line("steps", f"{meta['steps']} from the seeding"))
    for number, lesion in enumerate(meta["layout"]):
        lines.append(
            _line("lesion", f"{number}: {_shape(lesion['shape'])} sites, {', '.join(lesion['kinds'])}")
        )
    size = sum(array.nbytes for array in arrays.values())
    lines.append(_line("arrays", f"{len(arrays)}, {size / 1e6:.3g} MB in memory"))
    return "\n".join([*lines, _line("file", str(path))])


def _study(path: Path) -> str:
    study = Study(path)
    if not study.plan_file.is_file():
        raise InputError(
            f"{path} holds no study: there is no plan.json in it.",
            "Give the folder of a study, a run file (*.h5) or a burn-in (*.ckpt).",
        )
    plan = Plan.read(study.plan_file)
    finished = [run for run in plan.runs if study.run_file(run.digest).is_file()]
    grown = sum(study.burn_in_file(burn_in.digest).is_file() for burn_in in plan.burn_ins)
    lines = [
        plan.title,
        _line("folder", str(path)),
        _line("runs", f"{len(finished)} of {len(plan.runs)} finished, {_size(path.glob('runs/*'))}"),
        _line("burn-ins", f"{grown} of {len(plan.burn_ins)} grown, {_size(path.glob('burn_ins/*'))}"),
        _line("patients", f"{plan.patients}, each in {count(plan.replicates, 'replicate')}"),
        _line("duration", f"{plan.duration_days:g} d, seed {plan.seed}, simulator {plan.version}"),
    ]
    if plan.compare is not None:
        day = plan.compare["day"]
        when = "at the last common record" if day is None else f"on day {day:g}"
        lines.append(_line("compared", f"{plan.compare['outcome']} with {plan.compare['reference']}, {when}"))
    lines.append("Arms, runs finished")
    for arm in plan.arms:
        files_of_arm = [run for run in finished if run.arm == arm]
        lines.append(f"  {arm:<24}{len(files_of_arm)} of {sum(run.arm == arm for run in plan.runs)}")
    made = [name for name in ("tables", "figures", "report.html") if (path / name).exists()]
    return "\n".join([*lines, "Made: " + (", ".join(made) or "no tables yet")])


def _line(name: str, value: str) -> str:
    return f"  {name + ':':<11}{value}"


def _shape(shape: Iterable[int]) -> str:
    return " × ".join(map(str, shape))


def _size(paths: Iterable[Path]) -> str:
    return f"{sum(path.stat().st_size for path in paths if path.is_file()) / 1e6:.3g} MB"
