"""Measures on pairs of rows: representational similarity analysis."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import UndefinedLayerError
from tb_modelcompare.errors.checks import one_of
from tb_modelcompare.similarity.activations import Layer, Matrix
from tb_modelcompare.similarity.distances import (
    Points,
    all_equal,
    errors_of,
    points_of,
    ranks,
    same_distances,
    squared_distances,
    varying_values,
)
from tb_modelcompare.similarity.images import all_different, image_indices
from tb_modelcompare.similarity.preset import preset
from tb_modelcompare.similarity.registry import Measure, VectorPlan, evaluate

Correlation = Literal["pearson", "spearman", "cosine"]
Distance = Literal["squared_euclidean", "euclidean", "correlation"]
CORRELATIONS: tuple[Correlation, ...] = ("pearson", "spearman", "cosine")
DISTANCES: tuple[Distance, ...] = ("squared_euclidean", "euclidean", "correlation")


def _points(layer: Layer, distance: Distance) -> Points:
    """Rows whose Euclidean distances are those of the layer: of "correlation" they are
    standardised over units, and half of their squared distance is meant."""
    if distance != "correlation":
        layer.require_variation("a distance between rows")
        return points_of(varying_values(layer))
    values = layer.scaled(layer.values.astype(np.float64))
    flat = np.flatnonzero((values == values[:, :1]).all(axis=1))
    if len(flat):
        raise UndefinedLayerError(
            layer.name,
            f"all units have the same value on row {flat[0]}, so that row has no correlation. Use "
            "a Euclidean distance.",
        )
    lengths = np.linalg.norm(values, axis=1)
    values -= values.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(values, axis=1)
    return points_of(values / norms[:, None], lengths / norms)


def _normalised(vector: Matrix, layer: Layer) -> Matrix:
    norm = float(np.linalg.norm(vector))
    if not norm > 0.0:
        raise same_distances(layer)
    return vector / norm


def _of_different_images(groups: npt.ArrayLike | None, rows: int) -> npt.NDArray[np.bool_] | None:
    """Which pairs of rows, i < j, are of different images; None where all are."""
    image = image_indices(groups, rows)
    if all_different(image):
        return None
    return np.concatenate([image[row + 1 :] != image[row] for row in range(rows)])


def _representation(
    layer: Layer, comparison: Correlation, distance: Distance, groups: npt.ArrayLike | None
) -> Matrix:
    points = _points(layer, distance)
    squares = squared_distances(points)
    if comparison != "cosine" and all_equal(points, squares):
        raise same_distances(layer)
    errors = errors_of(points, squares) if comparison == "spearman" else None
    different = _of_different_images(groups, layer.rows)
    if different is not None:
        squares = squares[different]
        errors = None if errors is None else errors[different]
    if errors is not None:  # a root, or a half, has the same ranks
        vector = ranks(squares, errors)
    else:
        vector = np.sqrt(squares) if distance == "euclidean" else squares
    return _normalised(vector if comparison == "cosine" else vector - vector.mean(), layer)


def _pairs(groups: npt.ArrayLike | None, rows: int) -> int:
    """Pairs of rows of different images."""
    counts = np.bincount(image_indices(groups, rows))
    return (rows**2 - int(counts @ counts)) // 2


def _rsa_plan(
    comparison: Correlation,
    distance: Distance = "squared_euclidean",
    groups: npt.ArrayLike | None = None,
) -> VectorPlan:
    comparison = one_of("comparison", comparison, CORRELATIONS)
    distance = one_of("distance", distance, DISTANCES)
    return VectorPlan(
        lambda layer: _representation(layer, comparison, distance, groups),
        partial(_pairs, groups),
        least_rows=2 if comparison == "cosine" else 3,
    )


def rsa(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    comparison: Correlation = "pearson",
    distance: Distance = "squared_euclidean",
    groups: npt.ArrayLike | None = None,
) -> float:
    """Agreement of the distances between rows in X with those in Y.

    The dissimilarities of all pairs of rows of different images of one side are correlated with
    those of the other. Range [-1, 1] ("cosine": [0, 1]).

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    comparison : {"pearson", "spearman", "cosine"}
        Spearman gives ties their mean rank.
    distance : {"squared_euclidean", "euclidean", "correlation"}
        "correlation" is 1 - Pearson's correlation of two rows over units.
    groups : array (rows,), optional
        Image of each row. By default each row is an image.

    Returns
    -------
    float
        In [-1, 1], or in [0, 1] if the comparison is "cosine".

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.
    OptionError
        If an option is none of the values above.

    References
    ----------
    Kriegeskorte, Mur and Bandettini 2008.

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(rsa(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    plan = _rsa_plan(comparison, distance, groups)
    return evaluate(plan, X, Y, _RSA[comparison])


_INVARIANCES = (
    "permutation",
    "scaling",
    "unit sign",
    "translation",
    "orthogonal",
    "constant units",
)


def _rsa_measure(
    name: str, title: str, comparison: Correlation, formula: str, advice: str = ""
) -> Measure:
    return Measure(
        name=name,
        title=title,
        family="RSA",
        advice=advice,
        summary="Whether images that are far apart in one layer are far apart in the other.",
        low=0.0 if comparison == "cosine" else -1.0,
        high=1.0,
        symmetric=True,
        self_value=1.0,
        invariances=_INVARIANCES,
        formula=formula,
        paper="Kriegeskorte et al. 2008",
        function=preset(name, rsa, comparison=comparison),
        plan=partial(_rsa_plan, comparison),
        by_image=True,
        sampled=comparison != "cosine",
        rows_per_unit=np.inf if comparison == "cosine" else 0.0,
        why_high=(
            "no distance is below 0, and those of a layer are of about one size, so that "
            "the cosine, which does not take their mean off, is near 1"
        ),
        instead="rsa_pearson",
    )


RSA_PEARSON = _rsa_measure(
    "rsa_pearson", "RSA, Pearson", "pearson", "Pearson(|x_i - x_j|², |y_i - y_j|²), i < j"
)
RSA_SPEARMAN = _rsa_measure(
    "rsa_spearman",
    "RSA, Spearman",
    "spearman",
    "Spearman(|x_i - x_j|², |y_i - y_j|²), i < j",
    "Only the order of distances counts, so that extreme images weigh no more than others.",
)
RSA_COSINE = _rsa_measure(
    "rsa_cosine", "RSA, cosine", "cosine", "cos(|x_i - x_j|², |y_i - y_j|²), i < j"
)
_RSA: dict[Correlation, Measure] = {
    "pearson": RSA_PEARSON,
    "spearman": RSA_SPEARMAN,
    "cosine": RSA_COSINE,
}
MEASURES = (RSA_PEARSON, RSA_SPEARMAN, RSA_COSINE)
