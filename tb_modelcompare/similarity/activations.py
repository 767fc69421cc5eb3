"""What every measure starts from: one layer's activations, checked, centred, scaled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError

Array = npt.NDArray[Any]
Matrix = npt.NDArray[np.float64]

ROWS_AT_ONCE = 4096
"""Rows read at a time from arrays that may be memory-mapped files."""

NEAR_ONE = (2.0**-10, 2.0**10)
"""Typical sizes of centred values for which products of four of them fit in float32."""


ROWS_MEASURED = 256
"""Rows that `open_layer` takes at a time, so that they stay in the processor's cache."""

ROWS_OF_MEDIAN = 1024
"""Rows that `about_median` looks at, where there are more."""

EXACT_INTEGERS = 2**53
"""Beyond it, float64 rounds integers."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Activations of one layer, with what is needed to centre and scale them exactly.

    Attributes
    ----------
    name : str
        For messages.
    values : array (rows, units)
        As given: any real dtype, possibly a memory map. Never copied whole.
    shift : array (units,)
        The mean of every unit, rounded to the type that rows are centred in. Differences from
        it are correctly rounded, so that neither large means nor a row far from the others
        cost the other rows any precision; a constant unit is exactly zero.
    offset : array (units,)
        The mean of `values - shift`, in float64: what rounding left of the mean.
    exponent : int
        Centred values times 2 to this power are near 1. It is 0 where they are near 1 as they
        are; else it keeps values of 1e6 or 1e-6 within float32's range when squared.
    varies : bool
        Whether any unit has two different values.
    """

    name: str
    values: Array
    shift: Matrix
    offset: Matrix
    exponent: int
    varies: bool

    @property
    def rows(self) -> int:
        return int(self.values.shape[0])

    @property
    def units(self) -> int:
        return int(self.values.shape[1])

    @property
    def mean(self) -> Matrix:
        """Scaled mean of every unit, (units,)."""
        return self.scaled(self.shift) + self.scaled(self.offset)

    def scaled(self, values: Array) -> Array:
        """Values in the layer's scale, in their own type."""
        return np.ldexp(values, self.exponent) if self.exponent else values

    def centred(
        self,
        rows: slice | npt.NDArray[np.intp],
        dtype: npt.DTypeLike = np.float64,
        out: Array | None = None,
    ) -> Array:
        """`(values - mean)`, scaled, of some rows, in `out` where one of that type is given.

        Differences of float32 activations from `shift` are correctly rounded also in float32.
        Values are scaled first, so that none of these overflows.
        """
        work = np.float32 if np.dtype(dtype) == np.float32 and _narrow(self.values) else np.float64
        inplace = out if out is not None and out.dtype == work else None
        values = self.values[rows]
        if self.exponent:
            values = self.scaled(values.astype(work))
        near = self.scaled(self.shift).astype(work)
        block: Array = np.subtract(values, near, out=inplace, dtype=work)
        block -= self.scaled(self.offset).astype(work)
        if out is None:
            return block.astype(dtype, copy=False)
        if block is not out:
            out[:] = block
        return out

    def require_rows(self, least: int, why: str) -> None:
        if self.rows < least:
            raise ActivationError(
                f"{self.name} has {self.rows} row(s); {why} needs at least {least}. "
                "Use a probe with more images or more positions per image."
            )

    def require_variation(self, why: str) -> None:
        if not self.varies:
            raise ActivationError(
                f"{self.name} does not vary: each of its {self.units} unit(s) has one value on "
                f"all {self.rows} row(s), so {why} is not defined for it. Leave the layer out, or "
                "use a probe on which it responds."
            )


def row_blocks(rows: int, at_once: int = ROWS_AT_ONCE) -> Iterator[slice]:
    """Slices that cover `rows`, in order."""
    return (slice(start, min(start + at_once, rows)) for start in range(0, rows, at_once))


def check_activations(values: Any, name: str) -> Array:
    """The array itself, if it is (rows, units) of real numbers.

    Raises
    ------
    ActivationError
        If it is not two-dimensional, is empty, or is not of a real number type, or if it is
        masked, sparse, or an `np.matrix`, which compute otherwise than arrays do.
    """
    plain = type(values) in (np.ndarray, np.memmap)
    array = _of_numpys_types(values) if plain else _as_array(values, name)
    if array.ndim == 1:
        raise ActivationError(
            f"{name} has shape {array.shape}; a measure takes (rows, units). For a layer of one "
            f"unit pass {name}[:, None]."
        )
    if array.ndim != 2:
        raise ActivationError(
            f"{name} has shape {array.shape}; a measure takes (rows, units). Sample a "
            "convolutional map at positions, so that each row is one position of one image."
        )
    if 0 in array.shape:
        raise ActivationError(f"{name} is empty: its shape is {array.shape}.")
    if array.dtype.kind not in "fiub":
        raise ActivationError(
            f"{name} has type {array.dtype}; a measure takes real numbers. Pass a DataFrame with "
            "columns of several types or missing values as frame.to_numpy(dtype=float), and other "
            "types as values.astype(np.float32)."
        )
    return array


def _as_array(values: Any, name: str) -> Array:
    if isinstance(values, np.ma.MaskedArray):
        raise ActivationError(
            f"{name} is a masked array, and a measure has no notion of missing values. Fill it, "
            "or leave the masked rows out of all layers, and pass a plain array."
        )
    if isinstance(values, np.matrix):
        raise ActivationError(f"{name} is an np.matrix; pass np.asarray({name}).")
    if hasattr(values, "toarray") and not isinstance(values, np.ndarray):
        raise ActivationError(f"{name} is a sparse matrix; pass {name}.toarray().")
    try:
        return _of_numpys_types(np.asarray(_on_the_host(values)))
    except (TypeError, ValueError, RuntimeError) as problem:
        raise ActivationError(
            f"{name} cannot be read as an array (rows, units): {problem} Pass a numpy array."
        ) from problem


def _on_the_host(values: Any) -> Any:
    """A torch tensor without its gradient and off its device; anything else as it is.

    numpy has no bfloat16, and float32 holds each of its values exactly.
    """
    if not (hasattr(values, "detach") and hasattr(values, "cpu")):
        return values
    tensor = values.detach().cpu()
    return tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor


def _of_numpys_types(array: Array) -> Array:
    """Short floats of ml_dtypes, such as JAX's bfloat16, as float32, which holds them exactly."""
    short = array.dtype.type.__module__ == "ml_dtypes"
    return array.astype(np.float32) if short else array


def check_model(model: Any, whose: str) -> None:
    """Refuse what is no mapping from names of layers to arrays.

    Raises
    ------
    ActivationError
    """
    if not isinstance(model, Mapping):
        raise ActivationError(
            f"{whose[0].upper()}{whose[1:]} is a {type(model).__name__}; pass a mapping from names "
            'of layers to arrays (rows, units), such as {"layer": array}.'
        )
    if not model:
        raise ActivationError(f"No layers of {whose} were given.")


def open_layer(values: Any, name: str = "activations") -> Layer:
    """Check one layer and measure its means and scale, in blocks of rows and in float64.

    Raises
    ------
    ActivationError
        As `check_activations`, and if a value is NaN, infinite, or an integer that float64
        does not hold.
    """
    array = check_activations(values, name)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        _refuse_large_integers(array, name)
    lift = 0
    total, energy = _sums(array, lift)
    if not np.isfinite(total).all():
        _refuse_what_is_not_finite(array, name)
        lift = LARGEST_LIFT
        total, energy = _sums(array, lift)
    size = float(np.sqrt(energy / array.size))
    if not NEAR_ONE[0] < size < NEAR_ONE[1]:  # squares may have left the range: take maxima
        size = max(float(np.abs(one).max()) for one in _differences(array, lift))
    mean = np.ldexp(_lifted(array[0], lift) + total / len(array), -lift)
    shift = mean.astype(np.float32).astype(np.float64) if _narrow(array) else mean
    # What the rounded mean leaves, from the first row as well: it is exact where `mean` is not.
    offset = np.ldexp(_lifted(array[0], lift) - np.ldexp(shift, lift) + total / len(array), -lift)
    return Layer(name, array, shift, offset, _exponent(size, lift), varies=size > 0.0)


LARGEST_LIFT = -64
"""Values near the end of float64's range are summed times 2 to this power."""


def _lifted(values: Array, lift: int) -> Matrix:
    wide = values.astype(np.float64)
    return np.ldexp(wide, lift) if lift else wide


def _differences(array: Array, lift: int) -> Iterator[Matrix]:
    """Differences from the first row, in float64, some rows at a time in one buffer."""
    first = _lifted(array[0], lift)
    buffer = np.empty((min(ROWS_MEASURED, len(array)), array.shape[1]))
    for rows in row_blocks(len(array), ROWS_MEASURED):
        block = _lifted(array[rows], lift) if lift else array[rows]
        yield np.subtract(block, first, out=buffer[: len(block)], dtype=np.float64)


def _sums(array: Array, lift: int) -> tuple[Matrix, float]:
    """Over rows, of differences from the first one: their sum, and that of their squares."""
    total, energy = np.zeros(array.shape[1]), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for difference in _differences(array, lift):
            total += difference.sum(axis=0)
            energy += float(np.vdot(difference, difference))
    return total, energy


def about_median(layer: Layer) -> Layer:
    """The layer with its rows taken from their median, unit by unit, instead of their mean.

    Only for what is the same about any point. A few rows that are far from the others pull the
    mean, and the others then differ from it by a large common part that has to cancel. The
    median of a random thousand rows is near enough.
    """
    count = min(layer.rows, ROWS_OF_MEDIAN)
    rows = np.random.default_rng(0).permutation(layer.rows)[:count]
    away = np.ldexp(np.median(layer.centred(np.sort(rows)), axis=0), -layer.exponent)
    median = layer.shift + (layer.offset + away)
    if _narrow(layer.values):
        median = median.astype(np.float32).astype(np.float64)
    return replace(layer, shift=median, offset=np.zeros_like(median))


def _refuse_what_is_not_finite(array: Array, name: str) -> None:
    for rows in row_blocks(len(array)):
        finite = np.isfinite(array[rows]).all(axis=0)
        if not finite.all():
            unit = int(np.flatnonzero(~finite)[0])
            raise ActivationError(
                f"{name} has NaN, infinite or overflowing values, first in unit {unit}. Look for "
                "a division or an overflow in the model, or log it in float32."
            )


def _refuse_large_integers(array: Array, name: str) -> None:
    for rows in row_blocks(len(array)):
        block = array[rows]
        if int(block.max()) > EXACT_INTEGERS or int(block.min()) < -EXACT_INTEGERS:
            raise ActivationError(
                f"{name} has integers beyond 2**53, which float64 does not tell apart. Subtract "
                "something first, or pass values.astype(float) if rounding does not matter."
            )


def _narrow(array: Array) -> bool:
    """Whether every value is a float32 exactly."""
    return array.dtype.kind == "f" and array.dtype.itemsize <= 4


def _exponent(size: float, lift: int) -> int:
    """0 where `size` is near 1 or 0, else the power of two that brings it into [0.5, 1).

    `size` is of values times 2 to the power of `lift`.
    """
    if size == 0.0 or (not lift and NEAR_ONE[0] < size < NEAR_ONE[1]):
        return 0
    return lift - int(np.frexp(size)[1])


def require_same_rows(x: Layer, y: Layer) -> None:
    if x.rows != y.rows:
        raise ActivationError(
            f"{x.name} has {x.rows} rows and {y.name} has {y.rows}; row r of both must be the same "
            "place of the same image. Log both models with one probe."
        )
