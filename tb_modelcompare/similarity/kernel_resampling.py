"""CKA of permuted and of resampled images, all of them in one pass over the Gram matrices.

Resampling changes no inner product of two rows, only which of them meet, or how often they count.
With `w` the times that a row was taken and `m` their sum, the centred `<K, L>` of a resample is

    Σ w_i w_j K_ij L_ij - 2/m Σ w_i (Kw)_i (Lw)_i + (w'Kw)(w'Lw)/m²,

and the unbiased estimator is made of the same sums without what a row has with itself, so that
tiles of the Gram matrices are made once for all resamples, and once for each permutation of the
smaller model alone. To compare each of them anew is to read and multiply everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer, Matrix, about_median, row_blocks
from tb_modelcompare.similarity.hsic import Hsic, cka_of, kernel_hsic, off_diagonal_hsic, shares
from tb_modelcompare.similarity.registry import KernelPlan
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.significance import Indices, tables_of_images
from tb_modelcompare.similarity.threads import spread


@dataclass(frozen=True, eq=False)
class Resampling:
    """A measure of all pairs in some permutations and some resamples, each (len(xs), len(ys))."""

    permuted: list[Matrix]
    resampled: list[Matrix]


def kernel_resampling(
    plan: KernelPlan,
    xs: list[Layer],
    ys: list[Layer],
    permutations: Sequence[Indices],
    resamples: Sequence[Indices],
    settings: Settings,
) -> Resampling:
    """What `xs` with `ys` give when the rows of `ys` come in the order of a permutation, and when
    the rows of both are those of a resample."""
    if sum(layer.units for layer in xs) > sum(layer.units for layer in ys):
        # What is smaller costs less to move.
        back = [np.argsort(order) for order in permutations]
        turned = kernel_resampling(plan, ys, xs, back, resamples, settings)
        return Resampling([one.T for one in turned.permuted], [one.T for one in turned.resampled])
    found = _hsic_of_resampling(plan.bias, xs, ys, permutations, resamples, settings)
    dtype = settings.dtype([*xs, *ys])
    if settings.precision != "single" and not all(one.is_exact(dtype) for one in found):
        double = replace(settings, precision="double").without_progress()
        about_x, about_y = ([about_median(layer) for layer in side] for side in (xs, ys))
        found = _hsic_of_resampling(plan.bias, about_x, about_y, permutations, resamples, double)
    values = [cka_of(hsic, xs, ys, plan.bias) for hsic in found]
    by_kind = Resampling(values[: len(permutations)], values[len(permutations) :])
    for one in by_kind.resampled if ys is xs else ():
        np.fill_diagonal(one, 1.0)
    return by_kind


def mean_of_permutations(
    plan: KernelPlan, xs: list[Layer], ys: list[Layer], image: Indices, settings: Settings
) -> Matrix:
    """The mean of the measure over all orders of the images of `ys`, exactly, (len(xs), len(ys)).

    Permuted, an image meets each other equally often: of inner products of rows at positions p
    and q, those within an image meet only such, and those between images such. The layers' own
    norms know no order. All images have as many rows.
    """
    (table,) = tables_of_images(image)
    images, positions = table.shape
    rows = table.size
    layers = xs if ys is xs else [*xs, *ys]
    # Taking the bias off takes digits off.
    work = settings if plan.bias == 1.0 else replace(settings, precision="double")
    dtype = work.dtype(layers)
    tick = work.tick(sum(float(layer.units) for layer in layers))
    within, between = np.empty((2, len(layers), positions, positions))
    towards, own = np.empty((len(layers), positions)), np.empty(len(layers))
    for index, layer in enumerate(layers):
        about = layer if plan.bias == 1.0 else about_median(layer)
        values = about.centred(slice(0, rows), dtype)
        at = values[table.T]  # (positions, images, units)
        within[index] = products.inner_products(*[at.reshape(positions, -1)] * 2)
        sums = at.sum(axis=1, dtype=np.float64)
        between[index] = sums @ sums.T - within[index]
        towards[index] = sums @ sums.sum(axis=0)
        one = [layer]
        own[index] = kernel_hsic(plan.bias, one, one, work.without_progress()).own_x[0]
        tick(float(layer.units))
    energies = np.einsum("ipp->ip", within).copy()
    np.einsum("ipp->ip", within)[:] = 0.0  # these are rows with themselves
    x, y = slice(len(xs)), slice(-len(ys), None)
    cross: Matrix = np.einsum("ipq,jpq->ij", within[x], within[y]) / images
    if images > 1:
        cross += np.einsum("ipq,jpq->ij", between[x], between[y]) / (images * (images - 1))
    left, right = ((towards[side] - energies[side], energies[side]) for side in (x, y))
    hsic = _hsic_of_sums(
        plan.bias, cross, left, right, rows, lambda one, other: one @ other.T / images, np.outer
    )
    return cka_of(Hsic(hsic, own[x], own[y]), xs, ys, plan.bias)


def _hsic_of_resampling(
    bias: float,
    xs: list[Layer],
    ys: list[Layer],
    permutations: Sequence[Indices],
    resamples: Sequence[Indices],
    settings: Settings,
) -> list[Hsic]:
    """Of permutations, then of resamples."""
    layers, split, rows = [*xs, *ys], len(xs), xs[0].rows
    dtype = settings.dtype(layers)
    kept = products.reader(layers, dtype, settings.memory / 2)
    centred = kept or (lambda index, rows: layers[index].centred(rows, dtype))
    moved = [np.argsort(order) for order in permutations]  # of x against y as it is
    once = np.ones(rows, dtype)
    counts = np.stack([once, *(np.bincount(o, minlength=rows).astype(dtype) for o in resamples)])

    def grams(count: int, first: slice | Indices, second: slice | Indices) -> Array:
        """A tile of the Gram matrices of so many layers, (count, pairs of rows)."""
        return np.stack(
            [(centred(index, first) @ centred(index, second).T).ravel() for index in range(count)]
        )

    def sums(tile: tuple[slice, slice]) -> tuple[Matrix, Matrix, Matrix]:
        """Of a tile, over its pairs of rows, none with itself: layers of x with layers of y in
        every one of them, all layers with themselves in every resample; and the diagonals."""
        first, second = tile
        tiles = grams(len(layers), first, second)
        left, right = tiles[:split], tiles[split:]
        together = (counts[:, first, None] * counts[:, None, second]).reshape(len(counts), -1)
        permuted = [grams(split, order[first], order[second]) for order in moved]
        diagonal = slice(None, None, first.stop - first.start + 1)
        if second == first:
            together[:, diagonal] -= counts[:, first]  # a row that came twice meets its copy
            for one in permuted:
                one[:, diagonal] = 0.0
        across = [products.inner_products(one, right) for one in permuted]
        across += [products.inner_products(left * weights, right) for weights in together[1:]]
        within = products.inner_products(together, np.square(tiles))
        return np.stack(across), within, tiles[:, diagonal]

    crosses = np.zeros((len(permutations) + len(resamples), split, len(ys)))
    own = np.zeros((len(counts), len(layers)))
    energy = np.empty((len(layers), rows))
    side = min(products.TILE, rows)
    while side > 32 and _tile_bytes(layers, counts, side, dtype) > settings.memory / 8:
        side //= 2
    blocks = list(row_blocks(rows, side))
    tick = settings.tick(len(blocks) * (len(blocks) + 1) / 2)
    for i, first in enumerate(blocks):
        tiles = [(first, second) for second in blocks[i:]]
        for (_, second), (across, within, diagonals) in zip(
            tiles, spread(sums, tiles, lambda tile: tick(1.0)), strict=True
        ):
            twice = 1.0 if second == first else 2.0  # Gram matrices are symmetric
            crosses += twice * across
            own += twice * within
            if second == first:
                energy[:, first] = diagonals
    # Of every layer, each row's inner products with the other rows that were taken, summed.
    towards = np.stack(
        spread(lambda i: _sums_of_rows(centred(i, slice(0, rows)), counts), range(len(layers))),
        axis=1,
    )
    towards -= energy
    taken = [(0, order, np.arange(rows)) for order in moved]
    taken += [(which, order, order) for which, order in enumerate(resamples, 1)]
    found = []
    for cross, (which, of_x, of_y) in zip(crosses, taken, strict=True):
        of_rows, norms = towards[which], own[which]
        x, y = slice(split), slice(split, None)
        left = of_rows[x][:, of_x], energy[x][:, of_x]
        right = of_rows[y][:, of_y], energy[y][:, of_y]
        found.append(_hsic_of_rows(bias, cross, (norms[x], norms[y]), left, right))
    return found


def _tile_bytes(layers: Sequence[Layer], counts: Array, side: int, dtype: npt.DTypeLike) -> int:
    return (4 * len(layers) + len(counts)) * side * side * np.dtype(dtype).itemsize


def _sums_of_rows(values: Array, counts: Array) -> Matrix:
    """Each row's inner products with the rows that were taken, summed, (resamples, rows)."""
    return np.asarray((counts @ values) @ values.T, np.float64)


Sums = tuple[Matrix, Matrix]
"""Of one side's layers, for each row, (layers, rows): its inner products with all other rows,
summed, and its squared length."""


def _hsic_of_rows(bias: float, cross: Matrix, own: tuple[Matrix, Matrix], x: Sums, y: Sums) -> Hsic:
    """HSIC of a resample, whose rows need not be centred.

    `cross` and `own` are sums over pairs of different rows.
    """
    rows = x[0].shape[1]
    norms: list[Matrix] = []
    remaining, largest = 1.0, 0.0
    for squares, side in zip(own, (x, y), strict=True):
        norm = _hsic_of_sums(bias, squares, side, side, rows, _row_by_row, np.multiply)
        norms.append(norm)
        diagonal = np.square(side[1])
        whole = squares + diagonal.sum(axis=1)
        remaining = min(remaining, float(shares(norm, whole, 1.0).min()))
        if bias < 1.0:
            largest = max(largest, float(shares(diagonal.max(axis=1), whole, 0.0).max()))
    hsic = _hsic_of_sums(bias, cross, x, y, rows, lambda one, other: one @ other.T, np.outer)
    return Hsic(hsic, norms[0], norms[1], remaining, largest)


def _row_by_row(a: Matrix, b: Matrix) -> Matrix:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _hsic_of_sums(
    bias: float,
    squares: Matrix,
    x: Sums,
    y: Sums,
    rows: int,
    product: Callable[[Matrix, Matrix], Matrix],
    outer: Callable[[Any, Any], Any],
) -> Matrix:
    """HSIC with this share of its bias, from `<K, L>` without the diagonals of K and L.

    `product` and `outer` multiply what x has with what y has, over rows and as numbers.
    """
    (sums_x, energy_x), (sums_y, energy_y) = x, y
    unbiased = biased = np.zeros_like(squares)
    if bias < 1.0:
        totals = outer(sums_x.sum(axis=1), sums_y.sum(axis=1))
        unbiased = off_diagonal_hsic(squares, product(sums_x, sums_y), totals, rows)
    if bias > 0.0:
        sums_x, sums_y = sums_x + energy_x, sums_y + energy_y
        totals = outer(sums_x.sum(axis=1), sums_y.sum(axis=1))
        biased = squares + product(energy_x, energy_y)
        biased = biased - 2.0 / rows * product(sums_x, sums_y) + totals / rows**2
    factor = 1.0 if bias == 0.0 else (1.0 - bias) * rows / max(rows - 3, 1)
    return factor * unbiased + bias * biased
