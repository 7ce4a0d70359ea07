"""Survival statistics: published numbers of two classical data sets, a second source, and laws."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from simulator.base.errors import InputError
from simulator.clinic.survival import cox, kaplan_meier, log_rank

# Freireich et al. 1963, doi:10.1182/blood.V21.6.699.699: weeks in remission.
MP6 = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35.0])
MP6_EVENT = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], bool)
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23.0])
WEEKS, RELAPSED = np.r_[MP6, PLACEBO], np.r_[MP6_EVENT, np.ones(21, bool)]
TREATED = np.repeat([1.0, 0.0], 21)

DAYS, DIED, FEMALE, AGE = np.loadtxt(
    Path(__file__).parent / "data" / "lung.csv", delimiter=",", skiprows=2, unpack=True
)


def near(value, wanted, places):
    assert np.round(value, places) == pytest.approx(wanted, abs=0.51 * 10.0**-places)


# --- Kaplan–Meier ------------------------------------------------------------------------------------


def test_kaplan_meier_of_the_leukemia_trial():
    """Kalbfleisch & Prentice 2002, and Kleinbaum & Klein 2012, table 2.3."""
    curve = kaplan_meier(MP6, MP6_EVENT)
    times = [6, 7, 10, 13, 16, 22, 23]
    assert np.round(curve.at(times), 4).tolist() == [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert curve.number_at_risk(times).tolist() == [21, 17, 15, 12, 11, 7, 6]
    greenwood = np.array([0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346])
    low, high = curve.interval_at(times)
    at = curve.at(times)
    for bound, sign in ((low, 1), (high, -1)):
        z = sign * np.log(np.log(bound) / np.log(at)) * -at * np.log(at)
        assert np.abs(z / 1.959964) == pytest.approx(greenwood, abs=6e-5)


def test_medians_with_intervals():
    """R survival, survfit(conf.type = 'log-log')."""
    assert kaplan_meier(MP6, MP6_EVENT).quantile() == (23.0, 13.0, np.inf)
    assert kaplan_meier(PLACEBO, np.ones(21, bool)).quantile() == (8.0, 4.0, 11.0)
    for sex, wanted in ((0, (270, 210, 306)), (1, (426, 345, 524))):
        assert kaplan_meier(DAYS[FEMALE == sex], DIED[FEMALE == sex]).quantile() == wanted


def test_a_median_on_a_flat_step_is_its_middle():
    curve = kaplan_meier(np.array([1.0, 2, 3, 4]), np.ones(4, bool))
    assert curve.quantile()[0] == 2.5
    assert kaplan_meier(np.array([1.0, 5]), np.array([1, 0])).quantile()[0] == 1.0  # flat to the end
    assert kaplan_meier(np.array([1.0, 5]), np.zeros(2)).quantile()[0] == np.inf


def test_restricted_means():
    """R survival, print(survfit(...), rmean = 1022) for men; lifelines 0.30 for the rest."""
    men = kaplan_meier(DAYS[FEMALE == 0], DIED[FEMALE == 0])
    mean, error = men.restricted_mean(1022)
    near(mean, 326.0841, 4)
    near(error, 22.91156, 5)
    near(men.restricted_mean(365)[0], 241.495085, 6)
    near(kaplan_meier(DAYS[FEMALE == 1], DIED[FEMALE == 1]).restricted_mean(365)[0], 297.465410, 6)
    near(kaplan_meier(MP6, MP6_EVENT).restricted_mean(20)[0], 16.1165266, 7)


def test_the_error_of_a_restricted_mean_without_censoring_is_that_of_a_mean():
    mean, error = kaplan_meier(PLACEBO, np.ones(21, bool)).restricted_mean(20)
    lived = np.minimum(PLACEBO, 20)
    assert mean == pytest.approx(lived.mean()) and error == pytest.approx(lived.std() / np.sqrt(21))


def test_a_horizon_beyond_the_curve_is_an_error():
    with pytest.raises(InputError, match="ends on day 35"):
        kaplan_meier(MP6, MP6_EVENT).restricted_mean(36)
    assert kaplan_meier(PLACEBO, np.ones(21, bool)).restricted_mean(99)[0] == pytest.approx(PLACEBO.mean())


def test_nothing_is_said_beyond_the_last_time():
    curve = kaplan_meier(MP6, MP6_EVENT)
    assert np.isnan(curve.at(35.1)) and curve.at(35) == curve.at(23) and curve.at(5.9) == 1.0
    assert kaplan_meier(PLACEBO, np.ones(21, bool)).at(99) == 0.0


# --- comparison ---------------------------------------------------------------------------------------


def test_log_rank_of_the_leukemia_trial():
    """Kleinbaum & Klein 2012, table 2.6: 16.79; expected relapses 19.25 and 10.75."""
    test = log_rank(WEEKS, RELAPSED, np.where(TREATED, "6-MP", "placebo"))
    near(test.statistic, 16.793, 3)
    near(test.p_value * 1e5, 4.169, 3)
    assert test.observed.tolist() == [9, 21] and np.round(test.expected, 2).tolist() == [19.25, 10.75]


def test_log_rank_of_the_lung_trial():
    """R survival, survdiff: 112 and 53 deaths, 91.6 and 73.4 expected, 10.3 on 1 df, p = 0.001."""
    test = log_rank(DAYS, DIED, FEMALE)
    assert test.observed.tolist() == [112, 53] and np.round(test.expected, 1).tolist() == [91.6, 73.4]
    near(test.statistic, 10.32674, 5)
    near(test.p_value, 0.00131, 5)


@pytest.mark.parametrize(
    ("ties", "coefficient", "error", "likelihood"),
    [("efron", -1.57213, 0.41240, -85.00842), ("breslow", -1.50919, 0.40956, -86.37962)],
)
def test_cox_of_the_leukemia_trial(ties, coefficient, error, likelihood):
    """SAS PHREG and R coxph with both treatments of ties; statsmodels 0.15."""
    fit = cox(WEEKS, RELAPSED, TREATED, ties=ties)
    near(fit.coefficient[0], coefficient, 5)
    near(fit.error[0], error, 5)
    near(fit.log_likelihood, likelihood, 5)


def test_cox_of_the_lung_trial():
    """R survival, coxph(Surv(time, status) ~ sex) and ~ sex + age; lifelines 0.30."""
    fit = cox(DAYS, DIED, FEMALE)
    near(fit.coefficient[0], -0.5310, 4)
    near(fit.error[0], 0.1672, 4)
    assert np.round([fit.ratio[0], fit.low[0], fit.high[0]], 4).tolist() == [0.5880, 0.4237, 0.8160]
    near(fit.p_value[0], 0.00149, 5)
    two = cox(DAYS, DIED, np.column_stack([FEMALE, AGE]))
    assert np.round(two.coefficient, 6).tolist() == [-0.513219, 0.017045]
    assert np.round(two.error, 6).tolist() == [0.167458, 0.009223]


def test_an_arm_without_events_has_no_finite_ratio():
    time, event, arm = np.array([1.0, 2, 3, 9, 9, 9]), np.array([1, 1, 1, 0, 0, 0]), np.repeat([0, 1], 3)
    fit = cox(time, event, arm)
    assert fit.ratio[0] == 0.0 and np.isnan([fit.low[0], fit.high[0], fit.p_value[0]]).all()
    assert cox(time, event, 1 - arm).ratio[0] == np.inf


def test_what_cannot_be_compared_is_an_error_or_nothing():
    late = np.r_[10.0, 11, 1, 2], np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1])  # never at risk together
    for time, event, arm in ((MP6, MP6_EVENT, np.ones(21)), (MP6, np.zeros(21), np.arange(21)), late):
        with pytest.raises(InputError, match="needs events, and covariates that vary"):
            cox(time, event, arm)
    assert np.isnan(log_rank(MP6, MP6_EVENT, np.zeros(21)).p_value)
    for time, event in (([], []), ([1.0], [1, 0])):
        with pytest.raises(InputError, match="do not go with"):
            kaplan_meier(np.array(time), np.array(event))
    with pytest.raises(InputError, match="negative or unknown"):
        kaplan_meier(np.array([1.0, np.nan]), np.ones(2))


# --- laws -----------------------------------------------------------------------------------------------

PATIENTS = st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 1)), min_size=2, max_size=30)


def arrays(patients):
    time, event, group = (np.array(column) for column in zip(*patients, strict=True))
    return time.astype(float), event.astype(bool), group


@given(PATIENTS)
def test_survival_falls_from_one_and_stays_within_its_interval(patients):
    time, event, _ = arrays(patients)
    curve = kaplan_meier(time, event)
    assert (np.diff(np.r_[1.0, curve.survival]) <= 0).all() and (curve.survival >= 0).all()
    known = ~np.isnan(curve.low)
    assert (curve.low <= curve.survival + 1e-12)[known].all()
    assert (curve.survival <= curve.high + 1e-12)[known].all()
    assert curve.events.sum() + curve.censored.sum() == len(time)
    estimate, low, high = curve.quantile()
    assert low <= estimate <= high


@given(PATIENTS, st.randoms())
def test_the_order_of_patients_is_nothing(patients, random):
    shuffled = random.sample(patients, len(patients))
    (time, event, group), (time_2, event_2, group_2) = arrays(patients), arrays(shuffled)
    a, b = kaplan_meier(time, event), kaplan_meier(time_2, event_2)
    assert (a.survival == b.survival).all()
    first, second = log_rank(time, event, group), log_rank(time_2, event_2, group_2)
    assert first.statistic == pytest.approx(second.statistic, nan_ok=True)
    assert log_rank(time, event, 1 - group).statistic == pytest.approx(first.statistic, nan_ok=True)


@given(PATIENTS)
def test_observed_and_expected_events_sum_to_the_same(patients):
    time, event, group = arrays(patients)
    test = log_rank(time, event, group)
    assert test.observed.sum() == pytest.approx(test.expected.sum())
    assert np.isnan(test.statistic) or test.statistic >= 0


@given(PATIENTS, st.integers(0, 25))
def test_a_censored_patient_more_never_lowers_survival(patients, day):
    time, event, _ = arrays(patients)
    days = np.arange(int(time.max()) + 1)
    before = kaplan_meier(time, event).at(days)
    after = kaplan_meier(np.r_[time, float(day)], np.r_[event, False]).at(days)
    assert (after >= before - 1e-12).all()
    assert (after[days < time.min()] == 1).all()


@given(PATIENTS)
def test_without_censoring_survival_is_the_share_alive(patients):
    time, _, _ = arrays(patients)
    curve = kaplan_meier(time, np.ones(len(time)))
    assert curve.survival == pytest.approx([(time > t).mean() for t in curve.time])
    assert curve.restricted_mean(10)[0] == pytest.approx(np.minimum(time, 10).mean())


@given(PATIENTS, st.floats(0.1, 10))
def test_neither_the_unit_of_time_nor_the_name_of_an_arm_matters(patients, unit):
    time, event, group = arrays(patients)
    try:
        fit = cox(time, event, group)
    except InputError:
        assert np.isnan(log_rank(time, event, group).statistic)
        return
    assert cox(time * unit, event, group).ratio == pytest.approx(fit.ratio, rel=1e-6)
    assert cox(time, event, 1 - group).coefficient == pytest.approx(-fit.coefficient, rel=1e-5)


@given(PATIENTS)
def test_the_score_test_of_cox_is_the_log_rank_test_without_ties(patients):
    _, event, group = arrays(patients)
    time = np.arange(1.0, len(event) + 1)
    at_risk = np.array([(group[time >= t]).mean() for t in time])
    score = (group - at_risk)[event].sum()
    variance = (at_risk * (1 - at_risk))[event].sum()
    statistic = log_rank(time, event, group).statistic
    assert np.isnan(statistic) if variance == 0 else statistic == pytest.approx(score**2 / variance)
