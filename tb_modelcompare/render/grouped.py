"""Grouped convolutions as ops that have a gradient on a CPU.

Keras runs a grouped convolution as a function compiled by XLA, and a frozen graph keeps the
call, which cannot be differentiated. One group per channel is a depthwise convolution; else
the groups are convolved one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from tb_modelcompare.graph.graph_def import behind_identities

_INT32 = 3  # DT_INT32
# What a convolution amounts to here, and the function that it is called as.
_MAX_GROUPS = 4096
_MAX_NODES = 100
_COPIED = ("T", "strides", "padding", "explicit_paddings", "data_format", "dilations")


def differentiable_convolution(
    call: Any, functions: Mapping[str, Any], nodes: Mapping[str, Any]
) -> list[Any] | None:
    """Nodes that compute what `call` does; None if it is no grouped convolution of a constant.

    The last of them has the name of `call`.
    """
    function = functions.get(call.attr["f"].func.name)
    if function is None:
        return None
    inner = {node.name: node for node in function.node_def}
    if len(inner) > _MAX_NODES or len(call.input) != len(function.signature.input_arg):
        return None
    (convolution, *others) = [n for n in inner.values() if n.op not in ("Identity", "NoOp")] or [
        None
    ]
    if others or convolution is None or convolution.op != "Conv2D":
        return None
    if len(convolution.input) != 2:
        return None
    if convolution.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    arguments = [argument.name for argument in function.signature.input_arg]
    image, kernel = (_argument(name, inner, arguments) for name in convolution.input)
    if image is None or kernel is None:
        return None
    constant = behind_identities(call.input[kernel], nodes)
    shapes = function.arg_attr[image].attr["_output_shapes"].list.shape
    if constant is None or constant.op != "Const" or not shapes or len(shapes[0].dim) != 4:
        return None
    channels = shapes[0].dim[3].size
    kernel_shape = [d.size for d in constant.attr["value"].tensor.tensor_shape.dim]
    if channels <= 0 or len(kernel_shape) != 4 or min(kernel_shape) <= 0:
        return None
    groups, left = divmod(channels, kernel_shape[2])
    if left or groups > _MAX_GROUPS:
        return None
    write = _depthwise if kernel_shape[2] == 1 else _one_by_one
    return write(call, convolution, call.input[image], call.input[kernel], channels, kernel_shape)


def _argument(name: str, inner: Mapping[str, Any], arguments: list[str]) -> int | None:
    """Which argument of the function arrives at `name`, unchanged."""
    for _ in inner:  # as many steps as there are nodes: a function may read itself in a circle
        if name in arguments:
            break
        node = inner.get(name.partition(":")[0])
        if node is None or node.op != "Identity" or len(node.input) == 0:
            return None
        name = node.input[0]
    return arguments.index(name) if name in arguments else None


def _depthwise(
    call: Any, convolution: Any, image: str, kernel: str, channels: int, shape: list[int]
) -> list[Any]:
    height, width, _, filters = shape
    sizes = _integers(call, "/kernel_shape", [height, width, channels, filters // channels])
    reshaped = _node(call, "/kernel", "Reshape", kernel, sizes.name)
    reshaped.attr["T"].CopyFrom(convolution.attr["T"])
    reshaped.attr["Tshape"].type = _INT32
    depthwise = _node(call, "", "DepthwiseConv2dNative", image, reshaped.name)
    _copy_attributes(convolution, depthwise)
    return [sizes, reshaped, depthwise]


def _one_by_one(
    call: Any, convolution: Any, image: str, kernel: str, channels: int, shape: list[int]
) -> list[Any]:
    groups = channels // shape[2]
    axis = _integers(call, "/axis", 3)
    nodes = [axis]
    for suffix, source in (("/images", image), ("/kernels", kernel)):
        split = _node(call, suffix, "Split", axis.name, source)
        split.attr["T"].CopyFrom(convolution.attr["T"])
        split.attr["num_split"].i = groups
        nodes.append(split)
    parts = []
    for group in range(groups):
        part = _node(
            call,
            f"/group_{group}",
            "Conv2D",
            f"{call.name}/images:{group}",
            f"{call.name}/kernels:{group}",
        )
        _copy_attributes(convolution, part)
        parts.append(part)
    joined = _node(call, "", "ConcatV2", *(part.name for part in parts), axis.name)
    joined.attr["N"].i = groups
    joined.attr["T"].CopyFrom(convolution.attr["T"])
    joined.attr["Tidx"].type = _INT32
    return [*nodes, *parts, joined]


def _node(call: Any, suffix: str, op: str, *inputs: str) -> Any:
    node = type(call)()
    node.name = call.name + suffix
    node.op = op
    node.input.extend(inputs)
    return node


def _integers(call: Any, suffix: str, value: int | list[int]) -> Any:
    node = _node(call, suffix, "Const")
    node.attr["dtype"].type = _INT32
    tensor = node.attr["value"].tensor
    tensor.dtype = _INT32
    tensor.tensor_shape.SetInParent()
    if isinstance(value, list):
        tensor.tensor_shape.dim.add().size = len(value)
        tensor.tensor_content = struct.pack(f"<{len(value)}i", *value)
    else:
        tensor.int_val.append(value)
    return node


def _copy_attributes(source: Any, target: Any) -> None:
    for name in _COPIED:
        if name in source.attr:
            target.attr[name].CopyFrom(source.attr[name])
