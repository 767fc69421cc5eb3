"""Many pictures on one labelled sheet."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

_GAP = 8
_FONT_SIZE = 13
_INK = (32, 33, 36)
# Signs that labels like ours hold and that Pillow's own font lacks.
PLAIN = str.maketrans({"²": "2", "×": "x", "–": "-", "−": "-", "→": ">"})

_WORD = re.compile(r".+?(?:[_/: ]|\.(?!\d)|-(?=[^\W\d])|$)")


def contact_sheet(
    images: Sequence[npt.NDArray[np.uint8]],
    labels: Sequence[str],
    *,
    columns: int | None = None,
    rows: Sequence[str] | None = None,
    title: str | None = None,
    scale: int = 1,
) -> Image.Image:
    """Pictures in reading order on a white sheet, each with its label above it.

    Parameters
    ----------
    images : sequence of (height, width, 3) uint8
    labels : sequence of str
        One per image; "\\n" starts a new line, and what is too wide for its picture goes on in
        the next line, and a word that is too wide loses its middle.
    columns : int, optional
        Pictures per row; about a square sheet if left out.
    rows : sequence of str, optional
        One label per row of the sheet, written to its left.
    title : str, optional
    scale : int
        Every picture is enlarged this many times.

    Raises
    ------
    ValueError
        If the numbers of images and labels differ, or there are none.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not images or len(images) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(images)} images; give one per image")
    across = columns or math.ceil(math.sqrt(len(images)))
    down = math.ceil(len(images) / across)
    cell_width = scale * max(image.shape[1] for image in images)
    cell_height = scale * max(image.shape[0] for image in images)
    font = ImageFont.load_default(_FONT_SIZE)
    line = _FONT_SIZE + 4
    captions = [wrapped(label.translate(PLAIN), font, cell_width) for label in labels]
    heading = line * max(map(len, captions)) + 2
    margin = _GAP
    if rows is not None:
        margin += _GAP + math.ceil(max(map(font.getlength, rows), default=0))
    top = _GAP + (line + _GAP if title else 0)
    width = margin + across * (cell_width + _GAP)
    if title:
        width = max(width, math.ceil(font.getlength(title)) + 2 * _GAP)
    height = top + down * (heading + cell_height + _GAP)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((_GAP, _GAP), title.translate(PLAIN), _INK, font)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x = margin + (i % across) * (cell_width + _GAP)
        y = top + (i // across) * (heading + cell_height + _GAP)
        for k, text in enumerate(caption):
            draw.text((x, y + k * line), text, _INK, font)
        picture = Image.fromarray(image)
        if scale != 1:
            picture = picture.resize((picture.width * scale, picture.height * scale))
        sheet.paste(picture, (x, y + heading))
    for row, name in enumerate(rows or ()):
        y = top + row * (heading + cell_height + _GAP) + heading + (cell_height - line) // 2
        draw.text((_GAP, y), name.translate(PLAIN), _INK, font)
    return sheet


def wrapped(label: str, font: Any, width: int) -> list[str]:
    """Lines of a label that fit in a width. No word is broken: one too long loses its middle."""

    def fits(text: str) -> bool:
        return bool(font.getlength(text.rstrip()) <= width)

    lines = []
    for paragraph in label.split("\n"):
        line = ""
        for word in words_of(paragraph):
            if line and not fits(line + word):
                lines.append(line.rstrip())
                line = ""
            line += without_middle(word, fits)
        lines.append(line.rstrip())
    return lines


def words_of(label: str) -> list[str]:
    """Parts of a label between which a line may end: each with the separator that it ends with.
    A number is one word."""
    return _WORD.findall(label)


def without_middle(word: str, fits: Callable[[str], bool]) -> str:
    """A word, or as much of its beginning and end as fits, with dots in between."""
    if fits(word):
        return word
    for letters in range(len(word) - 1, 1, -1):
        short = f"{word[: (letters + 1) // 2]}…{word[len(word) - letters // 2 :]}"
        if fits(short):
            return short
    return word[:1]
