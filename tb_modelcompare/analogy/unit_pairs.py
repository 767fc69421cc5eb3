"""Which single units of two layers are most alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors.checks import whole
from tb_modelcompare.similarity.activations import Layer, Matrix, open_layer, require_same_rows

_NUMBERS_AT_ONCE = 2**23


@dataclass(frozen=True)
class UnitPair:
    """A unit of each layer, and Pearson's correlation of their activations."""

    a: int
    b: int
    correlation: float


def best_unit_pairs(X: npt.ArrayLike, Y: npt.ArrayLike, count: int = 5) -> list[UnitPair]:
    """The pairs of units that correlate most, the strongest first, no unit in two of them.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
        Row r of both is the same position of the same image.
    count : int
        How many pairs, at least 1. There are fewer where fewer units vary.

    Returns
    -------
    list of UnitPair

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, or if rows differ in number.
    OptionError
        If count is no whole number of at least 1.

    Notes
    -----
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
    (of_x, units_x), (of_y, units_y) = _standardised(x), _standardised(y)
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
            pairs.append(UnitPair(a, b, min(1.0, -less)))
    return pairs


def _standardised(layer: Layer) -> tuple[Matrix, npt.NDArray[np.intp]]:
    """The units that vary, centred and of length 1, and which they are."""
    units = np.flatnonzero(np.ptp(layer.values, axis=0) > 0)
    values = layer.values[:, units].astype(np.float64)
    values /= np.abs(values).max(axis=0, initial=0.0, keepdims=True)
    values -= values.mean(axis=0)
    length = np.sqrt(np.square(values).sum(axis=0))
    return np.asarray(values / length), units
