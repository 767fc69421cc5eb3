"""Frozen graphs read as TensorBoard's own protocol buffers, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def graph_def_class() -> type[Any]:
    """The GraphDef class of TensorBoard, which is imported on the first call."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    return GraphDef  # type: ignore[no-any-return]


def tensor_values(tensor: Any) -> npt.NDArray[Any]:
    """The values of a TensorProto.

    Raises
    ------
    TypeError, ValueError
        If its bytes are not what its type and shape say.
    """
    from tensorboard.util.tensor_util import make_ndarray

    return np.asarray(make_ndarray(tensor))


def behind_identities(tensor: str, nodes: Mapping[str, Any]) -> Any:
    """The node of an acyclic graph that `tensor` is, through identities; None if there is none."""
    node = nodes.get(tensor.partition(":")[0])
    while node is not None and node.op == "Identity":
        node = nodes.get(node.input[0].partition(":")[0]) if len(node.input) else None
    return node
