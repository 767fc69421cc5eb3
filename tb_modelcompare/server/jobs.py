"""Routes about jobs: asking for them, their status, and their results."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
from werkzeug.wrappers import Request, Response

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.photos import decode_in_turn, keep_photo
from tb_modelcompare.compare.wire import MatrixInfo
from tb_modelcompare.errors import RequestError, UnknownJobError
from tb_modelcompare.jobs.arrays import array_file
from tb_modelcompare.jobs.cells import CELLS
from tb_modelcompare.jobs.decode import decode
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import State
from tb_modelcompare.jobs.similarity import matrix_file
from tb_modelcompare.server import query
from tb_modelcompare.server.catalog import Catalog
from tb_modelcompare.server.guards import read_body, read_json, respond, respond_json
from tb_modelcompare.server.records import Kept
from tb_modelcompare.server.snapshots import finder

# An id of a job is a digest, so what it names stays the same.
_DAY = 24 * 3600


class CancelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which job to cancel, or to wait for no longer."""

    id: str


def jobs(queue: JobQueue, catalog: Catalog, request: Request) -> Response:
    """Ask for a job, or list those that there are."""
    if request.method != "POST":
        return respond_json(request, {"jobs": queue.overview()})
    from tb_modelcompare.jobs.registry import task_from_request

    task = task_from_request(read_json(request), finder(catalog, request))
    return respond_json(request, queue.submit(task, query.watcher(request)))


def warm_up(queue: JobQueue, catalog: Catalog, request: Request) -> Response:
    """Have the renderer ready for a layer."""
    from tb_modelcompare.jobs import warm_up as warming

    body = decode(read_json(request), warming.Request, "warm_up")
    queue.warm_up(warming.run, warming.prepare(body, finder(catalog, request)))
    return respond_json(request, {})


def photo(results: ResultCache, request: Request) -> Response:
    """Keep a photo of one's own."""
    pixels = decode_in_turn(read_body(request))
    height, width = pixels.shape[:2]
    return respond_json(request, Kept(keep_photo(results, pixels), width, height))


def job(queue: JobQueue, request: Request) -> Response:
    """The status of a job."""
    job_id = query.text(request, "id")
    return respond_json(request, queue.status(job_id, query.watcher(request)))


def cancel(queue: JobQueue, request: Request) -> Response:
    """Stop a job or, for a watcher, wait for it no longer."""
    body = decode(read_json(request), CancelRequest, "cancel")
    watcher = query.watcher(request)
    return respond_json(
        request, queue.leave(body.id, watcher) if watcher else queue.cancel(body.id)
    )


def matrix(queue: JobQueue, request: Request) -> Response:
    """The values of a similarity matrix, or an end of their interval."""
    job_id, which = query.text(request, "id"), request.args.get("which", "values")
    info = _matrix_of(queue, job_id)
    if which not in ("values", "low", "high"):
        raise RequestError(f"which is {which!r:.50}; give values, low or high")
    if which != "values" and not info.interval:
        raise UnknownJobError(f"the matrix of job {job_id!r:.100} has no interval")
    if "revision" in request.args and request.args["revision"] != str(info.revision):
        raise UnknownJobError(f"job {job_id!r:.100} has another matrix now; ask what it is")
    content, _ = queue.file(job_id, matrix_file(info, which))
    return _float64(request, content, expires=_DAY if info.estimate == "exact" else 0)


def matrix_info(queue: JobQueue, request: Request) -> Response:
    """A matrix without its values."""
    return respond_json(request, _matrix_of(queue, query.text(request, "id")))


def result(queue: JobQueue, request: Request) -> Response:
    """What a finished job found."""
    job_id = query.text(request, "id")
    if queue.status(job_id).state is not State.DONE:
        raise UnknownJobError(f"job {job_id!r:.100} has no result (yet)")
    return respond_json(request, queue.report(job_id), expires=_DAY)


def array(queue: JobQueue, request: Request) -> Response:
    """One of the arrays that a result names."""
    job_id, name = query.text(request, "id"), query.text(request, "name")
    content, _ = queue.file(job_id, array_file(name))
    return _float64(request, content, expires=_DAY)


def cells(queue: JobQueue, request: Request) -> Response:
    """The values of a table over many snapshots."""
    content, _ = queue.file(query.text(request, "id"), CELLS)
    return _float64(request, content, expires=0)


def cells_info(queue: JobQueue, request: Request) -> Response:
    """A table over many snapshots without its values."""
    job_id = query.text(request, "id")
    found = queue.report(job_id).get("cells")
    if found is None:
        raise UnknownJobError(f"job {job_id!r:.100} has no cells (yet)")
    return respond_json(request, found)


def job_image(queue: JobQueue, request: Request) -> Response:
    """A picture of a job."""
    job_id, name = query.text(request, "id"), query.text(request, "name")
    content, lasting = queue.file(job_id, name)
    return respond(request, content, "image/png", expires=_DAY if lasting else 0)


def _matrix_of(queue: JobQueue, job_id: str) -> MatrixInfo:
    found = queue.report(job_id).get("matrix")
    if found is None:
        raise UnknownJobError(f"job {job_id!r:.100} has no matrix (yet)")
    return msgspec.convert(found, MatrixInfo)


def _float64(request: Request, content: bytes, *, expires: int) -> Response:
    """The values of a .npy file as little-endian float64 in C order."""
    values: np.ndarray[Any, Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return respond(
        request, values.astype("<f8").tobytes(), "application/octet-stream", expires=expires
    )
