"""Measures on distances between rows, whatever is large in the layer."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import MEASURES, compare, rbf_cka
from tb_modelcompare.similarity.distances import points_of, ranks, squared_distances
from tb_modelcompare.similarity.measures.rsa import rsa

OF_PAIRS = [name for name in MEASURES if name.startswith(("rsa", "rbf"))]
FACTORS = [1e3, 1e5, 1e6, 1e7, 1e9]


def normal(*shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


def pdist(X):
    return scipy.spatial.distance.pdist(X, "sqeuclidean")


def by_definition(X, Y, comparison="spearman"):
    statistic = getattr(scipy.stats, f"{comparison}r")
    return statistic(pdist(X), pdist(Y)).statistic


@pytest.mark.parametrize("at", [0, 100, -1])
@pytest.mark.parametrize("factor", FACTORS)
def test_one_row_far_away_leaves_the_ranks_of_all_other_distances(factor, at):
    X, Y = normal(200, 32, seed=0), normal(200, 32, seed=1)
    X[at] *= factor
    Y[at] *= factor
    expected = by_definition(X, Y)
    assert expected < 0.2
    assert rsa(X, Y, comparison="spearman") == pytest.approx(expected, abs=1e-9)
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    in_matrix = compare({"x": X}, {"y": Y}, "rsa_spearman").values[0, 0]
    assert in_matrix == pytest.approx(by_definition(X.astype(float), Y.astype(float)), abs=1e-7)


@pytest.mark.parametrize("size", FACTORS)
def test_a_unit_of_two_far_modes_leaves_distances_within_a_mode(size):
    X = normal(100, 16, seed=0)
    mode = np.where(np.arange(100) < 50, 1.0, -1.0)[:, None]
    found = squared_distances(points_of(np.hstack([X, size * mode])))
    within = pdist(mode) == 0.0
    assert found[within] == pytest.approx(pdist(X)[within], rel=1e-11)
    assert found[~within] == pytest.approx(4.0 * size**2 + pdist(X)[~within], rel=1e-11)


@pytest.mark.parametrize("name", OF_PAIRS)
@pytest.mark.parametrize("size", [*FACTORS, 1e15])
def test_a_constant_unit_changes_nothing(name, size):
    X, Y = normal(90, 8, seed=0), normal(90, 8, seed=1)
    measure = MEASURES[name].function
    with_constant = np.hstack([X, np.full((90, 1), size)])
    assert measure(with_constant, Y) == pytest.approx(measure(X, Y), abs=1e-12)


@pytest.mark.parametrize("kind", ["integers", "equal rows", "silent rows", "labels"])
def test_ties_have_their_mean_rank_also_after_a_rotation(kind):
    random = np.random.default_rng(0)
    X, Y = random.integers(-2, 3, (2, 70, 4)).astype(float)
    if kind == "equal rows":
        X = normal(20, 4, seed=1)[random.integers(0, 20, 70)]
    if kind == "silent rows":
        X[::2] = 0.0
    if kind == "labels":
        X = np.eye(4)[random.integers(0, 4, 70)]
    expected = by_definition(X, Y) if kind != "equal rows" else None
    value = rsa(X, Y, comparison="spearman")
    assert expected is None or value == pytest.approx(expected, abs=1e-12)
    rotation = np.linalg.qr(normal(4, 4, seed=2))[0]
    for same in (X @ rotation, 0.3 * X, X + 0.7, X @ rotation * 1e-3 + 5.0, X[:, ::-1]):
        assert rsa(same, Y, comparison="spearman") == pytest.approx(value, abs=1e-12)
        assert rsa(same, X, comparison="spearman") == pytest.approx(1.0, abs=1e-12)


def test_ties_between_distances_are_kept_beside_a_row_far_away():
    X, Y = np.random.default_rng(0).integers(-2, 3, (2, 70, 4)).astype(float)
    X[-1] *= 1e5
    assert rsa(X, Y, comparison="spearman") == pytest.approx(by_definition(X, Y), abs=1e-12)


def test_values_that_are_close_by_way_of_others_are_no_ties():
    values = np.arange(10.0)
    chain = ranks(values, np.full(10, 0.6, np.float32))
    assert (chain == np.arange(1, 11)).all()
    tied = ranks(np.array([3.0, 1.0, 1.0, 1.0 + 1e-12, 2.0]), np.full(5, 1e-12, np.float32))
    assert tied.tolist() == [5.0, 2.0, 2.0, 2.0, 4.0]


@pytest.mark.parametrize("name", OF_PAIRS)
@pytest.mark.parametrize("factor", FACTORS)
def test_float32_stays_in_the_range_and_near_float64(name, factor):
    """One row far away: sums of distances of one size drift in float32."""
    measure = MEASURES[name]
    X, Y = normal(700, 8, seed=0), normal(700, 8, seed=1)
    X[0] *= factor
    Y[0] *= factor
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    found = compare({"x": X}, {"y": Y, "x": X.copy(), "order": X[:, ::-1]}, name).values[0]
    assert (found <= measure.high + 1e-12).all()
    assert found == pytest.approx([measure.function(X, Y), 1.0, 1.0], abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_value_is_in_its_range(seed):
    random = np.random.default_rng(seed)
    X, Y = random.standard_normal((2, 40, 3)) * np.exp(random.uniform(-20, 20, (2, 40, 1)))
    kind = random.choice([np.float32, np.float64])
    for name in OF_PAIRS:
        value = compare({"x": X.astype(kind)}, {"y": Y.astype(kind)}, name).values[0, 0]
        assert MEASURES[name].low - 1e-12 <= value <= MEASURES[name].high + 1e-12


@pytest.mark.parametrize("comparison", ["pearson", "spearman"])
@pytest.mark.parametrize("distance", ["squared_euclidean", "euclidean", "correlation"])
def test_equal_distances_have_no_geometry(comparison, distance):
    rotation = np.linalg.qr(normal(12, 12, seed=0))[0]
    rotated = [] if distance == "correlation" else [np.eye(12) @ rotation]
    for same in (np.eye(12), 0.1 * np.eye(12) + 0.7, *rotated):
        with pytest.raises(ActivationError, match="same distance between all pairs"):
            rsa(same, normal(12, 3, seed=1), comparison=comparison, distance=distance)


def test_a_row_of_one_value_has_no_correlation():
    X = normal(20, 7, seed=0)
    X[3] = 0.1
    with pytest.raises(ActivationError, match="on row 3"):
        rsa(X, X, distance="correlation")


@pytest.mark.parametrize("bandwidth", [10.0, 1e3, 1e5])
def test_a_wide_kernel_is_linear_cka(bandwidth):
    """To first order, K is 1 less the squared distances, whose centred form is linear."""
    X, Y = normal(60, 5, seed=0), normal(60, 5, seed=1)
    linear = MEASURES["linear_cka"].function(X, Y)
    assert rbf_cka(X, Y, bandwidth=bandwidth) == pytest.approx(linear, abs=1.0 / bandwidth**2)


def test_a_narrow_kernel_knows_equal_rows_only():
    X, Y = normal(60, 5, seed=0), normal(60, 5, seed=1)
    assert rbf_cka(X, Y, bandwidth=1e-200) == pytest.approx(1.0, abs=1e-12)
