"""Which single units of two layers are most alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors.checks import whole
from tb_modelcompare.similarity.activations import Layer, Matrix, open_layer, require_same_rows
from tb_modelcompare.similarity.images import image_indices

_NUMBERS_AT_ONCE = 2**23

LEFT_OUT = 3
"""Of each unit, images without which a pair has to correlate. Of two rare units of a small probe,
some are active on the same one or two images by accident, and these alone make them correlate."""


@dataclass(frozen=True)
class UnitPair:
    """A unit of each layer, and how their activations correlate.

    Attributes
    ----------
    a, b : int
    correlation : float
        Pearson's, over all rows.
    trimmed : float
        The same where each unit counts as its mean on the images on which it deviates most.
    """

    a: int
    b: int
    correlation: float
    trimmed: float


def best_unit_pairs(
    X: npt.ArrayLike, Y: npt.ArrayLike, count: int = 5, *, groups: npt.ArrayLike | None = None
) -> list[UnitPair]:
    """The pairs of units that correlate most on many images, no unit in two of them.

    Pairs are in the order of the trimmed correlation: each unit counts as its mean on the three
    images on which it deviates most, so that no few images alone put a pair in front.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
        Row r of both is the same position of the same image.
    count : int
        How many pairs, at least 1. There are fewer where fewer units vary beyond those images.
    groups : array (rows,), optional
        Image of each row. By default each row is an image.

    Returns
    -------
    list of UnitPair
        The largest trimmed correlation first.

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number, or if groups do
        not name one image for each row.
    OptionError
        If count is no whole number of at least 1.

    Notes
    -----
    How far a unit deviates on an image is the sum of squares of its distances from its median,
    over the rows of the image. Of fewer than nine images, a third is left out. With x' the unit
    about its mean over the other images, and 0 on those that are left out, the trimmed correlation
    is x'y' / (|x'| |y'|).

    Pairs are taken one after the other, each the most correlated of units that are still free.
    Of equal ones the first units are taken. The correlations are computed for a block of units of
    X at a time. Of each unit only its `count` best partners are kept, as no pair that is taken can
    have another.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> [(pair.a, pair.b) for pair in best_unit_pairs(X, X[:, [2, 0]], count=2)]
    [(0, 1), (2, 0)]
    """
    whole("count", count, least=1)
    x, y = open_layer(X, "X"), open_layer(Y, "Y")
    require_same_rows(x, y)
    image = image_indices(groups, x.rows)
    (of_x, units_x), (of_y, units_y) = _trimmed(x, image), _trimmed(y, image)
    kept = min(count, len(units_y))
    found: list[tuple[float, int, int]] = []
    step = max(1, _NUMBERS_AT_ONCE // max(1, len(units_y)))
    for start in range(0, len(units_x) if kept else 0, step):
        # Equal correlations are to be equal, whatever the order of the sums.
        products = np.round(of_x[:, start : start + step].T @ of_y, 12)
        best = np.argsort(-products, axis=1, kind="stable")[:, :kept]
        values = np.take_along_axis(products, best, axis=1)
        found += [
            (-float(value), int(units_x[start + i]), int(units_y[j]))
            for i, (row, partners) in enumerate(zip(values, best, strict=True))
            for value, j in zip(row, partners, strict=True)
        ]
    pairs: list[UnitPair] = []
    for less, a, b in sorted(found):
        if len(pairs) == count:
            break
        if all(a != pair.a and b != pair.b for pair in pairs):
            whole_pair = _about_mean(_column(x, a)) @ _about_mean(_column(y, b))
            pairs.append(UnitPair(a, b, min(1.0, float(whole_pair)), min(1.0, -less)))
    return pairs


def _column(layer: Layer, unit: int) -> Matrix:
    return np.asarray(layer.values[:, unit], np.float64)


def _about_mean(values: Matrix) -> Matrix:
    """Columns that vary, about their means and of length 1."""
    values = values / np.abs(values).max(axis=0)
    values = values - values.mean(axis=0)
    return np.asarray(values / np.sqrt(np.square(values).sum(axis=0)))


def _trimmed(layer: Layer, image: npt.NDArray[np.intp]) -> tuple[Matrix, npt.NDArray[np.intp]]:
    """The units that vary beyond the images on which they deviate most, and which they are.

    They are about their means over the other images, zero on these, and of length 1.
    """
    units = np.flatnonzero(np.ptp(layer.values, axis=0) > 0)
    values = layer.values[:, units].astype(np.float64)
    values /= np.abs(values).max(axis=0, initial=0.0, keepdims=True)
    values -= np.median(values, axis=0)
    order = np.argsort(image, kind="stable")
    starts = np.flatnonzero(np.diff(image[order], prepend=-1))
    deviation = np.add.reduceat(np.square(values[order]), starts, axis=0)
    few = min(LEFT_OUT, len(starts) // 3)
    kept = np.ones(deviation.shape, bool)
    np.put_along_axis(kept, np.argsort(-deviation, axis=0, kind="stable")[:few], False, axis=0)
    counted = kept[image]
    values *= counted  # the median stands for what is left out
    varying = np.flatnonzero(_vary(values, counted))
    values, counted, units = values[:, varying], counted[:, varying], units[varying]
    values /= np.abs(values).max(axis=0, initial=0.0, keepdims=True)
    values -= values.sum(axis=0) / counted.sum(axis=0)
    values *= counted
    return np.asarray(values / np.sqrt(np.square(values).sum(axis=0))), units


def _vary(values: Matrix, counted: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether the rows that count are not all equal."""
    low = np.where(counted, values, np.inf).min(axis=0)
    high = np.where(counted, values, -np.inf).max(axis=0)
    return np.asarray(high > low)
