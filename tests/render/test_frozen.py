"""Which graphs are run, judged by parsing alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare.errors import CorruptSnapshotError, MissingAssetError, NotRenderableError
from tb_modelcompare.probe import Preprocessing
from tb_modelcompare.render import FrozenModel, check_renderable, render_directions
from tests.render.conftest import Freeze, frozen_file

_RGB = (None, None, 3)


def add_node(graph: Any, name: str, op: str, *inputs: str, **types: int) -> None:
    node = graph.node.add(name=name, op=op)
    node.input.extend(inputs)
    for attribute, value in types.items():
        node.attr[attribute].type = value


def graph_def() -> Any:
    """input → layer, and nothing else."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graph = GraphDef()
    add_node(graph, "input", "Placeholder", dtype=1)
    return graph


def saved(path: Path, graph: Any, shape: tuple[Any, Any, int] = _RGB) -> FrozenModel:
    return frozen_file(
        path / "graph.pb",
        graph.SerializeToString(),
        input="input",
        input_shape=shape,
        tensors={"layer": "layer"},
        preprocessing=Preprocessing(),
    )


@pytest.mark.parametrize(
    "op",
    [
        "ReadFile", "WriteFile", "MatchingFiles", "Save", "SaveV2", "RestoreV2", "PyFunc",
        "EagerPyFunc", "PyFuncStateless", "Print", "PrintV2", "DebugIdentity", "DebugIdentityV2",
        "DebugNumericSummaryV2", "LoadLibrary", "HostConst", "_Recv", "_HostSend", "Send",
        "CollectiveReduce", "ShutdownDistributedTPU", "SdcaOptimizer", "TextLineReader",
        "TFRecordReaderV2", "IteratorGetNext", "VarHandleOp", "ReadVariableOp", "While",
        "StatelessWhile", "If", "Enter", "NextIteration", "RandomUniform", "TPUExecute",
        "XlaLaunch", "RemoteCall", "RpcCall", "WriteSummary", "NotAnOp",
    ],
)  # fmt: skip
def test_an_op_that_does_more_than_compute_is_refused_by_name(tmp_path: Path, op: str) -> None:
    graph = graph_def()
    add_node(graph, "hidden/away", op, "input")
    add_node(graph, "layer", "Relu", "hidden/away")
    model = saved(tmp_path, graph)
    with pytest.raises(NotRenderableError, match=f"{op} .*'hidden/away'"):
        check_renderable(model, ["layer"])
    with pytest.raises(NotRenderableError, match=op):
        render_directions(model, [("layer", np.ones(3))])


def test_control_inputs_do_not_smuggle_an_op_in(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "write", "WriteFile")
    add_node(graph, "layer", "Relu", "input", "^write")
    with pytest.raises(NotRenderableError, match="WriteFile"):
        check_renderable(saved(tmp_path, graph), ["layer"])


@pytest.mark.parametrize("depth", [1, 2])
def test_functions_are_searched_too(tmp_path: Path, depth: int) -> None:
    graph = graph_def()
    call = graph.node.add(name="layer", op="PartitionedCall")
    call.input.append("input")
    call.attr["f"].func.name = "f1"
    for level in range(1, depth + 1):
        function = graph.library.function.add()
        function.signature.name = f"f{level}"
        inner = function.node_def.add(name=f"n{level}", op="PartitionedCall")
        if level == depth:
            inner.op = "ReadFile"
        else:
            inner.attr["f"].func.name = f"f{level + 1}"
        inner.input.append("x")
        function.signature.input_arg.add(name="x", type=1)
        function.signature.output_arg.add(name="y", type=1)
        function.ret["y"] = f"n{level}:output:0"
    with pytest.raises(NotRenderableError, match="ReadFile"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def test_a_function_that_bears_the_name_of_an_op_is_searched(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "layer", "Relu", "input")
    function = graph.library.function.add()
    function.signature.name = "Relu"
    function.signature.input_arg.add(name="x", type=1)
    function.signature.output_arg.add(name="y", type=1)
    function.node_def.add(name="inner", op="ReadFile").input.append("x")
    function.ret["y"] = "inner:contents:0"
    with pytest.raises(NotRenderableError, match="ReadFile"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def test_functions_that_call_each_other_are_refused(tmp_path: Path) -> None:
    graph = graph_def()
    call = graph.node.add(name="layer", op="PartitionedCall")
    call.input.append("input")
    call.attr["f"].func.name = "f"
    function = graph.library.function.add()
    function.signature.name = "f"
    inner = function.node_def.add(name="n", op="PartitionedCall")
    inner.attr["f"].func.name = "f"
    inner.input.append("x")
    function.signature.input_arg.add(name="x", type=1)
    function.signature.output_arg.add(name="y", type=1)
    function.ret["y"] = "n:output:0"
    with pytest.raises(NotRenderableError, match="calls itself"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def function_of(graph: Any, name: str, op: str, **types: int) -> None:
    """A function of one tensor with one op."""
    function = graph.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name="x", type=1)
    function.signature.output_arg.add(name="y", type=1)
    node = function.node_def.add(name="inner", op=op)
    node.input.append("x")
    for attribute, value in types.items():
        node.attr[attribute].type = value
    function.ret["y"] = "inner:output:0"


def call_of(graph: Any, name: str, function: str, source: str) -> Any:
    call = graph.node.add(name=name, op="StatefulPartitionedCall")
    call.input.append(source)
    call.attr["f"].func.name = function
    call.attr["Tin"].list.type.append(1)
    call.attr["Tout"].list.type.append(1)
    return call


def test_an_op_without_gradient_inside_a_function_is_refused_before_anything_runs(
    tmp_path: Path,
) -> None:
    graph = graph_def()
    function_of(graph, "f", "Round", T=1)
    call_of(graph, "layer", "f", "input")
    with pytest.raises(NotRenderableError, match=r"it ends at Round .*'layer/inner'"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def test_functions_that_multiply_are_refused(tmp_path: Path) -> None:
    graph = graph_def()
    for level in range(24):
        function_of(graph, f"f{level}", "PartitionedCall")
        function = graph.library.function[-1]
        for name in ("inner", "second"):
            node = function.node_def[0] if name == "inner" else function.node_def.add(name=name)
            node.op = "PartitionedCall"
            node.attr["f"].func.name = f"f{level + 1}"
        function.node_def[1].input.append("inner:output:0")
    function_of(graph, "f24", "Relu", T=1)
    call_of(graph, "layer", "f0", "input")
    with pytest.raises(NotRenderableError, match="more than 200000 nodes"):
        check_renderable(saved(tmp_path, graph), ["layer"])


@pytest.mark.parametrize("change", ["unknown", "arguments", "output"])
def test_calls_that_do_not_fit_their_functions(tmp_path: Path, change: str) -> None:
    graph = graph_def()
    function_of(graph, "f", "Relu", T=1)
    call = call_of(graph, "layer", "f", "input")
    if change == "unknown":
        call.attr["f"].func.name = "g"
    elif change == "arguments":
        call.input.append("input")
    else:
        graph.library.function[0].ret["y"] = "absent:output:0"
    with pytest.raises(CorruptSnapshotError, match="'layer'"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def test_a_graph_with_functions_computes_and_draws_the_same_without_them(tmp_path: Path) -> None:
    """One that TensorFlow itself made, with calls in calls and an op of several outputs."""
    import tensorflow as tf

    from tb_modelcompare.render.frozen import pruned_graph

    weights = np.random.default_rng(0).normal(0, 0.3, (3, 3, 3, 8)).astype(np.float32)

    @tf.function(autograph=False)
    def inner(x: Any) -> Any:
        y, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=[2.0] * 8, offset=[0.1] * 8, mean=[0.05] * 8, variance=[0.5] * 8,
            is_training=False,
        )  # fmt: skip
        first, second = tf.split(y, 2, -1)
        return tf.concat([tf.nn.relu(second), first], -1)

    @tf.function(autograph=False)
    def outer(x: Any) -> Any:
        return tf.identity(inner(tf.nn.conv2d(x, weights, 2, "SAME")) + 1.0, "out")

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3), "input")
        layer = tf.identity(outer(image), "layer")
        images = np.random.default_rng(1).random((2, 16, 16, 3), np.float32)
        with tf.compat.v1.Session() as session:
            expected = session.run(layer, {image: images})
        definition = graph.as_graph_def()
    assert len(definition.library.function) == 2
    model = saved(tmp_path, definition)
    check_renderable(model, ["layer"])
    flat = pruned_graph(model, ["layer"], tf.compat.v1.GraphDef)
    assert not flat.library.function
    with tf.Graph().as_default():
        (output,) = tf.import_graph_def(flat, return_elements=["layer:0"])
        with tf.compat.v1.Session() as session:
            actual = session.run(output, {"import/input:0": images})
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    picture = render_directions(model, [("layer", np.eye(8)[6])], size=32, steps=16)
    assert picture.std() > 5


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "a", "AddV2", "input", "b", T=1)
    add_node(graph, "b", "Relu", "a", T=1)
    add_node(graph, "layer", "Relu", "b", T=1)
    with pytest.raises(NotRenderableError):
        render_directions(saved(tmp_path, graph), [("layer", np.ones(3))])


def test_what_no_layer_needs_is_neither_refused_nor_run(tmp_path: Path) -> None:
    graph = graph_def()
    target = tmp_path / "written"
    for name, text in (("path", str(target)), ("text", "x")):
        node = graph.node.add(name=name, op="Const")
        node.attr["dtype"].type = 7
        node.attr["value"].tensor.dtype = 7
        node.attr["value"].tensor.tensor_shape.SetInParent()
        node.attr["value"].tensor.string_val.append(text.encode())
    add_node(graph, "write", "WriteFile", "path", "text")
    add_node(graph, "layer", "Relu", "input", T=1)
    model = saved(tmp_path, graph)
    assert render_directions(model, [("layer", np.ones(3))], size=32, steps=2).shape[0] == 1
    assert not target.exists()


def test_the_check_needs_no_tensorflow(small_net: FrozenModel) -> None:
    program = (
        "import sys, pathlib\n"
        "from tb_modelcompare.probe import Preprocessing\n"
        "from tb_modelcompare.render import FrozenModel, check_renderable\n"
        f"model = FrozenModel(pathlib.Path({str(small_net.path)!r}), {small_net.sha256!r}, "
        f"{small_net.input!r}, {small_net.input_shape!r}, {dict(small_net.tensors)!r}, "
        "Preprocessing())\n"
        "check_renderable(model, ['third', 'logits'])\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_unknown_layer_is_answered_with_what_there_is(small_net: FrozenModel) -> None:
    with pytest.raises(NotRenderableError, match="'fourth' is not in the frozen graph; it has"):
        check_renderable(small_net, ["third", "fourth"])


def test_a_layer_that_does_not_see_the_image(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "other", "Placeholder", dtype=1)
    add_node(graph, "layer", "Relu", "other")
    with pytest.raises(NotRenderableError, match="does not depend on the image"):
        check_renderable(saved(tmp_path, graph), ["layer"])


@pytest.mark.parametrize("op", ["Floor", "Ceil", "Round", "Sign", "StopGradient", "Rank"])
def test_a_layer_without_gradient_is_refused_by_the_op(tmp_path: Path, op: str) -> None:
    graph = graph_def()
    add_node(graph, "before", "Relu", "input", T=1)
    add_node(graph, "steps", op, "before", T=1)
    add_node(graph, "layer", "Relu", "steps", T=1)
    with pytest.raises(NotRenderableError, match=f"{op} .*'steps'"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def test_integers_have_no_gradient(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "whole", "Cast", "input", SrcT=1, DstT=3)
    add_node(graph, "layer", "Cast", "whole", SrcT=3, DstT=1)
    with pytest.raises(NotRenderableError, match=r"Cast .*'whole'"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def test_a_gradient_may_go_around_an_op_that_has_none(tmp_path: Path) -> None:
    """As hard sigmoids and computed shapes do."""
    graph = graph_def()
    add_node(graph, "whole", "Floor", "input", T=1)
    add_node(graph, "layer", "Sub", "input", "whole", T=1)
    check_renderable(saved(tmp_path, graph), ["layer"])


def test_every_other_allowed_op_has_a_gradient() -> None:
    """Held against TensorFlow's own registry."""
    from tensorflow.python.framework import ops

    from tb_modelcompare.render import frozen

    for op in frozen.ALLOWED_OPS - frozen.NO_GRADIENT_OPS - {"Placeholder"}:
        assert ops._gradient_registry.lookup(op) is not None, op


def test_other_than_grey_or_rgb(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "layer", "Relu", "input")
    with pytest.raises(NotRenderableError, match="4 channels"):
        check_renderable(saved(tmp_path, graph, (None, None, 4)), ["layer"])


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "layer", "Relu", "input")
    model = saved(tmp_path, graph)
    model.path.write_bytes(model.path.read_bytes() + b"\0")
    with pytest.raises(CorruptSnapshotError, match="sha256"):
        check_renderable(model, ["layer"])


def test_no_graph_def_at_all(tmp_path: Path) -> None:
    model = frozen_file(
        tmp_path / "x.pb",
        b"this is no protocol buffer",
        input="input",
        input_shape=_RGB,
        tensors={"layer": "layer"},
        preprocessing=Preprocessing(),
    )
    with pytest.raises(CorruptSnapshotError, match="not a GraphDef"):
        check_renderable(model, ["layer"])


def test_a_missing_file(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "layer", "Relu", "input")
    model = saved(tmp_path, graph)
    model.path.unlink()
    with pytest.raises(MissingAssetError, match="cannot be read"):
        check_renderable(model, ["layer"])


def test_a_node_that_refers_to_none(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "layer", "AddV2", "input", "gone")
    with pytest.raises(CorruptSnapshotError, match="'gone'"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def test_the_frozen_graph_of_a_snapshot(tmp_path: Path, small_model: Any) -> None:
    from tb_modelcompare import Probe, SummaryWriter
    from tb_modelcompare.store import open_snapshot

    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    with SummaryWriter(str(tmp_path / "run"), Probe(images)) as writer:
        writer.add_model(
            "net", small_model, preprocessing=Preprocessing.range(0, 1), progress=False
        )
        writer.add_activations("bare", {"a": np.ones((4, 3))})
    model = FrozenModel.from_snapshot(open_snapshot(tmp_path, "run/net@0"))
    check_renderable(model, ["third"])
    pictures = render_directions(model, [("third", np.eye(24)[3])], size=32, steps=4)
    assert pictures.shape == (1, 32, 32, 3)
    with pytest.raises(NotRenderableError, match="bare"):
        FrozenModel.from_snapshot(open_snapshot(tmp_path, "run/bare@0"))


def test_a_second_input_is_named(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "mask", "Placeholder", dtype=1)
    add_node(graph, "layer", "AddV2", "input", "mask", T=1)
    with pytest.raises(NotRenderableError, match="another input, 'mask'"):
        check_renderable(saved(tmp_path, graph), ["layer"])


@pytest.mark.parametrize("groups", [4, 8])
def test_grouped_convolutions_get_a_gradient(freeze: Freeze, groups: int) -> None:
    """Keras compiles them by XLA, where they have none."""
    import keras
    import tensorflow as tf
    from keras import layers

    from tb_modelcompare.render.frozen import pruned_graph

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.Conv2D(16, 3, groups=groups, strides=2, padding="same", name="grouped"),
            layers.Conv2D(4, 1, name="mixed"),
        ]
    )
    frozen = freeze(model)
    check_renderable(frozen, ["mixed"])
    graph = tf.compat.v1.Graph()
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    with graph.as_default():
        checked = pruned_graph(frozen, ["mixed"], tf.compat.v1.GraphDef)
        (output,) = tf.import_graph_def(checked, return_elements=[f"{frozen.tensor('mixed')}:0"])
        with tf.compat.v1.Session() as session:
            ours = session.run(output, {f"import/{frozen.input}:0": images})
    np.testing.assert_allclose(ours, np.asarray(model(images)), atol=1e-5)
    picture = render_directions(frozen, [("mixed", np.eye(4)[0])], size=32, steps=16)
    assert picture.std() > 5


def test_other_code_that_xla_compiles_is_refused(tmp_path: Path) -> None:
    graph = graph_def()
    call = graph.node.add(name="layer", op="StatefulPartitionedCall")
    call.input.append("input")
    call.attr["f"].func.name = "f"
    call.attr["_XlaMustCompile"].b = True
    function = graph.library.function.add()
    function.signature.name = "f"
    function.node_def.add(name="n", op="Relu")
    with pytest.raises(NotRenderableError, match="'layer' is compiled by XLA"):
        check_renderable(saved(tmp_path, graph), ["layer"])
