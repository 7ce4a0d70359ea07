"""Living cells and antibodies in the body: closed forms, ledgers, published troughs."""

import logging
import math
import re

import numpy as np
import pytest
from bodies import pembrolizumab, plasma, product
from hypothesis import given, strategies as st
from scipy.integrate import solve_ivp

from simulator.base.errors import InputError
from simulator.body.course import Dose
from simulator.body.drugs import COMPARTMENTS, AntibodyExposure, CellDistribution

LN2 = math.log(2.0)
DOSE = 1.4e8


def dose(time=0.0, amount=DOSE, duration=0.5, drug="msc", unit="cells", number=1) -> Dose:
    return Dose(number, drug, time, amount, unit, duration)


def cells(given=None, doses=None, volume=80.0, **changes) -> CellDistribution:
    doses = [dose()] if doses is None else doses
    return CellDistribution("msc", given or product(**changes), doses, {"cxcl9": plasma()}, 3000.0, volume)


def follow(distribution: CellDistribution, hours: int, volume=80.0) -> CellDistribution:
    for t in range(hours):
        distribution.advance(float(t), float(t + 1), volume)
    return distribution


@pytest.mark.parametrize("hours", [1, 6, 24, 240])
def test_lung_and_blood_follow_their_closed_form(hours):
    """An infusion into lung and blood; the lung feeds the blood (validation: to 1e-6)."""
    given, length = product(), 0.5
    out = LN2 / given.lung_half_life + given.lung_release
    leaving = LN2 / given.blood_half_life
    to_lung = given.viability * given.lung_retention * DOSE / length
    to_blood = given.viability * (1 - given.lung_retention) * DOSE / length
    after = hours - length
    lung_end = to_lung / out * (1 - math.exp(-out * length))
    lung = lung_end * math.exp(-out * after)
    fed = given.lung_release * to_lung / out
    blood_end = (fed + to_blood) / leaving * (1 - math.exp(-leaving * length)) - fed / (leaving - out) * (
        math.exp(-out * length) - math.exp(-leaving * length)
    )
    blood = blood_end * math.exp(-leaving * after) + given.lung_release * lung_end / (leaving - out) * (
        math.exp(-out * after) - math.exp(-leaving * after)
    )
    got = follow(cells(), hours).cells()
    assert got["lung"] == pytest.approx(lung, rel=1e-9)
    assert got["blood"] == pytest.approx(blood, rel=1e-6)


def test_every_compartment_agrees_with_a_general_ode_solver():
    given, source, volume, end = product(), plasma(), 55.0, 31.0
    k = {name: LN2 / getattr(given, name) for name in ("lung_half_life", "blood_half_life", "half_life")}
    alive = given.viability * (
        1 - given.lung_retention * (1 - given.lung_release / (given.lung_release + k["lung_half_life"]))
    )
    share = given.tumor_fraction * volume / given.tumor_reference_volume / alive
    rate = {"lung": 0.9 * 0.85, "blood": 0.9 * 0.15, "dead": 0.1}

    def slope(t, x):
        lung, blood, tumor, liver, elsewhere, _, added = x
        flow = DOSE / 0.5 if t < 0.5 else 0.0
        out = k["blood_half_life"] * blood
        secreted = given.secretes["cxcl9"] * (lung + blood + source.spill * (liver + elsewhere))
        return [
            flow * rate["lung"] - (k["lung_half_life"] + given.lung_release) * lung,
            flow * rate["blood"] + given.lung_release * lung - out,
            share * out - k["half_life"] * tumor,
            (1 - share) * 0.6 * out - k["half_life"] * liver,
            (1 - share) * 0.4 * out - k["half_life"] * elsewhere,
            flow * rate["dead"] + k["lung_half_life"] * lung + k["half_life"] * (tumor + liver + elsewhere),
            secreted / 3e15 - LN2 / source.half_life * added,
        ]

    x = np.zeros(7)
    for a, b in ((0.0, 0.5), (0.5, end)):
        x = solve_ivp(slope, (a, b - 1e-12), x, "LSODA", rtol=1e-11, atol=1e-12).y[:, -1]
    got = follow(cells(given), int(end), volume)
    assert [got.cells()[name] for name in COMPARTMENTS] == pytest.approx(x[:6], rel=1e-7)
    assert got.plasma()["cxcl9"] == pytest.approx(x[6], rel=1e-7)


@pytest.mark.parametrize("volume", [8.0, 80.0, 800.0])
def test_the_tumor_fraction_of_the_dose_arrives(volume):
    got = follow(cells(), 600, volume)
    assert got.arrived[0, 0] == pytest.approx(DOSE * 3e-4 * volume / 80.0, rel=1e-9)
    assert got.arrived[1, 0] == pytest.approx(DOSE * 3e-4 / 80.0, rel=1e-9)


@given(st.lists(st.floats(0.0, 1e4), min_size=30, max_size=30))
def test_arrivals_per_ml_do_not_depend_on_the_burden(volumes):
    fixed, changing = cells(), cells()
    for t, volume in enumerate(volumes):
        fixed.advance(t, t + 1, 80.0)
        changing.advance(t, t + 1, volume)
        assert changing.arrivals == pytest.approx(fixed.arrivals, rel=1e-9)
        assert (changing.arrivals >= 0.0).all()


shares = st.floats(0.0, 1.0)
spans = st.floats(0.05, 500.0)


@given(
    st.fixed_dictionaries(
        {
            "viability": shares,
            "lung_retention": shares,
            "lung_half_life": spans.map("{} h".format),
            "lung_release": st.floats(0.0, 2.0).map("{} /h".format),
            "blood_half_life": spans.map("{} h".format),
            "liver_spleen_share": shares,
            "half_life": spans.map("{} h".format),
            "tumor_fraction": st.just(0.0),
        }
    ),
    st.lists(
        st.tuples(st.floats(0, 48), st.floats(1.0, 1e10), st.just(0.0) | st.floats(0.01, 12)),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.floats(0.0, 1e5), min_size=50, max_size=50),
)
def test_the_ledger_closes(changes, given_doses, volumes):
    doses = [dose(*row, number=i) for i, row in enumerate(sorted(given_doses), start=1)]
    got = cells(doses=doses, **changes)
    for t, volume in enumerate(volumes):
        got.advance(t, t + 1, volume)
        assert got.ledger_error(t + 1) < 1e-9
        assert min(got.cells().values()) > -1e-6


def test_dead_cells_in_the_bag_are_dead_from_the_start():
    got = cells(viability=0.7, doses=[dose(duration=0.0)])
    got.advance(0.0, 1e-5, 80.0)
    assert got.cells()["dead"] == pytest.approx(0.3 * DOSE, rel=1e-5)
    assert got.cells()["lung"] == pytest.approx(0.7 * 0.85 * DOSE, rel=1e-5)


def test_more_than_reaches_the_blood_cannot_reach_the_tumor():
    with pytest.raises(InputError, match="reaches the blood") as raised:
        cells(tumor_fraction=0.5)
    bound = float(re.search(r"at most ([\d.]+)", str(raised.value))[1])
    cells(tumor_fraction=bound)
    with pytest.raises(InputError):
        cells(tumor_fraction=1.002 * bound)
    with pytest.raises(InputError, match="at most 0"):
        cells(tumor_fraction=0.1, viability=0.0)


def test_a_tumor_that_outgrows_the_supply_takes_all_of_it_and_no_more(caplog):
    got = cells(tumor_fraction=0.1)
    with caplog.at_level(logging.WARNING, logger="simulator"):
        follow(got, 600, volume=800.0)
    assert len(caplog.records) == 1
    reaching = 0.9 * (0.15 + 0.85 * 0.005 / (0.005 + LN2 / 12))
    assert got.arrived[0, 0] == pytest.approx(DOSE * reaching, rel=1e-9)
    assert got.cells()["elsewhere"] == pytest.approx(0.0, abs=1e-6)
    assert got.ledger_error(600.0) < 1e-9


def test_a_product_without_a_dose_does_nothing():
    got = cells(doses=[dose(time=100.0)])
    before = {name: array.copy() for name, array in got.arrays().items()}
    follow(got, 100)
    assert all(np.array_equal(array, before[name]) for name, array in got.arrays().items())
    assert not any(part.none._propagators for part in got._parts)


def test_lung_cells_raise_plasma_cxcl9_as_defaults_say():
    """defaults.csv, msc.lung_cxcl9: 0.85 of 2e6/kg at 100 ng/1e6/d adds 0.12 ng/mL at its height."""
    ng_per_ml = 1e12 / 1e6  # cells secreting 1 ng/Mcell/d, in the field unit times um3 per hour
    given = product(
        viability=1.0,
        lung_half_life="1e6 h",
        lung_release="0 /h",
        tumor_fraction=0.0,
        secretes={"cxcl9": 100.0 / 24.0 * ng_per_ml},
        blood_half_life="0.001 h",
        half_life="0.001 h",
    )
    assert follow(cells(given), 20).plasma()["cxcl9"] == pytest.approx(0.12, rel=0.02)


def exposure(weight=76.8, days=126, **changes) -> list[float]:
    """Daily concentrations [ug/mL] of 200 mg every 21 days, each before the dose that is due."""
    doses = [dose(504.0 * i, 200.0, 0.5, "anti_pd1", "mg", i + 1) for i in range(days // 21)]
    antibody = AntibodyExposure(pembrolizumab(**changes), doses, weight)
    levels = [0.0]
    for t in range(24 * days):
        antibody.advance(float(t), float(t + 1))
        if (t + 1) % 24 == 0:
            levels.append(antibody.concentration)
    return levels


def test_pembrolizumab_reaches_its_published_troughs():
    levels = exposure()
    assert levels[21] == pytest.approx(12.7, rel=0.03)
    assert levels[126] == pytest.approx(28.5, rel=0.03)


def test_antibody_amounts_follow_weight_by_the_exponents():
    """Twice the weight with exponents 1 and 1 halves every concentration; with 0 and 0 nothing moves."""
    base = exposure(days=42)
    same = exposure(153.6, 42, clearance_exponent=0.0, volume_exponent=0.0)
    half = exposure(153.6, 42, clearance_exponent=1.0, volume_exponent=1.0)
    assert same == base
    assert [2 * level for level in half] == pytest.approx(base, rel=1e-12)
    assert exposure(153.6, 42)[21] < base[21]


def test_clearance_is_dose_over_area():
    antibody = AntibodyExposure(pembrolizumab(), [dose(0.0, 200.0, 0.5, "anti_pd1", "mg")], 76.8)
    area = 0.0
    for t in range(24 * 800):
        before = antibody.concentration
        antibody.advance(float(t), float(t + 1))
        area += (before + antibody.concentration) / 2
    assert 200.0 / area == pytest.approx(0.22 / 24, rel=2e-3)  # mg over mg/L·h


@pytest.mark.parametrize(("penetration", "expected"), [(1.0, 0.5), (1 / 3, 0.25), (0.0, 0.0)])
def test_occupancy_is_half_at_kd(penetration, expected):
    given = [dose(0.0, 200.0, 0.0, "anti_pd1", "mg")]
    antibody = AntibodyExposure(
        pembrolizumab(kd=f"{200 / 3.48 * 1e6 / 149000} nM", penetration=penetration), given, 76.8
    )
    assert antibody.occupancy == 0.0
    antibody.advance(0.0, 1e-9 * 2)
    assert antibody.occupancy == pytest.approx(expected, rel=1e-6)
