"""The values of a measure alone, and those over one position of each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tb_modelcompare.similarity.activations import Matrix
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.inputs import Constant, open_both
from tb_modelcompare.similarity.labelled import Names, labelled, names_of
from tb_modelcompare.similarity.pairs import all_pairs, undefined_layers
from tb_modelcompare.similarity.registry import Measure
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.significance import Indices, Layers, one_position, taken_together


def values_alone(
    a: Layers,
    b: Layers,
    measure: Measure,
    constant: Constant,
    settings: Settings,
    options: Mapping[str, Any],
) -> Comparison:
    """The values alone."""
    plan = measure.planned(options)
    xs, ys, notes = open_both(a, b, constant)
    xs[0].require_rows(plan.least_rows, measure.title)
    values = all_pairs(measure, plan, xs, ys, settings)
    undefined = undefined_layers(plan, values, xs, ys)
    return labelled(measure, values, names_of(xs), names_of(ys), notes, undefined)


@dataclass(frozen=True, eq=False)
class Part:
    """Layers of two models, their values, and the image of each of their rows."""

    a: Layers
    b: Layers
    comparison: Comparison
    image: Indices

    @property
    def names(self) -> tuple[Names, Names]:
        """Of the layers of both."""
        return self.comparison.rows, self.comparison.columns


def of_one_position(
    whole: Part, measure: Measure, options: Mapping[str, Any], seed: int, settings: Settings
) -> Part:
    """One row of each image, of the layers that vary on these."""
    rows = one_position(whole.image, seed)
    a, b = taken_together(whole.a, whole.b, rows)
    found = values_alone(a, b, measure, "drop", settings, options)
    left = {name: a[name] for name in found.rows}
    right = left if b is a else {name: b[name] for name in found.columns}
    return Part(left, right, found, np.arange(len(rows)))


def where_known(values: Matrix, known: tuple[Names, Names], whole: tuple[Names, Names]) -> Matrix:
    """The values of some layers in the matrix of all, which has none of the others."""
    if known == whole:
        return values
    at = [[every.index(name) for name in some] for some, every in zip(known, whole, strict=True)]
    found = np.full([len(every) for every in whole], np.nan)
    found[np.ix_(*at)] = values
    return found
