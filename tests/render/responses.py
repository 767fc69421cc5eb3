"""What a unit makes of a picture, and pictures of noise to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np


def one_hot(units: int, unit: int) -> np.ndarray:
    return np.eye(units)[unit]


def response(model: Any, layer: str, unit: int, pictures: np.ndarray) -> float:
    """Mean of one unit for pictures (n, h, w, 3 or 1) in [0, 255], computed by Keras."""
    import keras

    part = keras.Model(model.inputs, model.get_layer(layer).output)
    return float(np.mean(part(pictures.astype(np.float32) / 255)[..., unit]))


def noise(count: int = 16, size: int = 64) -> np.ndarray:
    """Grey with the contrast of an ordinary photo."""
    pixels = np.random.default_rng(0).normal(128, 40, (count, size, size, 3))
    return np.clip(pixels, 0, 255)
