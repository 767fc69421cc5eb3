"""Centred kernel alignment with a linear kernel, plain and unbiased."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import open_layer, require_same_rows
from tb_modelcompare.similarity.hsic import (
    LEAST_REMAINING,
    cka_of,
    kernel_hsic,
    require_variation,
    unbiased_hsic,
)
from tb_modelcompare.similarity.moments import Cross, LayerMoments, squared_norm
from tb_modelcompare.similarity.registry import KernelPlan, Measure, evaluate
from tb_modelcompare.similarity.settings import MEMORY, Settings


@dataclass(frozen=True)
class KernelLayer:
    """What a linear kernel measure needs of one layer: sums over rows of its centred values.

    `hsic` is that of the layer with itself, up to a factor that cancels.
    """

    rows: int
    energy_total: float
    hsic: float


def _prepare(layer: LayerMoments, unbiased: bool) -> KernelLayer:
    square = hsic = squared_norm(layer.covariance) * layer.rows**2
    if unbiased:
        hsic = unbiased_hsic(square, layer.energy_square, layer.energy_total**2, layer.rows)
        if abs(hsic) < LEAST_REMAINING[np.dtype(np.float64)] * square:
            raise ActivationError(
                f"A few rows of {layer.name} are so much longer than all others that sums over "
                "rows cannot hold the others. Use compare, which reads the rows again, leave "
                "these rows out, or use linear CKA."
            )
    require_variation(layer.name, layer.rows, hsic, unbiased)
    return KernelLayer(layer.rows, layer.energy_total, hsic)


def _combine(x: KernelLayer, y: KernelLayer, cross: Cross, unbiased: bool) -> float:
    hsic = squared_norm(cross.covariance) * x.rows**2
    if unbiased:
        totals = x.energy_total * y.energy_total
        hsic = unbiased_hsic(hsic, cross.energy_product, totals, x.rows)
    return hsic / sqrt(x.hsic * y.hsic)


def _plan(unbiased: bool) -> KernelPlan:
    return KernelPlan(
        lambda layer: _prepare(layer, unbiased),
        lambda x, y, cross: _combine(x, y, cross, unbiased),
        least_rows=4 if unbiased else 2,
        bias=0.0 if unbiased else 1.0,
    )


def linear_cka(X: npt.ArrayLike, Y: npt.ArrayLike) -> float:
    """Linear centred kernel alignment, `||X'Y||² / (||X'X|| ||Y'Y||)` of centred X and Y.

    Frobenius norms. Range [0, 1]; 1 where Y is X rotated, reflected, shifted or scaled.
    Biased upwards where rows are few for the units: see `unbiased_linear_cka`.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if the rows differ in number, if
        there is one row only, or if a side does not vary.

    References
    ----------
    Kornblith et al. 2019, Similarity of Neural Network Representations Revisited.
    """
    return evaluate(_plan(unbiased=False), X, Y)


def unbiased_linear_cka(X: npt.ArrayLike, Y: npt.ArrayLike) -> float:
    """Linear CKA with the unbiased estimator of HSIC in numerator and denominator.

    Range at most 1, and about 0, also below it, for unrelated layers. Needs 4 rows. Exact to
    about 1e-9 also where a row is far longer than all others.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)

    Returns
    -------
    float

    Raises
    ------
    ActivationError
        As `linear_cka`; also if a layer's own unbiased HSIC is not positive.

    References
    ----------
    Song et al. 2012, Feature Selection via Dependence Maximization, eq. 5;
    Nguyen et al. 2021, Do Wide and Deep Networks Learn the Same Things?
    """
    x = open_layer(X, "X")
    y = x if Y is X else open_layer(Y, "Y")
    require_same_rows(x, y)
    x.require_rows(4, "this measure")
    xs, ys = [x], [y]
    hsic = kernel_hsic(0.0, xs, ys, Settings("double", MEMORY, None, None))
    return float(cka_of(hsic, xs, ys, 0.0)[0, 0])


LINEAR_CKA = Measure(
    name="linear_cka",
    title="Linear CKA",
    summary="How alike two layers arrange the images, by the inner products between them.",
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
    formula="||X'Y||_F² / (||X'X||_F ||Y'Y||_F), X and Y centred",
    paper="Kornblith et al. 2019",
    function=linear_cka,
    plan=lambda: _plan(unbiased=False),
    sampled=True,
)

UNBIASED_LINEAR_CKA = Measure(
    name="unbiased_linear_cka",
    title="Unbiased linear CKA",
    summary="Linear CKA without the bias of few images: about 0 for unrelated layers.",
    low=-1.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=LINEAR_CKA.invariances,
    formula="HSIC₁(X, Y) / sqrt(HSIC₁(X, X) HSIC₁(Y, Y)), HSIC₁ unbiased, linear kernels",
    paper="Song et al. 2012; Nguyen et al. 2021",
    function=unbiased_linear_cka,
    plan=lambda: _plan(unbiased=True),
    repeats_bias=True,
    sampled=True,
)
