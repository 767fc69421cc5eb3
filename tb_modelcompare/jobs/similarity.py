"""The similarity of all layers of one model with all of another.

Where the measure has them, progressive estimates come before the exact values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tb_modelcompare.compare.wire import MatrixInfo, matrix_info
from tb_modelcompare.jobs.kind import (
    FindSnapshot,
    Kind,
    MeasureName,
    SnapshotId,
    find_pair,
    identity,
    known_measure,
)
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.progress import JobCancelledError, write_array
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

MATRIX = "matrix.npy"


class Request(AnyRequest, frozen=True, tag="similarity"):
    """Compare all layers of `a` with all of `b`. Read the values with `similarity`."""

    a: SnapshotId
    b: SnapshotId
    measure: MeasureName


@dataclass(frozen=True)
class Inputs:
    """Two snapshots of one probe, and the name of a measure."""

    a: Snapshot
    b: Snapshot
    measure: str


class Result(msgspec.Struct):
    """The description of the matrix, whose values are in a file."""

    matrix: MatrixInfo


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots, checked."""
    measure = known_measure(request.measure)
    return Inputs(*find_pair(request.a, request.b, find), measure)


def content(inputs: Inputs) -> dict[str, Any]:
    """What the matrix depends on."""
    return {"a": identity(inputs.a), "b": identity(inputs.b), "measure": inputs.measure}


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Publish progressive estimates, then the exact values."""
    from tb_modelcompare.compare.comparison import refine_snapshots
    from tb_modelcompare.similarity import MEASURES, ComparisonCancelled

    job, directory = workplace.progress, workplace.directory
    job.publish(0.0, "reading activations", force=True)
    a, b, measure = inputs.a, inputs.b, MEASURES[inputs.measure]
    message = f"{measure.title} of {len(a.layers)} × {len(b.layers)} layers"
    estimates = refine_snapshots(
        a,
        b,
        measure,
        progress=lambda fraction: job.publish(fraction, message),
        cancelled=job.cancelled,
    )
    try:
        for revision, estimate in enumerate(estimates, start=1):
            info = matrix_info(
                a, b, measure, estimate.comparison, exact=estimate.exact, revision=revision
            )
            for which in ("values", "low", "high") if info.interval else ("values",):
                matrix = getattr(estimate.comparison, which).astype("<f8")
                write_array(directory / matrix_file(info, which), matrix)
            job.report["matrix"] = info
            job.publish(job.fraction, message, force=True)
    except ComparisonCancelled as error:
        raise JobCancelledError from error
    for file in directory.glob("estimate-*.npy"):
        file.unlink()
    return Result(info)


def matrix_file(info: MatrixInfo, which: str = "values") -> str:
    """The file of a matrix or, of a progressive estimate, of an end of its interval."""
    return MATRIX if info.estimate == "exact" else f"estimate-{info.revision}-{which}.npy"


KIND = Kind(Request, prepare, content, run, Result)
