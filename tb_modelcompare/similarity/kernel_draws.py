"""CKA of shuffled and of resampled images, all of them in one pass over the Gram matrices.

A draw changes no inner product of two rows, only which of them meet, or how often they count.
With `w` the times that a row was drawn and `m` their sum, the centred `<K, L>` of a resample is

    Σ w_i w_j K_ij L_ij - 2/m Σ w_i (Kw)_i (Lw)_i + (w'Kw)(w'Lw)/m²,

so that tiles of the Gram matrices are made once for all resamples, and once for each shuffle
of the smaller model alone. To compare each draw anew is to read and multiply everything again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer, Matrix, row_blocks
from tb_modelcompare.similarity.cka import unbiased_hsic
from tb_modelcompare.similarity.moments import squared_norm
from tb_modelcompare.similarity.pairs import LEAST_REMAINING, Hsic, cka_of, with_bias
from tb_modelcompare.similarity.registry import KernelPlan
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.significance import Indices, image_table
from tb_modelcompare.similarity.threads import spread


@dataclass(frozen=True, eq=False)
class Drawn:
    """A measure of all pairs in some draws, each (len(xs), len(ys))."""

    shuffled: list[Matrix]
    resampled: list[Matrix]


def kernel_draws(
    plan: KernelPlan,
    xs: list[Layer],
    ys: list[Layer],
    shuffles: Sequence[Indices],
    resamples: Sequence[Indices],
    settings: Settings,
) -> Drawn:
    """What `xs` with `ys` give when the rows of `ys` come in the order of a shuffle, and when
    the rows of both are those of a resample."""
    if sum(layer.units for layer in xs) > sum(layer.units for layer in ys):
        # What is smaller costs less to move.
        back = [np.argsort(order) for order in shuffles]
        turned = kernel_draws(plan, ys, xs, back, resamples, settings)
        return Drawn([one.T for one in turned.shuffled], [one.T for one in turned.resampled])
    found = _hsic_of_draws(plan.bias, xs, ys, shuffles, resamples, settings)
    if settings.precision == "auto" and min(one.remaining for one in found) < LEAST_REMAINING:
        double = replace(settings, precision="double", progress=None)
        found = _hsic_of_draws(plan.bias, xs, ys, shuffles, resamples, double)
    values = [cka_of(hsic, xs, ys, plan.bias) for hsic in found]
    drawn = Drawn(values[: len(shuffles)], values[len(shuffles) :])
    for one in drawn.resampled if ys is xs else ():
        np.fill_diagonal(one, 1.0)
    return drawn


def mean_of_shuffles(
    plan: KernelPlan, xs: list[Layer], ys: list[Layer], image: Indices, settings: Settings
) -> Matrix:
    """The mean of the measure over all orders of the images of `ys`, exactly, (len(xs), len(ys)).

    Shuffled, an image meets each other equally often: of inner products of rows at positions p
    and q, those within an image meet only such, and those between images such. The layers' own
    norms know no order.

    Raises
    ------
    ActivationError
        If images have different numbers of rows.
    """
    table = image_table(image)
    images, positions = table.shape
    rows = table.size
    layers = xs if ys is xs else [*xs, *ys]
    # Taking the bias off takes digits off.
    dtype = settings.dtype(layers) if plan.bias == 1.0 else np.float64
    tick = settings.tick(sum(float(layer.units) for layer in layers))
    within, between = np.empty((2, len(layers), positions, positions))
    own, squares, totals = np.empty((3, len(layers)))
    for index, layer in enumerate(layers):
        values = layer.centred(slice(0, rows), dtype)
        at = values[table.T]  # (positions, images, units)
        within[index] = products.inner_products(*[at.reshape(positions, -1)] * 2)
        sums = at.sum(axis=1, dtype=np.float64)
        between[index] = sums @ sums.T - within[index]
        own[index] = squared_norm(products.own_covariance(layer, dtype)) * float(rows) ** 2
        energy = np.einsum("ij,ij->i", values, values).astype(np.float64)
        squares[index], totals[index] = energy @ energy, energy.sum()
        tick(float(layer.units))
    x, y = slice(len(xs)), slice(-len(ys), None)
    cross = np.einsum("ipq,jpq->ij", within[x], within[y]) / images
    if images > 1:
        cross += np.einsum("ipq,jpq->ij", between[x], between[y]) / (images * (images - 1))
    if plan.bias < 1.0:
        energies = np.einsum("ipp,jpp->ij", within[x], within[y]) / images
        left = unbiased_hsic(cross, energies, np.outer(totals[x], totals[y]), rows)
        own_left = unbiased_hsic(own, squares, totals**2, rows)
        factor = (1.0 - plan.bias) * rows / (rows - 3)
        cross = factor * left + plan.bias * cross
        own = factor * own_left + plan.bias * own
    return cka_of(Hsic(cross, own[x], own[y]), xs, ys, plan.bias)


def _hsic_of_draws(
    bias: float,
    xs: list[Layer],
    ys: list[Layer],
    shuffles: Sequence[Indices],
    resamples: Sequence[Indices],
    settings: Settings,
) -> list[Hsic]:
    """Of shuffles, then of resamples."""
    layers, split, rows = [*xs, *ys], len(xs), xs[0].rows
    dtype = settings.dtype(layers)
    kept = products.reader(layers, dtype, settings.memory / 2)
    centred = kept or (lambda index, rows: layers[index].centred(rows, dtype))
    moved = [np.argsort(order) for order in shuffles]  # of x against y as it is
    once = np.ones(rows, dtype)
    counts = np.stack([once, *(np.bincount(o, minlength=rows).astype(dtype) for o in resamples)])

    def grams(count: int, first: slice | Indices, second: slice | Indices) -> Array:
        """A tile of the Gram matrices of so many layers, (count, pairs of rows)."""
        return np.stack(
            [(centred(index, first) @ centred(index, second).T).ravel() for index in range(count)]
        )

    def sums(tile: tuple[slice, slice]) -> tuple[Matrix, Matrix, Matrix]:
        """Of a tile, over its pairs of rows: layers of x with layers of y in every draw, all
        layers with themselves in every resample; and the diagonals."""
        first, second = tile
        tiles = grams(len(layers), first, second)
        left, right = tiles[:split], tiles[split:]
        together = (counts[:, first, None] * counts[:, None, second]).reshape(len(counts), -1)
        drawn = [grams(split, order[first], order[second]) for order in moved]
        across = [products.inner_products(one, right) for one in drawn]
        across += [products.inner_products(left * weights, right) for weights in together[1:]]
        within = products.inner_products(together, np.square(tiles))
        return np.stack(across), within, tiles[:, :: first.stop - first.start + 1]

    crosses = np.zeros((len(shuffles) + len(resamples), split, len(ys)))
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
    found = [
        with_bias(
            bias,
            crosses[draw],
            (own[0, :split], own[0, split:]),
            (energy[:split, order], energy[split:]),
        )
        for draw, order in enumerate(moved)
    ]
    towards = [_sums_of_rows(centred(i, slice(0, rows)), counts[1:]) for i in range(len(layers))]
    for draw, order in enumerate(resamples):
        of_rows = np.stack([one[draw] for one in towards])[:, order]
        found.append(
            _centred_on_draw(
                bias, crosses[len(moved) + draw], own[1 + draw], energy[:, order], of_rows
            )
        )
    return found


def _tile_bytes(layers: Sequence[Layer], counts: Array, side: int, dtype: npt.DTypeLike) -> int:
    return (4 * len(layers) + len(counts)) * side * side * np.dtype(dtype).itemsize


def _sums_of_rows(values: Array, counts: Array) -> Matrix:
    """Each row's inner products with the rows that were drawn, summed, (draws, rows)."""
    return np.asarray((counts @ values) @ values.T, np.float64)


def _centred_on_draw(bias: float, cross: Matrix, own: Matrix, energy: Matrix, sums: Matrix) -> Hsic:
    """HSIC of a resample, whose rows are not centred as all rows are.

    `cross` and `own` are sums over pairs of its rows, `energy` and `sums`, (layers, m), what
    each of them has with itself and with all.
    """
    split, m = len(cross), sums.shape[1]
    total = sums.sum(axis=1)
    squares = cross - 2.0 / m * (sums[:split] @ sums[split:].T)
    squares += np.outer(total[:split], total[split:]) / m**2
    own = own - 2.0 / m * np.einsum("ij,ij->i", sums, sums) + np.square(total / m)
    energy = energy - 2.0 / m * sums + (total / m**2)[:, None]
    return with_bias(bias, squares, (own[:split], own[split:]), (energy[:split], energy[split:]))
