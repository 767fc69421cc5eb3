"""A direction of a layer drawn, and the directions that answer to it in other layers.

Every predicted direction is kept in the cache under a key of its own, as every picture is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.errors import ActivationError, RequestError
from tb_modelcompare.jobs.kind import FindSnapshot, Kind, LayerName, SnapshotId, result_key
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.pictures import (
    MAX_SIZE,
    PREVIEW_STEPS,
    SKETCH_STEPS,
    UNIT_SIZE,
    AnySize,
    CossimPow,
    Pixels,
    Rendering,
    RenderLayers,
    Seed,
    Steps,
    Strip,
    content_of_strip,
    draw,
    first_picture,
    items_of_strip,
    keep_stage,
    layers_to_render,
    picture_key,
    recall_picture,
    require_renderable,
    sketch,
)
from tb_modelcompare.jobs.regression import Answer, Regression, Vector, recall_prediction
from tb_modelcompare.jobs.runtime.progress import Progress
from tb_modelcompare.jobs.runtime.records import RENDERS, JobItem
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot

_T = TypeVar("_T")

_POLL_SECONDS = 0.1
# Those that the tab offers, the most first.
TAB_STEPS = (512, 256, 128, 64)
_LARGEST = 3.4e38  # renderers compute in float32

Weight = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]


class LayerOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A layer of a snapshot."""

    snapshot: SnapshotId
    layer: LayerName


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Layers of a snapshot in which to look for the direction."""

    snapshot: SnapshotId
    layers: RenderLayers = None


class Request(AnyRequest, frozen=True, tag="analogies"):
    """A picture of the unit (or, with `sign` -1, of its opposite), and of the direction that
    answers to it in each layer of `targets`; at most 256 pictures. `answer` says which direction
    that is. Instead of `unit`, give `direction`. With `minus`, the direction is the residual
    direction: what remains without what that layer has of it. Layers that are named first are
    drawn first.
    """

    a: SnapshotId
    layer: LayerName
    targets: Annotated[
        list[Target],
        msgspec.Meta(
            description="layers of snapshots",
            extra={"wrong": 'is not a list of {"snapshot": ID, "layers": [NAME, …] or null}'},
        ),
    ]
    unit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    direction: (
        Annotated[
            list[Weight],
            msgspec.Meta(
                description="one number for each unit of the layer",
                extra={"wrong": "is not a list of finite numbers, one for each unit of the layer"},
            ),
        ]
        | None
    ) = None
    sign: Literal[1, -1] = 1
    answer: Annotated[
        Answer,
        msgspec.Meta(
            description="the direction of linear regression, the pattern that goes with the unit, "
            "or the weights that predict it best"
        ),
    ] = "regression"
    residual_of: (
        Annotated[
            LayerOf,
            msgspec.Meta(extra={"wrong": 'is neither null nor {"snapshot": ID, "layer": NAME}'}),
        ]
        | None
    ) = msgspec.field(name="minus", default=None)
    size: AnySize = UNIT_SIZE
    steps: Steps = 128
    seed: Seed = 0
    cossim_pow: CossimPow = 0.0


@dataclass(frozen=True)
class Inputs:
    """What is drawn.

    The first layer of `strip` is the source. `direction` has pairs (unit, weight), `predictions`
    the key of the predicted direction in each layer, `renderings` how each picture is drawn, and
    `smaller` those that it can continue from, the largest first: their sizes and keys.
    """

    strip: Strip
    direction: list[tuple[int, float]]
    answer: Answer
    residual_of: tuple[Snapshot, str] | None
    predictions: list[str]
    renderings: list[Rendering]
    smaller: list[dict[int, str]]
    items: list[JobItem]


class Result(msgspec.Struct):
    """The pictures; the first is the source's."""

    items: list[JobItem]


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The direction and all layers, checked."""
    source = find(request.a)
    # TensorBoard starts sooner without the renderer, which most requests do not need.
    from tb_modelcompare.render.plan import former_sizes

    layer = source.layer(request.layer)
    direction = _direction(request, layer.units)
    removed = request.residual_of
    residual_of = None if removed is None else _layer_of(removed, source, find)
    strip = Strip([(source, layer.name)], [])
    for target in request.targets:
        snapshot = find(target.snapshot)
        require_same_probe(source, snapshot)
        strip.add(snapshot, layers_to_render(target.layers, snapshot))
    require_renderable(strip.layers)

    answer = request.answer
    of = _source(source, layer.name, direction, residual_of)
    predictions = [
        result_key("prediction", {**of, "answer": answer, "target": [snapshot.digest, name]})
        for snapshot, name in strip.layers
    ]
    renderings = [
        Rendering(_size(request, one, name), request.steps, request.seed, request.cossim_pow)
        for one, name in strip.layers
    ]

    def key(i: int, rendering: Rendering) -> str:
        return picture_key(*strip.layers[i], {**of, "answer": answer if i > 0 else None}, rendering)

    pictures = [key(i, rendering) for i, rendering in enumerate(renderings)]
    smaller = [
        {size: key(i, replace(one, size=size)) for size in former_sizes(one.size)}
        for i, one in enumerate(renderings)
    ]
    items = items_of_strip(strip, pictures, "analogy")
    items[0].role = "source" if residual_of is None else "difference"
    return Inputs(strip, direction, answer, residual_of, predictions, renderings, smaller, items)


def _source(
    snapshot: Snapshot,
    layer: str,
    direction: list[tuple[int, float]],
    residual_of: tuple[Snapshot, str] | None = None,
) -> dict[str, Any]:
    """What is asked about, as the keys of its pictures have it."""
    removed = None if residual_of is None else [residual_of[0].digest, residual_of[1]]
    return {"source": [snapshot.digest, layer], "direction": direction, "minus": removed}


def unit_pictures(snapshot: Snapshot, layer: str, cache: ResultCache) -> dict[int, str]:
    """Of the units of a layer that were drawn for the tab, the keys of their pictures.

    Where a unit was drawn with several numbers of steps, that is the picture of the most.
    """
    found = {}
    for unit in range(snapshot.layer(layer).units):
        of = {**_source(snapshot, layer, [(unit, 1.0)]), "answer": None}
        for steps in TAB_STEPS:
            key = picture_key(snapshot, layer, of, Rendering(UNIT_SIZE, steps, 0, 0.0))
            if cache.report(key) is not None:
                found[unit] = key
                break
    return found


def recall(inputs: Inputs, cache: ResultCache) -> None:
    """Tell the items what the cache has of them."""
    for i, item in enumerate(inputs.items):
        # How much was taken out of a residual direction is known only once it is computed again.
        known = (
            inputs.residual_of is None
            if i == 0
            else recall_prediction(item, inputs.predictions[i], cache)
        )
        if known:
            recall_picture(item, inputs.renderings[i].steps, cache)


def content(inputs: Inputs) -> dict[str, Any]:
    """What the pictures depend on."""
    return content_of_strip(inputs.strip, inputs.items)


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Draw the direction, then its analogies.

    The direction's own picture comes first, as it needs no regression: in few steps, and in all of
    them once the first analogies are there. Regressions begin when there is something to see, and
    stay ahead of the pictures of their layers. How well whole layers predict it comes after them.
    """
    strip, job, cache = inputs.strip, workplace.progress, workplace.cache
    rendering = inputs.renderings[0]
    items = job.items = inputs.items
    regression = Regression.of(
        strip.layers,
        inputs.direction,
        inputs.answer,
        inputs.residual_of,
        inputs.predictions,
        workplace,
    )
    directions = {0: regression.direction}

    def render(
        batch: Sequence[int], steps: int, callbacks: dict[str, Any], largest: int = MAX_SIZE
    ) -> list[Pixels]:
        from tb_modelcompare.render import FrozenModel, render_directions_at

        sizes = [min(inputs.renderings[i].size, largest) for i in batch]
        former = [inputs.smaller[i] if inputs.renderings[i].size <= largest else {} for i in batch]
        smaller = {
            k: known
            for k, keys in enumerate(former)
            if (known := first_picture(cache, list(keys.values()))) is not None
        }

        def on_stage(pictures: dict[int, Pixels]) -> None:
            """A job that has to make way continues from what it had so far."""
            for k, picture in pictures.items():
                if (stage := former[k].get(len(picture))) is not None:
                    keep_stage(cache, stage, picture)

        return render_directions_at(
            FrozenModel.from_snapshot(strip.layers[batch[0]][0]),
            [(items[i].layer, directions[i]) for i in batch],
            sizes,
            smaller=smaller,
            steps=steps,
            seed=rendering.seed,
            cossim_pow=rendering.cossim_pow,
            preview_steps=PREVIEW_STEPS,
            on_stage=on_stage,
            **callbacks,
        )

    def measure(batch: Sequence[int], images: Sequence[Pixels]) -> list[float]:
        from tb_modelcompare.compare.strength import share_of_weaker_images
        from tb_modelcompare.render import FrozenModel, picture_activities

        snapshot = strip.layers[batch[0]][0]
        along = [(items[i].layer, directions[i]) for i in batch]
        activities = picture_activities(FrozenModel.from_snapshot(snapshot), along, images)
        return [
            share_of_weaker_images(snapshot, layer, direction, float(activity))
            for (layer, direction), activity in zip(along, activities, strict=True)
        ]

    recall(inputs, cache)
    recall_picture(items[0], rendering.steps, cache)  # of a residual direction too
    batches = strip.batches()
    seen = threading.Event()
    with _one_thread(seen) as thread:
        predictions = [thread.submit(regression.directions, batch) for batch in batches]
        ratings = [thread.submit(_rate, regression, prediction) for prediction in predictions]
        if batches and rendering.steps > SKETCH_STEPS:
            sketch(workplace, 0, partial(render, largest=UNIT_SIZE), seen)
        else:
            draw(workplace, [0], rendering.steps, render, measure)
        seen.set()  # if it was not drawn now
        for batch, prediction in zip(batches, predictions, strict=True):
            found = _awaited(prediction, job, "predicting directions")
            directions.update(found)
            draw(workplace, batch, rendering.steps, render, measure)
            draw(workplace, [0], rendering.steps, render, measure)  # only sketched so far
        for rating in ratings:
            _awaited(rating, job, "asking how well layers predict the unit")
    return Result(items)


def _size(request: Request, snapshot: Snapshot, layer: str) -> int:
    """Pixels of a side of the picture of that layer."""
    if request.size != "auto":
        return request.size
    from tb_modelcompare.render.plan import auto_size

    return auto_size(snapshot.layer(layer).receptive_field)


def _direction(request: Request, units: int) -> list[tuple[int, float]]:
    """Pairs (unit, weight) of a direction, given as a unit or as one weight per unit."""
    unit, weights = request.unit, request.direction
    if (weights is None) == (unit is None):
        raise RequestError("give either unit, or direction, one number per unit of the layer")
    if unit is not None:
        if unit >= units:
            raise RequestError(f"unit is {unit!r:.100}; give an integer from 0 to {units - 1}")
        return [(unit, float(request.sign))]
    if weights is None or len(weights) != units:
        raise RequestError(f"direction is not a list of {units} finite numbers, one per unit")
    pairs = [(i, request.sign * weight) for i, weight in enumerate(weights) if weight]
    if not pairs:
        raise ActivationError("the direction is zero; there is nothing to render")
    return pairs


def _layer_of(given: LayerOf, source: Snapshot, find: FindSnapshot) -> tuple[Snapshot, str]:
    """The layer whose share in the direction is to be taken out of it."""
    snapshot = find(given.snapshot)
    require_same_probe(source, snapshot)
    return snapshot, snapshot.layer(given.layer).name


@contextmanager
def _one_thread(start: threading.Event) -> Iterator[ThreadPoolExecutor]:
    """A thread that begins at `start`, and at the end only finishes what it is at."""
    thread = ThreadPoolExecutor(max_workers=1)
    thread.submit(start.wait)
    try:
        yield thread
    finally:
        start.set()
        thread.shutdown(wait=True, cancel_futures=True)


def _rate(regression: Regression, prediction: Future[dict[int, Vector]]) -> None:
    regression.rate(prediction.result())


def _awaited(future: Future[_T], job: Progress, message: str) -> _T:
    """What comes of it; until it is there, what is known is published."""
    while not future.done():
        job.check()
        job.publish(job.fraction, message)
        threading.Event().wait(_POLL_SECONDS)
    return future.result()


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
