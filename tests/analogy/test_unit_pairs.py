"""The best unit pairs, against all correlations at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tb_modelcompare.analogy import unit_pairs
from tb_modelcompare.analogy.unit_pairs import best_unit_pairs
from tb_modelcompare.errors import ActivationError


def trimmed(unit: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A unit that is its mean on the three images on which it deviates most."""
    away = {int(one): np.sum((unit - np.median(unit))[image == one] ** 2) for one in set(image)}
    left_out = sorted(away, key=lambda one: (-away[one], one))[: min(3, len(away) // 3)]
    others = ~np.isin(image, left_out)
    return np.where(others, unit - unit[others].mean(), 0.0)


def by_brute_force(
    X: np.ndarray, Y: np.ndarray, count: int, image: np.ndarray
) -> list[tuple[int, int, float, float]]:
    r = np.full((X.shape[1], Y.shape[1]), -2.0)
    xs, ys = ([trimmed(unit, image) for unit in side.T] for side in (X, Y))
    for (a, x), (b, y) in itertools.product(enumerate(xs), enumerate(ys)):
        if x.any() and y.any():
            r[a, b] = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    found = []
    while len(found) < count and r.max() > -2.0:
        a, b = (int(one) for one in np.unravel_index(np.argmax(r), r.shape))
        found.append((a, b, float(np.corrcoef(X[:, a], Y[:, b])[0, 1]), float(r[a, b])))
        r[a], r[:, b] = -2.0, -2.0
    return found


def rare_and_frequent(seed: int, units: int, image: np.ndarray) -> np.ndarray:
    """Units that share a signal; of the first ten, each is active on one image, or on two."""
    signal = np.random.default_rng(0).standard_normal((len(image), 4))
    random = np.random.default_rng((1, seed))
    X = signal @ random.standard_normal((4, units))
    X = np.maximum(X + random.standard_normal(X.shape), 0.0)
    for unit in range(10):
        X[:, unit] *= np.isin(image, [unit, 29 - unit][: 1 + unit % 2])
    return np.asarray(X)


@pytest.mark.parametrize("shapes", [(9, 14), (30, 4), (40, 40)])
def test_pairs_are_those_of_brute_force_in_any_blocks(
    shapes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(sum(shapes))
    base = rng.standard_normal((80, 3))
    X, Y = (base @ rng.standard_normal((3, d)) + rng.standard_normal((80, d)) for d in shapes)
    count = min(4, *shapes)
    image = np.arange(80) // 2
    expected = by_brute_force(X.astype(np.float32), Y.astype(np.float32), count, image)
    for at_once in (2**23, 50):
        monkeypatch.setattr(unit_pairs, "_NUMBERS_AT_ONCE", at_once)
        found = best_unit_pairs(X.astype(np.float32), Y.astype(np.float32), count, groups=image)
        assert [(pair.a, pair.b) for pair in found] == [pair[:2] for pair in expected]
        np.testing.assert_allclose(
            [(pair.correlation, pair.trimmed) for pair in found],
            [pair[2:] for pair in expected],
            atol=1e-6,
        )


@pytest.mark.parametrize("seed", range(3))
def test_units_that_are_active_on_one_or_two_images_do_not_lead(seed: int) -> None:
    image = np.repeat(np.arange(30), 4)
    X, Y = rare_and_frequent(2 * seed, 30, image), rare_and_frequent(2 * seed + 1, 40, image)
    with np.errstate(invalid="ignore"):  # some are active on none
        plain = np.nan_to_num(np.corrcoef(X.T, Y.T)[:30, 30:])
    assert np.unravel_index(np.argmax(plain), plain.shape)[0] < 10
    found = best_unit_pairs(X, Y, 50, groups=image)
    assert {pair.a for pair in found} == set(range(10, 30))
    assert {pair.b for pair in found}.isdisjoint(range(10))
    expected = by_brute_force(X, Y, 50, image)
    assert [(pair.a, pair.b) for pair in found] == [pair[:2] for pair in expected]


def test_one_outlier_image_does_not_lead() -> None:
    """Two units of noise, both far off on one image, correlate at nearly 1."""
    random = np.random.default_rng(3)
    shared = random.standard_normal((30, 3))
    X, Y = (shared + 0.7 * random.standard_normal((30, 3)) for _ in range(2))
    X[:, 0], Y[:, 0] = random.standard_normal((2, 30))
    for factor in (30.0, 1e6):
        X[17, 0], Y[17, 0] = factor, 2.0 * factor
        found = best_unit_pairs(X, Y, 3)
        assert np.corrcoef(X[:, 0], Y[:, 0])[0, 1] > 0.9
        assert found[0].a == found[0].b > 0
        assert found[1].a == found[1].b > 0
        np.testing.assert_allclose(
            [pair.trimmed for pair in found],
            [pair[3] for pair in by_brute_force(X, Y, 3, np.arange(30))],
            atol=1e-9,
        )


@pytest.mark.parametrize("images", [1, 2, 3, 8])
def test_of_few_images_a_third_is_left_out(images: int) -> None:
    random = np.random.default_rng(4)
    image = np.repeat(np.arange(images), 5)
    X, Y = random.standard_normal((5 * images, 3)), random.standard_normal((5 * images, 3))
    found = [(pair.a, pair.b) for pair in best_unit_pairs(X, Y, 3, groups=image)]
    assert found == [pair[:2] for pair in by_brute_force(X, Y, 3, image)]
    with pytest.raises(ActivationError, match="names the image of each"):
        best_unit_pairs(X, Y, groups=image[1:])


def test_constant_units_and_units_of_any_scale() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((40, 4))
    Y = np.stack([np.ones(40), 1e30 * X[:, 2], 1e-30 * X[:, 0] + 0, -X[:, 3]], axis=1)
    found = best_unit_pairs(np.hstack([np.full((40, 1), 7.0), X]), Y, 5)
    assert [(pair.a, pair.b) for pair in found[:2]] == [(1, 2), (3, 1)]
    assert [pair.correlation for pair in found[:2]] == pytest.approx([1, 1])
    assert len(found) == 3  # three units of Y vary; the opposite of a unit is not it
    assert best_unit_pairs(np.ones((40, 2)), Y, 5) == []
    equal = best_unit_pairs(X[:, [0, 0, 0]], X[:, [0, 0]], 5)
    assert [(pair.a, pair.b) for pair in equal] == [(0, 0), (1, 1)]
