"""Finding a layer among hundreds: search, filter, zoom, and the map of the whole figure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from live_tab import Board, Tab, probe_images
from playwright.sync_api import Route, expect

PAIR = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
SCROLLED = "document.querySelector('.figure .scroll').scrollLeft"


def test_slash_finds_layers_and_units_of_both_models(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    tab.open(board.url, **PAIR).settle()
    tab.frame.get_by_label("Inspector").locator("h2").first.click()
    tab.page.keyboard.press("/")
    field = tab.frame.get_by_role("combobox", name="Find or filter layers")
    expect(field).to_be_focused()
    tab.page.keyboard.type("3x3")
    found = tab.frame.get_by_role("listbox", name="Found").get_by_role("option")
    expect(found).to_have_count(2)  # one of each model
    assert [one.split() for one in found.all_inner_texts()] == [
        ["A", "module_3x3"],
        ["B", "module_3x3"],
    ]
    assert violations(tab) == []
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Enter")
    tab.address(side="b", layer="module_3x3", filter="3x3")
    tab.frame.get_by_label("Inspector").locator("h2").first.click()
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("block_conv 7")
    tab.page.keyboard.press("Enter")
    tab.address(layer="block_conv", unit="7")
    tab.page.keyboard.press("/")
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("Escape")
    tab.address(filter=None)


def test_a_filter_holds_in_graph_matrix_and_lists(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, view="both", filter="kind:conv", side="a", layer="stem").settle()
    faint = tab.frame.locator(".model.a .box.faint")
    assert faint.count() > 0
    left_out = faint.evaluate_all("all => all.map(one => one.dataset.layer)")
    assert "stem" not in left_out
    assert "module_3x3" not in left_out
    assert "module_output" in left_out
    rows = tab.frame.get_by_test_id("matrix").locator("text.name.a title").all_text_contents()
    assert {"stem", "module_3x3", "block_conv"} <= set(rows)
    assert not set(rows) & set(left_out)
    listed = tab.frame.get_by_test_id("matches").locator("button")
    names = listed.evaluate_all("all => all.map(one => one.title)")
    assert names
    assert "module_output" not in names
    few = tab.frame.locator(".legend .count").inner_text()
    # Exports are as the screen.
    graph = tab.figure("graph", "svg").decode()
    assert graph.count('opacity="0.2"><title>') == tab.frame.locator(".box.faint").count()
    matrix = tab.figure("matrix", "svg").decode()
    assert "Filter: kind:conv." in matrix
    assert ">block_conv<" in matrix
    assert ">module_output<" not in matrix
    tab.frame.get_by_role("combobox", name="Find or filter layers").fill("")
    expect(faint).to_have_count(0)
    assert tab.frame.locator(".legend .count").inner_text() != few
    # One model can be asked alone; a model in which nothing passes stays whole.
    tab.frame.get_by_role("combobox", name="Find or filter layers").fill("a:^stem$")
    expect(tab.frame.locator(".model.a .box.faint").first).to_be_visible()
    assert tab.frame.locator(".model.b .box.faint").count() == 0


def test_the_wheel_enlarges_what_is_at_the_pointer_and_a_map_shows_where_one_is(
    tab: Tab, board: Board, violations: Callable[[Tab], list[str]]
) -> None:
    tab.open(board.url, **PAIR).settle()
    assert tab.frame.get_by_role("slider", name="Part of the figure").count() == 0
    last = tab.box("b", "block_add")
    before = last.bounding_box()
    tab.page.mouse.move(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    for _ in range(6):
        tab.page.mouse.wheel(0, -200)
    here = tab.frame.get_by_role("slider", name="Part of the figure")
    here.wait_for()
    after = tab.still(last)
    assert abs(after["x"] + after["width"] / 2 - before["x"] - before["width"] / 2) < 8
    scrolled = tab.run(SCROLLED)
    assert scrolled > 100
    assert violations(tab) == []
    here.focus()
    here.press("Home")
    tab.becomes(SCROLLED, lambda left: left == 0)
    box = here.bounding_box()
    tab.page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    tab.becomes(SCROLLED, lambda left: left > scrolled)
    # Between the models, dragging moves the drawing.
    figure = tab.frame.get_by_test_id("alignment").bounding_box()
    middle = (figure["x"] + figure["width"] / 2, figure["y"] + figure["height"] / 2)
    far = tab.run(SCROLLED)
    tab.page.mouse.move(*middle)
    tab.page.mouse.down()
    tab.page.mouse.move(middle[0] + 150, middle[1], steps=4)
    tab.page.mouse.up()
    assert abs(far - 150 - tab.run(SCROLLED)) < 3
    tab.frame.get_by_role("button", name="Fit").click()
    expect(here).to_have_count(0)


# Turns a wheel at the middle of a box in every frame, and notes each time how wide the drawing was
# laid out and where the box is. Timers take longer meanwhile: to a busy machine, on which a frame
# takes as long as a pause, the wheel would seem to have paused.
TURNS = """async ([layer, turns]) => {
  const box = document.querySelector(`.model.b [data-layer='${layer}']`);
  const stage = document.querySelector('.stage');
  const middle = () => {
    const { left, width } = box.getBoundingClientRect();
    return left + width / 2;
  };
  const at = middle();
  const turn = { bubbles: true, cancelable: true, clientX: at, deltaY: -40 };
  const seen = [];
  const timer = window.setTimeout;
  window.setTimeout = (call, delay, ...rest) => timer(call, 20 * delay, ...rest);
  for (let k = 0; k < turns; k++) {
    box.dispatchEvent(new WheelEvent('wheel', turn));
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    seen.push({ width: stage.style.width, off: middle() - at, stretch: stage.style.transform });
  }
  window.setTimeout = timer;
  return seen;
}"""
STRETCHED = "document.querySelector('.stage').style.transform"


def test_a_turning_wheel_stretches_the_drawing_which_is_laid_out_once_it_pauses(
    tab: Tab, board: Board
) -> None:
    tab.open(board.url, **PAIR).settle()
    seen = tab.run(f"({TURNS})(['module_3x3', 20])")
    assert len({one["width"] for one in seen}) == 1  # as it was, however often the wheel turns
    assert "scaleX" in seen[-1]["stretch"]
    assert max(abs(one["off"]) for one in seen) < 8
    tab.becomes(STRETCHED, lambda transform: transform == "")
    assert tab.run("document.querySelector('.stage').style.width") != seen[-1]["width"]
    assert tab.run(SCROLLED) > 100


FEW_TURNS_A_FRAME = """async () => {
  const [front, stage] = ["svg.front", ".stage"].map((one) => document.querySelector(one));
  let changes = 0;
  const observer = new MutationObserver((all) => (changes += all.length));
  observer.observe(stage, { attributes: true, attributeFilter: ["style"] });
  const timer = window.setTimeout;
  window.setTimeout = (call, delay, ...rest) => timer(call, 20 * delay, ...rest);
  for (let k = 0; k < 8; k++) {
    const turn = { bubbles: true, cancelable: true, clientX: 300, deltaY: -5 };
    front.dispatchEvent(new WheelEvent("wheel", turn));
  }
  window.setTimeout = timer;
  const before = observer.takeRecords().length;
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return { before, changes };
}"""
# The lines in sight, once what is about to be drawn is there.
LINES = """(async () => {
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return [...document.querySelectorAll('.lines.all canvas')]
    .filter((canvas) => parseFloat(canvas.style.left) < innerWidth)
    .map((canvas) => `${canvas.style.left} ${canvas.style.width} ${canvas.toDataURL()}`).join();
})()"""


def test_lines_are_as_sharp_after_a_wheel_as_after_buttons(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, lines="all").settle()
    assert tab.run(f"({FEW_TURNS_A_FRAME})()") == {"before": 0, "changes": 1}
    edge = tab.frame.get_by_test_id("alignment").bounding_box()
    tab.page.mouse.move(edge["x"], edge["y"] + edge["height"] / 2)
    for _ in range(8):
        tab.page.mouse.wheel(0, -200)
    larger = tab.frame.get_by_role("button", name="Zoom in")
    expect(larger).to_be_disabled()
    tab.becomes(STRETCHED, lambda transform: transform == "")
    here = tab.frame.get_by_role("slider", name="Part of the figure")
    here.press("Home")
    tab.becomes(SCROLLED, lambda left: left == 0)
    after_wheel = tab.run(LINES)
    tab.frame.get_by_role("button", name="Fit").click()
    expect(here).to_have_count(0)
    while larger.is_enabled():
        larger.click()

    def after_buttons() -> str:
        here.press("Home")
        return tab.run(LINES)

    tab.until(after_buttons, lambda lines: lines == after_wheel)


FOLD_AS_IT_TURNS = """() => {
  const front = document.querySelector("svg.front");
  for (let k = 0; k < 8; k++) {
    const turn = { bubbles: true, cancelable: true, clientX: 300, deltaY: -200 };
    front.dispatchEvent(new WheelEvent("wheel", turn));
  }
  const fold = document.querySelector("[aria-label='Fold block module']");
  fold.dispatchEvent(new MouseEvent("click", { bubbles: true }));
}"""


def test_lines_meet_their_boxes_where_a_block_is_folded_as_the_wheel_turns(
    tab: Tab, board: Board
) -> None:
    """Boxes of the new layout and lines of the former one would miss each other."""
    tab.open(board.url, **PAIR, lines="all").settle()
    tab.run(f"({FOLD_AS_IT_TURNS})()")
    tab.frame.get_by_role("button", name="Unfold block module").first.wait_for()
    larger = tab.frame.get_by_role("button", name="Zoom in")
    expect(larger).to_be_disabled()
    tab.becomes(STRETCHED, lambda transform: transform == "")
    folded = urllib.parse.parse_qs(tab.page.url.partition("#")[2])["foldA"]
    here = tab.frame.get_by_role("slider", name="Part of the figure")

    def lines() -> str:
        here.press("Home")
        return tab.run(LINES)

    after = lines()
    tab.open(board.url, **PAIR, lines="all", foldA=folded[0]).settle()
    while larger.is_enabled():
        larger.click()
    tab.until(lines, lambda drawn: drawn == after)


def test_tensorboards_graph_opens_at_the_chosen_node_and_stays_there(
    tab: Tab, board: Board
) -> None:
    tab.open(board.url, **PAIR, side="a", layer="block_add", graphs="a").settle()
    graph = tab.frame.frame_locator('iframe[title="TensorBoard\'s own graph"]')
    node = graph.locator('.node[data-name="block_add"]')
    node.wait_for()
    shown = tab.frame.locator('iframe[title="TensorBoard\'s own graph"]')

    def in_the_middle() -> bool:
        frame, box = shown.bounding_box(), node.bounding_box()
        above = box["y"] + box["height"] / 2 - frame["y"] - frame["height"] / 2
        return (
            frame["x"] < box["x"] < box["x"] + box["width"] < frame["x"] + frame["width"]
            and abs(above) < 0.25 * frame["height"]
            and box["height"] > 20
        )

    tab.until(in_the_middle)
    tab.page.wait_for_timeout(3000)  # TensorBoard moves the graph about after it was drawn
    tab.until(in_the_middle)
    expect(graph.locator('.node.selected[data-name="block_add"]')).to_have_count(1)


def test_tensorboards_graph_is_the_chosen_one_whichever_comes_last(tab: Tab, board: Board) -> None:
    """TensorBoard asks for the graph of its first run before, and draws what comes last.

    It also goes back to that graph at each answer to a request for its list of graphs, and the tab
    asks for the list again before a slow answer is there.
    """

    def answer(route: Route) -> None:
        if "graph+of+second" not in route.request.url:
            tab.page.wait_for_timeout(1500)
        route.fulfill(response=route.fetch())

    unread = {"second"}

    def listing(route: Route) -> None:
        runs = route.fetch().json()
        if not unread:
            tab.page.wait_for_timeout(2500)
        route.fulfill(json={run: tags for run, tags in runs.items() if run not in unread})

    tab.page.route("**/graphs/graph?*", answer)
    tab.page.route("**/graphs/info*", listing)
    tab.open(board.url, **PAIR, side="b", layer="block_add", graphs="b").settle()
    note = tab.frame.get_by_test_id("graphs").get_by_text("has not read a graph of second yet")
    expect(note).to_be_visible()
    unread.clear()
    expect(note).to_have_count(0)
    graph = tab.frame.frame_locator('iframe[title="TensorBoard\'s own graph"]')
    expect(graph.locator('.node.selected[data-name="block_add"]')).to_be_visible()
    tab.page.wait_for_timeout(2000)
    expect(graph.locator('.node.selected[data-name="block_add"]')).to_be_visible()


def test_what_stands_out_is_said_with_a_number_and_a_click(
    tab: Tab, tmp_path: Path, start_board: Callable[..., Board]
) -> None:
    from tb_modelcompare import Probe, SummaryWriter

    rng = np.random.default_rng(0)
    steps = rng.standard_normal((10, 160, 30)).astype(np.float32)
    layer = "expanded_convolution_layer"
    layers = {f"{layer}{k}": steps[: k + 1].sum(axis=0) for k in range(10)}
    moved = {**layers, f"{layer}1": layers[f"{layer}9"] + 0.01 * steps[0]}
    for alone in (4, 6, 9):
        moved[f"{layer}{alone}"] = rng.standard_normal((160, 30)).astype(np.float32)
    probe = Probe(probe_images(0), positions_per_image=4)
    for run, logged in (("plain", layers), ("moved", moved)):
        with SummaryWriter(tmp_path / run, probe) as writer:
            writer.add_activations(run, logged)
    board = start_board(tmp_path, snapshots=2)
    pair = {"a": "moved/moved@0", "b": "plain/plain@0", "measure": "linear_cka"}
    tab.open(board.url, **pair).settle()
    found = tab.frame.get_by_test_id("stands-out").locator("li button")
    found.first.wait_for()
    (off,) = [text for text in found.all_inner_texts() if "at another depth" in text]
    assert f"A’s {layer}1 matches B’s {layer}9" in off
    expect(found.filter(has_text=off[:60])).to_have_attribute("title", f"{layer}1, {layer}9")
    assert "1.000" in off
    (alone,) = [text for text in found.all_inner_texts() if f"A’s {layer}4 has no" in text]
    assert "while layers beside it reach" in alone
    found.filter(has_text="Nor has one other layer of A").click()
    section = tab.frame.get_by_test_id("stands-out")
    section.get_by_role("button", name=f"{layer}6", exact=True).click()
    tab.address(layer=f"{layer}6")
    tab.frame.get_by_role("button", name="Close", exact=True).click()
    tab.frame.get_by_test_id("stands-out").get_by_text("at another depth").click()
    tab.frame.get_by_test_id("pair").wait_for()
    tab.address(layer=f"{layer}1", pair=f"{layer}9")

    tab.open(board.url, **{**pair, "a": pair["b"]}).settle()
    nothing = tab.frame.get_by_test_id("stands-out")
    expect(nothing).to_contain_text("Nothing stands out")
