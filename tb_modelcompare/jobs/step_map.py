"""One layer at each of some steps against another layer at each of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tb_modelcompare.cache.results import code_version
from tb_modelcompare.jobs.arrays import cancellable
from tb_modelcompare.jobs.cells import CellsInfo, begin, described, save, show_meanwhile
from tb_modelcompare.jobs.kind import (
    FindSnapshot,
    Kind,
    LayerName,
    MeasureName,
    SnapshotIds,
    find_many,
    identity,
    known_measure,
    without_files,
)
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot


class Request(AnyRequest, frozen=True, tag="steps"):
    """One layer at each of the steps `a` against another at each of the steps `b`."""

    a: SnapshotIds
    layer_a: LayerName
    b: SnapshotIds
    layer_b: LayerName
    measure: MeasureName


@dataclass(frozen=True)
class Inputs:
    """Snapshots of one probe. `version` is that of the code whose values are known."""

    a: list[Snapshot]
    layer_a: str
    b: list[Snapshot]
    layer_b: str
    measure: str
    version: str


class Cells(CellsInfo, tag="steps", kw_only=True):
    """A map of steps: rows and columns are ids of snapshots."""

    layer_a: str
    layer_b: str


class Result(msgspec.Struct):
    """The description of the table, whose values are in a file."""

    cells: Cells


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots and the layers, checked."""
    a, b = find_many("a", request.a, find), find_many("b", request.b, find)
    require_same_probe(a[0], b[0])
    measure = known_measure(request.measure)
    layer_a, layer_b = a[-1].layer(request.layer_a).name, b[-1].layer(request.layer_b).name
    return Inputs(a, layer_a, b, layer_b, measure, code_version())


def content(inputs: Inputs) -> dict[str, Any]:
    """What the map depends on."""
    return {
        "a": [identity(one) for one in inputs.a],
        "b": [identity(one) for one in inputs.b],
        "layers": [inputs.layer_a, inputs.layer_b],
        "measure": inputs.measure,
        "gone": without_files([*inputs.a, *inputs.b]),
    }


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Compare the layer at all steps."""
    from tb_modelcompare.similarity import MEASURES
    from tb_modelcompare.training.pairs import with_files
    from tb_modelcompare.training.steps import in_order, step_grid, step_map

    job, measure = workplace.progress, MEASURES[inputs.measure]
    layer_a, layer_b = inputs.layer_a, inputs.layer_b
    message = f"{measure.title} over {len(inputs.a)} × {len(inputs.b)} steps"
    work = begin(job, inputs.version, message)
    a, b = with_files(inputs.a, work), with_files(inputs.b, work)
    grid = step_grid(a, layer_a, b, layer_b)
    rows, columns = ([one.id for one in in_order(side)] for side in (a, b))

    def describe() -> Cells:
        return Cells(**described(rows, columns, measure, work), layer_a=layer_a, layer_b=layer_b)

    show_meanwhile(job, work, message, grid.values, describe)
    with cancellable():
        step_map(a, layer_a, b, layer_b, measure, work=work, grid=grid)
    save(job, grid.values)
    return Result(describe())


KIND = Kind(Request, prepare, content, run, Result)
