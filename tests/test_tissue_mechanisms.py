"""Mechanisms beyond the core: traced fields, who brought whom, drugs as signals, scaled clocks, maps."""

import math

import numpy as np
import pytest
from test_tissue_laws import advanced, gaps
from tissues import PER_DAY, block, cd8, cells, fields, inflow, lesion, msc

from simulator.config.schema import Behavior, Cell, Rule, Spread, Tissue
from simulator.tissue.fields import as_grid
from simulator.tissue.inputs import Inflow, Inputs
from simulator.tissue.respond import hazard
from simulator.tissue.seeding import smooth_noise
from simulator.tissue.state import ADMITTED, AGENTS, CAME, KILLS, TOUCHED


def traced(**changes):
    """A lesion whose CXCL9 is traced to the MSCs."""
    own = fields()
    own["cxcl9"] = own["cxcl9"].model_copy(update={"traced": "msc"})
    return lesion(**({"fields": own} | changes))


def grid(of, name):
    """The concentrations of a field."""
    return as_grid(of.fields, of.fields.c, of.names.fields.index(name))


def two_doses(first, second):
    """Two doses of cells on their way."""
    return Inflow(np.array([first, second]), np.array([1, 2]), ("msc", "msc"), ({}, {}))


# --- traced fields ---------------------------------------------------------------------------


def test_the_traced_part_is_the_whole_where_one_kind_alone_secretes():
    silent = cells()
    silent["stroma"] = silent["stroma"].model_copy(update={"rules": ()})
    of = advanced(block(traced(cells=silent)))
    assert grid(of, "cxcl9").max() > 0.0
    assert np.array_equal(grid(of, "cxcl9"), grid(of, "cxcl9_msc"))


def test_the_traced_part_never_exceeds_the_whole_and_is_zero_without_its_kind():
    of = advanced(block(traced()))
    whole, part = grid(of, "cxcl9"), grid(of, "cxcl9_msc")
    assert (
        0.0 < part.max() and np.all(part <= whole * (1 + 1e-3) + 1e-12) and part.sum() < 0.999 * whole.sum()
    )
    assert not grid(advanced(block(traced()), doses=()), "cxcl9_msc").any()


def test_tracing_a_field_changes_nothing_but_what_is_known():
    plain, followed = advanced(block()), advanced(block(traced()))
    assert np.array_equal(grid(plain, "cxcl9"), grid(followed, "cxcl9"))
    assert np.array_equal(plain.state.bulk, followed.state.bulk)
    assert np.array_equal(plain.state.ledger, followed.state.ledger)


# --- who brought whom -------------------------------------------------------------------------


def test_every_admitted_cell_is_brought_by_one_dose_or_by_none():
    of = block(traced(shape=(20, 20, 20)))
    for step in range(1, 60):
        of.advance(step, Inputs(inflow=two_doses(2e6 if step == 2 else 0.0, 2e6 if step == 10 else 0.0)))
    came = of.state.brought[:, :, CAME]
    assert np.array_equal(came.sum(axis=1), of.state.ledger[:, ADMITTED])
    assert came[of.kind("msc"), 0] == 0 and came[of.kind("msc"), 1:].min() > 0
    assert came[of.kind("cd8"), 0] > 0 and came[of.kind("cd8"), 1:].min() > 0


def test_kills_by_dose_add_up_to_kills_and_only_those_who_came_or_were_seeded_touch():
    of = advanced(block(traced()), 60)
    assert np.array_equal(of.state.brought[:, :, KILLS].sum(axis=1), of.state.kills.sum(axis=1))
    assert of.state.brought[:, :, KILLS].sum() > 0
    brought = of.state.brought[:, 1:]
    assert np.all(brought[..., TOUCHED] <= brought[..., CAME])
    assert brought[of.kind("msc"), :, TOUCHED].sum() > 0


def test_without_infused_cells_nobody_is_brought():
    of = advanced(block(traced()), doses=())
    assert of.state.brought.shape[1] == 1 and of.state.brought[of.kind("cd8"), 0, CAME] > 0


def test_where_nothing_recruits_nobody_is_brought():
    indifferent = cells()
    rules = tuple(rule for rule in cd8().rules if rule.behavior != "admit")
    indifferent["cd8"] = cd8(rules=rules)
    of = advanced(block(traced(cells=indifferent)), 60)
    assert of.state.brought[of.kind("msc"), 1, CAME] > 0
    assert of.state.brought[of.kind("cd8"), 1:].sum() == 0


def test_the_share_brought_is_the_entry_that_would_be_missing():
    """All CXCL9 is the MSCs': J(c)/J(0) = 1 + 4 H, so a share 4H/(1 + 4H) of the entrants is theirs."""
    silent = cells()
    silent["stroma"] = silent["stroma"].model_copy(update={"rules": ()})
    silent["msc"] = msc().model_copy(update={"rules": ()})
    of = block(traced(shape=(20, 20, 20), cells=silent))
    came = np.zeros(2)
    expected = 0.0
    for step in range(1, 200):
        before = of.state.brought[of.kind("cd8"), :, CAME].copy()
        of.advance(step, Inputs(inflow=inflow(4e5 if step < 4 else 0.0)))
        now = of.state.brought[of.kind("cd8"), :, CAME]
        new = now - np.pad(before, (0, len(now) - len(before)))
        came += new.sum(), new[1:].sum()
        c = grid(of, "cxcl9").mean()
        expected += new.sum() * 4 * c / (1 + c) / (1 + 4 * c / (1 + c))
    assert came[0] > 400
    assert abs(came[1] - expected) < 4 * math.sqrt(expected) + 0.1 * expected


# --- drugs as signals, several blockers -------------------------------------------------------


def with_drugs(**occupancy):
    rules = (
        Rule(behavior="die", raised_by="drug anti_pd1", to=4.0),
        Rule(behavior="leave", raised_by="exhausted", to=8.0, blocked_by=("anti_pd1", "msc")),
    )
    own = cells()
    own["cd8"] = cd8(
        traits=cd8().traits | {"exhausted": 1.0},
        behaviors=cd8().behaviors | {"die": Behavior(base=0.0), "leave": Behavior(base=0.0)},
        rules=rules,
    )
    of = block(lesion(cells=own))
    of.read(Inputs(occupancy=occupancy))
    return of


def rates_of(of):
    """(death, leaving) of a CD8 cell with exhausted 1 [1/h]."""
    x = np.zeros(len(of.tables.senses))
    kind = of.tables.kinds[of.kind("cd8")]
    trait = sorted(of.lesion.cells["cd8"].traits).index("exhausted")
    for j in range(kind.sense_start, kind.sense_stop):
        if of.tables.senses[j].code == 1 and of.tables.senses[j].index == trait:
            x[j - kind.sense_start] = 1.0
    codes = of.tables.hazards.code[kind.hazard_start : kind.hazard_stop]
    found = [
        hazard(of.tables, h, x, of.unblocked, of.plasma) for h in range(kind.hazard_start, kind.hazard_stop)
    ]
    return found[list(codes).index(1)], found[list(codes).index(5)]


@pytest.mark.parametrize(
    "occupancy, expected",
    [({}, (0.0, 8.0)), ({"anti_pd1": 0.25}, (1.0, 6.0)), ({"anti_pd1": 0.5, "msc": 0.5}, (2.0, 2.0))],
)
def test_a_drug_raises_by_its_occupancy_and_blockers_multiply(occupancy, expected):
    assert rates_of(with_drugs(**occupancy)) == pytest.approx(expected)


def test_a_drug_that_holds_no_receptor_changes_no_bit():
    rules = (*cd8().rules, Rule(behavior="die", raised_by="drug anti_pd1", to=4.0))
    own = cells() | {"cd8": cd8(rules=rules)}
    none = lambda of: [of.advance(step, Inputs()) for step in range(1, 20)]  # noqa: E731
    plain, drugged = block(), block(lesion(cells=own))
    none(plain), none(drugged)
    assert np.array_equal(plain.state.bulk, drugged.state.bulk)
    assert np.array_equal(plain.state.ledger, drugged.state.ledger)


# --- scaled clocks, resets ---------------------------------------------------------------------


def test_a_scaled_clock_runs_as_many_times_faster():
    """MSCs with a clearance of 3 die at three times the rate: survivors after t are exp(−3 λ t)."""
    own = cells()
    own["msc"] = Cell(
        layer="bulk",
        tracked=True,
        traits={"clearance": 1.0, "ox40l": 0.0},
        behaviors={"die": Behavior(base=0.5 * PER_DAY, scaled_by="clearance")},
    )
    of = block(lesion((24, 24, 24), cells=own))
    doses = Inflow(np.array([4e7, 4e7]), np.array([1, 2]), ("msc", "msc"), ({}, {"clearance": 3.0}))
    of.advance(1, Inputs(inflow=doses))
    agents = of.state.agents[: of.state.count[AGENTS]]
    start = [np.count_nonzero((agents.kind == of.kind("msc")) & (agents.dose == n)) for n in (1, 2)]
    for step in range(2, 50):
        of.advance(step, Inputs())
    agents = of.state.agents[: of.state.count[AGENTS]]
    for n, fold in ((1, 1.0), (2, 3.0)):
        left = np.count_nonzero((agents.kind == of.kind("msc")) & (agents.dose == n))
        p = math.exp(-fold * 0.5 * 2.0)
        assert start[n - 1] > 200
        assert abs(left - p * start[n - 1]) < 4 * math.sqrt(p * (1 - p) * start[n - 1])


def test_a_reset_trait_falls_to_zero_only_where_its_gate_is_open():
    own = cells()
    own["cd8"] = cd8(
        traits={"exhausted": 1.0, "stemlike": Spread(share=0.5)},
        behaviors={
            "migrate": Behavior(base=5.0),
            "reset exhausted": Behavior(base=1.0, when="stemlike"),
        },
        rules=(),
    )
    of = block(lesion(cells=own))
    for step in range(1, 40):
        of.advance(step, Inputs())
    agents = of.state.agents[: of.state.count[AGENTS]]
    mine = agents.kind == of.kind("cd8")
    exhausted, stemlike = (of.state.trait[: len(agents)][mine, column] for column in (0, 1))
    assert 0 < np.count_nonzero(stemlike) < len(stemlike)
    assert np.array_equal(exhausted == 0.0, stemlike == 1.0)


# --- maps -------------------------------------------------------------------------------------


def with_map(spread):
    own = cells()
    own["stroma"] = own["stroma"].model_copy(update={"traits": {"myeloid": spread}})
    return block(lesion((30, 30, 30), cells=own, tissue=Tissue(stroma=0.3, vessel=0.05, infiltrate={})))


def test_a_map_has_the_distribution_of_its_spread_and_neighbors_are_alike():
    of = with_map(Spread(median=0.726, log_sd=0.8, width="90 um"))
    values = np.full(of.lattice.sites, np.nan)
    stroma = of.state.bulk == of.kind("stroma")
    values[stroma] = of.state.site_trait[stroma, 0]
    logs = np.log(values[stroma])
    assert abs(logs.mean() - math.log(0.726)) < 0.25 and abs(logs.std() - 0.8) < 0.2
    cube = np.log(values).reshape(30, 30, 30)
    near = np.nanmean((cube[:, :, 1:] - cube[:, :, :-1]) ** 2) / (2 * 0.64)
    far = np.nanmean((cube[:, :, 15:] - cube[:, :, :-15]) ** 2) / (2 * 0.64)
    assert near < 0.35 and far > 0.6


def test_a_mapped_share_covers_that_share_in_patches():
    of = with_map(Spread(share=0.3, width="90 um"))
    values = of.state.site_trait[of.state.bulk == of.kind("stroma"), 0]
    assert set(np.unique(values)) == {0.0, 1.0} and 0.15 < values.mean() < 0.45


def test_smooth_noise_depends_on_its_stream_alone():
    of = block()
    one = smooth_noise(of.lattice, 5.0, of.dice, "map", 3)
    assert np.array_equal(one, smooth_noise(of.lattice, 5.0, of.dice, "map", 3))
    assert not np.array_equal(one, smooth_noise(of.lattice, 5.0, of.dice, "map", 4))


# --- an arm with other rules --------------------------------------------------------------------


def test_an_arm_may_sense_more_of_its_targets_than_the_burn_in():
    plain = cells()
    plain["cd8"] = cd8(rules=tuple(r for r in cd8().rules if not r.signal.startswith("target")))
    of = advanced(block(lesion(cells=plain)), 10)
    more = (*cd8().rules, Rule(behavior="kill", lowered_by="target mhc1", to=0.0, half_max=0.5))
    of.change_model(lesion(cells=cells() | {"cd8": cd8(rules=more)}), of.step)
    assert of.state.facing.shape[1] == 2
    advanced(of, 10, first=11)
    assert set(gaps(of).values()) == {0}


def test_primed_cells_raise_the_share_that_enters():
    of = block(lesion(cells=cells() | {"cd8": cd8(traits={"reactive": Spread(share=0.2)}, rules=())}))
    of.read(Inputs(blood={"cd8": 1.5}, primed={("cd8", "reactive"): 0.5}))
    column = 0
    assert of.spreads.value[of.kind("cd8"), column] == pytest.approx((0.2 * 1.0 + 0.5) / 1.5)
    of.read(Inputs(blood={"cd8": 1.0}, primed={("cd8", "reactive"): 0.0}))
    assert of.spreads.value[of.kind("cd8"), column] == pytest.approx(0.2)
