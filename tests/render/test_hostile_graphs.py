"""Frozen graphs that nobody's network has: refused in words, in no time, by parsing alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import add_node, graph_def, saved

from tb_modelcompare.capture.contract import FrozenGraph
from tb_modelcompare.capture.receptive import receptive_fields
from tb_modelcompare.errors import CorruptSnapshotError, NotRenderableError
from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.graph.layer_graph import GRAPH_VERSION
from tb_modelcompare.render import check_renderable

FLOAT = 1


def constant(graph: Any, name: str, values: Any, sizes: list[int] | None = None) -> None:
    from tensorboard.util.tensor_util import make_tensor_proto

    node = graph.node.add(name=name, op="Const")
    node.attr["value"].tensor.CopyFrom(make_tensor_proto(values))
    node.attr["dtype"].type = node.attr["value"].tensor.dtype
    if sizes is not None:
        del node.attr["value"].tensor.tensor_shape.dim[:]
        for size in sizes:
            node.attr["value"].tensor.tensor_shape.dim.add().size = size


def convolution(graph: Any, *inputs: str, name: str = "layer", **lists: list[int]) -> Any:
    add_node(graph, name, "Conv2D", *inputs, T=FLOAT)
    node = graph.node[-1]
    node.attr["padding"].s = b"SAME"
    for attribute, values in {"strides": [1, 2, 2, 1], **lists}.items():
        node.attr[attribute].list.i.extend(values)
    return node


def pooling(graph: Any, **lists: list[int]) -> Any:
    node = convolution(graph, "input", **lists)
    node.op = "MaxPool"
    return node


def with_kernel(**lists: list[int]) -> Any:
    graph = graph_def()
    constant(graph, "kernel", np.zeros((3, 3, 3, 2), np.float32))
    convolution(graph, "input", "kernel", **lists)
    return graph


def circle_ahead() -> Any:
    graph = with_kernel()
    graph.node[-1].name = "conv"
    add_node(graph, "loop", "AddV2", "conv", "loop", T=FLOAT)
    add_node(graph, "layer", "Relu", "loop", T=FLOAT)
    return graph


def circle_of_identities() -> Any:
    graph = graph_def()
    for name, source in (("a", "b"), ("b", "a")):
        add_node(graph, name, "Identity", source, T=FLOAT)
    convolution(graph, "input", "a")
    return graph


def circle_of_order() -> Any:
    """Control inputs alone."""
    graph = graph_def()
    add_node(graph, "a", "Relu", "input", "^layer", T=FLOAT)
    add_node(graph, "layer", "Relu", "a", T=FLOAT)
    return graph


def two_of_a_name() -> Any:
    graph = with_kernel()
    add_node(graph, "layer", "Relu", "input", T=FLOAT)
    return graph


def pooled(**lists: list[int]) -> Any:
    graph = graph_def()
    pooling(graph, **lists)
    return graph


def without_kernel() -> Any:
    graph = graph_def()
    convolution(graph, "input")
    return graph


def with_padding(padding: bytes, explicit: list[int]) -> Any:
    graph = with_kernel(explicit_paddings=explicit)
    graph.node[-1].attr["padding"].s = padding
    return graph


def padded(widths: Any, sizes: list[int] | None = None, *inputs: str) -> Any:
    graph = graph_def()
    constant(graph, "widths", np.asarray(widths, np.int32), sizes)
    add_node(graph, "layer", "Pad", "input", *(inputs or ("widths",)), T=FLOAT)
    return graph


def ever_wider() -> Any:
    """Each layer sees 2⁶² times as far as the one before."""
    graph = graph_def()
    before = "input"
    for i in range(300):
        node = pooling(graph, ksize=[1, 1, 1, 1])
        node.name, node.input[0] = f"pool{i}", before
        del node.attr["strides"].list.i[:]
        node.attr["strides"].list.i.extend([1, 2**62, 2**62, 1])
        before = node.name
    add_node(graph, "layer", "Relu", before, T=FLOAT)
    return graph


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (circle_of_identities, "circle"),
        (lambda: with_kernel(strides=[1, 0, 0, 1]), r"'layer' .* strides \[0, 0\]"),
        (lambda: pooled(strides=[1, 1, 1, 1]), r"size \[\]"),
        (lambda: pooled(ksize=[1, 0, 2, 1]), r"size \[0, 2\]"),
        (lambda: pooled(ksize=[1, -3, 2, 1]), r"size \[-3, 2\]"),
        (without_kernel, "has 1 inputs"),
        (lambda: with_padding(b"EXPLICIT", [0, 0, 1]), "no valid window"),
        (lambda: with_padding(b"\xff\xfe", []), "no valid window"),
        (lambda: padded(np.full((4, 2), -9)), "pads by"),
        (lambda: padded([1, 2], [4, 2]), "malformed"),
        (lambda: padded(np.zeros((4, 2)), None, "^widths"), "has 1 inputs"),
        (ever_wider, "sees .* pixels"),
    ],
)
def test_windows_that_no_layer_has_are_named(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(CorruptSnapshotError, match=words):
        receptive_fields(frozen(make()))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (circle_ahead, "circle of 1: loop → loop"),
        (circle_of_identities, "circle of 2"),
        (circle_of_order, "circle of 2"),
        (two_of_a_name, "two nodes 'layer'"),
    ],
)
def test_an_invalid_graph_is_named(tmp_path: Path, make: Callable[[], Any], words: str) -> None:
    with pytest.raises(CorruptSnapshotError, match=words):
        check_renderable(saved(tmp_path, make(), (32, 48, 3)), ["layer"])


def frozen(graph: Any) -> FrozenGraph:
    return FrozenGraph(graph.SerializeToString(), "input", (32, 48, 3), {"layer": "layer"})


def test_strides_that_are_left_out_are_named() -> None:
    graph = with_kernel()
    del graph.node[-1].attr["strides"]
    with pytest.raises(CorruptSnapshotError, match=r"strides \[\]"):
        receptive_fields(frozen(graph))


def test_a_padding_that_claims_to_be_huge_takes_no_memory() -> None:
    assert receptive_fields(frozen(padded(np.zeros(1), [2**40, 2]))) == {}


def compiled(channels: int, group: int) -> Any:
    """A grouped convolution as Keras freezes it: a call of a function that XLA is to compile."""
    graph = graph_def()
    constant(graph, "kernel", np.zeros((1, 1, 1, 1), np.float32), [3, 3, group, channels])
    function = graph.library.function.add()
    function.signature.name = "convolve"
    for name in ("image", "weights"):
        function.signature.input_arg.add(name=name, type=FLOAT)
    function.signature.output_arg.add(name="out", type=FLOAT)
    shape = function.arg_attr[0].attr["_output_shapes"].list.shape.add()
    for size in (1, 8, 8, channels):
        shape.dim.add().size = size
    node = function.node_def.add(name="conv", op="Conv2D")
    node.input.extend(["image", "weights"])
    function.ret["out"] = "conv:output:0"
    add_node(graph, "layer", "PartitionedCall", "input", "kernel")
    graph.node[-1].attr["f"].func.name = "convolve"
    graph.node[-1].attr["_XlaMustCompile"].b = True
    return graph


def test_a_function_that_reads_itself_in_a_circle_ends(tmp_path: Path) -> None:
    graph = compiled(4, 2)
    body = graph.library.function[0].node_def
    for name, source in (("a", "b:output:0"), ("b", "a:output:0")):
        body.add(name=name, op="Identity").input.append(source)
    body[0].input[1] = "a:output:0"
    with pytest.raises(NotRenderableError, match="compiled by XLA"):
        check_renderable(saved(tmp_path, graph), ["layer"])


@pytest.mark.parametrize(("channels", "group"), [(2**31, 2), (4, 0), (6, 4)])
def test_groups_beyond_reason_are_not_written_out(
    tmp_path: Path, channels: int, group: int
) -> None:
    with pytest.raises(NotRenderableError, match="compiled by XLA"):
        check_renderable(saved(tmp_path, compiled(channels, group)), ["layer"])


def test_a_group_of_channels_is_still_written_out(tmp_path: Path) -> None:
    check_renderable(saved(tmp_path, compiled(4, 2)), ["layer"])


def test_many_ends_of_the_gradient_are_found_in_one_walk(tmp_path: Path) -> None:
    """A chain of 10,000 ops without gradient: each looked at from each other took minutes."""
    graph = graph_def()
    before = "input"
    for i in range(10_000):
        add_node(graph, f"n{i}", "Round", before, T=FLOAT)
        add_node(graph, f"r{i}", "Relu", "input", f"^n{i}", T=FLOAT)
        before = f"n{i}"
    add_node(graph, "sum", "AddN", *(f"n{i}" for i in range(10_000)), T=FLOAT)
    add_node(graph, "layer", "Relu", "sum", T=FLOAT)
    with pytest.raises(NotRenderableError, match="has no gradient"):
        check_renderable(saved(tmp_path, graph), ["layer"])


def node_json(name: str, inputs: list[str], group: str | None = None) -> dict[str, Any]:
    fields = {"name": name, "op": "Relu", "label": "", "inputs": inputs, "logged": False}
    return {**fields, "group": group}


@pytest.mark.parametrize(
    ("nodes", "blocks", "words"),
    [
        ([node_json("a", ["a"])], [], "comes before its input"),
        ([node_json("a", ["b"]), node_json("b", ["a"])], [], "comes before its input"),
        ([node_json("a", [], "b"), node_json("b", ["a"], "a")], [], "node 'a' is its own"),
        ([node_json("a", [], "a")], [], "node 'a' is its own"),
        (
            [node_json("a", [])],
            [
                {"name": x, "kind": "stage", "nodes": ["a"], "output": "a", "parent": y}
                for x, y in (("x", "y"), ("y", "x"))
            ],
            "block 'x' is its own",
        ),
    ],
)
def test_a_layer_graph_with_a_circle_is_named(nodes: Any, blocks: Any, words: str) -> None:
    with pytest.raises(CorruptSnapshotError, match=words):
        LayerGraph.from_json({"version": GRAPH_VERSION, "nodes": nodes, "blocks": blocks})
