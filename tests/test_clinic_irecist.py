"""iRECIST: the tables of Seymour 2017, the clarifications of the EORTC, and laws for any patient."""

import pytest
from clinics import MISSING, lesion_table
from hypothesis import given, strategies as st

from simulator.base.errors import InputError
from simulator.clinic import recist
from simulator.clinic.irecist import IResponse, assess, best, progression_day
from simulator.clinic.lesions import LesionTable
from simulator.clinic.policy import Policy

POLICY = Policy()
UNCONFIRMED = Policy(confirmation=False)  # Table 3 assumes that responses need no confirmation


def responses(sizes, policy=UNCONFIRMED, **more) -> str:
    return " ".join(visit.overall for visit in assess(lesion_table(sizes, **more), policy))


def one(*sums, policy=UNCONFIRMED, **more) -> str:
    return responses({"a liver": sums}, policy, **more)


# --- targets ------------------------------------------------------------------------------------------


def test_a_first_progression_is_unconfirmed_and_further_growth_confirms_it():
    assert one(50, 60) == "iUPD"
    assert one(50, 60, 65) == "iUPD iCPD"
    assert one(50, 60, 64.999) == "iUPD iUPD"


def test_increases_add_up_over_visits():
    """EORTC: 4 mm at one assessment and 2 mm at the next confirm."""
    assert one(50, 60, 64, 66) == "iUPD iUPD iCPD"


def test_shrinking_below_progression_resets_the_bar():
    assert one(50, 60, 55, 60) == "iUPD iSD iUPD"  # progression must come anew …
    assert one(50, 60, 55, 60, 65) == "iUPD iSD iUPD iCPD"  # … and be confirmed
    assert one(50, 60, 35, 41) == "iUPD iPR iPR"
    assert one(50, 60, 35, 42) == "iUPD iPR iUPD"  # from the nadir
    assert one(50, 60, 0) == "iUPD iCR"


def test_shrinking_that_stays_above_progression_is_unconfirmed_still():
    assert one(50, 70, 61) == "iUPD iUPD"


def test_the_window_is_inclusive_on_both_sides():
    def second(after, **window):
        return one(50, 60, 70, days=[-10, 56, 56 + after], policy=Policy(**window)).split()[1]

    assert [second(d) for d in (27.9, 28, 56, 56.1)] == ["iUPD", "iCPD", "iCPD", "iUPD"]
    assert second(84, irecist_window=("28 d", "84 d")) == "iCPD"


def test_a_window_that_ends_before_it_begins_is_an_error():
    with pytest.raises(InputError, match="earlier day first"):
        Policy(irecist_window=("56 d", "28 d"))


def test_a_visit_too_early_or_too_late_leaves_confirmation_to_the_next():
    assert one(50, 60, 66, 66, days=[-10, 56, 70, 84]) == "iUPD iUPD iCPD"
    assert one(50, 60, 66, 66, days=[-10, 56, 150, 190]) == "iUPD iUPD iCPD"


def test_a_visit_that_cannot_be_evaluated_leaves_it_open():
    window = Policy(confirmation=False, irecist_window=("28 d", "112 d"))
    assert one(50, 60, MISSING, 66, policy=window) == "iUPD NE iCPD"
    assert one(50, 60, MISSING, 55) == "iUPD NE iSD"


def test_growth_is_taken_from_lesions_read_at_both_visits():
    sizes = {"a liver": [50, 90, 90], "b lung": [20, MISSING, 20]}
    assert responses(sizes) == "iUPD iUPD"
    assert responses(sizes | {"a liver": [50, 90, 95]}) == "iUPD iCPD"


# --- other lesions --------------------------------------------------------------------------------------


def test_any_increase_of_non_targets_confirms_what_they_began():
    """EORTC: the increase need not be unequivocal again."""

    def two(then):
        sizes = {"a liver": [50, 50, 50], "b lung": [9, 13, then]}
        return responses(sizes, unequivocal={"b lung": [1, 2]})

    assert two(13) == "iUPD iUPD" and two(14) == "iUPD iCPD" and two(13.9) == "iUPD iUPD"


def test_progression_in_another_category_confirms():
    sizes = {"a liver": [50, 60, 60], "c lung": [0, 0, 7]}
    assert responses(sizes) == "iUPD iCPD"
    sizes = {"a liver": [50, 50, 60], "c lung": [0, 7, 7]}
    assert responses(sizes) == "iUPD iCPD"


def test_what_was_not_evaluated_takes_no_progression_back():
    by_others = {"a liver": [50, 50, 50], "b lung": [9, 13, MISSING]}
    assert responses(by_others, unequivocal={"b lung": [1]}) == "iUPD iUPD"
    by_a_new_one = {"a liver": [50, 50, 50], "c lung": [0, 12, MISSING]}
    assert responses(by_a_new_one) == "iUPD iUPD"
    assert responses({"a liver": [50, 50, 0], "c lung": [0, 12, MISSING]}) == "iUPD iPR"  # no iCR


# --- new lesions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ([0, 12, 12], "iUPD iUPD"),
        ([0, 12, 17], "iUPD iCPD"),  # measurable: 5 mm
        ([0, 12, 16.9], "iUPD iUPD"),
        ([0, 7, 8], "iUPD iCPD"),  # not measurable: any increase
        ([0, 7, 7], "iUPD iUPD"),
        ([0, 12, 0], "iUPD iSD"),  # gone
        ([0, 12, 16, 18], "iUPD iUPD iCPD"),  # added up
    ],
)
def test_growth_of_a_new_lesion(new, expected):
    assert responses({"a liver": [50] * len(new), "c lung": new}) == expected


def test_another_new_lesion_confirms():
    sizes = {"a liver": [50, 50, 50], "c lung": [0, 12, 12], "d skin": [0, 0, 3]}
    assert responses(sizes) == "iUPD iCPD"


def test_new_lesions_are_summed_apart():
    sizes = {"a liver": [50, 52, 54], "c lung": [0, 12, 13], "d lung": [0, 11, 12], "e lung": [0, 30, 30]}
    visits = assess(lesion_table(sizes), POLICY)
    assert [v.sum_um for v in visits] == [52000, 54000]
    assert [v.new_um for v in visits] == [42000, 43000]  # the two largest of the organ
    assert visits[1].overall == "iCPD"  # d, the third in the organ, grew: any increase


def test_scenarios_b_and_f_of_the_paper():
    """A new lesion does not preclude iPR where the targets shrink after it; without change it is iUPD."""
    b = {"a liver": [100, 100, 60, 50], "c lung": [0, 8, 8, 8]}
    assert responses(b) == "iUPD iPR iPR"
    f = {"a liver": [100, 60, 60, 60], "c lung": [0, 0, 8, 8]}
    assert responses(f) == "iPR iUPD iUPD"
    for shrunk, expected in ((55.001, "iUPD"), (55, "iPR")):  # within a category: by 5 mm
        assert responses(f | {"a liver": [100, 60, 60, shrunk]}) == f"iPR iUPD {expected}"


def test_no_complete_response_while_a_new_lesion_is_there():
    sizes = {"a liver": [50, 50, 0, 0], "c lung": [0, 8, 8, 0]}
    assert responses(sizes) == "iUPD iPR iCR"


def test_a_known_new_lesion_counts_again_only_by_progressing():
    """EORTC: after iSD or iPR a new iUPD needs further new lesions, or 20 % and 5 mm in the known ones."""
    known = {"a liver": [100, 100, 60, 60], "c lung": [0, 20, 20, 24]}
    assert responses(known) == "iUPD iPR iPR"
    assert responses(known | {"c lung": [0, 20, 20, 25]}) == "iUPD iPR iUPD"
    assert responses(known | {"d skin": [0, 0, 0, 3]}) == "iUPD iPR iUPD"


def test_a_lesion_that_reappears_after_icr_is_progression():
    assert one(30, 0, 2, 7) == "iCR iUPD iCPD"
    sizes = {"a liver": [30, 30, 0, 0, 0], "c lung": [0, 8, 0, 4, 5]}
    assert responses(sizes) == "iUPD iCR iUPD iCPD"


def test_a_partial_response_continues():
    assert one(100, 70, 70, 80, 80, 80, policy=POLICY) == "iPR iPR iPR iPR iPR"


def test_an_undone_progression_ends_a_continuing_partial_response():
    assert one(100, 60, 60, 75, 71, policy=POLICY) == "iPR iPR iUPD iSD"


# --- best response and progression-free survival ----------------------------------------------------------


def history(text: str) -> list[IResponse]:
    return [IResponse(56.0 * (i + 1), None, None, "", "", r) for i, r in enumerate(text.split())]


TABLE_3 = [
    ("iCR iCR iUPD iUPD iCPD", "iCR"),
    ("iUPD iPR iCR iCR iCPD", "iCR"),
    ("iUPD iPR iPR iUPD iCPD", "iPR"),
    ("iUPD iSD iPR iUPD iCPD", "iPR"),
    ("iUPD NE iPR iSD iCPD", "iPR"),
    ("iUPD iSD iSD iUPD iCPD", "iSD"),
    ("iUPD iCPD", "iCPD"),
    ("iUPD iUPD iCPD", "iCPD"),
    ("iUPD NE NE NE NE", "iUPD"),
]


@pytest.mark.parametrize(("visits", "response"), TABLE_3)
def test_table_3_of_the_paper(visits, response):
    assert best(history(visits), UNCONFIRMED) == response


def test_best_response_is_confirmed_where_the_protocol_asks():
    assert best(history("iUPD iPR iPR"), POLICY) == "iPR"
    assert best(history("iUPD iPR iUPD iPR"), POLICY) == "iSD"


@pytest.mark.parametrize(
    ("visits", "visit"),
    [
        ("iSD iUPD iCPD", 2),
        ("iUPD iUPD iCPD", 1),
        ("iUPD iSD iUPD iCPD", 3),
        ("iUPD NE iCPD", 1),
        ("iUPD NE NE", 1),  # no further assessment: the iUPD stands
        ("iUPD iUPD iUPD", 1),
        ("iUPD iSD", None),
        ("iPR NE", None),
    ],
)
def test_progression_dates_to_the_first_unconfirmed_one_of_its_run(visits, visit):
    assert progression_day(history(visits)) == (visit and 56.0 * visit)


def test_the_sequences_of_table_3_arise_from_lesions():
    assert one(50, 60, 35, 0, 0) == "iUPD iPR iCR iCR"
    assert one(50, 60, 55, 35) == "iUPD iSD iPR"
    assert one(50, 60, 55, 60, 66) == "iUPD iSD iUPD iCPD"
    assert one(50, 60, 62, 66) == "iUPD iUPD iCPD"
    assert one(50, 60, MISSING, MISSING) == "iUPD NE NE"


# --- laws -------------------------------------------------------------------------------------------------

SIZES = st.lists(st.sampled_from([0, 3, 8, 12, 30, 36, 45, 60, 80, MISSING]), min_size=5, max_size=5)


@st.composite
def tables(draw):
    names = ["b liver", "c lung", "n neck node", "d skin"]
    sizes = {name: [max(first, 0), *draw(SIZES)] for name in names for first in [draw(SIZES)[0]]}
    return lesion_table(
        {"a liver": [40, *draw(SIZES)]} | sizes, every=draw(st.sampled_from([21.0, 42.0, 56.0]))
    )


@given(tables(), st.booleans())
def test_progression_is_never_earlier_than_by_recist(table, confirmation):
    policy = Policy(confirmation=confirmation)
    plain = [r.day for r in recist.assess(table, policy) if r.overall == "PD"]
    immune = progression_day(assess(table, policy))
    assert immune is None or immune >= plain[0]
    confirmed = [r.day for r in assess(table, policy) if r.overall == "iCPD"]
    assert not confirmed or confirmed[0] >= plain[0] + policy.irecist_window[0]


@given(tables())
def test_both_agree_until_the_first_progression(table):
    plain, immune = recist.assess(table, POLICY), assess(table, POLICY)
    for a, b in zip(plain, immune, strict=False):
        if a.overall == "PD":
            assert b.overall == "iUPD"
            break
        assert b.overall == (a.overall if a.overall == "NE" else f"i{a.overall}")


@given(tables())
def test_a_confirmed_progression_comes_last_and_after_an_unconfirmed_one(table):
    letters = [r.overall for r in assess(table, POLICY)]
    assert "iCPD" not in letters[:-1]
    if letters and letters[-1] == "iCPD":
        run = [r for r in letters[:-1] if r != "NE"]
        assert run[-1] == "iUPD"


@given(tables())
def test_scans_after_the_last_do_not_change_the_past(table):
    letters = [r.overall for r in assess(table, POLICY)]
    earlier = LesionTable(table.lesions, table.days[:4], table.state[:4], table.um[:4])
    assert [r.overall for r in assess(earlier, POLICY)] == letters[:3]
