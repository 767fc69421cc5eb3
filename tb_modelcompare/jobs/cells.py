"""What the jobs over many snapshots share: values kept one by one, and shown meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.pair_values import PairValues
from tb_modelcompare.cache.results import values_file
from tb_modelcompare.compare.wire import finite_bound
from tb_modelcompare.jobs.runtime.progress import Progress, write_array

if TYPE_CHECKING:  # scipy takes a while to import, and the server must start fast
    from tb_modelcompare.similarity import Measure
    from tb_modelcompare.training import Metric, Work

CELLS = "cells.npy"

_SHOW_SECONDS = 0.3

Matrix = npt.NDArray[np.float64]


class CellsInfo(msgspec.Struct, tag_field="kind", kw_only=True):
    """A table over many snapshots without its values.

    `rows` are layers of a trend, else ids of snapshots in order of step, as `columns` are.
    `computed` and `found` count the pairs of layers that were computed for this job, and that were
    known from before. Of a `distance`, less is more alike.
    """

    rows: list[str]
    columns: list[str]
    measure: str
    title: str
    low: float | None
    high: float | None
    distance: bool
    notes: list[str]
    computed: int
    found: int


def described(
    rows: Sequence[str], columns: Sequence[str], measure: Measure | Metric, work: Work
) -> dict[str, Any]:
    """The fields that all tables have."""
    return {
        "rows": list(rows),
        "columns": list(columns),
        "measure": measure.name,
        "title": measure.title,
        "low": finite_bound(measure.low),
        "high": finite_bound(measure.high),
        "distance": measure.distance,
        "notes": list(work.notes),
        "computed": work.computed,
        "found": work.found,
    }


def begin(job: Progress, version: str, message: str) -> Work:
    """Values that are known from before, and how the library reports to a job."""
    from tb_modelcompare.training import Work

    job.publish(0.0, "reading snapshots", force=True)
    return Work(
        PairValues(values_file(job.directory)),
        version,
        publish=lambda share: job.publish(share, message),
        cancelled=job.cancelled,
    )


def show_meanwhile(
    job: Progress, work: Work, message: str, values: Matrix, describe: Callable[[], CellsInfo]
) -> None:
    """Let readers see values while more are computed."""
    shown = 0.0

    def publish(share: float) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= _SHOW_SECONDS:
            shown = now
            save(job, values)
            job.report["cells"] = describe()
        job.publish(share, message)

    work.publish = publish


def save(job: Progress, values: Matrix) -> None:
    """Leave the values in a file that readers never see half-written."""
    partial = job.directory / f"partial-{CELLS}"
    write_array(partial, values.astype("<f8"))
    os.replace(partial, job.directory / CELLS)
