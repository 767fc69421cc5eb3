"""Real Keras networks, frozen as a snapshot would hold them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.render import FrozenModel

Freeze = Callable[..., FrozenModel]


@pytest.fixture(scope="session")
def freeze(tmp_path_factory: pytest.TempPathFactory) -> Freeze:
    """From a Keras model to a FrozenModel."""
    directory = tmp_path_factory.mktemp("frozen")

    def frozen(model: Any, preprocessing: Preprocessing | None = None) -> FrozenModel:
        from tb_modelcompare.capture.keras import open_model

        opened = open_model(model)
        graph = opened.freeze(opened.candidates, np.empty((0, 0, 0, 3), np.float32))
        path = directory / f"{len(list(directory.iterdir()))}.pb"
        return frozen_file(
            path,
            graph.graph_def,
            input=graph.input,
            input_shape=graph.input_shape,
            tensors=graph.tensors,
            preprocessing=preprocessing or Preprocessing(),
        )

    return frozen


def frozen_file(path: Path, content: bytes, **fields: Any) -> FrozenModel:
    path.write_bytes(content)
    return FrozenModel(path=path, sha256=hashlib.sha256(content).hexdigest(), **fields)


@pytest.fixture(scope="session")
def small_model() -> Any:
    """Three convolutions, global pooling, two dense layers, random weights; any input size."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(8, 5, strides=2, padding="same", activation="relu", name="first"),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="second"),
            layers.Conv2D(24, 3, strides=2, padding="same", activation="relu", name="third"),
            layers.GlobalAveragePooling2D(name="pooled"),
            layers.Dense(12, activation="relu", name="hidden"),
            layers.Dense(5, name="logits"),
        ]
    )


@pytest.fixture(scope="session")
def small_net(freeze: Freeze, small_model: Any) -> FrozenModel:
    return freeze(small_model)
