"""From the body of `POST jobs` to a task: everything is checked before anything is queued."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tb_modelcompare.cache.results import code_version
from tb_modelcompare.errors import ActivationError, LimitError, RequestError
from tb_modelcompare.jobs.picture_requests import DRAWN
from tb_modelcompare.jobs.request_fields import (
    FindSnapshot,
    identity,
    integer,
    only_fields,
    result_key,
    text,
)
from tb_modelcompare.jobs.runtime.records import MATHEMATICS, Task
from tb_modelcompare.log.reader import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot

MAX_DRAWS = 1000
MAX_SNAPSHOTS = 1000  # of a run over training
MAX_MODELS = 64  # on one map: each has a distance to each other, in every layer


def task_from_request(body: dict[str, Any], find: FindSnapshot) -> Task:
    """The task that a request asks for.

    Parameters
    ----------
    body : dict
        As `docs/http_api.md` describes it for each "kind".
    find : function
        From the id of a snapshot to the snapshot.

    Raises
    ------
    RequestError
        If a field is missing, unknown, or of the wrong type or range.
    UnknownSnapshotError, ProbeMismatchError, NotRenderableError, LimitError, …
        If the snapshots cannot give what is asked.
    """
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise RequestError(f"kind is {kind!r:.100}; give one of {', '.join(_KINDS)}")
    make, fields = _KINDS[kind]
    only_fields(body, kind, ("kind", *fields))
    return make(body, find)


def _similarity(body: dict[str, Any], find: FindSnapshot) -> Task:
    return _of_pair("similarity", body, find, {"measure": _measure(body)})


def _chance(body: dict[str, Any], find: FindSnapshot) -> Task:
    return _of_pair("chance", body, find, {"measure": _measure(body)})


def _significance(body: dict[str, Any], find: FindSnapshot) -> Task:
    from tb_modelcompare.similarity.settings import LEAST_RESAMPLES

    a, b = find(text(body, "a")), find(text(body, "b"))
    permutations, resamples = (
        integer(body, name, 0, MAX_DRAWS, 0) for name in ("permutations", "resamples")
    )
    parameters = {
        "measure": _measure(body),
        "layers_a": _layers(body, a, "layers_a"),
        "layers_b": _layers(body, b, "layers_b"),
        "permutations": permutations,
        "resamples": resamples,
    }
    if 0 < resamples < LEAST_RESAMPLES or not (permutations or resamples):
        raise RequestError(
            f"give permutations of at least 1, or resamples of at least {LEAST_RESAMPLES}"
        )
    return _of_pair("significance", body, find, parameters)


def _shared_units(body: dict[str, Any], find: FindSnapshot) -> Task:
    a, b = find(text(body, "a")), find(text(body, "b"))
    names = _layers(body, b)
    if names == ():
        raise RequestError("layers is empty; name one at least, or null for all")
    if names is not None:  # those that are asked for first are looked at first
        names = tuple(dict.fromkeys(body["layers"]))
    parameters = {"layer": a.layer(text(body, "layer")).name, "layers": names or b.layer_names}
    return _of_pair("shared_units", body, find, parameters)


def _of_pair(
    kind: str, body: dict[str, Any], find: FindSnapshot, parameters: dict[str, Any]
) -> Task:
    """A task about two snapshots that needs no renderer."""
    a, b = find(text(body, "a")), find(text(body, "b"))
    require_same_probe(a, b)
    payload = {"a": a.to_payload(), "b": b.to_payload(), **parameters}
    content = {"a": identity(a), "b": identity(b), **parameters}
    return Task(kind, MATHEMATICS, result_key(kind, content), payload)


def _measure(body: dict[str, Any]) -> str:
    from tb_modelcompare.similarity import MEASURES

    measure = text(body, "measure")
    if measure not in MEASURES:
        raise ActivationError(f"no measure {measure!r:.100}; there are {', '.join(MEASURES)}")
    return measure


def _trend(body: dict[str, Any], find: FindSnapshot) -> Task:
    snapshots = _snapshots(body, "snapshots", find)
    reference = find(text(body, "reference"))
    require_same_probe(snapshots[0], reference)
    payload = {
        "snapshots": [one.to_payload() for one in snapshots],
        "reference": reference.to_payload(),
        "measure": _measure(body),
    }
    content = {
        "snapshots": [identity(one) for one in snapshots],
        "reference": identity(reference),
        "measure": payload["measure"],
    }
    return _task_of_many("trend", content, payload, snapshots)


def _steps(body: dict[str, Any], find: FindSnapshot) -> Task:
    a, b = _snapshots(body, "a", find), _snapshots(body, "b", find)
    require_same_probe(a[0], b[0])
    parameters = {
        "layer_a": text(body, "layer_a"),
        "layer_b": text(body, "layer_b"),
        "measure": _measure(body),
    }
    a[-1].layer(parameters["layer_a"])
    b[-1].layer(parameters["layer_b"])
    payload = {side: [s.to_payload() for s in which] for side, which in (("a", a), ("b", b))}
    content = {side: [identity(s) for s in which] for side, which in (("a", a), ("b", b))}
    return _task_of_many("steps", {**content, **parameters}, {**payload, **parameters}, [*a, *b])


def _models(body: dict[str, Any], find: FindSnapshot) -> Task:
    from tb_modelcompare.training import METRICS

    snapshots = _snapshots(body, "snapshots", find, MAX_MODELS)
    metric = text(body, "metric")
    if metric not in METRICS:
        raise ActivationError(f"no metric {metric!r:.100}; there are {', '.join(METRICS)}")
    if len(snapshots) < 2:
        raise RequestError("a map of models takes two snapshots or more")
    payload = {"snapshots": [one.to_payload() for one in snapshots], "metric": metric}
    content = {"snapshots": [identity(one) for one in snapshots], "metric": metric}
    return _task_of_many("models", content, payload, snapshots)


def _task_of_many(
    kind: str, content: dict[str, Any], payload: dict[str, Any], snapshots: Sequence[Snapshot]
) -> Task:
    """Snapshots whose files are gone are left out of the result: once they are back, ask anew."""
    gone = sorted({one.digest for one in snapshots if not one.has_activations()})
    if gone:
        content = {**content, "gone": gone}
    asked = {"kind": kind, "version": code_version(), **payload}
    return Task(kind, MATHEMATICS, result_key(kind, content), asked)


def _snapshots(
    body: dict[str, Any], name: str, find: FindSnapshot, most: int = MAX_SNAPSHOTS
) -> list[Snapshot]:
    """Different snapshots of one probe."""
    ids = body.get(name)
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
        raise RequestError(f"{name} is not a list of ids of snapshots")
    if len(ids) > most:
        raise LimitError(f"{name} has {len(ids)} snapshots; give at most {most}")
    if len(set(ids)) < len(ids):
        raise RequestError(f"{name} names a snapshot twice")
    snapshots = [find(one) for one in ids]
    for snapshot in snapshots[1:]:
        require_same_probe(snapshots[0], snapshot)
    return snapshots


_KINDS: dict[str, tuple[Callable[[dict[str, Any], FindSnapshot], Task], tuple[str, ...]]] = {
    "similarity": (_similarity, ("a", "b", "measure")),
    "significance": (
        _significance,
        ("a", "b", "measure", "layers_a", "layers_b", "permutations", "resamples"),
    ),
    "chance": (_chance, ("a", "b", "measure")),
    "shared_units": (_shared_units, ("a", "layer", "b", "layers")),
    **DRAWN,
    "trend": (_trend, ("snapshots", "reference", "measure")),
    "steps": (_steps, ("a", "layer_a", "b", "layer_b", "measure")),
    "models": (_models, ("snapshots", "metric")),
}


def _layers(
    body: dict[str, Any], snapshot: Snapshot, field: str = "layers"
) -> tuple[str, ...] | None:
    """The layers named in a body, in topological order; None if it leaves the choice to us."""
    names = body.get(field)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"{field} is neither null nor a list of names")
    if not names and field != "layers":
        raise RequestError(f"{field} is empty; name one at least, or null for all")
    for name in names:
        snapshot.layer(name)
    return tuple(name for name in snapshot.layer_names if name in set(names))
