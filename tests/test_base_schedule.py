"""Schedules: every time once, whatever the steps; text that reads back."""

import math

import pytest
from hypothesis import given, strategies as st

from simulator.base import schedule
from simulator.base.errors import InputError
from simulator.base.schedule import At, Every

periods = st.sampled_from([1 / 15, 0.1, 1 / 3, 0.7, 1.0, 6.0, 24.0, 24.1, 168.0, 504.0])
starts = st.sampled_from([0.0, 0.1, 1 / 3, 12.0, 24.0])
steps = st.sampled_from([1 / 15, 0.1, 0.25, 1 / 3, 1.0, 7.0])


@given(periods, starts, steps)
def test_steps_one_after_another_meet_every_time_once(period, start, dt):
    """Step ends carry rounding (0.1 * 3 > 0.3); no time is lost or named twice."""
    rule, count = Every(period, start), 400
    met = [t for step in range(count) for t in rule.due(step * dt, (step + 1) * dt)]
    assert met == rule.due(0.0, count * dt)
    assert met == [start + k * period for k in range(len(met))]
    assert start + len(met) * period >= count * dt - 1e-5


@given(st.lists(st.floats(0, 100), max_size=20), steps)
def test_a_list_of_times_is_met_once_each(times, dt):
    rule, count = At(times), math.ceil(101 / dt)
    assert [t for step in range(count) for t in rule.due(step * dt, (step + 1) * dt)] == sorted(set(times))


@given(periods, starts, st.integers(0, 3000), steps)
def test_is_due_agrees_with_due(period, start, step, dt):
    rule = Every(period, start)
    assert rule.is_due(step, dt) == (len(rule.due(step * dt, (step + 1) * dt)) > 0)


@given(periods, st.integers(0, 10**6))
def test_a_multiple_is_due_in_the_step_that_begins_with_it(period, k):
    """Multiples do not drift: the millionth is where the product says."""
    assert Every(period).due(k * period, k * period + period / 2) == [k * period]


def test_a_time_before_the_interval_is_not_due_and_its_end_belongs_to_the_next():
    rule = Every(24.0)
    assert rule.due(0.0, 24.0) == [0.0]
    assert rule.due(24.0, 48.0) == [24.0]
    assert rule.due(1.0, 24.0) == []
    assert At([5.0]).due(5.0, 5.0) == []


def test_the_last_time_of_a_schedule_is_its_stop():
    assert Every(504.0, 0.0, 5 * 504.0).due(0.0, 1e5) == [504.0 * k for k in range(6)]
    assert Every(0.1, 0.0, 0.3).due(0.0, 10.0) == [0.0, 0.1, 0.2, 0.1 * 3]
    assert Every(24.0, 7.0, 7.0).due(0.0, 100.0) == [7.0]


def test_times_are_kept_ascending_and_once():
    assert At([48.0, 0.0, 48.0]).times == (0.0, 48.0)
    assert At([48.0, 0.0]) == At([0.0, 48.0])


def test_an_endless_schedule_has_no_list():
    with pytest.raises(ValueError, match="endless"):
        Every(1.0).due(0.0, math.inf)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("every 1 d", Every(24.0)),
        ("Every 21 d", Every(504.0)),
        ("every 4 min", Every(4 / 60)),
        ("every 21 d from 7 d", Every(504.0, 168.0)),
        ("every 7 d from 0 d until 35 d", Every(168.0, 0.0, 840.0)),
        ("at 0 d, 21 d, 42 d", At([0.0, 504.0, 1008.0])),
        ("at 12 h", At([12.0])),
        (["42 d", "0 d"], At([0.0, 1008.0])),
        ([], At([])),
        ("never", At([])),
    ],
)
def test_parse(text, rule):
    assert schedule.parse(text) == rule


halves = st.integers(1, 1000).map(lambda n: n * 0.5)


@given(halves, st.integers(0, 100), st.none() | st.integers(100, 200), st.lists(halves, max_size=5))
def test_what_a_schedule_says_is_read_back(period, start, stop, times):
    for rule in (Every(period, float(start), math.inf if stop is None else float(stop)), At(times)):
        assert schedule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    "text",
    [
        "1 d", "daily", "", "every", "every day", "every 0 d", "every -1 d", "every 5", "every 5 um",
        "every 1e-9 h", "every 1 d from", "every 1 d until -1 d", "every 1 d from 5 d until 2 d", "at",
        "at 0 d,", "at -1 d", "at 5", ["5"], [24], 24, None, True,
    ],
)  # fmt: skip
def test_refused(text):
    with pytest.raises(InputError) as error:
        schedule.parse(text)
    assert error.value.problems[0].help
