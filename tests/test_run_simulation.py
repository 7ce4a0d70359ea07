"""Laws of a whole run: what a user may rely on when arms are compared."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from tissues import digest

import simulator as sim
from simulator.base import threads
from simulator.base.errors import InputError
from simulator.run.observables import ledger_gap, observe
from simulator.run.records import record_steps
from simulator.run.simulation import Simulation, branch, grow, treat
from simulator.tissue import step as tissue_step

EXPERIMENT = """
title: A law
use: [mouse_ct26, msc_cxcl9_ox40l_mouse, anti_pd1_mouse]
block: {block}
burn_in: {burn_in}
duration: 30 h
arms:
  vehicle: {{}}
  nothing: {{doses: 0 cells/kg msc}}
  late:
    doses: [{{drug: msc, time: 11 h, amount: 2e8 cells/kg}}, {{drug: anti_pd1, time: 20 h, amount: 10 mg/kg}}]
  early: {{doses: 2e8 cells/kg msc}}
patients: 2
record: {{series: every 6 h, snapshots: every 15 h}}
compare: {{reference: vehicle, at: 30 h}}
seed: 4
"""
ONE = "{shape: [12, 11, 10]}"
TWO = "[{shape: [12, 11, 10]}, {shape: [1, 30, 32], phenotype: inflamed}]"


@pytest.fixture(autouse=True)
def one_thread():
    yield
    threads.set_threads(1)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return load(tmp_path_factory.mktemp("experiment"), TWO)


@pytest.fixture(scope="module")
def grown(experiment, tmp_path_factory):
    """The burn-in of patient 1."""
    path = tmp_path_factory.mktemp("burn_in") / "grown.h5"
    grow(experiment, "vehicle", 1, 1, path)
    return path


def load(folder: Path, block: str, burn_in: str = "10 h", change=lambda text: text):
    file = folder / "law.yaml"
    file.write_text(change(EXPERIMENT.format(block=block, burn_in=burn_in)))
    return sim.load(file)


def state(simulation: Simulation) -> str:
    """Digest of every lesion and of the body."""
    hasher = hashlib.blake2b(digest_size=16)
    for lesion in simulation.lesions:
        hasher.update(digest(lesion.block).encode())
        for array in lesion.volume.to_arrays().values():
            hasher.update(array.tobytes())
    for name, array in sorted(simulation.host.arrays().items()):
        if not name.startswith("drugs/") and name != "arrivals":
            hasher.update(name.encode() + np.asarray(array).tobytes())
    return hasher.hexdigest()


def history(simulation: Simulation, hours: int) -> list[str]:
    """The digest after every step."""
    states = []
    for _ in range(hours):
        simulation.advance()
        states.append(state(simulation))
    return states


def test_only_a_burn_in_seeds_a_tissue(experiment, tmp_path, monkeypatch):
    """An arm takes over what its burn-in has grown: seeding another beside it doubled its memory."""
    seeded, seed = [], tissue_step.seed_block
    monkeypatch.setattr(tissue_step, "seed_block", lambda *tissue: (seeded.append(1), seed(*tissue))[1])
    grow(experiment, "vehicle", 1, 1, tmp_path / "grown.h5")
    assert len(seeded) == 2  # one a lesion
    treat(experiment, "vehicle", 1, 1, tmp_path / "grown.h5", tmp_path / "run.h5")
    assert len(seeded) == 2


def test_arms_share_every_bit_until_their_first_differing_dose(experiment, grown):
    vehicle = history(branch(experiment, "vehicle", 1, 1, grown), 30)
    late = history(branch(experiment, "late", 1, 1, grown), 30)
    same = [a == b for a, b in zip(vehicle, late, strict=True)]
    assert all(same[:11]) and not any(same[15:])


def test_a_dose_of_no_cells_changes_no_bit(experiment, grown):
    vehicle = history(branch(experiment, "vehicle", 1, 1, grown), 30)
    assert history(branch(experiment, "nothing", 1, 1, grown), 30) == vehicle


@pytest.mark.parametrize("count", [1, 2])
def test_resume_at_any_step_and_any_thread_count_gives_the_same_bits(experiment, grown, tmp_path, count):
    whole = history(branch(experiment, "late", 1, 1, grown), 30)[-1]
    pause = int(np.random.default_rng().integers(1, 30))
    first = branch(experiment, "late", 1, 1, grown)
    history(first, pause)
    first.save(tmp_path / "paused.h5")
    threads.set_threads(count)
    second = branch(experiment, "late", 1, 1, grown)
    second.restore(tmp_path / "paused.h5")
    assert history(second, 30 - pause)[-1] == whole, f"paused after {pause} h"


def test_writing_records_changes_no_bit(experiment, grown, tmp_path):
    """The file of a run that records often ends in the same state as one that hardly does."""
    often = experiment.with_overrides(["record.series=every 1 h", "record.snapshots=every 2 h"])
    for name, of in (("rarely", experiment), ("often", often)):
        treat(of, "late", 1, 1, grown, tmp_path / f"{name}.h5")
    a, b = sim.read(tmp_path / "rarely.h5"), sim.read(tmp_path / "often.h5")
    last_a, last_b = a.series.isel(day=-1), b.series.isel(day=-1)
    for name in last_a.data_vars:
        np.testing.assert_array_equal(last_a[name].values, last_b[name].values, err_msg=name)
    assert a.cells(day=1.25).equals(b.cells(day=1.25))


def test_the_order_of_names_in_the_file_changes_no_bit(experiment, grown, tmp_path):
    def turned(text):
        lines = text.strip().split("\n")
        return "\n".join(lines[:1] + ["use: [anti_pd1_mouse, msc_cxcl9_ox40l_mouse, mouse_ct26]"] + lines[2:])

    other = load(tmp_path, TWO, change=turned)
    grow(other, "vehicle", 1, 1, tmp_path / "grown.h5")
    ours = history(branch(experiment, "late", 1, 1, grown), 24)
    assert history(branch(other, "late", 1, 1, tmp_path / "grown.h5"), 24) == ours


def test_ledgers_close_in_every_lesion_and_in_the_body(experiment, grown):
    simulation = branch(experiment, "early", 1, 1, grown)
    for _ in range(30):
        simulation.advance()
        assert simulation.host.ledger_error() < 1e-9
        for lesion in simulation.lesions:
            assert set(ledger_gap(lesion).values()) == {0}
    assert simulation.lesions[0].expected.sum() > 1
    assert sum(lesion.arrived for lesion in simulation.lesions) > 0


def test_lesions_share_the_body_but_not_the_dice(experiment, grown, tmp_path):
    """Each lesion draws from its own dice, and one alone is what it is beside another of the same share."""
    simulation = branch(experiment, "vehicle", 1, 1, grown)
    assert len(simulation.lesions) == 2
    assert simulation.lesions[0].start_ml == simulation.lesions[1].start_ml
    assert simulation.lesions[0].block.dice.lesion != simulation.lesions[1].block.dice.lesion


def test_patients_differ_and_are_the_same_person_in_every_arm(experiment):
    weights = {
        (arm, k): experiment.model(arm, k, "treatment").body.weight
        for arm in ("vehicle", "early")
        for k in (1, 2)
    }
    assert weights["vehicle", 1] == weights["early", 1] != weights["vehicle", 2]


def test_relative_volume_is_one_on_day_zero_and_follows_births_and_deaths(experiment, grown):
    simulation = branch(experiment, "vehicle", 1, 1, grown)
    lesion = simulation.lesions[0]
    assert lesion.volume.relative == pytest.approx(1.0, abs=1e-12)
    before = observe(lesion)
    for _ in range(24):
        simulation.advance()
    after = observe(lesion)
    births = after["births_tumor"] - before["births_tumor"]
    deaths = after["deaths_tumor"] - before["deaths_tumor"]
    net = np.exp((births - deaths) / before["tumor_cells"])
    assert lesion.volume.live / (1 / (1 + before["debris"] / before["tumor_cells"])) == pytest.approx(
        net, rel=0.05
    )


def test_a_nodule_grows_until_it_has_the_cells_asked_for(tmp_path):
    nodule = load(tmp_path, "{shape: [1, 60, 60], mode: nodule, cells: 100}", "until 200 tumor cells")
    grow(nodule, "vehicle", 1, 1, tmp_path / "nodule.h5")
    simulation = branch(nodule, "vehicle", 1, 1, tmp_path / "nodule.h5")
    assert 200 <= simulation.tumor_cells < 230
    assert simulation.hours == 0.0


def test_an_experiment_can_start_from_a_stored_burn_in(experiment, grown, tmp_path):
    started = load(tmp_path, TWO, f"{{from: {grown}}}")
    grow(started, "vehicle", 2, 1, tmp_path / "started.h5")
    assert branch(started, "vehicle", 2, 1, tmp_path / "started.h5").tumor_cells == (
        branch(experiment, "vehicle", 1, 1, grown).tumor_cells
    )
    other = load(tmp_path, ONE, f"{{from: {grown}}}")
    with pytest.raises(InputError, match="another kind"):
        grow(other, "vehicle", 1, 1, tmp_path / "refused.h5")
    with pytest.raises(InputError, match="another seed, patient or replicate"):
        branch(experiment, "vehicle", 2, 1, grown)


def test_records_cover_day_zero_and_the_last_day(experiment):
    assert record_steps(experiment.record.series, 30.0, 1.0) == [0, 6, 12, 18, 24, 30]
    assert record_steps(experiment.record.snapshots, 30.0, 0.5) == [0, 30, 60]


def test_two_patients_have_their_own_dice(experiment, grown, tmp_path):
    other = tmp_path / "other.h5"
    grow(experiment, "vehicle", 2, 1, other)
    assert state(branch(experiment, "vehicle", 2, 1, other)) != state(
        branch(experiment, "vehicle", 1, 1, grown)
    )


@pytest.mark.slow
def test_halving_every_step_moves_means_by_less_than_two_percent(tmp_path):
    """Counts and kills of six mice over five days: 2 %, beyond 2 standard errors of the difference."""
    means = {}
    for scale, steps in ((1, ("1 h", "4 min")), (2, ("30 min", "2 min"))):
        file = tmp_path / f"steps{scale}.yaml"
        file.write_text(
            "title: Steps\nuse: [mouse_ct26]\nblock: {shape: [32, 32, 32]}\nduration: 5 d\narms: {a: {}}\n"
            f"population: null\nstep: {{tissue: {steps[0]}, motility: {steps[1]}, fields: {steps[0]}}}\n"
        )
        model = sim.load(file).model("a", 1, "burn_in")
        means[scale] = np.array([_means(Simulation(model, (5, 1, k))) for k in range(1, 7)])
    full, half = means[1], means[2]
    change = half.mean(axis=0) / full.mean(axis=0) - 1
    error = np.sqrt((full.var(axis=0, ddof=1) + half.var(axis=0, ddof=1)) / 6) / full.mean(axis=0)
    assert np.all(np.abs(change) < 0.02 + 2 * error), (change, error)


def _means(simulation: Simulation) -> np.ndarray:
    """Mean tumor, CD8 and engaged CD8 cells from day 2 to 5, and kills and births by day 5."""
    counts = []
    for step in range(round(120 / simulation.dt)):
        simulation.advance()
        if step * simulation.dt >= 48 and step * simulation.dt % 6 == 0:
            now = observe(simulation.lesions[0])
            counts.append([now[name] for name in ("tumor_cells", "cd8", "cd8_engaged")])
    now = observe(simulation.lesions[0])
    return np.array([*np.mean(counts, axis=0), now["kills_cd8"], now["births_tumor"]])
