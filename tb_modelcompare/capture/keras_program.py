"""A Keras model and its nested models, flattened into a list of calls that can be run."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tb_modelcompare.graph.naming import unique_name


@dataclass(frozen=True)
class KerasCall:
    """One call of one operation; slots number the tensors of the whole model."""

    name: str
    operation: Any
    node: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class KerasProgram:
    """A model and its nested models, flattened into calls in topological order.

    `scopes` holds the path of nested models around each call that has one.
    """

    input: int
    dtype: str
    calls: tuple[KerasCall, ...]
    scopes: Mapping[str, str]
    size: int


@dataclass(frozen=True)
class Graph:
    """The symbolic tensors at both ends of a model.

    `traced` says that the graph was made for capture, of a model whose author made none.
    """

    inputs: list[Any]
    outputs: list[Any]
    traced: bool = False


def functional(operation: Any) -> Any:
    """The graph inside a model, None if there is none or the model overrides how it is run."""
    # Neither class is exported with its graph; both have been where they are since Keras 3.0.
    from keras.src.models.functional import Functional
    from keras.src.models.sequential import Sequential

    if isinstance(operation, Sequential) and type(operation).call is Sequential.call:
        return operation._functional
    if isinstance(operation, Functional) and type(operation).call is Functional.call:
        return operation
    return None


def program_of(graph: Graph) -> KerasProgram:
    calls: list[KerasCall] = []
    scopes: dict[str, str] = {}
    taken: set[str] = set()
    slots = iter(range(2**62))

    def descend(model: Any, inputs: Sequence[int], scope: str) -> list[int]:
        values = {id(t): slot for t, slot in zip(model.inputs, inputs, strict=True)}
        for node in _ordered(model):
            sources = tuple(values[id(tensor)] for tensor in node.input_tensors)
            inner = _inlined(node)
            if inner is not None:
                name = unique_name(scope + _name_of(node.operation, graph), taken)
                outputs = descend(inner, sources, name + "/")
            else:
                name = unique_name(scope + _name_of(node.operation, graph), taken)
                outputs = [next(slots) for _ in node.outputs]
                calls.append(KerasCall(name, node.operation, node, sources, tuple(outputs)))
                if scope:
                    scopes[name] = scope[:-1]
            values.update((id(t), slot) for t, slot in zip(node.outputs, outputs, strict=True))
        return [values[id(tensor)] for tensor in model.outputs]

    image = next(slots)
    entry = graph.inputs[0]._keras_history.operation
    calls.append(KerasCall(unique_name(entry.name, taken), entry, None, (), (image,)))
    descend(graph, [image], "")
    return KerasProgram(image, str(graph.inputs[0].dtype), tuple(calls), scopes, next(slots))


def _name_of(operation: Any, graph: Graph) -> str:
    """The name of an operation, which is the same whenever the model is captured.

    Keras numbers what is not a layer (the addition of two tensors, say) by what else the process
    has built before. Of a traced graph that number is dropped, as it differs from step to step.
    """
    import keras

    if graph.traced and not isinstance(operation, keras.layers.Layer):
        return re.sub(r"_\d+\Z", "", str(operation.name))
    return str(operation.name)


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
    inner = functional(node.operation)
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


def run_program(program: KerasProgram, items: Any, wanted: set[int]) -> dict[int, Any]:
    """Values of the wanted slots, in inference mode; others are let go once used."""
    import keras

    values: dict[int, Any] = {program.input: keras.ops.cast(items, program.dtype)}
    last_use = {slot: i for i, call in enumerate(program.calls) for slot in call.inputs}
    for i, call in enumerate(program.calls):
        if call.node is None:
            continue
        tensors = {
            id(tensor): values[slot]
            for tensor, slot in zip(call.node.input_tensors, call.inputs, strict=True)
        }
        args, kwargs = call.node.arguments.fill_in(tensors)
        if "training" in parameters(call.operation):
            kwargs["training"] = False
        outputs = flatten(call.operation(*args, **kwargs))
        values.update(zip(call.outputs, outputs, strict=True))
        for slot in call.inputs:
            if last_use[slot] == i and slot not in wanted:
                values.pop(slot, None)
    return {slot: values[slot] for slot in wanted}


@contextlib.contextmanager
def fixed_draws(model: Any) -> Iterator[None]:
    """Layers that draw random numbers start from a fixed seed, and go on afterwards as before."""
    import keras

    seeds = [v for v in model.variables if v.name == "seed_generator_state"]
    states = [keras.ops.copy(seed.value) for seed in seeds]
    for seed, state in zip(seeds, states, strict=True):
        seed.assign(keras.ops.zeros_like(state))
    try:
        yield
    finally:
        for seed, state in zip(seeds, states, strict=True):
            seed.assign(state)


def parameters(operation: Any) -> Mapping[str, Any]:
    return inspect.signature(operation.call).parameters


def flatten(outputs: Any) -> list[Any]:
    import keras

    return list(keras.tree.flatten(outputs))
