"""Neighbours by exact distances, with ties that are shared, whatever else a layer holds."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_modelcompare.similarity import cknna, compare, mutual_knn, nearest

BOTH = pytest.mark.parametrize("measure", [mutual_knn, cknna], ids=lambda one: one.__name__)


def normal(*shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


def distances(X):
    return np.square(X[:, None] - X[None]).sum(axis=2)


def kernel(X):
    return X @ (X - X.mean(axis=0)).T


def weights(nearness, k):
    """Probability that j is among the k nearest of i, by the definition; equal is equal."""
    rows = len(nearness)
    found = np.zeros((rows, rows))
    for i in range(rows):
        others = np.delete(np.arange(rows), i)
        at_k = np.sort(nearness[i, others])[-k]
        near = others[nearness[i, others] > at_k]
        tied = others[nearness[i, others] == at_k]
        found[i, near] = 1.0
        found[i, tied] = Fraction(k - len(near), len(tied))
    return found


def mutual_by_definition(X, Y, k=10):
    return float((weights(-distances(X), k) * weights(-distances(Y), k)).sum() / k / len(X))


def cknna_by_definition(X, Y, k=10):
    K, L = kernel(X), kernel(Y)
    of_x, of_y = weights(np.round(K, 9), k), weights(np.round(L, 9), k)
    return (of_x * of_y * K * L).sum() / np.sqrt((of_x * K**2).sum() * (of_y * L**2).sum())


DEFINITIONS = {mutual_knn: mutual_by_definition, cknna: cknna_by_definition}


@pytest.mark.parametrize("size", [1e3, 1e4, 1e5, 1e7, 1e9])
def test_a_unit_of_two_far_modes_changes_nothing(size):
    """Distances within a mode are what they are without that unit."""
    A, B = normal(300, 32, seed=0), normal(300, 32, seed=1)
    mode = np.where(np.arange(300) < 150, 1.0, -1.0)[:, None]
    parts = [mutual_knn(A[some], B[some]) for some in (slice(150), slice(150, 300))]
    X, Y = (np.hstack([one, size * mode]) for one in (A, B))
    assert mutual_knn(X, Y) == pytest.approx(np.mean(parts), abs=1e-12)
    order = np.random.default_rng(2).permutation(300)
    assert mutual_knn(X[order], Y[order]) == pytest.approx(np.mean(parts), abs=1e-12)
    in_matrix = compare({"x": X.astype(np.float32)}, {"y": Y.astype(np.float32)}, "mutual_knn")
    A, B = A.astype(np.float32), B.astype(np.float32)
    parts = [mutual_knn(A[some], B[some]) for some in (slice(150), slice(150, 300))]
    assert in_matrix.values[0, 0] == pytest.approx(np.mean(parts), abs=1e-12)


@pytest.mark.parametrize("at", [0, 150, -1])
@pytest.mark.parametrize("factor", [1e5, 1e7, 1e9])
def test_one_row_far_away_changes_nothing(factor, at):
    X, Y = normal(300, 16, seed=0), normal(300, 16, seed=1)
    X[at] *= factor
    Y[at] *= factor
    assert mutual_knn(X, Y) == pytest.approx(mutual_by_definition(X, Y), abs=1e-12)


@pytest.mark.parametrize("offset", [1e4, 1e6, 1e8])
def test_large_means_change_nothing(offset):
    X, Y = (np.round(normal(200, 16, seed=seed), 3) for seed in (0, 1))
    assert mutual_knn(X + offset, Y) == pytest.approx(mutual_knn(X, Y), abs=1e-12)


@BOTH
@pytest.mark.parametrize("k", [1, 4, 10, 39])
@pytest.mark.parametrize("kind", ["integers", "silent rows", "repeated rows", "labels"])
def test_ties_are_shared_as_the_definition_says(measure, kind, k):
    random = np.random.default_rng(k)
    X, Y = random.integers(-2, 3, (2, 40, 4)).astype(float)
    if kind == "silent rows":
        X, Y = normal(40, 4, seed=1), normal(40, 4, seed=2)
        X[random.random(40) < 0.5], Y[random.random(40) < 0.5] = 0.0, 0.0
    if kind == "repeated rows":
        X, Y = X[random.integers(0, 9, 40)], Y[random.integers(0, 12, 40)]
    if kind == "labels":
        X, Y = np.eye(4)[random.integers(0, 4, 40)], np.eye(3)[random.integers(0, 3, 40)]
    expected = DEFINITIONS[measure](X, Y, k)
    assert measure(X, Y, k=k) == pytest.approx(expected, abs=1e-12)


def test_the_value_is_the_mean_over_random_tie_breaks():
    random = np.random.default_rng(0)
    X, Y = random.integers(0, 3, (2, 25, 2)).astype(float)
    k, overlaps = 5, []
    for _ in range(2000):
        near = []
        for one in (X, Y):
            far = distances(one) + random.uniform(0.0, 0.5, (25, 25))
            np.fill_diagonal(far, np.inf)
            near.append(np.argsort(far, axis=1)[:, :k])
        overlaps.append(np.mean([len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)]))
    error = np.std(overlaps) / np.sqrt(len(overlaps))
    assert mutual_knn(X, Y, k=k) == pytest.approx(np.mean(overlaps), abs=4 * error)


@pytest.mark.parametrize("seed", range(3))
def test_layers_silent_on_half_of_the_rows_are_at_chance_if_unrelated(seed):
    random = np.random.default_rng(seed)
    X, Y = random.standard_normal((2, 500, 64)) * (random.random((2, 500, 1)) < 0.5)
    assert mutual_knn(X, Y) == pytest.approx(10 / 499, abs=0.004)
    labels = (np.eye(10)[random.integers(0, 10, 500)] for _ in range(2))
    assert mutual_knn(*labels) == pytest.approx(10 / 499, abs=0.004)


@BOTH
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_and_units_does_not_matter(measure, seed):
    random = np.random.default_rng(seed)
    X, Y = random.integers(-1, 2, (2, 50, 4)) * random.choice([0.1, 1.0, 3.3])
    X += random.choice([0.0, 0.7, 1e3])
    value = measure(X, Y, k=7)
    order = random.permutation(50)
    assert measure(X[order], Y[order], k=7) == pytest.approx(value, abs=1e-12)
    assert measure(X[:, random.permutation(4)], Y, k=7) == pytest.approx(value, abs=1e-12)
    assert measure(Y, X, k=7) == pytest.approx(value, abs=1e-12)


def with_ties():
    random = np.random.default_rng(0)
    silent = random.standard_normal((90, 6))
    silent[::2] = 0.0
    repeated = random.standard_normal((15, 6))[random.integers(0, 15, 90)]
    return {
        "silent rows": silent,
        "repeated rows": repeated,
        "integers": random.integers(0, 2, (90, 6)).astype(float),
        "labels": np.eye(6)[random.integers(0, 6, 90)],
    }


@BOTH
@pytest.mark.parametrize("kind", with_ties())
def test_a_layer_with_itself_breaks_its_ties_alike(measure, kind):
    """On arrays, on the diagonal and against a copy, a rotation, a factor or a reordering."""
    X = with_ties()[kind]
    rotation = np.linalg.qr(normal(6, 6, seed=1))[0]
    copies = [X, X.copy(), X[:, ::-1], 0.3 * X, X @ rotation, np.hstack([X, np.zeros((90, 2))])]
    if measure is mutual_knn:
        copies += [X + 0.7, X - 1e3]
    for copy in copies:
        assert measure(X, copy) == pytest.approx(1.0, abs=1e-12)
        found = compare({"x": X}, {"x": copy}, measure.__name__).values[0, 0]
        assert found == pytest.approx(1.0, abs=1e-12)
    model = {"x": X}
    assert compare(model, model, measure.__name__).values[0, 0] == 1.0


@pytest.mark.parametrize("kind", with_ties())
def test_maps_that_change_nothing_keep_ties(kind):
    X, Y = with_ties()[kind], normal(90, 5, seed=3)
    value = mutual_knn(X, Y)
    rotation = np.linalg.qr(normal(6, 6, seed=1))[0]
    for same in (X @ rotation, 7.7 * X, X + normal(6, seed=2), X @ rotation * 0.01 + 50.0):
        assert mutual_knn(same, Y) == pytest.approx(value, abs=1e-12)


@BOTH
def test_the_size_of_blocks_does_not_matter_and_bounds_memory(measure, monkeypatch):
    X, Y = normal(2000, 4, seed=0), normal(2000, 4, seed=1)
    X[::2], Y[::3] = 0.0, 0.0
    whole = measure(X, Y)
    monkeypatch.setattr(nearest, "AT_ONCE", 2**15)
    tracemalloc.start()
    try:
        assert measure(X, Y) == pytest.approx(whole, abs=1e-13)
        assert tracemalloc.get_traced_memory()[1] < 2000**2 * 8 / 4
    finally:
        tracemalloc.stop()


def test_more_neighbours_than_different_rows():
    X = np.repeat(np.eye(3), 10, axis=0)
    assert mutual_knn(X, np.roll(X, 5, axis=0), k=25) == pytest.approx(
        mutual_by_definition(X, np.roll(X, 5, axis=0), k=25), abs=1e-12
    )
