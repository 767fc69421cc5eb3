"""What a route says of itself, and what it is given to answer with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from tensorboard import plugin_util
from werkzeug.wrappers import Request, Response

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.server import query
from tb_modelcompare.server.catalog import Catalog, Contents
from tb_modelcompare.server.guards import JSON, Upload


@dataclass(frozen=True)
class Server:
    """What routes answer from: the logs, the jobs, and the cache of results."""

    catalog: Catalog
    queue: JobQueue
    results: ResultCache

    def contents(self, request: Request) -> Contents:
        """What is in the logs that the request may see."""
        return self.catalog.contents(*_experiment(request))

    def finder(self, request: Request) -> Callable[[str], Snapshot]:
        """From the id of a snapshot to the snapshot."""
        return functools.partial(self.catalog.snapshot, *_experiment(request))

    def snapshot(self, request: Request) -> Snapshot:
        """The snapshot that the request names."""
        return self.finder(request)(query.text(request, "snapshot"))


@dataclass(frozen=True)
class Route:
    """A path below `data/plugin/modelcompare/`, and what answers requests for it.

    The guard of every route checks hosts, methods and origins, and turns named errors into JSON.
    The first line of the docstring of `answer` describes the route in the docs.

    Attributes
    ----------
    path : str
        Without a slash. Two routes may share one, if they differ in method.
    answer : function (server, request) -> response
        Raises a named error where the request asks for what cannot be given.
    method : str
        GET reads, POST does something.
    needs, takes : tuple of str
        Parameters of the address that have to be there, and those that may be.
    body : class, optional
        The record that is the body of a POST.
    upload : Upload
        What else the body of a POST may be, and how large.
    answers : class, str or None
        The record that is the answer, or its content type; None for JSON that no record describes.
    """

    path: str
    answer: Callable[[Server, Request], Response]
    method: str = "GET"
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    body: type[msgspec.Struct] | None = None
    upload: Upload = JSON
    answers: type[msgspec.Struct] | str | None = None


def _experiment(request: Request) -> tuple[Any, str]:
    """TensorBoard's context and experiment id of a request."""
    return plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)
