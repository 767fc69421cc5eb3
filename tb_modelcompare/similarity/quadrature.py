"""Means of singular values from a few random vectors, without any large product.

Whitened correlation, CCA and SVCCA are means of singular values of a whitened cross-covariance
W, which takes a product of all units with all units over all rows, and then a decomposition
for every pair. For a random vector v of length one, v' f(WW') v has the mean of f over the
eigenvalues of WW' as its expectation, and a known variance. Golub and Kahan's
bidiagonalisation gets it from a few products of W with a vector, that is of activations with a
vector. All rows take part, so nothing is biased as it would be on a sample of rows.

Squares of singular values need one product, |W'v|², and the values themselves several. As both
go together closely, few vectors are taken through all products, and the mean of many squares
corrects their mean (a control variate).

Golub and Meurant 2010, Matrices, Moments and Quadrature; Ubaru, Chen and Saad 2017, Fast
estimation of tr(f(A)) via stochastic Lanczos quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer, Matrix, row_blocks
from tb_modelcompare.similarity.measures.cca import SpectralMean, WhiteLayer
from tb_modelcompare.similarity.moments import Cross
from tb_modelcompare.similarity.threads import spread

STEPS = 6
"""Products with W or W' for each vector of the few, an even number."""

SAMPLES = 3072
"""Units times vectors of a pair."""

FEW = 512
"""Units times vectors of a pair that go through all steps."""

LAG = 0.6
"""The last change of the Gauss quadrature counts so much beside that of the Gauss-Radau
quadrature, when they tell how far each is off. Chosen on spectra of pairs of layers of GoogLeNet,
AlexNet, MobileNetV2 and made-up ones, where the value was then found to a seventh of the way
between the two; spectra with many zeros to a third."""

DOUBT = 0.25
"""How much of the way between the two quadratures is added to the interval, at both ends."""

MARGIN = 1.15
"""Widens intervals, as the variance that they come from is itself an estimate of few vectors.
Without it, 92 to 98 of 100 held the value of a pair where 95 were meant to."""

ROUNDING = 1e-4
"""What float32 products may add to any of it, here and in the exact values."""

PARTS = 16
"""Tasks that the rows are shared out to, whatever the number of threads, so that sums are the
same on all machines."""

ROWS_IN_CACHE = 128
"""Rows of all layers that are read twice in a row."""


@dataclass(frozen=True, eq=False)
class Whitened:
    """A layer, its whitening, and all its rows, centred."""

    layer: Layer
    white: WhiteLayer
    rows: Array

    @property
    def rank(self) -> int:
        return int(self.white.matrix.shape[0])


@dataclass(frozen=True)
class Pair:
    """Indices of the layer whose rank is the smaller, and of the other; how many vectors it
    has, and how many of them go through all steps."""

    inner: int
    outer: int
    vectors: int
    few: int


def estimate(
    sides: Sequence[Whitened],
    pairs: Sequence[tuple[int, int]],
    mean: SpectralMean,
    z: float,
    memory: int,
    seed: int,
    tick: Callable[[float], None],
) -> Matrix:
    """Value, lower and upper end for each pair of `sides`, (pairs, 3).

    Pairs with a narrow layer are computed as they are, where that costs less.
    """
    found = np.empty((len(pairs), 3))
    random = np.random.default_rng((seed, 2))
    # Of squares the second step tells the spread only, and that all vectors tell best.
    steps, through = (2, SAMPLES) if mean.squared else (STEPS, FEW)
    rough: list[tuple[int, Pair]] = []
    direct: list[int] = []
    for index, (x, y) in enumerate(pairs):
        inner, outer = (x, y) if sides[x].rank <= sides[y].rank else (y, x)
        vectors, few = (-(-count // sides[inner].rank) for count in (SAMPLES, through))
        widths = [sides[side].layer.units for side in (inner, outer)]
        if widths[0] * widths[1] < (vectors + few * (steps - 1)) * sum(widths):
            direct.append(index)
        else:
            rough.append((index, Pair(inner, outer, vectors, few)))

    def combine(index: int) -> float:
        x, y = (sides[side] for side in pairs[index])
        return mean(x.white, y.white, Cross(x.rows.T @ y.rows / len(x.rows)))

    exact = spread(combine, direct, lambda index: tick(1.0))
    found[direct] = np.array(exact)[:, None] + (0.0, -ROUNDING, ROUNDING)
    for chunk in _chunks(sides, rough, memory):
        squares, lengths = _bidiagonal(sides, [pair for _, pair in chunk], steps, random, tick)
        for (index, pair), of_all, of_few in zip(chunk, squares, lengths, strict=True):
            ranks = (sides[pair.inner].rank, sides[pair.outer].rank)
            share = ranks[0] / mean.over(ranks)
            found[index] = share * _interval(of_all, of_few, mean.squared, ranks[0], z)
    return found


def _chunks(
    sides: Sequence[Whitened], pairs: list[tuple[int, Pair]], memory: int
) -> Iterator[list[tuple[int, Pair]]]:
    """Pairs in runs whose products fit in memory together."""
    sizes = [8 * (PARTS + 4) * pair.vectors * sides[pair.outer].layer.units for _, pair in pairs]
    return (pairs[run.start : run.stop] for run in products.groups(sizes, memory))


def _interval(squares: Matrix, lengths: Matrix, squared: bool, rank: int, z: float) -> Matrix:
    """Mean over the spectrum, lower and upper end.

    `squares` are |W'v|² of all vectors, (vectors,), and `lengths` the entries of the bidiagonal
    matrices of the few, (few, steps).
    """
    few, steps = lengths.shape
    jacobi = np.zeros((few, steps + 1, steps + 1))  # of [0 W; W' 0], its nodes are ± the values
    for step in range(steps):
        jacobi[:, step, step + 1] = jacobi[:, step + 1, step] = lengths[:, step]

    def moment(power: int, size: int) -> float:
        """Mean over the spectrum of a power of the singular values, from `size` nodes."""
        nodes, vectors = np.linalg.eigh(jacobi[:, :size, :size])
        return float((vectors[:, 0] ** 2 * abs(nodes) ** power).sum(axis=-1).mean())

    square, fourth = moment(2, steps + 1), moment(4, steps + 1)
    among_squares = max(fourth - square**2, 0.0)
    if squared:
        value, slope, remaining, bias = square, 1.0, 0.0, 0.0
    else:
        # One more node, at 0, turns a Gauss quadrature, which is too high for a square root,
        # into a Gauss-Radau quadrature, which is too low; each by about what it last changed.
        above, below = moment(1, steps), moment(1, steps + 1)
        fall, rise = moment(1, steps - 2) - above, below - moment(1, steps - 1)
        share = rise / (rise + LAG * fall) if rise > 0.0 and fall > 0.0 else 0.5
        value, bias = below + share * (above - below), DOUBT * (above - below)
        together = moment(3, steps + 1) - value * square
        slope = together / among_squares if among_squares > ROUNDING**2 else 0.0
        remaining = max(square - value**2 - slope * together, 0.0)
    value += slope * float(squares.mean() - squares[:few].mean())
    variance = remaining / few + slope**2 * among_squares / len(squares)
    error = MARGIN * z * np.sqrt(2.0 / (rank + 2) * variance) + bias + ROUNDING
    return np.array([value, value - error, value + error])


def _bidiagonal(
    sides: Sequence[Whitened],
    pairs: Sequence[Pair],
    steps: int,
    random: np.random.Generator,
    tick: Callable[[float], None],
) -> tuple[list[Matrix], list[Matrix]]:
    """For each pair |W'v|² of all its vectors, and of the few the entries of the bidiagonal
    matrices, (few, steps)."""
    starts = {}  # which all pairs of a layer share: its activity is wanted once
    for pair in pairs:
        if pair.inner not in starts:
            start = random.standard_normal((sides[pair.inner].rank, pair.vectors))
            starts[pair.inner] = start / np.linalg.norm(start, axis=0)
    now = [starts[pair.inner] for pair in pairs]
    last = [np.zeros((sides[pair.outer].rank, pair.few)) for pair in pairs]
    length = [np.zeros(pair.few) for pair in pairs]
    hops = [(pair.inner, pair.outer) for pair in pairs]
    squares: list[Matrix] = []
    lengths = [np.zeros((pair.few, steps)) for pair in pairs]
    for step in range(steps):
        product = _cross_products(sides, hops, now, step == 0)
        if step == 0:
            squares = [np.square(vectors).sum(axis=0) for vectors in product]
        for index, pair in enumerate(pairs):
            vectors = product[index][:, : pair.few] - length[index] * last[index]
            norm = np.linalg.norm(vectors, axis=0)
            norm = np.where(norm < 1e-6, 0.0, norm)  # rounding: W reaches nothing else
            vectors *= np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0.0)
            last[index], now[index] = now[index][:, : pair.few], vectors
            length[index] = lengths[index][:, step] = norm
        hops = [(second, first) for first, second in hops]
        tick(float(len(pairs)) / steps)
    return squares, lengths


def _cross_products(
    sides: Sequence[Whitened],
    hops: Sequence[tuple[int, int]],
    vectors: Sequence[Array],
    shared: bool,
) -> list[Array]:
    """`W' v` with W between the variates of the first and the second side of each hop.

    `shared` tells that hops from the same side have the same vectors.
    For the vectors of all hops at the same time, and by few rows, which are still in the
    processor's cache when they are read for the second time.
    """
    sources, targets = _by(0, hops), _by(1, hops)
    columns: dict[int, npt.NDArray[np.intp]] = {}  # of the activity, by hop
    end = 0
    for _, members in sources:
        for index in members:
            known = shared and index != members[0]
            own = np.arange(end, end + vectors[index].shape[1])
            columns[index] = columns[members[0]] if known else own
            end += 0 if known else len(own)

    # Nothing here leaves a product to BLAS's own threads, which would go on to wait for more
    # for some time, and so be in the way of these.
    def direction(source: tuple[int, list[int]]) -> tuple[Array, Array, slice]:
        rows, white = sides[source[0]].rows, sides[source[0]].white
        members = source[1][:1] if shared else source[1]
        together = np.hstack([vectors[index] for index in members]).astype(rows.dtype)
        own = slice(columns[members[0]][0], columns[members[-1]][-1] + 1)
        return rows, white.directions(together), own

    directions = spread(direction, sources)
    gathered = [
        (sides[side].rows, np.concatenate([columns[index] for index in members]))
        for side, members in targets
    ]
    dtype = np.result_type(*{rows.dtype for rows, _ in gathered})

    def of_rows(part: slice) -> list[Array]:
        sums = [np.zeros((len(taken), rows.shape[1]), rows.dtype) for rows, taken in gathered]
        for inside in row_blocks(part.stop - part.start, ROWS_IN_CACHE):
            block = slice(part.start + inside.start, part.start + inside.stop)
            activity = np.empty((end, block.stop - block.start), dtype)
            for rows, towards, own in directions:
                np.matmul(towards.T, rows[block].T, out=activity[own])
            for total, (rows, taken) in zip(sums, gathered, strict=True):
                total += activity[taken].astype(rows.dtype, copy=False) @ rows[block]
        return sums

    count = len(sides[0].rows)
    parts = spread(of_rows, list(row_blocks(count, -(-count // PARTS))))

    def variates(end: int) -> Array:
        total = sum((part[end] for part in parts[1:]), parts[0][end].astype(np.float64))
        own = sides[targets[end][0]]
        return own.white.variates((total.T / count).astype(own.rows.dtype))

    product: list[Array] = [np.empty(0)] * len(hops)
    moments = spread(variates, range(len(targets)))
    for (side, members), together in zip(targets, moments, strict=True):
        white = sides[side].white
        ends = np.cumsum([vectors[index].shape[1] for index in members])[:-1]
        for index, own in zip(members, np.split(together, ends, axis=1), strict=True):
            product[index] = own.astype(np.float64)
            left, right = sides[hops[index][0]].white.constant, white.constant
            if left is not None and right is not None:
                product[index] += np.outer(right, left @ vectors[index])
    return product


def _by(end: int, hops: Sequence[tuple[int, int]]) -> list[tuple[int, list[int]]]:
    """(side, indices of the hops that have it at this end)."""
    members: dict[int, list[int]] = {}
    for index, hop in enumerate(hops):
        members.setdefault(hop[end], []).append(index)
    return list(members.items())
