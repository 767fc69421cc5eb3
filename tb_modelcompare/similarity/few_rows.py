"""Where rows are too few for the units of a layer: what a biased measure says of itself there."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import RowsFewerThanUnitsWarning
from tb_modelcompare.errors.checks import first_named

if TYPE_CHECKING:
    from tb_modelcompare.similarity.registry import Measure

_HERE = os.path.dirname(__file__)
LEAST_IMAGES_OF_INTERVAL = 8
"""In 200 simulated data sets each, intervals from 8 images held their value in 92 to 98 %. From 4
images it was 81 to 98 %. Linear CKA and Procrustes have one value of any two images, so that
intervals from 3 had the width 0."""
_NAMED = 4
"""Layers that are named in a warning; the others are counted."""

Shape = tuple[str, int, int]
"""Name of a layer, its rows and its units."""


def listed(layers: Sequence[str]) -> str:
    """The first of some layers by name, and how many more there are."""
    return first_named(layers, _NAMED)


def in_words(name: str) -> str:
    """A measure as the tab's menu and as Python call it, for a sentence that recommends it."""
    from tb_modelcompare.similarity.measures import MEASURES  # whose measures use this module

    # A measure of the user's own may name another of theirs.
    return f"{MEASURES[name].title} ({name})" if name in MEASURES else name


def few_rows(measure: Measure, shapes: Sequence[Shape]) -> tuple[str, ...]:
    """What to warn of: nothing, or a sentence that names the layers and a measure to use."""
    bound = measure.rows_per_unit
    if math.isinf(bound):
        return (
            f"{measure.title} is high for unrelated layers, whatever the number of rows: "
            f"{measure.why_high}. Use {in_words(measure.instead)} or "
            f"{in_words('unbiased_linear_cka')}.",
        )
    few = [f"{name} ({units:,})" for name, rows, units in shapes if rows < bound * units]
    few = list(dict.fromkeys(few))
    if not few:
        return ()
    each = "the units" if bound == 1 else f"{bound:g} for each unit"
    return (
        f"{shapes[0][1]:,} rows are fewer than {each} of {listed(few)}: "
        f"{measure.title} makes unrelated layers look alike there. "
        f"Use {in_words(measure.instead)}, or a probe with more images.",
    )


def warned_of_few_rows(measure: Measure, shapes: Sequence[Shape]) -> tuple[str, ...]:
    """Warns of layers with too few rows for their units; what it said.

    The warning points at the line that called this package.
    """
    notes = few_rows(measure, shapes)
    if notes:
        level, frame = 1, inspect.currentframe()
        while frame is not None and frame.f_code.co_filename.startswith(_HERE):
            level, frame = level + 1, frame.f_back
        for note in notes:
            warnings.warn(note, RowsFewerThanUnitsWarning, stacklevel=level)
    return notes


def without_interval(
    measure: Measure, units_a: Sequence[int], units_b: Sequence[int], image: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Which pairs of layers have no interval by resampling, and what to say of it."""
    units = np.add.outer(units_a, units_b)
    rows, images = len(image), int(image.max()) + 1
    if images < LEAST_IMAGES_OF_INTERVAL:
        return np.ones_like(units, dtype=bool), (
            f"No interval: it needs at least {LEAST_IMAGES_OF_INTERVAL} images, and these are "
            f"{images}. Use a probe with more images.",
        )
    none = rows < measure.interval_rows_per_unit * units
    if not none.any():
        return none, ()
    return none, (
        f"No interval of {none.sum():,} of {none.size:,} pairs: {rows:,} rows are fewer than "
        f"{measure.interval_rows_per_unit:g} for each unit of both layers, where resampling says "
        f"nothing of how {measure.title} varies. Use {in_words('unbiased_linear_cka')}, or a "
        "probe with more images.",
    )


def shapes_of(*models: Mapping[str, Any]) -> list[Shape]:
    """Of all layers of some models, each model once."""
    different = {id(model): model for model in models}.values()
    found = [(name, np.shape(values)) for model in different for name, values in model.items()]
    return [(name, shape[0], shape[1]) for name, shape in found]
