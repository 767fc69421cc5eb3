"""How much of one layer a linear map of the other predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Array, Layer, Matrix
from tb_modelcompare.similarity.cca import well_conditioned
from tb_modelcompare.similarity.moments import RCOND, Cross, LayerMoments, whiten
from tb_modelcompare.similarity.registry import Measure, MomentPlan, RowPlan, evaluate

Direction = Literal["x_to_y", "y_to_x"]

RIDGE = 1e-6
"""Ridge of cross-validated regression, as a share of the mean variance of the predictors."""


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

    References
    ----------
    Kornblith et al. 2019 (R²_LR is "y_to_x").
    """
    return evaluate(_plan(direction, rcond), X, Y)


def image_indices(groups: npt.ArrayLike | None, rows: int) -> npt.NDArray[np.intp]:
    """Image of each row, numbered from 0; each row its own where no groups are given.

    Raises
    ------
    ActivationError
        If there is not one label for each row.
    """
    if groups is None:
        return np.arange(rows)
    labels = np.asarray(groups)
    if labels.shape != (rows,):
        raise ActivationError(
            f"groups has shape {labels.shape}; it names the image of each of the {rows} rows."
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.intp).reshape(rows)


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


class Predictor:
    """One layer as the predictor in ridge regressions with held-out images.

    The factorisation of each fold's covariance is made once, and serves every target.
    """

    def __init__(self, layer: Layer, held_out: list[npt.NDArray[np.intp]], ridge: float) -> None:
        self.held_out = held_out
        self.values = layer.centred(slice(0, layer.rows))
        self.fits: list[tuple[Matrix, Any]] = []
        whole = self.values.T @ self.values
        for held in held_out:
            part = self.values[held]
            count = len(self.values) - len(held)
            mean = -part.sum(axis=0) / count
            covariance = (whole - part.T @ part) / count - np.outer(mean, mean)
            variance = np.diagonal(covariance)
            level = float(variance.sum()) / max(int(np.count_nonzero(variance)), 1)
            factor = None
            if level > 0.0:
                covariance[np.diag_indices_from(covariance)] += ridge * level
                factor = scipy.linalg.cho_factor(covariance, lower=True, check_finite=False)
            self.fits.append((mean, factor))

    def score(self, target: Matrix) -> tuple[Matrix, Matrix]:
        """Squared error and squared deviation from the fitted mean, per unit of the target.

        `target` is (rows, k), centred over all rows.
        """
        whole = self.values.T @ target
        error, spread = np.zeros(target.shape[1]), np.zeros(target.shape[1])
        for held, (mean, factor) in zip(self.held_out, self.fits, strict=True):
            values, truth = self.values[held], target[held]
            count = len(self.values) - len(held)
            target_mean = -truth.sum(axis=0) / count
            residual = truth - target_mean
            spread += np.square(residual).sum(axis=0)
            if factor is not None:
                cross = (whole - values.T @ truth) / count - np.outer(mean, target_mean)
                coefficients = scipy.linalg.cho_solve(factor, cross, check_finite=False)
                residual = residual - (values - mean) @ coefficients
            error += np.square(residual).sum(axis=0)
        return error, spread


def _cross_validated_plan(
    direction: Direction,
    groups: npt.ArrayLike | None = None,
    folds: int = 5,
    ridge: float = RIDGE,
) -> RowPlan:
    def prepare(layer: Layer) -> tuple[Predictor, str]:
        layer.require_variation("a prediction")
        held_out = folds_of_rows(groups, layer.rows, folds)
        return Predictor(layer, held_out, ridge), layer.name

    def combine(x: tuple[Predictor, str], y: tuple[Predictor, str]) -> float:
        source, target = (x, y) if direction == "x_to_y" else (y, x)
        error, spread = source[0].score(target[0].values)
        return 1.0 - float(error.sum() / spread.sum())

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

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    direction : {"x_to_y", "y_to_x"}
    groups : array (rows,), optional
        Image of each row: rows of one image stay in one fold. By default each row is its own.
    folds : int
    ridge : float
        As a share of the mean variance of the predictors that vary.
    """
    return evaluate(_cross_validated_plan(direction, groups, folds, ridge), X, Y)


_INVARIANCES = ("permutation", "scaling", "unit sign", "translation", "orthogonal", "dead units")


def _measure(direction: Direction) -> Measure:
    ours, theirs = ("X", "Y") if direction == "x_to_y" else ("Y", "X")
    which = "the second from the first" if direction == "x_to_y" else "the first from the second"
    return Measure(
        name=f"linear_regression_{direction}",
        title=f"Regression R², {ours} → {theirs}",
        summary=f"Share of the variance that a linear map predicts, {which} layer.",
        low=0.0,
        high=1.0,
        symmetric=False,
        self_value=1.0,
        invariances=(
            "permutation",
            "scaling",
            "unit sign",
            "translation",
            "orthogonal",
            "dead units",
        ),
        formula=f"||Q_{ours}' {theirs}||² / ||{theirs}||²",
        paper="Kornblith et al. 2019",
        function=lambda X, Y, **options: linear_regression(X, Y, direction=direction, **options),
        plan=lambda **options: _plan(direction, **options),
        wants_rows_over_units=True,
    )


def _cross_validated_measure(direction: Direction) -> Measure:
    ours, theirs = ("X", "Y") if direction == "x_to_y" else ("Y", "X")
    which = "the second from the first" if direction == "x_to_y" else "the first from the second"
    return Measure(
        name=f"cross_validated_regression_{direction}",
        title=f"Held-out regression R², {ours} → {theirs}",
        summary=f"Share of the variance predicted on unseen images, {which} layer.",
        low=-np.inf,
        high=1.0,
        symmetric=False,
        self_value=None,
        invariances=(
            "permutation",
            "scaling",
            "unit sign",
            "translation",
            "orthogonal",
            "dead units",
        ),
        formula=f"1 - ||{theirs} - {ours}B||² / ||{theirs}||², 5 folds of images, ridge 1e-6",
        paper="as cross-validated encoding models; Yamins et al. 2014",
        function=lambda X, Y, **options: cross_validated_regression(
            X, Y, direction=direction, **options
        ),
        plan=lambda **options: _cross_validated_plan(direction, **options),
        repeats_bias=True,
        by_image=True,
    )


REGRESSION_X_TO_Y, REGRESSION_Y_TO_X = _measure("x_to_y"), _measure("y_to_x")
HELD_OUT_X_TO_Y = _cross_validated_measure("x_to_y")
HELD_OUT_Y_TO_X = _cross_validated_measure("y_to_x")
