"""Real networks, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.log.reader import Snapshot, open_snapshot

INCEPTION = {f"inception_{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")}


def log(tmp_path: Path, shared_dir: Path, name: str, preprocessing: Preprocessing) -> Snapshot:
    probe = Probe.from_directory(
        shared_dir / "images" / "imagenet1000", limit=6, positions_per_image=2
    )
    with SummaryWriter(tmp_path / name, probe) as writer:
        writer.add_model(
            name, shared_dir / "models" / f"{name}.keras", 0, preprocessing, progress=False
        )
    return open_snapshot(tmp_path, name)


def test_googlenet_recognises_and_has_its_modules(tmp_path: Path, shared_dir: Path) -> None:
    snapshot = log(tmp_path, shared_dir, "googlenet_bvlc", Preprocessing.caffe((104, 117, 123)))
    labels = (shared_dir / "models" / "labels_imagenet1000.txt").read_text().splitlines()
    guesses = snapshot.activations("prob")[::2].argmax(axis=1)
    hits = [
        labels[guess].split(",")[0].replace(" ", "_").lower() in name.lower()
        for guess, name in zip(guesses, snapshot.probe().names, strict=True)
    ]
    assert sum(hits) >= 3, [labels[g] for g in guesses]
    blocks = {b.name: b for b in snapshot.graph().blocks}
    assert {b.name for b in blocks.values() if b.kind == "inception"} == INCEPTION
    assert all(len(blocks[name].nodes) == 14 for name in INCEPTION)
    names = snapshot.layer_names
    # One for each box: no value before an activation, no window of a normalisation, no pooled map.
    assert len(names) == 71
    assert not [n for n in names if n.endswith(("_pre", "_window", "_pool")) or n == "square"]
    assert {"conv2_3x3", "inception_3a_pool_proj", "inception_3a", "pool5", "prob"} <= {*names}
    assert snapshot.frozen is not None


@pytest.mark.parametrize(
    ("name", "block_kind", "blocks", "preprocessing"),
    [
        ("mobilenet_v2_imagenet_slim", "residual", 10, Preprocessing.tf()),
        ("squeezenet_v1_1_imagenet", "inception", 8, Preprocessing.caffe()),
        ("alexnet_torchvision_conv", "inception", 0, Preprocessing.torch()),
        ("mobilenet_v1_imagenet", "stage", 13, Preprocessing.tf()),
        pytest.param(
            "inception_v3_2015_to_mixed8",
            "inception",
            9,
            Preprocessing.tf(),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_box_of_a_model_is_logged(
    tmp_path: Path,
    shared_dir: Path,
    name: str,
    block_kind: str,
    blocks: int,
    preprocessing: Preprocessing,
) -> None:
    snapshot = log(tmp_path, shared_dir, name, preprocessing)
    logged = snapshot.all_activations()
    assert all(np.isfinite(values).all() and values.shape[0] == 12 for values in logged.values())
    assert any(values.std() > 0 for values in logged.values())
    graph = snapshot.graph()
    assert [n.name for n in graph.nodes if n.logged] == list(snapshot.layer_names)
    assert sum(block.kind == block_kind for block in graph.blocks) == blocks
    assert snapshot.frozen is not None
    assert set(snapshot.frozen.tensors) == set(snapshot.layer_names)
