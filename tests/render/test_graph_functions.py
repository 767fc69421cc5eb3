"""Functions inside frozen graphs are searched, inlined, and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import add_node, graph_def, saved

from tb_modelcompare.errors import CorruptSnapshotError, NotRenderableError
from tb_modelcompare.render import check_renderable, render_directions


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
