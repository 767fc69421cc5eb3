"""A few rows that are far longer than all others, as a first token's are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import (
    MinibatchCKA,
    MomentStream,
    compare,
    cross_validated_regression,
    linear_cka,
    unbiased_linear_cka,
)
from tb_modelcompare.similarity.significance import interval_of, permutations_of, resamples_of

Matrix = npt.NDArray[np.float64]
ROWS = 240


def pair() -> tuple[Matrix, Matrix]:
    random = np.random.default_rng(0)
    signal = random.standard_normal((ROWS, 6))
    X, Y = (
        signal @ random.standard_normal((6, width)) + random.standard_normal((ROWS, width))
        for width in (20, 14)
    )
    return X, Y


def with_outliers(rows: list[int], factor: float, kind: type = np.float32) -> tuple[Matrix, Matrix]:
    X, Y = pair()
    # Of several, each is as long as it happens to be.
    sizes = factor * np.linspace(1.0, 2.0, len(rows))[:, None]
    X[rows] *= sizes
    Y[rows] *= sizes[::-1]
    return X.astype(kind), Y.astype(kind)


def by_definition(X: Matrix, Y: Matrix) -> float:
    """Song et al. 2012, equation 5, in 80 bits, with diagonals that were never added."""
    n = len(X)

    def gram(values: Matrix) -> npt.NDArray[np.longdouble]:
        wide = values.astype(np.longdouble)
        product = wide @ wide.T
        np.fill_diagonal(product, 0.0)
        return product

    def hsic(K: npt.NDArray[np.longdouble], L: npt.NDArray[np.longdouble]) -> np.longdouble:
        mixed = K.sum(axis=0) @ L.sum(axis=0)
        return (K * L).sum() + K.sum() * L.sum() / ((n - 1) * (n - 2)) - 2 * mixed / (n - 2)

    K, L = gram(X), gram(Y)
    return float(hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L)))


def in_batches(X: Matrix, Y: Matrix, ends: list[int], precision: str = "auto") -> float:
    stream = MinibatchCKA(precision)
    for start, stop in zip([0, *ends[:-1]], ends, strict=True):
        stream.update({"x": X[start:stop]}, {"y": Y[start:stop]})
    return float(stream.compare().values[0, 0])


OUTLYING = [[0], [ROWS // 2], [ROWS - 1], [0, 5, 100], list(range(0, ROWS, 4))]


@pytest.mark.parametrize("rows", OUTLYING, ids=lambda rows: f"{len(rows)} from {rows[0]}")
@pytest.mark.parametrize("factor", [30.0, 1e3, 1e4, 1e5, 1e6, 1e7])
def test_unbiased_cka_of_rows_that_outweigh_all_others(rows: list[int], factor: float) -> None:
    name = "unbiased_linear_cka"
    for kind in (np.float32, np.float64):
        X, Y = with_outliers(rows, factor, kind)
        true = by_definition(X, Y)
        assert unbiased_linear_cka(X, Y) == pytest.approx(true, abs=1e-9)
        exact = compare({"x": X}, {"y": Y}, name, precision="double").values[0, 0]
        assert exact == pytest.approx(true, abs=1e-9)
        assert compare({"x": X}, {"y": Y}, name).values[0, 0] == pytest.approx(true, abs=2e-6)
        assert in_batches(X, Y, [ROWS]) == pytest.approx(true, abs=2e-6)
        assert in_batches(X, Y, [ROWS], "double") == pytest.approx(true, abs=1e-9)


@pytest.mark.parametrize("factor", [1e2, 1e5])
@pytest.mark.parametrize("first", [True, False])
def test_many_rows_whose_covariances_cost_less_than_their_gram_matrices(
    factor: float, first: bool
) -> None:
    random = np.random.default_rng(1)
    X = random.standard_normal((1200, 4))
    Y = X @ random.standard_normal((4, 3)) + random.standard_normal((1200, 3))
    for values in (X, Y):
        values[0 if first else 700] *= factor
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    true = by_definition(X, Y)
    assert unbiased_linear_cka(X, Y) == pytest.approx(true, abs=1e-9)
    in_matrix = compare({"x": X}, {"y": Y}, "unbiased_linear_cka").values[0, 0]
    assert in_matrix == pytest.approx(true, abs=2e-6)


@pytest.mark.parametrize("factor", [1e3, 1e6])
def test_one_layer_with_an_outlier_among_others(factor: float) -> None:
    X, Y = with_outliers([0], factor)
    Z = pair()[1].astype(np.float32)
    a, b = {"x": X, "z": Z}, {"y": Y}
    values = compare(a, b, "unbiased_linear_cka").values[:, 0]
    np.testing.assert_allclose(values, [by_definition(X, Y), by_definition(Z, Y)], atol=2e-6)
    with_itself = compare(a, a, "unbiased_linear_cka").values
    np.testing.assert_allclose(with_itself[0, 1], by_definition(X, Z), atol=2e-6)


@pytest.mark.parametrize("name", ["unbiased_linear_cka", "linear_cka"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [1e2, 1e4, 1e7])
def test_permutations_and_resamples_with_an_outlier(name: str, kind: type, factor: float) -> None:
    """Each is what the measure gives on its rows."""
    function = {"unbiased_linear_cka": unbiased_linear_cka, "linear_cka": linear_cka}[name]
    X, Y = with_outliers([0], factor, kind)
    Y[0] = Y[1]
    image = np.arange(ROWS)
    found = compare({"x": X}, {"y": Y}, name, groups="rows", permutations=6, resamples=6, seed=3)
    permuted = [function(X, Y[order]) for order in permutations_of(image, 6, 3)]
    assert found.null_mean is not None
    assert found.low is not None
    assert found.high is not None
    assert found.null_mean[0, 0] == pytest.approx(np.mean(permuted), abs=5e-6)
    if name == "unbiased_linear_cka":  # without resamples: see test_intervals.py
        assert found.low[0, 0] <= found.values[0, 0] <= found.high[0, 0]
        return
    resampled = [function(X[rows], Y[rows]) for rows in resamples_of(image, 6, 6, 3)]
    ends = interval_of(resampled, found.values, 0.95, 6)
    # Linear CKA is between 0 and 1, and so are the ends.
    np.testing.assert_allclose(found.low, np.clip(ends["low"], 0.0, 1.0), atol=5e-6)
    np.testing.assert_allclose(found.high, np.clip(ends["high"], 0.0, 1.0), atol=5e-6)


def test_a_stream_says_what_its_sums_cannot_hold() -> None:
    for factor in (1e1, 1e2):
        X, Y = with_outliers([0], factor)
        stream = MomentStream()
        stream.update({"x": X}, {"y": Y})
        value = stream.compare("unbiased_linear_cka").values[0, 0]
        assert value == pytest.approx(by_definition(X, Y), abs=1e-9)
    X, Y = with_outliers([0], 1e7)
    stream = MomentStream()
    stream.update({"first": X}, {"y": Y})
    with pytest.raises(ActivationError, match="rows of first are so much longer"):
        stream.compare("unbiased_linear_cka")
    assert stream.compare("linear_cka").values[0, 0] == pytest.approx(linear_cka(X, Y), abs=1e-12)


@pytest.mark.parametrize("rows", [[0], [ROWS - 1]])
@pytest.mark.parametrize("factor", [1e5, 1e6, 1e7])
def test_held_out_regression_with_an_outlier_in_float32(rows: list[int], factor: float) -> None:
    """The same values as float64 have the same R², however far below 0 it is."""
    X, Y = with_outliers(rows, factor)
    for direction in ("x_to_y", "y_to_x"):
        exact = held_out_by_definition(X, Y, direction)
        found = cross_validated_regression(X, Y, direction=direction)
        assert found == pytest.approx(exact, rel=1e-5)
        name = f"cross_validated_regression_{direction}"
        assert compare({"x": X}, {"y": Y}, name).values[0, 0] == pytest.approx(exact, rel=1e-5)


def held_out_by_definition(X: Matrix, Y: Matrix, direction: str, ridge: float = 1e-6) -> float:
    """Each fold's ridge regression as least squares with rows added, without normal equations."""
    from tb_modelcompare.similarity.folds import folds_of_rows

    source, target = (X, Y) if direction == "x_to_y" else (Y, X)
    source, target = source.astype(np.longdouble), target.astype(np.longdouble)
    error = deviation = 0.0
    for held in folds_of_rows(None, ROWS, 5):
        fitted = np.setdiff1d(np.arange(ROWS), held)
        x = (source[fitted] - source[fitted].mean(axis=0)).astype(np.float64)
        y = (target[fitted] - target[fitted].mean(axis=0)).astype(np.float64)
        level = np.square(x).sum() / x.shape[1]
        stacked = np.vstack([x, np.sqrt(ridge * level) * np.eye(x.shape[1])])
        wanted = np.vstack([y, np.zeros((x.shape[1], y.shape[1]))])
        weights = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
        about = (source[held] - source[fitted].mean(axis=0)).astype(np.float64)
        truth = (target[held] - target[fitted].mean(axis=0)).astype(np.float64)
        error += float(np.square(truth - about @ weights).sum())
        deviation += float(np.square(truth).sum())
    return 1.0 - error / deviation
