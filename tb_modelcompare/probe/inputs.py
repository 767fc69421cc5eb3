"""What a caller gives as images, arrays, positions and names of a probe, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ProbeError

MAX_POSITIONS = 2**16  # of one image or array
# Types of arrays that are not images.
ARRAY_DTYPES = ("uint8", "int32", "int64", "float32")


def checked_images(images: npt.ArrayLike) -> npt.NDArray[Any]:
    """Images (n, h, w, 1 or 3), as uint8 or as float32 in [0, 1]; ProbeError for others."""
    array = _array("images", images)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape or array.shape[-1] not in (1, 3):
        raise ProbeError(
            f"images have shape {array.shape}; give (n, h, w, 3) RGB or (n, h, w, 1) grey, n > 0"
        )
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise ProbeError(f"images are {array.dtype}; give uint8, or floating point in [0, 1]")
    array = np.ascontiguousarray(array, dtype=np.float32)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 1.0):  # false for NaN as well
        raise ProbeError(
            f"floating point images lie in [{low:g}, {high:g}]; give [0, 1], or uint8 for 0..255"
        )
    return array


def checked_arrays(arrays: npt.ArrayLike) -> npt.NDArray[Any]:
    """Arrays (n, …) of one of `ARRAY_DTYPES`, finite; ProbeError for others."""
    array = _array("arrays", arrays)
    if not 2 <= array.ndim <= 4 or 0 in array.shape:
        raise ProbeError(
            f"arrays have shape {array.shape}; give (n, …) with one to three dimensions each, n > 0"
        )
    if array.dtype.name in ARRAY_DTYPES[:-1]:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise ProbeError(f"arrays are {array.dtype}; give {', '.join(ARRAY_DTYPES)}")
    array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise ProbeError("arrays hold NaN or infinity, or values beyond float32")
    return array


def _array(what: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        raise ProbeError(f"{what} are a masked array; fill in what is masked")
    try:
        return np.asarray(values)
    except Exception as error:  # each framework has its own, as for a GPU's tensor
        raise ProbeError(f"{what} are no array ({error}); give a numpy array") from error


def checked_names(names: Any, count: int) -> tuple[str, ...]:
    """One name per item, "0", "1", … if none are given; ProbeError for others."""
    if names is None:
        return tuple(map(str, range(count)))
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ProbeError(f"names is {names!r:.100}; give a sequence, one name per image or array")
    texts = tuple(names)
    if len(texts) != count:
        raise ProbeError(f"{len(texts)} names for {count} items; give one per image or array")
    for text in texts:
        if not isinstance(text, str):
            raise ProbeError(f"names holds {text!r:.100}; give strings")
    return tuple(map(str, texts))


def checked_positions(
    positions: npt.ArrayLike, count: int, ragged: bool = False
) -> npt.NDArray[np.float64]:
    """Positions (k · count, 2) in [0, 1), or any number if `ragged`; ProbeError for others."""
    array = _array("positions", positions)
    if array.dtype.kind not in "fiu":
        raise ProbeError(f'positions are {array.dtype}; give numbers in [0, 1), or "all"')
    checked = np.array(array, dtype=np.float64, order="C")
    if checked.ndim != 2 or checked.shape[1] != 2 or len(checked) == 0:
        raise ProbeError(
            f"positions have shape {checked.shape}; give (k * {count}, 2), k for each image in turn"
        )
    if not ragged and len(checked) % count:
        raise ProbeError(
            f"positions have shape {checked.shape}; give (k * {count}, 2), k for each image in "
            f"turn, or say with image_of_row which image each is of"
        )
    if not (checked.min() >= 0.0 and checked.max() < 1.0):
        raise ProbeError("positions must lie in [0, 1): (u over the height, v over the width)")
    return checked
