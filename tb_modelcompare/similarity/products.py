"""The large products behind all pairs of layers, in bounded memory.

Everything is read in blocks of rows or in tiles of the Gram matrix, from arrays that may be
memory-mapped, as centred and scaled float32 or float64; sums over blocks are in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity.activations import (
    Array,
    Layer,
    Matrix,
    row_blocks,
)

Tick = Callable[[float], None]
"""Told the number of multiply-adds done since the last call; raises to stop the work."""

TILE = 256
"""Side of a tile of a Gram matrix: some tens of layers' tiles stay in the processor's cache."""

LARGE_TILE = 1024
"""Where rows are centred anew for each tile, larger tiles mean fewer times."""

SUM_LENGTH = 16384
"""Longest inner product left to float32; longer ones are added up in float64."""


def starts(layers: Sequence[Layer]) -> npt.NDArray[np.intp]:
    """First column of each layer when they stand side by side, and the end of the last."""
    return np.concatenate([[0], np.cumsum([layer.units for layer in layers])]).astype(np.intp)


def stack(layers: Sequence[Layer], rows: slice, dtype: npt.DTypeLike) -> Array:
    """Centred rows of all layers side by side, (rows, units of all)."""
    edges = starts(layers)
    block = np.empty((rows.stop - rows.start, edges[-1]), dtype)
    for layer, start, stop in zip(layers, edges[:-1], edges[1:], strict=True):
        layer.centred(rows, dtype, block[:, start:stop])
    return block


def groups(sizes: Sequence[int], limit: int) -> list[range]:
    """Consecutive runs of indices whose sizes add up to at most `limit`, at least one each."""
    runs: list[range] = []
    start, total = 0, 0
    for index, size in enumerate(sizes):
        if index > start and total + size > limit:
            runs.append(range(start, index))
            start, total = index, 0
        total += size
    return [*runs, range(start, len(sizes))] if sizes else runs


def own_covariance(layer: Layer, dtype: npt.DTypeLike, centred: Array | None = None) -> Array:
    """Covariance of one layer from products in `dtype`, summed over blocks in float64.

    `centred` are all its centred rows, where they are at hand in that type.
    """
    total = np.zeros((layer.units, layer.units))
    for rows in row_blocks(layer.rows):
        block = layer.centred(rows, dtype) if centred is None else centred[rows]
        total += block.T @ block
    total /= layer.rows
    return total


def cross_panels(
    xs: Sequence[Layer],
    ys: Sequence[Layer],
    dtype: npt.DTypeLike,
    following: bool,
    tick: Tick,
) -> list[tuple[int, int, Array]]:
    """For each x, its cross-covariances with all ys, or only with those that follow it.

    (index of x, index of the first y, array (d1, units of these ys)), all of them summed at
    the same time, in one pass over the rows.
    """
    edges_x, edges_y = starts(xs), starts(ys)
    rows = xs[0].rows
    firsts = [index + 1 if following else 0 for index in range(len(xs))]
    wanted = [index for index, first in enumerate(firsts) if first < len(ys)]
    blocks = list(row_blocks(rows))
    sums: dict[int, Array] = {}
    for block in blocks:
        left = stack(xs, block, dtype)
        right = left if ys is xs else stack(ys, block, dtype)
        for index in wanted:
            x = left[:, edges_x[index] : edges_x[index + 1]]
            y = right[:, edges_y[firsts[index]] :]
            product = x.T @ y
            if len(blocks) == 1:
                sums[index] = product
            elif index in sums:
                sums[index] += product
            else:
                sums[index] = product.astype(np.float64)
            tick(float(len(left)) * x.shape[1] * y.shape[1])
    for panel in sums.values():
        panel /= rows
    return [(index, firsts[index], sums[index]) for index in wanted]


def block_squares(panel: Array, widths: Sequence[int]) -> Matrix:
    """Squared Frobenius norm of every block of columns of a panel, (len(widths),)."""
    columns = np.zeros(panel.shape[1])
    for rows in row_blocks(len(panel), 256):
        columns += np.square(panel[rows]).sum(axis=0, dtype=np.float64)
    edges = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.intp)
    return np.asarray(np.add.reduceat(columns, edges))


def reader(
    layers: Sequence[Layer], dtype: npt.DTypeLike, memory: float
) -> Callable[[int, slice | npt.NDArray[np.intp]], Array] | None:
    """Centred rows of a layer by its index, where those of all layers fit in memory."""
    if sum(layer.rows * layer.units for layer in layers) * np.dtype(dtype).itemsize > memory:
        return None
    kept = [layer.centred(slice(0, layer.rows), dtype) for layer in layers]
    return lambda index, rows: kept[index][rows]


def gram_squares(
    layers: Sequence[Layer], dtype: npt.DTypeLike, memory: int, tick: Tick
) -> tuple[Matrix, Matrix]:
    """`||X'Y||²` of all pairs of layers through their Gram matrices, `<XX', YY'>`; and the
    diagonals of these, (layers, rows).

    Tile by tile: a tile of every layer's Gram matrix, then all inner products of these. Half
    of the tiles are enough, as Gram matrices are symmetric.
    """
    kept = reader(layers, dtype, memory / 2)
    centred = kept or (lambda index, rows: layers[index].centred(rows, dtype))
    side = min(TILE if kept else LARGE_TILE, layers[0].rows)
    while side > 64 and len(layers) * side * side * np.dtype(dtype).itemsize > memory / 2:
        side //= 2
    total = np.zeros((len(layers), len(layers)))
    diagonals = np.empty((len(layers), layers[0].rows))
    tiles = np.empty((len(layers), side * side), dtype)
    blocks = list(row_blocks(layers[0].rows, side))
    for i, first in enumerate(blocks):
        for second in blocks[i:]:
            height, width = first.stop - first.start, second.stop - second.start
            for index, layer in enumerate(layers):
                left = centred(index, first)
                right = left if second == first else centred(index, second)
                tile = tiles[index, : height * width].reshape(height, width)
                np.matmul(left, right.T, out=tile)
                if second == first:
                    diagonals[index, first] = tile.diagonal()
                tick(float(height * width) * layer.units)
            filled = tiles[:, : height * width]
            total += (1.0 if second == first else 2.0) * inner_products(filled, filled)
            tick(float(height * width) * len(layers) ** 2 / 2)
    return total, diagonals


def inner_products(left: Array, right: Array) -> Matrix:
    """`left @ right.T` of long lines, in parts that are added up in float64."""
    total = np.zeros((len(left), len(right)))
    for part in row_blocks(left.shape[1], SUM_LENGTH):
        total += left[:, part] @ right[:, part].T
    return total


def gram_cost(rows: int, units: int, layers: int) -> float:
    """Multiply-adds of `gram_squares`."""
    return rows**2 / 2 * (units + layers**2 / 2)


def cosines(left: Array, right: Array) -> Matrix:
    """Cosines between long lines, in float64 also of lines that are stored in float32.

    Sums of many entries of one size and sign, as distances from one row far away are, drift in
    float32. The lengths are those of the lines as stored, so that no cosine is above 1.
    """
    total = np.zeros((len(left), len(right)))
    squares_left, squares_right = np.zeros(len(left)), np.zeros(len(right))
    for part in row_blocks(left.shape[1], SUM_LENGTH):
        some = left[:, part].astype(np.float64, copy=False)
        others = some if right is left else right[:, part].astype(np.float64, copy=False)
        total += some @ others.T
        squares_left += np.einsum("ij,ij->i", some, some)
        squares_right += np.einsum("ij,ij->i", others, others)
    return np.asarray(total / np.sqrt(np.outer(squares_left, squares_right)))
