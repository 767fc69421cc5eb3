"""The same function in fewer and cheaper ops, before gradients are taken of it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_FLOAT32 = 1  # DT_FLOAT


def simplified(graph_def: Any, source: str, targets: Sequence[str]) -> tuple[Any, list[str]]:
    """`graph_def` without identities, with cheap powers and uncapped targets.

    Frozen graphs are full of identities, each of which costs time when gradients are built.
    Local response normalisation raises to 0.75 or -0.75, and `Pow` takes a fifth of a step of
    GoogLeNet; two square roots give the same. A unit behind a ReLU6 soon reads 6 all over the
    picture, and nothing pulls any more: where a target is a ReLU6, a ReLU takes its place for
    the target alone.

    Parameters
    ----------
    source : str
        Node of the picture; goes on existing under its name.
    targets : sequence of str
        Tensors.

    Returns
    -------
    GraphDef, list of str
        And the targets' names in it.
    """
    nodes = {node.name: node for node in graph_def.node}
    found = [_uncapped(target, nodes) for target in targets]
    extended = type(graph_def)()
    extended.CopyFrom(graph_def)
    for capped in sorted({name for name, changed in found if changed}):
        node = extended.node.add()
        node.CopyFrom(nodes[capped])
        node.name, node.op = capped + _UNCAPPED, "Relu"
    names = [name + _UNCAPPED if changed else name for name, changed in found]
    kept = frozenset([source, *(name.partition(":")[0] for name in names)])
    return _with_cheap_powers(_without_identities(extended, kept)), names


_UNCAPPED = "/uncapped"


def _uncapped(target: str, nodes: Mapping[str, Any]) -> tuple[str, bool]:
    """The ReLU6 that `target` is, through identities, and true; or `target` and false."""
    name = target.removesuffix(":0")
    while name in nodes and nodes[name].op == "Identity":
        name = nodes[name].input[0].removesuffix(":0")
    if name in nodes and nodes[name].op == "Relu6":
        return name, True
    return target, False


def _without_identities(graph_def: Any, keep: frozenset[str]) -> Any:
    source: dict[str, str] = {}
    for node in graph_def.node:
        if node.op == "Identity" and node.name not in keep:
            source[node.name] = node.input[0]

    def resolved(name: str) -> str:
        while name.removesuffix(":0") in source:
            name = source[name.removesuffix(":0")]
        return name

    kept = _empty_like(graph_def)
    for node in graph_def.node:
        if node.name in source:
            continue
        copy = kept.node.add()
        copy.CopyFrom(node)
        del copy.input[:]
        # Control inputs order side effects, and no op on the allowlist has one.
        copy.input.extend(resolved(name) for name in node.input if not name.startswith("^"))
    return kept


def _with_cheap_powers(graph_def: Any) -> Any:
    constants = {node.name: node for node in graph_def.node if node.op == "Const"}
    kept = _empty_like(graph_def)
    for node in graph_def.node:
        write = _POWERS.get(_exponent(node, constants)) if node.op == "Pow" else None
        if write is None:
            kept.node.add().CopyFrom(node)
            continue

        def add(suffix: str, op: str, *inputs: str, power: Any = node) -> str:
            new = kept.node.add()
            new.name = power.name + suffix
            new.op = op
            new.input.extend(inputs)
            new.attr["T"].type = _FLOAT32
            return str(new.name)

        write(add, node.input[0])
    return kept


_Add = Callable[..., str]


def _square_root(add: _Add, x: str) -> None:
    add("", "Sqrt", x)


def _three_quarters(add: _Add, x: str) -> None:
    root = add("/root", "Sqrt", x)
    add("", "Mul", root, add("/root_of_root", "Sqrt", root))


def _minus_three_quarters(add: _Add, x: str) -> None:
    inverse = add("/inverse_root", "Rsqrt", x)
    add("", "Mul", inverse, add("/root_of_inverse", "Sqrt", inverse))


_POWERS: Mapping[float | None, Callable[[_Add, str], None]] = {
    0.5: _square_root,
    0.75: _three_quarters,
    -0.75: _minus_three_quarters,
}


def _exponent(node: Any, constants: Mapping[str, Any]) -> float | None:
    """The constant scalar exponent of a float32 `Pow`; None where it is not one."""
    constant = constants.get(node.input[1].removesuffix(":0"))
    if constant is None or node.attr["T"].type != _FLOAT32:
        return None
    tensor = constant.attr["value"].tensor
    if tensor.tensor_shape.dim:
        return None
    if tensor.float_val:
        return float(tensor.float_val[0])
    if len(tensor.tensor_content) == 4:
        return float(struct.unpack("<f", tensor.tensor_content)[0])
    return None


def _empty_like(graph_def: Any) -> Any:
    empty = type(graph_def)()
    empty.versions.CopyFrom(graph_def.versions)
    empty.library.CopyFrom(graph_def.library)
    return empty
