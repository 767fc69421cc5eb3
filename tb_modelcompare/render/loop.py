"""The optimisation loop: batches by depth, previews, cancel, warm programs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.render import resize
from tb_modelcompare.render.frozen import FrozenModel, pruned_graph, subgraph
from tb_modelcompare.render.leaving import leaving_early
from tb_modelcompare.render.plan import (
    LayerBatch,
    SizedLayer,
    Stage,
    batches,
    sized_layers,
    stages,
)
from tb_modelcompare.render.program import Objective, Program, Recipe, random_warps
from tb_modelcompare.render.simplify import simplified

Pixels = npt.NDArray[np.uint8]
OnStep = Callable[[int, int], None]
OnImages = Callable[[int, dict[int, Pixels]], None]
OnStage = Callable[[dict[int, Pixels]], None]
Cancelled = Callable[[], bool]

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
class Watch:
    """What the caller wants to hear of."""

    preview_steps: Sequence[int]
    on_step: OnStep | None
    on_images: OnImages | None
    cancelled: Cancelled | None
    on_stage: OnStage | None = None

    def check(self) -> None:
        if self.cancelled is not None and self.cancelled():
            raise RenderCancelled


@dataclass(frozen=True)
class Job:
    """What is drawn: layers, towards what at their sizes, each shown at (height, width).

    `smaller` has pictures, by number, that were drawn before at the size of a former stage.
    """

    model: FrozenModel
    layers: Sequence[str]
    kind: Objective
    cossim_pow: float
    target: Callable[[int, SizedLayer], npt.NDArray[np.float32]]
    shown: Sequence[tuple[int, int]]
    steps: int
    seed: int
    smaller: Mapping[int, Pixels]


@dataclass(frozen=True)
class _Part:
    """The pictures of a job that have a stage, and which of them are drawn together."""

    stage: Stage
    sized: Mapping[int, SizedLayer]
    batches: Sequence[LayerBatch]


def draw(job: Job, watch: Watch) -> list[Pixels]:
    """Draw small pictures, and larger ones from these, up to the sizes that are shown."""
    import tensorflow

    with _drawing:
        graph_def = pruned_graph(job.model, job.layers, tensorflow.compat.v1.GraphDef)
        parts = _parts(job, graph_def)
        total = sum(part.stage.steps * len(part.batches) for part in parts)
        done = 0
        found = dict(job.smaller)
        for part in parts:
            done = _optimise(job, part, graph_def, found, watch, done, total)
        return [found[i] for i in range(len(job.layers))]


def _parts(job: Job, graph_def: Any) -> list[_Part]:
    """What is to be done, the smallest pictures first.

    A layer of fixed input size is drawn at that size, once.
    """
    members: dict[Stage, list[int]] = {}
    for i, size in enumerate(job.shown):
        for stage in stages(*size, job.steps):
            members.setdefault(stage, []).append(i)
    parts, fixed = [], set[int]()
    for stage in sorted(members, key=lambda stage: (stage.first, stage.height)):
        chosen = [i for i in members[stage] if i not in fixed]
        layers = [job.layers[i] for i in chosen]
        sized = dict(
            zip(
                chosen,
                sized_layers(job.model, graph_def, layers, stage.height, stage.width),
                strict=True,
            )
        )
        fixed |= {i for i, layer in sized.items() if layer.is_fixed}
        there = {i for i, picture in job.smaller.items() if len(picture) >= stage.height} - fixed
        left = {i: layer for i, layer in sized.items() if i not in there}
        parts.append(_Part(stage, left, batches(left, job.model, graph_def)))
    return parts


def _optimise(
    job: Job,
    part: _Part,
    graph_def: Any,
    found: dict[int, Pixels],
    watch: Watch,
    done: int,
    total: int,
) -> int:
    """Run the batches in turn, each to the next preview, so that all sharpen together.

    The first batch is shown before the next one is compiled. `found` has the pictures that a former
    stage ended with, and then those of this one.
    """
    stage, plan = part.stage, part.batches
    wanted = watch.preview_steps if watch.on_images is not None else ()
    inside = {step - stage.first for step in wanted}
    marks = [*sorted(step for step in inside if 0 < step < stage.steps), stage.steps]
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
                    aims = [job.target(i, part.sized[i]) for i in batch.members]
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
                seen = {
                    i: resize.shown(
                        picture,
                        *(job.shown[i] if part.sized[i].is_fixed else (stage.height, stage.width)),
                    )
                    for i, picture in zip(batch.members, programs[batch].pictures(), strict=True)
                }
                found.update(seen)
                if watch.on_images is not None:
                    watch.on_images(stage.first + end, seen)
                if watch.on_stage is not None and end == stage.steps:
                    watch.on_stage(seen)
    return done


def _enlarged(batch: LayerBatch, found: Mapping[int, Pixels]) -> npt.NDArray[np.float32]:
    """Pictures of a batch at its size."""
    return np.stack([resize.resized(found[i], batch.height, batch.width) for i in batch.members])


_drawing = threading.Lock()  # programs hold the state of the job that uses them
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


def _program(job: Job, graph_def: Any, batch: LayerBatch, *, keep: int) -> Program:
    """The compiled program for a batch, kept warm for the next job on the same layers."""
    model = job.model
    recipe = Recipe(batch.layers, batch.height, batch.width, job.kind, job.cossim_pow)
    key = (model.sha256, repr((model.input, model.preprocessing, model.tensors)), recipe)
    program = _programs.pop(key, None)
    if program is None:
        tensors = [model.tensor(layer) for layer in batch.layers]
        part, names = simplified(subgraph(graph_def, tensors), model.input, tensors)
        part, indices = leaving_early(part, model.input, names)
        simple = replace(model, tensors=dict(zip(batch.layers, names, strict=True)))
        program = Program(simple, part, recipe, indices)
    _programs[key] = program
    while len(_programs) > keep:
        _programs.popitem(last=False)[1].close()
    return program


def forget_programs() -> None:
    """Give back the memory of the programs that are kept warm."""
    with _drawing:
        while _programs:
            _programs.popitem()[1].close()
