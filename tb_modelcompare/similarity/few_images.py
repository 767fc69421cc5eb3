"""Layers that a few images carry: what an interval over images says of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tb_modelcompare.similarity.activations import open_layer, row_blocks
from tb_modelcompare.similarity.few_rows import in_words, listed
from tb_modelcompare.similarity.images import Indices

LEAST_SHARE = 0.25
"""Of all images, as many as a layer amounts to at least if no few of them carry it.

The layers of GoogLeNet, MobileNetV2, ResNet-50 and a vision transformer amount to 0.37 to 0.99 of
their images, and a single unit of normal values to 0.26 to 0.45. Units of Student's distribution
with 3 degrees of freedom amount to 0.29 of 60 images, and to 0.17 of 300, in the median.
"""


def images_that_carry(values: Any, image: Indices) -> float:
    """To how many images a layer amounts, by what each of them adds to its variance.

    With e_i the sum of squares of the rows of image i about the mean of all rows, that is
    (Σ e_i)² / Σ e_i²: the number of images where all add as much, and 1 where one adds all.
    """
    layer = open_layer(values, "the layer")
    energy = np.zeros(int(image.max()) + 1)
    for rows in row_blocks(layer.rows):
        of_rows = np.square(layer.centred(rows)).sum(axis=1)
        energy += np.bincount(image[rows], of_rows, len(energy))
    largest = energy.max()
    if largest == 0.0:
        return float(len(energy))
    energy /= largest
    return float(energy.sum() ** 2 / np.square(energy).sum())


def carried_by_few(layers: Mapping[str, Any], image: Indices) -> tuple[str, ...]:
    """Names of the layers that a few images carry."""
    least = LEAST_SHARE * (int(image.max()) + 1)
    return tuple(
        name for name, values in layers.items() if images_that_carry(values, image) < least
    )


def note_of_few_images(names: tuple[str, ...]) -> tuple[str, ...]:
    """What to say of the intervals of a biased measure: nothing, or a sentence."""
    if not names:
        return ()
    return (
        f"A few images, far from all others, carry {listed(names)}. In simulated "
        "layers of that kind, 95 % intervals of biased measures held their value in 82 to 92 % of "
        f"probes. Use {in_words('unbiased_linear_cka')}, or look at these images.",
    )
