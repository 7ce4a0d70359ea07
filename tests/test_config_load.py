"""What an experiment file means: merging, units, arms, patients, digests, the resolved text."""

import json
import math
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from config_tiny import EXPERIMENT, VOCABULARY, catalogue, experiment
from hypothesis import given, strategies as st

from simulator.base.errors import InputError
from simulator.base.schedule import At, Every
from simulator.config import amounts
from simulator.config.file import BurnIn
from simulator.config.jsonschema import json_schema, shipped_path
from simulator.config.load import load, to_yaml
from simulator.config.merge import key_rules, list_rules, merge
from simulator.config.population import drawn, number_and_unit
from simulator.config.schema import Distribution, FieldModel, Spread
from simulator.config.tree import Problems, read_text
from simulator.tissue.actions import ACTIONS

AVOGADRO = 6.02214076e23
CHANGE_DEATH = "cells: {tumor: {behaviors: {die: {base: 24 /d}}}}"


def tree(text: str):
    problems = Problems()
    node = key_rules(read_text(text, "x.yaml", problems), problems)
    problems.done()
    return node


def merged(*texts: str):
    result = None
    for text in texts:
        result = merge(result, tree(text))
    return list_rules(result.plain())


# --- merging -------------------------------------------------------------------------------


def test_mappings_merge_and_scalars_and_lists_replace():
    assert merged("a: {x: 1, y: [1, 2]}", "a: {y: [3], z: 2}") == {"a": {"x": 1, "y": [3], "z": 2}}


def test_a_later_row_with_the_same_address_changes_only_its_keys():
    rules = "cells: {{k: {{rules: [{}]}}}}".format
    first = rules("{divide: {raised_by: o2, to: 1 /d, hill: 2}}, {die: {raised_by: o2, to: 1 /d}}")
    second = rules("{divide: {raised_by: o2, to: 2 /d}}, {divide: {lowered_by: o2, to: 0 /d}}")
    assert merged(first, second)["cells"]["k"]["rules"] == [
        {"divide": {"raised_by": "o2", "to": "2 /d", "hill": 2}},
        {"divide": {"lowered_by": "o2", "to": "0 /d"}},
        {"die": {"raised_by": "o2", "to": "1 /d"}},
    ]


@pytest.mark.parametrize(
    ("over", "left"),
    [
        (
            "cells: {k: {rules: [{divide: {raised_by: o2, off: true}}]}}",
            {"k": {"traits": {"a": 1}, "rules": []}},
        ),
        (
            "cells: {k: {traits: {a: null}}}",
            {"k": {"traits": {}, "rules": [{"divide": {"raised_by": "o2"}}]}},
        ),
        ("cells: {k: null}", {}),
    ],
)
def test_off_and_null_remove(over, left):
    base = "cells: {k: {traits: {a: 1}, rules: [{divide: {raised_by: o2}}]}}"
    assert merged(base, over)["cells"] == left


trees = st.recursive(
    st.integers(0, 9) | st.text("abc", max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict) and value)


@given(trees, trees, trees)
def test_merging_is_associative_and_idempotent(a, b, c):
    x, y, z = (tree(to_yaml(value)) for value in (a, b, c))
    assert merge(merge(x, y), z).plain() == merge(x, merge(y, z)).plain() or _overwrites(a, b, c)
    assert merge(x, x).plain() == x.plain()


def _overwrites(a, b, c) -> bool:
    """A mapping over a scalar over a mapping: the only case where grouping matters."""
    return any(
        isinstance(a.get(k), dict)
        and k in b
        and not isinstance(b[k], dict)
        and isinstance(c.get(k), dict)
        or all(isinstance(t.get(k), dict) for t in (a, b, c))
        and _overwrites(a[k], b[k], c[k])
        for k in {*a, *b, *c}
    )


TRICKY = ["1e6", "null", "true", "6 /d", "0x1F", "012", "1_0", "-", "a: b", "# x", "~", ".5", "+1", "", " "]
letters = st.characters(
    codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\ufeff"
)
scalars = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(letters, max_size=12),
    st.sampled_from(TRICKY),
)
keys = st.sampled_from(["a", "take_up o2", "on", "1"])
yaml_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["p", "q"]), yaml_values, min_size=1))
def test_written_text_reads_back_the_same(value):
    problems = Problems()
    assert read_text(to_yaml(value), "x.yaml", problems).plain() == value
    assert not len(problems)


# --- use, extends, regimens ------------------------------------------------------------------


def test_the_file_itself_comes_after_what_it_uses(tmp_path):
    text = EXPERIMENT + "cells: {tumor: {behaviors: {die: {base: 0.3 /d}}}}\n"
    die = experiment(tmp_path, text).model(None, 1, "treatment").lesions[0].cells["tumor"].behaviors["die"]
    assert die.leaves == "debris"
    assert experiment(tmp_path, text.replace("use: [human,", "use: [human, tumor,")).idle is not None


def test_an_entry_used_again_later_does_not_undo_a_patient(tmp_path):
    text = EXPERIMENT.replace("use: [human,", "use: [human, cd8, own.yaml, ")
    (tmp_path / "own.yaml").write_text("use: [human]\ntissue: {stroma: 0.25}")
    found = experiment(tmp_path, text.replace(", phenotype: excluded", ""))
    assert found.model(None, 1, "treatment").lesions[0].tissue.stroma == 0.25


def test_a_drug_extends_another_that_is_not_in_use(tmp_path):
    drugs = experiment(tmp_path).model(None, 1, "treatment").drugs
    assert sorted(drugs) == ["anti_pd1", "msc_cxcl9"]
    assert drugs["msc_cxcl9"].viability == 0.9
    assert drugs["msc_cxcl9"].traits == {"potency": 1.0}


def test_a_regimen_stands_for_its_doses(tmp_path):
    text = EXPERIMENT.replace(
        "q7d: {doses: weekly}", "q7d: {doses: weekly}\n  both: {doses: [loading, 200 mg anti_pd1]}"
    )
    arms = experiment(tmp_path, text).arms
    assert arms["q7d"].doses == "1e6 cells/kg msc q7d x6"
    assert arms["both"].doses == [
        "4e6 cells/kg msc",
        "1e6 cells/kg msc q7d x5 from 7 d",
        "200 mg anti_pd1",
    ]
    assert experiment(tmp_path, text).locate(("arms", "both", "doses", 1)).file.endswith("loading.yaml")


# --- numbers ---------------------------------------------------------------------------------


def test_values_arrive_in_the_units_of_the_schema(tmp_path):
    model = experiment(tmp_path, overrides=("population=null",)).model(None, 1, "treatment")
    lesion = model.lesions[0]
    cd8, tumor = lesion.cells["cd8"], lesion.cells["tumor"]
    assert lesion.block.shape == (12, 12, 12)
    assert tumor.behaviors["die"].base == pytest.approx(0.12 / 24, rel=1e-15)
    assert tumor.behaviors["take_up o2"].base == 600.0
    assert cd8.behaviors["admit"].base == pytest.approx(560 / 24, rel=1e-15)
    assert cd8.behaviors["migrate"].half_max == pytest.approx(12.285 / 11.7, rel=1e-15)
    assert cd8.behaviors["migrate"].barrier == 0.13
    assert cd8.behaviors["kill"].repair == pytest.approx(50 / 60)
    rules = {(rule.behavior, rule.signal): rule for rule in cd8.rules}
    assert rules["admit", "cxcl9"].to == pytest.approx(5 * 560 / 24)
    assert rules["admit", "cxcl9"].half_max == 1.0
    assert rules["divide", "contact ox40l"].when == "activated"
    assert rules["divide", "engaged"].half_max is None
    assert rules["secrete ifng", "engaged"].to == pytest.approx(
        5 * 3600 * 34e3 / AVOGADRO * 1e9 * 1e12, rel=1e-12
    )
    secrete = lesion.cells["msc"].behaviors["secrete cxcl9"].base
    assert secrete == pytest.approx(100e-9 / 1e6 / 24 / 11.7e3 * 1e9 * 1e15, rel=1e-12)
    assert model.drugs["msc_cxcl9"].secretes["cxcl9"] == secrete
    assert model.body.plasma["cxcl9"].baseline == pytest.approx(0.117 / 11.7, rel=1e-12)
    assert lesion.fields["o2"].start == 38.0
    assert cd8.traits["reactive"] == Spread(share=0.1)


FIELD = {"diffusion": "1 um2/s", "decay": "1 /h"}
NANOMOLAR = FieldModel(unit="nM", molar_mass="12 kDa", **FIELD)
MASS = FieldModel(unit="pg/mL", molar_mass="12 kDa", **FIELD)


@given(st.floats(1e-6, 1e6))
def test_mass_and_molecules_agree(amount):
    """12 kDa: 1 nM is 12 ng/mL, and 12 pg are AVOGADRO * 1e-15 molecules."""
    assert amounts.concentration(f"{amount!r} nM", MASS) == pytest.approx(12000 * amount, rel=1e-14)
    assert amounts.concentration(f"{12 * amount!r} ng/mL", NANOMOLAR) == pytest.approx(amount, rel=1e-14)
    for field in (NANOMOLAR, MASS):
        by_mass = amounts.secretion(f"{12 * amount!r} pg/cell/h", field)
        by_molecules = amounts.secretion(f"{AVOGADRO * 1e-15 * amount!r} molecules/h", field)
        assert by_mass == pytest.approx(by_molecules, rel=1e-14)
    assert amounts.secretion(f"{amount!r} pg/cell/h", MASS) == pytest.approx(amount * 1e12, rel=1e-14)


def test_an_amount_of_cells_per_volume_may_leave_out_the_word_cells():
    action = ACTIONS["admit"]
    assert amounts.level("560 /mm3/d", action, None) == amounts.level("560 cells/mm3/d", action, None)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("10 d", BurnIn(240.0)),
        ("until 5e4 tumor cells", BurnIn(tumor_cells=50000)),
        ("until 5e4 tumor cells, at most 60 d", BurnIn(tumor_cells=50000, at_most_h=1440.0)),
    ],
)
def test_burn_in(tmp_path, written, expected):
    assert experiment(tmp_path, EXPERIMENT.replace("burn_in: 5 d", f"burn_in: {written}")).burn_in == expected


def test_burn_in_from_a_run_hashes_its_content(tmp_path):
    text = EXPERIMENT.replace("burn_in: 5 d", "burn_in: {from: run.h5}")
    digests = []
    for content in ("one", "one", "two"):
        (tmp_path / "run.h5").write_text(content)
        found = experiment(tmp_path, text)
        digests.append(found.burn_in_digest(None, 1, 1))
    assert found.burn_in == BurnIn(path="run.h5")
    assert digests[0] == digests[1] != digests[2]


def test_sections_with_defaults(tmp_path):
    text = "use: [human]\nblock: {shape: [8, 6]}\nduration: 1 d\n"
    found = experiment(tmp_path, text)
    assert found.title == "experiment"
    assert list(found.arms) == ["control"]
    assert found.record == (Every(24.0), Every(504.0), At(()), None, 10, 1)
    assert found.model("control", 1, "treatment").lesions[0].block.shape == (1, 8, 6)
    assert (found.step.tissue, found.step.fields) == (1.0, 1.0)
    listed = experiment(tmp_path, text + "record: {series: [0 d, 1 d], snapshots: never}")
    assert listed.record[:2] == (At([0.0, 24.0]), At([]))


def test_several_lesions_have_their_own_phenotypes(tmp_path):
    blocks = "block: [{shape: [8, 8], phenotype: inflamed}, {shape: [6, 6, 6]}]"
    text = EXPERIMENT.replace("block: {shape: [12, 12, 12], phenotype: excluded}", blocks)
    first, second = experiment(tmp_path, text).model(None, 1, "burn_in").lesions
    assert (first.tissue.stroma, second.tissue.stroma) == (0.2, 0.3)
    assert first.cells["cd8"].behaviors["admit"].base > second.cells["cd8"].behaviors["admit"].base


# --- what is idle --------------------------------------------------------------------------


def test_clauses_about_absent_names_are_idle_and_listed(tmp_path):
    text = EXPERIMENT.replace("msc_cxcl9, anti_pd1", "msc_cxcl9").replace(
        "7\n", "7\ncells: {msc: {traits: {ox40l: null}}}\n"
    )
    found = experiment(tmp_path, text + "fields: {cxcl9: null}")
    cd8 = found.model(None, 1, "treatment").lesions[0].cells["cd8"]
    signals = [rule.signal for rule in cd8.rules]
    assert "contact ox40l" not in signals and "cxcl9" not in signals
    assert next(rule for rule in cd8.rules if rule.signal == "target pdl1").blocked_by == ()
    assert (cd8.behaviors["migrate"].toward, cd8.behaviors["migrate"].half_max) == (None, None)
    listed = "\n".join(found.idle)
    for part in (
        "contact ox40l",
        "migrate toward cxcl9",
        "no drug 'anti_pd1' here; never blocked: cd8: `kill lowered_by target pdl1`",
        "msc: `secrete cxcl9`",
        "body: `blood nk`",
        "msc_cxcl9: `secretes cxcl9`",
    ):
        assert part in listed


def test_population_rows_about_absent_names_are_idle(tmp_path):
    found = experiment(tmp_path, EXPERIMENT + "population: {cells.nk.behaviors.die.base: {log_sd: 0.3}}")
    assert any("cells.nk" in sentence for sentence in found.idle)


def rows(model, behavior: str) -> list:
    """The rows of the CD8 cells about a behavior."""
    return [rule for rule in model.lesions[0].cells["cd8"].rules if rule.behavior == behavior]


# --- arms ----------------------------------------------------------------------------------


def arms(text: str) -> str:
    return EXPERIMENT.replace("  q7d: {doses: weekly}", f"  changed: {{{text}}}")


def test_an_arm_overrides_from_day_0_only(tmp_path):
    found = experiment(tmp_path, arms(CHANGE_DEATH))
    death = [
        found.model(arm, 1, phase).lesions[0].cells["tumor"].behaviors["die"].base
        for arm, phase in (("changed", "burn_in"), ("control", "treatment"), ("changed", "treatment"))
    ]
    assert death[0] == death[1] != death[2] == 1.0
    assert not found.arms["changed"].own_burn_in
    assert found.burn_in_digest("changed", 1, 1) == found.burn_in_digest("control", 1, 1)
    assert found.digest("changed", 1, 1) != found.digest("control", 1, 1)


def test_what_stands_under_an_arms_tissue_acts_before_day_0_too(tmp_path):
    tissue = (
        f"stroma: 0.1, {CHANGE_DEATH}, block: {{site: 20 um}}, phenotype: inflamed, body: {{weight: 50 kg}}"
    )
    found = experiment(tmp_path, arms(f"tissue: {{{tissue}}}"), ("population=null",))
    for phase in ("burn_in", "treatment"):
        model = found.model("changed", 1, phase)
        lesion = model.lesions[0]
        assert lesion.tissue.stroma == 0.1  # the arm wins over the phenotype
        assert lesion.cells["tumor"].behaviors["die"].base == 1.0
        assert lesion.cells["cd8"].behaviors["admit"].base == 2000 / 24
        assert (lesion.block.site, lesion.block.shape) == (20.0, (12, 12, 12))
        assert model.body.weight == 50.0
    assert found.arms["changed"].own_burn_in
    assert found.burn_in_digest("changed", 1, 1) != found.burn_in_digest("control", 1, 1)


def test_an_arm_switches_a_row_off(tmp_path):
    found = experiment(
        tmp_path, arms("cells: {cd8: {rules: [{kill: {lowered_by: target pdl1, off: true}}]}}")
    )
    assert len(rows(found.model("control", 1, "treatment"), "kill")) == 1
    assert rows(found.model("changed", 1, "treatment"), "kill") == []


# --- patients --------------------------------------------------------------------------------


def weights(found) -> list[float]:
    return [found.model(None, k, "treatment").body.weight for k in range(1, found.patients + 1)]


def test_a_patient_is_the_same_person_in_every_arm_and_phase(tmp_path):
    found = experiment(tmp_path, arms(CHANGE_DEATH))
    people = weights(found)
    assert len(set(people)) == 3
    for arm in found.arms:
        assert [found.model(arm, k, "burn_in").body.weight for k in (1, 2, 3)] == people
    assert found.model("changed", 2, "treatment").lesions[0].cells["tumor"].behaviors["die"].base == 1.0


def test_adding_a_path_moves_no_other_draw(tmp_path):
    more = (
        EXPERIMENT
        + "population: {tissue.stroma: {sd: 0.02, low: 0.1, high: 0.4}, body.blood.cd8: {log_sd: 0.2}}"
    )
    assert weights(experiment(tmp_path, more)) == weights(experiment(tmp_path))
    assert weights(experiment(tmp_path, overrides=("seed=8",))) != weights(experiment(tmp_path))


def test_draws_follow_the_declared_distribution(tmp_path):
    found = experiment(tmp_path, overrides=("patients=400", "population.body.weight.low=1 kg"))
    logs = [math.log(weight / 70) for weight in weights(found)]
    mean = sum(logs) / len(logs)
    spread = math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs))
    assert abs(mean) < 4 * 0.2 / math.sqrt(400)
    assert spread == pytest.approx(0.2, rel=0.15)
    shares = [
        found.model(None, k, "burn_in").lesions[0].cells["cd8"].traits["reactive"].share
        for k in range(1, 401)
    ]
    assert max(shares) == 0.5 and shares.count(0.5) > 5


@given(z=st.floats(-4, 4), origin=st.floats(-10, 10), apart=st.floats(0.1, 5), above=st.booleans())
def test_a_log_normal_lies_on_one_side_of_its_origin(z, origin, apart, above):
    sign = 1 if above else -1
    row = Distribution(log_sd=0.5, origin=f"{origin} /d")
    value, unit = number_and_unit(drawn(row, f"{origin + sign * apart} /d", z))
    assert unit == "/d"
    assert math.log(sign * (value - origin) / apart) == pytest.approx(0.5 * z, abs=1e-9)


def test_values_are_drawn_around_those_of_the_phenotype(tmp_path):
    row = "population: {cells.cd8.behaviors.admit.base: {log_sd: 0.5}}"
    base = [
        experiment(tmp_path, EXPERIMENT.replace("excluded", name) + row)
        .model(None, 1, "burn_in")
        .lesions[0]
        .cells["cd8"]
        .behaviors["admit"]
        .base
        for name in ("inflamed", "excluded")
    ]
    assert base[0] / base[1] == pytest.approx(2000 / 560, rel=1e-12)
    assert base[1] != pytest.approx(560 / 24)


def tumor(model):
    return model.lesions[0].cells["tumor"]


# --- overrides -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "read", "expected"),
    [
        ("cells.tumor.behaviors.take_up o2.base=1 /h", lambda m: tumor(m).behaviors["take_up o2"].base, 1.0),
        (
            "cells.cd8.rules.divide.raised_by engaged.to=24 /d",
            lambda m: [r.to for r in rows(m, "divide") if r.signal == "engaged"],
            [1.0],
        ),
        (
            "cells.cd8.rules.divide.raised_by engaged=null",
            lambda m: [r.signal for r in rows(m, "divide")],
            ["contact ox40l"],
        ),
        ("block.shape=[4, 5]", lambda m: m.lesions[0].block.shape, (1, 4, 5)),
        ("step.tissue=30 min", lambda m: m.step.tissue, 0.5),
        ("drugs.msc_cxcl9.traits.potency=2", lambda m: m.drugs["msc_cxcl9"].traits["potency"], 2.0),
        ("cells.tumor={traits: {mhc1: 0.5}}", lambda m: tumor(m).traits, {"mhc1": 0.5, "pdl1": 0.0}),
    ],
)
def test_overrides(tmp_path, override, read, expected):
    for found in (
        experiment(tmp_path, overrides=(override,)),
        experiment(tmp_path).with_overrides([override]),
    ):
        assert read(found.model(None, 1, "treatment")) == expected


def test_overrides_of_the_plan(tmp_path):
    found = experiment(
        tmp_path, overrides=("arms.q7d=null", "arms.control.doses=loading", "patients=2", "seed=99")
    )
    assert (list(found.arms), found.patients, found.seed) == (["control", "q21d"], 2, 99)
    assert found.arms["control"].doses[0] == "4e6 cells/kg msc"


# --- digests and the resolved text -----------------------------------------------------------


def test_digests_see_numbers_not_words(tmp_path):
    base = experiment(tmp_path).digest("q21d", 1, 1)
    same = (
        EXPERIMENT.replace("burn_in: 5 d", "burn_in: 120 h").replace("42 d\narms", "6 wk\narms"),
        EXPERIMENT.replace("title: Weekly against three-weekly", "description: other words"),
        EXPERIMENT + 'cells: {tumor: {behaviors: {die: {source: "doi:10.1/x"}}}}\n',
        EXPERIMENT.replace("[human, msc_cxcl9, anti_pd1]", "[anti_pd1, human, msc_cxcl9]"),
        EXPERIMENT.replace("patients: 3", "patients: 9"),
    )
    for text in same:
        assert experiment(tmp_path, text).digest("q21d", 1, 1) == base
    differ = (
        "seed=8",
        "duration=43 d",
        "burn_in=6 d",
        "record.series=every 2 d",
        "cells.cd8.behaviors.die.base=0.2 /d",
        "arms.q21d.doses=2e6 cells/kg msc q21d x1",
    )
    found = {experiment(tmp_path, overrides=(o, "compare=null")).digest("q21d", 1, 1) for o in differ}
    assert base not in found and len(found) == len(differ)
    assert len({experiment(tmp_path).digest("q21d", p, r) for p in (1, 2) for r in (1, 2)}) == 4
    given = [["msc_cxcl9", 0.0, 1.0, "cells", 0.5]]
    assert experiment(tmp_path).digest("q21d", 1, 1, doses=given) != base


def test_the_order_of_keys_and_rows_changes_no_digest(tmp_path):
    base = experiment(tmp_path)
    expected = base.digest("control", 1, 1)
    plain = json.loads(json.dumps(list_rules(base.tree.plain())))
    dice = random.Random(1)

    def shuffled(value):
        if isinstance(value, dict):
            items = [(key, shuffled(child)) for key, child in value.items()]
            dice.shuffle(items)
            return dict(items)
        return value

    for kind in plain["cells"].values():
        dice.shuffle(kind.get("rules", []))
    other = experiment(tmp_path, to_yaml(shuffled(plain)))
    assert other.digest("control", 1, 1) == expected


@pytest.mark.parametrize("arm", ["control", "q21d", "changed", None])
def test_the_resolved_text_gives_the_same_models_and_digests(tmp_path, arm):
    off = "cells: {cd8: {rules: [{kill: {lowered_by: target pdl1, off: true}}]}}"
    changed = arms(f"tissue: {{stroma: 0.1, {CHANGE_DEATH}}}, {off}")
    found = experiment(tmp_path, changed, ("cells.cd8.behaviors.die.base=0.3 /d",))
    for patient in (1, 3):
        text = found.resolved(arm, patient)
        assert "use:" not in text and "population:" not in text and "assumed: tiny" in text
        again = experiment(tmp_path, text)
        for phase in ("burn_in", "treatment"):
            assert again.model(arm, patient, phase) == found.model(arm, patient, phase)
        assert again.digest(arm, patient, 1) == found.digest(arm, patient, 1)
        assert again.resolved(arm, patient) == text


def test_an_experiment_travels_to_another_process(tmp_path):
    found = experiment(tmp_path)
    digest = found.digest("q21d", 2, 1)
    assert pickle.loads(pickle.dumps(found)).digest("q21d", 2, 1) == digest


def test_unknown_arms_and_patients_are_refused(tmp_path):
    found = experiment(tmp_path)
    for arm, patient, word in (("q21", 1, "q21d"), ("q21d", 4, "1 to 3"), ("q21d", 0, "1 to 3")):
        with pytest.raises(InputError, match=word):
            found.model(arm, patient, "treatment")


def test_locate(tmp_path):
    where = experiment(tmp_path).locate(("arms", "q21d", "doses"))
    assert (where.line, where.text.strip()) == (9, "q21d: {doses: 2e6 cells/kg msc q21d x2}")
    assert experiment(tmp_path).locate(("arms", "none")) is None


def test_loading_imports_no_numerics(tmp_path):
    """Checking a file must be quick: neither numpy nor numba is needed for it."""
    shelf = catalogue(tmp_path)
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    code = (
        "import sys; from pathlib import Path; from config_tiny import VOCABULARY, load\n"
        f"load(Path({str(tmp_path / 'e.yaml')!r}), VOCABULARY, (), Path({str(shelf)!r}))\n"
        "assert not {'numpy', 'numba', 'scipy'} & set(sys.modules)"
    )
    root = Path(__file__).parent
    env = {"PYTHONPATH": f"{root}:{root.parent}", "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


def accepts(schema: dict, value, root: dict) -> bool:
    """The part of JSON Schema that ours uses."""
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], value, root)
    for word, combine in (("anyOf", any), ("oneOf", any)):
        if word in schema and not combine(accepts(option, value, root) for option in schema[word]):
            return False
    types = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    allowed = schema.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    if allowed and not any(isinstance(value, types.get(name, bool)) for name in allowed):
        return False
    if "enum" in schema and value not in schema["enum"] or "const" in schema and value != schema["const"]:
        return False
    for key, child in value.items() if isinstance(value, dict) else ():
        patterns = [
            entry for pattern, entry in schema.get("patternProperties", {}).items() if re.search(pattern, key)
        ]
        inner = schema.get("properties", {}).get(
            key, patterns[0] if patterns else schema.get("additionalProperties", True)
        )
        if inner is False or isinstance(inner, dict) and not accepts(inner, child, root):
            return False
    items = value if isinstance(value, list) and "items" in schema else []
    return all(accepts(schema["items"], item, root) for item in items)


@pytest.mark.parametrize(
    "path", sorted((shipped_path().parent / "experiments").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_json_schema_accepts_what_ships(path):
    schema, written = json_schema(), read_text(path.read_text(), path.name, Problems()).plain()
    assert accepts(schema, written, schema)
    assert not accepts(schema, {**written, "duratoin": "1 d"}, schema)
    assert not accepts(schema, {**written, "duration": 42}, schema)
    assert not accepts(schema, {**written, "block": {"shape": [1, 2], "size": 3}}, schema)
    assert not accepts(schema, {**written, "cells": {"cd8": {"layer": "bulks"}}}, schema)


def test_the_json_schema_on_disk_is_current():
    assert json.loads(shipped_path().read_text()) == json_schema()


DESIGN = """
title: Weekly against three-weekly
use: [human_mss, msc_cxcl9_ox40l]          # catalogue entries
block: {mode: tissue, shape: [96, 96, 96], site: 15 um, phenotype: excluded}
burn_in: 10 d                              # once a patient; every arm branches from it
duration: 126 d
arms:
  control: {}
  q21d: {doses: 2e6 cells/kg msc q21d x6}
  q7d:  {doses: 6.67e5 cells/kg msc q7d x18}
patients: 8
replicates: 1
record: {series: every 1 d, snapshots: every 21 d}
compare: {reference: q21d, outcome: log tumor_volume, at: 126 d}
seed: 1
"""


def test_the_example_of_the_manual_loads_on_the_catalogue_that_ships(tmp_path):
    path = tmp_path / "example.yaml"
    path.write_text(DESIGN)
    found = load(path, VOCABULARY)
    assert list(found.arms) == ["control", "q21d", "q7d"]
    assert (found.duration, found.burn_in, found.patients) == (126 * 24, BurnIn(240.0), 8)
    assert found.model("q7d", 8, "treatment").lesions[0].block.phenotype == "excluded"


def test_a_table_of_doses_counts_by_its_content(tmp_path):
    found = experiment(
        tmp_path, overrides=("arms.control.doses=given.csv", "arms.q7d.doses=[{csv: given.csv}]")
    )
    digests = []
    for content in ("TIME\n0", "TIME\n0", "TIME\n1"):
        (tmp_path / "given.csv").write_text(content)
        digests.append([found.digest(arm, 1, 1) for arm in ("control", "q7d")])
    assert digests[0] == digests[1]
    assert not set(digests[1]) & set(digests[2])


def test_doses_can_be_located(tmp_path):
    found = experiment(tmp_path, overrides=("arms.control.doses=loading",))
    assert found.locate_doses("q21d")(()).line == 9
    assert found.locate_doses("control")((1,)).text.endswith("from 7 d")
    assert found.locate_doses("control")((5, "time")) is None
