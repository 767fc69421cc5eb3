"""The images on which each unit is most active, over all positions of its map, in one pass.

Of every image that is shown, a layer gives the largest value of each unit and where it is. Only the
strongest few images of each unit are kept while logging goes on, so that the room does not depend
on the size of maps or the number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.probe.sampling import Floats, Peaks

PER_UNIT = 9  # as many as a unit's panel shows
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Strongest:
    """For each unit of a layer the images on which it is most active, strongest first.

    Attributes
    ----------
    values : array (units, k), float32
        The largest value of the unit on the image, over all positions of its map.
    images : array (units, k), int32
        Numbers of the images in the probe.
    cells : array (units, k), int32
        Where in the map: row · width + column; the first of equal ones.
    tied : array (units,), int32
        How many more images equal the last of these.
    """

    values: Floats
    images: Ints
    cells: Ints
    tied: Ints

    def is_of(self, images: int, map_size: tuple[int, int]) -> bool:
        """Whether values are finite, and numbers those of so many images and of such a map."""
        bounds = (self.images, images), (self.cells, map_size[0] * map_size[1]), (self.tied, images)
        return bool(np.isfinite(self.values).all()) and all(
            numbers.min() >= 0 and numbers.max() < end for numbers, end in bounds
        )


def nothing_yet(units: int, images: int) -> Strongest:
    """Of a layer of which no image was shown; `images` is how many there will be."""
    shape = units, min(PER_UNIT, images)
    return Strongest(
        np.full(shape, -np.inf, np.float32),
        np.full(shape, -1, np.int32),
        np.zeros(shape, np.int32),
        np.zeros(units, np.int32),
    )


def with_images(before: Strongest, peaks: Peaks, first: int, order: Ints) -> Strongest:
    """The strongest of those before and of further images, the first of which is number `first`.

    Of images with equal values those are kept that come first in `order`, the rank of every image
    of the probe (see `spread`), so that the answer does not depend on how images come in batches.
    """
    count = len(peaks.values)
    units, kept = before.values.shape
    new = np.broadcast_to(np.arange(first, first + count, dtype=np.int32), (units, count))
    values = np.concatenate([before.values, peaks.values.T], axis=1)
    images = np.concatenate([before.images, new], axis=1)
    cells = np.concatenate([before.cells, peaks.cells.T], axis=1)
    rank = np.where(images < 0, len(order), order[images])
    best = np.lexsort((rank, -values), axis=1)[:, :kept]
    chosen = [np.take_along_axis(each, best, axis=1) for each in (values, images, cells)]
    last = chosen[0][:, -1:]
    equal = ((values == last) & (images >= 0)).sum(axis=1)
    equal += np.where(before.values[:, -1] == last[:, 0], before.tied, 0)
    tied = equal - (chosen[0] == last).sum(axis=1)
    return Strongest(chosen[0], chosen[1], chosen[2], np.maximum(tied, 0).astype(np.int32))


def spread(count: int) -> Ints:
    """The rank of each of `count` images in an order whose beginnings lie evenly over all of them.

    The bits of a number, read backwards: 0, the middle, the quarters, and so on. The first images
    would all be of the first directory or class.
    """
    bits = max(count - 1, 1).bit_length()
    numbers = np.arange(count)
    backwards = sum(((numbers >> bit) & 1) << (bits - 1 - bit) for bit in range(bits))
    rank = np.empty(count, np.int32)
    rank[np.argsort(backwards)] = np.arange(count)
    return rank


def in_one(layers: Sequence[Strongest]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of several layers as they are stored, units behind each other."""
    return {
        name: np.concatenate([getattr(layer, name) for layer in layers])
        for name in ("values", "images", "cells", "tied")
    }
