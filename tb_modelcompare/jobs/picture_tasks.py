"""Pictures as a worker process makes them: analogies and caricatures.

Every picture and every predicted direction is kept in the cache under a key of its own as soon
as it is finished: no other job makes it again, and a job that is cancelled loses only what was
not finished.
"""

from __future__ import annotations

import importlib
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.photos import encoded_png, read_photo
from tb_modelcompare.jobs.runtime.progress import JobCancelledError, Progress
from tb_modelcompare.log.reader import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE
from tb_modelcompare.tensorflow_setup.quiet_import import import_tensorflow

PICTURE = "picture.png"
RECOGNISABLE_STEPS = 64
PREVIEW_STEPS = (8, 16, 32, 64, 128, 256, 512, 1024)

# Pictures of one model that are optimised together: more share each pass through the network,
# fewer are seen sooner, as those should be that are looked at first.
_BATCH = 12
_FIRST_BATCH = 4
# How many units are regressed at once.
_REGRESSION_UNITS = 4096
_POLL_SECONDS = 0.1
_DIRECTION = "direction.npy"

Pixels = npt.NDArray[np.uint8]
Direction = npt.NDArray[np.float64]
Render = Callable[[Sequence[int], dict[str, Any]], npt.NDArray[np.uint8]]


def prepare_layer(payload: dict[str, Any]) -> None:
    """Compile the program that draws a layer's units, so that the first picture comes sooner."""
    _prepare_renderer(payload)
    from tb_modelcompare.render import FrozenModel, render_directions

    snapshot = Snapshot.from_payload(payload["snapshot"])
    direction = np.ones(snapshot.layer(payload["layer"]).units)
    model = FrozenModel.from_snapshot(snapshot)
    render_directions(model, [(payload["layer"], direction)], size=payload["size"], steps=1)


def _prepare_renderer(payload: dict[str, Any]) -> None:
    """Import what renders need, and use it once, on the device that the payload names."""
    import_tensorflow(payload.get("device", DEFAULT_DEVICE))
    importlib.import_module("tb_modelcompare.render").warm_up()


def _analogies(payload: dict[str, Any], directory: Path, cache: ResultCache) -> dict[str, Any]:
    """A direction, and what regression makes of it in other layers.

    The direction's own picture comes first, as it needs no regression. Regressions begin when
    there is something to see, and stay ahead of the pictures of their layers.
    """
    snapshots = {p["index"]["digest"]: Snapshot.from_payload(p) for p in payload["snapshots"]}
    items, digests = payload["items"], payload["digests"]
    places = [
        (snapshots[digest], item["layer"]) for digest, item in zip(digests, items, strict=True)
    ]
    for snapshot in snapshots.values():
        require_same_probe(places[0][0], snapshot)
    job = Progress(directory, items)
    regression = _Regression.of(payload, places, snapshots, cache, job)
    directions = {0: regression.direction}

    def render(batch: Sequence[int], callbacks: dict[str, Any]) -> npt.NDArray[np.uint8]:
        _prepare_renderer(payload)
        from tb_modelcompare.render import FrozenModel, render_directions

        return render_directions(
            FrozenModel.from_snapshot(places[batch[0]][0]),
            [(items[i]["layer"], directions[i]) for i in batch],
            size=payload["size"],
            steps=payload["steps"],
            seed=payload["seed"],
            preview_steps=PREVIEW_STEPS,
            **callbacks,
        )

    for i, item in enumerate(items):
        if i == 0 or regression.recall(i):
            _recall_picture(item, payload["steps"], cache)
    batches = _batches(payload["order"], digests)
    seen = threading.Event()
    with _one_thread(seen) as thread:
        predictions = [thread.submit(regression.directions, batch) for batch in batches]
        _draw(job, [0], payload["steps"], render, cache, seen)
        seen.set()  # if it was not drawn now
        for batch, prediction in zip(batches, predictions, strict=True):
            directions.update(_awaited(prediction, job))
            _draw(job, batch, payload["steps"], render, cache)
    return {"items": items}


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


def _awaited(prediction: Future[dict[int, Direction]], job: Progress) -> dict[int, Direction]:
    """The predicted directions; until they are there, what is known of them is published."""
    while not prediction.done():
        job.check()
        job.publish(job.fraction, "predicting directions")
        threading.Event().wait(_POLL_SECONDS)
    return prediction.result()


@dataclass(frozen=True, eq=False)
class _Regression:
    """From a direction of one layer to the directions that answer to it in others.

    `direction` has length (units of the source), `response` is the rows' activity along it.
    """

    activations: npt.NDArray[np.float32]
    direction: Direction
    response: Direction
    groups: npt.NDArray[np.intp]
    places: Sequence[tuple[Snapshot, str]]
    keys: Sequence[str]
    cache: ResultCache
    job: Progress

    @classmethod
    def of(
        cls,
        payload: dict[str, Any],
        places: Sequence[tuple[Snapshot, str]],
        snapshots: dict[str, Snapshot],
        cache: ResultCache,
        job: Progress,
    ) -> _Regression:
        from tb_modelcompare.analogy.directions import difference_direction, prediction_r2

        source, layer = places[0]
        activations = source.activations(layer)
        direction = np.zeros(activations.shape[1])
        for unit, weight in payload["direction"]:
            direction[unit] = weight
        groups = np.arange(source.rows) // source.probe_record.positions_per_image
        if payload["minus"] is not None:
            digest, other_layer = payload["minus"]
            other = snapshots[digest].activations(other_layer)
            response = np.asarray(activations @ direction, np.float64)
            job.items[0]["r2"] = float(prediction_r2(other, response, groups=groups)[0])
            direction = difference_direction(activations, other, direction)
        response = np.asarray(activations @ direction, np.float64)
        keys = payload["predictions"]
        return cls(activations, direction, response, groups, places, keys, cache, job)

    def recall(self, i: int) -> bool:
        """Whether the direction in place `i` is known, and if so what else is."""
        report = self.cache.report(self.keys[i])
        if report is not None:
            self.job.items[i].update(report)
        return report is not None

    def directions(self, batch: Sequence[int]) -> dict[int, Direction]:
        """The predicted direction in each place; how good it is goes into the place's item."""
        found = {}
        for i in batch:
            content = self.cache.read(self.keys[i], _DIRECTION)
            if content is not None and self.recall(i):
                found[i] = np.load(io.BytesIO(content), allow_pickle=False)
        for together in self._up_to_units([i for i in batch if i not in found]):
            found.update(self._regressed(together))
        return found

    def _regressed(self, batch: Sequence[int]) -> dict[int, Direction]:
        """The same, computed: the source's regression is solved once for layers side by side."""
        from tb_modelcompare.analogy.directions import best_unit, predict_direction, prediction_r2

        places = [self.places[i] for i in batch]
        targets = [snapshot.activations(layer) for snapshot, layer in places]
        predicted = predict_direction(self.activations, np.hstack(targets), self.direction)
        ends = np.cumsum([target.shape[1] for target in targets])
        answers = np.split(predicted, ends[:-1])
        for i, target, answer in zip(batch, targets, answers, strict=True):
            self.job.check()
            best, correlation = best_unit(target, self.response)
            problem = None
            if not answer.any():
                silent = "the unit" if not self.response.any() else "this layer"
                problem = f"{silent} is 0 on the whole probe, so no direction answers to it"
            report = {
                "r2": float(prediction_r2(target, self.response, groups=self.groups)[0]),
                "best_unit": {"unit": int(best), "correlation": float(correlation)},
                "problem": problem,
            }
            stream = io.BytesIO()
            np.save(stream, answer, allow_pickle=False)
            self.cache.put(self.keys[i], {_DIRECTION: stream.getvalue()}, report)
            self.job.items[i].update(report)
        return dict(zip(batch, answers, strict=True))

    def _up_to_units(self, batch: Sequence[int]) -> list[list[int]]:
        """Consecutive places, in groups of as many as have `_REGRESSION_UNITS` together."""
        groups: list[list[int]] = []
        room = 0
        for i in batch:
            snapshot, layer = self.places[i]
            width = snapshot.layer(layer).units
            if width > room or not groups:
                groups.append([])
                room = _REGRESSION_UNITS
            groups[-1].append(i)
            room -= width
        return groups


def _caricatures(payload: dict[str, Any], directory: Path, cache: ResultCache) -> dict[str, Any]:
    snapshot = Snapshot.from_payload(payload["snapshots"][0])
    items = payload["items"]
    job = Progress(directory, items)
    for item in items:
        _recall_picture(item, payload["steps"], cache)

    def render(batch: Sequence[int], callbacks: dict[str, Any]) -> npt.NDArray[np.uint8]:
        _prepare_renderer(payload)
        from tb_modelcompare.render import FrozenModel, render_caricatures

        return render_caricatures(
            FrozenModel.from_snapshot(snapshot),
            snapshot.probe().images[payload["image"]]
            if payload["photo"] is None
            else read_photo(cache, payload["photo"]),
            [items[i]["layer"] for i in batch],
            size=payload["size"],
            steps=payload["steps"],
            seed=payload["seed"],
            preview_steps=PREVIEW_STEPS,
            **callbacks,
        )

    for batch in _batches(payload["order"], payload["digests"]):
        _draw(job, batch, payload["steps"], render, cache)
    return {"items": items}


def _batches(order: Sequence[int], digests: Sequence[str]) -> list[list[int]]:
    """Indices of pictures that are rendered together: of one model, in the order of interest.

    All models' first come before any model's others; within a batch layers are in order of
    depth.
    """
    batches: list[tuple[int, list[int]]] = []
    for digest in dict.fromkeys(digests[i] for i in order):
        mine = [i for i in order if digests[i] == digest]
        starts = [0, *range(_FIRST_BATCH, len(mine), _BATCH)]
        for turn, (start, end) in enumerate(zip(starts, [*starts[1:], None], strict=True)):
            batches.append((turn, sorted(mine[start:end])))
    return [batch for _, batch in sorted(batches, key=lambda one: one[0])]


def _draw(
    job: Progress,
    batch: Sequence[int],
    steps: int,
    render: Render,
    cache: ResultCache,
    seen: threading.Event | None = None,
) -> None:
    """Render what is not known yet of a batch, publishing previews.

    `seen` is set by the first that shows something.
    """
    wanted = [
        i
        for i in batch
        if job.items[i]["problem"] is None and not _recall_picture(job.items[i], steps, cache)
    ]
    if not wanted:
        return
    job.publish(job.fraction, "preparing the renderer", force=True)
    from tb_modelcompare.render import RenderCancelled

    before = sum(_is_final(item) or item["problem"] is not None for item in job.items)

    def on_images(step: int, images: dict[int, Pixels]) -> None:
        for k, image in images.items():
            item = job.items[wanted[k]]
            item["image"], item["step"] = f"{item['key']}-{step}.png", step
            (job.directory / item["image"]).write_bytes(encoded_png(image))
        job.publish(job.fraction, job.message, force=True)
        if seen is not None and step >= RECOGNISABLE_STEPS:
            seen.set()

    def on_step(step: int, total: int) -> None:
        share = (before + len(wanted) * step / total) / len(job.items)
        job.publish(share, f"step {step} of {total}")

    callbacks = {"on_step": on_step, "on_images": on_images, "cancelled": job.cancelled}
    try:
        images = render(wanted, callbacks)
    except RenderCancelled as error:
        raise JobCancelledError from error
    for i, image in zip(wanted, images, strict=True):
        item = job.items[i]
        cache.put(item["picture"], {PICTURE: encoded_png(image)}, {"kind": "picture"})
        item["image"], item["step"] = f"{item['key']}.png", steps
        for preview in job.directory.glob(f"{item['key']}-*.png"):
            preview.unlink()
    job.publish((before + len(wanted)) / len(job.items), job.message, force=True)


def _recall_picture(item: dict[str, Any], steps: int, cache: ResultCache) -> bool:
    """Whether there is a finished picture for an item, which then has it."""
    if not _is_final(item) and cache.find(item["picture"]) is not None:
        item["image"], item["step"] = f"{item['key']}.png", steps
    return _is_final(item)


def _is_final(item: dict[str, Any]) -> bool:
    return bool(item["image"] == f"{item['key']}.png")


DRAWN: dict[str, Callable[[dict[str, Any], Path, ResultCache], dict[str, Any]]] = {
    "analogies": _analogies,
    "caricatures": _caricatures,
}
