"""Rows of pictures, each with its caption: as a page for a browser, and as one picture."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import OptionError
from tb_modelcompare.render.contact_sheet import PLAIN, without_middle, words_of, wrapped

if TYPE_CHECKING:
    from PIL import Image

Picture = npt.NDArray[np.uint8]

_GAP, _FONT_SIZE, _MARGIN = 8, 13, 130
_LINE = _FONT_SIZE + 4
_LETTER = 7  # pixels that a letter takes in a page, on average
_INK, _EMPTY = (32, 33, 36), (232, 234, 237)
_STYLE = (
    "font: 13px system-ui, sans-serif; color: #202124; background: #fff; padding: 8px; "
    "overflow-x: auto"
)


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of a sheet.

    Attributes
    ----------
    lines : tuple of str
        Its caption.
    picture : array (height, width, 3) uint8 or None
        None where there is no picture. A sheet shows all at the size of the largest.
    about : str
        What a page shows for a pointer that rests on it: the full name, or why there is none.
    """

    lines: tuple[str, ...]
    picture: Picture | None
    about: str = ""


@dataclass(frozen=True, eq=False)
class Row:
    """A row of a sheet: what its pictures have in common, and the pictures.

    Attributes
    ----------
    label : str
    cells : tuple of Cell
    """

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Sheet:
    """Rows of pictures with captions. A notebook shows it where it is the last value of a cell.

    Attributes
    ----------
    title : str
    rows : tuple of Row
    """

    title: str
    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        count = sum(cell.picture is not None for row in self.rows for cell in row.cells)
        saved = 'a notebook shows it, and save("sheet.png") writes a file'
        return f"<Sheet {self.title!r} of {count} pictures: {saved}>"

    def html(self) -> str:
        """The sheet as an HTML element that needs nothing else.

        Returns
        -------
        str
        """
        rows = "".join(
            '<div style="display: flex; gap: 8px; align-items: flex-end; margin-top: 10px">'
            f'<b style="flex: none; width: {_MARGIN}px; align-self: center" '
            f'title="{html.escape(row.label, quote=True)}">{_breakable(row.label, _MARGIN)}</b>'
            f"{''.join(map(self._figure, row.cells))}</div>"
            for row in self.rows
        )
        return f'<div style="{_STYLE}"><div>{html.escape(self.title)}</div>{rows}</div>'

    def image(self) -> Image.Image:
        """The sheet as one picture.

        Returns
        -------
        PIL.Image.Image
        """
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.load_default(_FONT_SIZE)
        side = self._side()
        captions = [
            [
                [line for text in cell.lines for line in wrapped(text.translate(PLAIN), font, side)]
                for cell in row.cells
            ]
            for row in self.rows
        ]
        headings = [_LINE * max(map(len, row), default=0) + 2 for row in captions]
        title = wrapped(self.title.translate(PLAIN), font, self._width(side) - 2 * _GAP)
        top = _GAP + _LINE * len(title) + _GAP
        height = top + sum(heading + side + 2 * _GAP for heading in headings)
        sheet = Image.new("RGB", (self._width(side), height), "white")
        draw = ImageDraw.Draw(sheet)
        for k, line in enumerate(title):
            draw.text((_GAP, _GAP + k * _LINE), line, _INK, font)
        for row, row_captions, heading in zip(self.rows, captions, headings, strict=True):
            label = wrapped(row.label.translate(PLAIN), font, _MARGIN)
            for k, line in enumerate(label):
                draw.text((_GAP, top + heading + k * _LINE), line, _INK, font)
            for j, (cell, lines) in enumerate(zip(row.cells, row_captions, strict=True)):
                x = _MARGIN + 2 * _GAP + j * (side + _GAP)
                for k, line in enumerate(lines):
                    draw.text((x, top + k * _LINE), line, _INK, font)
                if cell.picture is None:
                    corners = (x, top + heading, x + side - 1, top + heading + side - 1)
                    draw.rectangle(corners, outline=_EMPTY)
                else:
                    sheet.paste(Image.fromarray(enlarged(cell.picture, side)), (x, top + heading))
            top += heading + side + 2 * _GAP
        return sheet

    def save(self, file: str | Path) -> Path:
        """Write the sheet to a file: a page if its name ends in .html, a picture if in .png.

        Parameters
        ----------
        file : str or Path

        Returns
        -------
        Path

        Raises
        ------
        OptionError
            If the name ends in neither.
        """
        path = Path(file)
        if path.suffix == ".html":
            head = f'<!doctype html>\n<meta charset="utf-8">\n<title>{html.escape(self.title)}'
            path.write_text(f"{head}</title>\n{self.html()}\n", encoding="utf-8")
        elif path.suffix == ".png":
            self.image().save(path)
        else:
            raise OptionError(f"{path.name!r:.100} ends in neither .html nor .png")
        return path

    def _repr_html_(self) -> str:
        return self.html()

    def _side(self) -> int:
        """Pixels of the largest picture's longer side."""
        pictures = [cell.picture for row in self.rows for cell in row.cells]
        return max((max(one.shape[:2]) for one in pictures if one is not None), default=96)

    def _width(self, side: int) -> int:
        cells = max((len(row.cells) for row in self.rows), default=0)
        return _MARGIN + 3 * _GAP + max(cells * (side + _GAP), 200)

    def _figure(self, cell: Cell) -> str:
        side = self._side()
        caption = "<br>".join(_breakable(line, side) for line in cell.lines)
        about = html.escape(cell.about or " ".join(cell.lines), quote=True)
        if cell.picture is None:
            drawn = (
                f'<div style="width: {side}px; height: {side}px; border: 1px solid #dadce0; '
                'box-sizing: border-box"></div>'
            )
        else:
            scale = side / max(cell.picture.shape[:2])
            width = max(1, round(scale * cell.picture.shape[1]))
            drawn = (
                f'<img alt="{about}" style="display: block; width: {width}px" '
                f'src="{data_url(cell.picture)}">'
            )
        return (
            f'<figure style="flex: none; width: {side}px; margin: 0" title="{about}">'
            f"<figcaption>{caption}</figcaption>{drawn}</figure>"
        )


def _breakable(text: str, width: int) -> str:
    """Text as HTML, which a browser breaks between words alone; one too long loses its middle."""
    letters = width // _LETTER
    short = (
        without_middle(word, lambda part: len(part.rstrip(" _/.:-")) <= letters)
        for word in words_of(text)
    )
    return "<wbr>".join(map(html.escape, short))


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the beginning that all of them share, cut where a word ends."""
    from tb_modelcompare.graph.naming import common_stem

    stem = common_stem(list(names)) if len(names) > 1 else ""
    short = [name[len(stem) :].lstrip("_/.-:") for name in names]
    return short if all(short) else list(names)


def enlarged(picture: Picture, size: int) -> Picture:
    """A picture whose longer side has this many pixels."""
    from PIL import Image

    image = Image.fromarray(picture)
    scale = size / max(image.size)
    sides = [max(1, math.floor(scale * side + 0.5)) for side in image.size]
    return np.asarray(image.resize(sides))


def data_url(picture: Picture) -> str:
    """A picture as the address of itself, for a page that needs nothing else."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
