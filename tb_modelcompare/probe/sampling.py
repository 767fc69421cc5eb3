"""Which value of a layer's output stands at a probe position, or stands for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError

Spatial = tuple[int, int] | None
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Reduction = Literal["sample", "mean", "first", "last", "flatten"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


@dataclass(frozen=True)
class Reading:
    """How outputs become rows.

    Attributes
    ----------
    sequence : bool
        Tokens are positions along a text or series, and no map of g × g.
    reduction : Reduction
        Of the positions of an output: "sample" takes the value at the position, "mean" their mean,
        "first" and "last" the first or last token (of maps they sample), "flatten" all values as
        so many units.
    """

    sequence: bool = False
    reduction: Reduction = "sample"


@dataclass(frozen=True, eq=False)
class Peaks:
    """The largest value of each unit on each item (items, units), and where in the map it is.

    `cells` are row · width + column, of equal values the first.
    """

    values: Floats
    cells: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Sampled:
    """One layer's activations at some positions: (rows, units), and the map they are of.

    `peaks` is None for a layer without a map, which has the same value at every position.
    """

    values: Floats
    spatial: Spatial
    peaks: Peaks | None = None


@dataclass(frozen=True)
class TokenGrid:
    """How positions address an output: a map of h × w tokens after `skip` others.

    `tokens` is the number of all of them, in `length` lines of as many. A vector is one token at
    every position. Where `mean` is set, the mean of all tokens comes before; where `end` is "first"
    or "last", that token is at every position.
    """

    spatial: Spatial
    tokens: int
    skip: int = 0
    mean: bool = False
    end: Literal["first", "last"] | None = None
    length: int = 1

    def index(
        self, positions: npt.NDArray[np.float64], real: Mask | None = None
    ) -> npt.NDArray[np.int64]:
        """Token index of each (b, k, (u, v)): skip + floor(u·h)·w + floor(v·w).

        `real` are the tokens that are none of padding (see `real_tokens`).
        """
        if self.end is not None:
            tokens = np.ones((1, self.tokens), bool) if real is None else real
            first = (tokens if self.end == "first" else tokens[:, ::-1]).argmax(axis=1)
            ends = first if self.end == "first" else self.tokens - 1 - first
            return np.broadcast_to(ends[:, None], positions.shape[:-1]).astype(np.int64)
        height, width = self.spatial or (1, 1)
        rows = np.floor(positions[..., 0] * height).astype(np.int64)
        columns = np.floor(positions[..., 1] * width).astype(np.int64)
        return self.skip + rows * width + columns

    def real_tokens(self, mask: Mask | None) -> Mask | None:
        """Which tokens (b, tokens) of an output are real, by those of what was shown (b, length).

        A token of a shorter output is real if any of those is that it stands for.
        """
        if mask is None or self.tokens == 1:
            return None
        starts, ends = self.spans(mask.shape[1])
        before = np.concatenate([np.zeros((len(mask), 1), int), mask.cumsum(axis=1)], axis=1)
        return np.repeat(before[:, ends] > before[:, starts], self.tokens // self.length, axis=1)

    def spans(self, shown: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """For each line the tokens, of so many that are shown, that it stands for: from, to."""
        at = np.arange(self.length)
        return at * shown // self.length, -(-(at + 1) * shown // self.length)


def token_grid(
    shape: Sequence[int | None],
    reading: Reading = Reading(),
) -> TokenGrid | None:
    """How to sample an output of `shape` (without the batch axis); None where we cannot.

    (units,) is the same at every position, and so is what `reading` reduces. (h, w, units) is a
    map. (tokens, units) is a map of g × g where tokens is g², or g² + 1 with the first token (a
    transformer's class token) passed over; otherwise, and of a sequence always, a map of
    tokens × 1, so that u alone counts.
    """
    if any(size is None or size == 0 for size in shape):
        return None
    sizes = [int(size) for size in shape if size is not None]
    if len(sizes) <= 1 or (len(sizes) <= 3 and reading.reduction == "flatten"):
        return TokenGrid(None, 1)
    if len(sizes) > 3:
        return None
    tokens = math.prod(sizes[:-1])
    if reading.reduction == "mean":
        return TokenGrid(None, tokens, mean=True, length=sizes[0])
    if len(sizes) == 3:
        return TokenGrid((sizes[0], sizes[1]), tokens, length=sizes[0])
    if reading.reduction == "first" or reading.reduction == "last":
        return TokenGrid(None, tokens, end=reading.reduction, length=tokens)
    for skip in () if reading.sequence else (0, 1):
        side = math.isqrt(max(tokens - skip, 0))
        if side > 1 and side * side == tokens - skip:
            return TokenGrid((side, side), tokens, skip)
    return TokenGrid((tokens, 1), tokens, length=tokens)


def real_array(what: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Real numbers of any type as an array; bfloat16 and its kin, which numpy lacks, as float32.

    Raises
    ------
    ActivationError
        If `values` is no array of real numbers, or hides some of them behind a mask.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise ActivationError(f"{what} is a masked array; fill in what is masked")
    try:
        array = np.asarray(values)
    except Exception as error:  # each framework has its own, as for a GPU's tensor
        raise ActivationError(
            f"{what} is a {type(values).__name__} that is no array of numbers ({error}); give "
            f"real numbers as a numpy array"
        ) from error
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.names is None and np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32)
    raise ActivationError(f"{what} holds {array.dtype}; give real numbers")


def sample(
    output: npt.NDArray[Any],
    positions: npt.NDArray[np.float64],
    layer: str,
    reading: Reading = Reading(),
    mask: Mask | None = None,
) -> Sampled:
    """Rows of `output` (b, …) at `positions` (b, k, 2), in numpy; padding is not True in `mask`."""
    grid = token_grid(output.shape[1:], reading)
    if grid is None:
        raise unusable(layer, output.shape)
    tokens = output.reshape(len(output), grid.tokens, -1)
    real = grid.real_tokens(mask)
    if grid.mean:
        where = True if real is None else real[..., None]
        tokens = tokens.mean(axis=1, keepdims=True, dtype=np.float64, where=where)
    index = grid.index(positions, real)
    values = np.take_along_axis(tokens, index[..., None], axis=1)
    rows = np.asarray(values.reshape(index.size, -1), np.float32)
    if grid.spatial is None:
        return Sampled(rows, None)
    map_ = tokens[:, grid.skip :]
    if real is not None:
        map_ = np.where(real[..., None], map_, -np.inf)
    cells = map_.argmax(axis=1)
    peaks = np.take_along_axis(map_, cells[:, None], axis=1)[:, 0]
    return Sampled(rows, grid.spatial, Peaks(peaks.astype(np.float32), cells.astype(np.int32)))


def unusable(layer: str, shape: Sequence[Any]) -> ActivationError:
    """The error for an output that has no fixed map of units."""
    return ActivationError(
        f"layer {layer!r} gives shape {tuple(shape)}, which is no vector, sequence or map of "
        f"fixed size; leave it out with layers="
    )
