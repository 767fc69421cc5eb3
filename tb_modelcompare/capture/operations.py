"""Model files that are lists of operations run by another's interpreter (.tflite, .onnx)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture.checking import Reference
from tb_modelcompare.capture.contract import Feed, FrozenGraph, Model, Sampler
from tb_modelcompare.errors import ModelFileError, NotRenderableError
from tb_modelcompare.graph import LayerGraph, Node, kind_of
from tb_modelcompare.probe.sampling import Mask, Reading, Sampled, sample

_LAYER_KINDS = frozenset({"conv", "dense", "pool", "norm", "activation"})
_JOINS = frozenset({"concat", "add"})
EMBEDDING = "Embedding"
"""The op of what takes rows of a table by token ids."""
# Their results do not depend on the image's values.
_METADATA = frozenset({"Shape", "Size", "SHAPE", "RANK"})
# Shapes are asked for at this size where a file takes any.
_ANY_SIZE = 224
_BATCH = 2


@dataclass(frozen=True)
class Operation:
    """One operation; tensors go by keys of the file's own. `units` is what its weights say."""

    name: str
    op: str
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    units: int | None = None


# Images (n, h, w, c), or arrays as they are, and the tensors wanted → their values, units last.
Runner = Callable[[npt.NDArray[Any], Sequence[Any]], Mapping[Any, npt.NDArray[Any]]]


def model_of_operations(
    where: str,
    shape: tuple[int | None, ...],
    operations: Sequence[Operation],
    image: Any,
    run: Runner,
    feed: Feed,
) -> Model:
    """A model of operations in topological order, opened for capture.

    An operation with one input that depends on the image and no kind of its own (a scale, a
    reshape) lies on an edge, but an embedding is a layer; a bias belongs to its product.

    Parameters
    ----------
    where : str
        The file, for messages.
    shape : tuple of int or None
        (height, width, channels) of an image, height and width None where any is taken; or that
        of an array of the probe.
    image
        The tensor of the images, or arrays.
    run : callable
    feed : Feed

    Raises
    ------
    ModelFileError
        If it has no layers, or takes images of other than 1 or 3 channels.
    """
    channels = shape[2] if feed.is_image else None
    if channels not in ((1, 3) if feed.is_image else (None,)):
        raise ModelFileError(f"{where} takes {channels} channels and a probe has 1 or 3")
    uses = Counter(tensor for operation in operations for tensor in operation.inputs)
    nodes = [Node("input", "InputLayer", (), shape, channels, label="input", kind="input")]
    layer_of = {image: "input"}
    tensor_of: dict[str, Any] = {}
    units_of: dict[str, int | None] = {}
    for operation in operations:
        known = [tensor for tensor in operation.inputs if tensor in layer_of]
        sources = tuple(dict.fromkeys(layer_of[tensor] for tensor in known))
        if not sources or operation.op in _METADATA:
            continue
        kind = kind_of(operation.op)
        name = sources[0]
        is_layer = kind in _LAYER_KINDS or operation.op == EMBEDDING
        if is_layer or (len(known) > 1 and kind != "reshape"):
            name = _unique(operation.name, {"input", *tensor_of})
            nodes.append(Node(name, operation.op, sources, label=name, kind=kind))
            tensor_of[name] = operation.outputs[0]
            units_of[name] = operation.units
        elif kind in _JOINS and tensor_of.get(name) == known[0] and uses[known[0]] == 1:
            tensor_of[name] = operation.outputs[0]  # a bias
        layer_of.update(dict.fromkeys(operation.outputs, name))
    if not tensor_of:
        raise ModelFileError(f"{where} computes nothing from its images that could be logged")
    size = [size or _ANY_SIZE for size in shape]
    values = run(np.zeros((_BATCH, *size), feed.dtype), list(tensor_of.values()))
    described = [nodes[0]]
    candidates = []
    for node in nodes[1:]:
        value = values[tensor_of[node.name]]
        if value.ndim and len(value) == _BATCH:
            units = value.shape[-1] if value.ndim > 1 else None
            node = replace(node, shape=value.shape[1:], units=units)
            if value.dtype.kind == "f" and value.ndim <= 4:
                candidates.append(node.name)
        described.append(node)
    return Model(
        graph=LayerGraph(tuple(described)),
        candidates=tuple(candidates),
        passive=frozenset(),
        input_shape=shape,
        sampler=lambda layers, feed, reading: _sampler(
            run, {layer: tensor_of[layer] for layer in layers}, reading
        ),
        reference=lambda layers, images: {
            layer: Reference([values], units_of[layer])
            for layer, values in zip(
                layers, _values(run, images, [tensor_of[layer] for layer in layers]), strict=True
            )
        },
        freeze=lambda layers, images: _refuse(where),
    )


def _sampler(run: Runner, tensors: Mapping[str, Any], reading: Reading) -> Sampler:
    def sampler(
        images: npt.NDArray[Any], positions: npt.NDArray[np.float64], mask: Mask | None
    ) -> list[Sampled]:
        values = run(images, list(tensors.values()))
        return [
            sample(values[tensor], positions, layer, reading, mask)
            for layer, tensor in tensors.items()
        ]

    return sampler


def _values(
    run: Runner, images: npt.NDArray[Any], tensors: Sequence[Any]
) -> list[npt.NDArray[Any]]:
    found = run(images, tensors)
    return [found[tensor] for tensor in tensors]


def _refuse(where: str) -> FrozenGraph:
    raise NotRenderableError(
        f"{where} is run by an interpreter that computes no gradients; log the model that it was "
        f"made from"
    )


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
