"""Small Keras models, how they are logged, and what their frozen graphs compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.log.reader import Snapshot, open_snapshot

keras = pytest.importorskip("keras")


tf = pytest.importorskip("tensorflow")


layers = keras.layers


def log(tmp_path: Path, probe: Probe, model: Any, **options: Any) -> Snapshot:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model("net", model, progress=False, **{"layers": "all", **options})
    return open_snapshot(tmp_path, "run")


def run_frozen(snapshot: Snapshot, images: np.ndarray) -> dict[str, np.ndarray]:
    assert snapshot.frozen is not None
    graph_def = tf.compat.v1.GraphDef.FromString(snapshot.frozen_graph_path().read_bytes())
    assert not any("_gradient_op_type" in node.attr for node in graph_def.node)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run(
            {layer: f"{name}:0" for layer, name in snapshot.frozen.tensors.items()},
            {f"{snapshot.frozen.input}:0": images},
        )


def unit_images(probe: Probe) -> np.ndarray:
    return np.asarray(probe.images, np.float32) / 255


def functional() -> Any:
    """Branches, batch normalisation, ReLU6, swish, depthwise, dropout, dense head."""
    image = keras.Input((32, 32, 3), name="image")
    x = layers.ZeroPadding2D(1, name="pad")(image)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv1")(x)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(6.0, name="relu1")(x)
    a = layers.DepthwiseConv2D(3, padding="same", activation="swish", name="depthwise")(x)
    b = layers.Conv2D(8, 1, name="branch")(x)
    x = layers.Add(name="sum")([a, b])
    x = layers.Concatenate(name="join")([x, a])
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    x = layers.Dense(5, activation="softmax", name="classes")(x)
    model = keras.Model(image, x)
    norm = model.get_layer("bn1")
    norm.set_weights([w + np.linspace(0.1, 0.9, 8) for w in norm.get_weights()])
    return model


class Subclass(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="subclass")
        self.conv = layers.Conv2D(4, 3, padding="same", name="conv")
        self.norm = layers.BatchNormalization(name="norm")
        self.drop = layers.Dropout(0.5, name="drop")
        self.inner = keras.Sequential([keras.Input((32, 32, 4)), layers.ReLU(name="relu")])
        self.inner.name = "inner"

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.conv(x)
        x = keras.ops.relu(self.norm(x, training=training)) + self.inner(x)
        return keras.ops.mean(self.drop(x, training=training), axis=(1, 2))
