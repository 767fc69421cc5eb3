"""What the routes about snapshots answer, as records."""

from __future__ import annotations

import msgspec

from tb_modelcompare.jobs.runtime.records import JobItem

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


class Known(msgspec.Struct):
    """The pictures of a request; `image` is null in those that were not drawn yet."""

    items: list[JobItem]


class UnitRenders(msgspec.Struct):
    """The units of a layer that were drawn, and the relative addresses of their pictures."""

    units: list[int]
    images: list[str]


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


class Kept(msgspec.Struct):
    """A photo that was kept: its digest, and its size in pixels."""

    photo: str
    width: int
    height: int
