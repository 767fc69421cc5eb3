"""The index of a snapshot: the records in it, their JSON form, and what makes one valid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tb_modelcompare.capture.receptive import ReceptiveField
from tb_modelcompare.log.assets import Asset
from tb_modelcompare.log.bounds import expect, holds, is_count

_WIDTHS = {"float32": 4, "float16": 2}
_STRONGEST = ("values", "images", "cells", "tied")
_FIELD = ("image", "start", "stride", "size")

_MOST_STRONGEST = 1024
_MAX_FROZEN_BYTES = 2**31  # of a protocol buffer
_FARTHEST = 2**40  # in pixels, far beyond any image


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
        holds(asset, rows * units * _WIDTHS[raw["dtype"]]),
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
        expect(holds(part, size), f"{where}: {part.bytes} bytes do not hold strongest {name}")
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
