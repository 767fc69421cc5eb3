"""Second moments of layers, and whitening that survives singular ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from tb_modelcompare.errors.checks import number
from tb_modelcompare.similarity.activations import (
    Array,
    Layer,
    Matrix,
    require_same_rows,
    row_blocks,
)

RCOND = 1e-10
"""A direction whose variance is below this share of the largest one (after every unit is
brought to variance one) counts as absent: it is rounding, not signal."""


def check_rcond(rcond: float) -> float:
    """The share of the largest variance below which a direction is absent, in [0, 1)."""
    return number("rcond", rcond, least=0.0, below=1.0)


def at_least_rounding(rcond: float, units: int) -> float:
    """`rcond`, or the share of the largest variance that rounding alone leaves, if that is more.

    So 0 keeps every direction that there is.
    """
    return max(rcond, 16.0 * units * float(np.finfo(np.float64).eps))


@dataclass(frozen=True, eq=False)
class LayerMoments:
    """Moments of one layer about its mean, per row, in the layer's scale.

    Attributes
    ----------
    mean : array (units,)
    covariance : array (units, units)
        `(X - mean)'(X - mean) / rows`; float32 where products were taken in float32.
    energy_total, energy_square : float, optional
        Sum over rows of the squared length of the centred row, and of its square. Only
        measures of kernels use them.
    """

    name: str
    rows: int
    mean: Matrix
    covariance: Array
    energy_total: float = np.nan
    energy_square: float = np.nan

    @property
    def units(self) -> int:
        return int(self.mean.shape[0])


@dataclass(frozen=True, eq=False)
class Cross:
    """Moments of a pair: cross-covariance (d1, d2) per row, and the sum over rows of the
    product of the two squared lengths."""

    covariance: Array
    energy_product: float = np.nan


def energy_of(layer: Layer, dtype: npt.DTypeLike = np.float64) -> Matrix:
    """Squared length of every centred, scaled row, (rows,)."""
    energy = np.empty(layer.rows)
    for rows in row_blocks(layer.rows):
        block = layer.centred(rows, dtype)
        energy[rows] = np.einsum("ij,ij->i", block, block)
    return energy


def moments_of_layer(layer: Layer) -> LayerMoments:
    energy = energy_of(layer)
    return LayerMoments(
        name=layer.name,
        rows=layer.rows,
        mean=layer.mean,
        covariance=cross_covariance(layer, layer),
        energy_total=float(energy.sum()),
        energy_square=float(energy @ energy),
    )


def cross_covariance(x: Layer, y: Layer) -> Matrix:
    """`(X - mean)'(Y - mean) / rows`, (d1, d2), in float64, read in blocks of rows."""
    total = np.zeros((x.units, y.units))
    for rows in row_blocks(x.rows):
        left = x.centred(rows)
        total += left.T @ (left if y is x else y.centred(rows))
    return total / x.rows


def cross_of_layers(x: Layer, y: Layer) -> Cross:
    require_same_rows(x, y)
    return Cross(cross_covariance(x, y), float(energy_of(x) @ energy_of(y)))


@dataclass(frozen=True, eq=False)
class Whitening:
    """A linear map of centred units to uncorrelated variates of variance one.

    Attributes
    ----------
    matrix : array (rank, units)
        `matrix @ covariance @ matrix.T` is the identity.
    amplification : float
        Mean over the variates of 1 / variance (units brought to variance one): how much
        larger a rounding error of the covariance gets.
    absent : array (units - rank, units)
        Orthonormal basis, in units brought to variance one, of the directions left out.
    deviation : array (units,)
        Standard deviation of each unit; 0 for a unit that is constant.
    reach : array (rank,), optional
        Where `matrix` is triangular: row i is zero from column `reach[i]` on.
    """

    matrix: Array
    amplification: float
    absent: Matrix
    deviation: Matrix
    reach: npt.NDArray[np.intp] | None = None

    @property
    def rank(self) -> int:
        return int(self.matrix.shape[0])


def whiten(covariance: Array, rcond: float = RCOND) -> Whitening:
    """Whiten by Cholesky where the covariance is safely regular, else by its eigenvectors.

    Both give the same subspace, so that no measure here depends on which was used:
    Cholesky is taken only where it proves that no direction would have been dropped.
    """
    dtype = covariance.dtype
    rcond = at_least_rounding(rcond, len(covariance))
    variance = np.diagonal(covariance).astype(np.float64)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    alive = np.flatnonzero(deviation > 0.0)
    if not len(alive):
        return Whitening(np.zeros((0, len(variance)), dtype), 1.0, np.eye(len(variance)), deviation)
    some = slice(None) if len(alive) == len(variance) else alive
    scale = 1.0 / deviation[alive]
    correlation = covariance[some][:, some].astype(np.float64)
    correlation *= scale[:, None]
    correlation *= scale
    constant = np.delete(np.eye(len(variance)), alive, axis=0)
    inverse = _inverse_cholesky(correlation, rcond)
    if inverse is not None:
        whitener, precision = inverse, float(np.vdot(inverse, inverse)) / len(alive)
        absent = constant
    else:
        values, vectors = np.linalg.eigh(correlation)
        kept = values > rcond * values[-1]
        whitener = (vectors[:, kept] / np.sqrt(values[kept])).T
        precision = float(np.mean(1.0 / values[kept]))
        beside = np.zeros((int((~kept).sum()), len(variance)))
        beside[:, alive] = vectors[:, ~kept].T
        absent = np.concatenate([constant, beside])
    matrix = np.zeros((len(whitener), len(variance)), dtype)
    matrix[:, some] = whitener * scale
    reach = None if inverse is None else alive + 1
    return Whitening(matrix, precision, absent, deviation, reach)


def triangular_product(matrix: Array, reach: npt.NDArray[np.intp] | None, other: Array) -> Array:
    """`matrix @ other`, by blocks of rows that leave most of a triangle's zeros out."""
    if reach is None:
        return np.asarray(matrix @ other)
    product = np.empty((len(matrix), other.shape[1]), np.result_type(matrix, other))
    for rows in row_blocks(len(matrix), max(64, -(-len(matrix) // 8))):
        stop = reach[rows.stop - 1]
        np.matmul(matrix[rows, :stop], other[:stop], out=product[rows])
    return product


def _inverse_cholesky(correlation: Matrix, rcond: float) -> Matrix | None:
    """Inverse of the Cholesky factor, or None unless the smallest eigenvalue is provably
    above `rcond` times the largest: `1 / ||L⁻¹||_F² <= smallest`, `largest <= ||C||_F`."""
    # Transposed, which changes nothing, it is in LAPACK's order.
    factor, info = scipy.linalg.lapack.dpotrf(correlation.T, lower=True, clean=True)
    if info != 0:
        return None
    inverse, info = scipy.linalg.lapack.dtrtri(factor, lower=True, overwrite_c=True)
    if info != 0 or rcond * np.linalg.norm(inverse) ** 2 * np.linalg.norm(correlation) >= 1.0:
        return None
    return np.ascontiguousarray(inverse)


def nuclear_norm(matrix: Array) -> float:
    """Sum of the singular values, without computing vectors.

    Of float32 values it is taken from the eigenvalues of the Gram matrix in float64: half the
    time of float32 singular values, and more exact (each to about 1e-16 over twice itself,
    1e-8 at worst).
    """
    if matrix.dtype == np.float32:
        wide = (matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T).astype(np.float64)
        squares = np.linalg.eigvalsh(wide @ wide.T)
        return float(np.sqrt(np.maximum(squares, 0.0)).sum())
    columns_first = matrix if matrix.flags.f_contiguous else matrix.T  # as LAPACK wants it
    values = scipy.linalg.svdvals(columns_first, check_finite=False)
    return float(values.sum(dtype=np.float64))


def squared_norm(matrix: Array) -> float:
    """Squared Frobenius norm, lines in the matrix's precision and their sum in float64."""
    return float(np.einsum("ij,ij->i", matrix, matrix).sum(dtype=np.float64))


def nuclear_norms(matrices: Array) -> Matrix:
    """`nuclear_norm` of each of several small matrices, (matrices,)."""
    if matrices.dtype == np.float32:
        wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.swapaxes(1, 2)
        wide = wide.astype(np.float64)
        squares = np.linalg.eigvalsh(wide @ wide.swapaxes(1, 2))
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)).sum(axis=1))
    return np.asarray(np.linalg.svd(matrices, compute_uv=False).sum(axis=1, dtype=np.float64))


def squared_norms(matrices: Array) -> Matrix:
    """`squared_norm` of each of several small matrices, (matrices,)."""
    lines = np.einsum("kij,kij->ki", matrices, matrices)
    return np.asarray(lines.sum(axis=1, dtype=np.float64))
