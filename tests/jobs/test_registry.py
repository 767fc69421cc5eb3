"""The kinds of jobs, each a module, and requests for them."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from serving import POST_HEADERS, PREFIX, Server, error_of

from tb_modelcompare.jobs.registry import KINDS

A, B = "first/net@0", "second/net@0"
SIMILARITY = {"kind": "similarity", "a": A, "b": B, "measure": "linear_cka"}
ON_THE_WIRE = [
    "similarity", "significance", "chance", "shared_units", "analogies", "caricatures", "trend",
    "steps", "models",
]  # fmt: skip


def test_names_on_the_wire_stay_and_are_those_of_modules() -> None:
    assert set(ON_THE_WIRE) <= set(KINDS)
    for kind in KINDS.values():
        assert importlib.import_module(kind.run.__module__).KIND is kind


@pytest.mark.parametrize("name", ON_THE_WIRE)
def test_a_request_needs_every_field_without_a_default(
    name: str, session_logs: Path, serve: Callable[..., Server]
) -> None:
    status, kind, message = error_of(serve(session_logs).post("jobs", {"kind": name}))
    assert (status, kind) == (400, "RequestError")
    required = [f.name for f in msgspec.structs.fields(KINDS[name].request) if f.required]
    assert message.startswith(required[0])


@pytest.mark.parametrize(
    "value",
    [
        *("[" * depth + "]" * depth for depth in (100, 400, 700, 900, 970)),
        *('{"a": ' * depth + "1" + "}" * depth for depth in (100, 400, 700, 900)),
        "[" + "0," * 200_000 + "0]",
        '"' + "x" * 500_000 + '"',
        "9" * 4000,
        "-1e308",
    ],
    ids=lambda value: f"{value[:4]}{len(value)}",
)
@pytest.mark.parametrize("field", ["kind", "a", "measure", "targets", "direction", "minus", "unit"])
def test_hostile_values_are_refused_shortly(
    field: str, value: str, session_logs: Path, serve: Callable[..., Server]
) -> None:
    body: dict[str, Any] = dict(SIMILARITY)
    if field in ("targets", "direction", "minus", "unit"):
        body = {"kind": "analogies", "a": A, "layer": "conv1", "targets": []}
    rest = msgspec.json.encode({k: v for k, v in body.items() if k != field}).decode()
    began = time.process_time()
    response = serve(session_logs).client.post(
        f"{PREFIX}/jobs",
        data=f'{rest[:-1]}, "{field}": {value}}}',
        content_type="application/json",
        headers=POST_HEADERS,
    )
    assert time.process_time() - began < 5
    status, kind, message = error_of(response)
    named = (400, "RequestError"), (422, "ActivationError"), (404, "UnknownSnapshotError")
    assert (status, kind) in named, message
    assert len(message) < 700


def test_finding_the_kinds_loads_nothing_heavy() -> None:
    """The server finds them at the first request for a job, which should not wait for scipy."""
    code = (
        "import sys, tb_modelcompare.jobs.registry\n"
        "print({'scipy', 'tensorflow', 'tb_modelcompare.render'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
