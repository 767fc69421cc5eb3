"""A batch of pictures, each of which goes through the network only as far as its own layer."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tb_modelcompare.render.frozen import node_name, readers_of

# Ops that treat the pictures of a batch one by one, and keep the batch as the first axis.
_BY_PICTURE = frozenset(
    """
    Placeholder PlaceholderWithDefault Identity
    Conv2D DepthwiseConv2dNative BiasAdd BiasAddV1 FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 LRN MaxPool AvgPool Mean Pad PadV2 MirrorPad ConcatV2 Split
    Add AddV2 AddN Sub Mul RealDiv Maximum Minimum SquaredDifference
    Relu Relu6 Elu Selu LeakyRelu Sigmoid Tanh Softplus Exp Pow Square Sqrt Rsqrt
    """.split()  # noqa: SIM905 (hundreds of quotes would hide the names)
)
_FLOAT32, _INT32 = 1, 3  # DT_FLOAT, DT_INT32


def leaving_early(graph_def: Any, source: str, targets: Sequence[str]) -> tuple[Any, list[int]]:
    """`graph_def` in which every picture leaves the batch behind its own layer.

    Layers behind that one would compute it in vain, and its gradient, which is 0. A graph with
    an op that may mix the pictures of a batch, or move its axis, stays as it is.

    Parameters
    ----------
    graph_def : GraphDef
    source : str
        The node of the batch. Pictures that it has after those of the targets go everywhere.
    targets : sequence of str
        The tensor of each picture. No tensor depends on one that comes later.

    Returns
    -------
    GraphDef, list of int
        And where in the batch of its own tensor each picture is.
    """
    nodes = {node.name: node for node in graph_def.node}
    seeing = readers_of(graph_def, source)
    if not all(nodes[name].op in _BY_PICTURE for name in seeing):
        return graph_def, list(range(len(targets)))
    first = _first_needing(nodes, targets)
    changed = type(graph_def)()
    changed.CopyFrom(graph_def)
    cuts: dict[tuple[str, int], str] = {}
    for node in changed.node:
        for k, tensor in enumerate(node.input):
            name = node_name(tensor)
            if name in seeing and first.get(node.name, 0) > first[name]:
                leave = first[node.name] - first[name]
                cut = cuts.setdefault((tensor, leave), f"{node.name}/leave_{k}")
                node.input[k] = f"{cut}:1"
    for (tensor, leave), name in cuts.items():
        _add_cut(changed, name, tensor, leave)
    indices = [i - first[node_name(target)] for i, target in enumerate(targets)]
    return changed, indices


def _first_needing(nodes: Mapping[str, Any], targets: Sequence[str]) -> dict[str, int]:
    """For each node, the first picture whose target depends on it."""
    first: dict[str, int] = {}
    for i, target in enumerate(targets):
        waiting = [node_name(target)]
        while waiting:
            name = waiting.pop()
            if name not in first:
                first[name] = i
                waiting += map(node_name, nodes[name].input)
    return first


def _add_cut(graph_def: Any, name: str, tensor: str, leave: int) -> None:
    """Add `tensor[leave:]` as the second part of a split, whose gradient only copies."""
    sizes = _integers(graph_def, f"{name}/sizes", leave, -1)
    axis = _integers(graph_def, f"{name}/axis", 0)
    cut = graph_def.node.add(name=name, op="SplitV")
    cut.input.extend([tensor, sizes, axis])
    cut.attr["T"].type = _FLOAT32
    cut.attr["Tlen"].type = _INT32
    cut.attr["num_split"].i = 2


def _integers(graph_def: Any, name: str, *values: int) -> str:
    """Add a constant; of one value, a scalar."""
    constant = graph_def.node.add(name=name, op="Const")
    constant.attr["dtype"].type = _INT32
    tensor = constant.attr["value"].tensor
    tensor.dtype = _INT32
    tensor.tensor_shape.SetInParent()
    if len(values) > 1:
        tensor.tensor_shape.dim.add().size = len(values)
    tensor.tensor_content = struct.pack(f"<{len(values)}i", *values)
    return name
