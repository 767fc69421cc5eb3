"""What a worker process computes: similarity matrices, analogies, caricatures.

A task reads snapshots, leaves files in its directory and reports progress there. It needs
neither TensorBoard nor, for similarity, TensorFlow.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare import mathematics
from tb_modelcompare.errors import ModelCompareError
from tb_modelcompare.progress import JobCancelledError, Progress
from tb_modelcompare.quiet import import_tensorflow
from tb_modelcompare.snapshot import Snapshot
from tb_modelcompare.store import require_same_probe
from tb_modelcompare.wire import matrix_info_json

MATRIX = "matrix.npy"
CELLS = "cells.npy"
PREVIEW_STEPS = (8, 16, 32, 64, 128, 256, 512, 1024)

# Pictures of one model that are optimised together: more share each pass through the network,
# fewer are seen sooner.
_BATCH = 12
# The share of a job that is spent on regressions, and how many units are regressed at once.
_REGRESSION_SHARE = 0.1
_REGRESSION_UNITS = 4096


def attempt(kind: str, payload: dict[str, Any], directory: str) -> dict[str, Any]:
    """`run`, its outcome as JSON values, so that no exception has to cross a process.

    Returns
    -------
    dict
        "status": "done" with "report", "cancelled", or "failed" with "error" {"type", "message"}
        and, where the failure is a defect of ours, "traceback".
    """
    try:
        return {"status": "done", "report": run(kind, payload, Path(directory))}
    except JobCancelledError:
        return {"status": "cancelled"}
    except ModelCompareError as error:
        return _failed(type(error).__name__, str(error))
    except MemoryError:
        message = "the job needed more memory than there is; ask for fewer layers at a time"
        return _failed("LimitError", message)
    except Exception as error:  # noqa: BLE001  reported, and logged by the server
        message = "an unexpected error; see TensorBoard's log"
        return {**_failed(type(error).__name__, message), "traceback": traceback.format_exc()}


def run(kind: str, payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Compute one job; its files are left in `directory`.

    Parameters
    ----------
    kind : {"similarity", "significance", "shared_units", "analogies", "caricatures", "trend",
            "steps", "models"}
    payload : dict
        As made by `job_requests`, JSON values only.
    directory : Path

    Returns
    -------
    dict
        The report that is kept with the result: "items" of pictures, of similarities the
        description of the matrix or of the cells, else the result itself.

    Raises
    ------
    JobCancelledError
        If the job was asked to stop.
    ModelCompareError
        If a snapshot cannot be read, or has no such similarity or picture.
    """
    return _KINDS[kind](payload, directory)


def warm_up() -> None:
    """Import what renders need, and use it once, so that the first picture comes sooner."""
    import_tensorflow()  # on the console it says nothing of use
    importlib.import_module("tb_modelcompare.render").warm_up()


def _failed(kind: str, message: str) -> dict[str, Any]:
    return {"status": "failed", "error": {"type": kind, "message": message}}


def _similarity(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    from tb_modelcompare.comparing import compare_snapshots
    from tb_modelcompare.similarity import MEASURES, ComparisonCancelled

    job = Progress(directory)
    job.publish(0.0, "reading activations", force=True)
    a, b = Snapshot.from_payload(payload["a"]), Snapshot.from_payload(payload["b"])
    measure = MEASURES[payload["measure"]]
    message = f"{measure.title} of {len(a.layers)} × {len(b.layers)} layers"
    try:
        comparison = compare_snapshots(
            a,
            b,
            measure,
            progress=lambda fraction: job.publish(fraction, message),
            cancelled=job.cancelled,
        )
    except ComparisonCancelled as error:
        raise JobCancelledError from error
    np.save(directory / MATRIX, comparison.values.astype("<f8"), allow_pickle=False)
    return {"matrix": matrix_info_json(a, b, measure, comparison)}


def _many(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    from tb_modelcompare.dynamics import tasks as of_many

    return of_many.run(payload, directory)


def _analogies(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """A unit, and what regression makes of it in other layers.

    The unit's own picture needs no regression and comes first, then the numbers of all other
    layers, then their pictures.
    """
    snapshots = {p["index"]["digest"]: Snapshot.from_payload(p) for p in payload["snapshots"]}
    items, digests = payload["items"], payload["digests"]
    source = snapshots[digests[0]]
    for snapshot in snapshots.values():
        require_same_probe(source, snapshot)
    activations = source.activations(items[0]["layer"])
    direction = np.zeros(activations.shape[1])
    direction[payload["unit"]] = payload["sign"]
    directions = [direction]
    job = Progress(directory, items)

    def render(batch: Sequence[int], callbacks: dict[str, Any]) -> npt.NDArray[np.uint8]:
        from tb_modelcompare.render import FrozenModel, render_directions

        return render_directions(
            FrozenModel.from_snapshot(snapshots[digests[batch[0]]]),
            [(items[i]["layer"], directions[i]) for i in batch],
            size=payload["size"],
            steps=payload["steps"],
            seed=payload["seed"],
            preview_steps=PREVIEW_STEPS,
            **callbacks,
        )

    first = 1 / len(items)
    _render_in_batches(job, [[0]], payload["steps"], render, first * (1 - _REGRESSION_SHARE))
    places = [
        (snapshots[digest], item) for item, digest in zip(items[1:], digests[1:], strict=True)
    ]
    directions += _regress(job, source, activations, direction, places)
    _render_in_batches(job, _batches(items, digests), payload["steps"], render, 1.0)
    return {"items": items}


def _regress(
    job: Progress,
    source: Snapshot,
    activations: npt.NDArray[np.float32],
    direction: npt.NDArray[np.float64],
    places: Sequence[tuple[Snapshot, dict[str, Any]]],
) -> list[npt.NDArray[np.float64]]:
    """The predicted direction in each place; how good it is goes into the place's item."""
    from tb_modelcompare.analogy import best_unit, predict_direction, prediction_r2

    unit = int(np.flatnonzero(direction)[0])
    response = direction[unit] * np.asarray(activations[:, unit], np.float64)
    images = np.arange(source.rows) // source.probe_record.positions_per_image
    directions: list[npt.NDArray[np.float64]] = []
    start = job.fraction
    # The source's regression is solved once for layers side by side.
    for together in _up_to_units(places, _REGRESSION_UNITS):
        targets = [snapshot.activations(item["layer"]) for snapshot, item in together]
        predicted = predict_direction(activations, np.hstack(targets), direction)
        ends = np.cumsum([target.shape[1] for target in targets])
        directions += np.split(predicted, ends[:-1])
        for (_, item), target, answer in zip(
            together, targets, directions[-len(together) :], strict=True
        ):
            job.check()
            item["r2"] = float(prediction_r2(target, response, groups=images)[0])
            best, correlation = best_unit(target, response)
            item["best_unit"] = {"unit": int(best), "correlation": float(correlation)}
            if not answer.any():
                silent = "the unit" if not response.any() else "this layer"
                item["problem"] = f"{silent} is 0 on the whole probe, so no direction answers to it"
            share = sum(one["r2"] is not None for _, one in places) / len(places)
            job.publish(start + _REGRESSION_SHARE * share, "predicting directions")
    job.publish(start + _REGRESSION_SHARE, "predicting directions", force=True)
    return directions


def _up_to_units(
    places: Sequence[tuple[Snapshot, dict[str, Any]]], units: int
) -> list[list[tuple[Snapshot, dict[str, Any]]]]:
    """Consecutive places, in groups of as many as have `units` together."""
    groups: list[list[tuple[Snapshot, dict[str, Any]]]] = []
    room = 0
    for snapshot, item in places:
        width = snapshot.layer(item["layer"]).units
        if width > room or not groups:
            groups.append([])
            room = units
        groups[-1].append((snapshot, item))
        room -= width
    return groups


def _caricatures(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    snapshot = Snapshot.from_payload(payload["snapshots"][0])
    items = payload["items"]
    job = Progress(directory, items)
    image = (
        _photo(payload["photo"])
        if "photo" in payload
        else snapshot.probe().images[payload["image"]]
    )

    def render(batch: Sequence[int], callbacks: dict[str, Any]) -> npt.NDArray[np.uint8]:
        from tb_modelcompare.render import FrozenModel, render_caricatures

        return render_caricatures(
            FrozenModel.from_snapshot(snapshot),
            image,
            [items[i]["layer"] for i in batch],
            size=payload["size"],
            steps=payload["steps"],
            seed=payload["seed"],
            preview_steps=PREVIEW_STEPS,
            **callbacks,
        )

    indices = range(len(items))
    batches = [indices[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
    _render_in_batches(job, batches, payload["steps"], render, 1.0)
    return {"items": items}


def _photo(file: str) -> npt.NDArray[np.uint8]:
    """A photo that the command line has put beside the job; requests over HTTP cannot name one."""
    from PIL import Image

    with Image.open(file) as photo:
        return np.asarray(photo.convert("RGB"))


def _batches(items: list[dict[str, Any]], digests: list[str]) -> list[list[int]]:
    """Indices of pictures that are rendered together: of one model, in the order of interest.

    The best predicted layers of each model come first; within a batch layers stay in order of
    depth. Layers without a direction have no picture, and the unit itself (0) has one already.
    """
    batches: list[list[int]] = []
    for digest in dict.fromkeys(digests[1:]):
        mine = [
            i for i in range(1, len(items)) if digests[i] == digest and items[i]["problem"] is None
        ]
        mine.sort(key=lambda i: -items[i]["r2"])
        batches += [sorted(mine[start : start + _BATCH]) for start in range(0, len(mine), _BATCH)]
    return batches


def _render_in_batches(
    job: Progress,
    batches: Sequence[Sequence[int]],
    steps: int,
    render: Callable[[Sequence[int], dict[str, Any]], npt.NDArray[np.uint8]],
    end: float,
) -> None:
    """Render each batch, publishing previews and progress up to `end`."""
    job.publish(job.fraction, "preparing the renderer", force=True)
    warm_up()
    from tb_modelcompare.render import RenderCancelled

    total = sum(len(batch) for batch in batches)
    start = job.fraction
    before = 0
    for batch in batches:

        def on_images(step: int, images: npt.NDArray[np.uint8], batch: Any = batch) -> None:
            _save(job, batch, images, step, final=False)
            job.publish(job.fraction, job.message, force=True)

        def on_step(step: int, steps: int, batch: Any = batch, before: int = before) -> None:
            share = (before + len(batch) * step / steps) / total
            job.publish(start + (end - start) * share, f"step {step} of {steps}")

        callbacks = {"on_step": on_step, "on_images": on_images, "cancelled": job.cancelled}
        try:
            images = render(batch, callbacks)
        except RenderCancelled as error:
            raise JobCancelledError from error
        _save(job, batch, images, steps, final=True)
        before += len(batch)
        job.publish(start + (end - start) * before / total, job.message, force=True)


def _save(
    job: Progress, batch: Sequence[int], images: npt.NDArray[np.uint8], step: int, *, final: bool
) -> None:
    from PIL import Image

    for i, image in zip(batch, images, strict=True):
        item = job.items[i]
        name = f"{item['key']}.png" if final else f"{item['key']}-{step}.png"
        Image.fromarray(image).save(job.directory / name)
        item["image"], item["step"] = name, step
    if final:
        for i in batch:
            for preview in job.directory.glob(f"{job.items[i]['key']}-*.png"):
                preview.unlink()


_KINDS: dict[str, Callable[[dict[str, Any], Path], dict[str, Any]]] = {
    "similarity": _similarity,
    "significance": mathematics.significance,
    "shared_units": mathematics.shared_units,
    "analogies": _analogies,
    "caricatures": _caricatures,
    "trend": _many,
    "steps": _many,
    "models": _many,
}
