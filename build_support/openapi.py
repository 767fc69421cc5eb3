"""The HTTP interface as an OpenAPI document, from the server's records of requests and answers."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

import tb_modelcompare
from tb_modelcompare.jobs.cells import CellsInfo
from tb_modelcompare.jobs.kind import Request as JobRequest
from tb_modelcompare.jobs.registry import KINDS
from tb_modelcompare.jobs.runtime.records import NamedError
from tb_modelcompare.server.guards import JSON
from tb_modelcompare.server.route import Route
from tb_modelcompare.server.routes import ROUTES

REFERENCE = "#/components/schemas/"


def name_of(record: type) -> str:
    """The name of a record outside Python: that of its module is part of a name used twice."""
    if record.__name__ in ("Request", "Result", "Cells"):
        words = record.__module__.rsplit(".", 1)[1].split("_")
        return "".join(map(str.title, words)) + record.__name__
    return record.__name__


def schemas() -> dict[str, Any]:
    """JSON schemas of all records by name, in order of appearance."""
    requests = _requests()
    _, found = msgspec.json.schema_components(
        [*requests, *_answers()], ref_template=f"{REFERENCE}{{name}}"
    )
    text = re.sub(
        r"tb_modelcompare(?:\.\w+)*\.(\w+)\.(Request|Result|Cells)\b", _renamed, _text(found)
    )
    named: dict[str, Any] = json.loads(text)
    asked = set(_reachable(named, [name_of(one) for one in requests]))
    for name, schema in named.items():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        if name not in asked and "properties" in schema:
            schema["required"] = list(schema["properties"])  # answers are always whole
    return named


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "tb-modelcompare", "version": tb_modelcompare.__version__},
        "servers": [{"url": "/data/plugin/modelcompare"}],
        "paths": paths,
        "components": {"schemas": schemas()},
    }


def job_requests() -> list[str]:
    """Names of the requests for jobs."""
    return [name_of(kind.request) for kind in KINDS.values()]


def tables_of_cells() -> list[str]:
    """Names of the tables over many snapshots."""
    return [name_of(one) for one in CellsInfo.__subclasses__()]


def _requests() -> list[type[msgspec.Struct]]:
    """Records that clients send: of jobs, and of other routes."""
    bodies = [route.body for route in ROUTES if route.body not in (None, JobRequest)]
    return [*(kind.request for kind in KINDS.values()), *(body for body in bodies if body)]


def _answers() -> list[type[msgspec.Struct]]:
    """Records that the server sends: of routes, of finished jobs, and of jobs on their way."""
    answered = [route.answers for route in ROUTES if isinstance(route.answers, type)]
    known = [kind.known for kind in KINDS.values() if kind.known]
    return [NamedError, *answered, *(kind.result for kind in KINDS.values()), *known]


def _operation(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "required": required, "schema": {"type": "string"}}
        for names, required in ((route.needs, True), (route.takes, False))
        for name in names
    ]
    wrong = {"type": "object", "properties": {"error": _reference(NamedError)}}
    operation: dict[str, Any] = {
        "summary": summary(route),
        "parameters": parameters,
        "responses": {
            "200": {"description": "the answer", "content": _content(route.answers)},
            "default": {"description": "an error", "content": _json(wrong)},
        },
    }
    if route.method == "POST":
        parameters.append(
            {"name": "X-Modelcompare", "in": "header", "required": True, "schema": {"const": "1"}}
        )
        operation["requestBody"] = {"required": True, "content": _body(route)}
    return operation


def summary(route: Route) -> str:
    """What a route does, in a line."""
    return inspect.getdoc(route.answer).splitlines()[0]


def _body(route: Route) -> dict[str, Any]:
    if route.upload is not JSON:
        return {content_type: {} for content_type in route.upload.types}
    if route.body is JobRequest:
        return _json({"oneOf": [{"$ref": f"{REFERENCE}{name}"} for name in job_requests()]})
    return _json(_reference(route.body) if route.body else {"type": "object"})


def _content(answer: Any) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {}}
    return _json({"type": "object"} if answer is None else _reference(answer))


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _reference(record: type) -> dict[str, Any]:
    return {"$ref": f"{REFERENCE}{name_of(record)}"}


def _renamed(found: re.Match[str]) -> str:
    return "".join(map(str.title, found[1].split("_"))) + found[2]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _reachable(named: dict[str, Any], names: list[str]) -> Iterator[str]:
    for name in names:
        yield name
        found = re.findall(rf'"{REFERENCE}(\w+)"', _text(named[name]))
        yield from _reachable(named, [one for one in found if one != name])
