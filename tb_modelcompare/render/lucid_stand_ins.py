"""What lucid's modules ask for and today's libraries no longer have.

`lucid_bridge` rewrites lucid's imports to the names in here. lucid was written for
TensorFlow 1: `tf` is TensorFlow's own compatibility layer plus the one function of
`tf.contrib` that lucid's transforms call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import tensorflow as _tensorflow

_v1 = _tensorflow.compat.v1


class _Missing:
    """A name that lucid imports but that nothing we call ever uses."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{self._name} is not part of the packed lucid")

    def __getattr__(self, attribute: str) -> _Missing:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return _Missing(f"{self._name}.{attribute}")


def rotate(images: Any, angle: Any) -> Any:
    """Rotate a batch (n, h, w, c) by `angle` radians counter-clockwise; differentiable.

    The meaning of TensorFlow 1's `tf.contrib.image.rotate`: bilinear, zeros outside.
    """
    shape = _v1.shape(images)
    height = _v1.cast(shape[1] - 1, _v1.float32)
    width = _v1.cast(shape[2] - 1, _v1.float32)
    cos, sin = _v1.cos(angle), _v1.sin(angle)
    offset_x = (width - (cos * width - sin * height)) / 2
    offset_y = (height - (sin * width + cos * height)) / 2
    zero = _v1.zeros_like(angle)
    matrix = _v1.stack([cos, -sin, offset_x, sin, cos, offset_y, zero, zero])[None]
    return _tensorflow.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=matrix,
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


class _TensorFlow1:
    """`tensorflow.compat.v1`, with the part of `tf.contrib` that lucid calls."""

    contrib = SimpleNamespace(image=SimpleNamespace(rotate=rotate))

    def __getattr__(self, name: str) -> Any:
        return getattr(_v1, name)


tf = _TensorFlow1()
slim = _Missing("tf.contrib.slim")


def install_aliases() -> None:
    """Python 2's names for Python 3's modules (`future`): nothing to do."""


def decorator(outer: Callable[..., Any]) -> Callable[..., Any]:
    """`decorator.decorator`: from caller(f, *args) to a decorator for f."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return outer(function, *args, **kwargs)

        return call

    return decorate


def missing(name: str) -> _Missing:
    """The stand-in for `name`, which says so when it is called."""
    return _Missing(name)
