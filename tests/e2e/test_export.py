"""Figures for papers: their size, their colours, what they say, and their names."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from live_tab import Board, Tab
from PIL import Image
from playwright.sync_api import expect

PAIR = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}


@pytest.mark.parametrize("figure", ["graph", "matrix"])
@pytest.mark.parametrize("mm", [85, 180])
def test_a_figure_has_its_width_on_paper_and_text_that_can_be_read(
    tab: Tab, board: Board, figure: str, mm: int
) -> None:
    tab.open(board.url, **PAIR).settle()
    document = tab.figure(figure, "svg", mm).decode()
    assert tab.file == f"first_first_0-second_second_0-linear_cka-{figure}-{mm}mm.svg"
    assert f'width="{mm}mm"' in document
    units = float(re.search(r'viewBox="\S+ \S+ ([\d.]+)', document)[1])
    points = mm / 25.4 * 72 / units
    sizes = [float(size) * points for size in re.findall(r'font-size="([\d.]+)"', document)]
    assert min(sizes) >= 6.99
    pixels = Image.open(io.BytesIO(tab.figure(figure, "png", mm)))
    assert pixels.info["dpi"][0] == pytest.approx(300, abs=0.1)
    assert pixels.width == pytest.approx(mm / 25.4 * 300, abs=2)


def test_exports_are_light_and_say_what_they_show(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    tab.page.emulate_media(color_scheme="dark")
    tab.open(board.url + "?darkMode=true", **PAIR).settle()
    assert tab.run("document.documentElement.dataset.theme") == "dark"
    image = Image.open(io.BytesIO(tab.figure("graph", "png"))).convert("RGB")
    assert image.getpixel((3, 3)) == (255, 255, 255)
    tab.frame.get_by_role("button", name="Export…").click()
    dialog = tab.frame.get_by_role("dialog", name="Export")
    dialog.get_by_role("img").wait_for()
    caption = dialog.get_by_label("caption code", exact=True).inner_text()
    for said in ("Linear CKA", "40 images (160 rows)", "first/first@0", "second/second@0"):
        assert said in caption
    assert (
        "@inproceedings{kornblith2019similarity"
        in dialog.get_by_label("BibTeX code", exact=True).inner_text()
    )
    assert violations(tab) == []
    tab.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


@pytest.mark.parametrize(
    ("measure", "meaning"),
    [
        ("linear_cka", "95 % repeatability at 40 images"),
        ("unbiased_linear_cka", "95 % interval for the value over all images"),
    ],
)
def test_captions_have_the_interval_of_the_chosen_pair_and_what_it_is_for(
    tab: Tab, board: Board, measure: str, meaning: str
) -> None:
    chosen = {**PAIR, "measure": measure, "side": "a", "layer": "module_3x3", "pair": "stem"}
    tab.open(board.url, **chosen).settle()
    card = tab.frame.get_by_test_id("pair")
    ends = card.locator("dd").nth(1)
    expect(ends).to_have_text(re.compile(r"\d to "))
    expect(card.get_by_text(meaning, exact=True)).to_be_visible()
    said = f"({meaning}: {ends.inner_text()})"
    tab.frame.get_by_role("button", name="Export…").click()
    dialog = tab.frame.get_by_role("dialog", name="Export")
    expect(dialog.get_by_label("caption code", exact=True)).to_contain_text(said)
    dialog.get_by_role("button", name="Close").click()
    for figure in ("graph", "matrix"):
        document = tab.figure(figure, "svg").decode()
        words = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", document))
        assert said in words.replace("\u00a0", " ")
