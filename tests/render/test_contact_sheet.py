"""Contact sheets: every picture is there, unharmed, with its label."""

from __future__ import annotations

import html

import numpy as np
import pytest
from PIL import ImageFont

from tb_modelcompare.render import contact_sheet
from tb_modelcompare.render.contact_sheet import wrapped
from tb_modelcompare.render.sheet import Cell, Row, Sheet

COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10), (10, 250, 250)]


def pictures(size: int = 32) -> list[np.ndarray]:
    return [np.full((size, size, 3), colour, np.uint8) for colour in COLOURS]


@pytest.mark.parametrize("scale", [1, 2])
def test_every_picture_is_there_in_reading_order(scale: int) -> None:
    labels = list("abcde")
    sheet = np.asarray(
        contact_sheet(pictures(), labels, columns=3, rows=["top", "below"], title="t", scale=scale)
    )
    corners = []
    for colour in COLOURS:
        found = np.argwhere((sheet == colour).all(-1))
        assert len(found) == (32 * scale) ** 2
        corners.append(tuple(found.min(0)))
    assert corners == sorted(corners)
    assert len({v for v, _ in corners}) == 2
    assert [u for _, u in corners[:2]] == [u for _, u in corners[3:]]


def test_labels_are_drawn_and_long_ones_do_not_overlap_the_next_picture() -> None:
    blank = np.asarray(contact_sheet(pictures(), [""] * 5, columns=5))
    long = "expanded_conv_16/depthwise_relu:1021"
    sheet = np.asarray(contact_sheet(pictures(), [long] * 5, columns=5))
    assert sheet.shape[0] > blank.shape[0]  # broken into lines
    assert sheet.shape[1] == blank.shape[1]
    dark = (sheet < 100).all(-1)
    gaps = [u for u in range(sheet.shape[1]) if (sheet[-20:, u] == 255).all()]
    assert dark.any()
    assert not dark[:, gaps].any()


def test_names_in_sheets_of_small_pictures_break_between_words_alone() -> None:
    name, number = "expanded_conv_16/depthwise_fully_convolutionalised", "r -0.39"
    picture = np.full((64, 64, 3), 90, np.uint8)
    page = Sheet("t", (Row("a row", (Cell((name, number), picture, about=name),)),)).html()
    caption = page.partition("<figcaption>")[2].partition("</figcaption>")[0]
    name_shown, number_shown = caption.split("<br>")
    words = [html.unescape(word) for word in name_shown.split("<wbr>")]
    assert words[:4] == ["expanded_", "conv_", "16/", "depthwise_"]
    assert words[-1] == "conv…ised"
    assert number_shown.replace("<wbr>", "") == number
    assert "0.<wbr>" not in number_shown
    assert f'title="{name}"' in page
    assert "overflow-wrap" not in page
    font = ImageFont.load_default(13)
    lines = wrapped(f"{name}\n{number}", font, 72)
    assert all(font.getlength(line) <= 72 for line in lines)
    assert lines[:4] == ["expanded_", "conv_16/", "depthwise_", "fully_"]
    assert lines[-1] == number
    assert len(lines) == 6
    assert "…" in lines[4]


def test_one_label_per_picture() -> None:
    with pytest.raises(ValueError, match="2 labels for 5 images"):
        contact_sheet(pictures(), ["a", "b"])


def test_a_sheet_shows_small_pictures_as_large_as_the_largest() -> None:
    small, large = (np.full((side, side, 3), 90, np.uint8) for side in (32, 96))
    sheet = Sheet("title", (Row("row", (Cell(("a",), small), Cell(("b",), large))),))
    drawn = np.asarray(sheet.image())
    assert (drawn == 90).all(-1).sum() == 2 * 96 * 96
    assert sheet.html().count("display: block; width: 96px") == 2
