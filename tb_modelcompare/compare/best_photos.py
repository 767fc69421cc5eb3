"""The probe's photos that excite a unit most, marked where the unit was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tb_modelcompare.compare.units import TopPositions
from tb_modelcompare.probe.probe import Probe

Picture = npt.NDArray[np.uint8]


def best_photos(probe: Probe, top: TopPositions, *, size: int) -> list[tuple[str, Picture]]:
    """The photos, strongest first, each with the activation as its caption.

    A ring marks where the activation was read, a frame what the layer sees from there.
    """
    return [
        (_caption(position), _marked(probe.images[position["image"]], position, size))
        for position in top.positions
    ]


def about_ties(top: TopPositions) -> list[str]:
    """Sentences on photos with equal activations, for whoever wonders about their order."""
    said = []
    if top.ranked_by is not None:
        said.append(
            f"Photos with equal activations are in the order of {top.ranked_by}, the value before "
            f"the cap."
        )
    if top.tied:
        value = f"{top.positions[-1]['value']:.3g}"
        more = "one more photo ties" if top.tied == 1 else f"{top.tied} more photos tie"
        said.append(
            f"At {value}, {more} with the last of these; those shown lie evenly over the probe."
        )
    return said


def rgb_bytes(pixels: npt.NDArray[Any]) -> Picture:
    """Pixels of a probe, of 1 or 3 channels, as RGB bytes."""
    whole = pixels if pixels.dtype == np.uint8 else np.rint(255 * pixels).astype(np.uint8)
    return np.broadcast_to(whole, (*whole.shape[:2], 3))


def _caption(position: dict[str, Any]) -> str:
    before = "" if position["before"] is None else f" ({position['before']:.3g} before the cap)"
    return f"{position['name']}\n{position['value']:.3g}{before}"


def _marked(pixels: npt.NDArray[Any], position: dict[str, Any], size: int) -> Picture:
    photo = Image.fromarray(rgb_bytes(pixels))
    scale = size / max(photo.size)
    photo = photo.resize((max(1, round(photo.width * scale)), max(1, round(photo.height * scale))))
    draw = ImageDraw.Draw(photo)
    radius = max(4, size // 16)
    x, y = position["v"] * photo.width, position["u"] * photo.height
    outlines = [(draw.ellipse, (x - radius, y - radius, x + radius, y + radius))]
    if position["box"] is not None:
        top, left, height, width = position["box"]
        corners = (left, top, min(1, left + width), min(1, top + height))
        across, down = photo.width - 1, photo.height - 1
        frame = tuple(c * (across, down)[i % 2] for i, c in enumerate(corners))
        outlines.append((draw.rectangle, frame))
    for outline, corners in outlines:
        outline(corners, outline="black", width=3)
        outline(corners, outline="white", width=1)
    return np.asarray(photo)
