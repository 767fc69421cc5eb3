"""The pictures that a report holds: crops and images of units, caricatures, renders."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from tb_modelcompare.analogy.unit_pairs import best_unit_pairs
from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.best_photos import rgb_bytes
from tb_modelcompare.compare.crops import crops_jpeg, strongest_crops
from tb_modelcompare.compare.described import LayerInfo, layer_info, unit_info
from tb_modelcompare.compare.named_photo import NamedPhoto
from tb_modelcompare.errors import NotRenderableError
from tb_modelcompare.jobs.drawn import Drawn, draw_all
from tb_modelcompare.jobs.layer_pair import Inputs as LayerPair
from tb_modelcompare.jobs.layer_pair import pair_details
from tb_modelcompare.jobs.pictures import MAX_PICTURES, layers_to_render
from tb_modelcompare.jobs.registry import known_pictures, task_from_request
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.log.stored_probe import StoredProbe
from tb_modelcompare.render.sheet import data_url, enlarged
from tb_modelcompare.similarity import Comparison
from tb_modelcompare.similarity.alignment import mutual_best

# As the tab asks for them: what was drawn there is found in the cache.
_CARICATURE = {"size": 112, "steps": 64, "seed": 0}
_RENDER = {"size": 96, "steps": 128, "seed": 0}

_LAYER_PAIRS, _UNIT_PAIRS = 4, 2
_TOP_IMAGES = 4
_CROP, _PHOTO = 64, 128  # pixels
_DIGITS = 5
# What the page without pictures, a unit, one of its images and a drawn picture take in the file.
_PAGE_BYTES, _UNIT_BYTES, _IMAGE_BYTES, _DRAWN_BYTES = 400_000, 3_500, 7_000, 8_500

# Of one core; small networks take less.
_SECONDS_A_PICTURE = 2.0

Follow = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a report will hold; nothing is drawn yet.

    Attributes
    ----------
    units : int
        Of each layer, at most.
    layers : list of (Snapshot, str, (Snapshot, str) or None)
        Every layer, and its best match in the other model, if it has one.
    pairs : list of (LayerPair, dict)
        The strongest pairs of layers, and what the tab's card of each says.
    requests : list of dict
        What the worker draws, as the tab asks for it.
    notes : list of str
        What is in the report, and what is not in it and why.
    """

    units: int
    layers: list[tuple[Snapshot, str, tuple[Snapshot, str] | None]]
    pairs: list[tuple[LayerPair, dict[str, Any]]]
    requests: list[dict[str, Any]]
    notes: list[str]

    def find(self, snapshot: str) -> Snapshot:
        """One of the two snapshots, by its id."""
        return next(one for one, *_ in self.layers if one.id == snapshot)

    def about(self) -> str:
        """How much the report will hold, and how much of it is still to be drawn."""
        cache = ResultCache()
        drawn = [
            item
            for request in self.requests
            for item in known_pictures(request, self.find, cache)
            if item.problem is None
        ]
        left = sum(item.image is None for item in drawn)
        units = sum(min(self.units, one.layer(name).units) for one, name, _ in self.layers)
        images = min(self.layers[0][0].probe_record.count, _TOP_IMAGES * units)
        size = units * _UNIT_BYTES + images * _IMAGE_BYTES + len(drawn) * _DRAWN_BYTES
        megabytes = (_PAGE_BYTES + size) / 1e6
        said = (
            f"pictures: {units} units of {len(self.layers)} layers, and {len(drawn)} caricatures "
            f"and renders, {left} of which are still to be drawn; about {megabytes:.1f} MB"
        )
        if not left:
            return said
        return (
            f"{said}. For networks such as GoogLeNet, drawing takes about {_in_minutes(left)} of "
            "processor time. Ctrl-C keeps what is drawn: the same command goes on from there"
        )


def plan_pictures(
    a: Snapshot, b: Snapshot, comparison: Comparison, units: int, photo: NamedPhoto | None
) -> Plan:
    """Which units, caricatures and renders a report holds.

    Parameters
    ----------
    a, b : Snapshot
        Of one probe.
    comparison : Comparison
        Of their layers: it says which pairs of layers are the strongest.
    units : int
        How many of each layer: those that correlate most with units of the layer's best match.
    photo : NamedPhoto or None
        What caricatures are of; None where there are to be none.

    Returns
    -------
    Plan
    """
    layers = _best_matches(a, b, comparison)
    notes = [
        f"The gallery of a layer has {units} units at most, those that correlate most with units "
        "of the layer's best match."
    ]
    able = {one.id: _able(one, notes) for one in (a, b)}
    pairs = [
        (pair, msgspec.to_builtins(pair_details(pair, lambda *_: None)))
        for pair in _strongest(a, b, comparison)
    ]
    requests = []
    if photo is not None:
        requests = list(_caricatures(layers, able, photo))
        if requests:
            notes.append(f"Pointing at a layer shows its caricature of {photo.name}.")
    renders = [
        request
        for pair, found in pairs
        if pair.layer_a in able[a.id] and pair.layer_b in able[b.id]
        for best in found["unit_pairs"][:_UNIT_PAIRS]
        for request in _both_ways(pair, best["a"], best["b"])
        if request not in requests
    ]
    if renders:
        named = "; ".join(f"{pair.layer_a} and {pair.layer_b}" for pair, _ in pairs)
        notes.append(
            f"Renders are of the {_UNIT_PAIRS} best unit pairs of the strongest pairs of layers: "
            f"{named}."
        )
    return Plan(units, layers, pairs, requests + renders, notes)


def held_pictures(plan: Plan, device: str, follow: Follow) -> dict[str, Any]:
    """All that a plan names, as JSON values; `follow` hears the share done and of what.

    Raises
    ------
    JobFailedError
        If the worker did not finish.
    MissingAssetError, CorruptSnapshotError
        If a snapshot's files cannot be used.
    """
    units: dict[str, dict[str, Any]] = {}
    probe = plan.layers[0][0].stored_probe()
    for at, (snapshot, layer, match) in enumerate(plan.layers):
        follow(0.3 * at / len(plan.layers), f"units of {layer}")
        info = layer_info(snapshot, layer)
        chosen = _shared_most(snapshot, info, match, plan.units)
        units.setdefault(snapshot.id, {})[layer] = _of_layer(snapshot, probe, info, chosen)
    tasks = [task_from_request(request, plan.find) for request in plan.requests]
    drawn = draw_all(tasks, device, lambda share, what: follow(0.3 + 0.7 * share, what))
    held = list(zip(plan.requests, drawn, strict=True))
    cards = [{"a": p.layer_a, "b": p.layer_b, **found} for p, found in plan.pairs]
    return {
        "notes": plan.notes,
        "units": units,
        "pairs": cards,
        **(_photos(probe, units, cards) if _of_images(plan) else {"photos": {}, "aspect": 1.0}),
        "analogies": [
            {"asked": request, "items": [_with_picture(one) for one in items]}
            for request, items in held
            if request["kind"] == "analogies"
        ],
        "caricatures": _by_snapshot(
            one for request, items in held if request["kind"] == "caricatures" for one in items
        ),
    }


def _in_minutes(pictures: int) -> str:
    minutes = math.ceil(pictures * _SECONDS_A_PICTURE / 60)
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _best_matches(
    a: Snapshot, b: Snapshot, comparison: Comparison
) -> list[tuple[Snapshot, str, tuple[Snapshot, str] | None]]:
    """Every layer and the layer of the other model that is most like it."""
    values = -comparison.values if comparison.distance else comparison.values
    sides = [(a, comparison.rows, b, comparison.columns, values)]
    if a.id != b.id:
        sides.append((b, comparison.columns, a, comparison.rows, values.T))
    return [
        (one, name, (other, names[int(np.nanargmax(row))]) if np.isfinite(row).any() else None)
        for one, own, other, names, table in sides
        for name, row in zip(own, table, strict=True)
    ]


def _able(snapshot: Snapshot, notes: list[str]) -> tuple[str, ...]:
    """The layers of which pictures can be drawn; if there are none, `notes` hear why."""
    try:
        return layers_to_render(None, snapshot)
    except NotRenderableError as error:
        note = f"There are no renders and caricatures of {snapshot.id}: {error}."
        if note not in notes:
            notes.append(note)
        return ()


def _strongest(a: Snapshot, b: Snapshot, comparison: Comparison) -> list[LayerPair]:
    """Pairs of layers that are each other's best match, the strongest first."""
    if not np.isfinite(comparison.values).any():
        return []
    sign = 1 if comparison.distance else -1
    matches = sorted(mutual_best(comparison).matches, key=lambda match: sign * match.value)
    return [LayerPair(a, match.row, b, match.column) for match in matches[:_LAYER_PAIRS]]


def _caricatures(
    layers: Sequence[tuple[Snapshot, str, Any]],
    able: Mapping[str, Sequence[str]],
    photo: NamedPhoto,
) -> Iterator[dict[str, Any]]:
    """Requests for the caricatures of all layers, in as many parts as it takes."""
    for snapshot in able:
        names = [name for one, name, _ in layers if one.id == snapshot and name in able[snapshot]]
        for start in range(0, len(names), MAX_PICTURES):
            part = names[start : start + MAX_PICTURES]
            asked = {"kind": "caricatures", "snapshot": snapshot, **photo.asked}
            yield {**asked, "layers": part, **_CARICATURE}


def _both_ways(pair: LayerPair, a: int, b: int) -> list[dict[str, Any]]:
    """Requests for a unit of each of two layers, and its analogy in the other layer."""
    ends = [(pair.a.id, pair.layer_a, a), (pair.b.id, pair.layer_b, b)]
    return [
        {
            "kind": "analogies",
            "a": snapshot,
            "layer": layer,
            "unit": unit,
            "targets": [{"snapshot": other, "layers": [match]}],
            **_RENDER,
        }
        for (snapshot, layer, unit), (other, match, _) in (ends, ends[::-1])
    ]


def _shared_most(
    snapshot: Snapshot, layer: LayerInfo, match: tuple[Snapshot, str] | None, count: int
) -> list[int]:
    """The units that correlate most with units of the best match, then the most selective."""
    pairs = []
    if match is not None:
        other, name = match
        pairs = best_unit_pairs(
            snapshot.activations(layer.name),
            other.activations(name),
            count,
            groups=snapshot.image_of_row(),
        )
    selective = np.argsort(-np.asarray(layer.stats.selectivity))
    return list(dict.fromkeys([*(pair.a for pair in pairs), *selective.tolist()]))[:count]


def _of_images(plan: Plan) -> bool:
    return plan.layers[0][0].probe_record.is_of_images


def _of_layer(
    snapshot: Snapshot, probe: StoredProbe, layer: LayerInfo, units: list[int]
) -> dict[str, Any]:
    """A layer, and of some of its units the numbers, the strongest images and the crops."""
    info = msgspec.to_builtins(layer)
    stats = {name: [values[unit] for unit in units] for name, values in info["stats"].items()}
    of_units = [
        msgspec.to_builtins(unit_info(snapshot, probe, layer.name, unit, _TOP_IMAGES))
        for unit in units
    ]
    crops = None
    if snapshot.probe_record.is_of_images:
        sheet = crops_jpeg(strongest_crops(snapshot, probe, layer.name, units), _CROP)
        crops = f"data:image/jpeg;base64,{base64.b64encode(sheet).decode()}"
    shortened = _short({"info": {**info, "stats": stats}, "top": of_units})
    return {**shortened, "units": units, "crops": crops}


def _photos(
    probe: StoredProbe, units: Mapping[str, Mapping[str, Any]], cards: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The images of the probe that units and pairs name, by number, and their shape."""
    named = {
        top["image"]
        for layers in units.values()
        for layer in layers.values()
        for unit in layer["top"]
        for top in unit["top"]
    }
    named |= {one["image"] for card in cards for one in [*card["agree"], *card["differ"]]}
    photos = {
        str(number): data_url(enlarged(rgb_bytes(probe.images[number]), _PHOTO))
        for number in sorted(named)
    }
    height, width = probe.images.shape[1:3]
    return {"photos": photos, "aspect": height / width}


def _with_picture(one: Drawn) -> dict[str, Any]:
    """An item whose address is the picture itself."""
    image = None if one.picture is None else data_url(one.picture)
    return {**msgspec.to_builtins(one.item), "image": image}


def _by_snapshot(drawn: Iterator[Drawn]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for one in drawn:
        if one.picture is not None:
            found.setdefault(one.item.snapshot, {})[one.item.layer] = data_url(one.picture)
    return found


def _short(value: Any) -> Any:
    """The same with fewer digits, which nobody reads and which make up most of the text."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list) else value
