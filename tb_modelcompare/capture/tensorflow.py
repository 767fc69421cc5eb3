"""TensorFlow's files: frozen GraphDefs (.pb) and SavedModel directories.

The user gives the file to be logged, so it is loaded and run in this process. Nothing here is
ever applied to a log directory.
"""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tb_modelcompare.capture.checking import Reference
from tb_modelcompare.capture.contract import Framework, Model, has_suffix
from tb_modelcompare.capture.skeleton import large_constants, skeleton_of
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.graph import LayerGraph, Node, kind_of

_ACCEPTED = (
    "give a frozen .pb file or a SavedModel directory, or a .keras, .h5, .tflite or .onnx file"
)

# Their results do not depend on the image's values.
_METADATA_OPS = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
_BIAS_OPS = frozenset({"BiasAdd", "BiasAddV1", "Add", "AddV2"})
_RESHAPING_OPS = frozenset({"Reshape", "Squeeze", "BatchToSpaceND"})
_JOINS = frozenset({"concat", "add"})
_LAYER_KINDS = frozenset({"conv", "dense", "pool", "norm", "activation"}) | _JOINS
# Shapes are inferred at this size where a graph takes any …
_ANY_SIZE = 224
# … and for so many images: an output of another length is no row per image.
_BATCH = 13


@dataclass(frozen=True)
class ListedLayer:
    """What is known of a layer beside its graph: how many units it has, and its tags."""

    units: int
    tags: tuple[str, ...]


@dataclass(frozen=True)
class GraphFile:
    """The file of a frozen GraphDef, with what the file itself may not say.

    Attributes
    ----------
    path : Path
    input : str or None
        The name of the placeholder for images; None where the graph has one alone.
    size : (int, int) or None
        Height and width of the images where the placeholder takes any.
    layers : mapping of str to ListedLayer
        These ops are layers under their own names whatever they are, and their nodes have tags.
    """

    path: Path
    input: str | None = None
    size: tuple[int, int] | None = None
    layers: Mapping[str, ListedLayer] = field(default_factory=dict)


def _is_ours(model: Any) -> bool:
    if isinstance(model, GraphFile):
        return True
    # Whatever directory is given can only be a SavedModel.
    is_directory = isinstance(model, Path) and model.is_dir()
    return is_directory or has_suffix(model, ".pb", ".pbtxt", ".graphdef")


def open_file(file: Path | GraphFile) -> Model:
    """A SavedModel directory or the file of a GraphDef, opened for capture.

    Raises
    ------
    ModelFileError
        If it is none, or TensorFlow cannot load it.
    """
    if isinstance(file, GraphFile):
        return _open_graph_def(read_graph_def(file.path), file)
    path = file
    if path.name in ("saved_model.pb", "saved_model.pbtxt"):
        path = path.parent
    if path.is_dir():
        return _open_saved_model(path)
    return _open_graph_def(read_graph_def(path), GraphFile(path))


FRAMEWORK = Framework(
    opens=_is_ours,
    open=lambda file, feed: open_file(file),
    files=("a frozen .pb file", "a SavedModel directory"),
)


def read_graph_def(path: Path) -> Any:
    """The GraphDef of a file, in binary or as text.

    Raises
    ------
    ModelFileError
        If the file holds none.
    """
    import tensorflow as tf
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError

    graph_def = tf.compat.v1.GraphDef()
    try:
        if path.suffix == ".pbtxt":
            text_format.Parse(path.read_text(encoding="utf-8"), graph_def)
        else:
            graph_def.ParseFromString(path.read_bytes())
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path} is no GraphDef ({error}); {_ACCEPTED}") from error
    if not any(node.op and node.name for node in graph_def.node):
        raise ModelFileError(f"{path} is no GraphDef, or an empty one; {_ACCEPTED}")
    return graph_def


def _open_saved_model(path: Path) -> Model:
    if not any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise ModelFileError(f"directory {path} holds no saved_model.pb; {_ACCEPTED}")
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    try:
        loaded = tf.saved_model.load(str(path))
        signatures = dict(loaded.signatures)
        name = next(n for n in ("serving_default", "serve", *signatures) if n in signatures)
        frozen = convert_variables_to_constants_v2(signatures[name])
    except StopIteration:
        raise ModelFileError(
            f"SavedModel {path} has no signature to call; save it with model.export(…)"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, tf.errors.OpError) as error:
        raise ModelFileError(f"TensorFlow cannot load SavedModel {path}: {error}") from error
    return _open_graph_def(frozen.graph.as_graph_def(), GraphFile(path))


@dataclass(frozen=True)
class _Step:
    """An op that is a layer: its node, and the op whose output is the layer's value."""

    node: Node
    tensor: str


def _open_graph_def(graph_def: Any, file: GraphFile) -> Model:
    import tensorflow as tf

    from tb_modelcompare.capture.tracing import freeze_function, sample_function

    where = str(file.path)
    placeholder = _image_placeholder(graph_def, where, file.input)
    sizes = [dim.size if dim.size > 0 else None for dim in placeholder.attr["shape"].shape.dim] or [
        None
    ] * 4
    channels = sizes[3] or 3
    if channels not in (1, 3):
        raise ModelFileError(f"{where} takes {channels} channels and a probe has 1 or 3")
    height, width = file.size or (None, None)
    shape = (sizes[1] or height, sizes[2] or width, channels)

    skeleton = skeleton_of(graph_def)

    @functools.cache
    def weights() -> dict[str, Any]:
        """The large constants as tensors, which a function refers to and does not copy."""
        large = large_constants(graph_def)
        with tf.init_scope():  # outside of the function that is being traced
            return {name: tf.constant(tf.make_ndarray(one)) for name, one in large.items()}

    def values(
        graph: Any, images: Any, tensors: Mapping[str, str], constants: Mapping[str, Any]
    ) -> dict[str, Any]:
        found = tf.graph_util.import_graph_def(
            graph,
            input_map={
                placeholder.name: images,
                **{name: tf.identity(one) for name, one in constants.items()},
            },
            return_elements=[f"{tensor}:0" for tensor in tensors.values()],
            name="",
        )
        return dict(zip(tensors, found, strict=True))

    steps = _steps(graph_def, placeholder.name, file.layers)
    if len(steps) < 2:
        raise ModelFileError(f"{where} computes nothing from its input {placeholder.name!r}")
    if not file.layers:
        steps = _without_common_scope(steps)
    tensors = {step.node.name: step.tensor for step in steps[1:]}
    with tf.Graph().as_default():
        size = (_BATCH, shape[0] or _ANY_SIZE, shape[1] or _ANY_SIZE, channels)
        try:
            traced = values(skeleton, tf.compat.v1.placeholder(tf.float32, size), tensors, {})
        except (ValueError, tf.errors.OpError) as error:
            raise ModelFileError(f"TensorFlow refuses the graph in {where}: {error}") from error
    nodes = [steps[0].node]
    candidates = []
    for step in steps[1:]:
        tensor = traced[step.node.name]
        node = _with_shape(step.node, tensor)
        nodes.append(node)
        if tensor.dtype.is_floating and node.shape is not None and len(node.shape) <= 3:
            candidates.append(node.name)
    nodes = _tagged(nodes, file)
    return Model(
        graph=LayerGraph(tuple(nodes)),
        candidates=tuple(candidates),
        passive=frozenset(),
        input_shape=shape,
        sampler=lambda layers, feed, reading: sample_function(
            lambda images: values(
                skeleton, images, {layer: tensors[layer] for layer in layers}, weights()
            ),
            layers,
            feed,
            reading,
        ),
        reference=lambda layers, images: _reference(
            skeleton,
            {layer: tensors[layer] for layer in layers},
            {placeholder.name: images, **{name: one.numpy() for name, one in weights().items()}},
        ),
        freeze=lambda layers, _: freeze_function(
            lambda images: values(
                graph_def, images, {layer: tensors[layer] for layer in layers}, {}
            ),
            shape,
        ),
    )


def _reference(
    graph_def: Any, tensors: Mapping[str, str], fed: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Reference]:
    """What a session of the graph itself gives; nothing where it needs more than its constants."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        fetches = {layer: f"{tensor}:0" for layer, tensor in tensors.items()}
        with tf.compat.v1.Session(graph=graph) as session:
            try:
                found = session.run(fetches, {f"{name}:0": value for name, value in fed.items()})
            except tf.errors.OpError:
                return {}
    return {layer: Reference([value]) for layer, value in found.items()}


def _tagged(nodes: Sequence[Node], file: GraphFile) -> list[Node]:
    """The nodes with the tags of the listed layers. A warning says where list and file differ."""
    units = {node.name: node.units for node in nodes}
    problems = [
        f"{name} is not there" if name not in units else f"{name} has {units[name]} units, not {n}"
        for name, n in ((name, listed.units) for name, listed in file.layers.items())
        if units.get(name) != n
    ]
    if problems:
        warnings.warn(
            f"{file.path} is not quite what is known of it: {', '.join(problems[:5])} "
            f"({len(problems)} of {len(file.layers)} layers)",
            stacklevel=2,
        )
    return [
        replace(node, tags=file.layers[node.name].tags) if node.name in file.layers else node
        for node in nodes
    ]


def _image_placeholder(graph_def: Any, where: str, name: str | None) -> Any:
    import tensorflow as tf

    inputs = [node for node in graph_def.node if node.op == "Placeholder"]
    images = [
        node
        for node in inputs
        if node.attr["dtype"].type == tf.float32.as_datatype_enum
        and len(node.attr["shape"].shape.dim) in (0, 4)
        and name in (None, node.name)
    ]
    if len(images) != 1:
        described = ", ".join(f"{n.name} ({len(n.attr['shape'].shape.dim)}-d)" for n in inputs)
        raise ModelFileError(
            f"{where} should have one placeholder{f' {name!r}' if name else ''} for float32 images "
            f"(n, h, w, 1 or 3); it has {described or 'no placeholder at all'}"
        )
    return images[0]


def _steps(graph_def: Any, image: str, listed: Collection[str] = ()) -> list[_Step]:
    """The ops that make layers, in topological order, the input first.

    A step with one input that depends on the image and no kind of its own (a multiplication by
    a constant, a cast) is part of the edge that it lies on. A bias belongs to its convolution.
    Ops that are `listed` are steps of their own whatever they are.
    """
    ops = {node.name: node for node in graph_def.node}
    consumers: dict[str, list[str]] = defaultdict(list)
    for node in graph_def.node:
        for source in _data_inputs(node):
            consumers[source].append(node.name)
    # For each op that depends on the image: the layer whose value reaches it.
    layer_of = {image: image}
    steps = [_Step(Node(image, "Placeholder", label=image, kind="input"), image)]
    absorbed: set[str] = set()
    for name in _topological(ops):
        node = ops[name]
        if name == image or name in absorbed or node.op in _METADATA_OPS:
            continue
        sources = [layer_of[s] for s in _data_inputs(node) if s in layer_of]
        inputs = tuple(dict.fromkeys(sources))
        if not inputs:
            continue
        kind = kind_of(node.op)
        joins = len(sources) > 1
        is_step = name in listed or joins or kind in _LAYER_KINDS - _JOINS
        if not is_step:
            layer_of[name] = inputs[0]
            continue
        chain = [name]
        if kind in ("conv", "dense") and name not in listed:
            chain = _biased(name, ops, consumers, layer_of)
            absorbed.update(chain[1:])
        tensor = chain[-1]
        layer_of.update(dict.fromkeys(chain, tensor))
        steps.append(_Step(Node(tensor, node.op, inputs, label=tensor, kind=kind), tensor))
    return steps


def _without_common_scope(steps: Sequence[_Step]) -> list[_Step]:
    """Layers called without the scopes that all of them are in, as a SavedModel's are."""
    image, *layers = steps
    scopes = [step.tensor.split("/")[:-1] for step in layers]
    depth = 0
    while all(len(s) > depth and s[depth] == scopes[0][depth] for s in scopes):
        depth += 1
    short = {step.tensor: "/".join(step.tensor.split("/")[depth:]) for step in layers}
    if image.tensor in short.values():
        return list(steps)
    short[image.tensor] = image.tensor
    return [
        replace(
            step,
            node=replace(
                step.node,
                name=short[step.tensor],
                label=short[step.tensor],
                inputs=tuple(short[source] for source in step.node.inputs),
            ),
        )
        for step in steps
    ]


def _biased(
    name: str,
    ops: Mapping[str, Any],
    consumers: Mapping[str, Sequence[str]],
    layer_of: Mapping[str, str],
) -> list[str]:
    """The chain from a convolution or product to its bias, through what only reshapes it."""
    chain = [name]
    while len(consumers[chain[-1]]) == 1:
        after = ops[consumers[chain[-1]][0]]
        others = [source for source in _data_inputs(after) if source != chain[-1]]
        if any(source in layer_of for source in others):
            break
        chain.append(after.name)
        if after.op in _BIAS_OPS:
            return chain
        if after.op not in _RESHAPING_OPS:
            break
    return [name]


def _data_inputs(node: Any) -> list[str]:
    return [source.partition(":")[0] for source in node.input if not source.startswith("^")]


def _topological(ops: Mapping[str, Any]) -> list[str]:
    """Names of ops, each after its inputs; a cycle (a loop's back edge) is left out."""
    done: dict[str, None] = {}
    for root in ops:
        stack = [(root, False)]
        path: set[str] = set()
        while stack:
            name, expanded = stack.pop()
            if name in done or name not in ops:
                continue
            if expanded:
                done[name] = None
                path.discard(name)
                continue
            if name in path:
                continue
            path.add(name)
            stack.append((name, True))
            stack.extend((source, False) for source in reversed(_data_inputs(ops[name])))
    return list(done)


def _with_shape(node: Node, tensor: Any) -> Node:

    if not tensor.shape.rank or tensor.shape[0] != _BATCH:
        return node
    shape = tuple(tensor.shape.as_list()[1:])
    return replace(node, shape=shape, units=shape[-1] if shape else None)
