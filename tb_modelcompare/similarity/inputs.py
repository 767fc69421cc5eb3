"""What callers of a comparison pass, checked and opened before any work is done."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal

import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.errors.checks import number, one_of, whole
from tb_modelcompare.similarity.activations import (
    Layer,
    check_activations,
    check_model,
    open_layer,
    require_same_rows,
)
from tb_modelcompare.similarity.images import image_indices
from tb_modelcompare.similarity.measures import MEASURES
from tb_modelcompare.similarity.registry import Measure
from tb_modelcompare.similarity.significance import Layers
from tb_modelcompare.similarity.threads import spread

Constant = Literal["raise", "drop"]
CONSTANT: tuple[Constant, ...] = ("raise", "drop")


def renamed(constant: Constant, dead: Constant | None) -> Constant:
    """The value of `constant`, which was called `dead` before."""
    if dead is None:
        return constant
    warnings.warn(
        "The option dead is called constant now; the old name will go.",
        DeprecationWarning,
        stacklevel=3,  # who called compare or refine
    )
    return one_of("dead", dead, CONSTANT)


def find_measure(measure: str | Measure | Callable[..., float]) -> Measure:
    """The measure of that name, or that this function on arrays computes.

    Raises
    ------
    OptionError
        If there is none, or the function computes several, depending on its options.
    """
    if isinstance(measure, Measure):
        return measure
    if isinstance(measure, str):
        if measure not in MEASURES:
            raise OptionError(f"No measure is named {measure!r}. There are: {', '.join(MEASURES)}.")
        return MEASURES[measure]
    found = [one for one in MEASURES.values() if measure in _functions(one)]
    if not found:
        raise OptionError(
            f"{measure!r} is no measure. Give a name, such as 'linear_cka', or a `Measure`."
        )
    if len(found) > 1:
        names = ", ".join(repr(one.name) for one in found)
        raise OptionError(
            f"{measure.__name__} computes several measures, depending on its options. Give one of "
            f"these names: {names}."
        )
    return found[0]


def _functions(measure: Measure) -> tuple[Callable[..., float], ...]:
    """The function on arrays, and that of which it is a case."""
    function = measure.function
    return (function, getattr(function, "__wrapped__", function))


def check_inputs(
    a: Layers, b: Layers, groups: npt.ArrayLike | None, level: float, seed: int, constant: Constant
) -> None:
    """Refuse what is wrong with any measure, before any work is done.

    Raises
    ------
    OptionError, ActivationError
    """
    check_model(a, "the first model")
    check_model(b, "the second model")
    number("level", level, above=0.0, below=1.0)
    whole("seed", seed, least=0)
    one_of("constant", constant, CONSTANT)
    if groups is not None:
        name, values = next(iter(a.items()))
        image_indices(groups, len(check_activations(values, name)))


def open_both(
    a: Layers, b: Layers, constant: Constant
) -> tuple[list[Layer], list[Layer], tuple[str, ...]]:
    """Layers of both models, one list twice where they are one, and notes on those left out."""
    xs, left_out = _open(a, "the first model", constant)
    ys, left_out_too = (xs, ()) if b is a else _open(b, "the second model", constant)
    for layer in (*xs, *ys):
        require_same_rows(xs[0], layer)
    return xs, ys, (*left_out, *left_out_too)


def open_layers(model: Layers, whose: str) -> list[Layer]:
    check_model(model, whose)
    return spread(lambda one: open_layer(one[1], one[0]), list(model.items()))


def _open(model: Layers, whose: str, constant: Constant) -> tuple[list[Layer], tuple[str, ...]]:
    """Layers to compare, and a note on those left out."""
    layers = open_layers(model, whose)
    if constant == "raise":
        return layers, ()
    silent = [layer.name for layer in layers if not layer.varies]
    if len(silent) == len(layers):
        raise ActivationError(
            f"No layer of {whose} varies on the probe. Use one with more images or positions."
        )
    if not silent:
        return layers, ()
    note = f"Left out of {whose}, as they do not vary on the probe: {', '.join(silent)}."
    return [layer for layer in layers if layer.varies], (note,)
