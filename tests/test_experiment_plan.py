"""Plans: the same file gives the same plan, arms share burn-ins, shards partition, sizes are foreseen."""

import dataclasses
import json
import math

import pytest
from experiment_fakes import FakeArm, FakeExperiment
from hypothesis import given, strategies as st

from simulator.base.errors import InputError
from simulator.experiment import estimate as sizes, words
from simulator.experiment.plan import Plan, parse_shard, plan

THREE = {"control": FakeArm(), "msc": FakeArm(0.8), "cold": FakeArm(own_burn_in=True)}


def experiments():
    arms = st.dictionaries(
        st.sampled_from(list("abcdef")), st.builds(FakeArm, own_burn_in=st.booleans()), min_size=1
    )
    return st.builds(
        FakeExperiment, arms=arms, patients=st.integers(1, 5), replicates=st.integers(1, 3), compare=st.none()
    )


def test_every_arm_patient_and_replicate_is_planned_once_in_order():
    planned = plan(FakeExperiment(arms=THREE, patients=2, replicates=2))
    who = [(run.patient, run.replicate, run.arm) for run in planned.runs]
    assert who == [(p, r, a) for p in (1, 2) for r in (1, 2) for a in ("control", "msc", "cold")]


def test_arms_share_a_burn_in_unless_they_have_their_own():
    planned = plan(FakeExperiment(arms=THREE, patients=2, replicates=2))
    burn_in = {(run.arm, run.patient, run.replicate): run.burn_in for run in planned.runs}
    assert burn_in["control", 1, 1] == burn_in["msc", 1, 1] != burn_in["cold", 1, 1]
    assert len(planned.burn_ins) == 2 * 2 * 2
    assert {b.digest for b in planned.burn_ins} == {run.burn_in for run in planned.runs}


@given(experiments())
def test_a_plan_is_a_function_of_the_experiment_and_survives_its_file(tmp_path_factory, experiment):
    planned = plan(experiment)
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    path.write_text(planned.to_json())
    assert planned.to_json() == plan(experiment).to_json()
    assert Plan.read(path) == planned
    assert Plan.read(path).digest == planned.digest


def test_regimens_that_give_the_same_share_their_digest():
    texts = {"a": "2 mg/kg anti_pd1 q1d x2", "b": "4 mg/kg total anti_pd1 q24h x2", "c": "2 mg/kg anti_pd1"}
    arms = {arm: FakeArm(doses=text) for arm, text in texts.items()}
    a, b, c = (run.digest for run in plan(FakeExperiment(arms, patients=1)).runs)
    assert a == b != c


def test_doses_that_cannot_be_given_are_found_before_anything_runs():
    with pytest.raises(InputError, match=r"(?s)fake\.yaml:7:5: .*Did you mean 'anti_pd1'"):
        plan(FakeExperiment({"control": FakeArm(doses="2 mg/kg anti_pdl")}))


def test_a_plan_that_was_edited_is_refused(tmp_path):
    path = tmp_path / "plan.json"
    held = json.loads(plan(FakeExperiment()).to_json())
    for broken in (held | {"seed": 9}, held | {"format": "x"}, {"format": held["format"]}, [], 3):
        path.write_text(json.dumps(broken))
        with pytest.raises(InputError, match=r"plan\.json cannot be read"):
            Plan.read(path)
    path.write_bytes(b"\xff{")
    with pytest.raises(InputError, match="cannot be read"):
        Plan.read(path)
    with pytest.raises(InputError, match="There is no plan"):
        Plan.read(tmp_path / "none.json")


def test_the_title_the_comparison_and_every_run_are_in_the_digest():
    base = FakeExperiment()
    others = [
        FakeExperiment(title="other"),
        FakeExperiment(compare=None),
        FakeExperiment(seed=2),
        FakeExperiment(patients=3),
        FakeExperiment(arms={"control": FakeArm(), "msc": FakeArm(0.7)}),
    ]
    assert len({plan(e).digest for e in [base, *others]}) == 6


@given(experiments(), st.integers(1, 9))
def test_shards_partition_the_runs_and_are_even(experiment, count):
    planned = plan(experiment)
    shards = [planned.shard(number, count) for number in range(1, count + 1)]
    assert sorted(map(str, planned.runs)) == sorted(str(run) for shard in shards for run in shard)
    for shard in shards:
        assert list(shard) == [run for run in planned.runs if run in set(shard)]
    files = [{run.digest for run in shard} for shard in shards]
    assert sum(map(len, files)) == len(set().union(*files)), "a file belongs to one shard"
    assert max(map(len, files)) < 2 * math.ceil(len({run.digest for run in planned.runs}) / count)


@given(experiments(), st.integers(1, 9))
def test_a_burn_in_is_split_only_where_it_exceeds_an_even_share(experiment, count):
    planned = plan(experiment)
    shards = [planned.shard(number, count) for number in range(1, count + 1)]
    limit = math.ceil(len({run.digest for run in planned.runs}) / count)
    for burn_in in planned.burn_ins:
        runs = [run for run in planned.runs if run.burn_in == burn_in.digest]
        held_by = sum(any(run in shard for run in runs) for shard in shards)
        assert held_by <= math.ceil(len({run.digest for run in runs}) / limit)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/4", "", "1.0/2"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="names no shard"):
        parse_shard(text)


def test_shards_count_from_one():
    assert parse_shard(" 2/3 ") == (2, 3)
    with pytest.raises(InputError, match="no shard 0 of 3"):
        plan(FakeExperiment()).shard(0, 3)


def test_an_estimate_counts_sites_cells_and_hours():
    experiment = FakeExperiment(shape=(10, 10, 10), lesions=2, duration=100.0)
    found = sizes.estimate(experiment, speed=1e3)
    tumor = 2 * 1000 * (1 - 0.30 - 0.05)
    cd8 = 2 * 20 / 0.011 * 1000 * 0.015 * 0.015 * 0.015 * 0.7
    assert (found.runs, found.burn_ins, found.sites) == (4, 2, 2000)
    assert found.cells == pytest.approx(tumor + cd8)
    assert found.cell_hours == pytest.approx(found.cells * (4 * 100 + 2 * 24))
    assert found.seconds == pytest.approx(found.cell_hours / 1e3)
    assert found.memory == pytest.approx(2000 * 16 + 1000 * 24 + 400 * cd8 + 300e6)  # no fields, no traits
    assert "2,000 sites" in str(found)


@pytest.mark.parametrize(
    ("hours", "words"),
    [(640.0, "640"), (45_678.0, "46,000"), (999_999.0, "1 million"), (9.8e7, "98 million"),
     (1.64e8, "164 million"), (2.5e10, "25 billion")],
)  # fmt: skip
def test_an_estimate_reads_as_people_write(hours, words):
    found = sizes.estimate(FakeExperiment())
    told = str(dataclasses.replace(found, cell_hours=hours, memory=2e11, memory_available=1.2e12))
    assert f"In all {words} cell-hours: about " in told and "e+" not in told
    assert "200.0 of 1,200.0 GB of memory" in told


def test_a_lattice_that_cannot_fit_in_memory_says_what_it_needs_and_has(monkeypatch):
    monkeypatch.setattr(sizes, "memory_limit", lambda: (2e9, "cgroup"))
    with pytest.raises(InputError, match=r"1,000,000,000 sites needs 42 GB .* has 2 GB \(cgroup\)"):
        sizes.estimate(FakeExperiment(shape=(1000, 1000, 1000)))


def test_memory_is_what_the_tightest_limit_grants(monkeypatch):
    monkeypatch.setattr(sizes, "_cgroup_bytes", lambda: [5e9, 1e9])
    assert sizes.memory_limit() == (1e9, "cgroup")
    monkeypatch.setattr(sizes, "_cgroup_bytes", lambda: [])
    size, why = sizes.memory_limit()
    assert 1e8 < size < 1e14
    assert why in ("machine", "ulimit")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (99.0, "99 s"), (100.0, "2 min"), (5400.0, "90 min"), (7200.0, "2.0 h"), (1e6, "11.6 d")],
)
def test_durations_are_told_in_a_fitting_unit(seconds, text):
    assert words.duration(seconds) == text
