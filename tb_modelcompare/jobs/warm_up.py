"""Have the renderer ready for the units of a layer. This is no job: it has no result."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from tb_modelcompare.jobs.kind import FindSnapshot, LayerName, SnapshotId
from tb_modelcompare.jobs.pictures import UNIT_SIZE, prepare_renderer, require_renderable
from tb_modelcompare.log.snapshot import Snapshot


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The layer that was chosen."""

    snapshot: SnapshotId
    layer: LayerName


@dataclass(frozen=True)
class Inputs:
    """A layer of which pictures can be made."""

    snapshot: Snapshot
    layer: str


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The layer, checked."""
    snapshot = find(request.snapshot)
    layer = snapshot.layer(request.layer).name
    require_renderable([(snapshot, layer)])
    return Inputs(snapshot, layer)


def run(inputs: Inputs, device: str) -> None:
    """Compile the program that draws the layer's units, so that the first picture comes sooner."""
    prepare_renderer(device)
    from tb_modelcompare.render import FrozenModel, render_directions

    direction = np.ones(inputs.snapshot.layer(inputs.layer).units)
    model = FrozenModel.from_snapshot(inputs.snapshot)
    render_directions(model, [(inputs.layer, direction)], size=UNIT_SIZE, steps=1)
