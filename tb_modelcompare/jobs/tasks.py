"""What a worker process computes: similarity matrices, analogies, caricatures.

A task reads snapshots, leaves files in its directory and reports progress there. It needs
neither TensorBoard nor, for similarity, TensorFlow.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tb_modelcompare.cache.results import ResultCache, no_room
from tb_modelcompare.compare.wire import matrix_info_json
from tb_modelcompare.errors import ModelCompareError
from tb_modelcompare.jobs import mathematics
from tb_modelcompare.jobs.picture_tasks import DRAWN, prepare_layer
from tb_modelcompare.jobs.runtime.progress import JobCancelledError, Progress, write_array
from tb_modelcompare.log.snapshot import Snapshot

MATRIX = "matrix.npy"
CELLS = "cells.npy"


def attempt(
    kind: str, payload: dict[str, Any], directory: str, cache: ResultCache
) -> dict[str, Any]:
    """`run`, its outcome as JSON values, so that no exception has to cross a process.

    Returns
    -------
    dict
        "status": "done" with "report", "cancelled", or "failed" with "error" {"type", "message"}
        and, where the failure is a defect of ours, "traceback".
    """
    try:
        return {"status": "done", "report": run(kind, payload, Path(directory), cache)}
    except JobCancelledError:
        return {"status": "cancelled"}
    except ModelCompareError as error:
        return _failed(type(error).__name__, str(error))
    except OSError as error:
        problem = no_room(Path(directory), error)
        return (
            _unexpected(error) if problem is None else _failed("CacheDirectoryError", str(problem))
        )
    except MemoryError:
        message = "the job needed more memory than there is; ask for fewer layers at a time"
        return _failed("LimitError", message)
    except Exception as error:  # noqa: BLE001  reported, and logged by the server
        return _unexpected(error)


def run(kind: str, payload: dict[str, Any], directory: Path, cache: ResultCache) -> dict[str, Any]:
    """Compute one job; its files are left in `directory`.

    Parameters
    ----------
    kind : {"similarity", "significance", "chance", "shared_units", "analogies", "caricatures",
            "trend", "steps", "models"}
    payload : dict
        As made by `job_requests`, JSON values only.
    directory : Path
    cache : ResultCache
        Where finished pictures go at once, and are found again by other jobs.

    Returns
    -------
    dict
        The report that is kept with the result: "items" of pictures, of similarities the
        description of the matrix or of the cells, else the result itself.

    Raises
    ------
    JobCancelledError
        If the job was asked to stop.
    ModelCompareError
        If a snapshot cannot be read, or has no such similarity or picture.
    """
    if kind in DRAWN:
        return DRAWN[kind](payload, directory, cache)
    return _KINDS[kind](payload, directory)


def warm_up(payload: dict[str, Any]) -> None:
    """Import what renders need, and compile the program for one layer's units."""
    prepare_layer(payload)


def _unexpected(error: Exception) -> dict[str, Any]:
    message = "an unexpected error; see TensorBoard's log"
    return {**_failed(type(error).__name__, message), "traceback": traceback.format_exc()}


def _failed(kind: str, message: str) -> dict[str, Any]:
    return {"status": "failed", "error": {"type": kind, "message": message}}


def matrix_file(info: dict[str, Any], which: str = "values") -> str:
    """The file of a matrix or, of a first look, of an end of its interval."""
    if info["look"] == "exact":
        return MATRIX
    return f"look-{info['revision']}-{which}.npy"


def _similarity(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """First looks, where the measure has them, then the exact values."""
    from tb_modelcompare.compare.comparison import refine_snapshots
    from tb_modelcompare.similarity import MEASURES, ComparisonCancelled

    job = Progress(directory)
    job.publish(0.0, "reading activations", force=True)
    a, b = Snapshot.from_payload(payload["a"]), Snapshot.from_payload(payload["b"])
    measure = MEASURES[payload["measure"]]
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
            info = matrix_info_json(
                a, b, measure, estimate.comparison, exact=estimate.exact, revision=revision
            )
            for which in ("values", "low", "high") if info["interval"] else ("values",):
                matrix = getattr(estimate.comparison, which).astype("<f8")
                write_array(directory / matrix_file(info, which), matrix)
            job.report["matrix"] = info
            job.publish(job.fraction, message, force=True)
    except ComparisonCancelled as error:
        raise JobCancelledError from error
    for look in directory.glob("look-*.npy"):
        look.unlink()
    return {"matrix": info}


def _many(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    from tb_modelcompare.jobs import many as of_many

    return of_many.run(payload, directory)


_KINDS: dict[str, Callable[[dict[str, Any], Path], dict[str, Any]]] = {
    "similarity": _similarity,
    "significance": mathematics.significance,
    "chance": mathematics.chance,
    "shared_units": mathematics.shared_units,
    "trend": _many,
    "steps": _many,
    "models": _many,
}
