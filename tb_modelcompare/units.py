"""What a layer's units do on the probe: how much, how often, on which images most."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ModelCompareError
from tb_modelcompare.probe import Probe
from tb_modelcompare.snapshot import Snapshot

if TYPE_CHECKING:
    from tb_modelcompare.render.receptive import ReceptiveField

_BLOCK_VALUES = 2**22


@dataclass(frozen=True, eq=False)
class UnitStatistics:
    """Per unit, over all rows: mean, maximum, and the share of rows above 0."""

    mean: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    active: npt.NDArray[np.float64]


def unit_statistics(activations: npt.NDArray[np.float32]) -> UnitStatistics:
    """Statistics of each column of (rows, units), a block of rows at a time."""
    rows, units = activations.shape
    total, active = np.zeros(units), np.zeros(units)
    most = np.full(units, -np.inf)
    step = max(1, _BLOCK_VALUES // units)
    for start in range(0, rows, step):
        block = activations[start : start + step]
        total += block.sum(axis=0, dtype=np.float64)
        active += (block > 0).sum(axis=0)
        np.maximum(most, block.max(axis=0), out=most)
    return UnitStatistics(total / rows, most, active / rows)


def top_rows(
    response: npt.NDArray[np.float32], positions_per_image: int, limit: int
) -> npt.NDArray[np.intp]:
    """Rows of the `limit` images that excite a unit most, one row per image, strongest first.

    Ties are resolved in the order of the probe, so that the answer never depends on chance.
    """
    by_image = response.reshape(-1, positions_per_image)
    best = by_image.argmax(axis=1)
    images = np.arange(len(by_image))
    order = np.argsort(-by_image[images, best], kind="stable")[:limit]
    rows: npt.NDArray[np.intp] = order * positions_per_image + best[order]
    return rows


def top_places(
    snapshot: Snapshot,
    probe: Probe,
    layer: str,
    response: npt.NDArray[np.floating[Any]],
    limit: int,
) -> list[dict[str, Any]]:
    """Where on the probe's images a unit or direction of a layer is most active.

    Returns
    -------
    list of dict
        "image", "name", "value", the relative place "u" (over the height) and "v", and "box"
        (top, left, height, width), the part of the image that the layer sees from there, as
        shares of the image; null where that is all of it, or is not known.
    """
    per_image = snapshot.probe_record.positions_per_image
    field = _field(snapshot, layer)
    spatial = snapshot.layer(layer).spatial
    found = []
    for row in top_rows(response, per_image, limit):
        u, v = (float(share) for share in probe.positions[row])
        box = None
        if field is not None and spatial is not None:
            place = (int(u * spatial[0]), int(v * spatial[1]))
            box = list(field[0].box(place, field[1]))
        found.append(
            {
                "image": int(row) // per_image,
                "name": probe.names[int(row) // per_image],
                "value": float(response[row]),
                "u": u,
                "v": v,
                "box": box,
            }
        )
    return found


@functools.lru_cache(maxsize=256)
def _field(snapshot: Snapshot, layer: str) -> tuple[ReceptiveField, tuple[int, int]] | None:
    """What a layer sees of an input of the model's own size."""
    from tb_modelcompare.render.frozen import FrozenModel
    from tb_modelcompare.render.receptive import receptive_field

    if snapshot.frozen is None:
        return None
    model = FrozenModel.from_snapshot(snapshot)
    height, width, _ = model.input_shape
    try:
        field = receptive_field(model, layer)
    except ModelCompareError:  # there is no picture of such a layer, but there are photos
        return None
    if field is None or height is None or width is None:
        return None
    return field, (height, width)
