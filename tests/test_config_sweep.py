"""What a sweep means: its factors and points, what they share, and every mistake in it."""

import pickle
from pathlib import Path

import pytest
from config_tiny import EXPERIMENT, experiment
from hypothesis import given, settings, strategies as st

from simulator.base.errors import InputError
from simulator.config import sampling
from simulator.config.dormant import drugs_given

FRACTION = "drugs.msc_cxcl9.tumor_fraction"
SECRETION = "cells.msc.behaviors.secrete cxcl9.base"
HOMING = f"homing: {{path: {FRACTION}, values: [1e-4, 3e-4, 1e-3], scale: log}}"
GENE = f"gene: {{path: {SECRETION}, values: [1 ng/Mcell/d, 1 ug/Mcell/d]}}"
ENTRY = "entry: {levels: {on: {}, off: {cells: {cd8: {rules: [{admit: {raised_by: cxcl9, off: true}}]}}}}}"
RANGE = f"gene: {{path: {SECRETION}, low: 1 ng/Mcell/d, high: 2 ug/Mcell/d, scale: log}}"


def swept(*factors: str, more: str = "", text: str = EXPERIMENT) -> str:
    lines = "".join(f"    {factor}\n" for factor in factors)
    return f"{text}sweep:\n{more}  factors:\n{lines}"


def sampled(tmp_path, design: str, points: int, *factors: str):
    more = f"  design: {design}\n  points: {points}\n"
    return experiment(tmp_path, swept(*(factors or (RANGE, ENTRY)), more=more), ("population=null",))


def death(found, number: int) -> float:
    return found.at(number).model("control", 1, "treatment").lesions[0].cells["tumor"].behaviors["die"].base


# --- points ------------------------------------------------------------------------------------------


def test_without_a_sweep_there_is_one_point_the_file_itself(tmp_path):
    found = experiment(tmp_path)
    assert found.sweep is None
    assert [point.number for point in found.points] == [0]
    assert found.at(0) is found
    with pytest.raises(InputError, match="no point 1"):
        found.at(1)


def test_a_grid_is_every_combination_from_one_the_last_factor_fastest(tmp_path):
    found = experiment(tmp_path, swept(HOMING, ENTRY))
    labels = [(point.number, *found.sweep.labels(point)) for point in found.points]
    assert labels == [
        (1, 1e-4, "on"), (2, 1e-4, "off"), (3, 3e-4, "on"), (4, 3e-4, "off"),
        (5, 1e-3, "on"), (6, 1e-3, "off"),
    ]  # fmt: skip
    for number, homing, entry in labels:
        model = found.at(number).model("q7d", 2, "treatment")
        assert model.drugs["msc_cxcl9"].tumor_fraction == homing
        rows = [rule for rule in model.lesions[0].cells["cd8"].rules if rule.behavior == "admit"]
        assert len(rows) == (entry == "on")


def test_a_point_is_an_experiment_of_its_own(tmp_path):
    found = experiment(tmp_path, swept(HOMING, ENTRY))
    point = found.at(4)
    assert (point.point, point.sweep, point.patients, point.seed) == (4, None, 3, 7)
    text = point.resolved("q21d", 1)
    assert "sweep:" not in text and "tumor_fraction: 0.0003" in text
    again = experiment(tmp_path, text)
    assert again.digest("q21d", 1, 1) == point.digest("q21d", 1, 1)
    plain = experiment(
        tmp_path,
        overrides=(f"{FRACTION}=3e-4", "cells.cd8.rules.admit.raised_by cxcl9=null"),
    )
    assert plain.digest("q21d", 1, 1) == point.digest("q21d", 1, 1)
    assert pickle.loads(pickle.dumps(found)).at(4).digest("q21d", 1, 1) == point.digest("q21d", 1, 1)


def test_one_at_a_time_begins_with_the_file_and_leaves_its_own_values_out(tmp_path):
    found = experiment(tmp_path, swept(HOMING, GENE, ENTRY, more="  design: one_at_a_time\n"))
    assert [found.sweep.labels(point) for point in found.points] == [
        [3e-4, 100.0, "on"],
        [1e-4, 100.0, "on"],
        [1e-3, 100.0, "on"],
        [3e-4, 1.0, "on"],
        [3e-4, 1000.0, "on"],
        [3e-4, 100.0, "off"],
    ]
    assert found.at(0) is found
    ends = experiment(tmp_path, swept(RANGE, more="  design: one_at_a_time\n"))
    assert [ends.sweep.labels(point) for point in ends.points] == [[100.0], [1.0], [2000.0]]


def test_several_paths_move_together_and_a_dose_can_be_a_factor(tmp_path):
    paths = f"{SECRETION}, drugs.msc_cxcl9.secretes.cxcl9"
    both = f"gene: {{paths: [{paths}], values: [1 ng/Mcell/d, 2 ng/Mcell/d]}}"
    dose = "dose: {path: arms.q7d.doses, values: [weekly, loading]}"
    found = experiment(tmp_path, swept(both, dose), ("population=null",))
    for point in found.points:
        at = found.at(point.number)
        model = at.model("q7d", 1, "treatment")
        made = model.lesions[0].cells["msc"].behaviors["secrete cxcl9"].base
        assert model.drugs["msc_cxcl9"].secretes["cxcl9"] == made
        assert isinstance(at.arms["q7d"].doses, str if found.sweep.labels(point)[1] == "weekly" else list)
    assert len({found.at(n).digest("q7d", 1, 1) for n in (1, 2, 3, 4)}) == 4
    assert len({found.at(n).digest("q21d", 1, 1) for n in (1, 2, 3, 4)}) == 2


def test_a_level_uses_entries_of_the_catalogue_that_the_file_does_not_use_yet(tmp_path):
    half = "cells: {tumor: {traits: {mhc1: 0.5}}}"
    level = f"tumor: {{levels: {{slow: {{use: slow.yaml}}, human: {{use: [human], {half}}}}}}}"
    text = swept(level, text=EXPERIMENT + "cells: {tumor: {behaviors: {die: {base: 0.3 /d}}}}\n")
    slow = "use: [human, nk]\ncells: {tumor: {behaviors: {die: {base: 0.05 /d}}}}\n"
    (tmp_path / "slow.yaml").write_text(slow)
    found = experiment(tmp_path, text, ("population=null",))
    assert [24 * death(found, n) for n in (1, 2)] == pytest.approx([0.05, 0.3])
    assert "nk" in found.at(1).model(None, 1, "treatment").lesions[0].cells
    assert found.at(2).model(None, 1, "treatment").lesions[0].cells["tumor"].traits["mhc1"] == 0.5


def test_an_arm_uses_entries_of_the_catalogue_from_day_0(tmp_path):
    text = EXPERIMENT.replace("q7d: {doses: weekly}", "q7d: {doses: weekly, use: [slow.yaml]}")
    (tmp_path / "slow.yaml").write_text("cells: {tumor: {behaviors: {die: {base: 0.05 /d}}}}\n")
    found = experiment(tmp_path, text, ("population=null",))
    death = [
        24 * found.model("q7d", 1, phase).lesions[0].cells["tumor"].behaviors["die"].base
        for phase in ("burn_in", "treatment")
    ]
    assert death == pytest.approx([0.12, 0.05])
    assert found.burn_in_digest("q7d", 1, 1) == found.burn_in_digest("q21d", 1, 1)
    (tmp_path / "slow.yaml").write_text("population: {body.weight: {log_sd: 0.1}}\n")
    with pytest.raises(InputError, match=r"slow\.yaml:1:1: 'population' cannot differ between arms"):
        experiment(tmp_path, text)


def test_overrides_reach_into_a_sweep_and_remove_it(tmp_path):
    found = experiment(tmp_path, swept(HOMING, ENTRY))
    fewer = found.with_overrides(["sweep.factors.homing.values=[1e-4, 1e-3]"])
    assert len(fewer.points) == 4
    assert len(found.with_overrides(["sweep=null"]).points) == 1
    assert experiment(tmp_path).digest("q7d", 1, 1) == found.with_overrides(["sweep=null"]).digest(
        "q7d", 1, 1
    )


# --- samples -----------------------------------------------------------------------------------------


def test_a_sample_keeps_to_its_range_and_its_levels(tmp_path):
    found = sampled(tmp_path, "latin_hypercube", 16)
    first, *rest = [found.sweep.labels(point) for point in found.points]
    assert first == [100.0, "on"]
    assert len(rest) == 16
    assert all(1.0 <= gene <= 2000.0 for gene, _ in rest)
    assert sum(gene < 2000.0**0.5 for gene, _ in rest) == 8  # half the points in half the range, on its scale
    assert sum(entry == "on" for _, entry in rest) == 8
    gene = rest[4][0]
    model = found.at(5).model(None, 1, "treatment")
    plain = experiment(tmp_path, overrides=(f"{SECRETION}={gene} ng/Mcell/d", "population=null"))
    base = plain.model(None, 1, "treatment").lesions[0].cells["msc"].behaviors["secrete cxcl9"].base
    assert model.lesions[0].cells["msc"].behaviors["secrete cxcl9"].base == base


def test_the_sample_follows_the_seed_and_nothing_else(tmp_path):
    found = sampled(tmp_path, "latin_hypercube", 8)
    other = found.with_overrides(["duration=10 d", "compare=null", "patients=9"])
    assert [found.sweep.labels(p) for p in found.points] == [other.sweep.labels(p) for p in other.points]
    assert found.points != found.with_overrides(["seed=8"]).points


@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 2**64 - 1))
def test_morris_trajectories_move_one_factor_a_step_and_stay_inside(factors, trajectories, seed):
    rows = sampling.sample("morris", factors, trajectories * (factors + 1), seed)
    for start in range(0, len(rows), factors + 1):
        walk = rows[start : start + factors + 1]
        moved = []
        for before, after in zip(walk, walk[1:], strict=False):
            changed = [i for i in range(factors) if before[i] != after[i]]
            assert len(changed) == 1
            assert abs(after[changed[0]] - before[changed[0]]) == pytest.approx(2 / 3)
            moved += changed
        assert sorted(moved) == list(range(factors))
    assert all(0.0 <= u <= 1.0 for row in rows for u in row)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**64 - 1))
def test_saltelli_rows_mix_two_samples_one_factor_at_a_time(factors, power, seed):
    rows = sampling.sample("sobol", factors, 2**power * (factors + 2), seed)
    for start in range(0, len(rows), factors + 2):
        a, b, *mixed = rows[start : start + factors + 2]
        for i, row in enumerate(mixed):
            assert row == (*a[:i], b[i], *a[i + 1 :])


def test_a_longer_sobol_design_begins_as_the_shorter(tmp_path):
    short, long = (sampling.sample("sobol", 3, n, 5) for n in (20, 40))
    assert long[:20] == short


@given(st.sampled_from(["latin_hypercube", "morris", "sobol"]), st.integers(1, 9), st.integers(1, 3000))
def test_the_numbers_of_points_a_message_offers_are_allowed(design, factors, points):
    said = sampling.allowed(design, factors, points)
    if "write" not in said:
        return
    for number in said.rstrip(".").rpartition("write ")[2].split(" or "):
        assert sampling.allowed(design, factors, int(number)) == ""
        assert len(sampling.sample(design, factors, int(number), 1)) == int(number)


# --- what points share -------------------------------------------------------------------------------


def test_points_share_the_burn_in_where_nothing_before_day_0_differs(tmp_path):
    found = experiment(tmp_path, swept(HOMING, GENE, ENTRY))
    burn_ins = {}
    for point in found.points:
        entry = found.sweep.labels(point)[2]
        burn_ins.setdefault(entry, set()).add(found.at(point.number).burn_in_digest("q7d", 1, 1))
    assert {entry: len(digests) for entry, digests in burn_ins.items()} == {"on": 1, "off": 1}
    assert burn_ins["on"] != burn_ins["off"]


def test_an_arm_without_the_product_is_the_same_run_at_every_point_that_differs_in_it_alone(tmp_path):
    found = experiment(tmp_path, swept(HOMING, GENE))
    doses = {"control": [], "q7d": [["msc_cxcl9", 0.0, 1e6, "cells/kg", 0.5]]}
    count = {
        arm: len({found.at(p.number).digest(arm, 1, 1, given) for p in found.points})
        for arm, given in doses.items()
    }
    assert count == {"control": 1, "q7d": 6}
    assert drugs_given([["a", 0.0, 0.0, "cells", 0.5], ["b", 0.0, 1.0, "mg", 0.5]]) == {"b"}


@pytest.mark.parametrize(
    "changes",
    [
        "cells.msc.behaviors.die.base=1 /d",
        "cells.msc.traits.ox40l=0.5",
        "cells.msc.rules.die.raised_by contact cd8={to: 1 /d}",
        "drugs.msc_cxcl9.lung_retention=0.5",
        "drugs.anti_pd1.kd=1 nM",
        "body.homing=10",
        "body.sensitized=1",
    ],
)
def test_what_cannot_act_before_day_0_leaves_the_burn_in_alone(tmp_path, changes):
    base, other = experiment(tmp_path), experiment(tmp_path, overrides=(changes,))
    assert other.burn_in_digest("q7d", 1, 1) == base.burn_in_digest("q7d", 1, 1)
    assert other.digest("q7d", 1, 1) != base.digest("q7d", 1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        "cells.tumor.behaviors.die.base=0.05 /d",
        "cells.msc.traits.age=0",  # a column of the arrays
        "cells.msc.behaviors.secrete ifng.base=1 ng/Mcell/d",  # another field is solved
        "drugs.other={type: cells, cell: msc, lung_retention: 0, lung_half_life: 1 d, lung_release: 0 /h, "
        "blood_half_life: 1 h, liver_spleen_share: 0, tumor_fraction: 0, tumor_reference_volume: 80 mL, "
        "half_life: 1 d}",  # a name in the layout
        "tissue.stroma=0.1",
        "body.plasma.cxcl9.baseline=1 ng/mL",
    ],
)
def test_all_else_has_a_burn_in_of_its_own(tmp_path, changes):
    base, other = experiment(tmp_path), experiment(tmp_path, overrides=(changes, "population=null"))
    base = base.with_overrides(["population=null"])
    assert other.burn_in_digest("q7d", 1, 1) != base.burn_in_digest("q7d", 1, 1)


def test_a_kind_that_something_makes_is_there_before_day_0(tmp_path):
    """Dead tumor cells that left MSCs behind would put them into the burn-in."""
    leaves = "cells.tumor.behaviors.die.leaves=msc"
    base = experiment(tmp_path, overrides=(leaves,))
    other = experiment(tmp_path, overrides=(leaves, "cells.msc.behaviors.die.base=1 /d"))
    assert other.burn_in_digest("q7d", 1, 1) != base.burn_in_digest("q7d", 1, 1)


# --- mistakes ----------------------------------------------------------------------------------------


def problems(tmp_path: Path, text: str) -> list:
    with pytest.raises(InputError) as caught:
        experiment(tmp_path, text)
    return caught.value.problems


def marked(problem) -> str:
    assert problem.where is not None, problem
    return problem.where.text[problem.where.column - 1 :]


SAMPLE = "  design: latin_hypercube\n  points: 8\n"
MISTAKES = [
    (swept("homing: {path: drugs.mcs.x, values: [1, 2]}"), "drugs.mcs.x", ["no 'drugs.mcs'"]),
    (swept("d: {path: duration, values: [1 d, 2 d]}"), "duration", ["points of a sweep", "cells"]),
    (swept(f"homing: {{path: {FRACTION}, values: [1e-4, 2]}}"), "2]", ["homing 2", "at most 1"]),
    (swept(f"homing: {{path: {FRACTION}, values: [1e-4, 1 d]}}"), "1 d]", ["homing 1 d", "a time"]),
    (swept(f"gene: {{path: {SECRETION}, values: [1, 1 ng/Mcell/d]}}"), "1, 1", ["gene 1", "per cell"]),
    (swept(f"homing: {{path: {FRACTION}, values: [1e-4]}}"), "[1e-4]", ["1 level", "at least two"]),
    (swept(f"homing: {{path: {FRACTION}, values: 3}}"), "3}", ["must be a list"]),
    (swept(f"homing: {{path: {FRACTION}, values: [1e-4, {{a: 1}}]}}"), "{a: 1}", ["no value of a factor"]),
    (swept(f"homing: {{path: {FRACTION}}}"), "homing", ["neither levels, nor a path"]),
    (swept(f"homing: {{path: {FRACTION}, values: [0.1, 0.2], low: 0}}"), "homing", ["neither levels"]),
    (swept(f"homing: {{path: {FRACTION}, levels: {{a: {{}}, b: {{}}}}}}"), "homing", ["no other key"]),
    (swept(f"arm: {{path: {FRACTION}, values: [0.1, 0.2]}}"), "arm:", ["column of the tables"]),
    (swept("Homing: {}"), "Homing", ["is not a name"]),
    (swept("homing: {pth: x, values: [1, 2]}"), "pth", ["no key 'pth'", "'path'"]),
    (swept("e: {levels: {on: {}, off: {duration: 1 d}}}"), "duration", ["no key 'duration'"]),
    (swept("e: {levels: {on: {}, off: {cells: {cd8: {layr: bulk}}}}}"), "layr", ["e off", "no key 'layr'"]),
    (swept("e: {levels: {on: {}, off: {use: nothing_such}}}"), "nothing_such", ["no entry 'nothing_such'"]),
    (
        swept("e: {levels: {on: {}, off: {arms: {more: {}}}}}"),
        "{arms",
        ["e off", "adds or removes arms: more"],
    ),
    (swept("e: {levels: {on: {}, off: {}}}"), "e:", ["changes nothing"]),
    (
        swept("r: {path: cells.nk.behaviors.die.base, values: [0.1 /d, 0.2 /d]}"),
        "cells.nk",
        ["no 'cells.nk'"],
    ),
    (
        swept("r: {path: cells.cd8.behaviors.migrate.barrier, values: [0.1, 0.2]}"),
        "r:",
        ["changes nothing", "phenotype"],
    ),
    (swept(RANGE), "low", ["a grid needs the values", "sampled design"]),
    (swept(GENE, more="  points: 8\n"), "points", ["as many points as its levels make"]),
    (swept(RANGE, more="  design: morris\n"), "sweep", ["needs `points`"]),
    (swept(RANGE, more="  design: morris\n  points: 5\n"), "5", ["trajectories of 2 points", "4 or 6"]),
    (swept(RANGE, more="  design: sobol\n  points: 5\n"), "5", ["power of 2", "6 or 12"]),
    (swept(RANGE, more="  design: sobl\n  points: 5\n"), "sobl", ["'sobol'"]),
    (
        swept(f"g: {{path: {SECRETION}, low: 3 ng/Mcell/d, high: 2 ng/Mcell/d}}", more=SAMPLE),
        "2",
        ["not below"],
    ),
    (
        swept(f"g: {{path: {SECRETION}, low: 1 ng/Mcell/d, high: 1 d}}", more=SAMPLE),
        "1 d",
        ["high", "a time"],
    ),
    (
        swept(f"h: {{path: {FRACTION}, low: 0, high: 0.1, scale: log}}", more=SAMPLE),
        "0,",
        ["logarithmic scale begins above zero"],
    ),
    (swept(f"h: {{path: {FRACTION}, low: 0.1, high: 1.5}}", more=SAMPLE), "1.5", ["h 1.5", "at most 1"]),
    (EXPERIMENT + "sweep: {}\n", "sweep", ["no factors"]),
    (EXPERIMENT + "sweep: {factors: {}}\n", "factors", ["no factors", "path"]),
    (EXPERIMENT + "sweep: 3\n", "3", ["must be a mapping"]),
    (swept(GENE, more="  smallest_effect: -1\n"), "-1", ["must be above 0"]),
]


@pytest.mark.parametrize(("text", "caret", "words"), MISTAKES, ids=[f"{i}" for i in range(len(MISTAKES))])
def test_each_mistake_has_one_clear_error(tmp_path, text, caret, words):
    (problem,) = problems(tmp_path, text)
    assert marked(problem).startswith(caret), str(problem)
    for word in words:
        assert word.lower() in f"{problem.what} {problem.help}".lower(), str(problem)


def test_every_wrong_level_is_told_at_once(tmp_path):
    text = swept(
        f"homing: {{path: {FRACTION}, values: [1e-4, 2, 3]}}",
        f"gene: {{path: {SECRETION}, values: [1 ng/Mcell/d, 1 d]}}",
        "e: {levels: {on: {}, off: {cells: {cd8: {layr: bulk}}}}}",
    )
    told = [marked(problem)[:4] for problem in problems(tmp_path, text)]
    assert told == ["2, 3", "3]}\n"[:3], "1 d]", "layr"]


def test_a_grid_too_large_to_run_is_refused(tmp_path):
    many = ", ".join(f"{k}e-7" for k in range(1, 400))
    (problem,) = problems(
        tmp_path,
        swept(
            f"a: {{path: {FRACTION}, values: [{many}]}}",
            f"b: {{path: drugs.msc_cxcl9.viability, values: [{many}]}}",
        ),
    )
    assert "159,201 points" in problem.what and "latin_hypercube" in problem.help


@settings(max_examples=25)
@given(st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=40))
def test_any_text_as_a_factor_is_an_input_error_or_an_experiment(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    whole = swept(f"f: {text}")
    try:
        experiment(folder, whole)
    except InputError as error:
        assert error.problems
