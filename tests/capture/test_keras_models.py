"""Keras models of every kind: their layers' activations and their frozen graphs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import Subclass, functional, keras, layers, log, run_frozen, unit_images

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.log.reader import Snapshot, open_snapshot


def at_positions(output: np.ndarray, probe: Probe) -> np.ndarray:
    """The naive loop."""
    rows = []
    for row, (u, v) in enumerate(probe.positions):
        value = output[row // probe.positions_per_image]
        if value.ndim == 3:
            value = value[int(u * value.shape[0]), int(v * value.shape[1])]
        rows.append(value)
    return np.array(rows)


def check_against_keras(
    snapshot: Snapshot, probe: Probe, expected: dict[str, np.ndarray], images: np.ndarray
) -> None:
    frozen = run_frozen(snapshot, images)
    for layer, output in expected.items():
        np.testing.assert_allclose(
            snapshot.activations(layer), at_positions(output, probe), atol=1e-5, rtol=1e-4
        )
        np.testing.assert_allclose(frozen[layer], output, atol=1e-5, rtol=1e-4)


def test_functional_model(tmp_path: Path, probe: Probe) -> None:
    model = functional()
    snapshot = log(tmp_path, probe, model, batch_size=4)
    names = ("conv1", "bn1", "relu1", "depthwise", "branch", "sum", "join", "average", "classes")
    assert snapshot.layer_names == names
    images = unit_images(probe)
    every = keras.Model(model.inputs, {name: model.get_layer(name).output for name in names})
    expected = {k: v.numpy() for k, v in every(images, training=False).items()}
    check_against_keras(snapshot, probe, expected, images)
    assert [snapshot.layer(n).spatial for n in ("conv1", "average")] == [(16, 16), None]
    assert snapshot.frozen is not None
    assert snapshot.frozen.input_shape == (32, 32, 3)


def test_sequential_model_of_another_size_with_preprocessing(tmp_path: Path, probe: Probe) -> None:
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Conv2D(4, 3, name="c"), layers.Flatten(name="f"),
         layers.Dense(6, name="d")]
    )  # fmt: skip
    snapshot = log(tmp_path, probe, model, preprocessing=Preprocessing.caffe())
    assert snapshot.layer_names == ("c", "d")
    images = Preprocessing.caffe().apply(unit_images(probe))
    expected = {"d": model(images, training=False).numpy()}
    np.testing.assert_allclose(
        snapshot.activations("d"), at_positions(expected["d"], probe), rtol=1e-3, atol=1e-2
    )
    assert snapshot.preprocessing == Preprocessing.caffe()

    small = keras.Sequential([keras.Input((20, 24, 3)), layers.Conv2D(4, 3, name="c")])
    assert log(tmp_path, probe, small).layer("c").spatial == (18, 22)


def test_grey_and_any_size_models(tmp_path: Path, probe: Probe) -> None:
    model = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(4, 3, name="c")])
    snapshot = log(tmp_path, probe, model)
    assert snapshot.layer("c").spatial == (30, 30)
    assert snapshot.frozen is not None
    assert snapshot.frozen.input_shape == (None, None, 1)
    assert snapshot.preprocessing == Preprocessing((1.0,), (0.0,))
    with pytest.raises(ModelFileError, match="channels last"):
        log(tmp_path, probe, keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3)]))


def test_nested_and_shared_models(tmp_path: Path, probe: Probe) -> None:
    inner = keras.Sequential(
        [keras.Input((30, 30, 8)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="relu")],
        name="inner",
    )
    shared = layers.Conv2D(4, 1, name="shared")
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(8, 3, name="conv")(image)
    y = inner(x)
    y = shared(shared(y))
    z = inner(x * 2.0)
    model = keras.Model(image, layers.Add(name="sum")([y, z]))
    snapshot = log(tmp_path, probe, model)
    assert snapshot.layer_names == (
        "conv", "inner/conv", "inner/relu", "shared", "shared_1", "inner_1/conv", "inner_1/relu",
        "sum",
    )  # fmt: skip
    images = unit_images(probe)
    first = model.get_layer("conv")(images)
    relu = inner(first).numpy()
    expected = {
        "inner/relu": relu,
        "shared": shared(relu).numpy(),
        "shared_1": shared(shared(relu)).numpy(),
        "inner_1/relu": inner(first * 2.0).numpy(),
        "sum": model(images).numpy(),
    }
    check_against_keras(snapshot, probe, expected, images)
    blocks = {block.name: block for block in snapshot.graph().blocks}
    assert blocks["inner"].nodes == ("inner/conv", "inner/relu")
    assert blocks["inner_1"].nodes == ("inner_1/conv", "inner_1/relu")


def test_subclassed_model(tmp_path: Path, probe: Probe) -> None:
    model = Subclass()
    images = unit_images(probe)
    expected = model(images, training=False).numpy()
    nodes = [len(layer._inbound_nodes) + len(layer._outbound_nodes) for layer in model.layers]
    _ = keras.Input((2,)) + keras.Input((2,))  # Keras counts additions in all of a process
    snapshot = log(tmp_path, probe, model)
    assert snapshot.layer_names == ("conv", "norm", "relu", "inner/relu", "add", "mean")
    check_against_keras(snapshot, probe, {"mean": expected}, images)
    assert nodes == [len(x._inbound_nodes) + len(x._outbound_nodes) for x in model.layers]
    assert {block.kind for block in snapshot.graph().blocks} == {"residual", "group"}


def test_tokens_and_several_outputs(tmp_path: Path, probe: Probe) -> None:
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(6, 4, strides=4, name="patches")(image)
    tokens = layers.Reshape((64, 6), name="tokens")(x)
    attended = layers.MultiHeadAttention(2, 3, name="attention")(tokens, tokens)
    sequence, state = layers.GRU(5, return_sequences=True, return_state=True, name="gru")(attended)
    labels = keras.ops.argmax(state, axis=-1)
    model = keras.Model(image, {"sequence": sequence, "state": state, "labels": labels})
    snapshot = log(tmp_path, probe, model)
    assert snapshot.layer_names == ("patches", "attention", "gru", "gru:1")
    assert [snapshot.layer(n).spatial for n in snapshot.layer_names] == [
        (8, 8), (8, 8), (8, 8), None
    ]  # fmt: skip
    outputs = model(unit_images(probe), training=False)
    np.testing.assert_allclose(
        snapshot.activations("gru"),
        at_positions(outputs["sequence"].numpy().reshape(10, 8, 8, 5), probe),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        snapshot.activations("gru:1"), at_positions(outputs["state"].numpy(), probe), atol=1e-5
    )


def test_inference_mode_even_where_the_model_trains(tmp_path: Path, probe: Probe) -> None:
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, layers.Dropout(0.9, name="drop")(image))
    snapshot = log(tmp_path, probe, model, layers=["drop"])
    np.testing.assert_allclose(
        snapshot.activations("drop"), at_positions(unit_images(probe), probe), atol=1e-6
    )


def test_model_is_left_as_it_was(tmp_path: Path, probe: Probe) -> None:
    model = functional()
    model.compile("sgd", "mse")
    model.get_layer("bn1").trainable = False

    def state() -> list[Any]:
        return [
            model.to_json(),
            [(layer.name, layer.trainable) for layer in model.layers],
            [len(layer._inbound_nodes) + len(layer._outbound_nodes) for layer in model.layers],
            [len(layer.losses) for layer in model.layers],
        ]

    before, weights = state(), model.get_weights()
    log(tmp_path, probe, model)
    assert state() == before
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.fit(unit_images(probe), np.zeros((10, 5)), verbose=0)


def test_batches_do_not_change_the_values(tmp_path: Path, probe: Probe) -> None:
    model = functional()
    small = log(tmp_path / "3", probe, model, batch_size=3).all_activations()
    whole = log(tmp_path / "99", probe, model, batch_size=99).all_activations()
    for layer, values in small.items():
        np.testing.assert_allclose(values, whole[layer], atol=1e-5)


def test_random_draws_leave_the_training_alone(tmp_path: Path, probe: Probe) -> None:
    """A variational autoencoder draws while it is logged; training goes on as if it had not."""

    class Draw(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="draw")
            self.seed = keras.random.SeedGenerator(7)

        def call(self, x: Any) -> Any:
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seed)

    image = keras.Input((32, 32, 3))
    drawn = Draw()
    net = keras.Model(image, keras.layers.Conv2D(4, 3, name="decoder")(drawn(image)))
    before = keras.ops.convert_to_numpy(drawn.seed.state).tolist()
    found = []
    with SummaryWriter(tmp_path / "run", probe) as writer:
        for step in (0, 1):
            writer.add_model("net", net, step=step, frozen=False, progress=False)
            found.append(open_snapshot(tmp_path, f"run@{step}").activations("decoder"))
            assert keras.ops.convert_to_numpy(drawn.seed.state).tolist() == before
    np.testing.assert_array_equal(found[0], found[1])


def test_tensorflow_does_not_complain_of_what_the_check_of_grouped_convolutions_does(
    tmp_path: Path, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    x = image = keras.Input((32, 32, 3))
    for groups in (3, 3, 2, 3, 3, 2, 3):
        x = layers.Conv2D(6, 1, groups=groups)(x)
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)  # it passes nothing on to the root logger
    try:
        log(tmp_path, probe, keras.Model(image, x))
        logger.warning("what else it says")
    finally:
        logger.removeHandler(caplog.handler)
    assert "what else it says" in caplog.text
    assert "retracing" not in caplog.text
