"""What another training of the same model reaches: a ceiling for each of its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import check_model, open_layer, require_same_rows
from tb_modelcompare.similarity.images import image_indices
from tb_modelcompare.similarity.inputs import find_measure
from tb_modelcompare.similarity.pairs import all_pairs
from tb_modelcompare.similarity.registry import Measure
from tb_modelcompare.similarity.settings import MEMORY, Settings
from tb_modelcompare.similarity.significance import Layers


def seed_ceiling(
    model: Layers,
    seeds: Sequence[Layers],
    measure: str | Measure | Callable[..., float] = "linear_cka",
    *,
    groups: npt.ArrayLike | None = None,
    **options: Any,
) -> dict[str, float]:
    """How similar each layer is to the same layer of other trainings of its model.

    Two trainings that differ in their random seed alone are as alike as two models can be expected
    to be. A layer of another model that reaches this value is as similar as that. It is the mean
    over the other trainings, measured from the model to each of them. A layer that training has
    not changed, such as a frozen one, is as similar as a layer is to itself: 1 for most measures.

    Parameters
    ----------
    model : mapping of name to array (rows, units)
        Layers of the model.
    seeds : sequence of mappings
        Layers of one or more other trainings, on the same probe, with at least the names of the
        model's layers, and as many units in each.
    measure : str, Measure or callable
        As `compare` takes it.
    groups : array (rows,), optional
        Image of each row. By default each row is an image.
    **options
        Of the measure.

    Returns
    -------
    dict of str to float
        For each layer of the model; NaN where it has no value, because the layer is constant in
        the model or in all of the others, or because the measure is not defined for it.

    Raises
    ------
    ActivationError
        If there is no other training, if a layer is missing in one or has other units or rows, or
        if one has the very activations of the model in all layers, so that it is no other training.
    OptionError
        If the measure has no such option.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.standard_normal((500, 4))
    >>> one, other = ({"layer": signal + rng.standard_normal((500, 4))} for seed in range(2))
    >>> round(seed_ceiling(one, [other], "linear_cka")["layer"], 1)
    0.2
    """
    check_model(model, "the model")
    if not seeds:
        raise ActivationError("A ceiling needs at least one other training of the model.")
    for number, seed in enumerate(seeds, 1):
        _require_another_training(model, seed, f"training {number} in seeds")
    return ceiling_of_layers(model, seeds, measure, groups=groups, **options)


def ceiling_of_layers(
    model: Layers,
    seeds: Sequence[Layers],
    measure: str | Measure | Callable[..., float],
    *,
    groups: npt.ArrayLike | None = None,
    **options: Any,
) -> dict[str, float]:
    """`seed_ceiling` of some layers of trainings that are known to differ in others."""
    chosen = find_measure(measure)
    rows = len(next(iter(model.values())))
    if groups is not None:
        image_indices(groups, rows)
        options |= {"groups": groups} if chosen.by_image else {}
    plan, settings = chosen.planned(options), Settings("auto", MEMORY, None, None)
    values = np.full((len(seeds), len(model)), np.nan)
    for number, seed in enumerate(seeds):
        for i, (name, layer) in enumerate(model.items()):
            x, y = open_layer(layer, name), open_layer(seed[name], name)
            require_same_rows(x, y)
            if x.varies and y.varies:
                values[number, i] = all_pairs(chosen, plan, [x], [y], settings)[0, 0]
    known = np.isfinite(values).sum(axis=0)
    mean = np.nansum(values, axis=0) / np.where(known, known, np.nan)
    return dict(zip(model, mean.tolist(), strict=True))


def same_in(model: Layers, seeds: Sequence[Layers]) -> dict[str, int]:
    """In how many of the other trainings each layer has the very activations of the model."""
    return {
        name: sum(np.array_equal(seed[name], layer) for seed in seeds)
        for name, layer in model.items()
    }


def _require_another_training(model: Layers, seed: Layers, which: str) -> None:
    check_model(seed, which)
    for name, layer in model.items():
        if name not in seed:
            raise ActivationError(
                f"The {which} has no layer {name!r:.200}. Give trainings of the same model, whose "
                "layers have the same names."
            )
        if np.shape(seed[name]) != np.shape(layer):
            raise ActivationError(
                f"Layer {name!r:.200} is {np.shape(layer)} in the model and "
                f"{np.shape(seed[name])} in the {which}. Give trainings of the same model, on the "
                "same probe."
            )
    if all(same_in(model, [seed]).values()):
        raise ActivationError(
            f"The {which} has the very activations of the model in every layer, so it is no other "
            "training. Leave it out, or give a layer that training has changed as well."
        )
