"""Nothing slides, jumps or goes blank while somebody looks at the tab."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live_tab import SIZE, Board, Tab
from playwright.sync_api import expect

PAIR = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
ON_B = re.compile(r"\bb\b")
INKED = """(() => [...document.querySelectorAll('.lines.all canvas')].some(canvas =>
  canvas.width && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    .some((value, at) => at % 4 === 3 && value > 0)))()"""


def test_the_panel_of_a_unit_opens_in_sight_and_moves_nothing(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, side="a", layer="module_output").settle()
    units = tab.frame.get_by_role("group", name="Units of module_output").get_by_role("button")
    tab.inspector()
    last = units.nth(11)
    last.scroll_into_view_if_needed()
    before = last.bounding_box()
    last.click()
    panel = tab.frame.get_by_test_id("unit")
    panel.locator("img").first.wait_for()
    assert last.bounding_box()["y"] == pytest.approx(before["y"], abs=0.5)
    for one in (panel.get_by_role("heading").first, panel.locator("img").first):
        box = one.bounding_box()
        assert box["y"] > 0
        assert box["y"] + box["height"] < 800


def test_what_slides_beneath_a_resting_pointer_is_not_pointed_at(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, side="a", layer="module_output").settle()
    matches = tab.frame.get_by_test_id("matches").get_by_role("button")
    tab.inspector()
    focus = tab.frame.locator("svg.lit .focus")
    assert "a" in focus.get_attribute("class").split()
    matches.nth(4).hover()
    expect(focus).to_have_class(ON_B)  # to point is to mean it
    before = matches.nth(4).bounding_box()["y"]
    tab.page.mouse.wheel(0, 40)
    tab.until(lambda: matches.nth(4).bounding_box()["y"] < before - 20)  # it did slide
    tab.page.wait_for_timeout(300)  # longer than a pointer must rest to mean something
    assert "a" in focus.get_attribute("class").split()
    tab.page.mouse.move(1150, before + 3)
    expect(focus).to_have_class(ON_B)


def test_the_former_figure_stays_until_the_next_is_there(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, view="both").settle()
    go_on = tab.jobs_wait()
    figure = tab.frame.get_by_test_id("alignment")
    matrix = tab.frame.get_by_test_id("matrix")
    shown = tab.frame.locator(".model.b [role=option]").count()
    tab.frame.get_by_role("combobox", name="measure").select_option("unbiased_linear_cka")
    expect(figure).to_have_attribute("aria-busy", "true")
    tab.page.wait_for_timeout(400)
    assert tab.run(INKED)
    assert matrix.locator("canvas").count() == 1
    # So does it when another model is chosen, whose boxes would not fit the lines.
    tab.frame.get_by_role("button", name="Model B").click()
    tab.frame.get_by_role("listbox", name="Snapshots").get_by_text("trained").click()
    tab.page.wait_for_timeout(600)
    assert tab.run(INKED)
    assert tab.frame.locator(".model.b [role=option]").count() == shown
    tab.frame.get_by_role("button", name="Model B").click()
    tab.frame.get_by_role("listbox", name="Snapshots").get_by_text("first").click()
    go_on()
    expect(figure).to_have_attribute("aria-busy", "false")
    tab.settle()
    assert tab.run(INKED)
    assert "Debiased linear CKA" in tab.frame.locator(".legend").first.inner_text()
    assert tab.frame.get_by_test_id("row-b").inner_text().split()[:2] == ["B", "first"]


def test_the_graph_stays_where_it_is_as_the_first_matrix_comes_beside_it(
    tab: Tab, board: Board
) -> None:
    go_on = tab.jobs_wait()
    tab.open(board.url, **PAIR, view="both")
    figure = tab.frame.get_by_test_id("alignment")
    tab.frame.get_by_text("Drawn once the layers are compared").wait_for()
    tab.box("b", "classes").wait_for()
    before = tab.still(figure)
    assert before["width"] < 0.6 * SIZE["width"]
    go_on()
    tab.settle()
    tab.frame.get_by_test_id("matrix").locator("canvas").wait_for()
    after = tab.still(figure)
    assert (after["x"], after["width"]) == (before["x"], before["width"])


def held_null(tab: Tab) -> Callable[[], None]:
    """The null of all pairs is computed until what is returned is called."""
    running, tests = True, []

    def tested(route: Any) -> None:
        """As the server answers, but late."""
        answer = route.fetch()
        job = answer.json()
        asked = route.request.post_data_json or {}
        if asked.get("permutations") == 19:
            tests.append(job["id"])
        if running and job["id"] in tests:
            job |= {"status": "running", "fraction": 0.4}
        route.fulfill(response=answer, json=job)

    def release() -> None:
        nonlocal running
        running = False

    tab.page.route(re.compile(r"/jobs?\?"), tested)
    return release


def test_a_job_in_the_background_moves_nothing(tab: Tab, board: Board) -> None:
    """Neither when it comes nor when it goes."""
    release = held_null(tab)
    tab.open(board.url, **PAIR, view="both").settle()
    parts = [
        tab.frame.get_by_test_id("matrix").locator("canvas"),
        tab.box("b", "stem"),
        tab.frame.locator(".legend").first,
    ]
    before = [part.bounding_box() for part in parts]
    progress = tab.frame.get_by_test_id("progress").get_by_role("progressbar")
    progress.wait_for()
    assert [part.bounding_box() for part in parts] == before
    release()
    expect(progress).to_have_count(0)
    tab.page.wait_for_timeout(300)
    assert [part.bounding_box() for part in parts] == before
    tab.frame.get_by_role("button", name="Matrix", exact=True).click()
    assert parts[0].bounding_box()["y"] < 400


def test_progress_lies_over_no_analogy_and_moves_none(tab: Tab, board: Board) -> None:
    release = held_null(tab)
    tab.open(board.url, **PAIR, side="a", layer="module_3x3", unit=2).settle()
    panel = tab.frame.get_by_test_id("analogies")
    picture = panel.get_by_test_id("picture").first
    picture.wait_for()
    strip = tab.frame.get_by_test_id("progress")
    progress = strip.get_by_role("progressbar")
    progress.wait_for()
    scroller = "document.querySelector('.first')"
    tab.run(f"{scroller}.scrollTo(0, {scroller}.scrollHeight)")
    end = panel.bounding_box()
    assert end["y"] + end["height"] <= strip.bounding_box()["y"] + 0.5
    bottom = strip.bounding_box()["y"] + strip.bounding_box()["height"]
    assert bottom == pytest.approx(tab.page.viewport_size["height"], abs=1)
    place = picture.bounding_box()["y"] - end["y"]
    release()
    expect(progress).to_have_count(0)
    assert picture.bounding_box()["y"] - panel.bounding_box()["y"] == pytest.approx(place, abs=0.5)


def test_a_server_that_was_away_is_said_once_and_what_failed_loads_by_itself(
    tab: Tab, board: Board
) -> None:
    tab.open(board.url, **PAIR).settle()
    asked: list[str] = []

    def fail(route: Any) -> None:
        asked.append(route.request.url)
        route.abort()

    tab.page.route("**/plugin/modelcompare/**", fail)
    tab.frame.get_by_role("combobox", name="measure").select_option("rsa_pearson")
    away = tab.frame.get_by_role("alert")
    expect(away).to_have_count(1)
    expect(away).to_contain_text("TensorBoard does not answer")
    assert tab.box("a", "stem").is_visible()  # what is drawn stays, with its lines
    expect(tab.frame.locator(".legend")).not_to_contain_text("RSA")

    before = len(asked)
    away.get_by_role("button", name="Retry").click()
    tab.until(lambda: len(asked) > before)
    expect(away).to_have_count(1)
    tab.page.unroute("**/plugin/modelcompare/**")
    expect(away).to_have_count(0)
    expect(tab.frame.locator(".legend")).to_contain_text("RSA, Pearson")
    tab.settle()
    tab.complaints[:] = [one for one in tab.complaints if "ERR_FAILED" not in one]


@pytest.mark.slow
def test_a_tensorboard_that_stops_and_starts_again_is_noticed(
    tab: Tab, logs: Path, start_board: Callable[..., Board]
) -> None:
    board = start_board(logs, snapshots=11)
    tab.open(board.url, **PAIR).settle()
    board.end()
    tab.frame.get_by_role("combobox", name="measure").select_option("rsa_pearson")
    away = tab.frame.get_by_role("alert")
    expect(away).to_have_count(1)
    expect(away).to_contain_text("TensorBoard does not answer")
    assert tab.box("a", "stem").is_visible()
    board.start_again()
    expect(away).to_have_count(0)
    expect(tab.frame.locator(".legend")).to_contain_text("RSA, Pearson")
    tab.settle()
    tab.complaints[:] = [one for one in tab.complaints if "ERR_CONNECTION" not in one]
