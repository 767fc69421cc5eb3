"""Whether stored activations hold NaN or infinity, found out once for each array."""

from __future__ import annotations

import numpy as np

from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.log.arrays import ArrayFile
from tb_modelcompare.log.hashing import Identity

_BLOCK_VALUES = 2**22

# Arrays in which there was none, by file identity and offset.
_finite: set[tuple[Identity, int]] = set()


def require_finite(array: ArrayFile, what: str) -> None:
    """Refuse a matrix on which no measure is defined.

    Raises
    ------
    MissingAssetError, CorruptSnapshotError
        If the file cannot be read, or a value is NaN or infinite.
    """
    key = (array.identity, array.offset)
    if key in _finite:
        return
    step = max(1, _BLOCK_VALUES // array.shape[1])
    for start in range(0, len(array), step):
        if not np.isfinite(array[start : start + step]).all():
            raise CorruptSnapshotError(
                f"{what} holds NaN or infinity, on which no measure is defined; log it again"
            )
    _finite.add(key)
