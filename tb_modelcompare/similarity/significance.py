"""How much of a value is real: chance, intervals over images, and what few rows can carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Array, Matrix, open_layer
from tb_modelcompare.similarity.engine import Comparison, compare, find_measure
from tb_modelcompare.similarity.regression import image_indices

Layers = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Assessment:
    """A comparison with what one needs in order to trust it; matrices (rows, columns).

    Attributes
    ----------
    comparison : Comparison
        The value itself, on all rows.
    null_mean, null_high : array
        Mean and 95th percentile of the measure when images of the second model are shuffled.
    p_value : array
        Share of shuffles, the true order counted as one, that are at least as similar.
    low, high : array
        Interval over images.
    effective_rows : array
        Independent rows that the pair amounts to, as the positions of an image are alike.
    baseline : array or None
        The same measure against an untrained network.
    """

    comparison: Comparison
    null_mean: Matrix
    null_high: Matrix
    p_value: Matrix
    low: Matrix
    high: Matrix
    effective_rows: Matrix
    baseline: Matrix | None = None


def assess(
    a: Layers,
    b: Layers,
    measure: str = "linear_cka",
    *,
    groups: npt.ArrayLike | None = None,
    permutations: int = 100,
    resamples: int = 200,
    level: float = 0.95,
    untrained: Layers | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> Assessment:
    """Compare two models, with a permutation null and intervals over images.

    Parameters
    ----------
    a, b, measure, cancelled, **options
        As in `compare`.
    groups : array (rows,), optional
        Image of each row. Whole images are shuffled and drawn, as the positions of one image
        are not independent. By default each row is an image.
    permutations, resamples : int
        More give finer p-values and intervals; each costs one comparison.
    level : float
        Coverage of the interval.
    untrained : mapping, optional
        Activations, on the same probe, of a network like b with its initial weights and the
        names of b's layers, as a baseline.
    seed : int
        The same seed gives the same numbers.

    Raises
    ------
    ActivationError
        As `compare`; also if images have different numbers of rows (shuffling needs equal
        ones), or if layers of `untrained` are not those of b.
    """
    if untrained is not None and list(untrained) != list(b):
        raise ActivationError("The untrained baseline must have the layers of the second model.")
    if permutations < 1 or resamples < 2 or not 0.0 < level < 1.0:
        raise ActivationError("At least 1 permutation, 2 resamples and a level in (0, 1) needed.")
    total, done = permutations + resamples + 1.0, 0

    def values(left: Layers, right: Layers) -> Matrix:
        nonlocal done
        done += 1
        part = None if progress is None else lambda f: progress((done - 1 + f) / total)
        return compare(left, right, measure, progress=part, cancelled=cancelled, **options).values

    comparison = compare(a, b, measure, cancelled=cancelled, **options)
    rows = _rows(a)
    image = image_indices(groups, rows)
    random = np.random.default_rng(seed)
    true = comparison.values
    null = np.stack(
        [values(a, _taken(b, order)) for order in _shuffles(image, permutations, random)]
    )
    distance = find_measure(measure).distance
    beyond = null <= true if distance else null >= true
    extreme = 5.0 if distance else 95.0
    half = find_measure(measure).repeats_bias
    drawn = np.stack(
        [
            values(*_taken_together(a, b, order))
            for order in _resamples(image, resamples, half, random)
        ]
    )
    low, high = _interval(true, drawn, level)
    effective = [[effective_rows(x, image) for x in side.values()] for side in (a, b)]
    return Assessment(
        comparison=comparison,
        null_mean=null.mean(axis=0),
        null_high=np.percentile(null, extreme, axis=0),
        p_value=(1.0 + beyond.sum(axis=0)) / (1.0 + permutations),
        low=low,
        high=high,
        effective_rows=np.minimum.outer(*(np.array(side) for side in effective)),
        baseline=None if untrained is None else values(a, untrained),
    )


def _rows(model: Layers) -> int:
    return len(next(iter(model.values())))


def _taken(model: Layers, order: npt.NDArray[np.intp]) -> dict[str, Array]:
    return {name: np.asarray(values)[order] for name, values in model.items()}


def _taken_together(a: Layers, b: Layers, order: npt.NDArray[np.intp]) -> tuple[Layers, Layers]:
    """The same rows of both; one mapping twice where they are one, which is cheaper."""
    left = _taken(a, order)
    return left, left if b is a else _taken(b, order)


def _rows_by_image(image: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    order = np.argsort(image, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(image[order])) + 1)


def _shuffles(
    image: npt.NDArray[np.intp], count: int, random: np.random.Generator
) -> Iterator[npt.NDArray[np.intp]]:
    """Orders of rows in which whole images changed places."""
    rows = _rows_by_image(image)
    if len({len(one) for one in rows}) > 1:
        raise ActivationError(
            "Images have different numbers of rows, so they cannot be shuffled as wholes. Sample "
            "the same number of positions in each image."
        )
    table = np.stack(rows)
    for _ in range(count):
        order = np.empty(len(image), np.intp)
        order[table.ravel()] = table[random.permutation(len(table))].ravel()
        yield order


def _resamples(
    image: npt.NDArray[np.intp], count: int, half: bool, random: np.random.Generator
) -> Iterator[npt.NDArray[np.intp]]:
    """Rows of images drawn with replacement, or of a random half of the images.

    Halves serve measures to which an image drawn twice is its own perfect neighbour. The
    variance of a statistic over random halves estimates that of the statistic on all images
    (the delete-half jackknife), without any repeated row.
    """
    rows = _rows_by_image(image)
    images = len(rows)
    if images < 2:
        raise ActivationError("An interval over images needs at least two images.")
    for _ in range(count):
        drawn = (
            random.permutation(images)[: (images + 1) // 2]
            if half
            else random.integers(0, images, images)
        )
        yield np.concatenate([rows[index] for index in drawn])


def _interval(true: Matrix, drawn: Matrix, level: float) -> tuple[Matrix, Matrix]:
    """The value plus the spread of the resamples about their own mean.

    Resamples hold fewer distinct images than the whole, which moves biased measures as a
    whole; taking the spread about their own mean leaves that shift out.
    """
    spread = drawn - drawn.mean(axis=0)
    low, high = np.quantile(spread, [(1.0 - level) / 2, (1.0 + level) / 2], axis=0)
    return true + low, true + high


def effective_rows(values: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> float:
    """Number of independent rows that the rows of a layer amount to.

    `rows / (1 + (m - 1) ρ)`, the design effect of cluster sampling: m rows per image, ρ the
    intra-image correlation from a one-way analysis of variance, summed over units. Between
    the number of images and the number of rows; a layer that does not vary has all its rows.
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


@dataclass(frozen=True, eq=False)
class Estimate:
    """A comparison on `rows` rows of randomly drawn images; `exact` when these are all."""

    comparison: Comparison
    rows: int
    exact: bool


def refine(
    a: Layers,
    b: Layers,
    measure: str = "linear_cka",
    *,
    groups: npt.ArrayLike | None = None,
    first: int = 256,
    growth: int = 4,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> Iterator[Estimate]:
    """A first look at few rows, then ever more, at last all of them.

    Yields an `Estimate` for about `first` rows of randomly drawn whole images, then for
    `growth` times as many, and so on; the last one is exact, and is what `compare` gives.
    Each sample contains the one before.
    """
    rows = _rows(a)
    by_image = _rows_by_image(image_indices(groups, rows))
    drawn = [by_image[index] for index in np.random.default_rng(seed).permutation(len(by_image))]
    ends = np.cumsum([len(one) for one in drawn])
    wanted = first
    while wanted * 2 <= rows:
        order = np.sort(np.concatenate(drawn[: int(np.searchsorted(ends, wanted)) + 1]))
        looked = compare(*_taken_together(a, b, order), measure, cancelled=cancelled, **options)
        note = f"A first look at {len(order)} of {rows} rows."
        yield Estimate(replace(looked, warnings=(*looked.warnings, note)), len(order), False)
        wanted *= growth
    exact = compare(a, b, measure, progress=progress, cancelled=cancelled, **options)
    yield Estimate(exact, rows, True)
