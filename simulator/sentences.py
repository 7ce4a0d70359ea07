"""Cells, rules and fields as sentences, with their numbers in the units that people think in."""

import math
from collections.abc import Iterator

from .base import units
from .config.schema import Behavior, FieldModel, Lesion, Rule, Spread
from .tissue.actions import ACTIONS
from .tissue.compile import hit_rate, ordered_rows

# "{}" stands for the field or trait that the behavior names.
_DOES = {
    "divide": "Divides",
    "die": "Dies",
    "necrose": "Dies of want of oxygen",
    "lyse": "Is killed by what touches it",
    "clear": "Is cleared away",
    "scar": "Ends as a scar",
    "wander": "Moves to a free site",
    "leave": "Leaves the tissue",
    "switch": "Switches its '{}'",
    "reset": "Loses its '{}'",
    "express": "Its '{}' tends",
    "secrete": "Secretes {}",
    "take_up": "Takes up {}",
    "exchange": "Exchanges {} with the blood",
    "admit": "Enters from the blood",
    "migrate": "Hops to a neighboring site",
    "kill": "Kills",
}
_LOSSES = ("die", "necrose", "lyse", "clear", "scar", "leave")
_AVOGADRO = 6.02214076e23
_MOLES_PER_NM_UM3 = 1e-24


def cell_lines(kind: str, lesion: Lesion) -> Iterator[str]:
    """A kind in prose: what it is, what it starts with, each behavior followed by what changes it.

    Lines begin with two spaces for each level below the first.
    """
    cell = lesion.cells[kind]
    place = "lymphoid layer" if cell.layer == "lymphoid" else f"bulk layer, {cell.compartment}"
    yield f"{kind} ({place}){': ' + cell.description if cell.description else ''}."
    for held, chance in cell.invades.items():
        yield f"  Invades {held}: in a step {_percent(chance)} of its sites are open to daughters and movers."
    if cell.traits:
        yield "  Starts with " + ", ".join(_trait(name, start) for name, start in cell.traits.items()) + "."
    for name, behavior in cell.behaviors.items():
        rows = ordered_rows(cell, name)
        yield "  " + behavior_sentence(name, behavior, lesion, raised=any(row.raised_by for row in rows))
        for rule in rows:
            yield "    " + rule_sentence(rule, behavior, lesion)


def behavior_sentence(name: str, behavior: Behavior, lesion: Lesion, raised: bool) -> str:
    """What a cell does where no rule acts: 'Dies at 0.125 per day, half-life 5.6 d, leaving debris.'

    raised : whether any rule raises it, without which a base of zero means never.
    """
    word, _, argument = name.partition(" ")
    does = _DOES[word].format(argument)
    if word == "kill":
        does += f" {behavior.targets}"
    if behavior.base > 0.0 or word == "express":
        does += f" {'to' if word == 'express' else 'at'} {amount(name, behavior.base, behavior, lesion)}"
    else:
        does += ": only what rules raise" if raised else ": never"
    return ", ".join([does, *_details(word, argument, behavior, lesion)]) + "."


def rule_sentence(rule: Rule, behavior: Behavior, lesion: Lesion) -> str:
    """How a signal changes a behavior: 'Raised toward 1 per day by …, half-maximal at …'."""
    way = "Raised" if rule.raised_by else "Lowered"
    parts = [f"{way} toward {amount(rule.behavior, rule.to, behavior, lesion)} by {_signal(rule, lesion)}"]
    if rule.half_max is not None:
        field = lesion.fields.get(rule.signal)
        parts.append(f"half-maximal at {units.format(rule.half_max, field.unit if field else '1')}")
    if rule.hill != 1.0:
        parts.append(f"Hill {_plain(rule.hill)}")
    if rule.when:
        parts.append(f"while {rule.when}")
    if rule.against:
        parts.append("less what the level in plasma would do")
    if rule.blocked_by:
        parts.append(f"blocked by {' or '.join(rule.blocked_by)}")
    return ", ".join(parts) + "."


def field_lines(lesion: Lesion) -> Iterator[str]:
    """Each field with its diffusion, half-life, decay length √(D/k), start and grid."""
    for name, field in lesion.fields.items():
        facts = [f"D {units.format(_round(field.diffusion / 3600.0), 'um2/s')}"]
        if field.decay > 0.0:
            facts.append(f"half-life {span(math.log(2.0) / field.decay)}")
            facts.append(
                f"decay length {units.format(_round(math.sqrt(field.diffusion / field.decay)), 'um')}"
            )
        facts.append(f"{units.format(field.start, field.unit)} at the start")
        if field.edge is not None:
            facts.append(f"held at {units.format(field.edge, field.unit)} at the walls")
        facts.append(f"voxels of {units.format(field.grid * lesion.block.site, 'um')}")
        if field.traced in lesion.cells:
            facts.append(f"the part that {field.traced} cells make is followed as well")
        yield f"{name}: {field.description}{'. ' if field.description else ''}{', '.join(facts)}."


def amount(name: str, value: float, behavior: Behavior, lesion: Lesion) -> str:
    """A value of a behavior in human terms: '0.2 per day', '6 a day (33 hits a day)', '0.8' …"""
    word, _, argument = name.partition(" ")
    if ACTIONS[word].unit == "":
        return _plain(value)
    if value == 0.0:
        return "zero"
    if word == "kill":
        repair = 0.0 if behavior.repair is None else 1.0 / behavior.repair
        hits = f" ({_plain(_round(24.0 * hit_rate(value, behavior.hits, repair)))} hits a day)"
        return f"{_plain(24.0 * value)} a day{hits if behavior.hits > 1 else ''}"
    if ACTIONS[word].unit == "cells/mm3/h":
        return f"{_plain(24.0 * value)} per mm3 of tumor and day"
    if ACTIONS[word].unit == "secretion":
        return secretion(value, lesion.fields[argument])
    return rate(value)


def rate(value: float) -> str:
    """A rate [1/h] per day, hour or minute, whichever gives a number of a handy size."""
    if value * 24.0 < 100.0:
        return f"{_plain(24.0 * value)} per day"
    return f"{_plain(value)} per hour" if value < 60.0 else f"{_plain(value / 60.0)} per minute"


def span(hours: float) -> str:
    """A time [h] in seconds, minutes, hours or days."""
    for length, unit, least in ((24.0, "d", 1.99), (1.0, "h", 1.99), (1.0 / 60.0, "min", 0.99)):
        if hours >= least * length:
            return units.format(_round(hours / length), unit)
    return units.format(_round(hours * 3600.0), "s")


def secretion(value: float, field: FieldModel) -> str:
    """What a cell releases [field unit · um3/h]: as a mass where it can be told, else as molecules."""
    if field.unit != "nM":
        grams = value * units.convert(1.0, field.unit, "ng/mL") * 1e-21  # 1 ng/mL is 1e-21 g/um3
    elif field.molar_mass is not None:
        grams = value * _MOLES_PER_NM_UM3 * field.molar_mass
    else:
        return (
            f"{_plain(_round(value * _MOLES_PER_NM_UM3 * _AVOGADRO / 3600.0))} molecules per cell and second"
        )
    return f"{_plain(_round(grams * 24.0 * 1e15))} ng per million cells and day"


def _details(word: str, argument: str, behavior: Behavior, lesion: Lesion) -> Iterator[str]:
    """What qualifies a behavior beside its base."""
    if word in _LOSSES and behavior.base > 0.0:
        yield f"half-life {span(math.log(2.0) / behavior.base)}"
    if word == "kill":
        yield from _killing(behavior)
    if word == "migrate":
        yield from _moving(behavior, lesion)
    if word == "exchange" and behavior.level is not None:
        yield f"toward {units.format(behavior.level, lesion.fields[argument].unit)}"
    if word == "express" and behavior.rise is not None and behavior.fall is not None:
        yield f"rising at {rate(behavior.rise)} and falling at {rate(behavior.fall)}"
    if behavior.scaled_by:
        yield f"times its '{behavior.scaled_by}'"
    if behavior.uses:
        yield f"each time using up one of its '{behavior.uses}'"
    if behavior.spared_by:
        yield f"which '{behavior.spared_by}' spares"
    for trait, chance in behavior.loses.items():
        yield f"a daughter lacking '{trait}' with chance {_plain(chance)}"
    if behavior.renews:
        yield "a daughter starting anew with " + ", ".join(f"'{trait}'" for trait in behavior.renews)
    if behavior.anywhere:
        yield "on any site that is open to it"
    if behavior.needs_room:
        yield "only where a site within reach is free"
    if behavior.leaves and word == "scar":
        yield f"{behavior.leaves} on the free sites within {units.format(behavior.within, 'um')}"
    elif behavior.leaves:
        yield f"leaving {behavior.leaves}"
    if behavior.when:
        yield f"while {behavior.when}"


def _killing(behavior: Behavior) -> Iterator[str]:
    yield "completed by one uninhibited cell in permanent contact"
    if behavior.hits > 1:
        healing = "" if behavior.repair is None else f", one repaired in {span(behavior.repair)}"
        yield f"{behavior.hits} hits each{healing}"
    if behavior.on:
        yield f"recognized with chance {' × '.join(behavior.on)}"
    if behavior.arrest is not None:
        yield f"{span(behavior.arrest)} on a target"
    if behavior.dies_after:
        yield f"the target dies {span(behavior.dies_after)} later"


def _moving(behavior: Behavior, lesion: Lesion) -> Iterator[str]:
    """Undirected, D = ν a²/(2d) on a lattice of d dimensions."""
    dimensions = 2 if lesion.block.shape[0] == 1 else 3
    diffusivity = behavior.base / 60.0 * lesion.block.site * lesion.block.site / (2 * dimensions)
    yield f"which is {units.format(_round(diffusivity), 'um2/min')} undirected"
    if behavior.toward and behavior.bias and behavior.half_max:
        half = units.format(behavior.half_max, lesion.fields[behavior.toward].unit)
        yield f"up to {_percent(behavior.bias)} of hops up {behavior.toward} (receptors half full at {half})"
    if behavior.barrier != 1.0:
        yield f"from stroma into a nest {_plain(behavior.barrier)} times as readily"
    for kind, chance in behavior.passes.items():
        yield f"onto {kind} {_plain(chance)} times as readily" if chance else f"never onto {kind}"
    if behavior.tries > 1:
        yield f"where a way is shut it tries others, {behavior.tries} in all"


def _signal(rule: Rule, lesion: Lesion) -> str:
    """The signal of a row; one without half_max acts in proportion, in full where it reaches 1."""
    word, _, argument = rule.signal.partition(" ")
    if word in lesion.fields:
        return f"{word} at the vessel" if rule.behavior == "admit" else word
    if word == "engaged":
        return "time on a target"
    said = {
        "contact": f"contact with {argument}",
        "target": f"{argument} of its target",
        "drug": f"the receptors that {argument} holds",
    }.get(word, f"its '{word}'")
    return said if rule.half_max is not None else f"{said} (in full at 1)"


def _trait(name: str, start: float | Spread) -> str:
    if not isinstance(start, Spread):
        return f"{name} {_plain(start)}"
    if start.share is not None:
        return f"{name} in {_percent(start.share)} of cells"
    if start.mean is not None:
        return f"{name} around {_plain(start.mean)} (normal, sd {_plain(start.sd)}, not below 0)"
    return f"{name} around {_plain(start.median)} (log-normal, sigma {_plain(start.log_sd)})"


def _percent(share: float) -> str:
    return f"{_plain(100.0 * share)} %"


def _plain(value: float | None) -> str:
    return "" if value is None else units.format(value, "1")


def _round(value: float) -> float:
    """To two significant digits."""
    return float(f"{value:.2g}")
