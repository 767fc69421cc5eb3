"""All kinds of jobs, and the task that a request asks for."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from tb_modelcompare import jobs
from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.errors import RequestError
from tb_modelcompare.jobs.decode import decode, shortened
from tb_modelcompare.jobs.kind import FindSnapshot, Kind
from tb_modelcompare.jobs.runtime.records import JobItem, Task


def _declared() -> list[Kind]:
    """What each module of this folder declares as its `KIND`."""
    names = sorted(module.name for module in pkgutil.iter_modules(jobs.__path__))
    modules = [importlib.import_module(f"{jobs.__name__}.{name}") for name in names]
    return [module.KIND for module in modules if hasattr(module, "KIND")]


KINDS: dict[str, Kind] = {kind.name: kind for kind in _declared()}


def task_from_request(body: dict[str, Any], find: FindSnapshot) -> Task:
    """The task that a request asks for; everything is checked before anything is queued.

    Parameters
    ----------
    body : dict
        JSON values, as `docs/http_api.md` describes them for each "kind".
    find : function
        From the id of a snapshot to the snapshot.

    Raises
    ------
    RequestError
        If a field is missing, unknown, or of the wrong type or range.
    UnknownSnapshotError, ProbeMismatchError, NotRenderableError, LimitError, …
        If the snapshots cannot give what is asked.
    """
    kind = _kind(body, KINDS)
    return kind.task(decode(body, kind.request, kind.name), find)


def known_pictures(body: dict[str, Any], find: FindSnapshot, cache: ResultCache) -> list[JobItem]:
    """The pictures of a request as far as the cache has them; nothing is queued.

    Parameters and errors are those of `task_from_request`, of kinds that make pictures.
    """
    kind = _kind(body, {name: kind for name, kind in KINDS.items() if kind.recall is not None})
    inputs = kind.prepare(decode(body, kind.request, kind.name), find)
    if kind.recall is not None:
        kind.recall(inputs, cache)
    return kind.items(inputs)


def _kind(body: dict[str, Any], kinds: dict[str, Kind]) -> Kind:
    name = body.get("kind")
    if not isinstance(name, str) or name not in kinds:
        raise RequestError(f"kind is {shortened(name)}; give one of {', '.join(kinds)}")
    return kinds[name]
