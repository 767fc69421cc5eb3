"""Images at the size that a model takes, the same on every machine."""

from __future__ import annotations

import numpy as np

from tb_modelcompare.probe.sampling import Floats


def resize(images: Floats, height: int, width: int) -> Floats:
    """Images (n, h, w, c) at another size: bilinear, antialiased, the same on every machine."""
    if images.shape[1:3] == (height, width):
        return images
    down = _interpolation(images.shape[1], height)
    across = _interpolation(images.shape[2], width)
    return np.ascontiguousarray(np.einsum("ih,nhwc,jw->nijc", down, images, across, optimize=True))


def _interpolation(old: int, new: int) -> Floats:
    """(new, old) weights of a triangle filter, as wide as a source pixel or a target one."""
    scale = old / new
    reach = max(scale, 1.0)
    centres = (np.arange(new)[:, None] + 0.5) * scale
    distance = np.abs(centres - (np.arange(old)[None] + 0.5)) / reach
    weights = np.maximum(1.0 - distance, 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
