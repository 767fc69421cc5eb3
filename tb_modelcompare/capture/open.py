"""Opens whatever a user calls a model, by the framework that it comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tb_modelcompare.capture.contract import Feed, Model
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.probe import Probe


def open_model(model: Any, probe: Probe) -> Model:
    """Whatever `SummaryWriter.add_model` takes, opened for capture on `probe`.

    Raises
    ------
    ModelFileError
        If it is no model, or none that we can read.
    """
    feed = Feed.of(probe)
    if isinstance(model, (str, os.PathLike)):
        from tb_modelcompare.capture.tensorflow import open_file

        return open_file(Path(model), feed)
    frameworks = {c.__module__.partition(".")[0] for c in type(model).__mro__}
    if "keras" in frameworks:  # first: on the torch backend a Keras model is a torch module too
        from tb_modelcompare.capture.keras import open_model as open_keras

        return open_keras(model, feed)
    if "torch" in frameworks and callable(getattr(model, "named_modules", None)):
        from tb_modelcompare.capture.torch import open_model as open_torch

        return open_torch(model, feed)
    raise ModelFileError(
        f"{type(model).__name__} is no model that can be logged; give a Keras 3 model, a torch "
        f"module, a model's file or a SavedModel directory, or use add_activations"
    )
