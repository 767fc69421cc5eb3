"""What every measure starts from: one layer's activations, checked, centred, scaled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
        The first row, in float64. Differences from it are exact enough that a
        constant unit is exactly zero, however large its value.
    offset : array (units,)
        Mean of `values - shift`, unscaled, in float64.
    scale : float
        A power of two that brings centred values near 1 where they are far from it, so
        that neither values of 1e6 nor of 1e-6 leave float32's range when squared.
    varies : bool
        Whether any unit has two different values.
    """

    name: str
    values: Array
    shift: Matrix
    offset: Matrix
    scale: float
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
        return (self.shift + self.offset) * self.scale

    def centred(
        self,
        rows: slice | npt.NDArray[np.intp],
        dtype: npt.DTypeLike = np.float64,
        out: Array | None = None,
    ) -> Array:
        """`(values - mean) * scale` of some rows, in `out` where one of that type is given.

        The first row is subtracted first. Of float32 activations that is correctly rounded
        also in float32, so that large means cost no precision.
        """
        narrow = np.dtype(dtype) == np.float32 and _narrow(self.values)
        work = np.float32 if narrow else np.float64
        inplace = out if out is not None and out.dtype == work else None
        block: Array = np.subtract(
            self.values[rows], self.shift.astype(work), out=inplace, dtype=work
        )
        block -= self.offset.astype(work)
        if self.scale != 1.0:
            block *= work(self.scale)
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
        If it is not two-dimensional, is empty, or is not of a real number type.
    """
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.ndim != 2:
        raise ActivationError(
            f"{name} has shape {array.shape}; a measure takes (rows, units). Sample a "
            "convolutional map at positions, so that each row is one position of one image."
        )
    if 0 in array.shape:
        raise ActivationError(f"{name} is empty: its shape is {array.shape}.")
    if array.dtype.kind not in "fiub":
        raise ActivationError(f"{name} has type {array.dtype}; a measure takes real numbers.")
    return array


def open_layer(values: Any, name: str = "activations", exact: bool = True) -> Layer:
    """Check one layer and measure its means and scale, in blocks of rows.

    Without `exact`, means of float32 values are good to about 1e-8 of the values' spread,
    which float32 products cannot tell from exact ones.

    Raises
    ------
    ActivationError
        As `check_activations`, and if a value is NaN or infinite.
    """
    array = check_activations(values, name)
    work = np.float32 if _narrow(array) else np.float64
    first = array[0].astype(work)
    total = np.zeros(array.shape[1])
    energy = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_blocks(len(array)):
            difference = np.subtract(array[rows], first, dtype=work)
            total += difference.sum(axis=0, dtype=np.float64) if exact else _sum(difference)
            energy += float(np.vdot(difference, difference))
    if not np.isfinite(total).all():
        unit = int(np.flatnonzero(~np.isfinite(total))[0])
        raise ActivationError(
            f"{name} has NaN, infinite or overflowing values, first in unit {unit}. "
            "Look for a division or an overflow in the model, or log it in float32."
        )
    size = float(np.sqrt(energy / array.size))
    if not NEAR_ONE[0] < size < NEAR_ONE[1]:  # squares may have left the range: take maxima
        differences = (
            np.subtract(array[rows], first, dtype=work) for rows in row_blocks(len(array))
        )
        size = max(float(np.abs(one).max()) for one in differences)
    shift = first.astype(np.float64)
    return Layer(name, array, shift, total / len(array), _scale(size), varies=size > 0.0)


def _sum(values: Array) -> Matrix:
    """Sums of columns: of 64 rows each as a product, which is fast, and of these in float64."""
    whole = len(values) // 64 * 64
    ones = np.ones(64, values.dtype)
    parts = ones @ values[:whole].reshape(-1, 64, values.shape[1])
    total = parts.sum(axis=0, dtype=np.float64) + values[whole:].sum(axis=0, dtype=np.float64)
    return np.asarray(total)


def _narrow(array: Array) -> bool:
    """Whether every value is a float32 exactly."""
    return array.dtype.kind == "f" and array.dtype.itemsize <= 4


def _scale(size: float) -> float:
    """1 where `size` is near it or 0, else the power of two that brings it into [0.5, 1)."""
    if size == 0.0 or NEAR_ONE[0] < size < NEAR_ONE[1]:
        return 1.0
    return float(np.ldexp(1.0, -int(np.frexp(size)[1])))


def require_same_rows(x: Layer, y: Layer) -> None:
    if x.rows != y.rows:
        raise ActivationError(
            f"{x.name} has {x.rows} rows and {y.name} has {y.rows}; row r of both must be the same "
            "place of the same image. Log both models with one probe."
        )
