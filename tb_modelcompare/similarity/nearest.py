"""The nearest neighbours of every row of a layer, where ties are shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Layer, Matrix, row_blocks
from tb_modelcompare.similarity.distances import (
    Indices,
    distinct_rows,
    rounding,
    squares_of_pairs,
    varying_values,
)
from tb_modelcompare.similarity.images import all_different, image_indices

Pairs = Callable[[Indices, Indices], tuple[Matrix, Matrix]]

AT_ONCE = 2**22
"""Numbers in a work array: memory does not grow with the square of the rows."""


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """The rows of a layer, each one that occurs several times only once.

    Rows on which a ReLU layer is zero are equal. Computing with one of them saves time, and gives
    all of them the same distance from any other row, to the last bit.

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


def distinct(layer: Layer, groups: npt.ArrayLike | None) -> DistinctRows:
    """The distinct rows of a layer; all of its rows where `groups` names images of several."""
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


def by_distance(rows: DistinctRows) -> Ranking:
    """By the squared Euclidean distance."""
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


def by_product(rows: DistinctRows) -> Ranking:
    """By the negative of the inner product `x_i · x_j` without its mean over j.

    That is `-x_i · (x_j - m)` with m the mean row, so that a constant unit changes nothing.
    """
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

    Rows at the distance of the k-th nearest, up to rounding, share what nearer rows leave of
    the k: each has the weight neighbours left / rows tied.
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


def nearest_rows(
    rows: DistinctRows,
    ranking: Ranking,
    k: int,
    kernel_of: Callable[[Matrix], Matrix],
) -> Neighbours:
    """The k nearest rows of each, and the kernel that `kernel_of` makes of their distances."""
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


def aligned(x: Neighbours, y: Neighbours) -> float:
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


def require_other_rows(rows: DistinctRows, k: int) -> None:
    """Raise ActivationError if some row has fewer than k rows of other images."""
    if rows.image is None:
        return
    fewest = len(rows.image) - int(np.bincount(rows.image).max())
    if fewest < k:
        raise ActivationError(
            f"A row has {fewest} rows of other images, and k is {k}. Use a probe with more images."
        )
