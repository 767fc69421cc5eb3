"""The index of a snapshot: the records in it, their JSON form, and what makes one valid."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tb_modelcompare.capture.receptive import ReceptiveField
from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.log.assets import Asset

_WIDTHS = {"float32": 4, "float16": 2}
_STRONGEST = ("values", "images", "cells", "tied")
_FIELD = ("image", "start", "stride", "size")

# What a record may claim, so that no reader hashes a file without end. The header of a .npy
# file is at most a few hundred bytes.
MAX_JSON_BYTES = 64 * 2**20
_MAX_ARRAY_BYTES = 64 * 2**30
_MAX_SNAPSHOT_BYTES = 2**40
_MAX_FROZEN_BYTES = 2**31  # of a protocol buffer
_MAX_HEADER_BYTES = 1024

_MOST_STRONGEST = 1024
_FARTHEST = 2**40  # in pixels, far beyond any image

# Bytes of one value of a probe: uint8, float32 or int32, int64.
_PROBE_WIDTHS = (1, 4, 8)

_LAST_TIME = 250_000_000_000


@dataclass(frozen=True)
class LayerRecord:
    """A logged layer: `rows` × `units` activations, and the map they were sampled from.

    `spatial` is (height, width) of the layer's map, None if it has none. `strongest` is the row of
    its first unit in the arrays of strongest images, None if it is not among them.
    `receptive_field` is what its positions see of an image; None if that is all of it, or is not
    known.
    """

    name: str
    units: int
    rows: int
    dtype: str
    asset: Asset
    spatial: tuple[int, int] | None = None
    strongest: int | None = None
    receptive_field: ReceptiveField | None = None

    def to_json(self) -> dict[str, Any]:
        """As in the index."""
        field = self.receptive_field
        return {
            "name": self.name,
            "units": self.units,
            "rows": self.rows,
            "dtype": self.dtype,
            "asset": self.asset.to_json(),
            "spatial": None if self.spatial is None else list(self.spatial),
            "strongest": self.strongest,
            "receptive_field": None
            if field is None
            else {name: list(getattr(field, name)) for name in _FIELD},
        }


@dataclass(frozen=True)
class StrongestRecord:
    """Where the images are on which units are most active: (units, per_unit) in each array.

    `units` are those of all layers with a map, behind each other; `tied` has one number of each.
    """

    units: int
    per_unit: int
    values: Asset
    images: Asset
    cells: Asset
    tied: Asset

    @property
    def assets(self) -> tuple[Asset, ...]:
        return self.values, self.images, self.cells, self.tied

    def to_json(self) -> dict[str, Any]:
        """As in the index."""
        parts = {name: getattr(self, name).to_json() for name in _STRONGEST}
        return {"units": self.units, "per_unit": self.per_unit, **parts}


@dataclass(frozen=True)
class ProbeRecord:
    """Where a snapshot's probe is, and its dimensions.

    `item_shape` is that of one image, or of one array of a probe of arrays.
    """

    id: str
    images: Asset
    positions: Asset
    meta: Asset
    rows: int
    positions_per_image: int
    count: int
    item_shape: tuple[int, ...]
    is_of_images: bool = True

    def to_json(self) -> dict[str, Any]:
        """As in the index."""
        return {
            "id": self.id,
            "images": self.images.to_json(),
            "positions": self.positions.to_json(),
            "meta": self.meta.to_json(),
            "rows": self.rows,
            "positions_per_image": self.positions_per_image,
            "count": self.count,
            "image_shape" if self.is_of_images else "array_shape": list(self.item_shape),
        }


@dataclass(frozen=True)
class FrozenRecord:
    """A frozen graph: its file, placeholder, input size (h, w, c), tensor name of each layer.

    Height and width are None where it takes any size.
    """

    asset: Asset
    input: str
    input_shape: tuple[int | None, int | None, int]
    tensors: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """As in the index."""
        return {
            "asset": self.asset.to_json(),
            "input": self.input,
            "input_shape": list(self.input_shape),
            "tensors": dict(self.tensors),
        }


def content_digest(index: Mapping[str, Any]) -> str:
    """SHA-256 over what a snapshot holds: layers, graph, frozen graph, preprocessing, probe.

    Neither paths nor step nor name enter, so that the same contents have the same digest.
    """
    frozen = index["frozen"]
    content = {
        "probe": index["probe"]["id"],
        "layers": [[layer["name"], layer["asset"]["sha256"]] for layer in index["layers"]],
        "graph": index["graph"]["sha256"],
        "frozen": frozen
        and [
            frozen["asset"]["sha256"],
            frozen["input"],
            frozen["input_shape"],
            frozen["tensors"],
        ],
        "preprocessing": index["preprocessing"],
    }
    if index.get("strongest") is not None:
        content["strongest"] = [index["strongest"][name]["sha256"] for name in _STRONGEST]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def parse_probe(raw: dict[str, Any], where: str) -> ProbeRecord:
    """The probe of an index; `where` begins each complaint (CorruptSnapshotError)."""
    is_of_images = "array_shape" not in raw
    shape = tuple(raw["image_shape" if is_of_images else "array_shape"])
    counts = (raw["rows"], raw["positions_per_image"], raw["count"], *shape)
    possible = len(shape) == 3 and shape[2] in (1, 3) if is_of_images else 1 <= len(shape) <= 3
    expect(
        possible and all(is_count(n) and n > 0 for n in counts),
        f"{where}: bad probe dimensions",
    )
    expect(
        raw["rows"] == raw["count"] * raw["positions_per_image"],
        f"{where}: probe rows are not count × positions_per_image",
    )
    expect(isinstance(raw["id"], str) and len(raw["id"]) == 64, f"{where}: bad probe id")
    images = Asset.from_json(raw["images"], "probe images")
    positions = Asset.from_json(raw["positions"], "probe positions")
    values = math.prod((raw["count"], *shape))
    expect(
        any(_holds(images, values * width) for width in _PROBE_WIDTHS),
        f"{where}: {images.bytes} bytes do not hold {raw['count']} × {shape} values",
    )
    expect(
        _holds(positions, raw["rows"] * 2 * 8),
        f"{where}: {positions.bytes} bytes do not hold {raw['rows']} positions",
    )
    return ProbeRecord(
        id=raw["id"],
        images=images,
        positions=positions,
        meta=parse_json_asset(raw["meta"], "probe", where),
        rows=raw["rows"],
        positions_per_image=raw["positions_per_image"],
        count=raw["count"],
        item_shape=shape,
        is_of_images=is_of_images,
    )


def parse_layer(raw: dict[str, Any], rows: int, dtypes: Sequence[str], where: str) -> LayerRecord:
    """One layer of an index, which must have `rows` rows of one of these types."""
    name, units, spatial = raw["name"], raw["units"], raw.get("spatial")
    expect(isinstance(name, str) and 0 < len(name) <= 1024, f"{where}: bad layer name")
    where = f"{where}, layer {name!r:.80}"
    expect(is_count(units) and units > 0, f"{where}: bad units {units!r:.50}")
    expect(raw["rows"] == rows, f"{where}: has {raw['rows']!r:.50} rows and the probe {rows}")
    expect(
        raw["dtype"] in dtypes,
        f"{where}: dtype {raw['dtype']!r:.50} is not {' or '.join(dtypes)}",
    )
    expect(
        spatial is None
        or (isinstance(spatial, list) and len(spatial) == 2 and all(map(is_count, spatial))),
        f"{where}: bad spatial",
    )
    asset = Asset.from_json(raw["asset"], f"layer {name!r:.80}")
    expect(
        _holds(asset, rows * units * _WIDTHS[raw["dtype"]]),
        f"{where}: {asset.bytes} bytes do not hold {rows} × {units} {raw['dtype']}",
    )
    map_size = None if spatial is None else (spatial[0], spatial[1])
    strongest = raw.get("strongest")
    expect(strongest is None or is_count(strongest), f"{where}: bad strongest")
    field = _parse_field(raw.get("receptive_field"), where)
    return LayerRecord(name, units, rows, raw["dtype"], asset, map_size, strongest, field)


def _parse_field(raw: dict[str, Any] | None, where: str) -> ReceptiveField | None:
    if raw is None:
        return None
    pairs = {name: tuple(raw[name]) for name in _FIELD}
    for name, pair in pairs.items():
        expect(
            len(pair) == 2
            and all(type(n) is int and abs(n) <= _FARTHEST for n in pair)
            and (name == "start" or min(pair) > 0),
            f"{where}: bad {name} of its receptive field",
        )
    return ReceptiveField(**pairs)


def parse_strongest(
    raw: dict[str, Any], layers: Sequence[LayerRecord], where: str
) -> StrongestRecord:
    """The strongest images of an index, which must hold the units of `layers`."""
    units, per_unit = raw["units"], raw["per_unit"]
    expect(is_count(units) and units > 0, f"{where}: bad units of the strongest images")
    expect(
        is_count(per_unit) and 0 < per_unit <= _MOST_STRONGEST,
        f"{where}: bad number of strongest images",
    )
    for layer in layers:
        expect(
            layer.strongest is None
            or (layer.spatial is not None and layer.strongest + layer.units <= units),
            f"{where}: layer {layer.name!r:.80} is not among the strongest images",
        )
    parts = {name: Asset.from_json(raw[name], f"strongest {name}") for name in _STRONGEST}
    for name, part in parts.items():
        size = 4 * units * (1 if name == "tied" else per_unit)
        expect(_holds(part, size), f"{where}: {part.bytes} bytes do not hold strongest {name}")
    return StrongestRecord(units, per_unit, **parts)


def parse_frozen(raw: dict[str, Any], where: str) -> FrozenRecord:
    """The frozen graph of an index."""
    shape, tensors = tuple(raw["input_shape"]), raw["tensors"]
    expect(
        len(shape) == 3
        and all(n is None or (is_count(n) and n > 0) for n in shape)
        and shape[2] is not None,
        f"{where}: bad input_shape of the frozen graph",
    )
    expect(
        isinstance(raw["input"], str)
        and isinstance(tensors, dict)
        and all(isinstance(tensor, str) for tensor in tensors.values()),
        f"{where}: bad tensor names of the frozen graph",
    )
    asset = Asset.from_json(raw["asset"], "frozen graph")
    expect(
        asset.bytes <= _MAX_FROZEN_BYTES,
        f"{where}: its frozen graph has {asset.bytes} bytes, more than any graph can have",
    )
    return FrozenRecord(asset, raw["input"], (shape[0], shape[1], shape[2]), tensors)


def parse_json_asset(raw: Any, what: str, where: str) -> Asset:
    """A JSON file that an index names, which is read whole."""
    asset = Asset.from_json(raw, what)
    expect(
        asset.bytes <= MAX_JSON_BYTES,
        f"{where}: {what} of {asset.bytes} bytes is larger than {MAX_JSON_BYTES}; refused",
    )
    return asset


def expect_bounded(assets: Iterable[Asset], where: str) -> None:
    """Refuse a snapshot whose files claim more bytes than any that we would read."""
    claimed = sum(asset.bytes for asset in assets)
    expect(
        claimed <= _MAX_SNAPSHOT_BYTES,
        f"{where}: its files claim {claimed} bytes, more than {_MAX_SNAPSHOT_BYTES}; refused",
    )


def expect_apart(assets: Iterable[Asset], where: str) -> None:
    """Refuse files of which parts overlap: a part is another one's equal, or apart from it."""
    files: dict[str, dict[int | None, Asset]] = {}
    for asset in assets:
        parts = files.setdefault(asset.path, {})
        expect(
            parts.setdefault(asset.offset, asset) == asset,
            f"{where}: {asset.path!r:.200} is two different things",
        )
    for path, parts in files.items():
        expect(None not in parts or len(parts) == 1, f"{where}: {path!r:.200} is a part of itself")
        end = 0
        for offset, part in sorted((offset or 0, part) for offset, part in parts.items()):
            expect(offset >= end, f"{where}: parts of {path!r:.200} overlap")
            end = offset + part.bytes


def _holds(asset: Asset, size: int) -> bool:
    """Whether a .npy file can hold exactly `size` bytes of values, and is not absurdly large."""
    return size <= _MAX_ARRAY_BYTES and 0 < asset.bytes - size <= _MAX_HEADER_BYTES


def expect(condition: bool, complaint: str) -> None:
    """Raise CorruptSnapshotError with `complaint` unless `condition`."""
    if not condition:
        raise CorruptSnapshotError(complaint)


def is_count(value: Any) -> bool:
    """Whether a JSON value is a whole number from 0, exact in every language."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def is_time(value: Any) -> bool:
    """Whether a JSON value is a time in seconds that calendars know, which end in the year 9999."""
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LAST_TIME
    )
