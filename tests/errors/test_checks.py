"""A wrong option is an error that lists what is allowed, and never a number."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest

from tb_modelcompare import similarity
from tb_modelcompare.errors import ActivationError, OptionError, ProbeError
from tb_modelcompare.errors.checks import number, one_of, only_known, true_or_false, whole
from tb_modelcompare.similarity import MEASURES, MomentStream, compare, refine


def test_a_word_of_the_list_is_taken():
    assert one_of("form", "angle", ("angle", "distance")) == "angle"
    assert one_of("form", np.str_("angle"), ("angle", "distance")) == "angle"


@pytest.mark.parametrize("value", ["Angle", "angl", "", None, 1, ["angle"], np.zeros(2)])
def test_another_word_is_an_error_that_lists_the_words(value):
    with pytest.raises(OptionError, match=r"form is .*; it must be 'angle' or 'distance'\."):
        one_of("form", value, ("angle", "distance"))


def test_whoever_catches_activation_errors_catches_options_as_well():
    assert issubclass(OptionError, ActivationError)


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.uint8(2)])
def test_whole_numbers_are_taken_as_int(value):
    assert whole("k", value, least=1, most=7) == value
    assert type(whole("k", value)) is int


@pytest.mark.parametrize(
    "value", [0, -1, 8, 2.5, 2.0, True, np.True_, "3", None, np.nan, np.inf, [1], np.array([1])]
)
def test_what_is_no_whole_number_within_the_bounds(value):
    with pytest.raises(OptionError, match=r"k is .*; it must be a whole number at least 1 and at"):
        whole("k", value, least=1, most=7)


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.25), Fraction(1, 3)])
def test_numbers_are_taken_as_float(value):
    assert number("share", value, above=0.0, most=1.0) == float(value)
    assert type(number("share", value)) is float


@pytest.mark.parametrize(
    "value",
    [
        *(np.nan, -np.nan, np.inf, -np.inf, 0.0, -1e-300, 1.0 + 1e-15, 10**400),
        *(True, np.True_, "0.5", None, 1j, [0.5], np.array([0.5])),
    ],
)
def test_what_is_no_finite_number_within_the_bounds(value):
    with pytest.raises(
        OptionError, match=r"share is .*; it must be a finite number above 0 and at most 1\."
    ):
        number("share", value, above=0.0, most=1.0)


def test_bounds_that_may_and_may_not_be_reached():
    assert number("rcond", 0.0, least=0.0, below=1.0) == 0.0
    for value in (-1e-9, 1.0):
        with pytest.raises(OptionError, match="at least 0 and below 1"):
            number("rcond", value, least=0.0, below=1.0)


@pytest.mark.parametrize("value", [0, 1, "none", "", None, [], np.zeros(1, bool)])
def test_what_is_neither_true_nor_false(value):
    assert true_or_false("frozen", True) is true_or_false("frozen", np.True_) is True
    with pytest.raises(OptionError, match=r"frozen is .*; it must be True or False"):
        true_or_false("frozen", value)


def test_large_bounds_are_shown_with_every_digit():
    with pytest.raises(OptionError, match="at most 9007199254740991"):
        whole("step", 2**53, most=2**53 - 1)


def test_the_caller_names_the_error():
    for check in (
        lambda: one_of("o", 1, ("a",), error=ProbeError),
        lambda: whole("o", 0.5, error=ProbeError),
        lambda: number("o", np.nan, error=ProbeError),
        lambda: true_or_false("o", 1, error=ProbeError),
    ):
        with pytest.raises(ProbeError):
            check()


def test_a_long_value_does_not_flood_the_message():
    with pytest.raises(OptionError) as caught:
        one_of("form", "x" * 100_000, ("angle",))
    assert len(str(caught.value)) < 200


def test_names_of_options():
    only_known("SVCCA", ["threshold"], ["threshold", "rcond"])
    with pytest.raises(OptionError, match="SVCCA has no option 'treshold'; there are threshold an"):
        only_known("SVCCA", ["threshold", "treshold"], ["threshold", "rcond"])
    with pytest.raises(OptionError, match="Linear CKA has no option 'k'; it takes none"):
        only_known("Linear CKA", ["k"], [])


X, Y = (np.random.default_rng(seed).standard_normal((30, 4)) for seed in (0, 1))
ROWS = {"x": X}, {"y": Y}


@pytest.mark.parametrize("name", MEASURES)
def test_a_mistyped_name_of_an_option_is_an_error_that_lists_the_names(name):
    with pytest.raises(OptionError, match=r"has no option 'treshold'; (it takes none|there are)"):
        compare(*ROWS, name, treshold=0.9)


def test_the_doors_of_streams_and_first_looks_check_names_as_well():
    stream = MomentStream()
    stream.update(*ROWS)
    for call in (
        lambda: stream.compare("svcca", treshold=0.9),
        lambda: next(refine(*ROWS, "svcca", treshold=0.9)),
    ):
        with pytest.raises(OptionError, match="there are threshold, components and rcond"):
            call()


WORDS = [
    (similarity.rsa, "comparison", "kendall", "'pearson', 'spearman' or 'cosine'"),
    (similarity.rsa, "distance", "cosine", "'squared_euclidean', 'euclidean' or 'correlation'"),
    (similarity.svcca, "summary", "max", "'mean' or 'r2'"),
    (similarity.pwcca, "weights", "z", "'x' or 'y'"),
    (similarity.procrustes, "form", "dist", "'similarity', 'angle' or 'distance'"),
    (similarity.semi_matching, "direction", "X", "'x_to_y' or 'y_to_x'"),
]


@pytest.mark.parametrize(("function", "name", "wrong", "allowed"), WORDS)
def test_a_measure_takes_no_other_word_than_those_it_lists(function, name, wrong, allowed):
    for value in (wrong, None, True, 1, np.nan, [wrong], "", "Pearson"):
        with pytest.raises(OptionError, match=f"{name} is .*; it must be {allowed}"):
            function(X, Y, **{name: value})


NUMBERS = {
    "rcond": (0.5, [-1.0, 1.0, -1e-12, 2]),
    "threshold": (1, [0.0, -0.5, 1.5]),
    "alpha": (0, [-0.1, 1.1]),
    "bandwidth": (1, [0.0, -0.4, 1e7]),
    "k": (np.int64(3), [0, -1, 2.5, 3.0]),
    "components": (2, [0, -1, 2.5, 2.0]),
}
NO_NUMBERS = [np.nan, np.inf, -np.inf, True, np.True_, "1", [1], 1j, np.array([1.0, 2.0])]
WITH_NUMBERS = [
    (measure, option)
    for measure, declared in MEASURES.items()
    for option in declared.options
    if option in NUMBERS
]


@pytest.mark.parametrize(("measure", "option"), WITH_NUMBERS)
def test_a_measure_takes_no_number_out_of_bounds(measure, option):
    """Neither on arrays nor in `compare`, and never with NaN as the value."""
    right, wrong = NUMBERS[option]
    function = MEASURES[measure].function
    assert np.isfinite(function(X, Y, **{option: right}))
    assert np.isfinite(compare(*ROWS, measure, **{option: right}).values).all()
    for value in [*wrong, *NO_NUMBERS]:
        for call in (
            lambda value=value: function(X, Y, **{option: value}),
            lambda value=value: compare(*ROWS, measure, **{option: value}),
        ):
            with pytest.raises(OptionError, match=f"{option} is .*; it must be"):
                call()


def test_rcond_of_zero_keeps_what_is_more_than_rounding():
    doubled = np.hstack([X, X @ np.ones((4, 2))])
    for measure, option in WITH_NUMBERS:
        if option == "rcond":
            function = MEASURES[measure].function
            assert function(doubled, Y, rcond=0) == pytest.approx(function(doubled, Y), abs=1e-9)
            value = function(doubled, doubled.copy(), rcond=0)
            assert value == pytest.approx(MEASURES[measure].self_value, abs=1e-6)


@pytest.mark.parametrize("name", ["svcca_r2", "pwcca_y", "rsa_spearman", "semi_matching_x_to_y"])
def test_measures_can_be_sent_to_other_processes(name):
    assert pickle.dumps(MEASURES[name])
