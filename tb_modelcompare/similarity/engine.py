"""All pairs of layers of two models."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tb_modelcompare.errors import ActivationError, RowsFewerThanUnitsWarning
from tb_modelcompare.similarity.activations import Layer, Matrix, open_layer, require_same_rows
from tb_modelcompare.similarity.measures import MEASURES
from tb_modelcompare.similarity.pairs import (
    ComparisonCancelled,
    Precision,
    Settings,
    all_pairs,
)
from tb_modelcompare.similarity.registry import Measure

__all__ = ["Comparison", "ComparisonCancelled", "compare", "find_measure", "open_layers"]

MEMORY = 2**30


@dataclass(frozen=True, eq=False)
class Comparison:
    """A measure between all layers of two models.

    Attributes
    ----------
    values : array (len(rows), len(columns)), float64
    rows, columns : tuple of str
        Names of the layers of the first and the second model.
    measure : str
    warnings : tuple of str
        What to keep in mind when reading the values.
    """

    values: Matrix
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    measure: str
    warnings: tuple[str, ...] = ()


def compare(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    measure: str | Measure = "linear_cka",
    *,
    dead: Literal["raise", "drop"] = "raise",
    precision: Precision = "auto",
    memory: int = MEMORY,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> Comparison:
    """One measure between every layer of `a` and every layer of `b`.

    Parameters
    ----------
    a, b : mapping of name to array (rows, units)
        Layers in order. Row r of every layer is the same place of the same image. Arrays may
        be memory-mapped. Passing the same mapping twice halves the work.
    measure : str
        A name in `MEASURES`.
    dead : {"raise", "drop"}
        What to do about layers that have one value on all rows, which most measures are not
        defined for: raise, or leave them out of rows and columns and say so in `warnings`.
    precision : {"auto", "single", "double"}
        Of the large products. "auto" takes float32 for activations of at most 32 bits, and
        float64 for others and where the conditioning of a layer demands it.
    memory : int
        Bytes that may be used for work arrays.
    progress : callable, optional
        Called with the share of work done, from 0 to 1.
    cancelled : callable, optional
        Asked between products; when it returns True, `ComparisonCancelled` is raised.
    **options
        Of the measure, such as `threshold=` of "svcca".

    Raises
    ------
    ActivationError
        If a layer is not a matrix of finite real numbers, if rows differ in number or are too
        few, or if the measure is not defined for a layer (dead on all of the probe).
    ComparisonCancelled
    """
    chosen = find_measure(measure)
    plan = chosen.plan(**options)
    xs, left_out = _open(a, "the first model", dead)
    ys, left_out_too = (xs, ()) if b is a else _open(b, "the second model", dead)
    for layer in (*xs, *ys):
        require_same_rows(xs[0], layer)
    xs[0].require_rows(plan.least_rows, chosen.title)
    few_rows = row_notes(chosen, xs, ys)
    for note in few_rows:
        warnings.warn(note, RowsFewerThanUnitsWarning, stacklevel=2)
    settings = Settings(precision, memory, progress, cancelled)
    values = all_pairs(chosen, plan, xs, ys, settings)
    if not np.isfinite(values).all():
        raise ActivationError(f"{chosen.title} has no finite value for these layers.")
    return Comparison(
        values,
        tuple(layer.name for layer in xs),
        tuple(layer.name for layer in ys),
        chosen.name,
        (*few_rows, *left_out, *left_out_too),
    )


def find_measure(measure: str | Measure) -> Measure:
    """The measure of that name.

    Raises
    ------
    ActivationError
        If there is none.
    """
    if isinstance(measure, Measure):
        return measure
    if measure not in MEASURES:
        raise ActivationError(f"No measure is named {measure!r}. There are: {', '.join(MEASURES)}.")
    return MEASURES[measure]


def open_layers(model: Mapping[str, Any], whose: str) -> list[Layer]:
    if not model:
        raise ActivationError(f"No layers of {whose} were given.")
    return [open_layer(values, name) for name, values in model.items()]


def _open(
    model: Mapping[str, Any], whose: str, dead: Literal["raise", "drop"]
) -> tuple[list[Layer], tuple[str, ...]]:
    """Layers to compare, and a note on those left out."""
    layers = open_layers(model, whose)
    if dead == "raise":
        return layers, ()
    silent = [layer.name for layer in layers if not layer.varies]
    if len(silent) == len(layers):
        raise ActivationError(f"No layer of {whose} varies on the probe.")
    if not silent:
        return layers, ()
    note = f"Left out of {whose}, as they do not vary on the probe: {', '.join(silent)}."
    return [layer for layer in layers if layer.varies], (note,)


def row_notes(measure: Measure, xs: Sequence[Layer], ys: Sequence[Layer]) -> tuple[str, ...]:
    """What to warn of: layers with too few rows for their units."""
    if not measure.wants_rows_over_units:
        return ()
    wide = {layer.name: layer.units for layer in (*xs, *ys) if layer.rows < layer.units}
    if not wide:
        return ()
    shown = ", ".join(f"{name} ({units})" for name, units in list(wide.items())[:4])
    more = f" and {len(wide) - 4} more" if len(wide) > 4 else ""
    return (
        f"{xs[0].rows} rows are fewer than the units of {shown}{more}: {measure.title} is close "
        "to its highest value there whatever the layers hold. Use a larger probe, or linear CKA.",
    )
