"""Opens whatever a user calls a model, by the framework that it comes from."""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from tb_modelcompare import capture
from tb_modelcompare.capture.contract import Feed, Framework, Model, SizedModel
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
    if isinstance(model, SizedModel):
        if model.size is not None and feed.is_image:
            feed = replace(feed, shape=(*model.size, feed.shape[2]))
        model = model.model
    if isinstance(model, (str, os.PathLike)):
        return _open_path(Path(model), feed)
    for framework in frameworks():
        if framework.opens(model):
            return framework.open(model, feed)
    raise ModelFileError(
        f"{type(model).__name__} is no model that can be logged; give a Keras 3 model, a torch "
        f"module, a model's file or a SavedModel directory, or use add_activations"
    )


def require_known_file(path: Path) -> Framework:
    """The framework that opens a file or directory, which is not opened yet.

    Raises
    ------
    ModelFileError
        If there is no such file, or none opens it.
    """
    accepted = "give " + ", ".join(what for one in frameworks() for what in one.files)
    if not path.exists():
        raise ModelFileError(f"there is no {path}; {accepted}")
    for framework in frameworks():
        if framework.opens(path):
            return framework
    for framework in frameworks():
        if path.suffix in framework.not_read:
            raise ModelFileError(f"{path}: {framework.not_read[path.suffix]}")
    raise ModelFileError(f"{path} is no model file that we know; {accepted}")


def _open_path(path: Path, feed: Feed) -> Model:
    framework = require_known_file(path)
    if feed.is_image or framework.files_take_arrays:
        return framework.open(path, feed)
    raise ModelFileError(
        f"{path} is shown images alone; for a probe of arrays give a Keras model, a torch module "
        f"or an .onnx file, or use add_activations"
    )


@functools.cache
def frameworks() -> tuple[Framework, ...]:
    """What each module of this folder declares as its `FRAMEWORK`. No two open the same."""
    names = sorted(module.name for module in pkgutil.iter_modules(capture.__path__))
    modules = [importlib.import_module(f"{capture.__name__}.{name}") for name in names]
    return tuple(module.FRAMEWORK for module in modules if hasattr(module, "FRAMEWORK"))
