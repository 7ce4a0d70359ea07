"""What a protocol decides about scans and their judgment: what RECIST 1.1 and iRECIST leave open.

RECIST 1.1: Eisenhauer et al. 2009, doi:10.1016/j.ejca.2008.10.026.  iRECIST: Seymour et al. 2017,
doi:10.1016/S1470-2045(17)30074-8.  Times are days; day 0 is the first dose.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from ..config.schema import Strict

Days = Annotated[float, Field(ge=0)]
Part = Annotated[float, Field(ge=0, lt=1)]


class ScanCalendar(Strict):
    """When a patient is scanned, and how often that fails."""

    baseline_day: Annotated[float, Field(le=0)] = -10.0  # guideline: at most 4 weeks before treatment
    every_days: Annotated[float, Field(gt=0)] = 56.0  # 8 weeks: NCT06446050, RECOURSE
    window_days: Days = 0.0  # a scan falls anywhere within so many days of its date
    missed: Part = 0.0  # chance that a scan after baseline is not done


class Policy(Strict):
    """How readings become responses.  The defaults are the guidelines' own wherever these give one."""

    targets: Literal["representative first", "pure size"] = "representative first"
    confirmation: bool = True  # of CR and PR: asked for where response is the endpoint of one arm
    confirm_min_days: Days = 28.0
    sd_min_days: Days = 42.0  # guideline: "in general not less than 6–8 weeks"
    may_stand_between: tuple[Literal["NE", "SD"], ...] = ("NE",)  # a response and its confirmation
    continuing_pr: bool = True  # SD after a (confirmed) PR is PR until PD
    non_target_volume: Annotated[float, Field(gt=0)] = 0.73  # growth of non-targets that is unequivocal
    irecist_window_days: tuple[Days, Days] = (28.0, 56.0)
    missed_scans: Annotated[int, Field(ge=0)] = 2  # so many in a row before an event censor it; 0: never


class ReadingError(Strict):
    """How far a reading may be off; without one, readings are exact.

    A lesion of d mm is read as d·(1 + reader) + N(0, √(sd_mm² + (sd_relative·d)²)), where `reader` is drawn
    once a patient.  Two scans of one lesion within minutes differ with SD 2.4 mm (Oxnard 2011,
    doi:10.1200/JCO.2010.33.7071), which 1.5 mm and 3 % give at 30 mm.  Sums read by two people differ by
    −19 to +19 %, by one −10 to +13 % (95 % limits; Yoon 2016, doi:10.1016/j.ejca.2015.10.014): between
    readers that leaves an SD of √((19.4² − 11.5²)/2)/1.96 = 5.6 %.
    """

    sd_mm: Annotated[float, Field(ge=0)] = 1.5
    sd_relative: Annotated[float, Field(ge=0)] = 0.03
    reader: Annotated[float, Field(ge=0)] = 0.056


class Hazards(Strict):
    """What befalls a patient beside the growth of the lesions that are followed (source: assumed).

    Together with a doubling time of 50 d these meet the control arms of CONCUR, RECOURSE and CO.26; see
    the cohort test.  Death: `death` (SLD/`sld_mm`)^`sld_power` e^(`per_ecog` (ECOG − `ecog`)) a day.
    New lesions and clinical progression come only while the tumor grows: the control arms cannot tell
    that from a constant hazard, but a constant one would end every lasting response.
    """

    new_lesion: Annotated[float, Field(ge=0)] = 0.003  # 1/d
    clinical_progression: Annotated[float, Field(ge=0)] = 0.003  # 1/d
    death: Annotated[float, Field(ge=0)] = 0.0016  # 1/d
    sld_mm: Annotated[float, Field(gt=0)] = 86.0
    sld_power: Annotated[float, Field(ge=0)] = 1.5
    per_ecog: float = 0.6
    ecog: float = 0.8
    new_lesion_mm: Annotated[float, Field(gt=0)] = 10.0  # when it can be seen: the least measurable size


def recorded(*rules: Strict | None) -> dict[str, Any]:
    """The switches of a trial as flat name–value pairs, to be written beside every result."""
    return {
        f"{type(rule).__name__}.{name}": value
        for rule in rules
        if rule is not None
        for name, value in rule.model_dump().items()
    }
