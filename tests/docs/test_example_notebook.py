"""The notebook of lucid's experiments runs from its first cell to its last, on small networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from build_support.run_notebook import run, shown

FILE = Path(__file__).resolve().parents[2] / "examples" / "comparing_models.ipynb"

# What makes the cells quick; everything else runs as it is written.
SMALLER = {
    "size=224, positions_per_image=16": "size=32, positions_per_image=4",
    "size=160, steps=64": "size=32, steps=2",
    "size=64, steps=64": "size=32, steps=2",
    "image=photo)": "image=photo, layers='^conv')",
    "inception], size": "inception], layers=['conv[35]', '_4[bd]', '_join'], size",
}


def network(joins: list[str], convolutions: list[str], units: int) -> Any:
    """A chain of convolutions, some of which are joined with their input."""
    import keras

    image = keras.Input((32, 32, 3))
    x = image
    for name in convolutions:
        x = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name=name)(x)
    for number, name in enumerate(joins):
        y = keras.layers.Conv2D(units - 6, 1, activation="relu", name=f"tower_{number}")(x)
        z = keras.layers.Conv2D(6, 1, activation="relu", name=f"branch_{number}")(x)
        x = keras.layers.Concatenate(name=name)([y, z])
    return keras.Model(image, x)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    import keras

    keras.utils.set_random_seed(0)
    for name, model in (
        ("googlenet", network(["inception_4b", "inception_4d"], ["conv1", "conv2_3x3"], 490)),
        ("inception_v3", network(["mixed_4_join"], ["conv", "conv_1"], 20)),
        ("alexnet", network([], ["conv3", "conv5"], 0)),
    ):
        model.save(tmp_path / f"{name}.keras")
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def test_all_cells_run(
    notebook: dict[str, Any], data: Path, drawn_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPARING_MODELS", str(data))
    monkeypatch.setenv("TB_MODELCOMPARE_CACHE", str(data / "cache"))
    text = json.dumps(notebook)
    for large, small in SMALLER.items():
        assert large in text
        text = text.replace(large, small)
    small_notebook = json.loads(text)
    scope = run(small_notebook, shown)
    outputs = [
        "".join(content["text/html"])
        for cell in small_notebook["cells"]
        for output in cell.get("outputs", [])
        if (content := output.get("data")) and "text/html" in content
    ]
    assert len(outputs) == 10
    drawn = [one.picture for one in scope["found"].drawn]
    assert len(drawn) == 1 + 2 + 2 + 1  # the unit, then layers of its own model and of two others
    assert scope["v"].shape == (20,)
    assert len([*(data / "logs" / "mine").rglob("alignment.json")]) == 1


def test_cells_are_short_and_outputs_are_real_and_small(notebook: dict[str, Any]) -> None:
    assert FILE.stat().st_size < 2_000_000
    text = FILE.read_text(encoding="utf-8")
    assert "/work" not in text
    assert "/tmp" not in text
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        assert sum("tbm." in line for line in cell["source"]) <= 3
    counts = [cell["execution_count"] for cell in cells]
    assert counts == list(range(1, len(cells) + 1))
    pictures = [kind for cell in cells for one in cell["outputs"] for kind in one.get("data", {})]
    assert pictures.count("image/png") == 7
    assert pictures.count("text/html") == 3
    sheets = [
        "".join(one["data"]["text/html"])
        for cell in cells
        for one in cell["outputs"]
        if "text/html" in one.get("data", {})
    ]
    # The photo and some layers, the photo and all layers, the unit and all layers of all models.
    assert [sheet.count("<img") for sheet in sheets] == [1 + 8, 1 + 71, 1 + 71 + 85 + 5]
