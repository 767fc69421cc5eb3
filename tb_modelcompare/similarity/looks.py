"""A first look at few rows, refined in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity.engine import Comparison, compare
from tb_modelcompare.similarity.regression import image_indices
from tb_modelcompare.similarity.significance import Layers, rows_by_image, taken_together


@dataclass(frozen=True, eq=False)
class Estimate:
    """A comparison on `rows` rows of randomly drawn images; `exact` when these are all."""

    comparison: Comparison
    rows: int
    exact: bool


def refine(
    a: Layers,
    b: Layers,
    measure: str = "linear_cka",
    *,
    groups: npt.ArrayLike | None = None,
    first: int = 256,
    growth: int = 4,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> Iterator[Estimate]:
    """A first look at few rows, then ever more, at last all of them.

    Yields an `Estimate` for about `first` rows of randomly drawn whole images, then for
    `growth` times as many, and so on; the last one is exact, and is what `compare` gives.
    Each sample contains the one before.
    """
    rows = len(next(iter(a.values())))
    image = image_indices(groups, rows)
    by_image = rows_by_image(image)
    drawn = [by_image[index] for index in np.random.default_rng(seed).permutation(len(by_image))]
    ends = np.cumsum([len(one) for one in drawn])
    wanted = first
    while wanted * 2 <= rows:
        order = np.sort(np.concatenate(drawn[: int(np.searchsorted(ends, wanted)) + 1]))
        left, right = taken_together(a, b, order)
        of_rows = None if groups is None else image[order]
        looked = compare(left, right, measure, groups=of_rows, cancelled=cancelled, **options)
        note = f"A first look at {len(order)} of {rows} rows."
        yield Estimate(replace(looked, warnings=(*looked.warnings, note)), len(order), False)
        wanted *= growth
    exact = compare(a, b, measure, groups=groups, progress=progress, cancelled=cancelled, **options)
    yield Estimate(exact, rows, True)
