"""HSIC with linear kernels over pairs of different images.

The positions of one image resemble each other. An estimator that takes every pair of rows for a
pair of independent ones finds this resemblance in both layers, and calls unrelated layers alike.
The estimator here is the U-statistic over tuples of different images. With m images, of which
each weighs the same however many rows it has, image means s and t of X and Y, and rows i of image
g(i) with weight w,

    HSIC = T1 / m₂ + T2 / m₄ - 2 T3 / m₃,    m_k = m (m - 1) … (m - k + 1)
    T1 = Σ w_i w_j (x_i·x_j) (y_i·y_j)       over rows i, j of different images
    T2 = Σ (s_g·s_h) (t_k·t_l)               over different images g, h, k, l
    T3 = Σ w_i (x_i·s_h) (y_i·t_k)           over rows i and images h, k, all different

Centring changes nothing in it, and leaves with C = Σ w_i x_i y_i', D = Σ s_g t_g' and β = m₂ / m₃

    HSIC = ||C + β D||² / m₂ + (2 / m₄ - m₂ / m₃²) ||D||² - f·f' + (Σ |s|²) (Σ |t|²) / m₄,

where f holds, of one layer, what each image has with itself. So two of the usual products are
enough: one of rows to which a little of their image's mean is added, one of the means.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Layer, Matrix, about_median
from tb_modelcompare.similarity.block_sums import BlockSums, falling
from tb_modelcompare.similarity.hsic import Hsic, shares, squared_products
from tb_modelcompare.similarity.images import Images, LayerOfImages, MeansOfImages
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.threads import spread


def hsic_of_images(xs: list[Layer], ys: list[Layer], images: Images, settings: Settings) -> Hsic:
    """HSIC of every x with every y over pairs of different images.

    What images have with themselves is subtracted. Where too little of a sum remains then, all is
    computed again in float64, from products of different images alone.
    """
    dtype = np.dtype(settings.dtype([*xs, *ys]))
    pairs, triples, quadruples = falling(images.count)
    blend = float(np.sqrt(1.0 + pairs / triples) - 1.0)
    rows_x = [LayerOfImages.of(layer, images, blend) for layer in xs]
    rows_y = rows_x if ys is xs else [LayerOfImages.of(layer, images, blend) for layer in ys]
    means_x = [_means(layer) for layer in rows_x]
    means_y = means_x if ys is xs else [_means(layer) for layer in rows_y]
    squares, own = _squares(rows_x, rows_y, dtype, settings)
    of_means, own_means = _squares(means_x, means_y, dtype, settings.without_progress())
    within = _within(rows_x, rows_y, images, settings)
    factor = 2.0 / quadruples - pairs / triples**2
    totals = [np.outer(within.totals_x, within.totals_y), within.totals_x**2, within.totals_y**2]
    cross, own_x, own_y = (
        square / pairs + factor * mean - self_products + total / quadruples
        for square, mean, self_products, total in zip(
            (squares, *own),
            (of_means, *own_means),
            (within.cross, within.own_x, within.own_y),
            totals,
            strict=True,
        )
    )
    remaining = min(
        float(shares(new, square / pairs, 1.0).min())
        for new, square in zip((own_x, own_y), own, strict=True)
    )
    largest = max(
        float(shares(one, square, 0.0).max())
        for one, square in zip((within.largest_x, within.largest_y), own, strict=True)
    )
    found = Hsic(cross, own_x, own_y, remaining, largest)
    if settings.precision != "single" and not found.is_exact(dtype):
        # The estimator does not depend on the centre. Near most rows it is not moved by a few rows
        # that are far away.
        near_x = [about_median(layer) for layer in xs]
        near_y = near_x if ys is xs else [about_median(layer) for layer in ys]
        double = np.dtype(np.float64)
        return BlockSums.of(near_x, near_y, images, 1, double, settings.without_progress()).hsic()
    return found


def _squares(
    xs: Sequence[Layer], ys: Sequence[Layer], dtype: npt.DTypeLike, settings: Settings
) -> tuple[Matrix, tuple[Matrix, Matrix]]:
    left = list(xs)
    return squared_products(left, left if ys is xs else list(ys), dtype, settings)


def _means(layer: LayerOfImages) -> MeansOfImages:
    return MeansOfImages(**{**vars(layer), "blend": 0.0})


@dataclass(eq=False)
class _Within:
    """Sums over images of what each has with itself, of pairs of layers and of each layer."""

    cross: Matrix
    own_x: Matrix
    own_y: Matrix
    totals_x: Matrix
    totals_y: Matrix
    largest_x: Matrix
    largest_y: Matrix


def _within(
    xs: list[LayerOfImages], ys: list[LayerOfImages], images: Images, settings: Settings
) -> _Within:
    layers = xs if ys is xs else [*xs, *ys]
    x, y = slice(len(xs)), slice(-len(ys), None)
    cross, own = np.zeros((len(xs), len(ys))), np.zeros(len(layers))
    totals, largest = np.zeros(len(layers)), np.zeros(len(layers))
    length = np.square(images.sizes.astype(np.float64)) + images.sizes + 1.0
    limit = settings.memory // (4 * 8 * len(layers))
    for some in products.groups([int(one) for one in length], max(limit, 1)):
        which = slice(some.start, some.stop)
        found = spread(lambda layer, which=which: _of_images(layer, which), layers)  # type: ignore[misc]
        lines = np.stack([line for line, _, _ in found])
        cross += products.spread_inner_products(lines[x], lines[y])
        own += products.squared_lengths(lines)
        totals += [total for _, total, _ in found]
        largest = np.maximum(largest, [most for _, _, most in found])
    return _Within(cross, own[x], own[y], totals[x], totals[y], largest[x], largest[y])


def _of_images(layer: LayerOfImages, which: slice) -> tuple[Matrix, float, float]:
    """Of some images: what each has with itself, weighted so that one inner product gives all
    three corrections; the sum of squared means; the largest block of a Gram matrix, squared."""
    images = layer.images
    pairs, triples, quadruples = falling(images.count)
    block = layer.whole_images(which)
    means = images.means(block, which)
    weighted = block * images.root_weights(which)[:, None]
    lengths = np.einsum("ij,ij->i", means, means)
    towards = np.einsum("ij,ij->i", weighted, images.repeated(means, which))
    edges = images.edges[which.start : which.stop + 1] - images.edges[which.start]
    grams = [(weighted[a:b] @ weighted[a:b].T).ravel() for a, b in itertools.pairwise(edges)]
    largest = max(float(one @ one) for one in grams)
    line = np.concatenate(
        [
            np.concatenate(grams) / np.sqrt(pairs),
            towards * np.sqrt(4.0 / triples),
            lengths * np.sqrt(6.0 / quadruples),
        ]
    )
    return line, float(lengths.sum()), largest
