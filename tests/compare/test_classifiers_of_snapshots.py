"""How alike two logged classifiers answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tb_modelcompare
from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.compare.behaviour import behaviour, behaviour_if_known, class_outputs
from tb_modelcompare.errors import ActivationError
from tb_modelcompare.graph import LayerGraph, Node
from tb_modelcompare.log.reader import Snapshot, open_snapshot
from tb_modelcompare.similarity import (
    disagreement,
    error_consistency,
    jensen_shannon_divergence,
)

IMAGES, POSITIONS = 8, 3
LABELS = np.arange(IMAGES) % 4


def logged(
    tmp_path: Path, run: str, answers: np.ndarray, op: str = "Softmax", labels: bool = True
) -> Snapshot:
    """A snapshot of a convolution and of a layer that answers for each image."""
    pixels = np.arange(IMAGES, dtype=np.uint8).repeat(16).reshape(IMAGES, 4, 4, 1)
    probe = Probe(pixels, positions_per_image=POSITIONS, labels=LABELS if labels else None)
    units = answers.shape[1]
    nodes = (
        Node("conv", "Conv2D", (), units=3, kind="conv"),
        Node("answers", op, ("conv",), units=units),
    )
    rows = answers if len(answers) == probe.rows else answers.repeat(POSITIONS, axis=0)
    layers = {"conv": np.random.default_rng(0).random((probe.rows, 3)), "answers": rows}
    with SummaryWriter(tmp_path / run, probe) as writer:
        writer.add_activations("net", layers, graph=LayerGraph(nodes))
    return open_snapshot(tmp_path, run)


def answers(seed: int, classes: int = 4) -> np.ndarray:
    powers = np.exp(3 * np.random.default_rng(seed).standard_normal((IMAGES, classes)))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def test_answers_are_compared_by_the_functions_on_arrays(tmp_path: Path) -> None:
    p, q = answers(0), answers(1)
    a = logged(tmp_path, "a", p)
    b = logged(tmp_path, "b", np.log(q) + 7, "Dense")  # logits
    found = behaviour(a, b)
    assert found.disagreement == disagreement(p, q)
    assert found.jensen_shannon_divergence == pytest.approx(jensen_shannon_divergence(p, q))
    assert found.error_consistency == pytest.approx(error_consistency(p, q, LABELS))
    assert found.top_1 == tuple(float((one.argmax(1) == LABELS).mean()) for one in (p, q))
    assert f"disagreement {found.disagreement:.1%}" in str(found)
    assert behaviour_if_known(a, b) == found
    assert tb_modelcompare.behaviour(f"{tmp_path}:a", b) == found


def test_without_labels_there_is_no_accuracy(tmp_path: Path) -> None:
    a, b = (logged(tmp_path, run, answers(i), labels=False) for i, run in enumerate("ab"))
    found = behaviour(a, b)
    assert found.top_1 is None
    assert found.error_consistency is None
    same = behaviour(a, a)
    assert (same.disagreement, same.jensen_shannon_divergence) == (0, 0)


def test_both_right_on_all_images_have_no_error_consistency(tmp_path: Path) -> None:
    right = np.eye(4, dtype=np.float32)[LABELS]
    a, b = (logged(tmp_path, run, right) for run in "ab")
    found = behaviour(a, b)
    assert found.top_1 == (1.0, 1.0)
    assert found.error_consistency is None


def test_what_are_no_answers(tmp_path: Path) -> None:
    a = logged(tmp_path, "a", answers(0))
    features = logged(tmp_path, "features", 5 * answers(1), "GlobalAveragePooling2D")
    varies = logged(tmp_path, "varies", np.random.default_rng(0).random((24, 4)), "Dense")
    other = logged(tmp_path, "other", answers(2, 5))
    for b in (features, varies):
        assert class_outputs(b) is None
        assert behaviour_if_known(a, b) is None
        with pytest.raises(ActivationError, match="no class outputs"):
            behaviour(a, b)
    assert behaviour_if_known(a, other) is None
    with pytest.raises(ActivationError, match=r"4 classes and .* 5"):
        behaviour(a, other)
