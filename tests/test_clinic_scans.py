"""From the course of a tumor to readings and events: sizes, calendar, reading error, hazards, pairing."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.base.errors import InputError
from simulator.clinic import events
from simulator.clinic.course import Course, from_volumes
from simulator.clinic.dice import Dice
from simulator.clinic.follow import follow
from simulator.clinic.lesions import STATES, Lesion
from simulator.clinic.policy import Evaluation, Hazards, Policy, ReadingError, ScanCalendar
from simulator.clinic.scans import scan, scan_days, with_new_lesions

LIVER = (Lesion("T1", "liver"),)
DICE = Dice(7, 3)
NOTHING = Hazards(new_lesion="0 /d", clinical_progression="0 /d", death="0 /d")


def course(*mm: float, step: float = 56.0, start: float = -10.0) -> Course:
    """One lesion with these diameters, the first on the baseline scan, the rest every `step` days."""
    days = np.r_[start, step * np.arange(1, len(mm))]
    return Course(LIVER, days, np.array(mm, float)[:, None])


def states(table) -> list[str]:
    return [STATES[code] for code in table.state[:, 0]]


# --- course -------------------------------------------------------------------------------------------


def test_a_diameter_is_the_cube_root_of_the_relative_volume():
    days = np.array([0.0, 50.0, 100.0])
    grown = from_volumes(LIVER, [30.0], days, np.array([[1.0], [8.0], [0.125]]), 0.0, [50.0])
    assert grown.mm[:, 0].tolist() == pytest.approx([30, 60, 15])


def test_between_baseline_and_day_zero_a_lesion_grows_with_its_doubling_time():
    found = from_volumes(LIVER, [40.0], [0.0, 50.0], np.array([[3.0], [6.0]]), -10.0, [50.0])
    assert found.days.tolist() == [-10, 0, 50]
    assert found.mm[:, 0] == pytest.approx([40, 40 * 2 ** (10 / 150), 40 * 2 ** (60 / 150)])


def test_a_lesion_without_tumor_cells_is_gone_whatever_debris_it_holds():
    cells = np.array([[9], [0], [4]])
    found = from_volumes(LIVER, [40.0], [0.0, 7.0, 14.0], np.ones((3, 1)), 0.0, [50.0], cells)
    assert found.mm[:, 0].tolist() == [40, 0, 40]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volume": np.ones((3, 1))}, "do not fit 2 days and 1 lesion"),
        ({"volume": np.array([[1.0], [math.nan]])}, "negative, unknown"),
        ({"volume": np.array([[0.0], [1.0]])}, "zero at the start"),
        ({"doubling_days": [0.0]}, "not above 0"),
        ({"days": [7.0, 7.0]}, "ascend"),
        ({"days": [-20.0, 7.0]}, r"baseline scan \(day -10\)"),
    ],
)
def test_what_is_no_course_is_an_error(change, message):
    right = {"days": [0.0, 7.0], "volume": np.ones((2, 1)), "doubling_days": [50.0]}
    with pytest.raises(InputError, match=message):
        from_volumes(LIVER, [40.0], baseline_day=-10.0, **{**right, **change})


# --- scans --------------------------------------------------------------------------------------------


def test_scans_fall_every_eight_weeks_after_a_baseline_ten_days_before_treatment():
    days = scan_days(ScanCalendar(), 200.0, DICE)
    assert days == [(-10.0, True), (56.0, True), (112.0, True), (168.0, True)]
    assert [d for d, _ in scan_days(ScanCalendar(every="42 d"), 126.0, DICE)] == [-10, 42, 84, 126]


def test_windows_and_missed_scans_are_by_dice():
    calendar = ScanCalendar(window="7 d", missed=0.3)
    days = [scan_days(calendar, 600.0, Dice(1, patient)) for patient in range(200)]
    shifts = np.array([[day - 56 * k for k, (day, _) in enumerate(found) if k][:9] for found in days])
    assert np.abs(shifts).max() <= 7 and abs(shifts.mean()) < 3 * 7 / math.sqrt(3 * shifts.size)
    missed = np.array([not done for found in days for _, done in found[1:]])
    assert abs(missed.mean() - 0.3) < 3 * math.sqrt(0.21 / missed.size)
    assert all(found[0] == (-10.0, True) for found in days)


def test_windows_that_overlap_are_an_error():
    with pytest.raises(InputError, match="change places"):
        ScanCalendar(every="14 d", window="7 d")


def test_readings_by_size():
    table = scan(course(40, 9.5, 5.0, 4.99, 2.0, 1.99, 0), ScanCalendar(), 400.0, DICE)
    assert states(table) == ["measured"] * 3 + ["too small"] * 2 + ["absent"] * 2
    assert table.um[:, 0].tolist() == [40000, 9500, 5000, 5000, 5000, 0, 0]


def test_no_scan_after_follow_up_ends_and_a_missed_one_is_not_evaluated():
    assert scan(course(40, 50, 60, 70), ScanCalendar(), 112.0, DICE).days == (-10, 56, 112)
    table = scan(course(40, *[50] * 40), ScanCalendar(missed=0.5), 2000.0, DICE)
    assert {"not evaluated", "measured"} == set(states(table)) and states(table)[0] == "measured"


def test_reading_errors_have_the_spread_that_is_claimed_and_a_reader_of_their_own():
    error, size = ReadingError(reader=0.0), 50.0
    steady = course(*[size] * 11)
    read = np.array(
        [scan(steady, ScanCalendar(), 560.0, Dice(5, k), error).um[:, 0] / 1000 for k in range(400)]
    )
    spread = math.hypot(1.5, 0.03 * size)
    assert abs(read.mean() - size) < 4 * spread / math.sqrt(read.size)
    assert read.std() == pytest.approx(spread, rel=4 / math.sqrt(2 * read.size))
    biased = ReadingError(sd="0 mm", relative=0.0)
    own = np.array([scan(steady, ScanCalendar(), 560.0, Dice(5, k), biased).um[:, 0] for k in range(400)])
    assert (own == own[:, :1]).all()  # one reader a patient, at every scan
    assert (own[:, 0] / 1000 / size - 1).std() == pytest.approx(0.056, rel=4 / math.sqrt(400))


def test_no_reading_error_makes_a_lesion_come_or_go():
    error = ReadingError(sd="20 mm")
    for patient in range(30):
        dice = Dice(6, patient)
        assert set(states(scan(course(40, *[0.0] * 5), ScanCalendar(), 280.0, dice, error))[1:]) == {"absent"}
        assert "absent" not in states(scan(course(40, *[6.0] * 5), ScanCalendar(), 280.0, dice, error))


def test_a_lesion_that_comes_is_absent_before_and_grows_with_the_others():
    grown = with_new_lesions(course(30, 40, 50, 60), [60.0], NOTHING)
    assert [lesion.name for lesion in grown.lesions] == ["T1", "new 1"] and grown.lesions[1].organ == "liver"
    table = scan(grown, ScanCalendar(), 200.0, DICE)
    assert states(table) == ["measured"] * 4 and table.um[:2, 1].tolist() == [0, 0]
    at_birth = np.interp(60.0, [56, 112], [40, 50])
    assert table.um[2, 1] == round(1000 * 10 * 50 / at_birth)


# --- events ---------------------------------------------------------------------------------------------


def steady(mm: float, days: int = 4000) -> Course:
    return Course(LIVER, np.arange(-10.0, days, 30.0), np.full((len(range(-10, days, 30)), 1), mm))


def deaths(hazards: Hazards, mm: float, ecog: int, patients: int = 600) -> np.ndarray:
    body = steady(mm)
    found = [events.draw(body, body.mm[:, 0], ecog, hazards, Dice(2, k)).death for k in range(patients)]
    return np.array([math.inf if day is None else day for day in found])


@pytest.mark.parametrize(("mm", "ecog"), [(86.0, 0), (86.0, 2), (150.0, 1), (20.0, 1)])
def test_time_to_death_is_exponential_at_the_stated_hazard(mm, ecog):
    rate = 0.0016 * (mm / 86) ** 1.5 * math.exp(0.6 * (ecog - 0.8))
    found = np.sort(deaths(NOTHING.model_copy(update={"death": 0.0016}), mm, ecog))
    share = -np.expm1(-rate * found)
    steps = np.arange(1, len(found) + 1) / len(found)
    assert np.abs(share - steps)[found < 3900].max() < 1.63 / math.sqrt(len(found))  # Kolmogorov, 1 %


def test_a_tumor_that_is_gone_kills_nobody_and_one_that_shrinks_brings_nothing_new():
    cured = course(40, *[0.0] * 50)
    assert events.draw(cured, cured.mm[:, 0], 2, Hazards(death="10 /d"), DICE).death < 56
    assert events.draw(cured, np.zeros(51), 2, Hazards(death="10 /d"), DICE) == events.Events(None, None, ())
    shrinking = course(*np.linspace(80, 20, 40))
    often = Hazards(new_lesion="1 /d", clinical_progression="1 /d", death="0 /d")
    assert events.draw(shrinking, shrinking.mm[:, 0], 0, often, DICE) == events.Events(None, None, ())


def test_new_lesions_and_clinical_progression_come_at_their_rates_while_the_tumor_grows():
    up_and_down = course(*([30, 40] * 10), step=50.0)  # grows in ten of nineteen intervals
    body = up_and_down._replace(days=np.arange(20) * 50.0)
    found = [events.draw(body, body.mm[:, 0], 0, Hazards(death="0 /d"), Dice(3, k)) for k in range(1500)]
    counts = np.array([len(f.new_lesions) for f in found])
    assert abs(counts.mean() - 1.5) < 3 * math.sqrt(1.5 / len(counts))
    assert counts.var() == pytest.approx(1.5, rel=0.15)
    came = np.mean([f.clinical_progression is not None for f in found])
    assert abs(came + math.expm1(-1.5)) < 3 * math.sqrt(0.2 * 0.8 / len(found))
    days = np.array([day for f in found for day in f.new_lesions])
    assert (np.floor(days / 50) % 2 == 0).all()


@given(st.integers(0, 2**40), st.floats(1.0, 3.0))
def test_whoever_has_less_tumor_never_dies_sooner(patient, factor):
    dice = Dice(1, patient)
    small, large = steady(50.0), steady(50.0 * factor)
    late, soon = (events.draw(c, c.mm[:, 0], 1, Hazards(), dice).death or 1e9 for c in (small, large))
    assert soon <= late


def test_arms_share_their_dice_until_the_tumor_differs():
    """One scan more, an event less or another lesion moves no other roll."""
    one = course(40, 41, 42, 43, 44)
    two = Course((*LIVER, Lesion("T2", "lung")), one.days, one.mm * [1.0, 0.5])
    error, calendar = ReadingError(), ScanCalendar(window="5 d")
    first, second = (scan(c, calendar, 220.0, DICE, error) for c in (one, two))
    short = scan(one, calendar, 120.0, DICE, error)
    assert (second.um[:, 0] == first.um[:, 0]).all() and second.days == first.days
    assert (short.um == first.um[: len(short.days)]).all()
    other = scan(one, calendar, 220.0, Dice(7, 4), error)
    assert (other.um != first.um).all()


def test_what_happens_before_a_course_differs_is_the_same():
    grid = np.arange(-10.0, 700.0, 2.0)
    grown = 40 * np.exp2((grid + 10) / 150)
    treated = np.where(grid <= 200, grown, np.interp(200, grid, grown) * np.exp2(-(grid - 200) / 150))
    for patient in range(30):
        dice = Dice(4, patient)
        a, b = (follow(Course(LIVER, grid, mm[:, None]), 1, Evaluation(), dice) for mm in (grown, treated))
        early = [[day for day in f.events.new_lesions if day <= 200] for f in (a, b)]
        assert early[0] == early[1]
        if min(a.end, b.end) <= 200:
            assert a.events.death == b.events.death
        assert a.end <= b.end


def test_a_patient_is_followed_to_death_or_the_end_and_not_scanned_after_clinical_progression():
    body = course(*np.linspace(60, 120, 20))
    for patient in range(60):
        seen = follow(body, 1, Evaluation(), Dice(9, patient))
        assert seen.end == min(seen.events.death or 1e9, body.end)
        assert seen.table.days[-1] <= min(seen.end, seen.events.clinical_progression or 1e9)


def test_every_switch_is_recorded():
    switches = Evaluation(reading_error=ReadingError()).recorded()
    assert switches["response.confirm_min"] == 28 and switches["scans.every"] == 56
    assert switches["hazards.death"] == 0.0016 and switches["reading_error.sd"] == 1.5
    assert len(switches) == 9 + 4 + 8 + 3 and "hazards.death" in Evaluation().recorded()


def test_a_calendar_that_irecist_cannot_confirm_on_is_noted():
    assert Evaluation().notes() == []
    (note,) = Evaluation(scans=ScanCalendar(window="7 d")).notes()
    assert "up to 70 d apart" in note and "[28 d, 70 d]" in note
    wide = Policy(irecist_window=("28 d", "70 d"))
    assert Evaluation(wide, ScanCalendar(window="7 d")).notes() == []
