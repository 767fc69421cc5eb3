"""Canonical correlation and its relatives, all from whitened cross-covariances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Array, Layer, Matrix
from tb_modelcompare.similarity.moments import (
    RCOND,
    Cross,
    LayerMoments,
    at_least_rounding,
    check_rcond,
    nuclear_norm,
    nuclear_norms,
    squared_norm,
    squared_norms,
    triangular_product,
    whiten,
)
from tb_modelcompare.similarity.registry import Measure, MomentPlan, evaluate

SINGLE_PRECISION_AMPLIFICATION = 30.0
"""Products in float32 err by some 1e-7; up to this much larger is still below 1e-4."""


@dataclass(frozen=True, eq=False)
class WhiteLayer:
    """One layer's whitening, and what some of the measures weigh its variates by.

    Attributes
    ----------
    matrix, reach, amplification
        As of `Whitening`.
    along : array (rank,), optional
        Variates are `(I - along along') matrix x`.
    constant : array (rank,), optional
        The part of each variate along the constant 1, for variates that are orthonormal about
        zero rather than about the mean.
    loadings : array (units, rank), optional
    """

    matrix: Array
    amplification: float
    reach: npt.NDArray[np.intp] | None = None
    along: Array | None = None
    constant: Matrix | None = None
    loadings: Matrix | None = None

    def variates(self, moments: Array) -> Array:
        """Moments of the variates, (rank, k), from moments of the units, (units, k)."""
        product = triangular_product(self.matrix, self.reach, moments)
        if self.along is not None:
            product -= np.outer(self.along, self.along @ product)
        return product

    @property
    def whole_matrix(self) -> Array:
        """What makes variates of units, in one matrix."""
        if self.along is None:
            return self.matrix
        return np.asarray(self.matrix - np.outer(self.along, self.along @ self.matrix))

    def directions(self, coefficients: Array) -> Array:
        """Directions of units, (units, k), whose activity is these combinations of variates."""
        if self.along is not None:
            coefficients = coefficients - np.outer(self.along, self.along @ coefficients)
        return np.asarray(self.matrix.T @ coefficients)


def well_conditioned(layer: WhiteLayer) -> bool:
    return layer.amplification <= SINGLE_PRECISION_AMPLIFICATION


def whiten_centred(layer: LayerMoments, rcond: float) -> WhiteLayer:
    whitening = whiten(layer.covariance, rcond)
    if not whitening.rank:
        raise ActivationError(
            f"{layer.name} does not vary on its {layer.rows} row(s), so that correlations with it "
            "are not defined. Leave it out, or use a probe on which it responds."
        )
    return WhiteLayer(whitening.matrix, whitening.amplification, whitening.reach)


def _whiten_uncentred(layer: LayerMoments, rcond: float) -> WhiteLayer:
    """Whiten `C = X'X / n` through the covariance: `C = covariance + mean mean'`.

    The covariance is by far better conditioned than C where means are large. Where the mean
    has a part outside the span of the varying directions (a unit that is constant and not
    zero, or rows fewer than units), the constant itself lies in the span of X.
    """
    whitening = whiten(layer.covariance, rcond)
    rank = whitening.rank
    deviation = np.where(whitening.deviation > 0.0, whitening.deviation, 1.0)
    relative = layer.mean / deviation
    outside = whitening.absent @ relative
    matrix = whitening.matrix
    absent = at_least_rounding(rcond, layer.units)
    if outside @ outside > absent * (rank + relative @ relative):
        matrix = np.concatenate([matrix, np.zeros((1, layer.units), matrix.dtype)])
        constant = np.append(np.zeros(rank), 1.0)
        return WhiteLayer(matrix, whitening.amplification, constant=constant)
    if not rank:
        raise ActivationError(
            f"{layer.name} is zero on all its {layer.rows} row(s), so that no direction of it can "
            "be compared. Leave it out, or use a probe on which it responds."
        )
    # (I + t t')^(-1/2) of the whitened mean t, a rank-one change of the identity.
    towards = matrix.astype(np.float64) @ layer.mean
    length = float(np.linalg.norm(towards))
    unit = towards / length if length else towards
    shrunk = 1.0 / np.sqrt(1.0 + length**2)
    along = (unit * np.sqrt(1.0 - shrunk)).astype(matrix.dtype)
    constant = unit * (length * shrunk)
    return WhiteLayer(matrix, whitening.amplification, whitening.reach, along, constant)


def white_rows(layer: Layer, white: WhiteLayer) -> Array:
    """The variates of a layer on every row, about zero where the measure is."""
    rows = layer.centred(slice(0, layer.rows), white.matrix.dtype) @ white.matrix.T
    if white.constant is not None:
        mean = white.matrix @ layer.mean.astype(white.matrix.dtype)
        rows += np.where(white.matrix.any(axis=1), mean, 1.0)  # no direction: the constant
    return np.asarray(rows)


def white_cross(x: WhiteLayer, y: WhiteLayer, cross: Array) -> Array:
    """Cross-covariance of the variates, (rank x, rank y); canonical correlations are its
    singular values."""
    white = y.variates(x.variates(cross).T).T
    if x.constant is not None and y.constant is not None:
        white += np.outer(x.constant, y.constant)
    return white


def _constant_of(layer: WhiteLayer) -> Matrix:
    return np.zeros(len(layer.matrix)) if layer.constant is None else layer.constant


@dataclass(frozen=True)
class SpectralMean:
    """Singular values of the whitened cross-covariance, or their squares, summed and divided
    by the larger or the smaller rank."""

    squared: bool
    over: Callable[[Iterable[int]], int]

    def __call__(self, x: WhiteLayer, y: WhiteLayer, cross: Cross) -> float:
        white = white_cross(x, y, cross.covariance)
        total = squared_norm(white) if self.squared else nuclear_norm(white)
        return total / float(self.over(white.shape))

    def of_many(self, x: WhiteLayer, ys: Sequence[WhiteLayer], cross: Array) -> Matrix:
        """Of one layer with several of equally many units, whose cross-covariances lie side by
        side, (d1, layers · d2). The same values to rounding, without a call for each pair."""
        units = ys[0].matrix.shape[1]
        half = x.variates(cross).reshape(len(x.matrix), len(ys), units).swapaxes(0, 1)
        values = np.empty(len(ys))
        ranks = np.array([len(y.matrix) for y in ys])
        for rank in np.unique(ranks):
            some = np.flatnonzero(ranks == rank)
            white = half[some] @ np.stack([ys[i].whole_matrix.T for i in some.tolist()])
            if x.constant is not None:
                constants = np.stack([_constant_of(ys[i]) for i in some.tolist()])
                white += x.constant[:, None] * constants[:, None, :]
            total = squared_norms(white) if self.squared else nuclear_norms(white)
            values[some] = total / float(self.over(white.shape[1:]))
        return values


mean_correlation = SpectralMean(squared=False, over=min)
mean_squared_correlation = SpectralMean(squared=True, over=min)
_whitened_correlation = SpectralMean(squared=False, over=max)


def _whitened_correlation_plan(rcond: float = RCOND) -> MomentPlan:
    rcond = check_rcond(rcond)
    return MomentPlan(
        lambda layer: _whiten_uncentred(layer, rcond),
        _whitened_correlation,
        combine_many=_whitened_correlation.of_many,
        least_rows=1,
        single_precision=well_conditioned,
        white_rows=white_rows,
    )


def _mean_cca_plan(rcond: float = RCOND) -> MomentPlan:
    rcond = check_rcond(rcond)
    return MomentPlan(
        lambda layer: whiten_centred(layer, rcond),
        mean_correlation,
        combine_many=mean_correlation.of_many,
        single_precision=well_conditioned,
        white_rows=white_rows,
    )


def _r2_cca_plan(rcond: float = RCOND) -> MomentPlan:
    rcond = check_rcond(rcond)
    return MomentPlan(
        lambda layer: whiten_centred(layer, rcond),
        mean_squared_correlation,
        combine_many=mean_squared_correlation.of_many,
        single_precision=well_conditioned,
        white_rows=white_rows,
    )


def whitened_correlation(X: npt.ArrayLike, Y: npt.ArrayLike, *, rcond: float = RCOND) -> float:
    """Nuclear norm of the whitened, uncentred cross-covariance over the larger rank.

    With `C11 = X'X / n`, `C12 = X'Y / n`, and `L1 L1' = C11⁻¹`: the sum of the singular values
    of `L1' C12 L2`, over `max(rank X, rank Y)`. For regular layers the ranks are the numbers
    of units, and this is lucid's notebook on similarity. Range [0, 1]; 1 where X and Y span
    the same space of functions of the image.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    rcond : float
        Directions with less than this share of the largest variance (every unit at variance
        one) are dropped, and do not count in the rank: constant, duplicate or linearly dependent
        units change nothing, and a rank-deficient layer has 1 with itself.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if the rows differ in number, or if
        a side is zero everywhere.
    OptionError
        If rcond is no number in [0, 1).

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(whitened_correlation(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_whitened_correlation_plan(rcond), X, Y, WHITENED_CORRELATION)


def mean_cca(X: npt.ArrayLike, Y: npt.ArrayLike, *, rcond: float = RCOND) -> float:
    """Mean canonical correlation, the sum of all over `min(rank X, rank Y)`.

    Centred. Range [0, 1]; 1 where one side's span contains the other's.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    rcond : float
        Directions with less than this share of the largest variance (every unit at variance
        one) are absent; in [0, 1).

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.
    OptionError
        If an option is none of the values above.

    References
    ----------
    Hotelling 1936; Raghu et al. 2017; Kornblith et al. 2019 (rho-bar_CCA).

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(mean_cca(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_mean_cca_plan(rcond), X, Y, MEAN_CCA)


def r2_cca(X: npt.ArrayLike, Y: npt.ArrayLike, *, rcond: float = RCOND) -> float:
    """Mean squared canonical correlation, the sum of squares over `min(rank X, rank Y)`.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    rcond : float
        Directions with less than this share of the largest variance (every unit at variance
        one) are absent; in [0, 1).

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.
    OptionError
        If an option is none of the values above.

    References
    ----------
    Kornblith et al. 2019 (R²_CCA); Yanai's generalised coefficient of determination.

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(r2_cca(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_r2_cca_plan(rcond), X, Y, R2_CCA)


LINEAR_INVARIANCES = (
    "permutation",
    "scaling",
    "unit scaling",
    "unit sign",
    "translation",
    "orthogonal",
    "linear",
    "constant units",
)

WHITENED_CORRELATION = Measure(
    name="whitened_correlation",
    title="Whitened correlation",
    family="CCA",
    summary="How much of the larger layer is a linear function of the other, about zero.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=tuple(name for name in LINEAR_INVARIANCES if name != "translation"),
    formula="||L1' C12 L2||_* / max(rank X, rank Y), C = X'X/n uncentred, L L' = C⁻¹",
    paper="lucid, notebook on similarity and analogies between models",
    function=whitened_correlation,
    plan=_whitened_correlation_plan,
    rows_per_unit=12.0,
    interval_rows_per_unit=4.0,
)

MEAN_CCA = Measure(
    name="mean_cca",
    title="Mean CCA",
    family="CCA",
    summary="Mean canonical correlation: how much of the smaller layer the other one holds.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=LINEAR_INVARIANCES,
    formula="Σ ρ_i / min(rank X, rank Y)",
    paper="Hotelling 1936; Kornblith et al. 2019",
    function=mean_cca,
    plan=_mean_cca_plan,
    rows_per_unit=12.0,
    interval_rows_per_unit=4.0,
)

R2_CCA = Measure(
    name="r2_cca",
    title="R² CCA",
    family="CCA",
    summary="Mean squared canonical correlation.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=LINEAR_INVARIANCES,
    formula="Σ ρ_i² / min(rank X, rank Y)",
    paper="Kornblith et al. 2019",
    function=r2_cca,
    plan=_r2_cca_plan,
    rows_per_unit=4.0,
    interval_rows_per_unit=4.0,
)

MEASURES = (WHITENED_CORRELATION, MEAN_CCA, R2_CCA)
