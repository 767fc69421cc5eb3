"""What a user sees and does in the tab, in Chromium, on a real TensorBoard."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
from live_tab import HOSTILE, PREFIX, Board, Tab, activations, loaded_widths, probe_images
from PIL import Image
from playwright.sync_api import expect

PAIR = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}

# How many pixels of the lines are not transparent.
INKED = """(() => {
  let count = 0;
  for (const canvas of document.querySelectorAll('.lines.%s canvas')) {
    if (!canvas.width || !canvas.height) continue;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    for (let at = 3; at < pixels.length; at += 4) count += pixels[at] > 0;
  }
  return count;
})()"""


def test_both_graphs_are_drawn_with_lines_between(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()
    for side in "ab":
        assert tab.box(side, "stem").count() == 1
        assert tab.box(side, "module_3x3").count() == 1
        assert tab.box(side, "block_add").count() == 1
    tab.becomes(INKED % "all", lambda ink: ink > 1000)
    box_a = tab.box("a", "stem").bounding_box()
    box_b = tab.box("b", "stem").bounding_box()
    assert box_a["y"] + box_a["height"] < box_b["y"]
    assert tab.box("a", "stem").bounding_box()["x"] < tab.box("a", "pool").bounding_box()["x"]


def test_pointing_at_a_layer_leaves_only_its_lines(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()
    assert tab.run(INKED % "lit") == 0
    tab.box("a", "module_3x3").hover()
    tip = tab.frame.get_by_role("tooltip")
    tip.wait_for()
    assert "module_3x3" in tip.inner_text()
    assert "Conv2D" in tip.inner_text()
    opacity = "Number(getComputedStyle(document.querySelector('.lines.all')).opacity)"
    tab.becomes(opacity, lambda value: value < 0.2)
    tab.becomes(INKED % "lit", lambda ink: ink > 200)
    tab.page.mouse.move(5, 400)
    tab.becomes(opacity, lambda value: value == 1)
    tab.becomes(INKED % "lit", lambda ink: ink == 0)


def test_a_click_lists_the_strongest_matches(tab: Tab, board: Board) -> None:
    tab.open(board.url, a="first/first@0", b="first/first@0", measure="linear_cka").settle()
    tab.box("a", "block_add").click()
    rows = tab.frame.get_by_test_id("matches").locator("li")
    rows.first.wait_for()
    best = rows.first.inner_text().split()
    assert best[0] == "block_add"
    assert float(best[1]) == pytest.approx(1, abs=1e-3)
    values = [float(text.split()[1]) for text in rows.all_inner_texts()]
    assert values == sorted(values, reverse=True)
    tab.address(layer="block_add")
    rows.nth(1).get_by_role("button").click()
    tab.address(side="b")


def test_a_unit_shows_its_images_and_its_analogies(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, side="a", layer="module_3x3").settle()
    tab.inspector().get_by_role("button", name="Unit 2", exact=True).click()
    images = tab.frame.get_by_test_id("unit").locator("img")
    images.first.wait_for()
    assert images.count() == 8
    pictures = tab.frame.get_by_test_id("analogies").get_by_test_id("picture")
    pictures.locator("img").first.wait_for()
    tab.frame.get_by_test_id("analogies").get_by_role("progressbar").wait_for(state="detached")
    shown = loaded_widths(pictures.locator("img"))
    assert len(shown) > 3
    assert set(shown) <= {96, 192, 384}  # sharp ones follow by themselves
    assert "the unit itself" in pictures.first.inner_text()
    assert "regression: r " in pictures.nth(1).inner_text()
    # Depth runs from left to right here too.
    layers = [text.splitlines()[0] for text in pictures.all_inner_texts()[1:]]
    depth = ["stem", "module_1x1", "module_3x3", "module_output", "block_conv", "block_add", "pool"]
    places = [depth.index(layer) for layer in layers if layer in depth]
    assert places == sorted(places)
    tab.address(unit="2")

    listed = json.loads(tab.download("Analogies", "json"))
    assert (listed["layer"], listed["unit"]) == ("module_3x3", "unit 2")
    assert [one["layer"] for one in listed["records"]][1:] == layers
    for at, one in enumerate(listed["records"]):
        if one["role"] == "analogy":
            text = pictures.nth(at).inner_text().replace("−", "-")
            told = re.search(r"regression: r (\S+)\s+\[(\S+),\s(\S+)\]\snull\s(\S+)", text)
            kept = [one[name] for name in ("direction_correlation", "low", "high", "null")]
            assert told, text
            assert [float(number) for number in told.groups()] == pytest.approx(kept, abs=5e-4)
    sheet = ElementTree.fromstring(tab.download("Analogies", "svg"))
    held = [e.get("href") for e in sheet.iter("{http://www.w3.org/2000/svg}image")]
    assert len(held) == len(shown)
    assert all(href.startswith("data:image/png;base64,") for href in held)
    assert tab.download("Analogies", "png").startswith(b"\x89PNG")

    # Another direction is another picture, with its own number and a sentence of its own.
    before = pictures.nth(1).locator("img").get_attribute("src")
    tab.frame.get_by_label("as its").select_option("decoder")
    tab.frame.get_by_test_id("answer").get_by_text("predict the unit best").wait_for()
    pictures.nth(1).get_by_text("decoder: r ").wait_for()
    pictures.nth(1).locator("img").wait_for()
    assert pictures.nth(1).locator("img").get_attribute("src") != before
    assert tab.frame.get_by_text("regression: r ").count() == 0
    top = tab.download("Where the unit is most active", "csv")
    assert len(list(csv.DictReader(io.StringIO(top.decode())))) == 8


def test_images_that_a_cap_makes_equal_are_said_to_be(tab: Tab, board: Board) -> None:
    """The layer before `capped` was logged, that before `cut` was not."""
    address = {"a": "elsewhere/elsewhere@0", "b": "elsewhere/elsewhere@0", "side": "a", "unit": 3}
    panel = tab.frame.get_by_test_id("unit")
    tab.open(board.url, **address, layer="capped")
    panel.get_by_text("Equal activations are in the order of two, the value before").wait_for()
    captions = panel.locator("figcaption").all_inner_texts()
    assert len({text.partition(" ")[0] for text in captions}) == 1
    before = [float(text.partition("before: ")[2].strip(")")) for text in captions]
    assert before == sorted(before, reverse=True)
    assert panel.get_by_test_id("tied").count() == 0

    tab.open(board.url, **address, layer="cut")
    tied = panel.get_by_test_id("tied")
    tied.wait_for()
    said = r"\d+ more images tie at 0\.500; those shown lie evenly over the probe\."
    assert re.fullmatch(said, tied.inner_text())
    assert panel.get_by_test_id("ranked-by").count() == 0


def test_a_photo_of_ones_own_is_drawn_as_both_models_see_it_and_shown_on_hover(
    tab: Tab, board: Board, tmp_path: Path
) -> None:
    address = {**PAIR, "side": "a", "layer": "module_3x3"}
    tab.open(board.url, **address).settle()
    photo = io.BytesIO()
    Image.effect_noise((80, 60), 90).convert("RGB").save(photo, format="PNG")
    upload = {"name": "mine.png", "mimeType": "image/png", "buffer": photo.getvalue()}
    tab.frame.get_by_test_id("caricatures").locator("input[type=file]").set_input_files(upload)
    tab.frame.get_by_text("your own", exact=True).wait_for()
    shown = tab.frame.get_by_alt_text("Your own choice")
    assert loaded_widths(shown) == [80]
    tab.box("a", "module_3x3").hover()
    tooltip = tab.frame.get_by_role("tooltip")
    tooltip.wait_for()
    assert tooltip.locator("img").count() == 0
    panel = tab.inspector().get_by_test_id("caricatures")
    panel.get_by_role("button", name="Draw caricatures").click()
    drawn = panel.get_by_test_id("caricature")
    drawn.nth(1).wait_for()
    panel.get_by_role("progressbar").first.wait_for(state="detached")
    assert loaded_widths(drawn) == [224, 224]
    tab.box("a", "module_3x3").hover()
    tooltip.locator("img").wait_for()
    sheet = tab.download("Caricatures", "svg")
    assert sheet.count(b"<image ") == 3

    tab.reload()
    tab.frame.get_by_text("your own", exact=True).wait_for()  # the address holds it


def test_different_probes_are_refused_in_words(tab: Tab, board: Board) -> None:
    tab.allow(409, "jobs")
    tab.open(board.url, a="first/first@0", b="elsewhere/elsewhere@0", measure="linear_cka")
    alert = tab.frame.get_by_role("alert")
    alert.wait_for()
    assert "ProbeMismatchError" in alert.inner_text()
    # The tab goes on: another choice works.
    tab.frame.get_by_role("button", name="Model B").click()
    tab.frame.get_by_role("listbox", name="Snapshots").get_by_text("second").click()
    tab.settle()
    assert tab.frame.get_by_role("alert").count() == 0


def test_a_missing_asset_is_named(tab: Tab, board: Board) -> None:
    tab.allow(410, "layer")
    tab.open(board.url, a="first/first@0", b="damaged/damaged@0", measure="linear_cka")
    alert = tab.frame.get_by_role("alert").first
    alert.wait_for()
    assert ".bin" in alert.inner_text()


def test_names_are_text_and_nothing_else(tab: Tab, board: Board) -> None:
    snapshot = f"{HOSTILE}/{HOSTILE}@0"
    tab.open(board.url, a=snapshot, b=snapshot, measure="linear_cka").settle()
    tab.frame.locator(".model.a [role=option]").first.click()
    tab.frame.get_by_test_id("matches").locator("li").first.wait_for()
    titles = tab.frame.get_by_test_id("matches").get_by_role("button")
    assert HOSTILE in titles.first.get_attribute("title")
    assert tab.run("window.top.hacked") is None
    assert tab.run("document.querySelectorAll('img[src=x]').length") == 0


def test_the_address_holds_the_whole_state(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, view="both", lines="best", scale="rank").settle()
    tab.box("b", "module_proj").click()
    tab.frame.get_by_role("button", name="Unit 1", exact=True).wait_for()
    tab.page.reload()
    tab.settle()
    assert tab.frame.locator(".model.b [aria-selected=true]").get_attribute("data-layer") == (
        "module_proj"
    )
    assert tab.frame.get_by_test_id("matrix").count() == 1
    tab.address(lines="best", scale="rank")

    tab.box("a", "stem").click()
    tab.address(layer="stem")
    tab.page.go_back()
    tab.frame.get_by_role("heading", name="module_proj").wait_for()
    tab.address(layer="module_proj")


def test_keys_move_along_depth_and_across(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()
    tab.frame.locator(".model.a").focus()
    tab.page.keyboard.press("ArrowRight")
    expect(tab.page).to_have_url(re.compile("layer=stem(&|$)"))
    tab.page.keyboard.press("ArrowRight")
    expect(tab.page).to_have_url(re.compile("layer=module_1x1(&|$)"))
    tab.page.keyboard.press("ArrowDown")
    expect(tab.page).to_have_url(re.compile("side=b(&|$)"))
    best = tab.parameters["layer"]
    tab.page.keyboard.press("End")
    expect(tab.page).to_have_url(re.compile("layer=classes(&|$)"))
    assert best != "classes"
    tab.page.keyboard.press("Escape")
    expect(tab.page).not_to_have_url(re.compile("layer="))


def test_dark_mode_follows_the_host(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()
    background = "getComputedStyle(document.body).backgroundColor"
    assert tab.run(background) == "rgb(255, 255, 255)"
    tab.theme("dark")
    assert tab.run(background) == "rgb(48, 48, 48)"


def test_matrix_reads_values_and_selects(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, view="matrix")
    canvas = tab.frame.get_by_test_id("matrix").locator("canvas")
    canvas.wait_for()
    canvas.hover(position={"x": 3, "y": 3})
    output = tab.frame.get_by_test_id("matrix").locator("output")
    assert output.inner_text().startswith("stem and stem: 0.")
    canvas.click(position={"x": 3, "y": 3})
    tab.address(layer="stem")


def test_matrix_is_read_with_keys(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, view="matrix")
    matrix = tab.frame.get_by_test_id("matrix")
    matrix.locator("canvas").wait_for()
    drawing = matrix.get_by_role("application")
    drawing.focus()
    drawing.press("ArrowDown")
    first = matrix.locator("output").inner_text()
    drawing.press("ArrowRight")
    second = matrix.locator("output").inner_text()
    assert first.split(" and ")[0] == second.split(" and ")[0] != ""
    assert first != second
    drawing.press("Enter")
    tab.address(layer=first.split(" and ")[0])


def test_export_gives_the_figure_and_the_numbers(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()

    figure = ElementTree.fromstring(tab.figure("graph", "svg"))
    assert figure.tag.endswith("svg")
    titles = {element.text for element in figure.iter("{http://www.w3.org/2000/svg}title")}
    assert {"stem", "module_output"} <= titles
    assert tab.figure("graph", "png").startswith(b"\x89PNG")
    table = list(csv.reader(io.StringIO(tab.figure("matrix", "csv").decode())))
    document = json.loads(tab.figure("matrix", "json"))
    assert table[0][1:] == document["columns"]
    assert [float(value) for value in table[1][1:]] == document["values"][0]


def test_new_logs_appear_on_reload_without_losing_the_selection(
    tab: Tab, tmp_path: Path, start_board: Callable[..., Board]
) -> None:
    from tb_modelcompare import Probe, SummaryWriter

    probe = Probe(probe_images(0), positions_per_image=4)

    def log(name: str) -> None:
        with SummaryWriter(tmp_path / name, probe) as writer:
            writer.add_activations(name, activations(5))

    log("early")
    board = start_board(tmp_path, "--reload_interval=1", snapshots=1)
    tab.open(board.url, a="early/early@0", b="early/early@0", side="a", layer="two").settle()
    log("late")
    board.wait(f"{PREFIX}/", 2)
    tab.page.locator("app-header-reload button").click()
    tab.frame.get_by_role("button", name="Model B").click()
    tab.frame.get_by_role("listbox", name="Snapshots").get_by_text("late").wait_for()
    tab.address(layer="two", a="early/early@0")


def test_a_run_that_goes_on_is_followed_without_a_word(
    tab: Tab, tmp_path: Path, start_board: Callable[..., Board]
) -> None:
    from playwright.sync_api import expect

    from tb_modelcompare import Probe, SummaryWriter

    with SummaryWriter(tmp_path / "live", Probe(probe_images(0), positions_per_image=4)) as writer:
        for step in (0, 1):
            writer.add_activations("net", activations(step), step=step)
        board = start_board(tmp_path, "--reload_interval=1", snapshots=2)
        chosen = {"a": "live/net@0", "b": "live/net@1", "side": "a", "layer": "two"}
        tab.open(board.url, **chosen, view="both")
        matches = tab.frame.get_by_test_id("matches").locator("li")
        matches.first.wait_for()
        best = matches.first.locator(".who").inner_text()
        slider = tab.frame.get_by_role("slider", name="Step of model B")
        assert slider.get_attribute("max") == "1"
        tab.run("window.same = true")
        writer.add_activations("net", activations(2), step=2)
        expect(slider).to_have_attribute("max", "2")
    assert tab.run("window.same")
    tab.address(**chosen)
    assert matches.first.locator(".who").inner_text() == best
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "2")


def test_steps_are_a_slider(tab: Tab, board: Board) -> None:
    tab.open(board.url, a="steps/trained@0", b="steps/trained@20", measure="linear_cka").settle()
    slider = tab.frame.get_by_role("slider", name="Step of model A")
    assert slider.get_attribute("aria-valuetext") == "0"
    slider.press("ArrowRight")
    tab.settle()
    tab.address(a="steps/trained@10")


def test_the_empty_state_teaches(
    tab: Tab, tmp_path: Path, start_board: Callable[..., Board]
) -> None:
    board = start_board(tmp_path)
    tab.allow(404, "favicon.ico")  # TensorBoard has none for a plugin's page on its own
    tab.page.goto(f"{board.url}data/plugin_entry.html?name=modelcompare")
    code = tab.page.get_by_label("Python code", exact=True)
    code.wait_for()
    assert "SummaryWriter" in code.inner_text()
    compile(code.inner_text(), "empty state", "exec")


def test_works_behind_a_path_prefix(
    tab: Tab, logs: Path, start_board: Callable[..., Board]
) -> None:
    board = start_board(logs, "--path_prefix=/behind/proxy", prefix="behind/proxy/", snapshots=11)
    tab.open(f"{board.url}behind/proxy/", **PAIR).settle()
    tab.becomes(INKED % "all", lambda ink: ink > 1000)


def test_tensorboards_own_graph_is_linked_both_ways(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, side="a", layer="module_3x3", graphs="a").settle()
    own = tab.frame.get_by_test_id("graphs").frame_locator("iframe")
    # The card of the highlighted node lists its inputs.
    inputs = own.locator("tf-node-info tf-node-list-item")
    inputs.get_by_text("stem", exact=True).first.wait_for()
    tab.box("a", "block_add").click()
    inputs.get_by_text("block_conv", exact=True).first.wait_for()
    # It is brought into sight, and near enough to be read.
    frame = tab.frame.get_by_test_id("graphs").locator("iframe").bounding_box()
    node = own.locator("tf-graph-scene [data-name='block_add'] .nodeshape").first

    def in_sight(box: dict[str, float]) -> bool:
        return box["height"] > 8 and all(
            frame[start] < box[start] < frame[start] + frame[extent] - box[extent]
            for start, extent in (("x", "width"), ("y", "height"))
        )

    tab.until(node.bounding_box, in_sight)
    own.locator("tf-graph-scene [data-name='stem'] .nodeshape").first.dispatch_event("click")
    tab.frame.get_by_role("heading", name="stem", exact=True).wait_for()
    tab.address(layer="stem")


def test_idle_means_idle(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR).settle()
    answers: list[tuple[str, int]] = []
    tab.page.on("response", lambda answer: answers.append((answer.url, answer.status)))
    tab.run(
        "(() => { window.frames_ = 0; const real = window.requestAnimationFrame;"
        "window.requestAnimationFrame = f => { window.frames_ += 1; return real(f); }; })()"
    )
    for _ in range(30):  # all pairs are compared with their null at first
        answers.clear()
        tab.run("window.frames_ = 0")
        tab.page.wait_for_timeout(4000)
        ours = [
            (url.rpartition("/")[2], status) for url, status in answers if "modelcompare" in url
        ]
        if len(ours) < 2:
            break
    assert ours in ([], [("snapshots", 304)])  # is there something new? there is not
    assert tab.run("window.frames_") == 0
