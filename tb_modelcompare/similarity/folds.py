"""Ridge regression on images that it is not fitted to: folds of images, and fits without a fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Layer, Matrix, about_median
from tb_modelcompare.similarity.images import image_indices
from tb_modelcompare.similarity.threads import spread

RIDGE = 1e-6
"""Ridge of cross-validated regression, as a share of the mean variance of the predictors."""

LEAST_LEFT = 1e-12
"""A predictor of whose variance less than this is its own, as others do not predict it, cannot
be told from their combination in float64."""


def folds_of_rows(
    groups: npt.ArrayLike | None, rows: int, folds: int
) -> list[npt.NDArray[np.intp]]:
    """Rows of each fold. Images are assigned at random, always in the same way, and never split.

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

    `extremes` has the lowest and the highest value of each unit in each fold, (2, units): they tell
    which units vary. Where units outnumber rows, `values` has the rows in as many coordinates as
    there are rows, so that there are fewer predictors than units. See `in_folds`.

    A fit without a fold is summed over the other folds. Subtracting the fold from the sum over all
    rows would leave nothing but rounding where the fold holds a row far longer than all others.
    For the same reason values are best centred near most rows, and not on the mean.
    """

    values: Matrix
    rows: Sequence[npt.NDArray[np.intp]]
    squares: Sequence[Matrix]
    extremes: Sequence[Matrix]

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
        low, high = np.stack([self.extremes[fold] for fold in kept], axis=1)
        varying = int(np.count_nonzero(high.max(axis=0) > low.min(axis=0)))
        level = float(variance.sum()) / varying if varying else 0.0
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
    """A layer as predictors, its rows in folds of whole images.

    The error of a ridge regression depends on the predictors by the products of their rows alone.
    With X' = QR these are those of the rows of R', which has a column for each row of X. So a fit
    of more units than rows costs what a fit of as many units as rows does. This is the dual form;
    R has the products without their being squared, so that one row far from all others costs
    the rest no digits.
    """
    values = about_median(layer).centred(slice(0, layer.rows))
    rows = folds_of_rows(groups, layer.rows, folds)
    extremes = [np.stack([values[one].min(axis=0), values[one].max(axis=0)]) for one in rows]
    if values.shape[1] > len(values):
        values = scipy.linalg.qr(values.T, mode="r", check_finite=False)[0][: len(values)].T
    squares = spread(lambda one: values[one].T @ values[one], rows)
    return Folds(values, rows, squares, extremes)
