"""Translations of convolutions, pooling and normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tb_modelcompare.capture.torch.arithmetic import normalised, scaled
from tb_modelcompare.capture.torch.layout import NHWC, Value, constant, reshaped, value
from tb_modelcompare.capture.torch.operators import (
    Expected,
    Untranslatable,
    array,
    pair,
    translates,
)
from tb_modelcompare.capture.torch.shapes import resampled


@translates("conv2d", "convolution", "conv1d", "conv3d")
def convolution(
    out: Expected,
    input: Value,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    transposed: bool = False,
    output_padding: Any = 0,
) -> Value:
    """A grouped one as depthwise or one by one: the others have no gradient on a CPU."""
    import tensorflow as tf

    if isinstance(weight, Value):
        raise Untranslatable("the kernel depends on the image")
    if weight.ndim != 4:
        raise Untranslatable(f"it is in {weight.ndim - 2} dimensions")
    if transposed:
        return transposed_convolution(
            out, input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    kernel = np.ascontiguousarray(array(weight).transpose(2, 3, 1, 0))
    strides, dilations = pair(stride), pair(dilation)
    reach = [d * (k - 1) for d, k in zip(dilations, kernel.shape[:2], strict=True)]
    x = input.stored(NHWC)
    if padding in ("same", "valid"):
        sides = [(r // 2, r - r // 2) if padding == "same" else (0, 0) for r in reach]
    else:
        sides = [(p, p) for p in pair(padding)]
    if strides == (1, 1) and all(
        a + b == r and a == r // 2 for (a, b), r in zip(sides, reach, strict=True)
    ):
        mode = "SAME"
    else:
        mode = "VALID"
        x = _padded(x, sides)
    channels = input.sizes[1]
    if groups == channels and groups > 1 and kernel.shape[2] == 1:
        # (h, w, 1, channels × multiplier) in torch's order is depthwise's, channel by channel.
        kernel = kernel.reshape(*kernel.shape[:2], channels, -1)
        tensor = tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], mode, dilations=dilations)
    else:
        parts = tf.split(x, groups, -1) if groups > 1 else [x]
        kernels = np.split(kernel, groups, -1)
        convolved = [
            tf.nn.conv2d(part, k, strides, mode, dilations=dilations)
            for part, k in zip(parts, kernels, strict=True)
        ]
        tensor = tf.concat(convolved, -1) if groups > 1 else convolved[0]
    if bias is not None:
        tensor = tf.nn.bias_add(tensor, array(bias))
    return value(tensor, out.sizes, NHWC)


@translates("conv_transpose2d")
def transposed_convolution(
    out: Expected,
    input: Value,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    import tensorflow as tf

    if groups != 1 or pair(dilation) != (1, 1):
        raise Untranslatable("it is transposed, and grouped or dilated")
    kernel = np.ascontiguousarray(array(weight).transpose(2, 3, 1, 0))
    strides, margins = pair(stride), pair(padding)
    x = input.stored(NHWC)
    # All that the kernel reaches; torch then cuts off `padding`, but not `output_padding`.
    spatial = [
        (size - 1) * s + k + extra
        for size, s, k, extra in zip(
            input.sizes[2:], strides, kernel.shape[:2], pair(output_padding), strict=True
        )
    ]
    tensor = tf.nn.conv2d_transpose(
        x, kernel, tf.stack([out.images, *spatial, kernel.shape[2]]), strides, "VALID"
    )
    height, width = out.sizes[2:]
    top, left = margins
    tensor = tensor[:, top : top + height, left : left + width]
    if bias is not None:
        tensor = tf.nn.bias_add(tensor, array(bias))
    return value(tensor, out.sizes, NHWC)


def _padded(x: Any, sides: Sequence[tuple[int, int]], fill: float = 0.0) -> Any:
    import tensorflow as tf

    if not any(map(any, sides)):
        return x
    return tf.pad(x, [(0, 0), *sides, (0, 0)], constant_values=fill)


def _window(
    kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool
) -> tuple[tuple[int, int], tuple[int, int], list[tuple[int, int]], list[tuple[int, int]]]:
    """Kernel, strides, padding on both sides, and what else is needed for the last windows.

    With `ceil_mode` a window may hang over the end, if it begins before the padding there:
    by at most stride - 1 beyond the padding, and kernel - 1 beyond the map.
    """
    kernel = pair(kernel_size)
    strides = pair(stride) if stride not in (None, [], ()) else kernel
    sides = [(p, p) for p in pair(padding)]
    extra = [
        (0, min(p + s - 1, k - 1) - p if ceil_mode else 0)
        for (p, _), s, k in zip(sides, strides, kernel, strict=True)
    ]
    return kernel, strides, sides, extra


@translates("max_pool2d")
def max_pool(
    out: Expected,
    self: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Value:
    import tensorflow as tf

    if pair(dilation) != (1, 1):
        raise Untranslatable("it is dilated")
    kernel, strides, sides, extra = _window(kernel_size, stride, padding, ceil_mode)
    x = self.stored(NHWC)
    lowest = float(np.finfo(np.float32).min)  # the padding is never the maximum
    x = _padded(_padded(x, sides, lowest), extra, lowest)
    return value(tf.nn.max_pool2d(x, kernel, strides, "VALID"), out.sizes, NHWC)


@translates("max_pool2d_with_indices")
def max_pool_with_indices(out: Expected, **options: Any) -> tuple[Value, None]:
    return max_pool(replace(out, sizes=out.sizes[0]), **options), None


@translates("avg_pool2d")
def average_pool(
    out: Expected,
    self: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    import tensorflow as tf

    kernel, strides, sides, extra = _window(kernel_size, stride, padding, ceil_mode)
    x = self.stored(NHWC)

    def pooled(y: Any, padding_counts: float) -> Any:
        y = _padded(_padded(y, sides, padding_counts), extra)
        return tf.nn.avg_pool2d(y, kernel, strides, "VALID")

    tensor = pooled(x, 0.0)
    if divisor_override:
        tensor = tensor * (kernel[0] * kernel[1] / divisor_override)
    elif ceil_mode or (any(map(any, sides)) and not count_include_pad):
        # The share of each window that counts.
        tensor = tensor / pooled(tf.ones_like(x[..., :1]), float(count_include_pad))
    return value(tensor, out.sizes, NHWC)


@translates("adaptive_avg_pool2d", "_adaptive_avg_pool2d")
def adaptive_average_pool(out: Expected, self: Value, output_size: Any) -> Value:
    import tensorflow as tf

    if tuple(out.sizes[2:]) == self.sizes[2:]:
        return self
    if tuple(out.sizes[2:]) == (1, 1):
        mean = tf.reduce_mean(self.stored(NHWC), [1, 2], keepdims=True)
        return value(mean, out.sizes, NHWC)
    return resampled(out, self, output_size=output_size)


@translates("adaptive_max_pool2d")
def adaptive_max_pool(out: Expected, self: Value, output_size: Any) -> tuple[Value, None]:
    import tensorflow as tf

    sizes = out.sizes[0]
    if any(old % new for old, new in zip(self.sizes[2:], sizes[2:], strict=True)):
        raise Untranslatable(f"its windows differ in size, from {self.sizes[2:]} to {sizes[2:]}")
    if tuple(sizes[2:]) == (1, 1):
        most = tf.reduce_max(self.stored(NHWC), [1, 2], keepdims=True)
        return value(most, sizes, NHWC), None
    window = [old // new for old, new in zip(self.sizes[2:], sizes[2:], strict=True)]
    return max_pool(replace(out, sizes=sizes), self, window), None


@translates("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm")
def batch_norm(
    out: Expected,
    input: Value,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool = False,
    eps: float = 1e-5,
    **_: Any,
) -> Any:
    """One multiplication and one addition."""
    if training or running_mean is None:
        raise Untranslatable("it uses the statistics of the batch, also in evaluation")
    scale = 1 / np.sqrt(array(running_var).astype(np.float64) + eps)
    scale = scale if weight is None else scale * array(weight)
    shift = -array(running_mean) * scale + (0 if bias is None else array(bias))
    normal = scaled(input, 1, scale.astype(np.float32), shift.astype(np.float32))
    return (normal, None, None) if out.several else normal


@translates("_native_batch_norm_legit", "_native_batch_norm_legit_functional")
def batch_norm_of_the_batch(_: Expected, **__: Any) -> Any:
    raise Untranslatable("it uses the statistics of the batch, also in evaluation")


@translates("layer_norm", "native_layer_norm")
def layer_norm(
    out: Expected,
    input: Value,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float | None = 1e-5,
    **_: Any,
) -> Any:
    rank = len(input.sizes)
    normal = normalised(input, list(range(rank - len(normalized_shape), rank)), eps or 0.0)
    normal = _affine(normal, weight, bias)
    return (normal, None, None) if out.several else normal


@translates("rms_norm")
def rms_norm(
    _: Expected, input: Value, normalized_shape: Sequence[int], weight: Any = None, eps: Any = None
) -> Value:
    import tensorflow as tf

    axes = list(input.axes[len(input.sizes) - len(normalized_shape) :])
    square = tf.reduce_mean(tf.square(input.tensor), axes, keepdims=True)
    least = float(np.finfo(np.float32).eps) if eps is None else eps
    return _affine(input.like(input.tensor * tf.math.rsqrt(square + least)), weight, None)


def _affine(x: Value, weight: Any, bias: Any) -> Value:
    tensor = x.tensor if weight is None else x.tensor * constant(array(weight), x)
    return x.like(tensor if bias is None else tensor + constant(array(bias), x))


@translates("group_norm", "native_group_norm")
def group_norm(
    out: Expected,
    input: Value,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    num_groups: int = 1,
    group: int | None = None,
    **_: Any,
) -> Any:
    images, channels, *spatial = input.sizes
    groups = num_groups if group is None else group
    parts = reshaped(input, (images, groups, channels // groups, *spatial))
    normal = normalised(parts, list(range(2, len(parts.sizes))), eps)
    scale = np.ones(channels, np.float32) if weight is None else array(weight)
    shift = np.zeros(channels, np.float32) if bias is None else array(bias)
    found = scaled(reshaped(normal, input.sizes), 1, scale, shift)
    return (found, None, None) if out.several else found


@translates("instance_norm")
def instance_norm(
    out: Expected,
    input: Value,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    eps: float = 1e-5,
    **_: Any,
) -> Value:
    if not use_input_stats:
        normal = batch_norm(out, input, weight, bias, running_mean, running_var, eps=eps)
        return normal  # type: ignore[no-any-return]
    found = group_norm(out, input, weight, bias, eps, num_groups=input.sizes[1])
    return found  # type: ignore[no-any-return]
