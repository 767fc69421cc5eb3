"""Nearest neighbours by the angle between rows, as the released code of several papers has them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import UndefinedLayerError
from tb_modelcompare.similarity.activations import Layer, open_layer
from tb_modelcompare.similarity.measures.neighbours import MUTUAL_KNN
from tb_modelcompare.similarity.registry import Measure, RowPlan, evaluate


def _of_length_one(layer: Layer) -> Layer:
    """The layer with every row divided by its length; a row of zeros has a direction of its own.

    Rows of length 1 have the distance sqrt(2 - 2 cos), so that the nearest are those of the
    largest cosine. A further unit, which is 1 on rows of zeros alone, gives these the cosine 0
    with all other rows.
    """
    layer.require_variation("the nearest row")
    rows = layer.scaled(layer.values.astype(np.float64))
    largest = np.abs(rows).max(axis=1, keepdims=True)
    silent = largest == 0.0
    rows = rows / np.where(silent, 1.0, largest)  # so that no square leaves the range
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = np.hstack([rows / np.where(silent, 1.0, lengths), silent])
    found = open_layer(directions, layer.name)
    if not found.varies:
        raise UndefinedLayerError(
            layer.name,
            "its rows do not vary in direction, so no row is nearer than another by its cosine. "
            "Use mutual_knn.",
        )
    return found


def _plan(k: int = 10, groups: npt.ArrayLike | None = None) -> RowPlan:
    euclidean = MUTUAL_KNN.plan(k, groups)
    assert isinstance(euclidean, RowPlan)
    prepare = euclidean.prepare
    return replace(euclidean, prepare=lambda layer: prepare(_of_length_one(layer)))


def mutual_knn_cosine(
    X: npt.ArrayLike, Y: npt.ArrayLike, *, k: int = 10, groups: npt.ArrayLike | None = None
) -> float:
    """`mutual_knn` with the rows of largest cosine as neighbours.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
        As given, not centred.
    k : int
        Neighbours of each row, at least 1 and fewer than rows.
    groups : array (rows,), optional
        Image of each row. Neighbours are of other images. By default each row is an image.

    Returns
    -------
    float
        In [0, 1]. Unrelated layers have k over the number of rows of other images.

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are at most
        k, or if all rows of a side point in one direction.
    OptionError
        If k is no whole number of at least 1.

    Notes
    -----
    `mean_i |N_X(i) ∩ N_Y(i)| / k`, where N_X(i) are the k rows j of largest
    `x_i · x_j / (|x_i| |x_j|)`. Ties are shared as in `mutual_knn`. A row of zeros has the cosine
    0 with every other row, and 1 with another row of zeros.

    References
    ----------
    Huh et al. 2024, The Platonic Representation Hypothesis, whose released code brings rows to
    length 1 first.

    Examples
    --------
    The length of a row makes no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> lengths = np.random.default_rng(1).uniform(1, 9, (50, 1))
    >>> round(mutual_knn_cosine(X, lengths * X), 6)
    1.0
    """
    return evaluate(_plan(k, groups), X, Y)


MUTUAL_KNN_COSINE = Measure(
    name="mutual_knn_cosine",
    title="Mutual 10 nearest neighbours, cosine",
    family="Neighbours",
    summary="How many of an image's neighbours by angle are the same in both layers.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=("permutation", "scaling", "unit sign", "orthogonal"),
    formula="mean_i |N_X(i) ∩ N_Y(i)| / k, k = 10, N of largest cosine, X and Y not centred",
    paper="Huh et al. 2024, released code",
    function=mutual_knn_cosine,
    plan=_plan,
    by_image=True,
)

MEASURES = (MUTUAL_KNN_COSINE,)
