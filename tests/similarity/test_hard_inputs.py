"""Layers as networks really have them: the right number, or an error by name; never NaN."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError, RowsFewerThanUnitsWarning
from tb_modelcompare.similarity import MEASURES, compare

NAMES = list(MEASURES)
CENTRED = [name for name in NAMES if name not in ("whitened_correlation", "cknna")]


@pytest.fixture(scope="module")
def relu_layers():
    random = np.random.default_rng(3)
    shared = random.standard_normal((80, 5))
    X, Y = (
        np.maximum(shared @ random.standard_normal((5, d)) + random.standard_normal((80, d)), 0)
        for d in (7, 6)
    )
    return X, Y


def tolerance(name: str) -> float:
    return 1e-7 if MEASURES[name].distance else 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_dead_units_change_nothing(name, relu_layers):
    X, Y = relu_layers
    with_dead = np.column_stack([np.zeros(80), X, np.zeros((80, 3))])
    value = MEASURES[name].function(with_dead, Y)
    expected = MEASURES[name].function(X, Y)
    # A ridge by the mean variance of units that vary is the same with dead ones.
    assert value == pytest.approx(expected, abs=tolerance(name))
    if MEASURES[name].self_value is not None:
        assert MEASURES[name].function(with_dead, with_dead.copy()) == pytest.approx(
            MEASURES[name].self_value, abs=tolerance(name)
        )


@pytest.mark.parametrize(
    "name", [name for name, measure in MEASURES.items() if "linear" in measure.invariances]
)
def test_duplicate_and_dependent_units_change_nothing_where_only_the_span_counts(name, relu_layers):
    X, Y = relu_layers
    dependent = np.column_stack([X, X[:, 0], X[:, 1] + 2 * X[:, 2]])
    value = MEASURES[name].function(dependent, Y)
    assert value == pytest.approx(MEASURES[name].function(X, Y), abs=1e-9)
    assert MEASURES[name].function(dependent, dependent.copy()) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_duplicate_units_have_the_declared_self_value(name, relu_layers):
    X, _ = relu_layers
    if MEASURES[name].self_value is None:
        return
    doubled = np.column_stack([X, X])
    assert MEASURES[name].function(doubled, doubled.copy()) == pytest.approx(
        MEASURES[name].self_value, abs=tolerance(name)
    )


@pytest.mark.parametrize("name", NAMES)
def test_more_units_than_rows(name):
    random = np.random.default_rng(4)
    X, Y = random.standard_normal((20, 45)), random.standard_normal((20, 30))
    measure = MEASURES[name]
    if measure.wants_rows_over_units:
        with pytest.warns(RowsFewerThanUnitsWarning, match="unrelated layers"):
            comparison = compare({"x": X}, {"y": Y}, name)
        assert measure.instead in comparison.warnings[0]
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            comparison = compare({"x": X}, {"y": Y}, name)
    assert np.isfinite(comparison.values).all()
    if name in ("mean_cca", "whitened_correlation", "linear_regression_x_to_y"):
        # The spans of both are all there is: that is what the warning says.
        assert comparison.values[0, 0] == pytest.approx(1.0, abs=1e-9)
    if measure.self_value is not None:
        assert measure.function(X, X.copy()) == pytest.approx(
            measure.self_value, abs=tolerance(name)
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_scale_of_values(name, factor, relu_layers):
    X, Y = relu_layers
    expected = MEASURES[name].function(X, Y)
    assert MEASURES[name].function(X * factor, Y) == pytest.approx(expected, abs=tolerance(name))
    for kind, bound in ((np.float32, 1e-4), (np.float64, tolerance(name))):
        in_matrix = compare({"x": (X * factor).astype(kind)}, {"y": Y.astype(kind)}, name).values[
            0, 0
        ]
        assert in_matrix == pytest.approx(expected, abs=bound)


@pytest.mark.parametrize("name", NAMES)
def test_float16(name, relu_layers):
    X, Y = (one.astype(np.float16) for one in relu_layers)
    exact = MEASURES[name].function(X.astype(np.float64), Y.astype(np.float64))
    assert MEASURES[name].function(X, Y) == pytest.approx(exact, abs=1e-12)
    assert compare({"x": X}, {"y": Y}, name).values[0, 0] == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_large_means_cost_nothing(name, relu_layers):
    """A float32 layer of mean 1000 and deviation 1: the mean is not what is compared."""
    if "translation" not in MEASURES[name].invariances:
        return
    X, Y = ((one + 1000.0).astype(np.float32) for one in relu_layers)
    exact = MEASURES[name].function(X.astype(np.float64) - 1000.0, Y.astype(np.float64) - 1000.0)
    assert compare({"x": X}, {"y": Y}, name).values[0, 0] == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("name", CENTRED)
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_a_layer_that_does_not_vary_is_an_error_that_names_it(name, value, relu_layers):
    X, _ = relu_layers
    flat = np.full((80, 4), value)
    for pair in ((flat, X), (X, flat), (flat, flat)):
        with pytest.raises(ActivationError, match=r"vary|variation"):
            MEASURES[name].function(*pair)
    with pytest.raises(ActivationError, match="block7"):
        compare({"first": X, "block7": flat}, {"y": X}, name)


def test_a_constant_layer_is_the_constant_for_uncentred_correlation(relu_layers):
    X, _ = relu_layers
    flat = np.full((80, 1), 0.1)
    assert MEASURES["whitened_correlation"].function(flat, flat + 5) == pytest.approx(1.0)
    with pytest.raises(ActivationError, match="zero on all"):
        MEASURES["whitened_correlation"].function(np.zeros((80, 2)), X)
    with pytest.raises(ActivationError, match="does not vary"):
        MEASURES["cknna"].function(flat, X)


@pytest.mark.parametrize("name", NAMES)
def test_dead_layers_can_be_left_out(name, relu_layers):
    X, Y = relu_layers
    result = compare({"a": X, "dead": np.zeros((80, 3))}, {"b": Y}, name, constant="drop")
    assert (result.rows, result.columns) == (("a",), ("b",))
    assert any("dead" in note for note in result.warnings)
    assert result.values == pytest.approx(compare({"a": X}, {"b": Y}, name).values)
    with pytest.raises(ActivationError, match="No layer of the first model varies"):
        compare({"dead": np.zeros((80, 3))}, {"b": Y}, name, constant="drop")


@pytest.mark.parametrize("name", NAMES)
def test_one_row(name):
    one = np.array([[1.0, 2.0, -3.0]])
    if name == "whitened_correlation":
        assert MEASURES[name].function(one, one * 2) == pytest.approx(1.0)
        return
    with pytest.raises(ActivationError, match="1 row"):
        MEASURES[name].function(one, one)
    with pytest.raises(ActivationError, match="1 row"):
        compare({"x": one}, {"y": one}, name)


# Two rows have one distance, which correlates with nothing; k neighbours need k other rows;
# five folds need five images.
LEAST_ROWS = {
    "unbiased_linear_cka": 4,
    "unbiased_rbf_cka": 4,
    "rsa_pearson": 3,
    "rsa_spearman": 3,
    "mutual_knn": 11,
    "mutual_knn_cosine": 11,
    "cknna": 11,
    "cross_validated_regression_x_to_y": 5,
    "cross_validated_regression_y_to_x": 5,
}


@pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [2, 3, 4, 5])
def test_hardly_any_rows(name, rows):
    random = np.random.default_rng(rows)
    X, Y = random.standard_normal((rows, 3)), random.standard_normal((rows, 2))
    needed = LEAST_ROWS.get(name, 2)
    if rows < needed:
        with pytest.raises(ActivationError, match=r"row|image"):
            compare({"x": X}, {"y": Y}, name)
    else:
        assert np.isfinite(compare({"x": X}, {"y": Y}, name).values).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(name, bad, relu_layers):
    X, Y = relu_layers
    spoilt = X.astype(np.float32)
    spoilt[40, 2] = bad
    with pytest.raises(ActivationError, match="conv9 has NaN, infinite"):
        compare({"conv9": spoilt}, {"y": Y}, name)
    with pytest.raises(ActivationError, match="unit 2"):
        MEASURES[name].function(Y, spoilt)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros((80, 4, 4, 2)), r"shape \(80, 4, 4, 2\)"),
        (np.zeros(80), r"For a layer of one unit pass bad\[:, None\]"),
        (np.zeros((80, 0)), "empty"),
        (np.zeros((80, 2), complex), "complex"),
        (np.array([["a"] * 2] * 80), "type"),
        (np.zeros((79, 2)), "79"),
    ],
)
def test_what_is_no_layer(bad, says, relu_layers):
    for pair in (({"bad": bad}, {"y": relu_layers[0]}), ({"y": relu_layers[0]}, {"bad": bad})):
        with pytest.raises(ActivationError, match=says):
            compare(*pair)


def test_wrong_options(relu_layers):
    X, Y = relu_layers
    model = {"x": X}, {"y": Y}
    with pytest.raises(ActivationError, match="linear_cka"):
        compare(*model, "linear_kca")
    with pytest.raises(ActivationError, match="No layers of the second"):
        compare({"x": X}, {})
    for name, options in (
        ("svcca", {"threshold": 1.5}),
        ("svcca", {"components": 0}),
        ("shape_metric", {"alpha": -0.1}),
        ("rbf_cka", {"bandwidth": 0.0}),
        ("mutual_knn", {"k": 0}),
        ("mutual_knn", {"k": 80}),
        ("cross_validated_regression_x_to_y", {"folds": 81}),
        ("cross_validated_regression_x_to_y", {"groups": np.zeros(3)}),
        ("cross_validated_regression_x_to_y", {"groups": np.zeros(80)}),
    ):
        with pytest.raises(ActivationError):
            compare(*model, name, **options)


def test_equal_rows_are_at_distance_zero():
    """Dead ReLU rows: RBF CKA and RSA see exact ties, not rounding."""
    random = np.random.default_rng(0)
    X = np.maximum(random.standard_normal((60, 8)) - 0.5, 0) + 1e3
    X[::4] = 1e3
    from tb_modelcompare.similarity.activations import open_layer
    from tb_modelcompare.similarity.distances import points_of, squared_distances, varying_values

    distances = squared_distances(points_of(varying_values(open_layer(X))))
    equal = (X[:, None] == X[None]).all(axis=2)[np.triu_indices(60, 1)]
    assert (distances[equal] == 0.0).all()
    assert (distances[~equal] > 0.0).all()


def test_mostly_equal_rows_have_no_rbf_width():
    X = np.zeros((50, 3))
    X[:5] = np.random.default_rng(0).standard_normal((5, 3))
    with pytest.raises(ActivationError, match="median distance is 0"):
        MEASURES["rbf_cka"].function(X, X)
