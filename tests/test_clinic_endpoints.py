"""Endpoints: what counts as an event, what is censored and when, and the tables a trial writes."""

import math

import numpy as np
import pytest
from clinics import MISSING, lesion_table
from hypothesis import given, strategies as st
from test_clinic_cohort import cohort, median_months

from simulator.clinic import tables
from simulator.clinic.endpoints import PARAMETERS, Outcome, TimeToEvent, judge, rows
from simulator.clinic.events import Events
from simulator.clinic.follow import Followed
from simulator.clinic.policy import Evaluation, Policy, ReadingError, ScanCalendar

POLICY = Policy()


def outcome(sums, death=None, clinical=None, end=None, policy=POLICY, **more) -> Outcome:
    """A patient with one liver target of these sizes, and other lesions in `more`."""
    table = lesion_table({"a liver": sums} | more)
    last = (end or table.days[-1] + 30) if death is None else death
    return judge("P1", "arm", Followed(table, Events(death, clinical, ()), last), policy)


def times(sums, **how) -> dict[str, tuple[float, bool]]:
    return {code: (t.days, t.event) for code, t in outcome(sums, **how).times.items()}


# --- events and censoring ---------------------------------------------------------------------------


def test_progression_is_dated_to_its_scan():
    found = outcome([50, 50, 61]).times["PFS"]
    assert found == TimeToEvent(112.0, True, "progression on a scan")


def test_clinical_progression_and_death_are_events_of_pfs():
    assert outcome([50, 50], clinical=80.0).times["PFS"] == TimeToEvent(80.0, True, "clinical progression")
    assert outcome([50, 50], death=80.0).times["PFS"] == TimeToEvent(80.0, True, "death")
    assert times([50, 61], death=70.0)["PFS"] == (56.0, True)


def test_without_an_event_pfs_is_censored_on_the_last_evaluable_scan():
    assert outcome([50, 50, 50]).times["PFS"] == TimeToEvent(
        112.0, False, "no event by the last evaluable scan"
    )
    assert times([50, 50, MISSING])["PFS"] == (56.0, False)
    assert outcome([50, MISSING]).times["PFS"] == TimeToEvent(0.0, False, "no evaluable scan after baseline")


def test_an_event_after_missed_scans_is_censored_before_them():
    assert times([50, 50, MISSING, 61])["PFS"] == (168.0, True)
    late = outcome([50, 50, MISSING, MISSING, 61]).times["PFS"]
    assert late == TimeToEvent(56.0, False, "2 missed scans before progression on a scan")
    assert times([50, MISSING, MISSING], death=130.0)["PFS"] == (0.0, False)
    assert times([50, 50, MISSING, MISSING, 61], policy=Policy(missed_scans=0))["PFS"] == (224.0, True)
    assert times([50, 50, MISSING, 61], policy=Policy(missed_scans=1))["PFS"] == (56.0, False)
    assert times([50, MISSING, MISSING], death=130.0)["OS"] == (130.0, True)  # survival has no scans


def test_survival_is_censored_alive_at_the_end():
    assert times([50, 50], end=100.0)["OS"] == (100.0, False)
    assert times([50, 50], death=90.0)["OS"] == (90.0, True)


def test_duration_counts_from_the_first_response_that_was_confirmed():
    assert times([50, 50, 30, 30, 61])["DOR"] == (112.0, True)
    assert times([50, 34, 36, 34, 34])["DOR"] == (56.0, False)  # the first PR was not confirmed
    assert "DOR" not in times([50, 30, 50]) and "DOR" not in times([50, 61])
    assert times([50, 34, 36], policy=Policy(confirmation=False))["DOR"] == (56.0, False)


def test_immune_progression_dates_to_the_first_unconfirmed_one_unless_undone():
    confirmed = times([50, 60, 66])
    assert confirmed["PFS"] == confirmed["IPFS"] == (56.0, True)
    undone = times([50, 60, 30, 30])
    assert undone["PFS"] == (56.0, True) and undone["IPFS"] == (168.0, False)
    assert times([50, 60, 30, 30], clinical=170.0)["IPFS"] == (170.0, True)
    assert outcome([50, 60, 30, 30]).best == "PD" and outcome([50, 60, 30, 30]).ibest == "iPR"


@given(
    st.lists(st.sampled_from([0.0, 20, 40, 50, 62, 80, MISSING]), min_size=1, max_size=7),
    st.sampled_from([None, 30.0, 150.0, 300.0]),
    st.sampled_from([None, 40.0, 200.0]),
)
def test_times_of_any_patient_keep_their_order(sums, death, clinical):
    found = outcome([50.0, *sums], death=death, clinical=clinical, policy=Policy(missed_scans=0)).times
    assert 0 <= found["PFS"].days <= max(found["OS"].days, found["IPFS"].days)
    assert found["IPFS"].days >= found["PFS"].days
    assert not found["IPFS"].event or found["PFS"].event
    if found["OS"].event:
        assert found["PFS"].event and found["PFS"].days <= found["OS"].days


# --- tables -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trial() -> list[Outcome]:
    return cohort(60, Evaluation(reading_error=ReadingError(), scans=ScanCalendar(window="5 d", missed=0.05)))


def test_adtte_rows(trial):
    found = rows(trial)
    assert {row["PARAMCD"] for row in found} <= set(PARAMETERS)
    assert [row["USUBJID"] for row in found if row["PARAMCD"] == "OS"] == [o.patient for o in trial]
    for row in found:
        assert row["AVAL"] >= 0 and row["AVALU"] == "DAYS" and row["CNSR"] in (0, 1) and row["EVNTDESC"]
    one = next(row for row in found if row["PARAMCD"] == "PFS")
    assert one["AVAL"] == trial[0].times["PFS"].days and one["CNSR"] == int(not trial[0].times["PFS"].event)


def test_adrs_and_adtr_rows(trial):
    adrs, adtr = tables.adrs(trial), tables.adtr(trial, POLICY)
    for o in trial:
        mine = [row for row in adrs if row["USUBJID"] == o.patient]
        by_code = {code: [r["AVALC"] for r in mine if r["PARAMCD"] == code] for code in ("OVRLRESP", "BOR")}
        assert by_code == {"OVRLRESP": [r.overall for r in o.responses], "BOR": [o.best]}
    base = [row for row in adtr if row["ADY"] < 0]
    assert len(base) == len(trial) and all(row["PCHG"] == 0 and row["AVAL"] == row["BASE"] for row in base)
    one = adtr[1]
    assert one["PCHG"] == pytest.approx(100 * (one["AVAL"] / one["BASE"] - 1))


def test_the_lesion_listing_sums_to_adtr(trial):
    listing, adtr = tables.lesions(trial, POLICY), tables.adtr(trial, POLICY)
    sums: dict[tuple, float] = {}
    for row in listing:
        if row["role"] == "target" and row["mm"] is not None:
            key = row["USUBJID"], row["day"]
            sums[key] = sums.get(key, 0.0) + row["mm"]
    assert all(row["AVAL"] == pytest.approx(sums[row["USUBJID"], row["ADY"]]) for row in adtr)


def test_rates_count_every_patient():
    found = [outcome([50, 0, 0]), outcome([50, 30, 30]), outcome([50, 50]), outcome([50, 61, 30, 30])]
    found.append(outcome([50, MISSING]))
    table = {(r["CRITERIA"], r["PARAMCD"]): r for r in tables.rates(found)}
    assert [table["RECIST 1.1", code]["COUNT"] for code in ("ORR", "DCR")] == [2, 3]
    assert [table["iRECIST", code]["COUNT"] for code in ("ORR", "DCR")] == [3, 4]
    orr = table["RECIST 1.1", "ORR"]
    assert orr["N"] == 5 and orr["AVAL"] == 0.4
    assert (orr["LOW"], orr["HIGH"]) == pytest.approx((0.0527, 0.8534), abs=5e-5)


def test_a_small_untreated_cohort_is_near_its_anchor(trial):
    """The anchor itself, with 2,000 patients, is a slow test."""
    best = [o.best for o in trial]
    assert "PR" not in best and "CR" not in best
    assert 1.5 < median_months(trial, "PFS") < 2.1 and 3.5 < median_months(trial, "OS") < 8


def test_arms_of_one_course_are_one():
    a, b = cohort(8), cohort(8)
    assert [(o.best, o.times) for o in a] == [(o.best, o.times) for o in b]
    assert not any(math.isnan(t.days) for o in a for t in o.times.values())
    assert len({o.times["OS"].days for o in a}) == 8
    assert np.isfinite([o.times["PFS"].days for o in a]).all()
