"""What the routes about snapshots answer, as records."""

from __future__ import annotations

import msgspec

from tb_modelcompare.jobs.runtime.records import JobItem


class Known(msgspec.Struct):
    """The pictures of a request; `image` is null in those that were not drawn yet."""

    items: list[JobItem]


class UnitRenders(msgspec.Struct):
    """The units of a layer that were drawn, and the relative addresses of their pictures."""

    units: list[int]
    images: list[str]


class Kept(msgspec.Struct):
    """A photo that was kept: its digest, and its size in pixels."""

    photo: str
    width: int
    height: int
