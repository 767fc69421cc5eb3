"""Options of comparisons, estimates and streams; all other values are errors that say so."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tb_modelcompare import similarity
from tb_modelcompare.analogy.directions import predict_direction
from tb_modelcompare.analogy.prediction import prediction_r2
from tb_modelcompare.errors import ActivationError, OptionError, RowsFewerThanUnitsWarning
from tb_modelcompare.similarity import (
    MEASURES,
    MinibatchCKA,
    MomentStream,
    compare,
    cross_validated_regression,
    linear_regression,
    refine,
)
from tb_modelcompare.similarity.moments import Cross, LayerMoments
from tb_modelcompare.similarity.registry import MomentPlan

Matrix = npt.NDArray[np.float64]


def layer(seed: int, rows: int = 60, units: int = 5) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, units))


A, B = {"x": layer(0)}, {"y": layer(1)}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("precision", "float32"),
        ("precision", None),
        ("constant", "ignore"),
        ("constant", True),
        ("dead", "ignore"),
        ("memory", 0),
        ("memory", 1e9),
        ("memory", "1G"),
        ("seed", -1),
        ("seed", 0.5),
        ("level", 0.0),
        ("level", 95),
        ("level", np.nan),
        ("groups", np.arange(7)),
        ("groups", np.zeros((60, 2))),
        ("progress", 1),
        ("cancelled", True),
    ],
)
def test_options_that_both_doors_take(option: str, value: object) -> None:
    for name in ("linear_cka", "mean_cca", "rsa_pearson", "mutual_knn"):
        with pytest.raises(ActivationError, match=option):
            compare(A, B, name, **{option: value})
        with pytest.raises(ActivationError, match=option):
            refine(A, B, name, **{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("permutations", -1),
        ("permutations", 2.5),
        ("permutations", True),
        ("resamples", -5),
        ("resamples", 1),
        ("resamples", 2),
        ("resamples", 20.0),
    ],
)
def test_numbers_of_permutations_and_resamples(option: str, value: object) -> None:
    with pytest.raises(OptionError, match=option):
        compare(A, B, **{option: value})


def test_few_resamples_make_a_wide_interval() -> None:
    """Student's quantile pays for them, so that there is nothing to warn of.

    With 4 degrees of freedom it is 1.33 times that with 19, and the deviation of 5 values is 0.95
    times that of 20 in the mean, which makes 1.26 where the measure is linear in the images. The
    mean over many pairs of unrelated layers is 1.20; a single pair may lie far from it.
    """
    widths = np.empty((2, 5))
    for seed in range(5):
        a, b = ({f"{i}": layer(100 * seed + first + i) for i in range(8)} for first in (0, 50))
        for which, number in enumerate((5, 20)):
            found = compare(a, b, groups="rows", resamples=number, seed=seed)
            assert not found.warnings
            assert found.low is not None
            assert found.high is not None
            widths[which, seed] = np.mean(found.high - found.low)
    few, many = widths.mean(axis=1)
    assert 1.1 < few / many < 1.4


@pytest.mark.parametrize(
    ("option", "value"),
    [("first", 0), ("first", -3), ("first", 1.5), ("growth", 1), ("growth", 0), ("growth", 2.5)],
)
def test_estimates_that_would_never_end_are_refused_at_once(option: str, value: object) -> None:
    for name in ("linear_cka", "mean_cca", "mutual_knn"):
        with pytest.raises(OptionError, match=option):
            refine(A, B, name, **{option: value})


@pytest.mark.parametrize("first", [1, 2, 5, 17])
@pytest.mark.parametrize("positions", [1, 20])
def test_estimates_from_next_to_nothing_end_with_the_exact_values(
    first: int, positions: int
) -> None:
    groups = np.repeat(np.arange(60 // positions), positions)
    *_, last = refine(A, B, groups=groups, first=first, growth=2)
    assert last.exact
    assert (last.comparison.values == compare(A, B).values).all()


def test_a_mistyped_option_is_told_what_there_is() -> None:
    for door in (compare, refine):
        with pytest.raises(OptionError, match=r"'treshold'.*threshold"):
            door(A, B, "svcca", treshold=0.9)
        with pytest.raises(OptionError, match=r"'permutation'"):
            door(A, B, "linear_cka", permutation=10)
    stream = MomentStream()
    stream.update(A, B)
    with pytest.raises(OptionError, match=r"'treshold'.*threshold"):
        stream.compare("svcca", treshold=0.9)
    with pytest.raises(OptionError, match="No measure is named 'linear_kca'"):
        stream.compare("linear_kca")


@pytest.mark.parametrize("precision", ["float32", "exact", None])
def test_precision_of_minibatches(precision: object) -> None:
    with pytest.raises(OptionError, match="precision"):
        MinibatchCKA(precision)


def test_a_measure_given_as_its_function() -> None:
    for name in ("linear_cka", "unbiased_linear_cka", "mean_cca", "mutual_knn", "shape_metric"):
        given = compare(A, B, getattr(similarity, name))
        assert given.measure == name
        assert given.values == compare(A, B, name).values
    for name in ("svcca_r2", "rsa_spearman", "linear_regression_y_to_x"):
        assert compare(A, B, getattr(similarity, name)).measure == name
    with pytest.raises(OptionError, match="'linear_regression_x_to_y', 'linear_regression_y_to_x'"):
        compare(A, B, linear_regression)
    for bad in (np.linalg.norm, 3, None):
        with pytest.raises(OptionError, match="no measure"):
            compare(A, B, bad)


@pytest.mark.parametrize("options", [{"ridge": -1}, {"ridge": np.nan}, {"ridge": "small"}])
def test_ridges(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="ridge"):
        cross_validated_regression(A["x"], B["y"], **options)
    with pytest.raises(OptionError, match="ridge"):
        prediction_r2(A["x"], B["y"], **options)
    with pytest.raises(OptionError, match="ridge"):
        predict_direction(A["x"], B["y"], np.ones(5), **options)


@pytest.mark.parametrize("folds", [2.5, "5", True, 0, -1])
def test_folds(folds: object) -> None:
    with pytest.raises(ActivationError, match="folds"):
        cross_validated_regression(A["x"], B["y"], folds=folds)
    with pytest.raises(ActivationError, match="folds"):
        prediction_r2(A["x"], B["y"], folds=folds)


def test_directions_and_cut_offs_of_regression() -> None:
    for function in (linear_regression, cross_validated_regression):
        with pytest.raises(OptionError, match="direction is 'xy'"):
            function(A["x"], B["y"], direction="xy")
    for rcond in (-1, np.nan, 1.0, "0"):
        with pytest.raises(OptionError, match="rcond"):
            linear_regression(A["x"], B["y"], rcond=rcond)


@pytest.mark.parametrize("kind", ["wide", "duplicated", "nearly duplicated", "constant", "summed"])
def test_no_ridge_where_predictors_depend_on_each_other_is_an_error_of_ours(kind: str) -> None:
    X = layer(0)
    predictors = {
        "wide": layer(2, units=70),
        "duplicated": np.hstack([X, X[:, :1]]),
        "nearly duplicated": np.hstack([X, X[:, :1] * 3 + 1e-9 * X[:, 1:2]]),
        "constant": np.hstack([X, np.ones((60, 1))]),
        "summed": np.hstack([X, X @ np.ones((5, 1))]),
    }[kind]
    for door in (
        lambda ridge: cross_validated_regression(predictors, B["y"], ridge=ridge),
        lambda ridge: prediction_r2(predictors, B["y"], ridge=ridge).mean(),
    ):
        with pytest.raises(ActivationError, match="larger ridge"):
            door(0.0)
        assert np.isfinite(door(1e-6))
    if kind in ("wide", "duplicated", "summed"):
        with pytest.raises(ActivationError, match="larger ridge"):
            predict_direction(predictors, B["y"], np.ones(predictors.shape[1]), ridge=0.0)
    assert np.isfinite(cross_validated_regression(X, B["y"], ridge=0.0))
    # Units of very different sizes are no reason for a ridge.
    sizes = 10.0 ** np.array([-6, -3, 0, 3, 6])
    assert cross_validated_regression(X * sizes, B["y"], ridge=0.0) == pytest.approx(
        cross_validated_regression(X, B["y"], ridge=0.0), abs=1e-9
    )


def few(rows: int, units: int, seed: int = 0) -> Matrix:
    return layer(seed, rows, units)


def test_few_rows_are_warned_of_where_both_models_have_a_layer_of_that_name() -> None:
    for wide in ("a", "b"):
        a = {"block": few(30, 80 if wide == "a" else 5)}
        b = {"block": few(30, 5 if wide == "a" else 80, 1)}
        with pytest.warns(RowsFewerThanUnitsWarning, match=r"block \(80\)"):
            found = compare(a, b, "mean_cca")
        assert "unbiased_linear_cka" in found.warnings[0]
    with pytest.warns(RowsFewerThanUnitsWarning, match=r"block \(80\), block \(90\): "):
        compare({"block": few(30, 80)}, {"block": few(30, 90, 1)}, "mean_cca")
    same = {"block": few(30, 80)}
    with pytest.warns(RowsFewerThanUnitsWarning, match=r"each unit of block \(80\): "):
        compare(same, same, "mean_cca")


def test_a_debiased_measure_warns_of_no_few_rows() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare({"x": few(30, 80)}, {"y": few(30, 90, 1)}, "unbiased_linear_cka")


# --- measures of users -------------------------------------------------------------------------


def total_covariance() -> MomentPlan:
    """||X'Y|| over units: what it is of a layer with itself depends on the layer."""

    def prepare(moments: LayerMoments) -> LayerMoments:
        return moments

    def combine(x: LayerMoments, y: LayerMoments, cross: Cross) -> float:
        return float(np.linalg.norm(cross.covariance)) / np.sqrt(x.units * y.units)

    return MomentPlan(prepare, combine)


OWN = replace(
    MEASURES["linear_cka"],
    name="total_covariance",
    title="Total covariance",
    high=np.inf,
    self_value=None,
    invariances=("permutation", "unit sign", "translation", "linear"),
    function=lambda X, Y: float("nan"),
    plan=total_covariance,
    sampled=False,
)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_moment_measure_of_a_user_without_a_value_for_itself(kind: type) -> None:
    layers = {"x": layer(0).astype(kind), "z": layer(1, units=7).astype(kind)}
    copies = {name: values.copy() for name, values in layers.items()}
    expected = compare(layers, copies, OWN).values
    np.testing.assert_allclose(compare(layers, layers, OWN).values, expected, rtol=1e-6)
    stream = MomentStream()
    stream.update(layers)
    np.testing.assert_allclose(stream.compare(OWN).values, expected, rtol=1e-6)


@pytest.mark.parametrize("same", [False, True])
def test_a_measure_of_a_user_that_is_linear_and_does_not_whiten_has_intervals(same: bool) -> None:
    b = A if same else B
    found = compare(A, b, OWN, groups="rows", permutations=3, resamples=40, seed=1)
    assert found.low is not None
    assert found.high is not None
    assert (found.low < found.values).all()
    assert (found.values < found.high).all()
    from tb_modelcompare.similarity.significance import interval_of, resamples_of

    drawn = []
    for rows in resamples_of(np.arange(60), 40, 20, 1):
        left, right = ({name: v[rows] for name, v in side.items()} for side in (A, b))
        drawn.append(compare(left, right, OWN).values)
    ends = interval_of(drawn, found.values, 0.95, 20)
    np.testing.assert_allclose(found.low, ends["low"], atol=1e-9)
    np.testing.assert_allclose(found.high, ends["high"], atol=1e-9)


def test_the_former_name_of_constant_works_and_says_the_new_one() -> None:
    a = {**A, "flat": np.ones((60, 2))}
    with pytest.warns(DeprecationWarning, match="called constant") as told:
        before = compare(a, B, dead="drop")
    assert told[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="called constant"):
        estimates = refine(a, B, dead="drop")
    assert next(estimates).comparison.rows == before.rows == compare(a, B, constant="drop").rows
