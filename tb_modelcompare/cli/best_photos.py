"""The probe's photos that excite a unit most, marked where the layer looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tb_modelcompare.probe import Probe
from tb_modelcompare.snapshot import Snapshot
from tb_modelcompare.units import top_places

Picture = npt.NDArray[np.uint8]


def best_photos(
    snapshot: Snapshot,
    probe: Probe,
    layer: str,
    response: npt.NDArray[np.floating[Any]],
    *,
    count: int,
    size: int,
) -> list[tuple[str, Picture]]:
    """The `count` photos, strongest first, each with the activation as its caption.

    A ring marks where the activation was read, a frame what the layer sees from there.
    """
    return [
        (
            f"{place['name']}\n{place['value']:.3g}",
            _marked(probe.images[place["image"]], place, size),
        )
        for place in top_places(snapshot, probe, layer, response, count)
    ]


def rgb_bytes(pixels: npt.NDArray[Any]) -> Picture:
    """Pixels of a probe, of 1 or 3 channels, as RGB bytes."""
    whole = pixels if pixels.dtype == np.uint8 else np.rint(255 * pixels).astype(np.uint8)
    return np.broadcast_to(whole, (*whole.shape[:2], 3))


def _marked(pixels: npt.NDArray[Any], place: dict[str, Any], size: int) -> Picture:
    photo = Image.fromarray(rgb_bytes(pixels))
    scale = size / max(photo.size)
    photo = photo.resize((max(1, round(photo.width * scale)), max(1, round(photo.height * scale))))
    draw = ImageDraw.Draw(photo)
    radius = max(4, size // 16)
    x, y = place["v"] * photo.width, place["u"] * photo.height
    outlines = [(draw.ellipse, (x - radius, y - radius, x + radius, y + radius))]
    if place["box"] is not None:
        top, left, height, width = place["box"]
        corners = (left, top, min(1, left + width), min(1, top + height))
        across, down = photo.width - 1, photo.height - 1
        frame = tuple(c * (across, down)[i % 2] for i, c in enumerate(corners))
        outlines.append((draw.rectangle, frame))
    for outline, corners in outlines:
        outline(corners, outline="black", width=3)
        outline(corners, outline="white", width=1)
    return np.asarray(photo)
