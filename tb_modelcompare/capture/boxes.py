"""Which layers are logged unless told otherwise: one for each box of the drawn graph.

A convolution, its normalisation and its activation are drawn as one box, and what leaves the box
is what the next layer reads. Their other values nearly repeat it, as does a map that is pooled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from tb_modelcompare.graph import LayerGraph, Node, simplify

_SQUARES = frozenset({"Square", "square", "Pow", "Power", "pow"})
_PRODUCTS = frozenset({"Multiply", "Mul", "mul"})
_QUOTIENTS = frozenset({"Divide", "TrueDivide", "RealDiv", "Div", "truediv", "div"})


def layers_of_boxes(graph: LayerGraph, candidates: Collection[str]) -> list[str]:
    """For each box the last of its nodes that can be logged.

    Left out are maps that are only pooled, and the window over squares that local response
    normalisation divides by. Where that leaves nothing, every candidate is taken.

    Parameters
    ----------
    graph : LayerGraph
    candidates : collection of str
        Nodes that can be logged, in order.

    Returns
    -------
    list of str
        In the order of the candidates.
    """
    drawn = simplify(graph)
    nodes = {node.name: node for node in drawn.nodes}
    readers: dict[str, list[str]] = defaultdict(list)
    for node in drawn.nodes:
        for source in set(node.inputs):
            readers[source].append(node.name)
    boxes: dict[str, list[str]] = defaultdict(list)
    for name in candidates:
        boxes[nodes[name].group or name].append(name)
    last = {
        members[-1]
        for head, members in boxes.items()
        if not _is_pooled_map(nodes[head])
        and not _divides_by_its_window(nodes[head], nodes, readers)
    }
    return [name for name in candidates if name in last] or list(candidates)


def _is_pooled_map(node: Node) -> bool:
    """Whether a pooling leaves a map; one that leaves a value for each unit says something new."""
    positions = node.shape[:-1] if node.shape is not None else ()
    return node.kind == "pool" and any(size is None or size > 1 for size in positions)


def _divides_by_its_window(
    node: Node, nodes: Mapping[str, Node], readers: Mapping[str, list[str]]
) -> bool:
    """Whether a convolution or pooling is the window of a local response normalisation.

    It reads the squares of some x, and what it gives is what x is multiplied with, or divided by.
    """
    if len(node.inputs) != 1 or nodes[node.inputs[0]].op not in _SQUARES | _PRODUCTS:
        return False
    x = set(nodes[node.inputs[0]].inputs)  # an input that is read twice, as in x * x, is named once
    reader = node
    while len(x) == 1 and len(readers[reader.name]) == 1:
        reader = nodes[readers[reader.name][0]]
        if len(set(reader.inputs)) > 1:
            return x <= set(reader.inputs) and reader.op in _PRODUCTS | _QUOTIENTS
    return False
