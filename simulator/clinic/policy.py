"""What a protocol decides about scans and their judgment: what RECIST 1.1 and iRECIST leave open.

RECIST 1.1: Eisenhauer et al. 2009, doi:10.1016/j.ejca.2008.10.026.  iRECIST: Seymour et al. 2017,
doi:10.1016/S1470-2045(17)30074-8.  Times are days; day 0 is the first dose.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field as Key

from ..config.schema import Share, quantity
from .settings import Fault, Section

Days = Annotated[float, quantity("d", at_least=0)]
Rate = Annotated[float, quantity("1/d", at_least=0)]
Millimeters = Annotated[float, quantity("mm", above=0)]


class ScanCalendar(Section):
    """When a patient is scanned, and how often that fails.

    baseline : days before the first dose (guideline: at most 4 weeks).  every : 8 weeks, as in RECOURSE.
    window : a scan may be this much early or late.  missed : probability that one after baseline is not done.
    """

    baseline: Days = 10.0
    every: Annotated[float, quantity("d", above=0)] = 56.0
    window: Days = 0.0
    missed: Share = 0.0
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """A window that keeps scans in order."""
        if 2.0 * self.window >= self.every:
            yield Fault(
                ("window",),
                f"A window of ±{self.window:g} d lets scans {self.every:g} d apart change places.",
                "Give less than half of `every`.",
            )


class Policy(Section):
    """How readings become responses.  The defaults are the guidelines' own wherever these give one.

    targets : the largest lesion of every organ first, or by size alone.  confirmation : of CR and PR, at
    least `confirm_min` later, asked for where response is the endpoint of one arm; `may_stand_between`
    them.  sd_min : since the first dose; guideline: "in general not less than 6–8 weeks".  continuing_pr :
    SD after a (confirmed) PR is PR until PD.  non_target_volume : growth of lesions that are no targets
    which is unequivocal.  irecist_window : when iUPD can be confirmed.  missed_scans : so many in a row
    just before an event censor it; 0: never.
    """

    targets: Literal["representative first", "pure size"] = "representative first"
    confirmation: bool = True
    confirm_min: Days = 28.0
    sd_min: Days = 42.0
    may_stand_between: tuple[Literal["NE", "SD"], ...] = ("NE",)
    continuing_pr: bool = True
    non_target_volume: Annotated[float, quantity("1", above=0)] = 0.73
    irecist_window: tuple[Days, Days] = (28.0, 56.0)
    missed_scans: Annotated[int, Key(ge=0)] = 2
    source: str | None = None

    def faults(self) -> Iterator[Fault]:
        """A window that ends after it begins."""
        soonest, latest = self.irecist_window
        if soonest > latest:
            yield Fault(
                ("irecist_window",),
                f"The iRECIST window begins after {soonest:g} d and ends after {latest:g} d.",
                "Give the earlier day first, as in [28 d, 56 d].",
            )


class ReadingError(Section):
    """How far a reading may be off; without one, readings are exact.

    A lesion of x mm is read as x·(1 + r) + N(0, √(sd² + (relative·x)²)), where r ~ N(0, reader²) is drawn
    once a patient.  Two scans of one lesion within minutes differ with SD 2.4 mm (Oxnard 2011,
    doi:10.1200/JCO.2010.33.7071), which 1.5 mm and 3 % give at 30 mm.  Sums read by two people differ by
    −19 to +19 %, by one −10 to +13 % (95 % limits; Yoon 2016, doi:10.1016/j.ejca.2015.10.014): between
    readers that leaves an SD of √((19.4² − 11.5²)/2)/1.96 = 5.6 %.
    """

    sd: Annotated[float, quantity("mm", at_least=0)] = 1.5
    relative: Share = 0.03
    reader: Share = 0.056
    source: str | None = None


class Hazards(Section):
    """What befalls a patient beside the growth of the lesions that are followed (source: assumed).

    Together with a doubling time of 50 d these meet the control arms of CONCUR, RECOURSE and CO.26; see
    the cohort test.  Death: `death` (SLD/`sld`)^`sld_power` e^(`per_ecog` (ECOG − `ecog`)), SLD the true sum
    of target diameters.  New lesions, seen from `new_lesion_size` on, and clinical progression come only
    while the tumor grows: the control arms cannot tell that from a constant hazard, but a constant one
    would end every lasting response.
    """

    new_lesion: Rate = 0.003
    new_lesion_size: Millimeters = 10.0  # the least that is measurable
    clinical_progression: Rate = 0.003
    death: Rate = 0.0016
    sld: Millimeters = 86.0
    sld_power: Annotated[float, quantity("1", at_least=0)] = 1.5
    per_ecog: Annotated[float, quantity("1")] = 0.6
    ecog: Annotated[float, quantity("1")] = 0.8
    source: str | None = None


class Evaluation(NamedTuple):
    """The rules by which a patient is scanned, judged and lost."""

    response: Policy = Policy()
    scans: ScanCalendar = ScanCalendar()
    hazards: Hazards = Hazards()
    reading_error: ReadingError | None = None

    def recorded(self) -> dict[str, Any]:
        """Every switch as flat name–value pairs, to be written beside every result."""
        return {
            f"{name}.{key}": value
            for name, section in self._asdict().items()
            if section is not None
            for key, value in section.model_dump(exclude={"source"}).items()
        }

    def notes(self) -> list[str]:
        """What in these rules will surprise a reader of the results, in sentences for the synopsis."""
        (soonest, latest), apart = self.response.irecist_window, self.scans.every + 2.0 * self.scans.window
        if apart <= latest:
            return []
        return [
            f"Scans come up to {apart:g} d apart, but iRECIST confirms only up to {latest:g} d after an "
            "unconfirmed progression: what the next scan shows later stays unconfirmed. A window of "
            f"[{soonest:g} d, {apart:g} d] would reach it."
        ]
