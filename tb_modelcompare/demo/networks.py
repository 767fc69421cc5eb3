"""The demo's networks: a small Inception and a small MobileNetV2, on 64×64 RGB windows.

A block's convolution and normalisation are named `<name>_conv` and `<name>_bn`;
its output, after the rectifier, is `<name>`.
"""

from __future__ import annotations

from typing import Any

from tb_modelcompare.demo.photographs import CLASSES, SIZE

_INNER = ("_conv", "_bn")


def compared_layers(model: Any) -> list[str]:
    """Layers worth comparing: what a block gives, not the steps inside it."""
    names = (layer.name for layer in model.layers)
    return [name for name in names if name != "input" and not name.endswith(_INNER)]


def inception(keras: Any) -> Any:
    """GoogLeNet's plan in miniature: two convolutions, then three Inception modules."""
    layers = keras.layers
    image = layers.Input((SIZE, SIZE, 3), name="input")
    x = _convolution(keras, image, "conv1", 24, 5, strides=2)
    x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    x = _convolution(keras, x, "conv2", 40, 3)
    x = _inception_module(keras, x, "mixed3a", (16, (16, 32), (8, 12), 12))
    x = layers.MaxPooling2D(3, 2, "same", name="pool3")(x)
    x = _inception_module(keras, x, "mixed4a", (24, (32, 48), (12, 24), 16))
    x = _inception_module(keras, x, "mixed4b", (32, (40, 64), (16, 32), 24))
    return _classifier(keras, image, x, "inception")


def mobile(keras: Any) -> Any:
    """MobileNetV2's plan in miniature: inverted residual blocks with depthwise convolutions."""
    layers = keras.layers
    image = layers.Input((SIZE, SIZE, 3), name="input")
    x = _convolution(keras, image, "conv1", 24, 3, strides=2, activation="relu6")
    x = _inverted_residual(keras, x, "block1", 32, strides=2, expansion=1)
    x = _inverted_residual(keras, x, "block2", 32)
    x = _inverted_residual(keras, x, "block3", 48, strides=2)
    x = _inverted_residual(keras, x, "block4", 48)
    x = _inverted_residual(keras, x, "block5", 48)
    x = _convolution(keras, x, "conv_last", 160, 1, activation="relu6")
    return _classifier(keras, image, x, "mobile")


def _classifier(keras: Any, image: Any, x: Any, name: str) -> Any:
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    x = keras.layers.Dense(len(CLASSES), name="logits")(x)
    return keras.Model(image, x, name=name)


def _convolution(
    keras: Any,
    x: Any,
    name: str,
    units: int,
    size: int,
    *,
    strides: int = 1,
    activation: str = "relu",
) -> Any:
    x = keras.layers.Conv2D(units, size, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    return _normalised(keras, x, name, activation)


def _normalised(keras: Any, x: Any, name: str, activation: str) -> Any:
    # Hundreds of steps, not millions: the default momentum would average in the untrained state.
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return keras.layers.Activation(activation, name=name)(x)


def _inception_module(
    keras: Any, x: Any, name: str, units: tuple[int, tuple[int, int], tuple[int, int], int]
) -> Any:
    one, three, five, pool = units
    pooled = keras.layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    towers = [
        _convolution(keras, x, f"{name}_1x1", one, 1),
        _convolution(
            keras,
            _convolution(keras, x, f"{name}_3x3_reduce", three[0], 1),
            f"{name}_3x3",
            three[1],
            3,
        ),
        _convolution(
            keras,
            _convolution(keras, x, f"{name}_5x5_reduce", five[0], 1),
            f"{name}_5x5",
            five[1],
            5,
        ),
        _convolution(keras, pooled, f"{name}_pool_1x1", pool, 1),
    ]
    return keras.layers.Concatenate(name=name)(towers)


def _inverted_residual(
    keras: Any, x: Any, name: str, units: int, *, strides: int = 1, expansion: int = 3
) -> Any:
    layers = keras.layers
    wide = x
    if expansion > 1:
        units_inside = expansion * x.shape[-1]
        wide = _convolution(keras, x, f"{name}_expand", units_inside, 1, activation="relu6")
    deep = layers.DepthwiseConv2D(
        3, strides, "same", use_bias=False, name=f"{name}_depthwise_conv"
    )(wide)
    deep = _normalised(keras, deep, f"{name}_depthwise", "relu6")
    residual = strides == 1 and x.shape[-1] == units
    # Without a sum to follow, the linear bottleneck itself is the block's output.
    bottleneck = f"{name}_project" if residual else name
    narrow = layers.Conv2D(units, 1, use_bias=False, name=f"{bottleneck}_conv")(deep)
    narrow = layers.BatchNormalization(momentum=0.9, name=bottleneck)(narrow)
    return layers.Add(name=name)([x, narrow]) if residual else narrow
