"""The standard Graphs tab shows the logged model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from google.protobuf import text_format
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.graph.graphs_plugin import GraphsPlugin

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.graph import LayerGraph, Node


def test_nodes_and_edges_are_those_of_the_layer_graph(tmp_path: Path, probe: Probe) -> None:
    graph = LayerGraph(
        (
            Node("image", "InputLayer"),
            Node("inner/conv", "Conv2D", ("image",)),
            Node("größe", "ReLÜ", ("inner/conv",)),
            Node("sum", "Add", ("inner/conv", "größe")),
        )
    )
    values = {"sum": np.ones((30, 2))}
    with SummaryWriter(tmp_path / "run", probe) as writer:
        for step in range(3):
            writer.add_activations("keras", values, step=step, graph=graph)
        writer.add_activations("other", values)

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(tmp_path))
    plugin = GraphsPlugin(base_plugin.TBContext(data_provider=provider))
    info = plugin.info_impl(RequestContext(), experiment="")
    assert set(info["run"]["tags"]) == {"graph of keras", "graph of other"}
    text, _ = plugin.graph_impl(
        RequestContext(), "run", "graph of keras", is_conceptual=True, experiment=""
    )
    shown = text_format.Parse(text, GraphDef())
    assert {node.name: tuple(node.input) for node in shown.node} == {
        node.name: node.inputs for node in graph.nodes
    }

    # The run's op graph is what the tab opens with.
    assert info["run"]["run_graph"]
    text, _ = plugin.graph_impl(RequestContext(), "run", None, is_conceptual=False, experiment="")
    assert {node.name: tuple(node.input) for node in text_format.Parse(text, GraphDef()).node} == {
        node.name: node.inputs for node in graph.nodes
    }

    # The index records are readable beside them, one per step.
    data = provider.list_tensors(RequestContext(), experiment_id="", plugin_name="modelcompare")
    assert set(data["run"]) == {"keras", "other"}
    assert data["run"]["keras"].max_step == 2
