"""What a layer's units do on the probe: how much, how often, on which images most."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.log.arrays import ArrayFile
from tb_modelcompare.log.direction import Direction
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.log.stored_probe import StoredProbe
from tb_modelcompare.log.strongest import Strongest
from tb_modelcompare.probe.probe import Probe

_BLOCK_VALUES = 2**22


@dataclass(frozen=True, eq=False)
class UnitStatistics:
    """Per unit, over all n rows.

    Attributes
    ----------
    mean, max : array (units,)
    active : array (units,)
        The share of rows above 0.
    selectivity : array (units,)
        From 0, as active in every row, to 1, active in a single one: with r = max(value, 0),
        (1 - mean(r)² / mean(r²)) / (1 - 1/n) (Vinje and Gallant, Science 2000). 0 for a unit
        that is never above 0.
    """

    mean: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    active: npt.NDArray[np.float64]
    selectivity: npt.NDArray[np.float64]


def unit_statistics(activations: npt.NDArray[np.float32] | ArrayFile) -> UnitStatistics:
    """Statistics of each column of (rows, units), a block of rows at a time."""
    rows, units = activations.shape
    total, active = np.zeros(units), np.zeros(units)
    above, squared = np.zeros(units), np.zeros(units)
    most = np.full(units, -np.inf)
    step = max(1, _BLOCK_VALUES // units)
    for start in range(0, rows, step):
        block = activations[start : start + step]
        total += block.sum(axis=0, dtype=np.float64)
        active += (block > 0).sum(axis=0)
        np.maximum(most, block.max(axis=0), out=most)
        response = np.maximum(block, 0, dtype=np.float64)
        above += response.sum(axis=0)
        squared += np.square(response).sum(axis=0)
    return UnitStatistics(total / rows, most, active / rows, _selectivity(above, squared, rows))


def _selectivity(
    above: npt.NDArray[np.float64], squared: npt.NDArray[np.float64], rows: int
) -> npt.NDArray[np.float64]:
    """From the sums of responses and of their squares."""
    spread = np.divide(above**2, rows * squared, out=np.ones_like(above), where=squared > 0)
    return np.asarray(np.clip((1 - spread) / (1 - 1 / rows), 0, 1)) if rows > 1 else 0 * above


@dataclass(frozen=True, eq=False)
class TopRows:
    """Rows of the images that excite a unit most, one row per image, strongest first.

    `tied` counts the images that are left out although they equal the last of these.
    """

    rows: npt.NDArray[np.intp]
    tied: int


def top_rows(
    response: npt.NDArray[np.floating[Any]],
    image_of_row: npt.NDArray[np.intp],
    limit: int,
    before: npt.NDArray[np.floating[Any]] | None = None,
) -> TopRows:
    """Which `limit` images excite a unit most.

    Where more images tie than are wanted, those are taken that lie evenly over the probe, as the
    first ones would all be of the first directory or class. Nothing in this is random.

    Parameters
    ----------
    response : array (rows,)
    image_of_row : array (rows,)
        The number of the image of each row; rows of one image follow each other.
    limit : int
    before : array (rows,), optional
        What decides where responses are equal, larger first.
    """
    keys = (response,) if before is None else (before, response)  # the last is the first key
    ascending = np.lexsort(keys)
    rank = np.empty(len(response), np.intp)  # equal rows have the same
    new = np.zeros(len(response), bool)
    for key in keys:
        new[1:] |= np.diff(key[ascending]) != 0
    rank[ascending] = np.cumsum(new)

    begins = np.flatnonzero(np.diff(image_of_row, prepend=-1))
    reached = np.maximum.reduceat(rank, begins)
    tops = np.flatnonzero(rank == reached[image_of_row])
    best = tops[np.flatnonzero(np.diff(image_of_row[tops], prepend=-1))]  # the first of each image
    order = np.argsort(-reached, kind="stable")
    count = min(limit, len(order))
    last = reached[order[count - 1]]
    sure = order[: np.count_nonzero(reached > last)]
    equal = np.flatnonzero(reached == last)
    wanted = count - len(sure)
    chosen = equal[np.arange(wanted) * len(equal) // wanted]
    images = np.concatenate([sure, chosen])
    return TopRows(best[images], len(equal) - wanted)


@dataclass(frozen=True)
class TopPositions:
    """Where on the probe's images a unit is most active.

    Attributes
    ----------
    positions : list of dict
        "image", "name", "value", the relative position "u" (over the height) and "v", and "box"
        (top, left, height, width), the part of the image that the layer sees from there, as
        shares of the image; null where that is all of it, or is not known. "before" is the
        unit's value in the layer `ranked_by`, or null.
    tied : int
        How many more images equal the last of these.
    ranked_by : str or None
        The layer before a cap (a ReLU6, a sigmoid), by which equal values were put in order.
    """

    positions: list[dict[str, Any]]
    tied: int
    ranked_by: str | None


def top_positions(
    snapshot: Snapshot,
    probe: Probe | StoredProbe,
    layer: str,
    unit: int,
    limit: int,
    *,
    negative: bool = False,
    values: npt.NDArray[np.float32] | None = None,
) -> TopPositions:
    """Where on the probe's images a unit of a layer is most active, or least if `negative`.

    Over all positions of the layer's map, where that was logged and as many images are asked for
    as were kept; else, for `negative`, and where a layer before a cap decides between equal
    values, at the positions of the probe. `values` (rows,) are the unit's activations, for a
    caller that has read them already.

    Raises
    ------
    UnknownSnapshotError
        If there is no such layer.
    MissingAssetError, CorruptSnapshotError
        If the snapshot's files cannot be used.
    """
    logged = None if negative else snapshot.strongest(layer)
    if logged is not None and limit <= logged.values.shape[1]:
        top = _logged_positions(snapshot, probe, layer, logged, unit, limit)
        if not _is_tied(top):
            return top
    else:
        top = None
    if values is None:
        values = snapshot.stored_activations(layer).column(unit)
    response = 0 - values if negative else values
    rows = top_rows(response, probe.image_of_row, limit)
    uncapped = None
    if top is not None or _has_ties(response, float(response[rows.rows[-1]])):
        uncapped = _before_cap(snapshot, layer, unit, response)
    if uncapped is not None:
        rows = top_rows(response, probe.image_of_row, limit, uncapped.sign * uncapped.values)
    elif top is not None:
        return top
    return _at_rows(snapshot, probe, layer, response, rows, uncapped)


def top_positions_along(
    direction: Direction, probe: Probe | StoredProbe, limit: int
) -> TopPositions:
    """Where on the probe's images the activity along a direction is largest.

    Raises
    ------
    MissingAssetError, CorruptSnapshotError
        If the snapshot's files cannot be used.
    """
    snapshot, layer = direction.snapshot, direction.layer
    (units,) = np.nonzero(direction.weights)
    if len(units) == 1:  # a unit or its opposite: over the whole map, where that was logged
        negative = bool(direction.weights[units[0]] < 0)
        return top_positions(snapshot, probe, layer, int(units[0]), limit, negative=negative)
    response = direction.activity()
    rows = top_rows(response, probe.image_of_row, limit)
    return _at_rows(snapshot, probe, layer, response, rows, None)


def _at_rows(
    snapshot: Snapshot,
    probe: Probe | StoredProbe,
    layer: str,
    response: npt.NDArray[np.floating[Any]],
    rows: TopRows,
    uncapped: _Uncapped | None,
) -> TopPositions:
    """The strongest images at the positions of the probe."""
    found = []
    for row in rows.rows:
        before = None if uncapped is None else float(uncapped.values[row])
        u, v = (float(share) for share in probe.positions[row])
        image = int(probe.image_of_row[row])
        found.append(_position(snapshot, probe, layer, image, float(response[row]), (u, v), before))
    return TopPositions(found, rows.tied, None if uncapped is None else uncapped.layer)


def _logged_positions(
    snapshot: Snapshot,
    probe: Probe | StoredProbe,
    layer: str,
    logged: Strongest,
    unit: int,
    limit: int,
) -> TopPositions:
    """The strongest images over all positions of the map, as they were found while logging."""
    height, width = snapshot.layer(layer).spatial or (1, 1)
    values = logged.values[unit]
    found = []
    for value, image, cell in zip(
        values[:limit], logged.images[unit], logged.cells[unit], strict=False
    ):
        row, column = divmod(int(cell), width)
        uv = (row + 0.5) / height, (column + 0.5) / width
        found.append(_position(snapshot, probe, layer, int(image), float(value), uv, None))
    equal = int((values[limit:] == values[limit - 1]).sum())
    tied = equal + (int(logged.tied[unit]) if values[-1] == values[limit - 1] else 0)
    return TopPositions(found, tied, None)


def _position(
    snapshot: Snapshot,
    probe: Probe | StoredProbe,
    layer: str,
    image: int,
    value: float,
    uv: tuple[float, float],
    before: float | None,
) -> dict[str, Any]:
    record = snapshot.layer(layer)
    box = None
    if record.receptive_field is not None and record.spatial is not None:
        height, width = record.spatial
        box = list(record.receptive_field.box((int(uv[0] * height), int(uv[1] * width))))
    name = probe.names[image]
    return {
        "image": image, "name": name, "value": value, "before": before,
        "u": uv[0], "v": uv[1], "box": box,
    }  # fmt: skip


def _is_tied(top: TopPositions) -> bool:
    values = [position["value"] for position in top.positions]
    return top.tied > 0 or len(set(values)) < len(values)


def _has_ties(response: npt.NDArray[np.floating[Any]], least: float) -> bool:
    """Whether any rows from `least` on are equal, be it in one image."""
    top = response[response >= least]
    return len(np.unique(top)) < len(top)


@dataclass(frozen=True, eq=False)
class _Uncapped:
    """A unit before its cap: `sign * values` never falls where the unit's response rises."""

    layer: str
    values: npt.NDArray[np.float32]
    sign: int


def _before_cap(
    snapshot: Snapshot, layer: str, unit: int, response: npt.NDArray[np.floating[Any]]
) -> _Uncapped | None:
    """The unit in the logged layer before it, where the layer only bends and cuts its values.

    The values themselves tell whether it does so. Whatever the ops between are called (a ReLU6, a
    clip, a batch normalisation with a negative factor), the response is then a monotone function
    of the values before.
    """
    for name in _layers_before(snapshot, layer):
        values = snapshot.stored_activations(name).column(unit)
        sign = _monotone(values, response)
        if sign:
            return _Uncapped(name, values, sign)
    return None


# By how much of its range a response may miss being monotone: float32 rounds.
_ROUNDING = 1e-5
_FEWEST_VALUES = 4


def _monotone(before: npt.NDArray[np.floating[Any]], after: npt.NDArray[np.floating[Any]]) -> int:
    """1 if `after` never falls as `before` rises, -1 if it never rises, 0 if neither.

    Also 0 if `after` has so few values that it may be monotone by accident.
    """
    if len(np.unique(after)) < _FEWEST_VALUES:
        return 0
    allowed = _ROUNDING * float(np.ptp(after))
    ordered = after[np.lexsort((after, before))]
    if (np.maximum.accumulate(ordered) - ordered).max() <= allowed:
        return 1
    ordered = after[np.lexsort((-after, before))]
    return -1 if (ordered - np.minimum.accumulate(ordered)).max() <= allowed else 0


_ONE_BY_ONE = frozenset({"activation", "norm", "reshape", "other"})


@functools.lru_cache(maxsize=256)
def _layers_before(snapshot: Snapshot, layer: str) -> tuple[str, ...]:
    """Logged layers of as many units that lead to `layer` alone, through no weights; near first."""
    nodes = {node.name: node for node in snapshot.graph().nodes}
    logged = {record.name: record.units for record in snapshot.layers}
    found = []
    node = nodes.get(layer)
    while node is not None and node.kind in _ONE_BY_ONE and len(node.inputs) == 1:
        node = nodes[node.inputs[0]]
        if logged.get(node.name) == logged[layer]:
            found.append(node.name)
    return tuple(found)
