"""Which layers are logged unless told otherwise: what leaves each box of the drawn graph."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from keras_nets import log

from tb_modelcompare import Probe
from tb_modelcompare.capture.boxes import layers_of_boxes
from tb_modelcompare.graph import LayerGraph, Node, kind_of


@pytest.fixture(scope="module")
def probe() -> Probe:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    return Probe(pixels, positions_per_image=2)


def convolution(x, name: str, activation: bool = True, strides: int = 1):
    x = layers.Conv2D(4, 3, strides=strides, padding="same", name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activation else x


def network() -> keras.Model:
    image = keras.Input((32, 32, 3), name="image")
    x = convolution(image, "stem")
    x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    ones = keras.initializers.Ones()
    window = layers.Conv2D(4, 1, use_bias=False, kernel_initializer=ones, name="lrn_window")
    x = layers.Multiply(name="lrn")([x, keras.ops.power(window(x * x) + 1.0, -0.75)])
    branch = layers.AveragePooling2D(3, 1, padding="same", name="branch_pool")(x)
    x = layers.Concatenate(name="joined")([convolution(x, "left"), convolution(branch, "right")])
    y = layers.BatchNormalization(name="pre_norm")(x)
    y = layers.Conv2D(8, 3, padding="same", name="pre_conv")(layers.ReLU(name="pre_relu")(y))
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, y]))
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="classes")(x))


BOXES = (
    "stem_relu", "lrn", "left_relu", "right_relu", "joined", "pre_conv", "sum_relu", "average",
    "classes",
)  # fmt: skip


def test_one_layer_for_each_box(tmp_path: Path, probe: Probe) -> None:
    boxes = log(tmp_path, probe, network(), layers=None, frozen=False)
    assert sorted(boxes.layer_names) == sorted(BOXES)
    graph = boxes.graph()
    heads = {node.group or node.name for node in graph.nodes if node.logged}
    assert len(heads) == len(BOXES)  # no box has two


def test_all_layers_on_demand(tmp_path: Path, probe: Probe) -> None:
    everything = log(tmp_path, probe, network(), layers="all", frozen=False)
    assert {"stem_conv", "stem_norm", "stem_pool", "lrn_window"} < {*everything.layer_names}
    assert "drop" not in everything.layer_names
    assert {*BOXES} < {*everything.layer_names}


def test_values_are_those_of_all_layers(tmp_path: Path, probe: Probe) -> None:
    net = network()
    boxes = log(tmp_path / "boxes", probe, net, layers=None, frozen=False)
    everything = log(tmp_path / "all", probe, net, layers="all", frozen=False)
    for name in boxes.layer_names:
        np.testing.assert_array_equal(boxes.activations(name), everything.activations(name))


def chain(*ops: tuple[str, tuple[int, ...]]) -> LayerGraph:
    nodes, before = [], ()
    for index, (op, shape) in enumerate(ops):
        name = f"{op}{index}"
        nodes.append(Node(name, op, before, shape, shape[-1], False, kind=kind_of(op)))
        before = (name,)
    return LayerGraph(tuple(nodes), ())


@pytest.mark.parametrize(
    ("ops", "kept"),
    [
        # Only pools: rather all than none.
        ((("MaxPool2d", (8, 8, 3)), ("AvgPool2d", (4, 4, 3))), [0, 1]),
        # A pool that leaves one value for each unit is a layer of its own, with or without axes.
        ((("Conv2d", (8, 8, 3)), ("AdaptiveAvgPool2d", (1, 1, 3))), [0, 1]),
        ((("Conv2d", (8, 8, 3)), ("MaxPool2d", (4, 4, 3)), ("Conv2d", (4, 4, 5))), [0, 2]),
        ((("Conv1d", (50, 3)), ("MaxPool1d", (25, 3))), [0]),
        # What is unknown to us is a box of its own.
        ((("Linear", (9,)), ("Strange", (9,)), ("GELU", (9,))), [0, 1, 2]),
        ((("Linear", (9,)), ("GELU", (9,)), ("Linear", (9,))), [1, 2]),
    ],
)
def test_pools_and_unknown_ops(
    ops: tuple[tuple[str, tuple[int, ...]], ...], kept: list[int]
) -> None:
    graph = chain(*ops)
    names = [node.name for node in graph.nodes]
    assert layers_of_boxes(graph, names) == [names[index] for index in kept]


@pytest.mark.parametrize("gate", ["squeeze", "scale"])
def test_a_gate_and_a_scale_are_no_window(tmp_path: Path, probe: Probe, gate: str) -> None:
    """Squeeze and excitation, and a first layer that scales pixels: their layers are layers."""
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(4, 3, name="first")(image * (1 / 127) if gate == "scale" else image)
    if gate == "squeeze":
        y = layers.Dense(2, activation="relu", name="squeeze")(keras.ops.mean(x, axis=(1, 2)))
        y = layers.Dense(4, activation="sigmoid", name="excite")(y)
        x = layers.Multiply(name="gated")([x, layers.Reshape((1, 1, 4), name="shape")(y)])
    x = layers.GlobalAveragePooling2D(name="average")(x)
    snapshot = log(tmp_path, probe, keras.Model(image, x), layers=None, frozen=False)
    gated = {"squeeze", "excite", "gated"} if gate == "squeeze" else set()
    # Keras numbers the mean that squeezes by how many there were before in the process.
    named = {name for name in snapshot.layer_names if not name.startswith("mean")}
    assert named == {"first", "average"} | gated


def test_what_cannot_be_logged_is_no_box_end() -> None:
    graph = chain(("Conv2d", (8, 8, 3)), ("BatchNorm2d", (8, 8, 3)), ("ReLU", (8, 8, 3)))
    assert layers_of_boxes(graph, ["Conv2d0", "BatchNorm2d1"]) == ["BatchNorm2d1"]
