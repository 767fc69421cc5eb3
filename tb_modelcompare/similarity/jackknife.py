"""Intervals of the value of the population, for debiased measures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Layer, Matrix, open_layer
from tb_modelcompare.similarity.block_sums import BlockSums, falling
from tb_modelcompare.similarity.hsic import LARGEST_ROW, cka_of
from tb_modelcompare.similarity.images import Images, Indices
from tb_modelcompare.similarity.moments import energy_of
from tb_modelcompare.similarity.pairs import vectors_in_memory
from tb_modelcompare.similarity.registry import VectorPlan
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.significance import BLOCKS, Layers, half_interval

SEED = 0


def jackknife_interval(
    a: Layers, b: Layers, values: Matrix, image: Indices, level: float, settings: Settings
) -> tuple[Matrix, Matrix]:
    """Ends of an interval of debiased linear CKA for all pairs, within [-1, 1].

    Images are split at random into B = 20 blocks. With the values θ_b without each block,

        θ ± t(B - 1) sqrt(V - Q),    V = (B - 1) / B Σ (θ_b - mean θ_b)²,

    where V counts twice what pairs of images add to the variance, and Q subtracts it once (Efron
    and Stein 1981) where layers can be unrelated, as `half_interval` says.

    Where nothing is left of a layer without some block, its interval is [-1, 1].

    References
    ----------
    Efron and Stein 1981, The jackknife estimate of variance.
    """
    images = Images.of(image, SEED)
    blocks = min(BLOCKS, images.count // 2)
    xs = [open_layer(layer, name) for name, layer in a.items()]
    ys = xs if b is a else [open_layer(layer, name) for name, layer in b.items()]
    sums = BlockSums.of(xs, ys, images, blocks, _dtype([*xs, *ys], settings), settings)
    left_out = np.stack([cka_of(sums.hsic(block), xs, ys, 0.0) for block in range(blocks)])
    squares = np.square(left_out - left_out.mean(axis=0)).sum(axis=0)
    variance = squares * (blocks - 1) / blocks
    of_pairs = _variance_of_pairs(_by_pairs_of_blocks(sums))
    half = half_interval(values, variance, of_pairs, blocks - 1, level)
    half = np.where(np.isfinite(half), half, 2.0)
    if ys is xs:
        np.fill_diagonal(half, 0.0)
    return np.maximum(values - half, -1.0), np.minimum(values + half, 1.0)


def _by_pairs_of_blocks(sums: BlockSums) -> Matrix:
    """What each pair of blocks adds to the value, (blocks, blocks, layers of x, layers of y).

    To first order a ratio N / sqrt(D E) moves by dN / sqrt(D E) - N / sqrt(D E) (dD/D + dE/E) / 2.
    """
    whole, split = sums.hsic(), sums.split
    cross, own = sums.between, sums.own_between
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.outer(whole.own_x, whole.own_y))
        of_x = own[:, :, :split] / whole.own_x
        of_y = own[:, :, -sums.columns :] / whole.own_y
        moved = of_x[..., :, None] + of_y[..., None, :]
        part = cross / root - whole.cross / root * moved / 2.0
    return np.asarray(part / falling(sums.images[-1])[0])


def _variance_of_pairs(between: Matrix) -> Matrix:
    """Variance of a sum over pairs of blocks that single blocks do not explain, for all pairs of
    layers. The parts of single blocks are subtracted from the sums by pairs of blocks, and what
    is left is squared."""
    blocks = len(between)
    if blocks < 4:
        return np.zeros(between.shape[2:])
    upper = np.triu(np.ones((blocks, blocks)), 1)[:, :, None, None]
    table = between * upper
    table = table + table.swapaxes(0, 1)
    rows = table.sum(axis=0)
    table -= (rows[:, None] + rows[None]) / (blocks - 2)
    table += rows.sum(axis=0) / ((blocks - 1) * (blocks - 2))
    freedom = blocks / (blocks - 3)  # of what is left, and of pairs within one block
    return np.asarray(freedom * (np.square(table) * upper).sum(axis=(0, 1)))


def variance_of_image_pairs(
    plan: VectorPlan, a: Layers, b: Layers, image: Indices, blocks: int, settings: Settings
) -> Matrix:
    """What pairs of images add to the variance of a debiased measure, (layers of a, of b).

    The measure is a sum over pairs of rows of different images, so that each pair of blocks has a
    part of it, as `_by_pairs_of_blocks` has of linear CKA.
    """
    assert plan.images_of_pairs is not None
    xs = [open_layer(layer, name) for name, layer in a.items()]
    ys = xs if b is a else [open_layer(layer, name) for name, layer in b.items()]
    count = int(image.max()) + 1
    block = np.random.default_rng(SEED).permutation(count) * blocks // count
    first, second = (block[one] for one in plan.images_of_pairs(len(image)))
    code = np.minimum(first, second) * blocks + np.maximum(first, second)
    order = np.argsort(code, kind="stable")
    codes, starts = np.unique(code[order], return_index=True)
    found = np.empty((len(xs), len(ys)))
    for rows, columns, left, right in vectors_in_memory(plan, xs, ys, settings):
        table = np.zeros((blocks, blocks, len(left), len(right)))
        value = products.cosines(left, right)
        for which, some in zip(codes, np.split(order, starts[1:]), strict=True):
            x, y = (side[:, some].astype(np.float64, copy=False) for side in (left, right))
            of_x, of_y = (np.einsum("ij,ij->i", one, one) for one in (x, y))
            moved = of_x[:, None] + of_y
            table[divmod(int(which), blocks)] = x @ y.T - value * moved / 2.0
        found[rows, columns] = _variance_of_pairs(table)
        if b is a:
            found[columns, rows] = found[rows, columns].T
    return found


def _dtype(layers: list[Layer], settings: Settings) -> npt.DTypeLike:
    """Float64 where a row is so long that float32 would not hold the others."""
    dtype = np.dtype(settings.dtype(layers))
    if settings.precision == "auto" and dtype == np.float32:
        for layer in layers:
            energy = energy_of(layer, dtype)
            if energy.max() ** 2 > LARGEST_ROW[dtype] * float(energy @ energy):
                return np.float64
    return dtype
