"""Distances between models, and a map of them in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from tb_modelcompare.cache.results import code_version
from tb_modelcompare.errors import ActivationError, RequestError
from tb_modelcompare.jobs.arrays import cancellable
from tb_modelcompare.jobs.cells import CellsInfo, begin, described, save
from tb_modelcompare.jobs.kind import (
    FindSnapshot,
    Kind,
    SnapshotIds,
    find_many,
    identity,
    without_files,
)
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

MAX_MODELS = 64
"""On one map: each has a distance to each other, in every layer."""


class Request(AnyRequest, frozen=True, tag="models"):
    """Distances between 2 to 64 models, and a map of them."""

    snapshots: SnapshotIds
    metric: Annotated[str, msgspec.Meta(description="`angular_cka` or `procrustes_angle`")]


@dataclass(frozen=True)
class Inputs:
    """Snapshots of one probe. `version` is that of the code whose values are known."""

    snapshots: list[Snapshot]
    metric: str
    version: str


class Cells(CellsInfo, tag="models", kw_only=True):
    """A map of models: rows and columns are ids of snapshots.

    `places` is the number of layers of each model that were matched. `points` has the coordinates
    of each model in the plane, and `stress` says how far they are from the distances.
    """

    matching: Literal["names", "depth"]
    places: int
    points: list[tuple[float, float]]
    stress: float


class Result(msgspec.Struct):
    """The description of the table, whose values are in a file."""

    cells: Cells


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots and the metric, checked."""
    from tb_modelcompare.training import METRICS

    snapshots = find_many("snapshots", request.snapshots, find, MAX_MODELS)
    metric = request.metric
    if metric not in METRICS:
        raise ActivationError(f"no metric {metric!r:.100}; there are {', '.join(METRICS)}")
    if len(snapshots) < 2:
        raise RequestError("a map of models takes two snapshots or more")
    return Inputs(snapshots, metric, code_version())


def content(inputs: Inputs) -> dict[str, Any]:
    """What the map depends on."""
    return {
        "snapshots": [identity(one) for one in inputs.snapshots],
        "metric": inputs.metric,
        "gone": without_files(inputs.snapshots),
    }


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """The distance of each model to each other, and where that puts them in the plane."""
    from tb_modelcompare.training.models import METRICS, model_distances

    job, metric = workplace.progress, METRICS[inputs.metric]
    message = f"{metric.title} between {len(inputs.snapshots)} models"
    work = begin(job, inputs.version, message)
    with cancellable():
        found = model_distances(inputs.snapshots, metric.name, work=work)
    save(job, found.distances)
    cells = Cells(
        **described(found.snapshots, found.snapshots, metric, work),
        matching=found.matching,
        places=len(found.layers),
        points=found.embedding.points.tolist(),
        stress=found.embedding.stress,
    )
    return Result(cells)


KIND = Kind(Request, prepare, content, run, Result)
