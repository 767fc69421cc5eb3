"""A probe of a snapshot, read without keeping its images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.log.arrays import ArrayFile


@dataclass(frozen=True, eq=False)
class StoredProbe:
    """A probe as a server needs it: its images stay in their file and are read one at a time.

    Attributes
    ----------
    names : tuple of str
        One per image.
    positions : array (rows, 2)
        As of `Probe`.
    images : ArrayFile (images, …)
    """

    names: tuple[str, ...]
    positions: npt.NDArray[np.float64]
    images: ArrayFile
