"""What each layer sees in an image: feature inversion through the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.photos import read_photo
from tb_modelcompare.errors import RequestError
from tb_modelcompare.jobs.kind import FindSnapshot, Kind, SnapshotId, not_empty
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.pictures import (
    CARICATURE_SIZE,
    PREVIEW_STEPS,
    Rendering,
    RenderLayers,
    Seed,
    Size,
    Steps,
    Strip,
    content_of_strip,
    draw,
    items_of_strip,
    layers_to_render,
    picture_key,
    recall_picture,
    require_renderable,
)
from tb_modelcompare.jobs.runtime.records import RENDERS, JobItem
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

PhotoDigest = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-f]{64}\Z",
        description="the digest that `POST photo` answered",
        extra={"give": "the digest that POST photo answered"},
    ),
]


class Request(AnyRequest, frozen=True, tag="caricatures"):
    """What each layer sees in an image of the probe (`image`), or in one's own photo (`photo`).

    Layers that are named first are drawn first.
    """

    snapshot: SnapshotId
    image: Annotated[int, msgspec.Meta(ge=0, description="index into the probe")] | None = None
    photo: PhotoDigest | None = None
    layers: RenderLayers = None
    size: Size = CARICATURE_SIZE
    steps: Steps = 128
    seed: Seed = 0


@dataclass(frozen=True)
class Inputs:
    """Layers of one snapshot, and an image of the probe or the digest of a photo."""

    snapshot: Snapshot
    strip: Strip
    image: int | None
    photo: str | None
    rendering: Rendering
    items: list[JobItem]


class Result(msgspec.Struct):
    """The pictures."""

    items: list[JobItem]


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The image and the layers, checked."""
    snapshot = find(request.snapshot)
    image, photo = request.image, request.photo
    if (image is None) == (photo is None):
        raise RequestError("give either image, an index into the probe, or photo, a digest")
    count = snapshot.probe_record.count
    if image is not None and image >= count:
        raise RequestError(f"image is {image!r:.100}; give an integer from 0 to {count - 1}")
    of = {"photo": photo} if photo else {"probe": snapshot.probe_id, "image": image}
    strip = Strip([], [])
    strip.add(snapshot, layers_to_render(not_empty("layers", request.layers), snapshot))
    require_renderable(strip.layers)
    rendering = Rendering(request.size, request.steps, request.seed)
    pictures = [picture_key(snapshot, name, of, rendering) for _, name in strip.layers]
    items = items_of_strip(strip, pictures, "caricature")
    return Inputs(snapshot, strip, image, photo, rendering, items)


def content(inputs: Inputs) -> dict[str, Any]:
    """What the pictures depend on."""
    return content_of_strip(inputs.strip, inputs.items)


def recall(inputs: Inputs, cache: ResultCache) -> None:
    """Tell the items which pictures the cache has."""
    for item in inputs.items:
        recall_picture(item, inputs.rendering.steps, cache)


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Draw one batch of layers after the other."""
    rendering, job = inputs.rendering, workplace.progress
    items = job.items = inputs.items
    recall(inputs, workplace.cache)

    def render(
        batch: Sequence[int], steps: int, callbacks: dict[str, Any]
    ) -> npt.NDArray[np.uint8]:
        from tb_modelcompare.render import FrozenModel, render_caricatures

        if inputs.photo is not None:
            image = read_photo(workplace.cache, inputs.photo)
        else:
            image = inputs.snapshot.probe().images[inputs.image]
        return render_caricatures(
            FrozenModel.from_snapshot(inputs.snapshot),
            image,
            [items[i].layer for i in batch],
            size=rendering.size,
            steps=steps,
            seed=rendering.seed,
            preview_steps=PREVIEW_STEPS,
            **callbacks,
        )

    for batch in inputs.strip.batches():
        draw(workplace, batch, rendering.steps, render)
    return Result(items)


KIND = Kind(
    Request,
    prepare,
    content,
    run,
    Result,
    lane=RENDERS,
    items=lambda inputs: inputs.items,
    recall=recall,
)
