"""Means of singular values from a few random vectors: a first look without any large product.

Whitened correlation, CCA and SVCCA are means of singular values of a whitened cross-covariance
W, which takes a product of all units with all units over all rows, and then a decomposition
for every pair. For a random vector v of length one, v' f(WW') v has the mean of f over the
eigenvalues of WW' as its expectation, and a known variance; Lanczos' method gets it from a few
products of W with a vector, that is of activations with a vector. All rows take part, so
nothing is biased as it would be on a sample of rows.

Golub and Meurant 2010, Matrices, Moments and Quadrature; Ubaru, Chen and Saad 2017, Fast
estimation of tr(f(A)) via stochastic Lanczos quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer, Matrix
from tb_modelcompare.similarity.cca import SpectralMean, WhiteLayer
from tb_modelcompare.similarity.moments import Cross
from tb_modelcompare.similarity.threads import spread

STEPS = 6
"""Products with WW' for each vector. A mean of square roots over eigenvalues that go down to 0
is then good to a few thousandths, which is estimated, taken off, and part of the interval."""

SAMPLES = 1024
"""Units times vectors of a pair: spread s of its singular values gives an error of
s * sqrt(2 / SAMPLES)."""

ROUNDING = 1e-4
"""What float32 products may add to any of it, here and in the exact values."""


@dataclass(frozen=True, eq=False)
class Whitened:
    """A layer, its whitening, and all its rows, centred."""

    layer: Layer
    white: WhiteLayer
    rows: Array

    @property
    def rank(self) -> int:
        return int(self.white.matrix.shape[0])

    def activity(self, coefficients: Array) -> Array:
        """Combinations of the variates, (rank, k), on every row, (rows, k)."""
        values = self.rows
        directions = self.white.directions(coefficients.astype(values.dtype, copy=False))
        return np.asarray(values @ directions.astype(values.dtype, copy=False))

    def moments(self, activity: Array) -> Array:
        """Moments of the variates with some activity on every row, (rank, k)."""
        values = self.rows
        return self.white.variates(
            values.T @ activity.astype(values.dtype, copy=False) / len(values)
        )


@dataclass(frozen=True)
class Pair:
    """Indices of the layer whose rank is the smaller, and of the other; vectors for them."""

    inner: int
    outer: int
    vectors: int


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
    rough: list[tuple[int, Pair]] = []
    direct: list[int] = []
    for index, (x, y) in enumerate(pairs):
        inner, outer = (x, y) if sides[x].rank <= sides[y].rank else (y, x)
        vectors = -(-SAMPLES // sides[inner].rank)
        widths = [sides[side].layer.units for side in (inner, outer)]
        if widths[0] * widths[1] < 2 * STEPS * vectors * sum(widths):
            direct.append(index)
        else:
            rough.append((index, Pair(inner, outer, vectors)))

    def combine(index: int) -> float:
        x, y = (sides[side] for side in pairs[index])
        return mean(x.white, y.white, Cross(x.rows.T @ y.rows / len(x.rows)))

    exact = spread(combine, direct, lambda index: tick(1.0))
    found[direct] = np.array(exact)[:, None] + (0.0, -ROUNDING, ROUNDING)
    for chunk in _chunks(rough, memory / (16 * sides[0].layer.rows)):
        nodes, weights = _lanczos(sides, [pair for _, pair in chunk], random, tick)
        edges = np.cumsum([0] + [pair.vectors for _, pair in chunk])
        for at, (index, pair) in enumerate(chunk):
            own = slice(edges[at], edges[at + 1])
            ranks = (sides[pair.inner].rank, sides[pair.outer].rank)
            share = ranks[0] / mean.over(ranks)
            found[index] = share * _interval(nodes[:, own], weights[:, own], mean, ranks[0], z)
            tick(1.0)
    return found


def _chunks(pairs: list[tuple[int, Pair]], vectors: float) -> Iterator[list[tuple[int, Pair]]]:
    """Pairs in runs of about so many vectors together."""
    sizes = [pair.vectors for _, pair in pairs]
    return (pairs[run.start : run.stop] for run in products.groups(sizes, int(vectors)))


def _interval(nodes: Matrix, weights: Matrix, mean: SpectralMean, rank: int, z: float) -> Matrix:
    """Mean over the spectrum, lower and upper end, from the quadratures of each vector.

    `nodes` are eigenvalues of WW', (2, vectors, STEPS): after one step less, and after all.
    """
    values = nodes if mean.squared else np.sqrt(np.maximum(nodes, 0.0))
    before, after = (weights * values).sum(axis=-1).mean(axis=-1)
    square = float((weights[1] * np.square(values[1])).sum(axis=-1).mean())
    # Gauss quadrature of a square root is too high, by about 1 / steps² of something.
    excess = max(float(before - after), 0.0) * (STEPS - 1) ** 2 / (2 * STEPS - 1)
    value = float(after) - excess
    error = z * np.sqrt(2.0 / (rank + 2) * max(square - value**2, 0.0) / weights.shape[1])
    error += excess + ROUNDING
    return np.array([value, value - error, value + error])


def _lanczos(
    sides: Sequence[Whitened],
    pairs: Sequence[Pair],
    random: np.random.Generator,
    tick: Callable[[float], None],
) -> tuple[Matrix, Matrix]:
    """Nodes and weights of the Gauss quadratures of all vectors of all pairs, (2, vectors,
    STEPS): of one step less, filled up with zeros, and of all."""
    now = []
    for pair in pairs:
        start = random.standard_normal((sides[pair.inner].rank, pair.vectors))
        now.append(start / np.linalg.norm(start, axis=0))
    last = [np.zeros_like(vectors) for vectors in now]
    diagonal, beside = [], [np.zeros(sum(pair.vectors for pair in pairs))]
    edges = np.cumsum([0] + [pair.vectors for pair in pairs])
    for _ in range(STEPS):
        product = _gram_products(sides, pairs, now)
        along = np.concatenate([np.vecdot(u.T, v.T) for u, v in zip(product, now, strict=True)])
        for index, vectors in enumerate(product):
            own = slice(edges[index], edges[index + 1])
            vectors -= now[index] * along[own] + last[index] * beside[-1][own]
        length = np.concatenate([np.linalg.norm(vectors, axis=0) for vectors in product])
        length = np.where(length < 1e-6, 0.0, length)  # rounding: W reaches nothing else
        last, now = now, product
        inverse = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0.0)
        for index, vectors in enumerate(now):
            vectors *= inverse[edges[index] : edges[index + 1]]
        diagonal.append(along)
        beside.append(length)
        tick(float(len(pairs)) / STEPS)
    tridiagonal = np.zeros((len(diagonal[0]), STEPS, STEPS))
    for step in range(STEPS):
        tridiagonal[:, step, step] = diagonal[step]
        if step:
            tridiagonal[:, step, step - 1] = tridiagonal[:, step - 1, step] = beside[step]
    nodes = np.zeros((2, len(tridiagonal), STEPS))
    weights = np.zeros_like(nodes)
    for row, steps in ((0, STEPS - 1), (1, STEPS)):
        values, directions = np.linalg.eigh(tridiagonal[:, :steps, :steps])
        nodes[row, :, :steps], weights[row, :, :steps] = values, directions[:, 0, :] ** 2
    return nodes, weights


def _gram_products(
    sides: Sequence[Whitened], pairs: Sequence[Pair], vectors: Sequence[Array]
) -> list[Array]:
    """`W W' v` of every pair, W between the variates of `inner` and `outer`."""
    there = _cross_products(sides, [(p.inner, p.outer) for p in pairs], vectors)
    return _cross_products(sides, [(p.outer, p.inner) for p in pairs], there)


def _cross_products(
    sides: Sequence[Whitened], pairs: Sequence[tuple[int, int]], vectors: Sequence[Array]
) -> list[Array]:
    """`W' v` with W between the variates of the first and the second of each pair.

    Each layer is read twice, for the vectors of all its pairs at the same time.
    """
    activity: dict[int, Array] = {}
    for side, members in _by(0, pairs):
        together = sides[side].activity(np.hstack([vectors[index] for index in members]))
        activity |= _parted(together, members, vectors)
    product: dict[int, Array] = {}
    for side, members in _by(1, pairs):
        together = sides[side].moments(np.hstack([activity.pop(index) for index in members]))
        product |= _parted(together, members, vectors)
    for index, (first, second) in enumerate(pairs):
        left, right = sides[first].white.constant, sides[second].white.constant
        if left is not None and right is not None:
            product[index] += np.outer(right, left @ vectors[index])
    return [product[index].astype(np.float64) for index in range(len(pairs))]


def _by(place: int, pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    """(side, indices of the pairs that have it in this place)."""
    members: dict[int, list[int]] = {}
    for index, pair in enumerate(pairs):
        members.setdefault(pair[place], []).append(index)
    return iter(members.items())


def _parted(together: Array, members: Sequence[int], vectors: Sequence[Array]) -> dict[int, Array]:
    ends = np.cumsum([vectors[index].shape[1] for index in members])[:-1]
    return dict(zip(members, np.split(together, ends, axis=1), strict=True))
