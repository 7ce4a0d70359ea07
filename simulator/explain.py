"""An experiment in prose, before it runs: what is compared and given, what to expect, what is assumed."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .base import units
from .check import Checked
from .config.factors import Factor
from .config.load import Experiment
from .config.merge import DIRECTIONS
from .config.schema import Action, Lesion, Model, Signal, Vocabulary
from .config.tree import Problems
from .experiment.estimate import duration
from .host_sentences import body_lines, drug_lines
from .run.expectation import expectations
from .run.lesion import block_ml, lesion_volume_ml
from .sentences import cell_lines, field_lines
from .trial_sentences import trial_lines

_WIDTH = 100


def explain(checked: Checked) -> str:
    """An experiment in prose: runs, blocks, doses, warnings, cells, fields, what is assumed or idle, cost."""
    experiment = checked.experiment
    return page([experiment.title, *experiment.description.splitlines()], sections(checked))


def sections(checked: Checked) -> dict[str, Iterable[str]]:
    """The parts of an experiment in prose, by heading."""
    experiment = checked.experiment
    typical = checked.typical.model(None, 1, "treatment")
    is_trial = experiment.protocol is not None
    return {
        "Trial": trial_lines(experiment) if is_trial else (),
        "Runs": () if is_trial else _runs(checked),
        "Switches": _switches(experiment),
        "Sweep": _sweep(experiment),
        "Blocks": _blocks(typical),
        "Doses": () if is_trial else _doses(checked),
        "Warnings": checked.warnings,
        "Cells": _cells(typical.lesions),
        "Fields": _fields(typical.lesions),
        "Body": body_lines(typical),
        "Drugs": [line for name in typical.drugs for line in drug_lines(name, typical.drugs[name], typical)],
        "Assumed": _assumed(experiment),
        "Idle here": experiment.idle,
        "Cost": () if is_trial else _cost(checked),
    }  # fmt: skip


def page(opening: Iterable[str], sections: Mapping[str, Iterable[str]]) -> str:
    """Headings over wrapped lines; what is cut off hangs below its own beginning.

    Empty sections are left out.
    """
    page = [part for line in opening for part in textwrap.wrap(line, _WIDTH)]
    for heading, lines in sections.items():
        body = []
        for line in lines:
            indent = "  " + " " * (len(line) - len(line.lstrip(" ")))
            body += textwrap.wrap(
                line.strip(), _WIDTH, initial_indent=indent, subsequent_indent=indent + "    ",
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
        if body:
            page += ["", heading, *body]
    return "\n".join(page).lstrip("\n") + "\n"


# --- what is run -----------------------------------------------------------------------------------


def _runs(checked: Checked) -> Iterator[str]:
    experiment, planned = checked.experiment, checked.planned
    counts = [
        *([(len(experiment.points), "point")] if experiment.sweep is not None else []),
        (len(experiment.arms), "arm"),
        (experiment.patients, "patient"),
        (experiment.replicates, "replicate"),
    ]
    product = " × ".join(_count(number, thing) for number, thing in counts)
    burn_in = experiment.burn_in
    grown = f"grown from the run {burn_in.path}"
    if burn_in.time_h is not None:
        grown = f"{_days(burn_in.time_h)} of growth"
    if burn_in.tumor_cells is not None:
        grown = f"growth to {burn_in.tumor_cells:,} tumor cells"
    yield f"{product} = {_count(len(planned.runs), 'run')}, each {_days(experiment.duration)} from day 0."
    if checked.size.made < checked.size.runs:
        yield f"{_count(checked.size.made, 'run')} of them differ; the others are the same to the digit."
    who, share = ("arms branch", "they differ by nothing but their treatment")
    if experiment.sweep is not None:
        who, share = ("arms and points branch", "those of one burn-in differ only by what acts from day 0 on")
    yield (
        f"{_count(len(planned.burn_ins), 'burn-in')} before day 0 ({grown}); {who} from the burn-in of "
        f"their patient and replicate and share its dice, so {share}."
    )
    own = [arm.name for arm in experiment.arms.values() if arm.own_burn_in]
    if own:
        yield f"With a burn-in of their own, since they differ before day 0: {', '.join(own)}."
    yield f"Written: series {experiment.record.series}, snapshots {experiment.record.snapshots}."
    if experiment.compare is not None:
        asked = experiment.compare
        day = "the last common record" if asked.at is None else f"day {asked.at / 24.0:g}"
        also = "".join(f", {first} with {second}" for first, second in asked.also.items())
        yield (
            f"Compared: every other arm with {asked.reference}{also}; {asked.outcome} at {day}, paired by "
            f"patient and replicate, with {100.0 * asked.level:g} % intervals."
        )
    if experiment.population:
        yield f"Patients differ in {', '.join(experiment.population.rows)}."
    for arm in experiment.arms.values():
        changes = [f"{path} = {value}" for path, value in _leaves(arm.overrides)]
        if changes:
            yield f"{arm.name} changes {'; '.join(changes)}."


def _switches(experiment: Experiment) -> Iterator[str]:
    """The hypotheses of the catalogue that the file turns on, and what each sets."""
    for path in sorted(path for path in experiment.used if path.parent.name == "switches"):
        tree = experiment.catalogue.tree(path, Problems())
        if tree is not None:
            yield f"{path.stem}: {'; '.join(f'{at} = {value}' for at, value in _leaves(tree.plain()))}."


_DESIGNS = {
    "grid": "every combination of levels",
    "one_at_a_time": "the file itself, then each factor alone at each of its levels",
    "latin_hypercube": "the file itself, then a Latin hypercube",
    "sobol": "the file itself, then a Saltelli design on a Sobol sequence",
    "morris": "the file itself, then Morris trajectories",
}


def _sweep(experiment: Experiment) -> Iterator[str]:
    """The points of a sweep and what each factor moves."""
    if experiment.sweep is None:
        return
    yield f"{_count(len(experiment.points), 'point')}: {_DESIGNS[experiment.sweep.design]}."
    for factor in experiment.sweep.factors:
        yield "  " + _factor(factor)
        for level in factor.levels if not factor.paths else ():
            changes = [f"{path} = {value}" for path, value in _leaves(level.node.plain())]
            yield f"    {level.label}: {'; '.join(changes) or 'as in the file'}."
    if experiment.sweep.smallest_effect is not None:
        yield f"A change matters from {100.0 * experiment.sweep.smallest_effect:g} % on."
    yield "All below is about the file itself."


def _factor(factor: Factor) -> str:
    """'homing: drugs.msc.tumor_fraction at 0.001, 0.01; 0.0003 in the file.'"""
    paths = " and ".join(factor.paths) + " " if factor.paths else ""
    if factor.range is not None:
        ends = (units.format(end, factor.unit or "1") for end in (factor.range.low, factor.range.high))
        said = f"from {' to '.join(ends)}{' on a logarithmic scale' if factor.log else ''}"
    else:
        said = "at " + ", ".join(factor.words(k).partition(" ")[2] for k in range(len(factor.levels)))
    base = "" if factor.base is None else f"; {factor.words(None).partition(' ')[2]} in the file"
    return f"{factor.name}: {paths}{said}{base}."


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a tree by its dotted path, sources and what the path of a rule says already left out."""
    if not isinstance(tree, Mapping):
        yield path, tree
        return
    for key, child in tree.items():
        if key not in ("source", *DIRECTIONS):
            yield from _leaves(child, f"{path}.{key}" if path else str(key))


def _blocks(model: Model) -> Iterator[str]:
    for index, lesion in enumerate(model.lesions):
        block, tissue = lesion.block, lesion.tissue
        edges = " × ".join(f"{n * block.site / 1000.0:.3g}" for n in block.shape)
        volume = units.format(_round(lesion_volume_ml(model, index)), "mL")
        kind = f"a packed piece of a lesion of {volume}"
        if block.cells is not None:
            kind = f"a nodule that grows freely from {block.cells:,} cells"
        looks = f", {block.phenotype}" if block.phenotype else ""
        yield (
            f"{' × '.join(map(str, block.shape))} sites of {units.format(block.site, 'um')}: {edges} mm, "
            f"{units.format(_round(block_ml(lesion)), 'mL')}; {kind}{looks}."
        )
        yield (
            f"  {_percent(tissue.stroma)} stroma, {_percent(tissue.vessel)} vessels, nests "
            f"{units.format(tissue.nest_width, 'um')} wide, {_percent(tissue.debris)} of them debris."
        )
        for name, where in tissue.infiltrate.items():
            there = ", ".join(
                f"{units.format(density, 'cells/mm2')} in {side}" for side, density in where.items()
            )
            yield f"  {name}: {there}."


# --- what is given, and what it brings ---------------------------------------------------------------


def _doses(checked: Checked) -> Iterator[str]:
    yield (
        "H_hot = n·s / (k·K_rec): the CXCL9 of all n MSCs of a dose, if they lived at once and it spread "
        "evenly, over the concentration of half-maximal entry. Near 1 they recruit throughout the block, far "
        "below only close to themselves."
    )
    for arm, regimen in checked.regimens.items():
        yield arm
        for line in regimen.calendar(checked.experiment.duration).splitlines():
            yield f"  {line}"
        for dose, found in expectations(checked.typical.model(arm, 1, "treatment"), regimen).items():
            hot = f", H_hot at most {found.h_hot:.2g}" if found.h_hot else ""
            yield f"  {dose} bring {_mscs(found.mscs)} to a block on average{hot}."


# --- biology -----------------------------------------------------------------------------------------


def _cells(lesions: tuple[Lesion, ...]) -> Iterator[str]:
    yield "Rules act in the order shown, each moving the value on from where the last one left it."
    for heading, lesion in _distinct(lesions):
        yield from heading
        for kind in lesion.cells:
            yield from cell_lines(kind, lesion)


def _fields(lesions: tuple[Lesion, ...]) -> Iterator[str]:
    for heading, lesion in _distinct(lesions):
        yield from heading
        yield from field_lines(lesion)


def _distinct(lesions: tuple[Lesion, ...]) -> Iterator[tuple[list[str], Lesion]]:
    """Lesions whose cells or fields differ, with a heading where there are several."""
    seen: list[Lesion] = []
    for number, lesion in enumerate(lesions):
        if any(lesion.cells == other.cells and lesion.fields == other.fields for other in seen):
            continue
        seen.append(lesion)
        yield ([f"In lesion {number}:"] if len(lesions) > 1 else []), lesion


def _assumed(experiment: Experiment) -> Iterator[str]:
    """What has no published value, by where it stands."""
    found: dict[str, list[str]] = {}
    tree = experiment.tree.plain()
    entries = list(_sources(tree, ()))
    for path, source in entries:
        if "assumed" in source:
            deep = len(path) > 2 or path[0] == "cells"
            place, entry = (path[:2], _entry(path[2:])) if deep else (path[:1], " ".join(path[1:]))
            named = " ".join(part for part in (entry, _values(tree, path)) if part)
            why = source.removeprefix("assumed").lstrip(": ") or "no more is said"
            found.setdefault(" ".join(place), []).append(f"{named}: {why}" if named else why)
    count = sum(map(len, found.values()))
    if count:
        yield f"{count} of {len(entries)} sourced entries are assumed, wholly or in part."
    for owner, assumptions in found.items():
        yield owner
        for assumption in assumptions:
            yield f"  {assumption}"


def _values(tree: Any, path: tuple[str, ...]) -> str:
    """The numbers that stand beside a source, as they were written."""
    for key in path:
        tree = tree[key] if isinstance(tree, Mapping) and key in tree else {}
    told = [
        f"{key} {value}"
        for key, value in (tree.items() if isinstance(tree, Mapping) else ())
        if key != "source" and isinstance(value, int | float | str) and re.match(r"[-+.]?\d", str(value))
    ]
    return f"({', '.join(told)})" if told else ""


def _entry(path: tuple[str, ...]) -> str:
    """A sourced entry below its owner: a behavior by its name, a rule as 'divide (lowered by ifng)'."""
    if path[:1] == ("rules",):
        direction, _, signal = path[2].partition(" ")
        return f"{path[1]} ({direction.replace('_', ' ')} {signal})"
    return " ".join(path[1:] if path[:1] == ("behaviors",) else path)


def _sources(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every `source:` of a tree with the path of what it belongs to."""
    if isinstance(tree, Mapping):
        for key, child in tree.items():
            if key == "source" and isinstance(child, str):
                yield path, child
            elif key not in ("arms", "phenotypes"):
                yield from _sources(child, (*path, str(key)))
    elif isinstance(tree, list):
        for child in tree:
            yield from _sources(child, path)


def _cost(checked: Checked) -> Iterator[str]:
    size = checked.size
    yield (
        f"{size.work}, together about "
        f"{duration(size.seconds)} of work for one thread ({size.cell_hours / 1e6:,.0f} million cell-hours); "
        "runs share the processors."
    )
    yield (
        f"The largest run has {size.sites:,} sites and about {size.cells:,.0f} cells, and takes "
        f"{size.memory / 1e9:.2g} of {size.memory_available / 1e9:.3g} GB of memory ({size.memory_limit})."
    )


# --- the vocabulary ----------------------------------------------------------------------------------


def vocabulary_text(vocabulary: Vocabulary) -> str:
    """Everything a file may name: what cells can do, what they can sense, what a run reports."""
    return page([], {
        "Actions: what a cell can do (`behaviors:`)": map(_action, vocabulary.actions.values()),
        "Signals: what a cell can sense (`raised_by:`, `lowered_by:`)": map(
            _signal, vocabulary.signals.values()
        ),
        "Observables: what a run reports, and `compare:` can take as NAME or log NAME": [
            *(f"{entry.name} [{entry.unit}]: {entry.doc}" for entry in vocabulary.observables.values()),
            "FIELD_mean, FIELD_max [unit of the field]: mean and largest concentration in the block",
        ],
    })  # fmt: skip


def _action(action: Action) -> str:
    unit = {"": "plain number", "secretion": "amount or mass per cell and time"}.get(action.unit, action.unit)
    keys = f"; takes {', '.join(action.keys)}" if action.keys else ""
    name = f"{action.name} {action.argument.upper()}".strip()
    return f"{name} [{unit}]: {action.doc} ({' or '.join(action.layers)} layer{keys})"


def _signal(signal: Signal) -> str:
    argument = "" if signal.name.isupper() else signal.argument.upper().replace(" OR ", "|")
    return f"{signal.name} {argument}".strip() + f": {signal.doc}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _days(hours: float) -> str:
    return units.format(hours / 24.0, "d")


def _mscs(mscs: float) -> str:
    return f"{mscs:.2g} MSCs" if mscs < 100 else f"{mscs:,.0f} MSCs"


def _percent(share: float) -> str:
    return f"{100.0 * share:g} %"


def _round(value: float) -> float:
    """To three significant digits."""
    return float(f"{value:.3g}")
