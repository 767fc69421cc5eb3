"""Requests for pictures: what is to be drawn, under which keys, checked before it is queued."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tb_modelcompare.errors import ActivationError, LimitError, NotRenderableError, RequestError
from tb_modelcompare.errors.checks import number
from tb_modelcompare.jobs.request_fields import (
    FindSnapshot,
    identity,
    integer,
    only_fields,
    result_key,
    tensorflow_version,
    text,
)
from tb_modelcompare.jobs.runtime.records import RENDERS, Task
from tb_modelcompare.log.reader import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.render.frozen import FrozenModel, check_renderable

MAX_PICTURES = 256
MAX_STEPS = 4096
SIZES = (32, 512)
UNIT_SIZE = 96
STEPS = 128
_MAX_SEED = 2**31 - 1
_LARGEST = 3.4e38  # renderers compute in float32
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class _Strip:
    """Pictures of one job: where each is of, and in which order they are wanted."""

    places: list[tuple[Snapshot, str]]
    order: list[int]

    def add(self, snapshot: Snapshot, names: Sequence[str]) -> None:
        """More layers, wanted in the order of `names` and shown in that of the graph."""
        sorted_names = [name for name in snapshot.layer_names if name in set(names)]
        start = len(self.places)
        self.places.extend((snapshot, name) for name in sorted_names)
        self.order.extend(start + sorted_names.index(name) for name in dict.fromkeys(names))


def _analogies(body: dict[str, Any], find: FindSnapshot) -> Task:
    source = find(text(body, "a"))
    layer = source.layer(text(body, "layer")).name
    direction = _direction(body, source.layer(layer).units)
    minus = _minus(body, source, find)
    targets = body.get("targets")
    if not isinstance(targets, list) or not all(isinstance(t, dict) for t in targets):
        raise RequestError('targets is not a list of {"snapshot": ID, "layers": [NAME, …] or null}')
    strip = _Strip([(source, layer)], [])
    for target in targets:
        only_fields(target, "a target", ("snapshot", "layers"))
        snapshot = find(text(target, "snapshot"))
        require_same_probe(source, snapshot)
        strip.add(snapshot, _layers(target, snapshot))
    _require_renderable(strip.places)

    rendering = _render_parameters(body, size=UNIT_SIZE)
    of = {
        "source": [source.digest, layer],
        "direction": direction,
        "minus": None if minus is None else [minus[0].digest, minus[1]],
    }
    predictions = [
        result_key("prediction", {**of, "target": [snapshot.digest, name]})
        for snapshot, name in strip.places
    ]
    pictures = [
        _picture_key(snapshot, name, {**of, "predicted": i > 0}, rendering)
        for i, (snapshot, name) in enumerate(strip.places)
    ]
    items = _items(strip.places, pictures, "analogy")
    items[0]["role"] = "source" if minus is None else "difference"
    others = [] if minus is None else [minus[0]]
    payload = {"direction": direction, "minus": of["minus"], "predictions": predictions}
    return _task("analogies", strip, items, {**payload, **rendering}, others)


def _caricatures(body: dict[str, Any], find: FindSnapshot) -> Task:
    snapshot = find(text(body, "snapshot"))
    image, photo = body.get("image"), body.get("photo")
    if (image is None) == (photo is None):
        raise RequestError("give either image, an index into the probe, or photo, a digest")
    if photo is None:
        image = integer(body, "image", 0, snapshot.probe_record.count - 1)
        of = {"probe": snapshot.probe_id, "image": image}
    elif isinstance(photo, str) and _DIGEST.match(photo):
        of = {"photo": photo}
    else:
        raise RequestError(f"photo is {photo!r:.100}; give the digest that POST photo answered")
    strip = _Strip([], [])
    strip.add(snapshot, _layers(body, snapshot))
    if not strip.places:
        raise RequestError("layers is empty; name one at least, or null for all")
    _require_renderable(strip.places)
    rendering = _render_parameters(body, size=224)
    pictures = [_picture_key(snapshot, name, of, rendering) for _, name in strip.places]
    items = _items(strip.places, pictures, "caricature")
    payload = {"image": image, "photo": photo, **rendering}
    return _task("caricatures", strip, items, payload, [])


def warm_up_payload(body: dict[str, Any], find: FindSnapshot) -> dict[str, Any]:
    """What `tasks.warm_up` needs to be ready for units of the layer that a request names."""
    only_fields(body, "warm_up", ("snapshot", "layer"))
    snapshot = find(text(body, "snapshot"))
    layer = snapshot.layer(text(body, "layer")).name
    _require_renderable([(snapshot, layer)])
    return {"snapshot": snapshot.to_payload(), "layer": layer, "size": UNIT_SIZE}


DRAWN: dict[str, tuple[Callable[[dict[str, Any], FindSnapshot], Task], tuple[str, ...]]] = {
    "analogies": (
        _analogies,
        ("a", "layer", "unit", "direction", "sign", "minus", "targets", "size", "steps", "seed"),
    ),
    "caricatures": (
        _caricatures,
        ("snapshot", "image", "photo", "layers", "size", "steps", "seed"),
    ),
}


def _direction(body: dict[str, Any], units: int) -> list[list[float]]:
    """Pairs (unit, weight) of a direction, given as a unit or as one weight per unit."""
    sign = integer(body, "sign", -1, 1, 1)
    if sign == 0:
        raise RequestError("sign is 0; give 1 or -1")
    weights = body.get("direction")
    if (weights is None) == (body.get("unit") is None):
        raise RequestError("give either unit, or direction, one number per unit of the layer")
    if weights is None:
        return [[integer(body, "unit", 0, units - 1), float(sign)]]
    if not isinstance(weights, list) or len(weights) != units:
        raise RequestError(f"direction is not a list of {units} finite numbers, one per unit")
    checked = [
        number(f"direction[{unit}]", w, least=-_LARGEST, most=_LARGEST, error=RequestError)
        for unit, w in enumerate(weights)
    ]
    pairs = [[unit, sign * weight] for unit, weight in enumerate(checked) if weight]
    if not pairs:
        raise ActivationError("the direction is zero; there is nothing to render")
    return pairs


def _minus(
    body: dict[str, Any], source: Snapshot, find: FindSnapshot
) -> tuple[Snapshot, str] | None:
    """The layer whose share in the direction is to be taken out of it."""
    other = body.get("minus")
    if other is None:
        return None
    if not isinstance(other, dict):
        raise RequestError('minus is neither null nor {"snapshot": ID, "layer": NAME}')
    only_fields(other, "minus", ("snapshot", "layer"))
    snapshot = find(text(other, "snapshot"))
    require_same_probe(source, snapshot)
    return snapshot, snapshot.layer(text(other, "layer")).name


def _picture_key(
    snapshot: Snapshot, layer: str, of: dict[str, Any], rendering: dict[str, int]
) -> str:
    content = {"model": snapshot.digest, "layer": layer, "of": of, "rendering": rendering}
    return result_key("picture", {**content, "tensorflow": tensorflow_version()})


def _items(
    places: Sequence[tuple[Snapshot, str]], pictures: Sequence[str], role: str
) -> list[dict[str, Any]]:
    """As the HTTP API gives them, before anything is known of them."""
    return [
        {
            "key": str(i),
            "snapshot": snapshot.id,
            "layer": layer,
            "role": role,
            "r2": None,
            "best_unit": None,
            "problem": None,
            "picture": picture,
            "image": None,
            "step": 0,
        }
        for i, ((snapshot, layer), picture) in enumerate(zip(places, pictures, strict=True))
    ]


def _task(
    kind: str,
    strip: _Strip,
    items: list[dict[str, Any]],
    parameters: dict[str, Any],
    others: Sequence[Snapshot],
) -> Task:
    snapshots = [*(snapshot for snapshot, _ in strip.places), *others]
    payload = {
        "snapshots": list({s.digest: s.to_payload() for s in snapshots}.values()),
        "digests": [snapshot.digest for snapshot, _ in strip.places],
        "order": strip.order,
        "items": items,
        **parameters,
    }
    # The pictures' keys say what is drawn; the places' ids appear in what is reported.
    content = {
        "places": [[*identity(snapshot), layer] for snapshot, layer in strip.places],
        "pictures": [item["picture"] for item in items],
    }
    return Task(kind, RENDERS, result_key(kind, content), payload, items)


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


def _render_parameters(body: dict[str, Any], *, size: int) -> dict[str, int]:
    return {
        "size": integer(body, "size", *SIZES, size),
        "steps": integer(body, "steps", 1, MAX_STEPS, STEPS),
        "seed": integer(body, "seed", 0, _MAX_SEED, 0),
    }


def _layers(body: dict[str, Any], snapshot: Snapshot) -> tuple[str, ...]:
    """The layers that a body names, or all of which a picture can be made."""
    names = body.get("layers")
    if names is None:
        return _renderable_layers(snapshot)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError("layers is neither null nor a list of names")
    for name in names:
        snapshot.layer(name)
    return tuple(names)
