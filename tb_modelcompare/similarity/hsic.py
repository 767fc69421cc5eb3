"""HSIC with linear kernels of all pairs of layers, and how much of it rounding leaves.

The unbiased estimator leaves out what each row has with itself. The usual sums hold it, and it
is taken off at the end: the fast way, and an exact one as long as something remains. Where one
row is far longer than all others, its product with itself is nearly all there is. There the
inner products of each row with itself are never added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer, Matrix, about_median
from tb_modelcompare.similarity.moments import energy_of, squared_norm
from tb_modelcompare.similarity.panels import multiply_adds, panels
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.threads import spread

LEAST_REMAINING = {np.dtype(np.float32): 0.05, np.dtype(np.float64): 1e-6}
"""Below this share, what remains of a sum in this type once the bias is taken off is inexact:
rounding is larger by one over it."""

LARGEST_ROW = {np.dtype(np.float32): 0.05, np.dtype(np.float64): 1.0}
"""Above this share of a sum, the product of one row with itself is too large to be taken off:
its rounding error is not one of many that average out."""

Number = TypeVar("Number", float, npt.NDArray[np.float64])


@dataclass(frozen=True, eq=False)
class Hsic:
    """HSIC with linear kernels, up to one factor: of all pairs, and of each layer with itself.

    Attributes
    ----------
    cross : array (len(xs), len(ys))
    own_x, own_y : array (len(xs),), (len(ys),)
    remaining : float
        The smallest share of a layer's own HSIC that is left once the bias is taken off:
        rounding grows by one over it.
    largest_row : float
        The largest share of a layer's own HSIC, with its bias, that is one row with itself.
    """

    cross: Matrix
    own_x: Matrix
    own_y: Matrix
    remaining: float = 1.0
    largest_row: float = 0.0

    def is_exact(self, dtype: npt.DTypeLike) -> bool:
        """Whether sums in this type are good enough for what was taken off them."""
        kind = np.dtype(dtype)
        return self.remaining >= LEAST_REMAINING[kind] and self.largest_row <= LARGEST_ROW[kind]


def require_variation(name: str, rows: int, hsic: float, unbiased: bool) -> None:
    """Refuse a layer whose HSIC with itself is not positive: CKA divides by its root.

    Raises
    ------
    ActivationError
    """
    if not hsic > 0.0:
        raise ActivationError(
            f"{name} has no variation that this measure can compare"
            + (" beyond what unrelated rows give" if unbiased else "")
            + f" on its {rows} rows. Leave it out, or use a probe with more images."
        )


def cka_of(hsic: Hsic, xs: Sequence[Layer], ys: Sequence[Layer], bias: float) -> Matrix:
    """CKA of all pairs; NaN where a layer's own HSIC without its bias is not positive.

    Raises
    ------
    ActivationError
        If a layer does not vary.
    """
    own = [hsic.own_x, hsic.own_y]
    for layers, values in zip((xs, ys), own, strict=True):
        for layer, value in zip(layers, values, strict=True):
            if bias > 0.0 or not layer.varies:
                require_variation(layer.name, layer.rows, float(value), bias < 1.0)
    return ratio_of(hsic)


def ratio_of(hsic: Hsic) -> Matrix:
    """CKA of all pairs; NaN where a layer's own HSIC is not positive."""
    roots = [np.sqrt(np.where(own > 0.0, own, np.nan)) for own in (hsic.own_x, hsic.own_y)]
    return np.asarray(hsic.cross / np.outer(*roots))


def kernel_hsic(bias: float, xs: list[Layer], ys: list[Layer], settings: Settings) -> Hsic:
    """HSIC of every x with every y, by the cheaper of covariances and Gram matrices.

    `bias` is the share of the bias that is kept, see `KernelPlan`. Where too little remains
    without it, all is computed again in float64 from Gram matrices without their diagonals.
    """
    layers = xs if ys is xs else [*xs, *ys]
    dtype = np.dtype(settings.dtype(layers))
    squares, own, energies = _squares_and_energies(xs, ys, dtype, settings)
    if bias == 1.0:
        return Hsic(squares, *own)
    unbiased = unbiased_of(squares, own, energies)
    if settings.precision != "single" and not unbiased.is_exact(dtype):
        unbiased = without_diagonals(xs, ys, settings)
    return with_bias(bias, squares, own, unbiased, xs[0].rows)


def squared_products(
    xs: list[Layer], ys: list[Layer], dtype: npt.DTypeLike, settings: Settings
) -> tuple[Matrix, tuple[Matrix, Matrix]]:
    """`||X'Y||²` of all pairs and of each layer with itself."""
    squares, own, _ = _squares_and_energies(xs, ys, dtype, settings)
    return squares, own


def _squares_and_energies(
    xs: list[Layer], ys: list[Layer], dtype: npt.DTypeLike, settings: Settings
) -> tuple[Matrix, tuple[Matrix, Matrix], tuple[Matrix, Matrix]]:
    """`||X'Y||²` of all pairs and of each layer with itself, and every row's squared length,
    (layers, rows) of each side."""
    layers = xs if ys is xs else [*xs, *ys]
    gram = products.gram_cost(xs, ys)
    covariances = sum(multiply_adds(xs, ys))
    if gram < covariances:
        return products.gram_squares(xs, ys, dtype, settings.memory, settings.tick(gram))
    tick = settings.tick(covariances)
    own = _own_squares(layers, dtype, settings.memory, tick)
    squares = _cross_squares(xs, ys, dtype, settings.memory, tick)
    if ys is xs:
        squares += squares.T + np.diag(own)
    energies = np.stack(spread(lambda layer: energy_of(layer, dtype), layers))
    x, y = slice(len(xs)), slice(-len(ys), None)
    return squares, (own[x], own[y]), (energies[x], energies[y])


def _own_squares(
    layers: Sequence[Layer], dtype: npt.DTypeLike, memory: int, tick: products.Tick
) -> Matrix:
    def of_layer(index: int, covariance: Array) -> float:
        return squared_norm(covariance) * layers[index].rows ** 2

    return np.array(products.with_covariances(of_layer, layers, dtype, memory, tick))


def _cross_squares(
    xs: list[Layer], ys: list[Layer], dtype: npt.DTypeLike, memory: int, tick: products.Tick
) -> Matrix:
    """`||X'Y||²` through covariances; strictly above the diagonal where `ys is xs`."""
    squares = np.zeros((len(xs), len(ys)))

    def of_panel(one: tuple[int, slice, Array]) -> None:
        i, columns, panel = one
        widths = [layer.units for layer in ys[columns]]
        squares[i, columns] = products.block_squares(panel, widths) * xs[0].rows ** 2

    for some in panels(xs, ys, dtype, memory, tick):
        spread(of_panel, some)
    return squares


def unbiased_hsic(
    square: Number, energy_product: Number, totals_product: Number, rows: int
) -> Number:
    """Unbiased HSIC (Song et al. 2012) of linear kernels, times rows (rows - 3), from sums.

    `square` is ||X'Y||² of centred X and Y, `energy_product` the sum over rows of |x|²|y|²,
    `totals_product` that of |x|² times that of |y|². Centring the features first changes
    nothing in the estimator, and leaves only these terms of it.
    """
    return square - rows / (rows - 2) * energy_product + totals_product / ((rows - 1) * (rows - 2))


def unbiased_of(
    squares: Matrix, own: tuple[Matrix, Matrix], energies: tuple[Matrix, Matrix]
) -> Hsic:
    """Take the bias off `||X'Y||²`, given every row's energy, (layers, rows) of each side."""
    rows = energies[0].shape[1]
    totals = [energy.sum(axis=1) for energy in energies]
    new_x, new_y = (
        unbiased_hsic(square, np.square(energy).sum(axis=1), total**2, rows)
        for square, energy, total in zip(own, energies, totals, strict=True)
    )
    cross = unbiased_hsic(
        squares, products.spread_inner_products(*energies), np.outer(*totals), rows
    )
    remaining = min(shares(new_x, own[0], 1.0).min(), shares(new_y, own[1], 1.0).min())
    largest = max(
        shares(np.square(energy).max(axis=1), square, 0.0).max()
        for energy, square in zip(energies, own, strict=True)
    )
    return Hsic(cross, new_x, new_y, float(remaining), float(largest))


def shares(parts: Matrix, wholes: Matrix, of_nothing: float) -> Matrix:
    """Each part over its whole, or this where the whole is 0."""
    out = np.full_like(wholes, of_nothing)
    return np.divide(parts, wholes, out=out, where=wholes > 0.0)


def with_bias(
    bias: float, squares: Matrix, own: tuple[Matrix, Matrix], unbiased: Hsic, rows: int
) -> Hsic:
    """HSIC with this share of its bias, from what all of it and none of it give."""
    if bias == 0.0:
        return unbiased
    factor = (1.0 - bias) * rows / (rows - 3)  # it comes times rows (rows - 3), the other rows²
    return Hsic(
        factor * unbiased.cross + bias * squares,
        factor * unbiased.own_x + bias * own[0],
        factor * unbiased.own_y + bias * own[1],
    )


def off_diagonal_hsic(
    squares: Number, products_of_sums: Number, product_of_totals: Number, rows: int
) -> Number:
    """Unbiased HSIC, times rows (rows - 3), from Gram matrices without their diagonals.

    With `k` and `l` the sums of their rows: `squares` is `<K, L>`, `products_of_sums` `k'l`, and
    `product_of_totals` the sum of k times that of l. Song et al. 2012, eq. 5.
    """
    return (
        squares
        - 2.0 / (rows - 2) * products_of_sums
        + product_of_totals / ((rows - 1) * (rows - 2))
    )


def without_diagonals(xs: list[Layer], ys: list[Layer], settings: Settings) -> Hsic:
    """Unbiased HSIC of every x with every y, in float64, with no bias to take off.

    The same whatever rows are taken from, so it is their median, which a few rows do not move.
    """
    layers = [about_median(layer) for layer in (xs if ys is xs else [*xs, *ys])]
    rows = layers[0].rows
    squares, sums = _off_diagonal_squares(layers, settings)
    totals = sums.sum(axis=1)
    hsic = off_diagonal_hsic(squares, sums @ sums.T, np.outer(totals, totals), rows)
    own = hsic.diagonal()
    return Hsic(hsic[: len(xs), -len(ys) :], own[: len(xs)], own[-len(ys) :])


def _off_diagonal_squares(layers: list[Layer], settings: Settings) -> tuple[Matrix, Matrix]:
    """`<K, L>` of all pairs of Gram matrices whose diagonals are 0, and the sums of their rows,
    (layers, rows). By tiles, half of which are enough."""
    tick = settings.without_progress().tick(1.0)
    squares, sums = np.zeros((len(layers), len(layers))), np.zeros((len(layers), layers[0].rows))
    for (first, second), lines in products.gram_tiles(layers, np.float64, settings.memory, tick):
        height, width = first.stop - first.start, second.stop - second.start
        if second == first:
            lines[:, :: width + 1] = 0.0
        tiles = lines.reshape(-1, height, width)
        times = 1.0 if second == first else 2.0
        squares += times * products.spread_inner_products(lines, lines)
        sums[:, first] += tiles.sum(axis=2)
        if second != first:
            sums[:, second] += tiles.sum(axis=1)
    return squares, sums
