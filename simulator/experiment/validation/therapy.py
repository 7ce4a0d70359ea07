"""The therapy in mice: the directions that Yin 2020 reports, and what they hang on."""

from ..collect import Results
from .target import Target, alike, larger_count, smaller

_YIN = "Yin 2020 PMC7704751"
_MODEL = "by construction"
_LITTLE_OX40L = (
    "OX40L reaches 15 to 30 % of the reactive CD8 cells by day 7 but adds few: each has three divisions, and "
    "PD-L1 holds division and killing; priming in lymph nodes, where it may act too, is not modeled"
)
_FACTORS_MULTIPLY = (
    "where PD-L1 and MSCs act together their factors multiply, so that every product of MSCs loses, and what "
    "OX40L gains in division is little beside it"
)
_TOO_COLD = (
    "H_hot is 0.04: CXCL9 lets in hardly more T cells, and the product leaves suppression by MSCs "
    "that IFN-gamma has licensed"
)


def strong(results: Results) -> list[Target]:
    """At the values under which the therapy works."""
    return [
        alike(results, "vector", "vehicle", "an empty vector does nothing", _YIN),
        smaller(results, "cxcl9", "vector", "CXCL9 alone against the vector", _YIN),
        smaller(results, "ox40l", "vector", "OX40L alone against the vector", _YIN)
        .missed_because(_LITTLE_OX40L),
        smaller(results, "both", "cxcl9", "both genes against CXCL9 alone", _YIN)
        .missed_because(_LITTLE_OX40L),
        smaller(results, "both", "ox40l", "both genes against OX40L alone", _YIN),
        smaller(results, "both_anti_pd1", "both", "both with anti-PD-1 against both", _YIN),
        smaller(results, "both_anti_pd1", "anti_pd1", "both with anti-PD-1 against anti-PD-1", _YIN),
        larger_count(results, "both", "vehicle", "cd8", 7.0, "CD8 cells in the tumor, day 7", _YIN),
        larger_count(results, "both", "vehicle", "nk", 7.0, "NK cells in the tumor, day 7", _YIN),
        smaller(results, "both", "both_without_cd8", "both against both without CD8 cells", _MODEL),
        alike(results, "both_null", "vehicle_null", "a null therapy with the same arrivals", _MODEL),
    ]  # fmt: skip


def center(results: Results) -> list[Target]:
    """At the centers of the priors: whether anything of it is left."""
    return [
        smaller(results, "both", "vehicle", "both genes, 1 % homing, 100 ng/1e6/d", f"{_YIN}; not expected")
        .missed_because(_TOO_COLD),
        smaller(results, "both_anti_pd1", "anti_pd1", "both with anti-PD-1, 1 % homing, 100 ng/1e6/d",
                f"{_YIN}; not expected").missed_because(_TOO_COLD),
        smaller(results, "anti_pd1", "vehicle", "anti-PD-1 alone", "CT26 is slowed"),
    ]  # fmt: skip


def by_factor(results: Results) -> list[Target]:
    """Where rules that hold division back multiply it: whether the misses of OX40L hang on their form."""
    return [
        smaller(results, "cxcl9", "vector", "CXCL9 alone against the vector, by factors", _YIN),
        smaller(results, "ox40l", "vector", "OX40L alone against the vector, by factors", _YIN)
        .missed_because(_FACTORS_MULTIPLY),
        smaller(results, "both", "cxcl9", "both genes against CXCL9 alone, by factors", _YIN)
        .missed_because(_FACTORS_MULTIPLY),
    ]  # fmt: skip


def without_mhc1(results: Results) -> list[Target]:
    """Against tumors that CD8 cells cannot see."""
    return [
        smaller(results, "both", "vehicle", "both genes against a tumor without MHC-I", _YIN),
        larger_count(results, "both", "vehicle", "nk", 7.0, "NK cells in it, day 7", _YIN),
        alike(results, "both_without_nk", "vehicle_without_nk", "the same with NK cells taken away", _MODEL),
    ]
