"""The id of a probe: snapshots are compared only where theirs are equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Items(Protocol):
    """Images or other arrays of one shape, in memory or in a file."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __iter__(self) -> Iterator[npt.NDArray[Any]]: ...


def probe_id(
    images: Items,
    positions: npt.NDArray[np.float64],
    is_of_images: bool,
    image_of_row: npt.NDArray[Any] | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
) -> str:
    """The id of a probe of these images, in memory or in a file, at these positions.

    SHA-256 over kind, type and shape, each image in turn, the positions, and, where images have
    different numbers of rows, the image of each, and where there is padding, the mask.
    """
    little = images.dtype.newbyteorder("<")
    header: dict[str, Any] = {
        "version": 1,
        "dtype": images.dtype.name,
        "shape": images.shape,
        "rows": len(positions),
    }
    if not is_of_images:
        header["kind"] = "arrays"
    if image_of_row is not None:
        header["image_of_row"] = True
    if mask is not None:
        header["mask"] = True
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for image in images:
        digest.update(np.ascontiguousarray(image, dtype=little).data)
    digest.update(np.ascontiguousarray(positions, dtype="<f8").data)
    if image_of_row is not None:
        digest.update(np.ascontiguousarray(image_of_row, dtype="<i4").data)
    if mask is not None:
        digest.update(np.ascontiguousarray(mask, dtype=np.uint8).data)
    return digest.hexdigest()
