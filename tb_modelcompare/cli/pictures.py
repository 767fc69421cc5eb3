"""`tb-modelcompare analogies` and `tb-modelcompare caricature`.

Both ask for the same jobs as the tab does, in a worker process, and share its cache.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple
from PIL import Image
from tqdm import tqdm

from tb_modelcompare import errors
from tb_modelcompare.analogy.correlation import MEANING
from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.capture.contract import compiled_pattern
from tb_modelcompare.cli.best_photos import about_ties, best_photos, rgb_bytes
from tb_modelcompare.cli.files import BAR, output_directory
from tb_modelcompare.cli.text import csv_text, printable, table
from tb_modelcompare.compare.photos import decode_photo, keep_photo
from tb_modelcompare.compare.units import top_positions
from tb_modelcompare.errors import (
    LayerSelectionError,
    ModelCompareError,
    PhotoError,
    ProbeError,
    UnknownSnapshotError,
    nearest,
)
from tb_modelcompare.jobs.registry import task_from_request
from tb_modelcompare.jobs.runtime.executors import local_executor
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import RENDERS, JobItem, NamedError, State, Task
from tb_modelcompare.log.assets import slug
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.render.contact_sheet import contact_sheet

_POLL_SECONDS = 0.2
# Photos of the probe that stand before a unit's pictures.
PHOTOS = 4
_HEADER = (
    "LAYER",
    ">CORRELATION",
    "95 % INTERVAL",
    ">NULL",
    ">R² OF THE LAYER",
    ">BEST UNIT",
    ">ITS CORRELATION",
    "",
)
_CORRELATION = (
    "CORRELATION is that of the activity along the drawn direction with the unit's, on images that "
    "the direction was not fitted to; NULL is its 95 % quantile when images are permuted."
)

Picture = npt.NDArray[np.uint8]


class JobFailedError(ModelCompareError):
    """The worker process did not finish the pictures."""


def analogies(arguments: argparse.Namespace) -> int:
    """Render a unit and its analogies."""
    a = open_snapshot(arguments.logdir, arguments.a)
    targets = [open_snapshot(arguments.logdir, name) for name in arguments.b]
    layer, unit = _unit(arguments.unit, a)
    request = {
        "kind": "analogies",
        "a": a.id,
        "layer": layer,
        "unit": unit,
        "sign": -1 if arguments.negative else 1,
        "answer": arguments.direction,
        "minus": _residual_of(arguments),
        "targets": [{"snapshot": b.id, "layers": _layers(arguments.layers, b)} for b in targets],
        **_rendering(arguments),
    }
    task = task_from_request(request, partial(open_snapshot, arguments.logdir))
    sign = "-" if arguments.negative else ""
    title = f"{sign}{layer}:{unit} of {a.id} in {', '.join(b.id for b in targets)}"
    out = _new_directory(arguments.out, f"analogies-{slug(layer)}-{unit}")
    items, pictures = _compute(task, "analogies", arguments.device)
    print(table(_HEADER, list(map(_numbers, items))))
    print(MEANING[arguments.direction])
    print(_CORRELATION)
    probe = a.probe()
    top = top_positions(a, probe, layer, unit, PHOTOS, negative=arguments.negative)
    for sentence in about_ties(top):
        print(sentence)
    _write(out, title, items, pictures, best_photos(probe, top, size=arguments.size))
    return 0


def caricature(arguments: argparse.Namespace) -> int:
    """Render a photo as the layers see it."""
    snapshot = open_snapshot(arguments.logdir, arguments.a)
    probe = snapshot.probe()
    in_probe = arguments.image in probe.names
    photo: dict[str, Any]
    if in_probe:
        photo = {"image": probe.names.index(arguments.image)}
        pixels = rgb_bytes(probe.images[photo["image"]])
    else:
        pixels = _photo(arguments.image, probe.names)
        photo = {"photo": keep_photo(ResultCache(), pixels)}
    request = {
        "kind": "caricatures",
        "snapshot": snapshot.id,
        "layers": _layers(arguments.layers, snapshot),
        **photo,
        **_rendering(arguments),
    }
    task = task_from_request(request, partial(open_snapshot, arguments.logdir))
    out = _new_directory(arguments.out, f"caricature-{slug(Path(arguments.image).stem)}")
    items, pictures = _compute(task, "caricatures", arguments.device)
    title = f"{Path(arguments.image).name} as {snapshot.id} sees it"
    shown = Image.fromarray(pixels)
    scale = arguments.size / max(shown.size)
    shown = shown.resize([max(1, round(scale * side)) for side in shown.size])
    _write(out, title, items, pictures, [("the photo", np.asarray(shown))])
    return 0


def _residual_of(arguments: argparse.Namespace) -> dict[str, str] | None:
    if arguments.residual_of is None:
        return None
    name, layer = arguments.residual_of
    return {"snapshot": open_snapshot(arguments.logdir, name).id, "layer": layer}


def _unit(text: str, snapshot: Snapshot) -> tuple[str, int]:
    """LAYER:UNIT; the layer's name may itself contain colons."""
    layer, _, unit = text.rpartition(":")
    if not layer or not (unit.isascii() and unit.isdecimal()):
        raise UnknownSnapshotError(f"{text!r} is no unit; give LAYER:UNIT, such as conv1:7")
    units = snapshot.layer(layer).units
    if int(unit) >= units:
        raise UnknownSnapshotError(
            f"{snapshot.id} layer {layer!r} has no unit {unit}; it has 0 to {units - 1}"
        )
    return layer, int(unit)


def _layers(pattern: str | None, snapshot: Snapshot) -> list[str] | None:
    if pattern is None:
        return None
    expression = compiled_pattern(pattern)
    names = [name for name in snapshot.layer_names if expression.search(name)]
    if not names:
        raise LayerSelectionError(
            f"--layers {pattern!r} matches no layer of {snapshot.id}; "
            f"{nearest(pattern, snapshot.layer_names)}"
        )
    return names


def _rendering(arguments: argparse.Namespace) -> dict[str, int]:
    return {name: getattr(arguments, name) for name in ("size", "steps", "seed")}


def _photo(file: str, names: Sequence[str]) -> Picture:
    path = Path(file)
    if not path.exists():
        raise ProbeError(
            f"{file!r} is neither a file nor the name of a photo of the probe; "
            f"{nearest(file, tuple(names))}"
        )
    try:
        return decode_photo(path.read_bytes())
    except (OSError, PhotoError) as error:
        raise PhotoError(f"{file}: {error}") from error


def _compute(task: Task, what: str, device: str) -> tuple[list[JobItem], list[Picture | None]]:
    """Run a task in a worker process, or take its result from the cache.

    An item that can have no picture says why in `problem`.

    Raises
    ------
    JobFailedError
        If the worker did not finish.
    """
    queue = JobQueue(ResultCache(), {RENDERS: (local_executor, 1)}, device=device)
    try:
        status = queue.submit(task)
        with tqdm(total=1000, desc=what, bar_format=BAR, disable=None, leave=False) as bar:
            while status.state.active:
                time.sleep(_POLL_SECONDS)
                status = queue.status(task.key)
                bar.set_description(printable(status.message or what), refresh=False)
                bar.update(int(1000 * status.fraction) - bar.n)
        if status.state is not State.DONE:
            raise _failure(status.error or NamedError("JobFailedError", status.message))
        return status.items, [_picture(queue, task.key, item) for item in status.items]
    finally:
        queue.close()


def _picture(queue: JobQueue, job_id: str, item: JobItem) -> Picture | None:
    if item.image is None:
        return None
    content, _ = queue.file(job_id, item.final_image)
    return np.asarray(Image.open(io.BytesIO(content)))


def _failure(error: NamedError) -> ModelCompareError:
    kind = getattr(errors, error.type, JobFailedError)
    return kind(error.message)


def _numbers(item: JobItem) -> tuple[str, ...]:
    """One line of the table of analogies."""
    if item.role == "source":
        return f"{item.layer} (the unit itself)", "", "", "", "", "", "", ""
    if item.role == "difference":
        taken = f"{item.r2:.2f} taken away"
        return f"{item.layer} (what remains)", "", "", "", taken, "", "", ""
    best, drawn = item.best_unit, item.drawn
    assert best is not None  # a finished analogy knows both
    assert drawn is not None
    return (
        item.layer,
        f"{drawn.correlation:.2f}",
        f"[{drawn.low:.2f}, {drawn.high:.2f}]",
        "" if drawn.null is None else f"{drawn.null:.2f}",
        f"{item.r2:.2f}",
        str(best.unit),
        f"{best.correlation:.2f}",
        item.problem or "",
    )


def _new_directory(name: str | None, default: str) -> Path:
    """The directory that is asked for, or a new one here."""
    if name is not None:
        return output_directory(Path(name))
    path, number = Path(default), 2
    while path.exists():
        path, number = Path(f"{default}-{number}"), number + 1
    return output_directory(path)


def _write(
    out: Path,
    title: str,
    items: Sequence[JobItem],
    pictures: Sequence[Picture | None],
    photos: Sequence[tuple[str, Picture]],
) -> None:
    """A PNG per picture, all on one sheet after the photos, and what is known of each as CSV."""
    files: list[str] = []
    captions = [caption for caption, _ in photos]
    shown = [photo for _, photo in photos]
    for item, picture in zip(items, pictures, strict=True):
        files.append("")
        if picture is not None:
            files[-1] = f"{int(item.key):03d}-{slug(item.layer)}.png"
            Image.fromarray(picture).save(out / files[-1])
            shown.append(picture)
            captions.append(_caption(item))
    contact_sheet(shown, captions, title=title).save(out / "contact_sheet.png")
    with (out / "pictures.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        numbers = ["r2", "best_unit", "correlation"]
        drawn = ["direction", "direction_correlation", "low", "high", "null"]
        writer.writerow(["file", "snapshot", "layer", "role", *numbers, "problem", *drawn])
        for name, item in zip(files, items, strict=True):
            best = item.best_unit
            layer_of = (name, csv_text(item.snapshot), csv_text(item.layer), item.role)
            unit, correlation = (best.unit, best.correlation) if best else (None, None)
            found = (item.r2, unit, correlation)
            along = (None,) * len(drawn) if item.drawn is None else astuple(item.drawn)
            writer.writerow([*layer_of, *found, item.problem, *along])
    print(printable(str(out / "contact_sheet.png")))


def _caption(item: JobItem) -> str:
    if item.drawn is not None:
        return f"{item.layer}\ncorrelation {item.drawn.correlation:.2f}"
    return item.layer if item.r2 is None else f"{item.layer}\nR² {item.r2:.2f} taken away"
