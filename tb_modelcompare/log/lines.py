"""A user's own numbers for pairs of layers of two models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import LayerSelectionError, OptionError, nearest
from tb_modelcompare.log.snapshot import Snapshot

Lines: TypeAlias = Mapping[Any, Any] | npt.ArrayLike


def line_values(lines: Lines, a: Snapshot, b: Snapshot) -> npt.NDArray[np.float64]:
    """Lines as a matrix (layers of a, layers of b), NaN where there is none.

    Raises
    ------
    LayerSelectionError, OptionError
        As `show`.
    """
    shape = (len(a.layer_names), len(b.layer_names))
    if isinstance(lines, Mapping):
        values = np.full(shape, np.nan)
        for (first, second), value in _pairs(lines):
            values[_index(first, a), _index(second, b)] = as_number(value, first, second)
    else:
        try:
            values = np.array(lines, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise OptionError(
                f"lines are no numbers ({error}); give a mapping from pairs of layers to numbers, "
                f"or an array {shape}"
            ) from error
        if values.shape != shape:
            raise OptionError(
                f"lines have shape {values.shape}; {a.id} has {shape[0]} layers and {b.id} has "
                f"{shape[1]}, so give an array {shape}, or a mapping from pairs of layers"
            )
        if np.isinf(values).any():
            raise OptionError("lines hold an infinite value; use NaN for pairs without a line")
    if np.isnan(values).all():
        raise OptionError("lines hold no number, so there is nothing to draw")
    return values


def _pairs(lines: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for key, value in lines.items():
        if isinstance(value, Mapping):
            yield from (((key, second), one) for second, one in value.items())
        elif isinstance(key, tuple) and len(key) == 2:
            yield key, value
        else:
            raise OptionError(
                f"{key!r:.100} is no pair of layers; write lines as {{(layer of the first model, "
                f"layer of the second): number}}"
            )


def _index(layer: str, snapshot: Snapshot) -> int:
    if layer not in snapshot.layer_names:
        raise LayerSelectionError(
            f"{snapshot.id} has no layer {layer!r}; {nearest(str(layer), snapshot.layer_names)}"
        )
    return snapshot.layer_names.index(layer)


def as_number(value: Any, first: str, second: str) -> float:
    """The number of a pair of layers, NaN where it has none.

    Raises
    ------
    OptionError
        If it is infinite, or no number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.inf
    if math.isinf(number):
        raise OptionError(f"the line of {first!r} and {second!r} is {value!r:.50}; give a number")
    return number
