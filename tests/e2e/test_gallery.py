"""Units as pictures, and any picture in large."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from live_tab import Board, Tab
from playwright.sync_api import expect

PAIR = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
WIDE = {"a": "wide/wide@0", "b": "steps/trained@0", "measure": "linear_cka"}
NAMES = "all => all.map(tile => tile.getAttribute('aria-label'))"
GROUNDS = """[...document.querySelectorAll('.tile .crop')]
  .map(crop => getComputedStyle(crop).backgroundColor)"""
CROPS = """[...document.querySelectorAll('.tile .crop')].map(crop => crop.style.background)"""


def test_units_are_pictures_of_which_only_those_in_sight_are_drawn(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda one: "unit_crops" in one.url and asked.append(one.url))
    tab.open(board.url, **WIDE, side="a", layer="big").settle()
    gallery = tab.frame.get_by_role("group", name="Units of big")
    tab.frame.get_by_label("Order of the units").select_option("index")
    tiles = gallery.get_by_role("button")
    expect(tiles.first).to_have_attribute("aria-label", "Unit 0")
    assert 20 < tiles.count() < 100
    crop = gallery.locator(".crop").first.bounding_box()
    assert crop["width"] == crop["height"] >= 48
    gallery.evaluate("box => { box.scrollTop = box.scrollHeight }")
    last = gallery.get_by_role("button", name="Unit 199", exact=True)
    last.wait_for()
    assert tiles.count() < 100
    tab.page.wait_for_timeout(500)
    assert len(set(asked)) <= 8  # a sheet for 64 units, in two orders
    backgrounds = tab.run(CROPS)
    assert len(set(backgrounds)) == len(backgrounds)  # no two are the same piece of a sheet
    # A tile whose picture is still to come is no hole.
    assert not {"transparent", "rgba(0, 0, 0, 0)"}.intersection(tab.run(GROUNDS))
    # Keys go through all of them, also those that are not drawn yet.
    last.focus()
    last.press("Home")
    first = gallery.get_by_role("button", name="Unit 0", exact=True)
    expect(first).to_be_focused()
    first.press("ArrowRight")
    expect(gallery.get_by_role("button", name="Unit 1", exact=True)).to_be_focused()
    assert violations(tab) == []


def test_units_can_be_sorted_by_how_selective_they_are(tab: Tab, board: Board) -> None:
    tab.open(board.url, **WIDE, side="a", layer="big").settle()
    tab.frame.get_by_label("Order of the units").select_option("selectivity")
    tiles = tab.frame.get_by_role("group", name="Units of big").get_by_role("button")
    found = [
        float(re.search(r"selectivity ([\d.]*\d)", title)[1])
        for title in tiles.evaluate_all("all => all.map(one => one.title)")
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_bars_say_how_well_the_other_layer_of_the_pair_predicts_each_unit(
    tab: Tab, board: Board
) -> None:
    tab.open(board.url, **PAIR, side="a", layer="module_output").settle()
    tab.frame.get_by_test_id("shared").wait_for()
    tracks = tab.frame.locator(".tile .track")
    assert tracks.count() == 0  # no bar without a pair
    tab.open(board.url, **PAIR, side="a", layer="module_output", pair="block_add").settle()
    tracks.first.wait_for()
    said = tab.frame.get_by_test_id("shared").inner_text()
    assert "block_add in B predicts each unit" in said
    titles = tab.frame.locator(".tile").evaluate_all("all => all.map(one => one.title)")
    assert all("by block_add" in title for title in titles if "R²" in title)
    shares = [float(one) for one in tracks.evaluate_all("all => all.map(t => t.dataset.share)")]
    widths = tab.frame.locator(".tile .bar").evaluate_all(
        "all => all.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    )
    assert shares == sorted(shares, reverse=True)
    assert all(
        abs(width - min(1, max(0, share))) < 0.03
        for width, share in zip(widths, shares, strict=True)
    )


def test_a_picture_opens_in_large_with_its_numbers_and_its_neighbours(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    tab.open(board.url, **PAIR, side="a", layer="module_output", unit="2").settle()
    pictures = tab.frame.get_by_test_id("unit").get_by_role("button", name="large")
    pictures.nth(1).wait_for()
    pictures.nth(1).click()
    large = tab.frame.get_by_role("dialog")
    large.get_by_text("2 of 8").wait_for()
    assert "activation" in large.inner_text()
    assert large.locator("img").bounding_box()["width"] > 300
    assert violations(tab) == []
    title = large.get_by_role("heading").inner_text()
    tab.page.keyboard.press("ArrowRight")
    large.get_by_text("3 of 8").wait_for()
    assert large.get_by_role("heading").inner_text() != title
    tab.page.keyboard.press("ArrowLeft")
    expect(large.get_by_role("heading")).to_have_text(title)
    tab.page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(pictures.nth(1)).to_be_focused()
    tab.address(layer="module_output")  # nothing beneath heard of the keys
    # A unit's tile does so too, and its neighbours are the next units.
    tile = tab.inspector().locator(".tile").first
    tile.focus()
    tile.press(" ")
    unit = large.get_by_role("heading").inner_text()
    assert unit == tile.get_attribute("aria-label")
    large.get_by_role("button", name="Next picture").click()
    assert large.get_by_role("heading").inner_text() != unit
    large.get_by_role("button", name="Choose this unit").click()
    expect(large).to_have_count(0)
    tab.until(lambda: tab.parameters["unit"] != "2")


def test_units_do_not_change_places_beneath_a_pointer(tab: Tab, board: Board) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        asked = route.request.post_data_json or {}
        held.append(route) if asked.get("kind") == "shared_units" else route.continue_()

    tab.page.route(re.compile(r"/jobs\?"), hold)
    tab.open(board.url, **PAIR, side="a", layer="module_output").settle()
    tiles = tab.frame.get_by_role("group", name="Units of module_output").get_by_role("button")
    tab.until(lambda: held)
    tab.frame.get_by_test_id("certainty").wait_for()  # it slides the units
    tiles.first.hover()
    before = tiles.evaluate_all(NAMES)
    for route in held:
        route.continue_()
    tab.frame.get_by_test_id("shared").wait_for()
    assert tiles.evaluate_all(NAMES) == before
    tab.frame.get_by_role("heading", name="Units", exact=True).hover()
    tab.until(lambda: tiles.evaluate_all(NAMES), lambda names: names != before)
    assert sorted(tiles.evaluate_all(NAMES)) == sorted(before)


def test_units_of_a_probe_without_images_are_numbers_and_places_in_its_texts(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    texts = {"a": "texts/texts@0", "b": "texts/texts@0", "measure": "linear_cka"}
    asked: list[str] = []
    tab.page.on("request", lambda one: asked.append(one.url))
    tab.open(board.url, **texts, side="a", layer="one", pair="two", unit=2).settle()
    gallery = tab.frame.get_by_role("group", name="Units of one")
    tiles = gallery.get_by_role("button")
    expect(tiles).to_have_count(9)
    assert all(one.isdigit() for one in tiles.all_inner_texts())
    places = tab.frame.get_by_test_id("unit").get_by_role("listitem")
    expect(places).to_have_count(8)
    expect(places.first).to_contain_text(re.compile(r"at \d+.% of its length"))
    card = tab.frame.get_by_test_id("pair")
    card.get_by_role("button", name=re.compile(r"^Unit \d+ of ")).first.wait_for()
    assert tab.frame.locator("aside img").count() == 0
    of_rows = tab.frame.get_by_test_id("over-rows")
    expect(of_rows).to_contain_text(re.compile(r"Over the\s+rows: mean"))  # not of whole texts
    assert not [one for one in asked if "unit_crops" in one or "probe_image" in one]
    assert violations(tab) == []


def test_a_pair_on_three_images_says_what_it_can(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    few = {"a": "few/few@0", "b": "few/few@0", "measure": "linear_cka"}
    tab.open(board.url, **few, side="a", layer="one", pair="two").settle()
    card = tab.frame.get_by_test_id("pair")
    expect(card.get_by_role("definition").filter(has_text="…")).to_have_count(0)  # computed
    images = card.get_by_role("button", name=re.compile(r"^Image \d+, agreement"))
    names = [one.get_attribute("aria-label") for one in images.all()]
    assert len(set(names)) == len(names) <= 3  # none agrees both most and least
    expect(tab.frame.get_by_role("alert")).to_have_count(0)
    assert violations(tab) == []
