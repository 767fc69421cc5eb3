"""Translations of what moves values about: shapes, slices, joins, padding, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from tb_modelcompare.capture.torch.layout import NHWC, Value, permuted, reshaped, value, without
from tb_modelcompare.capture.torch.operators import (
    Expected,
    Untranslatable,
    array,
    as_value,
    result,
    shape_of,
    translates,
)


@translates(
    "clone", "contiguous", "detach", "alias", "dropout", "feature_dropout", "alpha_dropout",
    "feature_alpha_dropout", "lift_fresh_copy", "identity", "expand_as", "type_as",
)  # fmt: skip
def unchanged(_: Expected, self: Any = None, input: Any = None, *__: Any, **___: Any) -> Any:
    return input if self is None else self


@translates("to", "_to_copy")
def to(_: Expected, self: Value, dtype: Any = None, **__: Any) -> Value:
    """Whatever floats is float32 here."""
    import tensorflow as tf

    if dtype is None:
        return self
    if dtype.is_floating_point:
        return self.like(tf.cast(self.tensor, tf.float32))
    return self.like(tf.cast(self.tensor, str(dtype).removeprefix("torch.")))


@translates("native_dropout")
def native_dropout(_: Expected, input: Value, **__: Any) -> tuple[Value, None]:
    return input, None


@translates(
    "view", "_unsafe_view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "view_as",
)  # fmt: skip
def reshape(out: Expected, self: Value, **_: Any) -> Value:
    return reshaped(self, out.sizes)


@translates("permute")
def permute(_: Expected, self: Value, dims: Sequence[int]) -> Value:
    return permuted(self, dims)


@translates("transpose", "swapaxes")
def transpose(_: Expected, self: Value, dim0: int, dim1: int) -> Value:
    dims = list(range(len(self.sizes)))
    a, b = self.dim(dim0), self.dim(dim1)
    dims[a], dims[b] = b, a
    return permuted(self, dims)


@translates("t", "numpy_T", "mT")
def matrix_transpose(_: Expected, self: Value) -> Value:
    return permuted(self, [*range(len(self.sizes) - 2), -1, -2])


@translates("movedim", "moveaxis")
def movedim(_: Expected, self: Value, source: Any, destination: Any) -> Value:
    given = [source] if isinstance(source, int) else list(source)
    wanted = [destination] if isinstance(destination, int) else list(destination)
    given, wanted = [self.dim(d) for d in given], [self.dim(d) for d in wanted]
    order = [d for d in range(len(self.sizes)) if d not in given]
    for target, dim in sorted(zip(wanted, given, strict=True)):
        order.insert(target, dim)
    return permuted(self, order)


@translates("expand", "broadcast_to")
def expand(out: Expected, self: Any, **_: Any) -> Value:
    import tensorflow as tf

    x = as_value(self)
    if tuple(out.sizes) == x.sizes:
        return x
    x = reshaped(x, (1,) * (len(out.sizes) - len(x.sizes)) + x.sizes)
    return result(out, x, tf.broadcast_to(x.tensor, shape_of(out, x.order)))


@translates("repeat")
def repeat(out: Expected, self: Any, repeats: Sequence[Any]) -> Value:
    import tensorflow as tf

    x = as_value(self)
    x = reshaped(x, (1,) * (len(out.sizes) - len(x.sizes)) + x.sizes)
    times = [
        size // old if old > 0 or size < 0 > old else size
        for size, old in zip(out.sizes, x.sizes, strict=True)
    ]
    return result(out, x, tf.tile(x.tensor, shape_of(replace(out, sizes=times), x.order)))


@translates("full", "new_full")
def full(out: Expected, fill_value: float, **_: Any) -> Any:
    import tensorflow as tf

    if min(out.sizes, default=0) >= 0:
        return torch.full(out.sizes, fill_value, dtype=out.dtype)
    return value(tf.fill(shape_of(out), float(fill_value)), out.sizes)


@translates("zeros", "new_zeros", "zeros_like")
def zeros(out: Expected, **_: Any) -> Any:
    return full(out, 0.0)


@translates("ones", "new_ones", "ones_like")
def ones(out: Expected, **_: Any) -> Any:
    return full(out, 1.0)


@translates("cat", "concat", "concatenate")
def cat(out: Expected, tensors: Sequence[Any], dim: int = 0) -> Value:
    import tensorflow as tf

    dim = dim % len(out.sizes)
    parts = [as_value(part) for part in tensors]
    order = max((part.order for part in parts), key=lambda order: order != tuple(sorted(order)))
    joined = tf.concat([part.stored(order) for part in parts], order.index(dim))
    return value(joined, out.sizes, order)


@translates("stack")
def stack(out: Expected, tensors: Sequence[Any], dim: int = 0) -> Value:
    dim = dim % len(out.sizes)
    parts = [as_value(part) for part in tensors]
    shape = [*parts[0].sizes[:dim], 1, *parts[0].sizes[dim:]]
    return cat(out, [reshaped(part, shape) for part in parts], dim)


@translates("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk")
def split(out: Expected, self: Value, dim: int = 0, **_: Any) -> list[Value]:
    import tensorflow as tf

    dim = self.dim(dim)
    parts = tf.split(self.tensor, [sizes[dim] for sizes in out.sizes], axis=self.axes[dim])
    return [
        Value(part, tuple(sizes), self.axes) for part, sizes in zip(parts, out.sizes, strict=True)
    ]


@translates("unbind")
def unbind(out: Expected, self: Value, dim: int = 0) -> list[Value]:
    return [select(out, self, dim, i) for i in range(len(out.sizes))]


@translates("select")
def select(_: Expected, self: Value, dim: int, index: int) -> Value:
    dim = self.dim(dim)
    where: list[Any] = [slice(None)] * len(self.sizes)
    where[self.axes[dim]] = index
    return without(self, self.tensor[tuple(where)], [dim])


@translates("slice", "narrow")
def slice_(
    out: Expected,
    self: Value,
    dim: int = 0,
    start: Any = None,
    end: Any = None,
    step: int = 1,
    length: Any = None,
) -> Value:
    dim = self.dim(dim)
    if out.sizes[dim] == self.sizes[dim] and step == 1:
        return self
    if self.sizes[dim] < 0:
        raise Untranslatable("some of the images of a batch are taken apart")
    first = start or 0
    first += self.sizes[dim] if first < 0 else 0
    after = first + (out.sizes[dim] - 1) * step + 1
    # Open to the end where it goes there, so that it does in pictures of another size.
    open_ended = first + out.sizes[dim] * step >= self.sizes[dim]
    where: list[Any] = [slice(None)] * len(self.sizes)
    where[self.axes[dim]] = slice(first, None if open_ended else after, step)
    return result(out, self, self.tensor[tuple(where)])


@translates("index_select")
def index_select(out: Expected, self: Value, dim: int, index: Any) -> Value:
    import tensorflow as tf

    if isinstance(index, Value):
        raise Untranslatable("the index depends on the image")
    axis = self.axes[self.dim(dim)]
    return result(out, self, tf.gather(self.tensor, array(index), axis=axis))


@translates("index")
def index(out: Expected, self: Value, indices: Sequence[Any]) -> Value:
    given = [(dim, i) for dim, i in enumerate(indices) if i is not None]
    if len(given) != 1 or isinstance(given[0][1], Value) or given[0][1].ndim != 1:
        raise Untranslatable("it takes other than one constant list of indices")
    return index_select(out, self, *given[0])


@translates("roll")
def roll(_: Expected, self: Value, shifts: Any, dims: Any = ()) -> Value:
    import tensorflow as tf

    if dims == () or dims == []:
        raise Untranslatable("no dimension is given")
    by = list(shifts) if isinstance(shifts, (list, tuple)) else [shifts]
    along = list(dims) if isinstance(dims, (list, tuple)) else [dims]
    return self.like(tf.roll(self.tensor, by, [self.axes[self.dim(d)] for d in along]))


@translates("flip")
def flip(_: Expected, self: Value, dims: Sequence[int]) -> Value:
    import tensorflow as tf

    return self.like(tf.reverse(self.tensor, [self.axes[self.dim(d)] for d in dims]))


@translates("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def pad(
    out: Expected,
    self: Any,
    pad: Any = None,
    mode: str = "constant",
    value: Any = 0,
    padding: Any = None,
) -> Value:
    import tensorflow as tf

    amounts = list(padding if pad is None else pad)
    if pad is None:
        mode = "reflect" if "reflection" in out.operator.name() else "replicate"
    widths = [[0, 0] for _ in self.sizes]
    for i in range(len(amounts) // 2):
        widths[self.axes[-1 - i]] = [int(n) for n in amounts[2 * i : 2 * i + 2]]
    if mode not in ("constant", "reflect", "replicate") or min(map(min, widths)) < 0:
        raise Untranslatable(f"the padding is {mode} by {amounts}")
    if mode == "reflect":
        return result(out, self, tf.pad(self.tensor, widths, "REFLECT"))
    if mode == "constant":
        return result(out, self, tf.pad(self.tensor, widths, constant_values=float(value or 0)))
    tensor = self.tensor
    for axis, (before, after) in enumerate(widths):
        first, final = (
            tensor[(*[slice(None)] * axis, edge)] for edge in (slice(None, 1), slice(-1, None))
        )
        if before or after:
            tensor = tf.concat([first] * before + [tensor] + [final] * after, axis)
    return result(out, self, tensor)


@translates("pixel_shuffle")
def pixel_shuffle(out: Expected, self: Value, upscale_factor: int) -> Value:
    images, channels, height, width = self.sizes
    r = upscale_factor
    parts = reshaped(self, (images, channels // (r * r), r, r, height, width))
    return reshaped(permuted(parts, (0, 1, 4, 2, 5, 3)), out.sizes)


@translates("pixel_unshuffle")
def pixel_unshuffle(out: Expected, self: Value, downscale_factor: int) -> Value:
    images, channels, height, width = self.sizes
    r = downscale_factor
    parts = reshaped(self, (images, channels, height // r, r, width // r, r))
    return reshaped(permuted(parts, (0, 1, 3, 5, 2, 4)), out.sizes)


@translates("channel_shuffle")
def channel_shuffle(out: Expected, self: Value, groups: int) -> Value:
    images, channels, *spatial = self.sizes
    parts = reshaped(self, (images, groups, channels // groups, *spatial))
    return reshaped(transpose(out, parts, 1, 2), out.sizes)


@translates(
    "upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d",
    "_upsample_bilinear2d_aa", "upsample_bicubic2d", "_upsample_bicubic2d_aa",
)  # fmt: skip
def resampled(out: Expected, input: Value | None = None, **options: Any) -> Value:
    """A map through what is linear and does the same along its height and its width.

    What torch gives for unit vectors is its matrix, so that this is exact for every mode of
    interpolation and of adaptive averaging, with every option.
    """
    import tensorflow as tf

    x = options.pop("self") if input is None else input
    _, _, height, width = x.sizes
    down = _matrix(out, height, (1, height, height, width), -2, options)
    across = _matrix(out, width, (1, width, height, width), -1, options)
    return value(tf.einsum("ih,nhwc,jw->nijc", down, x.stored(NHWC), across), out.sizes, NHWC)


def _matrix(out: Expected, old: int, shape: tuple[int, ...], dim: int, options: Any) -> Any:
    """(new, old): what becomes of each of `old` unit vectors along `dim`."""
    units = torch.eye(old).view(1, old, *(old if i == dim else 1 for i in (-2, -1))).expand(shape)
    found = [out.operator(part, **options).movedim(dim, 2) for part in units.split(32, dim=1)]
    return array(torch.cat([part[0, :, :, 0] for part in found]).T.contiguous())
