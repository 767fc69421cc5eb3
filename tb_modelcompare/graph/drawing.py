"""Which nodes are drawn as one box: convolution, normalisation and activation, say.

A box has a head, whose kind and label are drawn; each other node of the box names the head
as its `group`. Boxes are chains: a node is merged into its neighbour only where nothing else
reads the value between them, so the drawn graph has the same paths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from tb_modelcompare.graph.kinds import is_padding, kind_of
from tb_modelcompare.graph.layer_graph import LayerGraph, Node
from tb_modelcompare.graph.naming import common_stem

# Into the box of which heads a node of a kind is merged when it follows them.
_FOLLOWS: Mapping[str, frozenset[str]] = {
    "norm": frozenset({"conv", "dense"}),
    "activation": frozenset({"conv", "dense", "norm", "add"}),
    "reshape": frozenset(
        {"conv", "dense", "norm", "pool", "activation", "concat", "add", "reshape", "other"}
    ),
}
# … and into which when it comes before them.
_PRECEDES: Mapping[str, frozenset[str]] = {
    "norm": frozenset({"conv", "dense"}),
    "activation": frozenset({"conv", "dense"}),
    "reshape": frozenset({"conv", "dense", "pool"}),
}


def simplify(graph: LayerGraph) -> LayerGraph:
    """The graph with every node's `kind`, `group` and, for heads of boxes, `label` set."""
    consumers: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes:
        for source in node.inputs:
            consumers[source].append(node.name)
    nodes = {
        node.name: replace(node, kind=_kind(node, not consumers[node.name])) for node in graph.nodes
    }
    head = _merge_after(nodes, consumers)
    _merge_before(nodes, consumers, head)

    members: dict[str, list[str]] = defaultdict(list)
    for name, box in head.items():
        members[box].append(name)
    drawn = []
    for node in nodes.values():
        if head[node.name] != node.name:
            drawn.append(replace(node, group=head[node.name]))
            continue
        stem = common_stem([name for name in members[node.name] if not _is_margin(nodes[name])])
        drawn.append(replace(node, group=None, label=stem or node.label or node.name))
    return LayerGraph(tuple(drawn), graph.blocks)


def _kind(node: Node, is_sink: bool) -> str:
    kind = kind_of(node.op) if node.kind == "other" else node.kind
    if kind in ("add", "concat") and len(node.inputs) < 2:
        return "other"  # a constant is added, or nothing is joined
    if kind == "activation" and is_sink and node.shape is not None and len(node.shape) == 1:
        return "output"
    return kind


def _is_margin(node: Node) -> bool:
    return is_padding(node.op)


def _merge_after(nodes: Mapping[str, Node], consumers: Mapping[str, list[str]]) -> dict[str, str]:
    head: dict[str, str] = {}
    for node in nodes.values():
        head[node.name] = node.name
        if len(node.inputs) != 1 or consumers[node.inputs[0]] != [node.name]:
            continue
        after = consumers[node.name]
        if is_padding(node.op) and len(after) == 1 and nodes[after[0]].kind in _PRECEDES["reshape"]:
            continue  # its margin is the next layer's
        box = head[node.inputs[0]]
        if nodes[box].kind in _FOLLOWS.get(node.kind, ()):
            head[node.name] = box
    return head


def _merge_before(
    nodes: Mapping[str, Node], consumers: Mapping[str, list[str]], head: dict[str, str]
) -> None:
    tail = {box: name for name, box in head.items()}
    for node in reversed(list(nodes.values())):
        if head[node.name] != node.name or node.kind not in _PRECEDES:
            continue
        after = consumers[tail[node.name]]
        if len(after) != 1:
            continue
        box = head[after[0]]
        starts_box = box == after[0] or nodes[after[0]].kind in _PRECEDES
        if starts_box and nodes[box].kind in _PRECEDES[node.kind]:
            for name, old in list(head.items()):
                if old == node.name:
                    head[name] = box
