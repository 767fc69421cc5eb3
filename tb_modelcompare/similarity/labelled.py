"""Values of all pairs of layers as a comparison, which says of what layer there is no value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Layer, Matrix
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.registry import Measure

Names = tuple[str, ...]


def names_of(layers: Sequence[Layer]) -> Names:
    return tuple(layer.name for layer in layers)


def labelled(
    measure: Measure, values: Matrix, rows: Names, columns: Names, notes: Names = ()
) -> Comparison:
    """A comparison, with a note on layers of a debiased measure of which nothing is left.

    Raises
    ------
    ActivationError
        If a measure that always has a value has none, or if no pair has one.
    """
    finite = np.isfinite(values)
    if not (finite.any() if measure.debiased else finite.all()):
        raise ActivationError(
            f"{measure.title} has no finite value for these layers. "
            + (
                f"{without_value([*rows, *columns])} Leave these layers out, or use a probe with "
                "more images."
                if measure.debiased
                else ""
            )
        )
    without = [
        name
        for names, lines in ((rows, values), (columns, values.T))
        for name, line in zip(names, lines, strict=True)
        if np.isnan(line).all()
    ]
    if without:
        notes = (*notes, f"{without_value(without)} Use a probe with more images.")
    return Comparison(values, rows, columns, measure.name, notes, distance=measure.distance)


def without_value(layers: Sequence[str]) -> str:
    return (
        f"No value for {', '.join(dict.fromkeys(layers))}: without the bias of few images, nothing "
        "is left of how these layers arrange them."
    )
