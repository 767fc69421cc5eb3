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
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer, Matrix, about_median
from tb_modelcompare.similarity.hsic import Hsic, shares, squares_of_pairs
from tb_modelcompare.similarity.images import Images, LayerOfImages, MeansOfImages
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.threads import spread

LEAST_IMAGES = 4
"""T2 is over four different images."""

ROWS_OF_TILE = 256


def falling(images: int) -> tuple[float, float, float]:
    """Numbers of ordered pairs, triples and quadruples of different images."""
    pairs = float(images) * (images - 1)
    triples = pairs * (images - 2)
    return pairs, triples, triples * (images - 3)


def hsic_of_images(xs: list[Layer], ys: list[Layer], images: Images, settings: Settings) -> Hsic:
    """HSIC of every x with every y over pairs of different images.

    Where too little remains of a sum once what images have with themselves is taken off, all is
    computed again in float64 from products of different images alone.
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
        # Rows are taken from near most of them, as that changes nothing in the estimator, and a
        # few rows that are far away do not move it.
        near_x = [about_median(layer) for layer in xs]
        near_y = near_x if ys is xs else [about_median(layer) for layer in ys]
        double = np.dtype(np.float64)
        return BlockSums.of(near_x, near_y, images, 1, double, settings.without_progress()).hsic()
    return found


def _squares(
    xs: Sequence[Layer], ys: Sequence[Layer], dtype: npt.DTypeLike, settings: Settings
) -> tuple[Matrix, tuple[Matrix, Matrix]]:
    left = list(xs)
    return squares_of_pairs(left, left if ys is xs else list(ys), dtype, settings)


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


@dataclass(eq=False)
class Terms:
    """The sums of an HSIC over some images: of all pairs of layers, or of layers with themselves.

    `squares`, `towards` and `means` are over pairs of different images; `sums` and `totals` over
    images the products of what each has with all others.
    """

    squares: Matrix
    towards: Matrix
    means: Matrix
    rows: Matrix
    sums: Matrix

    def minus(self, other: Terms) -> Terms:
        """What is left without the sums of some of the images."""
        parts = zip(vars(self).values(), vars(other).values(), strict=True)
        return Terms(*(mine - its for mine, its in parts))

    def hsic(self, total_product: Matrix, images: int) -> Matrix:
        pairs, triples, quadruples = falling(images)
        return np.asarray(
            self.squares / pairs
            + (total_product - 4.0 * self.sums + 2.0 * self.means) / quadruples
            - 2.0 * (self.rows - self.towards) / triples
        )


@dataclass(eq=False)
class BlockSums:
    """Sums over pairs of different images, in all, and without each of some blocks of images.

    Attributes
    ----------
    images : array (blocks + 1,)
        How many images there are without each block; the last is without none.
    cross, own : list of Terms, likewise
    totals : array (blocks + 1, layers)
        Sum of inner products of means of different images.
    between, own_between : array (blocks, blocks, layers of x, layers of y), (…, layers)
        The squares of `cross` and of `own` by pairs of blocks, of which the first comes first.
    """

    split: int
    columns: int
    images: list[int]
    cross: list[Terms]
    own: list[Terms]
    totals: Matrix = field(repr=False)
    between: Matrix = field(repr=False)
    own_between: Matrix = field(repr=False)

    def hsic(self, without: int = -1) -> Hsic:
        """Of all images, or without a block of them."""
        x, y = slice(self.split), slice(-self.columns, None)
        total, count = self.totals[without], self.images[without]
        cross = self.cross[without].hsic(np.outer(total[x], total[y]), count)
        own = self.own[without].hsic(total**2, count)
        return Hsic(cross, own[x], own[y])

    @classmethod
    def of(
        cls,
        xs: list[Layer],
        ys: list[Layer],
        images: Images,
        blocks: int,
        dtype: npt.DTypeLike,
        settings: Settings,
    ) -> BlockSums:
        """One pass over tiles of the Gram matrices; nothing of an image with itself is added."""
        layers = [LayerOfImages.of(layer, images) for layer in (xs if ys is xs else [*xs, *ys])]
        x, y = slice(len(xs)), slice(-len(ys), None)
        edges = [images.count * b // blocks for b in range(blocks + 1)]
        tiles = [
            (block, slice(some.start + edges[block], some.stop + edges[block]))
            for block in range(blocks)
            for some in products.groups(
                images.sizes[edges[block] : edges[block + 1]].tolist(), ROWS_OF_TILE
            )
        ]
        shape = (blocks + 1, len(xs), len(ys)), (blocks + 1, len(layers))
        touching = [[np.zeros(one) for one in shape] for _ in range(3)]
        kept = [[np.zeros(one) for one in shape] for _ in range(2)]
        totals = np.zeros((blocks + 1, len(layers)))
        between = np.zeros((blocks, blocks, len(xs), len(ys)))
        own_between = np.zeros((blocks, blocks, len(layers)))
        cost = float(sum(layer.units for layer in layers) + len(xs) * len(ys))
        tick = settings.tick(len(tiles) ** 2 * cost)

        def add(
            into: list[Matrix], lines: Array, touched: set[int], times: float = 1.0
        ) -> tuple[Matrix, Matrix]:
            cross = times * products.spread_inner_products(lines[x], lines[y])
            own = times * products.squared_lengths(lines)
            for block in touched | {blocks}:  # the last is of all
                into[0][block] += cross
                into[1][block] += own
            return cross, own

        # Every tile meets every other: rows are centred once where those of all layers fit.
        numbers = sum(layer.rows * layer.units for layer in layers)
        kept_rows: dict[int, list[Array]] = {}
        if numbers * np.dtype(dtype).itemsize <= settings.memory // 2:
            kept_rows = {which.start: _weighted(layers, which, dtype) for _, which in tiles}

        def rows_of(which: slice) -> list[Array]:
            return kept_rows.get(which.start) or _weighted(layers, which, dtype)

        for b1, first in tiles:
            lefts = rows_of(first)
            sums = np.zeros((blocks, len(layers), lefts[0].shape[0]))
            of_means = np.zeros((blocks, len(layers), first.stop - first.start))
            for b2, second in tiles:
                rights = lefts if second == first else rows_of(second)
                gram, towards, means = _tile(layers, lefts, rights, first, second, dtype)
                sums[b2] += towards.sum(axis=2, dtype=np.float64)
                of_means[b2] += means.sum(axis=2, dtype=np.float64)
                add(touching[1], towards.reshape(len(layers), -1), {b1, b2})
                if second.start >= first.start:
                    times = 1.0 if second == first else 2.0
                    lines = gram.reshape(len(layers), -1)
                    cross, own = add(touching[0], lines, {b1, b2}, times)
                    between[b1, b2] += cross
                    own_between[b1, b2] += own
                    add(touching[2], means.reshape(len(layers), -1), {b1, b2}, times)
                for block in {b1, b2, blocks}:
                    totals[block] += means.sum(axis=(1, 2), dtype=np.float64)
                tick(cost)
            for without in range(blocks + 1):
                if without == b1:
                    continue
                others = [block for block in range(blocks) if block != without]
                for into, parts in ((kept[0], sums), (kept[1], of_means)):
                    lines = parts[others].sum(axis=0)
                    into[0][without] += products.spread_inner_products(lines[x], lines[y])
                    into[1][without] += products.squared_lengths(lines)
        counts = [images.count - (edges[b + 1] - edges[b]) for b in range(blocks)]

        def terms(side: int) -> list[Terms]:
            def at(block: int) -> Terms:
                of_pairs = [one[side][block] for one in touching]
                return Terms(*of_pairs, *(one[side][block] for one in kept))

            whole = at(blocks)
            parts = []
            for block in range(blocks):
                part = at(block)
                less = whole.minus(part)
                parts.append(Terms(less.squares, less.towards, less.means, part.rows, part.sums))
            return [*parts, whole]

        totals[:blocks] = totals[blocks] - totals[:blocks]
        return cls(
            len(xs),
            len(ys),
            [*counts, images.count],
            terms(0),
            terms(1),
            totals,
            between,
            own_between,
        )


def _weighted(layers: list[LayerOfImages], which: slice, dtype: npt.DTypeLike) -> list[Array]:
    images = layers[0].images
    rows = slice(int(images.edges[which.start]), int(images.edges[which.stop]))
    return spread(lambda layer: layer.centred(rows, dtype), layers)


def _tile(
    layers: list[LayerOfImages],
    lefts: list[Array],
    rights: list[Array],
    first: slice,
    second: slice,
    dtype: npt.DTypeLike,
) -> tuple[Array, Array, Array]:
    """Of every layer: inner products of rows, of rows with means, and of means with means.

    What an image has with itself is 0.
    """
    images = layers[0].images
    rows, columns = images.root_weights(first, dtype), images.root_weights(second, dtype)
    starts_x = images.edges[first] - images.edges[first.start]
    starts_y = images.edges[second] - images.edges[second.start]
    same = None
    if second == first:
        number = np.repeat(np.arange(first.stop - first.start), images.sizes[first])
        same = number[:, None] == number

    def fill(index: int) -> tuple[Array, Array, Array]:
        gram = lefts[index] @ rights[index].T
        if same is not None:
            gram[same] = 0.0
        towards = np.add.reduceat(gram * columns, starts_y, axis=1)
        return gram, towards, np.add.reduceat(towards * rows[:, None], starts_x, axis=0)

    found = spread(fill, range(len(layers)), cost=lambda index: layers[index].units)
    gram, towards, means = (np.stack(part) for part in zip(*found, strict=True))
    return gram, towards, means
