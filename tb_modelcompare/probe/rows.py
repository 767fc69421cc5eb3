"""Which rows a probe has: the image of each row, and tokens that only fill up their array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, ProbeError
from tb_modelcompare.errors.checks import one_of, whole
from tb_modelcompare.probe.inputs import MAX_POSITIONS, checked_positions
from tb_modelcompare.probe.sampling import Mask

Images = npt.NDArray[np.intp]
Positions = npt.NDArray[np.float64]


def checked_mask(mask: Any, pad_id: Any, items: npt.NDArray[Any]) -> Mask | None:
    """Which tokens of each array (items, length, …) are real; None where all of them count.

    Raises
    ------
    ProbeError
        If `mask` and `pad_id` do not fit the arrays, or an array has no real token.
    """
    if mask is None and pad_id is None:
        return None
    if mask is not None and pad_id is not None:
        raise ProbeError("give either mask or pad_id; both say which tokens are padding")
    if not 2 <= items.ndim <= 3:
        raise ProbeError(
            f"arrays have shape {items.shape}; mask and pad_id are for sequences, (n, length) or "
            f"(n, length, features)"
        )
    if pad_id is not None:
        if isinstance(pad_id, bool) or not isinstance(pad_id, int | np.integer):
            raise ProbeError(f"pad_id is {pad_id!r:.100}; give the whole number of a token")
        if items.ndim != 2 or items.dtype.kind not in "iu":
            raise ProbeError(
                f"arrays are {items.dtype} of shape {items.shape}; pad_id is for token ids, whole "
                f"numbers (n, length); give mask instead"
            )
        real = items != pad_id
    else:
        real = np.asarray(mask)
        if real.dtype.kind not in "biu" or not np.isin(real, (0, 1)).all():
            raise ProbeError(f"mask holds {real.dtype}; give True or 1 for each real token, else 0")
        if real.shape != items.shape[:2]:
            raise ProbeError(
                f"mask has shape {real.shape}; give one value for each token, {items.shape[:2]}"
            )
        real = real.astype(bool)
    empty = np.flatnonzero(~real.any(axis=1))
    if len(empty):
        raise ProbeError(f"array {empty[0]} is padding alone; leave it out")
    return None if real.all() else real


def mask_of_output(output: npt.NDArray[Any], mask: Any) -> Mask:
    """Which tokens of an output (items, tokens, …) are real, or ActivationError."""
    real = np.asarray(mask)
    if real.shape != output.shape[:2] or real.dtype.kind not in "biu" or not real.any(1).all():
        raise ActivationError(
            f"mask has shape {real.shape} and type {real.dtype}; give True for each real token of "
            f"the output, {output.shape[:2]}, and for one at least of each item"
        )
    return real.astype(bool)


@dataclass(frozen=True)
class Drawn:
    """Options of positions that are drawn: the name of the first, and what a caller gave."""

    name: str
    per_item: Any
    seed: Any


def chosen_rows(
    positions: Any,
    image_of_row: Any,
    drawn: Drawn,
    items: npt.NDArray[Any],
    mask: Mask | None,
) -> tuple[Positions, Images]:
    """The positions of a probe's rows, drawn or given, and the image of each row.

    Raises
    ------
    ProbeError
        If an option is none that there is, or is for the other case.
    """
    k = whole(drawn.name, drawn.per_item, least=1, most=MAX_POSITIONS, error=ProbeError)
    seed = whole("seed", drawn.seed, least=0, error=ProbeError)
    if positions is None:
        if image_of_row is not None:
            raise ProbeError("image_of_row is for positions that are given, and none are")
        return _drawn_rows(len(items), mask, k, seed)
    uv, images = _given_rows(positions, image_of_row, items, mask)
    if seed != 0 or k not in (1, rows_per_image(images)):
        raise ProbeError(
            f"{drawn.name} and seed are for positions that are drawn, and positions are given; "
            f"leave them out"
        )
    return uv, images


def _drawn_rows(
    count: int, mask: Mask | None, per_item: int, seed: int
) -> tuple[Positions, Images]:
    """Positions that are drawn in each of `count` images, and the image of each row.

    Of a sequence with padding they are different real tokens, at most as many as it has.
    """
    rng = np.random.default_rng(seed)
    if mask is None:
        return rng.random((count * per_item, 2)), np.repeat(np.arange(count), per_item)
    order = np.where(mask, rng.random(mask.shape), np.inf).argsort(axis=1)[:, :per_item]
    images, ranks = np.nonzero(np.take_along_axis(mask, order, axis=1))
    return _at_tokens(order[images, ranks], mask.shape[1]), images


def _given_rows(
    positions: Any, image_of_row: Any, items: npt.NDArray[Any], mask: Mask | None
) -> tuple[Positions, Images]:
    """Positions that a caller gives, but those at padding, and the image of each row.

    Raises
    ------
    ProbeError
        If they are no positions of these items.
    """
    if isinstance(positions, str):
        one_of("positions", positions, ("all",), error=ProbeError)
        if image_of_row is not None:
            raise ProbeError('positions="all" says the item of each row; leave image_of_row out')
        return _every_token(items, mask)
    uv = checked_positions(positions, len(items), ragged=image_of_row is not None)
    if image_of_row is None:
        images = np.repeat(np.arange(len(items)), len(uv) // len(items))
    else:
        images = _checked_image_of_row(image_of_row, len(uv), len(items))
    if mask is None:
        return uv, images
    kept = mask[images, np.floor(uv[:, 0] * mask.shape[1]).astype(np.intp)]
    without = np.flatnonzero(np.bincount(images[kept], minlength=len(mask)) == 0)
    if len(without):
        raise ProbeError(
            f"all positions of array {without[0]} are at padding; give it one at a real token"
        )
    return uv[kept], images[kept]


def _every_token(items: npt.NDArray[Any], mask: Mask | None) -> tuple[Positions, Images]:
    if not 2 <= items.ndim <= 3:
        raise ProbeError(
            f'arrays have shape {items.shape}; positions="all" is for sequences, (n, length) or '
            f"(n, length, features); maps of layers differ in size, so give positions_per_item"
        )
    real = np.ones(items.shape[:2], bool) if mask is None else mask
    images, tokens = np.nonzero(real)
    return _at_tokens(tokens, items.shape[1]), images


def _checked_image_of_row(image_of_row: Any, rows: int, count: int) -> Images:
    """The image of each row, in order of the images; each has a row.

    Raises
    ------
    ProbeError
        If it is none of these.
    """
    array = np.asarray(image_of_row)
    if array.dtype.kind not in "iu" or array.shape != (rows,):
        raise ProbeError(
            f"image_of_row has shape {array.shape} and type {array.dtype}; give the number of an "
            f"image for each of {rows} positions"
        )
    images = array.astype(np.intp)
    if not is_image_of_row(images, count):
        raise ProbeError(
            f"image_of_row must count from 0 to {count - 1} without a gap and in order: rows of "
            f"one image follow each other, and every image has one"
        )
    return images


def is_image_of_row(images: npt.NDArray[Any], count: int) -> bool:
    """Whether numbers begin with 0, end with `count - 1`, and go up by no more than 1."""
    steps = np.diff(images.astype(np.int64))
    return bool(images[0] == 0 and images[-1] == count - 1 and ((steps == 0) | (steps == 1)).all())


def rows_per_image(images: Images) -> int | None:
    """How many rows each image has; None where they differ."""
    counts = np.bincount(images)
    return int(counts[0]) if (counts == counts[0]).all() else None


def filled_up(positions: Positions, images: Images) -> tuple[Positions, Mask | None]:
    """Positions (images, k, 2) for models that are shown as many of each image.

    The second (images, k) tells the rows that were asked for from those that fill up an image with
    fewer; it is None where there are none of these.
    """
    counts = np.bincount(images)
    most = counts.max()
    if (counts == most).all():
        return positions.reshape(len(counts), most, 2), None
    asked = np.arange(most) < counts[:, None]
    full = np.zeros((len(counts), most, 2))
    full[asked] = positions
    return full, asked


def _at_tokens(tokens: Images, length: int) -> Positions:
    """The middle of each token along u; v is for maps alone."""
    return np.stack([(tokens + 0.5) / length, np.full(len(tokens), 0.5)], axis=1)
