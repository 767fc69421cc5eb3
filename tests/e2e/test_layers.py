"""What the tab says about layers and units, and how it draws what it says."""

from __future__ import annotations

import base64
import csv
import functools
import http.server
import io
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from live_tab import Board, Tab

PAIR = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
COUNT = ".legend .count"


def number(text: str) -> int:
    return int(re.search(r"[\d,]+", text)[0].replace(",", ""))


@pytest.mark.parametrize(
    ("measure", "said", "has"),
    [
        ("unbiased_linear_cka", "interval for the value over all images", True),
        ("procrustes", "repeatability at 40 images", True),
        ("mean_cca", "", False),
    ],
)
def test_an_interval_says_what_it_is_for_and_is_left_out_where_it_says_nothing(
    tab: Tab, board: Board, measure: str, said: str, has: bool
) -> None:
    wide = {"a": "wide/wide@0", "b": "wide/wide@0", "side": "a", "layer": "big"}
    tab.open(board.url, **wide, measure=measure, pair="high").settle()
    certainty = tab.frame.get_by_test_id("certainty")
    certainty.wait_for()
    assert said in certainty.inner_text()
    row = tab.frame.get_by_test_id("matches").locator("li").filter(has_text="high")
    assert ("no interval" not in row.inner_text()) is has
    assert row.locator(".whisker").count() == has
    card = tab.frame.get_by_test_id("pair").inner_text()
    assert said in card
    assert ("no interval" not in card) is has


def test_matches_come_with_intervals_and_units_with_how_far_they_are_shared(
    tab: Tab, board: Board
) -> None:
    tab.open(board.url, **PAIR, side="a", layer="module_output").settle()
    tab.frame.get_by_test_id("certainty").wait_for()
    first = tab.frame.get_by_test_id("matches").locator("li").first
    value, low, high = map(float, re.findall(r"\d\.\d+", first.inner_text()))
    assert low < value < high
    assert high - low < 0.5

    assert "repeatability at" in tab.frame.get_by_test_id("certainty").inner_text()

    tab.frame.get_by_test_id("shared").wait_for()
    units = tab.frame.get_by_role("group", name="Units of module_output").get_by_role("button")
    titles = units.evaluate_all("buttons => buttons.map(b => b.title)")
    shares = [
        float(found[1])
        for title in titles
        if (found := re.search(r"R² (−?[\d.]+)", title.replace("−", "-")))
    ]
    assert len(shares) > 9
    assert shares == sorted(shares, reverse=True)
    tab.frame.get_by_label("Order of the units").select_option("own")
    assert units.first.get_attribute("title") != titles[0]

    def listed(menu: str) -> list[dict[str, str]]:
        content = tab.download(menu, "csv").decode()
        return list(csv.DictReader(io.StringIO(content)))

    matches = listed("Matches")
    assert f"{float(matches[0]['value']):.3f}" == f"{value:.3f}"
    assert float(matches[0]["low"]) < value < float(matches[0]["high"])
    exported = listed("Units")
    assert [f"Unit {one['unit']}" for one in exported] == units.evaluate_all(
        "buttons => buttons.map(b => b.ariaLabel)"
    )
    r2 = [float(one["r2"]) for one in exported if one["r2"]]
    assert r2 == sorted(r2)
    assert sorted(shares) == [pytest.approx(value, abs=1e-3) for value in r2 if value >= 0]

    only = tab.frame.get_by_test_id("without-counterpart")
    only.get_by_role("button").click()
    threshold = only.get_by_label("R² below which")
    threshold.wait_for()
    only.get_by_text("as estimated").wait_for(state="hidden")
    threshold.select_option("0.3")
    many = number(only.locator("p").inner_text())
    assert only.locator(".units button").count() == many
    threshold.select_option("0.05")
    assert number(only.locator("p").inner_text()) <= many
    alone = listed("Units without a counterpart")
    assert all(float(one["r2"]) < 0.05 for one in alone)


def test_values_can_be_read_above_the_null(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, view="both").settle()
    tab.frame.get_by_label("scale").select_option("null")
    title = tab.frame.locator(".legend .scale").first
    title.get_by_text("above the mean of all permutations").wait_for()
    tab.address(scale="null")
    drawn = tab.frame.get_by_test_id("matrix").get_by_text("above the mean of all permutations")
    assert drawn.count() == 1
    # Pairs that are no more alike than the null are not joined.
    assert "none at the null or below" in tab.frame.locator(COUNT).inner_text()
    assert tab.frame.get_by_role("slider", name="Least similarity").get_attribute("min") == "0"


def test_the_nearest_layer_is_the_best_match_where_a_measure_is_a_distance(
    tab: Tab, board: Board
) -> None:
    same = {"a": "first/first@0", "b": "first/first@0", "measure": "procrustes_angle"}
    tab.open(board.url, **same, side="a", layer="block_add").settle()
    rows = tab.frame.get_by_test_id("matches").locator("li")
    rows.first.wait_for()
    values = [float(re.findall(r"\d\.\d+", text)[0]) for text in rows.all_inner_texts()]
    assert rows.first.inner_text().split()[0] == "block_add"
    assert values[0] == pytest.approx(0, abs=1e-3)
    assert values == sorted(values)
    assert values[-1] > 0.5


@pytest.mark.parametrize("measure", ["linear_cka", "procrustes_angle"])
def test_rules_and_threshold_choose_the_lines(tab: Tab, board: Board, measure: str) -> None:
    tab.open(board.url, **{**PAIR, "measure": measure}).settle()
    boxes = [tab.frame.locator(f".model.{side} [data-layer]").count() for side in "ab"]
    counts = {}
    for rule in ("top", "best", "one", "path", "all"):
        tab.frame.get_by_role("toolbar").get_by_role("combobox").first.select_option(rule)
        counts[rule] = number(tab.frame.locator(COUNT).inner_text())
    assert counts["all"] == boxes[0] * boxes[1]
    assert counts["one"] == min(boxes)
    assert 0 < counts["best"] <= counts["one"]
    # The path meets every layer of both models, also where values are distances.
    assert max(boxes) <= counts["path"] < sum(boxes)
    assert max(boxes) <= counts["top"] < counts["all"]
    slider = tab.frame.get_by_role("slider", name="Least similarity that is drawn")
    for _ in range(20):
        slider.press("PageUp")
    assert number(tab.frame.locator(COUNT).inner_text()) < counts["all"]
    # More is more alike everywhere: the threshold of a distance is its negative.
    tab.until(lambda: "min" in tab.parameters)
    assert (float(tab.parameters["min"]) > 0) == (measure == "linear_cka")


@pytest.mark.parametrize("view", ["graph", "matrix", "both"])
def test_warnings_stay_above_the_figure_whatever_is_pinned(
    tab: Tab, board: Board, view: str
) -> None:
    pair = {"a": "wide/wide@0", "b": "steps/trained@0"}
    tab.open(board.url, **pair, measure="mean_cca", view=view)
    warnings = tab.frame.get_by_role("list", name="Warnings")
    figure = tab.frame.get_by_test_id("matrix" if view == "matrix" else "alignment")

    def told() -> list[str]:
        """The warnings, which are all above the figure and in sight."""
        warnings.wait_for()
        list_, drawing = warnings.bounding_box(), figure.bounding_box()
        assert 0 < list_["y"] < list_["y"] + list_["height"] <= drawing["y"]
        assert list_["height"] < 80
        return warnings.get_by_role("listitem").all_inner_texts()

    figure.wait_for()
    first = told()
    assert len(first) == 2
    assert any(
        "160 rows are fewer than 12 for each unit of big (200), high (180)" in w for w in first
    )
    assert any("do not vary on the probe: constant" in warning for warning in first)
    if view == "matrix":
        figure.locator("canvas").click(position={"x": 3, "y": 3})
    else:
        tab.box("a", "big").click()
    tab.frame.get_by_test_id("matches").locator("li").first.wait_for()
    tab.address(layer="big")
    assert told() == first
    tab.frame.get_by_label("Order of the units").select_option("index")
    # By a key, as intervals that come would slide it from beneath a click.
    tab.frame.get_by_role("button", name="Unit 3", exact=True).press("Enter")
    tab.frame.get_by_test_id("unit").wait_for()
    tab.address(unit="3")
    assert told() == first
    # What is wrong with one measure is not said of another.
    tab.frame.get_by_role("combobox", name="measure").select_option("unbiased_linear_cka")
    warnings.get_by_text("160 rows").wait_for(state="detached")
    assert len(told()) == 1


def test_dragging_moves_along_depth(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()
    start, end = (tab.box("a", name).bounding_box() for name in ("stem", "block_add"))
    middle = [(b["x"] + b["width"] / 2, b["y"] + b["height"] / 2) for b in (start, end)]
    tab.page.mouse.move(*middle[0])
    tab.page.mouse.down()
    tab.page.mouse.move((middle[0][0] + middle[1][0]) / 2, middle[0][1], steps=4)
    between = tab.frame.get_by_role("tooltip").locator("strong").inner_text()
    assert between not in ("stem", "block_add")
    assert "layer" not in tab.parameters
    tab.page.mouse.move(*middle[1], steps=4)
    tab.page.mouse.up()
    tab.frame.get_by_role("heading", name="block_add").wait_for()
    tab.address(layer="block_add")


def test_dragging_the_ground_moves_a_drawing_wider_than_the_window(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()
    for _ in range(4):
        tab.frame.get_by_role("button", name="Zoom in").click()
    scrolled = "document.querySelector('.scroll').scrollLeft"
    tab.still(tab.box("b", "block_add"))  # the last zoom has ended
    before = tab.run(scrolled)  # the middle of the drawing stayed in the middle
    assert before > 300
    ground = tab.frame.get_by_test_id("alignment").bounding_box()
    middle = (ground["x"] + ground["width"] / 2, ground["y"] + ground["height"] / 2)
    tab.page.mouse.move(*middle)
    tab.page.mouse.down()
    tab.page.mouse.move(middle[0] - 300, middle[1] + 20, steps=5)
    tab.page.mouse.up()
    assert tab.run(scrolled) == pytest.approx(before + 300, abs=2)
    assert "layer" not in tab.parameters
    tab.frame.get_by_role("button", name="Fit").click()
    tab.becomes(scrolled, lambda left: left == 0)


@pytest.mark.slow
def test_a_photo_is_drawn_in_all_layers_and_shown_on_each(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, side="a", layer="module_3x3").settle()
    panel = tab.inspector().get_by_test_id("caricatures")
    panel.get_by_role("button", name="Of the probe").click()
    panel.get_by_role("button", name="Next photo").click()
    tab.address(image="1")
    tab.box("b", "stem").hover()
    tab.frame.get_by_role("tooltip").wait_for()
    assert tab.frame.get_by_role("tooltip").locator("img").count() == 0
    everywhere = panel.get_by_role("button", name=re.compile(r"In all \d+ layers"))
    count = number(everywhere.inner_text())
    everywhere.click()
    for side, layer in (("b", "stem"), ("a", "block_add")):
        tab.box(side, layer).hover()
        tab.frame.get_by_role("tooltip").get_by_role("img", name=f"as {layer} sees it").wait_for()
    panel.get_by_role("progressbar").first.wait_for(state="detached")
    sheet = tab.download("Caricatures", "svg")
    assert sheet.count(b"<image ") == count + 1


def test_files_that_cannot_be_used_are_listed(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()
    tab.frame.get_by_role("button", name="1 problem").click()
    note = tab.frame.get_by_role("status").filter(has_text="net-9-01234567")
    note.wait_for()


@pytest.mark.parametrize("width", [1024, 3840])
def test_fits_small_and_large_screens(tab: Tab, board: Board, width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": width * 9 // 16})
    tab.open(board.url, **PAIR, view="both", side="a", layer="module_3x3").settle()
    page = "document.scrollingElement"
    assert tab.run(f"{page}.scrollWidth <= innerWidth && {page}.scrollHeight <= innerHeight")
    tab.box("b", "block_add").hover()
    tip, box = (
        tab.frame.get_by_role("tooltip").bounding_box(),
        tab.box("b", "block_add").bounding_box(),
    )
    assert abs(tip["y"] - box["y"]) < 60
    assert (
        min(abs(tip["x"] - box["x"] - box["width"]), abs(tip["x"] + tip["width"] - box["x"])) < 40
    )
    canvas = tab.frame.get_by_test_id("matrix").locator("canvas")
    canvas.scroll_into_view_if_needed()
    place = canvas.bounding_box()
    tab.page.mouse.move(place["x"] + place["width"] - 3, place["y"] + place["height"] - 3)
    output = tab.frame.get_by_test_id("matrix").locator("output")
    assert output.inner_text().startswith("classes and classes")


def test_a_report_is_the_same_figure_in_one_file(tab: Tab, logs: Path, tmp_path: Path) -> None:
    from tb_modelcompare.compare.comparison import compare_snapshots
    from tb_modelcompare.log.reader import open_snapshot
    from tb_modelcompare.report import report_html
    from tb_modelcompare.similarity import MEASURES

    a, b = (open_snapshot(logs, PAIR[side]) for side in "ab")
    file = tmp_path / "report.html"
    file.write_text(report_html(a, b, compare_snapshots(a, b, MEASURES["linear_cka"])))
    page = tab.page
    page.goto(file.as_uri())
    page.locator(COUNT).filter(has_text=re.compile(r"^\s*[1-9]")).wait_for()
    lines = page.locator(COUNT).inner_text()
    # Fonts of most systems have no weight between a plain and a bold one.
    heading = page.get_by_role("heading", name="What stands out")
    assert int(heading.evaluate("one => getComputedStyle(one).fontWeight")) >= 600
    page.locator(".model.a [data-layer='module_3x3']").click()
    page.get_by_test_id("matches").locator("li").first.wait_for()
    assert "layer=module_3x3" in page.url
    page.get_by_role("button", name="Swap A and B").click()
    page.get_by_test_id("matches").locator("li").first.wait_for()
    assert "side=b" in page.url
    assert page.locator(COUNT).inner_text() == lines
    assert page.get_by_role("alert").count() == 0


def test_a_first_look_is_drawn_marked_and_replaced_in_place(tab: Tab, board: Board) -> None:
    """The server's answers are held at the first look, as for two large models."""
    held = True

    def look_first(route: Any) -> None:
        if "/similarity" not in route.request.url and route.request.method == "GET" and not held:
            return route.continue_()
        answer = route.fetch()
        body = answer.json()
        if body.get("kind") == "similarity" and body["status"] == "done":
            body |= {"status": "running", "fraction": 0.4, "look": "first", "revision": 1}
        if "rows" in body and held:
            values = np.frombuffer(base64.b64decode(body["values"]), "<f8")
            low, high = (
                base64.b64encode((values + beside).tobytes()).decode() for beside in (-0.01, 0.01)
            )
            body |= {"look": "first", "interval": True, "warnings": ["Made from 40 of 160 rows."]}
            body |= {"interval_low": low, "interval_high": high}
        return route.fulfill(response=answer, json=body)

    tab.page.route(re.compile(r"/(jobs?(\?.*)?|similarity\?.*)$"), look_first)
    tab.open(board.url, **PAIR).settle()
    mark = tab.frame.get_by_test_id("progress").get_by_text("exact values follow")
    mark.wait_for()
    tab.box("b", "stem").hover()
    best = tab.frame.get_by_role("tooltip").locator(".match").first.inner_text()
    value, low, high = map(float, re.findall(r"\d\.\d+", best))
    assert (low, high) == (
        pytest.approx(value - 0.01, abs=2e-3),
        pytest.approx(value + 0.01, abs=2e-3),
    )
    assert mark.get_attribute("title") == "Made from 40 of 160 rows."
    tab.frame.get_by_test_id("progress").get_by_role("progressbar").wait_for()
    tab.box("a", "module_3x3").click()
    tab.frame.get_by_text(", estimated").wait_for()
    right = "getBoundingClientRect().right"
    beyond = f"track.lastElementChild.{right} - track.{right}"
    ends = tab.frame.locator(".track").evaluate_all(f"all => all.map(track => {beyond})")
    assert ends
    assert max(ends) <= 0.5  # intervals end in sight
    held = False
    mark.wait_for(state="detached")
    tab.address(layer="module_3x3")
    assert tab.frame.locator(".model.a [aria-selected=true]").count() == 1
    assert tab.frame.get_by_text(", estimated").count() == 0
    tab.box("b", "stem").hover()
    best = tab.frame.get_by_role("tooltip").locator(".match").first
    assert len(re.findall(r"\d\.\d+", best.inner_text())) == 1


def test_works_in_the_frame_of_a_notebook(tab: Tab, board: Board, tmp_path: Path) -> None:
    """As `%tensorboard` shows it: in a frame of a page from another port of this host."""
    tab.allow(404, "favicon.ico")
    chosen = "".join(f"&{key}={quote(value, safe='')}" for key, value in PAIR.items())
    (tmp_path / "notebook.html").write_text(
        f'<iframe width="1200" height="700" src="{board.url}#modelcompare{chosen}"></iframe>'
    )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.page.goto(f"http://localhost:{server.server_port}/notebook.html")
        inside = tab.page.frame_locator("iframe").frame_locator("iframe")
        some = re.compile(r"^\s*[1-9]")
        inside.locator(COUNT).filter(has_text=some).wait_for()
        inside.locator(".model.a [data-layer]").first.click()
        inside.get_by_test_id("matches").locator("li").first.wait_for()
        server.shutdown()
    tab.hosts.discard(f"localhost:{server.server_port}")
