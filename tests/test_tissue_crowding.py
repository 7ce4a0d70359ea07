"""Cells that need room, kinds that keep others off their sites, scars: laws of crowded tissue."""

from math import comb

import numpy as np
import pytest
from scipy.stats import chisquare
from tissues import block, cells, digest, lesion

from simulator.config.schema import Behavior, Cell, Lesion, Tissue
from simulator.tissue.inputs import Inputs
from simulator.tissue.motility import propose_hops
from simulator.tissue.state import AGENTS, BORN, CLEARED, DIED, EXPORTED, FORMED


def sheet(size: int, of_cells: dict[str, Cell], start: int = 1, **changes) -> Lesion:
    """A nodule of `start` tumor cells in an empty sheet."""
    quiet = {"tissue": Tissue(stroma=0.0, vessel=0.0, reach=1), "mode": "nodule", "cells_at_start": start}
    return lesion((1, size, size), **(quiet | {"cells": cells() | of_cells} | changes))


def tumor(**divides) -> Cell:
    return Cell(
        layer="bulk",
        traits={"antigenicity": 1.0, "mhc1": 1.0, "pdl1": 0.0},
        behaviors={"divide": Behavior(base=0.2, **divides)},
    )


def walker(**behaviors) -> Cell:
    """A lymphoid cell that only does what is given."""
    return Cell(layer="lymphoid", traits={"left": 0.0}, behaviors=behaviors)


def grown(of, steps: int) -> list[int]:
    """The tumor cells after every step."""
    counts = []
    for step in range(1, steps + 1):
        of.advance(step, Inputs())
        counts.append(int(np.count_nonzero(of.state.bulk == of.kind("tumor"))))
    return counts


def put(of, kind: str, sites) -> None:
    """Walkers on these sites."""
    from simulator.tissue.entry import put_cells
    from simulator.tissue.state import with_capacity, with_doses

    of.state = with_doses(with_capacity(of.state, len(sites), 0), 1)
    nothing = np.full(of.state.trait.shape[1], np.nan)
    put_cells(of.state, of.tables, of.spreads, of.dice, 0, np.sort(sites), of.kind(kind), 1, nothing)


def test_a_colony_that_needs_room_grows_at_its_rim_alone():
    crowded, pushing = (block(sheet(91, {"tumor": tumor(needs_room=need)}, 50)) for need in (True, False))
    rim, inside = grown(crowded, 100), grown(pushing, 15)
    radius = np.sqrt(np.array(rim[10:]) / np.pi)
    slope, rest = np.polyfit(np.arange(len(radius)), radius, 1)
    assert np.corrcoef(np.arange(len(radius)), radius)[0, 1] ** 2 > 0.99  # linear in time
    assert slope > 0 and rest > 0
    assert inside[-1] > 2 * rim[14]  # where rows of cells give way, every cell divides
    code = crowded.kind("tumor")
    assert crowded.state.ledger[code, EXPORTED] == 0
    assert crowded.state.ledger[code, BORN] == rim[-1] - 50


def test_nothing_divides_in_a_full_sheet_whose_cells_need_room():
    of = block(sheet(12, {"tumor": tumor(needs_room=True)}, start=144))
    assert grown(of, 10)[-1] == 144
    assert of.state.ledger[of.kind("tumor"), BORN] == 0


def halves(passes: dict[str, float], size: int = 40, every: int = 2):
    """A sheet whose left half is stroma; walkers on the right, on every so manieth site."""
    move = Behavior(base=15.0, passes=passes)
    of = block(sheet(size, {"tumor": tumor(), "cd8": walker(migrate=move)}, start=1))
    of.state.bulk[:] = 0
    columns = np.arange(of.lattice.sites) % size
    of.state.bulk[columns < size // 2] = of.kind("stroma")
    put(of, "cd8", np.flatnonzero(columns >= size // 2)[::every])
    return of


def on_stroma(of) -> int:
    sites = of.state.agents.site[: of.state.count[AGENTS]]
    return int(np.count_nonzero(of.state.bulk[sites] == of.kind("stroma")))


def test_what_a_kind_never_passes_it_never_enters_and_what_it_passes_rarely_it_enters_rarely():
    found = {}
    for chance in (0.0, 0.05, 1.0):
        of = halves({"stroma": chance})
        grown(of, 3)
        found[chance] = on_stroma(of)
    assert found[0.0] == 0
    assert 0 < found[0.05] < 0.3 * found[1.0]


def test_a_chance_of_one_changes_no_bit():
    assert digest(run(halves({}))) == digest(run(halves({"stroma": 1.0, "tumor": 1.0})))


def run(of):
    grown(of, 4)
    return of


def test_in_the_long_run_cells_stand_on_stroma_as_much_less_as_they_pass_it_less():
    """Detailed balance: the odds of a cell on a free site there against elsewhere are that chance."""
    of = halves({"stroma": 0.25}, size=16, every=6)
    grown(of, 100)
    counts = []
    for step in range(101, 3101):
        of.advance(step, Inputs())
        counts.append(on_stroma(of))
    cells, half = int(of.state.count[AGENTS]), 128
    inside = float(np.mean(counts))
    odds = inside / (half - inside) / ((cells - inside) / (half - (cells - inside)))
    assert odds == pytest.approx(0.25, rel=0.1)


def fenced(tries: int, fences: int, chance: float):
    """What becomes of one due step of walkers far apart, `fences` of their four ways onto stroma.

    Returns the way that each one goes, −1 where it stays.
    """
    size = 240
    move = Behavior(base=15.0, passes={"stroma": chance}, tries=tries)  # due in every sub-step of 4 min
    of = block(sheet(size, {"tumor": tumor(), "cd8": walker(migrate=move)}, start=1))
    of.state.bulk[:] = 0
    rows, columns = np.mgrid[2:size:4, 2:size:4].reshape(2, -1)
    sites = rows * size + columns
    for offset in (-1, 1, -size, size)[:fences]:
        of.state.bulk[sites + offset] = of.kind("stroma")
    put(of, "cd8", sites)
    of.read(Inputs())
    of.respond(1)
    propose_hops(of.state, of.tables, of.lattice, of.fields, of.dice, 1, 0, 0, len(sites))
    named = of.state.proposal[: len(sites)] >= 0
    return np.where(named, of.state.way[: len(sites)].astype(int), -1)


@pytest.mark.parametrize("fences", [1, 3, 4])
@pytest.mark.parametrize("tries", [1, 2, 3, 6])
def test_a_walker_stays_only_where_every_way_that_it_tries_is_shut(tries, fences):
    ways = fenced(tries, fences, 0.0)
    tried = min(tries, 4)
    stays = comb(fences, tried) / comb(4, tried)  # hypergeometric: all that it tries are fenced
    assert np.mean(ways < 0) == pytest.approx(stays, abs=4 * np.sqrt(stays * (1 - stays) / len(ways)))
    assert ways[ways >= 0].min(initial=4) >= fences  # and what it never passes it never takes
    counts = np.bincount(ways[ways >= 0], minlength=4)[fences:]
    assert len(counts) < 2 or chisquare(counts).pvalue > 1e-4  # no open way is liked better


@pytest.mark.parametrize("tries", [1, 4])
def test_one_of_several_ways_that_are_rarely_open_will_do(tries):
    ways = fenced(tries, 4, 0.1)
    leaves = 1 - 0.9**tries
    assert np.mean(ways >= 0) == pytest.approx(leaves, abs=4 * np.sqrt(leaves * (1 - leaves) / len(ways)))


@pytest.mark.parametrize("within", [0.0, 15.0, 45.0])
def test_a_scar_takes_the_free_sites_in_reach_and_the_cell_is_gone(within):
    dies = Behavior(base=50.0, leaves="stroma", within=f"{within} um")
    of = block(sheet(21, {"tumor": tumor(needs_room=True), "cd8": walker(scar=dies)}, start=9))
    of.state.bulk[of.state.bulk != of.kind("tumor")] = 0
    center = 10 * 21 + 10
    put(of, "cd8", np.array([center]))
    before = of.state.bulk.copy()
    of.advance(1, Inputs())
    y, x = np.divmod(np.arange(of.lattice.sites), 21)
    near = ((y - 10) ** 2 + (x - 10) ** 2) * 15.0**2 <= within**2
    turned = (before == 0) & near
    stroma = of.state.bulk == of.kind("stroma")
    born_since = (before == 0) & (of.state.bulk == of.kind("tumor"))  # a daughter may be there first
    assert np.array_equal(stroma, turned & ~born_since)
    assert of.state.count[AGENTS] == 0
    assert of.state.ledger[of.kind("stroma"), FORMED] == stroma.sum()
    assert of.state.ledger[of.kind("cd8"), DIED] == 1


def test_daughters_and_placed_cells_stay_off_what_they_never_pass():
    divides = Behavior(base=5.0, needs_room=True)
    move = Behavior(base=0.0, passes={"stroma": 0.0})
    of = block(sheet(30, {"tumor": tumor(), "cd8": walker(divide=divides, migrate=move)}, start=1))
    of.state.bulk[:] = of.kind("stroma")
    island = np.array([10 * 30 + 10, 10 * 30 + 11, 11 * 30 + 10, 11 * 30 + 11])
    of.state.bulk[island] = 0
    put(of, "cd8", island[:1])
    grown(of, 10)
    assert sorted(of.state.agents.site[: of.state.count[AGENTS]]) == sorted(island)
    assert of.state.ledger[of.kind("cd8"), BORN] == 3


def test_a_daughter_may_start_anew_while_her_mother_goes_on():
    divides = Behavior(base=5.0, uses="divisions", renews=("left",))
    kind = Cell(layer="lymphoid", traits={"divisions": 1.0, "left": 5.0}, behaviors={"divide": divides})
    of = block(sheet(12, {"tumor": tumor(), "cd8": kind}, start=1))
    put(of, "cd8", np.array([40]))
    left = sorted(kind.traits).index("left")
    of.state.trait[0, left] = 2.0
    of.advance(1, Inputs())
    assert of.state.count[AGENTS] == 2
    assert sorted(of.state.trait[:2, left]) == [2.0, 5.0]
    assert (of.state.trait[:2, sorted(kind.traits).index("divisions")] == 0.0).all()


def dividing(start: int = 1, size: int = 61, **divides):
    """A nodule whose cells divide, with these keys and a trait for each."""
    traits = {"antigenicity": 1.0, "mhc1": 1.0, "pdl1": 0.0, "stem": 1.0, "capacity": 3.0}
    kind = Cell(layer="bulk", traits=traits, behaviors={"divide": Behavior(base=1.0, **divides)})
    return block(sheet(size, {"tumor": kind}, start)), sorted(traits)


def test_a_nodule_that_fills_its_block_exports_every_further_daughter():
    of, _ = dividing(start=60, size=15)
    grown(of, 30)
    born, exported = (int(of.state.ledger[of.kind("tumor"), column]) for column in (BORN, EXPORTED))
    assert (of.state.bulk == of.kind("tumor")).all()
    assert exported > 1000 and born - exported == 15**2 - 60


@pytest.mark.parametrize("divides", [{"needs_room": True}, {}])
def test_the_line_of_a_bulk_cell_ends_when_its_divisions_are_used_up(divides):
    of, _ = dividing(uses="capacity", **divides)
    counts = grown(of, 80)
    assert counts[-1] == counts[-10] == 8  # 2³: three divisions of every line


def test_stem_cells_are_spared_and_their_daughters_lack_stemness_as_often_as_said():
    of, traits = dividing(start=400, size=101, uses="capacity", spared_by="stem", loses={"stem": 0.3})
    grown(of, 1)
    code = of.kind("tumor")
    stem = of.state.site_trait[of.state.bulk == code, traits.index("stem")]
    born = int(of.state.ledger[code, BORN])
    lacking = int(np.count_nonzero(stem == 0.0))
    assert born > 150 and abs(lacking - 0.3 * born) < 3.5 * np.sqrt(0.21 * born)
    grown(of, 60)
    left = of.state.site_trait[of.state.bulk == code]
    spared = left[:, traits.index("stem")] > 0.5
    assert (left[spared, traits.index("capacity")] == 3.0).all()
    assert (left[~spared, traits.index("capacity")] == 0.0).any()


def test_an_own_stem_cell_of_the_list_is_spared_too():
    divides = Behavior(base=3.0, uses="divisions", spared_by="stem", loses={"stem": 1.0})
    kind = Cell(layer="lymphoid", traits={"divisions": 1.0, "stem": 1.0}, behaviors={"divide": divides})
    of = block(sheet(30, {"tumor": tumor(), "cd8": kind}, start=1))
    put(of, "cd8", np.array([400]))
    grown(of, 12)
    agents = int(of.state.count[AGENTS])
    stem = of.state.trait[:agents, sorted(kind.traits).index("stem")]
    assert stem.sum() == 1.0 and agents > 5  # one stem cell, whose daughters divide once each


def test_wanderers_move_where_there_is_room_and_none_is_lost_or_doubled():
    kind = Cell(layer="bulk", traits={"mark": 0.0}, behaviors={"wander": Behavior(base=50.0)})
    of = block(sheet(15, {"tumor": kind, "cd8": walker()}, start=60))
    tumor_at = of.state.bulk == of.kind("tumor")
    of.state.site_trait[tumor_at, 0] = np.arange(1, 61)
    moved = 0
    for step in range(1, 21):
        before = of.state.bulk.copy()
        of.advance(step, Inputs())
        here = of.state.bulk == of.kind("tumor")
        assert sorted(of.state.site_trait[here, 0]) == list(range(1, 61))
        moved += int(np.count_nonzero((before == 0) & here))
    assert moved > 100
    full = block(sheet(6, {"tumor": kind, "cd8": walker()}, start=36))
    full.state.site_trait[:, 0] = np.arange(36)
    grown(full, 3)
    assert full.state.site_trait[:, 0].tolist() == list(range(36))


def invading(chance: float | None, size: int = 41, **behaviors):
    """A few tumor cells amid stroma that fills the sheet, which they invade with a chance."""
    kind = tumor(needs_room=True)
    if behaviors:
        kind = kind.model_copy(update={"behaviors": behaviors})
    if chance is not None:
        kind = kind.model_copy(update={"invades": {"stroma": chance}})
    of = block(sheet(size, {"tumor": kind, "cd8": walker()}, start=5))
    of.state.bulk[of.state.bulk == 0] = of.kind("stroma")
    return of


def test_what_is_not_invaded_keeps_daughters_and_wanderers_out():
    for chance in (None, 0.0):
        assert grown(invading(chance), 30)[-1] == 5


def test_invaders_grow_into_open_sites_as_into_free_ones_and_what_they_take_is_booked():
    through = invading(1.0)
    counts = grown(through, 40)
    free = block(sheet(41, {"tumor": tumor(needs_room=True), "cd8": walker()}, start=5))
    assert counts == grown(free, 40)
    stroma = through.kind("stroma")
    assert through.state.ledger[stroma, CLEARED] == counts[-1] - 5
    assert np.count_nonzero(through.state.bulk == stroma) == 41 * 41 - counts[-1]


def test_the_less_readily_a_kind_invades_the_slower_it_grows():
    found = [grown(invading(chance), 40)[-1] for chance in (0.02, 0.1, 0.5)]
    assert 5 < found[0] < found[1] < found[2]


def test_one_wanderer_steps_as_often_as_any_of_its_eight_sites_is_open():
    """A cell that always wants to move, amid sites each open with p: 1 − (1 − p)⁸ of its steps."""
    of = invading(0.1, size=61, wander=Behavior(base=1e3))
    stroma, code = of.kind("stroma"), of.kind("tumor")
    moved, steps = 0, 400
    for step in range(1, steps + 1):
        of.state.bulk[:] = stroma
        of.state.bulk[30 * 61 + 30] = code
        of.advance(step, Inputs())
        moved += int(of.state.bulk[30 * 61 + 30] != code)
        assert np.count_nonzero(of.state.bulk == code) == 1
    expected = 1.0 - 0.9**8
    assert abs(moved - steps * expected) < 3.5 * np.sqrt(steps * expected * (1.0 - expected))


def test_what_an_invader_covered_comes_back_when_it_is_gone():
    """Killed, dead or gone on: under no free site of an invaded sheet is a hole."""
    behaviors = {
        "divide": Behavior(base=0.3, needs_room=True),
        "wander": Behavior(base=0.5),
        "die": Behavior(base=0.1, leaves="debris"),
    }
    of = invading(0.5, **behaviors)
    founders = of.state.bulk == of.kind("tumor")
    stroma, debris = of.kind("stroma"), of.kind("debris")
    for step in range(1, 61):
        of.advance(step, Inputs())
        bare = (of.state.bulk == 0) & ~founders
        assert not bare.any()
        covered = (of.state.bulk != stroma) & ~founders
        assert np.array_equal(of.state.under == stroma, covered)
    assert of.state.ledger[debris, FORMED] > 100 and of.state.ledger[stroma, FORMED] > 100
    books = of.state.ledger[stroma, FORMED] - of.state.ledger[stroma, CLEARED]
    assert np.count_nonzero(of.state.bulk == stroma) == 41 * 41 - 5 + books


def test_an_arm_may_begin_to_invade():
    of = invading(None)
    assert len(of.state.under) == 0
    tumors = of.lesion.cells["tumor"].model_copy(update={"invades": {"stroma": 1.0}})
    of.change_model(of.lesion.model_copy(update={"cells": of.lesion.cells | {"tumor": tumors}}), of.step)
    assert grown(of, 10)[-1] > 5


@pytest.mark.parametrize(
    ("shape", "walls"), [((1, 61, 61), "closed"), ((24, 24, 24), "closed"), ((20, 20, 20), "periodic")]
)
def test_no_daughter_of_a_nodule_is_lost_while_a_site_is_free(shape, walls):
    """Deaths leave holes that fill up while rows are on their way, and vessels stand in it."""
    kind = Cell(
        layer="bulk",
        traits={"antigenicity": 1.0, "mhc1": 1.0, "pdl1": 0.0},
        behaviors={"divide": Behavior(base=0.3), "die": Behavior(base=0.1)},
    )
    quiet = {"tissue": Tissue(stroma=0.0, vessel=0.03, reach=1), "mode": "nodule", "cells_at_start": 600}
    of = block(
        lesion(shape, walls=walls, cells=cells() | {"tumor": kind, "cd8": walker(), "nk": walker()}, **quiet)
    )
    code, step = of.kind("tumor"), 0
    while np.count_nonzero(of.state.bulk == 0) > 300 and step < 40:
        assert of.state.ledger[code, EXPORTED] == 0
        step += 1
        of.advance(step, Inputs())
    born, died = of.state.ledger[code, BORN], of.state.ledger[code, DIED]
    assert born > 2000
    assert np.count_nonzero(of.state.bulk == code) == 600 + born - died - of.state.ledger[code, EXPORTED]


def test_a_row_that_gives_way_loses_and_doubles_no_cell():
    kind = Cell(layer="bulk", traits={"mark": 0.0}, behaviors={"divide": Behavior(base=0.2)})
    quiet = {"tissue": Tissue(stroma=0.0, vessel=0.05, reach=1), "mode": "nodule", "cells_at_start": 300}
    of = block(
        lesion((16, 16, 16), cells=cells() | {"tumor": kind, "cd8": walker(), "nk": walker()}, **quiet)
    )
    code = of.kind("tumor")
    of.state.site_trait[of.state.bulk == code, 0] = np.arange(1, 301)
    born = 0
    for step in range(1, 12):
        before = np.bincount(of.state.site_trait[of.state.bulk == code, 0].astype(int), minlength=301)
        of.advance(step, Inputs())
        after = np.bincount(of.state.site_trait[of.state.bulk == code, 0].astype(int), minlength=301)
        assert (after >= before).all() and (after <= 2 * before).all()
        assert after.sum() - before.sum() == of.state.ledger[code, BORN] - born
        born = of.state.ledger[code, BORN]
    assert born > 1000


def test_what_lay_there_first_comes_back_though_another_kind_was_covered_since():
    """A tumor cell in stroma dies and leaves debris, which the next covers: stroma returns, not debris."""
    does = {"divide": Behavior(base=0.5, needs_room=True), "die": Behavior(base=0.3, leaves="debris")}
    kind = tumor().model_copy(update={"invades": {"stroma": 1.0, "debris": 1.0}, "behaviors": does})
    of = block(sheet(21, {"tumor": kind, "cd8": walker()}, start=5))
    founders = of.state.bulk == of.kind("tumor")
    of.state.bulk[of.state.bulk == 0] = of.kind("stroma")
    grown(of, 60)
    assert not (of.state.under == of.kind("debris"))[~founders].any()
    assert of.state.ledger[of.kind("debris"), CLEARED] > 100
