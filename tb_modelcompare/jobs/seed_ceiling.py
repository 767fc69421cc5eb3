"""How similar layers of a model are to the same layers of other trainings of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from tb_modelcompare.errors import ActivationError, LimitError
from tb_modelcompare.jobs.kind import (
    FindSnapshot,
    Kind,
    LayerNames,
    MeasureName,
    SnapshotId,
    SnapshotIds,
    find_many,
    identity,
    known_measure,
    not_empty,
)
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

MAX_SEEDS = 20


class Request(AnyRequest, frozen=True, tag="seed_ceiling"):
    """The measure between layers of `model` and the same layers of each of `seeds`, which are
    other trainings of the same model on the same probe.
    """

    model: SnapshotId
    seeds: SnapshotIds
    measure: MeasureName
    layers: LayerNames = None


@dataclass(frozen=True)
class Inputs:
    """A snapshot, other trainings of its model, and layers that all of them have."""

    model: Snapshot
    seeds: tuple[Snapshot, ...]
    measure: str
    layers: tuple[str, ...]


class Result(msgspec.Struct):
    """For each of `layers`, the mean over the other trainings.

    It is null where the layer is constant in the model, or in all of the others. `same_in` has the
    number of other trainings in which the layer has the very activations of the model, as a frozen
    layer has: there the measure is that of the layer with itself.
    """

    layers: list[str]
    values: list[float | None]
    same_in: list[int]


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots and the layers, checked."""
    if len(request.seeds) > MAX_SEEDS:
        raise LimitError(f"seeds has {len(request.seeds)} snapshots; give at most {MAX_SEEDS}")
    model, *seeds = find_many("seeds", [request.model, *request.seeds], find)
    named = not_empty("layers", request.layers)
    layers = model.layer_names if named is None else [model.layer(name).name for name in named]
    for seed in seeds:
        for name in layers:
            seed.layer(name)
        if _activations(seed) == _activations(model):
            raise ActivationError(
                f"{seed.id} has the very activations of {model.id} in every layer, so it is no "
                "other training. Leave it out."
            )
    return Inputs(model, tuple(seeds), known_measure(request.measure), tuple(dict.fromkeys(layers)))


def _activations(snapshot: Snapshot) -> dict[str, str]:
    return {layer.name: layer.asset.sha256 for layer in snapshot.layers}


def content(inputs: Inputs) -> dict[str, Any]:
    """What the ceiling depends on."""
    return {
        "model": identity(inputs.model),
        "seeds": [identity(seed) for seed in inputs.seeds],
        "measure": inputs.measure,
        "layers": inputs.layers,
    }


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """The ceiling of one layer after the other."""
    from tb_modelcompare.similarity.ceiling import ceiling_of_layers, same_in

    job, found, same = workplace.progress, list[float](), list[int]()
    images = inputs.model.image_of_row()
    for done, name in enumerate(inputs.layers):
        job.check()
        job.publish(done / len(inputs.layers), f"other trainings, {name}", force=not done)
        model, *seeds = ({name: one.activations(name)} for one in (inputs.model, *inputs.seeds))
        found += ceiling_of_layers(model, seeds, inputs.measure, groups=images).values()
        same += same_in(model, seeds).values()
    values = [None if np.isnan(value) else value for value in found]
    return Result(list(inputs.layers), values, same)


KIND = Kind(Request, prepare, content, run, Result)
