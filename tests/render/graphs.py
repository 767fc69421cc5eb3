"""Frozen graphs that are built node by node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.render import FrozenModel
from tests.render.conftest import frozen_file

RGB = (None, None, 3)


def add_node(graph: Any, name: str, op: str, *inputs: str, **types: int) -> None:
    node = graph.node.add(name=name, op=op)
    node.input.extend(inputs)
    for attribute, value in types.items():
        node.attr[attribute].type = value


def graph_def() -> Any:
    """input → layer, and nothing else."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graph = GraphDef()
    add_node(graph, "input", "Placeholder", dtype=1)
    return graph


def saved(path: Path, graph: Any, shape: tuple[Any, Any, int] = RGB) -> FrozenModel:
    return frozen_file(
        path / "graph.pb",
        graph.SerializeToString(),
        input="input",
        input_shape=shape,
        tensors={"layer": "layer"},
        preprocessing=Preprocessing(),
    )
