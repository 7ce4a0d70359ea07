"""BOIN12, for the optimal biological dose: weighs response against DLT (Lin et al. 2020,
JCO Precis Oncol 4:1393, doi:10.1200/PO.20.00257)."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

from pydantic import Field as Key

from ..settings import Fault
from . import isotonic
from .boin import boundaries, room_above
from .history import (
    DEESCALATE,
    ESCALATE,
    NO_DOSE,
    STAY,
    STOP,
    Choice,
    Confidence,
    Decision,
    Evidence,
    Sequential,
    Standing,
    Target,
)


class Boin12(Sequential):
    """Treats the next cohort at the most desirable neighboring level that is safe and active enough.

    A patient is worth 100 with a response and no DLT, `spared` with neither, 100 − spared with both and
    0 with a DLT alone, so that counts of DLTs and of responses are all that matters.  A level is
    inadmissible when its DLT risk exceeds `dlt_limit` with probability above `toxic`, or its response
    rate is below `response_limit` with probability above `futile`.
    """

    goal: ClassVar[str] = "OBD"
    uses_responses: ClassVar[bool] = True
    dlt_limit: Target = 0.35
    response_limit: Target = 0.25
    spared: Annotated[float, Key(gt=0, lt=100)] = 40.0
    toxic: Confidence = 0.95
    futile: Confidence = 0.90
    settle: Annotated[int, Key(ge=1)] = 6  # patients from which a rate between the boundaries goes no higher
    explore: Annotated[int, Key(ge=1)] = 9  # patients from which an untried higher level is tried

    def faults(self) -> Iterator[Fault]:
        """A limit that leaves room above; exploring comes after staying."""
        yield from super().faults()
        yield from room_above(self.dlt_limit, "dlt_limit")
        if self.explore < self.settle:
            yield Fault(
                ("explore",),
                f"`explore` ({self.explore}) is below `settle` ({self.settle}).",
                "Give at least as many patients.",
            )

    @property
    def benchmark(self) -> float:
        """The utility to beat: halfway from that of the two limits, independent, to 100."""
        limits = (100.0 - self.spared) * self.response_limit + self.spared * (1.0 - self.dlt_limit)
        return limits + 0.5 * (100.0 - limits)

    def worth(self, n: float, dlts: float, responses: float) -> float:
        """Patients' utilities added up, in units of the best."""
        return ((100.0 - self.spared) * responses + self.spared * (n - dlts)) / 100.0

    def desirability(self, n: int, dlts: int, responses: int) -> float:
        """Posterior probability that the mean utility beats the benchmark, from a uniform prior."""
        return isotonic.exceeds(self.worth(n, dlts, responses), n, self.benchmark / 100.0)

    def too_toxic(self, dlts: int, patients: float) -> bool:
        """Whether a level's DLT risk is above the limit, beyond reasonable doubt."""
        return isotonic.exceeds(dlts, patients, self.dlt_limit) > self.toxic

    def too_futile(self, responses: int, patients: float) -> bool:
        """Whether a level's response rate is below the limit, beyond reasonable doubt."""
        return 1.0 - isotonic.exceeds(responses, patients, self.response_limit) > self.futile

    def admissible(self, seen: Standing | Evidence, worth: Sequence[float]) -> list[int]:
        """Levels that are neither too toxic, nor above one that is, nor futile.

        worth : patients of each level whose DLTs are known.
        """
        found: list[int] = []
        for level, (n, known) in enumerate(zip(seen.treated, worth, strict=True), start=1):
            if self.too_toxic(seen.dlts[level - 1], known):
                break
            if not self.too_futile(seen.responses[level - 1], n):
                found.append(level)
        return found

    def next(self, standing: Standing) -> Decision:
        """The most desirable of the levels that the DLT rate at the current one leaves open."""
        level = standing.at
        open_levels = self.admissible(standing, standing.treated)
        if not open_levels:
            return Decision(STOP, NO_DOSE, "No level is both safe and active enough.")
        if (end := self.end(standing)) is not None:
            return end
        n, y = standing.seen(level)
        rate, (low, high) = y / n, boundaries(self.dlt_limit)
        seen = f"{standing.words(level)}, {standing.responses[level - 1]} responded"
        if rate >= high:
            return self._down(level, open_levels, f"{seen}; {rate:.3f} ≥ {high:.3f}")
        above = level + 1
        if n >= self.explore and above in open_levels and not standing.treated[level]:
            return Decision(ESCALATE, above, f"{seen}; level {above} is untried.")
        if rate > low and n >= self.settle:
            above = level
        near = [i for i in range(level - 1, above + 1) if i in open_levels]
        if not near:
            return self._down(level, open_levels, f"{seen}; no neighboring level is safe and active enough")
        scores = {i: self._score(standing, i) for i in near}
        best = max(near, key=lambda i: (scores[i], -i))
        told = ", ".join(f"level {i} {scores[i]:.3f}" for i in near)
        action = ESCALATE if best > level else DEESCALATE if best < level else STAY
        return Decision(action, best, f"{seen}; probability of beating the benchmark: {told}.")

    def _down(self, level: int, open_levels: list[int], why: str) -> Decision:
        """The nearest admissible level below; the current one where there is none but it is admissible."""
        below = [i for i in open_levels if i < level]
        if below:
            return Decision(DEESCALATE, below[-1], f"{why}.")
        if level in open_levels:
            return Decision(STAY, level, f"{why}, but no lower level is left.")
        return Decision(STOP, NO_DOSE, f"{why}, and no lower level is left.")

    def _score(self, standing: Standing, level: int) -> float:
        i = level - 1
        return self.desirability(standing.treated[i], standing.dlts[i], standing.responses[i])

    def select(self, evidence: Evidence) -> Choice:
        """The OBD: the highest mean utility among admissible levels up to the MTD."""
        worth = [evidence.effective(level) for level in range(1, self.levels + 1)]
        tried = [level for level in range(1, self.levels + 1) if evidence.treated[level - 1]]
        found = isotonic.risks([evidence.dlts[i - 1] for i in tried], [worth[i - 1] for i in tried])
        risk = dict(zip(tried, found, strict=True))
        risks = tuple(risk.get(i) for i in range(1, self.levels + 1))
        mtd = tried[isotonic.nearest(found, self.dlt_limit)]
        possible = [level for level in self.admissible(evidence, worth) if level in risk and level <= mtd]
        if not possible:
            return Choice(NO_DOSE, "No level tried is both safe and active enough.", risks)
        utility = {i: self._utility(evidence, i) for i in possible}
        level = max(possible, key=lambda i: (utility[i], -i))
        told = ", ".join(f"level {i} {utility[i]:.1f}" for i in possible)
        return Choice(
            level, f"Level {level} has the highest mean utility up to the MTD, {mtd}: {told}.", risks
        )

    def _utility(self, evidence: Evidence, level: int) -> float:
        i = level - 1
        n = evidence.treated[i]
        return 100.0 * (1.0 + self.worth(n, evidence.dlts[i], evidence.responses[i])) / (2.0 + n)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The rank-based desirability score of every count at a level; E where the level is eliminated."""
        head = ["patients at the level", "DLTs", "responses", "desirability rank"]
        return head, [
            [str(n), str(y), str(r), "E" if rank is None else f"{rank:g}"]
            for (n, y, r), rank in self.ranks(self.patients).items()
        ]

    def ranks(self, most: int) -> dict[tuple[int, int, int], float | None]:
        """Rank of (patients, DLTs, responses) by desirability up to `most` patients; ties share the mean
        rank, None is inadmissible."""
        counts = [
            (n, y, r) for n in range(0, most + 1, self.cohort) for y in range(n + 1) for r in range(n + 1)
        ]
        score = {
            key: round(self.desirability(*key), 12)
            for key in counts
            if not self.too_toxic(key[1], key[0]) and not self.too_futile(key[2], key[0])
        }
        ordered = sorted(score.values())
        first = {value: i for i, value in reversed(list(enumerate(ordered, start=1)))}
        last = {value: i for i, value in enumerate(ordered, start=1)}
        return {key: 0.5 * (first[score[key]] + last[score[key]]) if key in score else None for key in counts}
