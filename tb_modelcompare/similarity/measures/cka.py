"""Centred kernel alignment with a linear kernel, plain and unbiased."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import open_layer, require_same_rows
from tb_modelcompare.similarity.block_sums import LEAST_IMAGES
from tb_modelcompare.similarity.hsic import (
    LEAST_REMAINING,
    cka_of,
    require_variation,
    unbiased_hsic,
)
from tb_modelcompare.similarity.images import Images, image_indices
from tb_modelcompare.similarity.moments import Cross, LayerMoments, squared_norm
from tb_modelcompare.similarity.pairs import hsic_of_plan
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


def _plan(unbiased: bool, groups: npt.ArrayLike | None = None) -> KernelPlan:
    return KernelPlan(
        lambda layer: _prepare(layer, unbiased),
        lambda x, y, cross: _combine(x, y, cross, unbiased),
        least_rows=LEAST_IMAGES if unbiased else 2,
        bias=0.0 if unbiased else 1.0,
        images=None if groups is None or isinstance(groups, str) else _images(groups),
    )


def _images(groups: npt.ArrayLike) -> Images:
    images = Images.of(image_indices(groups, len(np.asarray(groups))))
    if images.count < LEAST_IMAGES:
        raise ActivationError(
            f"The rows are of {images.count} image(s); debiased CKA needs at least {LEAST_IMAGES}. "
            "Use a probe with more images."
        )
    return images


def linear_cka(X: npt.ArrayLike, Y: npt.ArrayLike) -> float:
    """Linear centred kernel alignment, `||X'Y||² / (||X'X|| ||Y'Y||)` of centred X and Y.

    Frobenius norms. Range [0, 1]; 1 where Y is X rotated, reflected, shifted or scaled.
    Biased upwards where rows are few for the units: see `unbiased_linear_cka`.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if the rows differ in number, if
        there is one row only, or if a side does not vary.

    References
    ----------
    Kornblith et al. 2019, Similarity of Neural Network Representations Revisited.

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(linear_cka(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_plan(unbiased=False), X, Y, LINEAR_CKA)


def unbiased_linear_cka(
    X: npt.ArrayLike, Y: npt.ArrayLike, *, groups: npt.ArrayLike | None = None
) -> float:
    """Debiased linear CKA: HSIC in numerator and denominator without the bias of few images.

    HSIC is estimated over tuples of different images, so that neither a row nor the positions of
    one image meet themselves. That estimator is unbiased, and its ratio nearly so: about 0, also
    below it, for unrelated layers, and at most 1 up to sampling error. Exact to about 1e-9 also
    where a row is far longer than all others.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    groups : array (rows,), optional
        Image of each row. Each image weighs the same, however many rows it has. By default each
        row is an image of its own. At least 4 images.

    Returns
    -------
    float

    Raises
    ------
    ActivationError
        As `linear_cka`; also if there are fewer than 4 images, if there is not one label for each
        row, or if a layer's own HSIC is not positive, so that the ratio is not defined.

    References
    ----------
    Song et al. 2012, Feature Selection via Dependence Maximization, eq. 5;
    Nguyen et al. 2021, Do Wide and Deep Networks Learn the Same Things?

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((40, 100))
    >>> Y = np.random.default_rng(1).standard_normal((40, 100))
    >>> bool(abs(unbiased_linear_cka(X, Y)) < 0.1 < linear_cka(X, Y))
    True
    """
    x = open_layer(X, "X")
    y = x if Y is X else open_layer(Y, "Y")
    require_same_rows(x, y)
    x.require_rows(LEAST_IMAGES, "this measure")
    image_indices(groups, x.rows)
    xs, settings = [x], Settings("double", MEMORY, None, None)
    ys = xs if y is x else [y]
    hsic = hsic_of_plan(_plan(True, groups), xs, ys, settings)
    for layer, own in ((x, hsic.own_x), (y, hsic.own_y)):
        require_variation(layer.name, layer.rows, float(own[0]), True)
    return float(cka_of(hsic, xs, ys, 0.0)[0, 0])


LINEAR_CKA = Measure(
    name="linear_cka",
    title="Linear CKA",
    family="CKA",
    summary="How alike two layers arrange the images, by the inner products between them.",
    advice="To set beside published numbers. It needs many more images than units.",
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
    rows_per_unit=3.0,
    sampled=True,
)

UNBIASED_LINEAR_CKA = Measure(
    name="unbiased_linear_cka",
    title="Debiased linear CKA",
    family="CKA",
    summary="Linear CKA over pairs of different images: about 0 for unrelated layers.",
    advice="Begin with this one: few images do not make unrelated layers look alike.",
    low=-1.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=LINEAR_CKA.invariances,
    formula="HSIC₁(X, Y) / sqrt(HSIC₁(X, X) HSIC₁(Y, Y)), HSIC₁ over different images",
    paper="Song et al. 2012; Nguyen et al. 2021",
    function=unbiased_linear_cka,
    plan=lambda groups=None: _plan(unbiased=True, groups=groups),
    debiased=True,
    by_image=True,
    sampled=True,
)

MEASURES = (LINEAR_CKA, UNBIASED_LINEAR_CKA)
