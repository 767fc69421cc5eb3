"""What of a Keras model is logged, under which names, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import Subclass, functional, keras, layers, log, run_frozen, tf, unit_images

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import ActivationError, LayerSelectionError, ModelFileError


def test_subclass_with_foreign_operations_is_refused_by_name(tmp_path: Path, probe: Probe) -> None:
    class Foreign(Subclass):
        def call(self, x: Any, training: bool = False) -> Any:
            return tf.raw_ops.Relu(features=super().call(x, training))

    model = Foreign()
    model(unit_images(probe))
    with pytest.raises(ModelFileError, match=r"Foreign.*cannot be traced"):
        log(tmp_path, probe, model)


def test_float16_overflow_names_the_layer(tmp_path: Path, probe: Probe) -> None:
    with_half = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Conv2D(4, 3, dtype="float16", name="first"),
         layers.Rescaling(60000.0, dtype="float16", name="loud"),
         layers.Rescaling(60000.0, dtype="float16", name="overflowing")]
    )  # fmt: skip
    with pytest.raises(ActivationError, match=r"overflowing.*float16"):
        log(tmp_path, probe, with_half, layers=lambda node: node.name == "overflowing")
    assert log(tmp_path, probe, with_half, layers="first").activations("first").dtype == np.float32


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("^conv", ("conv1",)),
        ("1$", ("conv1", "bn1", "relu1")),
        (["sum", "conv1"], ("conv1", "sum")),
        (["drop"], ("drop",)),
        (lambda node: node.op == "Add", ("sum",)),
        (lambda node: (node.units or 0) > 8, ("join", "average", "drop")),
    ],
)
def test_selection(tmp_path: Path, probe: Probe, selection: Any, expected: tuple[str, ...]) -> None:
    snapshot = log(tmp_path, probe, functional(), layers=selection, frozen=False)
    assert snapshot.layer_names == expected
    assert {node.name for node in snapshot.graph().nodes if node.logged} == set(expected)


@pytest.mark.parametrize(
    ("selection", "complaint"),
    [
        ("^conf1", "nearest: conv1"),
        ("(", "malformed"),
        (["conv2"], "no layer 'conv2'; nearest: conv1"),
        ([], "no layer is named"),
        (["image"], "no output that can be logged"),
        (lambda node: False, "matches no layer"),
    ],
)
def test_selection_that_matches_nothing(
    tmp_path: Path, probe: Probe, selection: Any, complaint: str
) -> None:
    with pytest.raises(LayerSelectionError, match=complaint):
        log(tmp_path, probe, functional(), layers=selection)


def test_models_that_a_probe_cannot_feed(tmp_path: Path, probe: Probe) -> None:
    one, two = keras.Input((32, 32, 3), name="one"), keras.Input((32, 32, 3), name="two")
    for model, complaint in (
        (keras.Model([one, two], layers.Add()([one, two])), "2 inputs"),
        (keras.Sequential([keras.Input((7,)), layers.Dense(2)]), "takes"),
        (keras.Sequential([layers.Dense(2)]), "is not built"),
        (Subclass(), "is not built"),
        (object(), "no model"),
        (np.zeros(3), "no model"),
    ):
        with pytest.raises(ModelFileError, match=complaint):
            log(tmp_path, probe, model)


def test_model_that_cannot_be_frozen_is_logged_with_the_reason(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorflow.python.framework import convert_to_constants

    def refuse(*_: Any) -> None:
        raise ValueError("no such conversion")

    monkeypatch.setattr(convert_to_constants, "convert_variables_to_constants_v2", refuse)
    with pytest.warns(UserWarning, match="no such conversion"):
        snapshot = log(tmp_path, probe, functional())
    assert snapshot.frozen is None
    assert "no such conversion" in (snapshot.frozen_problem or "")
    assert snapshot.activations("conv1").shape == (30, 8)


def test_frozen_graph_on_request_only(tmp_path: Path, probe: Probe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snapshot = log(tmp_path, probe, functional(), frozen=False)
    assert (snapshot.frozen, snapshot.frozen_problem) == (None, None)


def test_layer_names_that_are_no_root_names_or_clash(tmp_path: Path, probe: Probe) -> None:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, name="_conv")(image)
    x = layers.Conv2D(4, 3, name="layer")(x)
    x = layers.Conv2D(4, 3, name="input")(x)
    snapshot = log(tmp_path, probe, keras.Model(image, x))
    assert set(run_frozen(snapshot, unit_images(probe))) == {"_conv", "layer", "input"}


def test_names_that_tensorflow_refuses_are_a_named_error(tmp_path: Path, probe: Probe) -> None:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, name="größe #1 (a)")(image)
    x = layers.Conv2D(4, 3, name="größe #1 -a-")(x)
    with (
        pytest.warns(UserWarning, match="without a frozen graph"),
        pytest.raises(ModelFileError, match="not a valid scope name"),
    ):
        log(tmp_path, probe, keras.Model(image, x))
    # Keras leaves the scope of a layer open whose name TensorFlow refuses.
    keras.utils.clear_session()


def test_progress_bar_can_be_silenced(
    tmp_path: Path, probe: Probe, capsys: pytest.CaptureFixture[str]
) -> None:
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(2, 3)])
    log(tmp_path, probe, model)
    assert "10/10" not in capsys.readouterr().err
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model("net", model)
    assert "10/10" in capsys.readouterr().err
