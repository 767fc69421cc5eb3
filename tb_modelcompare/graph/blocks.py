"""Blocks of a layer graph: Inception modules, residual blocks, stages that share a name.

A node that joins branches (concatenation, sum, product) closes a block: everything between
it and its immediate dominator, the last node that all paths to it pass. Cells that take from
several cells before them (NASNet) have no such node nearby: there a node belongs to the first of
the joins that it leads to. What is left over is grouped by common beginnings of names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from tb_modelcompare.graph.layer_graph import Block, LayerGraph, Node
from tb_modelcompare.graph.naming import (
    bears,
    common_stem,
    is_numbering,
    majority_stem,
    starts_with_number,
    word_ends,
)

# A skip across more nodes than this is no module of the network but its whole shape.
_MAX_REGION = 64
# Fewer branches are a skip (of a U-Net, say), which closes no cell; more nodes are no cell either.
_CELL_JOINS = 3
_MAX_CELL = 2 * _MAX_REGION
_KIND_OF_JOIN = {"concat": "inception", "add": "residual"}


def find_blocks(graph: LayerGraph) -> LayerGraph:
    """`graph` (simplified) with blocks, besides those it has (nested models)."""
    nodes = {node.name: node for node in graph.nodes}
    found = list(graph.blocks)
    regions = sorted(_regions(nodes), key=lambda block: len(block.nodes))
    for region in (*_cells(nodes, {region.name for region in regions}), *regions):
        if len(region.nodes) > 1 and _is_nested_or_apart(region, found):
            found.append(region)
    covered = {name for block in found for name in block.nodes if block.kind != "group"}
    inner = {name: block.name for block in graph.blocks for name in block.nodes}
    found += [b for b in _stages(nodes, covered, inner) if _is_nested_or_apart(b, found)]
    blocks = _with_parents(_with_names(found, nodes), nodes)
    repeated = [b for b in _repeated(blocks, nodes) if _is_nested_or_apart(b, blocks)]
    if repeated:
        blocks = _with_parents([*blocks, *repeated], nodes)
    return LayerGraph(graph.nodes, tuple(blocks))


def _regions(nodes: Mapping[str, Node]) -> Iterator[Block]:
    dominator = _dominators(nodes)
    tails = {node.group: node.name for node in nodes.values() if node.group is not None}
    for node in nodes.values():
        start = dominator[node.name]
        if len(node.inputs) < 2 or start is None:
            continue
        region = _between(nodes, start, node.name)
        if region is None or (
            _is_wide(node) and any(_is_wide(nodes[n]) for n in region - {node.name})
        ):
            continue  # several cells, one after the other
        tail = tails.get(node.name, node.name)
        members = {*region, *(n.name for n in nodes.values() if n.group == node.name)}
        members |= _leading(nodes, members, start)
        ordered = tuple(name for name in nodes if name in members)
        kind = _KIND_OF_JOIN.get(node.kind, "group")
        yield Block(node.name, kind, ordered, tail if tail in members else node.name)


def _cells(nodes: Mapping[str, Node], closed: Collection[str]) -> Iterator[Block]:
    """What leads first to a concatenation of several branches that is none of `closed`.

    A node leads at the earliest where those lead that read it: each edge goes to the same cell or
    to a later one, so that cells drawn as one box each are in an order, too.
    """
    wide = [node.name for node in nodes.values() if _is_wide(node)]
    order = {name: i for i, name in enumerate(wide)}
    first: dict[str, int] = dict(order)
    for node in reversed(list(nodes.values())):
        for source in node.inputs:
            at = min(first.get(node.name, len(wide)), first.get(source, len(wide)))
            first[source] = at
    dominator = _dominators(nodes)
    for join in wide:
        start = dominator[join]
        if join in closed or start is None:
            continue
        between = _between(nodes, start, join, limit=len(nodes)) or set()
        members = {name for name in between if first[name] == order[join]}
        members |= {n.name for n in nodes.values() if n.group in members}
        ordered = tuple(name for name in nodes if name in members)
        if 1 < len(ordered) <= _MAX_CELL:
            yield Block(_without_operation(join), "inception", ordered, join)


def _is_wide(node: Node) -> bool:
    return node.kind == "concat" and len(node.inputs) >= _CELL_JOINS


def _without_operation(join: str) -> str:
    """normal_concat_5 is the join of the cell normal_5."""
    name = re.sub(r"[_./-]?concat(enate)?(?![a-z])", "", join, flags=re.IGNORECASE)
    return name if re.match(r"[A-Za-z]", name) else join


def _dominators(nodes: Mapping[str, Node]) -> dict[str, str | None]:
    """Immediate dominator of each node; None for those that no single node dominates."""
    dominator: dict[str, str | None] = {}
    depth: dict[str | None, int] = {None: 0}
    for node in nodes.values():
        common: str | None = node.inputs[0] if node.inputs else None
        for source in node.inputs[1:]:
            other: str | None = source
            while common != other:
                if depth[common] < depth[other]:
                    common, other = other, common
                common = dominator[common] if common is not None else None
        dominator[node.name] = common
        depth[node.name] = depth[common] + 1
    return dominator


def _between(
    nodes: Mapping[str, Node], start: str, end: str, limit: int = _MAX_REGION
) -> set[str] | None:
    region, todo = {end}, [end]
    while todo:
        for source in nodes[todo.pop()].inputs:
            if source != start and source not in region:
                region.add(source)
                todo.append(source)
        if len(region) > limit:
            return None
    return region


def _leading(nodes: Mapping[str, Node], members: set[str], start: str) -> set[str]:
    """Nodes before the fork that bear the block's name: the squeeze of a fire module, say."""
    stem = majority_stem([name for name in nodes if name in members])
    lead: set[str] = set()
    current = start
    while stem and bears(current, stem) and len(nodes[current].inputs) == 1:
        lead.add(current)
        current = nodes[current].inputs[0]
    return lead


def _stages(
    nodes: Mapping[str, Node], covered: set[str], inner: Mapping[str, str]
) -> Iterator[Block]:
    """Runs of drawn nodes, outside other blocks, whose labels begin alike."""
    run: list[Node] = []
    stem = ""
    node: Node | None
    for node in (*nodes.values(), None):
        if node is not None and node.group is not None:
            continue
        longer = ""
        if node is not None and node.name not in covered and node.kind not in ("input", "output"):
            same_scope = not run or inner.get(run[-1].name) == inner.get(node.name)
            longer = _stage_stem([*run, node]) if run and same_scope else ""
            if longer and (not stem or len(run) == 1 or longer == stem):
                run, stem = [*run, node], longer
                continue
            if same_scope and len(run) > 1 and node.label == stem:
                run, node = [*run, node], None  # block3 closes block3_expand, block3_depthwise
        if len(run) > 1:
            names = {n.name for n in run}
            members = tuple(n.name for n in nodes.values() if (n.group or n.name) in names)
            yield Block(stem, "stage", members, members[-1])
        usable = node is not None and node.name not in covered and node.kind != "input"
        run, stem = ([node] if usable and node is not None else []), ""


def _stage_stem(run: Sequence[Node]) -> str:
    """A beginning that all labels share and that leaves each a word of its own."""
    labels = [node.label for node in run]
    stem = common_stem(labels)
    while stem and (stem in labels or all(is_numbering(label[len(stem) :]) for label in labels)):
        if stem not in labels:
            return ""
        stem = stem[: max((end for end in word_ends(stem) if end < len(stem)), default=0)]
    rests = [label[len(stem) :] for label in labels]
    if any(is_numbering(rest) for rest in rests) or len(set(map(starts_with_number, rests))) > 1:
        return ""
    return stem


def _repeated(blocks: Sequence[Block], nodes: Mapping[str, Node]) -> Iterator[Block]:
    """Stages of outermost blocks that follow one another under one name: conv2_block1, ….

    Only where a network has several such stages: block_1 to block_16 are no stage called block.
    """
    outermost = [block for block in blocks if block.parent is None]
    runs = [
        (stem, list(run))
        for stem, run in groupby(outermost, key=lambda b: b.name[: _last_word_start(b.name)])
    ]
    repeated = [(stem, run) for stem, run in runs if stem and len(run) > 1]
    names = {block.name for block in blocks}
    stems = {stem for stem, _ in repeated}
    if len(stems) < 2 or len(stems) < len(repeated) or stems & names:
        return
    order = list(nodes)
    index = {name: i for i, name in enumerate(order)}
    for stem, run in repeated:
        indices = [index[name] for block in run for name in block.nodes]
        yield Block(stem, "stage", tuple(order[min(indices) : max(indices) + 1]), run[-1].output)


def _last_word_start(name: str) -> int:
    return max((end for end in word_ends(name) if end < len(name)), default=0)


def _is_nested_or_apart(block: Block, others: Sequence[Block]) -> bool:
    members = set(block.nodes)
    for other in others:
        shared = members.intersection(other.nodes)
        if shared and len(shared) not in (len(members), len(other.nodes)):
            return False
        if len(shared) == len(members) == len(other.nodes):
            return False
    return True


def _with_names(blocks: Sequence[Block], nodes: Mapping[str, Node]) -> list[Block]:
    """Blocks that closed at a join called by what their nodes' names share; all unique."""
    taken: set[str] = set()
    named = []
    for block in blocks:
        stem = block.name
        if stem in nodes:  # a join, for want of a name
            stem = majority_stem(block.nodes) or _without_operation(block.output)
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem} ({number})"
        taken.add(name)
        named.append(replace(block, name=name))
    return named


def _with_parents(blocks: Sequence[Block], nodes: Mapping[str, Node]) -> list[Block]:
    order = {name: i for i, name in enumerate(nodes)}
    by_size = sorted(blocks, key=lambda block: len(block.nodes))
    placed = []
    for i, block in enumerate(by_size):
        around = next((b.name for b in by_size[i + 1 :] if set(block.nodes) <= set(b.nodes)), None)
        placed.append(replace(block, parent=around))
    return sorted(placed, key=lambda block: (order[block.nodes[0]], -len(block.nodes)))
