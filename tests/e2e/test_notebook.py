"""The figure in a cell of a notebook, and in a file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_page import page_data
from live_tab import HOSTILE, activations, loaded_widths, probe_images
from patience import LATE

from tb_modelcompare import Probe, SummaryWriter, open_snapshot, show
from tb_modelcompare.errors import (
    LayerSelectionError,
    ModelCompareError,
    OptionError,
    ProbeMismatchError,
    UnknownSnapshotError,
)
from tb_modelcompare.notebook import Figure
from tb_modelcompare.similarity import linear_cka

# Boxes, and how many pixels of the lines are not transparent.
DRAWN = """() => {
  let inked = 0;
  for (const canvas of document.querySelectorAll('.lines canvas')) {
    if (!canvas.width || !canvas.height) continue;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 3; i < pixels.length; i += 4) inked += pixels[i] > 0;
  }
  return inked;
}"""


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("notebook")
    probe = Probe(probe_images(0), positions_per_image=4)
    for seed, run in enumerate(("one", "two:half")):
        with SummaryWriter(root / run, probe) as writer:
            writer.add_activations("net", {**activations(seed), HOSTILE: activations(7)["one"]})
    with SummaryWriter(root / "elsewhere", Probe(probe_images(9), positions_per_image=4)) as writer:
        writer.add_activations("net", activations(0))
    return root


def in_a_cell(browser: Any, tmp_path: Path, *figures: Figure) -> list[int]:
    """How much each figure draws in a page like a notebook's, without a complaint."""
    file = tmp_path / "notebook.html"
    cells = "".join(figure._repr_html_() for figure in figures)
    file.write_text(f"<!doctype html><html><body>{cells}</body></html>")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    inked = []
    for frame in page.frames[1:]:
        frame.frame_element().scroll_into_view_if_needed()  # others are not painted
        frame.locator(".legend .count").wait_for(timeout=LATE)
        frame.wait_for_function(DRAWN, timeout=LATE)
        inked.append(frame.evaluate(DRAWN))
    assert not page.evaluate("'hacked' in window")
    page.close()
    assert complaints == []
    return inked


def test_figures_stand_beside_each_other_in_a_notebook(
    browser: Any, logdir: Path, tmp_path: Path
) -> None:
    pair = show(f"{logdir}:one", f"{logdir}:two:half@0", measure="rbf_cka")
    alone = show(open_snapshot(logdir, "one"))
    own = show(
        f"{logdir}:one",
        f"{logdir}:two:half",
        lines={("one", "two"): 0.5, HOSTILE: {HOSTILE: np.float32(1.0)}},
        title="</script><b>mine",
    )
    assert all(in_a_cell(browser, tmp_path, pair, alone, own))


def values_of(figure: Figure) -> np.ndarray:
    matrix = page_data(figure.page)["matrix"]
    shape = len(matrix["rows"]), len(matrix["columns"])
    return np.frombuffer(base64.b64decode(matrix["values"]), "<f8").reshape(shape)


def test_a_function_of_your_own_is_called_for_each_pair(logdir: Path) -> None:
    a, b = open_snapshot(logdir, "one"), open_snapshot(logdir, "two:half")

    def similarity(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.corrcoef(x.mean(axis=1), y.mean(axis=1))[0, 1])

    found = show(a, b, measure=similarity, layers=["two", "one"], title="mine")
    data = page_data(found.page)
    assert data["measures"]["measures"][0]["title"] == "mine"
    assert data["matrix"]["rows"] == data["matrix"]["columns"] == ["one", "two"]
    for i, first in enumerate(("one", "two")):
        for j, second in enumerate(("one", "two")):
            expected = similarity(a.activations(first), b.activations(second))
            assert values_of(found)[i, j] == pytest.approx(expected)
    library = show(a, b, measure=linear_cka)
    np.testing.assert_array_equal(values_of(library), values_of(show(a, b)))
    for bad in (lambda x, y: "much", lambda x, y: np.inf):
        with pytest.raises(OptionError, match="give a number"):
            show(a, b, measure=bad)
    with pytest.raises(OptionError, match="no number for any pair"):
        show(a, b, measure=lambda x, y: np.nan)


def test_layers_are_chosen_as_everywhere(logdir: Path) -> None:
    a = f"{logdir}:one"
    whole = values_of(show(a, a))
    chosen = values_of(show(a, a, layers="^(one|two)$"))
    # Products of other sizes are rounded otherwise, as the processor has it.
    np.testing.assert_allclose(chosen, whole[:2, :2], rtol=1e-5)
    with pytest.raises(LayerSelectionError, match="nearest: two"):
        show(a, a, layers="twoo")
    with pytest.raises(OptionError, match="lines are of two models"):
        show(a, a, layers="one", lines={("one", "two"): 1.0})
    with pytest.raises(OptionError, match="leave out the measure, or the lines"):
        show(a, a, measure="rbf_cka", lines={("one", "two"): 1.0})


def test_three_models_are_drawn_pair_by_pair(browser: Any, logdir: Path, tmp_path: Path) -> None:
    a, b = f"{logdir}:one", f"{logdir}:two:half"
    figure = show(a, b, a, height=300)
    assert figure.height > 3 * 300
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.goto(figure.save(tmp_path / "three.html").as_uri())
    assert len(page.frames) == 1 + 3
    for frame in page.frames[1:]:
        frame.frame_element().scroll_into_view_if_needed()
        frame.locator(".legend .count").wait_for(timeout=LATE)
    titles = [frame.title() for frame in page.frames[1:]]
    assert titles[0] == "one/net@0 and two:half/net@0: Linear CKA"
    page.close()
    with pytest.raises(OptionError, match="at most 4"):
        show(a, b, a, b, a)
    with pytest.raises(ProbeMismatchError):
        show(a, b, f"{logdir}:elsewhere")


def test_the_pair_is_drawn_in_the_order_that_was_asked_for(
    browser: Any, logdir: Path, tmp_path: Path
) -> None:
    """Lines have a direction, and the second model may be the older one."""
    newer, older = open_snapshot(logdir, "two:half"), open_snapshot(logdir, "one")
    assert newer.wall_time > older.wall_time
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    figure = show(newer, older, lines={("one", "two"): 1.0})
    page.goto(figure.save(tmp_path / "figure.html").as_uri())
    page.locator(".legend .count").wait_for(timeout=LATE)
    assert page.title().startswith("two:half/net@0 and one/net@0")
    page.close()


def test_caricatures_are_shown_beside_the_pointer(
    browser: Any,
    models: Path,
    drawn_here: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TB_MODELCOMPARE_CACHE", str(tmp_path / "cache"))
    figure = show(f"{models}:a", f"{models}:b", layers="^conv", image=3)
    pictures = page_data(figure.page)["caricatures"]
    assert {model: list(layers) for model, layers in pictures.items()} == {
        "a/net@0": ["conv1", "conv2"],
        "b/net@0": ["conv1", "conv2"],
    }
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(figure.save(tmp_path / "figure.html").as_uri())
    page.locator(".model.a [data-layer='conv1']").hover(timeout=LATE)
    picture = page.get_by_role("tooltip").locator("img")
    picture.wait_for(timeout=LATE)
    assert picture.get_attribute("src") == pictures["a/net@0"]["conv1"]
    assert loaded_widths(picture) == [112]
    page.close()


def test_it_is_saved_as_a_page(browser: Any, logdir: Path, tmp_path: Path) -> None:
    file = show(f"{logdir}:one", f"{logdir}:two:half").save(tmp_path / "figure.html")
    page = browser.new_page()
    page.goto(file.as_uri())
    page.get_by_text("Kornblith").first.wait_for(timeout=LATE)
    page.close()


def test_an_array_is_taken_in_the_order_of_layers(logdir: Path) -> None:
    a, b = open_snapshot(logdir, "one"), open_snapshot(logdir, "two:half")
    values = np.arange(9.0).reshape(3, 3)
    values[1, 1] = np.nan
    pairs = {
        (first, second): values[i, j]
        for i, first in enumerate(a.layer_names)
        for j, second in enumerate(b.layer_names)
        if (i, j) != (1, 1)
    }
    assert show(a, b, lines=values).page == show(a, b, lines=pairs).page


@pytest.mark.parametrize(
    ("lines", "error", "says"),
    [
        ({("one", "thre"): 1.0}, LayerSelectionError, "no layer 'thre'"),
        ({"one": 1.0}, OptionError, "no pair of layers"),
        ({("one", "two"): "much"}, OptionError, "give a number"),
        ({("one", "two"): float("inf")}, OptionError, "give a number"),
        ({}, OptionError, "no number"),
        (np.full((3, 3), np.nan), OptionError, "no number"),
        (np.zeros((2, 3)), OptionError, r"give an array \(3, 3\)"),
        ([["a", "b"]], OptionError, "no numbers"),
        (np.full((3, 3), np.inf), OptionError, "infinite"),
    ],
)
def test_lines_that_cannot_be_drawn_are_refused(
    logdir: Path, lines: Any, error: type[ModelCompareError], says: str
) -> None:
    with pytest.raises(error, match=says):
        show(f"{logdir}:one", f"{logdir}:two:half", lines=lines)


@pytest.mark.parametrize("name", ["logs", "one", "/nowhere:one", "", ":", 3])
def test_what_names_no_snapshot_is_told_how_to(name: Any) -> None:
    with pytest.raises(UnknownSnapshotError, match=r"LOGDIR:RUN"):
        show(name)


def test_a_run_that_is_not_there(logdir: Path) -> None:
    with pytest.raises(UnknownSnapshotError, match="nearest: one/net@0"):
        show(f"{logdir}:one/ner@0")


def test_two_probes_are_not_compared(logdir: Path) -> None:
    with pytest.raises(ProbeMismatchError):
        show(f"{logdir}:one", f"{logdir}:elsewhere", lines={("one", "one"): 1.0})


@pytest.mark.parametrize("options", [{"height": 10}, {"measure": "linear"}])
def test_options_are_checked(logdir: Path, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        show(f"{logdir}:one", **options)
