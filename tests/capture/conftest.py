"""A small probe and a run logged on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter


@pytest.fixture(scope="session")
def probe() -> Probe:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    return Probe(pixels, positions_per_image=3, seed=1, names=[f"{i}.png" for i in range(10)])


@pytest.fixture
def logdir(tmp_path: Path, probe: Probe) -> Path:
    """Two runs: `a` with two steps of one model, `b` with two models."""
    rng = np.random.default_rng(1)

    def layers() -> dict[str, np.ndarray]:
        return {"conv1": rng.random((30, 4)), "deep/conv2": rng.random((30, 7))}

    with SummaryWriter(tmp_path / "logs" / "a", probe) as writer:
        writer.add_activations("net", layers(), step=0)
        writer.add_activations("net", layers(), step=5)
    with SummaryWriter(tmp_path / "logs" / "b", probe) as writer:
        writer.add_activations("one", layers())
        writer.add_activations("two/half", layers())
    return tmp_path / "logs"
