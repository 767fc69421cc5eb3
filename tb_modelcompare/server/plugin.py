"""The plugin as TensorBoard knows it. Its routes are in `routes/`."""

from __future__ import annotations

from functools import partial
from typing import Any

from tensorboard.plugins import base_plugin

from tb_modelcompare.cache.results import DEFAULT_BYTES, ResultCache
from tb_modelcompare.jobs.runtime.executors import cluster_executor, local_executor
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import MATHEMATICS, RENDERS
from tb_modelcompare.log.format import PLUGIN_NAME
from tb_modelcompare.server import bundle
from tb_modelcompare.server.catalog import Catalog
from tb_modelcompare.server.guards import JSON, Guard, WSGIApplication
from tb_modelcompare.server.pages import pages
from tb_modelcompare.server.route import Server
from tb_modelcompare.server.routes import ROUTES
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE, checked_device

# Jobs that a cluster gets at the same time; it has its own queue behind that.
_CLUSTER_SLOTS = 8


class ModelComparePlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """Routes under data/plugin/modelcompare/."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._guard = Guard.from_flags(context.flags)
        self._catalog = Catalog(context)
        results = _result_cache(context.flags)
        self._jobs = _job_queue(results, context.flags)
        self._server = Server(self._catalog, self._jobs, results)

    def get_plugin_apps(self) -> dict[str, WSGIApplication]:
        """Every route, guarded."""
        paths = {route.path for route in ROUTES}
        return {
            **{
                f"/{name}": self._guard.get(serve)
                for name, serve in {**bundle.bundle_files(), **pages()}.items()
            },
            "/index.js": self._guard.get(bundle.index),
            **{f"/{path}": self._application(path) for path in paths},
        }

    def _application(self, path: str) -> WSGIApplication:
        routes = {route.method: route for route in ROUTES if route.path == path}
        handlers = {method: partial(route.answer, self._server) for method, route in routes.items()}
        upload = routes["POST"].upload if "POST" in routes else JSON
        return self._guard.route(handlers, upload)

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
