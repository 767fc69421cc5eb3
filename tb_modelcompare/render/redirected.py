"""lucid's redirected ReLU in few ops, which a step can ask for or do without.

A ReLU lets no gradient through where its unit is silent, so a picture of a silent unit never
changes. lucid's `redirected_relu_grad` lets through what makes a unit louder, in those pictures of
a batch whose gradient is blocked at every position. lucid does so in the first 16 steps only. After
them, a picture whose unit is still silent, or has fallen silent, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_SWITCH = "redirect"
_RELU, _RELU6 = "ModelCompareRelu", "ModelCompareRelu6"


@contextmanager
def redirectable(tf: Any, graph: Any) -> Iterator[Any]:
    """Within it, ReLUs that are added to `graph` have a gradient that can be redirected.

    Parameters
    ----------
    tf : module
        `tensorflow.compat.v1`.
    graph : tensorflow Graph

    Yields
    ------
    tensor of bool
        To be fed: whether a step redirects.
    """
    _register()
    switch = tf.placeholder(tf.bool, (), _SWITCH)
    with graph.gradient_override_map({"Relu": _RELU, "Relu6": _RELU6}):
        yield switch


@cache
def _register() -> None:
    import tensorflow

    raw = tensorflow.raw_ops

    def relu(gradient: Any, output: Any) -> Any:
        return raw.ReluGrad(gradients=gradient, features=output)

    def relu6(gradient: Any, output: Any) -> Any:
        return raw.Relu6Grad(gradients=gradient, features=output)

    # The optimiser descends: a negative gradient makes a unit louder, a positive one quieter.
    def louder(gradient: Any, output: Any, zero: Any) -> Any:
        return raw.Minimum(x=gradient, y=zero)

    def back_into_range(gradient: Any, output: Any, zero: Any) -> Any:
        quieter = raw.Maximum(x=gradient, y=zero)
        is_silent = raw.LessEqual(x=output, y=zero)
        return raw.SelectV2(condition=is_silent, t=louder(gradient, output, zero), e=quieter)

    tensorflow.RegisterGradient(_RELU)(_switched(raw, relu, louder))
    tensorflow.RegisterGradient(_RELU6)(_switched(raw, relu6, back_into_range))


def _switched(
    raw: Any, plain: Callable[[Any, Any], Any], redirected: Callable[[Any, Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    """A gradient that is `redirected` in the blocked pictures of a step that asks for it.

    `Switch` and `Merge` compute only the branch that is asked for, so the other costs no time.
    """

    def gradient(op: Any, incoming: Any) -> Any:
        import tensorflow

        output = op.outputs[0]
        switch = op.graph.get_tensor_by_name(f"{_SWITCH}:0")
        ordinary, first = raw.Switch(data=incoming, pred=switch)
        zero = tensorflow.constant(0, incoming.dtype)
        through = plain(first, output)
        rank = output.shape.rank
        axes = tensorflow.range(1, tensorflow.rank(output)) if rank is None else [*range(1, rank)]
        moves = raw.Any(input=raw.NotEqual(x=through, y=zero), axis=axes, keep_dims=True)
        blocked = redirected(first, output, zero)
        chosen = raw.SelectV2(condition=moves, t=through, e=blocked)
        return raw.Merge(inputs=[plain(ordinary, output), chosen])[0]

    return gradient
