"""Facets of a direction: what else goes with it in groups of the images that excite it most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError

Matrix = npt.NDArray[np.float64]

# Of the images that excite the direction most, so many are put into groups.
_IMAGES = 40
# How much of what else a group has is added to the direction, as a share of its length: pictures
# of less look alike, and pictures of more excite the direction itself less.
_SHARE = 0.5
_STARTS, _ROUNDS = 20, 50


def facet_weights(
    rows: npt.NDArray[np.floating[Any]],
    image_of_row: npt.NDArray[np.intp],
    weights: Matrix,
    count: int,
) -> Matrix:
    """A direction for each facet, that of most images first.

    The strongest images, each at its strongest row, are put into groups by spherical k-means: by
    the angles between the activities of all units, as standard scores and without the direction. A
    facet is the direction, plus half its length towards the mean of its group.

    Parameters
    ----------
    rows : array (rows, units)
    image_of_row : array (rows,)
    weights : array (units,)
    count : int

    Returns
    -------
    array (count, units)
        Of length 1 along the direction.

    Raises
    ------
    ActivationError
        If fewer than `count` images excite the direction more than the mean, or do so in fewer
        ways.
    """
    direction = weights / np.linalg.norm(weights)
    along = rows @ direction
    ascending = np.lexsort((along, image_of_row))
    last = np.flatnonzero(np.diff(image_of_row[ascending], append=-1))
    best = ascending[last]  # the strongest row of each image
    # Above the mean, as all activities of a layer without a ReLU may be below 0.
    best = best[along[best] > along.mean() + 1e-6 * np.abs(along).max()]
    best = best[np.argsort(-along[best], kind="stable")][:_IMAGES]
    if len(best) < count:
        raise ActivationError(
            f"images that excite it more than the mean image: {len(best)}, which is too few for "
            f"{count} facets"
        )
    everywhere = rows.astype(np.float64) - np.outer(along, direction)
    deviation = everywhere.std(axis=0)
    constant = deviation <= 1e-6 * deviation.max(initial=0)
    scale = np.where(constant, 1, deviation)
    scores = np.where(constant, 0, (everywhere[best] - everywhere.mean(axis=0)) / scale)
    length = np.linalg.norm(scores, axis=1, keepdims=True)
    scores = np.divide(scores, length, out=np.zeros_like(scores), where=length > 0)
    groups = _groups(scores, count)
    found = []
    for group in range(count):
        towards = scores[groups == group].sum(axis=0) * scale
        towards -= direction * (towards @ direction)
        size = np.linalg.norm(towards)
        if size <= 0:
            raise ActivationError(
                f"the images that excite it most fall into fewer than {count} groups; ask for "
                "fewer facets"
            )
        found.append(direction + _SHARE * towards / size)
    return np.array(found)


def _groups(scores: Matrix, count: int) -> npt.NDArray[np.intp]:
    """The number of the group of each row, the largest group first: the best of many starts."""
    random = np.random.default_rng(0)
    best, found = -np.inf, np.zeros(len(scores), np.intp)
    for _ in range(_STARTS):
        means = scores[random.choice(len(scores), count, replace=False)]
        for _ in range(_ROUNDS):
            groups = np.argmax(scores @ means.T, axis=1)
            sums = np.stack([scores[groups == group].sum(axis=0) for group in range(count)])
            length = np.linalg.norm(sums, axis=1, keepdims=True)
            before, means = means, sums / np.maximum(length, 1e-300)
            if np.array_equal(before, means):
                break
        if length.sum() > best:
            best, found = length.sum(), groups
    order = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    return np.asarray(np.argsort(order)[found])
