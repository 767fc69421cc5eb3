"""How much of a value is real: the null, intervals over images, and what few rows can carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Array, Matrix, open_layer
from tb_modelcompare.similarity.images import image_indices
from tb_modelcompare.similarity.registry import Measure

Layers: TypeAlias = Mapping[str, Any]
Indices: TypeAlias = npt.NDArray[np.intp]


def null_of(permuted: Sequence[Matrix], true: Matrix, measure: Measure) -> dict[str, Matrix]:
    """What the measure gives when images of the second model are permuted: its mean, the
    percentile (95th, 5th of a distance) that a value should be beyond, and p-values."""
    null = np.stack(permuted)
    beyond = null <= true if measure.distance else null >= true
    return {
        "null_mean": null.mean(axis=0),
        "null_high": np.percentile(null, 5.0 if measure.distance else 95.0, axis=0),
        "p_value": (1.0 + beyond.sum(axis=0)) / (1.0 + len(null)),
    }


def interval_of(resampled: Sequence[Matrix], true: Matrix, level: float) -> dict[str, Matrix]:
    """Lower and upper end: the value plus the spread of resamples about their own mean.

    Resamples hold fewer distinct images than the whole, which moves biased measures as a
    whole; taking the spread about their own mean leaves that shift out.
    """
    values = np.stack(resampled)
    spread = values - values.mean(axis=0)
    low, high = np.quantile(spread, [(1.0 - level) / 2, (1.0 + level) / 2], axis=0)
    return {"low": true + low, "high": true + high}


def effective_rows_of_pairs(a: Layers, b: Layers, image: Indices) -> Matrix:
    """The smaller of the effective rows of both layers, for all pairs."""
    of_a = np.array([effective_rows(values, image) for values in a.values()])
    of_b = of_a if b is a else np.array([effective_rows(values, image) for values in b.values()])
    return np.asarray(np.minimum.outer(of_a, of_b))


def _taken(model: Layers, order: Indices) -> dict[str, Array]:
    return {name: np.asarray(values)[order] for name, values in model.items()}


def taken_together(a: Layers, b: Layers, order: Indices) -> tuple[Layers, Layers]:
    """The same rows of both; one mapping twice where they are one, which is cheaper."""
    left = _taken(a, order)
    return left, left if b is a else _taken(b, order)


def rows_by_image(image: Indices) -> list[Indices]:
    order = np.argsort(image, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(image[order])) + 1)


def image_table(image: Indices) -> Indices:
    """Rows of each image, (images, positions).

    Raises
    ------
    ActivationError
        If images have different numbers of rows.
    """
    rows = rows_by_image(image)
    if len({len(one) for one in rows}) > 1:
        raise ActivationError(
            "Images have different numbers of rows, so they cannot be permuted as wholes. Use "
            "permutations=0, or sample the same number of positions in each image."
        )
    return np.stack(rows)


def permutations_of(image: Indices, count: int, seed: int) -> Iterator[Indices]:
    """Orders of rows in which whole images changed places."""
    if not count:
        return
    random = np.random.default_rng((seed, 0))
    table = image_table(image)
    for _ in range(count):
        order = np.empty(len(image), np.intp)
        order[table.ravel()] = table[random.permutation(len(table))].ravel()
        yield order


def resamples_of(image: Indices, count: int, half: bool, seed: int) -> Iterator[Indices]:
    """Rows of images taken with replacement, or of a random half of the images.

    Halves serve measures to which an image taken twice is its own perfect neighbour. The
    variance of a statistic over random halves estimates that of the statistic on all images
    (the delete-half jackknife), without any repeated row.
    """
    if not count:
        return
    random = np.random.default_rng((seed, 1))
    rows = rows_by_image(image)
    images = len(rows)
    if images < 2:
        raise ActivationError("An interval over images needs at least two images.")
    for _ in range(count):
        taken = (
            random.permutation(images)[: (images + 1) // 2]
            if half
            else random.integers(0, images, images)
        )
        yield np.concatenate([rows[index] for index in taken])


def effective_rows(values: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> float:
    """Number of independent rows that the rows of a layer amount to.

    `rows / (1 + (m - 1) ρ)`, the design effect of cluster sampling: m rows per image, ρ the
    intra-image correlation from a one-way analysis of variance, summed over units. Between
    the number of images and the number of rows; a layer that does not vary has all its rows.

    Parameters
    ----------
    values : array (rows, units)
    groups : array of int (rows,), optional
        Image of each row. By default each row is its own.

    Returns
    -------
    float

    Raises
    ------
    ActivationError
        If values are not a matrix of finite real numbers, or groups are not one integer per row.

    Examples
    --------
    Four equal rows of each of ten images amount to ten rows:

    >>> import numpy as np
    >>> images = np.repeat(np.arange(10), 4)
    >>> values = np.random.default_rng(0).standard_normal((10, 3))[images]
    >>> round(effective_rows(values, images), 3)
    10.0
    """
    layer = open_layer(values, "the layer")
    image = image_indices(groups, layer.rows)
    counts = np.bincount(image).astype(np.float64)
    images, rows = len(counts), layer.rows
    if images in (1, rows) or not layer.varies:
        return float(images if images == 1 else rows)
    centred = layer.centred(slice(0, rows))
    order = np.argsort(image, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
    sums = np.add.reduceat(centred[order], starts, axis=0)
    between = float((np.square(sums).sum(axis=1) / counts).sum())
    within = float(np.square(centred).sum()) - between
    size = (rows - float(np.square(counts).sum()) / rows) / (images - 1)
    mean_between, mean_within = between / (images - 1), within / (rows - images)
    correlation = (mean_between - mean_within) / (mean_between + (size - 1.0) * mean_within)
    return rows / (1.0 + (size - 1.0) * min(max(correlation, 0.0), 1.0))
