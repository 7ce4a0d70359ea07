"""Laws of the tissue that every change and every optimization must keep."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tissues import block, cells, digest, inflow, lesion, tumor

from simulator.base import threads
from simulator.config.schema import Step, Tissue
from simulator.tissue.inputs import Inputs
from simulator.tissue.state import AGENTS, EXPORTED, LEDGER, WOUNDED

STEPS = 30


@pytest.fixture(autouse=True)
def one_thread():
    yield
    threads.set_threads(1)


def advanced(of, steps=STEPS, doses=(2,), first=1):
    """Advance a block; a dose arrives in the steps given."""
    for step in range(first, first + steps):
        of.advance(
            step,
            Inputs(
                occupancy={"anti_pd1": 0.3},
                plasma={"cxcl9": 0.01},
                inflow=inflow(3e6 if step in doses else 0.0),
            ),
        )
    return of


def gaps(of) -> dict[str, int]:
    """What the ledger misses of each kind."""
    state = of.state
    signs = np.array([1 if LEDGER.index(name) < EXPORTED else -1 for name in LEDGER])
    listed = np.bincount(state.agents.kind[: state.count[AGENTS]], minlength=len(of.names.kinds))
    at_site = np.bincount(state.bulk, minlength=len(of.names.kinds))
    present = np.where(of.tables.kinds.tracked == 1, listed, at_site)
    return {
        name: int(state.ledger[code] @ signs - present[code])
        for code, name in enumerate(of.names.kinds)
        if code
    }


def check_consistent(of) -> None:
    """The two layers, the list and the books tell the same story."""
    state = of.state
    agents = state.agents[: state.count[AGENTS]]
    lymphoid = of.tables.kinds.lymphoid[agents.kind] == 1
    slots = np.arange(len(agents))
    assert np.array_equal(state.lymphoid[agents.site[lymphoid]], slots[lymphoid])
    assert np.count_nonzero(state.lymphoid >= 0) == lymphoid.sum()
    assert np.array_equal(state.bulk_agent[agents.site[~lymphoid]], slots[~lymphoid])
    assert np.array_equal(state.bulk[agents.site[~lymphoid]], agents.kind[~lymphoid])
    assert np.count_nonzero(state.bulk_agent >= 0) == (~lymphoid).sum()
    assert len(np.unique(agents.id)) == len(agents)
    wounded = np.sort(state.wounded[: state.count[WOUNDED]])
    assert np.array_equal(wounded, np.flatnonzero(state.wounds))


@pytest.mark.parametrize("mode", ["tissue", "nodule"])
def test_ledger_closes_and_layers_agree(mode):
    of = block(lesion(mode=mode, cells_at_start=200) if mode == "nodule" else lesion())
    for step in range(1, 60):
        advanced(of, 1, doses=(2, 20), first=step)
        assert set(gaps(of).values()) == {0}
        check_consistent(of)
    assert of.state.ledger[:, LEDGER.index("killed")].sum() > 0
    assert of.state.ledger[of.kind("msc")].sum() > 0


def test_two_threads_give_the_bits_of_one():
    one = digest(advanced(block()))
    threads.set_threads(2)
    assert digest(advanced(block())) == one


def test_three_threads_give_the_bits_of_one_in_a_periodic_slab():
    of = lesion((1, 40, 36), walls="periodic")
    one = digest(advanced(block(of)))
    threads.set_threads(3)
    assert digest(advanced(block(of))) == one


@pytest.mark.parametrize("pause", [1, 13, 29])
def test_resume_gives_the_bits_of_an_uninterrupted_run(pause):
    whole = digest(advanced(block()))
    kept = {name: np.array(array) for name, array in advanced(block(), pause).to_arrays().items()}
    of = block(seed=99)
    of.dice = block().dice
    of.restore(kept)
    assert digest(advanced(of, STEPS - pause, first=pause + 1)) == whole


def test_order_of_kinds_traits_and_rules_changes_nothing():
    plain = digest(advanced(block()))
    turned = {}
    for name, cell in reversed(cells().items()):
        turned[name] = cell.model_copy(
            update={
                "rules": tuple(reversed(cell.rules)),
                "behaviors": dict(reversed(cell.behaviors.items())),
                "traits": dict(reversed(cell.traits.items())),
            }
        )
    of = lesion(cells=turned)
    of = of.model_copy(update={"fields": dict(reversed(of.fields.items()))})
    assert digest(advanced(block(of))) == plain


def test_no_dose_and_a_dose_of_nothing_are_the_same():
    of, none = block(), block()
    advanced(of, doses=())
    for step in range(1, STEPS + 1):
        none.advance(step, Inputs(occupancy={"anti_pd1": 0.3}, plasma={"cxcl9": 0.01}))
    assert digest(of) == digest(none)


def test_the_order_of_the_agent_list_means_nothing():
    plain = digest(advanced(block()))
    of = advanced(block(), 10)
    arrays = {name: np.array(array) for name, array in of.to_arrays().items()}
    order = np.random.default_rng(3).permutation(len(arrays["trait"]))
    place = np.argsort(order)
    for name in arrays:
        if name.startswith("agents.") or name in ("trait", "seen", "facing", "secretes"):
            arrays[name] = arrays[name][order]
    for name in ("lymphoid", "bulk_agent"):
        there = arrays[name] >= 0
        arrays[name][there] = place[arrays[name][there]]
    of.restore(arrays)
    assert digest(advanced(of, STEPS - 10, first=11)) == plain


def test_uncompiled_kernels_give_the_same_bits():
    """The naive twin: the same source without numba, on a small lattice, without a warning."""
    script = "from test_tissue_laws import *\nprint(digest(advanced(block(lesion((5, 6, 7))), 12)))"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "error"}
    twin = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert twin.stdout.strip() == digest(advanced(block(lesion((5, 6, 7))), 12))


def test_another_seed_is_another_history():
    assert digest(advanced(block(seed=1), 5)) != digest(advanced(block(seed=2), 5))


def test_a_nodule_grows_by_pushing_and_stays_round():
    """Births inside reach the surface: a ball of pure birth doubles without exporting a daughter."""
    birth = tumor(
        rules=(),
        traits={},
        behaviors={"divide": tumor().behaviors["divide"].model_copy(update={"base": 0.05})},
    )
    of = block(
        lesion(
            (41, 41, 41),
            mode="nodule",
            cells_at_start=4000,
            cells={"tumor": birth},
            tissue=Tissue(stroma=0.0, vessel=0.0),
        )
    )
    for step in range(1, 15):
        of.advance(step, Inputs())
    code = of.kind("tumor")
    born = of.state.ledger[code, LEDGER.index("born")]
    assert of.state.ledger[code, EXPORTED] == 0
    assert np.count_nonzero(of.state.bulk == code) == 4000 + born
    # A Yule process in steps: mean 4000 (2 − e^−λ)^14, variance below twice the cells; 4 standard errors.
    assert abs(4000 + born - 4000 * (2 - np.exp(-0.05)) ** 14) < 4 * np.sqrt(2 * 4000)
    z, y, x = np.nonzero(of.state.bulk.reshape(41, 41, 41) == code)
    moments = [np.mean((axis - 20.0) ** 2) for axis in (z, y, x)]
    assert max(moments) / min(moments) < 1.06
    radius = np.sqrt((z - 20.0) ** 2 + (y - 20.0) ** 2 + (x - 20.0) ** 2)
    ball = (3 * len(radius) / (4 * np.pi)) ** (1 / 3)
    assert np.mean(radius < ball * 1.12) > 0.985


def test_exported_daughters_keep_a_full_block_full():
    """A packed block of pure birth exports what it bears and never grows beyond its sites."""
    birth = tumor(
        rules=(),
        traits={},
        behaviors={"divide": tumor().behaviors["divide"].model_copy(update={"base": 0.02})},
    )
    of = block(lesion((12, 12, 12), cells={"tumor": birth}, tissue=Tissue(stroma=0.0, vessel=0.0)))
    for step in range(1, 30):
        of.advance(step, Inputs())
    ledger = of.state.ledger[of.kind("tumor")]
    assert np.count_nonzero(of.state.bulk) == 12**3
    assert ledger[EXPORTED] == ledger[LEDGER.index("born")] > 0


def test_the_barrier_sets_the_ratio_of_densities():
    """Without arrests or entry, nest : stroma approaches the barrier b (detailed balance), within 6 %."""
    walker = cells()["nk"].model_copy(
        update={
            "traits": {},
            "behaviors": {
                "migrate": cells()["nk"]
                .behaviors["migrate"]
                .model_copy(update={"base": 15.0, "barrier": 0.25})
            },
        }
    )
    still = tumor(rules=(), behaviors={})
    kinds = {
        "tumor": still,
        "stroma": cells()["stroma"].model_copy(update={"behaviors": {}, "rules": ()}),
        "nk": walker,
    }
    of = block(
        lesion(
            (30, 30, 30),
            cells=kinds,
            fields={},
            walls="periodic",
            tissue=Tissue(
                stroma=0.35,
                vessel=0.0,
                nest_width="90 um",
                infiltrate={"nk": {"nest": "25 cells/mm2", "stroma": "100 cells/mm2"}},
            ),
        )
    )
    stroma = of.state.bulk == of.kind("stroma")
    inside, outside = 0, 0
    for step in range(1, 160):
        of.advance(step, Inputs())
        if step > 20:
            filled = of.state.lymphoid >= 0
            inside += np.count_nonzero(filled & ~stroma)
            outside += np.count_nonzero(filled & stroma)
    ratio = (inside / np.count_nonzero(~stroma)) / (outside / np.count_nonzero(stroma))
    assert ratio == pytest.approx(0.25, rel=0.06)


def test_a_step_that_divides_badly_is_refused():
    from simulator.base.errors import InputError

    with pytest.raises(InputError, match="more than once a motility step"):
        block(step=Step(motility="8 min"))
