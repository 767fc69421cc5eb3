"""What logging costs training: time in `ModelCompareCallback` as a share of epoch time.

    python benchmarks/callback.py [--images 4000] [--probe 200] [--epochs 5]

A small convolutional network on 32×32 images, all layers logged each epoch. The first and the
last snapshot also freeze the graph; they are given apart.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import keras
import numpy as np

from tb_modelcompare import Probe
from tb_modelcompare.keras import ModelCompareCallback


def network() -> Any:
    layers: list[Any] = [keras.Input((32, 32, 3))]
    for units in (32, 64, 128):
        layers += [
            keras.layers.Conv2D(units, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    return model


class Clock(keras.callbacks.Callback):
    """Seconds per epoch, and the callback's seconds at the end of each."""

    def __init__(self, watched: ModelCompareCallback) -> None:
        super().__init__()
        self.watched = watched
        self.ends: list[tuple[float, float]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self.ends:
            self.ends.append((time.perf_counter(), self.watched.seconds))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append((time.perf_counter(), self.watched.seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("images", 4000), ("probe", 200), ("epochs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.random((options.images, 32, 32, 3)).astype(np.float32)
    labels = rng.integers(0, 10, options.images)
    probe = Probe(
        rng.integers(0, 256, (options.probe, 32, 32, 3), dtype=np.uint8), positions_per_image=4
    )
    with tempfile.TemporaryDirectory() as logdir:
        callback = ModelCompareCallback(logdir, probe)
        clock = Clock(callback)
        network().fit(
            images, labels, batch_size=64, epochs=options.epochs, verbose=0,
            callbacks=[callback, clock],
        )  # fmt: skip
    # The first epoch compiles, the last one has no snapshot of its own.
    spans = [
        (end - start, after - before)
        for (start, before), (end, after) in zip(clock.ends[1:-2], clock.ends[2:-1], strict=True)
    ]
    epoch = float(np.median([span - logging for span, logging in spans]))
    logging = float(np.median([logging for _, logging in spans]))
    ends = callback.seconds - sum(logging for _, logging in spans)
    print(f"epoch {epoch:.2f} s; snapshot of {options.probe} images {logging:.2f} s")
    print(f"share of epoch time: {100 * logging / epoch:.1f} %")
    print(f"first and last snapshots, with tracing and freezing: {ends:.2f} s together")


if __name__ == "__main__":
    main()
