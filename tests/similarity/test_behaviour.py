"""Classifiers' outputs, effective dimension and neighbours by angle, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special

from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.similarity import (
    compare,
    disagreement,
    effective_dimension,
    error_consistency,
    jensen_shannon_divergence,
    mutual_knn,
    mutual_knn_cosine,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(logits):
    return scipy.special.softmax(logits, axis=1)


P, Q = softmax(3 * normal(60, 4)), softmax(3 * normal(60, 4, seed=1))
LABELS = np.random.default_rng(2).integers(0, 4, 60)


def test_disagreement_counts_rows():
    differ = [int(np.argmax(p)) != int(np.argmax(q)) for p, q in zip(P, Q, strict=True)]
    assert disagreement(P, Q) == np.mean(differ)
    assert disagreement(np.log(P), Q) == np.mean(differ)
    assert disagreement(P.argmax(1), Q) == np.mean(differ)
    assert disagreement(P, P) == 0.0
    assert disagreement(np.ones((5, 3)), np.ones((5, 3))) == 0.0  # all equal: the same class


def test_divergence_is_that_of_each_row():
    by_scipy = [
        scipy.spatial.distance.jensenshannon(p, q, base=2) ** 2 for p, q in zip(P, Q, strict=True)
    ]
    assert jensen_shannon_divergence(P, Q) == pytest.approx(np.mean(by_scipy), abs=1e-12)
    assert jensen_shannon_divergence(P, P) == 0.0
    assert jensen_shannon_divergence(np.eye(3), np.eye(3)[[1, 2, 0]]) == 1.0
    half = P.astype(np.float16)
    assert jensen_shannon_divergence(half, P) == pytest.approx(0.0, abs=1e-5)
    for bad in (np.log(P), 2 * P, P - P.mean(1, keepdims=True)):
        with pytest.raises(ActivationError, match="softmax"):
            jensen_shannon_divergence(bad, Q)


def test_error_consistency_is_cohens_kappa_of_being_right():
    metrics = pytest.importorskip("sklearn.metrics")
    right = [one.argmax(1) == LABELS for one in (P, Q)]
    expected = metrics.cohen_kappa_score(*right)
    assert error_consistency(P, Q, LABELS) == pytest.approx(expected, abs=1e-12)
    assert error_consistency(P, P, LABELS) == 1.0
    assert error_consistency([0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]) == -1.0


def test_independent_errors_have_no_consistency():
    values = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        right = random.random((2, 400)) < 0.8
        values.append(error_consistency(*np.where(right, 0, 1), np.zeros(400, int)))
    assert abs(np.mean(values)) < 2 * np.std(values) / np.sqrt(100)


def test_what_is_no_behaviour_is_refused():
    perfect = np.zeros(4, int)
    for said, outcome in (("right", perfect), ("wrong", perfect + 1)):
        with pytest.raises(ActivationError, match=f"{said} on all 4 rows"):
            error_consistency(outcome, outcome, perfect)
    for door in (disagreement, jensen_shannon_divergence):
        with pytest.raises(ActivationError, match="rows"):
            door(P[:-1], Q)
        with pytest.raises(ActivationError, match="classes"):
            door(P, softmax(normal(60, 5)))
        with pytest.raises(ActivationError, match="NaN"):
            door(P * np.nan, Q)
    with pytest.raises(ActivationError, match="whole numbers of classes"):
        disagreement(P[:, 0], Q)
    with pytest.raises(ActivationError, match="labels"):
        error_consistency(P, Q, P)
    with pytest.raises(ActivationError, match="rows"):
        error_consistency(P, Q, LABELS[:-1])
    with pytest.raises(ActivationError, match="as whole numbers"):
        error_consistency(P, Q, LABELS.astype(str))


def test_labels_of_classes_that_a_side_does_not_have_are_refused():
    """As of a model with a class for the background, whose labels begin at 1."""
    last = P.shape[1] - 1
    for moved, named in ((np.full(60, last + 1), last + 1), (np.full(60, -1), -1)):
        with pytest.raises(ActivationError, match=f"class {named}, and P has .* 0 to {last}"):
            error_consistency(P, Q, moved)
    with pytest.raises(ActivationError, match="and Q has the classes"):
        error_consistency(LABELS, Q, np.full(60, last + 1))


@pytest.mark.parametrize("shape", [(50, 6), (6, 50)])
def test_effective_dimension_is_the_participation_ratio(shape):
    X = normal(*shape) * np.linspace(0.1, 3, shape[1]) + 5
    variances = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2
    expected = variances.sum() ** 2 / (variances**2).sum()
    assert effective_dimension(X) == pytest.approx(expected, rel=1e-10)
    rotation = np.linalg.qr(normal(shape[1], shape[1], seed=3))[0]
    assert effective_dimension(1e20 * X @ rotation - 7e20) == pytest.approx(expected, rel=1e-8)
    assert effective_dimension(np.hstack([X, np.ones((shape[0], 2))])) == pytest.approx(expected)
    assert effective_dimension(X[:, :1]) == pytest.approx(1.0)


def test_a_constant_layer_has_no_dimension():
    with pytest.raises(ActivationError, match="does not vary"):
        effective_dimension(np.ones((5, 2)))


def by_definition(X, Y, k, image=None):
    """Neighbours of largest cosine, where no two cosines are equal."""
    image = np.arange(len(X)) if image is None else image
    shared = []
    for i in range(len(X)):
        near = []
        for Z in (X, Y):
            cosine = Z @ Z[i] / (np.linalg.norm(Z, axis=1) * np.linalg.norm(Z[i]))
            cosine[image == image[i]] = -np.inf
            near.append(set(np.argsort(-cosine)[:k]))
        shared.append(len(near[0] & near[1]) / k)
    return np.mean(shared)


@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(20), 3)], ids=["rows", "images"])
def test_neighbours_by_angle(k, groups):
    X = normal(60, 5) + 1.0
    Y = X @ normal(5, 4, seed=1) + normal(60, 4, seed=2)
    expected = by_definition(X, Y, k, groups)
    assert mutual_knn_cosine(X, Y, k=k, groups=groups) == pytest.approx(expected, abs=1e-12)
    lengths = np.random.default_rng(3).uniform(1e-3, 1e3, (60, 1))
    assert mutual_knn_cosine(lengths * X, Y, k=k, groups=groups) == pytest.approx(expected)
    found = compare({"x": X}, {"y": Y}, "mutual_knn_cosine", k=k, groups=groups)
    assert found.values[0, 0] == pytest.approx(expected, abs=1e-12)
    assert mutual_knn(X, Y, k=k, groups=groups) != pytest.approx(expected, abs=1e-3)


def weights(Z, k):
    """Probability that j is among the k rows of largest cosine to row i, zeros as declared."""
    lengths = np.linalg.norm(Z, axis=1)
    silent = lengths == 0
    cosines = Z @ Z.T / np.outer(lengths + silent, lengths + silent)
    cosines[np.ix_(silent, silent)] = 1.0
    found = np.zeros((len(Z), len(Z)))
    for i in range(len(Z)):
        others = np.delete(np.arange(len(Z)), i)
        cosine = np.round(cosines[i, others], 12)
        last = np.sort(cosine)[-k]
        near, tied = others[cosine > last], others[cosine == last]
        found[i, near], found[i, tied] = 1.0, (k - len(near)) / len(tied)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_silent_rows_are_alike_and_at_a_right_angle_to_others(seed):
    X = np.maximum(normal(40, 3, seed=seed), 0)
    Y = np.maximum(X @ normal(3, 3, seed=seed + 10), 0)
    assert not X.any(axis=1).all()
    expected = (weights(X, 5) * weights(Y, 5)).sum() / 5 / 40
    assert mutual_knn_cosine(X, Y, k=5) == pytest.approx(expected, abs=1e-12)
    assert mutual_knn_cosine(X, X.copy(), k=5) == pytest.approx(1.0)


def test_one_direction_has_no_neighbours():
    ray = np.abs(normal(20, 1)) * [[1.0, 0.0]]
    with pytest.raises(ActivationError, match="do not vary in direction"):
        mutual_knn_cosine(ray, normal(20, 3))
    with pytest.raises(OptionError, match="k is"):
        mutual_knn_cosine(ray, ray, k=0)
