"""The real command, and something to run it on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tb_modelcompare import Probe, SummaryWriter

COMMAND = (sys.executable, "-m", "tb_modelcompare")

DEMO_STEPS = 1  # of training, for tests that need the demo's logs and not what it learned

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def make_layers(seed: int, rows: int = 120) -> dict[str, np.ndarray]:
    """Three layers, the last a rotation of the first and noise of `seed`."""
    shared = np.random.default_rng(0).standard_normal((rows, 12)).astype(np.float32)
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((rows, 20)).astype(np.float32)
    rotation = np.linalg.qr(rng.standard_normal((12, 12)))[0].astype(np.float32)
    return {"stem": shared, "middle": own, "top": shared @ rotation}


def write_logs(root: Path) -> None:
    """Runs `one` (steps 0 and 5) and `two` on one probe, `other` on another."""
    images = np.random.default_rng(7).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    probe = Probe(images, positions_per_image=2)
    with SummaryWriter(root / "one", probe) as writer:
        writer.add_activations("net", make_layers(1), step=0)
        writer.add_activations("net", make_layers(2), step=5)
    with SummaryWriter(root / "two", probe) as writer:
        writer.add_activations("net", make_layers(3))
    with SummaryWriter(root / "other", Probe(images, positions_per_image=1)) as writer:
        writer.add_activations("net", make_layers(1, rows=60))
