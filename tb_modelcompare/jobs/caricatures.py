"""What each layer sees in an image: feature inversion through the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.photos import read_photo
from tb_modelcompare.errors import RequestError
from tb_modelcompare.jobs.kind import FindSnapshot, Kind, SnapshotId, not_empty
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.pictures import (
    CARICATURE_SIZE,
    PREVIEW_STEPS,
    CossimPow,
    Pixels,
    Rendering,
    RenderLayers,
    Seed,
    Size,
    Steps,
    Strip,
    content_of_strip,
    draw,
    first_picture,
    items_of_strip,
    keep_picture,
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


# A picture is drawn at one of these and reduced, so that another size costs no other drawing. One
# of all layers is asked for at half the size: it takes less than half the time and shows the same.
_DRAWN_SIZES = (CARICATURE_SIZE // 2, CARICATURE_SIZE, 512)


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
    cossim_pow: CossimPow = 1.0


@dataclass(frozen=True)
class Inputs:
    """Layers of one snapshot, and an image of the probe or the digest of a photo.

    `drawn_size` is the size that pictures are drawn at, to be reduced to that of `rendering`.
    `drawings` has for each layer the keys of drawings that are large enough, smallest first.
    """

    snapshot: Snapshot
    strip: Strip
    image: int | None
    photo: str | None
    rendering: Rendering
    size: int
    drawn_size: int
    drawings: list[list[str]]
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
    rendering = Rendering(request.size, request.steps, request.seed, request.cossim_pow)
    pictures = [picture_key(snapshot, name, of, rendering) for _, name in strip.layers]
    items = items_of_strip(strip, pictures, "caricature")
    sizes = [size for size in _DRAWN_SIZES if size >= request.size]
    drawings = [
        [picture_key(snapshot, name, of, replace(rendering, size=size)) for size in sizes]
        for _, name in strip.layers
    ]
    return Inputs(snapshot, strip, image, photo, rendering, request.size, sizes[0], drawings, items)


def content(inputs: Inputs) -> dict[str, Any]:
    """What the pictures depend on."""
    return content_of_strip(inputs.strip, inputs.items)


def recall(inputs: Inputs, cache: ResultCache) -> None:
    """Tell the items which pictures the cache has."""
    for item in inputs.items:
        recall_picture(item, inputs.rendering.steps, cache)


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Draw one batch of layers after the other."""
    rendering, cache = inputs.rendering, workplace.cache
    items = workplace.progress.items = inputs.items
    recall(inputs, cache)
    for item, drawings in zip(items, inputs.drawings, strict=True):
        if not item.is_final:
            _reduce_drawing(item, drawings, inputs.size, cache)

    def render(batch: Sequence[int], steps: int, callbacks: dict[str, Any]) -> list[Pixels]:
        from tb_modelcompare.render import FrozenModel, render_caricatures
        from tb_modelcompare.render.sheet import enlarged

        def reduced(step: int, images: dict[int, Pixels]) -> None:
            on_images(step, {i: enlarged(image, inputs.size) for i, image in images.items()})

        on_images = callbacks["on_images"]
        if inputs.photo is not None:
            image = read_photo(cache, inputs.photo)
        else:
            image = inputs.snapshot.probe().images[inputs.image]
        drawn = render_caricatures(
            FrozenModel.from_snapshot(inputs.snapshot),
            image,
            [items[i].layer for i in batch],
            size=inputs.drawn_size,
            steps=steps,
            seed=rendering.seed,
            cossim_pow=rendering.cossim_pow,
            preview_steps=PREVIEW_STEPS,
            **{**callbacks, "on_images": reduced},
        )
        for i, picture in zip(batch, drawn, strict=True):
            keep_picture(cache, inputs.drawings[i][0], picture)
        return [enlarged(picture, inputs.size) for picture in drawn]

    for batch in inputs.strip.batches():
        draw(workplace, batch, rendering.steps, render)
    return Result(items)


def _reduce_drawing(item: JobItem, drawings: list[str], size: int, cache: ResultCache) -> None:
    """Make an item's picture of the smallest drawing that is known, if there is one."""
    from tb_modelcompare.render.sheet import enlarged

    drawing = first_picture(cache, drawings)
    if drawing is not None:
        keep_picture(cache, item.picture, enlarged(drawing, size))


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
