"""Small networks of which pictures can be made, and a request for some."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from once import made_once
from serving import activations, make_probe

from tb_modelcompare import SummaryWriter

A, B, PLAIN = "a/net@0", "b/net@0", "plain/net@0"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small convolutional networks with weights of their own, and one without its graph."""
    pytest.importorskip("keras")
    return made_once(tmp_path_factory, "models", _write_models)


@pytest.fixture
def drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn in this process, as a worker would import TensorFlow first."""
    monkeypatch.setattr("tb_modelcompare.jobs.drawn.local_executor", lambda: ThreadPoolExecutor(1))


def _write_models(root: Path) -> None:
    import keras

    probe = make_probe(count=20)
    for run, seed in (("a", 1), ("b", 2)):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(8, 5, activation="swish", name="conv1")(inputs)
        x = keras.layers.Conv2D(6, 3, strides=2, activation="swish", name="conv2")(x)
        constant = keras.layers.Conv2D(
            4,
            1,
            activation="relu",
            name="constant",
            bias_initializer=keras.initializers.Constant(-99),
        )(x)
        x = keras.layers.Concatenate(name="join")([x, constant])
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x))
        with SummaryWriter(root / run, probe) as writer:
            writer.add_model("net", model, step=0, progress=False)
    with SummaryWriter(root / "plain", probe) as writer:
        writer.add_activations("net", activations(1), step=0)


def analogies(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "analogies",
        "a": A,
        "layer": "conv2",
        "unit": 3,
        "targets": [{"snapshot": B, "layers": ["conv1", "conv2"]}],
        "size": 32,
        "steps": 20,
        **changes,
    }
