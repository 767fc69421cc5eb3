"""A GraphDef without its weights, as each import copies the constants, which may be gigabytes."""

from __future__ import annotations

from typing import Any

# Constants below this many bytes stay in a skeleton: shape inference reads them.
_SMALL = 4096


def large_constants(graph_def: Any) -> dict[str, Any]:
    """The tensors (protocol buffers) of the large constants, by the names of their nodes.

    One that another op waits for stays in its graph: a placeholder would be waited for in vain.
    """
    awaited = {name[1:] for node in graph_def.node for name in node.input if name.startswith("^")}
    return {
        node.name: node.attr["value"].tensor
        for node in graph_def.node
        if node.op == "Const"
        and node.attr["value"].ByteSize() > _SMALL
        and node.name not in awaited
    }


def skeleton_of(graph_def: Any) -> Any:
    """The same graph with placeholders instead of its large constants."""
    large = large_constants(graph_def)
    skeleton = type(graph_def)()
    skeleton.versions.CopyFrom(graph_def.versions)
    skeleton.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        copy = skeleton.node.add()
        if node.name in large:
            copy.name = node.name
            copy.op = "Placeholder"
            copy.attr["dtype"].CopyFrom(node.attr["dtype"])
            copy.attr["shape"].shape.CopyFrom(large[node.name].tensor_shape)
        else:
            copy.CopyFrom(node)
    return skeleton
