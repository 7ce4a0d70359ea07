"""Hostile files: a clear error or a sound answer, never a crash, a hang, foreign code or endless memory."""

import json
import random
import time
from pathlib import Path

import config_tiny
import numpy as np
import pytest
import run_fakes as fakes
from hypothesis import given, settings, strategies as st
from mutation import EXTREMES, changed, survive

import simulator as sim
from simulator.base.errors import InputError
from simulator.config.load import load
from simulator.run import checkpoint
from simulator.run.audit import audit
from simulator.run.difference import differences
from simulator.run.simulation import Simulation, grow

SLOW = pytest.mark.slow
TOKENS = [
    b"null", b"~", b"1e400", b"-1e308 /d", b"nan", b".inf", b"0x", b"'", b'"', b"{", b"}", b"[", b"]",
    b": ", b"- ", b"\n", b"\n  ", b"&a ", b"*a", b"<<: *a", b"!!binary ", b"\t",
    b"!!python/object/apply:os.system ['true']",
    b"9" * 400, b"\0", b"\xff\xfe", "µ".encode(), b"%YAML 1.1\n---\n", b"---\n", b"use: [../../x]",
    b"x" * 3000,
    b"[" * 500, b"{a: " * 200, b"extends: tumor", b"/d", b" cells/kg", b"until", b"every 1 ms", b"x99999999",
]  # fmt: skip


def seed(count: int) -> int:
    """The short loops make the same inputs each time, the long ones new ones."""
    return 1 if count < 1000 else time.time_ns() % 10**9


# --- experiment files ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=SLOW)])
def test_a_mutated_experiment_is_read_or_refused(tmp_path, count):
    shelf = config_tiny.catalogue(tmp_path)
    texts = [config_tiny.EXPERIMENT.encode(), *(text.encode() for text in config_tiny.FILES.values())]

    def attempt(dice: random.Random, folder: Path) -> None:
        text = changed(texts[0], dice, TOKENS)
        if dice.random() < 0.3:
            text += b"\n" + changed(dice.choice(texts), dice, TOKENS)
        (folder / "x.yaml").write_bytes(text)
        load(folder / "x.yaml", config_tiny.VOCABULARY, (), shelf)

    assert survive(attempt, count, seed(count)) > count // 2


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=12), x, max_size=4),
    )
)
@settings(max_examples=40, deadline=None)  # fmt: skip
def test_any_data_as_a_section_is_an_error_or_an_experiment(tmp_path_factory, given_):
    folder = tmp_path_factory.mktemp("any")
    shelf = config_tiny.catalogue(folder)
    for key in ("arms", "record", "burn_in", "cells", "sweep"):
        path = folder / "x.yaml"
        path.write_text(
            config_tiny.EXPERIMENT.replace(f"\n{key}:", f"\nwas_{key}:") + f"\n{key}: {json.dumps(given_)}\n"
        )
        try:
            load(path, config_tiny.VOCABULARY, (), shelf)
        except InputError as error:
            assert str(error)


# --- run files -------------------------------------------------------------------------------------


def look_everywhere(path: Path) -> None:
    run = sim.read(path)
    run.series, run.body, run.events, run.kinds, run.attributes, repr(run)
    for lesion in range(min(3, run.lesions)):
        for day in run.lesion(lesion).snapshot_days[:3]:
            run.snapshot(day, lesion), run.cells(day, lesion)


@pytest.mark.parametrize("count", [150, pytest.param(4000, marks=SLOW)])
def test_a_mutated_run_file_is_read_or_refused(tmp_path, count):
    whole = fakes.write(tmp_path / "whole.h5")
    look_everywhere(whole)  # imports what each child would import
    data = whole.read_bytes()

    def attempt(dice: random.Random, folder: Path) -> None:
        (folder / "x.h5").write_bytes(changed(data, dice))
        match dice.randrange(3):
            case 0:
                look_everywhere(folder / "x.h5")
            case 1:
                audit(folder / "x.h5")
            case 2:
                differences(whole, folder / "x.h5")

    assert survive(attempt, count, seed(count)) > count // 4


@pytest.mark.parametrize("free", [True, False])
def test_a_heap_in_which_hdf5_never_ends_is_refused(tmp_path, free):
    """The last object of a collection takes no room: a rest of no length, or a length that overflows."""
    whole = fakes.write(tmp_path / "whole.h5")
    data = bytearray(whole.read_bytes())
    start = data.index(b"GCOL\x01")
    at = start + 16
    while number := int.from_bytes(data[at : at + 2], "little"):
        at += 16 + (int.from_bytes(data[at + 8 : at + 16], "little") + 7) // 8 * 8
    assert number == 0
    data[at : at + 2] = (0 if free else 999).to_bytes(2, "little")
    data[at + 8 : at + 16] = (0 if free else 2**64 - 16).to_bytes(8, "little")
    (tmp_path / "x.h5").write_bytes(data)
    for look in (look_everywhere, audit, lambda path: differences(whole, path)):
        with pytest.raises(InputError, match="has no end"):
            look(tmp_path / "x.h5")


# --- checkpoints -----------------------------------------------------------------------------------

EXPERIMENT = """
use: [mouse_ct26, msc_cxcl9_ox40l_mouse]
block: {shape: [6, 6, 6]}
burn_in: 3 h
duration: 4 h
arms: {one: {doses: 2e9 cells/kg msc}}
"""


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("grown")
    (folder / "one.yaml").write_text(EXPERIMENT)
    grow(sim.load(folder / "one.yaml"), "one", 1, 1, folder / "grown.ckpt")
    return folder / "grown.ckpt"


@pytest.fixture(scope="module")
def simulation(grown) -> Simulation:
    experiment = sim.load(grown.with_name("one.yaml"))
    found = Simulation(experiment.model("one", 1, "burn_in"), (experiment.seed, 1, 1))
    found.restore(grown)
    found.advance()
    return found


def resealed(path: Path) -> None:
    """Make the checksum fit what stands in the file, as a forger would."""
    data = bytearray(path.read_bytes())
    data[: checkpoint._BLOCK] = checkpoint._seal(checkpoint._digest(path), len(data))
    path.write_bytes(data)


@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("count", [100, pytest.param(1500, marks=SLOW)])
def test_a_mutated_checkpoint_is_refused_and_a_forged_one_read_or_refused(grown, simulation, count, forged):
    data = grown.read_bytes()

    def attempt(dice: random.Random, folder: Path) -> None:
        mutated = changed(data, dice)
        (folder / "x.ckpt").write_bytes(mutated)
        if forged and len(mutated) > checkpoint._BLOCK:
            resealed(folder / "x.ckpt")
        simulation.restore(folder / "x.ckpt")
        simulation.advance()

    refused = survive(attempt, count, seed(count))
    assert refused >= 0.9 * count if not forged else refused > count // 4


def spoiled(arrays: dict[str, np.ndarray], facts: dict, dice: random.Random) -> None:
    """Change one to three arrays or facts to something that does not belong there."""
    for _ in range(dice.randint(1, 3)):
        name = dice.choice(sorted(arrays))
        array = arrays[name] = np.array(arrays[name])
        match dice.randrange(7):
            case 0 | 1 | 2 if array.size and array.dtype.kind in "iuf":
                limits = np.iinfo(array.dtype) if array.dtype.kind in "iu" else np.finfo(array.dtype)
                place = dice.randrange(array.size)
                low, high = limits.min, limits.max
                value = dice.choice([low, high, 0, 1, array.flat[dice.randrange(array.size)], high // 2])
                array.flat[place] = value
            case 3 if array.ndim:
                arrays[name] = (
                    array[: dice.randrange(len(array) + 1)] if dice.random() < 0.5 else np.repeat(array, 2, 0)
                )
            case 4:
                with np.errstate(all="ignore"):
                    arrays[name] = array.astype(dice.choice(["i1", "u8", "f4", "f8", "S3"]))
            case 5:
                del arrays[name]
            case 6:
                key = dice.choice(sorted(facts))
                facts[key] = dice.choice(
                    [None, -1, 2**70, "x", [], {}, [1], float("inf"), [[1, "x", 0.0, 1.0, "mg", 0.0]]]
                )


@pytest.mark.parametrize("count", [150, pytest.param(1500, marks=SLOW)])
def test_a_state_that_nobody_saved_is_refused_or_goes_on(grown, simulation, count):
    """No index of a stranger leads a kernel out of its arrays."""

    def attempt(dice: random.Random, folder: Path) -> None:
        arrays, facts = checkpoint.load(grown)
        spoiled(arrays, facts, dice)
        checkpoint.save(folder / "x.ckpt", arrays, facts)
        simulation.restore(folder / "x.ckpt")
        simulation.advance()

    assert survive(attempt, count, seed(count)) > count // 2


def test_no_source_unpickles():
    root = Path(sim.__file__).parent
    for path in root.rglob("*.py"):
        words = path.read_text(encoding="utf-8")
        assert "import pickle" not in words and "allow_pickle=True" not in words, path
        assert "eval(" not in words.replace("literal_eval(", "") and "exec(" not in words, path
    assert EXTREMES
