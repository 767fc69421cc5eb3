"""Distances between rows, as exact as the activations are, whatever is large in the layer."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import UndefinedLayerError
from tb_modelcompare.similarity.activations import Layer, Matrix, row_blocks

Indices = npt.NDArray[np.intp]

CANCELLATION = 4096.0
"""Where squared lengths are larger than a squared distance by this factor, their difference has
lost digits, and the distance is computed from the difference of the rows."""


def varying_values(layer: Layer) -> Matrix:
    """Values in the layer's scale, without the units that are constant, (rows, units).

    They are not centred, so that equal differences between rows stay equal to the last bit.
    """
    values = layer.values.astype(np.float64)
    varying = (values != values[0]).any(axis=0)
    # Adding 0 makes 0 of -0, so that equal rows have equal bytes.
    return np.ascontiguousarray(layer.scaled(values[:, varying])) + 0.0


def distinct_rows(values: Matrix) -> Indices:
    """For every row, the number of the distinct row that it is, counted as they come."""
    seen: dict[bytes, int] = {}
    digests = (blake2b(row, digest_size=16).digest() for row in values)
    return np.fromiter((seen.setdefault(one, len(seen)) for one in digests), np.intp, len(values))


def rounding(values: Matrix) -> float:
    """Error of a sum over units, or of a map of the units such as a rotation, relative to the
    sum of the sizes of what is added."""
    return float(np.finfo(np.float64).eps * (4.0 + np.sqrt(values.shape[1])))


def squares_of_pairs(x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    """Squared distance of each row of x, or of its only row, from that row of y, and its error.

    The error is how much the squared distance changes where each value is rounded once more.
    """
    difference = np.abs(x - y)
    size = np.abs(x) + np.abs(y)
    squares = np.einsum("ij,ij->i", difference, difference)
    return squares, rounding(x) * np.einsum("ij,ij->i", difference, size)


@dataclass(frozen=True, eq=False)
class Points:
    """Rows as points between which distances are taken.

    Attributes
    ----------
    values : array (rows, units)
    lengths : array (rows,)
        Lengths of the rows as they were rounded, which is before anything was taken off.
    centred, energy : array (rows, units), array (rows,)
        Rows less their median, and their squared lengths. A few rows far away move a mean, and
        all others would lose digits; they do not move the median.
    """

    values: Matrix
    lengths: Matrix
    centred: Matrix
    energy: Matrix

    @property
    def pairs(self) -> int:
        return len(self.values) * (len(self.values) - 1) // 2


def points_of(values: Matrix, lengths: Matrix | None = None) -> Points:
    """Points of rows; `lengths` are those before something was taken off, if it was."""
    centred = values - np.median(values, axis=0)
    energy = np.einsum("ij,ij->i", centred, centred)
    before = np.linalg.norm(values, axis=1) if lengths is None else lengths
    return Points(values, before, centred, energy)


def squared_distances(points: Points) -> Matrix:
    """Squared Euclidean distance of every pair of rows, (rows (rows - 1) / 2,), i < j.

    `|x|² + |y|² - 2 xy` from one product, and `|x - y|²` where that has lost digits. Equal rows
    have distance 0, and so have rows whose difference is no larger than their rounding.
    """
    values, energy = points.values, points.energy
    noise = rounding(values) * points.lengths
    same = distinct_rows(values)
    result, end = np.empty(points.pairs), 0
    for block in row_blocks(len(values), 512):
        product = points.centred[block] @ points.centred[block.start :].T
        product *= -2.0
        for index in range(block.start, block.stop):
            start, end = end, end + len(values) - index - 1
            squares = result[start:end]
            both = energy[index + 1 :] + energy[index]
            np.add(product[index - block.start, index + 1 - block.start :], both, out=squares)
            inexact = np.flatnonzero(squares * CANCELLATION <= both)
            other = inexact[same[index + 1 + inexact] != same[index]]
            squares[inexact] = 0.0
            for part in row_blocks(len(other), 4096):
                rows = index + 1 + other[part]
                exact, _ = squares_of_pairs(values[[index]], values[rows])
                squares[other[part]] = np.where(
                    exact > np.square(noise[index] + noise[rows]), exact, 0.0
                )
    return result


def errors_of(points: Points, squares: Matrix) -> npt.NDArray[np.float32]:
    """How far each of the squared distances may be off, once each value is rounded once more."""
    unit = rounding(points.values)
    result, end = np.empty(points.pairs, np.float32), 0
    for index in range(len(points.values)):
        start, end = end, end + len(points.values) - index - 1
        some, others = squares[start:end], slice(index + 1, None)
        both = points.energy[others] + points.energy[index]
        error = (points.lengths[others] + points.lengths[index]) * np.sqrt(some)
        error += np.where(some * CANCELLATION > both, both, 0.0)
        np.multiply(error, unit, out=result[start:end], casting="same_kind")
    return result


def all_equal(points: Points, squares: Matrix) -> bool:
    """Whether the squared distances differ by no more than rounding."""
    error = 2.0 * points.lengths.max() * np.sqrt(squares.max()) + 2.0 * points.energy.max()
    return bool(np.ptp(squares) <= 2.0 * rounding(points.values) * error)


def same_distances(layer: Layer) -> UndefinedLayerError:
    """Of a layer whose rows all lie equally far from each other."""
    return UndefinedLayerError(
        layer.name,
        f"it has the same distance between all pairs of its {layer.rows} rows, so its geometry "
        "cannot be compared. Use a probe with more images.",
    )


def ranks(values: Matrix, errors: npt.NDArray[np.float32]) -> Matrix:
    """Rank of each value, from 1; those that differ by no more than their errors have the mean
    of their ranks.

    Values that are close only by way of others between them are no ties: they are told apart
    wherever they differ.
    """
    order = np.argsort(values)
    sorted_values, sorted_errors = values[order], errors[order]
    steps = np.diff(sorted_values)
    apart = np.concatenate([[True], steps > sorted_errors[1:] + sorted_errors[:-1]])
    starts = np.flatnonzero(apart)
    counts = np.diff(np.append(starts, len(values)))
    width = sorted_values[starts + counts - 1] - sorted_values[starts]
    chained = width > 2.0 * np.maximum.reduceat(sorted_errors, starts)
    apart[1:] |= (steps > 0.0) & np.repeat(chained, counts)[1:]
    starts = np.flatnonzero(apart)
    counts = np.diff(np.append(starts, len(values)))
    result = np.empty(len(values))
    result[order] = np.repeat(starts + (counts + 1) / 2.0, counts)
    return result
