"""What torch's functions, by name, do to the axes of a tensor. Those not named keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

# They only move, drop or insert axes.
MOVING = frozenset({
    "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "numpy_T",
    "mT", "H", "mH", "adjoint", "unsqueeze", "select", "unbind", "mean", "sum", "prod", "amax",
    "amin", "max", "min", "std", "var", "var_mean", "std_mean", "norm", "logsumexp", "argmax",
    "argmin", "median", "any", "all", "count_nonzero", "nanmean", "nansum", "nanmedian", "mode",
    "quantile", "vector_norm",
})  # fmt: skip
REGROUPING = frozenset({
    "reshape", "view", "flatten", "unflatten", "squeeze", "ravel", "view_as", "reshape_as",
})  # fmt: skip
# An axis is longer or shorter afterwards, and means the same.
RESIZING = frozenset({
    "pad", "constant_pad_nd", "interpolate", "upsample", "narrow", "chunk", "split", "glu",
    "tensor_split", "split_with_sizes", "repeat", "repeat_interleave", "pixel_shuffle",
    "pixel_unshuffle", "fractional_max_pool2d", "fractional_max_pool3d",
})  # fmt: skip
POOLS = re.compile(r"(?:adaptive_)?(?:max|avg|lp)_pool([123])d(?:_with_indices)?")
CONVOLUTIONS = re.compile(r"conv(?:_transpose)?([123])d")
# Axis 1 holds the units of these.
CHANNEL_NORMS = frozenset({"batch_norm", "instance_norm", "group_norm", "local_response_norm"})
PRODUCTS = frozenset({"matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm"})
RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """All tensors of an output that have axes, in order."""
    if isinstance(value, torch.Tensor):
        if value.ndim:
            yield value
    elif isinstance(value, Mapping):
        yield from tensors(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from tensors(one)


def name_of(function: Any) -> str:
    name = getattr(function, "__name__", str(function))
    if name == "__get__":  # a property, as x.T
        name = function.__self__.__name__
    return str(name) if name.startswith("__") else str(name).rstrip("_")
