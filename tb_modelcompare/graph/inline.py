"""Function calls of a frozen graph, replaced by what the functions do.

A call hides its ops: from the check for gradients, from rewrites, from whoever reads an error.
Without calls all of these look at one flat graph. Parsing only, as in `frozen`.
"""

from __future__ import annotations

from typing import Any

from tb_modelcompare.errors import CorruptSnapshotError, NotRenderableError

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})

# A few functions that call each other twice could otherwise fill any memory.
_MAX_NODES = 200_000
_MAX_ADDED_BYTES = 2**28

# Position of an op's named outputs where it has more than one; all others begin at 0.
_OUTPUTS = {
    name: position
    for position, name in enumerate(
        (
            "y",
            "batch_mean",
            "batch_variance",
            "reserve_space_1",
            "reserve_space_2",
            "reserve_space_3",
        )
    )
}
_NORMALISATIONS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})


def inlined(graph_def: Any) -> Any:
    """`graph_def` with the nodes of its functions instead of calls, and no functions.

    A call named `c` becomes an IdentityN `c`, so that whatever reads its outputs still does;
    the nodes of its function are `c/NAME`. Calls that XLA is to compile stay as they are, with
    the functions that they need.

    Raises
    ------
    CorruptSnapshotError
        A call's function is absent, or disagrees with the call.
    NotRenderableError
        Functions call each other in a circle, or make too many nodes.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    flat = type(graph_def)()
    flat.versions.CopyFrom(graph_def.versions)
    waiting: list[tuple[Any, frozenset[str]]] = [(node, frozenset()) for node in graph_def.node]
    compiled = False
    added = -sum(function.ByteSize() for function in functions.values())  # once is no repetition
    while waiting:
        node, inside = waiting.pop()
        if len(flat.node) + len(waiting) > _MAX_NODES:
            raise NotRenderableError(
                f"the functions of the frozen graph amount to more than {_MAX_NODES} nodes"
            )
        name = node.attr["f"].func.name if node.op in _CALLS else node.op
        if "_XlaMustCompile" in node.attr and node.attr["_XlaMustCompile"].b:
            compiled = True
            flat.node.add().CopyFrom(node)
        elif name in functions:
            if name in inside:
                raise NotRenderableError(
                    f"the function {name!r} of the frozen graph calls itself (node {node.name!r})"
                )
            body, outputs = _body(node, functions[name])
            added += sum(one.ByteSize() for one in body)
            if added > _MAX_ADDED_BYTES:
                raise NotRenderableError(
                    f"the functions of the frozen graph amount to {_MAX_ADDED_BYTES} bytes more "
                    f"than they have"
                )
            waiting += [(one, inside | {name}) for one in body]
            flat.node.add().CopyFrom(outputs)
        elif node.op in _CALLS:
            raise CorruptSnapshotError(f"node {node.name!r} calls the unknown function {name!r}")
        else:
            flat.node.add().CopyFrom(node)
    if compiled:
        flat.library.CopyFrom(graph_def.library)
    return flat


def _body(call: Any, function: Any) -> tuple[list[Any], Any]:
    """Nodes of `function` as part of the graph that calls it, and one with the call's outputs."""
    arguments = [argument.name for argument in function.signature.input_arg]
    inputs = [name for name in call.input if not name.startswith("^")]
    controls = [name for name in call.input if name.startswith("^")]
    if len(arguments) != len(inputs):
        raise CorruptSnapshotError(
            f"node {call.name!r} gives {len(inputs)} inputs to a function of {len(arguments)}"
        )
    given = dict(zip(arguments, inputs, strict=True))
    ops = {node.name: node.op for node in function.node_def}

    def outside(name: str) -> str:
        """What an input of a node of the function is called in the graph."""
        if name.startswith("^"):
            return f"^{call.name}/{name[1:]}"
        if name in given:
            return str(given[name])
        parts = name.split(":")
        if parts[0] not in ops or len(parts) != 3 or not parts[2].isdecimal():
            raise CorruptSnapshotError(
                f"the function of node {call.name!r} has no output {name!r} in it"
            )
        start = _OUTPUTS.get(parts[1], 0) if ops[parts[0]] in _NORMALISATIONS else 0
        return f"{call.name}/{parts[0]}:{start + int(parts[2])}"

    body = []
    for node in function.node_def:
        copy = type(node)()
        copy.CopyFrom(node)
        copy.name = f"{call.name}/{node.name}"
        del copy.input[:]
        copy.input.extend([*map(outside, node.input), *controls])
        for attribute, value in node.attr.items():
            if value.placeholder:  # left open by the function for its calls to say
                copy.attr[attribute].CopyFrom(call.attr[value.placeholder])
        body.append(copy)
    outputs = type(call)()
    outputs.name = call.name
    outputs.op = "IdentityN"
    results = [argument.name for argument in function.signature.output_arg]
    if not results or any(result not in function.ret for result in results):
        raise CorruptSnapshotError(f"the function of node {call.name!r} returns nothing")
    outputs.input.extend([outside(function.ret[result]) for result in results])
    outputs.attr["T"].list.type.extend(
        argument.type or call.attr[argument.type_attr].type
        for argument in function.signature.output_arg
    )
    return body, outputs
