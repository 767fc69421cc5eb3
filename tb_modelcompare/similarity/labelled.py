"""Values of all pairs of layers as a comparison, which says of what layer there is no value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Layer, Matrix
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.registry import Measure

Names = tuple[str, ...]
NOTHING_LEFT = (
    "without the bias of few images, nothing is left of how these layers arrange them. Use a probe "
    "with more images."
)


def names_of(layers: Sequence[Layer]) -> Names:
    return tuple(layer.name for layer in layers)


def labelled(
    measure: Measure,
    values: Matrix,
    rows: Names,
    columns: Names,
    notes: Names = (),
    undefined: Mapping[str, str] = MappingProxyType({}),
) -> Comparison:
    """A comparison, with a note on layers that have no value.

    `undefined` are layers for which the measure is not defined, and why. Other layers without a
    value are those of a debiased measure of which nothing is left.

    Raises
    ------
    ActivationError
        If a measure that always has a value has none, or if no pair has one.
    """
    finite = np.isfinite(values)
    if not (finite.any() if measure.debiased or undefined else finite.all()):
        without = (*rows, *columns) if measure.debiased and not undefined else tuple(undefined)
        raise ActivationError(
            " ".join(
                (
                    f"{measure.title} has no finite value for these layers.",
                    *_without_value(without, undefined),
                    *(("Leave these layers out.",) if without else ()),
                )
            )
        )
    without = tuple(
        name
        for names, lines in ((rows, values), (columns, values.T))
        for name, line in zip(names, lines, strict=True)
        if np.isnan(line).all()
    )
    notes = (*notes, *_without_value(without, undefined))
    return Comparison(values, rows, columns, measure.name, notes, distance=measure.distance)


def _without_value(layers: Names, undefined: Mapping[str, str]) -> list[str]:
    """A sentence for each reason why layers have no value."""
    of_reason: dict[str, list[str]] = {}
    for name in dict.fromkeys(layers):
        of_reason.setdefault(undefined.get(name, NOTHING_LEFT), []).append(name)
    return [f"No value for {', '.join(names)}: {why}" for why, names in of_reason.items()]
