"""The plugin's routes. What they answer is described in docs/http_api.md."""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import json
import mimetypes
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard import plugin_util
from tensorboard.plugins import base_plugin
from werkzeug.wrappers import Request, Response

from tb_modelcompare.cache.results import DEFAULT_BYTES, ResultCache
from tb_modelcompare.compare.photos import cropped, decode_in_turn, keep_photo, shown_png
from tb_modelcompare.compare.units import UnitStatistics, top_places, unit_statistics
from tb_modelcompare.compare.wire import measure_json
from tb_modelcompare.errors import PhotoError, RequestError, UnknownJobError
from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.jobs.mathematics import array_file
from tb_modelcompare.jobs.request_fields import only_fields, text
from tb_modelcompare.jobs.runtime.executors import cluster_executor, local_executor
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import MATHEMATICS, RENDERS
from tb_modelcompare.jobs.tasks import CELLS, matrix_file
from tb_modelcompare.log.format import PLUGIN_NAME
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.server import query
from tb_modelcompare.server.catalog import Catalog
from tb_modelcompare.server.guards import (
    Guard,
    NotModified,
    Upload,
    WSGIApplication,
    read_body,
    read_json,
    respond,
)
from tb_modelcompare.server.listing import listing_json
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE, checked_device

STATIC = Path(__file__).parents[1] / "static"

# What a browser calls photos, and how large the file of one may be.
PHOTOS = Upload(("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"), 16 * 2**20)

# Jobs that a cluster gets at the same time; it has its own queue behind that.
_CLUSTER_SLOTS = 8
# An id of a job is a digest, so what it names stays the same.
_DAY = 24 * 3600
_YEAR = 365 * _DAY
_HASHED = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.\w+\Z")

_NOT_BUILT = """\
export function render() {
  document.body.textContent =
    "The tab was not built. In a checkout of tb-modelcompare, run `pip install .` " +
    "(or `npm ci && npm run build` in frontend/) and start TensorBoard again.";
}
"""


class ModelComparePlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """Routes under data/plugin/modelcompare/."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._guard = Guard.from_flags(context.flags)
        self._catalog = Catalog(context)
        self._results = _result_cache(context.flags)
        self._jobs = _job_queue(self._results, context.flags)

    def get_plugin_apps(self) -> dict[str, WSGIApplication]:
        """Every route, guarded; static files by the names that there are now."""
        get = self._guard.route
        return {
            **{f"/{name}": get(_static(file)) for name, file in _static_files().items()},
            "/index.js": get(_index),
            "/snapshots": get(self._snapshots),
            "/measures": get(_measures),
            "/graph": get(self._graph),
            "/layer": get(self._layer),
            "/unit": get(self._unit),
            "/probe_image": get(self._probe_image),
            "/jobs": self._guard.route(self._jobs_route, methods=("GET", "POST")),
            "/warm_up": self._guard.route(self._warm_up, methods=("POST",)),
            "/photo": self._guard.route(self._photo, methods=("POST",), upload=PHOTOS),
            "/job": get(self._job),
            "/cancel": self._guard.route(self._cancel, methods=("POST",)),
            "/matrix": get(self._matrix),
            "/matrix_info": get(self._matrix_info),
            "/result": get(self._result),
            "/array": get(self._array),
            "/job_image": get(self._job_image),
            "/cells": get(self._cells),
            "/cells_info": get(self._cells_info),
        }

    def close(self) -> None:
        """End the worker processes. TensorBoard never asks for it; they also end with it."""
        self._jobs.close()

    def is_active(self) -> bool:
        """TensorBoard asks only where its data show no record of ours."""
        return False

    def data_plugin_names(self) -> tuple[str, ...]:
        """Records that make the tab appear."""
        return (PLUGIN_NAME,)

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """The tab."""
        return base_plugin.FrontendMetadata(
            es_module_path="/index.js", tab_name="Compare models", disable_reload=False
        )

    def _snapshots(self, request: Request) -> Response:
        answer = listing_json(self._catalog.contents(*_of(request)))
        # Open tabs ask again and again, and mostly have it already.
        tag = hashlib.sha256(json.dumps(answer).encode()).hexdigest()
        return _tagged(request, tag, "application/json", lambda: answer)

    def _graph(self, request: Request) -> Response:
        snapshot = self._snapshot(request)
        return _tagged(
            request, snapshot.digest, "application/json", lambda: _layer_graph(snapshot).to_json()
        )

    def _layer(self, request: Request) -> Response:
        snapshot = self._snapshot(request)
        layer = snapshot.layer(query.text(request, "layer"))

        def describe() -> dict[str, Any]:
            graph = _layer_graph(snapshot)
            statistics = _statistics(snapshot, layer.name)
            node = next((node for node in graph.nodes if node.name == layer.name), None)
            blocks = [block.name for block in graph.blocks if layer.name in block.nodes]
            return {
                "name": layer.name,
                "units": layer.units,
                "rows": layer.rows,
                "spatial": layer.spatial,
                "op": node.op if node else None,
                "block": blocks[-1] if blocks else None,  # the innermost comes last
                "stats": {
                    "mean": statistics.mean.tolist(),
                    "max": statistics.max.tolist(),
                    "active": statistics.active.tolist(),
                },
            }

        return _tagged(
            request, f"{snapshot.digest}-{layer.asset.path}", "application/json", describe
        )

    def _unit(self, request: Request) -> Response:
        snapshot = self._snapshot(request)
        layer = snapshot.layer(query.text(request, "layer"))
        unit = query.integer(request, "unit", 0, layer.units - 1)
        limit = query.integer(request, "limit", 1, 100, 9)

        def describe() -> dict[str, Any]:
            probe = self._catalog.probe(snapshot)
            top = top_places(snapshot, probe, layer.name, unit, limit)
            statistics = _statistics(snapshot, layer.name)
            return {
                "top": top.places,
                "tied": top.tied,
                "ranked_by": top.ranked_by,
                "mean": float(statistics.mean[unit]),
                "max": float(statistics.max[unit]),
                "active": float(statistics.active[unit]),
            }

        tag = f"{snapshot.digest}-{layer.asset.path}-{unit}-{limit}"
        return _tagged(request, tag, "application/json", describe)

    def _probe_image(self, request: Request) -> Response:
        snapshot = self._snapshot(request)
        index = query.integer(request, "index", 0, snapshot.probe_record.count - 1)
        if not snapshot.probe_record.is_of_images:
            raise PhotoError(f"the probe of {snapshot.id} holds arrays and no images")
        size = query.integer(request, "size", 16, 1024, 96)
        box = query.box(request)
        tag = f"{snapshot.probe_id}-{index}-{size}-{box}"
        return _tagged(
            request,
            tag,
            "image/png",
            lambda: shown_png(cropped(self._catalog.probe(snapshot).images[index], box), size),
        )

    def _jobs_route(self, request: Request) -> Response:
        if request.method != "POST":
            return _json(request, {"jobs": self._jobs.overview()})
        from tb_modelcompare.jobs.requests import task_from_request

        task = task_from_request(
            read_json(request), functools.partial(self._catalog.snapshot, *_of(request))
        )
        return _json(request, self._jobs.submit(task, query.watcher(request)))

    def _warm_up(self, request: Request) -> Response:
        from tb_modelcompare.jobs.picture_requests import warm_up_payload

        find = functools.partial(self._catalog.snapshot, *_of(request))
        payload = warm_up_payload(read_json(request), find)
        self._jobs.warm_up({**payload, "device": self._jobs.device})
        return _json(request, {})

    def _photo(self, request: Request) -> Response:
        pixels = decode_in_turn(read_body(request))
        digest = keep_photo(self._results, pixels)
        height, width = pixels.shape[:2]
        return _json(request, {"photo": digest, "width": width, "height": height})

    def _job(self, request: Request) -> Response:
        return _json(request, self._jobs.status(query.text(request, "id"), query.watcher(request)))

    def _cancel(self, request: Request) -> Response:
        body = read_json(request)
        only_fields(body, "cancel", ("id",))
        job_id, watcher, jobs = text(body, "id"), query.watcher(request), self._jobs
        return _json(request, jobs.leave(job_id, watcher) if watcher else jobs.cancel(job_id))

    def _matrix(self, request: Request) -> Response:
        job_id, which = query.text(request, "id"), request.args.get("which", "values")
        info = self._matrix_of(job_id)
        if which not in ("values", "low", "high"):
            raise RequestError(f"which is {which!r:.50}; give values, low or high")
        if which != "values" and not info["interval"]:
            raise UnknownJobError(f"the matrix of job {job_id!r:.100} has no interval")
        if "revision" in request.args and request.args["revision"] != str(info["revision"]):
            raise UnknownJobError(f"job {job_id!r:.100} has another matrix now; ask what it is")
        content, _ = self._jobs.file(job_id, matrix_file(info, which))
        matrix: np.ndarray[Any, Any] = np.load(io.BytesIO(content), allow_pickle=False)
        values = matrix.astype("<f8").tobytes()
        expires = _DAY if info["look"] == "exact" else 0
        return respond(request, values, "application/octet-stream", expires=expires)

    def _matrix_info(self, request: Request) -> Response:
        return _json(request, self._matrix_of(query.text(request, "id")))

    def _matrix_of(self, job_id: str) -> dict[str, Any]:
        matrix: dict[str, Any] | None = self._jobs.report(job_id).get("matrix")
        if matrix is None:
            raise UnknownJobError(f"job {job_id!r:.100} has no matrix (yet)")
        return matrix

    def _result(self, request: Request) -> Response:
        job_id = query.text(request, "id")
        if self._jobs.status(job_id)["status"] != "done":
            raise UnknownJobError(f"job {job_id!r:.100} has no result (yet)")
        return respond(request, self._jobs.report(job_id), "application/json", expires=_DAY)

    def _array(self, request: Request) -> Response:
        job_id, name = query.text(request, "id"), query.text(request, "name")
        content, _ = self._jobs.file(job_id, array_file(name))
        array: np.ndarray[Any, Any] = np.load(io.BytesIO(content), allow_pickle=False)
        return respond(
            request, array.astype("<f8").tobytes(), "application/octet-stream", expires=_DAY
        )

    def _cells(self, request: Request) -> Response:
        content, _ = self._jobs.file(query.text(request, "id"), CELLS)
        cells: np.ndarray[Any, Any] = np.load(io.BytesIO(content), allow_pickle=False)
        return respond(request, cells.astype("<f8").tobytes(), "application/octet-stream")

    def _cells_info(self, request: Request) -> Response:
        job_id = query.text(request, "id")
        cells = self._jobs.report(job_id).get("cells")
        if cells is None:
            raise UnknownJobError(f"job {job_id!r:.100} has no cells (yet)")
        return _json(request, cells)

    def _job_image(self, request: Request) -> Response:
        job_id, name = query.text(request, "id"), query.text(request, "name")
        content, lasting = self._jobs.file(job_id, name)
        return respond(request, content, "image/png", expires=_DAY if lasting else 0)

    def _snapshot(self, request: Request) -> Snapshot:
        return self._catalog.snapshot(*_of(request), query.text(request, "snapshot"))


def _result_cache(flags: Any) -> ResultCache:
    cache_bytes = int(getattr(flags, "modelcompare_cache_gb", DEFAULT_BYTES / 1e9) * 1e9)
    return ResultCache(limit_bytes=cache_bytes)


def _job_queue(results: ResultCache, flags: Any) -> JobQueue:
    address = getattr(flags, "modelcompare_scheduler", "")
    cluster = cluster_executor(address) if address else None
    slots = _CLUSTER_SLOTS if cluster else 1
    return JobQueue(
        results,
        dict.fromkeys((MATHEMATICS, RENDERS), (cluster or local_executor, slots)),
        device=checked_device(getattr(flags, "modelcompare_device", DEFAULT_DEVICE)),
    )


def _of(request: Request) -> tuple[Any, str]:
    """TensorBoard's context and experiment id of a request."""
    return plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)


def _json(request: Request, content: dict[str, Any]) -> Response:
    return respond(request, content, "application/json")


def _tagged(request: Request, tag: str, content_type: str, make: Any) -> Response:
    """What `make` returns, unless the browser has it already: `tag` names the contents.

    Answers are not to be used without asking, as an id may come to name other contents when
    a model is logged again.
    """
    name = _quoted(tag)
    if request.if_none_match.contains_weak(name):
        return NotModified(content_type, f'"{name}"')
    return respond(request, make(), content_type, headers=[("ETag", f'"{name}"')])


def _quoted(tag: str) -> str:
    return re.sub(r"[^A-Za-z0-9/._-]", "_", tag)


def _measures(request: Request) -> Response:
    from tb_modelcompare.similarity import MEASURES

    listed = list(map(measure_json, MEASURES.values()))
    return _json(request, {"measures": listed, "default": "linear_cka"})


def _index(request: Request) -> Response:
    """The tab's entry: a fixed name, so never used without asking.

    The tab will ask for the measures next; importing them (scipy) takes a while.
    """
    threading.Thread(
        target=importlib.import_module, args=("tb_modelcompare.similarity",), daemon=True
    ).start()
    index = STATIC / "index.js"
    content = index.read_bytes() if index.is_file() else _NOT_BUILT
    return respond(request, content, "text/javascript")


def _static_files() -> dict[str, Path]:
    """The bundle's files by their path below `static/`."""
    return {
        file.relative_to(STATIC).as_posix(): file
        for file in sorted(STATIC.rglob("*"))
        if file.is_file()
    }


def _static(file: Path) -> Any:
    content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    expires = _YEAR if _HASHED.search(file.name) else 0

    def serve(request: Request) -> Response:
        return respond(request, file.read_bytes(), content_type, expires=expires)

    return serve


@functools.lru_cache(maxsize=32)
def _layer_graph(snapshot: Snapshot) -> LayerGraph:
    return snapshot.graph()


@functools.lru_cache(maxsize=512)
def _statistics(snapshot: Snapshot, layer: str) -> UnitStatistics:
    return unit_statistics(snapshot.stored_activations(layer))
