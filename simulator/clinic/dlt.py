"""Dose-limiting toxicity: what counts, who can be judged, and how likely it is at a dose."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field as Key

from .crs import normal_quadrature
from .settings import Fault, Section
from .toxicity import DOSE, AdverseEvent, Cycle, Days, Toxicity


class DltRule(Section):
    """A DLT is an adverse event of `grade` or more, related to the product, within `window` of the first
    dose; the escalation decides `decide_after` the last first dose of a cohort."""

    grade: Annotated[int, Key(ge=3, le=5)] = 3
    window: Days
    decide_after: Days
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """One decides within the window."""
        if self.decide_after > self.window:
            yield Fault(
                ("decide_after",),
                f"The escalation decides after {self.decide_after:g} d, later than the DLT window "
                f"({self.window:g} d) ends.",
                "Decide within the window.",
            )


class Assessment(NamedTuple):
    """One patient seen up to a day.

    dlt : the first DLT seen, or None; evaluable : counts in the decision of the escalation; weight : share
    of the window followed, 1 with a DLT; reason : in words.
    """

    dlt: AdverseEvent | None
    evaluable: bool
    weight: float
    reason: str


def assess(
    events: Sequence[AdverseEvent], first_dose: float | None, seen_to: float, rule: DltRule
) -> Assessment:
    """Judge a patient by what was seen up to a day.

    first_dose : day of the first dose, None where none was given; seen_to : the last day of follow-up,
    or of the data at hand.
    """
    if first_dose is None:
        return Assessment(None, False, 0.0, "no dose was given")
    end = min(seen_to, first_dose + rule.window)
    counts = [e for e in events if e.related and e.grade >= rule.grade and first_dose <= e.onset <= end]
    if counts:
        first = min(counts, key=lambda event: event.onset)
        day = first.onset - first_dose
        return Assessment(first, True, 1.0, f"DLT on day {day:.0f}: {first.term}, grade {first.grade}")
    followed = max(0.0, end - first_dose)
    weight = followed / rule.window
    if followed < rule.decide_after:
        why = f"followed for {followed:.0f} d without a DLT, {rule.decide_after:g} d are needed"
        return Assessment(None, False, weight, why)
    return Assessment(None, True, weight, f"no DLT in {followed:.0f} d")


def risk(settings: Toxicity, cycles: Sequence[Cycle], rule: DltRule, within: float | None = None) -> float:
    """Exact probability of a DLT for a patient who is given these cycles and followed throughout.

    within : days from the first dose, by default the whole window.
    """
    window = rule.window if within is None else min(within, rule.window)
    start = min((cycle.start for cycle in cycles if cycle.dose > 0.0), default=0.0)
    spared = 1.0
    for cycle in (cycle for cycle in cycles if cycle.dose > 0.0):
        left = window - (cycle.start - start)
        for cause in settings.causes.values():
            peak = cycle.dose if cause.driver == DOSE else cycle.peaks[cause.driver]
            spared *= 1.0 - cause.chance(peak, rule.grade) * cause.onset.within(left)
    spared *= _without_crs(settings, cycles, rule.grade, window + start)
    background = settings.background
    blamed = background.misattributed * _background(settings, cycles, rule.grade, start, window)
    return 1.0 - spared * (1.0 - blamed)


def _without_crs(settings: Toxicity, cycles: Sequence[Cycle], grade: int, end: float) -> float:
    """Probability of no CRS of a grade by a day, over patients who each keep their own effect."""
    nodes, weights = normal_quadrature()
    spared = np.ones(len(nodes))
    for cycle in cycles:
        if cycle.dose <= 0.0:
            continue
        early = settings.crs_onset.within(end - cycle.start)
        for i, effect in enumerate(nodes):
            found = [
                link.chances(cycle.peaks[curve], float(effect))[grade - 1 : grade]
                for curve, link in settings.crs.calibrated.items()
            ]
            spared[i] *= 1.0 - early * max((chance for one in found for chance in one), default=0.0)
    return float(weights @ spared)


def _background(
    settings: Toxicity, cycles: Sequence[Cycle], grade: int, start: float, window: float
) -> float:
    """Probability of a background event of a grade within the window, as far as the cycles reach."""
    background = settings.background
    share = sum(background.grades[grade - 3 :])
    chance = 1.0
    for cycle in cycles:
        days = min(cycle.end, start + window) - max(cycle.start, start)
        chance *= 1.0 - share * background.within(days)
    return 1.0 - chance


def plan(
    dose: float, doses: int, interval: float, follow_up: float, retention: float, toxicity: Toxicity
) -> tuple[Cycle, ...]:
    """The cycles of a patient who is given every dose, without a simulation: its cytokines stay at 0.

    dose : cells per kg; interval, follow_up : days; retention : share of the dose that the lung traps at
    the first pass, which drives the lung's events.
    """
    count = max(doses, math.ceil(follow_up / interval))
    peaks = dict.fromkeys(toxicity.curves, 0.0)
    given = {**peaks, "msc_lung": retention * dose} if "msc_lung" in peaks else peaks
    return tuple(
        Cycle(
            k + 1,
            k * interval,
            min((k + 1) * interval, follow_up) if k + 1 == count else (k + 1) * interval,
            dose if k < doses else 0.0,
            given if k < doses else peaks,
        )
        for k in range(count)
    )
