"""A pair of layers on its card, and figures of many layers with long names."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_tab import Board, Tab, probe_images
from playwright.sync_api import expect

from tb_modelcompare import behaviour, open_snapshot
from tb_modelcompare.analogy.unit_pairs import best_unit_pairs
from tb_modelcompare.similarity import compare, seed_ceiling
from tb_modelcompare.similarity.agreement import image_agreement

PAIR = {"a": "first/first@0", "b": "second/second@0", "measure": "linear_cka"}
LAYERS = {"a": "module_3x3", "b": "module_1x1"}


def test_a_pair_shows_its_best_units_and_the_images_on_which_it_agrees(
    tab: Tab, board: Board, logs: Path, violations: Callable[[Tab], list[str]]
) -> None:
    first, second = (open_snapshot(logs, PAIR[side]) for side in "ab")
    x, y = first.activations(LAYERS["a"]), second.activations(LAYERS["b"])
    images = np.arange(first.rows) // first.probe_record.positions_per_image
    tab.open(board.url, **PAIR, side="a", layer=LAYERS["a"], pair=LAYERS["b"]).settle()
    card = tab.frame.get_by_test_id("pair")
    units = card.get_by_role("button", name=re.compile(r"^Unit \d+ of "))
    units.first.wait_for()
    expected = best_unit_pairs(x, y, groups=images)
    assert [one.inner_text() for one in units.all()] == [
        str(unit) for pair in expected for unit in (pair.a, pair.b)
    ]
    for pair in expected:
        assert f"{pair.trimmed:.2f}" in card.inner_text()
    drawn = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"
    width, height = units.first.locator("img").evaluate(drawn)
    assert width == len(expected) * height  # the crops of all units, of which one is in sight
    places = "images => images.map(one => parseFloat(getComputedStyle(one).objectPosition))"
    of_a = card.get_by_role("button", name=re.compile("^Unit .* of A")).locator("img")
    assert of_a.evaluate_all(places) == pytest.approx(np.linspace(0, 100, len(expected)), abs=0.1)

    order = np.argsort(image_agreement(x, y, images))
    shown = card.get_by_role("button", name=re.compile(r"^Image \d+, agreement"))
    names = [one.get_attribute("aria-label") for one in shown.all()]
    found = [int(re.findall(r"\d+", str(name))[0]) for name in names]
    assert found == [*order[::-1][:4], *order[:4]]
    assert violations(tab) == []

    shown.last.focus()  # by the keyboard
    tab.page.keyboard.press("Enter")
    expect(shown.last).to_have_attribute("aria-pressed", "true")
    expect(tab.page).to_have_url(re.compile(f"&image={order[3]}(&|$)"))
    captions = card.get_by_test_id("caricatures").locator("figcaption")
    expect(captions).to_have_text([f"photo {order[3]}", LAYERS["a"], LAYERS["b"]])
    card.get_by_role("button", name="Draw caricatures").wait_for()

    tab.inspector()
    units.nth(1).click()  # of B
    expect(tab.page).to_have_url(re.compile(f"&unit={expected[0].b}(&|$)"))
    tab.address(side="b", pair=LAYERS["a"])
    expect(card).to_be_visible()


def test_two_classifiers_of_the_same_classes_say_how_alike_they_answer(
    tab: Tab, board: Board, logs: Path
) -> None:
    found = behaviour(*(open_snapshot(logs, PAIR[side]) for side in "ab"))
    tab.open(board.url, **PAIR).settle()
    line = tab.frame.get_by_test_id("answers")
    expect(line).to_contain_text(re.compile(f"{found.classes} classes, on\\s+40 images"))
    numbers = [f"{100 * found.disagreement:.1f} %", f"{found.jensen_shannon_divergence:.3f} bits"]
    expect(line.locator("dd")).to_have_text(numbers)
    line.get_by_role("button", name="disagreement").hover()
    expect(tab.frame.get_by_role("tooltip")).to_contain_text("name different classes")


def test_all_pairs_are_tested_together(tab: Tab, board: Board, logs: Path) -> None:
    a, b = (open_snapshot(logs, f"steps/trained@{step}") for step in (0, 10))
    found = compare(
        *(one.all_activations() for one in (a, b)), groups=a.image_of_row(), permutations=199
    )
    tab.open(board.url, a=a.id, b=b.id, measure="linear_cka", side="a", layer="one", pair="two")
    tab.settle()
    test = tab.inspector().get_by_test_id("family-test")
    test.get_by_role("button", name="Test all pairs (199 permutations)").click()
    p, findings = found.family_p_value[0, 1], int((found.family_p_value <= 0.05).sum())
    expect(test).to_contain_text(f"p = {p:.3f} for all pairs together")
    expect(test).to_contain_text(f"{findings} of 4 pairs")
    expect(test.get_by_role("button", name="Test all pairs")).to_have_count(0)
    tab.frame.get_by_role("button", name="Close the pair").click()
    expect(test).not_to_contain_text("This pair")
    expect(test).to_contain_text(f"{findings} of 4 pairs")


@pytest.fixture(scope="module")
def crowded_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of 143 and 100 layers, with names of forty characters, and a seed of the first."""
    from tb_modelcompare import Probe, SummaryWriter

    root = tmp_path_factory.mktemp("crowded")
    rng = np.random.default_rng(0)
    base = rng.standard_normal((40, 6))
    for run, layers in (("seed", 143), ("a" * 40, 143), ("b" * 40, 100)):
        with SummaryWriter(root / run, Probe(probe_images(0, 20), positions_per_image=2)) as writer:
            values = {
                f"stage_{k // 9}_layer_{k}_output": base @ rng.standard_normal((6, 4))
                for k in range(layers)
            }
            writer.add_activations(run, values, step=1_000_000)
    return root


@pytest.fixture(scope="module")
def crowded(crowded_logs: Path, start_board: Callable[..., Board]) -> Board:
    return start_board(crowded_logs, snapshots=3)


def test_a_pair_shows_what_other_seeds_of_a_model_reach(
    tab: Tab, crowded: Board, crowded_logs: Path, violations: Callable[[Tab], list[str]]
) -> None:
    a, b, seed = (f"{run}/{run}@1000000" for run in ("a" * 40, "b" * 40, "seed"))
    layer = "stage_2_layer_20_output"
    address = {"a": a, "b": b, "measure": "linear_cka", "side": "a", "layer": layer}
    tab.open(crowded.url, **address, pair="stage_1_layer_10_output").settle()
    card = tab.inspector().get_by_test_id("pair")
    choice = card.get_by_text("Ceiling, from other seeds of")
    expect(choice).to_have_text(["Ceiling, from other seeds of A"])  # B has none
    choice.click()
    card.get_by_role("checkbox", name=seed).check()
    model, other = (open_snapshot(crowded_logs, one) for one in (a, seed))
    x, y = ({layer: one.activations(layer)} for one in (model, other))
    ceiling = seed_ceiling(x, [y], groups=model.image_of_row())[layer]
    expect(card.get_by_test_id("ceiling-a")).to_have_text(f"{ceiling:.3f}")
    expect(card).to_contain_text("as alike as that to itself in another training of its model")
    tab.address(seeds=urllib.parse.quote(seed, safe=""))
    assert violations(tab) == []
    expect(tab.frame.get_by_test_id("answers")).to_have_count(0)
    tab.reload()
    expect(card.get_by_test_id("ceiling-a")).to_have_text(f"{ceiling:.3f}")


def overlapping(places: list[dict[str, float]], side: str, size: str) -> int:
    ordered = sorted(places, key=lambda place: place[side])
    return sum(p[side] + p[size] > q[side] + 0.5 for p, q in pairwise(ordered))


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (1440, 900), (2560, 1440)])
def test_no_names_of_a_crowded_matrix_overlap_and_it_fills_its_room(
    tab: Tab, crowded: Board, width: int, height: int
) -> None:
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.open(crowded.url, view="matrix", measure="linear_cka")
    matrix = tab.frame.get_by_test_id("matrix")
    cells = matrix.locator("canvas")
    cells.wait_for()

    def check() -> None:
        for side, start, size in (("a", "y", "height"), ("b", "x", "width")):
            names = matrix.locator(f"text.name.{side}")
            boxes: list[Any] = names.evaluate_all(
                "all => all.map(name => name.getBoundingClientRect().toJSON())"
            )
            assert len(boxes) > 15
            assert overlapping(boxes, start, size) == 0

    tab.still(matrix.locator("text.axis").first)
    check()
    box = tab.still(cells)
    assert box["y"] + box["height"] < height
    assert box["y"] + box["height"] > height - 110
    room = matrix.bounding_box()["width"]
    assert box["width"] > room - 210  # without names of rows and the margin
    title = matrix.locator("text.axis").first.bounding_box()
    highest = min(name.bounding_box()["y"] for name in matrix.locator("text.name.b").all())
    assert 0 < highest - title["y"] - title["height"] < 20
    # What is pointed at is named, in place of those that it would touch.
    cells.hover(position={"x": 0.37 * box["width"], "y": 0.61 * box["height"]})
    expect(matrix.locator("text.name.marked")).to_have_count(2)
    check()


CONTROLS = """bar => [...bar.querySelectorAll('button, select, input')].filter(one =>
  one.checkVisibility()).map(one => one.getBoundingClientRect().toJSON())"""


@pytest.mark.parametrize("view", ["graph", "both"])
def test_toolbars_stay_in_one_row_with_names_of_forty_characters(
    tab: Tab, crowded: Board, view: str
) -> None:
    tab.page.set_viewport_size({"width": 1280, "height": 900})
    tab.open(crowded.url, view=view).settle()
    for width, height in ((1280, 900), (1024, 768)):
        tab.page.set_viewport_size({"width": width, "height": height})
        tab.still(tab.frame.get_by_role("toolbar"))
        measure = tab.frame.get_by_role("combobox", name="measure").bounding_box()
        assert measure["width"] >= 100  # what is chosen can be read
        for bar in (tab.frame.locator("header.bar"), tab.frame.get_by_role("toolbar")):
            shown = sorted(bar.evaluate(CONTROLS), key=lambda one: one["x"])
            middles = [one["y"] + one["height"] / 2 for one in shown]
            assert max(middles) - min(middles) < 8
            assert all(p["right"] <= q["x"] + 1.5 for p, q in pairwise(shown))
            assert bar.evaluate("bar => bar.scrollWidth - bar.clientWidth") <= 0


LEGEND_ENDS = """document.querySelector('.legend').getBoundingClientRect().bottom
  + window.frameElement.getBoundingClientRect().top"""


def test_the_graph_fills_its_window_as_it_grows_and_shrinks(tab: Tab, board: Board) -> None:
    tab.open(board.url, **{**PAIR, "a": "wide/wide@0"}).settle()  # with a warning above
    frame = "document.querySelector('.first')"
    for width, height in ((1280, 900), (2560, 1440), (1024, 768)):
        tab.page.set_viewport_size({"width": width, "height": height})
        tab.becomes(LEGEND_ENDS, lambda end, height=height: height - 120 < end <= height)
        tab.becomes(f"{frame}.scrollHeight <= {frame}.clientHeight", bool)


def test_lines_of_parallel_branches_do_not_run_behind_boxes(tab: Tab, board: Board) -> None:
    tab.open(board.url, **PAIR, lines="all").settle()
    document = tab.figure("graph", "svg").decode()
    starts = re.findall(r'<path d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)', document)
    upper = {(start[0], start[1]) for start in starts}
    sideways = {start[2] for start in starts if start[1] == start[3]}
    assert len(upper) > 5
    assert len(sideways) >= 2  # lanes beside the three branches of the module
