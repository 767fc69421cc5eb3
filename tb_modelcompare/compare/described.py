"""A layer and a unit as the tab reads them: from a server, or out of a report."""

from __future__ import annotations

import functools

import msgspec

from tb_modelcompare.compare.units import UnitStatistics, top_positions, unit_statistics
from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.log.stored_probe import StoredProbe
from tb_modelcompare.probe.probe import Probe

Box = tuple[float, float, float, float]


class LayerStatistics(msgspec.Struct):
    """One number per unit, over all rows of the probe: mean, maximum, share of rows above 0.

    `selectivity` is 0 for a unit that is as active in every row, 1 for one that is active in a
    single row.
    """

    mean: list[float]
    max: list[float]
    active: list[float]
    selectivity: list[float]


class LayerInfo(msgspec.Struct):
    """A layer.

    `spatial` is the map that rows were sampled from, null if it has none. `op` and `block` (the
    innermost that the layer is in) are null where the model's graph does not know them.
    """

    name: str
    units: int
    rows: int
    spatial: tuple[int, int] | None
    op: str | None
    block: str | None
    stats: LayerStatistics


class TopImage(msgspec.Struct):
    """An image that excites a unit.

    `u` is the relative position over the height, `v` over the width. `box` is what the layer sees
    from there, as shares of the image: top, left, height, width. `before` is the value in the
    layer `ranked_by`.
    """

    image: int
    name: str
    value: float
    u: float
    v: float
    box: Box | None
    before: float | None


class UnitInfo(msgspec.Struct):
    """The images that excite a unit most.

    `tied` is the number of further images that equal the last. `ranked_by` is the layer before a
    cap by which images of equal activation are put in order.
    """

    top: list[TopImage]
    tied: int
    ranked_by: str | None
    mean: float
    max: float
    active: float


def layer_info(snapshot: Snapshot, layer: str) -> LayerInfo:
    """A layer, and statistics of its units.

    Raises
    ------
    UnknownSnapshotError
        If there is no such layer.
    MissingAssetError, CorruptSnapshotError
        If the snapshot's files cannot be used.
    """
    logged = snapshot.layer(layer)
    graph = layer_graph(snapshot)
    found = _statistics(snapshot, logged.name)
    node = next((node for node in graph.nodes if node.name == logged.name), None)
    blocks = [block.name for block in graph.blocks if logged.name in block.nodes]
    return LayerInfo(
        name=logged.name,
        units=logged.units,
        rows=logged.rows,
        spatial=logged.spatial,
        op=node.op if node else None,
        block=blocks[-1] if blocks else None,  # the innermost comes last
        stats=LayerStatistics(
            mean=found.mean.tolist(),
            max=found.max.tolist(),
            active=found.active.tolist(),
            selectivity=found.selectivity.tolist(),
        ),
    )


def unit_info(
    snapshot: Snapshot, probe: Probe | StoredProbe, layer: str, unit: int, limit: int
) -> UnitInfo:
    """The images that excite a unit most, `limit` of them.

    Raises
    ------
    UnknownSnapshotError, MissingAssetError, CorruptSnapshotError
        As `top_positions`.
    """
    top = top_positions(snapshot, probe, layer, unit, limit)
    found = _statistics(snapshot, layer)
    return UnitInfo(
        top=msgspec.convert(top.positions, list[TopImage]),
        tied=top.tied,
        ranked_by=top.ranked_by,
        mean=float(found.mean[unit]),
        max=float(found.max[unit]),
        active=float(found.active[unit]),
    )


@functools.lru_cache(maxsize=32)
def layer_graph(snapshot: Snapshot) -> LayerGraph:
    """The layer graph of a snapshot, read once."""
    return snapshot.graph()


@functools.lru_cache(maxsize=512)
def _statistics(snapshot: Snapshot, layer: str) -> UnitStatistics:
    return unit_statistics(snapshot.stored_activations(layer))
