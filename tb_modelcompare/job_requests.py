"""From the body of `POST jobs` to a task: everything is checked before anything is queued."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tb_modelcompare import __version__
from tb_modelcompare.errors import (
    ActivationError,
    LimitError,
    NotRenderableError,
)
from tb_modelcompare.guards import RequestError
from tb_modelcompare.jobs import MATHEMATICS, RENDERS, Task
from tb_modelcompare.render.frozen import FrozenModel, check_renderable
from tb_modelcompare.snapshot import Snapshot
from tb_modelcompare.store import require_same_probe

MAX_PICTURES = 256
MAX_STEPS = 4096
MAX_DRAWS = 1000
MAX_SNAPSHOTS = 1000  # of a run over training
MAX_MODELS = 64  # on one map: each has a distance to each other, in every layer
SIZES = (32, 512)
_MAX_SEED = 2**31 - 1

FindSnapshot = Callable[[str], Snapshot]


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
    unknown = sorted(set(body) - {"kind", *fields})
    if unknown:
        raise RequestError(f"unknown field {unknown[0]!r:.100}; {kind} takes {', '.join(fields)}")
    return make(body, find)


def _similarity(body: dict[str, Any], find: FindSnapshot) -> Task:
    return _of_pair("similarity", body, find, {"measure": _measure(body)})


def _significance(body: dict[str, Any], find: FindSnapshot) -> Task:
    a, b = find(_text(body, "a")), find(_text(body, "b"))
    parameters = {
        "measure": _measure(body),
        "layers_a": _layers(body, a, "layers_a"),
        "layers_b": _layers(body, b, "layers_b"),
        "permutations": _integer(body, "permutations", 0, MAX_DRAWS, 0),
        "resamples": _integer(body, "resamples", 0, MAX_DRAWS, 0),
    }
    if parameters["resamples"] == 1 or not (parameters["permutations"] or parameters["resamples"]):
        raise RequestError("give permutations of at least 1, or resamples of at least 2")
    return _of_pair("significance", body, find, parameters)


def _shared_units(body: dict[str, Any], find: FindSnapshot) -> Task:
    a, b = find(_text(body, "a")), find(_text(body, "b"))
    names = _layers(body, b)
    if names == ():
        raise RequestError("layers is empty; name one at least, or null for all")
    parameters = {"layer": a.layer(_text(body, "layer")).name, "layers": names or b.layer_names}
    return _of_pair("shared_units", body, find, parameters)


def _of_pair(
    kind: str, body: dict[str, Any], find: FindSnapshot, parameters: dict[str, Any]
) -> Task:
    """A task about two snapshots that needs no renderer."""
    a, b = find(_text(body, "a")), find(_text(body, "b"))
    require_same_probe(a, b)
    payload = {"a": a.to_payload(), "b": b.to_payload(), **parameters}
    content = {"a": _identity(a), "b": _identity(b), **parameters}
    return Task(kind, MATHEMATICS, _key(kind, content), payload)


def _measure(body: dict[str, Any]) -> str:
    from tb_modelcompare.similarity import MEASURES

    measure = _text(body, "measure")
    if measure not in MEASURES:
        raise ActivationError(f"no measure {measure!r:.100}; there are {', '.join(MEASURES)}")
    return measure


def _analogies(body: dict[str, Any], find: FindSnapshot) -> Task:
    source = find(_text(body, "a"))
    layer = source.layer(_text(body, "layer"))
    unit = _integer(body, "unit", 0, layer.units - 1)
    sign = _integer(body, "sign", -1, 1, 1)
    if sign == 0:
        raise RequestError("sign is 0; give 1 or -1")
    targets = body.get("targets")
    if not isinstance(targets, list) or not all(isinstance(t, dict) for t in targets):
        raise RequestError('targets is not a list of {"snapshot": ID, "layers": [NAME, …] or null}')
    places = [(source, layer.name)]
    for target in targets:
        snapshot = find(_text(target, "snapshot"))
        require_same_probe(source, snapshot)
        names = _layers(target, snapshot)
        if names is None:
            names = _renderable_layers(snapshot)
        places += [(snapshot, name) for name in names]
    _require_renderable(places)
    items = [_item(i, snapshot, name, "analogy") for i, (snapshot, name) in enumerate(places)]
    items[0]["role"] = "source"
    parameters = {"unit": unit, "sign": sign, **_render_parameters(body, size=96, steps=128)}
    return _render_task("analogies", places, items, parameters)


def _caricatures(body: dict[str, Any], find: FindSnapshot) -> Task:
    snapshot = find(_text(body, "snapshot"))
    image = _integer(body, "image", 0, snapshot.probe_record.count - 1)
    names = _layers(body, snapshot)
    if names is None:
        names = _renderable_layers(snapshot)
    places = [(snapshot, name) for name in names]
    if not places:
        raise RequestError("layers is empty; name one at least, or null for all")
    _require_renderable(places)
    items = [_item(i, snapshot, name, "caricature") for i, name in enumerate(names)]
    parameters = {"image": image, **_render_parameters(body, size=224, steps=128)}
    return _render_task("caricatures", places, items, parameters)


def _trend(body: dict[str, Any], find: FindSnapshot) -> Task:
    snapshots = _snapshots(body, "snapshots", find)
    reference = find(_text(body, "reference"))
    require_same_probe(snapshots[0], reference)
    payload = {
        "snapshots": [one.to_payload() for one in snapshots],
        "reference": reference.to_payload(),
        "measure": _measure(body),
    }
    content = {
        "snapshots": [_identity(one) for one in snapshots],
        "reference": _identity(reference),
        "measure": payload["measure"],
    }
    return _task_of_many("trend", content, payload)


def _steps(body: dict[str, Any], find: FindSnapshot) -> Task:
    a, b = _snapshots(body, "a", find), _snapshots(body, "b", find)
    require_same_probe(a[0], b[0])
    parameters = {
        "layer_a": _text(body, "layer_a"),
        "layer_b": _text(body, "layer_b"),
        "measure": _measure(body),
    }
    a[-1].layer(parameters["layer_a"])
    b[-1].layer(parameters["layer_b"])
    payload = {side: [s.to_payload() for s in which] for side, which in (("a", a), ("b", b))}
    content = {side: [_identity(s) for s in which] for side, which in (("a", a), ("b", b))}
    return _task_of_many("steps", {**content, **parameters}, {**payload, **parameters})


def _models(body: dict[str, Any], find: FindSnapshot) -> Task:
    from tb_modelcompare.dynamics import METRICS

    snapshots = _snapshots(body, "snapshots", find, MAX_MODELS)
    metric = _text(body, "metric")
    if metric not in METRICS:
        raise ActivationError(f"no metric {metric!r:.100}; there are {', '.join(METRICS)}")
    if len(snapshots) < 2:
        raise RequestError("a map of models takes two snapshots or more")
    payload = {"snapshots": [one.to_payload() for one in snapshots], "metric": metric}
    content = {"snapshots": [_identity(one) for one in snapshots], "metric": metric}
    return _task_of_many("models", content, payload)


def _task_of_many(kind: str, content: dict[str, Any], payload: dict[str, Any]) -> Task:
    version = f"{__version__} {_code_digest()}"
    return Task(
        kind, MATHEMATICS, _key(kind, content), {"kind": kind, "version": version, **payload}
    )


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
    "shared_units": (_shared_units, ("a", "layer", "b", "layers")),
    "analogies": (
        _analogies,
        ("a", "layer", "unit", "sign", "targets", "size", "steps", "seed"),
    ),
    "caricatures": (_caricatures, ("snapshot", "image", "layers", "size", "steps", "seed")),
    "trend": (_trend, ("snapshots", "reference", "measure")),
    "steps": (_steps, ("a", "layer_a", "b", "layer_b", "measure")),
    "models": (_models, ("snapshots", "metric")),
}


def _render_task(
    kind: str,
    places: Sequence[tuple[Snapshot, str]],
    items: list[dict[str, Any]],
    parameters: dict[str, Any],
) -> Task:
    content = {
        "places": [[_identity(snapshot), name] for snapshot, name in places],
        "tensorflow": _tensorflow_version(),
        **parameters,
    }
    payload = {
        "snapshots": list({s.digest: s.to_payload() for s, _ in places}.values()),
        "digests": [snapshot.digest for snapshot, _ in places],
        "items": items,
        **parameters,
    }
    return Task(kind, RENDERS, _key(kind, content), payload, items)


def _item(index: int, snapshot: Snapshot, layer: str, role: str) -> dict[str, Any]:
    return {
        "key": str(index),
        "snapshot": snapshot.id,
        "layer": layer,
        "role": role,
        "r2": None,
        "best_unit": None,
        "problem": None,
        "image": None,
        "step": 0,
    }


def _require_renderable(places: Sequence[tuple[Snapshot, str]]) -> None:
    if len(places) > MAX_PICTURES:
        raise LimitError(f"{len(places)} pictures; a job has at most {MAX_PICTURES}")
    for snapshot in {s.digest: s for s, _ in places}.values():
        names = dict.fromkeys(name for s, name in places if s.digest == snapshot.digest)
        _check(snapshot, tuple(names))


@functools.lru_cache(maxsize=256)
def _check(snapshot: Snapshot, layers: tuple[str, ...]) -> None:
    """`check_renderable`, parsing a model's graph only once for the same layers."""
    check_renderable(FrozenModel.from_snapshot(snapshot), layers)


@functools.lru_cache(maxsize=64)
def _renderable_layers(snapshot: Snapshot) -> tuple[str, ...]:
    """All logged layers, less those of which no picture can be made."""
    names = snapshot.layer_names
    try:
        _check(snapshot, names)
    except NotRenderableError as error:
        able = tuple(name for name in names if _is_renderable(snapshot, name))
        if not able:
            raise error
        return able
    return names


def _is_renderable(snapshot: Snapshot, layer: str) -> bool:
    try:
        _check(snapshot, (layer,))
    except NotRenderableError:
        return False
    return True


def _render_parameters(body: dict[str, Any], *, size: int, steps: int) -> dict[str, int]:
    return {
        "size": _integer(body, "size", *SIZES, size),
        "steps": _integer(body, "steps", 1, MAX_STEPS, steps),
        "seed": _integer(body, "seed", 0, _MAX_SEED, 0),
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


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise RequestError(f"{name} is {value!r:.100}; give a string")
    return value


def _integer(
    body: dict[str, Any], name: str, low: int, high: int, default: int | None = None
) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RequestError(f"{name} is {value!r:.100}; give an integer from {low} to {high}")
    return value


def _identity(snapshot: Snapshot) -> list[str]:
    """The contents, and the id, which appears in what is reported."""
    return [snapshot.id, snapshot.digest]


def _key(kind: str, content: dict[str, Any]) -> str:
    """Digest of all that a result depends on, our own code included."""
    whole = {"kind": kind, "content": content, "version": __version__, "code": _code_digest()}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _code_digest() -> str:
    """A patched installation never meets results of the code before the patch."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@functools.cache
def _tensorflow_version() -> str:
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    raise NotRenderableError("pictures need TensorFlow: pip install tensorflow-cpu")
