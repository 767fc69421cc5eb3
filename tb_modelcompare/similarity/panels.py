"""Cross-covariances of all pairs of layers, as many at a time as fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer


def multiply_adds(xs: Sequence[Layer], ys: Sequence[Layer]) -> tuple[float, float]:
    """Of every layer's own covariance, and of all cross-covariances."""
    rows = float(xs[0].rows)
    layers = xs if ys is xs else [*xs, *ys]
    units_x, units_y = (sum(layer.units for layer in side) for side in (xs, ys))
    own = rows / 2 * sum(layer.units**2 for layer in layers)  # symmetric: half is enough
    across = rows * units_x * units_y
    return own, across / 2 - own if ys is xs else across


def panels(
    xs: list[Layer], ys: list[Layer], dtype: npt.DTypeLike, memory: int, tick: products.Tick
) -> Iterator[list[tuple[int, slice, Array]]]:
    """(index of x, slice of ys, their cross-covariances (d1, units of these ys)).

    All pairs, by groups of layers whose sums fit in memory; where `ys is xs`, those strictly
    above the diagonal.
    """
    limit = int(np.sqrt(memory / 16))
    groups_x = products.groups([layer.units for layer in xs], limit)
    groups_y = groups_x if ys is xs else products.groups([layer.units for layer in ys], limit)
    for g in groups_x:
        for h in groups_y:
            if ys is xs and h.start < g.start:
                continue
            left, within = xs[g.start : g.stop], ys is xs and h == g
            right = left if within else ys[h.start : h.stop]
            yield [
                (g.start + i, slice(h.start + j, h.stop), panel)
                for i, j, panel in products.cross_panels(left, right, dtype, within, tick)
            ]
