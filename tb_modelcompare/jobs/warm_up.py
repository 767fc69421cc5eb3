"""Have the renderer ready for the units of a layer. This is no job: it has no result."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from tb_modelcompare.jobs.analogies import Target
from tb_modelcompare.jobs.kind import FindSnapshot, LayerName, SnapshotId
from tb_modelcompare.jobs.pictures import (
    FIRST_BATCH,
    UNIT_SIZE,
    Strip,
    layers_to_render,
    prepare_renderer,
    require_renderable,
)
from tb_modelcompare.log.snapshot import Snapshot


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The layer that was chosen, and those in which its units' analogies will be drawn first."""

    snapshot: SnapshotId
    layer: LayerName
    targets: list[Target] = []


@dataclass(frozen=True)
class Inputs:
    """Layers that are drawn together, each group of one model; the chosen one comes first."""

    groups: list[list[tuple[Snapshot, str]]]


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The layers, checked."""
    snapshot = find(request.snapshot)
    layer = snapshot.layer(request.layer).name
    groups = [[(snapshot, layer)]]
    for target in request.targets:
        other = find(target.snapshot)
        strip = Strip([], [])
        strip.add(other, layers_to_render(target.layers, other)[:FIRST_BATCH])
        groups.append(strip.layers)
    for group in groups:
        require_renderable(group)
    return Inputs([group for group in groups if group])


def run(inputs: Inputs, device: str) -> None:
    """Compile the programs that draw the layers, so that the first pictures come sooner."""
    prepare_renderer(device)
    from tb_modelcompare.render import FrozenModel, render_directions_at

    for group in inputs.groups:
        directions = [(layer, np.ones(snapshot.layer(layer).units)) for snapshot, layer in group]
        model = FrozenModel.from_snapshot(group[0][0])
        render_directions_at(model, directions, [UNIT_SIZE] * len(directions), steps=1)
