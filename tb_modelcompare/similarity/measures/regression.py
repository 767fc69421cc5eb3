"""How much of one layer a linear map of the other predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import scipy.linalg

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import number, one_of, whole
from tb_modelcompare.similarity.activations import Array, Layer, Matrix, about_median
from tb_modelcompare.similarity.images import image_indices
from tb_modelcompare.similarity.measures.cca import well_conditioned
from tb_modelcompare.similarity.moments import RCOND, Cross, LayerMoments, whiten
from tb_modelcompare.similarity.preset import preset
from tb_modelcompare.similarity.registry import Measure, MomentPlan, RowPlan, evaluate
from tb_modelcompare.similarity.threads import spread

Result = TypeVar("Result")
Direction = Literal["x_to_y", "y_to_x"]
DIRECTIONS: tuple[Direction, ...] = ("x_to_y", "y_to_x")

RIDGE = 1e-6
"""Ridge of cross-validated regression, as a share of the mean variance of the predictors."""

LEAST_LEFT = 1e-12
"""A predictor of whose variance less than this is its own, as others do not predict it, cannot
be told from their combination in float64."""


@dataclass(frozen=True, eq=False)
class RegressionLayer:
    whitener: Array
    amplification: float
    variance: float


def _prepare(layer: LayerMoments, rcond: float) -> RegressionLayer:
    whitening = whiten(layer.covariance, rcond)
    if not whitening.rank:
        raise _nothing_to_predict(layer.name, layer.rows)
    variance = float(np.trace(layer.covariance, dtype=np.float64))
    return RegressionLayer(whitening.matrix, whitening.amplification, variance)


def _nothing_to_predict(name: str, rows: int) -> ActivationError:
    return ActivationError(
        f"{name} does not vary on its {rows} row(s), so there is nothing to predict. Leave it "
        "out, or use a probe on which it responds."
    )


def _explained(x: RegressionLayer, y: RegressionLayer, cross: Cross, direction: Direction) -> float:
    if direction == "x_to_y":
        explained, total = x.whitener @ cross.covariance, y.variance
    else:
        explained, total = cross.covariance @ y.whitener.T, x.variance
    return float(np.vdot(explained, explained)) / total


def _plan(direction: Direction, rcond: float = RCOND) -> MomentPlan:
    one_of("direction", direction, DIRECTIONS)
    number("rcond", rcond, least=0.0, below=1.0)
    return MomentPlan(
        lambda layer: _prepare(layer, rcond),
        lambda x, y, cross: _explained(x, y, cross, direction),
        single_precision=well_conditioned,
    )


def linear_regression(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    direction: Direction = "x_to_y",
    rcond: float = RCOND,
) -> float:
    """R² of the least-squares prediction of all units of one side from the other.

    "x_to_y": `||Q_X' Y||² / ||Y||²`, Y centred, Q_X an orthonormal basis of the span of
    centred X. Units of Y count by their variance. Range [0, 1]. Fitted and scored on the same
    rows: 1 where rows do not outnumber units. See `cross_validated_regression`.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    direction : {"x_to_y", "y_to_x"}
    rcond : float
        Directions of the predictor with less than this share of the largest variance (every unit
        at variance one) are left out, in [0, 1).

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    OptionError
        If an option has a value that it does not take.
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number, or if a side
        does not vary.

    References
    ----------
    Kornblith et al. 2019 (R²_LR is "y_to_x").

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(linear_regression(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_plan(direction, rcond), X, Y)


def folds_of_rows(
    groups: npt.ArrayLike | None, rows: int, folds: int
) -> list[npt.NDArray[np.intp]]:
    """Rows of each fold. Images are shuffled, always in the same way, and never split.

    Raises
    ------
    ActivationError
        If there are fewer images than folds, or fewer than two folds.
    """
    image = image_indices(groups, rows)
    images = int(image.max()) + 1
    if not 2 <= folds <= images:
        raise ActivationError(
            f"{images} image(s) cannot be split into {folds} folds: use at least 2 folds and at "
            "most one for each image."
        )
    fold = np.random.default_rng(0).permutation(np.arange(images) % folds)[image]
    return [np.flatnonzero(fold == index) for index in range(folds)]


@dataclass(frozen=True, eq=False)
class Fit:
    """Ridge regressions on all rows but those of some folds, for any target.

    Attributes
    ----------
    held, kept : tuple of int
        The folds that are left out, and all others.
    mean : array (d,)
        Of the predictors on the rows that are kept.
    factors : tuple, one for each ridge
        Of the regularised covariance, by Cholesky, upper; empty where no predictor varies, so that
        nothing but the mean predicts.
    """

    held: tuple[int, ...]
    kept: tuple[int, ...]
    mean: Matrix
    factors: tuple[Matrix, ...]


@dataclass(frozen=True, eq=False)
class Folds:
    """Predictors (rows, d), the rows of each fold, and the squares of each about zero.

    What is fitted without a fold is summed over the others, and not what all rows give less
    the fold: that would leave nothing but rounding where the fold holds a row far longer than
    all others. For the same reason values are best taken from near most rows, not from the mean.
    """

    values: Matrix
    rows: Sequence[npt.NDArray[np.intp]]
    squares: Sequence[Matrix]

    def without(self, folds: Sequence[int], ridges: Sequence[float]) -> Fit:
        """Fits on the other folds. Ridges are shares of the mean variance of the predictors that
        vary.

        Raises
        ------
        ActivationError
            If a ridge is too small to tell predictors apart that depend on each other.
        """
        kept = tuple(fold for fold in range(len(self.rows)) if fold not in folds)
        count = sum(len(self.rows[fold]) for fold in kept)
        mean = sum(self.values[self.rows[fold]].sum(axis=0) for fold in kept) / count
        covariance = np.sum([self.squares[fold] for fold in kept], axis=0)
        covariance /= count
        covariance -= np.outer(mean, mean)
        variance = np.diagonal(covariance).copy()
        level = float(variance.sum()) / max(int(np.count_nonzero(variance)), 1)
        factors = []
        for ridge in ridges if level > 0.0 else ():
            np.fill_diagonal(covariance, variance + ridge * level)
            factors.append(ridge_factor(covariance, ridge))
        return Fit(tuple(folds), kept, np.asarray(mean), tuple(factors))

    def products_with(self, target: Matrix) -> list[Matrix]:
        """`values' target` of each fold, (d, k)."""
        return [self.values[rows].T @ target[rows] for rows in self.rows]

    def errors(
        self, fit: Fit, target: Matrix, products: Sequence[Matrix]
    ) -> list[tuple[Matrix, Matrix]]:
        """On each fold left out: squared error for each ridge, (ridges, k), and squared
        deviation from the fitted mean, (k,).

        `target` is (rows, k), and `products` is what `products_with` gives for it.
        """
        count = sum(len(self.rows[fold]) for fold in fit.kept)
        target_mean = sum(target[self.rows[fold]].sum(axis=0) for fold in fit.kept) / count
        coefficients = []
        if fit.factors:
            cross = np.sum([products[fold] for fold in fit.kept], axis=0)
            cross /= count
            cross -= np.outer(fit.mean, target_mean)
            solve = scipy.linalg.lapack.dpotrs
            coefficients = [solve(factor, cross, lower=False)[0] for factor in fit.factors]
        found = []
        for fold in fit.held:
            rows = self.rows[fold]
            about, residual = self.values[rows] - fit.mean, target[rows] - target_mean
            deviation = np.square(residual).sum(axis=0)
            errors = [np.square(residual - about @ one).sum(axis=0) for one in coefficients]
            found.append((np.stack(errors or [deviation]), deviation))
        return found


def ridge_factor(covariance: Matrix, ridge: float) -> Matrix:
    """Upper Cholesky factor, if what each predictor adds to those before it is not rounding.

    Raises
    ------
    ActivationError
        If it is, as the ridge that went into the covariance is too small.
    """
    factor, info = scipy.linalg.lapack.dpotrf(covariance, lower=False, clean=True)
    left = np.square(np.diagonal(factor))
    if info != 0 or (left < LEAST_LEFT * np.diagonal(covariance)).any():
        raise ActivationError(
            f"With ridge {ridge:g} a fit is not defined: on its rows, some units are zero or "
            "constant, or linear in others, as they always are where units outnumber rows. Use a "
            f"larger ridge, such as {RIDGE:g}."
        )
    return np.asarray(factor)


def in_folds(layer: Layer, groups: npt.ArrayLike | None, folds: int) -> Folds:
    values = about_median(layer).centred(slice(0, layer.rows))
    rows = folds_of_rows(groups, layer.rows, folds)
    return Folds(values, rows, spread(lambda one: values[one].T @ values[one], rows))


@dataclass(frozen=True, eq=False)
class Predictor:
    """One layer as the predictor of others, and as what they predict."""

    folds: Folds
    fits: Sequence[Fit]


def _cross_validated_plan(
    direction: Direction,
    groups: npt.ArrayLike | None = None,
    folds: int = 5,
    ridge: float = RIDGE,
) -> RowPlan:
    one_of("direction", direction, DIRECTIONS)
    whole("folds", folds, least=2)
    ridge = number("ridge", ridge, least=0.0)

    def prepare(layer: Layer) -> Predictor:
        layer.require_variation("a prediction")
        in_parts = in_folds(layer, groups, folds)
        fits = spread(lambda fold: in_parts.without([fold], (ridge,)), range(folds))
        return Predictor(in_parts, fits)

    def combine(x: Predictor, y: Predictor) -> float:
        source, target = (x, y) if direction == "x_to_y" else (y, x)
        wanted = target.folds.values
        products = source.folds.products_with(wanted)
        found = [source.folds.errors(fit, wanted, products)[0] for fit in source.fits]
        return 1.0 - sum(float(error.sum()) for error, _ in found) / sum(
            float(deviation.sum()) for _, deviation in found
        )

    return RowPlan(prepare, combine, least_rows=2)


def cross_validated_regression(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    direction: Direction = "x_to_y",
    groups: npt.ArrayLike | None = None,
    folds: int = 5,
    ridge: float = RIDGE,
) -> float:
    """R² of ridge regression on images that it was not fitted to.

    `1 - Σ squared error / Σ squared deviation from the fitted mean`, over all folds and units.
    At most 1; 0 is no better than the mean, below 0 worse.

    The ridge is fixed, and small by default. Where the units of the predictor are about as many
    as rows, such a fit follows noise, and the value is far below 0: -5.5 for independent layers of
    160 rows and 150 units. Give a larger ridge there, or use `analogy.prediction_r2`, which
    chooses one from the rows that it does not score.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    direction : {"x_to_y", "y_to_x"}
    groups : array (rows,), optional
        Image of each row: rows of one image stay in one fold. By default each row is its own.
    folds : int
    ridge : float
        As a share of the mean variance of the predictors that vary, at least 0.

    Returns
    -------
    float

    Raises
    ------
    OptionError
        If an option has a value that it does not take.
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number, if a side does
        not vary, if there are fewer images than folds, or if the ridge is too small for predictors
        that depend on each other.

    Examples
    --------
    A layer that holds the other one predicts it, and not the other way round:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((200, 4))
    >>> round(cross_validated_regression(X, X[:, :2]), 3)
    1.0
    >>> cross_validated_regression(X, X[:, :2], direction="y_to_x") < 0.6
    True
    """
    return evaluate(_cross_validated_plan(direction, groups, folds, ridge), X, Y)


_INVARIANCES = (
    "permutation",
    "scaling",
    "unit sign",
    "translation",
    "orthogonal",
    "constant units",
)


def _measure(direction: Direction) -> Measure:
    name = f"linear_regression_{direction}"
    ours, theirs = ("X", "Y") if direction == "x_to_y" else ("Y", "X")
    which = "the second from the first" if direction == "x_to_y" else "the first from the second"
    return Measure(
        name=name,
        title=f"Regression R², {ours} → {theirs}",
        summary=f"Share of the variance that a linear map predicts, {which} layer.",
        low=0.0,
        high=1.0,
        symmetric=False,
        self_value=1.0,
        invariances=_INVARIANCES,
        formula=f"||Q_{ours}' {theirs}||² / ||{theirs}||²",
        paper="Kornblith et al. 2019",
        function=preset(name, linear_regression, direction=direction),
        plan=partial(_plan, direction),
        wants_rows_over_units=True,
    )


def _cross_validated_measure(direction: Direction) -> Measure:
    name = f"cross_validated_regression_{direction}"
    ours, theirs = ("X", "Y") if direction == "x_to_y" else ("Y", "X")
    which = "the second from the first" if direction == "x_to_y" else "the first from the second"
    return Measure(
        name=name,
        title=f"Held-out regression R², {ours} → {theirs}",
        summary=f"Share of the variance predicted on unseen images, {which} layer.",
        low=-np.inf,
        high=1.0,
        symmetric=False,
        self_value=None,
        invariances=_INVARIANCES,
        formula=f"1 - ||{theirs} - {ours}B||² / ||{theirs}||², 5 folds of images, ridge 1e-6",
        paper="as cross-validated encoding models; Yamins et al. 2014",
        function=preset(name, cross_validated_regression, direction=direction),
        plan=partial(_cross_validated_plan, direction),
        repeats_bias=True,
        by_image=True,
    )


REGRESSION_X_TO_Y, REGRESSION_Y_TO_X = _measure("x_to_y"), _measure("y_to_x")
HELD_OUT_X_TO_Y = _cross_validated_measure("x_to_y")
HELD_OUT_Y_TO_X = _cross_validated_measure("y_to_x")

MEASURES = (REGRESSION_X_TO_Y, REGRESSION_Y_TO_X, HELD_OUT_X_TO_Y, HELD_OUT_Y_TO_X)
