"""Preprocessing in the user's words: names, ranges, formulas, means and deviations."""

from __future__ import annotations

import numpy as np
import pytest

from tb_modelcompare import Preprocessing
from tb_modelcompare.errors import ProbeError
from tb_modelcompare.probe.preprocessing_words import in_words, normalisation, preprocessing_from

PIXELS = np.array([[[[0, 0, 0], [255, 255, 255], [51, 102, 204]]]]) / np.float32(255)


def applied(preprocessing: Preprocessing) -> np.ndarray:
    return preprocessing.for_channels(3).apply(PIXELS)


@pytest.mark.parametrize(
    ("formula", "function"),
    [
        ("(x-127)/128", lambda x: (x - 127) / 128),
        ("x/255", lambda x: x / 255),
        ("x", lambda x: x),
        (" x / 127.5 - 1 ", lambda x: x / 127.5 - 1),
        ("2*(x/255)-1", lambda x: 2 * x / 255 - 1),
        ("-(x - 128.0)*0.5", lambda x: -(x - 128) * 0.5),
        ("(1e2+x)/(3-1)", lambda x: (100 + x) / 2),
        ("x-x/2", lambda x: x / 2),
    ],
)
def test_a_formula_is_of_pixels_from_0_to_255(formula, function) -> None:
    np.testing.assert_allclose(
        applied(preprocessing_from(formula)), function(PIXELS * 255), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "imagenet",
        "1",
        "1,2,3",
        "a,b",
        "nan,1",
        "0,inf",
        "x*x",
        "1/x",
        "x**2",
        "x/0",
        "max(x, 1)",
        "y/255",
        "x;x",
        "__import__('os').system('x')",
        "x + 'a'",
        "x + True",
        "x*1e308*1e308",
        "x + 1" + "0" * 400,
        "0*x",
        "x-x",
        "(" * 150 + "x" + ")" * 150,
        "x" * 5000,
        "x.real",
        "lambda x: x",
        "x if x else x",
        "1_0,2_0",
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(ProbeError, match=r"preprocessing|the range"):
        preprocessing_from(text)


def test_names_and_ranges_are_those_of_the_library() -> None:
    assert preprocessing_from("tf") == Preprocessing.tf()
    assert preprocessing_from("torch") == Preprocessing.torch()
    assert preprocessing_from("caffe") == Preprocessing.caffe()
    assert preprocessing_from("-1,1") == Preprocessing.range(-1, 1)
    np.testing.assert_allclose(
        applied(preprocessing_from("x/127.5-1")), applied(Preprocessing.tf()), atol=1e-6
    )


def test_means_are_of_1_or_of_255_by_their_size() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    np.testing.assert_allclose(
        applied(normalisation(mean, std)), applied(Preprocessing.torch()), atol=1e-6
    )
    large = normalisation([255 * m for m in mean], [255 * s for s in std])
    np.testing.assert_allclose(applied(large), applied(Preprocessing.torch()), atol=1e-5)
    shared = normalisation([127.5], [255, 128, 64])
    np.testing.assert_allclose(
        applied(shared), (PIXELS * 255 - 127.5) / [255, 128, 64], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((0.5, 0.5), (1,)),
        ((0.5,), (0.0,)),
        ((0.5,), (-1.0,)),
        ((float("nan"),), (1.0,)),
        ((0.5,), (1, 2, 3, 4)),
    ],
)
def test_a_mean_and_a_deviation_that_cannot_be_meant(mean, std) -> None:
    with pytest.raises(ProbeError, match=r"the (mean|std)|deviation"):
        normalisation(mean, std)


def test_it_is_said_what_black_and_white_become() -> None:
    assert in_words(Preprocessing.tf()) == "0 becomes -1 and 255 becomes 1"
    assert in_words(preprocessing_from("(x-127)/128")) == "0 becomes -0.9922 and 255 becomes 1"
    assert in_words(Preprocessing.torch()) == (
        "0 becomes (-2.118, -2.036, -1.804) and 255 becomes (2.249, 2.429, 2.64)"
    )
    assert in_words(Preprocessing.caffe()).endswith("order blue, green, red")
