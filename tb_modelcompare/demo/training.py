"""Train the demo's networks and hand them over at the steps that are to be compared."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from tb_modelcompare.demo.photographs import Windows

BATCH = 32


def train(
    model: Any,
    training: Windows,
    *,
    steps: int,
    seed: int,
    snapshot_steps: Collection[int],
    on_snapshot: Callable[[int], None],
    on_step: Callable[[int, float], None],
) -> None:
    """Train a classifier that ends in logits, in place.

    Parameters
    ----------
    model : keras.Model
        Images in [-1, 1], shape (n, SIZE, SIZE, 3), to logits, shape (n, classes).
    training : Windows
    steps : int
        Number of batches of 32.
    seed : int
        Of the order of the batches and of the augmentation; the initial weights are the model's.
    snapshot_steps : collection of int
        Steps after which `on_snapshot(step)` is called; 0 is before the first.
    on_step : callable
        Called as `on_step(step, loss)` after every step.
    """
    import keras
    import tensorflow as tf

    warmup = steps // 10
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=4e-3, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.02)
    optimizer.build(model.trainable_variables)  # else the step would be traced twice
    loss_function = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)
    classes = int(model.output_shape[-1])

    def one_step(images: Any, labels: Any, batch_seed: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(augment(images, batch_seed), training=True)
            loss = loss_function(tf.one_hot(labels, classes), logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    compiled = tf.function(one_step)
    order = np.random.default_rng(seed)
    if 0 in snapshot_steps:
        on_snapshot(0)
    for step in range(1, steps + 1):
        chosen = order.integers(len(training.labels), size=BATCH)
        images, labels = training.images[chosen], training.labels[chosen]
        loss = compiled(tf.constant(images), tf.constant(labels), tf.constant([seed, step]))
        on_step(step, float(loss))
        if step in snapshot_steps:
            on_snapshot(step)


def augment(images: Any, seed: Any) -> Any:
    """From uint8 RGB to [-1, 1], mirrored, some without colour, in other light.

    Without it the mean colour of a window would tell most photographs apart, and
    the networks would learn little else.
    """
    import tensorflow as tf

    n = tf.shape(images)[0]

    def uniform(number: int, shape: list[Any], low: float, high: float) -> Any:
        return tf.random.stateless_uniform(shape, tf.add(seed, [0, 7919 * number]), low, high)

    x = tf.cast(images, tf.float32) / 255.0
    mirrored = uniform(1, [n, 1, 1, 1], 0.0, 1.0) < 0.5
    x = tf.where(mirrored, x[:, :, ::-1], x)
    grey = tf.reduce_mean(x, axis=3, keepdims=True)
    saturation = tf.maximum(uniform(2, [n, 1, 1, 1], -0.6, 1.4), 0.0)  # three in ten without colour
    x = grey + saturation * (x - grey)
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    x = mean + uniform(3, [n, 1, 1, 1], 0.6, 1.4) * (x - mean)
    x = x * uniform(4, [n, 1, 1, 3], 0.75, 1.25) + uniform(5, [n, 1, 1, 1], -0.15, 0.15)
    return tf.clip_by_value(x, 0.0, 1.0) * 2.0 - 1.0


def accuracy(model: Any, windows: Windows) -> float:
    """Share of windows, unaltered, whose class the model finds."""
    right = 0
    for start in range(0, len(windows.labels), 256):
        logits = model(windows.images[start : start + 256] / np.float32(127.5) - 1, training=False)
        right += int((logits.numpy().argmax(axis=1) == windows.labels[start : start + 256]).sum())
    return right / len(windows.labels)
