"""The examples in docs/frameworks.md run, in order, and log what they say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tb_modelcompare.store import list_snapshots

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("keras", "tensorflow", "torch", "sklearn"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        pixels = rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    text = (DOCS / "frameworks.md").read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    with_flax = importlib.util.find_spec("flax") is not None
    for needed, code in re.findall(r"```python( flax)?\n(.*?)```", text, re.DOTALL):
        if with_flax or not needed:
            exec(compile(code, "docs/frameworks.md", "exec"), scope)
    listing = list_snapshots(tmp_path / "logs")
    assert listing.problems == ()
    assert [s.id for s in listing.snapshots] == [
        "file/small@0", *["flax/network@0"] * with_flax, "keras/small@0",
        "other/classic@0", "texts/encoder@0", "torch/network@0",
        "training/small@0", "training/small@1", "training/small@2",
    ]  # fmt: skip
    assert len({s.probe_id for s in listing.snapshots if s.run != "texts"}) == 1
    assert all(s.all_activations() for s in listing.snapshots)
