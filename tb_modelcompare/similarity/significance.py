"""How much of a value is real: the null, intervals over images, and what few rows can carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.special

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Array, Matrix, open_layer
from tb_modelcompare.similarity.images import all_different, image_indices
from tb_modelcompare.similarity.registry import Measure

Layers: TypeAlias = Mapping[str, Any]
Indices: TypeAlias = npt.NDArray[np.intp]


FAMILY_PERMUTATIONS = 199
"""Permutations from which on there is a family-wise p-value, which is then 0.005 at least."""
BLOCKS = 20
"""Blocks of images of which an interval leaves out one at a time."""
MOST_PAIRS = 1000
"""Pairs of layers up to which the null is over all rows, beyond over one position an image."""
LARGEST_STAYING = 0.1
"""Share of the images that permutations may leave in place on average. An image in its place adds
to the null what is related there, so that the null would be too high."""


def null_of(permuted: Sequence[Matrix], true: Matrix, measure: Measure) -> dict[str, Matrix]:
    """What the measure gives when images of the second model are permuted.

    That is its mean, the percentile (95th, 5th of a distance) that a value should be beyond,
    p-values of single pairs and, from enough permutations, family-wise ones, and the calibrated
    score. A pair without a value has none of these.
    """
    null = np.stack(permuted)
    beyond = null <= true if measure.distance else null >= true
    high = np.percentile(null, 5.0 if measure.distance else 95.0, axis=0)
    without = np.isnan(true)
    found = {
        "null_mean": null.mean(axis=0),
        "null_high": high,
        "p_value": np.where(without, np.nan, (1.0 + beyond.sum(axis=0)) / (1.0 + len(null))),
    }
    if len(null) >= FAMILY_PERMUTATIONS:
        found["family_p_value"] = family_wise(null, true, measure.distance)
    best = measure.low if measure.distance else measure.high
    if np.isfinite(best):
        found["calibrated"] = calibrated(true, high, best)
    return found


def family_wise(null: Matrix, true: Matrix, distance: bool) -> Matrix:
    """p-values that one pair among unrelated ones is below 0.05 in 5 % of all comparisons.

    Values are standardised by each pair's own mean and deviation, over the true order and all
    permutations. A pair is compared with the largest value of any pair in each of these orders
    (Westfall and Young 1993): the true order is one of them, so that the p-value is exact.
    """
    orders = np.concatenate([true[None], null])
    deviation = orders.std(axis=0)
    varies = deviation > 1e-12 * np.abs(orders).max(axis=0)  # nan, where there is no value, is not
    moved = orders - orders.mean(axis=0)
    scores = np.where(varies, (-moved if distance else moved) / np.where(varies, deviation, 1.0), 0)
    largest = scores.reshape(len(orders), -1).max(axis=1)
    # Orders that are equal, such as a permutation that moves nothing, differ by rounding alone.
    reached = (largest[:, None, None] >= scores[0] - 1e-9).mean(axis=0)
    return np.where(np.isnan(true), np.nan, reached)


def calibrated(true: Matrix, high: Matrix, best: float) -> Matrix:
    """`max(0, (s - q) / (s_max - q))` with q the null's percentile: 0 where a value is not beyond
    the null, and 1 for equal layers (Gröger et al. 2026, arXiv 2602.14486)."""
    room = best - high
    score = (true - high) / np.where(room == 0.0, 1.0, room)
    return np.where(room == 0.0, 0.0, np.clip(score, 0.0, None))


def is_over_one_position(image: Indices, pairs: int) -> bool:
    """Whether the null of so many pairs of layers is over one position of each image."""
    return not all_different(image) and (pairs > MOST_PAIRS or not are_permuted_as_wholes(image))


def one_position(image: Indices, seed: int) -> Indices:
    """One row of each image, at random."""
    random = np.random.default_rng((seed, 2))
    return np.sort([random.choice(rows) for rows in rows_by_image(image)])


def interval_of(
    resampled: Sequence[Matrix],
    true: Matrix,
    level: float,
    blocks: int,
    of_pairs: Matrix | float = 0.0,
) -> dict[str, Matrix]:
    """Lower and upper end of an interval of the mean of the measure over sets of as many images.

    With the values θ_r of R resamples, each of which leaves out one of B blocks,

        θ ± t sqrt((B - 1)² / B s²),    s² = Σ (θ_r - mean θ_r)² / (R - ⌈R / B⌉),

    where t is the quantile of Student's distribution with one degree of freedom less than there
    are different blocks in a split. One split (R = B) is the jackknife over blocks; further ones
    make its variance less random. The spread about the mean of the resamples leaves out how few
    images shift a biased measure as a whole. The variance of the jackknife is too large rather
    than too small for what is not linear in the images (Efron and Stein 1981): `of_pairs` is what
    pairs of images add to the variance, where it is known, and is subtracted once.
    """
    values = np.stack(resampled)
    count = len(values)
    squares = np.square(values - values.mean(axis=0)).sum(axis=0)
    variance = (blocks - 1) ** 2 / blocks * squares / (count - -(-count // blocks))
    half = half_interval(true, variance, of_pairs, min(blocks, count) - 1, level)
    return {"low": true - half, "high": true + half}


def half_interval(
    values: Matrix, variance: Matrix, of_pairs: Matrix | float, freedom: int, level: float
) -> Matrix:
    """Half the width of an interval, from the variance of the jackknife V.

    The variance counts twice what pairs of images add to it, `of_pairs`, which is subtracted once,
    and never taken to be more than half of V, as it is for unrelated layers. Nothing is subtracted
    where values ± t(freedom) sqrt(V) do not hold 0. The layers are related then, pairs add little,
    and a large `of_pairs` is the work of a few images far from all others.
    """
    quantile = float(scipy.special.stdtrit(freedom, (1.0 + level) / 2))
    as_unrelated = np.abs(values) <= quantile * np.sqrt(variance)
    excess = np.where(as_unrelated, np.minimum(of_pairs, variance / 2.0), 0.0)
    return np.asarray(quantile * np.sqrt(variance - excess))


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


def tables_of_images(image: Indices) -> list[Indices]:
    """Rows of each image, (images, rows), in a table for each number of rows that images have."""
    rows = rows_by_image(image)
    sizes = sorted({len(one) for one in rows})
    return [np.stack([one for one in rows if len(one) == size]) for size in sizes]


def are_permuted_as_wholes(image: Indices) -> bool:
    """Whether permuting images among those with as many rows moves most of them: of each number
    of rows, one image stays in its place on average."""
    sizes = np.bincount(image)
    return len(np.unique(sizes)) <= max(1.0, LARGEST_STAYING * len(sizes))


def permutations_of(image: Indices, count: int, seed: int) -> Iterator[Indices]:
    """Orders of rows in which whole images are permuted, among those with as many rows.

    Raises
    ------
    ActivationError
        If too few images have as many rows as others.
    """
    if not count:
        return
    if not are_permuted_as_wholes(image):
        raise ActivationError(
            "Images have different numbers of rows, and too few have as many as others, so they "
            "cannot be permuted as wholes. Use permutations=0, or sample the same number of "
            "positions in each image."
        )
    random = np.random.default_rng((seed, 0))
    tables = tables_of_images(image)
    for _ in range(count):
        order = np.empty(len(image), np.intp)
        for table in tables:
            order[table.ravel()] = table[random.permutation(len(table))].ravel()
        yield order


def resamples_of(image: Indices, count: int, blocks: int, seed: int) -> Iterator[Indices]:
    """Rows of all images but those of one block, in order.

    Images are split at random into blocks of nearly equal size. When each has been left out,
    images are split anew. So every image is left out equally often, and no row is there twice,
    which would be its own perfect neighbour.
    """
    if not count:
        return
    random = np.random.default_rng((seed, 1))
    images = int(image.max()) + 1
    for which in range(count):
        if which % blocks == 0:
            block = np.empty(images, np.intp)
            block[random.permutation(images)] = np.arange(images) * blocks // images
        yield np.flatnonzero(block[image] != which % blocks)


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
