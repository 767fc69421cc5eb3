"""Routes about jobs: asking for them, their status, and their results."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
from werkzeug.wrappers import Request, Response

from tb_modelcompare.compare.photos import decode_in_turn, keep_photo
from tb_modelcompare.compare.wire import MatrixInfo, MatrixValues, with_values
from tb_modelcompare.errors import NotRenderableError, RequestError, UnknownJobError
from tb_modelcompare.jobs import warm_up as warming
from tb_modelcompare.jobs.arrays import array_file
from tb_modelcompare.jobs.cells import CELLS
from tb_modelcompare.jobs.decode import decode
from tb_modelcompare.jobs.kind import Request as JobRequest
from tb_modelcompare.jobs.runtime.records import Job, State, picture_address, with_picture
from tb_modelcompare.jobs.similarity import matrix_file
from tb_modelcompare.server import query
from tb_modelcompare.server.guards import Upload, read_body, read_json, respond, respond_json
from tb_modelcompare.server.records import Kept, Known, UnitRenders
from tb_modelcompare.server.route import Route, Server

# An id of a job is a digest, so what it names stays the same.
_DAY = 24 * 3600

# What a browser calls photos, and how large the file of one may be.
_PHOTOS = Upload(("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"), 16 * 2**20)


class CancelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which job to cancel, or to wait for no longer."""

    id: str


def jobs(server: Server, request: Request) -> Response:
    """The jobs that there are, the latest first."""
    return respond_json(request, {"jobs": server.queue.overview()})


def ask(server: Server, request: Request) -> Response:
    """Ask for a job; one of the same request is not done twice."""
    from tb_modelcompare.jobs.registry import task_from_request

    task = task_from_request(read_json(request), server.finder(request))
    background = bool(query.integer(request, "background", 0, 1, default=0))
    watcher = query.watcher(request)
    return respond_json(request, server.queue.submit(task, watcher, background=background))


def known(server: Server, request: Request) -> Response:
    """What is known of the pictures of a request already; nothing is computed."""
    from tb_modelcompare.jobs.registry import known_pictures

    found = known_pictures(read_json(request), server.finder(request), server.results)
    return respond_json(request, Known(list(map(with_picture, found))))


def unit_renders(server: Server, request: Request) -> Response:
    """The units of a layer that were drawn already."""
    from tb_modelcompare.jobs.analogies import unit_pictures

    snapshot = server.snapshot(request)
    layer = snapshot.layer(query.text(request, "layer"))
    try:
        found = unit_pictures(snapshot, layer.name, server.results)
    except NotRenderableError:  # so none was
        found = {}
    return respond_json(
        request, UnitRenders(list(found), list(map(picture_address, found.values())))
    )


def warm_up(server: Server, request: Request) -> Response:
    """Have the renderer ready for a layer."""
    body = decode(read_json(request), warming.Request, "warm_up")
    server.queue.warm_up(warming.run, warming.prepare(body, server.finder(request)))
    return respond_json(request, {})


def photo(server: Server, request: Request) -> Response:
    """Keep a photo of one's own."""
    pixels = decode_in_turn(read_body(request))
    height, width = pixels.shape[:2]
    return respond_json(request, Kept(keep_photo(server.results, pixels), width, height))


def job(server: Server, request: Request) -> Response:
    """The status of a job."""
    job_id = query.text(request, "id")
    return respond_json(request, server.queue.status(job_id, query.watcher(request)))


def cancel(server: Server, request: Request) -> Response:
    """Stop a job or, for a watcher, wait for it no longer."""
    body = decode(read_json(request), CancelRequest, "cancel")
    watcher = query.watcher(request)
    return respond_json(
        request, server.queue.leave(body.id, watcher) if watcher else server.queue.cancel(body.id)
    )


def matrix(server: Server, request: Request) -> Response:
    """The values of a similarity matrix, or an end of their interval."""
    job_id, which = query.text(request, "id"), request.args.get("which", "values")
    info = _matrix_of(server, job_id)
    if which not in ("values", "low", "high"):
        raise RequestError(f"which is {which!r:.50}; give values, low or high")
    if which != "values" and not info.interval:
        raise UnknownJobError(f"the matrix of job {job_id!r:.100} has no interval")
    if "revision" in request.args and request.args["revision"] != str(info.revision):
        raise UnknownJobError(f"job {job_id!r:.100} has another matrix now; ask what it is")
    content, _ = server.queue.file(job_id, matrix_file(info, which))
    return _float64(request, content, expires=_DAY if info.estimate == "exact" else 0)


def matrix_info(server: Server, request: Request) -> Response:
    """A matrix without its values."""
    return respond_json(request, _matrix_of(server, query.text(request, "id")))


def similarity(server: Server, request: Request) -> Response:
    """A similarity matrix with its values, and the ends of their interval if it has one."""
    job_id = query.text(request, "id")
    info = _matrix_of(server, job_id)
    while True:
        names = ("values", "low", "high") if info.interval else ("values",)
        try:
            arrays = [_array(server.queue.file(job_id, matrix_file(info, one))[0]) for one in names]
        except UnknownJobError:
            # The job may have removed the files of an estimate, since it has a newer matrix.
            newer = _matrix_of(server, job_id)
            if newer == info:
                raise
            info = newer
        else:
            break
    return respond_json(
        request, with_values(info, *arrays), expires=_DAY if info.estimate == "exact" else 0
    )


def result(server: Server, request: Request) -> Response:
    """What a finished job found."""
    job_id = query.text(request, "id")
    if server.queue.status(job_id).state is not State.DONE:
        raise UnknownJobError(f"job {job_id!r:.100} has no result (yet)")
    return respond_json(request, server.queue.report(job_id), expires=_DAY)


def array(server: Server, request: Request) -> Response:
    """One of the arrays that a result names."""
    job_id, name = query.text(request, "id"), query.text(request, "name")
    content, _ = server.queue.file(job_id, array_file(name))
    return _float64(request, content, expires=_DAY)


def cells(server: Server, request: Request) -> Response:
    """The values of a table over many snapshots."""
    content, _ = server.queue.file(query.text(request, "id"), CELLS)
    return _float64(request, content, expires=0)


def cells_info(server: Server, request: Request) -> Response:
    """A table over many snapshots without its values."""
    job_id = query.text(request, "id")
    found = server.queue.report(job_id).get("cells")
    if found is None:
        raise UnknownJobError(f"job {job_id!r:.100} has no cells (yet)")
    return respond_json(request, found)


def job_image(server: Server, request: Request) -> Response:
    """A picture of a job."""
    job_id, name = query.text(request, "id"), query.text(request, "name")
    content, lasting = server.queue.file(job_id, name)
    return respond(request, content, "image/png", expires=_DAY if lasting else 0)


_ID = ("id",)
_BYTES = "application/octet-stream"

ROUTES = (
    Route("jobs", jobs),
    Route("jobs", ask, "POST", takes=("watcher", "background"), body=JobRequest, answers=Job),
    Route("known", known, "POST", body=JobRequest, answers=Known),
    Route("unit_renders", unit_renders, needs=("snapshot", "layer"), answers=UnitRenders),
    Route("warm_up", warm_up, "POST", body=warming.Request),
    Route("photo", photo, "POST", upload=_PHOTOS, answers=Kept),
    Route("job", job, needs=_ID, takes=("watcher",), answers=Job),
    Route("cancel", cancel, "POST", takes=("watcher",), body=CancelRequest, answers=Job),
    Route("matrix", matrix, needs=_ID, takes=("which", "revision"), answers=_BYTES),
    Route("matrix_info", matrix_info, needs=_ID, answers=MatrixInfo),
    Route("similarity", similarity, needs=_ID, answers=MatrixValues),
    Route("result", result, needs=_ID),
    Route("array", array, needs=("id", "name"), answers=_BYTES),
    Route("job_image", job_image, needs=("id", "name"), answers="image/png"),
    Route("cells", cells, needs=_ID, answers=_BYTES),
    Route("cells_info", cells_info, needs=_ID),
)


def _matrix_of(server: Server, job_id: str) -> MatrixInfo:
    found = server.queue.report(job_id).get("matrix")
    if found is None:
        raise UnknownJobError(f"job {job_id!r:.100} has no matrix (yet)")
    return msgspec.convert(found, MatrixInfo)


def _float64(request: Request, content: bytes, *, expires: int) -> Response:
    """The values of a .npy file as little-endian float64 in C order."""
    values = _array(content).astype("<f8").tobytes()
    return respond(request, values, "application/octet-stream", expires=expires)


def _array(content: bytes) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return values
