"""Fields of a request's body, checked, and the digest that names a result."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Sequence
from typing import Any

from tb_modelcompare.cache.results import code_version
from tb_modelcompare.errors import NotRenderableError, RequestError
from tb_modelcompare.log.snapshot import Snapshot

FindSnapshot = Callable[[str], Snapshot]


def only_fields(body: dict[str, Any], what: str, fields: Sequence[str]) -> None:
    """Refuse a field that nothing would read, such as a mistyped one."""
    for name in body:
        if name not in fields:
            raise RequestError(f"unknown field {name!r:.100}; {what} takes {', '.join(fields)}")


def text(body: dict[str, Any], name: str) -> str:
    """A field that has to be a string."""
    value = body.get(name)
    if not isinstance(value, str):
        raise RequestError(f"{name} is {value!r:.100}; give a string")
    return value


def integer(
    body: dict[str, Any], name: str, low: int, high: int, default: int | None = None
) -> int:
    """A whole number in [low, high]; one without a default has to be there."""
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RequestError(f"{name} is {value!r:.100}; give an integer from {low} to {high}")
    return value


def identity(snapshot: Snapshot) -> list[str]:
    """The contents, and the id, which appears in what is reported."""
    return [snapshot.id, snapshot.digest]


def result_key(kind: str, content: dict[str, Any]) -> str:
    """Digest of all that a result depends on, our own code included."""
    whole = {"kind": kind, "content": content, "version": code_version()}
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@functools.cache
def tensorflow_version() -> str:
    """Which TensorFlow draws, as its pictures may differ from another's.

    Raises
    ------
    NotRenderableError
        If there is none.
    """
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    raise NotRenderableError("pictures need TensorFlow: pip install tensorflow-cpu")
