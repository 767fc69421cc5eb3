"""The optimisation loop: batches by depth, previews, cancel, warm programs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, LimitError
from tb_modelcompare.probe.preprocessing import unit_range
from tb_modelcompare.render import resize
from tb_modelcompare.render.frozen import FrozenModel, pruned_graph, subgraph
from tb_modelcompare.render.plan import (
    AUTO_SIZE,
    MAX_SIZE,
    LayerBatch,
    SizedLayer,
    Stage,
    batches,
    sized_layers,
    stages,
)
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
    size: int | Literal["auto"] = 96,
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
    size : int or "auto"
        Height and width of the pictures. Layers behind a head of fixed input size are
        computed at the model's own size and shown at this one. Pictures of 192 and more begin
        small and are enlarged on the way. "auto" draws layers whose positions are at least 8
        pixels apart at 192, others at 96, and shows all at 192.
    steps : int
        Of all sizes together.
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
    side = AUTO_SIZE if size == "auto" else size
    _check_bounds(len(directions), side, steps)
    watch = _Watch(preview_steps, on_step, on_images, cancelled)
    layers = [layer for layer, _ in directions]

    def target(i: int, layer: SizedLayer) -> npt.NDArray[np.float32]:
        return _unit_vector(layer, directions[i][1])

    enlarged: Literal["all", "coarse"] = "coarse" if size == "auto" else "all"
    job = _Job(model, layers, "direction", cossim_pow, target, (side, side), steps, seed, enlarged)
    with _rendering:
        return _render(job, watch)


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
    channels = model.input_shape[2]

    def target(i: int, layer: SizedLayer) -> npt.NDArray[np.float32]:
        seen = resize.resized(photo, layer.height, layer.width)
        return np.asarray(unit_range(seen[None], channels)[0])

    job = _Job(model, layers, "caricature", cossim_pow, target, (height, width), steps, seed, "all")
    with _rendering:
        return _render(job, watch)


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


@dataclass(frozen=True)
class _Job:
    """What is drawn: layers, towards what at their sizes, shown at (height, width).

    `enlarged` says which of them are drawn at that size, and not only shown at it.
    """

    model: FrozenModel
    layers: Sequence[str]
    kind: Objective
    cossim_pow: float
    target: Callable[[int, SizedLayer], npt.NDArray[np.float32]]
    shown: tuple[int, int]
    steps: int
    seed: int
    enlarged: Literal["all", "coarse"]


def _render(job: _Job, watch: _Watch) -> npt.NDArray[np.uint8]:
    """Draw small pictures, and larger ones from these, up to the size that is shown."""
    import tensorflow

    graph_def = pruned_graph(job.model, job.layers, tensorflow.compat.v1.GraphDef)
    found: dict[int, npt.NDArray[np.float32]] = {}
    for stage in stages(*job.shown, job.steps):
        _optimise(job, stage, graph_def, found, watch)
    return np.stack([resize.shown(found[i], *job.shown) for i in range(len(job.layers))])


def _optimise(
    job: _Job,
    stage: Stage,
    graph_def: Any,
    found: dict[int, npt.NDArray[np.float32]],
    watch: _Watch,
) -> None:
    """Run the batches in turn, each to the next preview, so that all sharpen together.

    The first batch is shown before the next one is compiled. `found` has the pictures that a former
    stage ended with, and then those of this one.
    """
    sized = sized_layers(job.model, graph_def, job.layers, stage.height, stage.width)
    chosen = [
        i
        for i, layer in enumerate(sized)
        if stage.first == 0 or job.enlarged == "all" or layer.is_coarse
    ]
    plan = batches({i: sized[i] for i in chosen}, job.model, graph_def)
    wanted = watch.preview_steps if watch.on_images is not None else ()
    inside = {step - stage.first for step in wanted}
    marks = [*sorted(step for step in inside if 0 < step < stage.steps), stage.steps]
    done, total = stage.first * len(plan), job.steps * len(plan)
    together = max(1, min(_WARM, _WARM_BYTES // max(1, graph_def.ByteSize())))
    for first in range(0, len(plan), together):
        programs: dict[LayerBatch, Program] = {}
        curves: dict[LayerBatch, list[npt.NDArray[np.float32]]] = {}
        for start, end in zip([0, *marks], marks, strict=False):
            for batch in plan[first : first + together]:
                watch.check()
                if batch not in programs:
                    programs[batch] = _program(job, graph_def, batch, keep=together)
                    before = None if stage.first == 0 else _enlarged(batch, found)
                    aims = [job.target(i, sized[i]) for i in batch.members]
                    programs[batch].start(job.seed, aims, before)
                    curves[batch] = []
                warps = random_warps(job.seed, stage.steps, batch.height, batch.width)
                for step in range(start, end):
                    watch.check()
                    if not _converged(curves[batch]):
                        curves[batch].append(programs[batch].step(warps[step]))
                    done += 1
                    if watch.on_step is not None:
                        watch.on_step(done, total)
                found.update(zip(batch.members, programs[batch].pictures(), strict=True))
                if watch.on_images is not None:
                    seen = {i: resize.shown(found[i], *job.shown) for i in batch.members}
                    watch.on_images(stage.first + end, seen)


def _enlarged(
    batch: LayerBatch, found: dict[int, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Pictures of a batch at its size."""
    return np.stack([resize.resized(found[i], batch.height, batch.width) for i in batch.members])


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


def _program(job: _Job, graph_def: Any, batch: LayerBatch, *, keep: int) -> Program:
    """The compiled program for a batch, kept warm for the next job on the same layers."""
    model = job.model
    recipe = Recipe(batch.layers, batch.height, batch.width, job.kind, job.cossim_pow)
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
