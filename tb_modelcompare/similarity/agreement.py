"""On which images two layers agree, and on which they do not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Layer, Matrix, open_layer, require_same_rows
from tb_modelcompare.similarity.images import image_indices

LEAST_IMAGES = 4
_NUMBERS_AT_ONCE = 2**23


def image_agreement(
    X: npt.ArrayLike, Y: npt.ArrayLike, groups: npt.ArrayLike | None = None
) -> npt.NDArray[np.float64]:
    """How alike two layers see each image, by which other images are near it.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
        Row r of both is the same position of the same image.
    groups : array of int (rows,), optional
        Image of each row. By default each row is an image of its own.

    Returns
    -------
    array (images,)
        In [-1, 1]: 1 for an image from which both layers put all others in the same order. NaN for
        an image that is equally far from all others in one of the layers.

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number, or if there are
        fewer than 4 images.

    Notes
    -----
    `Spearman_j(|x_i - x_j|², |y_i - y_j|²)` over all other images j, where x_i is the mean of the
    rows of image i. These are the columns of the two matrices that RSA correlates as a whole. Ranks
    let one extreme image count no more than any other.

    References
    ----------
    Kriegeskorte et al. 2008, Representational similarity analysis.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((20, 3))
    >>> bool((image_agreement(X, 5 * X) > 0.999).all())
    True
    """
    x, y = open_layer(X, "X"), open_layer(Y, "Y")
    require_same_rows(x, y)
    image = image_indices(groups, x.rows)
    of_x, of_y = _image_means(x, image), _image_means(y, image)
    images = len(of_x)
    if images < LEAST_IMAGES:
        raise ActivationError(
            f"{images} images are too few to say on which of them layers agree; use at least "
            f"{LEAST_IMAGES}"
        )
    found = np.empty(images)
    step = max(1, _NUMBERS_AT_ONCE // images)
    for start in range(0, images, step):
        some = np.arange(start, min(start + step, images))
        ranks = [_centred_ranks(_distances(one, some), some) for one in (of_x, of_y)]
        lengths = [np.sqrt(np.square(one).sum(axis=1)) for one in ranks]
        product = lengths[0] * lengths[1]
        known = product > 0
        found[some] = np.where(
            known, (ranks[0] * ranks[1]).sum(axis=1) / np.where(known, product, 1.0), np.nan
        )
    return np.asarray(np.clip(found, -1.0, 1.0))


def _image_means(layer: Layer, image: npt.NDArray[np.intp]) -> Matrix:
    """The mean of the rows of each image, centred, (images, units)."""
    centred = layer.centred(slice(0, layer.rows)).astype(np.float64)
    order = np.argsort(image, kind="stable")
    counts = np.bincount(image)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
    return np.asarray(np.add.reduceat(centred[order], starts, axis=0) / counts[:, None])


def _distances(rows: Matrix, some: npt.NDArray[np.intp]) -> Matrix:
    """Squared distances of some rows to all, (len(some), rows)."""
    squares = np.square(rows).sum(axis=1)
    found = squares[some, None] + squares - 2 * rows[some] @ rows.T
    # Rounding is not to put rows in order that are equally far away.
    scale = max(float(squares.max()), np.finfo(float).tiny)
    return np.asarray(np.round(found / scale, 12))


def _centred_ranks(distances: Matrix, own: npt.NDArray[np.intp]) -> Matrix:
    """Ranks of the other rows in each row, less their mean; 0 for the row itself."""
    others = distances.shape[1] - 1
    rows = np.arange(len(own))
    distances[rows, own] = np.inf  # the last rank, which is then taken out
    ranks = scipy.stats.rankdata(distances, axis=1) - (others + 1) / 2
    ranks[rows, own] = 0.0
    return np.asarray(ranks)
