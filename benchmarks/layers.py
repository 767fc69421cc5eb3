"""Random layers of given widths, and the widths of real models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]
Layers = dict[str, Matrix]

INCEPTION = (64, 64, 192, 256, 480, 508, 512, 512, 528, 832, 832, 1024)
"""The 12 layers of the seed notebook."""

GOOGLENET = (64, 64, 192, 256, 480, 512, 512, 512, 528, 832, 832, 1024)
"""Stem and ends of the modules of GoogLeNet."""

MOBILENET_V2 = (16, 24, 24, *(32,) * 3, *(64,) * 4, *(96,) * 3, *(160,) * 3, 320, 1280)
"""Projections and the last convolution."""


def whole_googlenet() -> list[int]:
    """Each convolution before and after its ReLU, pooling, normalisation, joins: 143 layers."""
    widths = [64] * 8 + [192] * 7
    for *convolutions, pooled, joined, follows in (
        (64, 96, 128, 16, 32, 32, 192, 256, 0),
        (128, 128, 192, 32, 96, 64, 256, 480, 480),
        (192, 96, 208, 16, 48, 64, 480, 512, 0),
        (160, 112, 224, 24, 64, 64, 512, 512, 0),
        (128, 128, 256, 24, 64, 64, 512, 512, 0),
        (112, 144, 288, 32, 64, 64, 512, 528, 0),
        (256, 160, 320, 32, 128, 128, 528, 832, 832),
        (256, 160, 320, 32, 128, 128, 832, 832, 0),
        (384, 192, 384, 48, 128, 128, 832, 1024, 0),
    ):
        widths += [width for width in convolutions for _ in range(2)] + [pooled, joined]
        widths += [follows] if follows else []
    return widths


def whole_mobilenet_v2() -> list[int]:
    """Each convolution before and after its ReLU, projections, sums, the head: 100 layers."""
    widths, before = [32, 32, 32, 32, 16], 16
    for width, count in ((24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)):
        for index in range(count):
            widths += [6 * before] * 4 + [width] * (2 if index else 1)
            before = width
    return [*widths, 1280, 1280, 1280, 1001, 1001]


def activations(rows: int, widths: Sequence[int], seed: int = 0) -> Layers:
    """ReLU layers that share a signal, well conditioned, float32."""
    random = np.random.default_rng(seed)
    signal = random.standard_normal((rows, 64), dtype=np.float32)
    layers = {}
    for index, width in enumerate(widths):
        mixing = random.standard_normal((64, width), dtype=np.float32) / 8
        noise = random.standard_normal((rows, width), dtype=np.float32)
        layers[f"layer{index}"] = np.maximum(signal @ mixing + noise, 0)
    return layers


def memory_mapped(layers: Layers, folder: Path) -> Layers:
    mapped = {}
    for name in list(layers):
        np.save(folder / f"{name}.npy", layers.pop(name))
        mapped[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return mapped
