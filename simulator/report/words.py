"""What a contrast says, in sentences a reader cannot mistake for more than they are."""

import math
from collections.abc import Mapping
from typing import Any

from ..experiment.designs import compare, conclusions
from ..experiment.designs.paired import POWER
from .canvas import clean
from .stats import split_outcome

Row = Mapping[str, Any]

_SIZES = ("volume", "diameter")  # what is smaller or larger; everything else is lower or higher


def outcome_words(outcome: str) -> str:
    """The quantity an outcome is about: 'log tumor_volume' is 'tumor volume'."""
    return clean(split_outcome(outcome)[1].replace("_", " "), 40)


def effect(value: float, outcome: str) -> str:
    """A difference in words: '12 % smaller', '3.1 times as large', 'higher by 0.3', 'equal'."""
    log, name = split_outcome(outcome)
    size = name.endswith(_SIZES)
    if value == 0:
        return "equal"
    if log and value > math.log(2.5):
        return f"{_digits(math.exp(value))} times as {'large' if size else 'high'}"
    if value < 0:
        word = "smaller" if size else "lower"
    else:
        word = "larger" if size else "higher"
    return f"{_percent(value)}\u00a0% {word}" if log else f"{word} by {_digits(abs(value))}"


def interval(row: Row) -> str:
    """The interval of a contrast in words; empty where it has none."""
    low, high, outcome = float(row["low"]), float(row["high"]), str(row["outcome"])
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    near, far = sorted((low, high), key=abs)
    small, large = effect(near, outcome), effect(far, outcome)
    digits, percent, word = small.partition("\u00a0")
    if low * high <= 0:
        text = f"{effect(low, outcome)} to {effect(high, outcome)}"
    elif percent and large.endswith(percent + word):
        text = f"{digits}–{large}"
    else:
        text = f"{small} to {large}"
    return f"{100 * float(row['level']):g} % interval {text}"


def sentence(row: Row) -> str:
    """One contrast in one or two sentences: effect, interval, pairs, and how far to trust it."""
    who = f"{clean(row['first'], 60)} against {clean(row['second'], 60)}"
    what, verdict = outcome_words(str(row["outcome"])), str(row["verdict"])
    if verdict == compare.NO_PAIRS:
        return f"{who}: no patient and replicate has finished in both arms."
    day = f"at day {float(row['day']):g}"
    if verdict == compare.NOT_DEFINED:
        return f"{who}: {what} {day} gives no finite {row['outcome']}, so there is nothing to compare."
    found = _found(row)
    if verdict == compare.TOO_FEW_MSCS:
        return (
            f"{who}: too few MSCs in the block to tell ({_digits(float(row['expected_mscs']))} expected per "
            f"dose, {compare.FEW_MSCS:g} needed). The numbers, {what} {found} {day}, do not speak "
            "for or against the therapy."
        )
    if verdict == compare.NOT_SEEN:
        return f"{who}: no difference in {what} seen {day}: {found}.{_unseen(row)}"
    return f"{who}: {what} {found} {day}."


def finding(word: str, outcome: str) -> str:
    """A finding of a sweep: 'smaller', 'no difference seen', 'too few MSCs to tell'."""
    size = split_outcome(outcome)[1].endswith(_SIZES)
    return {
        conclusions.LOWER: "smaller" if size else "lower",
        conclusions.HIGHER: "larger" if size else "higher",
        conclusions.NOT_SEEN: "no difference seen",
        conclusions.TOO_FEW: "too few MSCs to tell",
    }.get(word, word)


def conclusion(row: Row, design: str, outcome: str, level: float) -> str:
    """A declared contrast over a sweep: what is found, at how much of it, and what overturns it."""
    first, _, second = str(row["quantity"]).partition(" - ")
    who = f"{clean(first, 60)} against {clean(second, 60)}"
    what, points = outcome_words(outcome), int(row["points"])
    found = finding(str(row["finding"]), outcome)
    holds = f"{int(row['holds'])} of {points} points"
    others = [
        f"{finding(word, outcome)} at {int(row[word])}"
        for word in conclusions.FINDINGS
        if row[word] and word != row["finding"]
    ]
    if design == "grid":
        said = f"{who}: {what} {found} at {holds} of the grid"
    elif design == "one_at_a_time":
        said = f"{who}: {what} {found} as the file stands, and so at {holds} with one factor moved"
    else:
        share = f"{100 * float(row['share']):.0f} % of the sampled space"
        if math.isfinite(float(row["low"])):
            ends = f"{100 * float(row['low']):.0f}–{100 * float(row['high']):.0f}"
            share += f" ({holds}, {100 * level:g} % interval {ends})"
        said = f"{who}: {what} {found} as the file stands, and so in {share}"
    said += f"; {', '.join(others)}" if others else ""
    common = conclusions.exception(design, str(row["finding"]), row)
    said += f". The file is the exception: commonly {finding(common, outcome)}" if common else ""
    overturned = row["overturned_by"]
    turned = f" Overturned by {overturned}." if isinstance(overturned, str) and overturned else ""
    return f"{said}.{turned}{_power(row, outcome)}"


def _power(row: Row, outcome: str) -> str:
    """How large an effect the points could have missed."""
    detectable = float(row["detectable"])
    if not math.isfinite(detectable):
        return ""
    smaller, larger = effect(-detectable, outcome), effect(detectable, outcome)
    return f" Half the points would see a true effect of {smaller} or {larger} with power {POWER:g}."


def _found(row: Row) -> str:
    """The effect, its interval and the number of pairs."""
    pairs, units, patients = int(row["pairs"]), int(row["units"]), int(row["patients"])
    people = f" of {patients} patient{'s' if patients > 1 else ''}" if patients != pairs else ""
    count = "one pair, so no interval" if units == 1 else f"{pairs} pairs{people}"
    between = interval(row)
    if between and float(row["sd"]) == 0:
        between = "the same in every pair"
    seen = effect(float(row["difference"]), str(row["outcome"]))
    return f"{seen} ({'; '.join(filter(None, (between, count)))})"


def _unseen(row: Row) -> str:
    """What a contrast without a verdict of difference could have missed."""
    said = ""
    if float(row["low"]) * float(row["high"]) > 0 and float(row["sd"]) > 0:
        said = (
            f" The interval alone excludes no change, but not so after adjusting for several contrasts "
            f"(p = {float(row['p_value']):.2g} alone, {float(row['p_adjusted']):.2g} adjusted)."
        )
    detectable, outcome = float(row["detectable"]), str(row["outcome"])
    if math.isfinite(detectable):
        smaller, larger = effect(-detectable, outcome), effect(detectable, outcome)
        said += (
            f" A true effect under {smaller} or {larger} would likely have been missed "
            f"(power under {POWER:g})."
        )
    return said


def _percent(log_ratio: float) -> str:
    """A log ratio as a change in percent, with digits that fit its size."""
    return _digits(abs(math.expm1(log_ratio)) * 100, most=0 if abs(math.expm1(log_ratio)) >= 0.0995 else 1)


def _digits(value: float, most: int | None = None) -> str:
    """Two significant digits; `most` limits the digits after the point."""
    if most is not None and abs(value) >= 1:
        return f"{value:.{most}f}".removesuffix(".0")
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
