"""Models given as files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.log.reader import Snapshot, open_snapshot

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers


def log(tmp_path: Path, probe: Probe, file: Path, **options: Any) -> Snapshot:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model("net", str(file), progress=False, **{"layers": "all", **options})
    return open_snapshot(tmp_path, "run")


@pytest.fixture(scope="module")
def model() -> Any:
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(8, 3, dilation_rate=2, name="conv1")(image)
    x = layers.ReLU(name="relu1")(x)
    a = layers.MaxPooling2D(2, name="pool")(x)
    b = layers.Conv2D(8, 3, strides=2, padding="same", name="conv2")(x)
    x = layers.Concatenate(name="join")([a, b])
    t = layers.Dense(5, name="tokens")(layers.Reshape((-1, 16))(x))
    x = layers.Dense(4, activation="softmax", name="classes")(layers.Flatten()(t))
    return keras.Model(image, x, name="net")


@pytest.fixture(scope="module")
def expected(model: Any, probe: Probe) -> dict[str, np.ndarray]:
    every = keras.Model(model.inputs, {layer.name: layer.output for layer in model.layers[1:]})
    outputs = every([np.asarray(probe.images, np.float32) / 255], training=False)
    rows = {}
    for name in ("conv1", "relu1", "pool", "conv2", "join", "tokens", "classes"):
        value = outputs[name].numpy()
        if name == "tokens":
            value = value.reshape(10, 14, 14, 5)
        rows[name] = np.array(
            [
                value[r // 3] if value.ndim == 2
                else value[r // 3, int(u * value.shape[1]), int(v * value.shape[2])]
                for r, (u, v) in enumerate(probe.positions)
            ]
        )  # fmt: skip
    return rows


def same(got: np.ndarray, wanted: np.ndarray) -> bool:
    return got.shape == wanted.shape and np.allclose(got, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_file(
    tmp_path: Path, probe: Probe, model: Any, expected: dict[str, np.ndarray], suffix: str
) -> None:
    model.save(tmp_path / f"m{suffix}")
    snapshot = log(tmp_path, probe, tmp_path / f"m{suffix}")
    for name, values in expected.items():
        assert same(snapshot.activations(name), values), name


@pytest.mark.parametrize("kind", ["saved_model", "pb"])
def test_graph_files_give_the_same_layers(
    tmp_path: Path, probe: Probe, model: Any, expected: dict[str, np.ndarray], kind: str
) -> None:
    file = tmp_path / "exported"
    model.export(file, verbose=False)
    if kind == "pb":
        first = log(tmp_path / "first", probe, file)
        file = tmp_path / "frozen.pb"
        file.write_bytes(first.frozen_graph_path().read_bytes())
    snapshot = log(tmp_path, probe, file)
    logged = snapshot.all_activations()
    for name, values in expected.items():
        found = [layer for layer, got in logged.items() if same(got, values)]
        assert len(found) == 1, (name, list(logged))
    graph = snapshot.graph()
    kinds = [node.kind for node in graph.nodes]
    assert kinds.count("conv") == 2
    assert kinds.count("concat") == 1
    assert snapshot.frozen is not None
    assert set(snapshot.frozen.tensors) == set(snapshot.layer_names)
    # Nothing but the layers: no constants, reshapes, shape arithmetic.
    assert len(graph.nodes) == 1 + len(expected) + 1  # the input; logits before the softmax


def test_graph_with_a_placeholder_of_unknown_shape(tmp_path: Path, probe: Probe) -> None:
    """As in lucid's model zoo."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, name="input")
        weights = tf.constant(np.random.default_rng(0).random((3, 3, 3, 4)), tf.float32)
        conv = tf.nn.conv2d(image, weights, 1, "SAME", name="conv2d0_pre_relu/conv")
        biased = tf.nn.bias_add(conv, tf.ones(4), name="conv2d0_pre_relu")
        tf.nn.relu(biased, name="conv2d0")
    (tmp_path / "zoo.pb").write_bytes(graph.as_graph_def().SerializeToString())
    snapshot = log(tmp_path, probe, tmp_path / "zoo.pb")
    assert snapshot.layer_names == ("conv2d0_pre_relu", "conv2d0")
    assert snapshot.layer("conv2d0").spatial == (32, 32)
    np.testing.assert_array_equal(
        snapshot.activations("conv2d0"), np.maximum(snapshot.activations("conv2d0_pre_relu"), 0)
    )


def test_files_that_are_no_models(tmp_path: Path, probe: Probe) -> None:
    (tmp_path / "text.pb").write_text("not a graph at all")
    (tmp_path / "empty.pb").write_bytes(b"")
    (tmp_path / "text.keras").write_text("not an archive")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "directory").mkdir()
    no_input = tf.Graph()
    with no_input.as_default():
        tf.constant(1.0, name="only")
    (tmp_path / "constant.pb").write_bytes(no_input.as_graph_def().SerializeToString())
    for name, complaint in (
        ("absent.pb", "there is no"),
        ("text.pb", "no GraphDef"),
        ("empty.pb", "no GraphDef"),
        ("text.keras", "Keras cannot load .* is cut off; save the model again"),
        ("photo.jpg", "no model file"),
        ("directory", r"saved_model\.pb"),
        ("constant.pb", "no placeholder"),
    ):
        with pytest.raises(ModelFileError, match=complaint):
            log(tmp_path, probe, tmp_path / name)


def test_keras_files_cannot_run_code(tmp_path: Path, probe: Probe) -> None:
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, layers.Lambda(lambda x: x * 2)(image))
    model.save(tmp_path / "code.keras")
    with pytest.raises(ModelFileError, match="Keras cannot load"):
        log(tmp_path, probe, tmp_path / "code.keras")


def test_importing_the_package_imports_no_framework() -> None:
    script = """
import sys, tb_modelcompare, tb_modelcompare.log.writer, tb_modelcompare.log.reader
import tb_modelcompare.keras, tb_modelcompare.capture.tensorflow, tb_modelcompare.capture.tracing
print([m for m in ("tensorflow", "keras", "torch", "tensorboard") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
