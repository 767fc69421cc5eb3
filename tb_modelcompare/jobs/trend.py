"""How similar each layer is, at each step of a training, to its partner in a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from tb_modelcompare.cache.results import code_version
from tb_modelcompare.jobs.arrays import cancellable
from tb_modelcompare.jobs.cells import CellsInfo, begin, described, save, show_meanwhile
from tb_modelcompare.jobs.kind import (
    FindSnapshot,
    Kind,
    MeasureName,
    SnapshotId,
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


class Request(AnyRequest, frozen=True, tag="trend"):
    """Each layer of the snapshots of a run (at most 1000, in any order) against its partner in the
    reference.
    """

    snapshots: SnapshotIds
    reference: SnapshotId
    measure: MeasureName


@dataclass(frozen=True)
class Inputs:
    """Snapshots of one probe. `version` is that of the code whose values are known."""

    snapshots: list[Snapshot]
    reference: Snapshot
    measure: str
    version: str


class Cells(CellsInfo, tag="trend", kw_only=True):
    """A trend: a row for each layer, a column for each step.

    `partners` has the layer of the reference that each row is compared with.
    """

    partners: list[str]
    matching: Literal["names", "best"]
    reference: str


class Result(msgspec.Struct):
    """The description of the table, whose values are in a file."""

    cells: Cells


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots, checked."""
    snapshots = find_many("snapshots", request.snapshots, find)
    reference = find(request.reference)
    require_same_probe(snapshots[0], reference)
    return Inputs(snapshots, reference, known_measure(request.measure), code_version())


def content(inputs: Inputs) -> dict[str, Any]:
    """What the trend depends on."""
    return {
        "snapshots": [identity(one) for one in inputs.snapshots],
        "reference": identity(inputs.reference),
        "measure": inputs.measure,
        "gone": without_files(inputs.snapshots),
    }


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Find the partners in the last snapshot, then compare step after step."""
    from tb_modelcompare.similarity import MEASURES
    from tb_modelcompare.training.pairs import with_files
    from tb_modelcompare.training.steps import fill_trend, find_partners, in_order

    job, reference, measure = workplace.progress, inputs.reference, MEASURES[inputs.measure]
    snapshots = in_order(inputs.snapshots)
    message = f"{measure.title} to {reference.id}, {len(snapshots)} steps"
    work = begin(job, inputs.version, message)
    snapshots = with_files(snapshots, work)
    # Readers take a share of work done to mean that there are values.
    work.publish = lambda _: job.publish(0.0, f"matching layers with {reference.id}")
    with cancellable():
        partners = find_partners(snapshots[-1], reference, measure, work)
        values = np.full((len(partners.layers), len(snapshots)), np.nan)
        columns = [one.id for one in snapshots]

        def describe() -> Cells:
            return Cells(
                **described(partners.layers, columns, measure, work),
                partners=list(partners.partners),
                matching=partners.matching,
                reference=reference.id,
            )

        show_meanwhile(job, work, message, values, describe)
        fill_trend(snapshots, reference, partners, measure, values, work)
    save(job, values)
    return Result(describe())


KIND = Kind(Request, prepare, content, run, Result)
