"""MaCo, nearly as the library xplique of Fel et al. (2023) has it, as a peer of our renders.

A picture's magnitudes are those of photos and stay; only its phases are optimised. The network sees
random crops of it with noise, which become smaller from step to step, and the optimiser is Nadam
with a rate of 1. The published run has 256 steps of 32 crops. Where time is limited there can be
fewer, which are told as `crops` and `steps`.

Fel et al. 2023, "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
Optimization", NeurIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tb_modelcompare.render.frozen import FrozenModel, pruned_graph
from tb_modelcompare.render.lucid_bridge import load_lucid
from tb_modelcompare.render.resize import resized

_FIRST_BOX, _LAST_BOX = 0.5, 0.05  # sides of crops as shares of the picture's, which vary by …
_BOX_DEVIATION = 0.05
_CENTRE_DEVIATION = 0.15
_NOISE = 0.08
_RATE = 1.0


@dataclass(frozen=True)
class MacoPictures:
    """Pictures (n, size, size, 3) in [0, 255], and what of each mattered (n, size, size).

    The latter is MaCo's transparency: the sum over all steps of the gradient's absolute value.
    """

    pictures: np.ndarray
    importance: np.ndarray


def photo_magnitudes(photos: Sequence[np.ndarray], size: int) -> np.ndarray:
    """The mean magnitude at each frequency of photos in decorrelated colours, (3, v, u)."""
    total = np.zeros((3, size, size // 2 + 1))
    for photo in photos:
        plain = resized(photo, size, size) @ np.linalg.inv(_colors().T)
        total += np.abs(np.fft.rfft2(np.moveaxis(plain, -1, 0)))
    return np.asarray(total / len(photos), np.float32)


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
) -> MacoPictures:
    """All pictures of a job side by side, each seen in `crops` crops of its own a step."""
    import keras
    import tensorflow as tf

    colors = tf.constant(_colors().T, tf.float32)
    network = _network(model, [layer for layer, _ in directions], size)
    vectors = [tf.constant(vector, tf.float32) for _, vector in directions]
    count = len(directions)
    rng = np.random.RandomState(seed)
    start = rng.uniform(-np.pi, np.pi, (count, *magnitudes.shape))
    phases = tf.Variable(start, dtype=tf.float32)
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
    def gradients(boxes: Any, noise: Any) -> Any:
        with tf.GradientTape() as tape:
            image = pictures()
            tape.watch(image)
            seen = tf.image.crop_and_resize(image, boxes, owner, (size, size)) + noise
            total = 0.0
            for i, (layer, vector) in enumerate(zip(network(seen), vectors, strict=True)):
                total += tf.reduce_mean(tf.tensordot(layer, vector, 1)[i * crops : (i + 1) * crops])
        along_phases, along_pixels = tape.gradient(total, [phases, image])
        return -along_phases, tf.reduce_sum(tf.abs(along_pixels), -1)

    importance = np.zeros((count, size, size))
    shape = (count * crops, size, size, 3)
    for step, side in enumerate(np.linspace(_FIRST_BOX, _LAST_BOX, steps)):
        centres = rng.normal(0.5, _CENTRE_DEVIATION, (len(owner), 2))
        half = rng.normal(side, _BOX_DEVIATION, (len(owner), 1)).clip(0.05, 1) / 2
        boxes = np.concatenate([centres - half, centres + half], 1).astype(np.float32)
        noise = rng.normal(0, _NOISE, shape) + rng.uniform(-_NOISE / 2, _NOISE / 2, shape)
        gradient, pixels = gradients(tf.constant(boxes), tf.constant(noise, tf.float32))
        optimizer.apply([gradient], [phases])
        importance += pixels.numpy()
        on_step(step + 1)
    return MacoPictures(pictures().numpy() * 255, importance)


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
