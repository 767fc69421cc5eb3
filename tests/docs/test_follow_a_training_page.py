"""The Python in docs/how-to/follow_a_training.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "follow_a_training.md"


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    probe = Probe(rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8), positions_per_image=1)
    for run in ("run", "other"):
        with SummaryWriter(tmp_path / "logs" / run, probe) as writer:
            for step in range(3):
                layers = {name: rng.standard_normal((20, 4)) for name in ("first", "second")}
                writer.add_activations("net", layers, step=step)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    code = next(block for block in blocks if "training.trend" in block)
    scope: dict[str, object] = {}
    exec(compile(code, str(DOCUMENT), "exec"), scope)
    assert np.shape(scope["models"].distances) == (3, 3)  # type: ignore[attr-defined]
