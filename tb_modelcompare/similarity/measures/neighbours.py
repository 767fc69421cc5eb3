"""Measures on nearest neighbours: which images a layer puts beside which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import UndefinedLayerError
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.similarity.activations import Layer
from tb_modelcompare.similarity.nearest import (
    Neighbours,
    aligned,
    by_distance,
    by_product,
    distinct,
    nearest_rows,
    require_other_rows,
)
from tb_modelcompare.similarity.registry import Measure, RowPlan, evaluate


def _mutual_plan(k: int = 10, groups: npt.ArrayLike | None = None) -> RowPlan:
    k = whole("k", k, least=1)

    def prepare(layer: Layer) -> Neighbours:
        layer.require_variation("a nearest neighbour")
        rows = distinct(layer, groups)
        require_other_rows(rows, k)
        return nearest_rows(rows, by_distance(rows), k, np.ones_like)

    return RowPlan(prepare, aligned, least_rows=k + 1)


def mutual_knn(
    X: npt.ArrayLike, Y: npt.ArrayLike, *, k: int = 10, groups: npt.ArrayLike | None = None
) -> float:
    """Mean share of a row's k nearest neighbours in X that are among its k nearest in Y.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
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
        k, or if a side does not vary.
    OptionError
        If k is no whole number of at least 1.

    Notes
    -----
    `mean_i Σ_j w_ij v_ij / k`, with w_ij the probability that row j is among the k nearest of
    row i in X, and v_ij that in Y. Without ties these are 0 or 1. Several rows at the distance of
    the k-th nearest share what nearer rows leave of the k: where s neighbours are left for t
    rows, each has s / t. The value is what is expected where each layer breaks its ties at random,
    independently of the other, and it does not depend on the order of rows. Distances are
    Euclidean. They tie where they differ by no more than a rounding of the activations explains.

    Where both layers have the same neighbours and the same ties on all rows, as a layer and a
    rotation of it have, both break ties alike, and the value is 1. Two different layers with
    many ties stay below 1.

    References
    ----------
    Huh et al. 2024, The Platonic Representation Hypothesis (mutual k-nearest neighbours).

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(mutual_knn(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_mutual_plan(k, groups), X, Y)


def _cknna_plan(k: int = 10, groups: npt.ArrayLike | None = None) -> RowPlan:
    k = whole("k", k, least=1)

    def prepare(layer: Layer) -> Neighbours:
        layer.require_variation("the inner product of rows")
        rows = distinct(layer, groups)
        require_other_rows(rows, k)
        found = nearest_rows(rows, by_product(rows), k, np.negative)
        largest = float(np.square(rows.values).sum(axis=1).max())
        if not np.abs(found.kernel).max() > 1e-12 * largest:
            raise UndefinedLayerError(
                layer.name,
                "all its rows are equally near to each other. Use a probe on which it responds.",
            )
        return found

    return RowPlan(prepare, aligned, least_rows=k + 1)


def cknna(
    X: npt.ArrayLike, Y: npt.ArrayLike, *, k: int = 10, groups: npt.ArrayLike | None = None
) -> float:
    """Centred kernel alignment over mutual nearest neighbours only.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    k : int
        Neighbours of each row, at least 1 and fewer than rows.
    groups : array (rows,), optional
        Image of each row. Neighbours are of other images, and the mean of a line is that over
        rows of other images. By default each row is an image.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are at most
        k, or if all rows of a side have the same inner products.
    OptionError
        If k is no whole number of at least 1.

    Notes
    -----
    `A(K, L) / sqrt(A(K, K) A(L, L))` with `A(K, L) = Σ w_ij v_ij K̃_ij L̃_ij` over pairs of
    different rows. K are the inner products of rows (as given, not centred), and K̃ is K without
    the mean of its line. The neighbours of row i are the rows of largest K. w_ij is the
    probability that j is among the k first of them in X, and v_ij that in Y. Ties are shared as
    in `mutual_knn`.

    References
    ----------
    Huh et al. 2024, The Platonic Representation Hypothesis, appendix A (CKNNA).

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(cknna(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_cknna_plan(k, groups), X, Y)


MUTUAL_KNN = Measure(
    name="mutual_knn",
    title="Mutual 10 nearest neighbours",
    family="Neighbours",
    summary="How many of an image's nearest neighbours are the same in both layers.",
    advice="Whether both layers find the same images alike, whatever the rest does.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=(
        "permutation",
        "scaling",
        "unit sign",
        "translation",
        "orthogonal",
        "constant units",
    ),
    formula="mean_i |N_X(i) ∩ N_Y(i)| / k, k = 10, Euclidean",
    paper="Huh et al. 2024",
    function=mutual_knn,
    plan=_mutual_plan,
    by_image=True,
)

CKNNA = Measure(
    name="cknna",
    title="CKNNA, 10 neighbours",
    family="Neighbours",
    summary="Kernel alignment restricted to neighbours that both layers agree on.",
    low=-1.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=("permutation", "scaling", "unit sign", "orthogonal", "constant units"),
    formula="A(K, L) / sqrt(A(K, K) A(L, L)), A over mutual nearest neighbours, k = 10",
    paper="Huh et al. 2024",
    function=cknna,
    plan=_cknna_plan,
    by_image=True,
)

MEASURES = (MUTUAL_KNN, CKNNA)
