"""What the tab shows at first, and how it names what it shows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_tab import Board, Tab, network, probe_images
from playwright.sync_api import expect

from tb_modelcompare import open_snapshot
from tb_modelcompare.similarity import compare

LONG = [f"backbone_stage_{'x' * 18}{k}{'y' * 18}_output" for k in range(8)]
OTHERS = [f"畳み込み層_{k}_深さ方向に分離可能な畳み込みと活性化関数の出力" for k in range(7)]


def activations(names: list[str], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = np.random.default_rng(0).standard_normal((80, 6))
    return {name: np.maximum(base @ rng.standard_normal((6, 5)), 0) for name in names}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, start_board: Callable[..., Board]) -> Board:
    """Four models of one probe, each trained after the one before, with hard names."""
    from tb_modelcompare import Probe, SummaryWriter

    root = tmp_path_factory.mktemp("named")
    probe = Probe(probe_images(0, 20), positions_per_image=4)
    with SummaryWriter(root / "many", probe) as writer:
        writer.add_activations("many", activations([f"layer{k}" for k in range(70)], 9))
    with SummaryWriter(root / "zeta", probe) as writer:
        writer.add_activations("zeta", activations(["one", "two"], 1), step=70)
    for run, names in (("beta", LONG), ("alpha", OTHERS)):
        with SummaryWriter(root / run, probe) as writer:
            for step in (0, 500):
                writer.add_activations(run, activations(names, step + 1), step=step)
    return start_board(root, snapshots=6)


def short_and_whole(texts: Any) -> dict[str, str]:
    """What names look like, by the whole name that pointing at them tells."""
    pairs = texts.evaluate_all(
        "all => all.map(t => [t.querySelector('title').textContent, t.lastChild.textContent])"
    )
    return dict(pairs)


def test_the_latest_two_models_are_there_at_their_last_steps(tab: Tab, named: Board) -> None:
    tab.open(named.url).settle()
    tab.address(a="beta/beta@500", b="alpha/alpha@500")
    for side, name in (("a", "beta"), ("b", "alpha")):
        row = tab.frame.get_by_test_id(f"row-{side}")
        assert row.inner_text().split() == [side.upper(), name, "step", "500"]
        first = tab.frame.locator(f".model.{side} [data-layer]").first.bounding_box()
        beside = row.bounding_box()["y"]
        assert beside < first["y"] if side == "a" else beside > first["y"]


def test_the_only_step_of_a_model_is_not_said(tab: Tab, named: Board) -> None:
    tab.open(named.url, a="zeta/zeta@70", b="alpha/alpha@500").settle()
    assert tab.frame.get_by_test_id("row-a").inner_text().split() == ["A", "zeta"]
    assert "step 500" in tab.frame.get_by_test_id("row-b").inner_text()
    choice = tab.frame.get_by_role("button", name="Model A: zeta")
    assert "70" not in f"{choice.get_attribute('aria-label')} {choice.inner_text()}"
    tab.address(a="zeta/zeta@70")


# By how much the colour of any pixel is off, on white, in steps of 255.
OFF_COLOUR = """(() => {
  const one = document.createElement('canvas').getContext('2d');
  one.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--line');
  one.fillRect(0, 0, 1, 1);
  const ink = one.getImageData(0, 0, 1, 1).data;
  let [seen, worst] = [0, 0];
  for (const canvas of document.querySelectorAll('.lines.all canvas')) {
    const context = canvas.getContext('2d');
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
      seen += data[at + 3] > 0;
      for (let c = 0; c < 3; c++)
        worst = Math.max(worst, Math.abs(data[at + c] - ink[c]) * data[at + 3] / 255);
    }
  }
  return seen > 10_000 ? worst : null;
})()"""


def test_thousands_of_pale_lines_have_the_colour_of_one(tab: Tab, named: Board) -> None:
    address = {"a": "many/many@0", "b": "many/many@0", "measure": "linear_cka", "lines": "all"}
    tab.open(named.url, **address).settle()
    expect(tab.frame.locator(".legend .count")).to_contain_text("4,830 lines")
    tab.becomes(OFF_COLOUR, lambda worst: worst is not None and worst < 2)


def test_a_single_snapshot_is_shown_against_itself(
    tab: Tab, tmp_path: Path, start_board: Callable[..., Board]
) -> None:
    from tb_modelcompare import Preprocessing, Probe, SummaryWriter

    with SummaryWriter(tmp_path / "only", Probe(probe_images(0, 20))) as writer:
        scale = Preprocessing.range(-1, 1)
        writer.add_model("only", network(1, 4), preprocessing=scale, progress=False)
    tab.open(start_board(tmp_path, snapshots=1).url).settle()
    tab.address(a="only/only@0", b="only/only@0")
    tab.box("a", "stem").click()
    tab.frame.get_by_role("button", name="Unit 1", exact=True).wait_for()
    tab.inspector().get_by_role("button", name="Of the probe").click()
    expect(tab.frame.get_by_role("button", name="Draw caricatures")).to_be_enabled()


def test_two_models_that_are_not_there_are_said_once_without_a_toolbar(
    tab: Tab, board: Board
) -> None:
    tab.open(board.url, a="gone/gone@1", b="left/left@2")
    alert = tab.frame.get_by_role("alert")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("Choose others above")
    expect(alert).to_contain_text("gone/gone@1 and left/left@2")
    expect(tab.frame.get_by_role("toolbar", name="What is drawn")).to_have_count(0)
    expect(alert.get_by_role("button")).to_have_count(0)


def test_where_one_model_is_not_there_a_click_shows_the_other_alone(tab: Tab, board: Board) -> None:
    tab.open(board.url, a="gone/gone@1", b="second/second@0", measure="linear_cka")
    tab.frame.get_by_role("button", name="Show second alone").click()
    tab.settle()
    tab.address(a="second/second@0", b="second/second@0")
    expect(tab.frame.get_by_role("alert")).to_have_count(0)


def test_long_names_stay_distinct_and_are_whole_where_they_are_pointed_at(
    tab: Tab, named: Board
) -> None:
    tab.open(named.url, view="matrix")
    matrix = tab.frame.get_by_test_id("matrix")
    for side, names in (("a", LONG), ("b", OTHERS)):
        shown = matrix.locator(f"text.name.{side}")
        shown.first.wait_for()
        short = short_and_whole(shown)
        assert set(short) == set(names)
        assert len(set(short.values())) == len(names)
        assert max(map(len, short.values())) <= 22
        assert all(str(k) in short[name] for k, name in enumerate(names))
    left_out = matrix.get_by_text("In A's names, the beginning")
    expect(left_out).to_contain_text("is left out")

    tab.open(named.url, view="graph", side="a", layer=LONG[3]).settle()
    tab.frame.get_by_role("heading", name=LONG[3]).wait_for()
    matches = tab.frame.get_by_test_id("matches").get_by_role("button")
    seen = matches.evaluate_all(
        "all => all.map(b => [b.title, b.querySelector('.who').textContent])"
    )
    assert {whole for whole, _ in seen} == set(OTHERS)
    assert {text for _, text in seen} == {short[name] for name in OTHERS}


def test_folded_blocks_have_names(tab: Tab, board: Board) -> None:
    pair = {"a": "first/first@0", "b": "second/second@0"}
    tab.open(board.url, **pair, foldA="module").settle()
    fold = tab.frame.get_by_role("button", name=re.compile("Unfold block module"))
    assert fold.locator("text").text_content() == "module"


def svg_texts(document: bytes, kind: str = "text") -> list[str]:
    found = ElementTree.fromstring(document).iter(f"{{http://www.w3.org/2000/svg}}{kind}")
    return [element.text or "" for element in found]


def test_a_cell_says_its_value_at_the_pointer_and_a_click_chooses_the_pair(
    tab: Tab, board: Board
) -> None:
    pair = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
    tab.open(board.url, **pair, view="matrix")
    matrix = tab.frame.get_by_test_id("matrix")
    canvas = matrix.locator("canvas")
    canvas.wait_for()
    cells = canvas.bounding_box()
    at = {"x": cells["width"] - 3, "y": 3}
    canvas.hover(position=at)
    tip = tab.frame.get_by_role("tooltip")
    said = tip.inner_text().split()
    assert said[:4] == ["A", "stem", "B", "classes"]
    assert re.fullmatch(r"0\.\d{3}", said[4])
    near = tip.bounding_box()
    assert 0 < near["x"] - (cells["x"] + at["x"]) < 40
    assert 0 < near["y"] - (cells["y"] + at["y"]) < 40
    bold = matrix.locator("text.name.marked")
    assert bold.evaluate_all("all => all.map(t => t.lastChild.textContent)") == ["stem", "classes"]
    # Legend and titles are above, and all of it is in sight.
    assert matrix.locator(".legend").bounding_box()["y"] < cells["y"]
    assert cells["y"] + cells["height"] < 800
    titles = matrix.locator("text.axis").all_text_contents()
    assert [title.split() for title in titles] == [["B", "second"], ["A", "first"]]
    canvas.click(position=at)
    framed = "one => getComputedStyle(one).outlineStyle"
    assert matrix.locator("svg[tabindex]").evaluate(framed) == "none"  # that is for the keyboard
    tab.address(layer="stem", pair="classes", side="a")
    tab.page.mouse.move(5, 400)
    expect(bold).to_have_count(2)  # the pair stays marked


def test_what_the_measure_says_little_of_is_hatched_and_exports_say_why(
    tab: Tab, board: Board
) -> None:
    both = {"a": "first/first@0", "b": "second/second@0"}
    tab.open(board.url, **both, measure="mean_cca", view="both").settle()
    matrix = tab.frame.get_by_test_id("matrix")
    expect(matrix.locator("path.hatch.rows")).to_have_count(1)
    biased = tab.frame.locator(".model path.hatch.rows")
    boxes = biased.count()
    assert boxes >= 4
    for figure, hatched in (("matrix", 1), ("graph", boxes)):
        document = tab.figure(figure, "svg")
        said = " ".join(svg_texts(document))
        assert "160 rows are fewer than 12 for each unit of module_output (18)" in said
        assert document.count(b'class="hatch"') >= hatched
    texts = svg_texts(tab.figure("matrix", "svg"))
    titles = {"Mean CCA", "A: first/first@0", "B: second/second@0"}
    assert titles | {"stem", "0.0", "1.0"} <= set(texts)

    # Where all pairs are alike in this, one sentence says so and nothing is hatched.
    wide = {"a": "wide/wide@0", "b": "wide/wide@0"}
    tab.open(board.url, **wide, measure="mean_cca", view="both").settle()
    for legend in (tab.frame.locator(".legend").first, matrix):
        expect(legend).to_contain_text("all pairs are biased here")
    expect(tab.frame.locator("path.hatch")).to_have_count(0)
    document = tab.figure("matrix", "svg")
    assert b'class="hatch"' not in document
    assert "All pairs of layers: this measure makes unrelated" in " ".join(svg_texts(document))

    tab.open(board.url, **wide, measure="unbiased_linear_cka", view="both").settle()
    expect(matrix.locator("path.hatch.rows")).to_have_count(0)
    expect(tab.frame.locator(".model path.hatch.rows")).to_have_count(0)


def test_what_is_not_above_its_null_is_hatched_and_dashed_and_exports_say_so(
    tab: Tab, board: Board, logs: Path
) -> None:
    pair = {"a": "wide/wide@0", "b": "wide/wide@0", "measure": "unbiased_linear_cka"}
    tab.open(board.url, **pair, view="both", lines="all").settle()
    matrix = tab.frame.get_by_test_id("matrix")
    hatched = matrix.locator("path.hatch.null")
    hatched.wait_for(state="attached")
    wide = open_snapshot(logs, pair["a"])
    layers = {name: wide.activations(name) for name in wide.layer_names if name != "constant"}
    images = np.arange(wide.rows) // wide.probe_record.positions_per_image
    expected = compare(layers, layers, pair["measure"], groups=images, permutations=19)
    doubtful = expected.p_value > 0.05
    assert doubtful.sum() > 0
    cells = matrix.locator("canvas").bounding_box()["width"] / doubtful.shape[1]
    widths = [float(one) for one in re.findall(r"h([\d.]+)v", hatched.get_attribute("d"))]
    assert round(sum(widths) / cells) == doubtful.sum()
    # A box is hatched where none of its layer's pairs is above the null.
    boxes = tab.frame.locator(".model path.hatch.null")
    assert boxes.count() == doubtful.all(axis=1).sum() + doubtful.all(axis=0).sum()
    key = tab.frame.locator(".legend .key").get_by_text("not above the null")
    expect(key.locator("line")).to_have_attribute("stroke-dasharray", "5 4")
    graph = tab.figure("graph", "svg")
    assert graph.count(b"stroke-dasharray") == doubtful.sum()
    assert "dashed: not above the null" in " ".join(svg_texts(graph))
    assert "Hatched thinly: not above the null" in " ".join(svg_texts(tab.figure("matrix", "svg")))

    # Of unrelated models one sentence says so, and the values are left to be read.
    tab.open(board.url, **{**pair, "a": "first/first@0"}, view="both", lines="all").settle()
    for legend in (tab.frame.locator(".legend").first, matrix):
        expect(legend).to_contain_text("no layer pair is above its null")
    expect(tab.frame.locator("path.hatch")).to_have_count(0)
    assert "no pair of layers is above its null" in " ".join(svg_texts(tab.figure("graph", "svg")))


def test_a_click_on_a_line_shows_its_pair_with_interval_and_null(tab: Tab, board: Board) -> None:
    address = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
    tab.open(board.url, **address, lines="all").settle()
    ends = [tab.box(side, "stem").bounding_box() for side in "ab"]
    x = [end["x"] + end["width"] / 2 for end in ends]
    y = [ends[0]["y"] + ends[0]["height"], ends[1]["y"]]
    tab.page.mouse.move(sum(x) / 2, sum(y) / 2)
    tab.page.mouse.click(sum(x) / 2, sum(y) / 2)
    card = tab.frame.get_by_test_id("pair")
    card.wait_for()
    tab.address(layer="stem", pair="stem")
    null = card.locator("dd").nth(2)
    expect(null).to_have_text(re.compile(r"\d\.\d{3}"))
    value = float(card.locator("dd").nth(0).inner_text())
    low, high = map(float, re.findall(r"\d\.\d{3}", card.locator("dd").nth(1).inner_text()))
    assert low < value < high
    assert 0 <= float(null.inner_text()) < value

    tab.reload()  # the address holds the pair
    card.wait_for()
    assert "stem" in card.inner_text()
    card.get_by_role("button", name="Close the pair").click()
    expect(card).to_have_count(0)
    tab.address(pair=None)


SIZES = """[...document.querySelectorAll('body *')].filter(e => [...e.childNodes].some(
    n => n.nodeType === 3 && n.textContent.trim()) && e.getClientRects().length
    && !['TITLE', 'OPTION', 'title'].includes(e.tagName))
  .filter(e => parseFloat(getComputedStyle(e).fontSize) < 12).map(e => e.outerHTML.slice(0, 90))"""
CONTRASTS = """(() => {
  const context = document.createElement('canvas').getContext('2d');
  const light = (name, opacity = 1) => {
    for (const [of, alpha] of [['--page', 1], [name, opacity]]) {
      context.globalAlpha = alpha;
      context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(of);
      context.fillRect(0, 0, 1, 1);
    }
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map(
      v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light('--page');
  const names = ['a', 'b', 'edge', 'control', 'data', 'focus', 'link', 'text', 'soft'];
  const faintest = document.querySelector('.legend .sample line').getAttribute('opacity');
  const seen = [...names.map(name => [name, light('--' + name)]),
    ['faintest', light('--line', Number(faintest))]];
  return Object.fromEntries(seen.map(([name, value]) =>
    [name, (Math.max(value, page) + 0.05) / (Math.min(value, page) + 0.05)]));
})()"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_and_shapes_be_seen(tab: Tab, board: Board, theme: str) -> None:
    address = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
    tab.open(board.url, **address, view="both", side="a", layer="module_3x3", unit=1).settle()
    tab.frame.get_by_test_id("unit").locator("img").first.wait_for()
    tab.theme(theme)
    assert tab.run(SIZES) == []
    contrasts = tab.run(CONTRASTS)
    for name in ("a", "b", "edge", "control"):
        assert contrasts[name] >= 3, name
    for name in ("data", "focus", "link", "text", "soft"):
        assert contrasts[name] >= 4.5, name
    assert contrasts["faintest"] >= 1.4  # a line of 0.2 in the legend, as such lines are drawn
    # TensorBoard's own font, from wherever TensorBoard is mounted.
    assert tab.run("document.fonts.load('13px Roboto').then(found => found.length)") > 0


def test_graph_matrix_and_tensorboards_own_stand_beside_each_other(tab: Tab, board: Board) -> None:
    tab.page.set_viewport_size({"width": 1700, "height": 900})
    address = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
    tab.open(board.url, **address, view="both", graphs="a").settle()
    places = ["alignment", "matrix", "graphs"]

    def boxes() -> list[dict[str, float]]:
        return [tab.frame.get_by_test_id(place).bounding_box() for place in places]

    left, middle, right = boxes()
    assert left["x"] + left["width"] < middle["x"] + 1
    assert middle["x"] + middle["width"] < right["x"] + 1
    assert all(box["y"] < 300 for box in (left, middle, right))
    divider = tab.frame.get_by_role("separator", name="Width of Matrix")
    grip = divider.bounding_box()
    tab.page.mouse.move(grip["x"] + 3, 500)
    tab.page.mouse.down()
    tab.page.mouse.move(grip["x"] - 80, 500, steps=4)
    tab.page.mouse.up()
    assert divider.bounding_box()["x"] == pytest.approx(grip["x"] - 80, abs=6)
    assert boxes()[1]["width"] > middle["width"] + 60
    divider.press("ArrowRight")
    assert divider.bounding_box()["x"] > grip["x"] - 75
    tab.page.set_viewport_size({"width": 800, "height": 900})  # no room: one below the other
    expect(tab.frame.get_by_role("separator")).to_have_count(0)
    left, middle, _ = boxes()
    assert left["y"] + left["height"] < middle["y"]


def test_three_figures_of_one_layer_are_in_sight_on_a_small_screen(tab: Tab, board: Board) -> None:
    """One would scroll to TensorBoard's graph, or not know of it."""
    tab.page.set_viewport_size({"width": 1024, "height": 768})
    address = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
    tab.open(board.url, **address, view="both", graphs="a", side="a", layer="stem").settle()
    places = ["alignment", "matrix", "graphs"]
    beside = [tab.frame.get_by_test_id(place).bounding_box() for place in places]
    left, middle, right = beside
    assert left["x"] + left["width"] < middle["x"] < middle["x"] + middle["width"] < right["x"] + 1
    assert right["x"] + right["width"] <= 1024
    assert all(box["width"] > 280 and box["y"] < 300 for box in beside)
    panel = tab.inspector().bounding_box()  # beneath them, as wide as they are together
    assert panel["width"] > 1000
    assert panel["y"] + panel["height"] <= 768
    assert tab.box("a", "stem").get_attribute("aria-selected") == "true"
    expect(tab.frame.get_by_test_id("matrix").locator(".name.marked")).to_contain_text(["stem"])
    graph = tab.frame.frame_locator('iframe[title="TensorBoard\'s own graph"]')
    expect(graph.locator('.node.selected[data-name="stem"]')).to_be_visible()


def test_controls_and_warnings_stand_over_all_figures(tab: Tab, board: Board) -> None:
    tab.page.set_viewport_size({"width": 1280, "height": 800})
    tab.open(board.url, a="wide/wide@0", b="wide/wide@0", measure="linear_cka", view="both")
    tab.settle()
    figures = [tab.frame.get_by_test_id(one).bounding_box() for one in ("alignment", "matrix")]
    for above in (tab.frame.get_by_role("toolbar"), tab.frame.get_by_test_id("warnings")):
        box = above.bounding_box()
        assert box["y"] + box["height"] < min(figure["y"] for figure in figures)
        assert box["x"] + box["width"] > figures[1]["x"]
    tab.page.set_viewport_size({"width": 1024, "height": 768})  # no sample of a line stands alone
    tops = "all => [...new Set(all.map(one => one.getBoundingClientRect().top))]"
    samples = tab.frame.locator(".legend .sample")
    assert samples.count() > 4
    tab.until(lambda: samples.evaluate_all(tops), lambda found: len(found) == 1)


FINISH = """(() => {
  const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const button = document.querySelector("[aria-pressed='true']");
  return {
    soft: style('--soft'), text: style('--text'), edge: style('--edge'), line: style('--line'),
    strong: style('--line-strong'), rule: style('--rule'), control: style('--control'),
    outline: getComputedStyle(button).outlineStyle,
    drawing: getComputedStyle(document.querySelector('.lines canvas')).forcedColorAdjust,
    moving: [...document.querySelectorAll('*')].filter(e => {
      const {transitionDuration, animationName} = getComputedStyle(e);
      return parseFloat(transitionDuration) > 0 || animationName !== 'none';
    }).length,
  };
})()"""


def test_contrast_forced_colours_and_reduced_motion_are_heeded(tab: Tab, board: Board) -> None:
    tab.open(board.url, a="first/first@0", b="second/second@0", measure="linear_cka").settle()
    usual = tab.run(FINISH)
    assert usual["soft"] != usual["text"]
    assert usual["line"] != usual["strong"]

    tab.page.emulate_media(contrast="more")
    clear = tab.run(FINISH)
    assert clear["soft"] == clear["edge"] == clear["text"]
    assert clear["line"] == clear["strong"]
    assert clear["rule"] == clear["control"]

    tab.page.emulate_media(contrast="no-preference", forced_colors="active")
    forced = tab.run(FINISH)
    assert usual["outline"] == "none"
    assert forced["outline"] == "solid"  # colours alone no longer say what is pressed
    assert forced["drawing"] == "none"  # colours of lines are values

    tab.page.emulate_media(forced_colors="none", reduced_motion="reduce")
    assert tab.run(FINISH)["moving"] == 0


def test_a_folded_block_shows_the_photo_as_its_output_sees_it(tab: Tab, board: Board) -> None:
    def drawn(route: Any) -> None:
        asked = route.request.post_data_json
        picture = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="
        layers = asked["layers"] if asked["kind"] == "caricatures" else []
        route.fulfill(json={"items": [{"layer": layer, "image": picture} for layer in layers]})

    tab.page.route("**/plugin/modelcompare/known*", drawn)  # as after a reload, from the cache
    pair = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
    tab.open(board.url, **pair, foldA="module", side="a", layer="stem", image=1).settle()
    expect(tab.box("a", "module_1x1")).to_have_count(0)
    tab.frame.get_by_test_id("caricatures").wait_for()
    tab.box("a", "module_output").hover()
    tip = tab.frame.get_by_role("tooltip")
    expect(tip).to_contain_text("module")
    tip.get_by_role("img", name="The chosen photo as module_output sees it").wait_for()
