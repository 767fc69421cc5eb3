"""Pictures and photos at another size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def resized(image: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """An image (h, w, channels), uint8 or in [0, 1], at another size; in [0, 1] if it changed."""
    if image.shape[:2] == (height, width):
        return image
    from PIL import Image

    unit = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)
    planes = [
        np.asarray(Image.fromarray(unit[..., c]).resize((width, height), Image.Resampling.LANCZOS))
        for c in range(image.shape[-1])
    ]
    return np.asarray(np.clip(np.stack(planes, -1), 0, 1))


def shown(picture: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[np.uint8]:
    """A picture (h, w, 1 or 3), uint8 or in [0, 1], as RGB bytes of the size asked for.

    A picture of other proportions keeps them, on grey.
    """
    fit = min(height / picture.shape[0], width / picture.shape[1])
    if picture.dtype == np.uint8:
        picture = picture / np.float32(255)
    inner = [max(1, round(side * fit)) for side in picture.shape[:2]]
    rgb = np.broadcast_to(resized(picture, *inner), (*inner, 3))
    canvas = np.full((height, width, 3), 0.5, np.float32)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = rgb
    return np.asarray(np.rint(canvas * 255), np.uint8)
