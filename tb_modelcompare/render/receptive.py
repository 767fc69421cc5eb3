"""Which part of the image a position of a layer sees, by parsing the frozen graph alone.

Convolutions and poolings widen and shift a window; ops that look at one position leave it. Whatever
else mixes positions (a mean over the map, a matrix product, a reshape) may see the whole image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.render.frozen import FrozenModel, pruned_graph, readers_of
from tb_modelcompare.render.graph_def import graph_def_class, tensor_values
from tb_modelcompare.render.grouped import behind_identities

_POINTWISE = frozenset(
    """
    Abs AddN AddV2 Add BiasAdd BiasAddV1 Cast ClipByValue Concat ConcatV2 Elu Erf Erfc Exp Expm1
    FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Identity IdentityN LRN LeakyRelu Log Log1p
    LogSoftmax Maximum Minimum Mul MulNoNan Neg Pow RealDiv Div Relu Relu6 Rsqrt Selu Sigmoid
    Softmax Softplus Softsign Split SplitV Sqrt Square SquaredDifference Sub Tanh
    """.split()  # noqa: SIM905 (hundreds of quotes would hide the names)
)
_WINDOWS = {"Conv2D": 1, "DepthwiseConv2dNative": 1, "MaxPool": 0, "AvgPool": 0}
_PADDINGS = (b"SAME", b"VALID", b"EXPLICIT")
# In pixels: far beyond any image, and numbers stay small however often they are multiplied.
_FARTHEST = 2**40


@dataclass(frozen=True)
class ReceptiveField:
    """Per axis (height, width), in pixels of the model's input: position i sees
    [start + i * stride, start + i * stride + size)."""

    start: tuple[float, float]
    stride: tuple[float, float]
    size: tuple[float, float]

    def box(self, position: tuple[int, int], image: tuple[int, int]) -> tuple[float, ...]:
        """(top, left, height, width) as shares of the image, cut off at its border."""
        corner, extent = [], []
        for axis in (0, 1):
            low = self.start[axis] + position[axis] * self.stride[axis]
            high = low + self.size[axis]
            low, high = max(low, 0.0), min(high, float(image[axis]))
            corner.append(low / image[axis])
            extent.append(max(high - low, 0.0) / image[axis])
        return (*corner, *extent)


@dataclass(frozen=True)
class _Axis:
    """One axis of a map: its length, and what position 0 and each further position see."""

    length: int
    start: int
    stride: int
    size: int

    def __post_init__(self) -> None:
        if self.length < 1 or max(abs(self.start), self.stride, self.size) > _FARTHEST:
            raise CorruptSnapshotError(
                f"a map of the frozen graph has {self.length} positions, each of which sees "
                f"{self.size:.3g} pixels; log the model again"
            )

    def after(self, kernel: int, stride: int, padding: bytes, explicit: Sequence[int]) -> _Axis:
        """Behind a window of `kernel` positions that moves by `stride`."""
        if padding == b"SAME":
            length = -(-self.length // stride)
            before = max((length - 1) * stride + kernel - self.length, 0) // 2
        else:
            before, behind = explicit
            length = (self.length + before + behind - kernel) // stride + 1
        return _Axis(
            length,
            self.start - before * self.stride,
            self.stride * stride,
            self.size + (kernel - 1) * self.stride,
        )


def receptive_field(model: FrozenModel, layer: str) -> ReceptiveField | None:
    """The window that `layer` sees around each of its positions.

    None if that is all of the image, or not known: behind an op that is not followed here, or
    where the model takes images of any size.

    Raises
    ------
    NotRenderableError, MissingAssetError, CorruptSnapshotError
        As `check_renderable`; CorruptSnapshotError also where a window or a padding is invalid.
    """
    height, width, _ = model.input_shape
    if height is None or width is None:
        return None
    graph = pruned_graph(model, [layer], graph_def_class())
    nodes = {node.name: node for node in graph.node}
    maps: dict[str, tuple[_Axis, _Axis] | None] = {
        model.input: (_Axis(height, 0, 1, 1), _Axis(width, 0, 1, 1))
    }
    seeing = readers_of(graph, model.input)
    name = model.tensor(layer).partition(":")[0]
    inputs = {node.name: _sources(node) for node in graph.node if node.name in seeing}
    for current in TopologicalSorter(inputs).static_order():
        if current in seeing and current not in maps:
            sources = [maps[source] for source in inputs[current] if source in seeing]
            maps[current] = _behind(nodes[current], sources, nodes)
    found = maps[name]
    if found is None:
        return None
    v, u = found
    return ReceptiveField((v.start, u.start), (v.stride, u.stride), (v.size, u.size))


def _sources(node: Any) -> list[str]:
    return [name.partition(":")[0] for name in node.input if not name.startswith("^")]


def _behind(
    node: Any, before: Sequence[tuple[_Axis, _Axis] | None], nodes: Mapping[str, Any]
) -> tuple[_Axis, _Axis] | None:
    """The map that a node makes of those that it reads."""
    known = [one for one in before if one is not None]
    if len(known) < len(before) or not known:
        return None
    if node.op in _WINDOWS:
        return _behind_window(node, known[0], nodes)
    if node.op == "Pad":
        widths = _constant(node, nodes)
        return None if widths is None else _padded(known[0], widths)
    if node.op not in _POINTWISE:
        return None
    union = known[0]
    for other in known[1:]:
        if any(p.stride != q.stride for p, q in zip(union, other, strict=True)):
            return None
        union = (_union(union[0], other[0]), _union(union[1], other[1]))
    return union


def _union(p: _Axis, q: _Axis) -> _Axis:
    start = min(p.start, q.start)
    size = max(p.start + p.size, q.start + q.size) - start
    return _Axis(p.length, start, p.stride, size)


def _behind_window(
    node: Any, map_: tuple[_Axis, _Axis], nodes: Mapping[str, Any]
) -> tuple[_Axis, _Axis] | None:
    if node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    if _WINDOWS[node.op]:
        kernel = behind_identities(_source(node, 1), nodes)
        if kernel is None or kernel.op != "Const":
            return None
        sizes = [d.size for d in kernel.attr["value"].tensor.tensor_shape.dim][:2]
        dilations = list(node.attr["dilations"].list.i)[1:3] or [1, 1]
    else:
        sizes = list(node.attr["ksize"].list.i)[1:3]
        dilations = [1, 1]
    strides = list(node.attr["strides"].list.i)[1:3]
    padding = node.attr["padding"].s
    explicit = list(node.attr["explicit_paddings"].list.i)[2:6]
    if padding != b"EXPLICIT":
        explicit = [0, 0, 0, 0]
    if (
        padding not in _PADDINGS
        or len(explicit) != 4
        or any(pad < 0 for pad in explicit)
        or any(len(two) != 2 or min(two) < 1 for two in (sizes, strides, dilations))
    ):
        raise CorruptSnapshotError(
            f"node {node.name!r:.200} of the frozen graph ({node.op}) has no valid window: "
            f"size {sizes}, strides {strides}, dilations {dilations}, padding {padding!r:.50} "
            f"{explicit}; log the model again"
        )
    v, u = (
        axis.after(
            (sizes[i] - 1) * dilations[i] + 1, strides[i], padding, explicit[2 * i : 2 * i + 2]
        )
        for i, axis in enumerate(map_)
    )
    return v, u


def _padded(map_: tuple[_Axis, _Axis], widths: Sequence[int]) -> tuple[_Axis, _Axis]:
    v, u = (
        _Axis(
            axis.length + widths[2 * i] + widths[2 * i + 1],
            axis.start - widths[2 * i] * axis.stride,
            axis.stride,
            axis.size,
        )
        for i, axis in enumerate(map_)
    )
    return v, u


def _constant(node: Any, nodes: Mapping[str, Any]) -> list[int] | None:
    """Paddings before and behind height and width, where a Pad's are a constant (4, 2)."""
    constant = nodes.get(_source(node, 1))
    if constant is None or constant.op != "Const":
        return None
    tensor = constant.attr["value"].tensor
    if [dim.size for dim in tensor.tensor_shape.dim] != [4, 2]:  # before numpy makes room for it
        return None
    try:
        widths = [int(width) for width in tensor_values(tensor)[1:3].ravel()]
    except (TypeError, ValueError) as error:
        raise CorruptSnapshotError(
            f"the constant {constant.name!r:.200} of the frozen graph is malformed ({error})"
        ) from error
    if min(widths) < 0:
        raise CorruptSnapshotError(f"node {node.name!r:.200} of the frozen graph pads by {widths}")
    return widths


def _source(node: Any, number: int) -> str:
    """The name of input `number` of a node, whose op must have so many."""
    sources = _sources(node)
    if number >= len(sources):
        raise CorruptSnapshotError(
            f"node {node.name!r:.200} of the frozen graph ({node.op}) has {len(sources)} inputs; "
            f"log the model again"
        )
    return sources[number]
