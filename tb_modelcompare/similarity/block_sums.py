"""Sums of products of different images, kept so that blocks of images can be left out.

See `hsic_of_images` for the estimator that they belong to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer, Matrix
from tb_modelcompare.similarity.hsic import Hsic
from tb_modelcompare.similarity.images import Images, LayerOfImages
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


@dataclass(eq=False)
class Terms:
    """The sums of an HSIC over some images: of all pairs of layers, or of layers with themselves.

    `squares`, `towards` and `means` are sums over pairs of different images: of products of rows,
    of rows with means, and of means. `rows` and `sums` are sums over rows and over images, of the
    product of what each has with all other images.
    """

    squares: Matrix
    towards: Matrix
    means: Matrix
    rows: Matrix
    sums: Matrix

    def without(self, other: Terms) -> Terms:
        """These sums without the pairs that `other` counts."""
        parts = zip(vars(self).values(), vars(other).values(), strict=True)
        return Terms(*(mine - its for mine, its in parts))

    def hsic(self, total_product: Matrix, images: int) -> Matrix:
        """The HSIC over so many images, from the sums of both layers' inner products of means."""
        pairs, triples, quadruples = falling(images)
        return np.asarray(
            self.squares / pairs
            + (total_product - 4.0 * self.sums + 2.0 * self.means) / quadruples
            - 2.0 * (self.rows - self.towards) / triples
        )


@dataclass(eq=False)
class BlockSums:
    """Sums over pairs of different images, of all images and without each of some blocks.

    Attributes
    ----------
    images : array (blocks + 1,)
        How many images there are without each block; the last number is that of all images.
    cross, own : list of Terms, (blocks + 1)
        Of pairs of layers, and of each layer with itself.
    totals : array (blocks + 1, layers)
        Sum of inner products of means of different images.
    between, own_between : array (blocks, blocks, layers of x, layers of y), (…, layers)
        The part of `cross` and of `own` squares that each pair of blocks adds, in order.
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
        edges = [images.count * block // blocks for block in range(blocks + 1)]
        tiles = _tiles(images, edges)
        rows_of = _row_reader(layers, tiles, dtype, settings.memory)
        cost = float(sum(layer.units for layer in layers) + len(xs) * len(ys))
        tick = settings.tick(len(tiles) ** 2 * cost)
        found = _SumsSoFar.zeros(blocks, len(xs), len(ys), len(layers))
        for first in tiles:
            left = rows_of(first)
            with_others = found.begin_line(first, left)
            for second in tiles:
                right = left if second == first else rows_of(second)
                found.add_tile(
                    first,
                    second,
                    _tile(layers, left, right, first.images, second.images, dtype),
                    with_others,
                )
                tick(cost)
            found.end_line(first, with_others)
        counts = [images.count - (edges[b + 1] - edges[b]) for b in range(blocks)]
        return cls(
            len(xs),
            len(ys),
            [*counts, images.count],
            found.terms("cross"),
            found.terms("own"),
            found.totals_without_blocks(),
            found.between,
            found.own_between,
        )


@dataclass(frozen=True)
class _Tile:
    """Consecutive images of one block, whose rows are computed with at once."""

    block: int
    images: slice


def _tiles(images: Images, edges: list[int]) -> list[_Tile]:
    found = []
    for block, (start, stop) in enumerate(itertools.pairwise(edges)):
        for some in products.groups(images.sizes[start:stop].tolist(), ROWS_OF_TILE):
            found.append(_Tile(block, slice(some.start + start, some.stop + start)))
    return found


def _row_reader(
    layers: list[LayerOfImages], tiles: list[_Tile], dtype: npt.DTypeLike, memory: int
) -> Callable[[_Tile], list[Array]]:
    """The rows of a tile, of every layer.

    Every tile meets every other, so rows are centred once where those of all layers fit.
    """
    numbers = sum(layer.rows * layer.units for layer in layers)
    kept: dict[int, list[Array]] = {}
    if numbers * np.dtype(dtype).itemsize <= memory // 2:
        kept = {tile.images.start: _centred(layers, tile.images, dtype) for tile in tiles}
    return lambda tile: kept.get(tile.images.start) or _centred(layers, tile.images, dtype)


@dataclass(eq=False)
class _Products:
    """Sums of inner products, of all pairs of layers and of each layer with itself.

    There is one for each block, and a last one for all images.
    """

    x: slice
    y: slice
    cross: Matrix
    own: Matrix

    def add(
        self, lines: Array, entries: Iterable[int], times: float = 1.0
    ) -> tuple[Matrix, Matrix]:
        """Add `times` the inner products of `lines` (layers, numbers) to some of the sums.

        What was added is returned.
        """
        cross = times * products.spread_inner_products(lines[self.x], lines[self.y])
        own = times * products.squared_lengths(lines)
        for entry in entries:
            self.cross[entry] += cross
            self.own[entry] += own
        return cross, own


@dataclass(eq=False)
class _SumsSoFar:
    """What a pass over all tiles has summed.

    Attributes
    ----------
    squares, towards, means : _Products
        Over pairs of different images, as in `Terms`: of all images, and of the pairs of which
        an image is in a block.
    rows, sums : _Products
        As in `Terms`: of all images, and without each block.
    totals, between, own_between : array
        As in `BlockSums`, but that `totals` are of the pairs of which an image is in a block.
    """

    squares: _Products
    towards: _Products
    means: _Products
    rows: _Products
    sums: _Products
    totals: Matrix
    between: Matrix
    own_between: Matrix

    @classmethod
    def zeros(cls, blocks: int, xs: int, ys: int, layers: int) -> _SumsSoFar:
        def none() -> _Products:
            cross, own = np.zeros((blocks + 1, xs, ys)), np.zeros((blocks + 1, layers))
            return _Products(slice(xs), slice(-ys, None), cross, own)

        return cls(
            squares=none(),
            towards=none(),
            means=none(),
            rows=none(),
            sums=none(),
            totals=np.zeros((blocks + 1, layers)),
            between=np.zeros((blocks, blocks, xs, ys)),
            own_between=np.zeros((blocks, blocks, layers)),
        )

    @property
    def blocks(self) -> int:
        return len(self.between)

    def begin_line(self, first: _Tile, left: list[Array]) -> tuple[Matrix, Matrix]:
        """Sums over other images, by their block: of the rows of a tile, and of its images."""
        layers, images = self.totals.shape[1], first.images.stop - first.images.start
        of_rows = np.zeros((self.blocks, layers, left[0].shape[0]))
        return of_rows, np.zeros((self.blocks, layers, images))

    def add_tile(
        self,
        first: _Tile,
        second: _Tile,
        tile: tuple[Array, Array, Array],
        with_others: tuple[Matrix, Matrix],
    ) -> None:
        """Add what the images of `first` have with those of `second`."""
        gram, towards, means = tile
        of_rows, of_images = with_others
        of_rows[second.block] += towards.sum(axis=2, dtype=np.float64)
        of_images[second.block] += means.sum(axis=2, dtype=np.float64)
        entries = {first.block, second.block, self.blocks}
        layers = len(gram)
        self.towards.add(towards.reshape(layers, -1), entries)
        if second.images.start >= first.images.start:  # the others are the same, transposed
            times = 1.0 if second == first else 2.0
            cross, own = self.squares.add(gram.reshape(layers, -1), entries, times)
            self.between[first.block, second.block] += cross
            self.own_between[first.block, second.block] += own
            self.means.add(means.reshape(layers, -1), entries, times)
        total = means.sum(axis=(1, 2), dtype=np.float64)
        for entry in entries:
            self.totals[entry] += total

    def end_line(self, first: _Tile, with_others: tuple[Matrix, Matrix]) -> None:
        """Add the products of what each row, and each image, of a tile has with all others."""
        for without in range(self.blocks + 1):
            if without == first.block:
                continue
            others = [block for block in range(self.blocks) if block != without]
            for into, parts in zip((self.rows, self.sums), with_others, strict=True):
                into.add(parts[others].sum(axis=0), (without,))

    def terms(self, side: Literal["cross", "own"]) -> list[Terms]:
        """The sums without each block, and those of all images."""
        sums = (self.squares, self.towards, self.means, self.rows, self.sums)
        of_all = Terms(*(getattr(one, side)[self.blocks] for one in sums))
        found = []
        for block in range(self.blocks):
            of_block = Terms(*(getattr(one, side)[block] for one in sums))
            left = of_all.without(of_block)
            found.append(
                Terms(left.squares, left.towards, left.means, of_block.rows, of_block.sums)
            )
        return [*found, of_all]

    def totals_without_blocks(self) -> Matrix:
        """`totals` as in `BlockSums`."""
        of_all = self.totals[self.blocks]
        return np.concatenate([of_all - self.totals[: self.blocks], of_all[None]])


def _centred(layers: list[LayerOfImages], which: slice, dtype: npt.DTypeLike) -> list[Array]:
    """Rows of some images, of every layer."""
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
