"""The plugin's routes. What they answer is described in docs/http_api.md."""

from __future__ import annotations

from functools import partial
from typing import Any

from tensorboard.plugins import base_plugin

from tb_modelcompare.cache.results import DEFAULT_BYTES, ResultCache
from tb_modelcompare.jobs.runtime.executors import cluster_executor, local_executor
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import MATHEMATICS, RENDERS
from tb_modelcompare.log.format import PLUGIN_NAME
from tb_modelcompare.server import bundle, jobs, snapshots
from tb_modelcompare.server.catalog import Catalog
from tb_modelcompare.server.guards import Guard, Upload, WSGIApplication
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE, checked_device

# What a browser calls photos, and how large the file of one may be.
PHOTOS = Upload(("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"), 16 * 2**20)

# Jobs that a cluster gets at the same time; it has its own queue behind that.
_CLUSTER_SLOTS = 8


class ModelComparePlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """Routes under data/plugin/modelcompare/."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._guard = Guard.from_flags(context.flags)
        self._catalog = Catalog(context)
        self._results = _result_cache(context.flags)
        self._jobs = _job_queue(self._results, context.flags)

    def get_plugin_apps(self) -> dict[str, WSGIApplication]:
        """Every route, guarded."""
        catalog, queue, results = self._catalog, self._jobs, self._results
        get, post = self._guard.route, partial(self._guard.route, methods=("POST",))
        both = partial(self._guard.route, methods=("GET", "POST"))
        return {
            **{f"/{name}": get(serve) for name, serve in bundle.bundle_files().items()},
            "/index.js": get(bundle.index),
            "/snapshots": get(partial(snapshots.snapshots, catalog)),
            "/measures": get(snapshots.measures),
            "/graph": get(partial(snapshots.graph, catalog)),
            "/layer": get(partial(snapshots.layer, catalog)),
            "/unit": get(partial(snapshots.unit, catalog)),
            "/probe_image": get(partial(snapshots.probe_image, catalog)),
            "/unit_crops": get(partial(snapshots.unit_crops, catalog)),
            "/jobs": both(partial(jobs.jobs, queue, catalog)),
            "/warm_up": post(partial(jobs.warm_up, queue, catalog)),
            "/photo": post(partial(jobs.photo, results), upload=PHOTOS),
            "/job": get(partial(jobs.job, queue)),
            "/cancel": post(partial(jobs.cancel, queue)),
            "/matrix": get(partial(jobs.matrix, queue)),
            "/matrix_info": get(partial(jobs.matrix_info, queue)),
            "/result": get(partial(jobs.result, queue)),
            "/array": get(partial(jobs.array, queue)),
            "/job_image": get(partial(jobs.job_image, queue)),
            "/cells": get(partial(jobs.cells, queue)),
            "/cells_info": get(partial(jobs.cells_info, queue)),
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
