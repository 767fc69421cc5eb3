"""The examples in the documentation run, in order, and log what they say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tb_modelcompare.log.reader import list_snapshots

DOCS = Path(__file__).resolve().parents[2] / "docs"


def write_photos(directory: Path) -> None:
    directory.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        pixels = rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(directory / f"{i}.png")


def test_the_readme_s_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos")
    rng = np.random.default_rng(1)

    def small() -> object:
        image = keras.Input((224, 224, 3))
        features = keras.layers.Conv2D(4, 7, strides=8, activation="relu", name="conv")(image)
        pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)
        model = keras.Model(image, keras.layers.Dense(3, name="logits")(pooled))
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    layers = {name: rng.standard_normal((48, 5)) for name in ("first", "second")}
    scope: dict[str, object] = {
        "model": small(), "other_model": small(), "array": rng.standard_normal((48, 6)),
        "images": rng.random((6, 224, 224, 3)), "labels": np.arange(6) % 3,
        "X": layers["first"], "Y": layers["second"], "image_of_each_row": np.repeat(range(12), 4),
        "layers_of_a": layers, "layers_of_b": layers,
    }  # fmt: skip
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL):
        exec(compile(code, "README.md", "exec"), scope)
    listing = list_snapshots(tmp_path / "logs")
    assert listing.problems == ()
    assert {(s.run, s.step) for s in listing.snapshots if s.run == "resnet"} == {
        ("resnet", epoch) for epoch in range(11)
    }
    assert {s.id for s in listing.snapshots if s.run == "other"} == {
        "other/other@0", "other/arrays@0",
    }  # fmt: skip
    assert len({s.probe_id for s in listing.snapshots}) == 1


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("keras", "tensorflow", "torch", "sklearn"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos")
    text = (DOCS / "how-to" / "log_models.md").read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    with_flax = importlib.util.find_spec("flax") is not None
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        if with_flax or "import flax" not in code:
            exec(compile(code, "docs/how-to/log_models.md", "exec"), scope)
    listing = list_snapshots(tmp_path / "logs")
    assert listing.problems == ()
    assert [s.id for s in listing.snapshots] == [
        "file/small@0", *["flax/network@0"] * with_flax, "keras/small@0",
        "other/classic@0", "texts/encoder@0", "tokens/other@0", "torch/network@0",
        "training/small@0", "training/small@1", "training/small@2",
    ]  # fmt: skip
    assert len({s.probe_id for s in listing.snapshots if s.run not in ("texts", "tokens")}) == 1
    assert all(s.all_activations() for s in listing.snapshots)
