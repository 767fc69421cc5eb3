"""Gradients of what the picture passes through, and none of a model's weights.

TensorFlow writes both for a convolution and its bias. Nobody asks for those of the weights, and to
write them takes a quarter of the time before the first step.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

_PREFIX = "ModelCompareInput"
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
_ATTRIBUTES = ("strides", "padding", "explicit_paddings", "data_format", "dilations")


def of_inputs_alone(graph: Any) -> AbstractContextManager[None]:
    """Within it, convolutions and biases that are added to `graph` have no gradient of weights.

    Parameters
    ----------
    graph : tensorflow Graph

    Returns
    -------
    context manager
    """
    _register()
    overridden = {name: _PREFIX + name for name in (*_CONVOLUTIONS, "BiasAdd")}
    context: AbstractContextManager[None] = graph.gradient_override_map(overridden)
    return context


@cache
def _register() -> None:
    import tensorflow

    raw = tensorflow.raw_ops
    backwards = (raw.Conv2DBackpropInput, raw.DepthwiseConv2dNativeBackpropInput)
    for name, backward in zip(_CONVOLUTIONS, backwards, strict=True):
        tensorflow.RegisterGradient(_PREFIX + name)(_convolution(tensorflow, backward))
    tensorflow.RegisterGradient(_PREFIX + "BiasAdd")(lambda op, incoming: (incoming, None))


def _convolution(tensorflow: Any, backward: Any) -> Any:
    def gradient(op: Any, incoming: Any) -> tuple[Any, None]:
        picture, weights = op.inputs
        attributes = {name: op.get_attr(name) for name in _ATTRIBUTES}
        found = backward(
            input_sizes=tensorflow.shape(picture),
            filter=weights,
            out_backprop=incoming,
            **attributes,
        )
        return found, None

    return gradient
