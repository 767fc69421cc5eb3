"""Models of keras.applications, with what their `preprocess_input` does."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.zoo.model import ZooModel, known
from tb_modelcompare.zoo.packages import fetched_by

# What keras.applications compute in float32 agrees with us to some steps of rounding.
_TOLERANCE = 1e-4


def load_keras(name: str, trained: bool) -> ZooModel:
    """A model of keras.applications.

    Raises
    ------
    ModelFileError
        If there is none of that name.
    FetchError
        If keras cannot fetch its weights.
    """
    from keras import applications

    models = {n: model for n, model in vars(applications).items() if inspect.isfunction(model)}
    build = known(name, models, "keras.applications")
    module = next(
        module
        for module in vars(applications).values()
        if inspect.ismodule(module) and hasattr(module, name)
    )
    with fetched_by("keras", name):
        model = build(weights="imagenet" if trained else None)
    return ZooModel(name, model, preprocessing_of(module.preprocess_input))


def preprocessing_of(function: Any) -> Preprocessing:
    """What a function of pixels from 0 to 255 does, as `Preprocessing`.

    Each of keras' modes is an affine map of every channel, with the channels reversed or not. So
    black, white and red say what it is, and other colours whether that holds.

    Raises
    ------
    ModelFileError
        If it is no such map.
    """

    def of(*colours: tuple[float, float, float]) -> Any:
        return np.asarray(function(np.array([[colours]], np.float32)))[0, 0]

    black, white, red = of((0, 0, 0), (255, 255, 255), (255, 0, 0))
    reversed_ = bool(abs(red[0] - black[0]) < abs(red[-1] - black[-1]))
    found = Preprocessing(tuple((white - black).tolist()), tuple(black.tolist()), reversed_)
    colours = np.random.default_rng(0).integers(0, 256, (50, 3)).astype(np.float32)
    want = of(*map(tuple, colours))
    if not np.allclose(found.apply(colours / 255), want, _TOLERANCE, _TOLERANCE):
        raise ModelFileError(
            f"{function.__module__}.preprocess_input is no affine map of the channels; log the "
            f"model with a Preprocessing of your own"
        )
    return found
