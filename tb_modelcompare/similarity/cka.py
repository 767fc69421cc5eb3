"""Centred kernel alignment with a linear kernel, plain and unbiased."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.moments import Cross, LayerMoments, squared_norm
from tb_modelcompare.similarity.registry import KernelPlan, Measure, evaluate


@dataclass(frozen=True)
class KernelLayer:
    """What a linear kernel measure needs of one layer: sums over rows of its centred values.

    `hsic` is that of the layer with itself, up to a factor that cancels.
    """

    rows: int
    energy_total: float
    hsic: float


def require_variation(name: str, rows: int, hsic: float, unbiased: bool) -> None:
    """Refuse a layer whose HSIC with itself is not positive: CKA divides by its root.

    Raises
    ------
    ActivationError
    """
    if not hsic > 0.0:
        raise ActivationError(
            f"{name} has no variation that this measure can compare"
            + (" beyond what chance gives" if unbiased else "")
            + f" on its {rows} rows. Leave it out, or use a probe with more images."
        )


Number = TypeVar("Number", float, npt.NDArray[np.float64])


def unbiased_hsic(
    square: Number, energy_product: Number, totals_product: Number, rows: int
) -> Number:
    """Unbiased HSIC (Song et al. 2012) of linear kernels, times rows (rows - 3), from sums.

    `square` is ||X'Y||² of centred X and Y, `energy_product` the sum over rows of |x|²|y|²,
    `totals_product` that of |x|² times that of |y|². Centring the features first changes
    nothing in the estimator, and leaves only these terms of it.
    """
    return square - rows / (rows - 2) * energy_product + totals_product / ((rows - 1) * (rows - 2))


def _prepare(layer: LayerMoments, unbiased: bool) -> KernelLayer:
    hsic = squared_norm(layer.covariance) * layer.rows**2
    if unbiased:
        hsic = unbiased_hsic(hsic, layer.energy_square, layer.energy_total**2, layer.rows)
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

    Range at most 1, and about 0, also below it, for unrelated layers. Needs 4 rows.

    Raises
    ------
    ActivationError
        As `linear_cka`; also if a layer's own unbiased HSIC is not positive.

    References
    ----------
    Song et al. 2012, Feature Selection via Dependence Maximization, eq. 5;
    Nguyen et al. 2021, Do Wide and Deep Networks Learn the Same Things?
    """
    return evaluate(_plan(unbiased=True), X, Y)


LINEAR_CKA = Measure(
    name="linear_cka",
    title="Linear CKA",
    summary="How alike two layers arrange the images, by the inner products between them.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=("permutation", "scaling", "unit sign", "translation", "orthogonal", "dead units"),
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
