"""On which images two layers agree, against the definition and with images that were planted."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import agreement
from tb_modelcompare.similarity.agreement import image_agreement


def by_definition(X: np.ndarray, Y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    images = np.unique(groups)
    means = [np.stack([one[groups == image].mean(axis=0) for image in images]) for one in (X, Y)]
    found = []
    for i in range(len(images)):
        profiles = [np.delete(((one - one[i]) ** 2).sum(axis=1), i) for one in means]
        found.append(scipy.stats.spearmanr(*profiles).statistic)
    return np.array(found)


def test_agreement_is_that_of_the_definition_in_any_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 7)), rng.standard_normal((60, 4))
    Y[:, 0] += X[:, 0]
    groups = np.arange(60) // 3
    expected = by_definition(X, Y, groups)
    np.testing.assert_allclose(image_agreement(X, Y, groups), expected, atol=1e-10)
    monkeypatch.setattr(agreement, "_NUMBERS_AT_ONCE", 50)
    np.testing.assert_allclose(image_agreement(X, Y, groups), expected, atol=1e-10)


def test_planted_images_are_those_of_least_agreement_and_one_outlier_is_not_all() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((50, 6))
    Y = X @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    planted = [3, 17, 41]
    Y[planted] = Y[rng.permutation(50)[:3]] + rng.standard_normal((3, 6))
    found = image_agreement(X, Y)
    assert sorted(np.argsort(found)[:3]) == planted
    assert np.delete(found, planted).min() > 0.7
    X[0], Y[0] = 1e4, 1e4  # far away in both: what is said of the others stays as it was
    with_outlier = image_agreement(X, Y)
    np.testing.assert_allclose(with_outlier[1:], found[1:], atol=0.15)
    assert sorted(np.argsort(with_outlier[1:])[:3] + 1) == planted


def test_images_without_an_order_have_no_agreement_and_few_images_are_refused() -> None:
    X = np.random.default_rng(2).standard_normal((12, 3))
    assert np.isnan(image_agreement(X, np.eye(12))).all()  # all as far from each other
    with pytest.raises(ActivationError, match="3 images are too few"):
        image_agreement(X, X, np.arange(12) // 4)
