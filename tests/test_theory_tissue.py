"""Theory: walks, clocks, birth and death against their formulas, within 3 % or 3 standard errors."""

import math

import numpy as np
import pytest
from tissues import block, lesion

from simulator.base.kernel import kernel
from simulator.base.rng import STREAM, make_dice, uniforms
from simulator.config.schema import Behavior, Cell, Spread, Step, Tissue
from simulator.tissue.compile import compile_tables, hit_rate, names_of
from simulator.tissue.inputs import Inputs
from simulator.tissue.respond import ring

CLOCK = STREAM["clock"]


def displacements(of, hours: int, extent) -> np.ndarray:
    """Displacement in sites of every walker after some hours, unwrapped step by step; (walkers, 3)."""
    shape = np.array(extent)

    def positions():
        agents = of.state.agents[: of.state.count[0]]
        return np.stack(np.unravel_index(agents.site, extent), axis=1)[np.argsort(agents.id)]

    total = np.zeros((int(of.state.count[0]), 3))
    before = positions()
    for step in range(1, hours + 1):
        of.advance(step, Inputs())
        now = positions()
        total += (now - before + shape // 2) % shape - shape // 2
        before = now
    return total


@pytest.mark.parametrize(("shape", "axes"), [((64, 64, 64), 3), ((1, 500, 500), 2)])
def test_diffusivity_of_a_walk_is_nu_a2_over_2d(shape, axes):
    """⟨x²⟩ along each axis = 2 D t with D = ν a²/(2 axes); a few walkers slow each other little."""
    hours, rate = 12, 15.0
    moved = displacements(block(walkers(shape)), hours, shape)
    expected = rate * hours / axes  # sites² per axis
    for axis in range(3 - axes, 3):
        assert np.mean(moved[:, axis] ** 2) == pytest.approx(
            expected, rel=0.03 + 3 * math.sqrt(2 / len(moved))
        )
        assert abs(np.mean(moved[:, axis])) < 4 * math.sqrt(expected / len(moved))


def walkers(shape):
    walker = Cell(layer="lymphoid", behaviors={"migrate": Behavior(base=15.0)})
    return lesion(
        shape,
        walls="periodic",
        cells={"nk": walker},
        fields={},
        tissue=Tissue(stroma=0.0, vessel=0.0, infiltrate={"nk": {"nest": "8 cells/mm2"}}),
    )


def test_the_share_of_each_competing_clock_is_its_rate():
    """Share of event i = λᵢ/Λ and P(any) = 1 − exp(−Λ dt), 20,000 cells, 3 standard errors."""
    rates = {"divide": 0.010, "die": 0.025, "necrose": 0.005}
    kind = Cell(layer="bulk", behaviors={name: Behavior(base=rate) for name, rate in rates.items()})
    of = lesion((1, 4, 4), cells={"tumor": kind}, fields={})
    tables = compile_tables(of, names_of(of, {}))
    n, total = 20_000, sum(rates.values())
    struck = np.zeros(3, np.int64)
    count_events(tables, make_dice(7, 1, 1), n, struck)
    any_event = 1 - math.exp(-total)
    assert abs(struck.sum() - n * any_event) < 3 * math.sqrt(n * any_event * (1 - any_event))
    for count, name in zip(struck, sorted(rates), strict=True):
        share = rates[name] / total
        assert abs(count - struck.sum() * share) < 3 * math.sqrt(struck.sum() * share * (1 - share))


@kernel(allocates=True)
def count_events(tables, dice, n, struck):
    """Ring the clocks of n cells once."""
    x = np.zeros(1)
    none = np.ones(1)
    for site in range(n):
        u, v = uniforms(dice, CLOCK, 1, 0, site)
        h = ring(tables, 1, x, none, none, u, v, 1.0)
        if h >= 0:
            struck[h] += 1


def test_waiting_times_are_exponential():
    """Cells alive after t steps follow exp(−λ t) at every checked time, 3 standard errors."""
    kind = Cell(layer="bulk", behaviors={"die": Behavior(base=0.03)})
    of = block(lesion((30, 30, 30), cells={"tumor": kind}, fields={}, tissue=Tissue(stroma=0.0, vessel=0.0)))
    for step in range(1, 61):
        of.advance(step, Inputs())
        if step in (10, 30, 60):
            alive, p = np.count_nonzero(of.state.bulk), math.exp(-0.03 * step)
            assert abs(alive - 27_000 * p) < 3 * math.sqrt(27_000 * p * (1 - p))


def test_birth_and_death_have_the_mean_variance_and_extinction_of_theory():
    """1,331 founders far apart; linear birth–death with λ = 0.025/h, μ = 0.02/h over 40 h in steps of 0.25 h.

    mean e^((λ−μ)t); variance (λ+μ)/(λ−μ) m (m−1); extinct μ(m−1)/(λm−μ)  (Kendall 1948,
    doi:10.1214/aoms/1177730285).  3 standard errors, plus the step's Λ dt of 1 % on the variance.
    """
    birth, death, hours, dt = 0.025, 0.02, 40.0, 0.25
    kind = Cell(
        layer="bulk",
        traits={"clone": 0.0},
        behaviors={"divide": Behavior(base=birth), "die": Behavior(base=death)},
    )
    of = block(
        lesion(
            (88, 88, 88),
            mode="nodule",
            cells_at_start=1,
            cells={"tumor": kind},
            fields={},
            tissue=Tissue(stroma=0.0, vessel=0.0, reach=4),
        ),
        step=Step(tissue=f"{dt} h", motility=f"{dt} h"),
    )
    grid = np.arange(4, 88, 8)
    sites = np.ravel_multi_index(np.meshgrid(grid, grid, grid, indexing="ij"), (88, 88, 88)).ravel()
    of.state.bulk[:] = 0
    of.state.bulk[sites] = of.kind("tumor")
    of.state.site_trait[sites, 0] = np.arange(len(sites))
    for step in range(1, round(hours / dt) + 1):
        of.advance(step, Inputs())
    clones = of.state.site_trait[of.state.bulk > 0, 0].astype(int)
    sizes = np.bincount(clones, minlength=len(sites))
    n, m = len(sites), math.exp((birth - death) * hours)
    variance = (birth + death) / (birth - death) * m * (m - 1)
    extinct = death * (m - 1) / (birth * m - death)
    assert abs(sizes.mean() - m) < 3 * math.sqrt(variance / n)
    kurtosis = np.mean((sizes - sizes.mean()) ** 4)
    assert abs(sizes.var() - variance) < 3 * math.sqrt((kurtosis - sizes.var() ** 2) / n) + 0.02 * variance
    assert abs(np.mean(sizes == 0) - extinct) < 3 * math.sqrt(extinct * (1 - extinct) / n)


def test_a_kill_takes_the_time_that_its_rate_says():
    """6 kills a day with 3 hits and a repair time of 50 min need 33 hits a day (a first-passage time)."""
    per_day = hit_rate(6 / 24, 3, 60 / 50) * 24
    assert per_day == pytest.approx(33.0, rel=0.01)
    h, r = per_day / 24, 60 / 50
    assert 3 / h + 2 * r / h**2 + r**2 / h**3 == pytest.approx(4.0, rel=1e-9)
    assert hit_rate(0.25, 1, 1.2) == 0.25
    assert hit_rate(0.0, 3, 1.2) == 0.0


@pytest.mark.parametrize("minutes", [4, 1])
def test_one_effector_in_permanent_contact_completes_its_kills(minutes):
    """Effectors that never move, each walled in by targets that regrow: kills per day = base, 4 % and 3 SE.

    A target that dies is replaced by hand, so that contact is permanent; a sub-step of 4 min adds the
    wait for its end to every kill.
    """
    effector = Cell(
        layer="lymphoid",
        behaviors={"kill": Behavior(base=6 / 24, targets="tumor", hits=3, repair="50 min", arrest="1000 d")},
    )
    target = Cell(layer="bulk", traits={"mhc1": 1.0}, behaviors={})
    of = block(
        lesion(
            (20, 20, 20),
            cells={"nk": effector, "tumor": target},
            fields={},
            tissue=Tissue(stroma=0.0, vessel=0.0, infiltrate={"nk": {"nest": "100 cells/mm2"}}),
        ),
        step=Step(motility=f"{minutes} min"),
    )
    effectors, hours = int(of.state.count[0]), 120
    for step in range(1, hours + 1):
        of.advance(step, Inputs())
        of.state.bulk[:] = of.kind("tumor")
    kills = of.state.kills.sum()
    expected = effectors * hours * 6 / 24
    assert abs(kills - expected) < 0.04 * expected + 3 * math.sqrt(expected)


def test_a_share_and_a_log_normal_start_with_their_moments():
    kinds = {
        "tumor": Cell(layer="bulk", traits={"a": Spread(share=0.3), "b": Spread(median=2.0, log_sd=0.5)})
    }
    of = block(lesion((30, 30, 30), cells=kinds, fields={}, tissue=Tissue(stroma=0.0, vessel=0.0)))
    a, b = of.state.site_trait[:, 0].astype(float), of.state.site_trait[:, 1].astype(float)
    n = len(a)
    assert abs(a.mean() - 0.3) < 3 * math.sqrt(0.21 / n)
    logs = np.log(b)
    assert abs(logs.mean() - math.log(2.0)) < 3 * 0.5 / math.sqrt(n)
    assert logs.std() == pytest.approx(0.5, rel=0.02)


def test_kills_of_short_arrests_do_not_depend_on_the_sub_step():
    """Effectors that arrest for 30 min and walk on: kills at 4 and at 1 min agree within 3 % and 3 SE."""
    effector = Cell(
        layer="lymphoid",
        behaviors={
            "kill": Behavior(base=6 / 24, targets="tumor", hits=3, repair="50 min", arrest="30 min"),
            "migrate": Behavior(base=15.0),
        },
    )
    cells = {"nk": effector, "tumor": Cell(layer="bulk", traits={"mhc1": 1.0}, behaviors={})}
    crowd = Tissue(stroma=0.0, vessel=0.0, infiltrate={"nk": {"nest": "160 cells/mm2"}})
    kills = []
    for minutes in (4, 1):
        of = block(
            lesion((20, 20, 20), walls="periodic", cells=cells, fields={}, tissue=crowd),
            step=Step(motility=f"{minutes} min"),
        )
        for step in range(1, 121):
            of.advance(step, Inputs())
            of.state.bulk[:] = of.kind("tumor")
        kills.append(int(of.state.kills.sum()))
    assert abs(kills[0] - kills[1]) < 0.03 * kills[1] + 3 * math.sqrt(sum(kills))
