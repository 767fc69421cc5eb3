"""A frozen graph out of a log directory: read, judged by parsing alone, cut to size.

Nothing here runs a graph or imports TensorFlow, so that the server can refuse a job
before it is queued. TensorBoard's own copy of the protocol buffers does the parsing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tb_modelcompare.capture.receptive import ReceptiveField
from tb_modelcompare.errors import CorruptSnapshotError, MissingAssetError, NotRenderableError
from tb_modelcompare.errors.checks import first_named
from tb_modelcompare.graph.graph_def import graph_def_class
from tb_modelcompare.graph.inline import inlined
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.render.grouped import differentiable_convolution

if TYPE_CHECKING:
    from tb_modelcompare.log.reader import Snapshot

# A protocol buffer cannot be larger.
_MAX_BYTES = 2**31 - 1
# Far beyond any network: a graph may come from anyone, and everything below is linear in these.
MAX_FROZEN_NODES = 200_000
_MAX_INPUTS = 2_000_000

# Ops that only compute: no file, network, Python, debugging, printing, random state,
# queue, variable, loop or dynamic library. Whatever is not here is refused.
ALLOWED_OPS = frozenset(
    """
    Abs Add AddN AddV2 All Any ArgMax AvgPool BatchMatMul BatchMatMulV2 BatchMatMulV3
    BatchToSpaceND BiasAdd BiasAddV1 BroadcastArgs BroadcastTo Cast Ceil ClipByValue Concat
    ConcatV2 Const Conv2D Conv2DBackpropInput Cumsum DepthToSpace DepthwiseConv2dNative Div
    DivNoNan Einsum Elu EnsureShape Equal Erf Erfc Exp ExpandDims Expm1 Fill Floor FloorDiv
    FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd GatherV2 Greater
    GreaterEqual Identity IdentityN InvertPermutation L2Loss LRN LeakyRelu Less LessEqual Log
    Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool MaxPoolV2 Maximum Mean
    Min Minimum MirrorPad Mul MulNoNan Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2
    Placeholder PlaceholderWithDefault Pow Prod Range Rank
    RealDiv Reciprocal Relu Relu6 Reshape ResizeBilinear ResizeNearestNeighbor Reverse ReverseV2
    Roll Round Rsqrt Select SelectV2 Selu Shape ShapeN Sigmoid Sign Size Slice Softmax
    Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square SquaredDifference
    Squeeze StopGradient StridedSlice Sub Sum Tanh Tile
    Transpose Unpack Xdivy Xlogy ZerosLike
    """.split()  # noqa: SIM905 (hundreds of quotes would hide the names)
)

# Those of them through which no gradient flows to their inputs, or only zeros.
NO_GRADIENT_OPS = frozenset(
    """
    All Any ArgMax BroadcastArgs Ceil Const Equal Floor FloorDiv Greater GreaterEqual
    InvertPermutation Less LessEqual LogicalAnd LogicalNot LogicalOr NoOp NotEqual OneHot OnesLike
    Range Rank Round Shape ShapeN Sign Size StopGradient ZerosLike
    """.split()  # noqa: SIM905
)
_FLOATING = frozenset({1, 2, 14, 19})  # DT_FLOAT, DT_DOUBLE, DT_BFLOAT16, DT_HALF


@dataclass(frozen=True)
class FrozenModel:
    """Where a model's frozen graph is, and what is needed to run it.

    Attributes
    ----------
    path, sha256
        The GraphDef file and its digest, checked before it is used.
    input : str
        Name of the placeholder.
    input_shape : (height, width, channels)
        Height and width are None where the model takes any size.
    tensors : mapping
        From a layer's name to its output tensor.
    preprocessing : Preprocessing
        From RGB (or grey) in [0, 1] to what the placeholder wants.
    receptive_fields : mapping
        What the positions of a layer see, of layers of which it was logged.
    """

    path: Path
    sha256: str
    input: str
    input_shape: tuple[int | None, int | None, int]
    tensors: Mapping[str, str]
    preprocessing: Preprocessing
    receptive_fields: Mapping[str, ReceptiveField] = field(default_factory=dict)

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot) -> FrozenModel:
        """The frozen graph that was logged with `snapshot`.

        Raises
        ------
        NotRenderableError
            If it was logged without one.
        """
        frozen = snapshot.index["frozen"]
        if frozen is None:
            raise NotRenderableError(
                f"snapshot {snapshot.id} has no frozen graph, so nothing can be rendered: "
                f"{snapshot.why_no_frozen_graph}"
            )
        height, width, channels = frozen["input_shape"]
        return cls(
            path=snapshot.frozen_graph_path(),
            sha256=frozen["asset"]["sha256"],
            input=frozen["input"],
            input_shape=(height, width, channels),
            tensors=dict(frozen["tensors"]),
            preprocessing=snapshot.preprocessing or Preprocessing(),
            receptive_fields={
                one.name: one.receptive_field
                for one in snapshot.layers
                if one.receptive_field is not None
            },
        )

    def tensor(self, layer: str) -> str:
        """Name of the output tensor of `layer`.

        Raises
        ------
        NotRenderableError
            If the frozen graph has no such layer.
        """
        if layer not in self.tensors:
            raise NotRenderableError(
                f"layer {layer!r} is not in the frozen graph; it has {_some(self.tensors)}"
            )
        return self.tensors[layer]


def check_renderable(model: FrozenModel, layers: Sequence[str]) -> None:
    """Refuse, by parsing alone, what we would not or could not render.

    Raises
    ------
    NotRenderableError
        A layer is unknown or does not depend on the image, or an op on the way to it is not on
        the allowlist or has no gradient; the op and its node are named.
    MissingAssetError, CorruptSnapshotError
        The file is absent, or is not the GraphDef that was logged.
    """
    pruned_graph(model, layers, graph_def_class())


def pruned_graph(model: FrozenModel, layers: Sequence[str], graph_def_type: Any) -> Any:
    """The part of the frozen graph that `layers` need, checked as in `check_renderable`.

    `graph_def_type` is TensorBoard's or TensorFlow's GraphDef class. Device placement and
    private attributes (custom gradients, colocation) are dropped.
    """
    _, _, channels = model.input_shape
    if channels not in (1, 3):
        raise NotRenderableError(
            f"the model's input has {channels} channels; only grey (1) and RGB (3) can be rendered"
        )
    content = _read(model)
    whole = graph_def_type()
    try:
        whole.ParseFromString(content)
    except Exception as error:  # each protobuf backend has a DecodeError of its own
        raise CorruptSnapshotError(f"{model.path} is not a GraphDef: {error}") from error
    if all(node.name != model.input for node in whole.node):
        raise CorruptSnapshotError(f"the frozen graph lacks its input {model.input!r}")
    flat = inlined(subgraph(whole, [model.input, *map(model.tensor, layers)]))
    require_ordered(flat.node)
    nodes = {node.name: node for node in flat.node}
    functions = {function.signature.name: function for function in flat.library.function}
    seeing = readers_of(flat, model.input)
    followed = readers_of(flat, model.input, _stops_gradients)
    for layer in layers:
        name = node_name(model.tensor(layer))
        if name not in seeing:
            raise NotRenderableError(f"layer {layer!r} does not depend on the image")
        if name not in followed:
            _refuse_without_gradient(nodes, model, layer, seeing)
    if nodes[model.input].op not in ("Placeholder", "PlaceholderWithDefault"):
        raise NotRenderableError(f"the frozen graph's input {model.input!r} is not a placeholder")

    needed = _ancestors(nodes, [node_name(model.tensor(layer)) for layer in layers])
    kept = graph_def_type()
    kept.versions.CopyFrom(whole.versions)
    for node in flat.node:
        if len(kept.node) > MAX_FROZEN_NODES:
            raise NotRenderableError(f"the frozen graph has more than {MAX_FROZEN_NODES} nodes")
        if node.name not in needed:
            continue
        if node.op == "Placeholder" and node.name != model.input:
            raise NotRenderableError(f"the layers also depend on another input, {node.name!r}")
        if "_XlaMustCompile" in node.attr and node.attr["_XlaMustCompile"].b:
            for part in _convolution(node, functions, nodes):
                _copy_clean(part, kept.node.add())
        elif node.op in ALLOWED_OPS:
            _copy_clean(node, kept.node.add())
        else:
            raise NotRenderableError(
                f"the frozen graph contains the op {node.op} (node {node.name!r}), which is not "
                "among those that we agree to run; nothing was run"
            )
    return kept


def subgraph(graph_def: Any, tensors: Sequence[str]) -> Any:
    """The nodes of `graph_def` that `tensors` depend on, with its functions."""
    needed = _ancestors({node.name: node for node in graph_def.node}, map(node_name, tensors))
    part = type(graph_def)()
    part.versions.CopyFrom(graph_def.versions)
    part.library.CopyFrom(graph_def.library)
    part.node.extend(node for node in graph_def.node if node.name in needed)
    return part


def _read(model: FrozenModel) -> bytes:
    try:
        size = model.path.stat().st_size
        if size > _MAX_BYTES:
            raise NotRenderableError(f"{model.path} has {size} bytes; a GraphDef has at most 2 GiB")
        content = model.path.read_bytes()
    except OSError as error:
        raise MissingAssetError(f"the frozen graph cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise CorruptSnapshotError(f"{model.path} is not the graph that was logged (sha256)")
    return content


def node_name(tensor: str) -> str:
    """The node that a tensor or a control input of a graph comes from."""
    return tensor.removeprefix("^").partition(":")[0]


def _refuse_without_gradient(
    nodes: Mapping[str, Any], model: FrozenModel, layer: str, seeing: Set[str]
) -> NoReturn:
    """Of a layer that no gradient leads from to the image: where it ends."""
    reached = _ancestors(nodes, [node_name(model.tensor(layer))], _stops_gradients)
    ends = [
        f"{nodes[name].op} (node {name!r})"
        for name in sorted(reached & seeing)
        if _stops_gradients(nodes[name])
    ]
    raise NotRenderableError(
        f"layer {layer!r} has no gradient to the image, which is what renders follow: it ends at "
        f"{_some(ends)}; choose a layer before that"
    )


def require_ordered(nodes: Iterable[Any]) -> None:
    """Refuse a graph whose nodes read each other in a circle, or are too many.

    Raises
    ------
    CorruptSnapshotError
        If there is a circle (frozen graphs have no loops), or two nodes have one name.
    NotRenderableError
        If there are more than `MAX_FROZEN_NODES` nodes, or ten times as many inputs.
    """
    inputs: dict[str, list[str]] = {}
    count = 0
    for node in nodes:
        if node.name in inputs:
            raise CorruptSnapshotError(f"the frozen graph has two nodes {node.name!r:.200}")
        count += len(node.input)
        if len(inputs) >= MAX_FROZEN_NODES or count > _MAX_INPUTS:
            raise NotRenderableError(
                f"the frozen graph has more than {MAX_FROZEN_NODES} nodes or {_MAX_INPUTS} inputs"
            )
        inputs[node.name] = [node_name(name) for name in node.input]
    try:
        TopologicalSorter(inputs).prepare()
    except CycleError as error:
        circle = error.args[1]
        raise CorruptSnapshotError(
            f"nodes of the frozen graph read each other in a circle of {len(circle) - 1}: "
            f"{' → '.join(circle[:10])}; log the model again"
        ) from error


def readers_of(
    graph: Any, source: str, stop: Callable[[Any], bool] = lambda node: False
) -> set[str]:
    """All nodes that depend on `source`, itself included; not looking behind or at a stop."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(node_name(name), []).append(node)
    seen, waiting = {source}, [source]
    while waiting:
        for node in readers.get(waiting.pop(), []):
            if node.name not in seen and not stop(node):
                seen.add(node.name)
                waiting.append(node.name)
    return seen


def _stops_gradients(node: Any) -> bool:
    """Whether the gradient ends here: by the op, or as integers have none."""
    return node.op in NO_GRADIENT_OPS or (
        node.op == "Cast" and node.attr["DstT"].type not in _FLOATING
    )


def _ancestors(
    nodes: Mapping[str, Any],
    names: Iterable[str],
    stop: Callable[[Any], bool] = lambda node: False,
) -> set[str]:
    """All nodes that `names` depend on, themselves included; not looking behind a stop."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        if name not in nodes:
            raise CorruptSnapshotError(f"the frozen graph lacks the node {name!r}")
        seen.add(name)
        if not stop(nodes[name]):
            waiting += map(node_name, nodes[name].input)
    return seen


def _convolution(node: Any, functions: Mapping[str, Any], nodes: Mapping[str, Any]) -> list[Any]:
    rewritten = differentiable_convolution(node, functions, nodes)
    if rewritten is None:
        raise NotRenderableError(
            f"node {node.name!r} is compiled by XLA, and such code has no gradient here"
        )
    return rewritten


def _copy_clean(node: Any, copy: Any) -> None:
    copy.CopyFrom(node)
    copy.device = ""
    _drop_private(copy.attr)


def _drop_private(attributes: Any) -> None:
    for name in [name for name in attributes if name.startswith("_")]:
        del attributes[name]


def _some(names: Iterable[str]) -> str:
    return first_named(sorted(names), 20)
