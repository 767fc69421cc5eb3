"""Rows of one image are not independent: debiased CKA is over pairs of different images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import compare, linear_cka, unbiased_linear_cka


def hsic_over_all_tuples(X: np.ndarray, Y: np.ndarray, image: np.ndarray) -> float:
    """The definition: means over all ordered tuples of different images."""
    rows = [np.flatnonzero(image == one) for one in np.unique(image)]
    K, L = X @ X.T, Y @ Y.T

    def tuples(size: int):
        return itertools.permutations(range(len(rows)), size)

    def block(G: np.ndarray, g: int, h: int) -> np.ndarray:
        return G[np.ix_(rows[g], rows[h])]

    pairs = [np.mean(block(K, g, h) * block(L, g, h)) for g, h in tuples(2)]
    triples = [
        np.mean(block(K, g, h).mean(axis=1) * block(L, g, k).mean(axis=1)) for g, h, k in tuples(3)
    ]
    quadruples = [block(K, g, h).mean() * block(L, k, q).mean() for g, h, k, q in tuples(4)]
    return float(np.mean(pairs) + np.mean(quadruples) - 2.0 * np.mean(triples))


def cka_over_all_tuples(X: np.ndarray, Y: np.ndarray, image: np.ndarray) -> float:
    own = hsic_over_all_tuples(X, X, image) * hsic_over_all_tuples(Y, Y, image)
    return hsic_over_all_tuples(X, Y, image) / np.sqrt(own)


def correlated(seed: int, images: int, positions: int, units: int) -> np.ndarray:
    """Rows of one image correlate at 0.5 in every unit."""
    random = np.random.default_rng(seed)
    shared = random.standard_normal((images, units)).repeat(positions, axis=0)
    return (shared + random.standard_normal((images * positions, units))) / np.sqrt(2.0)


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=4, max_size=6),
    seed=st.integers(0, 1000),
    offset=st.sampled_from([0.0, 1.0, -30.0]),
)
def test_it_is_the_mean_over_all_tuples_of_different_images(
    sizes: list[int], seed: int, offset: float
) -> None:
    """Of images of one size and of several, in any order of rows, whatever the features' mean."""
    random = np.random.default_rng(seed)
    image = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = random.standard_normal((len(image), 3)) + offset
    Y = X[:, :2] + random.standard_normal((len(image), 2))
    own = [hsic_over_all_tuples(one, one, image) for one in (X, Y)]
    if min(own) < 1e-3:
        return  # the ratio is not defined, or nearly not
    expected = cka_over_all_tuples(X, Y, image)
    found = unbiased_linear_cka(X, Y, groups=image)
    assert found == pytest.approx(expected, abs=1e-9 * max(1.0, offset**4 / min(own)))
    named = np.array([f"image {one}" for one in image])
    assert unbiased_linear_cka(X, Y, groups=named) == pytest.approx(found, abs=1e-12)


def test_six_images_to_twelve_digits() -> None:
    random = np.random.default_rng(0)
    image = np.repeat(np.arange(6), 3)
    X, Y = random.standard_normal((18, 3)), random.standard_normal((18, 4))
    Y[:, 0] += X[:, 0]
    expected = cka_over_all_tuples(X, Y, image)
    assert unbiased_linear_cka(X, Y, groups=image) == pytest.approx(expected, abs=1e-12)


def test_rows_that_are_images_are_as_before() -> None:
    random = np.random.default_rng(1)
    X, Y = random.standard_normal((60, 20)), random.standard_normal((60, 30))
    expected = unbiased_linear_cka(X, Y)
    assert unbiased_linear_cka(X, Y, groups=np.arange(60)) == pytest.approx(expected, abs=1e-13)
    # Two rows for every image, but the same row twice: the images are the rows of before.
    twice = unbiased_linear_cka(
        X.repeat(2, axis=0), Y.repeat(2, axis=0), groups=np.arange(60).repeat(2)
    )
    assert twice == pytest.approx(expected, abs=1e-12)


def test_unrelated_layers_have_nothing_in_common() -> None:
    """100 images, 4 positions, 300 units: 0.36 where rows are taken for independent."""
    image = np.repeat(np.arange(100), 4)
    values = [
        unbiased_linear_cka(
            correlated(2 * seed, 100, 4, 300), correlated(2 * seed + 1, 100, 4, 300), groups=image
        )
        for seed in range(40)
    ]
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 2.0 * error
    assert unbiased_linear_cka(correlated(0, 100, 4, 300), correlated(1, 100, 4, 300)) > 0.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [1.0, 1e3, 1e6])
def test_all_pairs_are_those_of_two_arrays(dtype: type, factor: float) -> None:
    """Through covariances, through Gram matrices, and where one image is far from all others."""
    for images, units in ((30, 40), (400, 6)):
        image = np.repeat(np.arange(images), 3)
        layers = {
            name: correlated(seed, images, 3, units).astype(dtype)
            for seed, name in enumerate(("a", "b", "c"))
        }
        layers["b"] += layers["a"]
        layers["c"][4] *= factor
        found = compare(layers, layers, "unbiased_linear_cka", groups=image).values
        expected = [
            [
                unbiased_linear_cka(x.astype(float), y.astype(float), groups=image)
                for y in layers.values()
            ]
            for x in layers.values()
        ]
        np.testing.assert_allclose(found, expected, atol=5e-5)
        np.testing.assert_array_equal(found, found.T)


def test_order_of_rows_and_units_changes_nothing() -> None:
    random = np.random.default_rng(3)
    image = np.repeat(np.arange(25), 4)
    X, Y = correlated(0, 25, 4, 30), correlated(1, 25, 4, 30)
    Y += X
    order = random.permutation(100)
    expected = unbiased_linear_cka(X, Y, groups=image)
    assert unbiased_linear_cka(X[order], Y[order], groups=image[order]) == pytest.approx(expected)
    rotated = X @ np.linalg.qr(random.standard_normal((30, 30)))[0] * 7.0 - 3.0
    assert unbiased_linear_cka(rotated, Y, groups=image) == pytest.approx(expected)


def test_a_layer_of_which_nothing_is_left_has_no_value() -> None:
    """It responds to one image alone: not 0, and no error for all other layers."""
    random = np.random.default_rng(8)
    image = np.repeat(np.arange(8), 2)
    alone = np.zeros((16, 3))
    alone[2:4] = random.random((2, 3))
    shared = random.standard_normal((16, 2))
    near = shared + 0.1 * random.standard_normal((16, 2))
    layers = {"alone": alone, "one": shared, "two": near}
    found = compare(layers, layers, "unbiased_linear_cka", groups=image)
    assert np.isnan(found.values[0]).all()
    assert np.isnan(found.values[:, 0]).all()
    assert found.values[1, 2] > 0.8
    assert any(note.startswith("No value for alone:") for note in found.warnings)
    with pytest.raises(ActivationError, match="no variation that this measure can compare"):
        unbiased_linear_cka(alone, shared, groups=image)


@pytest.mark.parametrize("groups", [np.zeros(40, int), np.repeat(np.arange(3), [20, 10, 10])])
def test_too_few_images(groups: np.ndarray) -> None:
    X = np.random.default_rng(0).standard_normal((40, 5))
    with pytest.raises(ActivationError, match="at least 4"):
        unbiased_linear_cka(X, X, groups=groups)
    with pytest.raises(ActivationError, match="at least 4"):
        compare({"x": X}, {"x": X}, "unbiased_linear_cka", groups=groups)


def test_labels_of_other_rows() -> None:
    X = np.random.default_rng(0).standard_normal((40, 5))
    with pytest.raises(ActivationError, match="names the image of each of the 40 rows"):
        unbiased_linear_cka(X, X, groups=np.arange(39))


def test_the_biased_one_is_no_judge() -> None:
    X, Y = correlated(0, 100, 4, 300), correlated(1, 100, 4, 300)
    assert linear_cka(X, Y) > 0.5
