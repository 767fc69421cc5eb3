"""Measures on nearest neighbours: which images a layer puts beside which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.similarity.activations import Layer, Matrix, row_blocks
from tb_modelcompare.similarity.distances import (
    Indices,
    distinct_rows,
    rounding,
    squares_of_pairs,
    varying_values,
)
from tb_modelcompare.similarity.images import all_different, image_indices
from tb_modelcompare.similarity.registry import Measure, RowPlan, evaluate

Pairs = Callable[[Indices, Indices], tuple[Matrix, Matrix]]

AT_ONCE = 2**22
"""Numbers in a work array: memory does not grow with the square of the rows."""


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """The rows of a layer, each one that occurs several times only once.

    Rows on which a ReLU layer is silent are equal. To look at them once saves time, and they are
    at the same distance from any other row to the last bit.

    Attributes
    ----------
    values : array (distinct, units)
        In the layer's scale, without the units that are constant.
    of_row : array (rows,)
        The distinct row that each row is.
    members, starts : array (rows,), array (distinct + 1,)
        Rows ordered by the distinct row that they are, and where each of these begins.
    image : array (rows,), optional
        Image of each row, where some have several. These all count as distinct, and have
        neighbours in other images only.
    """

    values: Matrix
    of_row: Indices
    members: Indices
    starts: Indices
    image: Indices | None = None

    @property
    def counts(self) -> Indices:
        return np.diff(self.starts)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The neighbours of every distinct row, by the distinct row that they are.

    Attributes
    ----------
    rows : DistinctRows
    indices, starts : array (entries,), array (distinct + 1,)
        The neighbours, and where those of each distinct row begin.
    weights : array (entries,)
        Probability that a neighbour is among the k nearest, where ties are broken at random.
    kernel : array (entries,)
        What the measure sums over neighbours.
    norm : float
        Root of the weighted sum of the squared kernel, over all rows.
    """

    rows: DistinctRows
    indices: Indices
    starts: Indices
    weights: Matrix
    kernel: Matrix
    norm: float


@dataclass(frozen=True, eq=False)
class Ranking:
    """How far distinct rows are from each other, small for neighbours.

    Attributes
    ----------
    rough : callable
        Of some rows to all, by one product, and how much that and a tie may be off.
    exact : callable
        Of pairs of rows, one by one, and by how much rounding can change that.
    """

    rough: Callable[[slice], tuple[Matrix, Matrix]]
    exact: Pairs


def _distinct(layer: Layer, groups: npt.ArrayLike | None) -> DistinctRows:
    values = varying_values(layer)
    image = image_indices(groups, layer.rows)
    if not all_different(image):  # rows that are equal have other neighbours then
        each = np.arange(layer.rows)
        return DistinctRows(values, each, each, np.arange(layer.rows + 1), image)
    of_row = distinct_rows(values)
    members = np.argsort(of_row, kind="stable")
    starts = np.searchsorted(of_row[members], np.arange(of_row.max() + 2))
    return DistinctRows(values[members[starts[:-1]]], of_row, members, starts)


def _centred(rows: DistinctRows) -> Matrix:
    mean = (rows.counts @ rows.values) / len(rows.of_row)
    return np.asarray(rows.values - mean)


def _by_distance(rows: DistinctRows) -> Ranking:
    values, centred, unit = rows.values, _centred(rows), rounding(rows.values)
    energy = np.einsum("ij,ij->i", centred, centred)
    slack = 4.0 * unit * (energy + np.einsum("ij,ij->i", values, values))

    def rough(some: slice) -> tuple[Matrix, Matrix]:
        squares = centred[some] @ centred.T
        squares *= -2.0
        squares += energy
        squares += energy[some, None]
        return squares, slack[some, None] + slack

    return Ranking(rough, lambda i, j: squares_of_pairs(values[i], values[j]))


def _means_of_others(values: Matrix, image: Indices) -> Matrix:
    """Mean of the rows of all other images, (images, units)."""
    sums = np.zeros((int(image.max()) + 1, values.shape[1]))
    np.add.at(sums, image, values)
    others = len(image) - np.bincount(image)
    return np.asarray((values.sum(axis=0) - sums) / others[:, None])


def _by_product(rows: DistinctRows) -> Ranking:
    """By the negative inner product `x_i · x_j` less its mean over j, which is `x_i · (x_j - m)`
    with m the mean row: a constant unit changes nothing."""
    values, centred, unit = rows.values, _centred(rows), rounding(rows.values)
    lengths, centred_lengths = (np.linalg.norm(some, axis=1) for some in (values, centred))

    def rough(some: slice) -> tuple[Matrix, Matrix]:
        slack = np.outer(4.0 * unit * lengths[some], centred_lengths)
        return -(values[some] @ centred.T), slack

    image = rows.image
    means = None if image is None else _means_of_others(values, image)

    def exact(i: Indices, j: Indices) -> tuple[Matrix, Matrix]:
        if image is None or means is None:
            terms = values[i] * centred[j]
        else:
            terms = values[i] * (values[j] - means[image[i]])
        return -terms.sum(axis=1), unit * np.abs(terms).sum(axis=1)

    return Ranking(rough, exact)


def _candidates(
    rows: DistinctRows, ranking: Ranking, k: int, some: slice
) -> tuple[Indices, Indices]:
    """Pairs (i, j), i of `some` rows, with every j that may be among the k nearest of i or tie
    with the last of them."""
    rough, slack = ranking.rough(some)
    if rows.image is not None:
        rough[rows.image[some, None] == rows.image] = np.inf
    else:
        alone = np.flatnonzero(rows.counts[some] == 1)
        rough[alone, some.start + alone] = np.inf  # a row is not its own neighbour, its equals are
    last = min(k, rough.shape[1]) - 1
    limit = np.partition(rough + slack, last, axis=1)[:, last]
    i, j = np.nonzero((rough - slack <= limit[:, None]) & (rough < np.inf))
    return i + some.start, j


def _exactly(exact: Pairs, i: Indices, j: Indices, units: int) -> tuple[Matrix, Matrix]:
    found = [exact(i[part], j[part]) for part in row_blocks(len(i), max(1, AT_ONCE // 8 // units))]
    distances, errors = zip(*found, strict=True)
    return np.concatenate(distances), np.concatenate(errors)


def _nearest(
    rows: DistinctRows, ranking: Ranking, k: int, some: slice
) -> tuple[Indices, Indices, Matrix, Matrix]:
    """(i, j, weight, distance) of every j that is among the k nearest rows of i, for sure or if
    ties are broken in its favour, sorted by i.

    Rows at the distance of the k-th nearest, up to rounding, share the places that nearer ones
    leave: each has the weight places left / rows tied.
    """
    i, j = _candidates(rows, ranking, k, some)
    distance, error = _exactly(ranking.exact, i, j, rows.values.shape[1])
    order = np.lexsort((distance, i))
    i, j, distance, error = i[order], j[order], distance[order], error[order]
    number = rows.counts[j] - (i == j)
    starts = np.searchsorted(i, np.arange(some.start, some.stop))
    line = i - some.start
    filled = np.cumsum(number)
    filled -= (filled - number)[starts][line]
    last = (starts + np.add.reduceat((filled < k).astype(np.intp), starts))[line]
    further = distance - distance[last]
    tolerance = error + error[last]
    near, tied = further < -tolerance, np.abs(further) <= tolerance
    left = k - np.add.reduceat(np.where(near, number, 0), starts)
    share = left / np.add.reduceat(np.where(tied, number, 0), starts)
    weight = np.where(near, 1.0, share[line])
    kept = near | tied
    return i[kept], j[kept], weight[kept], distance[kept]


def _neighbours(
    rows: DistinctRows,
    ranking: Ranking,
    k: int,
    kernel_of: Callable[[Matrix], Matrix],
) -> Neighbours:
    distinct = len(rows.values)
    found = [
        _nearest(rows, ranking, k, some)
        for some in row_blocks(distinct, max(1, AT_ONCE // distinct))
    ]
    i, j, weights, distances = (np.concatenate(part) for part in zip(*found, strict=True))
    kernel = kernel_of(distances)
    number = rows.counts[i] * (rows.counts[j] - (i == j))
    norm = float(np.sqrt(np.sum(number * weights * np.square(kernel))))
    starts = np.searchsorted(i, np.arange(distinct + 1))
    return Neighbours(rows, j, starts, weights, kernel, norm)


def _ranges(starts: Indices, lengths: Indices) -> Indices:
    """All of `starts[i], starts[i] + 1, ...`, `lengths[i]` of them, one i after the other."""
    ends = np.cumsum(lengths)
    return np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths)


def _of_rows(neighbours: Neighbours, some: slice) -> tuple[tuple[Indices, Indices], Matrix, Matrix]:
    """The neighbours of some rows, row by row: where they are in a matrix (some, rows), their
    weights and their kernel."""
    rows = neighbours.rows
    kinds = rows.of_row[some]
    lengths = np.diff(neighbours.starts)[kinds]
    entries = _ranges(neighbours.starts[kinds], lengths)
    line = np.repeat(np.arange(len(kinds)), lengths)
    members = rows.counts[neighbours.indices[entries]]
    column = rows.members[_ranges(rows.starts[neighbours.indices[entries]], members)]
    line, entries = np.repeat(line, members), np.repeat(entries, members)
    other = column != line + some.start
    line, column, entries = line[other], column[other], entries[other]
    return (line, column), neighbours.weights[entries], neighbours.kernel[entries]


def _aligned(x: Neighbours, y: Neighbours) -> float:
    """Sum of the product of both kernels over pairs of rows that are neighbours in both, as
    expected from ties broken at random, over both norms.

    Each layer breaks its ties independently of the other, unless all neighbours and ties of
    both are the same: such layers are one to this measure, and break them alike.
    """
    rows = len(x.rows.of_row)
    apart, alike, same = 0.0, 0.0, True
    at_once = max(1, AT_ONCE // rows)
    weights, kernel = np.zeros((2, min(at_once, rows), rows))
    for some in row_blocks(rows, at_once):
        in_x, weights_x, kernel_x = _of_rows(x, some)
        in_y, weights_y, kernel_y = _of_rows(y, some)
        weights[in_x], kernel[in_x] = weights_x, kernel_x
        there = weights[in_y]
        products = there * kernel[in_y] * kernel_y
        apart += float(products @ weights_y)
        alike += float(products.sum())
        same = same and len(weights_x) == len(weights_y) and np.array_equal(there, weights_y)
        weights[in_x] = 0.0
    return (alike if same else apart) / (x.norm * y.norm)


def _require_other_rows(rows: DistinctRows, k: int) -> None:
    if rows.image is None:
        return
    fewest = len(rows.image) - int(np.bincount(rows.image).max())
    if fewest < k:
        raise ActivationError(
            f"A row has {fewest} rows of other images, and k is {k}. Use a probe with more images."
        )


def _mutual_plan(k: int = 10, groups: npt.ArrayLike | None = None) -> RowPlan:
    k = whole("k", k, least=1)

    def prepare(layer: Layer) -> Neighbours:
        layer.require_variation("a nearest neighbour")
        rows = _distinct(layer, groups)
        _require_other_rows(rows, k)
        return _neighbours(rows, _by_distance(rows), k, np.ones_like)

    return RowPlan(prepare, _aligned, least_rows=k + 1)


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
    the k-th nearest share the places that nearer rows leave: with s places for t rows, each has
    s / t. The value is what is expected where each layer breaks its ties at random,
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
        if layer.varies:
            rows = _distinct(layer, groups)
            _require_other_rows(rows, k)
            found = _neighbours(rows, _by_product(rows), k, np.negative)
            largest = float(np.square(rows.values).sum(axis=1).max())
            if np.abs(found.kernel).max() > 1e-12 * largest:
                return found
        raise ActivationError(
            f"All rows of {layer.name} are equally near to each other, so CKNNA is not defined "
            "for it. Leave it out, or use a probe on which it responds."
        )

    return RowPlan(prepare, _aligned, least_rows=k + 1)


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
    different rows. K are the inner products of rows (as given, not centred), and K̃ is K less the
    mean of its line. The neighbours of row i are the rows of largest K; w_ij is the probability
    that j is among the k first of them in X, and v_ij that in Y. Ties are shared as in
    `mutual_knn`.

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
    summary="How many of an image's nearest neighbours are the same in both layers.",
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
    invariances=("permutation", "scaling", "unit sign", "orthogonal", "constant units"),
    formula="A(K, L) / sqrt(A(K, K) A(L, L)), A over mutual nearest neighbours, k = 10",
    paper="Huh et al. 2024",
    function=cknna,
    plan=_cknna_plan,
    by_image=True,
    repeats_bias=True,
)

MEASURES = (MUTUAL_KNN, CKNNA)
