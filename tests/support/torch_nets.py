"""Small torch networks, and what a log of them has to hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.log.reader import Snapshot, open_snapshot

torch = pytest.importorskip("torch")
nn = torch.nn


class Residual(nn.Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(units, units, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(units)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(units, units, 3, padding=1)

    def forward(self, x: Any) -> Any:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.conv2(y) + x)


class Net(nn.Module):
    """Shared ReLU, residual block, functional calls, sizes read from tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.layer1 = nn.Sequential(Residual(6), Residual(6))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Any) -> Any:
        x = self.layer1(torch.relu(self.stem(x)))
        x = torch.cat([x, torch.nn.functional.max_pool2d(x, 3, 1, 1)], dim=1)
        x = x.mean(dim=(2, 3))
        x = self.dropout(x.view(x.shape[0], -1))
        return self.head(x)


class Branching(Net):
    """Control flow that depends on values: cannot be traced."""

    def forward(self, x: Any) -> Any:
        if x.sum() > -1e9:
            return super().forward(x)
        return x


def log(tmp_path: Path, probe: Probe, module: Any, **options: Any) -> Snapshot:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        options = {"layers": "all", **options}
        writer.add_model("net", module, progress=False, frozen=False, **options)
    return open_snapshot(tmp_path, "run")


def images(probe: Probe) -> Any:
    return torch.from_numpy(np.moveaxis(probe.images.astype(np.float32) / 255, -1, 1).copy())


def at_positions(output: Any, probe: Probe) -> np.ndarray:
    rows = []
    for row, (u, v) in enumerate(probe.positions):
        value = output[row // probe.positions_per_image].detach().numpy()
        if value.ndim == 3:
            value = value[:, int(u * value.shape[1]), int(v * value.shape[2])]
        rows.append(value)
    return np.array(rows)


def same(snapshot: Snapshot, layer: str, output: Any, probe: Probe) -> bool:
    return np.allclose(snapshot.activations(layer), at_positions(output, probe), atol=1e-5)
