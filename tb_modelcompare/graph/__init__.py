"""The layer graph of a model: nodes, edges, blocks; what of it is drawn."""

from __future__ import annotations

from tb_modelcompare.graph.layer_graph import Block, LayerGraph, Node

__all__ = ["Block", "LayerGraph", "Node"]
