"""The HTTP interface as an OpenAPI document, from the server's records of requests and answers."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

import tb_modelcompare
from tb_modelcompare.compare.wire import Listing, MatrixInfo, Measures
from tb_modelcompare.jobs import significance, warm_up
from tb_modelcompare.jobs.cells import CellsInfo
from tb_modelcompare.jobs.registry import KINDS
from tb_modelcompare.jobs.runtime.records import Job, NamedError
from tb_modelcompare.server.jobs import CancelRequest
from tb_modelcompare.server.records import Kept, LayerInfo, UnitInfo

REFERENCE = "#/components/schemas/"
REQUESTS: list[type[msgspec.Struct]] = [
    *(kind.request for kind in KINDS.values()),
    warm_up.Request,
    CancelRequest,
]
_ANSWERS: list[type[msgspec.Struct]] = [
    *(Listing, Measures, LayerInfo, UnitInfo, Job, NamedError, MatrixInfo, Kept),
    *(kind.result for kind in KINDS.values()),
    significance.KnownSignificance,
]

_ID, _SNAPSHOT, _LAYER = ("id",), ("snapshot",), ("snapshot", "layer")
_BYTES = "application/octet-stream"

# For each GET: the parameters that have to be there, and those that may be; what it answers.
_GET: dict[str, tuple[tuple[str, ...], tuple[str, ...], Any]] = {
    "snapshots": ((), (), Listing),
    "measures": ((), (), Measures),
    "graph": (_SNAPSHOT, (), None),
    "layer": (_LAYER, (), LayerInfo),
    "unit": ((*_LAYER, "unit"), ("limit",), UnitInfo),
    "probe_image": ((*_SNAPSHOT, "index"), ("size", "box"), "image/png"),
    "unit_crops": ((*_LAYER, "units"), ("size",), "image/jpeg"),
    "jobs": ((), (), None),
    "job": (_ID, ("watcher",), Job),
    "matrix": (_ID, ("which", "revision"), _BYTES),
    "matrix_info": (_ID, (), MatrixInfo),
    "cells": (_ID, (), _BYTES),
    "cells_info": (_ID, (), None),
    "result": (_ID, (), None),
    "array": ((*_ID, "name"), (), _BYTES),
    "job_image": ((*_ID, "name"), (), "image/png"),
}
_POST: dict[str, tuple[tuple[str, ...], Any]] = {
    "jobs": (("watcher",), Job),
    "cancel": (("watcher",), Job),
    "warm_up": ((), None),
    "photo": ((), Kept),
}
_BODIES: dict[str, Any] = {"cancel": CancelRequest, "warm_up": warm_up.Request}


def name_of(record: type) -> str:
    """The name of a record outside Python: that of its module is part of a name used twice."""
    if record.__name__ in ("Request", "Result", "Cells"):
        words = record.__module__.rsplit(".", 1)[1].split("_")
        return "".join(map(str.title, words)) + record.__name__
    return record.__name__


def schemas() -> dict[str, Any]:
    """JSON schemas of all records by name, in order of appearance."""
    _, found = msgspec.json.schema_components(
        [*REQUESTS, *_ANSWERS], ref_template=f"{REFERENCE}{{name}}"
    )
    text = re.sub(
        r"tb_modelcompare(?:\.\w+)*\.(\w+)\.(Request|Result|Cells)\b", _renamed, _text(found)
    )
    named: dict[str, Any] = json.loads(text)
    asked = set(_reachable(named, [name_of(one) for one in REQUESTS]))
    for name, schema in named.items():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        if name not in asked and "properties" in schema:
            schema["required"] = list(schema["properties"])  # answers are always whole
    return named


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for route, (needed, allowed, answer) in _GET.items():
        paths[f"/{route}"] = {"get": _operation(needed, allowed, answer)}
    for route, (allowed, answer) in _POST.items():
        operation = _operation((), allowed, answer)
        operation["parameters"].append(
            {"name": "X-Modelcompare", "in": "header", "required": True, "schema": {"const": "1"}}
        )
        operation["requestBody"] = {"required": True, "content": _body(route)}
        paths.setdefault(f"/{route}", {})["post"] = operation
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


def _operation(needed: tuple[str, ...], allowed: tuple[str, ...], answer: Any) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "query", "required": name in needed, "schema": {"type": "string"}}
        for name in (*needed, *allowed)
    ]
    wrong = {"type": "object", "properties": {"error": _reference(NamedError)}}
    return {
        "parameters": parameters,
        "responses": {
            "200": {"description": "the answer", "content": _content(answer)},
            "default": {"description": "an error", "content": _json(wrong)},
        },
    }


def _body(route: str) -> dict[str, Any]:
    if route == "photo":
        return {"image/*": {}}
    if route == "jobs":
        return _json({"oneOf": [{"$ref": f"{REFERENCE}{name}"} for name in job_requests()]})
    return _json(_reference(_BODIES[route]))


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
