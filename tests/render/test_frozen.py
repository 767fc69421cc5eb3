"""Frozen graphs: what is refused before anything runs, and what can be drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import RGB, add_node, graph_def, saved

from tb_modelcompare.errors import CorruptSnapshotError, MissingAssetError, NotRenderableError
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.render import FrozenModel, check_renderable, render_directions
from tests.render.conftest import Freeze, frozen_file


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


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    graph = graph_def()
    add_node(graph, "a", "AddV2", "input", "b", T=1)
    add_node(graph, "b", "Relu", "a", T=1)
    add_node(graph, "layer", "Relu", "b", T=1)
    with pytest.raises(CorruptSnapshotError, match="in a circle of 2"):
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
        input_shape=RGB,
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
    from tb_modelcompare.log.reader import open_snapshot

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
