"""The records that TensorBoard's standard Graphs tab reads.

It shows a conceptual graph per tag, from Keras' JSON form of a model, and one op graph per run,
from a GraphDef, which it asks for first: a run without one is greeted with "Malformed GraphDef".
We write both from the layer graph, so that the nodes are called there as they are here, for
models of every framework.
"""

from __future__ import annotations

import json
from typing import Any

from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.log.events import string_event

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


def run_graph_event(graph: LayerGraph, wall_time: float) -> Any:
    """The event that makes `graph` the op graph of its run."""
    from tensorboard.compat.proto import event_pb2, graph_pb2

    graph_def = graph_pb2.GraphDef()
    for node in graph.nodes:
        added = graph_def.node.add(name=node.name, op=_ascii(node.op), input=node.inputs)
        if node.shape is not None:
            shape = added.attr["_output_shapes"].list.shape.add()
            for size in (None, *node.shape):  # the batch first
                shape.dim.add(size=-1 if size is None else size)
    return event_pb2.Event(wall_time=wall_time, graph_def=graph_def.SerializeToString())


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _keras_form(graph: LayerGraph) -> dict[str, Any]:
    layers = [
        {
            "class_name": _ascii(node.op),
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
