"""Neighbours, distances and batches where rows are positions of images, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.similarity import (
    MEASURES,
    MinibatchCKA,
    cknna,
    compare,
    mutual_knn,
    rsa,
    unbiased_linear_cka,
)
from tb_modelcompare.similarity.activations import open_layer
from tb_modelcompare.similarity.hsic_of_images import hsic_of_images
from tb_modelcompare.similarity.images import Images
from tb_modelcompare.similarity.settings import MEMORY, Settings

DOUBLE = Settings("double", MEMORY, None, None)
RAGGED = np.array([0, 1, 1, 2, 2, 2, 3, 4, 4, 5])
NAMES = ("unbiased_linear_cka", "mutual_knn", "cknna", "rsa_pearson", "rsa_spearman")


def layers_of_images(random, image, units, shared=None):
    """Rows of one image are correlated by a half; `shared` (images, k) is what layers share."""
    images = image.max() + 1
    of_image = random.standard_normal((images, units))
    if shared is not None:
        of_image = of_image + shared @ random.standard_normal((shared.shape[1], units))
    return of_image[image] + random.standard_normal((len(image), units))


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_are_images_of_their_own_change_nothing(name) -> None:
    random = np.random.default_rng(4)
    image = np.arange(60)
    X = layers_of_images(random, image, 20)
    Y = layers_of_images(random, image, 30) + X[:, :1]
    function = MEASURES[name].function
    before = function(X, Y)
    for groups in (image, "rows", [f"image {n}" for n in image], image[::-1]):
        assert function(X, Y, groups=groups) == pytest.approx(before, abs=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_all_doors_know_the_images(name) -> None:
    """One value from arrays, from compare, in any order of rows, and whatever images are called."""
    random = np.random.default_rng(6)
    image = np.repeat(np.arange(20), 3)
    X = layers_of_images(random, image, 12)
    Y = layers_of_images(random, image, 9) + X[:, :9]
    measure, order = MEASURES[name], random.permutation(60)
    value = measure.function(X, Y, groups=image)
    found = compare({"x": X, "z": X[:, :5]}, {"y": Y}, name, groups=image * 7 - 3)
    assert found.values[0, 0] == pytest.approx(value, abs=1e-6)
    moved = measure.function(X[order], Y[order], groups=image[order])
    assert moved == pytest.approx(value, abs=1e-12)
    assert measure.function(X, X.copy(), groups=image) == pytest.approx(1.0)
    assert value < measure.function(X, Y) + 0.05
    with pytest.raises(ActivationError, match='groups="rows"'):
        measure.function(X, Y, groups=image[:-1])


def test_neighbours_are_of_other_images_by_brute_force() -> None:
    random = np.random.default_rng(7)
    image = RAGGED[np.repeat(np.arange(10), 2)]
    X, Y = layers_of_images(random, image, 6), layers_of_images(random, image, 5)
    X[3] = X[15]  # equal rows of different images are each other's nearest
    other = image[:, None] != image
    sets = []
    for Z in (X, Y):
        distance = np.where(other, np.square(Z[:, None] - Z).sum(axis=2), np.inf)
        sets.append([set(np.argsort(line)[:4]) for line in distance])
    expected = np.mean([len(a & b) / 4 for a, b in zip(*sets, strict=True)])
    assert mutual_knn(X, Y, k=4, groups=image) == pytest.approx(expected)
    with pytest.raises(ActivationError, match="rows of other images"):
        mutual_knn(X, Y, k=17, groups=image)


def test_cknna_and_rsa_take_pairs_of_different_images_by_brute_force() -> None:
    random = np.random.default_rng(8)
    image = np.repeat(np.arange(7), 3)
    X, Y = layers_of_images(random, image, 6) + 1, layers_of_images(random, image, 5)
    other = image[:, None] != image
    kernels, near = [], []
    for Z in (X, Y):
        gram = Z @ Z.T
        gram -= (gram * other).sum(axis=1, keepdims=True) / other.sum(axis=1, keepdims=True)
        kernels.append(gram)
        order = np.argsort(np.where(other, -gram, np.inf), axis=1)[:, :5]
        near.append(np.zeros_like(other))
        np.put_along_axis(near[-1], order, True, axis=1)

    def alignment(i, j):
        return (kernels[i] * kernels[j])[near[i] & near[j]].sum()

    expected = alignment(0, 1) / np.sqrt(alignment(0, 0) * alignment(1, 1))
    assert cknna(X, Y, k=5, groups=image) == pytest.approx(expected)
    i, j = np.triu_indices(21, 1)
    distances = [np.square(Z[i] - Z[j]).sum(axis=1)[other[i, j]] for Z in (X, Y)]
    assert rsa(X, Y, groups=image) == pytest.approx(np.corrcoef(distances)[0, 1])
    ranked = scipy.stats.spearmanr(*distances).statistic
    assert rsa(X, Y, comparison="spearman", groups=image) == pytest.approx(ranked)


def test_minibatches_of_whole_images() -> None:
    random = np.random.default_rng(9)
    image = np.repeat(np.arange(60), 4)
    shared = random.standard_normal((60, 5))
    X, Y = (layers_of_images(random, image, 40, shared) for _ in "ab")
    batches = MinibatchCKA()
    hsic = np.zeros(3)
    for start, stop in ((0, 25), (25, 50), (50, 60)):
        rows = np.isin(image, range(start, stop))
        batches.update({"x": X[rows]}, {"y": Y[rows]}, image[rows])
        images = Images.of(image[rows] - start)
        found = hsic_of_images(
            [open_layer(X[rows], "x")], [open_layer(Y[rows], "y")], images, DOUBLE
        )
        hsic += (
            (stop - start)
            * (stop - start - 3)
            * np.array([found.cross[0, 0], found.own_x[0], found.own_y[0]])
        )
    value = batches.compare().values[0, 0]
    assert value == pytest.approx(hsic[0] / np.sqrt(hsic[1] * hsic[2]), rel=1e-9)
    assert value == pytest.approx(unbiased_linear_cka(X, Y, groups=image), abs=0.1)
    with pytest.raises(ActivationError, match="groups with every batch"):
        batches.update({"x": X}, {"y": Y})


@pytest.mark.parametrize("asked", [{"permutations": 3}, {"resamples": 5}])
def test_permuting_and_resampling_need_the_images(asked: dict[str, int]) -> None:
    X = np.random.default_rng(0).standard_normal((40, 5))
    with pytest.raises(OptionError, match='groups="rows" where every row is an image of its own'):
        compare({"x": X}, {"x": X}, **asked)  # type: ignore[arg-type]
    by_rows = compare({"x": X}, {"x": X}, groups="rows", **asked)  # type: ignore[arg-type]
    numbered = compare({"x": X}, {"x": X}, groups=np.arange(40), **asked)  # type: ignore[arg-type]
    np.testing.assert_array_equal(by_rows.values, numbered.values)
