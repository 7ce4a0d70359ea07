"""RECIST 1.1: the guideline's own rules, its tables, and the sizes at which they turn."""

import itertools

import numpy as np
import pytest
from clinics import MISSING, lesion_table
from hypothesis import given, strategies as st

from simulator.base.errors import InputError
from simulator.clinic.lesions import STATES, Lesion, choose_targets, from_rows
from simulator.clinic.policy import Policy
from simulator.clinic.recist import Response, assess, best, overall
from simulator.clinic.settings import parse

POLICY = Policy()
UNCONFIRMED = Policy(confirmation=False)


def responses(table, policy=POLICY) -> list[str]:
    return [visit.overall for visit in assess(table, policy)]


def one(*sums, policy=POLICY, **more) -> list[str]:
    """Responses of a patient with a single liver target of these sizes."""
    return responses(lesion_table({"a liver": sums}, **more), policy)


# --- targets at baseline -------------------------------------------------------------------------


def chosen(sizes, **policy) -> list[str]:
    lesions = tuple(Lesion(name, organ, node) for name, organ, node, _ in sizes)
    um = np.array([round(1000 * mm) for *_, mm in sizes])
    return [lesions[k].name for k in choose_targets(lesions, um, Policy(**policy))]


def test_a_lesion_is_measurable_from_10_mm_and_a_node_from_15():
    sizes = [("a", "liver", False, 10.0), ("b", "lung", False, 9.999), ("n", "neck", True, 15.0)]
    assert chosen(sizes) == ["n", "a"]
    assert chosen([("n", "neck", True, 14.999), ("a", "liver", False, 10.0)]) == ["a"]


def test_at_most_five_targets_and_two_of_an_organ():
    sizes = [(f"{o}{i}", o, False, 40.0 - i) for o in ("liver", "lung", "spleen") for i in range(3)]
    assert sorted(chosen(sizes)) == ["liver0", "liver1", "lung0", "lung1", "spleen0"]


def test_paired_organs_and_all_nodes_are_one_organ():
    lungs = [("r", "right lung", False, 30.0), ("l", "lung, left", False, 20.0), ("m", "lung", False, 15.0)]
    assert chosen(lungs) == ["r", "l"]
    assert chosen([(f"n{i}", f"station {i}", True, 20.0 + i) for i in range(4)]) == ["n3", "n2"]


def test_representative_first_sees_every_organ_before_a_second_lesion():
    sizes = [
        *[(f"v{i}", "liver", False, 90.0 - i) for i in range(2)],
        *[(f"l{i}", "lung", False, 80.0 - i) for i in range(2)],
        *[(o, o, False, 12.0) for o in ("spleen", "skin", "adrenal")],
    ]
    assert chosen(sizes) == ["v0", "l0", "spleen", "skin", "adrenal"]
    assert chosen(sizes, targets="pure size") == ["v0", "v1", "l0", "l1", "spleen"]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(5, 60)), min_size=1, max_size=14)
)
def test_limits_hold_for_any_patient(found):
    sizes = [(str(i), organ, node, float(mm)) for i, (organ, node, mm) in enumerate(found)]
    site = {name: "nodes" if node else organ for name, organ, node, _ in sizes}
    able = [name for name, _, node, mm in sizes if mm >= (15 if node else 10)]
    for order in ("representative first", "pure size"):
        targets = chosen(sizes, targets=order)
        counts = [sum(site[t] == s for t in targets) for s in set(site.values())]
        assert len(targets) <= 5 and max(counts) <= 2 and set(targets) <= set(able)
        if len(targets) < 5:  # nothing that could be a target is left out
            assert all(sum(site[t] == site[name] for t in targets) == 2 for name in set(able) - set(targets))


def test_a_patient_without_measurable_disease_is_an_error():
    with pytest.raises(InputError, match="measurable"):
        assess(lesion_table({"a liver": [9.0, 9.0]}), POLICY)


# --- the turning points ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("baseline", "visit", "response"),
    [
        (100.0, 70.0, "PR"),  # exactly −30 %
        (100.0, 70.001, "SD"),
        (90.0, 63.0, "PR"),  # 0.7 × 90 is below 63 in binary
        (33.3, 23.31, "PR"),
        (100.0, 120.0, "PD"),  # exactly +20 %
        (100.0, 119.999, "SD"),
        (50.1, 60.12, "PD"),
        (25.0, 30.0, "PD"),  # +20 % and exactly 5 mm
        (20.0, 24.0, "SD"),  # +20 % but 4 mm
        (20.0, 24.999, "SD"),  # +25 % but not 5 mm
        (20.0, 25.0, "PD"),
        (30.0, 35.0, "SD"),  # 5 mm but +17 %
        (100.0, 0.0, "CR"),
    ],
)
def test_one_target_at_the_turning_points(baseline, visit, response):
    assert one(baseline, visit) == [response]


def test_progression_is_counted_from_the_nadir_baseline_included():
    assert one(100, 60, 71.999) == ["PR", "SD"]  # an unconfirmed PR does not continue
    assert one(100, 60, 72.0) == ["PR", "PD"]
    assert one(100, 110, 119.0, 120.0) == ["SD", "SD", "PD"]


def test_a_nadir_of_zero_is_five_millimeters_from_progression():
    sizes = {"a liver": [20, 0, 4.999], "b lung": [8, 8, 8]}  # a non-target keeps this from being a CR
    assert responses(lesion_table(sizes)) == ["PR", "PR"]
    sizes["a liver"] = [20, 0, 5]
    assert responses(lesion_table(sizes)) == ["PR", "PD"]


def test_nodes_under_10_mm_are_normal_and_leave_a_sum_in_a_complete_response():
    table = lesion_table({"a liver": [40, 0, 0], "n neck node": [20, 9.999, 9.999]})
    visits = assess(table, POLICY)
    assert [v.overall for v in visits] == ["CR", "CR"] and visits[0].sum_um == 9999
    assert responses(lesion_table({"a liver": [40, 0], "n neck node": [20, 10.0]})) == ["PR"]


def test_a_complete_response_comes_before_any_percentage():
    assert responses(lesion_table({"n neck node": [15, 4, 9.5]})) == ["CR", "CR"]  # +138 % over the nadir


def test_what_reappears_after_a_complete_response_is_progression():
    assert one(30, 0, 2.0) == ["CR", "PD"]
    assert responses(lesion_table({"n neck node": [20, 6, 10.0]})) == ["CR", "PD"]
    again = {"a liver": [30, 0, 0], "b lung": [8, 0, 3]}
    assert responses(lesion_table(again)) == ["CR", "PD"]
    partly = {"a liver": [30, 0, 3], "b liver": [20, 0, MISSING]}
    assert responses(lesion_table(partly)) == ["CR", "PD"]


def test_a_missing_target_is_not_evaluable_unless_the_rest_shows_progression():
    def two(second):
        return responses(lesion_table({"a liver": [50, second], "b lung": [20, MISSING]}))

    assert two(40) == ["NE"] and two(0) == ["NE"]
    assert two(83.999) == ["NE"] and two(84) == ["PD"]  # 1.2 × 70


def test_an_incomplete_sum_is_no_nadir():
    table = lesion_table({"a liver": [50, 50, 50], "b lung": [20, MISSING, 25]})
    assert responses(table) == ["NE", "SD"]  # 75 against 70, not against 50


def test_non_targets_decide_between_complete_and_partial_and_may_progress():
    targets = {"a liver": [50, 0]}
    assert responses(lesion_table(targets | {"b lung": [8, 8]})) == ["PR"]
    assert responses(lesion_table(targets | {"b lung": [8, MISSING]})) == ["PR"]
    assert responses(lesion_table(targets | {"b lung": [8, 0]})) == ["CR"]
    assert responses(lesion_table(targets | {"n neck node": [12, 9]})) == ["CR"]
    worse = lesion_table(targets | {"b lung": [8, 9]}, unequivocal={"b lung": [1]})
    assert responses(worse) == ["PD"]


def test_untold_progression_of_non_targets_needs_73_percent_more_of_all_disease():
    def grown(target, other):
        sizes = {
            "a liver": [20, target],
            "b liver": [20, 20],
            **{f"n{i} liver": [18, other] for i in range(6)},
        }
        return responses(lesion_table(sizes))

    assert grown(20, 21.5) == ["SD"]  # 70 % in volume
    assert grown(20, 23.0) == ["PD"]  # of all disease, 86 %
    few = {"a liver": [60, 60], "b liver": [9, 9], "c liver": [9, 14]}
    assert responses(lesion_table(few | {"b liver": [20, 20]})) == ["SD"]  # little beside the targets


def test_a_new_lesion_is_progression_whatever_the_rest_does():
    assert responses(lesion_table({"a liver": [50, 0], "c lung": [0, 4]})) == ["PD"]
    assert responses(lesion_table({"a liver": [50, 40], "n neck node": [8, 9.9]})) == ["SD"]
    assert responses(lesion_table({"a liver": [50, 40], "n neck node": [8, 10]})) == ["PD"]
    unseen = {"a liver": [50, 40], "c brain": [MISSING, 12]}  # not imaged at baseline
    assert responses(lesion_table(unseen)) == ["PD"]


def test_responses_end_with_the_first_progression():
    assert one(100, 130, 20, 20) == ["PD"]


OVERALL = """CR NONE no CR; CR CR no CR; CR NON-CR/NON-PD no PR; CR NE no PR; PR NON-CR/NON-PD no PR;
PR NE no PR; SD NON-CR/NON-PD no SD; SD NE no SD; NE NON-CR/NON-PD no NE; PD NONE no PD; PD CR yes PD;
CR PD no PD; SD PD yes PD; CR CR yes PD; NE PD no PD; NE CR yes PD"""


@pytest.mark.parametrize("row", OVERALL.replace("\n", " ").split("; "))
def test_table_1_of_the_guideline(row):
    target, non_target, new, response = row.split()
    assert overall(target, non_target, new == "yes") == response


# --- continuing PR (EORTC clarifications) ------------------------------------------------------------


def test_a_partial_response_continues_until_progression():
    assert one(165, 63, 65) == ["PR", "PR"]
    assert one(100, 70, 70, 80, 80, 80) == ["PR"] * 5
    assert one(100, 70, 70, 80, policy=Policy(continuing_pr=False)) == ["PR", "PR", "SD"]
    assert one(100, 70, 80, 80) == ["PR", "SD", "SD"]  # never confirmed
    assert one(100, 70, 80, policy=UNCONFIRMED) == ["PR", "PR"]
    assert one(100, 70, 70, 84) == ["PR", "PR", "PD"]


# --- best overall response ---------------------------------------------------------------------------


def history(text: str, every: float = 56.0) -> list[Response]:
    return [Response((i + 1) * every, None, "", "", False, r) for i, r in enumerate(text.split())]


TABLE_3 = {  # first and second visit: best response when each comes late, and when both come before 42 d
    "CR CR": ("CR", "NE"),
    "CR PD": ("SD", "PD"),
    "CR NE": ("SD", "NE"),
    "PR CR": ("PR", "NE"),
    "PR PR": ("PR", "NE"),
    "PR SD": ("SD", "NE"),
    "PR PD": ("SD", "PD"),
    "PR NE": ("SD", "NE"),
    "NE NE": ("NE", "NE"),
    "SD PD": ("SD", "PD"),
    "PD": ("PD", "PD"),
    "NE PD": ("PD", "PD"),
}


@pytest.mark.parametrize("visits", TABLE_3)
def test_table_3_of_the_guideline(visits):
    late, early = TABLE_3[visits]
    assert best(history(visits), POLICY) == late
    assert best(history(visits, every=20), POLICY) == early


def test_the_least_intervals_are_inclusive():
    def twice(first, second):
        return [r._replace(day=d) for r, d in zip(history("PR PR"), (first, second), strict=True)]

    assert best(twice(56, 84), POLICY) == "PR" and best(twice(56, 83.9), POLICY) == "SD"
    assert best(history("SD", 42), POLICY) == "SD" and best(history("SD", 41.9), POLICY) == "NE"
    assert best(history("PR", 30), UNCONFIRMED) == "PR"


@pytest.mark.parametrize(
    ("visits", "between", "response"),
    [
        ("PR NE PR", ("NE",), "PR"),
        ("PR NE PR", (), "SD"),
        ("PR SD PR", ("NE",), "SD"),
        ("PR SD PR", ("NE", "SD"), "PR"),
        ("PR SD NE PR PD", ("NE", "SD"), "PR"),
        ("PR SD PR PR", ("NE",), "PR"),  # confirmed by the last two
        ("CR NE CR", ("NE",), "CR"),
        ("PR PD", ("NE", "SD"), "SD"),
    ],
)
def test_what_may_stand_between_a_response_and_its_confirmation(visits, between, response):
    assert best(history(visits), Policy(may_stand_between=between)) == response


def test_progression_before_the_least_time_of_stable_disease():
    table = lesion_table({"a liver": [50, 50, 61]}, days=[-10, 28, 40])
    assert best(assess(table, POLICY), POLICY) == "PD"


LETTERS = st.lists(st.sampled_from(["CR", "PR", "SD", "NE"]), max_size=6)


@given(LETTERS, st.booleans())
def test_confirmation_never_improves_a_response(letters, progressed):
    visits = history(" ".join([*letters, *["PD"] * progressed]))
    order = ["CR", "PR", "SD", "PD", "NE"]
    strict, loose = best(visits, POLICY), best(visits, UNCONFIRMED)
    assert order.index(strict) >= order.index(loose)


# --- laws ----------------------------------------------------------------------------------------------

SUMS = st.lists(st.integers(0, 120), min_size=1, max_size=7)


@given(SUMS, st.integers(1, 9))
def test_a_smaller_scale_changes_nothing_but_the_absolute_rule(sums, factor):
    """Scaling up keeps every response except where 5 mm forbade progression."""
    small, large = one(50, *sums), one(50 * factor, *[s * factor for s in sums])
    for a, b in itertools.takewhile(lambda pair: pair[1] != "PD", zip(small, large, strict=False)):
        assert a == b


@given(SUMS)
def test_order_of_lesions_and_a_split_of_a_target_change_nothing(sums):
    sizes = {"a liver": [50, *sums], "b lung": [30, *sums[::-1]], "c skin": [8, *[8] * len(sums)]}
    table = lesion_table(sizes)
    backwards = lesion_table(dict(reversed(sizes.items())))
    assert responses(table) == responses(backwards)


@given(SUMS, st.data())
def test_a_scan_that_was_missed_never_brings_progression_forward(sums, data):
    missed = data.draw(st.integers(0, len(sums) - 1))
    full = one(50, *sums)
    gap = one(50, *[MISSING if i == missed else s for i, s in enumerate(sums)])
    if "PD" in gap:
        assert "PD" in full and full.index("PD") <= gap.index("PD")


# --- rows ----------------------------------------------------------------------------------------------


def test_rows_there_and_back():
    table = lesion_table(
        {"a liver": [20.5, 0, MISSING], "n neck node": [16, 12, 9], "c lung": [0, 0, 7]},
        unequivocal={"n neck node": [2]},
    )
    back = from_rows(table.rows(POLICY))
    assert back.lesions == table.lesions and back.days == table.days
    for name in ("state", "um", "unequivocal"):
        assert (getattr(back, name) == getattr(table, name)).all()
    assert [row["role"] for row in table.rows(POLICY)[:3]] == ["target", "target", "new"]


def test_too_small_to_measure_is_5_mm_and_rows_left_out_are_filled():
    rows = [
        {"day": -10, "lesion": "a", "organ": "liver", "state": "measured", "mm": 20},
        {"day": 56, "lesion": "a", "organ": "liver", "state": "too small"},
        {"day": 112, "lesion": "b", "organ": "lung", "state": "measured", "mm": 9},
    ]
    table = from_rows(rows)
    assert table.um[:, 0].tolist() == [20000, 5000, 0] and table.state[2, 0] == STATES.index("not evaluated")
    assert responses(table) == ["PR", "PD"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": "mesured"}, "Did you mean 'measured'"),
        ({"mm": None}, "size above 0 mm"),
        ({"mm": float("nan")}, "size above 0 mm"),
        ({"mm": -3.0}, "size above 0 mm"),
        ({"organ": None}, "lacks 'organ'"),
    ],
)
def test_a_row_that_cannot_be_used_is_an_error_that_says_so(change, message):
    row = {"day": 0, "lesion": "a", "organ": "liver", "state": "measured", "mm": 20.0}
    with pytest.raises(InputError, match=message) as raised:
        from_rows([row, {**row, "day": 56, **change}])
    assert "Row 2" in str(raised.value)


def test_a_lesion_twice_on_a_day_or_in_two_organs_is_an_error():
    row = {"day": 0, "lesion": "a", "organ": "liver", "state": "measured", "mm": 20.0}
    with pytest.raises(InputError, match="two rows on day 0"):
        from_rows([row, row])
    with pytest.raises(InputError, match="changes its organ"):
        from_rows([row, {**row, "day": 56, "organ": "lung"}])
    with pytest.raises(InputError, match="no row"):
        from_rows([])


def test_the_sum_of_every_visit_is_reported():
    visits = assess(lesion_table({"a liver": [50, 40, 45], "b lung": [20, 10, MISSING]}), POLICY)
    assert [v.sum_um for v in visits] == [50000, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"confirm_min": 28}, "has no unit; a time is expected"),
        ({"confirm_minimum": "28 d"}, "Did you mean 'confirm_min'"),
        ({"targets": "largest"}, "representative first"),
        ({"irecist_window": ["56 d", "28 d"]}, "earlier day first"),
        ({"may_stand_between": ["PD"]}, "NE"),
    ],
)
def test_a_switch_of_a_protocol_that_cannot_be_is_an_error(given, message):
    with pytest.raises(InputError, match=message):
        parse(Policy, given, "response")
    assert parse(Policy, {"confirm_min": "4 wk", "targets": "pure size"}, "response").confirm_min == 28
