"""Tensors with torch's dimensions, kept in memory as TensorFlow likes them.

torch's maps are (n, c, h, w) and TensorFlow's convolutions want (n, h, w, c). A permutation is
only noted here; it is carried out where an op cannot do without, so that a translated network
holds next to no transposes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import NotRenderableError

NHWC = (0, 2, 3, 1)


@dataclass(frozen=True)
class Value:
    """What depends on the image.

    Attributes
    ----------
    tensor : TensorFlow tensor
    sizes : tuple of int
        By torch's dimensions. -k stands for k times the number of images, which is open.
    axes : tuple of int
        Torch's dimension i is axis axes[i] of `tensor`.
    """

    tensor: Any
    sizes: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def order(self) -> tuple[int, ...]:
        """Torch's dimensions in the order of the tensor's axes."""
        return tuple(int(i) for i in np.argsort(self.axes))

    def stored(self, order: Sequence[int]) -> Any:
        """The tensor with its axes in another order of torch's dimensions."""
        import tensorflow as tf

        if tuple(order) == self.order:
            return self.tensor
        return tf.transpose(self.tensor, [self.axes[dim] for dim in order])

    def like(self, tensor: Any) -> Value:
        """Another tensor of the same shape and layout."""
        return Value(tensor, self.sizes, self.axes)

    def dim(self, dim: int) -> int:
        """A dimension counted from the front."""
        return dim % len(self.sizes) if self.sizes else 0


def value(tensor: Any, sizes: Sequence[int], order: Sequence[int] | None = None) -> Value:
    """A tensor whose axes are torch's dimensions in `order`; as torch has them if left out."""
    axes = range(len(sizes)) if order is None else np.argsort(order)
    return Value(tensor, tuple(sizes), tuple(int(axis) for axis in axes))


def permuted(x: Value, dims: Sequence[int]) -> Value:
    """`torch.permute`; nothing is computed."""
    dims = [x.dim(dim) for dim in dims]
    return Value(x.tensor, tuple(x.sizes[d] for d in dims), tuple(x.axes[d] for d in dims))


def without(x: Value, tensor: Any, dims: Sequence[int]) -> Value:
    """`tensor` is that of `x` after the axes of `dims` were taken away."""
    kept = [dim for dim in range(len(x.sizes)) if dim not in dims]
    axes = np.argsort(np.argsort([x.axes[dim] for dim in kept]))
    return Value(tensor, tuple(x.sizes[dim] for dim in kept), tuple(int(axis) for axis in axes))


def reshaped(x: Value, sizes: Sequence[int]) -> Value:
    """`torch.reshape`. Dimensions that are neither split nor merged stay where they are."""
    import tensorflow as tf

    sizes = tuple(sizes)
    if sizes == x.sizes:
        return x
    groups = _groups(x.sizes, sizes)
    # The groups in the order in which they lie in memory, each in torch's order inside.
    groups.sort(key=lambda group: min((x.axes[dim] for dim in group[0]), default=-1))
    wanted = [dim for old, _ in groups for dim in old]
    if wanted == [dim for dim in x.order if x.sizes[dim] != 1]:
        source, position = x.tensor, dict(enumerate(x.axes))
    else:
        ones = [dim for dim, size in enumerate(x.sizes) if size == 1]
        source = x.stored(wanted + ones)
        position = {dim: axis for axis, dim in enumerate(wanted)}
    order = [dim for _, new in groups for dim in new]
    for dim, size in enumerate(sizes):
        if size == 1:  # beside the dimension before it
            order.insert(order.index(dim - 1) + 1 if dim - 1 in order else 0, dim)
    unchanged = {new[0]: old[0] for old, new in groups if len(old) == len(new) == 1}
    target: list[Any] = []
    for dim in order:
        # The height and width of a map are asked for, as pictures are rendered at other sizes.
        if dim in unchanged and sizes[dim] > 0 and len(x.sizes) > 3 and unchanged[dim] > 1:
            target.append(tf.shape(source)[position[unchanged[dim]]])
        else:
            target.append(sizes[dim] if sizes[dim] > 0 else -1)
    return value(tf.reshape(source, target), sizes, order)


def _groups(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Dimensions that become one another: (old, new) with equal products, as small as can be.

    Dimensions of size 1 are in no group.
    """
    left = [dim for dim, size in enumerate(old) if size != 1]
    right = [dim for dim, size in enumerate(new) if size != 1]
    groups: list[tuple[list[int], list[int]]] = []
    while left or right:
        if not left or not right:
            raise NotRenderableError(f"a reshape from {old} to {new} cannot be followed")
        before, after = [left.pop(0)], [right.pop(0)]
        while (a := math.prod(old[d] for d in before)) != (b := math.prod(new[d] for d in after)):
            shorter, rest = (before, left) if abs(a) <= abs(b) else (after, right)
            if not rest:
                shorter, rest = (after, right) if shorter is before else (before, left)
            if not rest:
                raise NotRenderableError(f"a reshape from {old} to {new} cannot be followed")
            shorter.append(rest.pop(0))
        groups.append((before, after))
    return groups


def broadcast(x: Value, rank: int) -> Value:
    """With dimensions of size 1 in front, up to `rank`."""
    return reshaped(x, (1,) * (rank - len(x.sizes)) + x.sizes)


def constant(array: npt.NDArray[Any], like: Value) -> npt.NDArray[Any]:
    """A constant, as it has to lie beside the tensor of `like` to be broadcast against it."""
    full = array.reshape((1,) * (len(like.sizes) - array.ndim) + array.shape)
    return full.transpose(like.order)
