"""Analogies of a unit: at their layers in the figure, in rows of models, and after a reload."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from live_tab import Board, Tab
from playwright.sync_api import expect

FIRST, SECOND = "first/first@0", "second/second@0"
PAIR = {"a": FIRST, "b": SECOND, "measure": "linear_cka"}
UNIT = {"side": "a", "layer": "module_3x3", "unit": 2}
DEPTH = ["stem", "module_1x1", "module_3x3", "module_output", "block_conv", "block_add", "pool"]


def drawn(tab: Tab) -> Any:
    """The pictures in the panel, all of them there."""
    panel = tab.frame.get_by_test_id("analogies")
    panel.get_by_test_id("picture").locator("img").first.wait_for()
    expect(panel.get_by_test_id("budget")).to_have_text(re.compile(r"^\s*\d+\s+pictures? of"))
    return panel.get_by_test_id("picture")


def asked_jobs(tab: Tab) -> list[str]:
    """The kinds of the jobs that the tab asks for from now on, except in the background."""
    kinds: list[str] = []

    def hear(request: Any) -> None:
        is_asked = request.method == "POST" and "/jobs?" in request.url
        if is_asked and "background=1" not in request.url:
            kinds.append(json.loads(request.post_data)["kind"])

    tab.page.on("request", hear)
    return kinds


def overlap(p: dict[str, float], q: dict[str, float]) -> bool:
    return (
        min(p["x"] + p["width"], q["x"] + q["width"]) - max(p["x"], q["x"]) > 0.5
        and min(p["y"] + p["height"], q["y"] + q["height"]) - max(p["y"], q["y"]) > 0.5
    )


def test_analogies_stand_at_their_layers_and_cover_no_name(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    tab.open(board.url, **PAIR, **UNIT).settle()
    pictures = drawn(tab)
    thumbnails = tab.frame.get_by_test_id("on-graph")
    expect(thumbnails).to_have_count(pictures.count())
    tab.settle()  # the figure has grown into the room beside the panel
    boxes = [one.bounding_box() for one in thumbnails.all()]
    assert not any(overlap(p, q) for p, q in combinations(boxes, 2))
    names = [one.bounding_box() for one in tab.frame.locator("svg .label").all()]
    layers = [one.bounding_box() for one in tab.frame.locator(".front .box").all()]
    assert names
    assert not any(overlap(p, q) for p in boxes for q in [*names, *layers])
    # Each is near the box of its own layer: the unit itself in A, what answers to it in B.
    for at, thumbnail in enumerate(thumbnails.all()):
        side = thumbnail.get_attribute("data-key")[0]
        assert side == ("a" if at == 0 else "b")
        layer = tab.box(side, thumbnail.get_attribute("data-of")).bounding_box()
        middle = boxes[at]["x"] + boxes[at]["width"] / 2
        assert abs(middle - layer["x"] - layer["width"] / 2) < 200
    # The number of a picture is in its border.
    borders = thumbnails.locator("span").evaluate_all(
        "spans => spans.map(s => [getComputedStyle(s).borderTopColor, s.className])"
    )
    assert len({colour for colour, _ in borders[1:]}) > 1

    tip = tab.frame.get_by_role("tooltip")
    thumbnails.last.hover()
    card, figure = tip.bounding_box(), tab.frame.get_by_test_id("alignment").bounding_box()
    assert card["x"] + card["width"] <= figure["x"] + figure["width"]
    last = thumbnails.last.bounding_box()
    assert not overlap(card, last)
    one = thumbnails.nth(2)
    layer = one.get_attribute("data-of")
    one.hover()
    tip.get_by_text(re.compile(r"regression direction: r \S+ \[")).wait_for()
    assert layer in tip.inner_text()
    assert violations(tab) == []
    tab.page.mouse.move(5, 5)
    expect(tip).to_have_count(0)
    one.focus()
    tip.wait_for()
    one.press("Enter")
    dialog = tab.frame.get_by_role("dialog")
    assert dialog.get_by_role("heading").inner_text() == layer
    tab.page.keyboard.press("Escape")

    tab.frame.get_by_label("sorted").select_option("number")
    told = [re.search(r"r (\S+)", text) for text in pictures.all_inner_texts()[1:]]
    numbers = [float(found[1].replace("−", "-")) for found in told if found]
    assert len(numbers) > 3
    assert numbers == sorted(numbers, reverse=True)
    # Another unit, and the pictures of this one are gone from the figure.
    tab.frame.get_by_role("button", name="Close the unit").click()
    expect(thumbnails).to_have_count(0)


def test_what_was_drawn_is_there_after_a_reload_without_a_job(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, **UNIT, image=0).settle()
    count = drawn(tab).count()
    caricatures = tab.frame.get_by_test_id("caricature")
    tab.inspector().get_by_role("button", name="Draw caricatures").click()
    expect(caricatures).to_have_count(2)
    tab.frame.locator("progress").first.wait_for(state="detached")

    asked = asked_jobs(tab)
    tab.reload()
    tab.settle()
    expect(tab.frame.get_by_test_id("picture").locator("img")).to_have_count(count)
    expect(caricatures).to_have_count(2)
    own = tab.frame.get_by_role("button", name="Unit 2", exact=True).locator("img")
    assert own.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    # The layer stays, without a unit: its gallery has the render all the same.
    tab.open(board.url, **PAIR, side="a", layer="module_3x3")
    tab.reload()
    own.wait_for()
    assert not {"analogies", "caricatures"} & set(asked)


@pytest.mark.slow  # test_analogies_come_with_numbers_and_pictures_that_sharpen is its small sibling
@pytest.mark.parametrize("prepares", [True])
def test_a_picture_looked_at_in_large_becomes_sharp_with_its_own_number(
    tab: Tab, board: Board
) -> None:
    asked: list[dict[str, Any]] = []
    held: list[Any] = []
    rest: list[Any] = []

    def hold(route: Any) -> None:
        """One sharp picture is asked for once the small one was looked at, the rest behind it."""
        body = json.loads(route.request.post_data)
        if body["kind"] != "analogies" or body["size"] != "auto":
            return route.continue_()
        if "background=1" in route.request.url:
            return rest.append(route)
        asked.append(body)
        return held.append(route)

    tab.page.route(re.compile(r"/jobs\?"), hold)
    tab.open(board.url, **PAIR, **{**UNIT, "unit": 3}).settle()  # not drawn by another test
    pictures = drawn(tab)
    # A layer of which every position sees the whole image is drawn larger than the others.
    small = pictures.filter(has=tab.frame.get_by_title("pool", exact=True)).first
    strength = small.get_by_test_id("strength")
    number_of_small = re.compile(r"^> (all|\d+ % of) images$")
    expect(strength).to_have_text(number_of_small)
    assert "less than this picture does" in strength.get_attribute("aria-description")
    width = "image => image.decode().then(() => image.naturalWidth)"
    own = small.locator("img")
    assert own.evaluate(width) == 96
    own.click()
    dialog = tab.frame.get_by_role("dialog")
    image = dialog.locator("img")
    assert image.evaluate(width) == 96
    number = dialog.get_by_text(re.compile("^stronger than "))
    in_brief = number.inner_text().replace("stronger than", ">").replace(" the ", " ")
    assert in_brief == strength.inner_text()
    image.evaluate(
        "image => { window.seen = new Set(); const look = () => {"
        "window.seen.add(image.naturalWidth); requestAnimationFrame(look) }; look() }"
    )
    tab.until(lambda: asked)
    assert [(one["size"], one["targets"]) for one in asked] == [
        ("auto", [{"snapshot": SECOND, "layers": ["pool"]}])
    ]
    held.pop().continue_()
    dialog.get_by_text("a sharper picture is being drawn").wait_for()
    expect(image).to_have_js_property("naturalWidth", 192)
    assert image.evaluate("() => [...window.seen]") == [96, 192]  # never blank in between
    expect(dialog.get_by_text("a sharper picture is being drawn")).to_have_count(0)
    expect(number).to_have_count(1)
    tab.page.keyboard.press("Escape")
    expect(own).to_have_js_property("naturalWidth", 192)

    tab.reload()  # it was kept
    tab.settle()
    expect(own).to_have_js_property("naturalWidth", 192)
    assert len(asked) == 1

    # A row that nobody looks at in large becomes sharp by itself, after all its small pictures.
    assert {json.loads(one.request.post_data)["size"] for one in rest} == {"auto"}
    tab.page.unroute(re.compile(r"/jobs\?"))
    tab.frame.get_by_test_id("analogies").get_by_label("steps").select_option("64")
    expect(own).to_have_js_property("naturalWidth", 96)
    expect(own).to_have_js_property("naturalWidth", 192)


def test_a_model_is_added_and_stays_in_the_address(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    tab.open(board.url, **{**PAIR, "b": FIRST}, **UNIT).settle()
    add = tab.frame.get_by_label("Add a model")
    assert add.locator("option").all_inner_texts() == ["Add a model…", "second"]
    assert "elsewhere" not in add.inner_text()  # of another probe
    add.select_option(SECOND)
    rows = tab.frame.get_by_test_id("row")
    expect(rows).to_have_count(3)
    drawn(tab)
    tab.address(more=urllib.parse.quote(SECOND, safe=""))
    expect(rows.first.get_by_test_id("picture")).to_have_count(1)  # the unit's own model
    assert "the unit itself" in rows.first.inner_text()
    added = rows.nth(2)
    assert "second" in added.get_by_role("heading").inner_text()
    layers = added.locator("figcaption .layer").all_inner_texts()
    assert len(layers) > 3
    known = [DEPTH.index(layer) for layer in layers if layer in DEPTH]
    assert known == sorted(known)
    records = json.loads(tab.download("Analogies", "json"))["records"]
    assert [one["layer"] for one in records if one["snapshot"] == SECOND] == layers
    assert violations(tab) == []

    tab.reload()
    expect(rows).to_have_count(3)
    rows.nth(2).get_by_role("button", name=f"Leave out {SECOND}").press("Enter")
    expect(rows).to_have_count(2)
    expect(add).to_be_enabled()
    tab.address(more=None)


# What belongs on one line, and lines that a browser may break between a number and its unit.
BROKEN = r"""[
    ...[...document.querySelectorAll('.one')].filter(one => one.getClientRects().length > 1),
    ...document.querySelectorAll('[data-testid=unit] p, [data-testid=analogies] p')
].filter(one => one.matches('.one') || /\d %/.test(one.textContent)).map(one => one.textContent)"""
ROWS = """all => Object.values(Object.groupBy(all, one => one.offsetTop)).map(row => row.length)"""


def test_the_heading_of_the_analogies_is_one_line(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, **UNIT).settle()
    panel = tab.frame.get_by_test_id("analogies")
    heading = panel.get_by_role("heading", level=2)
    for width in (1024, 1280, 1440):
        tab.page.set_viewport_size({"width": width, "height": 800})
        assert heading.bounding_box()["height"] < 30
        assert heading.bounding_box()["width"] > 0.8 * panel.bounding_box()["width"]
    unit = tab.frame.get_by_test_id("unit")
    for width in (1024, 1440, 2560):
        tab.page.set_viewport_size({"width": width, "height": 800})
        tab.still(tab.frame.locator(".strip").last)
        assert tab.run(BROKEN) == []
        assert unit.locator(".images figure").evaluate_all(ROWS) == [4, 4]
        *full, last = tab.frame.locator(".strip").last.locator("figure").evaluate_all(ROWS)
        assert all(count == full[0] for count in full)
        assert last >= max(full, default=0) - len(full)  # none is left alone below a long row
