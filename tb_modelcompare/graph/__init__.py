"""The layer graph of a model: nodes, edges, blocks; what of it is drawn."""

from __future__ import annotations

from tb_modelcompare.graph.blocks import find_blocks
from tb_modelcompare.graph.drawing import simplify
from tb_modelcompare.graph.kinds import kind_of
from tb_modelcompare.graph.layer_graph import Block, LayerGraph, Node

__all__ = ["Block", "LayerGraph", "Node", "annotate", "find_blocks", "kind_of", "simplify"]


def annotate(graph: LayerGraph) -> LayerGraph:
    """`graph` made ready for drawing: kinds, boxes and blocks found from its structure."""
    return find_blocks(simplify(graph))
