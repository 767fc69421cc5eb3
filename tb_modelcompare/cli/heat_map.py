"""A similarity matrix as a picture, with the layers' names and a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import Measure
from tb_modelcompare.training import Metric

if TYPE_CHECKING:
    from PIL import Image

# Viridis (CC0) at nine even steps: lightness rises evenly, for every kind of colour vision.
_COLOURS = np.array(
    [
        (68, 1, 84),
        (71, 44, 122),
        (59, 81, 139),
        (44, 113, 142),
        (33, 144, 141),
        (39, 173, 129),
        (92, 200, 99),
        (170, 220, 50),
        (253, 231, 37),
    ],
    np.float64,
)
_INK = (32, 33, 36)
_GAP = 12
_MATRIX_PIXELS = 900  # of the longer side, before cells are rounded to whole pixels
_CELL = (3, 24)
_FONT = (8, 13)
_LABEL_CHARACTERS = 40


def heat_map(
    values: npt.NDArray[np.float64],
    down_names: Sequence[str],
    across_names: Sequence[str],
    title: str,
    measure: Measure | Metric,
) -> Image.Image:
    """A table of values with the names of its rows and columns; no value (NaN) is white.

    Colours span the measure's range where it is finite, else that of the values. Where cells
    are too small for a name each, every second, third, … layer is named.
    """
    from PIL import Image, ImageDraw, ImageFont

    down, across = values.shape
    cell = min(max(_MATRIX_PIXELS // max(down, across), _CELL[0]), _CELL[1])
    font_size = min(max(cell, _FONT[0]), _FONT[1])
    font = ImageFont.load_default(font_size)
    every = math.ceil((font_size + 2) / cell)
    rows, columns = (
        [name[:_LABEL_CHARACTERS] for name in names] for names in (down_names, across_names)
    )
    left = _GAP + 6 + math.ceil(max(map(font.getlength, rows)))
    above = math.ceil(max(map(font.getlength, columns)))
    top = 2 * _GAP + font_size + above
    scale_width = 18
    low, high = _range(values, measure)
    scale_labels = [f"{value:.3g}" for value in np.linspace(high, low, 5)]
    right = 2 * _GAP + scale_width + 6 + math.ceil(max(map(font.getlength, scale_labels)))

    width = max(left + across * cell + right, math.ceil(font.getlength(title)) + 2 * _GAP)
    height = top + max(down * cell, 5 * (font_size + 2)) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP // 2), title, _INK, font)

    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    matrix = Image.fromarray(_coloured(share))
    sheet.paste(matrix.resize((across * cell, down * cell), Image.Resampling.NEAREST), (left, top))
    middle = (cell - font_size) // 2 - 1
    for i in range(0, down, every):
        x = left - 6 - font.getlength(rows[i])
        draw.text((x, top + i * cell + middle), rows[i], _INK, font)
    for j in range(0, across, every):
        label = _upright(columns[j], font, font_size)
        sheet.paste(label, (left + j * cell + middle, top - 4 - label.height))

    x = left + across * cell + _GAP
    tall = height - _GAP - top
    ramp = _coloured(np.linspace(1.0, 0.0, tall)[:, None])
    sheet.paste(Image.fromarray(ramp).resize((scale_width, tall)), (x, top))
    for i, text in enumerate(scale_labels):
        y = top + i * (tall - font_size - 2) // 4
        draw.text((x + scale_width + 6, y), text, _INK, font)
    return sheet


def _range(values: npt.NDArray[np.float64], measure: Measure | Metric) -> tuple[float, float]:
    low = measure.low if math.isfinite(measure.low) else float(np.nanmin(values))
    if not measure.distance and math.isfinite(measure.low):
        low = max(low, 0.0)  # unrelated layers have about 0, and what is below looks as they do
    high = measure.high if math.isfinite(measure.high) else float(np.nanmax(values))
    return low, max(high, math.nextafter(low, math.inf))


def _coloured(share: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    level = np.clip(share, 0.0, 1.0) * (len(_COLOURS) - 1)
    steps = np.arange(len(_COLOURS))
    channels = [np.interp(level, steps, _COLOURS[:, c]) for c in range(3)]
    pixels = np.stack(channels, axis=-1)
    pixels[np.isnan(share)] = 255.0
    return np.rint(pixels).astype(np.uint8)


def _upright(text: str, font: Any, font_size: int) -> Image.Image:
    """Text that reads from bottom to top."""
    from PIL import Image, ImageDraw

    label = Image.new("RGB", (math.ceil(font.getlength(text)) + 1, font_size + 4), "white")
    ImageDraw.Draw(label).text((0, 0), text, _INK, font)
    return label.transpose(Image.Transpose.ROTATE_90)
