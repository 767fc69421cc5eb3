"""Files that another's interpreter runs: .tflite and .onnx give activations, and no renders."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.log.reader import open_snapshot

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


def log(tmp_path: Path, probe: Probe, file: Path) -> Any:
    with (
        SummaryWriter(tmp_path / "run", probe) as writer,
        pytest.warns(UserWarning, match="computes no gradients"),
    ):
        writer.add_model("net", file, layers="all", progress=False, batch_size=3)
    return open_snapshot(tmp_path, "run")


@pytest.fixture(scope="module")
def network() -> Any:
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(image)
    y = keras.layers.Conv2D(6, 3, padding="same", name="second")(x)
    x = keras.layers.Concatenate(name="join")([keras.layers.Add(name="sum")([x, y]), y])
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(image, keras.layers.Dense(4, name="classes")(x))


def convert(network: Any, **options: Any) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    for name, value in options.items():
        setattr(converter, name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(converter.convert())


def outputs(network: Any, probe: Probe, layer: str) -> np.ndarray:
    part = keras.Model(network.input, network.get_layer(layer).output)
    return np.asarray(part(probe.images / np.float32(255)))


def test_tflite(tmp_path: Path, probe: Probe, network: Any) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(convert(network))
    snapshot = log(tmp_path, probe, file)
    nodes = snapshot.graph()
    kinds = [nodes.node(name).kind for name in snapshot.layer_names]
    assert kinds == ["conv", "conv", "add", "concat", "pool", "pool", "dense"]
    join = nodes.node(snapshot.layer_names[3])
    assert join.inputs == (snapshot.layer_names[2], snapshot.layer_names[1])
    for name, layer in ((0, "first"), (3, "join"), (4, "pool"), (6, "classes")):
        found = snapshot.activations(snapshot.layer_names[name])
        expected = probe.sample(outputs(network, probe, layer))
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=layer)


def test_quantized_tflite(tmp_path: Path, probe: Probe, network: Any) -> None:
    def examples() -> Any:
        yield from ([image[None] / np.float32(255)] for image in probe.images)

    file = tmp_path / "net.tflite"
    file.write_bytes(
        convert(
            network,
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=examples,
            inference_input_type=tf.uint8,
            inference_output_type=tf.uint8,
        )
    )
    snapshot = log(tmp_path, probe, file)
    found = snapshot.activations(snapshot.layer_names[0])
    expected = probe.sample(outputs(network, probe, "first"))
    np.testing.assert_allclose(found, expected, atol=0.03 * expected.max())


def test_bad_tflite_files(tmp_path: Path, probe: Probe, network: Any) -> None:
    content = convert(network)
    vector = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    for bad, complaint in (
        (content[: len(content) // 2], "cannot load"),
        (b"nothing", "cannot load"),
        (convert(vector), "one image"),
    ):
        (tmp_path / "bad.tflite").write_bytes(bad)
        with (
            SummaryWriter(tmp_path / "run", probe) as writer,
            pytest.raises(ModelFileError, match=complaint),
        ):
            writer.add_model("net", tmp_path / "bad.tflite", progress=False)


# ---- ONNX


@pytest.fixture
def onnx() -> Any:
    pytest.importorskip("onnxruntime", reason=".onnx files need onnx and onnxruntime")
    return pytest.importorskip("onnx", reason=".onnx files need onnx and onnxruntime")


def onnx_network(onnx: Any, batch: int | str = "n") -> tuple[Any, dict[str, np.ndarray]]:
    """conv, relu, residual sum, pool, a product with its bias; and its weights."""
    rng = np.random.default_rng(0)
    weights = {
        "k1": rng.normal(size=(6, 3, 3, 3)), "k2": rng.normal(size=(6, 6, 1, 1)),
        "w": rng.normal(size=(6, 4)), "b": rng.normal(size=4),
    }  # fmt: skip
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Conv", ["x", "k1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        make.make_node("Relu", ["c1"], ["r1"], "relu1"),
        make.make_node("Conv", ["r1", "k2"], ["c2"], "conv2"),
        make.make_node("Add", ["c2", "r1"], ["s"], "sum"),
        make.make_node("Transpose", ["s"], ["last"], "to_last", perm=[0, 2, 3, 1]),
        make.make_node("Softmax", ["last"], ["soft"], "softmax", axis=3),
        make.make_node("GlobalAveragePool", ["s"], ["g"], "average"),
        make.make_node("Flatten", ["g"], ["f"], "flatten"),
        make.make_node("MatMul", ["f", "w"], ["p"], "classes"),
        make.make_node("Add", ["p", "b"], ["logits"], "bias"),
    ]
    graph = make.make_graph(
        nodes, "net",
        [make.make_tensor_value_info("x", kind, [batch, 3, 32, 32])],
        [make.make_tensor_value_info("logits", kind, [batch, 4])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    opset = [make.make_opsetid("", 17)]
    return make.make_model(graph, opset_imports=opset, ir_version=8), weights


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_onnx(tmp_path: Path, probe: Probe, onnx: Any, batch: Any) -> None:
    model, weights = onnx_network(onnx, batch)
    onnx.save(model, tmp_path / "net.onnx")
    snapshot = log(tmp_path, probe, tmp_path / "net.onnx")
    names = ("conv1", "relu1", "conv2", "sum", "softmax", "average", "classes")
    assert snapshot.layer_names == names
    assert snapshot.graph().node("sum").inputs == ("conv2", "relu1")
    x = tf.constant(probe.images / np.float32(255))
    c1 = tf.nn.conv2d(x, weights["k1"].transpose(2, 3, 1, 0), 1, "SAME")
    r1 = tf.nn.relu(c1)
    s = r1 + tf.nn.conv2d(r1, weights["k2"].transpose(2, 3, 1, 0), 1, "SAME")
    logits = tf.reduce_mean(s, [1, 2]) @ weights["w"] + weights["b"]
    for name, expected in (("conv1", c1), ("sum", s), ("softmax", tf.nn.softmax(s))):
        rows = probe.sample(expected.numpy())
        np.testing.assert_allclose(snapshot.activations(name), rows, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(snapshot.activations("classes")[::3], logits, atol=1e-4)


def test_onnx_weights_stay_in_the_models_directory(tmp_path: Path, probe: Probe, onnx: Any) -> None:
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "net.onnx"
    external = {"save_as_external_data": True, "size_threshold": 0, "location": "weights.bin"}
    onnx.save(onnx_network(onnx)[0], file, **external)
    assert log(tmp_path, probe, file).layer_names[0] == "conv1"

    (tmp_path / "model" / "weights.bin").rename(tmp_path / "weights.bin")
    for location in ("../weights.bin", str(tmp_path / "weights.bin"), "absent.bin"):
        model = onnx.load(file, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        (tmp_path / "model" / "moved.onnx").write_bytes(model.SerializeToString())
        with (
            SummaryWriter(tmp_path / "other", probe) as writer,
            pytest.raises(ModelFileError, match="its own directory"),
        ):
            writer.add_model("net", tmp_path / "model" / "moved.onnx", layers="all", progress=False)


def test_bad_onnx_files(tmp_path: Path, probe: Probe, onnx: Any) -> None:
    whole = onnx_network(onnx)[0].SerializeToString()
    broken = onnx_network(onnx)[0]
    broken.graph.node[0].op_type = "Unheard"
    for bad, complaint in (
        (whole[: len(whole) // 2], "no ONNX model|one image"),
        (broken.SerializeToString(), "onnxruntime cannot load"),
    ):
        (tmp_path / "bad.onnx").write_bytes(bad)
        with (
            SummaryWriter(tmp_path / "run", probe) as writer,
            pytest.raises(ModelFileError, match=complaint),
        ):
            writer.add_model("net", tmp_path / "bad.onnx", progress=False)
