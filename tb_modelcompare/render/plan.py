"""Which layers are rendered together, and at what size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tb_modelcompare.capture.receptive import ReceptiveField
from tb_modelcompare.capture.skeleton import skeleton_of
from tb_modelcompare.errors import NotRenderableError
from tb_modelcompare.render.frozen import FrozenModel, subgraph

MAX_SIZE = 1024


@dataclass(frozen=True)
class SizedLayer:
    """At what size a layer is rendered, and how many units it has.

    `is_fixed`: it can be computed at the model's own size alone.
    """

    name: str
    height: int
    width: int
    units: int
    is_fixed: bool


@dataclass(frozen=True)
class Stage:
    """Steps at one size, of a picture that grows. `first` is the number of steps before it."""

    height: int
    width: int
    first: int
    steps: int


# A picture begins at half its size, or a quarter of it, if that leaves these pixels.
SMALLEST = 96
# Steps at the first size, at twice, and at four times of it, as shares of the steps asked for: a
# step of twice the size takes four times as long, and starts from what was found before.
_SHARES = (1, 3 / 8, 3 / 16)


def stages(height: int, width: int, steps: int) -> list[Stage]:
    """A small picture first, then each time one of twice its size, up to the one asked for.

    A picture of half the size has the same stages without the last one. So it is what the larger
    one continues from.

    Examples
    --------
    >>> [(stage.height, stage.steps) for stage in stages(384, 384, 128)]
    [(96, 128), (192, 48), (384, 24)]
    """
    count = min(len(_SHARES), 1 + int(np.log2(max(1, max(height, width) / SMALLEST))))
    each = [max(1, round(steps * share)) for share in _SHARES[:count]]
    return [
        Stage(max(1, height >> k), max(1, width >> k), sum(each[:i]), each[i])
        for i, k in enumerate(range(count - 1, -1, -1))
    ]


def former_sizes(size: int) -> list[int]:
    """Pixels of the sides of pictures that one of `size` can continue from, the largest first."""
    return [stage.height for stage in reversed(stages(size, size, 1)[:-1])]


# A side at which the units of a layer have room, by how far apart its positions are at least.
_SIDES = ((32, 4 * SMALLEST), (8, 2 * SMALLEST), (0, SMALLEST))
# The middle of a receptive field counts most: about this share of it on a side.
_SEEN = 1 / 4


def auto_size(field: ReceptiveField | None) -> int:
    """Pixels of a side that a layer's units need: 96, 192 or 384.

    It is 192 where positions are at least 8 pixels apart, 384 where at least 32, and more if a
    quarter of what a position sees does not fit. Without a receptive field, as for layers that see
    all of an image, it is 192.

    Parameters
    ----------
    field : ReceptiveField or None
        Of the layer, as it was logged.

    Returns
    -------
    int
    """
    if field is None:
        return 2 * SMALLEST
    side = next(side for stride, side in _SIDES if max(field.stride) >= stride)
    while side < min(_SEEN * max(field.size), _SIDES[0][1]):
        side *= 2
    return side


# A picture for a layer of fewer positions than this on a side ...
_FEW_POSITIONS = 5
# ... is made larger where these do not cover this share of it, ...
_COVERED = 0.8
# ... by this much, up to a multiple of what most networks reduce their input by.
_LARGER = 5 / 3
_STRIDE = 32


def sized_layers(
    model: FrozenModel, graph_def: Any, layers: Sequence[str], height: int, width: int
) -> list[SizedLayer]:
    """Size for each layer: height × width, more where it sees too little of that, or fixed.

    A convolutional layer can be computed on a picture of any size. A layer behind a flatten
    or a position embedding only on the size that the model was made for. TensorFlow's shape
    inference tells them apart, on a skeleton of the graph without its weights.

    Convolutions that do not pad lose a border each. A deep layer of a network of these has few
    positions left of a small picture, all in its middle: what it draws there is speckled, and
    sharp on a larger one. With padding three positions are enough.

    Raises
    ------
    NotRenderableError
        A layer can be computed at no size.
    """
    skeleton = skeleton_of(graph_def)
    own_height, own_width, _ = model.input_shape
    sized = []
    found = _shapes(model, skeleton, layers, height, width)
    sparse = [layer for layer in layers if _is_sparse(found[layer])]
    larger = _larger(height), _larger(width)
    if max(larger) > MAX_SIZE:
        sparse = []
    wider = _shapes(model, skeleton, sparse, *larger) if sparse else {}
    for layer in layers:
        shape = found[layer]
        if shape is not None:
            size = height, width
            if layer in wider and _loses_border(shape, wider[layer], size, larger):
                size = larger
            sized.append(SizedLayer(layer, *size, shape.units, is_fixed=False))
            continue
        if own_height is None or own_width is None:
            raise NotRenderableError(
                f"layer {layer!r} cannot be computed on a picture of {height}×{width}, and the "
                "model does not say which size it takes; try a larger size"
            )
        shape = _shapes(model, skeleton, [layer], own_height, own_width)[layer]
        if shape is None:
            raise NotRenderableError(
                f"layer {layer!r} is not a batch of unit vectors or maps (batch, …, units), so no "
                "direction can be rendered in it"
            )
        sized.append(SizedLayer(layer, own_height, own_width, shape.units, is_fixed=True))
    return sized


@dataclass(frozen=True)
class _Shape:
    """A layer's units, and the map that they are on; of a layer without one, the last before."""

    units: int
    map_size: tuple[int, int] | None


def _larger(side: int) -> int:
    return -(-round(side * _LARGER) // _STRIDE) * _STRIDE


def _is_sparse(shape: _Shape | None) -> bool:
    return shape is not None and shape.map_size is not None and min(shape.map_size) < _FEW_POSITIONS


def _loses_border(
    shape: _Shape, wider: _Shape | None, size: tuple[int, int], larger: tuple[int, int]
) -> bool:
    """Whether the positions, each as wide as one step of the layer, leave much of a picture out."""
    if wider is None or wider.map_size is None or shape.map_size is None:
        return False
    for few, more, side, wide in zip(shape.map_size, wider.map_size, size, larger, strict=True):
        if few < more and few * (wide - side) / (more - few) < _COVERED * side:
            return True
    return False


def _shapes(
    model: FrozenModel, skeleton: Any, layers: Sequence[str], height: int, width: int
) -> dict[str, _Shape | None]:
    """Shape of each layer on a picture of that size; None where it cannot be computed."""
    import tensorflow

    tf = tensorflow.compat.v1
    found: dict[str, _Shape | None] = {}
    with tf.Graph().as_default():
        picture = tf.placeholder(tf.float32, (1, height, width, model.input_shape[2]))
        names = [_tensor(model, layer) for layer in layers]
        try:
            tensors = tf.import_graph_def(skeleton, {model.input: picture}, names, name="")
        except ValueError:
            tensors = None
        if tensors is not None:
            return {
                layer: _shape(tensor, picture)
                for layer, tensor in zip(layers, tensors, strict=True)
            }
    if len(layers) == 1:
        return {layers[0]: None}
    for layer in layers:
        part = subgraph(skeleton, [model.tensor(layer)])
        found.update(_shapes(model, part, [layer], height, width))
    return found


def _shape(tensor: Any, picture: Any) -> _Shape | None:
    units = _unit_count(tensor.shape)
    return None if units is None else _Shape(units, _map_size(tensor, picture))


def _map_size(tensor: Any, picture: Any) -> tuple[int, int] | None:
    """The nearest map on the way to the picture, the tensor's own where it is one."""
    seen = {tensor.name}
    waiting = [tensor]
    for one in waiting:
        shape = one.shape
        if shape.rank == 4 and None not in shape.as_list() and one is not picture:
            return int(shape[1]), int(shape[2])
        for before in one.op.inputs:
            if before.name not in seen:
                seen.add(before.name)
                waiting.append(before)
    return None


def _tensor(model: FrozenModel, layer: str) -> str:
    name = model.tensor(layer)
    return name if ":" in name else f"{name}:0"


def _unit_count(shape: Any) -> int | None:
    """Units of (1, …, units); None for any other or an empty shape.

    A reshape to (-1, units) that was made for another size turns up as a batch other than 1.
    """
    if shape.rank is None or shape.rank < 2:
        return None
    sizes = shape.as_list()
    if sizes[0] not in (1, None) or sizes[-1] is None or 0 in sizes:
        return None
    return int(sizes[-1])


@dataclass(frozen=True)
class LayerBatch:
    """Layers of similar depth that are rendered in one program."""

    members: tuple[int, ...]
    layers: tuple[str, ...]
    height: int
    width: int


# About what a batch's activations and their gradients take: 16 pictures of 96×96.
_BATCH_PIXELS = 16 * 96 * 96
# Shallow pictures skip the deep layers of the network only if they are not in one batch.
_BATCH_LAYERS = 4


def batches(
    sized: Mapping[int, SizedLayer], model: FrozenModel, graph_def: Any
) -> list[LayerBatch]:
    """Pictures, by their numbers, of one size and similar depth together, shallow ones first."""
    depth = _depths(graph_def)

    def order(i: int) -> tuple[int, int, int]:
        p = sized[i]
        return p.height, p.width, depth[model.tensor(p.name).partition(":")[0]]

    found: list[LayerBatch] = []
    sizes: dict[tuple[int, int], list[int]] = {}
    for i in sorted(sized, key=order):
        sizes.setdefault(order(i)[:2], []).append(i)
    for (height, width), members in sizes.items():
        most = max(1, _BATCH_PIXELS // (height * width))
        count = max(-(-len(members) // most), min(3, -(-len(members) // _BATCH_LAYERS)))
        for k in range(count):
            chosen = members[k * len(members) // count : (k + 1) * len(members) // count]
            layers = tuple(sized[i].name for i in chosen)
            found.append(LayerBatch(tuple(chosen), layers, height, width))
    return found


def _depths(graph_def: Any) -> dict[str, int]:
    """Longest path from any source to each node."""
    inputs = {
        node.name: [name.removeprefix("^").partition(":")[0] for name in node.input]
        for node in graph_def.node
    }
    depth: dict[str, int] = {}
    for start in inputs:
        waiting = [start]
        while waiting:
            name = waiting[-1]
            open_inputs = [i for i in inputs[name] if i not in depth]
            if open_inputs:
                waiting += open_inputs
                continue
            depth[name] = 1 + max((depth[i] for i in inputs[name]), default=0)
            waiting.pop()
    return depth
