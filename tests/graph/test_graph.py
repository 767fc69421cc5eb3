"""Layer graphs: JSON, boxes, blocks."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.graph import LayerGraph, Node, annotate, kind_of
from tb_modelcompare.graph.layer_graph import MAX_NODES
from tb_modelcompare.graph.naming import common_stem, majority_stem

OPS = ["Conv2D", "BatchNormalization", "ReLU", "Add", "Concatenate", "MaxPooling2D", "Dropout",
       "ZeroPadding2D", "Dense", "Softmax", "Multiply", "Flatten"]  # fmt: skip


def chain(*ops: str, names: list[str] | None = None) -> LayerGraph:
    names = names or [f"n{i}" for i in range(len(ops))]
    nodes = [Node("image", "InputLayer")]
    for name, op in zip(names, ops, strict=True):
        nodes.append(Node(name, op, (nodes[-1].name,), (4, 4, 2), 2))
    return LayerGraph(tuple(nodes))


@st.composite
def graphs(draw: st.DrawFn) -> LayerGraph:
    nodes = [Node("image", "InputLayer")]
    for i in range(draw(st.integers(1, 25))):
        op = draw(st.sampled_from(OPS))
        fan_in = draw(st.integers(2, 3)) if op in ("Add", "Concatenate", "Multiply") else 1
        earlier = [node.name for node in nodes]
        inputs = draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=fan_in, unique=True))
        prefix = draw(st.sampled_from(["a", "b_c", "b_c_1", "conv2d"]))
        nodes.append(Node(f"{prefix}_{i}", op, tuple(inputs), (4, 4, 2), 2))
    return LayerGraph(tuple(nodes))


@given(graphs())
def test_json_round_trip(graph: LayerGraph) -> None:
    drawn = annotate(graph)
    assert LayerGraph.from_json(json.loads(json.dumps(drawn.to_json()))) == drawn


@settings(deadline=None)  # the first example may load modules
@given(graphs())
def test_boxes_keep_every_path_and_block_nests(graph: LayerGraph) -> None:
    drawn = annotate(graph)
    assert [(n.name, n.op, n.inputs) for n in drawn.nodes] == [
        (n.name, n.op, n.inputs) for n in graph.nodes
    ]
    head = {n.name: n.group or n.name for n in drawn.nodes}
    groups = {n.name: n.group for n in drawn.nodes}
    for node in drawn.nodes:
        assert node.group is None or groups[node.group] is None
    consumers = defaultdict(set)
    for node in drawn.nodes:
        for source in node.inputs:
            consumers[source].add(node.name)
    for node in drawn.nodes:
        for source in node.inputs:
            if head[source] == head[node.name]:
                # Within a box nothing else reads the value between.
                assert consumers[source] == {node.name}
    assert acyclic({(head[s], head[n.name]) for n in drawn.nodes for s in n.inputs})
    blocks = {block.name: set(block.nodes) for block in drawn.blocks}
    for block in drawn.blocks:
        if block.parent is not None:
            assert blocks[block.name] < blocks[block.parent]
        for other in drawn.blocks:
            shared = blocks[block.name] & blocks[other.name]
            assert shared in (set(), blocks[block.name], blocks[other.name])


def acyclic(edges: set[tuple[str, str]]) -> bool:
    after = defaultdict(set)
    for a, b in edges:
        if a != b:
            after[a].add(b)
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> bool:
        if node in path:
            return False
        if node in done:
            return True
        good = all(visit(n, (*path, node)) for n in after[node])
        done.add(node)
        return good

    return all(visit(node, ()) for node in list(after))


def boxes(graph: LayerGraph) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for node in annotate(graph).nodes:
        members.setdefault(node.group or node.name, []).append(node.name)
    return {head: sorted(names) for head, names in members.items()}


def test_convolution_with_padding_norm_and_activation_is_one_box() -> None:
    graph = chain(
        "ZeroPadding2D", "Conv2D", "BatchNormalization", "ReLU", "Dropout", "MaxPooling2D",
        names=["pad1", "conv1_conv", "conv1_bn", "conv1", "drop", "pool1"],
    )  # fmt: skip
    assert boxes(graph) == {
        "image": ["image"],
        "conv1_conv": ["conv1", "conv1_bn", "conv1_conv", "drop", "pad1"],
        "pool1": ["pool1"],
    }
    drawn = annotate(graph)
    assert (drawn.node("conv1_conv").kind, drawn.node("pool1").kind) == ("conv", "pool")


def test_label_is_what_the_names_share() -> None:
    drawn = annotate(chain("Conv2D", "ReLU", names=["conv1_7x7_pre", "conv1_7x7"]))
    assert drawn.node("conv1_7x7_pre").label == "conv1_7x7"
    drawn = annotate(chain("Conv2D", "ReLU", names=["conv2d_3", "activation_4"]))
    assert drawn.node("conv2d_3").label == "conv2d_3"


def test_a_value_that_others_read_is_drawn_itself() -> None:
    graph = LayerGraph(
        (
            Node("image", "InputLayer"),
            Node("conv", "Conv2D", ("image",)),
            Node("relu", "ReLU", ("conv",)),
            Node("skip", "Conv2D", ("conv",)),
            Node("add", "Add", ("relu", "skip")),
            Node("out", "ReLU", ("add",)),
        )
    )
    assert set(boxes(graph)) == {"image", "conv", "relu", "skip", "add"}
    residual = annotate(graph).blocks
    assert [(b.kind, set(b.nodes), b.output) for b in residual] == [
        ("residual", {"relu", "skip", "add", "out"}, "out")
    ]


def test_pre_activation_belongs_to_the_convolution_after_it() -> None:
    graph = LayerGraph(
        (
            Node("image", "InputLayer"),
            Node("conv0", "Conv2D", ("image",)),
            Node("bn", "BatchNormalization", ("conv0",)),
            Node("relu", "ReLU", ("bn",)),
            Node("conv1", "Conv2D", ("relu",)),
            Node("add", "Add", ("conv0", "conv1")),
        )
    )
    assert boxes(graph)["conv1"] == ["bn", "conv1", "relu"]


def test_inception_module_fire_module_and_named_stage() -> None:
    graph = LayerGraph(
        (
            Node("image", "InputLayer"),
            Node("stem_conv1", "Conv2D", ("image",)),
            Node("stem_conv2", "Conv2D", ("stem_conv1",)),
            Node("mixed3a_1x1", "Conv2D", ("stem_conv2",)),
            Node("mixed3a_3x3_reduce", "Conv2D", ("stem_conv2",)),
            Node("mixed3a_3x3", "Conv2D", ("mixed3a_3x3_reduce",)),
            Node("mixed3a", "Concatenate", ("mixed3a_1x1", "mixed3a_3x3")),
            Node("fire_squeeze", "Conv2D", ("mixed3a",)),
            Node("fire_expand1", "Conv2D", ("fire_squeeze",)),
            Node("fire_expand3", "Conv2D", ("fire_squeeze",)),
            Node("fire", "Concatenate", ("fire_expand1", "fire_expand3")),
        )
    )
    blocks = {block.name: block for block in annotate(graph).blocks}
    assert {name: block.kind for name, block in blocks.items()} == {
        "stem": "stage", "mixed3a": "inception", "fire": "inception"
    }  # fmt: skip
    assert len(blocks["mixed3a"].nodes) == 4
    assert "fire_squeeze" in blocks["fire"].nodes
    assert blocks["stem"].nodes == ("stem_conv1", "stem_conv2")


def test_a_layer_that_has_the_name_of_a_stage_alone_closes_it() -> None:
    names = ["block3_expand", "block3_depthwise", "block3", "block4_expand", "block4_depthwise"]
    blocks = {block.name: block for block in annotate(chain(*["Conv2D"] * 5, names=names)).blocks}
    assert list(blocks) == ["block3", "block4"]
    assert blocks["block3"].nodes == tuple(names[:3])
    assert blocks["block3"].output == "block3"
    assert blocks["block4"].nodes == tuple(names[3:])


def test_numbered_layers_are_no_stage() -> None:
    graph = chain("Conv2D", "Conv2D", "Conv2D", names=["conv2d", "conv2d_1", "conv2d_2"])
    assert annotate(graph).blocks == ()


def _residual_blocks(*names: str) -> LayerGraph:
    nodes = [Node("image", "InputLayer")]
    for name in names:
        before = nodes[-1].name
        nodes.append(Node(f"{name}_conv", "Conv2D", (before,)))
        nodes.append(Node(f"{name}_add", "Add", (before, f"{name}_conv")))
    return annotate(LayerGraph(tuple(nodes)))


def test_blocks_that_follow_one_another_under_one_name_are_a_stage() -> None:
    graph = _residual_blocks("conv2_block1", "conv2_block2", "conv3_block1", "conv3_block2")
    parents = {block.name: block.parent for block in graph.blocks}
    assert parents == {
        "conv2": None,
        "conv2_block1": "conv2",
        "conv2_block2": "conv2",
        "conv3": None,
        "conv3_block1": "conv3",
        "conv3_block2": "conv3",
    }


def test_blocks_that_are_only_numbered_are_no_stage() -> None:
    graph = _residual_blocks("block_1", "block_2", "block_3", "block_4")
    assert {block.parent for block in graph.blocks} == {None}


def _searched_network(cells: int) -> LayerGraph:
    """As NASNet: every cell takes from the two before it, and its nodes come interleaved."""
    nodes = [Node("image", "InputLayer"), Node("stem", "Conv2D", ("image",))]
    before, last = "stem", "stem"
    late: list[Node] = []
    for k in range(cells):
        branches = [f"left_{k}", f"right_{k}", f"skip_{k}"]
        nodes.append(Node(branches[0], "Conv2D", (last,)))
        nodes += late
        nodes.append(Node(branches[1], "Conv2D", (before,)))
        late = [Node(f"side_{k + 1}", "Conv2D", (last,))]  # of the next cell, listed in this one
        nodes.append(Node(branches[2], "Add", (branches[0], branches[1])))
        side = [f"side_{k}"] if k else []
        nodes.append(Node(f"normal_concat_{k}", "Concatenate", (*branches, *side)))
        before, last = last, f"normal_concat_{k}"
    nodes.append(Node("predictions", "Dense", (last,)))
    return annotate(LayerGraph(tuple(nodes)))


def test_cells_that_take_from_several_before_them_are_blocks() -> None:
    graph = _searched_network(6)
    cells = {block.name: set(block.nodes) for block in graph.blocks if block.parent is None}
    assert set(cells) == {f"normal_{k}" for k in range(6)}
    for k in range(1, 6):
        own = {f"left_{k}", f"right_{k}", f"skip_{k}", f"side_{k}", f"normal_concat_{k}"}
        assert cells[f"normal_{k}"] == own
    home = {node: name for name, nodes in cells.items() for node in nodes}
    head = {node.name: home.get(node.name, node.name) for node in graph.nodes}
    assert acyclic({(head[s], head[n.name]) for n in graph.nodes for s in n.inputs})


def test_skips_across_a_whole_network_close_no_cell() -> None:
    """A U-Net: joins of two, each over everything deeper."""
    nodes = [Node("image", "InputLayer")]
    down = [f"down_{k}" for k in range(40)]
    for name in down:
        nodes.append(Node(name, "Conv2D", (nodes[-1].name,)))
    for k, name in enumerate(reversed(down[:-1])):
        nodes.append(Node(f"up_{k}", "Concatenate", (name, nodes[-1].name)))
    drawn = annotate(LayerGraph(tuple(nodes)))
    assert max(len(block.nodes) for block in drawn.blocks) <= 64


def test_long_chain_is_handled() -> None:
    drawn = annotate(chain(*["Conv2D", "ReLU"] * 5000))
    assert len([node for node in drawn.nodes if node.group is None]) == 5001


@pytest.mark.parametrize(
    ("op", "kind"),
    [("Conv2D", "conv"), ("DepthwiseConv2D", "conv"), ("SeparableConv2D", "conv"),
     ("Conv2DTranspose", "conv"), ("DepthwiseConv2dNative", "conv"), ("Conv2d", "conv"),
     ("ConvTranspose2d", "conv"), ("Conv2DBackpropInput", "conv"),
     ("Dense", "dense"), ("MatMul", "dense"), ("Linear", "dense"),
     ("MaxPooling2D", "pool"), ("GlobalAveragePooling2D", "pool"), ("AdaptiveAvgPool2d", "pool"),
     ("MaxPool", "pool"), ("AvgPool2d", "pool"), ("Mean", "pool"),
     ("BatchNormalization", "norm"), ("LayerNorm", "norm"), ("FusedBatchNormV3", "norm"),
     ("BatchNorm2d", "norm"), ("LRN", "norm"),
     ("ReLU", "activation"), ("Relu6", "activation"), ("LeakyReLU", "activation"),
     ("Softmax", "activation"), ("SiLU", "activation"), ("GELU", "activation"),
     ("Concatenate", "concat"), ("ConcatV2", "concat"), ("Cat", "concat"),
     ("Add", "add"), ("AddV2", "add"), ("InputLayer", "input"), ("Placeholder", "input"),
     ("Flatten", "reshape"), ("SpatialDropout2D", "reshape"), ("ZeroPadding2D", "reshape"),
     ("Rescaling", "reshape"), ("Multiply", "other"), ("MultiHeadAttention", "other"),
     ("Embedding", "other"), ("LSTM", "other")],
)  # fmt: skip
def test_kinds(op: str, kind: str) -> None:
    assert kind_of(op) == kind


def test_stems() -> None:
    assert common_stem(["a_b_c", "a_b_d"]) == "a_b"
    assert common_stem(["block10_x", "block1_x"]) == ""
    assert common_stem(["conv1", "conv1_pre"]) == "conv1"
    assert majority_stem(["block2_conv1", "block2_conv2", "add"]) == "block2"
    assert majority_stem(["conv2d_1", "conv2d_2"]) == ""


def good() -> dict[str, Any]:
    return annotate(chain("Conv2D", "ReLU", names=["s_a", "s_b"])).to_json()


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.update(version=2),
        lambda g: g.update(nodes="x"),
        lambda g: g["nodes"].append(g["nodes"][0]),
        lambda g: g["nodes"].reverse(),
        lambda g: g["nodes"][1].update(inputs=["nowhere"]),
        lambda g: g["nodes"][1].update(inputs="image"),
        lambda g: g["nodes"][1].update(name=3),
        lambda g: g["nodes"][1].update(name="x" * 5000),
        lambda g: g["nodes"][1].update(shape=[-1]),
        lambda g: g["nodes"][1].update(units=1.5),
        lambda g: g["nodes"][1].update(logged="yes"),
        lambda g: g["nodes"][1].update(kind="magic"),
        lambda g: g["nodes"][1].update(group="nowhere"),
        lambda g: g["nodes"].extend(dict(g["nodes"][0], name=str(i)) for i in range(MAX_NODES)),
        lambda g: g["blocks"].append({"name": "b", "kind": "stage", "nodes": ["x"], "output": "x"}),
        lambda g: g["blocks"].append(
            {"name": "b", "kind": "stage", "nodes": ["s_a"], "output": "s_b", "parent": None}
        ),
        lambda g: g["blocks"].append(
            {"name": "b", "kind": "stage", "nodes": ["s_a"], "output": "s_a", "parent": "b"}
        ),
        lambda g: g["blocks"].append(
            {"name": "b", "kind": "stage", "nodes": ["s_a"], "output": "s_a", "parent": "c"}
        ),
    ],
)
def test_malformed_graphs_are_refused(change: Any) -> None:
    graph = json.loads(json.dumps(good()))
    LayerGraph.from_json(graph)
    change(graph)
    with pytest.raises(CorruptSnapshotError):
        LayerGraph.from_json(graph)
