"""Which layer of a classifier gives its answer, and the probabilities that it gives."""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from tb_modelcompare.graph import LayerGraph, Node, kind_of

Probabilities = npt.NDArray[np.float64]

_LOGARITHMS = re.compile(r"(?i:log_?softmax)")
_SUM_OFF = 1e-2  # by which probabilities in half precision may miss a sum of 1


def output_node(graph: LayerGraph, logged: Collection[str]) -> Node | None:
    """The last logged layer that no other layer reads: what the model answers.

    Parameters
    ----------
    graph : LayerGraph
    logged : collection of str
        Names of the layers that are logged as one row for each image.
    """
    read = {name for node in graph.nodes for name in node.inputs}
    ends = [node for node in graph.nodes if node.name not in read and node.name in logged]
    return ends[-1] if ends else None


def are_probabilities(values: npt.NDArray[np.floating]) -> bool:
    """Whether no value is below 0 and each row sums to 1."""
    return bool((values >= 0).all() and (np.abs(values.sum(axis=1) - 1) <= _SUM_OFF).all())


def as_probabilities(values: npt.NDArray[np.floating], node: Node) -> Probabilities | None:
    """The probabilities of classes (images, classes); None where values are no answers of those.

    Values that sum to 1 are taken as they are. Those of a linear layer and logarithms go through a
    softmax. Others, such as features that are the mean of a map, say nothing of classes.
    """
    if values.shape[1] < 2:
        return None
    exact = values.astype(np.float64)
    if are_probabilities(exact):
        return np.asarray(exact / exact.sum(axis=1, keepdims=True))
    if kind_of(node.op) != "dense" and not _LOGARITHMS.fullmatch(node.op):
        return None
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def top_1(probabilities: Probabilities, labels: npt.NDArray[np.intp]) -> float | None:
    """The share of images whose most probable class is their label; None if classes are others."""
    if labels.max() >= probabilities.shape[1]:
        return None
    return float((probabilities.argmax(axis=1) == labels).mean())
