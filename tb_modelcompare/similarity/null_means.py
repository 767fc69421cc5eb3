"""The mean of a measure over permutations of the images, which can be gone on with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity.activations import Layer, Matrix
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.images import image_indices
from tb_modelcompare.similarity.inputs import open_both
from tb_modelcompare.similarity.kernel_resampling import mean_of_permutations
from tb_modelcompare.similarity.labelled import labelled, names_of
from tb_modelcompare.similarity.registry import KernelPlan, Measure
from tb_modelcompare.similarity.resampling import resampling
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.significance import (
    Indices,
    Layers,
    is_over_one_position,
    one_position,
    permutations_of,
    tables_of_images,
    taken_together,
)
from tb_modelcompare.similarity.values import where_known

SEED = 0


def null_means(
    a: Layers,
    b: Layers,
    measure: Measure,
    *,
    groups: npt.ArrayLike | None,
    permutations: int,
    settings: Settings,
    done: Sequence[Matrix] = (),
    keep: Callable[[Matrix], object] = lambda values: None,
) -> tuple[Comparison, int | None]:
    """The mean of a measure when images of the second model are permuted, as a comparison.

    Of linear CKA the mean over all orders, exactly and in no time; of others, and where images
    have different numbers of rows, over so many, whose number is the second of what is returned.
    Layers that do not vary are left out.

    `keep` hears of the values of each permutation as soon as they are known. Those of the first
    permutations, from an earlier call with the same layers, are `done` and are not computed again.
    """
    xs, ys, notes = open_both(a, b, "drop")
    plan = measure.plan()
    xs[0].require_rows(plan.least_rows, measure.title)
    image = image_indices(groups, xs[0].rows)
    of_one_size = len(tables_of_images(image)) == 1
    names = names_of(xs), names_of(ys)
    if isinstance(plan, KernelPlan) and (measure.debiased or of_one_size):
        if measure.debiased:  # its mean over independent images is 0: that is what debiased says
            mean = np.zeros((len(xs), len(ys)))
        else:
            mean = mean_of_permutations(plan, xs, ys, image, settings)
        return labelled(measure, mean, *names, notes), None
    left, right = _of(a, xs), _of(b, ys)
    if ys is xs:
        right = left
    known = names
    if is_over_one_position(image, len(xs) * len(ys)):
        left, right, image = _over_one_position(left, right, image)
        known = tuple(left), tuple(right)
    values = list(done)

    def settings_of(some: int) -> Settings:
        progress, before = settings.progress, len(values)
        if progress is None or not some:
            return settings.without_progress()
        return replace(
            settings, progress=lambda share: progress((before + share * some) / permutations)
        )

    orders = itertools.islice(permutations_of(image, permutations, SEED), len(done), None)
    for some in resampling(measure, {}, left, right, image, orders, iter(()), settings_of):
        for one in some.permuted:
            keep(one)
            values.append(one)
    mean = where_known(np.stack(values).mean(axis=0), known, names)
    found = Comparison(mean, *names, measure.name, notes, distance=measure.distance)
    return found, permutations


def _of(model: Layers, layers: Sequence[Layer]) -> Layers:
    return {layer.name: model[layer.name] for layer in layers}


def _over_one_position(a: Layers, b: Layers, image: Indices) -> tuple[Layers, Layers, Indices]:
    """One row of each image, of the layers that vary on these."""
    rows = one_position(image, SEED)
    a, b = taken_together(a, b, rows)
    xs, ys, _ = open_both(a, b, "drop")
    left = _of(a, xs)
    return left, left if ys is xs else _of(b, ys), np.arange(len(rows))
