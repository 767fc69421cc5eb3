"""Measures on pairs of rows: representational similarity analysis and RBF CKA."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy  # scipy.stats takes half a second to import, and one measure needs it

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Layer, Matrix, row_blocks
from tb_modelcompare.similarity.registry import Measure, VectorPlan, evaluate

Comparison = Literal["pearson", "spearman", "cosine"]
Distance = Literal["squared_euclidean", "euclidean", "correlation"]


def squared_distances(layer: Layer) -> Matrix:
    """Squared Euclidean distance of every pair of rows, (rows (rows - 1) / 2,), i < j.

    In the layer's scale, from one product. What is below the rounding of that product is 0,
    so that equal rows have distance 0 exactly.
    """
    layer.require_variation("a distance between rows")
    return _condensed(layer.centred(slice(0, layer.rows)))


def _condensed(values: Matrix) -> Matrix:
    rows = len(values)
    energy = np.einsum("ij,ij->i", values, values)
    result = np.empty(rows * (rows - 1) // 2)
    noise = np.finfo(np.float64).eps * 4.0 * np.sqrt(values.shape[1])
    end = 0
    for block in row_blocks(rows, 512):
        product = values[block] @ values[block.start :].T
        for index in range(block.start, block.stop):
            others = slice(index + 1, rows)
            both = energy[index] + energy[others]
            distance = both - 2.0 * product[index - block.start, index + 1 - block.start :]
            distance[distance <= noise * both] = 0.0
            start, end = end, end + len(distance)
            result[start:end] = distance
    return result


def _dissimilarities(layer: Layer, distance: Distance) -> Matrix:
    if distance != "correlation":
        squares = squared_distances(layer)
        return squares if distance == "squared_euclidean" else np.sqrt(squares)
    values = layer.values.astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(values, axis=1)
    if not norms.all():
        raise ActivationError(
            f"{layer.name} has the same value in all units on row {int(np.argmin(norms))}, so the "
            "correlation with that row is not defined. Use a Euclidean distance."
        )
    return _condensed(values / norms[:, None]) / 2.0


def _normalised(vector: Matrix, layer: Layer) -> Matrix:
    norm = float(np.linalg.norm(vector))
    if norm <= np.finfo(np.float64).eps * len(vector) * float(np.abs(vector).max(initial=0.0)):
        raise ActivationError(
            f"{layer.name} has the same distance between all pairs of its {layer.rows} rows, so "
            "its geometry cannot be compared. Leave it out, or use a probe with more images."
        )
    return vector / norm


def _representation(layer: Layer, comparison: Comparison, distance: Distance) -> Matrix:
    vector = _dissimilarities(layer, distance)
    if comparison == "spearman":
        # Distances that differ by rounding alone are ties, whatever the unit of the layer.
        largest = float(vector.max())
        vector = scipy.stats.rankdata(np.round(vector * (2.0**36 / largest)) if largest else vector)
    if comparison != "cosine":
        mean = vector.mean()
        vector = vector - mean
        if np.abs(vector).max() <= np.finfo(np.float64).eps * 8.0 * abs(mean):
            vector = np.zeros_like(vector)
    return _normalised(vector, layer)


def _pairs(rows: int) -> int:
    return rows * (rows - 1) // 2


def _rsa_plan(comparison: Comparison, distance: Distance = "squared_euclidean") -> VectorPlan:
    return VectorPlan(
        lambda layer: _representation(layer, comparison, distance),
        _pairs,
        least_rows=2 if comparison == "cosine" else 3,
    )


def rsa(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    comparison: Comparison = "pearson",
    distance: Distance = "squared_euclidean",
) -> float:
    """Agreement of the distances between rows in X with those in Y.

    The dissimilarities of all pairs of rows of one side are correlated with those of the
    other. Range [-1, 1] ("cosine": [0, 1]).

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    comparison : {"pearson", "spearman", "cosine"}
        Spearman gives ties their mean rank.
    distance : {"squared_euclidean", "euclidean", "correlation"}
        "correlation" is 1 - Pearson's correlation of two rows over units.

    References
    ----------
    Kriegeskorte, Mur and Bandettini 2008.
    """
    return evaluate(_rsa_plan(comparison, distance), X, Y)


def _rbf_kernel(layer: Layer, bandwidth: float) -> Matrix:
    squares = squared_distances(layer)
    median = float(np.median(squares))
    if median == 0.0:
        raise ActivationError(
            f"Half or more of the pairs of rows of {layer.name} are equal: their median distance "
            "is 0, and so is the kernel's width. Use a probe on which the layer responds."
        )
    rows = layer.rows
    kernel = np.exp(squares / (-2.0 * bandwidth**2 * median))
    i, j = np.triu_indices(rows, 1)
    sums = 1.0 + np.bincount(i, kernel, rows) + np.bincount(j, kernel, rows)
    means = sums / rows
    overall = means.mean()
    kernel += overall
    kernel -= means[i]
    kernel -= means[j]
    kernel *= np.sqrt(2.0)
    diagonal = 1.0 - 2.0 * means + overall
    return _normalised(np.concatenate([kernel, diagonal]), layer)


def _rbf_plan(bandwidth: float = 0.4) -> VectorPlan:
    if bandwidth <= 0.0:
        raise ActivationError(f"bandwidth is {bandwidth}; it must be positive.")
    return VectorPlan(
        lambda layer: _rbf_kernel(layer, bandwidth), lambda rows: rows * (rows + 1) // 2
    )


def rbf_cka(X: npt.ArrayLike, Y: npt.ArrayLike, *, bandwidth: float = 0.4) -> float:
    """CKA with Gaussian kernels, `<HKH, HLH> / (||HKH|| ||HLH||)`.

    `K_ij = exp(-|x_i - x_j|² / (2 σ²))`, σ = `bandwidth` times the median distance between
    two different rows of X; L likewise from Y. Range [0, 1].

    References
    ----------
    Kornblith et al. 2019, section 3 (RBF CKA; 0.4 in their Table 2).
    """
    return evaluate(_rbf_plan(bandwidth), X, Y)


_INVARIANCES = ("permutation", "scaling", "unit sign", "translation", "orthogonal", "dead units")


def _rsa_measure(name: str, title: str, comparison: Comparison, formula: str) -> Measure:
    return Measure(
        name=name,
        title=title,
        summary="Whether images that are far apart in one layer are far apart in the other.",
        low=0.0 if comparison == "cosine" else -1.0,
        high=1.0,
        symmetric=True,
        self_value=1.0,
        invariances=_INVARIANCES,
        formula=formula,
        paper="Kriegeskorte et al. 2008",
        function=partial(rsa, comparison=comparison),
        plan=partial(_rsa_plan, comparison),
        repeats_bias=True,
        sampled=comparison != "cosine",
    )


RSA_PEARSON = _rsa_measure(
    "rsa_pearson", "RSA, Pearson", "pearson", "Pearson(|x_i - x_j|², |y_i - y_j|²), i < j"
)
RSA_SPEARMAN = _rsa_measure(
    "rsa_spearman", "RSA, Spearman", "spearman", "Spearman(|x_i - x_j|², |y_i - y_j|²), i < j"
)
RSA_COSINE = _rsa_measure(
    "rsa_cosine", "RSA, cosine", "cosine", "cos(|x_i - x_j|², |y_i - y_j|²), i < j"
)
RBF_CKA = Measure(
    name="rbf_cka",
    title="RBF CKA, 0.4 of the median",
    summary="CKA that looks at near neighbours more than at far ones.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=_INVARIANCES,
    formula="<HKH, HLH> / (||HKH|| ||HLH||), K = exp(-|x_i - x_j|² / (2 (0.4 median)²))",
    paper="Kornblith et al. 2019",
    function=rbf_cka,
    plan=_rbf_plan,
    repeats_bias=True,
)
