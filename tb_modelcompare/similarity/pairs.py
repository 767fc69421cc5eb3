"""How each kind of measure gets all pairs of layers, at the least cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import UndefinedLayerError
from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Array, Layer, Matrix
from tb_modelcompare.similarity.hsic import Hsic, cka_of, kernel_hsic
from tb_modelcompare.similarity.hsic_of_images import hsic_of_images
from tb_modelcompare.similarity.moments import Cross, LayerMoments
from tb_modelcompare.similarity.panels import multiply_adds, panels
from tb_modelcompare.similarity.registry import (
    KernelPlan,
    Measure,
    MomentPlan,
    Plan,
    RowPlan,
    VectorPlan,
)
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.threads import spread


def all_pairs(
    measure: Measure, plan: Plan, xs: list[Layer], ys: list[Layer], settings: Settings
) -> Matrix:
    """Values of every x with every y, (len(xs), len(ys)). `ys is xs` halves the work."""
    if isinstance(plan, KernelPlan):
        return _kernel_pairs(plan, xs, ys, settings)
    if isinstance(plan, MomentPlan):
        return moment_pairs(measure, plan, xs, ys, settings)
    if isinstance(plan, VectorPlan):
        return _vector_pairs(plan, xs, ys, settings)
    return _row_pairs(measure, plan, xs, ys, settings)


def _kernel_pairs(plan: KernelPlan, xs: list[Layer], ys: list[Layer], settings: Settings) -> Matrix:
    values = cka_of(hsic_of_plan(plan, xs, ys, settings), xs, ys, plan.bias)
    if ys is xs:
        np.fill_diagonal(values, np.where(np.isfinite(values.diagonal()), 1.0, np.nan))
    return values


def hsic_of_plan(plan: KernelPlan, xs: list[Layer], ys: list[Layer], settings: Settings) -> Hsic:
    """HSIC of all pairs, over pairs of different images where the plan knows them."""
    if plan.images is None or plan.images.are_rows:
        return kernel_hsic(plan.bias, xs, ys, settings)
    return hsic_of_images(xs, ys, plan.images, settings)


def undefined_layers(
    plan: Plan, values: Matrix, xs: list[Layer], ys: list[Layer]
) -> dict[str, str]:
    """Of the layers without a value those for which the measure is not defined, and why."""
    found: dict[str, str] = {}
    if not isinstance(plan, MomentPlan):
        for layers, lines in ((xs, values), (ys, values.T)):
            for layer, line in zip(layers, lines, strict=True):
                if np.isnan(line).all():
                    try:
                        plan.prepare(layer)
                    except UndefinedLayerError as error:
                        found[layer.name] = error.why
    return found


SMALL = 64
"""Layers of at most so many units are combined many at a time, as a call costs more than its work
there; so many pairs fit in the processor's cache."""
MOST_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Layer `row` with one of `columns`, or with several of equally many units, and their
    cross-covariances side by side, to be combined into values."""

    row: int
    columns: Sequence[int]
    covariances: Array

    @property
    def cost(self) -> float:
        units, all_units = self.covariances.shape
        count = len(self.columns)
        return count * float(_combining_cost(units, all_units // count))


def _combining_cost(d1: Any, d2: Any) -> Any:
    """Multiply-adds, about, of whitening from both sides and of singular values."""
    return 2.0 * d1 * d2 * (d1 + d2)


Prepared: TypeAlias = tuple[list[Any], npt.NDArray[np.bool_]]
"""What a measure makes of each layer's own moments, and which of them needed float64."""


def moment_pairs(
    measure: Measure,
    plan: MomentPlan,
    xs: list[Layer],
    ys: list[Layer],
    settings: Settings,
    ready: Prepared | None = None,
) -> Matrix:
    """Values of every x with every y; `ready` is what `prepared` gave, where it is known."""
    layers = xs if ys is xs else [*xs, *ys]
    own, across = multiply_adds(xs, ys)
    widths_x, widths_y = (np.array([layer.units for layer in side]) for side in (xs, ys))
    combining = float(_combining_cost(widths_x[:, None], widths_y).sum())
    if ys is xs:
        among_own = float(_combining_cost(widths_x, widths_x).sum())
        combining = (combining - among_own) / (2.0 if measure.symmetric else 1.0)
    tick = settings.tick(own + across + combining)
    sides, exact = ready or prepared(plan, layers, settings, tick)
    if ready:
        tick(own)
    left, right = sides[: len(xs)], sides[-len(ys) :]
    values = np.empty((len(xs), len(ys)))

    def combine(pairs: _Pairs) -> Any:
        double = exact[pairs.row] or exact[len(layers) - len(ys) + pairs.columns[0]]
        block = pairs.covariances.astype(np.float64 if double else np.float32, copy=False)
        x, some = left[pairs.row], [right[column] for column in pairs.columns]
        if plan.combine_many is not None and len(some) > 1:
            return plan.combine_many(x, some, block)
        return plan.combine(x, some[0], Cross(block))

    for rows, columns in _by_precision(exact[: len(xs)], exact[-len(ys) :], ys is xs):
        some_x = [xs[i] for i in rows]
        some_y = some_x if ys is xs and columns is rows else [ys[j] for j in columns]
        kind = np.float64 if exact[rows[0]] or exact[-len(ys) :][columns[0]] else np.float32
        for some in panels(some_x, some_y, kind, settings.memory, tick):
            pairs = [
                _Pairs(int(rows[i]), [int(columns[j]) for j in which], block)
                for i, among, panel in some
                for which, block in _blocks(panel, some_y, among, plan.combine_many is not None)
            ]
            if ys is xs and not measure.symmetric:
                pairs += [_Pairs(one.columns[0], [one.row], one.covariances.T) for one in pairs]
            combined = spread(combine, pairs, lambda one: tick(one.cost), lambda one: one.cost)
            for one, found in zip(pairs, combined, strict=True):
                values[one.row, one.columns] = found
                if ys is xs and measure.symmetric:
                    values[one.columns, one.row] = found
    if ys is xs and measure.self_value is not None:
        np.fill_diagonal(values, measure.self_value)
    elif ys is xs:
        np.fill_diagonal(values, _with_themselves(plan, xs, left, exact))
    return values


def _with_themselves(
    plan: MomentPlan, layers: Sequence[Layer], sides: Sequence[Any], exact: npt.NDArray[np.bool_]
) -> list[float]:
    """The values of a measure that differ from layer to layer where it meets itself."""

    def value(index: int) -> float:
        dtype = np.float64 if exact[index] else np.float32
        covariance = products.own_covariance(layers[index], dtype).astype(dtype, copy=False)
        return float(plan.combine(sides[index], sides[index], Cross(covariance)))

    return spread(value, range(len(layers)), cost=lambda index: layers[index].units)


def prepared(
    plan: MomentPlan,
    layers: Sequence[Layer],
    settings: Settings,
    tick: products.Tick,
    centred: Sequence[Array] | None = None,
) -> Prepared:
    """What the measure makes of all layers, those of x and then those of y.

    `centred` are all their centred rows, where they are at hand.
    """
    dtype = settings.dtype(layers)
    sides = _prepared(plan, layers, dtype, settings.memory, tick, centred)
    exact = np.full(len(layers), dtype == np.float64)
    if dtype == np.float32 and settings.precision == "auto":
        again = [i for i, side in enumerate(sides) if not plan.single_precision(side)]
        redone = _prepared(plan, [layers[i] for i in again], np.float64, settings.memory, tick)
        for index, side in zip(again, redone, strict=True):
            sides[index], exact[index] = side, True
    return sides, exact


def _prepared(
    plan: MomentPlan,
    layers: Sequence[Layer],
    dtype: npt.DTypeLike,
    memory: int,
    tick: products.Tick,
    centred: Sequence[Array] | None = None,
) -> list[Any]:
    """What the measure makes of each layer's own moments."""

    def prepare(index: int, covariance: Array) -> Any:
        layer = layers[index]
        moments = covariance.astype(dtype, copy=False)
        return plan.prepare(LayerMoments(layer.name, layer.rows, layer.mean, moments))

    return products.with_covariances(prepare, layers, dtype, memory, tick, centred)


def _blocks(
    panel: Array, ys: Sequence[Layer], among: slice, many: bool
) -> Iterator[tuple[Sequence[int], Array]]:
    """Each y's columns of a panel, by the y's index; of small ones of one width many at once."""
    edges = products.starts(ys[among])
    first, stop, _ = among.indices(len(ys))
    at = first
    while at < stop:
        end, units = at + 1, ys[at].units
        if many and max(units, len(panel)) <= SMALL:
            while end < min(stop, at + MOST_AT_ONCE) and ys[end].units == units:
                end += 1
        yield range(at, end), panel[:, edges[at - first] : edges[end - first]]
        at = end


def _by_precision(
    exact_x: npt.NDArray[np.bool_], exact_y: npt.NDArray[np.bool_], same: bool
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Blocks of pairs that share a precision; where both sides are the same, each pair once."""
    in_x = [np.flatnonzero(~exact_x), np.flatnonzero(exact_x)]
    in_y = in_x if same else [np.flatnonzero(~exact_y), np.flatnonzero(exact_y)]
    for a, rows in enumerate(in_x):
        for b, columns in enumerate(in_y):
            if len(rows) and len(columns) and not (same and b < a):
                yield rows, columns


def _vector_pairs(plan: VectorPlan, xs: list[Layer], ys: list[Layer], settings: Settings) -> Matrix:
    """Cosines of one long vector per layer."""
    values = np.empty((len(xs), len(ys)))
    for rows, columns, left, right in vectors_in_memory(plan, xs, ys, settings):
        values[rows, columns] = products.cosines(left, right)
        if ys is xs:
            values[columns, rows] = values[rows, columns].T
    if ys is xs:
        np.fill_diagonal(values, np.where(np.isnan(values.diagonal()), np.nan, 1.0))
    return values


def vectors_in_memory(
    plan: VectorPlan, xs: list[Layer], ys: list[Layer], settings: Settings
) -> Iterator[tuple[slice, slice, Array, Array]]:
    """Vectors of groups of layers that fit in memory, each group of x with each of y: which layers
    they are, and their vectors. `ys is xs` gives each two groups once."""
    dtype = settings.dtype([*xs, *ys])
    size = plan.length(xs[0].rows) * np.dtype(dtype).itemsize
    sizes_x, sizes_y = [size] * len(xs), [size] * len(ys)
    groups_x = products.groups(sizes_x, settings.memory // 2)
    groups_y = groups_x if ys is xs else products.groups(sizes_y, settings.memory // 2)
    visits = [(g, h) for g in groups_x for h in groups_y if ys is not xs or h.start >= g.start]
    tick = settings.tick(float(sum(len(h) for _, h in visits) + len(xs)))

    def vectors(layers: Sequence[Layer]) -> Array:
        block = np.empty((len(layers), plan.length(xs[0].rows)), dtype)
        for target, layer in zip(block, layers, strict=True):
            try:
                target[:] = plan.prepare(layer)
            except UndefinedLayerError:
                target[:] = np.nan
            tick(1.0)
        return block

    left, held = np.empty((0, 0)), None
    for g, h in visits:
        if held != g:
            left, held = vectors(xs[g.start : g.stop]), g
        right = left if ys is xs and h == g else vectors(ys[h.start : h.stop])
        yield slice(g.start, g.stop), slice(h.start, h.stop), left, right


def _row_pairs(
    measure: Measure, plan: RowPlan, xs: list[Layer], ys: list[Layer], settings: Settings
) -> Matrix:
    tick = settings.tick(float(len(xs) + len(ys) + len(xs) * len(ys)))

    def prepare(layer: Layer) -> Any:
        tick(1.0)
        try:
            return plan.prepare(layer)
        except UndefinedLayerError:
            return None

    left = [prepare(layer) for layer in xs]
    right = left if ys is xs else [prepare(layer) for layer in ys]
    values = np.empty((len(xs), len(ys)))
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            if x is None or y is None:
                values[i, j] = np.nan
            elif ys is xs and i == j and measure.self_value is not None:
                values[i, j] = measure.self_value
            elif ys is xs and measure.symmetric and j < i:
                values[i, j] = values[j, i]
            else:
                values[i, j] = plan.combine(x, y)
            tick(1.0)
    return values
