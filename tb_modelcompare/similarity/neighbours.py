"""Measures on nearest neighbours: which images a layer puts beside which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Array, Layer, Matrix, row_blocks
from tb_modelcompare.similarity.registry import Measure, RowPlan, evaluate


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k neighbours of every row, (rows, k), sorted by index, and the kernel there."""

    indices: npt.NDArray[np.intp]
    kernel: Matrix


def _nearest(scores: Array, k: int) -> npt.NDArray[np.intp]:
    """Indices of the k largest of each line, ties to the lower index, sorted by index.

    Compared in float32, so that ties do not depend on the last bits of a product.
    """
    order = np.argsort(-scores.astype(np.float32), axis=1, kind="stable")[:, :k]
    return np.sort(order, axis=1)


def _by_distance(layer: Layer, k: int) -> Neighbours:
    layer.require_variation("a nearest neighbour")
    values = layer.centred(slice(0, layer.rows))
    energy = np.einsum("ij,ij->i", values, values)
    found = []
    for block in row_blocks(layer.rows, 512):
        closeness = 2.0 * (values[block] @ values.T) - energy
        closeness[np.arange(len(closeness)), np.arange(block.start, block.stop)] = -np.inf
        found.append(_nearest(closeness, k))
    return Neighbours(np.concatenate(found), np.empty((0, 0)))


def _shared(x: Neighbours, y: Neighbours) -> npt.NDArray[np.bool_]:
    """For each neighbour in x, (rows, k), whether it is also one in y."""
    rows = len(x.indices)
    offset = np.arange(rows)[:, None] * rows
    return np.isin(x.indices + offset, y.indices + offset, assume_unique=True)


def _check_k(k: int) -> None:
    if k < 1:
        raise ActivationError(f"k is {k}; a row needs at least one neighbour.")


def _mutual_plan(k: int = 10) -> RowPlan:
    _check_k(k)
    return RowPlan(
        lambda layer: _by_distance(layer, k),
        lambda x, y: float(_shared(x, y).mean()),
        least_rows=k + 1,
    )


def mutual_knn(X: npt.ArrayLike, Y: npt.ArrayLike, *, k: int = 10) -> float:
    """Mean share of a row's k nearest neighbours in X that are among its k nearest in Y.

    Euclidean distance; ties go to the row that comes first. Range [0, 1]; `k / (rows - 1)`
    by chance.

    References
    ----------
    Huh et al. 2024, The Platonic Representation Hypothesis (mutual k-nearest neighbours).
    """
    return evaluate(_mutual_plan(k), X, Y)


def _by_product(layer: Layer, k: int) -> Neighbours:
    values = layer.scaled(layer.values.astype(np.float64))
    found, kernels = [], []
    for block in row_blocks(layer.rows, 512):
        product = values[block] @ values.T
        means = product.mean(axis=1, keepdims=True)
        own = product.copy()
        own[np.arange(len(own)), np.arange(block.start, block.stop)] = -np.inf
        indices = _nearest(own, k)
        found.append(indices)
        kernels.append(np.take_along_axis(product, indices, axis=1) - means)
    neighbours = Neighbours(np.concatenate(found), np.concatenate(kernels))
    if not np.abs(neighbours.kernel).max() > 1e-12 * np.square(values).sum(axis=1).max():
        raise ActivationError(
            f"All rows of {layer.name} are equally near to each other, so CKNNA is not defined "
            "for it. Leave it out, or use a probe on which it responds."
        )
    return neighbours


def _aligned(x: Neighbours, y: Neighbours) -> float:
    in_y, in_x = _shared(x, y), _shared(y, x)
    product = float(np.dot(x.kernel[in_y], y.kernel[in_x]))
    return product / float(np.linalg.norm(x.kernel) * np.linalg.norm(y.kernel))


def _cknna_plan(k: int = 10) -> RowPlan:
    _check_k(k)
    return RowPlan(lambda layer: _by_product(layer, k), _aligned, least_rows=k + 1)


def cknna(X: npt.ArrayLike, Y: npt.ArrayLike, *, k: int = 10) -> float:
    """Centred kernel alignment over mutual nearest neighbours only.

    `A(K, L) = Σ K̃_ij L̃_ij` over pairs with j among the k neighbours of i in X and in Y, with
    K the inner products of rows (as given, not centred), K̃ less the mean of its line, and
    neighbours those of largest K. `A(K, L) / sqrt(A(K, K) A(L, L))`, range [-1, 1].

    References
    ----------
    Huh et al. 2024, The Platonic Representation Hypothesis, appendix A (CKNNA).
    """
    return evaluate(_cknna_plan(k), X, Y)


MUTUAL_KNN = Measure(
    name="mutual_knn",
    title="Mutual 10 nearest neighbours",
    summary="How many of an image's nearest neighbours are the same in both layers.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=("permutation", "scaling", "unit sign", "translation", "orthogonal", "dead units"),
    formula="mean_i |N_X(i) ∩ N_Y(i)| / k, k = 10, Euclidean",
    paper="Huh et al. 2024",
    function=mutual_knn,
    plan=_mutual_plan,
    repeats_bias=True,
)

CKNNA = Measure(
    name="cknna",
    title="CKNNA, 10 neighbours",
    summary="Kernel alignment restricted to neighbours that both layers agree on.",
    low=-1.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=("permutation", "scaling", "unit sign", "orthogonal", "dead units"),
    formula="A(K, L) / sqrt(A(K, K) A(L, L)), A over mutual nearest neighbours, k = 10",
    paper="Huh et al. 2024",
    function=cknna,
    plan=_cknna_plan,
    repeats_bias=True,
)
