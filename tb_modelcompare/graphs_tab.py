"""The record that TensorBoard's standard Graphs tab reads.

It takes Keras' JSON form of a model. We write that form from the layer graph, so that the
nodes are called there as they are here, for models of every framework.
"""

from __future__ import annotations

import json
from typing import Any

from tb_modelcompare.events import string_event
from tb_modelcompare.graph import LayerGraph

_PLUGIN_NAME = "graph_keras_model"


def graphs_tab_event(graph: LayerGraph, tag: str, step: int, wall_time: float) -> Any:
    """The event that shows `graph` in the Graphs tab, as conceptual graph called `tag`."""
    from tensorboard.compat.proto import summary_pb2

    # No data class, as Keras writes it: TensorBoard's loaders then bring it into their form.
    metadata = summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name=_PLUGIN_NAME, content=b"1"),
    )
    text = json.dumps(_keras_form(graph), separators=(",", ":")).encode()
    return string_event(tag, step, wall_time, text, metadata)


def _keras_form(graph: LayerGraph) -> dict[str, Any]:
    layers = [
        {
            "class_name": node.op.encode("ascii", "replace").decode(),
            "config": {"name": node.name},
            "inbound_nodes": [
                {
                    "args": [
                        [{"config": {"keras_history": [source, 0, 0]}} for source in node.inputs]
                    ]
                }
            ],
        }
        for node in graph.nodes
    ]
    # An empty name adds no scope in front of the layers' names.
    return {"class_name": "Functional", "config": {"name": "", "layers": layers}}
