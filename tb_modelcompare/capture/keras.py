"""Keras 3 models: layer graph, activations, frozen graph. The user's model is left as it is."""

from __future__ import annotations

import contextlib
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture.checking import Reference
from tb_modelcompare.capture.contract import (
    Feed,
    Framework,
    FrozenGraph,
    Model,
    Sampler,
    class_is_of,
    has_suffix,
)
from tb_modelcompare.capture.keras_program import (
    Graph,
    KerasProgram,
    fixed_draws,
    flatten,
    functional,
    parameters,
    program_of,
    run_program,
)
from tb_modelcompare.capture.keras_reference import keras_references
from tb_modelcompare.errors import ModelFileError, NotRenderableError
from tb_modelcompare.graph import Block, LayerGraph, Node, kind_of
from tb_modelcompare.probe.sampling import Floats, Mask, Reading, Sampled, sample

# Layers whose output is their input, moved or repeated: nothing new to compare.
_PASSIVE = frozenset(
    {
        "Flatten", "Reshape", "Permute", "RepeatVector", "Identity", "Dropout", "AlphaDropout",
        "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout",
        "GaussianNoise", "ActivityRegularization", "ZeroPadding1D", "ZeroPadding2D",
        "Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D",
    }
)  # fmt: skip


_FILES = (".keras", ".h5", ".hdf5")


def _open(model: Any, feed: Feed) -> Model:
    return open_model(_loaded(model) if isinstance(model, Path) else model, feed)


def _loaded(path: Path) -> Any:
    import keras

    if path.suffix == ".keras" and path.is_file() and not zipfile.is_zipfile(path):
        # Keras would say that there is no such file.
        raise ModelFileError(
            f"Keras cannot load {path}: a .keras file is a zip file, and this is none, or is cut "
            "off; save the model again"
        )
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, ImportError, AttributeError) as error:
        raise ModelFileError(f"Keras cannot load {path}: {error}") from error


FRAMEWORK = Framework(
    opens=lambda model: has_suffix(model, *_FILES) or class_is_of(model, "keras"),
    open=_open,
    files=("a .keras or .h5 file",),
    files_take_arrays=True,
)


def open_model(model: Any, feed: Feed | None = None) -> Model:
    """A Keras 3 model, opened for capture.

    Parameters
    ----------
    model : keras.Model
        Functional, sequential, or a built subclass whose `call` is made of layers and keras.ops.
    feed : Feed, optional
        An item of the probe, for models of other input than images, and for subclasses that do
        not say what they take.

    Raises
    ------
    ModelFileError
        If it is not built, has no graph, or does not take one image (n, h, w, 1 or 3), or one
        item of a probe of arrays.
    """
    with _graph_of(model, feed) as graph:
        if len(graph.inputs) != 1:
            names = ", ".join(tensor.name for tensor in graph.inputs)
            raise ModelFileError(
                f"model {model.name!r} has {len(graph.inputs)} inputs ({names}) and a probe is "
                f"one image; wrap it in a model of one image, or use add_activations"
            )
        shape = tuple(graph.inputs[0].shape)
        _require_fit(model.name, shape, feed)
        program = program_of(graph)
        nodes, slots = _nodes(program)
    # Bare operations (x * 2, a square root) are steps inside a layer that has no name.
    steps = _bare_steps(program)
    passive = {n.name for n in nodes if n.op in _PASSIVE or n.name.partition(":")[0] in steps}
    return Model(
        graph=LayerGraph(tuple(nodes), _scope_blocks(program)),
        candidates=tuple(slots),
        passive=frozenset(passive.intersection(slots)),
        input_shape=shape[1:],
        sampler=lambda layers, feed, reading: _sampler(
            model, program, {name: slots[name] for name in layers}, feed, reading
        ),
        reference=lambda layers, items: _reference(
            model, program, {name: slots[name] for name in layers}, items
        ),
        freeze=lambda layers, images: _freeze(
            model,
            program,
            {name: slots[name] for name in layers},
            shape[1:],
            images,
        ),
        own_mask=lambda items: _own_mask(program, items),
    )


def _require_fit(name: str, shape: tuple[int | None, ...], feed: Feed | None) -> None:
    if feed is None or feed.is_image:
        if len(shape) != 4 or shape[3] not in (1, 3):
            raise ModelFileError(
                f"model {name!r} takes {shape}; a probe of images is (n, height, width, 1 or 3), "
                f"channels last; for others there is Probe.from_arrays"
            )
        return
    feed.require_arrays_fit(f"model {name!r}", shape)


@contextlib.contextmanager
def _graph_of(model: Any, feed: Feed | None) -> Iterator[Graph]:
    """The graph of a model; that of a subclass is traced, and its traces wiped afterwards."""
    import keras

    own = functional(model)
    if own is not None:
        yield Graph(own.inputs, own.outputs)
        return
    layers = list(model._flatten_layers(include_self=False))
    built = _build_shape(model)
    shape = built if built is not None or feed is None else feed.shape
    if not model.built or not all(layer.built for layer in layers) or shape is None:
        raise ModelFileError(
            f"{type(model).__name__} {model.name!r} is not built; call it once on a batch of "
            f"images, or give it a keras.Input"
        )
    before = [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in layers]
    try:
        dtype = None if feed is None else feed.dtype
        image = keras.Input(tuple(shape), name="input", dtype=dtype)
        try:
            training = {"training": False} if "training" in parameters(model) else {}
            outputs = flatten(model.call(image, **training))
        except (TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
            raise ModelFileError(
                f"the call of {type(model).__name__} {model.name!r} cannot be traced ({error}); "
                f"make it of layers and keras.ops, or log with add_activations"
            ) from error
        yield Graph([image], outputs, traced=True)
    finally:
        for layer, (inbound, outbound) in zip(layers, before, strict=True):
            del layer._inbound_nodes[inbound:], layer._outbound_nodes[outbound:]


def _build_shape(model: Any) -> tuple[int, ...] | None:
    """The shape that a model was built on without the batch, where it took one tensor."""
    shapes = list((getattr(model, "_build_shapes_dict", None) or {}).values())
    if len(shapes) == 1 and isinstance(shapes[0], (tuple, list)) and shapes[0]:
        return tuple(shapes[0][1:])
    return None


def _bare_steps(program: KerasProgram) -> set[str]:
    import keras

    return {
        call.name
        for call in program.calls
        if not isinstance(call.operation, keras.layers.Layer)
        and (kind_of(type(call.operation).__name__) in ("other", "reshape") or len(call.inputs) < 2)
        and kind_of(type(call.operation).__name__) not in ("activation", "conv", "pool")
    }


def _nodes(program: KerasProgram) -> tuple[list[Node], dict[str, int]]:
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


def _scope_blocks(program: KerasProgram) -> tuple[Block, ...]:
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


def _sampler(
    model: Any, program: KerasProgram, slots: Mapping[str, int], feed: Feed, reading: Reading
) -> Sampler:
    sampler = _free_sampler(program, slots, feed, reading)

    def run(
        items: npt.NDArray[Any], positions: npt.NDArray[np.float64], mask: Mask | None
    ) -> list[Sampled]:
        with fixed_draws(model):
            return sampler(items, positions, mask)

    return run


def _free_sampler(
    program: KerasProgram, slots: Mapping[str, int], feed: Feed, reading: Reading
) -> Sampler:
    import keras

    if keras.backend.backend() == "tensorflow":
        from tb_modelcompare.capture.tracing import sample_function

        return sample_function(_values(program, slots), tuple(slots), feed, reading)

    def run(
        items: npt.NDArray[Any], positions: npt.NDArray[np.float64], mask: Mask | None
    ) -> list[Sampled]:
        with _no_gradients():
            values = run_program(program, keras.ops.convert_to_tensor(items), set(slots.values()))
        return [
            sample(keras.ops.convert_to_numpy(values[slot]), positions, layer, reading, mask)
            for layer, slot in slots.items()
        ]

    return run


def _reference(
    model: Any, program: KerasProgram, slots: Mapping[str, int], items: npt.NDArray[Any]
) -> dict[str, Reference]:
    with _no_gradients(), fixed_draws(model), _silent_about_retracing():
        return keras_references(model, program, slots, items)


@contextlib.contextmanager
def _silent_about_retracing() -> Iterator[None]:
    """Keras compiles each call of a grouped convolution anew outside a graph, and TensorFlow warns
    of it as of a fault of the user's."""
    logger = logging.getLogger("tensorflow")

    def tells_more(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger.addFilter(tells_more)
    try:
        yield
    finally:
        logger.removeFilter(tells_more)


def _own_mask(program: KerasProgram, items: npt.NDArray[Any]) -> Mask | None:
    """The mask of the layer that reads the model's input, such as an embedding's."""
    import keras

    for call in program.calls:
        if call.inputs == (program.input,) and getattr(call.operation, "supports_masking", False):
            mask = call.operation.compute_mask(keras.ops.cast(items, program.dtype), None)
            if mask is not None and len(mask.shape) == 2:
                return np.asarray(keras.ops.convert_to_numpy(mask), bool)
    return None


def _no_gradients() -> contextlib.AbstractContextManager[Any]:
    import keras

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return cast("contextlib.AbstractContextManager[Any]", torch.no_grad())


def _freeze(
    model: Any,
    program: KerasProgram,
    slots: Mapping[str, int],
    shape: tuple[int | None, ...],
    images: Floats,
) -> FrozenGraph:
    import keras

    if keras.backend.backend() == "tensorflow":
        from tb_modelcompare.capture.tracing import freeze_function

        height, width, channels = shape
        return freeze_function(_values(program, slots), (height, width, cast("int", channels)))
    if keras.backend.backend() != "torch":
        raise NotRenderableError(
            f"Keras runs on {keras.backend.backend()}, which gives no frozen graph; save the model "
            f"and log the .keras file with the TensorFlow backend"
        )
    from tb_modelcompare.capture.torch.translation import (
        freeze_module,  # a Keras model is a module there
    )

    def compute(batch: Any) -> list[Any]:
        values = run_program(program, batch.movedim(1, -1), set(slots.values()))
        return [values[slot] for slot in slots.values()]

    with _no_gradients():
        return freeze_module(model, compute, tuple(slots), images)


def _values(program: KerasProgram, slots: Mapping[str, int]) -> Callable[[Any], dict[str, Any]]:
    def values(images: Any) -> dict[str, Any]:
        found = run_program(program, images, set(slots.values()))
        return {layer: found[slot] for layer, slot in slots.items()}

    return values
