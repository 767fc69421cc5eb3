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
Floats = npt.NDArray[np.float32]
Reduction = Literal["sample", "mean", "first", "flatten"]
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
        "first" the first token (of maps it samples), "flatten" all values as so many units.
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

    `tokens` is the number of all of them. A vector is one token at every position. Where `mean`
    is set, the mean of all tokens comes before.
    """

    spatial: Spatial
    tokens: int
    skip: int = 0
    mean: bool = False

    def index(self, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Token index of each (…, (u, v)): skip + floor(u·h)·w + floor(v·w)."""
        height, width = self.spatial or (1, 1)
        rows = np.floor(positions[..., 0] * height).astype(np.int64)
        columns = np.floor(positions[..., 1] * width).astype(np.int64)
        return self.skip + rows * width + columns


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
        return TokenGrid(None, tokens, mean=True)
    if len(sizes) == 3:
        return TokenGrid((sizes[0], sizes[1]), tokens)
    if reading.reduction == "first":
        return TokenGrid(None, tokens)
    for skip in () if reading.sequence else (0, 1):
        side = math.isqrt(max(tokens - skip, 0))
        if side > 1 and side * side == tokens - skip:
            return TokenGrid((side, side), tokens, skip)
    return TokenGrid((tokens, 1), tokens)


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
) -> Sampled:
    """Rows of `output` (b, …) at `positions` (b, k, 2), in numpy."""
    grid = token_grid(output.shape[1:], reading)
    if grid is None:
        raise unusable(layer, output.shape)
    tokens = output.reshape(len(output), grid.tokens, -1)
    if grid.mean:
        tokens = tokens.mean(axis=1, keepdims=True, dtype=np.float64)
    index = grid.index(positions)
    values = np.take_along_axis(tokens, index[..., None], axis=1)
    rows = np.asarray(values.reshape(index.size, -1), np.float32)
    if grid.spatial is None:
        return Sampled(rows, None)
    map_ = tokens[:, grid.skip :]
    cells = map_.argmax(axis=1)
    peaks = np.take_along_axis(map_, cells[:, None], axis=1)[:, 0]
    return Sampled(rows, grid.spatial, Peaks(peaks.astype(np.float32), cells.astype(np.int32)))


def unusable(layer: str, shape: Sequence[Any]) -> ActivationError:
    """The error for an output that has no fixed map of units."""
    return ActivationError(
        f"layer {layer!r} gives shape {tuple(shape)}, which is no vector, sequence or map of "
        f"fixed size; leave it out with layers="
    )
