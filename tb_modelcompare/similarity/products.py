"""The large products behind all pairs of layers, in bounded memory.

Everything is read in blocks of rows or in tiles of the Gram matrix, from arrays that may be
memory-mapped, as centred and scaled float32 or float64; sums over blocks are in float64.

A large product is cut into tiles, and each tile is the work of one thread. BLAS would divide
every product among all processors and wait for the slowest of them, which spins meanwhile:
where other programs run, that takes several times the time of one thread. The tiles and the
order in which they are added are fixed, so that the sums are the same bits on any number of
threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity.activations import Array, Layer, Matrix, row_blocks
from tb_modelcompare.similarity.threads import blas_threads, spread

Tick = Callable[[float], None]
"""Told the number of multiply-adds done since the last call; raises to stop the work."""

TILE = 256
"""Side of a tile of a Gram matrix: some tens of layers' tiles stay in the processor's cache."""

LARGE_TILE = 512
"""Side of a tile of a Gram matrix that all threads fill together, a layer each. Larger ones
multiply hardly faster, and nearly half of those on the diagonal is wasted."""

UNITS_AT_ONCE = 512
"""Units of either side of a tile of a covariance; one thread takes tens of milliseconds for it
with `ROWS_AT_ONCE` rows."""

SUM_LENGTH = 4096
"""Longest inner product left to float32; longer ones are added up in float64. So many entries
of some tens of layers stay in the processor's cache."""

PART = 16384
"""Least number of entries of long lines whose inner products are the work of one thread."""

MOST_PARTS = 64
"""Most parts of long lines whose inner products are kept until they are added."""

Item = TypeVar("Item")
Result = TypeVar("Result")

Reader: TypeAlias = Callable[[int, slice | npt.NDArray[np.intp]], Array]
"""Centred rows of a layer, by its index."""

Tile: TypeAlias = tuple[slice, slice]
"""Rows and columns of a matrix."""


def starts(layers: Sequence[Layer]) -> npt.NDArray[np.intp]:
    """First column of each layer when they stand side by side, and the end of the last."""
    return np.concatenate([[0], np.cumsum([layer.units for layer in layers])]).astype(np.intp)


def stack(layers: Sequence[Layer], rows: slice, dtype: npt.DTypeLike) -> Array:
    """Centred rows of all layers side by side, (rows, units of all)."""
    edges = starts(layers)
    block = np.empty((rows.stop - rows.start, edges[-1]), dtype)

    def fill(index: int) -> None:
        layers[index].centred(rows, dtype, block[:, edges[index] : edges[index + 1]])

    spread(fill, range(len(layers)), cost=lambda index: layers[index].units)
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


def own_covariance(
    layer: Layer,
    dtype: npt.DTypeLike,
    centred: Array | None = None,
    each: Callable[[Callable[[Tile], None], Sequence[Tile]], Iterable[None]] = map,
) -> Array:
    """Covariance of one layer from products in `dtype`, summed over blocks in float64.

    `centred` are all its centred rows, where they are at hand in that type. `each` is `spread`
    where the tiles of this one layer are to keep all threads busy.
    """
    total = np.zeros((layer.units, layer.units))
    tiles = upper_tiles(layer.units)
    for rows in row_blocks(layer.rows):
        block = layer.centred(rows, dtype) if centred is None else centred[rows]
        list(each(_adding(total, block, block), tiles))
    for first, second in tiles:
        total[second, first] = total[first, second].T
    total /= layer.rows
    return total


def upper_tiles(units: int) -> list[Tile]:
    """Tiles of a symmetric matrix on its diagonal and above."""
    return list(itertools.combinations_with_replacement(_pieces(0, units), 2))


def _adding(total: Array, left: Array, right: Array) -> Callable[[Tile], None]:
    """What adds one tile of `left.T @ right` to the total."""

    def add(tile: Tile) -> None:
        total[tile] += left[:, tile[0]].T @ right[:, tile[1]]

    return add


def with_covariances(
    use: Callable[[int, Array], Result],
    layers: Sequence[Layer],
    dtype: npt.DTypeLike,
    memory: int,
    tick: Tick,
    centred: Sequence[Array] | None = None,
) -> list[Result]:
    """`use(index, covariance)` of every layer, for as many at a time as fit in memory.

    `centred` are all their centred rows, where they are at hand.
    """

    def covariance(index: int, each: Any = map) -> Array:
        return own_covariance(
            layers[index], dtype, None if centred is None else centred[index], each
        )

    def cost(index: int) -> float:
        return float(layers[index].rows) * layers[index].units ** 2 / 2

    results: list[Result] = []
    for group in groups([16 * layer.units**2 for layer in layers], memory):
        if len(group) < blas_threads():  # which then share each layer's tiles
            some = [covariance(index, spread) for index in group]
            pairs = list(zip(group, some, strict=True))
            results += spread(lambda pair: use(*pair), pairs, lambda pair: tick(cost(pair[0])))
        else:
            results += spread(
                lambda index: use(index, covariance(index)),
                group,
                lambda index: tick(cost(index)),
                cost,
            )
    return results


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
    panels = [
        (index, first, np.s_[edges_x[index] : edges_x[index + 1], edges_y[first] :])
        for index, first in ((i, i + 1 if following else 0) for i in range(len(xs)))
        if first < len(ys)
    ]
    blocks = list(row_blocks(rows))
    # Memory that no panel covers is never touched.
    sums = np.zeros((edges_x[-1], edges_y[-1]), dtype if len(blocks) == 1 else np.float64)
    tiles = _tiles_of_panels([where for _, _, where in panels], sums.shape[1])
    wanted = sum(sums[where].size for _, _, where in panels)
    share = wanted / max(1, sum(sums[tile].size for tile in tiles))
    for block in blocks:
        left = stack(xs, block, dtype)
        right = left if ys is xs else stack(ys, block, dtype)
        done = [share * len(left) * sums[tile].size for tile in tiles]
        _spread_with_costs(_adding(sums, left, right), tiles, done, tick)
    for _, _, where in panels:
        sums[where] /= rows
    return [(index, first, sums[where]) for index, first, where in panels]


def _spread_with_costs(
    function: Callable[[Item], None], items: Sequence[Item], costs: Sequence[float], tick: Tick
) -> None:
    spread(
        lambda index: function(items[index]),
        range(len(items)),
        lambda index: tick(costs[index]),
        costs.__getitem__,
    )


def _tiles_of_panels(panels: Sequence[Tile], width: int) -> list[Tile]:
    """Tiles that cover panels, each of which begins further to the right than the one before
    and reaches the right edge. One tile takes several narrow layers."""
    heights = [rows.stop - rows.start for rows, _ in panels]
    return [
        tile
        for group in groups(heights, UNITS_AT_ONCE)
        for tile in itertools.product(
            _pieces(panels[group.start][0].start, panels[group.stop - 1][0].stop),
            _pieces(panels[group.start][1].start, width),
        )
    ]


def _pieces(start: int, stop: int) -> list[slice]:
    """Equal ones, nearly, of at most `UNITS_AT_ONCE`."""
    count = -(-(stop - start) // UNITS_AT_ONCE)
    edges = [start + (stop - start) * index // count for index in range(count + 1)]
    return list(itertools.starmap(slice, itertools.pairwise(edges)))


def block_squares(panel: Array, widths: Sequence[int]) -> Matrix:
    """Squared Frobenius norm of every block of columns of a panel, (len(widths),)."""
    columns = np.zeros(panel.shape[1])
    for rows in row_blocks(len(panel), 256):
        columns += np.square(panel[rows]).sum(axis=0, dtype=np.float64)
    edges = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.intp)
    return np.asarray(np.add.reduceat(columns, edges))


def reader(layers: Sequence[Layer], dtype: npt.DTypeLike, memory: float) -> Reader | None:
    """Centred rows of a layer by its index, where those of all layers fit in memory."""
    if sum(layer.rows * layer.units for layer in layers) * np.dtype(dtype).itemsize > memory:
        return None
    kept = spread(lambda layer: layer.centred(slice(0, layer.rows), dtype), layers)
    return lambda index, rows: kept[index][rows]


def gram_squares(
    xs: Sequence[Layer], ys: Sequence[Layer], dtype: npt.DTypeLike, memory: int, tick: Tick
) -> tuple[Matrix, tuple[Matrix, Matrix], tuple[Matrix, Matrix]]:
    """`||X'Y||²` of all pairs of layers through their Gram matrices, `<XX', YY'>`; that of each
    layer with itself; and the diagonals of the Gram matrices, (layers, rows) of each side."""
    layers = xs if ys is xs else [*xs, *ys]
    x, y = slice(len(xs)), slice(len(layers) - len(ys), None)
    across, own = np.zeros((len(xs), len(ys))), np.zeros(len(layers))
    diagonals = np.empty((len(layers), layers[0].rows))
    for (first, second), tiles in gram_tiles(layers, dtype, memory, tick):
        times = 1.0 if second == first else 2.0
        products = times * spread_inner_products(tiles[x], tiles[y])
        across += products
        own += products.diagonal() if ys is xs else times * squared_lengths(tiles)
        if second == first:
            diagonals[:, first] = tiles[:, :: first.stop - first.start + 1]
        tick(times / 2 * products.size * tiles.shape[1])
    return across, (own[x], own[y]), (diagonals[x], diagonals[y])


def gram_tiles(
    layers: Sequence[Layer], dtype: npt.DTypeLike, memory: int, tick: Tick
) -> Iterator[tuple[Tile, Array]]:
    """A tile of every layer's Gram matrix, (layers, entries), one tile after another.

    Those on the diagonal and above, as Gram matrices are symmetric. The array is overwritten by
    the next tile.
    """
    kept = reader(layers, dtype, memory / 2)
    centred = kept or (lambda index, rows: layers[index].centred(rows, dtype))
    # What is not kept is centred anew for each tile, but for the rows of the tiles beside it.
    units = 0 if kept else sum(layer.units for layer in layers)
    limit = memory / np.dtype(dtype).itemsize * (0.5 if kept else 0.75)
    side = min(LARGE_TILE, layers[0].rows)
    while side > 64 and (len(layers) * side + units) * side > limit:
        side //= 2
    space = np.empty((len(layers), side * side), dtype)
    blocks = list(row_blocks(layers[0].rows, side))
    for i, first in enumerate(blocks):
        lefts = _of_all(layers, centred, first)
        for second in blocks[i:]:
            tiles = space[:, : (first.stop - first.start) * (second.stop - second.start)]
            fill = _filling(tiles, lefts, centred, None if second == first else second)
            times = 0.5 if second == first else 1.0
            costs = [times * tiles.shape[1] * layer.units for layer in layers]
            _spread_with_costs(fill, range(len(layers)), costs, tick)
            yield (first, second), tiles


def _of_all(layers: Sequence[Layer], centred: Reader, rows: slice) -> list[Array]:
    return spread(lambda index: centred(index, rows), range(len(layers)))


def _filling(
    tiles: Array, lefts: Sequence[Array], centred: Reader, rows: slice | None
) -> Callable[[int], None]:
    """What fills one layer's tile; rows None are those on the left."""

    def fill(index: int) -> None:
        left = lefts[index]
        right = left if rows is None else centred(index, rows)
        np.matmul(left, right.T, out=tiles[index].reshape(len(left), len(right)))

    return fill


def _parts(length: int) -> list[slice]:
    """Of long lines, each the work of one thread: so few that their sums fit in memory."""
    return list(row_blocks(length, max(PART, -(-length // MOST_PARTS))))


def spread_inner_products(left: Array, right: Array) -> Matrix:
    """`inner_products` on all threads. The same lines twice cost half."""
    parts = _parts(left.shape[1])
    sums = spread(lambda part: inner_products(left[:, part], right[:, part]), parts)
    return np.asarray(np.sum(sums, axis=0))


def squared_lengths(lines: Array) -> Matrix:
    """Sum of the squares of each long line, (lines,), on all threads."""

    def of_part(part: slice) -> Matrix:
        total = np.zeros(len(lines))
        for few in row_blocks(part.stop - part.start, SUM_LENGTH):
            some = lines[:, part][:, few]
            total += np.vecdot(some, some)
        return total

    return np.asarray(np.sum(spread(of_part, _parts(lines.shape[1])), axis=0))


def inner_products(left: Array, right: Array) -> Matrix:
    """`left @ right.T` of long lines, in parts that are added up in float64."""
    total = np.zeros((len(left), len(right)))
    for part in row_blocks(left.shape[1], SUM_LENGTH):
        total += left[:, part] @ right[:, part].T
    return total


def gram_cost(xs: Sequence[Layer], ys: Sequence[Layer]) -> float:
    """Multiply-adds of `gram_squares`."""
    layers = xs if ys is xs else [*xs, *ys]
    pairs = len(xs) * len(ys) / (2 if ys is xs else 1)
    return layers[0].rows ** 2 / 2 * (sum(layer.units for layer in layers) + pairs)


def cosines(left: Array, right: Array) -> Matrix:
    """Cosines between long lines, in float64 also of lines that are stored in float32.

    Sums of many entries of one size and sign, as distances from one row far away are, drift in
    float32. The lengths are those of the lines as stored, so that no cosine is above 1.
    """

    def of_part(part: slice) -> tuple[Matrix, Matrix, Matrix]:
        total = np.zeros((len(left), len(right)))
        squares_left, squares_right = np.zeros(len(left)), np.zeros(len(right))
        for few in row_blocks(part.stop - part.start, SUM_LENGTH):
            some = left[:, part][:, few].astype(np.float64, copy=False)
            others = some
            if right is not left:
                others = right[:, part][:, few].astype(np.float64, copy=False)
            total += some @ others.T
            squares_left += np.einsum("ij,ij->i", some, some)
            squares_right += np.einsum("ij,ij->i", others, others)
        return total, squares_left, squares_right

    parts = zip(*spread(of_part, _parts(left.shape[1])), strict=True)
    total, squares_left, squares_right = (np.sum(part, axis=0) for part in parts)
    return np.asarray(total / np.sqrt(np.outer(squares_left, squares_right)))
