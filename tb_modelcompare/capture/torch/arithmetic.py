"""Translations of arithmetic, activation functions, reductions, products and attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from tb_modelcompare.capture.torch.layout import Value, permuted, value, without
from tb_modelcompare.capture.torch.operators import (
    Expected,
    Untranslatable,
    array,
    as_value,
    axes_of,
    last,
    result,
    together,
    translates,
)


def _enter_unary() -> None:
    def unary(of: Callable[[Any, Any], Any]) -> Callable[..., Value]:
        def translation(_: Expected, self: Value, **__: Any) -> Value:
            import tensorflow as tf

            return self.like(of(tf, self.tensor))

        return translation

    for name, function in {
        "relu": lambda tf, x: tf.nn.relu(x),
        "relu6": lambda tf, x: tf.nn.relu6(x),
        "sigmoid": lambda tf, x: tf.sigmoid(x),
        "tanh": lambda tf, x: tf.tanh(x),
        "silu": lambda tf, x: x * tf.sigmoid(x),
        # Written with ReLU6 as Keras does, whose gradient rendering redirects where it is zero.
        "hardsigmoid": lambda tf, x: tf.nn.relu6(x + 3.0) * (1 / 6),
        "hardswish": lambda tf, x: x * (tf.nn.relu6(x + 3.0) * (1 / 6)),
        "selu": lambda tf, x: tf.nn.selu(x),
        "mish": lambda tf, x: x * tf.tanh(tf.math.softplus(x)),
        "abs": lambda tf, x: tf.abs(x),
        "neg": lambda tf, x: -x,
        "exp": lambda tf, x: tf.exp(x),
        "log": lambda tf, x: tf.math.log(x),
        "sqrt": lambda tf, x: tf.sqrt(x),
        "rsqrt": lambda tf, x: tf.math.rsqrt(x),
        "square": lambda tf, x: tf.square(x),
        "reciprocal": lambda tf, x: tf.math.reciprocal(x),
        "erf": lambda tf, x: tf.math.erf(x),
        "sign": lambda tf, x: tf.sign(x),
    }.items():
        translates(name)(unary(function))


def _enter_binary() -> None:
    def binary(of: Callable[[Any, Any, Any], Any]) -> Callable[..., Value]:
        def translation(
            out: Expected, self: Any, other: Any, alpha: float = 1, rounding_mode: Any = None
        ) -> Value:
            import tensorflow as tf

            if rounding_mode is not None:
                raise Untranslatable("rounding_mode is given")
            like, (a, b) = together(out, self, other)
            return result(out, like, of(tf, a, b if alpha == 1 else b * alpha))

        return translation

    for names, function in {
        ("add",): lambda tf, a, b: a + b,
        ("sub", "subtract"): lambda tf, a, b: a - b,
        ("rsub",): lambda tf, a, b: b - a,
        ("mul", "multiply"): lambda tf, a, b: a * b,
        ("div", "divide", "true_divide"): lambda tf, a, b: a / b,
        ("maximum",): lambda tf, a, b: tf.maximum(a, b),
        ("minimum",): lambda tf, a, b: tf.minimum(a, b),
        ("gt",): lambda tf, a, b: a > b,
        ("ge",): lambda tf, a, b: a >= b,
        ("lt",): lambda tf, a, b: a < b,
        ("le",): lambda tf, a, b: a <= b,
    }.items():
        translates(*names)(binary(function))


_enter_unary()
_enter_binary()


@translates("pow")
def power(out: Expected, self: Any, exponent: Any) -> Value:
    """As square and square root where it is one: their gradients are cheaper."""
    import tensorflow as tf

    if isinstance(self, Value) and exponent == 2:
        return self.like(tf.square(self.tensor))
    if isinstance(self, Value) and exponent == 0.5:
        return self.like(tf.sqrt(self.tensor))
    like, (base, by) = together(out, self, exponent)
    return result(out, like, tf.pow(base, by))


@translates("where")
def where(out: Expected, condition: Any, self: Any, other: Any) -> Value:
    import tensorflow as tf

    like, (mask, a, b) = together(out, condition, self, other)
    return result(out, like, tf.where(mask, a, b))


@translates("masked_fill")
def masked_fill(out: Expected, self: Any, mask: Any, value: Any) -> Value:
    return where(out, mask, float(value), self)


@translates("clamp", "clamp_min", "clamp_max", "hardtanh", "clip")
def clamp(
    _: Expected, self: Value, min: Any = None, max: Any = None, min_val: Any = -1, max_val: Any = 1
) -> Value:
    """ReLU and ReLU6 under their own names, which rendering looks for."""
    import tensorflow as tf

    low, high = (min_val, max_val) if min is None and max is None else (min, max)
    if low == 0 and high is None:
        return self.like(tf.nn.relu(self.tensor))
    if low == 0 and high == 6:
        return self.like(tf.nn.relu6(self.tensor))
    tensor = self.tensor if low is None else tf.maximum(self.tensor, low)
    return self.like(tensor if high is None else tf.minimum(tensor, high))


@translates("gelu")
def gelu(_: Expected, self: Value, approximate: str = "none") -> Value:
    import tensorflow as tf

    return self.like(tf.nn.gelu(self.tensor, approximate=approximate == "tanh"))


@translates("elu", "celu")
def elu(
    _: Expected, self: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Any:
    import tensorflow as tf

    if input_scale != 1:
        raise Untranslatable("input_scale is given")
    x = self.tensor
    if alpha == scale == 1:
        return self.like(tf.nn.elu(x))
    return self.like(scale * (tf.nn.relu(x) + alpha * tf.math.expm1(tf.minimum(x, 0.0))))


@translates("leaky_relu")
def leaky_relu(_: Expected, self: Value, negative_slope: float = 0.01) -> Value:
    import tensorflow as tf

    return self.like(tf.nn.leaky_relu(self.tensor, negative_slope))


@translates("prelu")
def prelu(_: Expected, self: Value, weight: Any) -> Value:
    import tensorflow as tf

    slope = array(weight)
    if slope.size > 1:
        slope = _along(slope, self, 1)
    return self.like(tf.nn.relu(self.tensor) + slope * tf.minimum(self.tensor, 0.0))


@translates("softplus")
def softplus(_: Expected, self: Value, beta: float = 1, threshold: float = 20) -> Value:
    import tensorflow as tf

    if beta != 1:
        raise Untranslatable("beta is not 1")
    return self.like(tf.math.softplus(self.tensor))


@translates("softmax", "_softmax")
def softmax(_: Expected, self: Value, dim: int, **__: Any) -> Value:
    import tensorflow as tf

    return self.like(tf.nn.softmax(self.tensor, axis=self.axes[self.dim(dim)]))


@translates("log_softmax", "_log_softmax")
def log_softmax(_: Expected, self: Value, dim: int, **__: Any) -> Value:
    import tensorflow as tf

    return self.like(tf.nn.log_softmax(self.tensor, axis=self.axes[self.dim(dim)]))


def _enter_reductions() -> None:
    def reduction(of: Callable[[Any, Any, list[int]], Any]) -> Callable[..., Value]:
        def translation(
            _: Expected, self: Value, dim: Any = None, keepdim: bool = False, **__: Any
        ) -> Value:
            import tensorflow as tf

            dims, axes = axes_of(self, dim)
            reduced = of(tf, self.tensor, axes)
            sizes = tuple(1 if i in dims else size for i, size in enumerate(self.sizes))
            whole = Value(reduced, sizes, self.axes)
            return whole if keepdim else without(whole, tf.squeeze(reduced, axes), dims)

        return translation

    for name, function in {
        "mean": lambda tf, x, axes: tf.reduce_mean(x, axes, keepdims=True),
        "sum": lambda tf, x, axes: tf.reduce_sum(x, axes, keepdims=True),
        "amax": lambda tf, x, axes: tf.reduce_max(x, axes, keepdims=True),
        "amin": lambda tf, x, axes: tf.reduce_min(x, axes, keepdims=True),
    }.items():
        translates(name)(reduction(function))


_enter_reductions()


@translates("linalg_vector_norm", "norm")
def norm(
    _: Expected,
    self: Value,
    ord: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    p: Any = 2,
    **__: Any,
) -> Value:
    import tensorflow as tf

    if (ord, p) != (2, 2):
        raise Untranslatable("the norm is not the Euclidean one")
    dims, axes = axes_of(self, dim)
    length = tf.sqrt(tf.reduce_sum(tf.square(self.tensor), axes, keepdims=True))
    sizes = tuple(1 if i in dims else size for i, size in enumerate(self.sizes))
    whole = Value(length, sizes, self.axes)
    return whole if keepdim else without(whole, tf.squeeze(length, axes), dims)


@translates("linear")
def linear(out: Expected, input: Value, weight: Any, bias: Any = None) -> Value:
    import tensorflow as tf

    x = last(input)
    kernel = np.ascontiguousarray(array(weight).T)
    if len(x.sizes) == 4:  # a map: at whatever size the picture has
        tensor = tf.nn.conv2d(x.tensor, kernel[None, None], 1, "VALID")
    else:
        tensor = tf.matmul(x.tensor, kernel)
    if bias is not None:
        tensor = tf.nn.bias_add(tensor, array(bias))
    return result(out, x, tensor)


@translates("addmm")
def addmm(out: Expected, self: Any, mat1: Any, mat2: Any, beta: Any = 1, alpha: Any = 1) -> Value:
    if (beta, alpha) != (1, 1):
        raise Untranslatable("beta or alpha is not 1")
    product = matmul(out, mat1, mat2)
    like, (a, b) = together(out, product, self)
    return result(out, like, a + b)


@translates("matmul", "mm", "bmm")
def matmul(out: Expected, self: Any, other: Any = None, mat2: Any = None) -> Value:
    import tensorflow as tf

    a, b = as_value(self), as_value(mat2 if other is None else other)
    if min(len(a.sizes), len(b.sizes)) < 2:
        raise Untranslatable("an operand is a vector")
    (left, flip_left), (right, flip_right) = _matrices(a), _matrices(b)
    tensor = tf.matmul(left, right, transpose_a=flip_left, transpose_b=flip_right)
    return value(tensor, out.sizes)


def _matrices(x: Value) -> tuple[Any, bool]:
    """The tensor as a batch of matrices, and whether they are still to be transposed."""
    rank = len(x.sizes)
    flipped = [*range(rank - 2), rank - 1, rank - 2]
    if list(x.order) == flipped:
        return x.tensor, True
    return x.stored(range(rank)), False


@translates("einsum")
def einsum(out: Expected, equation: str, tensors: Sequence[Any], **_: Any) -> Value:
    import tensorflow as tf

    operands = [as_value(x) for x in tensors]
    found = tf.einsum(equation, *(x.stored(range(len(x.sizes))) for x in operands))
    return value(found, out.sizes)


@translates("baddbmm")
def baddbmm(
    out: Expected, self: Any, batch1: Any, batch2: Any, beta: Any = 1, alpha: Any = 1
) -> Any:
    import tensorflow as tf

    product = matmul(out, batch1, batch2)
    like, (a, b) = together(out, product, self)
    return result(out, like, alpha * a + (beta * tf.convert_to_tensor(b) if beta else 0.0))


@translates("scaled_dot_product_attention")
def attention(
    out: Expected,
    query: Value,
    key: Value,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    import tensorflow as tf

    if enable_gqa:
        raise Untranslatable("groups of queries share keys")
    factor = 1 / math.sqrt(query.sizes[-1]) if scale is None else scale
    sizes = (*query.sizes[:-1], key.sizes[-2])
    scores = matmul(replace(out, sizes=sizes), query, permuted_last(key))
    logits = scores.tensor * factor
    if is_causal:
        attn_mask = torch.ones(sizes[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        mask = _as_bias(attn_mask)
        like, (a, b) = together(replace(out, sizes=sizes), scores.like(logits), mask)
        logits = a + b
        scores = like
    weights = scores.like(tf.nn.softmax(logits, axis=scores.axes[-1]))
    return matmul(out, weights, value)


def permuted_last(x: Value) -> Value:
    """With the last two dimensions exchanged."""
    rank = len(x.sizes)
    return permuted(x, [*range(rank - 2), rank - 1, rank - 2])


def _as_bias(mask: Any) -> Any:
    if isinstance(mask, Value):
        if mask.tensor.dtype.is_bool:
            raise Untranslatable("the mask depends on the image")
        return mask
    if mask.dtype != torch.bool:
        return mask
    # What is added to logits that are not to count; infinity would make rows of them NaN.
    return torch.zeros(mask.shape).masked_fill(~mask, -1e9)


def _along(constant: Any, x: Value, dim: int) -> Any:
    """A vector along one of the dimensions of `x`."""
    shape = [1] * len(x.sizes)
    shape[x.axes[dim]] = -1
    return constant.reshape(shape)


def scaled(x: Value, dim: int, scale: Any, shift: Any) -> Value:
    """x·scale + shift, both vectors along `dim`."""
    return x.like(x.tensor * _along(scale, x, dim) + _along(shift, x, dim))


def normalised(x: Value, dims: list[int], eps: float) -> Value:
    """Less the mean, over the deviation, both over `dims`."""
    import tensorflow as tf

    axes = [x.axes[dim] for dim in dims]
    centred = x.tensor - tf.reduce_mean(x.tensor, axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
    return x.like(centred * tf.math.rsqrt(variance + eps))
