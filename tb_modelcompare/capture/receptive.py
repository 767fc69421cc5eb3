"""Which part of the image a position of a layer sees, found in the frozen graph while logging.

Convolutions and poolings widen and shift a window; ops that look at one position leave it. Whatever
else mixes positions (a mean over the map, a matrix product, a reshape) may see the whole image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from tb_modelcompare.capture.contract import FrozenGraph
from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.graph.graph_def import behind_identities, graph_def_class, tensor_values
from tb_modelcompare.graph.inline import inlined

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
    """What the positions of a layer see of an input image (height, width), in its pixels.

    Per axis, position i sees [start + i · stride, start + i · stride + size).
    """

    image: tuple[int, int]
    start: tuple[int, int]
    stride: tuple[int, int]
    size: tuple[int, int]

    def box(self, position: tuple[int, int]) -> tuple[float, ...]:
        """(top, left, height, width) as shares of the image, cut off at its border."""
        corner, extent = [], []
        for axis in (0, 1):
            low = self.start[axis] + position[axis] * self.stride[axis]
            high = low + self.size[axis]
            low, high = max(low, 0), min(high, self.image[axis])
            corner.append(low / self.image[axis])
            extent.append(max(high - low, 0) / self.image[axis])
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


def receptive_fields(frozen: FrozenGraph) -> dict[str, ReceptiveField]:
    """The window that each layer sees around each of its positions, in one walk.

    Layers are left out that see all of the image, or of which it is not known: behind an op that
    is not followed here, or where the model takes images of any size.

    Raises
    ------
    CorruptSnapshotError
        If a window, a padding or a function is invalid, or nodes read each other in a circle.
    NotRenderableError
        If the graph is beyond any network's size.
    """
    height, width, _ = frozen.input_shape
    if height is None or width is None:
        return {}
    graph = graph_def_class()()
    graph.ParseFromString(frozen.graph_def)
    nodes = {node.name: node for node in inlined(graph).node}
    maps: dict[str, tuple[_Axis, _Axis] | None] = {
        frozen.input: (_Axis(height, 0, 1, 1), _Axis(width, 0, 1, 1))
    }
    inputs = {name: [one for one in _sources(node) if one in nodes] for name, node in nodes.items()}
    try:
        for current in TopologicalSorter(inputs).static_order():
            seeing = [maps[source] for source in inputs[current] if source in maps]
            if seeing and current not in maps:
                maps[current] = _behind(nodes[current], seeing, nodes)
    except CycleError as error:
        raise CorruptSnapshotError(
            f"nodes of the frozen graph read each other in a circle: {error.args[1]!r:.200}"
        ) from error
    fields = {}
    for layer, tensor in frozen.tensors.items():
        found = maps.get(tensor.partition(":")[0])
        if found is not None:
            v, u = found
            fields[layer] = ReceptiveField(
                (height, width), (v.start, u.start), (v.stride, u.stride), (v.size, u.size)
            )
    return fields


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
