"""What the jobs share that make pictures: what can be drawn, under which keys, and drawing it.

Every picture is kept in the cache under a key of its own as soon as it is finished: no other job
makes it again, and a job that is cancelled loses only what was not finished.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.photos import decode_photo, encoded_png
from tb_modelcompare.errors import LimitError, NotRenderableError
from tb_modelcompare.jobs.kind import identity, result_key
from tb_modelcompare.jobs.runtime.progress import JobCancelledError
from tb_modelcompare.jobs.runtime.records import PICTURE, JobItem
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.tensorflow_setup.quiet_import import import_tensorflow

MAX_PICTURES = 256
UNIT_SIZE, CARICATURE_SIZE, MAX_SIZE = 96, 224, 512
RECOGNISABLE_STEPS = 16
SKETCH_STEPS = 32
PREVIEW_STEPS = (8, 16, 32, 64, 128, 256, 512, 1024)

# Pictures of one model that are optimised together: more share each pass through the network,
# fewer are seen sooner, as those should be that are looked at first.
_BATCH = 12
FIRST_BATCH = 4

Size = Annotated[int, msgspec.Meta(ge=32, le=MAX_SIZE, description="pixels of the longer side")]
AnySize = Annotated[
    Size | Literal["auto"],
    msgspec.Meta(
        description='pixels of the longer side, or "auto": 96, 192 or 384 for each layer, by how '
        "far apart its positions are and how much they see",
        extra={"give": f'an integer from 32 to {MAX_SIZE}, or "auto"'},
    ),
]
Steps = Annotated[int, msgspec.Meta(ge=1, le=4096, description="steps of the optimisation")]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
CossimPow = Annotated[
    float,
    msgspec.Meta(ge=0, le=16, description="power of the cosine in the objective: more is purer"),
]
RenderLayers = Annotated[
    list[str] | None,
    msgspec.Meta(
        description="names of layers; null for all that can be rendered",
        extra={"wrong": "is neither null nor a list of names"},
    ),
]

Pixels = npt.NDArray[np.uint8]
# Draws items in so many steps.
Render = Callable[[Sequence[int], int, dict[str, Any]], Sequence[Pixels]]
Measure = Callable[[Sequence[int], Sequence[Pixels]], Sequence[float]]


@dataclass(frozen=True)
class Rendering:
    """How a picture is drawn: pixels of the longer side, steps, seed, and power of the cosine."""

    size: int
    steps: int
    seed: int
    cossim_pow: float


@dataclass(frozen=True)
class Strip:
    """Pictures of one job: which layer each is of, in which order they are wanted, their keys."""

    layers: list[tuple[Snapshot, str]]
    order: list[int]

    def add(self, snapshot: Snapshot, names: Sequence[str]) -> None:
        """More layers, wanted in the order of `names` and shown in that of the graph."""
        sorted_names = [name for name in snapshot.layer_names if name in set(names)]
        start = len(self.layers)
        self.layers.extend((snapshot, name) for name in sorted_names)
        self.order.extend(start + sorted_names.index(name) for name in dict.fromkeys(names))

    def batches(self) -> list[list[int]]:
        """Indices of pictures that are rendered together: of one model, in order of interest.

        All models' first come before any model's others; within a batch layers are in order of
        depth.
        """
        digests = [snapshot.digest for snapshot, _ in self.layers]
        batches: list[tuple[int, list[int]]] = []
        for digest in dict.fromkeys(digests[i] for i in self.order):
            mine = [i for i in self.order if digests[i] == digest]
            starts = [0, *range(FIRST_BATCH, len(mine), _BATCH)]
            for turn, (start, end) in enumerate(zip(starts, [*starts[1:], None], strict=True)):
                batches.append((turn, sorted(mine[start:end])))
        return [batch for _, batch in sorted(batches, key=lambda one: one[0])]


def picture_key(snapshot: Snapshot, layer: str, of: dict[str, Any], rendering: Rendering) -> str:
    """Digest of all that a picture depends on."""
    content = {"model": snapshot.digest, "layer": layer, "of": of, "rendering": asdict(rendering)}
    return result_key("picture", {**content, "tensorflow": _tensorflow_version()})


def items_of_strip(
    strip: Strip,
    pictures: Sequence[str],
    role: Literal["analogy", "caricature"],
) -> list[JobItem]:
    """The items of a job before anything is known of them."""
    return [
        JobItem(key=str(i), snapshot=snapshot.id, layer=layer, role=role, picture=picture)
        for i, ((snapshot, layer), picture) in enumerate(zip(strip.layers, pictures, strict=True))
    ]


def content_of_strip(strip: Strip, items: Sequence[JobItem]) -> dict[str, Any]:
    """What a job depends on: its pictures' keys, and the ids that appear in what is reported."""
    return {
        "layers": [[*identity(snapshot), layer] for snapshot, layer in strip.layers],
        "pictures": [item.picture for item in items],
    }


@functools.cache
def _tensorflow_version() -> str:
    """Which TensorFlow draws, as its pictures may differ from another's.

    Raises
    ------
    NotRenderableError
        If there is none.
    """
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    raise NotRenderableError("pictures need TensorFlow: pip install tensorflow-cpu")


def require_renderable(layers: Sequence[tuple[Snapshot, str]]) -> None:
    """Refuse layers of which no picture can be made, and more pictures than a job has.

    Raises
    ------
    LimitError, NotRenderableError
    """
    if len(layers) > MAX_PICTURES:
        raise LimitError(f"{len(layers)} pictures; a job has at most {MAX_PICTURES}")
    for snapshot in {s.digest: s for s, _ in layers}.values():
        names = dict.fromkeys(name for s, name in layers if s.digest == snapshot.digest)
        _check(snapshot, tuple(names))


def layers_to_render(names: list[str] | None, snapshot: Snapshot) -> tuple[str, ...]:
    """The layers that a request names, or all of which a picture can be made."""
    if names is None:
        return _renderable_layers(snapshot)
    return tuple(snapshot.layer(name).name for name in names)


@functools.lru_cache(maxsize=256)
def _check(snapshot: Snapshot, layers: tuple[str, ...]) -> None:
    """`check_renderable`, parsing a model's graph only once for the same layers."""
    # TensorBoard starts sooner without the renderer, which most requests do not need.
    from tb_modelcompare.render.frozen import FrozenModel, check_renderable

    check_renderable(FrozenModel.from_snapshot(snapshot), layers)


@functools.lru_cache(maxsize=64)
def _renderable_layers(snapshot: Snapshot) -> tuple[str, ...]:
    """All logged layers, except those of which no picture can be made."""
    names = snapshot.layer_names
    try:
        _check(snapshot, names)
    except NotRenderableError as error:
        able = tuple(name for name in names if _is_renderable(snapshot, name))
        if not able:
            raise error
        return able
    return names


def _is_renderable(snapshot: Snapshot, layer: str) -> bool:
    try:
        _check(snapshot, (layer,))
    except NotRenderableError:
        return False
    return True


def prepare_renderer(device: str) -> None:
    """Import what renders need, and use it once, on this device."""
    import_tensorflow(device)
    importlib.import_module("tb_modelcompare.render").warm_up()


def draw(
    workplace: Workplace,
    batch: Sequence[int],
    steps: int,
    render: Render,
    measure: Measure | None = None,
) -> None:
    """Render what is not known yet of a batch, publishing previews.

    `measure` says of finished pictures what share of the probe's images each exceeds.
    """
    job, cache = workplace.progress, workplace.cache
    wanted = [
        i
        for i in batch
        if job.items[i].problem is None and not recall_picture(job.items[i], steps, cache)
    ]
    if not wanted:
        return
    before = sum(item.is_final or item.problem is not None for item in job.items)
    images = _rendered(workplace, wanted, steps, render)
    shares: Sequence[float | None] = [None] * len(wanted)
    if measure is not None:
        shares = measure(wanted, images)
    for i, image, share in zip(wanted, images, shares, strict=True):
        item = job.items[i]
        keep_picture(cache, item.picture, image, share)
        item.stronger_than = share
        item.image, item.step = item.final_image, steps
        for preview in job.directory.glob(f"{item.key}-*.png"):
            preview.unlink()
    job.publish((before + len(wanted)) / len(job.items), job.message, force=True)


def sketch(workplace: Workplace, i: int, render: Render, seen: threading.Event) -> None:
    """Show an item in few steps until it is drawn, as other pictures are waited for too.

    `seen` is set once there is something to see.
    """
    if not workplace.progress.items[i].is_final:
        _rendered(workplace, [i], SKETCH_STEPS, render, seen)


def _rendered(
    workplace: Workplace,
    wanted: Sequence[int],
    steps: int,
    render: Render,
    seen: threading.Event | None = None,
) -> Sequence[Pixels]:
    """Pictures of items, whose previews are published."""
    job = workplace.progress
    job.publish(job.fraction, "preparing the renderer", force=True)
    from tb_modelcompare.render import RenderCancelled

    before = sum(item.is_final or item.problem is not None for item in job.items)

    def on_images(step: int, images: dict[int, Pixels]) -> None:
        for k, image in images.items():
            item = job.items[wanted[k]]
            # Steps at larger sizes come on top of those that were asked for.
            item.image, item.step = f"{item.key}-{step}.png", min(step, steps)
            (job.directory / item.image).write_bytes(encoded_png(image))
        job.publish(job.fraction, job.message, force=True)
        if seen is not None and step >= RECOGNISABLE_STEPS:
            seen.set()

    def on_step(step: int, total: int) -> None:
        share = (before + len(wanted) * step / total) / len(job.items)
        job.publish(share, f"step {step} of {total}")

    callbacks = {"on_step": on_step, "on_images": on_images, "cancelled": job.cancelled}
    try:
        prepare_renderer(workplace.device)
        return render(wanted, steps, callbacks)
    except RenderCancelled as error:
        raise JobCancelledError from error


def keep_picture(
    cache: ResultCache, key: str, image: Pixels, stronger_than: float | None = None
) -> None:
    """Put a finished picture into the cache, and what share of the probe's images it exceeds."""
    report = {"kind": "picture", "stronger_than": stronger_than}
    cache.put(key, {PICTURE: encoded_png(image)}, report)


def keep_stage(cache: ResultCache, key: str, image: Pixels) -> None:
    """Put the picture of this key into the cache as the stage of a larger one: not yet measured."""
    cache.put(_stage_key(key), {PICTURE: encoded_png(image)}, {"kind": "stage"})


def first_picture(cache: ResultCache, keys: Sequence[str]) -> Pixels | None:
    """The first of these pictures that the cache has, finished or as a stage."""
    for key in keys:
        for one in (key, _stage_key(key)):
            content = cache.read(one, PICTURE)
            if content is not None:
                return decode_photo(content)
    return None


def _stage_key(key: str) -> str:
    return result_key("stage", {"picture": key})


def recall_picture(item: JobItem, steps: int, cache: ResultCache) -> bool:
    """Whether there is a finished picture for an item, which then has it."""
    if not item.is_final and (found := cache.find(item.picture)) is not None:
        item.stronger_than = found.report["stronger_than"]
        item.image, item.step = item.final_image, steps
    return item.is_final
