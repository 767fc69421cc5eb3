"""Directions carried between layers, and how well they are predicted."""

from __future__ import annotations

import numpy as np
import pytest

from tb_modelcompare.analogy.directions import predict_direction, residual_direction
from tb_modelcompare.analogy.prediction import RIDGES, best_unit, prediction_r2
from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import cross_validated_regression
from tb_modelcompare.similarity.folds import folds_of_rows


@pytest.fixture(scope="module")
def layers():
    random = np.random.default_rng(0)
    X = np.maximum(random.standard_normal((600, 12)), 0)
    Y = np.maximum(X @ random.standard_normal((12, 9)) + random.standard_normal((600, 9)), 0)
    return X, Y, random.standard_normal(12)


def test_direction_is_the_notebooks(layers):
    X, Y, v = layers
    C11, C12 = X.T @ X / len(X), X.T @ Y / len(X)
    expected = (np.linalg.inv(C11) @ v).T @ C12
    np.testing.assert_allclose(predict_direction(X, Y, v), expected, atol=1e-12)
    both = predict_direction(X, Y, np.stack([v, 2 * v]))
    np.testing.assert_allclose(both, [expected, 2 * expected], atol=1e-12)


def test_direction_in_the_layer_itself_is_the_direction(layers):
    X, _, v = layers
    np.testing.assert_allclose(predict_direction(X, X, v), v, atol=1e-12)


def test_direction_in_rotated_and_stretched_units(layers):
    """Y = X W: the unit u of X is read from Y by W's pseudo-inverse; v' = v W carries it."""
    X, _, v = layers
    W = np.random.default_rng(1).standard_normal((12, 15))
    np.testing.assert_allclose(predict_direction(X, X @ W, v), v @ W, atol=1e-10)


def test_the_residual_direction_answers_to_what_the_other_layer_does_not_have(layers):
    X, Y, v = layers
    # Activity along v; of it, what least squares on Y leaves; and the direction of that.
    activity = X @ np.linalg.solve(X.T @ X / len(X), v)
    left = activity - Y @ np.linalg.lstsq(Y, activity, rcond=None)[0]
    expected = left @ X / len(X)
    np.testing.assert_allclose(residual_direction(X, Y, v, ridge=1e-12), expected, atol=1e-9)
    assert 0.1 < np.linalg.norm(expected) / np.linalg.norm(v) < 0.9


def test_nothing_remains_of_a_direction_that_the_other_layer_has(layers):
    X, _, v = layers
    W = np.random.default_rng(1).standard_normal((12, 15))
    assert np.linalg.norm(residual_direction(X, X @ W, v, ridge=1e-10)) < 1e-6


def test_constant_and_duplicate_units_neither_stop_nor_bend_a_direction(layers):
    X, Y, v = layers
    singular = np.column_stack([X, np.zeros(600), X[:, 0]])
    carried = predict_direction(singular, Y, np.append(v, [0.0, v[0]]))
    # Unit 0 and its copy act as one direction; asked for both, it counts once.
    np.testing.assert_allclose(carried, predict_direction(X, Y, v), atol=1e-4)
    assert np.isfinite(predict_direction(X[:5], Y[:5], v)).all()
    assert not predict_direction(singular, Y, np.eye(14)[12]).any()


def test_float32_and_float16(layers):
    X, Y, v = layers
    expected = predict_direction(X, Y, v)
    for kind, bound in ((np.float32, 1e-5), (np.float16, 1e-2)):
        np.testing.assert_allclose(
            predict_direction(X.astype(kind), Y.astype(kind), v), expected, atol=bound
        )


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 2, 12)), np.full(12, np.nan)])
def test_directions_that_are_none(layers, bad):
    X, Y, _ = layers
    with pytest.raises(ActivationError, match="direction"):
        predict_direction(X, Y, bad)


def test_layers_that_cannot_be_used(layers):
    X, Y, v = layers
    with pytest.raises(ActivationError, match="rows"):
        predict_direction(X, Y[:-1], v)
    with pytest.raises(ActivationError, match="zero on all rows"):
        predict_direction(np.zeros_like(X), Y, v)
    with pytest.raises(ActivationError, match="folds"):
        prediction_r2(X, Y, folds=1)
    with pytest.raises(ActivationError, match="groups"):
        prediction_r2(X, Y, groups=[1, 2])


def test_prediction_r2_is_perfect_chance_or_between(layers):
    X, _, _ = layers
    random = np.random.default_rng(2)
    wanted = np.column_stack(
        [
            X @ random.standard_normal(12) + 3,
            random.standard_normal(600),
            X[:, 0] + X[:, 0].std() * random.standard_normal(600),
            np.full(600, 7.0),
        ]
    )
    r2 = prediction_r2(X, wanted)
    assert r2.shape == (4,)
    assert r2[0] == pytest.approx(1.0, abs=1e-6)
    assert -0.1 < r2[1] < 0.05
    assert r2[2] == pytest.approx(0.5, abs=0.08)
    assert r2[3] == 0.0
    assert prediction_r2(X, wanted[:, 2])[0] == pytest.approx(r2[2])


def test_prediction_r2_does_not_learn_from_positions_of_the_same_image():
    """Features that only name the image predict nothing about images not seen."""
    random = np.random.default_rng(3)
    features = random.standard_normal((40, 60)).repeat(10, axis=0)
    wanted = random.standard_normal(40).repeat(10)
    groups = np.arange(40).repeat(10)
    assert prediction_r2(features, wanted)[0] > 0.95
    assert prediction_r2(features, wanted, groups=groups)[0] < 0.0


def test_prediction_r2_finds_what_is_spread_over_many_correlated_units():
    """As many units as a convolutional layer has, few rows, one direction that matters."""
    random = np.random.default_rng(4)
    cause = random.standard_normal((600, 1))
    features = cause + 0.5 * random.standard_normal((600, 400))
    wanted = cause[:, 0] + random.standard_normal(600)
    chosen = prediction_r2(features, wanted)[0]
    assert chosen == pytest.approx(0.5, abs=0.1)
    assert chosen > prediction_r2(features, wanted, ridge=1e-6)[0] + 0.3


def test_prediction_r2_of_scaled_and_shifted_units_is_the_same(layers):
    X, Y, _ = layers
    r2 = prediction_r2(X, Y)
    np.testing.assert_allclose(prediction_r2(1e6 * X - 5e6, 1e-6 * Y + 1), r2, atol=1e-6)


def test_best_unit(layers):
    _, Y, _ = layers
    random = np.random.default_rng(4)
    copy = 5 * Y[:, 3] + 0.2 * random.standard_normal(600) - 100
    unit, correlation = best_unit(Y, copy)
    assert unit == 3
    assert correlation == pytest.approx(np.corrcoef(Y[:, 3], copy)[0, 1])
    assert best_unit(np.column_stack([np.zeros(600), Y]), copy)[0] == 4
    assert best_unit(Y, np.ones(600)) == (0, 0.0)


def test_with_one_ridge_it_is_the_measure_of_held_out_regression(layers):
    X, Y, _ = layers
    groups = np.arange(len(X)) // 4
    for unit in (0, 5):
        measured = cross_validated_regression(X, Y[:, [unit]], groups=groups, ridge=0.1)
        found = prediction_r2(X, Y[:, unit], groups=groups, ridge=0.1)[0]
        assert found == pytest.approx(measured, abs=1e-12)


def test_choosing_a_ridge_does_not_make_noise_predictable():
    """The best of several ridges on the scored rows would find something in each."""
    random = np.random.default_rng(5)
    features, wanted = random.standard_normal((300, 80)), random.standard_normal((300, 200))
    assert -0.1 < prediction_r2(features, wanted).mean() < 0.0


@pytest.mark.parametrize(("rows", "units"), [(160, 20), (160, 150), (1000, 100), (100, 300)])
def test_prediction_r2_of_noise_is_about_nothing(rows, units):
    """Also just below as many units as rows, where a small ridge follows noise the most."""
    random = np.random.default_rng(6)
    r2 = prediction_r2(random.standard_normal((rows, units)), random.standard_normal((rows, 60)))
    assert -0.03 < r2.mean() < 0.01


def test_ridges_that_noise_wants_cost_a_signal_nothing():
    random = np.random.default_rng(7)
    X = random.standard_normal((1000, 20))
    signal = X @ random.standard_normal(20)
    wanted = signal[:, None] / signal.std() + random.standard_normal((1000, 60))
    assert prediction_r2(X, wanted).mean() == pytest.approx(0.487, abs=0.01)
    assert prediction_r2(X, signal)[0] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("row", [0, 333, 599])
@pytest.mark.parametrize("factor", [1e5, 1e7])
def test_a_row_far_from_all_others_costs_no_precision(layers, row, factor):
    """Neither in the columns that it is not far in, nor with predictors in float32."""
    X, Y, _ = layers
    wanted = Y[:, :2].copy()
    wanted[row, 1] *= factor
    assert prediction_r2(X, wanted)[0] == pytest.approx(prediction_r2(X, Y[:, 0])[0], abs=1e-9)
    far = X.astype(np.float32)
    far[row] *= np.float32(factor)
    narrow, wide = (prediction_r2(far.astype(kind), Y, ridge=0.1) for kind in ("f4", "f8"))
    np.testing.assert_allclose(narrow, wide, rtol=1e-9)


@pytest.mark.parametrize("row", [0, 40])
def test_a_row_far_from_all_others_costs_no_precision_where_units_outnumber_rows(row):
    random = np.random.default_rng(3)
    X, Y = random.standard_normal((60, 150)), random.standard_normal((60, 4))
    without = prediction_r2(np.delete(X, row, axis=0), np.delete(Y, row, axis=0), ridge=0.1)
    assert np.abs(without).max() < 1.0
    far = X.astype(np.float32)
    far[row] *= np.float32(1e6)
    again = far[:, random.permutation(150)].astype(np.float64)  # the same in exact arithmetic
    np.testing.assert_allclose(
        prediction_r2(far, Y, ridge=0.1), prediction_r2(again, Y, ridge=0.1), rtol=1e-8
    )


@pytest.mark.parametrize("units", [25, 61, 200])
def test_the_choice_of_a_ridge_never_sees_the_rows_that_are_scored(units):
    """Every fold by hand: the best ridge within the others, then fitted to these.

    Of more units than rows as well, by fits of all units.
    """
    random = np.random.default_rng(5)
    X = random.standard_normal((60, units))
    X[:, :2], X[50:, 2] = 7.0, 7.0  # constant
    Y = X[:, 3:5] + 3 * random.standard_normal((60, 2))
    held = [np.array(rows) for rows in folds_of_rows(None, 60, 4)]
    error, deviation = np.zeros(2), np.zeros(2)

    def misses(train, test, ridge):
        mean, about = X[train].mean(axis=0), Y[train].mean(axis=0)
        covariance = (X[train] - mean).T @ (X[train] - mean) / len(train)
        level = np.trace(covariance) / np.count_nonzero(np.ptp(X[train], axis=0))
        covariance += ridge * level * np.eye(units)
        cross = (X[train] - mean).T @ (Y[train] - about) / len(train)
        fitted = (X[test] - mean) @ np.linalg.solve(covariance, cross) + about
        return ((Y[test] - fitted) ** 2).sum(axis=0)

    for outer in range(4):
        others = [fold for fold in range(4) if fold != outer]
        inner = [
            sum(
                misses(np.concatenate([held[f] for f in others if f != one]), held[one], ridge)
                for one in others
            )
            for ridge in RIDGES
        ]
        train = np.concatenate([held[fold] for fold in others])
        best = np.argmin(inner, axis=0)
        error += [misses(train, held[outer], RIDGES[b])[k] for k, b in enumerate(best)]
        deviation += ((Y[held[outer]] - Y[train].mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(prediction_r2(X, Y, folds=4), 1 - error / deviation, rtol=1e-6)
    with pytest.raises(ActivationError, match="3 or more"):
        prediction_r2(X, Y, folds=2)
    assert np.isfinite(prediction_r2(X, Y, folds=2, ridge=0.1)).all()


def test_the_old_name_of_the_residual_direction_still_works() -> None:
    from tb_modelcompare import analogy

    with pytest.warns(DeprecationWarning, match="residual_direction"):
        assert analogy.difference_direction is analogy.residual_direction


def test_a_few_images_are_left_out_one_by_one_and_too_few_are_named() -> None:
    x = np.random.default_rng(0).standard_normal((16, 3))
    y, image = x @ [1.0, 2.0, 0.5], np.repeat(np.arange(4), 4)
    assert prediction_r2(x, y, groups=image) == prediction_r2(x, y, groups=image, folds=4)
    with pytest.raises(ActivationError, match=r"2 image.* too few .*a probe of at least 3"):
        prediction_r2(x[:8], y[:8], groups=image[:8])
