"""What the analyses of a sweep find, where the answer is known beforehand."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from experiment_fakes import sweep_of
from scipy import special

from simulator.experiment.designs import conclusions, factorial, screening, threshold
from simulator.experiment.designs.compare import NOT_SEEN, Member, contrasts
from simulator.experiment.designs.space import Space
from simulator.report import words

PATIENTS = 6
HOMING = "homing: {path: drugs.msc.homing, values: [0.001, 0.01, 0.1], scale: log}"
GENE = "gene: {path: drugs.msc.gene, values: [1 ng/Mcell/d, 10 ng/Mcell/d, 100 ng/Mcell/d], scale: log}"
ENTRY = "entry: {levels: {on: {}, off: {cells: {msc: {half_life: 1 d}}}}}"


def sweep_text(*factors: str, more: str = "") -> str:
    return "sweep:\n" + more + "  factors:\n" + "".join(f"    {factor}\n" for factor in factors)


def space_of(sweep, response, mscs=lambda values: 100.0, wiggle=0.02, patients=PATIENTS) -> Space:
    """A sweep whose arm 'msc' has, at every point, the log volume `response` over that of 'control'.

    Patients differ by a pattern of size `wiggle` that sums to zero.
    """
    names = [factor.name for factor in sweep.factors]
    pattern = wiggle * (np.arange(patients) - (patients - 1) / 2)
    rows, found = [], []
    for point in sweep.points:
        values = dict(zip(names, sweep.labels(point), strict=True))
        members = []
        for patient in range(1, patients + 1):
            effect = response(values) + pattern[patient - 1]
            for arm, log_volume in (("control", 0.1 * patient), ("msc", 0.1 * patient + effect)):
                given = mscs(values) if arm == "msc" else None
                volume = np.array([1.0, math.exp(log_volume)])
                members.append(Member(arm, patient, 1, np.array([0.0, 9.0]), volume, "", given, 0.2))
                rows.append((point.number, arm, patient, 1, log_volume))
        for each in contrasts(members, [("msc", "control")], "log tumor_volume"):
            found.append({"point": point.number, **each.row()})
    points = pd.DataFrame([(p.number, *sweep.labels(p)) for p in sweep.points], columns=["point", *names])
    outcomes = pd.DataFrame(rows, columns=["point", "arm", "patient", "replicate", "value"])
    return Space(sweep.plain(), points.set_index("point"), outcomes, pd.DataFrame(found), 0.95)


def select(rows: list[dict], **wanted) -> list[dict]:
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


# --- factorial ---------------------------------------------------------------------------------------


def slopes(values) -> float:
    """−0.1 a decade of homing, −0.2 a decade of the gene, none of it without entry."""
    effect = -0.1 * math.log10(values["homing"] / 0.001) - 0.2 * math.log10(values["gene"])
    return effect if values["entry"] == "on" else 0.0


def test_effects_of_a_factorial_are_its_means_and_their_intervals_cover_patients():
    found = factorial.effects(space_of(sweep_of(sweep_text(HOMING, GENE, ENTRY)), slopes))
    mine = select(found, quantity="msc - control")
    main = {(row["factor"], row["level"]): row["value"] for row in mine if "factor_2" not in row}
    assert main == {
        ("homing", 0.01): pytest.approx(-0.05),
        ("homing", 0.1): pytest.approx(-0.10),
        ("gene", 10.0): pytest.approx(-0.10),
        ("gene", 100.0): pytest.approx(-0.20),
        ("entry", "off"): pytest.approx(0.30),
    }
    pairs = {
        (r["factor"], r["factor_2"], r["level"], r["level_2"]): r["value"] for r in mine if "factor_2" in r
    }
    assert pairs["homing", "gene", 0.1, 100.0] == pytest.approx(0.0, abs=1e-12)
    assert pairs["homing", "entry", 0.1, "off"] == pytest.approx(0.2)
    assert pairs["gene", "entry", 100.0, "off"] == pytest.approx(0.4)
    assert all(row["units"] == PATIENTS for row in mine)


def test_an_effect_that_patients_share_has_no_interval_and_one_that_differs_has():
    """The pattern of patients is the same at every point and drops out of differences between points."""
    sweep = sweep_of(sweep_text(HOMING, GENE, ENTRY))
    (row,) = select(factorial.effects(space_of(sweep, slopes)), quantity="msc - control", level=0.1)[:1]
    assert row["high"] - row["low"] == pytest.approx(0.0, abs=1e-12)
    space = space_of(sweep, slopes)
    scaled = space.outcomes.assign(value=space.outcomes.value * (1 + 0.1 * space.outcomes.patient))
    (row,) = select(
        factorial.effects(dataclasses.replace(space, outcomes=scaled)), quantity="msc", level=0.1
    )[:1]
    values = -0.1 * (1 + 0.1 * np.arange(1, 7))
    half = 2.5705818 * values.std(ddof=1) / math.sqrt(6)
    assert row["value"] == pytest.approx(values.mean())
    assert (row["low"], row["high"]) == pytest.approx((values.mean() - half, values.mean() + half))


def test_shares_of_variance_add_up_where_no_three_interact():
    sweep = sweep_of(sweep_text(HOMING, GENE, ENTRY))
    found = factorial.effects(space_of(sweep, slopes))
    shares = {(r["factor"], r.get("factor_2")): r["share"] for r in select(found, quantity="msc - control")}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert max(shares, key=shares.get) == ("entry", None)


def test_the_outcome_of_an_arm_that_knows_no_factor_has_no_effects():
    found = factorial.effects(space_of(sweep_of(sweep_text(HOMING, ENTRY)), lambda values: -0.1))
    assert all(row["value"] == 0.0 and row["share"] == 0.0 for row in select(found, quantity="control"))


def test_a_patient_who_lacks_a_run_is_left_out_of_every_effect():
    space = space_of(sweep_of(sweep_text(HOMING, ENTRY)), lambda values: -0.1)
    outcomes = space.outcomes[~((space.outcomes.patient == 3) & (space.outcomes.point == 2))]
    found = factorial.effects(dataclasses.replace(space, outcomes=outcomes))
    assert {row["units"] for row in found} == {PATIENTS - 1}


@pytest.mark.filterwarnings("error")
def test_a_patient_whose_tumor_is_gone_at_a_point_is_left_out_too():
    space = space_of(sweep_of(sweep_text(HOMING, ENTRY)), lambda values: -0.1)
    outcomes = space.outcomes.copy()
    outcomes.loc[(outcomes.patient == 3) & (outcomes.point == 2), "value"] = -math.inf
    found = factorial.effects(dataclasses.replace(space, outcomes=outcomes))
    assert {row["units"] for row in found} == {PATIENTS - 1}
    assert all(math.isfinite(row["value"]) for row in found)


# --- one at a time, Morris ---------------------------------------------------------------------------


def test_one_at_a_time_tells_the_change_from_the_file():
    sweep = sweep_of(sweep_text(HOMING, GENE, more="  design: one_at_a_time\n"))
    found = screening.sensitivity(space_of(sweep, lambda v: -0.1 * v["gene"] * v["homing"]))
    changes = select(found, quantity="msc - control", measure="change")
    assert {(row["factor"], row["setting"]): row["value"] for row in changes} == {
        ("homing", 0.001): pytest.approx(0.009),
        ("homing", 0.1): pytest.approx(-0.09),
        ("gene", 1.0): pytest.approx(0.009),
        ("gene", 100.0): pytest.approx(-0.09),
    }
    values = select(found, quantity="msc - control", measure="value", factor="gene")
    assert [row["value"] for row in values] == pytest.approx([-0.001, -0.1])


def plane_design(design: str, points: int):
    factors = [f"x{k}: {{path: drugs.msc.homing, low: 0, high: 1}}" for k in (1, 2, 3)]
    return sweep_of(sweep_text(*factors, more=f"  design: {design}\n  points: {points}\n"))


def test_morris_finds_slopes_and_tells_a_bend_from_a_plane():
    sweep = plane_design("morris", 40)
    plane = screening.sensitivity(space_of(sweep, lambda v: 0.3 * v["x1"] - 0.2 * v["x2"]))
    mine = {(r["factor"], r["measure"]): r["value"] for r in select(plane, quantity="msc - control")}
    for factor, slope in (("x1", 0.3), ("x2", -0.2), ("x3", 0.0)):
        assert mine[factor, "mu"] == pytest.approx(slope, abs=1e-5)
        assert mine[factor, "mu_star"] == pytest.approx(abs(slope), abs=1e-5)
        assert mine[factor, "sigma"] == pytest.approx(0.0, abs=1e-5)
    saddle = screening.sensitivity(space_of(sweep, lambda v: (v["x1"] - 0.5) * (v["x2"] - 0.5)))
    mine = {(r["factor"], r["measure"]): r["value"] for r in select(saddle, quantity="msc - control")}
    assert abs(mine["x1", "mu"]) < mine["x1", "mu_star"] / 2 < mine["x1", "sigma"]
    assert mine["x3", "mu_star"] == pytest.approx(0.0, abs=1e-9)


# --- ranks and shares of variance --------------------------------------------------------------------


def ishigami(values) -> float:
    a, b, c = (math.pi * (2 * values[f"x{k}"] - 1) for k in (1, 2, 3))
    return math.sin(a) + 7 * math.sin(b) ** 2 + 0.1 * c**4 * math.sin(a)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_sobol_indices_of_the_ishigami_function():
    """Ishigami & Homma 1990: first-order 0.3139, 0.4424, 0; total 0.5576, 0.4424, 0.2437."""
    sweep = plane_design("sobol", 1024 * 5)
    rows = np.array([ishigami(dict(zip(("x1", "x2", "x3"), sweep.labels(p), strict=True)))
                     for p in sweep.points[1:]]).reshape(-1, 5)  # fmt: skip
    first, total = screening.indices(rows)
    assert first == pytest.approx([0.3139, 0.4424, 0.0], abs=0.02)
    assert total == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.02)


def test_sobol_rows_of_a_sweep_have_intervals_that_hold_the_truth():
    space = space_of(plane_design("sobol", 160), lambda v: 0.3 * v["x1"] + 0.1 * v["x2"], patients=2)
    mine = select(screening.sensitivity(space), quantity="msc - control")
    for factor, share in (("x1", 0.9), ("x2", 0.1), ("x3", 0.0)):
        for measure in ("first_order", "total"):
            (row,) = select(mine, factor=factor, measure=measure)
            assert row["low"] - 0.02 <= share <= row["high"] + 0.02
    assert {row["measure"] for row in mine} >= {"rank_correlation", "partial_rank_correlation"}


def test_partial_ranks_see_a_weak_factor_behind_a_strong_one():
    space = space_of(plane_design("latin_hypercube", 60), lambda v: math.exp(3 * v["x1"]) - 0.3 * v["x2"])
    mine = select(screening.sensitivity(space), quantity="msc - control")
    value = {(row["factor"], row["measure"]): row for row in mine}
    assert value["x1", "rank_correlation"]["value"] > 0.98
    assert abs(value["x2", "rank_correlation"]["value"]) < 0.3
    assert value["x2", "partial_rank_correlation"]["value"] < -0.3
    assert value["x2", "partial_rank_correlation"]["p_value"] < 0.001
    assert (
        value["x3", "partial_rank_correlation"]["low"] < 0 < value["x3", "partial_rank_correlation"]["high"]
    )


def test_a_partial_correlation_is_that_of_residuals():
    """By regression of both on the rest, for factors that are correlated."""
    dice = np.random.default_rng(1)
    table = dice.normal(size=(50, 4)) @ dice.normal(size=(4, 4))
    found = screening._partial(table)
    for k in range(3):
        rest = np.column_stack([np.ones(50), np.delete(table[:, :3], k, axis=1)])
        residuals = [y - rest @ np.linalg.lstsq(rest, y, rcond=None)[0] for y in (table[:, k], table[:, 3])]
        assert found[k] == pytest.approx(np.corrcoef(*residuals)[0, 1])


def test_levels_without_an_order_are_told_one_by_one():
    kinds = (
        "kind: {levels: {a: {}, b: {cells: {msc: {half_life: 1 d}}}, c: {cells: {msc: {half_life: 3 d}}}}}"
    )
    gene = "x: {path: drugs.msc.homing, low: 0, high: 1}"
    sweep = sweep_of(sweep_text(kinds, gene, more="  design: latin_hypercube\n  points: 45\n"))
    space = space_of(sweep, lambda v: {"a": 0.0, "b": 0.3, "c": 0.0, None: 0.0}[v["kind"]] + 0.01 * v["x"])
    mine = select(screening.sensitivity(space), quantity="msc - control", measure="partial_rank_correlation")
    told = {(row["factor"], row["setting"]): row["value"] for row in mine}
    assert told["kind", "b"] > 0.9
    assert abs(told["kind", "c"]) < 0.5
    assert told["x", None] > 0.5


# --- conclusions -------------------------------------------------------------------------------------


def test_a_conclusion_holds_where_its_finding_does_and_names_what_overturns_it():
    space = space_of(
        sweep_of(sweep_text(HOMING, GENE, ENTRY)),
        slopes,
        mscs=lambda v: 3.0 if v["homing"] == 0.001 else 30.0,
    )
    (whole,), parts = conclusions.conclusions(space)
    assert whole["quantity"] == "msc - control"
    assert whole["points"] == 18
    assert (whole["lower"], whole["not_seen"], whole["too_few"]) == (6, 6, 6)
    assert whole["lower"] + whole["higher"] + whole["not_seen"] + whole["too_few"] == 18
    assert whole["finding"] == "lower"  # of equally common ones, the first in the order of words
    assert set(whole["overturned_by"].split(", ")) == {"homing", "entry"}
    (part,) = select(parts, factor="homing", part=0.001)
    assert (part["finding"], part["overturns"], part["holds"]) == ("too_few", 1, 0)
    assert 0.0 < whole["detectable"] < 0.2


@pytest.mark.parametrize("few", [True, False])
def test_of_a_file_that_is_the_exception_in_its_space_no_part_overturns_the_finding(few):
    text = sweep_text(
        "homing: {path: drugs.msc.homing, low: 0.001, high: 0.1, scale: log}",
        more="  design: latin_hypercube\n  points: 12\n",
    )
    own = sweep_of(text).labels(sweep_of(text).points[0])[0]
    beyond = 0.002 if few else 0.03  # homing above which nothing is seen
    space = space_of(
        sweep_of(text), lambda v: -0.3 if v["homing"] in (own, None) or v["homing"] < beyond else 0.0
    )
    (whole,), parts = conclusions.conclusions(space)
    assert whole["finding"] == "lower"
    assert (whole["lower"] < whole["not_seen"]) == few
    assert whole["overturned_by"] == ("" if few else "homing")
    told = words.conclusion(whole, "latin_hypercube", "log tumor_volume", 0.95)
    assert ("The file is the exception: commonly no difference seen" in told) == few
    assert ("Overturned by" in told) == (not few)


def test_a_part_in_which_findings_are_equally_common_overturns_nothing():
    works = lambda v: -0.3 if v["homing"] == 0.1 and v["entry"] == "on" else 0.0  # noqa: E731
    (whole,), parts = conclusions.conclusions(space_of(sweep_of(sweep_text(HOMING, ENTRY)), works))
    (tied,) = select(parts, factor="homing", part=0.1)
    assert (whole["finding"], tied["points"], tied["holds"], tied["overturns"]) == ("not_seen", 2, 1, 0)
    assert whole["overturned_by"] == ""


def test_one_at_a_time_compares_with_the_file():
    sweep = sweep_of(sweep_text(HOMING, GENE, more="  design: one_at_a_time\n"))
    (whole,), parts = conclusions.conclusions(
        space_of(sweep, lambda v: -0.1 if v["gene"] > 5 and v["homing"] < 0.05 else 0.2)
    )
    assert (whole["finding"], whole["points"], whole["holds"]) == ("lower", 4, 2)
    assert whole["overturned_by"] == "homing, gene"
    assert [(row["factor"], row["part"]) for row in parts if row["overturns"]] == [
        ("homing", 0.1),
        ("gene", 1.0),
    ]
    assert [row["points"] for row in parts] == [1, 1, 1, 1]


def test_the_share_of_a_sampled_space_has_an_interval():
    space = space_of(plane_design("latin_hypercube", 30), lambda v: -0.2 if v["x1"] > 0.7 else 0.0)
    (whole,), parts = conclusions.conclusions(
        dataclasses.replace(space, points=space.points.assign(x1=space.points.x1.fillna(0.0)))
    )
    assert whole["points"] == 30
    assert whole["lower"] == 9
    assert whole["low"] < whole["share"] < whole["high"]
    (third,) = select(parts, factor="x1", part="highest third")
    assert third["finding"] == "lower"


def test_wilson_is_the_published_interval():
    """Newcombe 1998 (Stat. Med. 17:857), Table I: 81 of 263 and 0 of 20 with their score intervals."""
    assert conclusions.wilson(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert conclusions.wilson(0, 20, 0.95) == pytest.approx((0.0, 0.1611), abs=5e-5)


# --- thresholds --------------------------------------------------------------------------------------

SIZE = "  smallest_effect: 10 %\n"


def product(values) -> float:
    """Works by the product of homing and gene: −0.05 a decade above 1e-3."""
    return -0.05 * max(0.0, math.log10(values["homing"] * values["gene"] / 1e-3))


def test_the_border_of_a_product_lies_where_the_product_is_the_same():
    space = space_of(sweep_of(sweep_text(HOMING, GENE, more=SIZE)), product, wiggle=0.001)
    rows = threshold.border(space)
    decades = -math.log(0.9) / 0.05  # of the product above 1e-3
    for row in select(rows, kind="crossing"):
        assert row["works"] == "above"
        assert math.log10(row["homing"] * row["gene"] / 1e-3) == pytest.approx(decades, abs=1e-6)
    assert {row["along"] for row in rows} == {"homing", "gene"}
    assert [(r["gene"], r["kind"]) for r in select(rows, along="homing")] == [
        (1.0, "never works"), (10.0, "crossing"), (100.0, "crossing")
    ]  # fmt: skip


def test_without_a_size_the_border_is_where_a_difference_is_seen():
    space = space_of(sweep_of(sweep_text(HOMING, GENE)), product, wiggle=0.02)
    half = 2.5705818 * 0.02 * np.arange(6).std(ddof=1) / math.sqrt(6)
    crossings = select(threshold.border(space), kind="crossing")
    assert crossings
    for row in crossings:
        assert product(row) == pytest.approx(-half, rel=1e-6)


def test_among_several_contrasts_the_border_is_where_the_adjusted_difference_is_seen():
    space = space_of(sweep_of(sweep_text(HOMING, GENE)), product, wiggle=0.02)
    adjusted = 3.0 * space.contrasts["p_value"]
    verdict = space.contrasts["verdict"].mask(adjusted >= 0.05, NOT_SEEN)
    of_three = space.contrasts.assign(p_adjusted=adjusted, verdict=verdict)
    crossings = select(
        threshold.border(dataclasses.replace(space, contrasts=of_three)), kind="crossing", along="homing"
    )
    half = special.stdtrit(5, 1 - 0.05 / 6) * 0.02 * np.arange(6).std(ddof=1) / math.sqrt(6)
    assert crossings
    for row in crossings:
        assert product(row) == pytest.approx(-half, rel=1e-6)


def test_too_few_mscs_bound_the_border_from_one_side():
    few = lambda v: 5.0 if v["homing"] < 0.05 else 50.0  # noqa: E731
    space = space_of(sweep_of(sweep_text(HOMING, GENE, more=SIZE)), lambda v: -0.3, few, wiggle=0.001)
    rows = select(threshold.border(space), along="homing")
    assert [(row["kind"], row["homing"], row["works"]) for row in rows] == [("bound", 0.1, "above")] * 3
    unknown = select(threshold.border(space), along="gene", homing=0.001)
    assert [row["kind"] for row in unknown] == ["too few MSCs"]
    assert [r["kind"] for r in select(threshold.border(space), along="gene", homing=0.1)] == ["always works"]


def test_h_hot_is_drawn_along_the_border():
    space = space_of(sweep_of(sweep_text(HOMING, GENE, more=SIZE)), product, wiggle=0.001)
    heat = space.contrasts.point.map(space.points.homing * space.points.gene)
    rows = threshold.border(dataclasses.replace(space, contrasts=space.contrasts.assign(h_hot=heat)))
    for row in select(rows, kind="crossing"):
        assert row["h_hot"] == pytest.approx(row["homing"] * row["gene"])


def test_a_third_factor_gives_each_of_its_levels_a_border_of_its_own():
    def works(values) -> float:
        return product(values) if values["entry"] == "on" else 0.0

    space = space_of(sweep_of(sweep_text(HOMING, GENE, ENTRY, more=SIZE)), works, wiggle=0.001)
    rows = threshold.border(space)
    assert {row["kind"] for row in rows if row["entry"] == "off"} == {"never works"}
    assert len(select(rows, entry="on", kind="crossing")) == 4


def test_only_a_grid_of_two_numbers_is_a_map():
    for text in (
        sweep_text(HOMING, ENTRY),
        sweep_text(HOMING, GENE, more="  design: one_at_a_time\n"),
    ):
        assert threshold.numeric(space_of(sweep_of(text), lambda v: 0.0)) == []


def test_a_verdict_that_other_contrasts_take_away_is_not_passed():
    """Holm may deny a difference that the interval alone would grant; the border then lies beyond."""
    space = space_of(sweep_of(sweep_text(HOMING, GENE)), product, wiggle=0.02)
    denied = space.contrasts.assign(verdict="no difference seen")
    assert (threshold.scores(dataclasses.replace(space, contrasts=denied), space.declared[0]) < 1.0).all()
