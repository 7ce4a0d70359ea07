"""Errors: where, what, what to do; one shape for one problem or many."""

import pytest
from hypothesis import given, strategies as st

from simulator.base.errors import InputError, Location, Problem, SimulatorError, did_you_mean


def test_a_problem_shows_place_line_caret_and_help():
    where = Location("demo.yaml", 3, 7, "seed: -1")
    assert str(Problem("-1 is negative.", "Give 0 or more.", where)) == (
        "demo.yaml:3:7: -1 is negative.\n    seed: -1\n          ^\n    Give 0 or more."
    )


@given(st.integers(1, 40), st.text(alphabet="ab: ", min_size=40, max_size=60))
def test_the_caret_stands_under_the_column(column, text):
    shown = str(Problem("wrong", where=Location("f", 1, column, text))).splitlines()
    assert shown[1][shown[2].index("^")] == text[column - 1]


def test_a_place_without_its_line_has_no_caret():
    assert str(Problem("wrong", where=Location("f", 2, 5))) == "f:2:5: wrong"


def test_a_word_of_the_command_line_has_neither_position_nor_caret():
    where = Location("--set seed=-1", 0, 1, "-1")
    assert str(Problem("-1 is negative.", "Give 0 or more.", where)) == (
        "--set seed=-1: -1 is negative.\n    Give 0 or more."
    )


def test_an_input_error_takes_text_one_problem_or_many():
    assert InputError("wrong", "do this").problems == [Problem("wrong", "do this")]
    assert InputError(Problem("wrong")).problems == [Problem("wrong")]
    many = [Problem("first"), Problem("second", "do this")]
    error = InputError(iter(many))
    assert error.problems == many
    assert str(error) == "first\nsecond\n    do this"


def test_exit_codes():
    assert SimulatorError.exit_code == 1
    assert InputError.exit_code == 2
    with pytest.raises(SimulatorError):
        raise InputError("wrong")


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("cdb8", ["cd4", "cd8", "nk"], "Did you mean 'cd8'?"),
        ("tumour", ["tumor", "stroma"], "Did you mean 'tumor'?"),
        ("zzz", ["nk", "msc", "cd8"], "Allowed: cd8, msc, nk."),
        ("zzz", [], ""),
    ],
)
def test_did_you_mean(name, options, sentence):
    assert did_you_mean(name, options) == sentence
    assert did_you_mean(name, reversed(options)) == sentence


def test_a_long_list_is_cut():
    options = [f"name{k:02}" for k in range(20)]
    assert did_you_mean("zzz", options) == f"Allowed: {', '.join(options[:12])} and 8 more."


@given(st.text(max_size=8), st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30, unique=True))
def test_a_suggestion_is_always_an_option(name, options):
    sentence = did_you_mean(name, options)
    assert any(option in sentence for option in options)
    if name in options:
        assert sentence == f"Did you mean '{name}'?"
