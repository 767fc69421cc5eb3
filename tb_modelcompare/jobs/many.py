"""What a worker process computes of many snapshots; see `tb_modelcompare.jobs.tasks`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tb_modelcompare.cache.pair_values import PairValues
from tb_modelcompare.cache.results import values_file
from tb_modelcompare.compare.wire import cells_json
from tb_modelcompare.jobs.runtime.progress import JobCancelledError, Progress, write_array
from tb_modelcompare.jobs.tasks import CELLS
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import MEASURES, ComparisonCancelled
from tb_modelcompare.training.models import METRICS, model_distances
from tb_modelcompare.training.pairs import Matrix, Work, with_files
from tb_modelcompare.training.steps import fill_trend, find_partners, in_order, step_grid, step_map

_SHOW_SECONDS = 0.3


def run(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """One of the kinds below; the report describes the values in the file `CELLS`.

    Raises
    ------
    JobCancelledError
    ModelCompareError
        If a snapshot cannot be read, or the snapshots are not comparable.
    """
    job = Progress(directory)
    job.publish(0.0, "reading snapshots", force=True)
    try:
        return _KINDS[payload["kind"]](payload, job)
    except ComparisonCancelled as error:
        raise JobCancelledError from error


def _work(payload: dict[str, Any], job: Progress, message: str) -> Work:
    known = PairValues(values_file(job.directory))
    return Work(
        known,
        payload["version"],
        publish=lambda share: job.publish(share, message),
        cancelled=job.cancelled,
    )


def _show_meanwhile(
    job: Progress, work: Work, message: str, values: Matrix, describe: Callable[[], dict[str, Any]]
) -> None:
    """Let readers see values while more are computed."""
    shown = 0.0

    def publish(share: float) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= _SHOW_SECONDS:
            shown = now
            _save(job, values)
            job.report = describe()
        job.publish(share, message)

    work.publish = publish


def _save(job: Progress, values: Matrix) -> None:
    partial = job.directory / f"partial-{CELLS}"
    write_array(partial, values.astype("<f8"))
    os.replace(partial, job.directory / CELLS)


def _trend(payload: dict[str, Any], job: Progress) -> dict[str, Any]:
    snapshots = in_order([Snapshot.from_payload(one) for one in payload["snapshots"]])
    reference = Snapshot.from_payload(payload["reference"])
    measure = MEASURES[payload["measure"]]
    message = f"{measure.title} to {reference.id}, {len(snapshots)} steps"
    work = _work(payload, job, message)
    snapshots = with_files(snapshots, work)
    # Readers take a share of work done to mean that there are values.
    work.publish = lambda _: job.publish(0.0, f"matching layers with {reference.id}")
    partners = find_partners(snapshots[-1], reference, measure, work)
    values = np.full((len(partners.layers), len(snapshots)), np.nan)
    columns = [one.id for one in snapshots]

    def describe() -> dict[str, Any]:
        return cells_json(
            "trend",
            partners.layers,
            columns,
            measure,
            work,
            partners=list(partners.partners),
            matching=partners.matching,
            reference=reference.id,
        )

    _show_meanwhile(job, work, message, values, describe)
    fill_trend(snapshots, reference, partners, measure, values, work)
    _save(job, values)
    return describe()


def _steps(payload: dict[str, Any], job: Progress) -> dict[str, Any]:
    a, b = ([Snapshot.from_payload(one) for one in payload[side]] for side in ("a", "b"))
    measure = MEASURES[payload["measure"]]
    layer_a, layer_b = payload["layer_a"], payload["layer_b"]
    message = f"{measure.title} over {len(a)} × {len(b)} steps"
    work = _work(payload, job, message)
    a, b = with_files(a, work), with_files(b, work)
    grid = step_grid(a, layer_a, b, layer_b)
    rows, columns = ([one.id for one in in_order(side)] for side in (a, b))

    def describe() -> dict[str, Any]:
        return cells_json("steps", rows, columns, measure, work, layer_a=layer_a, layer_b=layer_b)

    _show_meanwhile(job, work, message, grid.values, describe)
    step_map(a, layer_a, b, layer_b, measure, work=work, grid=grid)
    _save(job, grid.values)
    return describe()


def _models(payload: dict[str, Any], job: Progress) -> dict[str, Any]:
    snapshots = [Snapshot.from_payload(one) for one in payload["snapshots"]]
    metric = METRICS[payload["metric"]]
    work = _work(payload, job, f"{metric.title} between {len(snapshots)} models")
    models = model_distances(snapshots, metric.name, work=work)
    _save(job, models.distances)
    return cells_json(
        "models",
        models.snapshots,
        models.snapshots,
        metric,
        work,
        matching=models.matching,
        places=len(models.layers),
        points=models.embedding.points.tolist(),
        stress=models.embedding.stress,
    )


_KINDS: dict[str, Callable[[dict[str, Any], Progress], dict[str, Any]]] = {
    "trend": _trend,
    "steps": _steps,
    "models": _models,
}
