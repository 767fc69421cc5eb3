"""MaCo, as the library xplique 2.0 of Fel et al. (2023) has it, as a peer of our renders.

A picture's magnitudes are those of photos and stay; only its phases are optimised. The network sees
random crops of it with noise, which become smaller from step to step, and the optimiser is Nadam
with a rate of 1. The published run has 256 steps of 32 crops. Where time is limited there can be
fewer, which are told as `crops` and `steps`. Its transparency changes no picture, and is left out.

Fel et al. 2023, "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
Optimization", NeurIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tb_modelcompare.render.frozen import FrozenModel, pruned_graph
from tb_modelcompare.render.lucid_bridge import load_lucid
from tb_modelcompare.render.resize import resized

_FIRST_BOX, _LAST_BOX = 0.5, 0.05  # sides of crops as shares of the picture's, which vary by …
_BOX_DEVIATION = 0.05
_CENTRE_DEVIATION = 0.15
_NOISE = 0.04  # of [0, 1], which is 0.08 of [-1, 1]
_RATE = 1.0


def photo_magnitudes(photos: Sequence[np.ndarray], size: int) -> np.ndarray:
    """The mean magnitude at each frequency of photos in decorrelated colours, (3, v, u)."""
    total = np.zeros((3, size, size // 2 + 1))
    for photo in photos:
        plain = resized(photo, size, size) @ np.linalg.inv(_colors().T)
        total += np.abs(np.fft.rfft2(np.moveaxis(plain, -1, 0)))
    return np.asarray(total / len(photos), np.float32)


def stored_magnitudes(file: Path, size: int) -> np.ndarray:
    """Those of ImageNet that xplique comes with (`spectrum_decorrelated.npy`), (3, v, u)."""
    import tensorflow as tf

    stored = np.moveaxis(np.load(file), 0, -1)
    return np.moveaxis(tf.image.resize(stored, (size, size // 2 + 1)).numpy(), -1, 0)


def _colors() -> np.ndarray:
    """From decorrelated colours to the logarithmic odds of plain ones, as of lucid."""
    lucid = load_lucid()
    return np.asarray(lucid.color.color_correlation_svd_sqrt / lucid.color.max_norm_svd_sqrt)


def maco_render(
    model: FrozenModel,
    directions: Sequence[tuple[str, np.ndarray]],
    magnitudes: np.ndarray,
    size: int,
    steps: int,
    crops: int,
    on_step: Callable[[int], None],
    seed: int = 0,
) -> np.ndarray:
    """All pictures of a job, each seen in `crops` crops of its own a step, in [0, 255]."""
    import keras
    import tensorflow as tf

    colors = tf.constant(_colors().T, tf.float32)
    network = _network(model, [layer for layer, _ in directions], size)
    vectors = [tf.constant(vector, tf.float32) for _, vector in directions]
    count = len(directions)
    random = tf.random.Generator.from_seed(seed)
    phases = tf.Variable(random.normal((count, *magnitudes.shape)))
    optimizer = keras.optimizers.Nadam(_RATE)
    owner = tf.repeat(tf.range(count), crops)

    def pictures() -> Any:
        phase = phases - tf.reduce_mean(phases, (1, 2, 3), keepdims=True)
        phase /= tf.math.reduce_std(phases, (1, 2, 3), keepdims=True) + 1e-5
        spectrum = tf.complex(tf.cos(phase) * magnitudes, tf.sin(phase) * magnitudes)
        image = tf.transpose(tf.signal.irfft2d(spectrum, (size, size)), (0, 2, 3, 1))
        image -= tf.reduce_mean(image, (1, 2, 3), keepdims=True)
        image /= tf.math.reduce_std(image, (1, 2, 3), keepdims=True) + 1e-5
        return tf.sigmoid(tf.tensordot(image, colors, 1))

    @tf.function
    def gradient(side: Any) -> Any:
        centres = random.normal((len(owner), 2), 0.5, _CENTRE_DEVIATION)
        sides = tf.clip_by_value(random.normal((len(owner), 1), side, _BOX_DEVIATION), 0.05, 1)
        boxes = tf.concat([centres - sides / 2, centres + sides / 2], 1)
        shape = (len(owner), size, size, 3)
        noise = random.normal(shape, 0, _NOISE) + random.uniform(shape, -_NOISE / 2, _NOISE / 2)
        with tf.GradientTape() as tape:
            seen = tf.image.crop_and_resize(pictures(), boxes, owner, (size, size)) + noise
            total = 0.0
            for i, (layer, vector) in enumerate(zip(network(seen), vectors, strict=True)):
                total += tf.reduce_mean(tf.tensordot(layer, vector, 1)[i * crops : (i + 1) * crops])
        return -tape.gradient(total, phases)

    for step, side in enumerate(np.linspace(_FIRST_BOX, _LAST_BOX, steps)):
        optimizer.apply([gradient(tf.constant(side, tf.float32))], [phases])
        on_step(step + 1)
    return np.asarray(pictures() * 255)


def _network(model: FrozenModel, layers: Sequence[str], size: int) -> Callable[[Any], list[Any]]:
    """From pictures in [0, 1] to the activations of layers."""
    import tensorflow as tf

    graph_def = pruned_graph(model, layers, tf.compat.v1.GraphDef)
    tensors = [name if ":" in (name := model.tensor(layer)) else f"{name}:0" for layer in layers]
    preprocessing = model.preprocessing.for_channels(3)

    def compute(images: Any) -> Any:
        ordered = tf.reverse(images, [-1]) if preprocessing.bgr else images
        prepared = ordered * np.float32(preprocessing.scale) + np.float32(preprocessing.offset)
        return tf.import_graph_def(graph_def, {model.input: prepared}, tensors)

    spec = tf.TensorSpec((None, size, size, 3), tf.float32)
    wrapped = tf.compat.v1.wrap_function(compute, [spec])
    return lambda images: [tf.cast(layer, tf.float32) for layer in wrapped(images)]
