"""Nodes, blocks and their JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tb_modelcompare.errors import CorruptSnapshotError

MAX_NODES = 20_000
MAX_EDGES = 200_000
_MAX_NAME = 1024

NODE_KINDS = (
    "input",
    "conv",
    "dense",
    "pool",
    "norm",
    "activation",
    "concat",
    "add",
    "reshape",
    "output",
    "other",
)
BLOCK_KINDS = ("inception", "residual", "stage", "group")


GRAPH_VERSION = 1


@dataclass(frozen=True)
class Node:
    """One call of one layer.

    `inputs` are names of earlier nodes. `shape` is without the batch axis (None inside it
    where a size is not fixed, None altogether where unknown); `units` is its last number.
    `logged` says that activations were stored. `group` is the name of the node into which
    this one is merged when drawn (its convolution's box, say), None if it is drawn itself.
    `tags` are what a list of layers beside the model says of it, such as lucid's ("conv",).
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    shape: tuple[int | None, ...] | None = None
    units: int | None = None
    logged: bool = False
    label: str = ""
    kind: str = "other"
    group: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """Nodes that belong together; `output` is the node whose value leaves the block."""

    name: str
    kind: str
    nodes: tuple[str, ...]
    output: str
    parent: str | None = None


@dataclass(frozen=True)
class LayerGraph:
    """Nodes in topological order, and the blocks they form."""

    nodes: tuple[Node, ...]
    blocks: tuple[Block, ...] = ()

    def node(self, name: str) -> Node:
        """The node called `name`; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """The form that docs/reference/log_format.md describes."""
        return {
            "version": GRAPH_VERSION,
            "nodes": [_node_to_json(node) for node in self.nodes],
            "blocks": [asdict(block) for block in self.blocks],
        }

    @classmethod
    def from_json(cls, value: Any) -> LayerGraph:
        """The inverse of `to_json`, for a value that nobody vouches for.

        Raises
        ------
        CorruptSnapshotError
            If a field is missing or of another type, a bound is exceeded, nodes are not in
            topological order, or a block names a node that is not there.
        """
        _expect(isinstance(value, dict), "is not an object")
        _expect(value.get("version") == GRAPH_VERSION, f"has version {value.get('version')!r}")
        raw_nodes, raw_blocks = value.get("nodes"), value.get("blocks", [])
        _expect(isinstance(raw_nodes, list) and isinstance(raw_blocks, list), "has no node list")
        _expect(len(raw_nodes) <= MAX_NODES, f"has more than {MAX_NODES} nodes")
        _expect(len(raw_blocks) <= MAX_NODES, f"has more than {MAX_NODES} blocks")
        seen: set[str] = set()
        nodes: list[Node] = []
        edges = 0
        for raw in raw_nodes:
            node = _node(raw)
            _expect(node.name not in seen, f"has two nodes called {node.name!r}")
            for source in node.inputs:
                _expect(source in seen, f"node {node.name!r} comes before its input {source!r}")
            edges += len(node.inputs)
            _expect(edges <= MAX_EDGES, f"has more than {MAX_EDGES} edges")
            seen.add(node.name)
            nodes.append(node)
        for node in nodes:
            _expect(node.group is None or node.group in seen, f"{node.name!r} has an unknown group")
        _check_parents("node", {node.name: node.group for node in nodes})
        blocks = tuple(_block(raw, seen) for raw in raw_blocks)
        _expect(sum(len(b.nodes) for b in blocks) <= MAX_EDGES, "has too many block members")
        _expect(len({b.name for b in blocks}) == len(blocks), "has two blocks of one name")
        _check_parents("block", {block.name: block.parent for block in blocks})
        return cls(tuple(nodes), blocks)


def _node_to_json(node: Node) -> dict[str, Any]:
    """Tags are left out where there are none, as in all logs before there were any."""
    value = asdict(node)
    if not node.tags:
        del value["tags"]
    return value


def _expect(condition: bool, complaint: str) -> None:
    if not condition:
        raise CorruptSnapshotError(f"layer graph {complaint}; log the model again")


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise CorruptSnapshotError(
            f"layer graph: {key} is not a string of at most {_MAX_NAME} characters; "
            f"log the model again"
        )
    return value


def _names(raw: dict[str, Any], key: str) -> tuple[str, ...]:
    value = raw.get(key)
    _expect(isinstance(value, list) and all(isinstance(v, str) for v in value), f"has bad {key}")
    return tuple(value or ())


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _node(raw: Any) -> Node:
    _expect(isinstance(raw, dict), "has a node that is not an object")
    shape, units, group = raw.get("shape"), raw.get("units"), raw.get("group")
    _expect(
        shape is None
        or (
            isinstance(shape, list)
            and len(shape) <= 16
            and all(size is None or _is_count(size) for size in shape)
        ),
        "has a node with a bad shape",
    )
    _expect(units is None or _is_count(units), "has a node with bad units")
    _expect(isinstance(raw.get("logged"), bool), "has a node without `logged`")
    kind = raw.get("kind", "other")
    _expect(kind in NODE_KINDS, f"has a node of unknown kind {kind!r}")
    _expect(group is None or isinstance(group, str), "has a node with a bad group")
    return Node(
        name=_text(raw, "name"),
        op=_text(raw, "op"),
        inputs=_names(raw, "inputs"),
        shape=None if shape is None else tuple(shape),
        units=units,
        logged=raw["logged"],
        label=_text(raw, "label"),
        kind=kind,
        group=group,
        tags=_names(raw, "tags") if "tags" in raw else (),
    )


def _block(raw: Any, nodes: set[str]) -> Block:
    _expect(isinstance(raw, dict), "has a block that is not an object")
    parent, kind = raw.get("parent"), raw.get("kind")
    _expect(parent is None or isinstance(parent, str), "has a block with a bad parent")
    _expect(kind in BLOCK_KINDS, f"has a block of unknown kind {kind!r}")
    block = Block(_text(raw, "name"), str(kind), _names(raw, "nodes"), _text(raw, "output"), parent)
    _expect(nodes.issuperset(block.nodes), f"block {block.name!r} names an unknown node")
    _expect(block.output in block.nodes, f"block {block.name!r} has an output outside it")
    return block


def _check_parents(what: str, parents: dict[str, str | None]) -> None:
    """Each is in one that is there, and none in itself, however many are between."""
    done: set[str] = set()
    for name in parents:
        path: set[str] = set()
        current: str | None = name
        while current is not None and current not in done:
            _expect(current in parents, f"{what} {name!r} has an unknown parent")
            _expect(current not in path, f"{what} {name!r} is its own ancestor")
            path.add(current)
            current = parents[current]
        done |= path
