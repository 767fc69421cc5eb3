"""The number beside a picture: how the drawn direction answers on images it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tb_modelcompare.analogy import (
    decoder_direction,
    direction_correlation,
    pattern_direction,
    predict_direction,
)
from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.similarity.folds import folds_of_rows

FITS: dict[str, Callable[..., np.ndarray]] = {
    "regression": predict_direction,
    "pattern": pattern_direction,
    "decoder": decoder_direction,
}
IMAGES, POSITIONS = 150, 4
GROUPS = np.repeat(np.arange(IMAGES), POSITIONS)


def related(seed: int, units: int = 20, shared: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Two layers of rectified units that see the same few causes and noise of their own."""
    random = np.random.default_rng(seed)
    causes = random.standard_normal((IMAGES * POSITIONS, shared))

    def layer() -> np.ndarray:
        noise = random.standard_normal((len(causes), units))
        return np.maximum(causes @ random.standard_normal((shared, units)) + noise, 0.0)

    return layer(), layer()


def of_images(seed: int, units: int) -> np.ndarray:
    """A layer whose rows of one image resemble each other, unrelated to that of another seed."""
    random = np.random.default_rng(seed)
    shared = random.standard_normal((IMAGES, units)).repeat(POSITIONS, axis=0)
    return shared + random.standard_normal((IMAGES * POSITIONS, units))


@pytest.mark.parametrize("kind", FITS)
def test_it_is_what_fits_without_each_fold_give(kind: str) -> None:
    X, Y = related(0)
    v = np.random.default_rng(1).standard_normal(20)
    activity = np.zeros(len(X))
    for fold in folds_of_rows(GROUPS, len(X), 5):
        kept = np.setdiff1d(np.arange(len(X)), fold)
        activity[fold] = Y[fold] @ FITS[kind](X[kept], Y[kept], v)
        if kind != "regression":  # these have an intercept
            activity[fold] -= Y[kept].mean(axis=0) @ FITS[kind](X[kept], Y[kept], v)
    expected = np.corrcoef(activity, X @ v)[0, 1]
    found = direction_correlation(X, Y, v, direction=kind, groups=GROUPS)  # type: ignore[arg-type]
    assert found.value == pytest.approx(expected, abs=2e-3)
    assert found.low < found.value < found.high
    assert found.null is not None
    assert found.null < 0.2 < found.value


def test_what_reads_a_unit_out_best_is_not_what_goes_with_it() -> None:
    X, Y = related(2)
    unit = np.eye(20)[3]
    drawn, read = (
        direction_correlation(X, Y, unit, direction=kind, groups=GROUPS)  # type: ignore[arg-type]
        for kind in ("regression", "decoder")
    )
    assert drawn.value < read.value


@pytest.mark.parametrize("kind", FITS)
def test_an_unrelated_layer_is_above_its_null_in_few_of_many_runs(kind: str) -> None:
    above, values = 0, []
    for seed in range(40):
        X, Y = of_images(seed, 15), of_images(1000 + seed, 60)
        found = direction_correlation(
            X,
            Y,
            np.eye(15)[0],
            direction=kind,
            groups=GROUPS,
            seed=seed,  # type: ignore[arg-type]
        )
        assert found.null is not None
        above += found.value > found.null
        values.append(found.value)
    assert above <= 7  # 2 are expected, and more than 7 in 1 of 1,000 such tests
    assert abs(np.mean(values)) < 0.05


def test_rows_of_one_image_are_never_both_fitted_and_scored() -> None:
    """Held out row by row, an image's other rows tell what it is: a relation where none is."""
    X, Y = of_images(0, 3).repeat(1, axis=0), of_images(1, 100)
    X = np.repeat(X[::POSITIONS], POSITIONS, axis=0)
    kinds = {"direction": "decoder", "permutations": 0}
    rows = direction_correlation(X, Y, [1, 0, 0], groups="rows", **kinds)  # type: ignore[arg-type]
    images = direction_correlation(X, Y, [1, 0, 0], groups=GROUPS, **kinds)  # type: ignore[arg-type]
    assert rows.value > 0.2
    assert images.value < 0.15


def test_scales_and_means_change_nothing() -> None:
    X, Y = related(3)
    for kind in FITS:
        before = direction_correlation(X, Y, np.eye(20)[0], direction=kind, groups=GROUPS)  # type: ignore[arg-type]
        scaled = direction_correlation(
            X * 1e6,
            Y * 1e-6,
            np.eye(20)[0],
            direction=kind,
            groups=GROUPS,  # type: ignore[arg-type]
        )
        assert scaled.value == pytest.approx(before.value, abs=1e-9)
    moved = direction_correlation(X, Y + 1e4, np.eye(20)[0], direction="pattern", groups=GROUPS)
    still = direction_correlation(X, Y, np.eye(20)[0], direction="pattern", groups=GROUPS)
    assert moved.value == pytest.approx(still.value, abs=1e-6)


@pytest.mark.parametrize("kind", FITS)
def test_nothing_that_varies_is_no_correlation(kind: str) -> None:
    X, Y = related(4)
    silent = X.copy()
    silent[:, 0] = 0.0
    for source, target in ((silent, Y), (X, np.zeros_like(Y))):
        found = direction_correlation(
            source,
            target,
            np.eye(20)[0],
            direction=kind,
            groups=GROUPS,  # type: ignore[arg-type]
        )
        assert (found.value, found.null) == (0.0, 0.0)


def test_images_of_different_sizes_have_no_null() -> None:
    X, Y = related(5)
    ragged = np.sqrt(np.arange(len(X))).astype(int)  # every image has other numbers of rows
    with pytest.raises(ActivationError, match="permutations=0"):
        direction_correlation(X, Y, np.eye(20)[0], groups=ragged)
    found = direction_correlation(X, Y, np.eye(20)[0], groups=ragged, permutations=0)
    assert found.null is None


@pytest.mark.parametrize(
    "options",
    [
        {"direction": "weights"},
        {"folds": 1},
        {"permutations": -1},
        {"resamples": 3},
        {"level": 1.0},
        {"level": float("nan")},
    ],
)
def test_options_are_checked(options: dict[str, object]) -> None:
    X, Y = related(6)
    with pytest.raises(OptionError, match=next(iter(options))):
        direction_correlation(X, Y, np.eye(20)[0], **options)  # type: ignore[arg-type]


def test_a_direction_has_as_many_numbers_as_units() -> None:
    X, Y = related(7)
    for wrong in (np.ones(19), np.ones((2, 20)), np.full(20, np.nan)):
        with pytest.raises(ActivationError):
            direction_correlation(X, Y, wrong, groups="rows")


def test_the_images_of_rows_are_said() -> None:
    X, Y = related(8)
    with pytest.raises(OptionError, match='groups="rows" where every row is an image of its own'):
        direction_correlation(X, Y, np.eye(20)[0], permutations=0)
