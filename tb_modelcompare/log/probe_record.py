"""The record of a probe in an index: its files and its dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tb_modelcompare.log.assets import Asset
from tb_modelcompare.log.bounds import expect, holds, is_count, parse_json_asset

_OPTIONAL = ("image_of_row", "mask", "labels")

# Bytes of one value of a probe: uint8, float32 or int32, int64.
_WIDTHS = (1, 4, 8)


@dataclass(frozen=True)
class ProbeRecord:
    """Where a snapshot's probe is, and its dimensions.

    `item_shape` is that of one image, or of one array of a probe of arrays. `positions_per_image`
    is None where images have different numbers of rows, and `image_of_row` says which row is of
    which image then. `mask` says which tokens are real, where some are padding.
    """

    id: str
    images: Asset
    positions: Asset
    meta: Asset
    rows: int
    positions_per_image: int | None
    count: int
    item_shape: tuple[int, ...]
    is_of_images: bool = True
    image_of_row: Asset | None = None
    mask: Asset | None = None
    labels: Asset | None = None

    @property
    def has_more(self) -> bool:
        """Whether it has what versions before 3 have not."""
        return any(getattr(self, name) is not None for name in _OPTIONAL)

    @property
    def assets(self) -> list[Asset]:
        """All files that the probe is in."""
        optional = (getattr(self, name) for name in _OPTIONAL)
        there = [asset for asset in optional if asset is not None]
        return [self.images, self.positions, self.meta, *there]

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
            **{
                name: asset.to_json()
                for name in _OPTIONAL
                if (asset := getattr(self, name)) is not None
            },
        }


def parse_probe(raw: dict[str, Any], where: str) -> ProbeRecord:
    """The probe of an index; `where` begins each complaint (CorruptSnapshotError)."""
    is_of_images = "array_shape" not in raw
    shape = tuple(raw["image_shape" if is_of_images else "array_shape"])
    each = raw["positions_per_image"]
    counts = (raw["rows"], raw["count"], *shape, *(() if each is None else (each,)))
    possible = len(shape) == 3 and shape[2] in (1, 3) if is_of_images else 1 <= len(shape) <= 3
    expect(
        possible and all(is_count(n) and n > 0 for n in counts),
        f"{where}: bad probe dimensions",
    )
    optional = {name: raw.get(name) for name in _OPTIONAL}
    if each is None:
        expect(
            optional["image_of_row"] is not None and raw["rows"] >= raw["count"],
            f"{where}: nothing says which image each row is of",
        )
    else:
        expect(
            optional["image_of_row"] is None and raw["rows"] == raw["count"] * each,
            f"{where}: probe rows are not count × positions_per_image",
        )
    expect(
        optional["mask"] is None or (not is_of_images and len(shape) <= 2),
        f"{where}: a mask is of sequences",
    )
    sizes = {"image_of_row": 4 * raw["rows"], "mask": raw["count"] * shape[0]}
    assets = {}
    for name, value in optional.items():
        if value is not None and name in sizes:
            asset = assets[name] = Asset.from_json(value, f"probe {name}")
            size = sizes[name]
            expect(holds(asset, size), f"{where}: {asset.bytes} bytes do not hold its {name}")
        elif value is not None:
            assets[name] = parse_json_asset(value, "labels", where)
    expect(isinstance(raw["id"], str) and len(raw["id"]) == 64, f"{where}: bad probe id")
    images = Asset.from_json(raw["images"], "probe images")
    positions = Asset.from_json(raw["positions"], "probe positions")
    values = math.prod((raw["count"], *shape))
    expect(
        any(holds(images, values * width) for width in _WIDTHS),
        f"{where}: {images.bytes} bytes do not hold {raw['count']} × {shape} values",
    )
    expect(
        holds(positions, raw["rows"] * 2 * 8),
        f"{where}: {positions.bytes} bytes do not hold {raw['rows']} positions",
    )
    return ProbeRecord(
        id=raw["id"],
        images=images,
        positions=positions,
        meta=parse_json_asset(raw["meta"], "probe", where),
        rows=raw["rows"],
        positions_per_image=each,
        count=raw["count"],
        item_shape=shape,
        is_of_images=is_of_images,
        **assets,
    )
