"""Intervals of debiased CKA hold the value of the population."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import Comparison, compare, unbiased_linear_cka
from tb_modelcompare.similarity.significance import resamples_of

UNITS = 40
MAP = np.random.default_rng(99).standard_normal((UNITS, UNITS)) / np.sqrt(UNITS)


def layers(
    seed: int, images: int, noise: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two layers with 3 positions of each image, and the image of each row."""
    random = np.random.default_rng(seed)

    def drawn() -> np.ndarray:
        shared = random.standard_normal((images, UNITS)).repeat(3, axis=0)
        return shared + random.standard_normal((3 * images, UNITS))

    X, other = drawn(), drawn()
    Y = other if noise is None else X @ MAP + noise * other
    return X, Y, np.repeat(np.arange(images), 3)


def interval(X: np.ndarray, Y: np.ndarray, image: np.ndarray, **options: object) -> Comparison:
    return compare({"x": X}, {"y": Y}, "unbiased_linear_cka", groups=image, resamples=20, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("noise", [pytest.param(None, marks=pytest.mark.slow), 0.7])
def test_it_holds_the_value_of_the_population(noise: float | None) -> None:
    """`benchmarks/coverage.py` counts for longer: here a wrong formula would show."""
    truth = 0.0
    if noise is not None:
        X, Y, image = layers(12345, 4000, noise)
        truth = unbiased_linear_cka(X, Y, groups=image)
    runs = [interval(*layers(seed, 80, noise)) for seed in range(30)]
    values = np.array([run.values[0, 0] for run in runs])
    ends = np.array([[run.low[0, 0], run.high[0, 0]] for run in runs])  # type: ignore[index]
    held = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    assert held.sum() >= 25  # 28.5 are expected, and fewer than 25 in 1 of 60 such tests
    width = np.diff(ends, axis=1).mean() / 2.0 / (1.96 * values.std(ddof=1))
    assert 0.7 < width < 1.6


def test_nothing_is_subtracted_where_layers_are_related() -> None:
    """A few long images make pairs of images look like much: the interval is that of blocks."""
    X, Y, image = layers(4, 40, 0.7)
    factor = np.sqrt(3.0 / np.random.default_rng(4).chisquare(3.0, 40))[image, None]
    X, Y = X * factor, Y * factor
    block = np.empty(40, int)
    block[np.argsort(np.random.default_rng(0).permutation(40))] = np.arange(40) // 2
    left_out = np.array(
        [
            unbiased_linear_cka(X[kept], Y[kept], groups=image[kept])
            for kept in (block[image] != one for one in range(20))
        ]
    )
    variance = 19 / 20 * np.square(left_out - left_out.mean()).sum()
    found = interval(X, Y, image)
    half = scipy.stats.t.ppf(0.975, 19) * np.sqrt(variance)
    assert found.low[0, 0] == pytest.approx(found.values[0, 0] - half, abs=1e-6)  # type: ignore[index]
    assert found.low[0, 0] > 0.0  # type: ignore[index]


@pytest.mark.slow  # test_it_holds_the_value_of_the_population sees the width of linear CKA's
@pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
def test_that_of_rbf_is_not_much_wider_than_need_be_for_unrelated_layers() -> None:
    runs = []
    for seed in range(40):
        X, Y, image = layers(seed, 40, None)
        options = {"groups": image, "resamples": 20, "seed": seed}
        runs.append(compare({"x": X}, {"y": Y}, "unbiased_rbf_cka", **options))  # type: ignore[arg-type]
    ends = [[one.values[0, 0], one.low[0, 0], one.high[0, 0]] for one in runs]  # type: ignore[index]
    values, low, high = np.array(ends).T
    assert ((low <= 0.0) & (high >= 0.0)).sum() >= 35  # 38 are expected
    assert 0.9 < np.mean(high - low) / 2.0 / (1.96 * values.std(ddof=1)) < 1.4


def test_more_images_and_a_lower_level_make_it_narrower() -> None:
    few, many = interval(*layers(0, 40, 0.7)), interval(*layers(0, 400, 0.7))
    half = interval(*layers(0, 400, 0.7), level=0.5)
    widths = [float(one.high[0, 0] - one.low[0, 0]) for one in (few, many, half)]  # type: ignore[index]
    assert widths[0] > 2.0 * widths[1] > 4.0 * widths[2] > 0.0


def test_one_image_far_away_widens_it() -> None:
    X, Y, image = layers(1, 100, None)
    usual = interval(X, Y, image)
    X[:3] *= 1e3
    Y[:3] *= 1e3
    found = interval(X, Y, image)
    assert found.low[0, 0] < 0.05  # type: ignore[index]
    assert np.isfinite(found.high - found.low).all()  # type: ignore[operator]
    assert (usual.high - usual.low)[0, 0] < 0.2  # type: ignore[operator]


def test_a_model_with_itself() -> None:
    X, Y, image = layers(2, 60, 0.7)
    both = {"x": X, "y": Y}
    found = compare(both, both, "unbiased_linear_cka", groups=image, resamples=20)
    assert (np.diagonal(found.low), np.diagonal(found.high)) == (pytest.approx(1), pytest.approx(1))
    apart = compare({"x": X}, {"y": Y}, "unbiased_linear_cka", groups=image, resamples=20)
    np.testing.assert_allclose(found.low[0, 1], apart.low[0, 0], atol=1e-5)  # type: ignore[index]


@pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
@pytest.mark.parametrize("name", ["linear_cka", "procrustes"])
@pytest.mark.parametrize("images", [2, 3, 7])
def test_too_few_images_to_leave_some_out(name: str, images: int) -> None:
    """Linear CKA and Procrustes have one value of any two images: an interval of width zero."""
    X, Y, image = layers(3, max(images, 4), None)
    image = np.minimum(image, images - 1)
    found = compare({"x": X}, {"y": Y}, name, groups=image, permutations=5, resamples=20)
    assert np.isnan([found.low, found.high]).all()  # type: ignore[list-item]
    assert np.isfinite(found.p_value).all()  # type: ignore[arg-type]
    assert f"at least 8 images, and these are {images}" in " ".join(found.warnings)


def test_a_debiased_measure_of_too_few_images_has_a_value_alone() -> None:
    X, Y, image = layers(3, 5, None)
    found = interval(X, Y, image)
    assert np.isnan([found.low, found.high]).all()  # type: ignore[list-item]
    assert np.isfinite(found.values).all()
    assert "at least 8 images, and these are 5" in " ".join(found.warnings)


def test_images_that_have_no_order_are_refused() -> None:
    X, Y, _ = layers(3, 20, None)
    for labels in ([None] * len(X), ["a", *range(1, len(X))]):
        with pytest.raises(ActivationError, match="as a whole number or a name"):
            compare({"x": X}, {"y": Y}, groups=np.array(labels, object), permutations=5)


@pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
@pytest.mark.parametrize("name", ["linear_cka", "procrustes", "linear_regression_y_to_x"])
def test_that_of_a_biased_measure_holds_its_mean_over_sets_of_as_many_images(name: str) -> None:
    """`benchmarks/coverage.py` counts for longer, and for every measure."""
    image = np.repeat(np.arange(60), 2)
    mixing = np.random.default_rng(0).standard_normal((2, 8, 15))
    runs = []
    for seed in range(60):
        random = np.random.default_rng(seed)

        def rows(width: int, random: np.random.Generator = random) -> np.ndarray:
            return random.standard_normal((60, width))[image] + random.standard_normal((120, width))

        signal = rows(8)
        X, Y = (signal @ part + 1.5 * rows(15) for part in mixing)
        runs.append(compare({"x": X}, {"y": Y}, name, groups=image, resamples=20, seed=seed))
    ends = [[one.values[0, 0], one.low[0, 0], one.high[0, 0]] for one in runs]  # type: ignore[index]
    values, low, high = np.array(ends).T
    held = (low <= values.mean()) & (values.mean() <= high)
    assert held.sum() >= 54  # 57 are expected
    width = np.mean(high - low) / 2.0 / (1.96 * values.std(ddof=1))
    assert 0.9 < width < 1.5


def test_each_image_is_left_out_equally_often_and_none_is_there_twice() -> None:
    image = np.array([2, 0, 1, 1, 3, 4, 4, 5, 2])
    left = [np.setdiff1d(np.arange(9), rows) for rows in resamples_of(image, 9, 3, 0)]
    for block in left:
        assert np.isin(image, image[block]).sum() == len(block)  # whole images
    times = np.bincount(np.concatenate(left), minlength=9)
    assert (times == 3).all()


@pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
def test_one_image_far_away_widens_that_of_a_biased_measure() -> None:
    X, Y, image = layers(5, 60, None)
    usual = compare({"x": X}, {"y": Y}, groups=image, resamples=40)
    X[:3] *= 10
    Y[:3] *= 10
    found = compare({"x": X}, {"y": Y}, groups=image, resamples=40)
    assert found.high - found.low > 3 * (usual.high - usual.low)  # type: ignore[operator]
