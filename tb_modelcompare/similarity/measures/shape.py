"""Distances between shapes: Procrustes, and the family between it and CCA."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import number, one_of
from tb_modelcompare.similarity.activations import Array
from tb_modelcompare.similarity.moments import (
    RCOND,
    Cross,
    LayerMoments,
    at_least_rounding,
    check_rcond,
    nuclear_norm,
)
from tb_modelcompare.similarity.preset import preset
from tb_modelcompare.similarity.registry import Measure, MomentPlan, evaluate

Form = Literal["similarity", "angle", "distance"]
FORMS: tuple[Form, ...] = ("similarity", "angle", "distance")

ROUNDING = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-4}
"""How far above 1 rounding alone can bring a cosine; further is an error, not clamped."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A linear map of a layer's units, None for the identity, and the norm after it."""

    norm: float
    transform: Array | None = None


def _norm(layer: LayerMoments) -> Shape:
    square = float(np.trace(layer.covariance, dtype=np.float64))
    if square <= 0.0:
        raise ActivationError(
            f"{layer.name} does not vary on its {layer.rows} row(s), so it has no shape. Leave it "
            "out, or use a probe on which it responds."
        )
    return Shape(np.sqrt(square))


def _partly_whitened(layer: LayerMoments, alpha: float, rcond: float) -> Shape:
    """`alpha I + (1 - alpha) C^(-1/2)` with C brought to a mean variance of 1 per direction."""
    norm = _norm(layer).norm
    if alpha == 1.0:
        return Shape(norm)
    covariance = layer.covariance.astype(np.float64)
    values, vectors = np.linalg.eigh(covariance)
    present = values > at_least_rounding(rcond, len(values)) * values[-1]
    values, vectors = values[present], vectors[:, present]
    level = values.mean()
    factor = alpha + (1.0 - alpha) * np.sqrt(level / values)
    transform = (factor * vectors).T
    return Shape(float(np.sqrt(np.sum(values * factor**2))), transform)


def cosine(x: Shape, y: Shape, cross: Cross) -> float:
    """`max over rotations Q of <X, YQ> / (||X|| ||Y||)`, the nuclear norm of X'Y normalised."""
    matrix = cross.covariance
    if x.transform is not None:
        matrix = x.transform @ matrix
    if y.transform is not None:
        matrix = matrix @ y.transform.T
    value = nuclear_norm(matrix) / (x.norm * y.norm)
    slack = ROUNDING[np.dtype(cross.covariance.dtype)]
    if value > 1.0 + slack:
        raise ArithmeticError(f"a cosine of {value} is more than rounding explains")
    return min(value, 1.0)


def _form(value: float, form: Form) -> float:
    if form == "angle":
        return float(np.arccos(value))
    return value if form == "similarity" else float(np.sqrt(2.0 - 2.0 * value))


def _procrustes_plan(form: Form) -> MomentPlan:
    form = one_of("form", form, FORMS)
    return MomentPlan(
        _norm,
        lambda x, y, cross: _form(cosine(x, y, cross), form),
        single_precision=lambda _: form == "similarity",
    )


def procrustes(X: npt.ArrayLike, Y: npt.ArrayLike, *, form: Form = "similarity") -> float:
    """Orthogonal Procrustes: X against the best rotation of Y, both centred and of norm 1.

    With `c = ||X'Y||_* / (||X||_F ||Y||_F)`, the nuclear norm:

    - "similarity": c, in [0, 1];
    - "angle": arccos c, in [0, π/2], a metric;
    - "distance": sqrt(2 - 2c), in [0, √2], a metric.

    Near 0 the angle and the distance are good to about 1e-8.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    form : {"similarity", "angle", "distance"}

    Returns
    -------
    float
        In [0, 1], [0, π/2] or [0, √2], by `form`.

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.
    OptionError
        If an option is none of the values above.

    References
    ----------
    Ding, Denain and Steinhardt 2021, Grounding Representation Similarity (their d_Proc is
    "distance" squared); Williams et al. 2021, Generalized Shape Metrics ("angle").

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(float(procrustes(X, 3 * X[:, ::-1])), 6)
    1.0
    """
    plan = _procrustes_plan(form)
    return evaluate(plan, X, Y, _PROCRUSTES[form])


def _shape_plan(alpha: float = 0.5, rcond: float = RCOND) -> MomentPlan:
    alpha, rcond = number("alpha", alpha, least=0.0, most=1.0), check_rcond(rcond)
    return MomentPlan(
        lambda layer: _partly_whitened(layer, alpha, rcond),
        lambda x, y, cross: _form(cosine(x, y, cross), "angle"),
        single_precision=lambda _: False,
    )


def shape_metric(
    X: npt.ArrayLike, Y: npt.ArrayLike, *, alpha: float = 0.5, rcond: float = RCOND
) -> float:
    """Angular shape metric between CCA (alpha 0) and Procrustes (alpha 1).

    Each side is centred, scaled to a mean variance of 1 per direction, mapped by
    `alpha I + (1 - alpha) C^(-1/2)`, scaled to norm 1; then the Procrustes angle. A metric,
    in [0, π/2]. Because the scale is taken out first, it does not depend on the unit of the
    activations; netrep takes X as it is, and agrees where X'X has trace = rank.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    alpha : float
        From 0 (CCA) to 1 (Procrustes).
    rcond : float
        Directions with less than this share of the largest variance are absent; in [0, 1).

    Returns
    -------
    float
        In [0, π/2]; 0 for layers of the same shape.

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.
    OptionError
        If an option is none of the values above.

    References
    ----------
    Williams et al. 2021, Generalized Shape Metrics on Neural Representations.

    Examples
    --------
    A layer has the same shape as its rotation:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 2))
    >>> round(shape_metric(X, X @ [[0, 1], [-1, 0]]), 5)
    0.0
    """
    return evaluate(_shape_plan(alpha, rcond), X, Y, SHAPE_METRIC)


_INVARIANCES = (
    "permutation",
    "scaling",
    "unit sign",
    "translation",
    "orthogonal",
    "constant units",
)


def _procrustes_measure(
    name: str, title: str, form: Form, high: float, formula: str, rows_per_unit: float
) -> Measure:
    return Measure(
        name=name,
        title=title,
        family="Shape",
        summary="How well one layer lies on the other after the best rotation.",
        low=0.0,
        high=high,
        symmetric=True,
        self_value=1.0 if form == "similarity" else 0.0,
        invariances=_INVARIANCES,
        formula=formula,
        paper="Schönemann 1966; Williams et al. 2021",
        function=procrustes if name == "procrustes" else preset(name, procrustes, form=form),
        plan=partial(_procrustes_plan, form),
        rows_per_unit=rows_per_unit,
        distance=form != "similarity",
    )


PROCRUSTES = _procrustes_measure(
    "procrustes",
    "Procrustes similarity",
    "similarity",
    1.0,
    "c = ||X'Y||_* / (||X||_F ||Y||_F)",
    12.0,
)
PROCRUSTES_ANGLE = _procrustes_measure(
    "procrustes_angle", "Procrustes angle", "angle", np.pi / 2, "arccos c", 5.0
)
PROCRUSTES_DISTANCE = _procrustes_measure(
    "procrustes_distance", "Procrustes distance", "distance", np.sqrt(2.0), "sqrt(2 - 2c)", 4.0
)
_PROCRUSTES: dict[Form, Measure] = {
    "similarity": PROCRUSTES,
    "angle": PROCRUSTES_ANGLE,
    "distance": PROCRUSTES_DISTANCE,
}
SHAPE_METRIC = Measure(
    name="shape_metric",
    title="Shape metric, half whitened",
    family="Shape",
    summary="Angle after partial whitening, between CCA (alpha 0) and Procrustes (alpha 1).",
    low=0.0,
    high=np.pi / 2,
    symmetric=True,
    self_value=0.0,
    invariances=_INVARIANCES,
    formula="arccos c of X (alpha I + (1 - alpha) C^(-1/2)), C of mean variance 1; alpha 0.5",
    paper="Williams et al. 2021",
    function=shape_metric,
    plan=_shape_plan,
    rows_per_unit=5.0,
    interval_rows_per_unit=4.0,
    distance=True,
)

MEASURES = (PROCRUSTES, PROCRUSTES_ANGLE, PROCRUSTES_DISTANCE, SHAPE_METRIC)
