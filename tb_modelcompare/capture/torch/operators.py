"""What translates torch's operators to TensorFlow: the table, and what all of them use.

A translation is called with the outcome that torch predicts and then the operator's arguments
by the names of its schema. What depends on the image comes as a `Value`, everything else as
torch has it: tensors, numbers, lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from tb_modelcompare.capture.torch.layout import Value, broadcast, constant, value
from tb_modelcompare.errors import NotRenderableError


class Untranslatable(NotRenderableError):  # noqa: N818 (says which way of calling is meant)
    """An operator is translated, but not when it is called like this."""


@dataclass(frozen=True)
class Expected:
    """What torch says that an operator gives.

    `sizes` are as in `Value`; of an operator with several outputs, one per output. `images` is
    the number of images, a scalar tensor; `dtype` and `operator` are torch's.
    """

    sizes: Any
    dtype: Any
    images: Any
    operator: Any

    @property
    def several(self) -> bool:
        """Whether the operator has several outputs."""
        return isinstance(self.sizes, list)


TRANSLATIONS: dict[str, Callable[..., Any]] = {}
Translation = TypeVar("Translation", bound=Callable[..., Any])


def translates(*names: str) -> Callable[[Translation], Translation]:
    """Enter a function in the table under the names of ATen operators."""

    def enter(function: Translation) -> Translation:
        for name in names:
            TRANSLATIONS[name] = function
        return function

    return enter


def array(tensor: Any) -> npt.NDArray[Any]:
    """A torch constant in numpy; floating point as float32."""
    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor, np.float32 if isinstance(tensor, float) else None)
    detached = tensor.detach().cpu()
    if detached.is_floating_point():
        detached = detached.to(torch.float32)
    return np.asarray(detached.numpy())


def shape_of(outcome: Expected, order: Sequence[int] | None = None) -> Any:
    """The shape as a list or, with the number of images in it, as a tensor."""
    import tensorflow as tf

    sizes = outcome.sizes if order is None else [outcome.sizes[dim] for dim in order]
    if all(size >= 0 for size in sizes):
        return list(sizes)
    return tf.stack([size if size >= 0 else -size * outcome.images for size in sizes])


def as_value(x: Any) -> Value:
    """A constant as a `Value`."""
    import tensorflow as tf

    if isinstance(x, Value):
        return x
    found = array(x)
    return value(tf.constant(found), found.shape)


def together(outcome: Expected, *operands: Any) -> tuple[Value, list[Any]]:
    """What operands are laid out like, and each as it broadcasts against the others.

    Constants become numpy arrays, numbers stay numbers.
    """
    rank = len(outcome.sizes)
    values = [operand for operand in operands if isinstance(operand, Value)]
    # Of full rank, and a map that is channels last rather than one that is not.
    first = max(values, key=lambda x: (len(x.sizes), x.order != tuple(range(len(x.sizes)))))
    first = broadcast(first, rank)
    laid = []
    for operand in operands:
        if isinstance(operand, Value):
            laid.append(broadcast(operand, rank).stored(first.order))
        elif isinstance(operand, torch.Tensor) and operand.ndim:
            laid.append(constant(array(operand), first))
        else:
            laid.append(operand.item() if isinstance(operand, torch.Tensor) else operand)
    return first, laid


def result(outcome: Expected, like: Value, tensor: Any) -> Value:
    """A tensor laid out like another, of the predicted sizes."""
    return Value(tensor, tuple(outcome.sizes), like.axes)


def last(x: Value) -> Value:
    """With torch's last dimension last in memory, the others as they are."""
    final = len(x.sizes) - 1
    order = [dim for dim in x.order if dim != final] + [final]
    return value(x.stored(order), x.sizes, order)


def pair(numbers: Any) -> tuple[int, int]:
    """Two of what torch takes as one number or two."""
    numbers = list(numbers) if isinstance(numbers, (list, tuple)) else [numbers]
    return (int(numbers[0]), int(numbers[-1]))


def axes_of(x: Value, dims: Any) -> tuple[list[int], list[int]]:
    """Torch's dimensions (None or none are all), counted from the front, and their axes."""
    if dims is None or (isinstance(dims, (list, tuple)) and not dims):
        chosen = list(range(len(x.sizes)))
    else:
        chosen = [x.dim(d) for d in (dims if isinstance(dims, (list, tuple)) else [dims])]
    return chosen, [x.axes[dim] for dim in chosen]
