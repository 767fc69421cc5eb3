"""What a position of a layer sees, held against what its gradient reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tb_modelcompare.capture.keras import open_model
from tb_modelcompare.capture.receptive import ReceptiveField, receptive_fields


def fields_of(model: Any) -> dict[str, ReceptiveField]:
    opened = open_model(model)
    return receptive_fields(opened.freeze(opened.candidates, np.empty((0, 0, 0, 3), np.float32)))


def network(padding: str) -> Any:
    """Strided, pooled, padded and branching; positive weights, so that nothing hides."""
    import keras
    from keras import layers

    def conv(filters: int, kernel: int, **options: Any) -> Any:
        return layers.Conv2D(filters, kernel, padding=padding, kernel_initializer="ones", **options)

    image = keras.Input((49, 61, 3))
    x = conv(2, 5, strides=2, name="first")(image)
    x = layers.MaxPooling2D(3, 2, padding=padding, name="pool")(layers.ReLU(name="relu")(x))
    x = layers.ZeroPadding2D(((1, 2), (0, 1)), name="padded")(x)
    wide = layers.Conv2D(2, (3, 5), padding="same", kernel_initializer="ones", name="wide")(x)
    joined = layers.Concatenate(name="joined")([conv(2, 1, name="narrow")(x), wide])
    deep = layers.DepthwiseConv2D(3, padding=padding, depthwise_initializer="ones", name="deep")(
        joined
    )
    mean = layers.GlobalAveragePooling2D(name="mean")(deep)
    return keras.Model(image, layers.Dense(2, name="dense")(mean))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("layer", ["first", "relu", "padded", "narrow", "wide", "joined", "deep"])
def test_the_window_is_where_the_gradient_is(padding: str, layer: str) -> None:
    import keras
    import tensorflow as tf

    model = network(padding)
    field = fields_of(model)[layer]
    part = keras.Model(model.inputs, model.get_layer(layer).output)
    image = tf.ones((1, 49, 61, 3)) * tf.random.stateless_uniform((1, 49, 61, 3), (1, 2), 0.5, 1)
    height, width = part.output.shape[1:3]
    for position in ((height // 2, width // 2), (0, 0), (height - 1, width // 3)):
        with tf.GradientTape() as tape:
            tape.watch(image)
            value = tf.reduce_sum(part(image)[0, position[0], position[1]])
        reached = np.abs(tape.gradient(value, image)[0]).sum(-1) > 0
        rows, columns = np.flatnonzero(reached.any(1)), np.flatnonzero(reached.any(0))
        top, left, tall, wide = field.box(position)
        if not len(rows):  # a position that a padding has made
            continue
        assert top * 49 <= rows[0] + 1e-6
        assert left * 61 <= columns[0] + 1e-6
        assert (top + tall) * 49 >= rows[-1] + 1 - 1e-6
        assert (left + wide) * 61 >= columns[-1] + 1 - 1e-6
        # Max pooling sends a gradient to the largest of its positions only.
        slack = 0 if layer in ("first", "relu") else 4
        assert tall * 49 - (rows[-1] + 1 - rows[0]) <= slack
        assert wide * 61 - (columns[-1] + 1 - columns[0]) <= slack


def test_behind_a_mean_a_layer_sees_all() -> None:
    assert {"mean", "dense"}.isdisjoint(fields_of(network("same")))


def test_known_networks() -> None:
    """As their authors give it: VGG16 sees 196 pixels from its last convolution."""
    import keras

    fields = fields_of(
        keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    )
    last, pooled = fields["block5_conv3"], fields["block5_pool"]
    assert (last.size, last.stride) == ((196, 196), (16, 16))
    assert (pooled.size, pooled.stride) == ((212, 212), (32, 32))
