"""Keras 3 models: layer graph, activations, frozen graph. The user's model is left as it is."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture import FrozenGraph, Model, Sampler
from tb_modelcompare.errors import ModelFileError, NotRenderableError
from tb_modelcompare.graph import Block, LayerGraph, Node, kind_of
from tb_modelcompare.sampling import Floats, Sampled, sample

# Layers whose output is their input, moved or repeated: nothing new to compare.
_PASSIVE = frozenset(
    {
        "Flatten", "Reshape", "Permute", "RepeatVector", "Identity", "Dropout", "AlphaDropout",
        "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout",
        "GaussianNoise", "ActivityRegularization", "ZeroPadding1D", "ZeroPadding2D",
        "Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D",
    }
)  # fmt: skip


@dataclass(frozen=True)
class _Call:
    """One call of one operation; slots number the tensors of the whole model."""

    name: str
    operation: Any
    node: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class _Program:
    """A model and its nested models, flattened into calls in topological order.

    `scopes` holds the path of nested models around each call that has one.
    """

    input: int
    calls: tuple[_Call, ...]
    scopes: Mapping[str, str]
    size: int


def __getattr__(name: str) -> Any:
    if name != "ModelCompareCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tb_modelcompare.callback import ModelCompareCallback  # a Keras class: imports Keras

    return ModelCompareCallback


def open_model(model: Any, image_shape: Sequence[int] | None = None) -> Model:
    """A Keras 3 model, opened for capture.

    Parameters
    ----------
    model : keras.Model
        Functional, sequential, or a built subclass whose `call` is made of layers and keras.ops.
    image_shape : (height, width, channels), optional
        Of the probe, for subclasses that do not say what they take.

    Raises
    ------
    ModelFileError
        If it is not built, has no graph, or does not take one image (n, h, w, 1 or 3).
    """
    with _graph_of(model, image_shape) as graph:
        if len(graph.inputs) != 1:
            names = ", ".join(tensor.name for tensor in graph.inputs)
            raise ModelFileError(
                f"model {model.name!r} has {len(graph.inputs)} inputs ({names}) and a probe is "
                f"one image; wrap it in a model of one image, or use add_activations"
            )
        shape = tuple(graph.inputs[0].shape)
        if len(shape) != 4 or shape[3] not in (1, 3):
            raise ModelFileError(
                f"model {model.name!r} takes {shape}; a probe is (n, height, width, 1 or 3), "
                f"channels last"
            )
        program = _compile(graph)
        nodes, slots = _nodes(program)
    # Bare operations (x * 2, a square root) are steps inside a layer that has no name.
    steps = _bare_steps(program)
    passive = {n.name for n in nodes if n.op in _PASSIVE or n.name.partition(":")[0] in steps}
    return Model(
        graph=LayerGraph(tuple(nodes), _scope_blocks(program)),
        candidates=tuple(slots),
        passive=frozenset(passive.intersection(slots)),
        input_shape=(shape[1], shape[2], shape[3]),
        sampler=lambda layers, height, width: _sampler(
            program, {name: slots[name] for name in layers}, (height, width, shape[3])
        ),
        freeze=lambda layers, images: _freeze(
            model,
            program,
            {name: slots[name] for name in layers},
            (shape[1], shape[2], shape[3]),
            images,
        ),
    )


@dataclass(frozen=True)
class _Graph:
    """The symbolic tensors at both ends of a model."""

    inputs: list[Any]
    outputs: list[Any]


@contextlib.contextmanager
def _graph_of(model: Any, image_shape: Sequence[int] | None) -> Iterator[_Graph]:
    """The graph of a model; that of a subclass is traced, and its traces wiped afterwards."""
    import keras

    functional = _functional(model)
    if functional is not None:
        yield _Graph(functional.inputs, functional.outputs)
        return
    layers = list(model._flatten_layers(include_self=False))
    shape = _build_shape(model) or image_shape
    if not model.built or not all(layer.built for layer in layers) or shape is None:
        raise ModelFileError(
            f"{type(model).__name__} {model.name!r} is not built; call it once on a batch of "
            f"images, or give it a keras.Input"
        )
    before = [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in layers]
    try:
        image = keras.Input(tuple(shape), name="input")
        try:
            training = {"training": False} if "training" in _parameters(model) else {}
            outputs = _flatten(model.call(image, **training))
        except (TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
            raise ModelFileError(
                f"the call of {type(model).__name__} {model.name!r} cannot be traced ({error}); "
                f"make it of layers and keras.ops, or log with add_activations"
            ) from error
        yield _Graph([image], outputs)
    finally:
        for layer, (inbound, outbound) in zip(layers, before, strict=True):
            del layer._inbound_nodes[inbound:], layer._outbound_nodes[outbound:]


def _build_shape(model: Any) -> tuple[int, ...] | None:
    """(height, width, channels) that a model was built on, where it took one image."""
    shapes = list((getattr(model, "_build_shapes_dict", None) or {}).values())
    if len(shapes) == 1 and isinstance(shapes[0], (tuple, list)) and len(shapes[0]) == 4:
        return tuple(shapes[0][1:])
    return None


def _bare_steps(program: _Program) -> set[str]:
    import keras

    return {
        call.name
        for call in program.calls
        if not isinstance(call.operation, keras.layers.Layer)
        and (kind_of(type(call.operation).__name__) in ("other", "reshape") or len(call.inputs) < 2)
        and kind_of(type(call.operation).__name__) not in ("activation", "conv", "pool")
    }


def _functional(operation: Any) -> Any:
    """The graph inside a model, None if there is none or the model overrides how it is run."""
    # Neither class is exported with its graph; both have been where they are since Keras 3.0.
    from keras.src.models.functional import Functional
    from keras.src.models.sequential import Sequential

    if isinstance(operation, Sequential) and type(operation).call is Sequential.call:
        return operation._functional
    if isinstance(operation, Functional) and type(operation).call is Functional.call:
        return operation
    return None


def _compile(graph: _Graph) -> _Program:
    calls: list[_Call] = []
    scopes: dict[str, str] = {}
    taken: set[str] = set()
    slots = iter(range(2**62))

    def unique(name: str) -> str:
        candidate, number = name, 0
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        return candidate

    def descend(model: Any, inputs: Sequence[int], scope: str) -> list[int]:
        values = {id(t): slot for t, slot in zip(model.inputs, inputs, strict=True)}
        for node in _ordered(model):
            sources = tuple(values[id(tensor)] for tensor in node.input_tensors)
            inner = _inlined(node)
            if inner is not None:
                outputs = descend(inner, sources, unique(scope + node.operation.name) + "/")
            else:
                name = unique(scope + node.operation.name)
                outputs = [next(slots) for _ in node.outputs]
                calls.append(_Call(name, node.operation, node, sources, tuple(outputs)))
                if scope:
                    scopes[name] = scope[:-1]
            values.update((id(t), slot) for t, slot in zip(node.outputs, outputs, strict=True))
        return [values[id(tensor)] for tensor in model.outputs]

    image = next(slots)
    entry = graph.inputs[0]._keras_history.operation
    calls.append(_Call(unique(entry.name), entry, None, (), (image,)))
    descend(graph, [image], "")
    return _Program(image, tuple(calls), scopes, next(slots))


def _ordered(model: Any) -> Iterator[Any]:
    """The nodes of a functional model, each after its inputs, one branch after the other."""
    done = {id(tensor) for tensor in model.inputs}
    stack = [(tensor, False) for tensor in reversed(model.outputs)]
    while stack:
        tensor, expanded = stack.pop()
        if id(tensor) in done:
            continue
        operation, index, _ = tensor._keras_history
        node = operation._inbound_nodes[index]
        if expanded:
            done.update(id(output) for output in node.outputs)
            yield node
        else:
            stack.append((tensor, True))
            stack.extend((source, False) for source in reversed(node.input_tensors))


def _inlined(node: Any) -> Any:
    """The nested model of a call where it can be entered: inputs pass the border unchanged."""
    inner = _functional(node.operation)
    if inner is None or len(inner.inputs) != len(node.input_tensors):
        return None
    args = node.arguments.args
    if any(isinstance(value, dict) for value in (inner.input, *args)) or node.arguments.kwargs.get(
        "mask"
    ):
        return None  # inputs are matched by name there, or come with masks
    for outer, border in zip(node.input_tensors, inner.inputs, strict=True):
        if outer.dtype != border.dtype or len(outer.shape) != len(border.shape):
            return None  # Keras would cast or reshape
    return inner


def _nodes(program: _Program) -> tuple[list[Node], dict[str, int]]:
    """Nodes of the layer graph, and the slot of each node that can be logged."""
    nodes: list[Node] = []
    slots: dict[str, int] = {}
    producer: dict[int, str] = {}
    for call in program.calls:
        inputs = tuple(dict.fromkeys(producer[slot] for slot in call.inputs))
        tensors = call.operation.output if call.node is None else call.node.outputs
        tensors = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        for i, (slot, tensor) in enumerate(zip(call.outputs, tensors, strict=True)):
            # A layer with several outputs is a node for the first and one for each other.
            name = call.name if i == 0 else f"{call.name}:{i}"
            shape = None if tensor.shape is None else tuple(tensor.shape)[1:]
            nodes.append(
                Node(
                    name=name,
                    op=type(call.operation).__name__,
                    inputs=inputs if i == 0 else (call.name,),
                    shape=shape,
                    units=shape[-1] if shape else None,
                    label=name.rpartition("/")[2],
                )
            )
            producer[slot] = name
            floating = "float" in str(tensor.dtype)
            if call.node is not None and floating and shape is not None and len(shape) <= 3:
                slots[name] = slot
    return nodes, slots


def _scope_blocks(program: _Program) -> tuple[Block, ...]:
    """A block for each nested model."""
    members: dict[str, list[str]] = {}
    for name, scope in program.scopes.items():
        parts = scope.split("/")
        for depth in range(1, len(parts) + 1):
            members.setdefault("/".join(parts[:depth]), []).append(name)
    return tuple(
        Block(scope, "group", tuple(names), names[-1], scope.rpartition("/")[0] or None)
        for scope, names in members.items()
    )


def _run(program: _Program, images: Any, wanted: set[int]) -> dict[int, Any]:
    """Values of the wanted slots, in inference mode; others are let go once used."""
    values: dict[int, Any] = {program.input: images}
    last_use = {slot: i for i, call in enumerate(program.calls) for slot in call.inputs}
    for i, call in enumerate(program.calls):
        if call.node is None:
            continue
        tensors = {
            id(tensor): values[slot]
            for tensor, slot in zip(call.node.input_tensors, call.inputs, strict=True)
        }
        args, kwargs = call.node.arguments.fill_in(tensors)
        if "training" in _parameters(call.operation):
            kwargs["training"] = False
        outputs = _flatten(call.operation(*args, **kwargs))
        values.update(zip(call.outputs, outputs, strict=True))
        for slot in call.inputs:
            if last_use[slot] == i and slot not in wanted:
                values.pop(slot, None)
    return {slot: values[slot] for slot in wanted}


def _parameters(operation: Any) -> Mapping[str, Any]:
    return inspect.signature(operation.call).parameters


def _flatten(outputs: Any) -> list[Any]:
    import keras

    return list(keras.tree.flatten(outputs))


def _sampler(program: _Program, slots: Mapping[str, int], shape: tuple[int, int, int]) -> Sampler:
    import keras

    if keras.backend.backend() == "tensorflow":
        from tb_modelcompare.tracing import sample_function

        return sample_function(_values(program, slots), tuple(slots), shape)

    def run(images: Floats, positions: npt.NDArray[np.float64]) -> list[Sampled]:
        with _no_gradients():
            values = _run(program, keras.ops.convert_to_tensor(images), set(slots.values()))
        return [
            sample(keras.ops.convert_to_numpy(values[slot]), positions, layer)
            for layer, slot in slots.items()
        ]

    return run


def _no_gradients() -> contextlib.AbstractContextManager[Any]:
    import keras

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return cast("contextlib.AbstractContextManager[Any]", torch.no_grad())


def _freeze(
    model: Any,
    program: _Program,
    slots: Mapping[str, int],
    shape: tuple[int | None, int | None, int],
    images: Floats,
) -> FrozenGraph:
    import keras

    if keras.backend.backend() == "tensorflow":
        from tb_modelcompare.tracing import freeze_function

        return freeze_function(_values(program, slots), shape)
    if keras.backend.backend() != "torch":
        raise NotRenderableError(
            f"Keras runs on {keras.backend.backend()}, which gives no frozen graph; save the model "
            f"and log the .keras file with the TensorFlow backend"
        )
    from tb_modelcompare.torch.translation import freeze_module  # a Keras model is a module there

    def compute(batch: Any) -> list[Any]:
        values = _run(program, batch.movedim(1, -1), set(slots.values()))
        return [values[slot] for slot in slots.values()]

    with _no_gradients():
        return freeze_module(model, compute, tuple(slots), images)


def _values(program: _Program, slots: Mapping[str, int]) -> Callable[[Any], dict[str, Any]]:
    def values(images: Any) -> dict[str, Any]:
        found = _run(program, images, set(slots.values()))
        return {layer: found[slot] for layer, slot in slots.items()}

    return values
