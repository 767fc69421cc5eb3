"""A model that two processes train together is logged once, and neither waits for the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from patience import HANG

from tb_modelcompare import Probe
from tb_modelcompare.log.reader import list_snapshots

TRAINING = """
import sys
import numpy as np, torch
from torch.nn.parallel import DistributedDataParallel
from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.capture.chief import is_chief
assert is_chief()  # no group has been joined yet
rank = int(sys.argv[1])
torch.distributed.init_process_group(
    "gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2
)
assert is_chief() == (rank == 0)
torch.manual_seed(rank)
net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 2),
)
model = DistributedDataParallel(net)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
probe = Probe(np.load("images.npy"))
with SummaryWriter("run", probe) as writer:
    for step in range(3):
        writer.add_model("net", model, step, frozen=False, batch_size=2, progress=False)
        model(torch.randn(4, 3, 8, 8)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    writer.add_activations("other", {"layer": np.full((5, 1), rank)})
    writer.remove("net", 1)
torch.distributed.destroy_process_group()
"""


def test_torchs_processes_log_once(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    images = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *sys.path])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAINING, str(rank), str(tmp_path / "meeting")],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        said = [process.communicate(timeout=HANG)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    listing = list_snapshots(tmp_path)
    assert listing.problems == ()
    assert [(s.name, s.step) for s in listing.snapshots] == [("net", 0), ("net", 2), ("other", 0)]
    assert listing.snapshots[-1].activations("layer").tolist() == [[0.0]] * 5
    assert {s.probe_id for s in listing.snapshots} == {Probe(images).id}
    assert len(list((tmp_path / "run").glob("*tfevents*"))) == 1
