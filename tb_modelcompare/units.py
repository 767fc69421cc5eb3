"""What a layer's units do on the probe: how much, how often, on which images most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BLOCK_VALUES = 2**22


@dataclass(frozen=True, eq=False)
class UnitStatistics:
    """Per unit, over all rows: mean, maximum, and the share of rows above 0."""

    mean: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    active: npt.NDArray[np.float64]


def unit_statistics(activations: npt.NDArray[np.float32]) -> UnitStatistics:
    """Statistics of each column of (rows, units), a block of rows at a time."""
    rows, units = activations.shape
    total, active = np.zeros(units), np.zeros(units)
    most = np.full(units, -np.inf)
    step = max(1, _BLOCK_VALUES // units)
    for start in range(0, rows, step):
        block = activations[start : start + step]
        total += block.sum(axis=0, dtype=np.float64)
        active += (block > 0).sum(axis=0)
        np.maximum(most, block.max(axis=0), out=most)
    return UnitStatistics(total / rows, most, active / rows)


def top_rows(
    response: npt.NDArray[np.float32], positions_per_image: int, limit: int
) -> npt.NDArray[np.intp]:
    """Rows of the `limit` images that excite a unit most, one row per image, strongest first.

    Ties are resolved in the order of the probe, so that the answer never depends on chance.
    """
    by_image = response.reshape(-1, positions_per_image)
    best = by_image.argmax(axis=1)
    images = np.arange(len(by_image))
    order = np.argsort(-by_image[images, best], kind="stable")[:limit]
    rows: npt.NDArray[np.intp] = order * positions_per_image + best[order]
    return rows
