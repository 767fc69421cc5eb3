"""Centred kernel alignment with Gaussian kernels, plain and debiased."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import number
from tb_modelcompare.similarity.activations import Layer, Matrix
from tb_modelcompare.similarity.block_sums import LEAST_IMAGES
from tb_modelcompare.similarity.distances import (
    points_of,
    same_distances,
    squared_distances,
    varying_values,
)
from tb_modelcompare.similarity.images import Images, image_indices
from tb_modelcompare.similarity.rbf_of_images import (
    images_of_pairs,
    median_of_images,
    median_square,
    pairs_of_images,
    squares_of_images,
    vector_of_images,
)
from tb_modelcompare.similarity.registry import Measure, VectorPlan, evaluate

BANDWIDTH = 0.4


def _rbf_kernel(layer: Layer, bandwidth: float) -> Matrix:
    layer.require_variation("a distance between rows")
    squares = squared_distances(points_of(varying_values(layer)))
    median = median_square(layer.name, squares)
    rows = layer.rows
    with np.errstate(over="ignore"):  # the kernel of rows that are far apart is 0
        exponents = squares / median / (-2.0 * bandwidth) / bandwidth
    kernel = np.expm1(exponents)  # centring takes the 1 off anyway, and this keeps all digits
    i, j = np.triu_indices(rows, 1)
    means = (np.bincount(i, kernel, rows) + np.bincount(j, kernel, rows)) / rows
    overall = means.mean()
    kernel += overall
    kernel -= means[i]
    kernel -= means[j]
    kernel *= np.sqrt(2.0)
    diagonal = overall - 2.0 * means
    return _normalised(np.concatenate([kernel, diagonal]), layer)


def _normalised(vector: Matrix, layer: Layer) -> Matrix:
    norm = float(np.linalg.norm(vector))
    if not norm > 0.0:
        raise same_distances(layer)
    return vector / norm


def _rbf_plan(bandwidth: float = BANDWIDTH) -> VectorPlan:
    bandwidth = number("bandwidth", bandwidth, above=0.0, most=1e6)
    return VectorPlan(
        lambda layer: _rbf_kernel(layer, bandwidth), lambda rows: rows * (rows + 1) // 2
    )


def rbf_cka(X: npt.ArrayLike, Y: npt.ArrayLike, *, bandwidth: float = BANDWIDTH) -> float:
    """CKA with Gaussian kernels, `<HKH, HLH> / (||HKH|| ||HLH||)`.

    `K_ij = exp(-|x_i - x_j|² / (2 σ²))`, σ = `bandwidth` times the median distance between
    two different rows of X; L likewise from Y. Range [0, 1].

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    bandwidth : float
        Above 0.

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
    Kornblith et al. 2019, section 3 (RBF CKA; 0.4 in their Table 2).

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(rbf_cka(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_rbf_plan(bandwidth), X, Y, RBF_CKA)


def _debiased_kernel(layer: Layer, bandwidth: float, images: Images) -> Matrix:
    layer.require_variation("a distance between rows")
    squares = squares_of_images(layer, images)
    scale = median_of_images(layer.name, squares, images) * 2.0 * bandwidth**2
    return _normalised(vector_of_images(squares, images, scale), layer)


def _debiased_plan(bandwidth: float = BANDWIDTH, groups: npt.ArrayLike | None = None) -> VectorPlan:
    bandwidth = number("bandwidth", bandwidth, above=0.0, most=1e6)

    def images_of(rows: int) -> Images:
        images = Images.of(image_indices(groups, rows))
        if images.count < LEAST_IMAGES:
            raise ActivationError(
                f"The rows are of {images.count} image(s); debiased CKA needs at least "
                f"{LEAST_IMAGES}. Use a probe with more images."
            )
        return images

    return VectorPlan(
        lambda layer: _debiased_kernel(layer, bandwidth, images_of(layer.rows)),
        lambda rows: pairs_of_images(images_of(rows)),
        least_rows=LEAST_IMAGES,
        images_of_pairs=lambda rows: images_of_pairs(images_of(rows)),
    )


def unbiased_rbf_cka(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    bandwidth: float = BANDWIDTH,
    groups: npt.ArrayLike | None = None,
) -> float:
    """Debiased RBF CKA: HSIC with Gaussian kernels without the bias of few images.

    HSIC is the U-statistic over tuples of different images, as of `unbiased_linear_cka`: it is
    unbiased, and the ratio nearly so. About 0, also below it, for unrelated layers. σ is
    `bandwidth` times the median distance between rows of different images.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    bandwidth : float
        Above 0.
    groups : array (rows,), optional
        Image of each row. Each image weighs the same, however many rows it has. By default each
        row is an image of its own. At least 4 images.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ActivationError
        As `rbf_cka`; also if there are fewer than 4 images, or not one label for each row.
    OptionError
        If an option is none of the values above.

    References
    ----------
    Kornblith et al. 2019, section 3; Song et al. 2012, eq. 5; Székely and Rizzo 2014, Partial
    distance correlation with methods for dissimilarities.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((40, 100))
    >>> Y = np.random.default_rng(1).standard_normal((40, 100))
    >>> bool(abs(unbiased_rbf_cka(X, Y)) < 0.1)
    True
    """
    return evaluate(_debiased_plan(bandwidth, groups), X, Y, UNBIASED_RBF_CKA)


_INVARIANCES = (
    "permutation",
    "scaling",
    "unit sign",
    "translation",
    "orthogonal",
    "constant units",
)

RBF_CKA = Measure(
    name="rbf_cka",
    title="RBF CKA, 0.4 of the median",
    family="CKA",
    summary="CKA that looks at near neighbours more than at far ones.",
    low=0.0,
    high=1.0,
    symmetric=True,
    self_value=1.0,
    invariances=_INVARIANCES,
    formula="<HKH, HLH> / (||HKH|| ||HLH||), K = exp(-|x_i - x_j|² / (2 (0.4 median)²))",
    paper="Kornblith et al. 2019",
    function=rbf_cka,
    plan=_rbf_plan,
    rows_per_unit=100.0,
    instead="unbiased_rbf_cka",
)
UNBIASED_RBF_CKA = replace(
    RBF_CKA,
    name="unbiased_rbf_cka",
    title="Debiased RBF CKA",
    summary="RBF CKA over pairs of different images: about 0 for unrelated layers.",
    low=-1.0,
    formula="HSIC₁(X, Y) / sqrt(HSIC₁(X, X) HSIC₁(Y, Y)), HSIC₁ over different images",
    paper="Kornblith et al. 2019; Song et al. 2012",
    function=unbiased_rbf_cka,
    plan=_debiased_plan,
    rows_per_unit=0.0,
    instead="unbiased_linear_cka",
    debiased=True,
    by_image=True,
)

MEASURES = (RBF_CKA, UNBIASED_RBF_CKA)
