"""Models on a map, and training over steps, in a real browser over a real TensorBoard."""

from __future__ import annotations

import csv
import io
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from live_tab import HOSTILE, ROOT, Board, Tab, probe_images
from playwright.sync_api import expect

STEPS = 12
LAYERS = ("one", "two", HOSTILE)


def converging(seed: int, step: int) -> dict[str, np.ndarray]:
    """Layer l stops changing at step 3·(l + 1)."""
    rng = np.random.default_rng(seed)
    ends = [rng.standard_normal((160, 6)) for _ in LAYERS]
    noise = np.random.default_rng([7, seed, step]).standard_normal((len(LAYERS), 160, 6))
    return {
        name: (end if step >= 3 * (i + 1) else end + (3 + i) * noise[i]).astype(np.float32)
        for i, (name, end) in enumerate(zip(LAYERS, ends, strict=True))
    }


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, start_board: Callable[..., Board]) -> Board:
    from tb_modelcompare import Probe, SummaryWriter

    root = tmp_path_factory.mktemp("training")
    probe = Probe(probe_images(0), positions_per_image=4)
    for run, seed in (("p", 0), ("q", 1)):
        with SummaryWriter(root / run, probe) as writer:
            for step in range(STEPS):
                writer.add_activations("net", converging(seed, step), step=step)
            writer.add_activations("deleted", converging(seed, 0))
            writer.remove("deleted", 0)
    with SummaryWriter(root / "elsewhere", Probe(probe_images(9), positions_per_image=4)) as writer:
        writer.add_activations("net", converging(3, 0), step=0)
    return start_board(root, snapshots=2 * STEPS + 1)


def chart(tab: Tab, name: str) -> Any:
    """A figure, once it has been computed to the end."""
    tab.frame.get_by_test_id(name).get_by_role("application").wait_for()
    tab.frame.locator("progress").first.wait_for(state="detached")
    return tab.frame.get_by_test_id(name)


NAMES = {
    "trend-a": "Training of A",
    "trend-b": "Training of B",
    "lines": "Layers over training",
    "steps": "Steps by steps",
    "model-map": "Map of models",
    "model-matrix": "Distances between models",
}


def values(tab: Tab, name: str) -> list[list[str]]:
    """The numbers of a figure, once it is there."""
    chart(tab, name)
    return list(csv.reader(io.StringIO(tab.download(NAMES[name], "csv").decode())))


PAIR = {"a": "p/net@11", "b": "q/net@5"}


def test_training_shows_when_each_layer_froze(tab: Tab, training: Board) -> None:
    tab.open(training.url, **PAIR, view="training")
    figure = chart(tab, "trend-a")
    table = values(tab, "trend-a")
    assert table[0][1:] == [str(step) for step in range(STEPS)]
    assert [row[0] for row in table[1:]] == list(LAYERS)
    frozen = [next(i for i, v in enumerate(row[1:]) if float(v) > 0.9) for row in table[1:]]
    assert frozen == [3, 6, 9]
    texts = figure.locator("svg text").all_text_contents()
    assert {"3", "6", "9"} <= set(texts)
    assert "1.000" in figure.get_by_text("Rank correlation").inner_text()
    chart(tab, "trend-b")
    chart(tab, "steps")
    chart(tab, "lines")
    assert not tab.page.evaluate("'hacked' in window")


def cut(tab: Tab, name: str) -> list[str]:
    """The texts of a figure that reach out of it."""
    figure = tab.frame.get_by_test_id(name).locator("svg").first
    found: list[str] = figure.evaluate(
        """svg => {
            const whole = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')]
                .map(text => [text.textContent, text.getBoundingClientRect()])
                .filter(([, { left, right, bottom }]) => left < whole.left - 1
                    || right > whole.right + 1 || bottom > whole.bottom + 1)
                .map(([text]) => text);
        }"""
    )
    return found


def test_names_and_steps_are_whole_also_in_a_font_that_arrives_late(
    tab: Tab, training: Board
) -> None:
    tab.open(training.url, **PAIR, view="training")
    figures = ("trend-a", "lines", "steps")
    for name in figures:
        chart(tab, name)
    assert [cut(tab, name) for name in figures] == [[], [], []]
    tab.run("document.body.style.fontFamily = 'monospace'")
    tab.run("document.fonts.dispatchEvent(new Event('loadingdone'))")
    tab.until(lambda: [cut(tab, name) for name in figures], [[], [], []].__eq__)


def test_a_cell_chooses_the_layer_and_the_step(tab: Tab, training: Board) -> None:
    tab.open(training.url, **PAIR, view="training")
    figure = chart(tab, "trend-b")
    drawing = figure.get_by_role("application")
    drawing.focus()
    for _ in range(2):
        drawing.press("ArrowRight")
    drawing.press("ArrowUp")
    spoken = figure.locator("output").inner_text()
    assert re.fullmatch(r"one, step 7: \d\.\d{3}", spoken)
    expect(tab.frame.get_by_role("tooltip")).to_have_text(spoken)  # for who sees, beside the cell
    drawing.press("Enter")
    tab.frame.get_by_role("slider", name="Step of model B").and_(
        tab.frame.locator("[aria-valuetext='7']")
    ).wait_for()
    tab.address(b="q/net@7", side="b", layer="one")
    tab.page.go_back()
    tab.frame.locator("[aria-label='Step of model B'][aria-valuetext='5']").wait_for()


def test_steps_lie_evenly_or_by_their_logarithm_as_the_address_says(
    tab: Tab, training: Board
) -> None:
    tab.open(training.url, **PAIR, view="training")
    figure = chart(tab, "lines")
    choice = tab.frame.get_by_label("steps on the axis")
    expect(choice).to_have_value("linear")  # they are evenly spaced

    def places() -> dict[int, float]:
        ticks = figure.locator(".tick").filter(has_text=re.compile(r"^\d+$"))
        boxes = [(int(one.text_content()), one.bounding_box()) for one in ticks.all()]
        floor = max(box["y"] for _, box in boxes)
        named = {step: box for step, box in boxes if box["y"] > floor - 1}  # not those of values
        ends = sorted((box["x"], box["x"] + box["width"]) for box in named.values())
        assert all(p[1] < q[0] for p, q in itertools.pairwise(ends))
        return {step: box["x"] + box["width"] / 2 for step, box in named.items()}

    even = places()
    assert even[6] - even[2] == pytest.approx(even[10] - even[6], abs=1)
    choice.select_option("log")
    figure.get_by_text("step, logarithmic").wait_for()
    expect(tab.page).to_have_url(re.compile(r"&axis=log\b"))
    doubled = places()
    # Of step + 1: from 0 to 1 as far as from 1 to 3.
    assert doubled[1] - doubled[0] == pytest.approx(doubled[3] - doubled[1], abs=1)
    tab.reload()
    chart(tab, "lines").get_by_text("step, logarithmic").wait_for()
    choice.select_option("linear")
    figure.get_by_text("step", exact=True).wait_for()
    expect(choice).to_have_value("linear")


def test_progress_of_a_training_has_room_of_its_own(tab: Tab, training: Board) -> None:
    tab.open(training.url, **PAIR, view="training")
    chart(tab, "steps")
    scroller = "document.querySelector('.first')"
    tab.run(f"{scroller}.scrollTo(0, {scroller}.scrollHeight)")
    strip = tab.frame.get_by_test_id("progress").bounding_box()
    for name in ("lines", "steps"):
        box = tab.frame.get_by_test_id(name).bounding_box()
        assert box["y"] + box["height"] <= strip["y"] + 0.5


@pytest.mark.parametrize(
    ("view", "words", "count"),
    [("training", "Drawn once the steps are compared", 2),
     ("models", "Drawn once the distances are there", 1)],
)  # fmt: skip
def test_the_place_of_a_figure_is_not_empty_while_it_is_computed(
    tab: Tab, training: Board, view: str, words: str, count: int
) -> None:
    go_on = tab.jobs_wait()
    tab.open(training.url, **PAIR, view=view)
    places = tab.frame.get_by_text(words)
    expect(places).to_have_count(count)
    go_on()
    tab.frame.get_by_role("application").first.wait_for()
    expect(places).to_have_count(0)


def test_what_was_deleted_is_said(tab: Tab, training: Board) -> None:
    tab.open(training.url, a="p/net@11", b="q/deleted@0")
    tab.frame.get_by_text("q/deleted@0 was deleted from this log directory").wait_for()
    tab.frame.get_by_role("button", name="Model A").click()
    tab.frame.get_by_text("2 snapshots were deleted.").wait_for()


@pytest.mark.parametrize("width", [1300, 2700])  # the latter is drawn half as large again
def test_pointing_reads_what_is_beneath(tab: Tab, training: Board, width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": width // 2})
    tab.open(training.url, **PAIR, view="training")
    figure = chart(tab, "trend-a")
    cells = figure.locator("image").bounding_box()
    # Without the reference itself, which is the last step.
    wide, tall = cells["width"] / (STEPS - 1), cells["height"] / len(LAYERS)
    tab.page.mouse.move(cells["x"] + 7.5 * wide, cells["y"] + 1.5 * tall)
    expect(figure.locator("output")).to_have_text(re.compile(f"^{LAYERS[1]}, step 7: "))

    curves = chart(tab, "lines")
    drawing = curves.get_by_role("application")
    drawing.scroll_into_view_if_needed()
    drawing.focus()
    for _ in range(4):
        drawing.press("ArrowRight")
    read = curves.locator(".passing").first
    spoken = read.bounding_box()
    drawing.blur()
    tab.page.mouse.move(spoken["x"] + spoken["width"] / 2, spoken["y"] + 5)
    assert curves.locator(".passing").first.bounding_box() == pytest.approx(spoken)


def test_a_pinned_reference_is_what_both_runs_are_compared_with(tab: Tab, training: Board) -> None:
    tab.open(training.url, **PAIR, view="training", ref="q/net@11")
    own = values(tab, "trend-b")
    other = values(tab, "trend-a")
    assert all(float(row[-1]) == pytest.approx(1.0, abs=1e-6) for row in own[1:])
    assert all(float(row[-1]) < 0.5 for row in other[1:])
    tab.frame.get_by_label("Reference", exact=True).select_option("p/net@11")
    tab.frame.get_by_role("heading", name="against p/net@11").first.wait_for()
    tab.page.wait_for_url(re.compile("ref=p%2Fnet%4011"))  # a moment later


def test_models_are_on_a_map_and_can_be_chosen_and_pinned(tab: Tab, training: Board) -> None:
    tab.open(training.url, **PAIR, view="models")
    table = values(tab, "model-matrix")
    assert "elsewhere/net@0" not in table[0]
    distances = np.array([row[1:] for row in table[1:]], float)
    np.testing.assert_array_equal(distances, distances.T)
    model = tab.frame.locator(".model[aria-label^='q/net 0:']")
    model.focus()
    model.press("Enter")
    tab.address(a="q/net@0")
    tab.frame.get_by_role("button", name="Pin p/net 11 as reference").click()
    tab.frame.get_by_text("Nearest to p/net 11 first, which is pinned").wait_for()
    tab.page.wait_for_url(re.compile("ref=p%2Fnet%4011"))  # a moment later
    listed = [one.split("\t") for one in tab.frame.locator("tbody tr").all_inner_texts()]
    assert "p/net 11" not in [name for name, *_ in listed]  # nearest to itself, as everybody knows
    far = [float(distance) for _, distance, *_ in listed]
    assert far == sorted(far)
    assert len(far) == len(distances) - 1
    tab.frame.locator("caption").get_by_role("button", name="Pin p/net 11 as reference").click()
    tab.frame.get_by_text("which is pinned").wait_for(state="hidden")
    tab.frame.get_by_label("steps of each run").select_option("last")
    tab.frame.get_by_text("4 of 24 snapshots").wait_for()


@pytest.mark.parametrize("view", ["training", "models"])
def test_every_figure_is_exported_as_drawn(tab: Tab, training: Board, view: str) -> None:
    tab.open(training.url, **PAIR, view=view)
    for name in ("trend-a", "lines", "steps") if view == "training" else ("model-matrix",):
        chart(tab, name)
        for format_, begins in (("svg", b"<svg"), ("png", b"\x89PNG")):
            content = tab.download(NAMES[name], format_)
            assert content.startswith(begins)
            if view == "training":
                assert re.search(r"net.*\d", tab.file)  # the run, and steps
            if format_ == "svg":
                drawing = ElementTree.fromstring(content)
                assert any(
                    "step" in (e.text or "") or "net" in (e.text or "") for e in drawing.iter()
                )
                assert b"var(" not in content


LOGGER = """
import sys, time
sys.path[:0] = {path!r}
import numpy as np
from live_tab import probe_images
from test_many_snapshots import converging
from tb_modelcompare import Probe, SummaryWriter
with SummaryWriter({run!r}, Probe(probe_images(0), positions_per_image=4)) as writer:
    for step in range(4):
        writer.add_activations("net", converging(0, step), step=step)
    print("begun", flush=True)
    sys.stdin.readline()
    for step in range(4, 7):
        writer.add_activations("net", converging(0, step), step=step)
        time.sleep(0.5)
"""


@pytest.mark.slow  # test_tab.py follows a run that goes on
def test_it_follows_a_training_that_writes(
    tab: Tab, tmp_path: Path, start_board: Callable[..., Board], environ: dict[str, str]
) -> None:
    path = [str(ROOT / "tests" / folder) for folder in ("e2e", "support")]
    code = LOGGER.format(path=[*path, str(ROOT)], run=str(tmp_path / "live"))
    writer = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline().strip() == "begun"
        board = start_board(tmp_path, "--reload_interval=1", snapshots=4)
        pair = {"a": "live/net@1", "b": "live/net@2", "side": "a", "layer": "two"}
        tab.open(board.url, **pair, view="training", ref="live/net@0")
        assert values(tab, "trend-a")[0][1:] == ["0", "1", "2", "3"]
        answers: list[dict[str, Any]] = []
        tab.page.on(
            "response",
            lambda r: answers.append(r.json()) if "/cells_info" in r.url and r.ok else None,
        )
        tab.run("window.same = true")
        writer.stdin.write("\n")
        writer.stdin.flush()
        last = (
            tab.frame.get_by_test_id("trend-a")
            .locator("svg text")
            .get_by_text("6", exact=True)
            .first
        )
        last.wait_for()
        chart(tab, "trend-a")
    finally:
        writer.kill()
        writer.wait()
    assert tab.run("window.same")  # no reload
    tab.address(**pair)
    trends = [one for one in answers if one["kind"] == "trend"]
    assert trends
    # Each time, only what is new: one value per layer and new step.
    assert sum(one["computed"] for one in {len(t["columns"]): t for t in trends}.values()) <= 9
    assert tab.frame.locator(".name.marked").filter(has_text="two").first.is_visible()
