"""The public calls: pictures of directions, and caricatures of photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, LimitError
from tb_modelcompare.probe.preprocessing import unit_range
from tb_modelcompare.render import resize
from tb_modelcompare.render.frozen import FrozenModel
from tb_modelcompare.render.loop import (
    Cancelled,
    Job,
    OnImages,
    OnStage,
    OnStep,
    Pixels,
    Watch,
    draw,
)
from tb_modelcompare.render.plan import MAX_SIZE, SizedLayer, auto_size, former_sizes

DEFAULT_PREVIEW_STEPS = (16, 32, 64, 128, 256)
MAX_STEPS = 4096
MAX_RENDERS = 1024


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
        Height and width of the pictures. Layers behind a head of fixed input size are computed at
        the model's own size and shown at this one. Pictures of 192 and more begin small and are
        enlarged on the way. "auto" chooses 96, 192 or 384 for each layer (`auto_size`), and shows
        all at the largest of these.
    steps : int
        At the first size. Twice the size takes 3/8 as many more, and four times 3/16.
    seed : int
        The same seed gives the same pictures, bit for bit on one machine.
    cossim_pow : float
        0 asks for much of the direction; 1 to 4 also for little else.
    preview_steps : sequence of int
        After which steps `on_images` gets the pictures so far.
    on_step : callable (done, total), optional
        Called after every step of every batch of layers that are optimised together.
    on_images : callable (step, {index: picture}), optional
        Called for every batch of layers that reached `step`, with its pictures at their size then.
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
    sizes = [
        auto_size(model.receptive_fields.get(layer)) if size == "auto" else size
        for layer, _ in directions
    ]
    pictures = render_directions_at(
        model,
        directions,
        sizes,
        steps=steps,
        seed=seed,
        cossim_pow=cossim_pow,
        preview_steps=preview_steps,
        on_step=on_step,
        on_images=on_images,
        cancelled=cancelled,
    )
    side = max(sizes)
    return np.stack([resize.shown(picture, side, side) for picture in pictures])


def render_directions_at(
    model: FrozenModel,
    directions: Sequence[tuple[str, npt.ArrayLike]],
    sizes: Sequence[int],
    *,
    smaller: Mapping[int, Pixels] | None = None,
    steps: int = 128,
    seed: int = 0,
    cossim_pow: float = 0.0,
    preview_steps: Sequence[int] = DEFAULT_PREVIEW_STEPS,
    on_step: OnStep | None = None,
    on_images: OnImages | None = None,
    on_stage: OnStage | None = None,
    cancelled: Cancelled | None = None,
) -> list[Pixels]:
    """Pictures as of `render_directions`, each of a size of its own.

    Parameters
    ----------
    model : FrozenModel
    directions : sequence of (layer, array (units,))
    sizes : sequence of int
        One for each direction.
    smaller : mapping, optional
        By the number of a direction, a picture of it that was drawn with the same options at half
        its size or a quarter. The picture then continues from it. It is the same as without it.
    on_stage : callable ({index: picture}), optional
        Called for every batch of layers that reached the end of a size, with its pictures, which
        may be among `smaller` of a later call.
    steps, seed, cossim_pow, preview_steps, on_step, on_images, cancelled
        As of `render_directions`.

    Returns
    -------
    list of array (size, size, 3) uint8

    Raises
    ------
    ActivationError
        Also if a smaller picture has none of the sizes that the picture continues from.
    NotRenderableError, LimitError, RenderCancelled
        As `render_directions`.
    """
    _check_bounds(len(directions), sizes, steps)
    for i, picture in (smaller or {}).items():
        former = former_sizes(sizes[i])
        if picture.shape not in [(size, size, 3) for size in former]:
            raise ActivationError(
                f"the smaller picture of direction {i} has shape {picture.shape}; one of "
                f"{sizes[i]} pixels continues from RGB pictures of {former or 'no other size'}"
            )
    watch = Watch(preview_steps, on_step, on_images, cancelled, on_stage)
    layers = [layer for layer, _ in directions]

    def target(i: int, layer: SizedLayer) -> npt.NDArray[np.float32]:
        return _unit_vector(layer, directions[i][1])

    squares = [(size, size) for size in sizes]
    job = Job(
        model, layers, "direction", cossim_pow, target, squares, steps, seed, dict(smaller or {})
    )
    return draw(job, watch)


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
        At the first size, as of `render_directions`.
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
    _check_bounds(len(layers), [size], steps)
    photo = np.asarray(image)
    if photo.ndim != 3 or photo.shape[-1] not in (1, 3) or 0 in photo.shape:
        raise ActivationError(
            f"the photo has shape {photo.shape}; give (height, width, 3), or 1 channel for grey"
        )
    longest = max(photo.shape[:2])
    height, width = (max(1, round(side * size / longest)) for side in photo.shape[:2])
    watch = Watch(preview_steps, on_step, on_images, cancelled)
    channels = model.input_shape[2]

    def target(i: int, layer: SizedLayer) -> npt.NDArray[np.float32]:
        seen = resize.resized(photo, layer.height, layer.width)
        return np.asarray(unit_range(seen[None], channels)[0])

    sizes = [(height, width)] * len(layers)
    job = Job(model, layers, "caricature", cossim_pow, target, sizes, steps, seed, {})
    return np.stack(draw(job, watch))


def _check_bounds(count: int, sizes: Sequence[int], steps: int) -> None:
    for what, value, least, most in (
        ("pictures", count, 1, MAX_RENDERS),
        *(("size", size, 16, MAX_SIZE) for size in sizes),
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
