"""The optimisation loop: batches by depth, previews, cancel, warm programs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, LimitError
from tb_modelcompare.probe.preprocessing import unit_range
from tb_modelcompare.render.frozen import FrozenModel, pruned_graph, subgraph
from tb_modelcompare.render.plan import MAX_SIZE, LayerBatch, SizedLayer, batches, sized_layers
from tb_modelcompare.render.program import Objective, Program, Recipe, random_warps
from tb_modelcompare.render.simplify import simplified

OnStep = Callable[[int, int], None]
OnImages = Callable[[int, dict[int, npt.NDArray[np.uint8]]], None]
Cancelled = Callable[[], bool]

DEFAULT_PREVIEW_STEPS = (16, 32, 64, 128, 256)
MAX_STEPS = 4096
MAX_RENDERS = 1024

# Programs kept compiled between jobs, and the most that one job interleaves: so many, and
# fewer where the model is large, as each program holds its weights.
_WARM = 6
_WARM_BYTES = 600 * 2**20

# A batch is done early when no picture's objective gains more than this over a window.
_CONVERGED = 0.01
_WINDOW = 64


class RenderCancelled(Exception):  # noqa: N818 (a request, not an error)
    """The caller asked to stop; raised at the next step."""


@dataclass(frozen=True)
class _Watch:
    """What the caller wants to hear of."""

    preview_steps: Sequence[int]
    on_step: OnStep | None
    on_images: OnImages | None
    cancelled: Cancelled | None

    def check(self) -> None:
        if self.cancelled is not None and self.cancelled():
            raise RenderCancelled


def render_directions(
    model: FrozenModel,
    directions: Sequence[tuple[str, npt.ArrayLike]],
    *,
    size: int = 96,
    steps: int = 128,
    seed: int = 0,
    cossim_pow: float = 0.0,
    preview_steps: Sequence[int] = DEFAULT_PREVIEW_STEPS,
    on_step: OnStep | None = None,
    on_images: OnImages | None = None,
    cancelled: Cancelled | None = None,
) -> npt.NDArray[np.uint8]:
    """Pictures that each excite one direction of one layer.

    The objective is lucid's `direction`: the mean over the layer's positions of the dot product
    with the direction, times the cosine to the power of `cossim_pow`. Pictures of one job, and
    of jobs with the same seed, start from the same noise.

    Parameters
    ----------
    model : FrozenModel
    directions : sequence of (layer, array (units,))
        A unit is a one-hot direction; only the direction counts, not its length.
    size : int
        Height and width of the pictures. Layers behind a head of fixed input size are
        computed at the model's own size and shown at this one.
    steps : int
    seed : int
        The same seed gives the same pictures, bit for bit on one machine.
    cossim_pow : float
        0 asks for much of the direction; 1 to 4 also for little else.
    preview_steps : sequence of int
        After which steps `on_images` gets the pictures so far.
    on_step : callable (done, total), optional
        Called after every step of every batch of layers that are optimised together.
    on_images : callable (step, {index: picture}), optional
        Called for every batch of layers that reached `step`, with its pictures.
    cancelled : callable, optional
        Asked before every step.

    Returns
    -------
    array (directions, size, size, 3) uint8

    Raises
    ------
    NotRenderableError
        The graph holds an op that we do not run, or a layer that cannot be rendered.
    ActivationError
        A direction has not its layer's number of units, is zero, or not finite.
    LimitError
        Too many directions or steps, or too large a size.
    RenderCancelled
        `cancelled` returned true.
    """
    _check_bounds(len(directions), size, steps)
    watch = _Watch(preview_steps, on_step, on_images, cancelled)
    layers = [layer for layer, _ in directions]
    with _rendering:
        graph_def, sized = _prepare(model, layers, size, size)
        vectors = [
            _unit_vector(layer, vector)
            for layer, (_, vector) in zip(sized, directions, strict=True)
        ]
        return _optimise(
            model, graph_def, sized, "direction", cossim_pow, vectors,
            shown=(size, size), steps=steps, seed=seed, watch=watch,
        )  # fmt: skip


def render_caricatures(
    model: FrozenModel,
    image: npt.NDArray[Any],
    layers: Sequence[str],
    *,
    size: int = 224,
    steps: int = 128,
    seed: int = 0,
    cossim_pow: float = 1.0,
    preview_steps: Sequence[int] = DEFAULT_PREVIEW_STEPS,
    on_step: OnStep | None = None,
    on_images: OnImages | None = None,
    cancelled: Cancelled | None = None,
) -> npt.NDArray[np.uint8]:
    """Pictures that make each layer see what it saw in a photo, and more so.

    The objective is that of lucid's recipe for caricatures (feature inversion): the dot
    product of the layer's activations for the picture and for the photo, times their cosine
    to the power of `cossim_pow`.

    Parameters
    ----------
    model : FrozenModel
    image : array (height, width, 3 or 1)
        uint8, or floating point in [0, 1].
    layers : sequence of str
    size : int
        The longer side of the pictures; the other keeps the photo's proportions.
    steps : int
    seed : int
    cossim_pow : float
        More makes the pictures purer and less strong.
    preview_steps : sequence of int
        After which steps `on_images` gets the pictures so far.
    on_step : callable (done, total), optional
        Called after every step of every batch of layers that are optimised together.
    on_images : callable (step, {index: picture}), optional
        Called for every batch of layers that reached `step`, with its pictures.
    cancelled : callable, optional
        Asked before every step.

    Returns
    -------
    array (layers, height, width, 3) uint8

    Raises
    ------
    ActivationError
        If the photo has another shape.
    NotRenderableError, LimitError, RenderCancelled
        As `render_directions`.
    """
    _check_bounds(len(layers), size, steps)
    photo = np.asarray(image)
    if photo.ndim != 3 or photo.shape[-1] not in (1, 3) or 0 in photo.shape:
        raise ActivationError(
            f"the photo has shape {photo.shape}; give (height, width, 3), or 1 channel for grey"
        )
    longest = max(photo.shape[:2])
    height, width = (max(1, round(side * size / longest)) for side in photo.shape[:2])
    watch = _Watch(preview_steps, on_step, on_images, cancelled)
    with _rendering:
        graph_def, sized = _prepare(model, layers, height, width)
        channels = model.input_shape[2]
        targets = [
            unit_range(_resized(photo, layer.height, layer.width)[None], channels)[0]
            for layer in sized
        ]
        return _optimise(
            model, graph_def, sized, "caricature", cossim_pow, targets,
            shown=(height, width), steps=steps, seed=seed, watch=watch,
        )  # fmt: skip


def _check_bounds(count: int, size: int, steps: int) -> None:
    for what, value, least, most in (
        ("pictures", count, 1, MAX_RENDERS),
        ("size", size, 16, MAX_SIZE),
        ("steps", steps, 1, MAX_STEPS),
    ):
        if not least <= value <= most:
            raise LimitError(f"{what} is {value}; a render takes {least} to {most}")


def _unit_vector(layer: SizedLayer, vector: npt.ArrayLike) -> npt.NDArray[np.float32]:
    direction = np.asarray(vector, np.float64)
    if direction.shape != (layer.units,):
        raise ActivationError(
            f"a direction in layer {layer.name!r} needs {layer.units} numbers, one per "
            f"unit; this one has shape {direction.shape}"
        )
    length = np.linalg.norm(direction)
    if not np.isfinite(length) or length == 0:
        raise ActivationError(
            f"the direction in layer {layer.name!r} is zero or not finite; there is nothing "
            "to render"
        )
    return np.asarray(direction / length, np.float32)


def _prepare(
    model: FrozenModel, layers: Sequence[str], height: int, width: int
) -> tuple[Any, list[SizedLayer]]:
    import tensorflow

    graph_def = pruned_graph(model, layers, tensorflow.compat.v1.GraphDef)
    return graph_def, sized_layers(model, graph_def, layers, height, width)


def _optimise(
    model: FrozenModel,
    graph_def: Any,
    sized: Sequence[SizedLayer],
    kind: Objective,
    cossim_pow: float,
    targets: Sequence[npt.NDArray[np.float32]],
    *,
    shown: tuple[int, int],
    steps: int,
    seed: int,
    watch: _Watch,
) -> npt.NDArray[np.uint8]:
    """Run the batches in turn, each to the next preview, so that all sharpen together.

    The first batch is shown before the next one is compiled.
    """
    height, width = shown
    pictures = np.full((len(sized), height, width, 3), 128, np.uint8)
    plan = batches(sized, model, graph_def)
    wanted = watch.preview_steps if watch.on_images is not None else ()
    marks = [*sorted({step for step in wanted if 0 < step < steps}), steps]
    done, total = 0, steps * len(plan)
    together = max(1, min(_WARM, _WARM_BYTES // max(1, graph_def.ByteSize())))
    for first in range(0, len(plan), together):
        programs: dict[LayerBatch, Program] = {}
        curves: dict[LayerBatch, list[npt.NDArray[np.float32]]] = {}
        for start, end in zip([0, *marks], marks, strict=False):
            for batch in plan[first : first + together]:
                watch.check()
                if batch not in programs:
                    programs[batch] = _program(
                        model, graph_def, batch, kind, cossim_pow, keep=together
                    )
                    programs[batch].start(seed, [targets[i] for i in batch.members], steps)
                    curves[batch] = []
                warps = random_warps(seed, steps, batch.height, batch.width)
                for step in range(start, end):
                    watch.check()
                    if not _converged(curves[batch]):
                        curves[batch].append(programs[batch].step(warps[step]))
                    done += 1
                    if watch.on_step is not None:
                        watch.on_step(done, total)
                for i, picture in zip(batch.members, programs[batch].pictures(), strict=True):
                    pictures[i] = _shown(picture, height, width)
                if watch.on_images is not None:
                    watch.on_images(end, {i: pictures[i].copy() for i in batch.members})
    return pictures


_rendering = threading.Lock()  # programs hold the state of the job that uses them
_programs: OrderedDict[tuple[str, str, Recipe], Program] = OrderedDict()


def _converged(curve: Sequence[npt.NDArray[np.float32]]) -> bool:
    """Whether the last window of steps brought next to nothing over the window before.

    Objectives jump with every random warp, so windows are compared by their means.
    """
    if len(curve) < 2 * _WINDOW:
        return False
    before = np.mean(curve[-2 * _WINDOW : -_WINDOW], axis=0)
    last = np.mean(curve[-_WINDOW:], axis=0)
    return bool((last - before <= _CONVERGED * np.abs(before)).all())


def _program(
    model: FrozenModel,
    graph_def: Any,
    batch: LayerBatch,
    kind: Objective,
    cossim_pow: float,
    *,
    keep: int,
) -> Program:
    """The compiled program for a batch, kept warm for the next job on the same layers."""
    recipe = Recipe(batch.layers, batch.height, batch.width, kind, cossim_pow)
    key = (model.sha256, repr((model.input, model.preprocessing, model.tensors)), recipe)
    program = _programs.pop(key, None)
    if program is None:
        tensors = [model.tensor(layer) for layer in batch.layers]
        part, names = simplified(subgraph(graph_def, tensors), model.input, tensors)
        simple = replace(model, tensors=dict(zip(batch.layers, names, strict=True)))
        program = Program(simple, part, recipe)
    _programs[key] = program
    while len(_programs) > keep:
        _programs.popitem(last=False)[1].close()
    return program


def forget_programs() -> None:
    """Give back the memory of the programs that are kept warm."""
    with _rendering:
        while _programs:
            _programs.popitem()[1].close()


def _resized(image: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    if image.shape[:2] == (height, width):
        return image
    from PIL import Image

    unit = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)
    planes = [
        np.asarray(Image.fromarray(unit[..., c]).resize((width, height), Image.Resampling.LANCZOS))
        for c in range(image.shape[-1])
    ]
    return np.asarray(np.clip(np.stack(planes, -1), 0, 1))


def _shown(picture: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.uint8]:
    """A picture (h, w, 1 or 3) in [0, 1] as RGB bytes of the size asked for.

    A picture of other proportions keeps them, on grey.
    """
    fit = min(height / picture.shape[0], width / picture.shape[1])
    inner = [max(1, round(side * fit)) for side in picture.shape[:2]]
    rgb = np.broadcast_to(_resized(picture, *inner), (*inner, 3))
    canvas = np.full((height, width, 3), 0.5, np.float32)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = rgb
    return np.asarray(np.rint(canvas * 255), np.uint8)
