"""Values against independent definitions, and against what several libraries agree on."""

from __future__ import annotations

import re

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial.distance
import scipy.stats

from tb_modelcompare import similarity
from tb_modelcompare.similarity import MEASURES, compare

# From the definitions, in float64; netrep, anatome, ckatorch, rsatoolbox, ReSi (linear CKA),
# ckatorch, pytorch-cka, torch-cka, anatome (unbiased CKA), google/svcca, anatome (mean CCA,
# SVCCA), repsim (R² CCA), sim_metric (PWCCA by Y) and anatome (Procrustes) agree.
GOLDEN = {
    "linear_cka": 0.6121724823,
    "unbiased_linear_cka": 0.5797948496,
    "mean_cca": 0.8206841307,
    "r2_cca": 0.6988309689,
    "svcca": 0.8312403148,
    "pwcca_x": 0.8279633877,
    "pwcca_y": 0.8690500052,
    "procrustes": 0.7238732119,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_value_on_arrays_and_in_compare(name, example):
    X, Y = example
    assert MEASURES[name].function(X, Y) == pytest.approx(GOLDEN[name], abs=1e-9)
    in_matrix = compare({"x": X}, {"y": Y}, name).values[0, 0]
    assert in_matrix == pytest.approx(GOLDEN[name], abs=1e-9)


def test_regression_golden(example):
    X, Y = example
    assert similarity.linear_regression(X, Y) == pytest.approx(0.83085, abs=5e-6)
    assert similarity.linear_regression(X, Y, direction="y_to_x") == pytest.approx(
        0.55516, abs=5e-6
    )


def notebook(X, Y):
    """lucid's notebook, line by line."""
    C11, C12, C22 = (a.T @ b / len(a) for a, b in ((X, X), (X, Y), (Y, Y)))
    L1, L2 = (np.linalg.cholesky(np.linalg.inv(C)) for C in (C11, C22))
    singular = np.linalg.svd(L1.T @ C12 @ L2)[1]
    return singular.sum() / max(C12.shape)


@pytest.mark.parametrize("shift", [0.0, 0.5, 5.0])
def test_whitened_correlation_is_the_notebooks(example, shift):
    X, Y = example
    X, Y = X + shift, np.maximum(Y + shift, 0)
    assert similarity.whitened_correlation(X, Y) == pytest.approx(notebook(X, Y), rel=1e-10)


def test_whitened_correlation_with_a_constant_unit_is_the_notebooks(example):
    X, Y = example
    X = np.column_stack([X, np.full(len(X), 3.0)])
    assert similarity.whitened_correlation(X, Y) == pytest.approx(notebook(X, Y), rel=1e-10)
    both = np.column_stack([Y, np.full(len(Y), -2.0)])
    assert similarity.whitened_correlation(X, both) == pytest.approx(notebook(X, both), rel=1e-10)


def test_svcca_keeps_the_components_that_hold_the_variance(example):
    X, Y = (one - one.mean(axis=0) for one in example)
    reduced = [
        scipy.linalg.svd(one, full_matrices=False)[0][:, :count]
        for one, count in ((X, 63), (Y, 46))
    ]
    rho = np.linalg.svd(reduced[0].T @ reduced[1])[1]
    assert similarity.svcca(*example) == pytest.approx(rho.mean(), abs=1e-12)
    assert similarity.svcca(*example, components=5, summary="r2") == pytest.approx(
        np.mean(_correlations(_leading(X, 5), _leading(Y, 5)) ** 2), abs=1e-12
    )


def _leading(X, count):
    return scipy.linalg.svd(X, full_matrices=False)[0][:, :count]


def _correlations(Q1, Q2):
    return np.linalg.svd(Q1.T @ Q2)[1]


def test_rbf_cka(example):
    X, Y = (one[:120] for one in example)
    centre = np.eye(120) - 1 / 120

    def kernel(values):
        distances = scipy.spatial.distance.pdist(values)
        width = 0.3 * np.median(distances)
        squared = scipy.spatial.distance.squareform(distances) ** 2
        return centre @ np.exp(-squared / (2 * width**2)) @ centre

    K, L = kernel(X), kernel(Y)
    expected = np.vdot(K, L) / np.linalg.norm(K) / np.linalg.norm(L)
    assert similarity.rbf_cka(X, Y, bandwidth=0.3) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("pearson", lambda a, b: scipy.stats.pearsonr(a, b).statistic),
        ("spearman", lambda a, b: scipy.stats.spearmanr(a, b).statistic),
        ("cosine", lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
    ],
)
@pytest.mark.parametrize(
    ("distance", "scipys"),
    [
        ("squared_euclidean", "sqeuclidean"),
        ("euclidean", "euclidean"),
        ("correlation", "correlation"),
    ],
)
def test_rsa(example, comparison, expected, distance, scipys):
    X, Y = (one[:80] for one in example)
    of_x, of_y = (scipy.spatial.distance.pdist(one, scipys) for one in (X, Y))
    value = similarity.rsa(X, Y, comparison=comparison, distance=distance)
    assert value == pytest.approx(expected(of_x, of_y), rel=1e-10)


def test_shape_metric_goes_from_cca_to_procrustes(example):
    X, Y = example
    assert similarity.shape_metric(X, Y, alpha=1.0) == pytest.approx(
        similarity.procrustes(X, Y, form="angle"), abs=1e-12
    )
    sum_of_correlations = similarity.mean_cca(X, Y) * 48
    assert similarity.shape_metric(X, Y, alpha=0.0) == pytest.approx(
        np.arccos(sum_of_correlations / np.sqrt(64 * 48)), abs=1e-10
    )


def test_shape_metric_half_way(example):
    parts = []
    for one in example:
        centred = one - one.mean(axis=0)
        centred *= np.sqrt(one.shape[1]) / np.linalg.norm(centred)  # trace X'X = rank
        root = scipy.linalg.sqrtm(np.linalg.inv(centred.T @ centred)).real
        parts.append(centred @ (0.5 * np.eye(one.shape[1]) + 0.5 * root))
    nuclear = np.linalg.svd(parts[0].T @ parts[1])[1].sum()
    expected = np.arccos(nuclear / np.linalg.norm(parts[0]) / np.linalg.norm(parts[1]))
    assert similarity.shape_metric(*example, alpha=0.5) == pytest.approx(expected, abs=1e-9)


def test_procrustes_distance_is_what_remains_after_the_best_rotation(example):
    X, Y = example
    Y = np.column_stack([Y, np.zeros((500, 16))])
    X, Y = (one - one.mean(axis=0) for one in (X, Y))
    X, Y = X / np.linalg.norm(X), Y / np.linalg.norm(Y)
    rotation = scipy.linalg.orthogonal_procrustes(Y, X)[0]
    assert similarity.procrustes(*example, form="distance") == pytest.approx(
        np.linalg.norm(X - Y @ rotation), abs=1e-10
    )


def test_mutual_knn_and_cknna_from_their_definitions(example):
    X, Y = (one[:100] for one in example)
    k, overlaps = 7, []
    near = [np.argsort(scipy.spatial.distance.cdist(v, v), axis=1)[:, 1 : k + 1] for v in (X, Y)]
    overlaps = [len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)]
    assert similarity.mutual_knn(X, Y, k=k) == pytest.approx(np.mean(overlaps), abs=1e-12)

    kernels, masks = [], []
    for values in (X, Y):
        K = values @ values.T
        ranked = np.where(np.eye(100, dtype=bool), -np.inf, K)
        mask = np.zeros_like(K)
        np.put_along_axis(mask, np.argsort(-ranked, axis=1)[:, :k], 1.0, axis=1)
        kernels.append(K - K.mean(axis=1, keepdims=True))
        masks.append(mask)
    (K, L), (in_x, in_y) = kernels, masks
    expected = (in_x * in_y * K * L).sum() / np.sqrt((in_x * K**2).sum() * (in_y * L**2).sum())
    assert similarity.cknna(X, Y, k=k) == pytest.approx(expected, rel=1e-10)


def test_matchings_on_a_case_solved_by_hand():
    random = np.random.default_rng(1)
    X, _ = np.linalg.qr(random.standard_normal((50, 3)) - 0.0)
    X -= X.mean(axis=0)
    X, _ = np.linalg.qr(X)
    Y = np.column_stack([X[:, 2], 0.6 * X[:, 0] + 0.8 * X[:, 1]])
    # Correlations of X's units with Y's: (0, .6), (0, .8), (1, 0).
    X, Y = X + 3, 5 * Y
    assert similarity.one_to_one_matching(X, Y) == pytest.approx((1.0 + 0.8) / 2)
    assert similarity.semi_matching(X, Y) == pytest.approx((0.6 + 0.8 + 1.0) / 3)
    assert similarity.semi_matching(X, Y, direction="y_to_x") == pytest.approx(0.9)
    # Y's first takes 1/3 of the third and 1/6 of another; its second 1/3 and 1/6 of the others.
    assert similarity.soft_matching(X, Y) == pytest.approx(1 / 3 + 0.8 / 3 + 0.6 / 6)


def test_soft_matching_by_linear_programme_and_by_replication_agree(monkeypatch, example):
    X, Y = example[0][:, :12], example[1][:, :9]
    replicated = similarity.soft_matching(X, Y)
    monkeypatch.setattr("tb_modelcompare.similarity.measures.matching.REPLICAS", 0)
    assert similarity.soft_matching(X, Y) == pytest.approx(replicated, abs=1e-9)


def test_cross_validated_regression_against_scikit_learn(example):
    linear_model = pytest.importorskip("sklearn.linear_model")
    from tb_modelcompare.similarity.folds import folds_of_rows

    X, Y = example
    groups = np.repeat(np.arange(125), 4)
    error = spread = 0.0
    for held in folds_of_rows(groups, 500, 5):
        rest = np.setdiff1d(np.arange(500), held)
        assert not set(groups[held]) & set(groups[rest])
        model = linear_model.LinearRegression().fit(X[rest], Y[rest])
        error += np.square(Y[held] - model.predict(X[held])).sum()
        spread += np.square(Y[held] - Y[rest].mean(axis=0)).sum()
    value = similarity.cross_validated_regression(X, Y, groups=groups, ridge=1e-12)
    assert value == pytest.approx(1 - error / spread, abs=1e-9)


def test_every_measure_declares_itself_completely():
    for name, measure in MEASURES.items():
        assert measure.name == name
        assert measure.low < measure.high
        assert all(invariance in similarity.INVARIANCES for invariance in measure.invariances)
        assert all((measure.title, measure.summary, measure.formula, measure.paper))


def test_a_menu_offers_six_measures_with_advice_and_titles_say_a_and_b() -> None:
    assert sum(bool(measure.advice) for measure in MEASURES.values()) == 6
    assert MEASURES["unbiased_linear_cka"].advice
    for measure in MEASURES.values():
        assert measure.family != "Others"
        assert not re.search(r"\b(X|Y|first|second)\b", measure.title)
        assert "\n" not in measure.advice
        assert len(measure.advice) < 90
    titles = [measure.title for measure in MEASURES.values()]
    assert sum("A → B" in title for title in titles) == sum("B → A" in title for title in titles)
