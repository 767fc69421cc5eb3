"""A measure of permuted and of resampled images, for each kind of measure at the least cost."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tb_modelcompare.similarity.activations import Array, Layer, Matrix, open_layer
from tb_modelcompare.similarity.kernel_resampling import Resampling, kernel_resampling
from tb_modelcompare.similarity.pairs import Prepared, all_pairs, moment_pairs, prepared
from tb_modelcompare.similarity.registry import KernelPlan, Measure, MomentPlan, Plan
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.significance import Indices, Layers


def resampling(
    measure: Measure,
    options: Mapping[str, Any],
    a: Layers,
    b: Layers,
    image: Indices | None,
    permutations: Iterator[Indices],
    resamples: Iterator[Indices],
    settings: Callable[[int], Settings],
) -> Iterator[Resampling]:
    """The measure of every permutation and resample, some at a time.

    Parameters
    ----------
    image : array (rows,), optional
        Image of each row, for measures that hold images out.
    permutations, resamples
        Orders of the rows of `b`; rows of both.
    settings : callable
        Those of the work on so many of them, which are done afterwards.
    """

    def plan_of(rows: Indices | slice) -> Plan:
        of_images = {} if image is None or not measure.by_image else {"groups": image[rows]}
        return measure.plan(**options, **of_images)

    plan, work = plan_of(slice(None)), settings(0)
    xs = [open_layer(values, name) for name, values in a.items()]
    ys = xs if b is a else [open_layer(values, name) for name, values in b.items()]
    if isinstance(plan, KernelPlan) and (plan.images is None or plan.images.are_rows):
        # Beside tiles, the pass holds a number for each row of each layer and each of them.
        at_once = max(1, work.memory // (64 * xs[0].rows * (len(xs) + len(ys))))
        while True:
            some = (
                list(itertools.islice(permutations, at_once)),
                list(itertools.islice(resamples, at_once)),
            )
            if not any(some):
                return
            yield kernel_resampling(plan, xs, ys, *some, settings(sum(map(len, some))))
    of_moments = None
    if isinstance(plan, MomentPlan) and not isinstance(plan, KernelPlan):
        of_moments = plan, _prepared_twice(plan, xs, ys, work)
    ready = None if of_moments is None else of_moments[1]
    short = _variates(plan, xs, ys, ready, work)

    def permuted(order: Indices) -> Matrix:
        moved = [replace(layer, values=layer.values[order]) for layer in ys]
        if of_moments is not None:  # a layer's own moments know no order
            return moment_pairs(measure, of_moments[0], xs, moved, settings(1), of_moments[1])
        return all_pairs(measure, plan, xs, moved, settings(1))

    def resampled(order: Indices) -> Matrix:
        left = [open_layer(values[order], name) for name, values in short[0].items()]
        right = left if ys is xs else [open_layer(v[order], n) for n, v in short[1].items()]
        left[0].require_rows(plan.least_rows, measure.title)
        return all_pairs(measure, plan_of(order), left, right, settings(1))

    for permutation, resample in itertools.zip_longest(permutations, resamples):
        yield Resampling(
            [] if permutation is None else [permuted(permutation)],
            [] if resample is None else [resampled(resample)],
        )


def _prepared_twice(
    plan: MomentPlan, xs: list[Layer], ys: list[Layer], settings: Settings
) -> Prepared:
    """What the measure makes of the layers of both sides, also where they are the same."""
    tick = replace(settings, progress=None).tick(1.0)
    if ys is not xs:
        return prepared(plan, [*xs, *ys], settings, tick)
    sides, exact = prepared(plan, xs, settings, tick)
    return sides * 2, np.tile(exact, 2)


def _variates(
    plan: Plan,
    xs: list[Layer],
    ys: list[Layer],
    ready: Prepared | None,
    settings: Settings,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Layers to resample rows of.

    Some measures see no linear map of a layer (`MomentPlan.white_rows`). Variates that are white
    on all rows are nearly so on a resample of them, so that float32 and Cholesky are enough there.
    """
    layers = [*xs, *ys]
    values = [np.asarray(layer.values) for layer in layers]
    narrow = settings.dtype(layers)
    fits = sum(one.size for one in values) * np.dtype(narrow).itemsize <= settings.memory // 2
    if ready and fits and isinstance(plan, MomentPlan) and plan.white_rows is not None:
        values = [
            plan.white_rows(layer, side).astype(narrow)
            for layer, side in zip(layers, ready[0], strict=True)
        ]
    named = [(layer.name, rows) for layer, rows in zip(layers, values, strict=True)]
    return dict(named[: len(xs)]), dict(named[len(xs) :])
