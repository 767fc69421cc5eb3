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


def probe_id(images: Items, positions: npt.NDArray[np.float64], is_of_images: bool) -> str:
    """The id of a probe of these images, in memory or in a file, at these positions.

    SHA-256 over kind, type and shape, each image in turn, and the positions.
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
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for image in images:
        digest.update(np.ascontiguousarray(image, dtype=little).data)
    digest.update(np.ascontiguousarray(positions, dtype="<f8").data)
    return digest.hexdigest()
