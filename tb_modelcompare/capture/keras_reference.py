"""What a Keras model's own forward pass gives, layer by layer: for the self-check."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture.checking import Reference
from tb_modelcompare.capture.keras_program import KerasProgram, flatten, functional, parameters

# Where a layer of Keras says how many units it has.
_UNITS = ("filters", "units", "output_dim")


def keras_references(
    model: Any, program: KerasProgram, slots: Mapping[str, int], items: npt.NDArray[Any]
) -> dict[str, Reference]:
    """Call the model itself and take down what its layers give.

    Parameters
    ----------
    model : keras.Model
    program : KerasProgram
        Says which layer, and which of its outputs, is meant by a slot.
    slots : mapping of layer to slot
    items : array
    """
    import keras

    sources = {
        slot: (call.operation, number)
        for call in program.calls
        for number, slot in enumerate(call.outputs)
    }
    wanted = {layer: sources[slot] for layer, slot in slots.items()}
    with _listening([operation for operation, _ in wanted.values()]) as heard:
        training = {"training": False} if "training" in parameters(model) else {}
        own = functional(model)
        shown = keras.ops.convert_to_tensor(items)
        model(shown if own is None else keras.tree.pack_sequence_as(own.input, [shown]), **training)
    found = {}
    for layer, (operation, number) in wanted.items():
        calls = heard[id(operation)]
        if calls:
            half = "16" in str(calls[0][number].dtype)
            values = [keras.ops.convert_to_numpy(outputs[number]) for outputs in calls]
            found[layer] = Reference(
                [np.asarray(value, np.float32) for value in values], _units(operation), half
            )
    return found


def _units(operation: Any) -> int | None:
    """Of layers of Keras' own, whose attributes mean what they are called by."""
    if not type(operation).__module__.startswith("keras."):
        return None
    units = (getattr(operation, name, None) for name in _UNITS)
    return next((number for number in units if isinstance(number, int)), None)


@contextlib.contextmanager
def _listening(operations: list[Any]) -> Iterator[dict[int, list[list[Any]]]]:
    """Every call of some operations while this is entered: their outputs, by identity.

    Keras has no hooks. Layers share one `__call__`, which is put back afterwards.
    """
    import keras

    heard: dict[int, list[list[Any]]] = {id(operation): [] for operation in operations}
    original = keras.Operation.__call__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = original(self, *args, **kwargs)
        if id(self) in heard:
            heard[id(self)].append(flatten(outputs))
        return outputs

    keras.Operation.__call__ = call
    try:
        yield heard
    finally:
        keras.Operation.__call__ = original
