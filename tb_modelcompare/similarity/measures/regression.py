"""How much of one layer a linear map of the other predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import number, one_of, whole
from tb_modelcompare.similarity.activations import Array, Layer
from tb_modelcompare.similarity.folds import RIDGE, Fit, Folds, in_folds
from tb_modelcompare.similarity.measures.cca import well_conditioned
from tb_modelcompare.similarity.moments import RCOND, Cross, LayerMoments, whiten
from tb_modelcompare.similarity.preset import preset
from tb_modelcompare.similarity.registry import Measure, MomentPlan, RowPlan, evaluate
from tb_modelcompare.similarity.threads import spread
from tb_modelcompare.similarity.which_way import DIRECTIONS, Direction


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
    plan = _plan(direction, rcond)
    return evaluate(plan, X, Y, REGRESSION_X_TO_Y if direction == "x_to_y" else REGRESSION_Y_TO_X)


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


# The layer that predicts and the one predicted in formulas, the way in titles, and in sentences.
_WAYS: dict[Direction, tuple[str, str, str, str]] = {
    "x_to_y": ("X", "Y", "A → B", "the second layer from the first"),
    "y_to_x": ("Y", "X", "B → A", "the first layer from the second"),
}


def _measure(direction: Direction) -> Measure:
    name = f"linear_regression_{direction}"
    ours, theirs, way, which = _WAYS[direction]
    return Measure(
        name=name,
        title=f"Regression R², {way}",
        family="Regression",
        summary=f"Share of the variance that a linear map predicts, {which}.",
        low=0.0,
        high=1.0,
        symmetric=False,
        self_value=1.0,
        invariances=_INVARIANCES,
        formula=f"||Q_{ours}' {theirs}||² / ||{theirs}||²",
        paper="Kornblith et al. 2019",
        function=preset(name, linear_regression, direction=direction),
        plan=partial(_plan, direction),
        rows_per_unit=4.0,
        interval_rows_per_unit=3.0,
        instead=f"cross_validated_regression_{direction}",
    )


def _cross_validated_measure(direction: Direction, advice: str = "") -> Measure:
    name = f"cross_validated_regression_{direction}"
    ours, theirs, way, which = _WAYS[direction]
    return Measure(
        name=name,
        title=f"Held-out regression R², {way}",
        family="Regression",
        summary=f"Share of the variance predicted on unseen images, {which}.",
        advice=advice,
        low=-np.inf,
        high=1.0,
        symmetric=False,
        self_value=None,
        invariances=_INVARIANCES,
        formula=f"1 - ||{theirs} - {ours}B||² / ||{theirs}||², 5 folds of images, ridge 1e-6",
        paper="as cross-validated encoding models; Yamins et al. 2014",
        function=preset(name, cross_validated_regression, direction=direction),
        plan=partial(_cross_validated_plan, direction),
        by_image=True,
    )


REGRESSION_X_TO_Y, REGRESSION_Y_TO_X = _measure("x_to_y"), _measure("y_to_x")
HELD_OUT_X_TO_Y = _cross_validated_measure(
    "x_to_y", "How much of B a linear map of A gives on images that it was not fitted to."
)
HELD_OUT_Y_TO_X = _cross_validated_measure("y_to_x")

MEASURES = (REGRESSION_X_TO_Y, REGRESSION_Y_TO_X, HELD_OUT_X_TO_Y, HELD_OUT_Y_TO_X)
